package enginetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func (s *suite) external() {
	for _, store := range []objectstore.Store{s.local, s.remote} {
		put := func(key, body string) table.RelationFile {
			info, err := store.Put(s.Context(), key, objectstore.Bytes([]byte(body)), objectstore.CreateOnly)
			if err != nil {
				s.Fatal(err)
			}
			return table.RelationFile{Store: store, Key: key, Size: info.Size, ETag: info.ETag}
		}
		csv := put("in/a.csv", "id;name;day\n1;'x;y';03.02.2001\n2;NIL;04.02.2001\n")
		x := &table.External{Format: "csv", Options: map[string]string{
			"header": "true", "delimiter": ";", "quote": "'", "escape": "'", "null_strings": "NIL,?", "date_format": "%d.%m.%Y",
		}}
		rel := table.Relation{External: x, Files: []table.RelationFile{csv}}
		s.want("SELECT id, name, day FROM t", relations{"t": rel}, `1 | "x;y" | 2001-02-03`, `2 | NULL | 2001-02-04`)
		x.AllText = true
		s.want("SELECT * FROM t", relations{"t": rel}, `"1" | "x;y" | "03.02.2001"`, `"2" | NULL | "04.02.2001"`)
		rel.External = &table.External{Format: "csv", Options: map[string]string{"colour": "red"}}
		if _, err := s.tryQuery(table.Query{SQL: "FROM t", Relations: relations{"t": rel}}); err == nil || !strings.Contains(err.Error(), "colour") {
			s.Errorf("unknown option: %v", err)
		}
		rel.External = &table.External{Format: "xml"}
		if _, err := s.tryQuery(table.Query{SQL: "FROM t", Relations: relations{"t": rel}}); err == nil || !strings.Contains(err.Error(), "xml") {
			s.Errorf("unknown format: %v", err)
		}
		array := put("in/b.json", `[{"a": 1, "b": {"c": "x"}}, {"a": 2}]`)
		rel = table.Relation{External: &table.External{Format: "json"}, Files: []table.RelationFile{array}}
		s.want("SELECT a, b.c FROM t", relations{"t": rel}, `1 | "x"`, `2 | NULL`)
		lines := put("in/c.ndjson", "{\"a\": 1}\n{\"a\": 2}\n")
		rel = table.Relation{External: &table.External{Format: "ndjson"}, Files: []table.RelationFile{lines}}
		s.want("SELECT sum(a) FROM t", relations{"t": rel}, "3")
		w := table.Write{Schema: s.columns("a int, b string"), Store: store}
		rel = relation(w, s.write("SELECT 1 a, 'x' b", w)...)
		rel.Schema, rel.External = nil, &table.External{Format: "parquet"}
		s.want("SELECT * FROM t", relations{"t": rel}, `1 | "x"`)
	}
}

func (s *suite) names() {
	one := func(v int) table.Relation {
		w := table.Write{Schema: s.columns("v int")}
		return relation(w, s.write(fmt.Sprintf("SELECT %d v", v), w)...)
	}
	r := relations{
		"flights": one(1), "silver.flights": one(2), "lake.silver.flights": one(3), "./t@v1": one(4), "a b.c\"d": one(5),
		"flights AT (VERSION => 3)": one(6), "flights AT (TIMESTAMP => '2026-01-31')": one(7), "silver.flights AT (VERSION => 3)": one(8),
	}
	s.want("SELECT v FROM Flights", r, "1")
	s.want("SELECT silver.flights.v, flights.v FROM SILVER.flights", r, "2 | 2")
	s.want("SELECT v FROM lake.silver.flights", r, "3")
	s.want(`SELECT v FROM "./t@v1"`, r, "4")
	s.want(`SELECT v FROM 'a b.c"d'`, r, "5")
	s.want("SELECT f.v, flights.v FROM flights f AT (VERSION => 3), flights", r, "6 | 1")
	s.want("SELECT flights.v FROM flights AT (TIMESTAMP => '2026-01-31')", r, "7")
	s.want("WITH flights AS (SELECT v + 10 AS v FROM flights) SELECT v FROM flights", r, "11")
	s.want("SELECT (SELECT v FROM silver.flights AT (VERSION => 3)) - (SELECT v FROM silver.flights)", r, "6")
	s.want("SELECT v FROM flights WHERE v IN (SELECT v - 1 FROM silver.flights)", r, "1")
	_, err := s.tryQuery(table.Query{SQL: "SELECT nosuch FROM flights AT (VERSION => 3)", Relations: r})
	s.wantSQLError(err, "nosuch")
}

