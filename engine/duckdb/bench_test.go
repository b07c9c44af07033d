package duckdb_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// wide is the SELECT of the benchmarks' table: eight columns.
const wide = `SELECT i AS id, (hash(i) %% 1000000)::BIGINT AS k, 'name_' || (hash(i + 1) %% 100000) AS s,
	(hash(i + 2) %% 100000)::DECIMAL(12, 2) AS amount, (hash(i + 3) %% 1000000) / 1000.0 AS f, DATE '2001-01-01' + (i // 10000)::INT AS d,
	TIMESTAMPTZ '2001-01-01 00:00:00+00' + to_seconds(i * 10) AS ts, i %% 3 = 0 AS b FROM range(%d) r(i)`

const (
	wideColumns = "id bigint, k bigint, s string, amount decimal(12,2), f double, d date, ts timestamp, b boolean"
	aggregate   = "SELECT count(*), sum(id), max(k), max(s), sum(amount), avg(f), max(d), max(ts), count_if(b) FROM "
	benchRows   = 10_000_000
)

// plain is DuckDB without us.
type plain struct {
	db   bindings.Database
	conn bindings.Connection
}

func newPlain(b *testing.B) *plain {
	b.Helper()
	var p plain
	if bindings.Open(":memory:", &p.db) == bindings.StateError || bindings.Connect(p.db, &p.conn) == bindings.StateError {
		b.Fatal("open")
	}
	b.Cleanup(func() { bindings.Disconnect(&p.conn); bindings.Close(&p.db) })
	return &p
}

func (p *plain) run(b *testing.B, sql string) {
	b.Helper()
	var r bindings.Result
	if bindings.Query(p.conn, sql, &r) == bindings.StateError {
		b.Fatal(bindings.ResultError(&r))
	}
	bindings.DestroyResult(&r)
}

// benchTable writes the table once: plain, and with partitions by a column of five values.
func benchTable(b *testing.B) (*duckdb.Engine, table.Write, table.Relation, string) {
	b.Helper()
	e, err := duckdb.Open(duckdb.Options{TempDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close() })
	root := b.TempDir()
	store, err := file.Open(root)
	if err != nil {
		b.Fatal(err)
	}
	schema, err := txlog.ParseColumns(wideColumns)
	if err != nil {
		b.Fatal(err)
	}
	w := table.Write{
		Store: store, Prefix: "t/", Schema: schema, TargetFileSize: 8 << 20,
		Stats: txlog.DefaultStatsColumns(schema, txlog.MappingNone, nil, nil),
	}
	files, err := e.Write(b.Context(), table.Query{SQL: fmt.Sprintf(wide, benchRows)}, w)
	if err != nil {
		b.Fatal(err)
	}
	rel := table.Relation{Schema: schema}
	for _, f := range files {
		rel.Files = append(rel.Files, table.RelationFile{Store: store, Key: f.Key, Size: f.Size})
	}
	return e, w, rel, filepath.Join(root, "t")
}

func BenchmarkScan(b *testing.B) {
	e, _, rel, dir := benchTable(b)
	p := newPlain(b)
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			p.run(b, aggregate+"read_parquet('"+dir+"/*.parquet')")
		}
	})
	ours := func(name, sql string, rel table.Relation) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				rows, err := e.Query(b.Context(), table.Query{SQL: sql, Relations: map[string]table.Relation{"t": rel}})
				if err != nil {
					b.Fatal(err)
				}
				for _, err := range rows.All {
					if err != nil {
						b.Fatal(err)
					}
				}
				_ = rows.Close()
			}
		})
	}
	ours("ours", aggregate+"t", rel)
	parts := rel
	schema := *rel.Schema
	schema.Fields = append(schema.Fields[:len(schema.Fields):len(schema.Fields)], txlog.Field{Name: "p", Type: &txlog.DataType{Kind: txlog.KindInteger}})
	parts.Schema, parts.PartitionColumns, parts.Files = &schema, []string{"p"}, nil
	for i, f := range rel.Files {
		f.Partition = map[string]string{"p": fmt.Sprint(i % 5)}
		parts.Files = append(parts.Files, f)
	}
	ours("ours-partitioned", aggregate+"t", parts)
	b.Run("plain-one-column", func(b *testing.B) {
		for b.Loop() {
			p.run(b, "SELECT sum(k) FROM read_parquet('"+dir+"/*.parquet')")
		}
	})
	ours("ours-one-column", "SELECT sum(k) FROM t", rel)
	ours("ours-one-column-partitioned", "SELECT sum(k), p FROM t GROUP BY p", parts)
	positions := rel
	positions.Position = true
	ours("ours-positions", "SELECT sum(k), max(_lake_file), max(_lake_row) FROM t", positions)
	ours("ours-rows-streamed", "SELECT * FROM t", rel)
}

func BenchmarkWrite(b *testing.B) {
	e, w, rel, dir := benchTable(b)
	p := newPlain(b)
	target := b.TempDir()
	b.Run("plain", func(b *testing.B) {
		for b.Loop() {
			p.run(b, "COPY (FROM read_parquet('"+dir+"/*.parquet')) TO '"+target+"/out' (FORMAT parquet, COMPRESSION zstd, FILE_SIZE_BYTES 8388608)")
			if err := os.RemoveAll(filepath.Join(target, "out")); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			w.Prefix = "w/"
			files, err := e.Write(b.Context(), table.Query{SQL: "FROM t", Relations: map[string]table.Relation{"t": rel}}, w)
			if err != nil {
				b.Fatal(err)
			}
			for _, f := range files {
				if err := f.Store.Delete(b.Context(), f.Key); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

func BenchmarkSmallCalls(b *testing.B) {
	e, err := duckdb.Open(duckdb.Options{TempDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = e.Close() })
	b.Run("query", func(b *testing.B) {
		for b.Loop() {
			rows, err := e.Query(b.Context(), table.Query{SQL: "SELECT 1"})
			if err != nil {
				b.Fatal(err)
			}
			_ = rows.Close()
		}
	})
	b.Run("parse", func(b *testing.B) {
		for b.Loop() {
			_, err := e.Parse(b.Context(), table.Parse{SQL: "SELECT id FROM t WHERE id > 3", Schemas: func(table.TableRef) (*txlog.Schema, error) {
				return txlog.ParseColumns(wideColumns)
			}})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}
