package duckdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/internal/cache"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// weighed counts the bytes that are read of a store.
type weighed struct {
	objectstore.Store
	bytes, gets atomic.Int64
}

func (w *weighed) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	body, info, err := w.Store.Get(ctx, key, r)
	if err == nil {
		_, n := r.Span(info.Size)
		w.bytes.Add(n)
		w.gets.Add(1)
	}
	return body, info, err
}

// sparseColumns are wide enough that each has bytes of its own, compressed or not.
const sparseColumns = "id long, a long, b double, c string, s struct<x: long, y: string>, l array<long>, m long, n string"

const sparseRows = `SELECT i AS id, (hash(i) %% 1000000007)::BIGINT AS a, hash(i + 1)::DOUBLE / 7 AS b, md5(i::VARCHAR) AS c,
	{'x': (hash(i + 2) %% 1000003)::BIGINT, 'y': md5((i + 1)::VARCHAR)} AS s, [i, (hash(i + 3) %% 1000003)::BIGINT] AS l,
	i %% 10 AS m, md5((i %% 97)::VARCHAR) AS n FROM (SELECT i::BIGINT AS i FROM range(%d, %d) r(i))`

// sparseTables writes the same rows to a folder and to a store whose files are read through the cache.
func sparseTables(t *testing.T, e *Engine, codec string, mapping txlog.ColumnMapping) (local, remote table.Relation, store *weighed) {
	t.Helper()
	schema, err := txlog.ParseColumns(sparseColumns)
	if err != nil {
		t.Fatal(err)
	}
	if mapping != txlog.MappingNone {
		schema, _ = txlog.AssignMapping(schema, 0, func(name string) string { return "col-" + name })
	}
	folder, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = folder.Close() })
	local = table.Relation{Schema: schema, Mapping: mapping}
	for i := range 2 {
		files, err := e.Write(t.Context(), table.Query{SQL: fmt.Sprintf(sparseRows, i*130_000, (i+1)*130_000)},
			table.Write{Store: folder, Prefix: "t/", Schema: schema, Mapping: mapping, Ordered: true, Codec: codec})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			local.Files = append(local.Files, table.RelationFile{Store: folder, Key: f.Key, Size: f.Size})
		}
	}
	store = &weighed{Store: mem.New(t.Name())}
	remote = local
	remote.Files = slices.Clone(local.Files)
	for i, f := range local.Files {
		body, _, err := folder.Get(t.Context(), f.Key, objectstore.Range{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := store.Put(t.Context(), f.Key, objectstore.Bytes(b), objectstore.CreateOnly); err != nil {
			t.Fatal(err)
		}
		remote.Files[i].Store = store
	}
	return local, remote, store
}

// Whatever a statement reads is brought here first: the rows are those of the files in place. Uncompressed pages are the
// hard case, since a hole in one reads as values.
func TestHolesAreNeverRead(t *testing.T) {
	for _, form := range []struct {
		codec   string
		mapping txlog.ColumnMapping
	}{{"none", txlog.MappingNone}, {"zstd", txlog.MappingID}, {"none", txlog.MappingName}} {
		t.Run(fmt.Sprint(form.codec, form.mapping), func(t *testing.T) {
			e := openEngine(t, Options{})
			local, remote, store := sparseTables(t, e, form.codec, form.mapping)
			var size int64
			for _, f := range local.Files {
				size += f.Size
			}
			for _, sql := range sparseStatements() {
				here := map[string]table.Relation{"t": local, "u": local}
				// A store of another name has nothing in the cache.
				fresh := &weighed{Store: store.Store}
				there := remote
				there.Files = slices.Clone(remote.Files)
				for i := range there.Files {
					there.Files[i].Store = renamed{fresh, "mem://" + sql}
				}
				want := mustRead(t, e, table.Query{SQL: sql, Relations: here})
				got, err := read(t.Context(), e, table.Query{SQL: sql, Relations: map[string]table.Relation{"t": there, "u": there}})
				if err != nil {
					t.Errorf("%s: %v", sql, err)
					continue
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s: %d rows, not the %d of the files in place", sql, len(got), len(want))
				}
				t.Logf("%3d %% %2d requests  %s", fresh.bytes.Load()*100/size, fresh.gets.Load(), sql)
				if narrow := strings.Contains(sql, "/* narrow */"); narrow && fresh.bytes.Load()*100/size > 30 {
					t.Errorf("%s: read %d of %d bytes", sql, fresh.bytes.Load(), size)
				}
			}
		})
	}
}

// renamed is a store under another address.
type renamed struct {
	objectstore.Store
	url string
}

func (r renamed) URL() string { return r.url }

func sparseStatements() []string {
	return []string{
		"SELECT count(*) FROM t /* narrow */",
		"SELECT sum(a) FROM t /* narrow */",
		"SELECT sum(s.x) FROM t",
		"SELECT count(*) FROM t WHERE m = 3 /* narrow */",
		"SELECT sum(a) FROM t WHERE m IN (3, 5, 7) AND id > 1000 /* narrow */",
		"SELECT a FROM t ORDER BY a LIMIT 5 /* narrow */",
		"SELECT * FROM t ORDER BY a LIMIT 5",
		"SELECT c, n FROM t WHERE s.y = md5('17')",
		"SELECT id FROM t WHERE n LIKE 'c4%' OR l[2] = 7 ORDER BY id",
		"SELECT count(*), max(t.b) FROM t JOIN u ON t.a = u.a WHERE u.m = 1",
		"SELECT count(*) FROM t WHERE EXISTS (SELECT 1 FROM u WHERE u.a = t.id AND length(u.n) > 3)",
		"SELECT count(*) FROM t WHERE id NOT IN (SELECT a FROM u WHERE m < 5)",
		"WITH x AS (SELECT m, avg(b) AS w FROM t GROUP BY m) SELECT t.n, count(*) FROM t JOIN x ON t.m = x.m WHERE t.b > x.w GROUP BY ALL ORDER BY ALL",
		"SELECT m, id, row_number() OVER (PARTITION BY m ORDER BY b) AS r FROM t QUALIFY r <= 2 ORDER BY m, r",
		"SELECT DISTINCT ON (m) m, c FROM t ORDER BY m, id",
		"SELECT m FROM t UNION ALL SELECT length(n) FROM u ORDER BY 1 LIMIT 7 OFFSET 100",
		"SELECT unnest(l) AS x FROM t WHERE id < 4 ORDER BY x",
		"FROM t SELECT max(c), min(n)",
		"SELECT (SELECT max(b) FROM u WHERE u.m = t.m) AS w, count(*) FROM t GROUP BY ALL ORDER BY 1",
		"SELECT * EXCLUDE (c, s, l) FROM t WHERE a % 1000 = 5 ORDER BY id",
		"PIVOT (SELECT m, a FROM t WHERE m < 3) ON m IN (0, 1, 2) USING sum(a)",
		"SELECT 't1c2' AS text, count(*) FROM t;",
		"SELECT min(COLUMNS('^(a|m|n)$')) FROM t",
		"SELECT count(*) FROM t WHERE id >= 0 AND id < 260000 /* narrow */",
		"SELECT count(*) FROM t WHERE id IS NOT NULL /* narrow */",
		"SELECT count(*) FROM (SELECT id AS a FROM t WHERE id < 5) NATURAL JOIN u",
		"SELECT count(*) FROM (SELECT id + 1000000000 AS a FROM t) JOIN u USING (a)",
		"SELECT max(m), min(m) FROM t WHERE m > 100",
	}
}

// Deleted rows, kept rows, row ids and constants of files keep what they read apart by file.
func TestHolesOfGroups(t *testing.T) {
	e := openEngine(t, Options{})
	local, remote, _ := sparseTables(t, e, "none", txlog.MappingNone)
	first := int64(1000)
	for _, rel := range []*table.Relation{&local, &remote} {
		rel.Files[0].Deleted = roaring64.BitmapOf(1, 2, 3, 129_999)
		rel.Files[1].Only = roaring64.BitmapOf(5, 6, 129_000)
		rel.Files[0].FirstRowID, rel.Files[0].RowVersion = &first, &first
		rel.Position = true
		rel.RowIDs = &table.RowIDs{ID: "_id", Version: "_version", StoredID: "_stored_id", StoredVersion: "_stored_version"}
	}
	for _, sql := range []string{
		"SELECT sum(a), sum(_lake_row), sum(_id) FROM t",
		"SELECT _lake_file, m, count(*) FROM t GROUP BY ALL ORDER BY ALL",
		"SELECT id, _lake_row, _id, _version, n FROM t WHERE m = 5 ORDER BY id LIMIT 20",
		"SELECT count(*) FROM t",
		"SELECT a FROM t WHERE _lake_row = 7 OR _lake_row = 129000 ORDER BY a",
		"SELECT _lake_file, count(*), min(_lake_row), max(_lake_row) FROM t WHERE m = 5 AND n > 'd' GROUP BY 1 ORDER BY 1",
		"SELECT _lake_row, _id FROM t WHERE COLUMNS('^[im]') = 6 OR c = 'x' ORDER BY ALL",
		"SELECT _lake_row FROM t NATURAL JOIN (SELECT 6 AS id, 6 AS m) ORDER BY 1",
		"SELECT _lake_file, _lake_row, c FROM t WHERE _id = 1003 AND id < 50 ORDER BY ALL",
	} {
		want := mustRead(t, e, table.Query{SQL: sql, Relations: map[string]table.Relation{"t": local}})
		if got := mustRead(t, e, table.Query{SQL: sql, Relations: map[string]table.Relation{"t": remote}}); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", sql, got, want)
		}
	}
}

