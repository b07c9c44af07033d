// Package enginetest is the contract of table.Engine as a program: every engine passes it.
package enginetest

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Run checks the whole contract. open returns an engine that is closed when its test ends; it has at least 256 MB of
// memory and of temporary disk.
func Run(t *testing.T, open func(t *testing.T) table.Engine) {
	t.Helper()
	for _, c := range []struct {
		name string
		run  func(s *suite)
	}{
		{"types round trip", (*suite).typesRoundTrip},
		{"decimals of every precision", (*suite).decimals},
		{"nested values", (*suite).nested},
		{"values at the edges", (*suite).edges},
		{"values that do not fit", (*suite).misfits},
		{"output columns", (*suite).outputColumns},
		{"nulls where none may be", (*suite).notNull},
		{"no rows, no files", (*suite).noRows},
		{"partitions", (*suite).partitions},
		{"partitions of every type", (*suite).partitionTypes},
		{"many partitions", (*suite).manyPartitions},
		{"order and file size", (*suite).ordered},
		{"scratch files", (*suite).scratch},
		{"a store that fails leaves nothing", (*suite).failedPut},
		{"deleted and kept rows", (*suite).vectors},
		{"positions", (*suite).positions},
		{"many files", (*suite).manyFiles},
		{"missing and widened columns", (*suite).evolved},
		{"column mapping", (*suite).mapping},
		{"void columns", (*suite).voids},
		{"file names with odd characters", (*suite).oddNames},
		{"files that changed or are gone", (*suite).changedFiles},
		{"statistics", (*suite).statistics},
		{"statistics of odd values", (*suite).oddStatistics},
		{"time zones", (*suite).zones},
		{"timestamps of old writers", (*suite).legacyTimestamps},
		{"csv and json", (*suite).external},
		{"table names and time travel", (*suite).names},
		{"parse: tables", (*suite).parseTables},
		{"parse: output", (*suite).parseOutput},
		{"twins in the output", (*suite).twins},
		{"parse: row by row", (*suite).parseRowWise},
		{"parse: predicates", (*suite).parsePredicates},
		{"skipping changes no answer", (*suite).skipping},
		{"errors in SQL", (*suite).sqlErrors},
		{"errors in late rows", (*suite).lateErrors},
		{"nothing else can be reached", (*suite).sandbox},
		{"cancel", (*suite).cancel},
		{"concurrent calls", (*suite).concurrent},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.run(newSuite(t, open(t)))
		})
	}
}

// suite is one test: an engine and two stores, of which one is files of this machine and the other is not.
type suite struct {
	*testing.T
	engine table.Engine
	local  objectstore.Store
	remote objectstore.Store
}

func newSuite(t *testing.T, e table.Engine) *suite {
	t.Helper()
	local, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = local.Close() })
	return &suite{T: t, engine: e, local: local, remote: mem.New(t.Name())}
}

// relations names the relations of a query.
type relations = map[string]table.Relation

// query returns the rows of a SELECT as text, see text.
func (s *suite) query(sql string, r relations) []string {
	s.Helper()
	rows, err := s.tryQuery(table.Query{SQL: sql, Relations: r})
	if err != nil {
		s.Fatalf("%s: %v", sql, err)
	}
	return rows
}

func (s *suite) tryQuery(q table.Query) ([]string, error) {
	s.Helper()
	rows, err := s.engine.Query(s.Context(), q)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err := rows.Close(); err != nil {
			s.Error(err)
		}
	}()
	var all []string
	for row, err := range rows.All {
		if err != nil {
			return all, err
		}
		if len(row) != len(rows.Columns) {
			s.Errorf("%d values, %d columns", len(row), len(rows.Columns))
		}
		cells := make([]string, len(row))
		for i, v := range row {
			cells[i] = text(v)
		}
		all = append(all, strings.Join(cells, " | "))
	}
	return all, nil
}

