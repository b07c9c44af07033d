package table_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// providers are who laid out the live files, sorted.
func providers(tab *table.Table) []string {
	files := tab.Snapshot().Files()
	var out []string
	for i := range files.Len() {
		out = append(out, files.Add(i).ClusteringProvider)
	}
	slices.Sort(out)
	return out
}

// TestClusteredTable: its columns are known from the first version on, have statistics whatever the properties say,
// survive a rename, and are what optimize follows.
func TestClusteredTable(t *testing.T) {
	for name, properties := range map[string]map[string]string{
		"plain":  {"delta.dataSkippingNumIndexedCols": "0"},
		"mapped": {"delta.dataSkippingStatsColumns": "id", "delta.columnMapping.mode": "name"},
		"ids":    {"delta.dataSkippingNumIndexedCols": "1", "delta.enableRowTracking": "true"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			tab := l.create("id int, a int, b int", table.Create{Properties: properties, ClusterBy: []string{"B", "a"}})
			d, _ := tab.Snapshot().Domain("delta.clustering")
			if !tab.Snapshot().Protocol().Supports(txlog.FeatureClustering) || !strings.Contains(d.Configuration, `"domainName":"delta.clustering"`) {
				t.Fatalf("%+v, %s", tab.Snapshot().Protocol(), d.Configuration)
			}
			if name != "mapped" && !strings.Contains(d.Configuration, `[["b"],["a"]]`) {
				t.Fatal(d.Configuration)
			}
			for _, from := range []string{"0", "100"} {
				l.append(tab, table.Query{SQL: "SELECT i::INT AS id, (i * 7 % 10)::INT AS a, (i * 3 % 10)::INT AS b FROM range(" + from + ", " + from + " + 100) r(i)"})
			}
			rows := l.rows(tab)
			skips := func(column string) {
				t.Helper()
				_, report, err := tab.Relation(t.Context(), table.ScanOptions{Predicate: &txlog.Predicate{
					Op: txlog.OpGt, Column: []string{column}, Values: []txlog.Literal{{Kind: txlog.KindLong, Int: 1000}},
				}})
				if err != nil || report.Read != 0 {
					t.Fatalf("column %s: %d files read, %v", column, report.Read, err)
				}
			}
			skips("a")
			skips("b")
			if name == "mapped" {
				l.alter(tab, table.Alter{RenameColumns: []table.RenameColumn{{Column: "b", To: "c"}}})
				skips("c")
				if _, err := tab.Alter(t.Context(), l.eng, table.Alter{DropColumns: []string{"c"}}); !errors.Is(err, table.ErrInvalidRequest) {
					t.Fatalf("a clustering column was dropped: %v", err)
				}
			}
			if _, err := tab.Optimize(t.Context(), l.eng, table.Optimize{ZOrderBy: []string{"id"}}); !errors.Is(err, table.ErrInvalidRequest) {
				t.Fatalf("Z-order of a clustered table: %v", err)
			}
			res, err := tab.Optimize(t.Context(), l.eng, table.Optimize{})
			if err != nil || res.FilesRemoved != 2 || !slices.Equal(providers(tab), []string{"lakectl"}) {
				t.Fatalf("%+v, %v, %v", res, providers(tab), err)
			}
			c, err := tab.Log().ReadCommit(t.Context(), tab.Snapshot().Version())
			if err != nil || c.Info.OperationParameters["zOrderBy"] != "[]" || !strings.Contains(c.Info.OperationParameters["clusterBy"], `"a"`) {
				t.Fatalf("%+v, %v", c.Info, err)
			}
			want(t, l.rows(tab), rows...)
			if again, err := tab.Optimize(t.Context(), l.eng, table.Optimize{}); err != nil || again.FilesRemoved != 0 {
				t.Fatalf("%+v, %v", again, err)
			}
			if _, err := tab.Overwrite(t.Context(), l.eng, table.Overwrite{Source: values("id, a", "(1, 2)"), OverwriteSchema: true}); !errors.Is(err, table.ErrSchemaMismatch) {
				t.Fatalf("new columns without the clustering columns: %v", err)
			}
			l.alter(tab, table.Alter{ClusterBy: &[]string{}})
			d, _ = tab.Snapshot().Domain("delta.clustering")
			if !strings.Contains(d.Configuration, `"clusteringColumns":[]`) {
				t.Fatal(d.Configuration)
			}
			l.append(tab, table.Query{SQL: "SELECT 1000 AS id, 1 AS a, * FROM (VALUES (1)) v(" + map[bool]string{true: "c", false: "b"}[name == "mapped"] + ")"})
			if _, err := tab.Optimize(t.Context(), l.eng, table.Optimize{}); err != nil || !slices.Equal(providers(tab), []string{""}) {
				t.Fatalf("%v, %v", providers(tab), err)
			}
		})
	}
}

