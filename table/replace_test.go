package table_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func TestReplace(t *testing.T) {
	for name, c := range map[string]table.Create{
		"plain":     {},
		"by name":   {Properties: map[string]string{"delta.columnMapping.mode": "name"}},
		"by id":     {Properties: map[string]string{"delta.columnMapping.mode": "id", "delta.enableDeletionVectors": "false"}},
		"row ids":   {Properties: map[string]string{"delta.enableRowTracking": "true"}},
		"times":     {Properties: map[string]string{"delta.enableInCommitTimestamps": "true"}},
		"feed":      {Properties: map[string]string{"delta.enableChangeDataFeed": "true"}},
		"clustered": {ClusterBy: []string{"id"}},
		"ruled":     {Constraints: []table.AddConstraint{{Name: "small", Expression: "id < 100"}}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			tab := l.create("id bigint not null, v string, p string", c)
			l.append(tab, values("id, v, p", "(1, 'a', 'x')", "(2, 'b', 'y')"))
			if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "id = 1"}); err != nil {
				t.Fatal(err)
			}
			id := tab.Snapshot().Metadata().ID

			// Other columns, partitions and no rows.
			schema, err := txlog.ParseColumns("p string, id string, extra int default 7")
			if err != nil {
				t.Fatal(err)
			}
			res, err := tab.Replace(t.Context(), l.eng, table.Create{Schema: schema, PartitionBy: []string{"p"}, Comment: "new"}, table.Query{})
			if err != nil || res.RowsDeleted != 1 || res.VersionAfter != 3 {
				t.Fatalf("%+v %v", res, err)
			}
			want(t, l.rows(tab))
			res, err = tab.Append(t.Context(), l.eng, table.Append{Source: values("id, p", "('long text', 'q')")})
			if err != nil || res.RowsInserted != 1 {
				t.Fatalf("%+v %v", res, err)
			}
			want(t, l.rows(tab, "p", "id", "extra"), "q long text 7")

			// The columns and rows of a query that reads the table itself.
			self := mustRelation(t, tab)
			res, err = tab.Replace(t.Context(), l.eng, table.Create{ClusterBy: []string{"n"}}, table.Query{
				SQL: "SELECT extra * 3 AS n, id AS v FROM r", Relations: map[string]table.Relation{"r": self},
			})
			if err != nil || res.RowsInserted != 1 || res.RowsDeleted != 1 || res.Operation != "CREATE OR REPLACE TABLE AS SELECT" {
				t.Fatalf("%+v %v", res, err)
			}
			want(t, l.rows(tab, "n", "v"), "21 long text")
			m := tab.Snapshot().Metadata()
			if m.ID != id || len(m.PartitionColumns) != 0 || m.Description != "" || !tab.Clustered() {
				t.Fatalf("%+v", m)
			}
			for _, key := range []string{"delta.columnMapping.mode", "delta.enableRowTracking", "delta.enableInCommitTimestamps"} {
				if m.Configuration[key] != c.Properties[key] {
					t.Errorf("%s is %q, was %q", key, m.Configuration[key], c.Properties[key])
				}
			}
			if m.Configuration["delta.enableChangeDataFeed"] != "" || m.Configuration["delta.constraints.small"] != "" {
				t.Errorf("properties %v", m.Configuration)
			}
			if last, err := strconv.Atoi(m.Configuration["delta.columnMapping.maxColumnId"]); strings.HasPrefix(name, "by ") && (err != nil || last < 8) {
				t.Errorf("the last column id is %d: ids were given out twice", last)
			}
			// What it was stays readable.
			for version, rows := range map[txlog.Version][]string{1: {"1 a x", "2 b y"}, 2: {"2 b y"}, 4: {"q long text 7"}} {
				old, err := tab.At(t.Context(), version)
				if err != nil {
					t.Fatal(err)
				}
				want(t, l.rows(old), rows...)
			}
			one := txlog.Version(2)
			if _, err := tab.Restore(t.Context(), table.Restore{Version: &one}); err != nil && !errors.Is(err, table.ErrUnsupported) {
				t.Fatal(err)
			}
		})
	}
}

func TestReplaceRefusals(t *testing.T) {
	l := newLake(t)
	schema, err := txlog.ParseColumns("id bigint")
	if err != nil {
		t.Fatal(err)
	}
	tab := parted(l, table.Create{Properties: map[string]string{"delta.appendOnly": "true"}})
	before := len(l.objects())
	for name, c := range map[string]struct {
		create table.Create
		source table.Query
		want   error
	}{
		"append only":   {table.Create{Schema: schema}, table.Query{}, table.ErrConstraint},
		"no columns":    {table.Create{}, table.Query{}, table.ErrInvalidRequest},
		"if not exists": {table.Create{Schema: schema, IfNotExists: true}, table.Query{}, table.ErrInvalidRequest},
	} {
		if _, err := tab.Replace(t.Context(), l.eng, c.create, c.source); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	other := &lake{t: t, store: l.store, eng: l.eng, path: "silver/other"}
	free := other.create("id bigint", table.Create{})
	bad := table.Create{Schema: schema, Constraints: []table.AddConstraint{{Name: "small", Expression: "id < 2"}}}
	if _, err := free.Replace(t.Context(), l.eng, bad, values("id", "(1)", "(2)")); !errors.Is(err, table.ErrConstraint) {
		t.Error(err)
	}
	if v := free.Snapshot().Version(); v != 0 || len(l.objects()) != before {
		t.Errorf("version %d, %d objects, %d before", v, len(l.objects()), before)
	}
}

func TestDrop(t *testing.T) {
	l := newLake(t)
	tab := parted(l, table.Create{})
	inner := &lake{t: t, store: l.store, eng: l.eng, path: l.path + "/inner"}
	inner.create("id bigint", table.Create{})
	if _, err := table.Drop(t.Context(), l.store, l.path, false); !errors.Is(err, table.ErrInvalidRequest) || !strings.Contains(err.Error(), "inner") {
		t.Fatal(err)
	}
	if res, err := table.Drop(t.Context(), l.store, inner.path, false); err != nil || res.Objects == 0 {
		t.Fatalf("%+v %v", res, err)
	}
	dry, err := table.Drop(t.Context(), l.store, l.path, true)
	if err != nil || dry.Objects < 5 || dry.Bytes == 0 || dry.VersionBefore != 1 || len(l.rows(tab)) != 6 {
		t.Fatalf("%+v %v", dry, err)
	}
	res, err := table.Drop(t.Context(), l.store, l.path, false)
	if err != nil || res.Objects != dry.Objects {
		t.Fatalf("%+v %v", res, err)
	}
	for o, err := range l.store.List(t.Context(), "", "") {
		t.Errorf("%s is left, %v", o.Key, err)
	}
	if _, err := table.Drop(t.Context(), l.store, l.path, false); !errors.Is(err, txlog.ErrNotATable) {
		t.Fatal(err)
	}
}
