package sim_test

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
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

// sidecarLog is a table whose checkpoints of versions 1 and 3 have sidecars. Below version 3 all is due for a clean-up:
// commits, the first checkpoint with its sidecar, and a sidecar that a dead writer left without a checkpoint.
func sidecarLog(t *testing.T) logops.Fixture {
	t.Helper()
	ctx, s := t.Context(), mem.New("sidecars")
	l := logops.Open(s, 97)
	x, err := logops.CreateWith(l, map[string]string{"delta.checkpointPolicy": "v2"})
	if err != nil {
		t.Fatal(err)
	}
	x.Stage(logops.Add("f0", true), logops.Add("f1", true))
	for v := range txlog.Version(5) {
		if _, err := x.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		now, err := l.Latest(ctx)
		if err == nil && v%2 == 1 {
			err = l.Checkpoint(ctx, now)
		}
		if err != nil {
			t.Fatal(err)
		}
		x = l.Begin(now, txlog.Operation{Name: "WRITE"})
		x.Stage(logops.Add(fmt.Sprintf("of-%d", v+1), true))
	}
	for _, name := range []string{"f0", "f1", "of-1", "of-2", "of-3", "of-4", "_delta_log/_sidecars/0rphan.parquet"} {
		putFile(t, s, name)
	}
	f, err := logops.Dump(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// sidecarNewest is the newest version of sidecarLog, and of its checkpoints.
const sidecarNewest, sidecarCheckpoint = 4, 3

// besideSidecars is cleaning on sidecarLog. Every version that the log still reaches must read as it was: the newest, and
// each that has a checkpoint and all commits after it.
func besideSidecars(from logops.Fixture, b sim.Budget, ops ...logops.Operation) sim.Case {
	c := cleaning(from, b, ops...)
	c.Fixed = func(key string) bool {
		return sim.CommitFile(key) && path.Base(key) >= fmt.Sprintf("%020d", sidecarNewest)
	}
	check, known := c.Check, judged{}
	c.Check = func(t *testing.T, w *sim.World) error {
		t.Helper()
		if err := check(t, w); err != nil {
			return err
		}
		return known.once(t, w, func() error { return reachable(t, w, from) })
	}
	return c
}

// reachable reads every version that what is left of the log reaches from a checkpoint.
func reachable(t *testing.T, w *sim.World, from logops.Fixture) error {
	t.Helper()
	all, err := restored(t, w, from)
	if err != nil {
		return err
	}
	o, err := logops.ReadOracle(t.Context(), all)
	if err != nil {
		return err
	}
	var checkpoints []int
	newest := len(o.Live) - 1
	commits := map[int]bool{}
	for info, err := range w.Objects().List(t.Context(), logops.Path+"/_delta_log/", "") {
		if err != nil {
			return err
		}
		name := path.Base(info.Key)
		v, err := strconv.Atoi(name[:min(20, len(name))])
		switch {
		case err != nil || strings.Contains(info.Key, "/_sidecars/"):
		case sim.CommitFile(info.Key):
			commits[v] = true
		case strings.Contains(name, ".checkpoint."):
			checkpoints = append(checkpoints, v)
		}
	}
	for _, c := range slices.Compact(checkpoints) {
		whole := true
		for v := c + 1; v <= newest; v++ {
			whole = whole && commits[v]
		}
		if !whole {
			continue
		}
		snap, err := logops.Open(w.Objects(), 1000).At(t.Context(), txlog.Version(c))
		if err == nil {
			err = o.Same(snap)
		}
		if err != nil {
			return fmt.Errorf("the checkpoint of version %d: %w", c, err)
		}
	}
	return nil
}

// latest reads the newest version, which works whatever goes meanwhile.
func latest() logops.Operation {
	return logops.Operation{Name: "read", Run: func(ctx context.Context, l *txlog.Log, _ string, r *logops.Report) {
		_, r.Err = l.Latest(ctx)
	}}
}

// compact writes a compaction of the newest versions.
func compact() logops.Operation {
	return logops.Operation{Name: "compact", Run: func(ctx context.Context, l *txlog.Log, _ string, r *logops.Report) {
		s, err := l.Latest(ctx)
		if err == nil {
			err = l.Compact(ctx, sidecarNewest-2, s.Version())
		}
		r.Err = err
	}}
}

// upkeep lists what is done to a log by nobody's order. Who dies half-way begins again.
func upkeep() []logops.Operation {
	ops := []logops.Operation{cleanUp(), logops.Operations()[8], compact()}
	for i := range ops {
		ops[i].Restarts = true
	}
	return ops
}

// TestR2Sidecars runs the upkeep of a log whose checkpoints have sidecars beside itself and beside changes, with crashes
// after which it begins again: no sidecar goes that a checkpoint needs, and readers find what they look for.
func TestR2Sidecars(t *testing.T) {
	tally := tallied(t, "R2 sidecars", ledger.At(200, 3_000, 10_000))
	from := sidecarLog(t)
	work := upkeep()
	others := append(slices.Clone(work), latest())
	for _, op := range logops.Operations() {
		if op.Name == "append" || op.Name == "restore" { // a change, and one that reads old versions
			others = append(others, withFiles(op))
		}
	}
	type extent struct {
		budget sim.Budget
		bound  int
	}
	extents := ledger.At([]extent{{sim.Budget{}, 1}}, []extent{{sim.Budget{}, 2}, {sim.Budget{Crash: 1}, 1}}, []extent{{pairBudget(), 2}})
	for i, a := range work {
		for _, b := range others[i:] {
			if a.Name == "compact" && b.Name != "compact" && b.Name != "read" && ledger.Size() != ledger.Long {
				continue // takes nothing away
			}
			t.Run(a.Name+" and "+b.Name, func(t *testing.T) {
				t.Parallel()
				for _, e := range extents {
					if e.budget.Crash > 0 && !b.Restarts && ledger.Size() != ledger.Long {
						continue // who dies beside a change is TestR2CleanUp's
					}
					tally.Add(sim.Must(t, besideSidecars(from, e.budget, a, b), sim.Limits{Bound: e.bound}))
				}
			})
		}
	}
}

// TestR2SidecarsThree: while one clean-up gives up the log below a checkpoint, a newer checkpoint appears, and a second
// clean-up gives up the log below that.
func TestR2SidecarsThree(t *testing.T) {
	check := ledger.Open(t, "R2 sidecars, three", ledger.At(4, 250, 1_000))
	from, work := sidecarLog(t), upkeep()
	for _, last := range []logops.Operation{work[0], latest()} {
		t.Run("clean-up, checkpoint, "+last.Name, func(t *testing.T) {
			limits := sim.Limits{Bound: ledger.At(0, 1, 2), Schedules: ledger.At(0, 0, 100_000)}
			r := sim.Must(t, besideSidecars(from, sim.Budget{}, work[0], work[1], last), limits)
			check.Count += r.Distinct
			check.Failed += r.Wrong
		})
	}
}

// A clean-up that spares every sidecar would pass all of that.
func TestCleanUpOfTheSidecarLogDeletes(t *testing.T) {
	from := sidecarLog(t)
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
			var sidecars []string
			for info, err := range w.Objects().List(t.Context(), logops.Path+"/_delta_log/_sidecars/", "") {
				if err != nil {
					return err
				}
				sidecars = append(sidecars, path.Base(info.Key))
			}
			if len(sidecars) != 1 || sidecars[0] == "0rphan.parquet" {
				return fmt.Errorf("sidecars %v: want that of checkpoint %d", sidecars, sidecarCheckpoint)
			}
			key := fmt.Sprintf("%s/_delta_log/%020d.json", logops.Path, sidecarCheckpoint-1)
			if _, err := w.Objects().Head(t.Context(), key); !errors.Is(err, objectstore.ErrNotFound) {
				return fmt.Errorf("commit %d is there: %w", sidecarCheckpoint-1, err)
			}
			return nil
		},
	}, sim.Limits{Bound: sim.All})
}
