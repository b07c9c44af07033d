package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"time"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
)

// longRun goes on where the slice before ended: what is to be done once for a commit comes first, then what is
// repeated with other seeds, always the check that has had the least time.
func (p *programme) longRun(ctx context.Context, out io.Writer, slice time.Duration) error {
	p.scale = ledger.Long
	p.checks = slices.DeleteFunc(p.checks, func(c check) bool { return c.long == nil })
	end, err := p.build(ctx)
	if err != nil {
		return err
	}
	defer end()
	began := time.Now()
	sliced, cancel := context.WithDeadline(ctx, began.Add(slice))
	defer cancel()
	say(out, "commit %s · %s · slice of %v\n\n", p.commit, ledger.Machine(), slice)
	say(out, line, "id", "what", "count", "floor", "seconds", "cpu", "")
	var results []result
	cut := map[string]bool{} // begun in this slice and longer than what was left of it
	for sliced.Err() == nil {
		rows, err := ledger.Read(p.out)
		if err != nil {
			return err
		}
		n := next(p.checks, rows, p.commit, cut)
		if n < 0 {
			break
		}
		c := p.checks[n]
		r, err := p.do(sliced, n, c, seedOf(c, rows, p.commit))
		if errors.Is(err, context.DeadlineExceeded) {
			cut[c.name()] = true
			break
		}
		if err != nil {
			return err
		}
		results = append(results, r)
		print1(out, r, p.scale)
		if r.err != nil && !c.always {
			cut[c.name()] = true
		}
	}
	if err := p.totals(out); err != nil {
		return err
	}
	return p.ended(out, results, time.Since(began))
}

// next is the check to run: the first that was not yet done at this commit, then the one with the least seconds; -1 is
// none.
func next(all []check, rows []ledger.Row, commit string, cut map[string]bool) int {
	least, seconds := -1, 0.0
	for i, c := range all {
		if cut[c.name()] {
			continue
		}
		spent, runs := 0.0, 0
		for _, r := range rows {
			if r.Commit == commit && r.Scale == ledger.Long && r.By == c.name() {
				runs++
				spent += r.Seconds
			}
		}
		if runs > 0 && !c.always {
			continue
		}
		if runs == 0 && !c.always {
			return i
		}
		if least < 0 || spent < seconds {
			least, seconds = i, spent
		}
	}
	return least
}

// seedOf is a seed that the check has not had at this commit; 0 where nothing is random or it takes its own.
func seedOf(c check, rows []ledger.Row, commit string) uint64 {
	if !c.always || c.fuzz != "" {
		return 0
	}
	most := uint64(1) // of the pull request
	for _, r := range rows {
		if r.Commit == commit && r.By == c.name() {
			most = max(most, r.Seed)
		}
	}
	return most + 1
}

// totals prints what the long runs at this commit add up to.
func (p *programme) totals(out io.Writer) error {
	rows, err := ledger.Read(p.out)
	if err != nil {
		return err
	}
	say(out, "\nall slices at %s:\n", p.commit)
	for _, t := range sums(rows, p.commit, ledger.Long) {
		say(out, "  %-40s %12s in %7.0f s, %d failed\n", t.ID, group(t.Count), t.Seconds, t.Failed)
	}
	return nil
}

// sums adds up the rows of one commit and scale, check by check, in the order of the first of each.
func sums(rows []ledger.Row, commit string, scale ledger.Scale) []ledger.Row {
	var order []string
	of := map[string][]ledger.Row{}
	for _, r := range rows {
		if r.Commit != commit || r.Scale != scale {
			continue
		}
		if of[r.ID] == nil {
			order = append(order, r.ID)
		}
		of[r.ID] = append(of[r.ID], r)
	}
	var out []ledger.Row
	for _, id := range order {
		out = append(out, ledger.Sum(of[id]))
	}
	return out
}
