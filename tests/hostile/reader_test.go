package hostile

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// report is what the process that reads tells the one that judges.
type report struct {
	Variants []variant `json:"variants"`
	PeakKB   int64     `json:"peak_kb"` // resident memory, as this process alone saw it
	Leak     string    `json:"leak"`
}

// variant is one way to the same table: its files in place, or through the cache as from a bucket.
type variant struct {
	Name    string   `json:"name"`
	Open    string   `json:"open"` // "ok", or the kinds of the error
	Read    string   `json:"read"`
	Fsck    string   `json:"fsck"`
	Vacuum  string   `json:"vacuum"`
	Again   string   `json:"again"` // read after the vacuum
	Rows    []string `json:"rows"`
	Count   int      `json:"count"`
	Strays  []string `json:"strays"`
	Touched int      `json:"touched"`
	Errors  []string `json:"errors"` // for people
	Seconds float64  `json:"seconds"`
}

// memoryBytes is what the engine of a hostile table is told. The process may reach residentMax all in all.
const (
	memoryBytes = 256 << 20
	rowsShown   = 40
)

// kinds names all sentinels that an error matches: exactly these are demanded.
func kinds(err error) string {
	if err == nil {
		return "ok"
	}
	var out []string
	var over *limits.Error
	if errors.As(err, &over) {
		out = append(out, "limit:"+over.Limit)
	}
	for _, k := range []struct {
		name string
		err  error
	}{
		{"not-a-table", txlog.ErrNotATable},
		{"version-gap", txlog.ErrVersionGap},
		{"history-gone", txlog.ErrHistoryGone},
		{"version-not-found", txlog.ErrVersionNotFound},
		{"corrupt-log", txlog.ErrCorruptLog},
		{"unsupported-feature", txlog.ErrUnsupportedFeature},
		{"invalid-protocol", txlog.ErrInvalidProtocol},
		{"file-gone", txlog.ErrFileGone},
		{"deletion-vector", txlog.ErrDeletionVector},
		{"unsupported-type", txlog.ErrUnsupportedType},
		{"path-escape", txlog.ErrPathEscape},
		{"data-file", table.ErrDataFile},
		{"value", table.ErrValue},
		{"invalid-request", table.ErrInvalidRequest},
		{"malformed-parquet", parquetio.ErrMalformed},
		{"invalid-key", objectstore.ErrInvalidKey},
		{"not-found", objectstore.ErrNotFound},
		{"precondition", objectstore.ErrPrecondition},
		{"late", context.DeadlineExceeded},
	} {
		if errors.Is(err, k.err) {
			out = append(out, k.name)
		}
	}
	if len(out) == 0 {
		return "untyped"
	}
	return strings.Join(out, "+")
}

// readTable is what the child process does.
func readTable(t *testing.T, lake, out string) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	var r report
	for _, name := range []string{"folder", "cache"} {
		v := readVariant(t, lake, name)
		r.Variants = append(r.Variants, v)
		if v.Open != "ok" {
			break // there is no file to come by another way
		}
	}
	if err := goleak.Find(before); err != nil {
		r.Leak = err.Error()
	}
	r.PeakKB = peakKB(t)
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(out, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

func readVariant(t *testing.T, lake, name string) (v variant) {
	t.Helper()
	began := time.Now()
	v.Name = name
	folder, err := file.Open(lake)
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{Store: folder, prefix: "t/"}
	var store objectstore.Store = w
	if name == "folder" {
		store = watchedFolder{w, folder}
	}
	eng, err := duckdb.Open(duckdb.Options{MemoryBytes: memoryBytes, Threads: 2, TempDir: t.TempDir(), MaxTempBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	v.use(t.Context(), store, eng)
	if err := errors.Join(eng.Close(), folder.Close()); err != nil {
		t.Fatal(err)
	}
	v.Strays, v.Touched = w.strays, w.touched
	v.Seconds = time.Since(began).Seconds()
	return v
}

func (v *variant) use(ctx context.Context, store objectstore.Store, eng table.Engine) {
	v.Read, v.Vacuum, v.Again = "-", "-", "-"
	tab, err := table.Open(ctx, store, "t")
	v.Open = v.kept("open", err)
	if err == nil {
		v.Rows, v.Count, err = read(ctx, tab, eng)
		if v.Read = v.kept("read", err); err == nil {
			v.Read = "rows"
		}
	}
	v.Fsck = v.check(ctx, store, eng)
	if tab == nil {
		return
	}
	if _, err := tab.Vacuum(ctx, table.Vacuum{DryRun: true}); err != nil {
		v.Vacuum = v.kept("vacuum --dry-run", err)
		return
	}
	v.Vacuum = "ok"
	if v.Name == "folder" {
		return // the next variant wants the table whole
	}
	none := time.Duration(0)
	if _, err = tab.Vacuum(ctx, table.Vacuum{Retain: &none, Force: true}); err != nil {
		v.Vacuum = v.kept("vacuum", err)
		return
	}
	if v.Read == "rows" {
		again, count, err := read(ctx, tab, eng)
		if v.Again = v.kept("read again", err); err == nil && count == v.Count && slices.Equal(again, v.Rows) {
			v.Again = "rows"
		}
	}
}

func (v *variant) kept(what string, err error) string {
	if err != nil {
		text := err.Error()
		v.Errors = append(v.Errors, what+": "+text[:min(len(text), 400)])
	}
	return kinds(err)
}

// read reads every row.
func read(ctx context.Context, tab *table.Table, eng table.Engine) (shown []string, n int, err error) {
	rel, _, err := tab.Relation(ctx, table.ScanOptions{})
	if err != nil {
		return nil, 0, err
	}
	rows, err := eng.Query(ctx, table.Query{SQL: "SELECT * FROM t", Relations: map[string]table.Relation{"t": rel}})
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = rows.Close() }() // only reads
	for row, err := range rows.All {
		if err != nil {
			return nil, 0, err
		}
		if n++; n <= rowsShown {
			shown = append(shown, render(row))
		}
	}
	slices.Sort(shown)
	return shown, n, nil
}

// check is a deep fsck: "sound", the classes of its findings, or the kinds of its error.
func (v *variant) check(ctx context.Context, store objectstore.Store, eng table.Engine) string {
	r, err := table.Check(ctx, store, "t", table.Fsck{Deep: true, Engine: eng})
	if err != nil {
		return "error:" + v.kept("fsck", err)
	}
	var classes []string
	for _, f := range r.Findings {
		if !slices.Contains(classes, string(f.Class)) {
			classes = append(classes, string(f.Class))
		}
		if text := f.String(); len(v.Errors) < 12 {
			v.Errors = append(v.Errors, "fsck: "+text[:min(len(text), 400)])
		}
	}
	if len(classes) == 0 {
		return "sound"
	}
	return strings.Join(classes, "+")
}

// peakKB is the most memory that this process has had. The figure of getrusage starts with that of its parent.
func peakKB(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Logf("no peak memory on this system: %v", err)
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatal("no VmHWM in /proc/self/status")
	return 0
}

func readReport(path string) (*report, error) {
	b, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return nil, err
	}
	r := &report{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("read the report: %w", err)
	}
	return r, nil
}
