package table_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// parted is a table of three partitions with two rows each.
func parted(l *lake, c table.Create) *table.Table {
	l.t.Helper()
	c.PartitionBy = []string{"p"}
	tab := l.create("id bigint not null, v string, p string", c)
	l.append(tab, values("id, v, p", "(1, 'a', 'x')", "(2, 'b', 'x')", "(3, 'c', 'y')", "(4, 'd', 'y')", "(5, 'e', NULL)", "(6, 'f', NULL)"))
	return tab
}

func TestOverwriteWholeTable(t *testing.T) {
	onStores(t, func(t *testing.T, l *lake) {
		t.Helper()
		tab := parted(l, table.Create{})
		res, err := tab.Overwrite(t.Context(), l.eng, table.Overwrite{
			Source: values("id, p", "(9, 'z')"), Meta: table.ChangeMeta{Txns: []txlog.Txn{{AppID: "task", Version: 3}}},
		})
		if err != nil || res.RowsDeleted != 6 || res.RowsInserted != 1 || res.FilesRemoved != 3 {
			t.Fatalf("%+v %v", res, err)
		}
		want(t, l.rows(tab), "9 ∅ z")
		old, err := tab.At(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		if n := len(l.rows(old)); n != 6 {
			t.Fatalf("version 1 has %d rows", n)
		}
	})
}

func TestOverwriteWhere(t *testing.T) {
	l := newLake(t)
	tab := parted(l, table.Create{})
	res, err := tab.Overwrite(t.Context(), l.eng, table.Overwrite{Source: values("id, p", "(9, 'x')"), Where: "p = 'x'"})
	if err != nil || res.FilesRemoved != 1 || res.DeletionVectors != 0 || res.FilesSkippedPartition != 2 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab), "9 ∅ x", "3 c y", "4 d y", "5 e ∅", "6 f ∅")

	res, err = tab.Overwrite(t.Context(), l.eng, table.Overwrite{Source: values("id, p", "(3, 'w')"), Where: "t.id = 3"})
	if err != nil || res.DeletionVectors != 1 || res.RowsDeleted != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab), "9 ∅ x", "3 ∅ w", "4 d y", "5 e ∅", "6 f ∅")

	before := len(l.objects())
	_, err = tab.Overwrite(t.Context(), l.eng, table.Overwrite{Source: values("id, p", "(7, 'w')"), Where: "id = 3"})
	var broken *table.ConstraintError
	if !errors.As(err, &broken) || broken.Rule != "id = 3" {
		t.Fatalf("a row outside the condition: %v", err)
	}
	if n := len(l.objects()); n != before {
		t.Fatalf("a refused overwrite left %d files", n-before)
	}
	res, err = tab.Overwrite(t.Context(), l.eng, table.Overwrite{Source: values("id, p", "(7, 'w')"), Where: "id = 3", Unchecked: true})
	if err != nil || res.RowsInserted != 1 {
		t.Fatalf("%+v %v", res, err)
	}
}

func TestOverwritePartitions(t *testing.T) {
	l := newLake(t)
	tab := parted(l, table.Create{})
	res, err := tab.Overwrite(t.Context(), l.eng, table.Overwrite{Source: values("id, p", "(8, 'y')", "(9, NULL)", "(10, 'new')"), Partitions: true})
	if err != nil || res.FilesRemoved != 2 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab), "1 a x", "2 b x", "8 ∅ y", "9 ∅ ∅", "10 ∅ new")
}

// A partition of -0.0 stayed beside the rows of 0.0 that should have replaced it.
func TestOverwritePartitionsFindsNegativeZero(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, d double", table.Create{PartitionBy: []string{"d"}})
	l.append(tab, values("id, d", "(1, '-0'::DOUBLE)"))
	res, err := tab.Overwrite(t.Context(), l.eng, table.Overwrite{Source: values("id, d", "(2, 0::DOUBLE)"), Partitions: true})
	if err != nil || res.FilesRemoved != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab), "2 0")
}

func TestOverwriteSchema(t *testing.T) {
	l := newLake(t)
	tab := parted(l, table.Create{})
	if _, err := tab.Overwrite(t.Context(), l.eng, table.Overwrite{Source: values("id, other, p", "('one', 2.5, 'x')"), OverwriteSchema: true}); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab), "one 2.5 x")
	old, err := tab.At(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(l.rows(old)); n != 6 {
		t.Fatalf("version 1 has %d rows", n)
	}
}

func TestOverwriteRefusals(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint", table.Create{})
	src := values("id", "(1)")
	for name, o := range map[string]table.Overwrite{
		"partitions of none":       {Source: src, Partitions: true},
		"partitions and where":     {Source: src, Partitions: true, Where: "id = 1"},
		"schema and where":         {Source: src, OverwriteSchema: true, Where: "id = 1"},
		"schema twice":             {Source: src, OverwriteSchema: true, MergeSchema: true},
		"unchecked without effect": {Source: src, Unchecked: true},
		"schema of nothing":        {OverwriteSchema: true},
	} {
		if _, err := tab.Overwrite(t.Context(), l.eng, o); !errors.Is(err, table.ErrInvalidRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDelete(t *testing.T) {
	for name, properties := range map[string]map[string]string{
		"vectors": nil,
		"copies":  {"delta.enableDeletionVectors": "false"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			tab := parted(l, table.Create{Properties: properties})
			res, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "id IN (1, 3, 4)"})
			if err != nil || res.RowsDeleted != 3 {
				t.Fatalf("%+v %v", res, err)
			}
			if withVectors := name == "vectors"; withVectors && (res.DeletionVectors != 1 || res.FilesAdded != 0) ||
				!withVectors && (res.DeletionVectors != 0 || res.FilesAdded != 1 || res.RowsCopied != 1) {
				t.Fatalf("%+v", res)
			}
			want(t, l.rows(tab), "2 b x", "5 e ∅", "6 f ∅")
			if res, err = tab.Delete(t.Context(), l.eng, table.Delete{Where: "id = 2"}); err != nil || res.FilesRemoved != 1 {
				t.Fatalf("%+v %v", res, err)
			}
			if res, err = tab.Delete(t.Context(), l.eng, table.Delete{Where: "id = 2"}); err != nil || res.VersionAfter != res.VersionBefore {
				t.Fatalf("deleting nothing: %+v %v", res, err)
			}
			if res, err = tab.Delete(t.Context(), l.eng, table.Delete{}); err != nil || res.RowsDeleted != 2 {
				t.Fatalf("%+v %v", res, err)
			}
			want(t, l.rows(tab))
		})
	}
}

func TestAppendOnlyTableKeepsItsRows(t *testing.T) {
	l := newLake(t)
	tab := parted(l, table.Create{Properties: map[string]string{"delta.appendOnly": "true"}})
	for name, do := range map[string]func() error{
		"delete":    func() error { _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "id = 1"}); return err },
		"overwrite": func() error { _, err := tab.Overwrite(t.Context(), l.eng, table.Overwrite{}); return err },
		"append where": func() error {
			_, err := tab.Append(t.Context(), l.eng, table.Append{Source: values("id", "(1)"), DeleteWhere: "id = 1"})
			return err
		},
	} {
		if err := do(); !errors.Is(err, table.ErrConstraint) || !strings.Contains(err.Error(), "delta.appendOnly") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(l.rows(tab)); n != 6 {
		t.Fatalf("%d rows", n)
	}
}
