package table_test

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2" // the oracle

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// oracle is a table in plain DuckDB that has the same done to it.
type oracle struct {
	t  *testing.T
	db *sql.DB
}

// The columns of both tables, and how a row is shown, so that equal rows are equal texts.
const (
	oracleColumns = "id bigint, a int, b string, d decimal(8,2), ts timestamp_ntz, p int, st struct<x:int,y:string>"
	oracleTypes   = "id BIGINT, a INT, b VARCHAR, d DECIMAL(8,2), ts TIMESTAMP, p INT, st STRUCT(x INT, y VARCHAR)"
	oracleRow     = "concat_ws('|', coalesce(id::VARCHAR, '∅'), coalesce(a::VARCHAR, '∅'), coalesce(b, '∅'), coalesce(d::VARCHAR, '∅'), " +
		"coalesce(ts::VARCHAR, '∅'), coalesce(p::VARCHAR, '∅'), coalesce(st::VARCHAR, '∅')) AS r"
)

func oracleNames() []string { return []string{"id", "a", "b", "d", "ts", "p", "st"} }

func (o oracle) exec(text string) {
	o.t.Helper()
	if _, err := o.db.ExecContext(o.t.Context(), text); err != nil {
		o.t.Fatalf("oracle: %s: %v", text, err)
	}
}

