package table_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// lake is a store and an engine, and tells stories about one table: what was there, what was done, what is there now.
type lake struct {
	t     *testing.T
	store objectstore.Store
	eng   *duckdb.Engine
	path  string
}

func TestMain(m *testing.M) { os.Exit(miniotest.Main(m)) }

func openEngine(t *testing.T) *duckdb.Engine {
	t.Helper()
	eng, err := duckdb.Open(duckdb.Options{TempDir: t.TempDir(), Threads: 2, MemoryBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	return eng
}

// newLake tells stories in memory.
func newLake(t *testing.T) *lake {
	t.Helper()
	return lakeIn(t, mem.New(strings.ReplaceAll(t.Name(), "/", "-")))
}

// lakeIn tells stories in a store, and ends with fsck.
func lakeIn(t *testing.T, store objectstore.Store) *lake {
	t.Helper()
	l := &lake{t: t, store: store, eng: openEngine(t), path: "silver/orders"}
	t.Cleanup(l.fsck)
	return l
}

// onStores runs a story on every kind of store.
func onStores(t *testing.T, story func(t *testing.T, l *lake)) {
	t.Helper()
	t.Run("mem", func(t *testing.T) { story(t, newLake(t)) })
	t.Run("file", func(t *testing.T) {
		s, err := file.Open(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		story(t, lakeIn(t, s))
	})
	t.Run("minio", func(t *testing.T) { story(t, lakeIn(t, miniotest.Start(t).Store(t))) })
}

// fsck checks the table to the last row, if there is one.
func (l *lake) fsck() {
	ctx := context.WithoutCancel(l.t.Context()) // clean-up runs after the test's context is done
	report, err := table.Check(ctx, l.store, l.path, table.Fsck{Deep: true, Engine: l.eng})
	if errors.Is(err, txlog.ErrNotATable) {
		return
	}
	if err != nil {
		l.t.Errorf("fsck: %v", err)
		return
	}
	for _, f := range report.Findings {
		l.t.Errorf("fsck: %s", f)
	}
}

// create makes the table: "id bigint not null, name string".
func (l *lake) create(columns string, c table.Create) *table.Table {
	l.t.Helper()
	schema, err := txlog.ParseColumns(columns)
	if err != nil {
		l.t.Fatal(err)
	}
	c.Schema = schema
	tab, err := table.CreateTable(l.t.Context(), l.store, l.path, c)
	if err != nil {
		l.t.Fatal(err)
	}
	return tab
}

// values is a source: values("id, name", "(1, 'a')", "(2, 'b')").
func values(columns string, rows ...string) table.Query {
	if len(rows) == 0 {
		nulls := strings.TrimSuffix(strings.Repeat("NULL, ", strings.Count(columns, ",")+1), ", ")
		return table.Query{SQL: "SELECT * FROM (VALUES (" + nulls + ")) v(" + columns + ") WHERE false"}
	}
	return table.Query{SQL: "SELECT * FROM (VALUES " + strings.Join(rows, ", ") + ") v(" + columns + ")"}
}

func (l *lake) append(tab *table.Table, src table.Query) *table.Result {
	l.t.Helper()
	res, err := tab.Append(l.t.Context(), l.eng, table.Append{Source: src})
	if err != nil {
		l.t.Fatal(err)
	}
	return res
}

// rows reads a table the way a user does, one text for each row, sorted.
func (l *lake) rows(tab *table.Table, columns ...string) []string {
	l.t.Helper()
	rel, _, err := tab.Relation(l.t.Context(), table.ScanOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	return l.read(rel, columns...)
}

func (l *lake) read(rel table.Relation, columns ...string) []string {
	l.t.Helper()
	list := "*"
	if len(columns) > 0 {
		list = strings.Join(columns, ", ")
	}
	return l.query(table.Query{SQL: "SELECT " + list + " FROM r", Relations: map[string]table.Relation{"r": rel}})
}

func (l *lake) query(q table.Query) []string {
	l.t.Helper()
	rows, err := l.eng.Query(l.t.Context(), q)
	if err != nil {
		l.t.Fatal(err)
	}
	out := []string{}
	for row, err := range rows.All {
		if err != nil {
			l.t.Fatal(err)
		}
		texts := make([]string, len(row))
		for i, v := range row {
			texts[i] = fmt.Sprint(v)
			if v == nil {
				texts[i] = "∅"
			}
		}
		out = append(out, strings.Join(texts, " "))
	}
	if err := rows.Close(); err != nil {
		l.t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// want compares rows.
func want(t *testing.T, got []string, rows ...string) {
	t.Helper()
	slices.Sort(rows)
	if !slices.Equal(got, rows) {
		t.Fatalf("rows\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(rows, "\n  "))
	}
}

// objects lists what lies under the table outside its log.
func (l *lake) objects() []string {
	l.t.Helper()
	var keys []string
	for info, err := range l.store.List(l.t.Context(), l.path+"/", "") {
		if err != nil {
			l.t.Fatal(err)
		}
		if !strings.Contains(info.Key, "/_delta_log/") {
			keys = append(keys, info.Key)
		}
	}
	return keys
}
