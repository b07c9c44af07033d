package enginetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
)

func (s *suite) zones() {
	w := table.Write{Schema: s.columns("ts timestamp, tn timestamp_ntz")}
	files := s.write("SELECT TIMESTAMPTZ '2024-07-01 00:00:00+00' ts, TIMESTAMP '2024-07-01 00:00:00' tn", w)
	r := relations{"t": relation(w, files...)}
	for _, c := range []struct{ zone, sql, want string }{
		{"", "SELECT ts::VARCHAR, tn::VARCHAR FROM t", `"2024-07-01 00:00:00+00" | "2024-07-01 00:00:00"`},
		{"Asia/Kolkata", "SELECT ts::VARCHAR, tn::VARCHAR FROM t", `"2024-07-01 05:30:00+05:30" | "2024-07-01 00:00:00"`},
		{"America/New_York", "SELECT ts::DATE, ts FROM t", "2024-06-30 | 2024-07-01T00:00:00.000000Z"},
		{"America/New_York", "SELECT count(*) FROM t WHERE ts = '2024-06-30 20:00:00'", "1"},
	} {
		got, err := s.tryQuery(table.Query{SQL: c.sql, Relations: r, TimeZone: c.zone})
		if err != nil || len(got) != 1 || got[0] != c.want {
			s.Errorf("%s in %q: %v, %v, want %s", c.sql, c.zone, got, err, c.want)
		}
	}
	written, err := s.engine.Write(s.Context(), table.Query{SQL: "SELECT '2024-07-01 00:00:00' ts, NULL tn", TimeZone: "Asia/Kolkata"},
		table.Write{Schema: w.Schema, Store: s.remote, Prefix: "z/"})
	if err != nil {
		s.Fatal(err)
	}
	s.want("SELECT ts FROM t", relations{"t": relation(w, written...)}, "2024-06-30T18:30:00.000000Z")
	if _, err := s.tryQuery(table.Query{SQL: "SELECT 1", TimeZone: "Mars/Olympus"}); err == nil {
		s.Error("an unknown time zone was accepted")
	}
}

func (s *suite) sqlErrors() {
	w := table.Write{Schema: s.columns("a int, b string")}
	r := relations{"t": relation(w, s.write("SELECT 1 a, 'x' b", w)...)}
	for _, c := range []struct {
		sql    string
		offset int // -1: any
		words  []string
	}{
		{"SELEC 1", 0, []string{"syntax error"}},
		{"SELECT a,\n  nosuch FROM t", 12, []string{"nosuch"}},
		{"SELECT nofunction(a) FROM t", 7, []string{"nofunction"}},
		{"SELECT * FROM nothing", 14, []string{"nothing", "not found"}},
		{"SELECT * FROM t AT (VERSION => 3)", 14, []string{"VERSION => 3", "not found"}},
		{"SELECT CAST(b AS INTEGER) FROM t", 7, nil},
		{"SELECT a FROM t; SELECT a FROM t", -1, []string{"one SELECT"}},
		{"DROP TABLE t", -1, []string{"SELECT"}},
		{"INSERT INTO t VALUES (1, 'x')", -1, []string{"SELECT"}},
		{"SELECT ?", -1, nil},
		{"SHOW TABLES", -1, nil},
		{"", -1, nil},
		{"SELECT 1 \x00", -1, nil},
	} {
		rows, err := s.tryQuery(table.Query{SQL: c.sql, Relations: r})
		if err == nil {
			s.Errorf("%q was accepted: %v", c.sql, rows)
			continue
		}
		s.wantSQLError(err, c.words...)
		e := s.sqlError(err)
		if c.offset >= 0 && e.Offset != c.offset {
			s.Errorf("%q: offset %d, want %d (%s)", c.sql, e.Offset, c.offset, e.Message)
		}
		if e.SQL != c.sql {
			s.Errorf("%q: the error is about %q", c.sql, e.SQL)
		}
		_, err = s.tryWrite(c.sql, w)
		if err == nil {
			s.Errorf("write of %q was accepted", c.sql)
		}
	}
	for _, sql := range []string{"SELECT a, b FROM t;", "SELECT a, b FROM t -- done", "SELECT a, b FROM t; -- done\n", "FROM t", "WITH x AS (FROM t) FROM x"} {
		s.want(sql, r, `1 | "x"`)
		_, err := s.engine.Write(s.Context(), table.Query{SQL: sql, Relations: r}, table.Write{Schema: w.Schema, Store: s.remote, Prefix: "e/"})
		if err != nil {
			s.Errorf("write %q: %v", sql, err)
		}
	}
}

