package hostile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
)

// What one table may cost: memory of the whole process that reads it twice, engine included; time on a processor, and
// by the clock on a machine that has other things to do.
const (
	residentMax  = 512 << 20
	processorMax = 20 * time.Second
	clockMax     = 2 * time.Minute
)

// Variables that make this test binary the process that reads.
const (
	lakeVariable   = "LAKE_HOSTILE_LAKE"
	reportVariable = "LAKE_HOSTILE_REPORT"
)

// listed is a line of tables.txt.
type listed struct {
	class, name              string
	open, read, fsck, vacuum string
}

// least is how many tables each class has at least (reliability, R8).
func least() map[string]int {
	return map[string]int{"names": 14, "json": 12, "parquet": 14, "vectors": 8, "protocol": 6, "checkpoint": 6}
}

func builders() map[string]map[string]func(f *fixture) {
	return map[string]map[string]func(f *fixture){
		"names": names(), "json": jsons(), "parquet": parquets(), "vectors": vectors(), "protocol": protocols(), "checkpoint": checkpoints(),
	}
}

func list(t *testing.T) []listed {
	t.Helper()
	file, err := os.Open(filepath.Join("testdata", "hostile", "tables.txt"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }() // read only
	var out []listed
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if line := lines.Text(); line != "" && line[0] != '#' {
			f := strings.Fields(line)
			if len(f) != 6 {
				t.Fatalf("tables.txt: %q has %d fields, want 6", line, len(f))
			}
			out = append(out, listed{f[0], f[1], f[2], f[3], f[4], f[5]})
		}
	}
	return out
}

// A table without a line, or a line without a table, would be a hole in the list.
func TestListIsComplete(t *testing.T) {
	seen, perClass := map[string]bool{}, map[string]int{}
	for _, l := range list(t) {
		if builders()[l.class][l.name] == nil {
			t.Errorf("%s/%s is listed, nothing builds it", l.class, l.name)
		}
		if seen[l.class+"/"+l.name] {
			t.Errorf("%s/%s is listed twice", l.class, l.name)
		}
		seen[l.class+"/"+l.name] = true
		perClass[l.class]++
	}
	for class, tables := range builders() {
		for name := range tables {
			if !seen[class+"/"+name] {
				t.Errorf("%s/%s is built and not listed", class, name)
			}
		}
		if perClass[class] < least()[class] {
			t.Errorf("%d tables of %s, want %d", perClass[class], class, least()[class])
		}
	}
}

// TestReader is the process that reads; it does nothing where nobody asks.
func TestReader(t *testing.T) {
	lake := os.Getenv(lakeVariable)
	if lake == "" {
		t.Skip("this is the child process of TestR8")
	}
	readTable(t, lake, os.Getenv(reportVariable))
}

// TestR8 reads every hostile table.
func TestR8(t *testing.T) {
	check := ledger.Open(t, "R8", 60)
	if !noticesReading(t) {
		t.Log("this file system does not note when a file is read: canaries are compared by content and change alone")
	}
	var mu sync.Mutex // guards the counts; a leaf lock
	for _, l := range list(t) {
		t.Run(l.class+"/"+l.name, func(t *testing.T) {
			t.Parallel()
			t.Cleanup(func() {
				mu.Lock()
				defer mu.Unlock()
				check.Count++
				if t.Failed() {
					check.Failed++
				}
			})
			build := builders()[l.class][l.name]
			if build == nil {
				t.Fatal("nothing builds it")
			}
			judge(t, l, build)
		})
	}
}

