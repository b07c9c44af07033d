package sim_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/internal/sim"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// openTable opens the table as a process would, with a clock that agrees with the store's.
func openTable(ctx context.Context, s objectstore.Store, seed uint64) (*table.Table, error) {
	return table.Open(ctx, s, logops.Path, table.Options{
		Log: txlog.Options{Clock: clock.NewStepping(time.Now()), Rand: clock.SeededRand(seed)},
	})
}

// vacuum deletes what is older than a week and not needed.
func vacuum() logops.Operation {
	return logops.Operation{Name: "vacuum", Run: func(ctx context.Context, l *txlog.Log, who string, r *logops.Report) {
		t, err := openTable(ctx, l.Store(), 1000+uint64(who[0]))
		if err == nil {
			_, err = t.Vacuum(ctx, table.Vacuum{})
		}
		r.Err = err
	}}
}

// restore brings version 1 back, whose file "old" was removed long ago and may be vacuumed at any time.
func restore() logops.Operation {
	return logops.Operation{Name: "restore", Run: func(ctx context.Context, l *txlog.Log, who string, r *logops.Report) {
		t, err := openTable(ctx, l.Store(), 1000+uint64(who[0]))
		if err == nil {
			v := txlog.Version(1)
			_, err = t.Restore(ctx, table.Restore{Version: &v})
		}
		if r.Err = err; errors.Is(err, txlog.ErrFileGone) || errors.Is(err, table.ErrVacuumRunning) {
			r.Err = nil // answers that a restore may give
		}
	}}
}

