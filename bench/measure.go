package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/internal/cache"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/objectstore/s3"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// The tables of a store: base is appended once and kept, merged is a copy of base that a merge changes.
const (
	baseTable   = "base"
	mergedTable = "merged"
)

// aggregate touches every column of the table, so that nothing can be left unread.
const aggregate = "count(*), sum(id), sum(customer), max(ordered_at), sum(amount), sum(quantity), max(status), max(region), max(note)"

// measure is the body of a child process.
func measure(ctx context.Context, s settings) error {
	switch {
	case s.Generate != nil:
		if err := s.Generate.generate(ctx); err != nil {
			return err
		}
		return report(0, "")
	case s.Log != nil:
		return measureLog(ctx, *s.Log)
	case s.MergeTables != nil:
		if err := s.MergeTables.generate(ctx); err != nil {
			return err
		}
		return report(0, "")
	case s.MergeWork != nil:
		return measureMergeWork(ctx, s)
	case s.Cache != nil:
		return measureCache(ctx, s)
	}
	if work, ok := strings.CutPrefix(s.Measure, "peer-"); ok {
		return measurePeer(ctx, s, work)
	}
	store, err := openStore(ctx, s.Store)
	if err != nil {
		return err
	}
	c, err := cache.Open(filepath.Join(s.Dir, "cache"), 20<<30)
	if err != nil {
		return err
	}
	eng, err := duckdb.Open(duckdb.Options{
		MemoryBytes: s.Memory, Threads: s.Threads, TempDir: filepath.Join(s.Dir, "tmp"), Cache: c,
	})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close() }()
	switch s.Measure {
	case "append":
		return measureAppend(ctx, s, store, eng)
	case "scan":
		return measureScan(ctx, store, eng)
	case "merge":
		return measureMerge(ctx, s, store, eng)
	}
	return fmt.Errorf("nothing is called %q", s.Measure)
}

func openStore(ctx context.Context, url string) (objectstore.Store, error) {
	if dir, ok := strings.CutPrefix(url, "file://"); ok {
		return file.Open(dir, file.Create)
	}
	return s3.Open(ctx, url, s3.Options{
		Endpoint: os.Getenv("AWS_ENDPOINT_URL"), Region: os.Getenv("AWS_REGION"), PathStyle: true,
	})
}

// inputs is the generated data as a relation.
func inputs(s settings, names ...string) (table.Relation, error) {
	data, err := file.Open(s.Dir)
	if err != nil {
		return table.Relation{}, err
	}
	rel := table.Relation{External: &table.External{Format: "parquet"}}
	for _, name := range names {
		st, err := os.Stat(filepath.Join(s.Dir, name))
		if err != nil {
			return table.Relation{}, fmt.Errorf("find the input: %w", err)
		}
		rel.Files = append(rel.Files, table.RelationFile{Store: data, Key: filepath.ToSlash(name), Size: st.Size()})
	}
	return rel, nil
}

func (s settings) inputNames() []string {
	out := make([]string, s.Files)
	for i := range out {
		out[i] = fmt.Sprintf("input/part-%03d.parquet", i)
	}
	return out
}

// measureAppend makes the base table anew and times the append alone.
func measureAppend(ctx context.Context, s settings, store objectstore.Store, eng table.Engine) error {
	if err := clearTable(ctx, store, baseTable); err != nil {
		return err
	}
	schema, err := txlog.ParseColumns(columns)
	if err != nil {
		return err
	}
	t, err := table.CreateTable(ctx, store, baseTable, table.Create{
		Schema:     schema,
		Properties: map[string]string{"delta.targetFileSize": fmt.Sprint(s.fileSize())},
	})
	if err != nil {
		return err
	}
	rel, err := inputs(s, s.inputNames()...)
	if err != nil {
		return err
	}
	start := time.Now()
	r, err := t.Append(ctx, eng, table.Append{Source: table.Query{
		SQL: "SELECT * FROM input", Relations: map[string]table.Relation{"input": rel},
	}})
	if err != nil {
		return err
	}
	return report(time.Since(start).Seconds(), fmt.Sprintf("%d rows, %d files, %d MiB", r.RowsInserted, r.FilesAdded, r.BytesWritten>>20))
}

// fileSize is a target that gives about as many files as the input has.
func (s settings) fileSize() int64 {
	var total int64
	for _, name := range s.inputNames() {
		if st, err := os.Stat(filepath.Join(s.Dir, name)); err == nil {
			total += st.Size()
		}
	}
	return max(1<<20, total/int64(s.Files))
}

func clearTable(ctx context.Context, store objectstore.Store, root string) error {
	var keys []string
	for o, err := range store.List(ctx, root+"/", "") {
		if err != nil {
			return err
		}
		keys = append(keys, o.Key)
	}
	return store.Delete(ctx, keys...)
}

func measureScan(ctx context.Context, store objectstore.Store, eng table.Engine) error {
	if _, err := scan(ctx, store, eng, baseTable); err != nil { // fills the cache of a remote store
		return err
	}
	start := time.Now()
	n, err := scan(ctx, store, eng, baseTable)
	if err != nil {
		return err
	}
	return report(time.Since(start).Seconds(), fmt.Sprintf("%d rows", n))
}

// scan reads the table from its log on and returns its rows.
func scan(ctx context.Context, store objectstore.Store, eng table.Engine, root string) (n int64, err error) {
	t, err := table.Open(ctx, store, root)
	if err != nil {
		return 0, err
	}
	rel, _, err := t.Relation(ctx, table.ScanOptions{})
	if err != nil {
		return 0, err
	}
	rows, err := eng.Query(ctx, table.Query{SQL: "SELECT " + aggregate + " FROM t", Relations: map[string]table.Relation{"t": rel}})
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	for row, err := range rows.All {
		if err != nil {
			return 0, err
		}
		n, _ = row[0].(int64)
	}
	return n, nil
}

