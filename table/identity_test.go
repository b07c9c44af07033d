package table_test

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func identity(id txlog.Identity) func(txlog.Field) txlog.Field {
	return func(f txlog.Field) txlog.Field { return f.WithIdentity(&id) }
}

// mark is the mark of a column in the newest metaData.
func mark(t *testing.T, tab *table.Table, column string) string {
	t.Helper()
	schema, err := tab.Schema()
	if err != nil {
		t.Fatal(err)
	}
	f, err := schema.Lookup(column)
	if err != nil {
		t.Fatal(err)
	}
	id, err := f.Identity()
	if err != nil || id == nil {
		t.Fatalf("identity %v, %v", id, err)
	}
	if id.HighWaterMark == nil {
		return "none"
	}
	return fmt.Sprint(*id.HighWaterMark)
}

// Numbers go on where the mark stands, in steps, and the commit that brings them moves it.
func TestIdentityColumns(t *testing.T) {
	l := newLake(t)
	tab := l.ruled("name string, id bigint not null, down bigint", table.Create{}, map[string]func(txlog.Field) txlog.Field{
		"id": identity(txlog.Identity{Start: 10, Step: 5}), "down": identity(txlog.Identity{Start: -1, Step: -2}),
	})
	ctx := t.Context()
	if p := tab.Snapshot().Protocol(); !p.Supports(txlog.FeatureIdentityColumns) || mark(t, tab, "id") != "none" {
		t.Errorf("protocol %+v", p)
	}
	l.append(tab, values("name", "('a')", "('b')"))
	want(t, l.rows(tab, "id", "down"), "10 -1", "15 -3")
	if mark(t, tab, "id") != "15" || mark(t, tab, "down") != "-3" {
		t.Errorf("marks %s and %s", mark(t, tab, "id"), mark(t, tab, "down"))
	}
	version := tab.Snapshot().Version()
	l.append(tab, values("name"))
	if tab.Snapshot().Version() != version {
		t.Error("a source without rows moved a mark")
	}
	if _, err := tab.Merge(ctx, l.eng, table.Merge{Source: values("name, id", "('a', 99)", "('c', 99)", "('d', 99)"), On: "t.name = s.name", Clauses: []table.Clause{
		{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "name", Value: "upper(t.name)"}}},
		{When: table.NotMatched, Do: table.DoInsert, Set: []table.Assignment{{Column: "name", Value: "s.name"}}},
	}}); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab, "regexp_replace(name, '[cd]', 'cd') AS name", "id", "down"), "A 10 -1", "b 15 -3", "cd 20 -5", "cd 25 -7")
	if mark(t, tab, "id") != "25" || mark(t, tab, "down") != "-7" {
		t.Errorf("marks %s and %s", mark(t, tab, "id"), mark(t, tab, "down"))
	}
	// Moving rows, and rows that leave, number nothing.
	if _, err := tab.Delete(ctx, l.eng, table.Delete{Where: "id = 25", RewriteShare: 0.01}); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Optimize(ctx, l.eng, table.Optimize{}); err != nil {
		t.Fatal(err)
	}
	// Neither an overwrite nor a restore gives a number out again.
	first := txlog.Version(1)
	if _, err := tab.Restore(ctx, table.Restore{Version: &first}); err != nil {
		t.Fatal(err)
	}
	if mark(t, tab, "id") != "25" || mark(t, tab, "down") != "-7" {
		t.Errorf("marks %s and %s after a restore", mark(t, tab, "id"), mark(t, tab, "down"))
	}
	if _, err := tab.Overwrite(ctx, l.eng, table.Overwrite{Source: values("name", "('z')")}); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab, "name", "id", "down"), "z 30 -9")
	for what, write := range map[string]func() error{
		"append": func() error {
			_, err := tab.Append(ctx, l.eng, table.Append{Source: values("name, id", "('q', 1)")})
			return err
		},
		"update": func() error {
			_, err := tab.Merge(ctx, l.eng, table.Merge{Source: values("name", "('z')"), On: "t.name = s.name", Clauses: []table.Clause{
				{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "id", Value: "1"}}},
			}})
			return err
		},
		"insert": func() error { _, err := tab.Merge(ctx, l.eng, upsert(values("name, id", "('q', 30)"))); return err },
	} {
		if err := write(); !errors.Is(err, table.ErrSchemaMismatch) || !strings.Contains(fmt.Sprint(err), "numbered by the table") {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A merge by the number itself keeps it.
	if _, err := tab.Merge(ctx, l.eng, table.Merge{Source: values("name, id, down", "('y', 30, -9)"), On: "t.id = s.id AND t.down = s.down", Clauses: []table.Clause{
		{When: table.Matched, Do: table.DoUpdate, Star: true},
	}}); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab, "name", "id", "down"), "y 30 -9")
}

