package table_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func set(column, value string) table.Assignment {
	return table.Assignment{Column: column, Value: value}
}

func TestUpdate(t *testing.T) {
	for name, properties := range map[string]map[string]string{
		"vectors": nil,
		"copies":  {"delta.enableDeletionVectors": "false"},
		"by name": {"delta.columnMapping.mode": "name"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			tab := parted(l, table.Create{Properties: properties})
			do := func(u table.Update) *table.Result {
				t.Helper()
				res, err := tab.Update(t.Context(), l.eng, u)
				if err != nil {
					t.Fatal(err)
				}
				return res
			}
			res := do(table.Update{Set: []table.Assignment{set("V", "v || o.id")}, Alias: "o", Where: "o.id IN (1, 3, 4)"})
			if res.RowsUpdated != 3 || res.FilesMatched != 2 {
				t.Fatalf("%+v", res)
			}
			if withVectors := name != "copies"; withVectors && res.DeletionVectors != 1 || !withVectors && res.RowsCopied != 1 {
				t.Fatalf("%+v", res)
			}
			want(t, l.rows(tab), "1 a1 x", "2 b x", "3 c3 y", "4 d4 y", "5 e ∅", "6 f ∅")

			// A row moves to another partition; one that is like that already stays, and so does its file.
			res = do(table.Update{Set: []table.Assignment{set("p", "'y'"), set("v", "'q'")}, Where: "p = 'x' AND id = 2"})
			if res.RowsUpdated != 1 || res.FilesSkippedPartition == 0 {
				t.Fatalf("%+v", res)
			}
			res = do(table.Update{Set: []table.Assignment{set("v", "'q'")}, Where: "id <= 2"})
			if res.RowsUpdated != 1 {
				t.Fatalf("%+v", res)
			}
			res = do(table.Update{Set: []table.Assignment{set("v", "'q'")}, Where: "id <= 2"})
			if res.RowsUpdated != 0 || res.VersionAfter != res.VersionBefore || res.BytesWritten != 0 {
				t.Fatalf("nothing to change: %+v", res)
			}
			res = do(table.Update{Set: []table.Assignment{set("v", "'q'")}, Where: "id <= 2", RewriteEqual: true})
			if res.RowsUpdated != 2 || res.VersionAfter == res.VersionBefore {
				t.Fatalf("rewritten: %+v", res)
			}
			want(t, l.rows(tab), "1 q x", "2 q y", "3 c3 y", "4 d4 y", "5 e ∅", "6 f ∅")

			// Every row, and one relation more.
			res = do(table.Update{
				Set:       []table.Assignment{set("v", "(SELECT max(n) FROM names WHERE names.id = t.id)")},
				Where:     "t.id IN (SELECT id FROM names)",
				Relations: map[string]table.Relation{"names": mustRelation(t, names(l))},
			})
			if res.RowsUpdated != 2 {
				t.Fatalf("%+v", res)
			}
			want(t, l.rows(tab), "1 q x", "2 two y", "3 c3 y", "4 four y", "5 e ∅", "6 f ∅")
			res = do(table.Update{Set: []table.Assignment{set("v", "NULL")}})
			if res.RowsUpdated != 6 {
				t.Fatalf("%+v", res)
			}
			want(t, l.rows(tab), "1 ∅ x", "2 ∅ y", "3 ∅ y", "4 ∅ y", "5 ∅ ∅", "6 ∅ ∅")

			gone, err := tab.Delete(t.Context(), l.eng, table.Delete{
				Where: "o.id IN (SELECT id FROM names)", Alias: "o", Relations: map[string]table.Relation{"names": mustRelation(t, names(l))},
			})
			if err != nil || gone.RowsDeleted != 2 {
				t.Fatalf("%+v %v", gone, err)
			}
			want(t, l.rows(tab), "1 ∅ x", "3 ∅ y", "5 ∅ ∅", "6 ∅ ∅")
		})
	}
}

// names is another table, opened or made.
func names(l *lake) *table.Table {
	l.t.Helper()
	other := &lake{t: l.t, store: l.store, eng: l.eng, path: "silver/names"}
	if tab, err := table.Open(l.t.Context(), l.store, other.path); err == nil {
		return tab
	}
	tab := other.create("id bigint, n string", table.Create{})
	other.append(tab, values("id, n", "(2, 'two')", "(4, 'four')"))
	return tab
}

