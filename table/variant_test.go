package table_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// variantRows is the story's table as JSON, with what the nested variants hold.
func (l *lake) variantRows(tab *table.Table) []string {
	l.t.Helper()
	return l.rows(tab, "id", "v", "s.v", "l[1]", "m['k']")
}

// TestVariantsThroughEveryOperation: a table with variants at every place is made, grown, changed, laid out again and
// read as of an old version.
func TestVariantsThroughEveryOperation(t *testing.T) {
	for name, properties := range map[string]map[string]string{
		"plain":      {},
		"by name":    {"delta.columnMapping.mode": "name"},
		"by id":      {"delta.columnMapping.mode": "id"},
		"tracked":    {"delta.enableRowTracking": "true"},
		"no vectors": {"delta.enableDeletionVectors": "false"},
		"shredding":  {"delta.enableVariantShredding": "true"},
		"checkpoint": {"delta.checkpointInterval": "1"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			properties["delta.enableChangeDataFeed"] = "true"
			tab := l.create("id int, v variant, s struct<v: variant, x: int>, l array<variant>, m map<string, variant>, p string",
				table.Create{PartitionBy: []string{"p"}, Properties: properties})
			if p := tab.Snapshot().Protocol(); !p.Supports(txlog.FeatureVariantType) || p.Supports(txlog.FeatureVariantShredding) != (name == "shredding") {
				t.Fatalf("%+v", p)
			}
			want(t, l.variantRows(tab))
			source := func(id, json string) table.Query {
				v := "CAST('" + json + "' AS JSON)"
				return table.Query{SQL: "SELECT " + id + " AS id, " + v + " AS v, {'v': CAST(" + v + " AS VARIANT), 'x': 1} AS s, [" + v +
					"] AS l, MAP {'k': CAST(" + v + " AS VARIANT)} AS m, 'p' || (" + id + " % 2) AS p"}
			}
			l.append(tab, source("1", `{"a": 1, "b": [true, null, "x"]}`))
			l.append(tab, source("2", `[1]`))
			l.append(tab, table.Query{SQL: `SELECT 3 AS id, '"text"' AS v, NULL AS s, [NULL] AS l, MAP {} AS m, 'p1' AS p`})
			l.append(tab, table.Query{SQL: "SELECT 4 AS id, NULL AS v, NULL AS s, NULL AS l, NULL AS m, 'p0' AS p"})
			one := `{"a":1,"b":[true,null,"x"]}`
			first, second, third, fourth := strings.Join([]string{"1", one, one, one, one}, " "), "2 [1] [1] [1] [1]", `3 "text" ∅ ∅ ∅`, "4 ∅ ∅ ∅ ∅"
			want(t, l.variantRows(tab), first, second, third, fourth)
			want(t, l.rows(tab, "v.a", "variant_typeof(v)"), "1 OBJECT(a, b)", "∅ ARRAY(1)", "∅ VARCHAR", "∅ VARIANT_NULL")
			before := tab.Snapshot().Version()

			if _, err := tab.Merge(t.Context(), l.eng, table.Merge{
				Source: table.Query{SQL: `SELECT * FROM (VALUES (1, '{"a": 2}'::JSON::VARIANT), (2, '[1]'::JSON::VARIANT), (9, '9'::JSON::VARIANT)) q(id, v)`},
				On:     "t.id = s.id",
				Clauses: []table.Clause{
					{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "v", Value: "s.v"}}},
					{When: table.NotMatched, Do: table.DoInsert, Set: []table.Assignment{{Column: "id", Value: "s.id"}, {Column: "v", Value: "s.v"}}},
				},
			}); err != nil {
				t.Fatal(err)
			}
			merged := strings.Join([]string{"1", `{"a":2}`, one, one, one}, " ")
			want(t, l.variantRows(tab), merged, second, third, fourth, "9 9 ∅ ∅ ∅")
			if _, err := tab.Update(t.Context(), l.eng, table.Update{Where: "v.a = 2", Set: []table.Assignment{{Column: "v", Value: "CAST('w' AS VARIANT)"}}}); err != nil {
				t.Fatal(err)
			}
			updated := strings.Join([]string{"1", `"w"`, one, one, one}, " ")
			if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "CAST(v AS INTEGER) = 9"}); err == nil {
				t.Error("a text was taken for a number")
			}
			if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "TRY_CAST(v AS INTEGER) = 9"}); err != nil {
				t.Fatal(err)
			}
			want(t, l.variantRows(tab), updated, second, third, fourth)
			if _, err := tab.Optimize(t.Context(), l.eng, table.Optimize{ZOrderBy: []string{"id"}}); err != nil {
				t.Fatal(err)
			}
			l.append(tab, source("5", `{"z": 1.5}`))
			if _, err := tab.Optimize(t.Context(), l.eng, table.Optimize{}); err != nil {
				t.Fatal(err)
			}
			want(t, l.variantRows(tab), updated, second, third, fourth, `5 {"z":1.5} {"z":1.5} {"z":1.5} {"z":1.5}`)
			if _, err := tab.Overwrite(t.Context(), l.eng, table.Overwrite{Source: source("7", "7"), Where: "id = 5", Unchecked: true}); err != nil {
				t.Fatal(err)
			}
			want(t, l.variantRows(tab), updated, second, third, fourth, "7 7 7 7 7")
			feed, err := tab.ChangeFeed(t.Context(), table.ChangeRange{From: version(before + 1), To: version(before + 2)})
			if err != nil {
				t.Fatal(err)
			}
			want(t, l.query(table.Query{
				SQL: "SELECT id, _change_type, v FROM f ORDER BY _commit_version, id, _change_type", Relations: map[string]table.Relation{"f": feed},
			}), `1 update_postimage {"a":2}`, "1 update_preimage "+one, "9 insert 9", `1 update_postimage "w"`, `1 update_preimage {"a":2}`)
			old, err := tab.At(t.Context(), before)
			if err != nil {
				t.Fatal(err)
			}
			want(t, l.variantRows(old), first, second, third, fourth)
		})
	}
}

