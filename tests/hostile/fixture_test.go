package hostile

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// fixture is one hostile table on disk, with what stands beside it and must not be touched:
//
//	outside/canary.parquet            sound rows that a path of the log asks for
//	outside/lake/canary.parquet       the same within the root of the store, outside the table
//	outside/lake/t/…                  the table
type fixture struct {
	t       *testing.T
	outside string // absolute
	table   string // absolute
	rows    []string
	count   int // where rows are too many to list; -1: those of rows
	calls   atomic.Int32
	address string // of a server that counts who calls
}

// canaryValue is what no answer may hold.
const canaryValue = 424242

func newFixture(t *testing.T) *fixture {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, outside: dir, table: filepath.Join(dir, "lake", "t"), count: -1}
	f.must(os.MkdirAll(filepath.Join(f.table, "_delta_log"), 0o755))
	for _, c := range f.canaries() {
		f.must(os.WriteFile(c, longs(canaryValue), 0o644))
	}
	return f
}

func (f *fixture) canaries() []string {
	return []string{filepath.Join(f.outside, "canary.parquet"), filepath.Join(f.outside, "lake", "canary.parquet")}
}

// long ago by both clocks of a file, so that any reading shows: Linux notes the first one after a day.
func longAgo() time.Time { return time.Date(2020, 2, 2, 2, 2, 2, 0, time.UTC) }

func (f *fixture) ageCanaries() {
	for _, c := range f.canaries() {
		f.must(os.Chtimes(c, longAgo(), longAgo()))
	}
}

func (f *fixture) must(err error) {
	f.t.Helper()
	if err != nil {
		f.t.Fatal(err)
	}
}

// serve listens and counts the connections, which shall be none.
func (f *fixture) serve() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	f.must(err)
	var done atomic.Bool
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			f.calls.Add(1)
			_ = c.Close() // nobody is expected
		}
	}()
	f.t.Cleanup(func() {
		done.Store(true)
		_ = l.Close() // it only listened
		<-ended
	})
	return l.Addr().String()
}

// put writes a file of the table; name may be anything that a file system takes.
func (f *fixture) put(name string, b []byte) {
	path := f.table + "/" + name
	f.must(os.MkdirAll(filepath.Dir(path), 0o755))
	f.must(os.WriteFile(path, b, 0o644))
}

func commitName(v int) string { return fmt.Sprintf("_delta_log/%020d.json", v) }

// commit writes the lines of one version, as they are.
func (f *fixture) commit(v int, lines ...string) {
	f.put(commitName(v), []byte(strings.Join(lines, "\n")+"\n"))
}

// stream writes a file piece by piece: the one that builds must stay small, or the system counts its memory to the
// process that it starts.
func (f *fixture) stream(name string, write func(w *bufio.Writer) error) {
	out, err := os.Create(filepath.Join(f.table, name))
	f.must(err)
	w := bufio.NewWriter(out)
	f.must(write(w))
	f.must(w.Flush())
	f.must(out.Close())
}

// The beginnings of tables.
const (
	protocolPlain = `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}`
	protocolDV    = `{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]}}`
	protocolV2    = `{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["v2Checkpoint"],"writerFeatures":["v2Checkpoint"]}}`
	schemaX       = `{"type":"struct","fields":[{"name":"x","type":"long","nullable":true,"metadata":{}}]}`
	schemaText    = `{"type":"struct","fields":[{"name":"x","type":"string","nullable":true,"metadata":{}}]}`
	schemaXY      = `{"type":"struct","fields":[{"name":"x","type":"long","nullable":true,"metadata":{}},{"name":"y","type":"long","nullable":true,"metadata":{}}]}`
)

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}

func metadata(schema string) string {
	return `{"metaData":{"id":"7f6e2c3a-0000-4000-8000-000000000001","format":{"provider":"parquet","options":{}},"schemaString":` +
		quote(schema) + `,"partitionColumns":[],"configuration":{},"createdTime":1700000000000}}`
}

// add is the action for a file; path is the text of the log.
func add(path string, size, rows int64) string {
	stats := ""
	if rows >= 0 {
		stats = `,"stats":` + quote(fmt.Sprintf(`{"numRecords":%d}`, rows))
	}
	return fmt.Sprintf(`{"add":{"path":%s,"partitionValues":{},"size":%d,"modificationTime":1700000000000,"dataChange":true%s}}`, quote(path), size, stats)
}

// withVector is an add with a deletion vector, given as JSON.
func withVector(path string, size, rows int64, vector string) string {
	a := add(path, size, rows)
	return strings.TrimSuffix(a, "}}") + `,"deletionVector":` + vector + "}}"
}

// table starts a table of one version with these files: names as on disk and in the log, which are rarely the same.
func (f *fixture) start(lines ...string) {
	f.commit(0, append([]string{protocolPlain, metadata(schemaX)}, lines...)...)
}

// data is a table of one data file under this schema.
func (f *fixture) data(schema string, rows int64, b []byte) {
	f.put("part-0.parquet", b)
	f.commit(0, protocolPlain, metadata(schema), add("part-0.parquet", int64(len(b)), rows))
}

// want says which rows a reader must see.
func (f *fixture) want(values ...any) {
	for _, v := range values {
		f.rows = append(f.rows, render([]any{v}))
	}
	slices.Sort(f.rows)
}

// render is a row as text: long values by their length alone.
func render(row []any) string {
	parts := make([]string, len(row))
	for i, v := range row {
		if s, ok := v.(string); ok && len(s) > 100 {
			v = fmt.Sprintf("%d × %q", len(s), s[:1])
		}
		parts[i] = fmt.Sprint(v)
	}
	return strings.Join(parts, "|")
}