// aged is a table with a file that was removed long ago, and an orphan, both due for a vacuum.
func aged(t *testing.T) logops.Fixture {
	t.Helper()
	ctx, s := t.Context(), mem.New("aged")
	l := logops.Open(s, 99)
	x, err := logops.Create(l)
	if err != nil {
		t.Fatal(err)
	}
	old := logops.Add("old", true)
	x.Stage(logops.Add("f0", true), logops.Add("f1", true))
	commit := func(x *txlog.Transaction) *txlog.Snapshot {
		t.Helper()
		if _, err := x.Commit(ctx); err != nil {
			t.Fatal(err)
		}
		now, err := l.Latest(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return now
	}
	now := commit(x)
	x = l.Begin(now, txlog.Operation{Name: "WRITE"})
	x.Stage(old)
	now = commit(x)
	x = l.Begin(now, txlog.Operation{Name: "DELETE"})
	i, _ := now.FileByPath("old")
	gone := logops.Remove(now, i, true)
	gone.DeletionTimestamp = 1 // long ago on every clock
	x.Stage(gone)
	commit(x)
	for _, name := range []string{"f0", "f1", "old", "orphan"} {
		putFile(t, s, name)
	}
	f, err := logops.Dump(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func putFile(t *testing.T, s objectstore.Store, name string) {
	t.Helper()
	if _, err := s.Put(t.Context(), logops.Path+"/"+name, objectstore.Bytes([]byte("ten bytes.")), objectstore.Condition{}); err != nil {
		t.Fatal(err)
	}
}

// withFiles lets an operation write the data files that it adds, before its commit, as every writer does.
func withFiles(op logops.Operation) logops.Operation {
	run := op.Run
	op.Run = func(ctx context.Context, l *txlog.Log, who string, r *logops.Report) {
		for _, kind := range []string{"new", "changed", "inserted", "compacted"} {
			if _, err := l.Store().Put(ctx, l.Key(who+"-"+kind), objectstore.Bytes([]byte("ten bytes.")), objectstore.CreateOnly); err != nil {
				r.Err = err
				return
			}
		}
		run(ctx, l, who, r)
	}
	return op
}

// beside is together on the aged table, two months later; besides, no live file may be gone.
//
// Two kinds of calls do not wait, because their answer is the same at any time. The hint: none is there, and only a
// checkpoint writes one, an operation of its own. And listings of data files, where a single vacuum runs beside a
// writer: only a vacuum deletes data files, and writers put theirs before their first call that waits, which is before
// the first event. (A restore looks for files that a vacuum may be deleting; there they wait.)
func beside(from logops.Fixture, b sim.Budget, ops ...logops.Operation) sim.Case {
	c := later(together(from, b, ops...))
	vacuums := 0
	for _, op := range ops {
		if op.Name == "vacuum" {
			vacuums++
		}
	}
	c.Parks = func(op sim.Op, key string) bool {
		switch {
		case op == sim.OpGet && strings.HasSuffix(key, "/_last_checkpoint") && !among(ops, "checkpoint"):
			return false
		case op == sim.OpList && !strings.Contains(key, "_delta_log") && vacuums == 1 && !among(ops, "restore"):
			return false
		}
		return sim.SharedState(op, key)
	}
	check, known := c.Check, judged{}
	c.Check = func(t *testing.T, w *sim.World) error {
		t.Helper()
		if err := check(t, w); err != nil {
			return err
		}
		return known.once(t, w, func() error { return liveFiles(t, w, w.Objects()) })
	}
	return c
}

// judged remembers worlds: many schedules end in the same objects.
type judged map[string]error

func (j judged) once(t *testing.T, w *sim.World, look func() error) error {
	t.Helper()
	var name strings.Builder
	for info, err := range w.Objects().List(t.Context(), "", "") {
		if err != nil {
			return err
		}
		fmt.Fprintf(&name, "%s %s\n", info.Key, info.ETag)
	}
	if err, known := j[name.String()]; known {
		return err
	}
	j[name.String()] = look()
	return j[name.String()]
}

// later lets two months pass before the actors begin.
func later(c sim.Case) sim.Case {
	start := c.Start
	c.Start = func(t *testing.T, w *sim.World) {
		t.Helper()
		start(t, w)
		time.Sleep(60 * 24 * time.Hour) // of the bubble: the actors have not begun
	}
	return c
}

// liveFiles demands that the files of the newest version are there. history has every commit that there ever was.
func liveFiles(t *testing.T, w *sim.World, history objectstore.Store) error {
	t.Helper()
	o, err := logops.ReadOracle(t.Context(), history)
	if err != nil || len(o.Live) == 0 {
		return err
	}
	for f := range o.Live[len(o.Live)-1] {
		if _, err := w.Objects().Head(t.Context(), logops.Path+"/"+f); err != nil {
			return fmt.Errorf("the live file %s: %w", f, err)
		}
	}
	return nil
}

// TestR2Vacuum runs vacuum beside every other operation: it spares what lives and what is about to. Clean-up has pairs of
// its own.
func TestR2Vacuum(t *testing.T) {
	tally := tallied(t, "R2 vacuum", ledger.At(500, 50_000, 50_000))
	from := aged(t)
	others := []logops.Operation{vacuum()}
	for _, op := range logops.Operations() {
		if op.Name == "restore" {
			op = restore() // that of table, which looks for vacuums
		} else {
			op = withFiles(op)
		}
		others = append(others, op)
	}
	for _, op := range others {
		t.Run("vacuum and "+op.Name, func(t *testing.T) {
			t.Parallel()
			start := from
			if op.Name == "create" {
				start = build(t, logops.EmptyFolder)
			}
			for _, b := range vacuumBudgets() {
				tally.Add(sim.Must(t, beside(start, b, vacuum(), op), pairLimits()))
			}
		})
	}
}

// TestR2VacuumAndRestore: a restore brings back what was removed longer ago than the retention while a vacuum is about to
// delete it. The two find each other through VACUUM START: either the vacuum spares the file or the restore refuses.
func TestR2VacuumAndRestore(t *testing.T) {
	budget := sim.Budget{Lost: 1, Late: ledger.At(0, 0, 1), Crash: ledger.At(0, 0, 1)}
	limits := sim.Limits{Bound: ledger.At(2, 2, 3), Schedules: ledger.At(3_000, 3_000, 20_000)}
	check := ledger.Open(t, "R2 vacuum and restore", 500)
	from := aged(t)
	for _, ops := range [][]logops.Operation{{vacuum(), restore()}, {restore(), vacuum()}, {vacuum(), restore(), vacuum()}} {
		t.Run(fmt.Sprintf("%s first, %d actors", ops[0].Name, len(ops)), func(t *testing.T) {
			r := sim.Must(t, beside(from, budget, ops...), limits)
			check.Count += r.Distinct
			check.Failed += r.Wrong
		})
	}
}

// A vacuum that deletes nothing would pass all of that.
func TestVacuumOfTheAgedTableDeletes(t *testing.T) {
	from := aged(t)
	sim.Must(t, sim.Case{
		Start: func(t *testing.T, w *sim.World) {
			t.Helper()
			fill(t, w, from)
			time.Sleep(30 * 24 * time.Hour)
			w.Go("a", func(ctx context.Context, s objectstore.Store) {
				vacuum().Run(ctx, logops.Open(s, 1), "a", &logops.Report{})
			})
		},
		Check: func(t *testing.T, w *sim.World) error {
			t.Helper()
			if got := holds(t, w, "t/f0", "t/f1", "t/old", "t/orphan"); !slices.Equal(got, []string{"t/f0", "t/f1"}) {
				return fmt.Errorf("left are %v", got)
			}
			return nil
		},
	}, sim.Limits{Bound: sim.All})
}