// lateErrors checks that a row that fails after many others ends the rows with its error: they never just stop.
func (s *suite) lateErrors() {
	for _, at := range []int{5, 100_000, 4_999_999} {
		got, err := s.tryQuery(table.Query{
			SQL: fmt.Sprintf("SELECT i, CASE WHEN i = %d THEN error('row too many') END FROM range(5000000) r(i)", at),
		})
		if err == nil {
			s.Errorf("error in row %d: %d rows and no error", at, len(got))
			continue
		}
		s.wantSQLError(err, "row too many")
		if len(got) > at {
			s.Errorf("error in row %d: %d rows came before it", at, len(got))
		}
	}
}

func (s *suite) sandbox() {
	secret := filepath.Join(s.TempDir(), "secret.csv")
	if err := os.WriteFile(secret, []byte("a\nsecret-value\n"), 0o600); err != nil {
		s.Fatal(err)
	}
	target := filepath.Join(s.TempDir(), "stolen.csv")
	quoted := table.QuoteString(secret)
	for _, sql := range []string{
		"SELECT * FROM read_csv(" + quoted + ")", "SELECT * FROM read_text(" + quoted + ")", "SELECT * FROM read_blob(" + quoted + ")",
		"SELECT * FROM " + quoted, "SELECT * FROM read_parquet(" + quoted + ")", "SELECT * FROM read_json(" + quoted + ")",
		"SELECT * FROM glob('/etc/*')", "SELECT * FROM sniff_csv(" + quoted + ")",
		"SELECT * FROM query('SELECT * FROM read_csv(' || chr(39) || '" + secret + "' || chr(39) || ')')",
		"SELECT * FROM query_table(['" + secret + "'])", "SELECT * FROM read_csv('https://example.com/x.csv')",
		"COPY (SELECT 1) TO " + table.QuoteString(target), "ATTACH " + table.QuoteString(target) + " AS x", "INSTALL httpfs", "LOAD httpfs",
		"SET threads = 1", "SET allowed_paths = ['/']", "RESET lock_configuration", "PRAGMA database_list", "CREATE TABLE x (a INT)",
		"EXPORT DATABASE " + table.QuoteString(target), "CALL pragma_version()", "CHECKPOINT", "SELECT * FROM duckdb_settings()",
		"SELECT * FROM duckdb_secrets()", "SELECT * FROM information_schema.tables", "SELECT * FROM pg_catalog.pg_class",
		"SELECT * FROM duckdb_temporary_files()", "SELECT * FROM pragma_table_info('t')", "SELECT 1; COPY (SELECT 1) TO " + table.QuoteString(target),
	} {
		rows, err := s.tryQuery(table.Query{SQL: sql})
		if err == nil {
			s.Errorf("%s gave %v", sql, rows)
		} else if strings.Contains(err.Error(), "secret-value") {
			s.Errorf("%s: the error shows what it could not read: %v", sql, err)
		}
		if _, err := s.engine.Write(s.Context(), table.Query{SQL: sql}, table.Write{Schema: s.columns("a string"), Store: s.remote}); err == nil {
			s.Errorf("write of %s was accepted", sql)
		}
	}
	if _, err := os.Stat(target); err == nil {
		s.Error("a file was written")
	}
	if keys := s.keys(s.remote); len(keys) > 0 {
		s.Errorf("objects were written: %v", keys)
	}
}

// slow is a SELECT that runs for minutes.
const slow = "SELECT count(*) AS n FROM range(1000000000) a(i), range(1000) b(j) WHERE hash(i + j) = 1"

func (s *suite) cancel() {
	for _, run := range []func(context.Context) error{
		func(ctx context.Context) error {
			rows, err := s.engine.Query(ctx, table.Query{SQL: slow})
			if err != nil {
				return err
			}
			defer func() { _ = rows.Close() }()
			for _, err := range rows.All {
				return err
			}
			return nil
		},
		func(ctx context.Context) error {
			_, err := s.engine.Write(ctx, table.Query{SQL: slow}, table.Write{Schema: s.columns("n bigint"), Store: s.remote, Prefix: "c/"})
			return err
		},
	} {
		ctx, stop := context.WithCancel(s.Context())
		done := make(chan error, 1)
		go func() { done <- run(ctx) }()
		select {
		case err := <-done:
			s.Fatalf("ended by itself: %v", err)
		case <-time.After(200 * time.Millisecond):
		}
		stop()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				s.Errorf("error %v, want context.Canceled", err)
			}
		case <-time.After(20 * time.Second):
			s.Fatal("still running 20 s after cancel")
		}
	}
	if keys := s.keys(s.remote); len(keys) > 0 {
		s.Errorf("objects were written: %v", keys)
	}
	ctx, stop := context.WithCancel(s.Context())
	stop()
	if _, err := s.engine.Query(ctx, table.Query{SQL: "SELECT 1"}); !errors.Is(err, context.Canceled) {
		s.Errorf("query after cancel: %v", err)
	}
	if _, err := s.engine.Parse(ctx, table.Parse{SQL: "SELECT 1"}); !errors.Is(err, context.Canceled) {
		s.Errorf("parse after cancel: %v", err)
	}
	// rows that nobody reads to the end
	rows, err := s.engine.Query(s.Context(), table.Query{SQL: "SELECT i FROM range(10000000) r(i)"})
	if err != nil {
		s.Fatal(err)
	}
	for _, err := range rows.All {
		if err != nil {
			s.Error(err)
		}
		break
	}
	if err := rows.Close(); err != nil {
		s.Error(err)
	}
	if err := rows.Close(); err != nil {
		s.Errorf("second close: %v", err)
	}
}

