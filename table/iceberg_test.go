package table_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// TestIcebergCompatibleTable: files hold the partition columns, after the others, with every operation.
func TestIcebergCompatibleTable(t *testing.T) {
	for _, version := range []string{"V1", "V2"} {
		for _, mode := range []string{"name", "id"} {
			t.Run(version+" "+mode, func(t *testing.T) {
				l := newLake(t)
				tab := l.create("p string, id int, v string", table.Create{PartitionBy: []string{"p"}, Properties: map[string]string{
					"delta.enableIcebergCompat" + version: "true", "delta.columnMapping.mode": mode, "delta.enableDeletionVectors": "false",
				}})
				if !tab.Snapshot().Protocol().Supports("icebergCompat" + version) {
					t.Fatalf("%+v", tab.Snapshot().Protocol())
				}
				whole := func(what string) {
					t.Helper()
					schema, err := tab.Schema()
					if err != nil {
						t.Fatal(err)
					}
					rel, _, err := tab.Relation(t.Context(), table.ScanOptions{})
					if err != nil {
						t.Fatal(err)
					}
					f, err := schema.Lookup("p")
					if err != nil {
						t.Fatal(err)
					}
					for _, file := range rel.Files {
						rows := l.query(table.Query{SQL: `SELECT DISTINCT "` + f.PhysicalName(tab.Snapshot().Mapping()) + `" FROM f`, Relations: map[string]table.Relation{
							"f": {External: &table.External{Format: "parquet"}, Files: []table.RelationFile{{Store: file.Store, Key: file.Key, Size: file.Size}}},
						}})
						if !slices.Equal(rows, []string{file.Partition["p"]}) {
							t.Errorf("%s: partition %q holds %q", what, file.Partition["p"], rows)
						}
					}
					for i := range rel.Files {
						if _, known := tab.Snapshot().Files().NumRecords(i); !known {
							t.Errorf("%s: a file without numRecords", what)
						}
					}
				}
				l.append(tab, values("id, p, v", "(1, 'x', 'a')", "(2, 'x', 'b')", "(3, 'y', 'c')"))
				l.append(tab, values("id, p, v", "(4, 'x', 'd')"))
				whole("append")
				if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "id = 2"}); err != nil {
					t.Fatal(err)
				}
				whole("delete")
				if _, err := tab.Merge(t.Context(), l.eng, table.Merge{
					Source: values("id, p, v", "(1, 'y', 'e')", "(5, 'z', 'f')"), On: "t.id = s.id",
					Clauses: []table.Clause{{Star: true}, {When: table.NotMatched, Do: table.DoInsert, Star: true}},
				}); err != nil {
					t.Fatal(err)
				}
				whole("merge")
				if _, err := tab.Optimize(t.Context(), l.eng, table.Optimize{}); err != nil {
					t.Fatal(err)
				}
				whole("optimize")
				want(t, l.rows(tab, "id", "p", "v"), "1 y e", "3 y c", "4 x d", "5 z f")
			})
		}
	}
}

func TestIcebergCompatibilityRefuses(t *testing.T) {
	l := newLake(t)
	base := map[string]string{"delta.enableIcebergCompatV2": "true", "delta.columnMapping.mode": "name", "delta.enableDeletionVectors": "false"}
	for name, tc := range map[string]struct{ columns, key, value, text string }{
		"no mapping":       {"id int", "delta.columnMapping.mode", "none", "column mapping"},
		"deletion vectors": {"id int", "delta.enableDeletionVectors", "true", "deletion vectors"},
		"both":             {"id int", "delta.enableIcebergCompatV1", "true", "icebergCompatV1"},
		"a list":           {"id int, l array<int>", "owner", "me", "ids"},
		"void":             {"id int, n void", "owner", "me", "void"},
		"a map":            {"id int, m map<int,int>", "owner", "me", "ids"},
	} {
		schema, err := txlog.ParseColumns(tc.columns)
		if err != nil {
			t.Fatal(err)
		}
		p := maps.Clone(base)
		p[tc.key] = tc.value
		_, err = table.CreateTable(t.Context(), l.store, l.path, table.Create{Schema: schema, Properties: p})
		if !errors.Is(err, txlog.ErrUnsupportedFeature) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tab := l.create("id int", table.Create{Properties: map[string]string{"delta.enableDeletionVectors": "false", "delta.columnMapping.mode": "name"}})
	on := table.Alter{SetProperties: map[string]string{"delta.enableIcebergCompatV2": "true"}}
	l.append(tab, values("id", "(1)"))
	if _, err := tab.Alter(t.Context(), l.eng, on); !errors.Is(err, table.ErrUnsupported) {
		t.Errorf("a table with files: %v", err)
	}
	if _, err := tab.Delete(t.Context(), l.eng, table.Delete{}); err != nil {
		t.Fatal(err)
	}
	l.alter(tab, on)
	if _, err := tab.Alter(t.Context(), l.eng, table.Alter{AddColumns: []table.AddColumn{{Column: "l", Type: typeOf(t, "array<int>")}}}); !errors.Is(err, txlog.ErrUnsupportedFeature) {
		t.Errorf("a list is added: %v", err)
	}
}
