package sim_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/internal/sim"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/txlog"
)

// cleanUp gives up the history that the log retention no longer covers.
func cleanUp() logops.Operation {
	return logops.Operation{Name: "clean-up", Run: func(ctx context.Context, l *txlog.Log, _ string, r *logops.Report) {
		s, err := l.Latest(ctx)
		if err == nil {
			_, err = l.CleanUp(ctx, s)
		}
		r.Err = err
	}}
}

// longLog is the aged table with a checkpoint of version 2 and one more commit: below the checkpoint all is due, and a
// checkpoint of version 3 makes version 2 due, too.
func longLog(t *testing.T) logops.Fixture {
	t.Helper()
	ctx, s := t.Context(), mem.New("long")
	if err := aged(t).Fill(ctx, s); err != nil {
		t.Fatal(err)
	}
	l := logops.Open(s, 98)
	now, err := l.Latest(ctx)
	if err == nil {
		err = l.Checkpoint(ctx, now)
	}
	if err != nil {
		t.Fatal(err)
	}
	x := l.Begin(now, txlog.Operation{Name: "WRITE"})
	x.Stage(&txlog.Txn{AppID: "app", Version: 1})
	if _, err := x.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	f, err := logops.Dump(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

const longLogNewest = "00000000000000000003" // of longLog

// spared are the objects that nobody changes or takes while ops run on longLog. What is committed meanwhile is young, so
// the log begins at version 3 at the latest; and before there is a checkpoint of version 3 that of version 2 stays, with
// the hint to it.
func spared(ops []logops.Operation) func(key string) bool {
	return func(key string) bool {
		if strings.HasSuffix(key, ".checkpoint.parquet") || strings.HasSuffix(key, "/_last_checkpoint") {
			return !among(ops, "checkpoint")
		}
		return sim.CommitFile(key) && path.Base(key) >= longLogNewest
	}
}

// cleaning is together on a table whose log is due for a clean-up. The oracle reads the commits that went from the
// fixture; readers of what is left come to the same newest version.
func cleaning(from logops.Fixture, b sim.Budget, ops ...logops.Operation) sim.Case {
	c := later(togetherIn(from, b, func(t *testing.T, w *sim.World) (objectstore.Store, error) {
		t.Helper()
		return restored(t, w, from)
	}, ops...))
	c.Fixed = spared(ops)
	check, known := c.Check, judged{}
	c.Check = func(t *testing.T, w *sim.World) error {
		t.Helper()
		if err := check(t, w); err != nil {
			return err
		}
		return known.once(t, w, func() error { return whole(t, w, from) })
	}
	return c
}

// whole demands that the newest version, read from what is left, is what the whole history makes of it.
func whole(t *testing.T, w *sim.World, from logops.Fixture) error {
	t.Helper()
	all, err := restored(t, w, from)
	if err != nil {
		return err
	}
	o, err := logops.ReadOracle(t.Context(), all)
	if err != nil {
		return err
	}
	if err := o.AgreesNewest(t.Context(), w.Objects()); err != nil {
		return fmt.Errorf("after clean-up: %w", err)
	}
	return liveFiles(t, w, all)
}

// restored is the store with the commits that clean-up took. Nothing else of the log may be gone, and those only below a
// checkpoint.
func restored(t *testing.T, w *sim.World, from logops.Fixture) (objectstore.Store, error) {
	t.Helper()
	ctx, all := t.Context(), mem.New("restored")
	left, err := logops.Dump(ctx, w.Objects())
	if err == nil {
		err = left.Fill(ctx, all)
	}
	if err != nil {
		return nil, err
	}
	start := ""
	for info, err := range all.List(ctx, logops.Path+"/_delta_log/", "") {
		if err != nil {
			return nil, err
		}
		if strings.Contains(path.Base(info.Key), ".checkpoint.") {
			start = path.Base(info.Key)[:len(longLogNewest)]
		}
	}
	had := mem.New("had")
	if err := from.Fill(ctx, had); err != nil {
		return nil, err
	}
	for info, err := range had.List(ctx, logops.Path+"/_delta_log/", "") {
		if err != nil {
			return nil, err
		}
		if _, err := all.Head(ctx, info.Key); err == nil {
			continue
		}
		if strings.Contains(info.Key, "/_sidecars/") {
			continue // whether one is missed, reading tells
		}
		if name := path.Base(info.Key); name < "0" || name > ":" || name[:len(longLogNewest)] >= start {
			return nil, fmt.Errorf("%s is gone, and the newest checkpoint is %q", info.Key, start)
		}
		if !sim.CommitFile(info.Key) {
			continue
		}
		if err := from.Restore(ctx, all, info.Key); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// TestR2CleanUp runs log clean-up beside every other operation: whatever goes, nobody misses it.
func TestR2CleanUp(t *testing.T) {
	tally := tallied(t, "R2 clean-up", ledger.At(500, 10_000, 10_000))
	from := longLog(t)
	others := []logops.Operation{cleanUp(), vacuum()}
	for _, op := range logops.Operations() {
		others = append(others, withFiles(op))
	}
	for _, op := range others {
		t.Run("clean-up and "+op.Name, func(t *testing.T) {
			t.Parallel()
			start, budgets := from, []sim.Budget{pairBudget()}
			switch op.Name {
			case "create":
				start = build(t, logops.EmptyFolder)
			case "vacuum":
				budgets = vacuumBudgets()
			}
			for _, b := range budgets {
				tally.Add(sim.Must(t, cleaning(start, b, cleanUp(), op), pairLimits()))
			}
		})
	}
}

// A clean-up that deletes nothing would pass all of that.
func TestCleanUpOfTheLongLogDeletes(t *testing.T) {
	from := longLog(t)
	sim.Must(t, sim.Case{
		Start: func(t *testing.T, w *sim.World) {
			t.Helper()
			fill(t, w, from)
			time.Sleep(60 * 24 * time.Hour)
			w.Go("a", func(ctx context.Context, s objectstore.Store) {
				cleanUp().Run(ctx, logops.Open(s, 1), "a", &logops.Report{})
			})
		},
		Check: func(t *testing.T, w *sim.World) error {
			t.Helper()
			for v := range 4 {
				_, err := w.Objects().Head(t.Context(), fmt.Sprintf("%s/_delta_log/%020d.json", logops.Path, v))
				if gone := errors.Is(err, objectstore.ErrNotFound); gone != (v < 2) {
					return fmt.Errorf("commit %d: %w", v, err)
				}
			}
			return nil
		},
	}, sim.Limits{Bound: sim.All})
}
