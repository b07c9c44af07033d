package table_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// ids are the rows of a table: a column, the id of the row, the version that changed it last.
func (l *lake) ids(tab *table.Table, column string) []string {
	l.t.Helper()
	rel, _, err := tab.Relation(l.t.Context(), table.ScanOptions{RowIDs: true})
	if err != nil {
		l.t.Fatal(err)
	}
	return l.read(rel, column, table.RowIDColumn, table.RowVersionColumn)
}

// preserved tells what the newest commit says of row ids.
func (l *lake) preserved(tab *table.Table) string {
	l.t.Helper()
	c, err := tab.Log().ReadCommit(l.t.Context(), tab.Snapshot().Version())
	if err != nil {
		l.t.Fatal(err)
	}
	return c.Info.Tags["delta.rowTracking.preserved"]
}

func rowMark(tab *table.Table) string {
	d, _ := tab.Snapshot().Domain("delta.rowTracking")
	return d.Configuration
}

// trackedTables are the ways to keep a table whose rows have ids.
func trackedTables() map[string]table.Create {
	tracked := func(more ...string) map[string]string {
		p := map[string]string{"delta.enableRowTracking": "true"}
		for i := 0; i < len(more); i += 2 {
			p[more[i]] = more[i+1]
		}
		return p
	}
	return map[string]table.Create{
		"vectors": {Properties: tracked()}, "copies": {Properties: tracked("delta.enableDeletionVectors", "false")},
		"by name": {Properties: tracked("delta.enableDeletionVectors", "false", "delta.columnMapping.mode", "name")},
		"by id":   {Properties: tracked("delta.enableDeletionVectors", "false", "delta.columnMapping.mode", "id")},
		"parts":   {Properties: tracked("delta.enableDeletionVectors", "false"), PartitionBy: []string{"p"}},
		"feed":    {Properties: tracked("delta.enableDeletionVectors", "false", "delta.enableChangeDataFeed", "true")},
	}
}

