package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
)

// programme runs checks and keeps their counts.
type programme struct {
	root   string // of the repository
	bin    string // folder for the compiled tests
	out    string // reliability.jsonl
	logs   string // folder for the output of each check
	commit string
	scale  ledger.Scale
	checks []check
}

// result is one line of the printed table.
type result struct {
	check
	count, floor, failed int
	seed                 uint64
	seconds              float64
	processor            float64 // seconds of processors, those of the programs that it started included
	err                  error   // nil: it passed
	log                  string  // the whole output
	said                 string  // the lines of the output that tell why it failed
}

// do runs one check and adds its rows to the file. further is added to its environment.
func (p *programme) do(ctx context.Context, n int, c check, seed uint64, further ...string) (result, error) {
	r := result{check: c, seed: seed, log: filepath.Join(p.logs, fmt.Sprintf("%02d-%s.log", n, c.id))}
	rows := filepath.Join(p.logs, fmt.Sprintf("%02d-%s.jsonl", n, c.id))
	if err := os.Remove(rows); err != nil && !errors.Is(err, os.ErrNotExist) {
		return r, fmt.Errorf("remove the rows of a run before: %w", err)
	}
	cmd := exec.CommandContext(ctx, p.binary(c), c.direct(p.scale, p.found())...)
	inGroup(cmd)
	cmd.Dir = filepath.Join(p.root, filepath.FromSlash(c.pkg))
	cmd.Env = append(os.Environ(), ledger.ScaleVariable+"="+string(p.scale), ledger.OutVariable+"="+rows, ledger.CommitVariable+"="+p.commit)
	cmd.Env = append(append(cmd.Env, c.environment(p.scale)...), further...)
	if seed != 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("LAKE_SEED=%d", seed))
	}
	began := time.Now()
	output, err := cmd.CombinedOutput()
	r.seconds = time.Since(began).Seconds()
	if s := cmd.ProcessState; s != nil {
		r.processor = (s.UserTime() + s.SystemTime()).Seconds()
	}
	if werr := os.WriteFile(r.log, output, 0o644); werr != nil {
		return r, fmt.Errorf("keep the output: %w", werr)
	}
	if ctx.Err() != nil {
		endGroup(cmd)
		return r, ctx.Err()
	}
	if err != nil {
		r.err, r.said = err, why(string(output))
	}
	return r, p.count(&r, rows, string(output))
}

// count fills the numbers in from the rows that the test wrote, or from its output, and keeps them.
func (p *programme) count(r *result, rows, output string) error {
	found, err := ledger.Read(rows)
	if err != nil {
		return err
	}
	if c := r.counted; c != nil {
		row := ledger.Row{ID: c.id, Count: c.of(output), Floor: c.floor, Seconds: r.seconds, Scale: p.scale, Adds: c.adds, Commit: p.commit}
		if r.err != nil {
			row.Failed = 1
		}
		found = append(found, row)
	}
	for i := range found {
		row := &found[i]
		row.By = r.name()
		r.count += row.Count
		r.floor += row.Floor
		r.failed += row.Failed
		if r.err == nil && row.Count < row.Floor {
			r.err = fmt.Errorf("%s: counted %d of %d", row.ID, row.Count, row.Floor)
		}
		if row.Seed != 0 {
			r.seed = row.Seed
		}
		if err := row.Append(p.out); err != nil {
			return err
		}
	}
	if len(found) == 0 && r.err == nil {
		r.err = errors.New("it counted nothing")
	}
	return nil
}

// of counts in the output of a test.
func (c *counted) of(output string) int {
	all := c.number.FindAllStringSubmatch(output, -1)
	if len(all) == 0 || len(all[0]) == 1 {
		return len(all)
	}
	n, err := strconv.Atoi(all[len(all)-1][1])
	if err != nil {
		return 0
	}
	return n
}

// why picks the lines that a person looks for first.
func why(output string) string {
	telling := regexp.MustCompile(`(?i)--- FAIL|_test\.go:\d+: |repeat|panic|fatal|race|idle|^FAIL|failing input`)
	var out []string
	for _, line := range strings.Split(output, "\n") {
		if telling.MatchString(line) && !strings.Contains(line, "--- PASS") && !strings.HasPrefix(line, "=== ") {
			out = append(out, "    "+strings.TrimSpace(line))
		}
	}
	if most := 25; len(out) > most {
		out = append(out[:most], "    …")
	}
	return strings.Join(out, "\n")
}
