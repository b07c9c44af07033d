package table_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/parquetfolder"
	"github.com/lakectl/lakectl/txlog"
)

// parquet writes the rows of a SELECT as files below the table's path, as somebody would who knows no tables.
func (l *lake) parquet(sql, columns string, partitionBy ...string) {
	l.t.Helper()
	schema, err := txlog.ParseColumns(columns)
	if err != nil {
		l.t.Fatal(err)
	}
	if _, err := l.eng.Write(l.t.Context(), table.Query{SQL: sql}, table.Write{
		Store: l.store, Prefix: l.path + "/", Schema: schema, PartitionBy: partitionBy, Codec: "snappy",
	}); err != nil {
		l.t.Fatal(err)
	}
}

func TestConvert(t *testing.T) {
	onStores(t, func(t *testing.T, l *lake) {
		t.Helper()
		ctx := t.Context()
		const all = "SELECT i::BIGINT AS id, 'r' || i AS note, (i * 0.5)::DOUBLE AS d, {'x': i::INT, 'y': [i]} AS s, (i %% 3)::BIGINT AS p, CASE WHEN i %% 2 = 0 THEN 'a/b =%%ü' END AS q FROM range(%d, %d) r(i)"
		l.parquet(fmt.Sprintf(all, 0, 60), "id bigint, note string, d double, s struct<x: int, y: array<bigint>>, p bigint, q string", "p", "q")
		l.parquet("SELECT 1000::BIGINT AS id, TRUE AS flag, 7::BIGINT AS p, 'z' AS q", "id bigint, flag boolean, p bigint, q string", "p", "q")
		before := l.objects()
		plan, err := table.ConvertFolder(ctx, l.store, l.path, table.Convert{DryRun: true})
		if err != nil || plan.Rows != 61 || strings.Contains(fmt.Sprint(l.objects()), "_delta_log") {
			t.Fatalf("%+v, %v", plan, err)
		}
		if want := "id bigint, flag boolean, note string, d double, s struct<x:int,y:array<bigint>>, p int, q string"; len(plan.Schema) != len(want) {
			t.Fatalf("%s, want %s in some order", plan.Schema, want)
		}
		// Two at once: one makes the table.
		var wg sync.WaitGroup
		errs := make([]error, 2)
		for i := range errs {
			wg.Go(func() { _, errs[i] = table.ConvertFolder(ctx, l.store, l.path, table.Convert{}) })
		}
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), table.ErrTableExists) {
			t.Fatalf("%v", errs)
		}
		for _, key := range before {
			if _, err := l.store.Head(ctx, key); err != nil {
				t.Fatalf("%s: %v", key, err)
			}
		}
		tab, err := table.Open(ctx, l.store, l.path)
		if err != nil {
			t.Fatal(err)
		}
		got := l.rows(tab, "id", "note", "d", "s.x", "s.y[1]", "p", "q", "flag")
		if len(got) != 61 {
			t.Fatalf("%d rows: %v", len(got), got)
		}
		rel, r, err := tab.Relation(ctx, table.ScanOptions{Predicate: &txlog.Predicate{Op: txlog.OpGt, Column: []string{"id"}, Values: []txlog.Literal{{Kind: txlog.KindLong, Int: 500}}}})
		if err != nil || len(rel.Files) != 1 || r.SkippedByStats == 0 {
			t.Fatalf("by the bounds of footers: %+v, %v", r, err)
		}
		if _, err := tab.Delete(ctx, l.eng, table.Delete{Where: "id = 1000 OR s.x = 59"}); err != nil {
			t.Fatal(err)
		}
		if n := len(l.rows(tab, "id")); n != 59 {
			t.Fatalf("%d rows after a delete", n)
		}
		if _, err := tab.Optimize(ctx, l.eng, table.Optimize{}); err != nil {
			t.Fatal(err)
		}
		if n := len(l.rows(tab, "id")); n != 59 {
			t.Fatalf("%d rows after optimize", n)
		}
	})
}

func TestConvertRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		make func(l *lake)
		by   []txlog.Field
		want error
		says string
	}{
		"nothing":    {func(*lake) {}, nil, parquetfolder.ErrFolder, "no Parquet file"},
		"two types":  {func(l *lake) { l.parquet("SELECT 1 AS a", "a int"); l.parquet("SELECT 'x' AS a", "a string") }, nil, parquetfolder.ErrFolder, "column a is"},
		"two spells": {func(l *lake) { l.parquet("SELECT 1 AS a", "a int"); l.parquet("SELECT 1 AS A", "A int") }, nil, parquetfolder.ErrFolder, "column"},
		"odd name":   {func(l *lake) { l.parquet("SELECT 1 AS \"a b\"", "`a b` int") }, nil, table.ErrUnsupported, "a b"},
		"a page": {func(l *lake) {
			if _, err := l.store.Put(l.t.Context(), l.path+"/a.parquet", objectstore.Bytes([]byte("<html>")), objectstore.Condition{}); err != nil {
				l.t.Fatal(err)
			}
		}, nil, parquetfolder.ErrFolder, "a.parquet"},
		"variants": {func(l *lake) {
			files, err := filepath.Glob("testdata/variants/shredded/*.parquet")
			if err != nil || len(files) == 0 {
				l.t.Fatal(files, err)
			}
			b, err := os.ReadFile(files[0])
			if err == nil {
				_, err = l.store.Put(l.t.Context(), l.path+"/a.parquet", objectstore.Bytes(b), objectstore.Condition{})
			}
			if err != nil {
				l.t.Fatal(err)
			}
		}, nil, parquetfolder.ErrFolder, "is a variant"},
		"other folders": {func(l *lake) {
			l.parquet("SELECT 1 AS a, 2 AS p", "a int, p int", "p")
			l.parquet("SELECT 1 AS a", "a int")
		}, nil, parquetfolder.ErrFolder, "not partitioned"},
		"another type": {
			func(l *lake) { l.parquet("SELECT 1 AS a, 'x' AS p", "a int, p string", "p") },
			[]txlog.Field{{Name: "p", Type: &txlog.DataType{Kind: txlog.KindInteger, Name: "integer"}}},
			parquetfolder.ErrFolder, "column p",
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := &lake{t: t, store: newLake(t).store, eng: openEngine(t), path: "folder"} // no fsck: there is no table
			c.make(l)
			_, err := table.ConvertFolder(t.Context(), l.store, l.path, table.Convert{PartitionBy: c.by})
			if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("%v, want %v with %q", err, c.want, c.says)
			}
			if strings.Contains(fmt.Sprint(l.objects()), "_delta_log") {
				t.Error("it left a log")
			}
		})
	}
}

// TestConvertGuessesTypes: the narrowest type that gives every value back as it stands.
func TestConvertGuessesTypes(t *testing.T) {
	for want, values := range map[string][]string{
		"int": {"1", "-5", ""}, "bigint": {"1", "5000000000"}, "date": {"2026-01-31", ""}, "string": {"1", "007"},
		"string ": {"2026-01-31", "soon"}, "string  ": {""},
	} {
		t.Run(want+fmt.Sprint(values), func(t *testing.T) {
			l := &lake{t: t, store: newLake(t).store, eng: openEngine(t), path: "folder"}
			for _, v := range values {
				l.parquet("SELECT 1 AS a, nullif('"+v+"', '') AS p", "a int, p string", "p")
			}
			r, err := table.ConvertFolder(t.Context(), l.store, l.path, table.Convert{})
			if err != nil || r.Schema != "a int, p "+strings.TrimSpace(want) {
				t.Errorf("%+v, %v", r, err)
			}
			tab, err := table.Open(t.Context(), l.store, l.path)
			if err != nil || len(l.rows(tab, "p")) != len(values) {
				t.Errorf("%v", err)
			}
		})
	}
}