func (s *suite) parse(p table.Parse) *table.Statement {
	s.Helper()
	st, err := s.engine.Parse(s.Context(), p)
	if err != nil {
		s.Fatalf("parse %s: %v", p.SQL, err)
	}
	return st
}

func (s *suite) parseTables() {
	st := s.parse(table.Parse{SQL: `WITH c AS (SELECT * FROM a), d AS (SELECT * FROM c JOIN "./t@v1" USING (id))
		SELECT x.id, (SELECT max(id) FROM s.b AT (VERSION => 3)) FROM d AS x, a, s.b /* twice */ WHERE EXISTS (FROM e WHERE e.id = x.id)
		AND id IN (SELECT id FROM a y AT (TIMESTAMP => '2026-01-31'))`})
	var keys []string
	for _, t := range st.Tables {
		keys = append(keys, t.Key())
		if t.Columns != nil || t.Predicate != nil {
			s.Errorf("columns and predicate without schemas: %v", t)
		}
	}
	want := []string{"a", "./t@v1", "s.b AT (VERSION => 3)", "s.b", "e", "a AT (TIMESTAMP => '2026-01-31')"}
	if d := cmp.Diff(want, keys); d != "" {
		s.Errorf("tables (-want +got):\n%s", d)
	}
	for sql, want := range map[string][]string{
		"WITH t AS (SELECT * FROM t) SELECT * FROM t":                                                {"t"},
		"WITH RECURSIVE r AS (SELECT 1 x UNION ALL SELECT x + 1 FROM r WHERE x < 3) SELECT * FROM r": nil,
		"SELECT 1": nil,
		"FROM (VALUES (1)) v(a) JOIN T USING (a) JOIN t USING (a)": {"T"},
		"SELECT * FROM read_csv('x.csv')":                          nil,
		"SELECT * FROM 'x.csv'":                                    {"x.csv"},
	} {
		var got []string
		for _, t := range s.parse(table.Parse{SQL: sql}).Tables {
			got = append(got, t.Name)
		}
		if d := cmp.Diff(want, got); d != "" {
			s.Errorf("%s: tables (-want +got):\n%s", sql, d)
		}
	}
	got := s.parse(table.Parse{SQL: "SELECT Upper(a) || lower(b), sum(x) OVER (), a + 1, a LIKE 'x' FROM read_csv('f') WHERE b ~ 'q'"}).Functions
	for _, f := range []string{"lower", "read_csv", "sum", "upper"} {
		if !slices.Contains(got, f) {
			s.Errorf("functions %v lack %s", got, f)
		}
	}
	a := s.parse(table.Parse{SQL: "select a,b from t -- x\n where a>1"}).Canonical
	b := s.parse(table.Parse{SQL: "SELECT a, b\nFROM t\nWHERE (a > 1)"}).Canonical
	c := s.parse(table.Parse{SQL: "SELECT a, b FROM t WHERE a > 2"}).Canonical
	if a != b || a == c || a == "" {
		s.Errorf("canonical texts %q, %q, %q", a, b, c)
	}
	for _, sql := range []string{"SELEC 1", "SELECT 1; SELECT 2", "DROP TABLE t", "SELECT ?"} {
		_, err := s.engine.Parse(s.Context(), table.Parse{SQL: sql})
		s.wantSQLError(err)
	}
}

// everyType is a schema with a column of each kind.
const everyType = "id bigint, i int, n smallint, s string, d date, ts timestamp, tn timestamp_ntz, dc decimal(10,2), wide decimal(38,3), " +
	"f double, f4 float, b boolean, x binary, st struct<a:int,b:struct<c:string>>, l array<int>, m map<string,int>"

// twins checks that a query shows two columns of one name, and that a write, which finds columns by name, refuses them.
func (s *suite) twins() {
	sql := `SELECT 1 AS id, 2 AS "ID"`
	rows, err := s.engine.Query(s.Context(), table.Query{SQL: sql})
	if err != nil {
		s.Fatal(err)
	}
	if n := len(rows.Columns); n != 2 || rows.Columns[0].Name != "id" || rows.Columns[1].Name != "ID" {
		s.Errorf("columns %v", rows.Columns)
	}
	if err := rows.Close(); err != nil {
		s.Error(err)
	}
	_, err = s.tryWrite(sql, table.Write{Schema: s.columns("id int"), Store: s.remote, Prefix: "w/"})
	s.wantSQLError(err, `"id"`, `"ID"`)
}

