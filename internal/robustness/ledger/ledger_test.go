package ledger

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// witness is a test whose failure is looked at instead of reported.
type witness struct {
	testing.TB
	failed   bool
	cleanups []func()
}

func (w *witness) Helper()               {}
func (w *witness) Cleanup(f func())      { w.cleanups = append(w.cleanups, f) }
func (w *witness) Failed() bool          { return w.failed }
func (w *witness) Skipped() bool         { return false }
func (w *witness) Logf(string, ...any)   {}
func (w *witness) Errorf(string, ...any) { w.failed = true }

func TestCountsBelowTheFloorFail(t *testing.T) {
	out := filepath.Join(t.TempDir(), "reliability.jsonl")
	t.Setenv(OutVariable, out)
	t.Setenv(CommitVariable, "abc")
	for _, c := range []struct {
		name          string
		count, failed int
		want          bool
	}{{"busy", 10, 0, false}, {"idle", 9, 0, true}, {"broken", 10, 2, true}} {
		w := &witness{TB: t}
		check := Open(w, c.name, 10)
		check.Count, check.Failed = c.count, c.failed
		w.cleanups[0]()
		if w.failed != c.want {
			t.Errorf("%s failed: %v, want %v", c.name, w.failed, c.want)
		}
	}
	text, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	var last Row
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil || len(lines) != 3 {
		t.Fatalf("%d lines, %v", len(lines), err)
	}
	if last.Date == "" || last.Machine == "" {
		t.Errorf("%+v says neither when nor where", last)
	}
	last.Seconds, last.Date, last.Machine = 0, "", ""
	if want := (Row{ID: "broken", Count: 10, Floor: 10, Failed: 2, Commit: "abc", Scale: Size()}); last != want {
		t.Errorf("%+v, want %+v", last, want)
	}
	if rows, err := Read(out); err != nil || len(rows) != 3 || rows[0].ID != "busy" {
		t.Errorf("read back as %+v, %v", rows, err)
	}
}

func TestSumOfRuns(t *testing.T) {
	same, other := Row{ID: "R5", Count: 10, Seed: 1, Failed: 1, Adds: true}, Row{ID: "R5", Count: 7, Seed: 2, Adds: true}
	for _, c := range []struct {
		name          string
		rows          []Row
		count, failed int
	}{
		{"other seeds add up", []Row{same, other}, 17, 1},
		{"the same seed is the same again", []Row{same, same, other}, 17, 2},
		{"chance without a seed adds up", []Row{{ID: "R7", Count: 5, Adds: true}, {ID: "R7", Count: 6, Adds: true}}, 11, 0},
		{"all schedules are all schedules", []Row{{ID: "R2", Count: 5}, {ID: "R2", Count: 6}, {ID: "R2", Count: 6}}, 6, 0},
		{"nothing", nil, 0, 0},
	} {
		if got := Sum(c.rows); got.Count != c.count || got.Failed != c.failed {
			t.Errorf("%s: count %d, failed %d; want %d, %d", c.name, got.Count, got.Failed, c.count, c.failed)
		}
	}
}
