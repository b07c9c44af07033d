package table_test

import (
	"errors"
	"testing"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func (l *lake) changes(tab *table.Table, from, to txlog.Version) []string {
	l.t.Helper()
	rel, err := tab.ChangesRelation(l.t.Context(), from, to)
	if err != nil {
		l.t.Fatal(err)
	}
	return l.read(rel, "_commit_version", "_change_type", "id", "v", "p", "_commit_timestamp > TIMESTAMPTZ '2020-01-01'")
}

func TestChangesFollowEveryKindOfCommit(t *testing.T) {
	l := newLake(t)
	tab := parted(l, table.Create{})
	want(t, l.changes(tab, 0, 0))
	want(t, l.changes(tab, -1, 1), "1 insert 1 a x true", "1 insert 2 b x true", "1 insert 3 c y true",
		"1 insert 4 d y true", "1 insert 5 e ∅ true", "1 insert 6 f ∅ true")
	ctx := t.Context()
	if _, err := tab.Delete(ctx, l.eng, table.Delete{Where: "id = 1"}); err != nil { // version 2: a vector
		t.Fatal(err)
	}
	if _, err := tab.Merge(ctx, l.eng, table.Merge{ // version 3: another vector, and new rows
		Source: values("id, v, p", "(3, 'C', 'y')", "(7, 'g', 'x')"), On: "t.id = s.id", Clauses: []table.Clause{updateAll(""), insertAll("")},
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Delete(ctx, l.eng, table.Delete{Where: "p = 'x'"}); err != nil { // version 4: files with and without vector
		t.Fatal(err)
	}
	if _, err := tab.Delete(ctx, l.eng, table.Delete{Where: "id = 4"}); err != nil { // version 5: the rest of a file
		t.Fatal(err)
	}
	want(t, l.changes(tab, 1, 2), "2 delete 1 a x true")
	want(t, l.changes(tab, 2, 3), "3 delete 3 c y true", "3 insert 3 C y true", "3 insert 7 g x true")
	want(t, l.changes(tab, 3, 4), "4 delete 2 b x true", "4 delete 7 g x true")
	want(t, l.changes(tab, 4, 5), "5 delete 4 d y true")
	if got := len(l.changes(tab, 1, 5)); got != 7 {
		t.Fatalf("%d changes after version 1", got)
	}
	if _, err := tab.ChangesRelation(ctx, 2, 9); !errors.Is(err, table.ErrInvalidRequest) {
		t.Fatalf("%v", err)
	}
	if _, err := tab.ChangesRelation(ctx, 3, 2); !errors.Is(err, table.ErrInvalidRequest) {
		t.Fatalf("%v", err)
	}
}

func TestChangesAcrossNewColumns(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint", table.Create{})
	l.append(tab, values("id", "(1)"))
	if _, err := tab.Append(t.Context(), l.eng, table.Append{Source: values("id, n", "(2, 3)"), MergeSchema: true}); err != nil {
		t.Fatal(err)
	}
	rel, err := tab.ChangesRelation(t.Context(), 0, 2)
	if err != nil {
		t.Fatal(err)
	}
	want(t, l.read(rel, "_commit_version", "id", "n"), "1 1 ∅", "2 2 3")
	if _, err := tab.Overwrite(t.Context(), l.eng, table.Overwrite{Source: values("other", "(2)"), OverwriteSchema: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.ChangesRelation(t.Context(), 1, 3); !errors.Is(err, table.ErrSchemaMismatch) {
		t.Fatalf("%v", err)
	}
}
