package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func openEngine(t *testing.T, o Options) *Engine {
	t.Helper()
	if o.TempDir == "" {
		o.TempDir = t.TempDir()
	}
	o.Threads = 2
	e, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// read runs a query to its end and writes its rows as text.
func read(ctx context.Context, e *Engine, q table.Query) (rows []string, err error) {
	r, err := e.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for row, err := range r.All {
		if err != nil {
			return nil, err
		}
		rows = append(rows, fmt.Sprint(row...))
	}
	return rows, nil
}

func mustRead(t *testing.T, e *Engine, q table.Query) []string {
	t.Helper()
	rows, err := read(t.Context(), e, q)
	if err != nil {
		t.Fatalf("%s: %v", q.SQL, err)
	}
	return rows
}

func (p *pool) waiting() []*instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.idle)
}

// numbers writes a file of the rows 0 … n-1 and returns it as a relation.
func numbers(t *testing.T, e *Engine, store *file.Store, n int) table.Relation {
	t.Helper()
	schema, err := txlog.ParseColumns("a long")
	if err != nil {
		t.Fatal(err)
	}
	files, err := e.Write(t.Context(), table.Query{SQL: fmt.Sprintf("SELECT i AS a FROM range(%d) r(i)", n)},
		table.Write{Store: store, Prefix: "t/", Schema: schema})
	if err != nil {
		t.Fatal(err)
	}
	rel := table.Relation{Schema: schema}
	for _, f := range files {
		rel.Files = append(rel.Files, table.RelationFile{Store: store, Key: f.Key, Size: f.Size})
	}
	return rel
}