// measureMerge copies the base table and times a merge into the copy.
func measureMerge(ctx context.Context, s settings, store objectstore.Store, eng table.Engine) error {
	if err := clearTable(ctx, store, mergedTable); err != nil {
		return err
	}
	if err := copyTable(ctx, store, baseTable, mergedTable); err != nil {
		return err
	}
	t, err := table.Open(ctx, store, mergedTable)
	if err != nil {
		return err
	}
	if _, local := store.(objectstore.Local); !local { // warm cache: what a nightly merge finds
		if _, err := scan(ctx, store, eng, mergedTable); err != nil {
			return err
		}
	}
	rel, err := inputs(s, "source/updates.parquet")
	if err != nil {
		return err
	}
	start := time.Now()
	r, err := t.Merge(ctx, eng, table.Merge{
		Source: table.Query{SQL: "SELECT * FROM updates", Relations: map[string]table.Relation{"updates": rel}},
		On:     "t.id = s.id",
		Clauses: []table.Clause{
			{When: table.Matched, Do: table.DoUpdate, Star: true},
			{When: table.NotMatched, Do: table.DoInsert, Star: true},
		},
	})
	if err != nil {
		return err
	}
	return report(time.Since(start).Seconds(), fmt.Sprintf("updated %d, inserted %d, files matched %d of %d, vectors %d, written %d KiB",
		r.RowsUpdated, r.RowsInserted, r.FilesMatched, r.FilesTotal, r.DeletionVectors, r.BytesWritten>>10))
}

// copyTable copies every object of a table, the log last.
func copyTable(ctx context.Context, store objectstore.Store, from, to string) error {
	for o, err := range store.List(ctx, from+"/", "") {
		if err != nil {
			return err
		}
		if err := copyObject(ctx, store, o, to+strings.TrimPrefix(o.Key, from)); err != nil {
			return err
		}
	}
	return nil
}

func copyObject(ctx context.Context, store objectstore.Store, o objectstore.Info, to string) error {
	return putCopy(ctx, store, o, store, to)
}

// putCopy copies an object to a key of another store.
func putCopy(ctx context.Context, store objectstore.Store, o objectstore.Info, target objectstore.Store, to string) error {
	r, _, err := store.Get(ctx, o.Key, objectstore.Range{})
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	b := make([]byte, o.Size)
	for n := 0; n < len(b); {
		k, err := r.Read(b[n:])
		n += k
		if err != nil && n < len(b) {
			return fmt.Errorf("copy %s: %w", o.Key, err)
		}
	}
	_, err = target.Put(ctx, to, objectstore.Bytes(b), objectstore.CreateOnly)
	return err
}

// measurePeer does the same work in plain DuckDB on plain Parquet.
func measurePeer(ctx context.Context, s settings, work string) error {
	p, err := openPeer(s.Threads, fmt.Sprintf("%dMB", s.Memory>>20))
	if err != nil {
		return err
	}
	out := filepath.Join(s.Dir, "peer-"+work)
	if err := os.RemoveAll(out); err != nil {
		return fmt.Errorf("clear the peer's folder: %w", err)
	}
	// Both scan and rewrite the very files that our append wrote.
	lake, _ := strings.CutPrefix(s.Store, "file://")
	base := fmt.Sprintf("read_parquet('%s')", filepath.Join(lake, baseTable, "*.parquet"))
	target := fmt.Sprintf("TO '%s' (FORMAT parquet, COMPRESSION zstd, FILE_SIZE_BYTES %d)", out, s.fileSize())
	var sql string
	switch work {
	case "append":
		sql = fmt.Sprintf("COPY (SELECT * FROM read_parquet('%s')) %s", filepath.Join(s.Dir, "input", "*.parquet"), target)
	case "scan":
		sql = "SELECT " + aggregate + " FROM " + base
		if err := p.exec(ctx, sql); err != nil { // as warm as ours
			return err
		}
	case "merge":
		var cols []string
		for _, c := range []string{"id", "customer", "ordered_at", "amount", "quantity", "status", "region", "note"} {
			cols = append(cols, fmt.Sprintf("CASE WHEN s.id IS NOT NULL THEN s.%[1]s ELSE t.%[1]s END AS %[1]s", c))
		}
		sql = fmt.Sprintf("COPY (SELECT %s FROM %s t FULL JOIN read_parquet('%s') s ON t.id = s.id) %s",
			strings.Join(cols, ", "), base, dataset{s.Rows, s.Files, s.Dir}.source(), target)
	default:
		return fmt.Errorf("the peer does not know %q", work)
	}
	start := time.Now()
	if err := p.exec(ctx, sql); err != nil {
		return err
	}
	return report(time.Since(start).Seconds(), "")
}

// startMinIO starts a server whose settings the children inherit.
func startMinIO(ctx context.Context) (url string, stop func(), err error) {
	srv, err := miniotest.Launch(ctx, miniotest.Config{})
	if err != nil {
		return "", nil, err
	}
	if err := srv.MakeBucket(ctx, "bench"); err != nil {
		srv.Stop()
		return "", nil, err
	}
	for _, kv := range srv.Environ() {
		name, value, _ := strings.Cut(kv, "=")
		if err := os.Setenv(name, value); err != nil {
			srv.Stop()
			return "", nil, fmt.Errorf("set %s: %w", name, err)
		}
	}
	return "s3://bench", srv.Stop, nil
}