// What is written of files with holes is what stands in them.
func TestHolesAreNotWritten(t *testing.T) {
	e := openEngine(t, Options{})
	local, remote, store := sparseTables(t, e, "none", txlog.MappingNone)
	schema, err := txlog.ParseColumns("id long, n string, p long")
	if err != nil {
		t.Fatal(err)
	}
	var sums []string
	for _, rel := range []table.Relation{local, remote} {
		files, err := e.Write(t.Context(), table.Query{
			SQL: "SELECT id, n, m AS p FROM t WHERE a % 2 = 0;", Relations: map[string]table.Relation{"t": rel},
		}, table.Write{Store: store, Prefix: "o/", Schema: schema, PartitionBy: []string{"p"}})
		if err != nil {
			t.Fatal(err)
		}
		out := table.Relation{Schema: schema, PartitionColumns: []string{"p"}}
		for _, f := range files {
			out.Files = append(out.Files, table.RelationFile{Store: store, Key: f.Key, Size: f.Size, Partition: f.Partition})
		}
		sums = append(sums, mustRead(t, e, table.Query{
			SQL: "SELECT count(*), sum(id), sum(hash(n)::HUGEINT), sum(p) FROM t", Relations: map[string]table.Relation{"t": out},
		})...)
	}
	if len(sums) != 2 || sums[0] != sums[1] {
		t.Errorf("written: %v", sums)
	}
}