func (o oracle) rows() (out []string) {
	o.t.Helper()
	rows, err := o.db.QueryContext(o.t.Context(), "SELECT "+oracleRow+" FROM t")
	if err != nil {
		o.t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // read only
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			o.t.Fatal(err)
		}
		out = append(out, s)
	}
	if err := rows.Err(); err != nil {
		o.t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// oracleSource is random rows as SQL, with other ids in each row where unique.
func oracleSource(r *rand.Rand, n int, unique bool) string {
	ids := r.Perm(40)
	rows := make([]string, n)
	for i := range rows {
		id := fmt.Sprint(ids[i])
		if !unique {
			id = fmt.Sprint(r.IntN(40))
		}
		if r.IntN(15) == 0 {
			id = "NULL"
		}
		rows[i] = fmt.Sprintf("(%s::BIGINT, %s::INT, %s::VARCHAR, %s::DECIMAL(8,2), %s::TIMESTAMP, %s::INT, %s::STRUCT(x INT, y VARCHAR))", id,
			pick(r, "0", "1", "2", "NULL"), pick(r, "'k'", "'long text of one row'", "''", "NULL"), pick(r, "0.10", "-5.25", "99999.99", "NULL"),
			pick(r, "'2001-01-01 00:00:00.000001'", "'1969-12-31 23:59:59'", "NULL"), pick(r, "0", "1", "2", "NULL"),
			pick(r, "{'x': 1, 'y': 'q'}", "{'x': NULL, 'y': 'r'}", "{'x': 3, 'y': NULL}", "NULL"))
	}
	names := strings.Join(oracleNames(), ", ")
	if n == 0 {
		return "SELECT * FROM (VALUES (NULL::BIGINT, 0, '', 0::DECIMAL(8,2), NULL::TIMESTAMP, 0, NULL::STRUCT(x INT, y VARCHAR))) v(" + names + ") WHERE false"
	}
	return "SELECT * FROM (VALUES " + strings.Join(rows, ", ") + ") v(" + names + ")"
}

// oracleMerge is a random merge, and the same for DuckDB.
func oracleMerge(r *rand.Rand) (table.Merge, string) {
	source := oracleSource(r, r.IntN(12), true)
	m := table.Merge{
		Source: table.Query{SQL: source}, RewriteShare: pick(r, 0, 0.01, 0.3, 2),
		On: pick(r, "t.id = s.id", "s.id = t.id AND t.p = s.p", "t.id = s.id AND t.a IS NOT DISTINCT FROM s.a", "t.id = s.id AND t.d >= 0", "t.id = s.id + 1 AND s.a > 0"),
	}
	text := "MERGE INTO t USING (" + source + ") AS s ON (" + m.On + ")"
	words := map[table.When]string{table.Matched: "MATCHED", table.NotMatched: "NOT MATCHED", table.NotMatchedBySource: "NOT MATCHED BY SOURCE"}
	add := func(c table.Clause) {
		m.Clauses = append(m.Clauses, c)
		text += " WHEN " + words[c.When]
		if c.If != "" {
			text += " AND " + c.If
		}
		set := c.Set
		if c.Star {
			for _, n := range oracleNames() {
				set = append(set, table.Assignment{Column: n, Value: "s." + n})
			}
		}
		var pairs, names, values []string
		for _, a := range set {
			pairs, names, values = append(pairs, a.Column+" = "+a.Value), append(names, a.Column), append(values, a.Value)
		}
		switch c.Do {
		case table.DoDelete:
			text += " THEN DELETE"
		case table.DoUpdate:
			text += " THEN UPDATE SET " + strings.Join(pairs, ", ")
		case table.DoInsert:
			text += " THEN INSERT (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(values, ", ") + ")"
		}
	}
	some := func() string {
		return pick(r, "s.a > t.a", "t.p = 1", "s.b IS NULL", "t.st.x = 1 OR s.st.y = 'q'", "t.ts < s.ts")
	}
	update := func(cond string) table.Clause {
		c := table.Clause{When: table.Matched, If: cond, Do: table.DoUpdate}
		switch r.IntN(4) {
		case 0:
			c.Star = true
		case 1:
			c.Set = []table.Assignment{{Column: "a", Value: "t.a + 1"}, {Column: "st", Value: "s.st"}}
		case 2:
			c.Set = []table.Assignment{{Column: "p", Value: "s.p"}, {Column: "b", Value: "t.b || coalesce(s.b, '-')"}, {Column: "d", Value: "s.d"}}
		default:
			c.Set = []table.Assignment{{Column: "ts", Value: "s.ts"}, {Column: "id", Value: "s.id"}}
		}
		return c
	}
	for range r.IntN(3) {
		if r.IntN(3) == 0 {
			add(table.Clause{When: table.Matched, If: some(), Do: table.DoDelete})
		} else {
			add(update(some()))
		}
	}
	switch r.IntN(4) {
	case 0, 1:
		add(update(""))
	case 2:
		add(table.Clause{When: table.Matched, Do: table.DoDelete})
	}
	if r.IntN(2) == 0 {
		add(table.Clause{When: table.NotMatched, If: pick(r, "s.a = 1", "s.st IS NOT NULL"), Do: table.DoInsert, Set: []table.Assignment{
			{Column: "st", Value: "s.st"}, {Column: "id", Value: "s.id + 100"}, {Column: "p", Value: "2"},
		}})
	}
	if r.IntN(3) > 0 || len(m.Clauses) == 0 {
		add(table.Clause{When: table.NotMatched, Do: table.DoInsert, Star: true})
	}
	if r.IntN(3) == 0 {
		add(table.Clause{When: table.NotMatchedBySource, If: pick(r, "t.p = 1", "t.id > 30", "t.b IS NULL AND t.a < 2"), Do: table.DoDelete})
	}
	if r.IntN(4) == 0 {
		add(table.Clause{When: table.NotMatchedBySource, If: pick(r, "", "t.p IS NULL"), Do: table.DoUpdate, Set: []table.Assignment{
			{Column: "a", Value: "coalesce(t.a, 0) + 10"}, {Column: "p", Value: "t.a"},
		}})
	}
	return m, text
}

// source is a query as it is, or its rows in files: of a table, or outside any.
func (l *lake) source(r *rand.Rand, q table.Query) table.Query {
	l.t.Helper()
	form := r.IntN(4)
	if form > 1 {
		return q
	}
	schema, err := txlog.ParseColumns(oracleColumns)
	if err != nil {
		l.t.Fatal(err)
	}
	rel := table.Relation{Schema: schema}
	for half := range 2 {
		files, err := l.eng.Write(l.t.Context(), table.Query{SQL: fmt.Sprintf("SELECT * FROM (%s) WHERE coalesce(id, 0) %% 2 = %d", q.SQL, half)}, table.Write{
			Store: l.store, Prefix: "landing/", Schema: schema,
		})
		if err != nil {
			l.t.Fatal(err)
		}
		for _, f := range files {
			rel.Files = append(rel.Files, table.RelationFile{Store: l.store, Key: f.Key, Size: f.Size})
		}
	}
	if form == 1 && len(rel.Files) > 0 {
		rel.Schema, rel.External = nil, &table.External{Format: "parquet"}
	}
	return table.Query{SQL: "SELECT * FROM updates;", Relations: map[string]table.Relation{"updates": rel}}
}