func (s *suite) parseOutput() {
	schema := s.columns(everyType)
	schemas := one(schema)
	st := s.parse(table.Parse{SQL: "SELECT * FROM t", Schemas: schemas})
	for i, f := range st.Output {
		if want := schema.Fields[i]; f.Name != want.Name || !f.Type.Equal(want.Type) {
			s.Errorf("output %s %s, want %s %s", f.Name, f.Type, want.Name, want.Type)
		}
	}
	if len(st.Output) != len(schema.Fields) {
		s.Errorf("%d output columns", len(st.Output))
	}
	st = s.parse(table.Parse{SQL: "SELECT s, count(*) AS n, CAST(sum(i) AS bigint) AS total, avg(f) AS f FROM t WHERE d > '2020-01-01' GROUP BY s", Schemas: schemas})
	var got []string
	for _, f := range st.Output {
		got = append(got, f.Name+" "+f.Type.SQL())
	}
	if d := cmp.Diff([]string{"s string", "n bigint", "total bigint", "f double"}, got); d != "" {
		s.Errorf("output (-want +got):\n%s", d)
	}
	if d := cmp.Diff([]string{"i", "s", "d", "f"}, st.Tables[0].Columns); d != "" {
		s.Errorf("columns (-want +got):\n%s", d)
	}
	for sql, words := range map[string][]string{
		"SELECT sum(i) AS total FROM t":      {"total", "CAST(sum(i) AS bigint)"},
		"SELECT ts - ts AS gap FROM t":       {"gap", "varchar"},
		"SELECT nosuch FROM t":               {"nosuch"},
		"SELECT id FROM t WHERE s > 5 AND q": {"q"},
	} {
		_, err := s.engine.Parse(s.Context(), table.Parse{SQL: sql, Schemas: schemas})
		s.wantSQLError(err, words...)
	}
	refused := errors.New("no such table")
	_, err := s.engine.Parse(s.Context(), table.Parse{SQL: "SELECT 1 FROM t", Schemas: func(table.TableRef) (*txlog.Schema, error) { return nil, refused }})
	if !errors.Is(err, refused) {
		s.Errorf("error %v, want that of Schemas", err)
	}
}

func (s *suite) parseRowWise() {
	for sql, want := range map[string]bool{
		"SELECT a, b + 1 FROM t WHERE a > 1":                                          true,
		"SELECT a FROM t UNION ALL SELECT a FROM u":                                   true,
		"WITH c AS (SELECT a FROM t) SELECT * FROM c WHERE a > 1":                     true,
		"SELECT a FROM t ORDER BY a":                                                  true,
		"SELECT unnest(l) FROM t":                                                     true,
		"SELECT a FROM t JOIN u USING (a)":                                            true,
		"SELECT a FROM t GROUP BY a":                                                  false,
		"SELECT a FROM t GROUP BY ALL":                                                false,
		"SELECT max(a) FROM t":                                                        false,
		"SELECT count(*) FROM t":                                                      false,
		"SELECT DISTINCT a FROM t":                                                    false,
		"SELECT DISTINCT ON (a) a, b FROM t":                                          false,
		"SELECT a FROM t LIMIT 3":                                                     false,
		"SELECT a, row_number() OVER () FROM t":                                       false,
		"SELECT a FROM t UNION SELECT a FROM u":                                       false,
		"SELECT a FROM t EXCEPT ALL SELECT a FROM u":                                  false,
		"SELECT a FROM t WHERE a = (SELECT max(a) FROM t)":                            false,
		"WITH c AS (SELECT a FROM t LIMIT 1) SELECT * FROM c":                         false,
		"SELECT a FROM t QUALIFY rank() OVER (ORDER BY a) = 1":                        false,
		"SELECT a FROM t HAVING count(*) > 1":                                         false,
		"SELECT a FROM t TABLESAMPLE 10%":                                             false,
		"SELECT a FROM t USING SAMPLE 10 ROWS":                                        false,
		"SELECT string_agg(a) FROM t":                                                 false,
		"SELECT (SELECT count(*) FROM u WHERE u.a = t.a) FROM t":                      false,
		"SELECT * FROM t PIVOT (sum(a) FOR b IN (1, 2))":                              false,
		"SELECT * FROM t POSITIONAL JOIN u":                                           false,
		"SELECT list_sum(l), len(s), coalesce(a, 1), CASE a WHEN 1 THEN 2 END FROM t": true,
	} {
		if got := s.parse(table.Parse{SQL: sql}).RowWise; got != want {
			s.Errorf("%s: row by row %v, want %v", sql, got, want)
		}
	}
}

