package refmodel

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/txlog"
)

// scale is how much of R5 runs: LAKE_R5="runs,steps,options". Steps are those of an average run.
type scale struct{ runs, steps, options int }

func scaleOf(text string) (scale, error) {
	s := scale{6, 12, 3}
	if text == "" {
		return s, nil
	}
	n, err := fmt.Sscanf(text, "%d,%d,%d", &s.runs, &s.steps, &s.options)
	if err != nil || n != 3 || s.runs < 1 || s.steps < 1 || s.options < 1 || s.options > len(optionSets()) {
		return s, fmt.Errorf("LAKE_R5=%q: want runs,steps,options, each at least 1, options at most %d", text, len(optionSets()))
	}
	return s, nil
}

// seedOf is LAKE_SEED, else 1.
func seedOf(text string) (uint64, error) {
	if text == "" {
		return 1, nil
	}
	return strconv.ParseUint(text, 10, 64)
}

// Random steps on a real table under several option sets, against rows in memory.
func TestR5(t *testing.T) {
	s, err := scaleOf(os.Getenv("LAKE_R5"))
	if err != nil {
		t.Fatal(err)
	}
	seed, err := seedOf(os.Getenv("LAKE_SEED"))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"checks": fmt.Sprint(s.runs), "steps": fmt.Sprint(s.steps), "seed": fmt.Sprint(seed), "shrinktime": "20s"} {
		setUnlessGiven(t, "rapid."+name, value)
	}
	eng, err := duckdb.Open(duckdb.Options{TempDir: t.TempDir(), Threads: 1, MemoryBytes: 512 << 20})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := eng.Close(); err != nil {
			t.Error(err)
		}
	})
	// Many steps read, or change nothing, and runs differ in length: about a third of the steps make a new state. A floor
	// just there would be decided by the seed.
	check := ledger.Open(t, "R5", s.runs*s.steps*s.options/4)
	check.Seed, check.Adds = seed, true
	t.Logf("repeat: LAKE_R5=%d,%d,%d LAKE_SEED=%d go test ./internal/refmodel -run 'TestR5$' -v", s.runs, s.steps, s.options, seed)
	defer debug.SetGCPercent(debug.SetGCPercent(400)) // many small objects, of which few live: a tenth of the time
	total := newTally()
	began := time.Now()
	known := &predicates{eng: eng, seen: map[string]*txlog.Predicate{}}
	rapid.Check(t, func(rt *rapid.T) {
		r := &run{predicates: known, dir: t.TempDir(), log: rt}
		if err := r.open(rt, s.options); err != nil {
			rt.Fatal(err)
		}
		rt.Repeat(map[string]func(*rapid.T){"step": func(rt *rapid.T) {
			step := steps().Draw(rt, "step")
			if err := r.each(rt.Context(), func(ctx context.Context, w *world) error {
				return errors.Join(w.do(ctx, step), w.read(ctx, step))
			}); err != nil {
				rt.Fatal(err)
			}
		}})
		if err := r.each(rt.Context(), func(ctx context.Context, w *world) error { return w.close(ctx) }); err != nil {
			rt.Fatal(err)
		}
		for _, w := range r.worlds {
			total.add(w.tally)
		}
	})
	check.Count = len(total.states)
	total.report(t, time.Since(began))
	total.guard(t, s)
}

func setUnlessGiven(t *testing.T, name, value string) {
	t.Helper()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == name })
	if given {
		return
	}
	if err := flag.Set(name, value); err != nil {
		t.Fatal(err)
	}
}

// run is one sequence of steps on the worlds of some option sets.
type run struct {
	predicates *predicates
	dir        string
	log        *rapid.T
	worlds     []*world
}

func (r *run) open(rt *rapid.T, n int) error {
	sets := optionSets()
	first := rapid.Custom(func(t *rapid.T) int { return drawEvenly(t, len(sets)) }).Draw(rt, "option set")
	for k := range n {
		i := (first + 7*k) % len(sets)
		rt.Logf("option set %d: %s", i, sets[i])
		dir, err := os.MkdirTemp(r.dir, "lake")
		if err != nil {
			return err
		}
		w, err := newWorld(rt.Context(), sets[i], r.predicates, dir)
		if err != nil {
			return fmt.Errorf("%s: %w", sets[i], err)
		}
		r.worlds = append(r.worlds, w)
	}
	return nil
}

// each does something in every world at once.
func (r *run) each(ctx context.Context, f func(context.Context, *world) error) error {
	var g errgroup.Group
	for _, w := range r.worlds {
		g.Go(func() error {
			if err := f(ctx, w); err != nil {
				return fmt.Errorf("with %s: %w", w.options, err)
			}
			return nil
		})
	}
	return g.Wait()
}

func (t *tally) add(o *tally) {
	t.steps += o.steps
	t.skipped += o.skipped
	t.readsOld += o.readsOld
	t.vacuum += o.vacuum
	t.refused += o.refused
	t.fed += o.fed
	maps.Copy(t.states, o.states)
	for k, n := range o.kinds {
		t.kinds[k] += n
	}
	for k, d := range o.spent {
		t.spent[k] += d
	}
}

func (t *tally) report(tb testing.TB, took time.Duration) {
	tb.Helper()
	tb.Logf("R5: %d steps, %d distinct states, %d older versions read, %d files skipped, %d files vacuumed, %d refusals, %d changes fed, %.1f s",
		t.steps, len(t.states), t.readsOld, t.skipped, t.vacuum, t.refused, t.fed, took.Seconds())
	for _, k := range slices.SortedFunc(maps.Keys(t.spent), func(a, b string) int { return int(t.spent[b] - t.spent[a]) }) {
		n := max(1, t.kinds[k])
		if k == "reads" {
			n = max(1, t.steps)
		}
		tb.Logf("  %-22s %6d × %8s", k, n, (t.spent[k] / time.Duration(n)).Round(100*time.Microsecond))
	}
}

// guard fails a run that looks busy and tries nothing.
func (t *tally) guard(tb testing.TB, s scale) {
	tb.Helper()
	if n := s.runs * s.steps * s.options; n < 1000 {
		return
	}
	for _, k := range kinds() {
		if t.kinds[k] == 0 {
			tb.Errorf("no step was %q", k)
		}
	}
	if t.skipped == 0 || t.vacuum == 0 || t.refused == 0 || t.fed == 0 {
		tb.Errorf("idle: %d files skipped, %d vacuumed, %d refusals, %d changes fed", t.skipped, t.vacuum, t.refused, t.fed)
	}
}
