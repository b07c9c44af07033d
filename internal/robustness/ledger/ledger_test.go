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
	last.Seconds = 0
	if want := (Row{ID: "broken", Count: 10, Floor: 10, Failed: 2, Commit: "abc"}); last != want {
		t.Errorf("%+v, want %+v", last, want)
	}
}