func (s *suite) concurrent() {
	w := table.Write{Schema: s.columns("id int")}
	r := relations{"t": relation(w, s.write("SELECT i::INT id FROM range(1000) r(i)", w)...)}
	var wait sync.WaitGroup
	for range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			got, err := s.tryQuery(table.Query{SQL: "SELECT sum(id) FROM t", Relations: r})
			if err != nil || len(got) != 1 || got[0] != "499500" {
				s.Errorf("%v, %v", got, err)
			}
			if _, err := s.engine.Parse(s.Context(), table.Parse{SQL: "SELECT sum(id) FROM t"}); err != nil {
				s.Error(err)
			}
			if _, err := s.tryWrite("SELECT 1 id", w); err != nil {
				s.Error(err)
			}
		}()
	}
	wait.Wait()
}

// RunBounded checks that memory and temporary disk have bounds. open returns an engine with these bounds, in bytes.
func RunBounded(t *testing.T, open func(t *testing.T, memory, temp int64) table.Engine) {
	t.Helper()
	const mib = 1 << 20
	const sorted = "SELECT hash(i) AS h, i FROM range(%d) r(i) ORDER BY h"
	schema := newSuite(t, nil).columns("h string, i bigint")
	write := func(t *testing.T, memory, temp int64, sql string, by ...string) error {
		t.Helper()
		_, err := open(t, memory, temp).Write(t.Context(), table.Query{SQL: sql},
			table.Write{Schema: schema, Store: mem.New(t.Name()), Prefix: "b/", Ordered: len(by) == 0, PartitionBy: by})
		return err
	}
	t.Run("a sort larger than memory spills", func(t *testing.T) {
		if err := write(t, 200*mib, 2048*mib, strings.Replace(sorted, "%d", "4000000", 1)); err != nil {
			t.Error(err)
		}
	})
	t.Run("temporary disk", func(t *testing.T) {
		over := limitOf(t, write(t, 200*mib, 10*mib, strings.Replace(sorted, "%d", "20000000", 1)))
		if over != nil && over.Limit != "temp_disk" && over.Limit != "memory" {
			t.Errorf("limit %s", over.Limit)
		}
	})
	t.Run("memory", func(t *testing.T) {
		err := write(t, 100*mib, 2048*mib, "SELECT string_agg(md5(i::VARCHAR), '') AS h, 1 AS i FROM range(20000000) r(i)")
		if over := limitOf(t, err); over != nil && over.Limit != "memory" {
			t.Errorf("limit %s", over.Limit)
		}
	})
	t.Run("more partitions than memory holds at once", func(t *testing.T) {
		err := write(t, 200*mib, 2048*mib, "SELECT md5((i % 1000)::VARCHAR) AS h, i FROM range(1000000) r(i)", "h")
		if err != nil {
			t.Error(err)
		}
	})
	t.Run("rows stream", func(t *testing.T) {
		rows, err := open(t, 200*mib, 2048*mib).Query(t.Context(), table.Query{SQL: "SELECT i, md5(i::VARCHAR) FROM range(10000000) r(i)"})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = rows.Close() }()
		n := 0
		for _, err := range rows.All {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 10000000 {
			t.Errorf("%d rows", n)
		}
	})
}

func limitOf(t *testing.T, err error) *limits.Error {
	t.Helper()
	var over *limits.Error
	if !errors.As(err, &over) {
		t.Errorf("error %v (%T), want a *limits.Error", err, err)
		return nil
	}
	if over.Setting == "" {
		t.Error("the error does not name its setting")
	}
	return over
}