// A condition that the statistics of a file decide is not in DuckDB's plan, and so its column was not there when the rows
// were read.
func TestConditionDecidedByStatistics(t *testing.T) {
	e := openEngine(t, Options{})
	schema, err := txlog.ParseColumns("id bigint, a string")
	if err != nil {
		t.Fatal(err)
	}
	rel := table.Relation{Schema: schema, Position: true}
	store := mem.New(t.Name())
	for i := range 4 {
		files, err := e.Write(t.Context(), table.Query{SQL: fmt.Sprintf("SELECT %d::BIGINT AS id, 'a' AS a FROM range(3)", i/2)}, table.Write{Store: store, Schema: schema})
		if err != nil {
			t.Fatal(err)
		}
		f := table.RelationFile{Store: store, Key: files[0].Key, Size: files[0].Size}
		if i%2 == 1 { // another group of files
			f.Deleted = roaring64.BitmapOf(1)
		}
		rel.Files = append(rel.Files, f)
	}
	for id, want := range []string{"[0 3 0 2 1 2 0 2]", "[2 3 0 2 3 2 0 2]", "[]"} {
		got, err := read(t.Context(), e, table.Query{
			SQL:       fmt.Sprintf("SELECT _lake_file, count(*), min(_lake_row), max(_lake_row) FROM t WHERE id = %d GROUP BY 1 ORDER BY 1", id),
			Relations: map[string]table.Relation{"t": rel},
		})
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("id = %d: %v %v, want %s", id, got, err, want)
		}
	}
}

// A column that was not fetched, by a mistake of ours, is an error where it is used and nowhere else.
func TestColumnsNotFetchedFail(t *testing.T) {
	e := openEngine(t, Options{})
	_, remote, _ := sparseTables(t, e, "none", txlog.MappingNone)
	s, err := e.open(t.Context(), kind{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bound{session: s, sql: "SELECT sum(a) FROM t"}
	p := &place{name: "t", relation: remote, ref: &ref{name: "t"}}
	defer func() { b.session.close() }()
	if err := b.admit(t.Context(), []*place{p}, ""); err != nil {
		t.Fatal(err)
	}
	if err := b.createViews(t.Context(), []*place{p}); err != nil {
		t.Fatal(err)
	}
	if err := b.fill(t.Context(), []*place{p}); err != nil {
		t.Fatal(err)
	}
	for sql, want := range map[string]string{
		"SELECT sum(a) FROM t":                          "",
		"SELECT count(*) FROM t":                        "",
		"SELECT sum(b) FROM t":                          "column b was not fetched",
		"SELECT count(*) FROM t WHERE n > 'x'":          "column n was not fetched",
		"SELECT count(*) FROM t WHERE s.x = 3":          "column s was not fetched",
		"SELECT count(*) FROM t x JOIN t y ON x.a=y.id": "column id was not fetched",
	} {
		_, err := b.session.all(t.Context(), sql)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", sql, err, want)
		}
	}
}

func TestFilesGoneOrReplaced(t *testing.T) {
	e := openEngine(t, Options{})
	_, remote, store := sparseTables(t, e, "zstd", txlog.MappingNone)
	q := func(sql string) table.Query {
		return table.Query{SQL: sql, Relations: map[string]table.Relation{"t": remote}}
	}
	mustRead(t, e, q("SELECT sum(a) FROM t"))
	key := remote.Files[1].Key
	body, _, err := store.Get(t.Context(), key, objectstore.Range{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 1
	if _, err := store.Put(t.Context(), key, objectstore.Bytes(b), objectstore.Condition{}); err != nil {
		t.Fatal(err)
	}
	mustRead(t, e, q("SELECT sum(a) FROM t")) // all of it is here
	if _, err := read(t.Context(), e, q("SELECT sum(b) FROM t")); !errors.Is(err, cache.ErrChanged) {
		t.Errorf("a replaced file: %v", err)
	}
	if err := store.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := read(t.Context(), e, q("SELECT max(c) FROM t")); !errors.Is(err, txlog.ErrFileGone) {
		t.Errorf("a file that is gone: %v", err)
	}
}
