package table_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/internal/parquetio"
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
		"void":             {"id int, n void", "owner", "me", "void"},
		"variant":          {"id int, v variant", "owner", "me", "variant"},
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
	first := lakeIn(t, l.store)
	first.path = "first"
	old := first.create("id int", table.Create{Properties: map[string]string{
		"delta.enableIcebergCompatV1": "true", "delta.columnMapping.mode": "name", "delta.enableDeletionVectors": "false",
	}})
	if _, err := old.Alter(t.Context(), l.eng, table.Alter{AddColumns: []table.AddColumn{{Column: "l", Type: typeOf(t, "array<int>")}}}); !errors.Is(err, txlog.ErrUnsupportedFeature) {
		t.Errorf("a list is added to a table of the first version: %v", err)
	}
}

// TestIcebergCompatibleListsAndMaps: elements, keys and values have ids of their own, in the schema and in every file,
// whenever the column came.
func TestIcebergCompatibleListsAndMaps(t *testing.T) {
	const columns = "id int, l array<array<int>>, m map<string, struct<n: array<string>>>, p string"
	for _, mode := range []string{"name", "id", "later"} {
		t.Run(mode, func(t *testing.T) {
			l := newLake(t)
			properties := map[string]string{
				"delta.enableIcebergCompatV2": "true", "delta.columnMapping.mode": mode, "delta.enableDeletionVectors": "false", "delta.enableChangeDataFeed": "true",
			}
			if mode == "later" {
				delete(properties, "delta.enableIcebergCompatV2")
				properties["delta.columnMapping.mode"] = "name"
			}
			tab := l.create(columns, table.Create{PartitionBy: []string{"p"}, Properties: properties})
			if mode == "later" {
				l.alter(tab, table.Alter{SetProperties: map[string]string{"delta.enableIcebergCompatV2": "true"}})
			}
			row := func(id string) table.Query {
				return table.Query{SQL: "SELECT " + id + " AS id, [[" + id + "], NULL] AS l, MAP {'k': {'n': ['x']}} AS m, 'p' AS p"}
			}
			l.append(tab, row("1"))
			l.append(tab, row("2"))
			if _, err := tab.Merge(t.Context(), l.eng, table.Merge{
				Source: row("2"), On: "t.id = s.id",
				Clauses: []table.Clause{{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "l", Value: "[[9]]"}}}},
			}); err != nil {
				t.Fatal(err)
			}
			l.alter(tab, table.Alter{AddColumns: []table.AddColumn{{Column: "more", Type: typeOf(t, "map<int, int>")}}})
			l.append(tab, table.Query{SQL: "SELECT 3 AS id, NULL AS l, NULL AS m, 'p' AS p, MAP {1: 2} AS more"})
			l.checkNestedIDs(tab)
			if _, err := tab.Optimize(t.Context(), l.eng, table.Optimize{}); err != nil {
				t.Fatal(err)
			}
			l.checkNestedIDs(tab)
			want(t, l.rows(tab, "id", "l", "m['k'].n", "more"), "1 [[1] <nil>] [x] ∅", "2 [[9]] [x] ∅", "3 ∅ ∅ [{1 2}]")
			// 4 columns and one added, 2 + 2 + 1 + 2 inside of them and the field n
			if got, _ := tab.Snapshot().Property(txlog.MaxColumnIDKey); got != "13" {
				t.Errorf("the highest id is %s", got)
			}
		})
	}
}

// checkNestedIDs compares the ids of elements, keys and values of all files with the schema.
func (l *lake) checkNestedIDs(tab *table.Table) {
	l.t.Helper()
	schema, err := tab.Schema()
	if err != nil {
		l.t.Fatal(err)
	}
	rel, _, err := tab.Relation(l.t.Context(), table.ScanOptions{})
	if err != nil {
		l.t.Fatal(err)
	}
	compared := 0
	for _, f := range rel.Files {
		var inside func(c *parquetio.Column, typ *txlog.DataType, path string, ids map[string]int)
		fields := func(columns []*parquetio.Column, of []txlog.Field) {
			for _, field := range of {
				i := slices.IndexFunc(columns, func(c *parquetio.Column) bool { return c.Name == field.PhysicalName(txlog.MappingName) })
				if i >= 0 {
					inside(columns[i], field.Type, columns[i].Name, field.NestedIDs())
				}
			}
		}
		below := func(c *parquetio.Column, typ *txlog.DataType, path string, ids map[string]int) {
			compared++
			if id := ids[path]; id == 0 || c.FieldID != id {
				l.t.Errorf("%s: %s has id %d, want %d", f.Key, path, c.FieldID, id)
			}
			inside(c, typ, path, ids)
		}
		inside = func(c *parquetio.Column, typ *txlog.DataType, path string, ids map[string]int) {
			switch typ.Kind {
			case txlog.KindArray:
				below(c.Element, typ.Element, path+".element", ids)
			case txlog.KindMap:
				below(c.Key, typ.Key, path+".key", ids)
				below(c.Value, typ.Value, path+".value", ids)
			case txlog.KindStruct:
				fields(c.Fields, typ.Fields)
			default:
			}
		}
		fields(footer(l.t, f.Store, f.Key).Fields, schema.Fields)
	}
	if compared == 0 {
		l.t.Error("nothing was compared")
	}
}