// TestVariantIsShownAsJSON: whatever a statement does with a variant, its column says variant and its values are JSON.
func TestVariantIsShownAsJSON(t *testing.T) {
	l := newLake(t)
	tab := l.create("id int, v variant", table.Create{})
	check := func(sql string, types string, rows ...string) {
		t.Helper()
		rel, _, err := tab.Relation(t.Context(), table.ScanOptions{})
		if err != nil {
			t.Fatal(err)
		}
		q := table.Query{SQL: sql, Relations: map[string]table.Relation{"t": rel}}
		fields, err := table.OutputOf(t.Context(), l.eng, q)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range fields {
			got = append(got, f.Type.SQL())
		}
		if strings.Join(got, " ") != types {
			t.Errorf("%s has the types %s, want %s", sql, got, types)
		}
		want(t, l.query(q), rows...)
	}
	check("SELECT * FROM t", "int variant")
	l.append(tab, table.Query{SQL: `SELECT 1 AS id, '{"b": "x", "a": null}' AS v`})
	l.append(tab, table.Query{SQL: `SELECT 2 AS id, NULL AS v`})
	check("SELECT * FROM t ORDER BY id", "int variant", `1 {"a":null,"b":"x"}`, "2 ∅")
	check("SELECT v.b AS b, [v] AS l, {'s': v} AS s, MAP {1: v} AS m FROM t WHERE id = 1",
		"variant array<variant> struct<s:variant> map<int,variant>", `"x" [{"a":null,"b":"x"}] [{"a":null,"b":"x"}] [{1 {"a":null,"b":"x"}}]`)
	check("SELECT CAST(v.b AS VARCHAR) AS b, 1::HUGEINT AS h, v FROM t WHERE id = 1", "string decimal(38,0) variant", `x 1 {"a":null,"b":"x"}`)
}

// TestVariantColumnAddedLater: a variant that comes by alter or with a source makes the table ask for the feature.
func TestVariantColumnAddedLater(t *testing.T) {
	for name, add := range map[string]func(l *lake, tab *table.Table) error{
		"alter": func(l *lake, tab *table.Table) error {
			l.alter(tab, table.Alter{AddColumns: []table.AddColumn{{Column: "v", Type: typeOf(t, "variant")}}})
			l.append(tab, table.Query{SQL: "SELECT 2 AS id, '{}' AS v"})
			return nil
		},
		"append": func(l *lake, tab *table.Table) error {
			_, err := tab.Append(t.Context(), l.eng, table.Append{Source: table.Query{SQL: "SELECT 2 AS id, '{}'::JSON::VARIANT AS v"}, MergeSchema: true})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			tab := l.create("id int", table.Create{Properties: map[string]string{"delta.enableDeletionVectors": "false"}})
			if tab.Snapshot().Protocol().MinReaderVersion != 1 {
				t.Fatalf("%+v", tab.Snapshot().Protocol())
			}
			l.append(tab, values("id", "(1)"))
			if err := add(l, tab); err != nil {
				t.Fatal(err)
			}
			if p := tab.Snapshot().Protocol(); p.MinReaderVersion != 3 || !p.Supports(txlog.FeatureVariantType) {
				t.Fatalf("%+v", p)
			}
			want(t, l.rows(tab, "id", "v"), "1 ∅", "2 {}")
		})
	}
}