func judge(t *testing.T, l listed, build func(f *fixture)) {
	t.Helper()
	f := newFixture(t)
	build(f)
	f.ageCanaries()
	r, cost := f.readInChild()
	if r == nil {
		return
	}
	for _, v := range r.Variants {
		bad := func(format string, args ...any) {
			t.Helper()
			t.Errorf("%s: %s\n    %s", v.Name, fmt.Sprintf(format, args...), strings.Join(v.Errors, "\n    "))
		}
		for _, c := range []struct{ what, got, want string }{
			{"open", v.Open, l.open}, {"read", v.Read, l.read}, {"fsck", v.Fsck, l.fsck}, {"vacuum", v.Vacuum, l.vacuum},
		} {
			if c.got != c.want {
				bad("%s ends in %q, want %q", c.what, c.got, c.want)
			}
		}
		if strings.Contains(v.Open+v.Read+v.Fsck+v.Vacuum, "untyped") {
			bad("an error without a kind")
		}
		if len(v.Strays) > 0 {
			bad("touched outside the table: %q", v.Strays)
		}
		if v.Touched == 0 {
			bad("touched nothing at all: nobody watched")
		}
		if v.Again != "-" && v.Again != v.Read {
			bad("after the vacuum a read ends in %q", v.Again)
		}
		if v.Read == "rows" {
			f.compare(v, bad)
		}
	}
	if want := 2; len(r.Variants) != want && l.open == "ok" {
		t.Errorf("%d variants were read, want %d", len(r.Variants), want)
	}
	if r.Leak != "" {
		t.Errorf("goroutines stay: %s", r.Leak)
	}
	if peak := max(r.PeakKB<<10, 0); peak > residentMax {
		t.Errorf("resident memory reached %d MiB, at most %d are allowed", peak>>20, residentMax>>20)
	}
	if cost.processor > processorMax {
		t.Errorf("took %v of a processor, at most %v are allowed", cost.processor, processorMax)
	}
	f.untouched()
	t.Logf("open %s, read %s, fsck %s, vacuum %s; %d MiB, %.2f s of a processor, %.2f s", r.Variants[0].Open, r.Variants[0].Read,
		r.Variants[0].Fsck, r.Variants[len(r.Variants)-1].Vacuum, r.PeakKB>>10, cost.processor.Seconds(), cost.clock.Seconds())
}

func (f *fixture) compare(v variant, bad func(string, ...any)) {
	want := f.count
	if want < 0 {
		want = len(f.rows)
		if !slices.Equal(v.Rows, f.rows) {
			bad("rows %q, want %q", v.Rows, f.rows)
		}
	}
	if v.Count != want {
		bad("%d rows, want %d", v.Count, want)
	}
	if slices.ContainsFunc(v.Rows, func(r string) bool { return strings.Contains(r, fmt.Sprint(canaryValue)) }) {
		bad("rows of a canary")
	}
}

type cost struct{ processor, clock time.Duration }

// readInChild reads the table in another process; nil when that did not end well.
func (f *fixture) readInChild() (*report, cost) {
	t := f.t
	t.Helper()
	out := filepath.Join(t.TempDir(), "report.json")
	ctx, cancel := context.WithTimeout(t.Context(), clockMax)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestReader$", "-test.timeout=0")
	cmd.Env = append(os.Environ(), lakeVariable+"="+filepath.Join(f.outside, "lake"), reportVariable+"="+out, ledger.OutVariable+"=")
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	began := time.Now()
	err := cmd.Run()
	took := cost{clock: time.Since(began)}
	if cmd.ProcessState != nil {
		took.processor = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	if ctx.Err() != nil {
		t.Errorf("it hangs: not done after %v", clockMax)
		return nil, took
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		text := said.String()
		t.Errorf("the process that reads ended with %v (signal %v):\n%s", err, signalOf(exit), text[:min(len(text), 3000)])
		return nil, took
	}
	f.must(err)
	r, err := readReport(out)
	f.must(err)
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok && r.PeakKB == 0 {
		r.PeakKB = usage.Maxrss // with that of this process as its least
	}
	return r, took
}

func signalOf(exit *exec.ExitError) string {
	if w, ok := exit.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return w.Signal().String()
	}
	return "none"
}

// untouched compares what stands beside the table with what was put there.
func (f *fixture) untouched() {
	f.t.Helper()
	for _, c := range f.canaries() {
		st, err := os.Stat(c)
		f.must(err)
		if at, ok := readAt(st); ok && !at.Equal(longAgo()) {
			f.t.Errorf("%s was read at %v", c, at)
		}
		if !st.ModTime().Equal(longAgo()) {
			f.t.Errorf("%s was changed at %v", c, st.ModTime())
		}
		b, err := os.ReadFile(c)
		f.must(err)
		if !bytes.Equal(b, longs(canaryValue)) {
			f.t.Errorf("%s has other bytes", c)
		}
	}
	entries, err := os.ReadDir(f.outside)
	f.must(err)
	if len(entries) != len(f.canaries()) { // canary.parquet and lake
		f.t.Errorf("beside the lake stand now %v", entries)
	}
	if n := f.calls.Load(); n > 0 {
		f.t.Errorf("%d connections to an address of the log", n)
	}
}

// noticesReading tells whether a read shows in the times of a file here.
func noticesReading(t *testing.T) bool {
	t.Helper()
	name := filepath.Join(t.TempDir(), "probe")
	if err := os.WriteFile(name, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, longAgo(), longAgo()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(name); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(name)
	if err != nil {
		t.Fatal(err)
	}
	at, ok := readAt(st)
	return ok && !at.Equal(longAgo())
}
