// Package ledger keeps the counts of the reliability programme: one line of JSON for each check that ran.
//
// A count below its floor fails like a violation: a check that no longer does its work must not look like one that
// finds nothing.
package ledger

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
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
	Commit  string  `json:"commit"` // of the tree under test
	Scale   Scale   `json:"scale"`
	Adds    bool    `json:"adds,omitempty"` // runs with other seeds add up; otherwise a repeat visits the same again
	Date    string  `json:"date"`           // UTC, to the second
	By      string  `json:"by,omitempty"`   // the check of the programme that ran it
	Machine string  `json:"machine"`
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
	c := &Check{Row: Row{ID: id, Floor: floor, Scale: Size()}, t: t, began: time.Now()}
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
		if err := c.Append(path); err != nil {
			c.t.Errorf("%s: %v", c.ID, err)
		}
	}
}

// Append adds the row to the file and fills in what it does not know yet: commit, date and machine. It writes the line
// in one call, so that checks of several processes do not mix.
func (r *Row) Append(path string) error {
	if r.Commit == "" {
		var err error
		if r.Commit, err = Commit(); err != nil {
			return err
		}
	}
	r.Date, r.Machine = cmp.Or(r.Date, time.Now().UTC().Format(time.RFC3339)), cmp.Or(r.Machine, Machine())
	b, err := json.Marshal(r)
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

// Commit is the commit under test: $LAKE_COMMIT, else what git says.
func Commit() (string, error) {
	if c := os.Getenv(CommitVariable); c != "" {
		return c, nil
	}
	out, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "", fmt.Errorf("ask git for the commit: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// Read returns the rows of a file in the order of their writing; none where there is no file.
func Read(path string) ([]Row, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the counts: %w", err)
	}
	defer func() { _ = f.Close() }()
	var rows []Row
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r Row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("read the counts: line %d: %w", len(rows)+1, err)
		}
		rows = append(rows, r)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read the counts: %w", err)
	}
	return rows, nil
}

// Sum adds up the rows of one check at one commit: what adds is summed over seeds, of the rest the largest counts.
func Sum(rows []Row) Row {
	var total Row
	bySeed := map[uint64]int{}
	for _, r := range rows {
		total.ID, total.Commit, total.Machine, total.Adds, total.Seed = r.ID, r.Commit, r.Machine, r.Adds, r.Seed
		total.Floor = max(total.Floor, r.Floor)
		total.Failed += r.Failed
		total.Seconds += r.Seconds
		total.Date = max(total.Date, r.Date)
		switch {
		case r.Adds && r.Seed == 0:
			bySeed[0] += r.Count
		default:
			bySeed[r.Seed] = max(bySeed[r.Seed], r.Count)
		}
	}
	for _, n := range bySeed {
		if total.Adds {
			total.Count += n
		} else {
			total.Count = max(total.Count, n)
		}
	}
	return total
}