// want compares the rows of a SELECT, in any order unless the statement has one.
func (s *suite) want(sql string, r relations, want ...string) {
	s.Helper()
	got := s.query(sql, r)
	want = slices.Clone(want)
	if !strings.Contains(strings.ToLower(sql), "order by") {
		slices.Sort(got)
		slices.Sort(want)
	}
	if d := cmp.Diff(want, got); d != "" {
		s.Errorf("%s: rows (-want +got):\n%s", sql, d)
	}
}

// write runs a Write into the remote store unless w says otherwise.
func (s *suite) write(sql string, w table.Write) []table.WrittenFile {
	s.Helper()
	files, err := s.tryWrite(sql, w)
	if err != nil {
		s.Fatalf("write %s: %v", sql, err)
	}
	return files
}

func (s *suite) tryWrite(sql string, w table.Write) ([]table.WrittenFile, error) {
	s.Helper()
	if w.Store == nil {
		w.Store = s.remote
	}
	if w.Prefix == "" {
		w.Prefix = "t/"
	}
	if len(w.PartitionBy) == 0 {
		w.Stats = txlog.DefaultStatsColumns(w.Schema, w.Mapping, nil, nil)
	} else {
		w.Stats = txlog.DefaultStatsColumns(w.Schema, w.Mapping, w.PartitionBy, nil)
	}
	return s.engine.Write(s.Context(), table.Query{SQL: sql}, w)
}

// relation is the table that written files make.
func relation(w table.Write, files ...table.WrittenFile) table.Relation {
	r := table.Relation{Schema: w.Schema, PartitionColumns: w.PartitionBy, Mapping: w.Mapping}
	for _, f := range files {
		r.Files = append(r.Files, table.RelationFile{Store: f.Store, Key: f.Key, Size: f.Size, ETag: f.ETag, Partition: f.Partition})
	}
	return r
}

// columns reads a list of columns in SQL.
func (s *suite) columns(sql string) *txlog.Schema {
	s.Helper()
	schema, err := txlog.ParseColumns(sql)
	if err != nil {
		s.Fatal(err)
	}
	return schema
}

// keys lists a store.
func (s *suite) keys(store objectstore.Store) []string {
	s.Helper()
	var keys []string
	for info, err := range store.List(s.Context(), "", "") {
		if err != nil {
			s.Fatal(err)
		}
		keys = append(keys, info.Key)
	}
	return keys
}

// wantSQLError demands a *table.SQLError whose message contains every one of words.
func (s *suite) wantSQLError(err error, words ...string) {
	s.Helper()
	e := s.sqlError(err)
	for _, w := range words {
		if !strings.Contains(e.Message, w) {
			s.Errorf("message %q, want it to contain %q", e.Message, w)
		}
	}
}

func (s *suite) sqlError(err error) *table.SQLError {
	s.Helper()
	var e *table.SQLError
	if !errors.As(err, &e) {
		s.Fatalf("error %v (%T), want a *table.SQLError", err, err)
	}
	return e
}

// text writes a value of table.Rows so that different values have different texts.
func text(v any) string {
	switch v := v.(type) {
	case nil:
		return "NULL"
	case bool:
		return strconv.FormatBool(v)
	case int64:
		return strconv.FormatInt(v, 10)
	case float32:
		return strconv.FormatFloat(float64(v), 'g', -1, 32) + "f"
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64) + "d"
	case string:
		return strconv.Quote(v)
	case []byte:
		return "x" + hex.EncodeToString(v)
	case txlog.Decimal:
		return v.String()
	case txlog.Date:
		return v.String()
	case time.Time:
		return v.Format("2006-01-02T15:04:05.000000Z07:00")
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = text(e)
		}
		return "[" + strings.Join(parts, ", ") + "]"
	case []table.MapEntry:
		parts := make([]string, len(v))
		for i, e := range v {
			parts[i] = text(e.Key) + ": " + text(e.Value)
		}
		return "{" + strings.Join(parts, ", ") + "}"
	}
	return fmt.Sprintf("%T?%v", v, v)
}
