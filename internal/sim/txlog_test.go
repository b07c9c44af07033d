package sim_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/internal/sim"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// pairBudget and pairLimits are those of every pair.
func pairBudget() sim.Budget { return sim.Budget{Lost: 1, Late: 1, Crash: ledger.At(0, 1, 1)} }

func pairLimits() sim.Limits { return sim.Limits{Bound: ledger.At(1, 2, 2)} }

// vacuumBudgets are those of the pairs of vacuum, whose calls are the most: a late PUT and a crash come together in the
// long run alone.
func vacuumBudgets() []sim.Budget {
	return ledger.At([]sim.Budget{{Lost: 1}}, []sim.Budget{{Lost: 1, Late: 1}, {Lost: 1, Crash: 1}}, []sim.Budget{pairBudget()})
}

// tallied counts pairs that run side by side, and prints the sum when they have ended.
func tallied(t *testing.T, id string, floor int) *sim.Tally {
	t.Helper()
	tally := &sim.Tally{}
	check := ledger.Open(t, id, floor)
	t.Cleanup(func() {
		check.Count, check.Failed = tally.Distinct, tally.Wrong
		t.Logf("%d cases, %d schedules, %d distinct, %d wrong, lowest bound %d", tally.Cases, tally.Schedules, tally.Distinct, tally.Wrong, tally.Lowest)
	})
	return tally
}

// TestR2Pairs runs every pair of operations under every order of their calls, with faults. The pairs of vacuum and of
// clean-up are TestR2Vacuum and TestR2CleanUp.
func TestR2Pairs(t *testing.T) {
	tally := tallied(t, "R2 pairs", ledger.At(10_000, 50_000, 100_000))
	ops := append(logops.Operations(), logops.RemoveUnread())
	for i, a := range ops {
		for _, b := range ops[i:] {
			t.Run(a.Name+" and "+b.Name, func(t *testing.T) {
				t.Parallel()
				from := logops.TwoFiles
				switch {
				case a.Name == "create" || b.Name == "create":
					from = logops.EmptyFolder
				case b.Name == "checkpoint":
					from = logops.WithCheckpoint
				case b.Name == "restore":
					from = logops.WithHistory
				}
				tally.Add(sim.Must(t, together(build(t, from), pairBudget(), a, b), pairLimits()))
			})
		}
	}
}

// TestR2ThreeAppenders races three blind appends: all of them are committed, whatever is lost or late.
func TestR2ThreeAppenders(t *testing.T) {
	app := logops.Operations()[1]
	limits := sim.Limits{Bound: ledger.At(1, 1, 2)}
	budget := sim.Budget{Lost: 1, Late: ledger.At(0, 1, 1)}
	check := ledger.Open(t, "R2 three appenders", 150)
	r := sim.Must(t, together(build(t, logops.TwoFiles), budget, app, app, app), limits)
	check.Count, check.Failed = r.Distinct, r.Wrong
}

// TestR2RepeatedTask runs the same task of a pipeline in two processes, one of which may die and be started again: its
// rows are there once, whatever happens to the PUTs.
func TestR2RepeatedTask(t *testing.T) {
	var errs map[string]error
	known, from := logops.Oracles{}, build(t, logops.WithHistory)
	work := func(who string, seed uint64) func(context.Context, objectstore.Store) {
		return func(ctx context.Context, s objectstore.Store) {
			errs[who] = fmt.Errorf("%s did not come back", who)
			errs[who] = logops.AppendOnce(ctx, logops.Open(s, seed), who, 2)
		}
	}
	c := sim.Case{
		Budget: sim.Budget{Lost: 1, Late: 1, Crash: 1, Twice: 1}, Fixed: sim.CommitFile,
		Start: func(t *testing.T, w *sim.World) {
			t.Helper()
			fill(t, w, from)
			errs = map[string]error{}
			w.GoAgain("a", work("a", 1), func() { w.Go("a2", work("a2", 2)) })
			w.Go("b", work("b", 3))
		},
		Check: func(t *testing.T, w *sim.World) error {
			t.Helper()
			o, err := known.Read(t.Context(), w.Objects())
			if err != nil {
				return err
			}
			dead := ""
			for _, s := range w.Trace() {
				if strings.HasPrefix(s.How, "crash") {
					dead = s.Actor
				}
			}
			for who, err := range errs {
				if err != nil && who != dead {
					return err
				}
			}
			n := 0
			for f := range o.Live[len(o.Live)-1] {
				if strings.HasPrefix(f, "task-2-") {
					n++
				}
			}
			if n != 1 {
				return fmt.Errorf("the rows of the task are there %d times", n)
			}
			return nil
		},
	}
	check := ledger.Open(t, "R2 repeated task", 1000)
	r := sim.Must(t, c, sim.Limits{Bound: ledger.At(1, 1, 2)})
	check.Count, check.Failed = r.Distinct, r.Wrong
}