// TestRowIDsStay: a row keeps its id through every operation, and its version until its values change.
func TestRowIDsStay(t *testing.T) {
	for name, create := range trackedTables() {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			tab := l.create("id int, v string, p string", create)
			step := func(what string, rows ...string) {
				t.Helper()
				if got := l.ids(tab, "id || v"); !slices.Equal(got, rows) {
					t.Fatalf("%s:\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(rows, "\n  "))
				}
				if got := l.preserved(tab); got != "true" {
					t.Fatalf("%s: preserved is %q", what, got)
				}
			}
			l.append(tab, table.Query{SQL: "SELECT i::INT AS id, 'a' AS v, 'x' AS p FROM range(1, 7) r(i) ORDER BY i"})
			l.append(tab, values("id, v, p", "(7, 'a', 'x')"))
			step("append", "1a 0 1", "2a 1 1", "3a 2 1", "4a 3 1", "5a 4 1", "6a 5 1", "7a 6 2")
			if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "id = 2", RewriteShare: 0.9}); err != nil {
				t.Fatal(err)
			}
			step("delete", "1a 0 1", "3a 2 1", "4a 3 1", "5a 4 1", "6a 5 1", "7a 6 2")
			next := func() int { // the first id that is free
				var mark int
				if _, err := fmt.Sscanf(rowMark(tab), `{"rowIdHighWaterMark":%d}`, &mark); err != nil {
					t.Fatal(rowMark(tab))
				}
				return mark + 1
			}
			free := next()
			merge := table.Merge{
				Source: values("id, v, p", "(3, 'b', 'x')", "(8, 'b', 'x')"), On: "t.id = s.id", RewriteShare: 0.01,
				Clauses: []table.Clause{{Star: true}, {When: table.NotMatched, Do: table.DoInsert, Star: true}},
			}
			if _, err := tab.Merge(t.Context(), l.eng, merge); err != nil {
				t.Fatal(err)
			}
			got := l.ids(tab, "id || v")
			var fresh string
			for _, r := range got {
				if strings.HasPrefix(r, "8b ") {
					fresh = r
				}
			}
			var id, version int
			if _, err := fmt.Sscanf(fresh, "8b %d %d", &id, &version); err != nil || id < free || version != 4 {
				t.Fatalf("a new row is %q, ids are free from %d on", fresh, free)
			}
			rows := []string{"1a 0 1", "3b 2 4", "4a 3 1", "5a 4 1", "6a 5 1", "7a 6 2", fresh}
			step("merge", rows...)
			if _, err := tab.Update(t.Context(), l.eng, table.Update{Set: []table.Assignment{set("v", "'c'")}, Where: "id = 5"}); err != nil {
				t.Fatal(err)
			}
			rows[3] = "5c 4 5"
			step("update", rows...)
			if _, err := tab.Optimize(t.Context(), l.eng, table.Optimize{}); err != nil {
				t.Fatal(err)
			}
			step("optimize", rows...)
			if _, err := tab.Optimize(t.Context(), l.eng, table.Optimize{ZOrderBy: []string{"v", "id"}}); err != nil {
				t.Fatal(err)
			}
			step("z-order", rows...)
			if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "v = 'b'", RewriteShare: 0.01}); err != nil {
				t.Fatal(err)
			}
			rows = []string{"1a 0 1", "4a 3 1", "5c 4 5", "6a 5 1", "7a 6 2"}
			step("delete by copying", rows...)
			v := txlog.Version(2)
			if _, err := tab.Restore(t.Context(), table.Restore{Version: &v}); err != nil {
				t.Fatal(err)
			}
			step("restore", "1a 0 1", "2a 1 1", "3a 2 1", "4a 3 1", "5a 4 1", "6a 5 1", "7a 6 2")
			mark := next()
			l.append(tab, values("id, v, p", "(9, 'c', 'x')"))
			last := l.ids(tab, "id || v")
			if want := fmt.Sprintf("9c %d %d", mark, tab.Snapshot().Version()); last[len(last)-1] != want {
				t.Fatalf("after a restore: %s, want %s", last[len(last)-1], want)
			}
			schema, err := tab.Snapshot().Schema()
			if err != nil || !slices.Equal(schema.Names(), []string{"id", "v", "p"}) {
				t.Fatalf("columns %v, %v", schema.Names(), err)
			}
		})
	}
}