// TestVariantsThatCannotBeWritten: what the format has no place for is refused, nothing is written in its stead.
func TestVariantsThatCannotBeWritten(t *testing.T) {
	l := newLake(t)
	tab := l.create("id int, v variant", table.Create{})
	for name, value := range map[string]string{
		"no JSON":      "'{'",
		"interval":     "CAST(INTERVAL 1 DAY AS VARIANT)",
		"large number": "CAST('18446744073709551615' AS JSON)",
	} {
		if _, err := tab.Append(t.Context(), l.eng, table.Append{Source: table.Query{SQL: "SELECT 1 AS id, " + value + " AS v"}}); err == nil {
			t.Errorf("%s: it was written", name)
		}
	}
	schema, err := txlog.ParseColumns("id int, v variant")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]table.Create{
		"partition": {Schema: schema, PartitionBy: []string{"v"}},
		"clustered": {Schema: schema, ClusterBy: []string{"v"}},
		"iceberg": {Schema: schema, Properties: map[string]string{
			"delta.enableIcebergCompatV2": "true", "delta.columnMapping.mode": "name", "delta.enableDeletionVectors": "false",
		}},
	} {
		if _, err := table.CreateTable(t.Context(), l.store, "other", c); err == nil || !strings.Contains(err.Error(), "variant") && !strings.Contains(err.Error(), "by v") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestVariantsOfSpark: tables that Spark 4.2 wrote, one with values spread over typed columns, have the right rows; rows
// that move keep their bytes, so that a variant that is null stays apart from one that is missing.
func TestVariantsOfSpark(t *testing.T) {
	one := `{"a":1,"b":[true,null,"x",1.5]}`
	five := `{"bin":"\\x00\\xFF","by":1,"d":"2024-02-03","dec":1.25,"f":1.5,"n":"2024-02-03 04:05:06.123456","ts":"2024-02-03 04:05:06.123456+00"}`
	shown := []string{"1 " + one, "2 ∅", "3 ∅", `4 {"a":"str","b":{"c":1}}`, "5 " + five, "6 5", `7 "s"`, "8 {}", "9 []"}
	move := map[string]func(l *lake, tab *table.Table) error{
		"optimize": func(l *lake, tab *table.Table) error {
			l.append(tab, table.Query{SQL: "SELECT 11 AS id"})
			res, err := tab.Optimize(l.t.Context(), l.eng, table.Optimize{ZOrderBy: []string{"id"}})
			if err == nil && res.FilesRemoved != 2 {
				l.t.Errorf("%d files were laid out", res.FilesRemoved)
			}
			return err
		},
		"delete": func(l *lake, tab *table.Table) error {
			_, err := tab.Delete(l.t.Context(), l.eng, table.Delete{Where: "id = 4"})
			return err
		},
		"update": func(l *lake, tab *table.Table) error {
			_, err := tab.Update(l.t.Context(), l.eng, table.Update{Set: []table.Assignment{{Column: "id", Value: "id + 10"}}})
			return err
		},
		"merge": func(l *lake, tab *table.Table) error {
			_, err := tab.Merge(l.t.Context(), l.eng, table.Merge{
				Source: table.Query{SQL: "SELECT range AS id FROM range(10)"}, On: "t.id = s.id", RewriteShare: 0.001,
				Clauses: []table.Clause{{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "id", Value: "s.id + 10"}}}},
			})
			return err
		},
	}
	for _, from := range []string{"plain", "shredded"} {
		for name, do := range move {
			t.Run(from+" "+name, func(t *testing.T) {
				dir := t.TempDir()
				if err := os.CopyFS(filepath.Join(dir, "silver", "orders"), os.DirFS(filepath.Join("testdata", "variants", from))); err != nil {
					t.Fatal(err)
				}
				store, err := file.Open(dir)
				if err != nil {
					t.Fatal(err)
				}
				l := lakeIn(t, store)
				tab, err := table.Open(t.Context(), store, l.path)
				if err != nil {
					t.Fatal(err)
				}
				want(t, l.rows(tab, "id", "v"), shown...)
				if from == "plain" {
					want(t, l.rows(tab, "id", "s.v", "len(l)", "l[1]", "m['k']")[:2], "1 "+one+" 3 "+one+" "+one, "2 ∅ 3 ∅ ∅")
				}
				if err := do(l, tab); err != nil {
					t.Fatal(err)
				}
				bytes := "hex(v.value), v IS NULL"
				if from == "plain" {
					bytes += ", hex(s.v.value), s IS NULL, list_transform(l, lambda x: hex(x.value)), hex(m['k'].value)"
				}
				rel, _, err := tab.Relation(t.Context(), table.ScanOptions{})
				if err != nil {
					t.Fatal(err)
				}
				files := table.Relation{External: &table.External{Format: "parquet"}}
				for _, f := range rel.Files {
					if f.Deleted == nil {
						files.Files = append(files.Files, table.RelationFile{Store: f.Store, Key: f.Key, Size: f.Size})
					}
				}
				got := l.query(table.Query{
					SQL: "SELECT id % 10, " + bytes + " FROM f WHERE id % 10 IN (2, 3) ORDER BY id", Relations: map[string]table.Relation{"f": files},
				})
				if from == "plain" {
					want(t, got, "2 ∅ true ∅ true [<nil> <nil> 00] ∅", "3 00 false 00 false [00 <nil> 00] 00")
				} else {
					want(t, got, "2 ∅ true", "3 00 false")
				}
			})
		}
	}
}