func openStore(t *testing.T, dir string) *file.Store {
	t.Helper()
	s, err := file.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestCallsUseOneInstanceInTurn(t *testing.T) {
	e := openEngine(t, Options{})
	rel := numbers(t, e, openStore(t, t.TempDir()), 3)
	for range 5 {
		mustRead(t, e, table.Query{SQL: "SELECT * FROM t", Relations: map[string]table.Relation{"t": rel}})
	}
	calls := map[kind]int{}
	for _, in := range e.pool.waiting() {
		calls[in.kind] += in.calls
	}
	if got, want := fmt.Sprint(calls), fmt.Sprint(map[kind]int{{timeZone: "UTC"}: 1, {timeZone: "UTC", ordered: true}: 5}); got != want {
		t.Errorf("calls of instances: %s, want %s", got, want)
	}
}

// What a call does is gone with it, though the next one has the same database.
func TestCallsShareNothing(t *testing.T) {
	e := openEngine(t, Options{})
	store := openStore(t, t.TempDir())
	three, one := numbers(t, e, store, 3), numbers(t, e, store, 1)
	for _, name := range []string{"t", "s.t", "S.t", "main.t", "_lakectl.t", "c.s.t", "memory.s.t"} {
		sql := "SELECT count(*) FROM " + name
		for _, c := range []struct {
			rel  table.Relation
			want string
		}{{three, "3"}, {one, "1"}} {
			if got := mustRead(t, e, table.Query{SQL: sql, Relations: map[string]table.Relation{name: c.rel}}); got[0] != c.want {
				t.Errorf("%s: %s rows, want %s", name, got[0], c.want)
			}
		}
		if rows, err := read(t.Context(), e, table.Query{SQL: sql}); err == nil || !strings.Contains(err.Error(), "not found") {
			t.Errorf("%s is still there: %v, %v", name, rows, err)
		}
	}
	schema := three.Schema
	for _, name := range []string{"t", "s.t", "main.t"} {
		if _, err := e.Parse(t.Context(), table.Parse{SQL: "SELECT * FROM " + name, Schemas: func(table.TableRef) (*txlog.Schema, error) { return schema, nil }}); err != nil {
			t.Error(err)
		}
	}
	for _, zone := range []string{"Asia/Tokyo", "", "UTC", "America/New_York", ""} {
		want := zone
		if want == "" {
			want = "UTC"
		}
		q := table.Query{SQL: "SELECT current_setting('TimeZone')", TimeZone: zone}
		if got := mustRead(t, e, q); got[0] != want {
			t.Errorf("zone %q: the setting is %s", zone, got[0])
		}
	}
	seeded := table.Query{SQL: "SELECT setseed(0.5) IS NULL, random()"}
	mustRead(t, e, seeded)
	first := mustRead(t, e, table.Query{SQL: "SELECT random()"})
	mustRead(t, e, seeded)
	if again := mustRead(t, e, table.Query{SQL: "SELECT random()"}); again[0] == first[0] {
		t.Errorf("random() goes on where another call set its seed: %s", again[0])
	}
	waiting := e.pool.waiting()
	if len(waiting) == 0 {
		t.Error("no instance waits")
	}
	for _, in := range waiting {
		inspect(t, e, in)
	}
}

// inspect looks for what calls have left in an instance.
func inspect(t *testing.T, e *Engine, in *instance) {
	t.Helper()
	s := &session{engine: e, in: in}
	if err := in.connect(&s.conn); err != nil {
		t.Fatal(err)
	}
	defer func() { s.in = &instance{engine: e}; s.close() }()
	for _, sql := range []string{
		"SELECT view_name FROM duckdb_views() WHERE NOT internal", "SELECT table_name FROM duckdb_tables()",
		"SELECT schema_name FROM duckdb_schemas() WHERE NOT internal AND schema_name <> 'main'",
		"SELECT database_name FROM duckdb_databases() WHERE NOT internal AND database_name <> 'memory'",
		"SELECT sequence_name FROM duckdb_sequences()", "SELECT function_name FROM duckdb_functions() WHERE NOT internal",
		"SELECT type_name FROM duckdb_types() WHERE NOT internal", "SELECT name FROM duckdb_secrets()",
		"SELECT tag, memory_usage_bytes FROM duckdb_memory() WHERE memory_usage_bytes + temporary_storage_bytes > 1000000",
	} {
		rows, err := s.all(t.Context(), sql)
		if err != nil || len(rows) > 0 {
			t.Errorf("%+v: %s: %v, %v", in.kind, sql, rows, err)
		}
	}
	err := filepath.WalkDir(in.dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			t.Errorf("%+v: %s stays", in.kind, path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// A locked instance can do no more for a later call than for its first one.
func TestLockHoldsForEveryCall(t *testing.T) {
	e := openEngine(t, Options{})
	root := t.TempDir()
	store := openStore(t, root)
	rel := numbers(t, e, store, 3)
	outside := filepath.Join(root, filepath.FromSlash(rel.Files[0].Key))
	q := table.Query{SQL: "SELECT * FROM t", Relations: map[string]table.Relation{"t": rel}}
	mustRead(t, e, q)
	b, err := e.bind(t.Context(), q, kind{ordered: true}, "")
	if err != nil {
		t.Fatal(err)
	}
	s := b.session
	defer func() { s.close() }()
	if s.in.calls == 0 || len(s.links) != 1 {
		t.Fatalf("the instance has served %d calls and has %d links; want one that was used before", s.in.calls, len(s.links))
	}
	if err := s.exec(t.Context(), "SELECT * FROM t"); err != nil {
		t.Error(err)
	}
	link := s.links[outside]
	for _, sql := range []string{
		"SET lock_configuration = false", "SET enable_external_access = true", "SET allowed_directories = ['/']", "RESET allowed_directories",
		"SET GLOBAL allowed_paths = ['/etc/passwd']", "SET TimeZone = 'Asia/Tokyo'", "SET memory_limit = '100GB'", "SET threads = 64",
		"SET temp_directory = '/tmp'", "PRAGMA enable_external_file_cache", "INSTALL httpfs", "LOAD httpfs",
		"SELECT * FROM read_parquet(" + table.QuoteString(outside) + ")",
		"SELECT * FROM read_text('/etc/passwd')",
		"SELECT * FROM read_text(" + table.QuoteString(filepath.Join(s.in.dir, "spill", "..", "..", "..", "lock")) + ")",
		"SELECT * FROM read_parquet('http://127.0.0.1:1/x.parquet')",
		"ATTACH " + table.QuoteString(filepath.Join(root, "x.db")) + " AS x",
		"COPY (SELECT 1) TO " + table.QuoteString(filepath.Join(root, "x.csv")),
		"EXPORT DATABASE " + table.QuoteString(filepath.Join(root, "x")),
	} {
		if err := s.exec(t.Context(), sql); err == nil {
			t.Errorf("%s: no error", sql)
		}
	}
	s.close()
	if _, err := os.Lstat(link); !os.IsNotExist(err) {
		t.Errorf("the link stays after the call: %v", err)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("the file went with its link: %v", err)
	}
}

// Calls at the same time have databases of their own: none waits for another, and few databases are kept.
func TestCallsDoNotWaitForEachOther(t *testing.T) {
	e := openEngine(t, Options{})
	var open []*table.Rows
	for range idleMax + 4 {
		r, err := e.Query(t.Context(), table.Query{SQL: "SELECT * FROM range(10)"})
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, r)
	}
	for _, r := range open {
		n := 0
		for _, err := range r.All {
			if n++; err != nil {
				t.Fatal(err)
			}
		}
		if n != 10 {
			t.Errorf("%d rows, want 10", n)
		}
		for range 2 { // Close may be called twice
			if err := r.Close(); err != nil {
				t.Error(err)
			}
		}
	}
	if n := len(e.pool.waiting()); n != idleMax {
		t.Errorf("%d instances wait, want %d", n, idleMax)
	}
}

// An instance whose call did not end well may be anything: it ends, too.
func TestInstanceEndsWithItsTrouble(t *testing.T) {
	e := openEngine(t, Options{})
	cancelled, cancel := context.WithCancel(t.Context())
	for name, call := range map[string]func() error{
		"statement that fails": func() error {
			_, err := read(t.Context(), e, table.Query{SQL: "SELECT error('no')"})
			return err
		},
		"statement that is stopped": func() error {
			time.AfterFunc(50*time.Millisecond, cancel)
			r, err := e.Query(cancelled, table.Query{SQL: "SELECT count(*) FROM range(100000000000) a(i), range(1000) b(i) WHERE a.i % 7 = b.i % 5"})
			if err != nil {
				return err
			}
			defer func() { _ = r.Close() }()
			for _, err := range r.All {
				return err
			}
			return nil
		},
		"rows that are left": func() error {
			r, err := e.Query(t.Context(), table.Query{SQL: "SELECT * FROM range(1000000)"})
			if err != nil {
				return err
			}
			for _, err := range r.All {
				return errors.Join(errors.New("left"), err, r.Close())
			}
			return nil
		},
	} {
		if err := call(); err == nil {
			t.Errorf("%s: no error", name)
		}
		if n := len(e.pool.waiting()); n != 0 {
			t.Errorf("%s: %d instances wait", name, n)
		}
	}
}

func TestIdleInstancesEnd(t *testing.T) {
	hands := clock.NewManual(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	e := openEngine(t, Options{Clock: hands})
	for range 2 { // the second time with a new sweeper
		mustRead(t, e, table.Query{SQL: "SELECT 1"})
		for range 2 {
			if n := len(e.pool.waiting()); n != 1 {
				t.Fatalf("%d instances wait, want 1", n)
			}
			if err := hands.Sleepers(t.Context(), 1); err != nil {
				t.Fatal(err)
			}
			hands.Advance(idleTime / 2)
		}
		ended := e.pool.sweeper
		<-ended
		if n := len(e.pool.waiting()); n != 0 {
			t.Errorf("%d instances wait, want none", n)
		}
		if left, err := os.ReadDir(filepath.Join(e.dir, "calls")); err != nil || len(left) > 0 {
			t.Errorf("folders of instances stay: %v, %v", left, err)
		}
	}
}

// A large call leaves nothing large behind.
func TestIdleInstanceIsSmall(t *testing.T) {
	e := openEngine(t, Options{})
	mustRead(t, e, table.Query{SQL: "SELECT count(DISTINCT hash(i)) FROM range(3000000) r(i)"})
	for _, in := range e.pool.waiting() {
		inspect(t, e, in)
	}
}

// Files that cannot be linked are read where they are.
func TestFilesOfAnotherFileSystem(t *testing.T) {
	shm, err := os.MkdirTemp("/dev/shm", "lakectl-test-") //nolint:usetesting // a file system that is not that of temporary files
	if err != nil {
		t.Skip("no second file system:", err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(shm) })
	e := openEngine(t, Options{})
	if sameFileSystem(e.dir, shm, "x") {
		t.Skip("no second file system")
	}
	rel := numbers(t, e, openStore(t, shm), 3)
	q := table.Query{SQL: "SELECT count(*) FROM t", Relations: map[string]table.Relation{"t": rel}}
	if got := mustRead(t, e, q); got[0] != "3" {
		t.Errorf("%s rows, want 3", got[0])
	}
	b, err := e.bind(t.Context(), q, kind{ordered: true}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer b.session.close()
	if b.session.in.shared {
		t.Error("a shared instance can read a file outside of its folder")
	}
}