func mustRelation(t *testing.T, tab *table.Table) table.Relation {
	t.Helper()
	rel, _, err := tab.Relation(t.Context(), table.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return rel
}

func TestUpdateKeepsTheRules(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint not null generated always as identity, n int not null, twice int generated always as (n * 2), note string default 'x'",
		table.Create{Constraints: []table.AddConstraint{{Name: "small", Expression: "n < 100"}}})
	l.append(tab, values("n", "(1)", "(2)", "(3)"))
	before := len(l.objects())
	for name, u := range map[string]struct {
		set   table.Assignment
		where string
		want  error
	}{
		"constraint":     {set("n", "n * 50"), "", table.ErrConstraint},
		"not null":       {set("n", "NULL"), "n = 2", table.ErrConstraint},
		"generated":      {set("twice", "7"), "n = 2", table.ErrConstraint},
		"identity":       {set("id", "7"), "n = 2", table.ErrSchemaMismatch},
		"unknown column": {set("m", "7"), "n = 2", table.ErrInvalidRequest},
		"no value":       {set("n", " "), "n = 2", table.ErrInvalidRequest},
		"does not fit":   {set("n", "1e12"), "n = 2", table.ErrValue},
	} {
		_, err := tab.Update(t.Context(), l.eng, table.Update{Set: []table.Assignment{u.set}, Where: u.where})
		if !errors.Is(err, u.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := tab.Update(t.Context(), l.eng, table.Update{Set: []table.Assignment{set("n", "1"), set("N", "2")}}); !errors.Is(err, table.ErrInvalidRequest) {
		t.Errorf("twice: %v", err)
	}
	if _, err := tab.Update(t.Context(), l.eng, table.Update{Where: "n = 1"}); !errors.Is(err, table.ErrInvalidRequest) {
		t.Errorf("nothing set: %v", err)
	}
	var wrong *table.SQLError
	if _, err := tab.Update(t.Context(), l.eng, table.Update{Set: []table.Assignment{set("n", "nonsense")}}); !errors.As(err, &wrong) {
		t.Errorf("unknown name in a value: %v", err)
	}
	if n := len(l.objects()); n != before {
		t.Fatalf("%d objects, %d before", n, before)
	}
	// A value that only rows outside the condition would break is none of its business.
	res, err := tab.Update(t.Context(), l.eng, table.Update{Set: []table.Assignment{set("n", "CASE WHEN n = 3 THEN error('no') ELSE '9' END")}, Where: "n <= 2"})
	if err != nil || res.RowsUpdated != 2 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab, "n", "twice", "note"), "3 6 x", "9 18 x", "9 18 x")
}

func TestUpdateOfAnAppendOnlyTable(t *testing.T) {
	l := newLake(t)
	tab := parted(l, table.Create{Properties: map[string]string{"delta.appendOnly": "true"}})
	_, err := tab.Update(t.Context(), l.eng, table.Update{Set: []table.Assignment{set("v", "'q'")}, Where: "id = 1"})
	if !errors.Is(err, table.ErrConstraint) || !strings.Contains(err.Error(), "delta.appendOnly") {
		t.Fatal(err)
	}
}

// Two updates of one row are both applied, whoever loses the race; appends outside the condition disturb nobody.
func TestConcurrentUpdatesAreAllApplied(t *testing.T) {
	const writers, steps = 3, 3
	l := newLake(t)
	tab := l.create("id bigint, n bigint", table.Create{})
	l.append(tab, values("id, n", "(1, 0)", "(2, 0)"))
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			mine, err := table.Open(t.Context(), l.store, l.path)
			if err != nil {
				t.Error(err)
				return
			}
			for i := range steps {
				if _, err := mine.Update(t.Context(), l.eng, table.Update{Set: []table.Assignment{set("n", "n + 1")}, Where: "id = 1"}); err != nil {
					t.Error(err)
				}
				if _, err := mine.Append(t.Context(), l.eng, table.Append{Source: values("id, n", fmt.Sprintf("(%d, 0)", 10+w*steps+i))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if err := tab.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := l.query(table.Query{SQL: "SELECT n FROM r WHERE id = 1", Relations: map[string]table.Relation{"r": mustRelation(t, tab)}})
	want(t, got, fmt.Sprint(writers*steps))
	if n := len(l.rows(tab)); n != 2+writers*steps {
		t.Fatalf("%d rows", n)
	}
}

// An update read what it read: a writer who added a row to it in between makes it plan again, one who added elsewhere
// does not.
func TestUpdateConflicts(t *testing.T) {
	for name, c := range map[string]struct {
		row      string
		conflict bool
	}{
		"same partition":    {"(7, 'g', 'x')", true},
		"another partition": {"(7, 'g', 'y')", false},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			tab := parted(l, table.Create{})
			change, err := tab.PrepareUpdate(t.Context(), l.eng, table.Update{Set: []table.Assignment{set("v", "'q'")}, Where: "p = 'x'"})
			if err != nil {
				t.Fatal(err)
			}
			other, err := table.Open(t.Context(), l.store, l.path)
			if err != nil {
				t.Fatal(err)
			}
			// Reads the table, so it is no blind append.
			if _, err := other.Append(t.Context(), l.eng, table.Append{Source: values("id, v, p", c.row), DeleteWhere: "id = 77"}); err != nil {
				t.Fatal(err)
			}
			_, err = change.Commit(t.Context())
			if got := errors.Is(err, txlog.ErrConflict); got != c.conflict || !c.conflict && err != nil {
				t.Fatalf("conflict %v: %v", got, err)
			}
			if err := change.Discard(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