// TestR2Three races three operations: between two listings of a rebase a third writer may commit.
func TestR2Three(t *testing.T) {
	byName := map[string]logops.Operation{}
	for _, op := range logops.Operations() {
		byName[op.Name] = op
	}
	check := ledger.Open(t, "R2 three operations", 700)
	for _, names := range [][3]string{
		{"delete", "append", "delete"}, {"overwrite", "append", "append"}, {"update", "append", "overwrite"}, {"optimize", "append", "delete"},
	} {
		t.Run(strings.Join(names[:], ", "), func(t *testing.T) {
			budget := sim.Budget{Lost: ledger.At(0, 0, 1)}
			limits := sim.Limits{Bound: ledger.At(2, 2, 4), Schedules: ledger.At(0, 0, 100_000)}
			r := sim.Must(t, together(build(t, logops.TwoFiles), budget, byName[names[0]], byName[names[1]], byName[names[2]]), limits)
			check.Count += r.Distinct
			check.Failed += r.Wrong
		})
	}
}

// TestR2UnreadRemoves races removes of one file that nobody has read: one of them wins.
func TestR2UnreadRemoves(t *testing.T) {
	check := ledger.Open(t, "R2 unread removes", 200)
	for _, op := range append(logops.Operations()[2:7], logops.RemoveUnread()) {
		t.Run("remove and "+op.Name, func(t *testing.T) {
			r := sim.Must(t, together(build(t, logops.TwoFiles), sim.Budget{Lost: 1}, logops.RemoveUnread(), op), sim.Limits{Bound: 2})
			check.Count += r.Distinct
			check.Failed += r.Wrong
		})
	}
}

// TestR2Settle races two writers for one version through the settle rule itself, without the second look that a rebase
// takes: Committed is ours, Conflict is not.
func TestR2Settle(t *testing.T) {
	type told struct {
		outcome txlog.Outcome
		err     error
		back    bool
	}
	var says [2]told
	names := [2]string{"txn-a", "txn-b"}
	body := func(i int) []byte { return fmt.Appendf(nil, `{"commitInfo":{"txnId":%q}}`+"\n", names[i]) }
	c := sim.Case{
		Budget: sim.Budget{Lost: 1, Late: 1, Twice: 1, Refused: 1, Deaf: 1},
		Start: func(_ *testing.T, w *sim.World) {
			says = [2]told{}
			for i := range says {
				w.Go(names[i], func(ctx context.Context, s objectstore.Store) {
					o, err := logops.Open(s, uint64(i)).Commit(ctx, 0, names[i], body(i))
					says[i] = told{o, err, true}
				})
			}
		},
		Check: func(t *testing.T, w *sim.World) error {
			t.Helper()
			o, err := logops.ReadOracle(t.Context(), w.Objects())
			if err != nil {
				return err
			}
			for i, s := range says {
				ours := len(o.TxnIDs) == 1 && o.TxnIDs[0] == names[i]
				switch {
				case s.outcome == txlog.OutcomeCommitted && !ours, s.outcome == txlog.OutcomeConflict && (ours || len(o.TxnIDs) == 0),
					s.outcome == txlog.OutcomeNone && (ours || !objectstore.Refused(s.err)), !s.back:
					why := "no error"
					if s.err != nil {
						why = s.err.Error()
					}
					return fmt.Errorf("%s was told %v, %s, and the log is %v", names[i], s.outcome, why, o.TxnIDs)
				}
			}
			return nil
		},
	}
	check := ledger.Open(t, "R2 settle", 5000)
	r := sim.Must(t, c, sim.Limits{Bound: ledger.At(3, 3, sim.All)})
	check.Count, check.Failed = r.Distinct, r.Wrong
}
