// Package ledger keeps the counts of the reliability programme: one line of JSON for each check that ran.
//
// A count below its floor fails like a violation: a check that no longer does its work must not look like one that
// finds nothing.
package ledger

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// OutVariable names the environment variable with the path of reliability.jsonl. Without it nothing is written.
const OutVariable = "LAKE_RELIABILITY_OUT"

// CommitVariable names the environment variable with the commit under test; without it git is asked.
const CommitVariable = "LAKE_COMMIT"

// Row is what one run of one check has counted.
type Row struct {
	ID      string  `json:"id"`     // "R2", or "R2 append and delete"
	Count   int     `json:"count"`  // distinct traces, inputs or states
	Floor   int     `json:"floor"`  // the least that counts as a run
	Failed  int     `json:"failed"` // of Count
	Seed    uint64  `json:"seed"`   // 0 where nothing is random
	Seconds float64 `json:"seconds"`
	Commit  string  `json:"commit"` // filled by Close
}

// Check is a check that runs. Its fields may be changed until Close.
type Check struct {
	Row
	t     testing.TB
	began time.Time
}

// Open starts a check. It is closed at the end of the test, whatever comes of it: a test that failed counts as at least
// one failure. Where only a subtest or one schedule was asked for there is no floor.
func Open(t testing.TB, id string, floor int) *Check {
	t.Helper()
	if partial() {
		floor = 0
	}
	c := &Check{Row: Row{ID: id, Floor: floor}, t: t, began: time.Now()}
	t.Cleanup(c.close)
	return c
}

// partial tells whether somebody asked for a part of a check: one subtest, or one schedule.
func partial() bool {
	f := flag.Lookup("test.run")
	return f != nil && strings.Contains(f.Value.String(), "/") || os.Getenv("LAKE_SCHEDULE") != ""
}

func (c *Check) close() {
	c.t.Helper()
	c.Seconds = time.Since(c.began).Seconds()
	if c.t.Failed() && c.Failed == 0 {
		c.Failed = 1
	}
	if c.t.Skipped() {
		return
	}
	if c.Failed > 0 && !c.t.Failed() {
		c.t.Errorf("%s: %d of %d failed", c.ID, c.Failed, c.Count)
	}
	if c.Count < c.Floor {
		c.t.Errorf("%s: counted %d, which is below the floor of %d: the check is idle", c.ID, c.Count, c.Floor)
	}
	c.t.Logf("%s: count %d, floor %d, failed %d, seed %d, %.1f s", c.ID, c.Count, c.Floor, c.Failed, c.Seed, c.Seconds)
	if path := os.Getenv(OutVariable); path != "" {
		if err := c.append(path); err != nil {
			c.t.Errorf("%s: %v", c.ID, err)
		}
	}
}

// append writes the line in one call, so that checks of several processes do not mix.
func (c *Check) append(path string) error {
	if c.Commit = os.Getenv(CommitVariable); c.Commit == "" {
		out, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
		if err != nil {
			return fmt.Errorf("ask git for the commit: %w", err)
		}
		c.Commit = strings.TrimSpace(string(out))
	}
	b, err := json.Marshal(c.Row)
	if err != nil {
		return fmt.Errorf("write the count: %w", err)
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("write the count: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write the count: %w", err)
	}
	return nil
}