// one is a lake with one schema for every table.
func one(schema *txlog.Schema) func(table.TableRef) (*txlog.Schema, error) {
	return func(table.TableRef) (*txlog.Schema, error) { return schema, nil }
}

// parsePredicates checks that the predicates that matter for skipping files are found.
func (s *suite) parsePredicates() {
	schema := s.columns(everyType)
	schemas := one(schema)
	found := func(sql string) bool {
		s.Helper()
		st := s.parse(table.Parse{SQL: sql, Schemas: schemas})
		return st.Tables[0].Predicate != nil
	}
	for _, where := range []string{
		"id = 3", "3 < id", "id BETWEEN 3 AND 5", "id IN (1, 5, 9)", "s LIKE 'ab%'", "starts_with(s, 'ab')", "d >= '2020-01-01'",
		"ts > '2020-01-01 00:00:00+00'", "tn < '2020-01-01'", "dc = 1.5", "wide > 12345678901234567890.5", "b", "NOT b", "s IS NULL",
		"s IS NOT NULL", "st.a = 3", "st.b.c = 'x'", "id = 1 OR id = 7", "id = 1 OR s = 'x'", "f > 1.5", "n = 3", "s > 'x' AND length(s) > 3",
		"ts > now() - INTERVAL 1 DAY", "id IS NOT DISTINCT FROM 3",
	} {
		for _, sql := range []string{
			"SELECT i FROM t WHERE " + where, "SELECT i FROM (SELECT * FROM t) WHERE " + where,
			"WITH c AS (SELECT * FROM t) SELECT i FROM c WHERE " + where, "SELECT max(i) FROM t AT (VERSION => 3) WHERE " + where + " GROUP BY n",
		} {
			if !found(sql) {
				s.Errorf("%s: no predicate", sql)
			}
		}
	}
	for _, where := range []string{"length(s) = 3", "id + 1 = 3", "random() > 0.5", "id = 1 OR random() > 0.5 AND FALSE OR length(s) > 1"} {
		if p := s.parse(table.Parse{SQL: "SELECT i FROM t WHERE " + where, Schemas: schemas}).Tables[0].Predicate; p != nil && where == "length(s) = 3" {
			s.Errorf("%s: predicate %s", where, p)
		}
	}
	// one table in two places
	if found("SELECT a.i FROM t a, t b WHERE a.id = 3") {
		s.Error("a condition of one scan was taken for both")
	}
	if !found("SELECT a.i FROM t a, t b WHERE a.id = 3 AND b.id = 4") {
		s.Error("no predicate although both scans have one")
	}
}