// TestRowTrackingOfOldTables: rows that were there before get ids in the commit that asks for them.
func TestRowTrackingOfOldTables(t *testing.T) {
	l := newLake(t)
	tab := l.create("id int, v string", table.Create{})
	l.append(tab, table.Query{SQL: "SELECT i::INT AS id, 'a' AS v FROM range(1, 4) r(i) ORDER BY i"})
	l.append(tab, values("id, v", "(4, 'a')"))
	if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "id = 1", RewriteShare: 0.9}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := tab.Relation(t.Context(), table.ScanOptions{RowIDs: true}); !errors.Is(err, table.ErrInvalidRequest) {
		t.Fatalf("row ids of a table without: %v", err)
	}
	on := table.Alter{SetProperties: map[string]string{"delta.enableRowTracking": "true"}}
	late, err := tab.PrepareAlter(t.Context(), l.eng, on)
	if err != nil {
		t.Fatal(err)
	}
	other, err := table.Open(t.Context(), l.store, l.path)
	if err != nil {
		t.Fatal(err)
	}
	l.append(other, values("id, v", "(5, 'a')"))
	if _, err := late.Commit(t.Context()); !errors.Is(err, txlog.ErrConflict) {
		t.Fatalf("a file that came meanwhile would have no ids: %v", err)
	}
	if err := tab.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	res := l.alter(tab, on)
	if !slices.Equal(res.FeaturesAdded, []string{"domainMetadata", "rowTracking"}) {
		t.Fatalf("%+v", res)
	}
	rows := l.ids(tab, "id")
	seen := map[string]bool{}
	for _, r := range rows {
		f := strings.Fields(r)
		if f[1] == "∅" || f[2] != "5" || seen[f[1]] {
			t.Fatalf("rows %v", rows)
		}
		seen[f[1]] = true
	}
	if len(rows) != 4 || rowMark(tab) != `{"rowIdHighWaterMark":4}` {
		t.Fatalf("%v, %s", rows, rowMark(tab))
	}
	if _, err := tab.Optimize(t.Context(), l.eng, table.Optimize{}); err != nil {
		t.Fatal(err)
	}
	want(t, l.ids(tab, "id"), rows...)
	if again := l.alter(tab, on); len(again.Changes) != 0 {
		t.Fatalf("%+v", again)
	}
	// Off and on again: the columns keep their names, and what came meanwhile has ids, too.
	name, _ := tab.Snapshot().Property(txlog.RowIDColumnKey)
	l.alter(tab, table.Alter{SetProperties: map[string]string{"delta.enableRowTracking": "false"}})
	l.append(tab, values("id, v", "(6, 'a')"))
	l.alter(tab, on)
	if now, _ := tab.Snapshot().Property(txlog.RowIDColumnKey); now != name || name == "" {
		t.Fatalf("column %q, then %q", name, now)
	}
	if got := l.ids(tab, "id"); !slices.Equal(got[:4], rows) || strings.Contains(got[4], "∅") {
		t.Fatalf("%v", got)
	}
	for key, value := range map[string]string{"delta.rowTrackingSuspended": "true", txlog.RowIDColumnKey: "mine"} {
		if _, err := tab.Alter(t.Context(), l.eng, table.Alter{SetProperties: map[string]string{key: value}}); err == nil {
			t.Errorf("%s was set", key)
		}
	}
}

// TestRowTrackingSupportedOnly: a table that only supports row tracking counts its rows, and keeps no ids when they move.
func TestRowTrackingSupportedOnly(t *testing.T) {
	l := newLake(t)
	tab := l.create("id int", table.Create{Properties: map[string]string{"delta.feature.rowTracking": "supported"}})
	l.append(tab, values("id", "(1)", "(2)"))
	if rowMark(tab) != `{"rowIdHighWaterMark":1}` || l.preserved(tab) != "" {
		t.Fatalf("%s, %q", rowMark(tab), l.preserved(tab))
	}
	l.alter(tab, table.Alter{SetProperties: map[string]string{"delta.rowTrackingSuspended": "true"}})
	l.append(tab, values("id", "(3)"))
	if rowMark(tab) != `{"rowIdHighWaterMark":1}` {
		t.Fatal(rowMark(tab))
	}
	l.alter(tab, table.Alter{SetProperties: map[string]string{"delta.rowTrackingSuspended": "false", "delta.enableRowTracking": "true"}})
	want(t, l.ids(tab, "id"), "1 0 1", "2 1 1", "3 2 4")
}

// TestFsckFindsRowIDsThatClash: two files that give their rows the same ids, ids above the mark, and none at all.
func TestFsckFindsRowIDsThatClash(t *testing.T) {
	for name, edit := range map[string][2]string{
		"twice": {`"baseRowId":2`, `"baseRowId":1`}, "above": {`"baseRowId":2`, `"baseRowId":200`}, "none": {`"baseRowId":2`, `"wasRowId":2`},
	} {
		l := &lake{t: t, store: mem.New("wreck " + name), eng: openEngine(t), path: "t"}
		tab := l.create("id int", table.Create{Properties: map[string]string{"delta.enableRowTracking": "true"}})
		l.append(tab, values("id", "(1)", "(2)"))
		l.append(tab, values("id", "(3)"))
		w := &wreck{t: t, store: l.store, tab: tab}
		w.replace(commitName(2), edit[0], edit[1])
		r, err := table.Check(t.Context(), l.store, l.path, table.Fsck{})
		if err != nil || !slices.ContainsFunc(r.Findings, func(f table.Finding) bool { return f.Class == table.RowIDsClash }) {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}