// Rows may bring numbers only where the column says so; those do not move the mark.
func TestIdentityByDefault(t *testing.T) {
	l := newLake(t)
	tab := l.ruled("id bigint, name string", table.Create{}, map[string]func(txlog.Field) txlog.Field{
		"id": identity(txlog.Identity{Start: 1, Step: 1, AllowExplicitInsert: true}),
	})
	l.append(tab, values("id, name", "(7, 'own')"))
	if mark(t, tab, "id") != "none" {
		t.Errorf("mark %s", mark(t, tab, "id"))
	}
	l.append(tab, values("name", "('first')"))
	if _, err := tab.Merge(t.Context(), l.eng, upsert(values("id, name", "(1, 'renamed')", "(8, 'own too')"))); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab), "1 renamed", "7 own", "8 own too")
	if mark(t, tab, "id") != "1" {
		t.Errorf("mark %s", mark(t, tab, "id"))
	}
}

// The end of the numbers is an error, not a number that begins again.
func TestIdentityRunsOut(t *testing.T) {
	l := newLake(t)
	last := int64(math.MaxInt64 - 2)
	tab := l.ruled("id bigint, name string", table.Create{}, map[string]func(txlog.Field) txlog.Field{
		"id": identity(txlog.Identity{Start: 1, Step: 2, HighWaterMark: &last}),
	})
	l.append(tab, values("name", "('last')"))
	want(t, l.rows(tab), fmt.Sprintf("%d last", int64(math.MaxInt64)))
	l.breaks(tab, "identity", 0, []string{`"id"`, "no number is left"}, func() error {
		_, err := tab.Append(t.Context(), l.eng, table.Append{Source: values("name", "('more')")})
		return err
	})
}

// Numbers follow from start and step, whatever the mark is.
func TestIdentityMarks(t *testing.T) {
	for _, c := range []struct{ start, step, mark, next int64 }{
		{1, 1, 5, 6}, {1, 10, 5, 11}, {1, 10, 11, 21}, {1, 10, 0, 1}, {1, 10, -100, 1}, {-1, -2, -3, -5}, {-1, -2, -4, -5}, {-1, -2, 3, -1}, {5, -5, 5, 0},
	} {
		l := newLake(t)
		tab := l.ruled("id bigint, name string", table.Create{}, map[string]func(txlog.Field) txlog.Field{
			"id": identity(txlog.Identity{Start: c.start, Step: c.step, HighWaterMark: &c.mark}),
		})
		l.append(tab, values("name", "('x')"))
		if got := l.rows(tab, "id"); got[0] != fmt.Sprint(c.next) || mark(t, tab, "id") != fmt.Sprint(c.next) {
			t.Errorf("%+v: %v, mark %s", c, got, mark(t, tab, "id"))
		}
	}
}

// Writers at the same time and statements with many files give out each number once.
func TestIdentityOfManyWriters(t *testing.T) {
	l := newLake(t)
	l.ruled("id bigint, n bigint, part string", table.Create{PartitionBy: []string{"part"}, Properties: map[string]string{"delta.targetFileSize": "100kb"}}, map[string]func(txlog.Field) txlog.Field{
		"id": identity(txlog.Identity{Start: 0, Step: 3}),
	})
	const writers, rows = 4, 30_000
	var group sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		tab, err := table.Open(t.Context(), l.store, l.path)
		if err != nil {
			t.Fatal(err)
		}
		group.Go(func() {
			_, errs[w] = tab.Append(t.Context(), l.eng, table.Append{Source: table.Query{
				SQL: fmt.Sprintf("SELECT i AS n, CAST(i %% 3 AS VARCHAR) AS part FROM range(%d) r(i)", rows),
			}})
		})
	}
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	tab, err := table.Open(t.Context(), l.store, l.path)
	if err != nil {
		t.Fatal(err)
	}
	if got := l.rows(tab, "count(*)", "count(DISTINCT id)", "min(id)", "max(id)", "count(DISTINCT id % 3)"); !slices.Equal(got, []string{
		fmt.Sprintf("%d %d 0 %d 1", writers*rows, writers*rows, 3*(writers*rows-1)),
	}) {
		t.Errorf("rows %v", got)
	}
	if mark(t, tab, "id") != fmt.Sprint(3*(writers*rows-1)) || tab.Snapshot().Files().Len() < 12 {
		t.Errorf("mark %s, %d files", mark(t, tab, "id"), tab.Snapshot().Files().Len())
	}
}