// TestClusteredByFields: fields of structs order rows as columns do, whatever the struct is called.
func TestClusteredByFields(t *testing.T) {
	for name, properties := range map[string]map[string]string{"plain": nil, "mapped": {"delta.columnMapping.mode": "name"}} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			tab := l.create("t struct<x: int, `the y`: struct<q: int>>, q int", table.Create{
				Properties: properties, ClusterBy: []string{"t.X", "t.`the y`.q"},
			})
			for _, from := range []string{"0", "2000"} {
				l.append(tab, table.Query{SQL: "SELECT {'x': (i * 7919 % 4000)::INT, 'the y': {'q': (i * 104729 % 4000)::INT}} AS t, i::INT AS q FROM range(" +
					from + ", " + from + " + 2000) r(i) UNION ALL SELECT NULL, NULL"})
			}
			rows := l.rows(tab)
			target := tab.Snapshot().SizeBytes() / 16
			res, err := tab.Optimize(t.Context(), l.eng, table.Optimize{TargetSize: target})
			if err != nil || !slices.Equal(res.ZOrderBy, []string{"t.x", "t.`the y`.q"}) {
				t.Fatalf("%+v, %v", res, err)
			}
			want(t, l.rows(tab), rows...)
			for _, path := range [][]string{{"t", "x"}, {"t", "the y", "q"}} {
				_, r, err := tab.Relation(t.Context(), table.ScanOptions{Predicate: &txlog.Predicate{
					Op: txlog.OpLt, Column: path, Values: []txlog.Literal{{Kind: txlog.KindLong, Int: 40}},
				}})
				if err != nil || r.Files < 4 || r.Read > r.Files*3/4 {
					t.Fatalf("%v: %+v, %v", path, r, err)
				}
				t.Logf("%v < 40 reads %d of %d files", path, r.Read, r.Files)
			}
			if again, err := tab.Optimize(t.Context(), l.eng, table.Optimize{TargetSize: target}); err != nil || again.FilesRemoved != 0 {
				t.Fatalf("a second run did something: %+v, %v", again, err)
			}
		})
	}
}

// TestFilesOfAnotherProviderStay: what Spark has clustered is not ours to lay out again.
func TestFilesOfAnotherProviderStay(t *testing.T) {
	l := newLake(t)
	tab := l.create("id int", table.Create{ClusterBy: []string{"id"}})
	l.append(tab, values("id", "(1)"))
	l.append(tab, values("id", "(2)"))
	w := &wreck{t: t, store: l.store, tab: tab}
	w.replace(commitName(1), `"dataChange":true`, `"dataChange":true,"clusteringProvider":"liquid"`)
	tab, err := table.Open(t.Context(), l.store, l.path)
	if err != nil {
		t.Fatal(err)
	}
	l.append(tab, values("id", "(3)"))
	res, err := tab.Optimize(t.Context(), l.eng, table.Optimize{})
	if err != nil || res.FilesRemoved != 2 || !slices.Equal(providers(tab), []string{"lakectl", "liquid"}) {
		t.Fatalf("%+v, %v, %v", res, providers(tab), err)
	}
	want(t, l.rows(tab), "1", "2", "3")
}

func TestClusteringRefuses(t *testing.T) {
	l := newLake(t)
	schema, err := txlog.ParseColumns("a int, b int, c int, d int, e int, flag boolean, s struct<x:int>, l array<int>")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]table.Create{
		"partitioned": {PartitionBy: []string{"a"}, ClusterBy: []string{"b"}}, "no such column": {ClusterBy: []string{"zz"}},
		"no bounds": {ClusterBy: []string{"flag"}}, "a list": {ClusterBy: []string{"l"}}, "a struct": {ClusterBy: []string{"s"}},
		"an element": {ClusterBy: []string{"l.element"}}, "twice": {ClusterBy: []string{"a", "A"}}, "too many": {ClusterBy: []string{"a", "b", "c", "d", "e"}},
	} {
		c.Schema = schema
		if _, err := table.CreateTable(t.Context(), l.store, l.path, c); !errors.Is(err, table.ErrInvalidRequest) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