// sequence does random things to a random table and to the oracle.
func sequence(t *testing.T, l *lake, db *sql.DB, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 5))
	ctx := t.Context()
	c := table.Create{Properties: map[string]string{
		"delta.enableDeletionVectors":      pick(r, "true", "true", "false"),
		"delta.columnMapping.mode":         pick(r, "none", "none", "name", "id"),
		"delta.enableChangeDataFeed":       pick(r, "false", "false", "true"),
		"delta.enableRowTracking":          pick(r, "false", "false", "true"),
		"delta.randomizeFilePrefixes":      "false",
		"delta.checkpointInterval":         pick(r, "2", "100"),
		"delta.dataSkippingNumIndexedCols": pick(r, "32", "1", "0"),
	}}
	if r.IntN(3) == 0 {
		c.PartitionBy = []string{"p"}
	}
	tab := l.create(oracleColumns, c)
	o := oracle{t, db}
	o.exec("CREATE OR REPLACE TABLE t (" + oracleTypes + ")")
	for step := range 1 + oracleSteps {
		var label string
		var err error
		kind := r.IntN(6)
		if step == 0 {
			kind = 5
		}
		switch kind {
		case 0:
			where := pick(r, "p = 1", "a > 0 AND id < 20", "st.x = 1", "b IS NULL", "p = 2 OR d < 0")
			label = "DELETE FROM t WHERE " + where
			_, err = tab.Delete(ctx, l.eng, table.Delete{Where: where, RewriteShare: pick(r, 0, 0.01, 2)})
		case 1:
			where, set := pick(r, "", "a = 1", "id BETWEEN 5 AND 25", "p IS NULL"), pick(r, "a = a + 1", "b = 'u'", "p = 0", "st = {'x': a, 'y': b}")
			column, value, _ := strings.Cut(set, " = ")
			label = "UPDATE t SET " + set
			if where != "" {
				label += " WHERE " + where
			}
			_, err = tab.Update(ctx, l.eng, table.Update{Where: where, Set: []table.Assignment{{Column: column, Value: value}}})
		case 5:
			source := oracleSource(r, 1+r.IntN(40), false)
			label = "INSERT INTO t BY NAME " + source
			_, err = tab.Append(ctx, l.eng, table.Append{Source: table.Query{SQL: source}})
		default:
			var m table.Merge
			m, label = oracleMerge(r)
			m.Source = l.source(r, m.Source)
			_, err = tab.Merge(ctx, l.eng, m)
		}
		if err != nil {
			t.Fatalf("step %d: %s: %v", step, label, err)
		}
		o.exec(label)
		if got, wanted := l.rows(tab, oracleRow), o.rows(); !slices.Equal(got, wanted) {
			t.Fatalf("step %d: %v\n%s\ngot\n%s\nwant\n%s", step, c, label, strings.Join(got, "\n"), strings.Join(wanted, "\n"))
		}
	}
}

// oracleSteps is how much is done to a table after its first rows came.
const oracleSteps = 3

// Random tables and random merges, updates and deletes; DuckDB's own statements say what must come of them.
func TestMergeLikeDuckDB(t *testing.T) {
	short, onMinIO := 200, 40
	if os.Getenv("LAKE_LONG") != "" {
		short, onMinIO = 1000, 100
	}
	eng := openEngine(t)
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	run := func(seed uint64, store objectstore.Store) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			l := &lake{t: t, store: store, eng: eng, path: fmt.Sprintf("silver/orders-%d", seed)}
			sequence(t, l, db, seed)
			l.fsck()
			if t.Failed() {
				t.Logf("repeat: go test ./table -run TestMergeLikeDuckDB -merge.seed %d", seed)
			}
		})
	}
	if *mergeSeed != 0 {
		run(*mergeSeed, mem.New("oracle"))
		return
	}
	folder, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	memory := mem.New("oracle")
	for seed := range uint64(short) {
		run(seed+1, []objectstore.Store{memory, folder}[seed%2])
	}
	bucket := miniotest.Start(t).Store(t)
	for seed := range uint64(onMinIO) {
		run(100_001+seed, bucket)
	}
}