// skipping asks random questions of a table with all its files and with those that Predicate leaves.
func (s *suite) skipping() {
	seed := uint64(1)
	if text := os.Getenv("LAKE_TEST_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			s.Fatal(err)
		}
		seed = n
	}
	s.Logf("LAKE_TEST_SEED=%d", seed)
	random := rand.New(rand.NewPCG(seed, seed))
	schema := s.columns("id int, p int, s string, d date, ts timestamp, tn timestamp_ntz, dc decimal(10,2), f double, f4 float, b boolean, st struct<a:int,b:string>, n bigint")
	w := table.Write{Schema: schema, PartitionBy: []string{"p"}}
	var rel table.Relation
	stats := map[string]string{}
	for i := range 8 {
		part := s.write(fmt.Sprintf(`SELECT (%[1]d * 10 + i)::INT id, %[1]d %% 4 p, chr((97 + (%[1]d * 3 + i) %% 26)::INT) || repeat('x', (i * 7)::INT) s,
			DATE '2020-01-01' + (%[1]d * 5 + i)::INT d, TIMESTAMPTZ '2020-01-01 00:00:00.0009+00' + INTERVAL (%[1]d * 5 + i) HOUR ts,
			TIMESTAMP '2020-01-01 00:00:00.0009' + INTERVAL (%[1]d * 5 + i) HOUR tn, (%[1]d * 10 + i) / 4 dc,
			CASE WHEN %[1]d = 3 AND i = 2 THEN 'nan'::DOUBLE ELSE (%[1]d - 4) * i END f, (%[1]d * 10 + i) / 10 f4, %[1]d %% 2 = 0 b,
			CASE WHEN i > 2 THEN {'a': %[1]d + i, 'b': 'q' || i} END st, CASE WHEN %[1]d = 5 OR i = 1 THEN NULL ELSE i END n
			FROM range(10) r(i)`, i), w)
		r := relation(w, part...)
		rel.Schema, rel.PartitionColumns, rel.Files = r.Schema, r.PartitionColumns, append(rel.Files, r.Files...)
		for _, f := range part {
			stats[f.Key] = f.Stats
		}
	}
	skipped := 0
	for range 250 {
		where := condition(random, 2)
		sql := "SELECT id FROM t WHERE " + where
		zone := []string{"", "Asia/Kolkata"}[random.IntN(2)]
		st := s.parse(table.Parse{SQL: sql, TimeZone: zone, Schemas: one(schema)})
		few := rel
		few.Files = nil
		for _, f := range rel.Files {
			parsed, err := txlog.ParseStats(stats[f.Key])
			if err != nil {
				s.Fatal(err)
			}
			if p := st.Tables[0].Predicate; p == nil || txlog.MayMatch(p, schema, txlog.MappingNone, w.PartitionBy, f.Partition, parsed, false) {
				few.Files = append(few.Files, f)
			} else {
				skipped++
			}
		}
		all, err := s.tryQuery(table.Query{SQL: sql + " ORDER BY id", Relations: relations{"t": rel}, TimeZone: zone})
		if err != nil {
			s.Fatalf("%s: %v", sql, err)
		}
		got, err := s.tryQuery(table.Query{SQL: sql + " ORDER BY id", Relations: relations{"t": few}, TimeZone: zone})
		if err != nil {
			s.Fatalf("%s: %v", sql, err)
		}
		if d := cmp.Diff(all, got); d != "" {
			s.Errorf("seed %d: %s: predicate %s loses rows (-all +skipping):\n%s", seed, sql, st.Tables[0].Predicate, d)
		}
	}
	if skipped < 200 {
		s.Errorf("only %d files were skipped", skipped)
	}
}

// condition makes a random WHERE clause.
func condition(r *rand.Rand, depth int) string {
	if depth > 0 && r.IntN(2) == 0 {
		a, b := condition(r, depth-1), condition(r, depth-1)
		return []string{"(" + a + " AND " + b + ")", "(" + a + " OR " + b + ")", "NOT (" + a + ")"}[r.IntN(3)]
	}
	op := []string{"=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"}[r.IntN(8)]
	n := r.IntN(90) - 5
	switch r.IntN(14) {
	case 0:
		return fmt.Sprintf("id %s %d", op, n)
	case 1:
		return fmt.Sprintf("p %s %d", op, n%5)
	case 2:
		return fmt.Sprintf("s %s '%c'", op, 'a'+rune(r.IntN(26)))
	case 3:
		return fmt.Sprintf("s LIKE '%c%s%%'", 'a'+rune(r.IntN(26)), strings.Repeat("x", r.IntN(40)))
	case 4:
		return fmt.Sprintf("d %s DATE '2020-01-01' + %d", op, n)
	case 5:
		return fmt.Sprintf("ts %s '2020-01-01 0%d:00:00.000%d'", op, r.IntN(10), r.IntN(10))
	case 6:
		return fmt.Sprintf("tn %s '2020-01-01 0%d:00:00.000%d'", op, r.IntN(10), r.IntN(10))
	case 7:
		return fmt.Sprintf("dc %s %d.25", op, n/4)
	case 8:
		return fmt.Sprintf("f %s %d", op, r.IntN(60)-20)
	case 9:
		return fmt.Sprintf("f4 %s %d.1", op, r.IntN(9))
	case 10:
		return []string{"b", "NOT b", "b IS NULL", "st IS NULL", "n IS NULL", "n IS NOT NULL", "st.a IS NULL"}[r.IntN(7)]
	case 11:
		return fmt.Sprintf("st.a %s %d", op, n%12)
	case 12:
		return fmt.Sprintf("id IN (%d, %d, %d)", n, n*2, 91-n)
	default:
		return fmt.Sprintf("CAST(id AS VARCHAR) %s '%d'", op, n)
	}
}
