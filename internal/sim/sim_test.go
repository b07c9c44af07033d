package sim_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/sim"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/storetest"
)

func everything(sim.Op, string) bool { return true }

func put(ctx context.Context, s objectstore.Store, key string) error {
	_, err := s.Put(ctx, key, objectstore.Bytes(nil), objectstore.CreateOnly)
	return err
}

// holds tells which of the keys are there.
func holds(t *testing.T, w *sim.World, keys ...string) (out []string) {
	t.Helper()
	for _, k := range keys {
		if _, err := w.Objects().Head(t.Context(), k); err == nil {
			out = append(out, k)
		}
	}
	return out
}

func sound(*testing.T, *sim.World) error { return nil }

// Two actors of m and n calls have (m+n)! / m!n! orders.
func TestEveryOrderOfTwoActorsIsVisitedOnce(t *testing.T) {
	r := sim.Explore(t, sim.Case{
		Parks: everything, Check: sound,
		Start: func(_ *testing.T, w *sim.World) {
			for name, calls := range map[string]int{"a": 3} {
				w.Go(name, func(ctx context.Context, s objectstore.Store) {
					for i := range calls {
						_ = put(ctx, s, fmt.Sprint(name, i))
					}
				})
			}
			w.Go("b", func(ctx context.Context, s objectstore.Store) {
				for i := range 4 {
					_, _ = s.Head(ctx, fmt.Sprint("a", i))
				}
			})
		},
	}, sim.Limits{Bound: sim.All})
	if r.Schedules != 35 || r.Distinct != 35 || r.Bound != sim.All {
		t.Errorf("%v, want 35 schedules, all distinct", r)
	}
}

// Each bound holds the one below: 2 orders without a preemption, and all 35 from bound 5 on.
func TestBoundsGrowUntilNothingIsCut(t *testing.T) {
	r := sim.Explore(t, sim.Case{
		Parks: everything, Check: sound,
		Start: func(_ *testing.T, w *sim.World) {
			for _, a := range []string{"a", "b"} {
				w.Go(a, func(ctx context.Context, s objectstore.Store) {
					for i := range 3 {
						_ = put(ctx, s, fmt.Sprint(a, i))
					}
				})
			}
		},
	}, sim.Limits{Bound: 10})
	if r.At[0].Schedules != 2 || r.Bound != sim.All || r.Distinct != 20 || len(r.At) >= 10 {
		t.Errorf("%v, bounds %+v", r, r.At)
	}
}

// A crash before a write leaves nothing, one after it leaves the object; whoever comes next finds one of the two, and
// what the dead actor deferred reaches no store.
func TestCrashEndsTheActorAndItsHelpers(t *testing.T) {
	var after []string
	c := sim.Case{
		Budget: sim.Budget{Crash: 1}, Parks: everything,
		Start: func(_ *testing.T, w *sim.World) {
			work := func(ctx context.Context, s objectstore.Store) {
				defer func() { _ = put(ctx, s, "deferred") }()
				var wg sync.WaitGroup
				wg.Go(func() { _ = put(ctx, s, "helper") })
				_ = put(ctx, s, "main")
				wg.Wait()
			}
			w.GoAgain("a", work, func() {
				w.Go("a2", func(ctx context.Context, s objectstore.Store) { _ = put(ctx, s, "again") })
			})
		},
		Check: func(t *testing.T, w *sim.World) error {
			t.Helper()
			got := holds(t, w, "main", "helper", "deferred", "again")
			after = append(after, fmt.Sprint(got))
			if dead, again := !slices.Contains(got, "deferred"), slices.Contains(got, "again"); dead != again && len(got) < 4 {
				return fmt.Errorf("the objects are %v", got)
			}
			return nil
		},
	}
	r := sim.Must(t, c, sim.Limits{Bound: sim.All})
	for _, want := range []string{"[again]", "[main again]", "[helper again]", "[main helper again]", "[main helper deferred]", "[main helper deferred again]"} {
		if !slices.Contains(after, want) {
			t.Errorf("no schedule ended with %s: %v", want, after)
		}
	}
	if r.Distinct != r.Schedules {
		t.Errorf("%v", r)
	}
}

// Time runs only when nobody else can, and then to the next timer.
func TestTicksRunToTheNextTimer(t *testing.T) {
	var order []string
	c := sim.Case{
		Parks: everything,
		Start: func(_ *testing.T, w *sim.World) {
			order = nil
			for i, name := range []string{"slow", "fast"} {
				w.Go(name, func(ctx context.Context, s objectstore.Store) {
					_ = clock.System().Sleep(ctx, time.Duration(2-i)*time.Hour)
					if put(ctx, s, name) == nil {
						order = append(order, name)
					}
				})
			}
			w.Go("busy", func(ctx context.Context, s objectstore.Store) {
				for i := range 3 {
					_ = put(ctx, s, fmt.Sprint(i))
				}
				order = append(order, "busy")
			})
			w.Go("late", func(ctx context.Context, s objectstore.Store) {
				ctx, cancel := context.WithTimeout(ctx, 90*time.Minute)
				defer cancel()
				<-ctx.Done()
				if err := put(ctx, s, "late"); errors.Is(err, context.DeadlineExceeded) {
					order = append(order, "late")
				}
			})
		},
		Check: func(*testing.T, *sim.World) error {
			if want := []string{"busy", "fast", "late", "slow"}; !slices.Equal(order, want) {
				return fmt.Errorf("order %v, want %v", order, want)
			}
			return nil
		},
	}
	if r := sim.Must(t, c, sim.Limits{Bound: sim.All}); r.Schedules != 1 {
		t.Errorf("%v, want one schedule: there is never a choice", r)
	}
}

// Each fault has its effect and its answer.
func TestFaultsOfAWrite(t *testing.T) {
	for _, c := range []struct {
		budget sim.Budget
		there  bool // the object, when the actor hears
		wants  func(error) bool
	}{
		{sim.Budget{Lost: 1}, true, func(err error) bool { return errors.Is(err, objectstore.ErrUnavailable) }},
		{sim.Budget{Twice: 1}, true, func(err error) bool { return errors.Is(err, objectstore.ErrExists) }},
		{sim.Budget{Refused: 1}, false, objectstore.Refused},
		{sim.Budget{Late: 1}, false, func(err error) bool { return errors.Is(err, objectstore.ErrUnavailable) }},
	} {
		t.Run(fmt.Sprintf("%+v", c.budget), func(t *testing.T) {
			var got, then error
			seen := map[string]bool{}
			sim.Must(t, sim.Case{
				Budget: c.budget, Parks: everything,
				Start: func(_ *testing.T, w *sim.World) {
					w.Go("a", func(ctx context.Context, s objectstore.Store) {
						got = put(ctx, s, "x")
						_, then = s.Head(ctx, "x")
					})
				},
				Check: func(t *testing.T, w *sim.World) error {
					t.Helper()
					if c.budget.Refused == 0 && len(holds(t, w, "x")) == 0 {
						return errors.New("nothing landed in the end")
					}
					if got == nil {
						seen["plain"] = true
						return nil
					}
					seen[fmt.Sprint(then == nil)] = true
					if !c.wants(got) {
						return fmt.Errorf("the writer was told %w", got)
					}
					return nil
				},
			}, sim.Limits{Bound: sim.All})
			if !seen["plain"] || !seen[fmt.Sprint(c.there)] || c.budget.Late == 0 && seen[fmt.Sprint(!c.there)] {
				t.Errorf("seen %v", seen)
			}
			if c.budget.Late > 0 && !seen["true"] {
				t.Error("the late PUT never arrived before the next call")
			}
		})
	}
}

// What waits for the scheduler and what does not.
func TestOnlySharedStateParks(t *testing.T) {
	for _, c := range []struct {
		op   sim.Op
		key  string
		want bool
	}{
		{sim.OpPut, "t/_delta_log/00000000000000000001.json", true},
		{sim.OpGet, "t/_delta_log/_last_checkpoint", true},
		{sim.OpPut, "_lake/runs/x", true},
		{sim.OpPut, "t/part-1.parquet", false},
		{sim.OpGet, "t/part-1.parquet", false},
		{sim.OpDelete, "t/part-1.parquet", true},
		{sim.OpList, "t/", true},
	} {
		if got := sim.SharedState(c.op, c.key); got != c.want {
			t.Errorf("%v %s parks: %v, want %v", c.op, c.key, got, c.want)
		}
	}
	if !sim.CommitFile("t/_delta_log/00000000000000000001.json") || sim.CommitFile("t/_delta_log/_last_checkpoint") {
		t.Error("CommitFile takes the wrong objects for commits")
	}
}

// The store of an actor that nobody disturbs keeps the whole contract. It needs no bubble: nothing parks.
func TestContractWhereNothingParks(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objectstore.Store {
		t.Helper()
		return sim.Unparked(t)
	})
}

func TestSchedulesReadBack(t *testing.T) {
	for _, s := range []sim.Schedule{{}, {0}, {3, 0, 12}} {
		got, err := sim.ParseSchedule(s.String())
		if err != nil || !slices.Equal(got, s) {
			t.Errorf("%v reads back as %v, %v", s, got, err)
		}
	}
	for _, bad := range []string{"", "1..2", "-1", "x", "99999999"} {
		if s, err := sim.ParseSchedule(bad); err == nil {
			t.Errorf("%q reads as %v", bad, s)
		}
	}
}

// A wrong schedule found under a bound is repeated from its digits alone.
func TestAWrongScheduleRepeats(t *testing.T) {
	found := sim.Explore(t, model(absentFailed, 2, sim.Budget{Late: 1}), sim.Limits{Bound: 1, Wrong: 1})
	if found.Err == nil {
		t.Fatal("nothing was found")
	}
	t.Setenv(sim.ScheduleVariable, found.First.String())
	again := sim.Explore(t, model(absentFailed, 2, sim.Budget{Late: 1}), sim.Limits{})
	if again.Err == nil || again.Err.Error() != found.Err.Error() || !slices.Equal(again.Trace, found.Trace) {
		t.Errorf("%v became %v", found.Err, again.Err)
	}
}

func TestOdometerTurnsThroughUnevenTrees(t *testing.T) {
	var got []string
	for o := new(sim.Odometer); o.Next(); {
		text := fmt.Sprint(o.Pick(3))
		if text == "1" {
			text += fmt.Sprint(o.Pick(2)) + fmt.Sprint(o.Pick(1))
		}
		got = append(got, text)
	}
	if want := []string{"0", "100", "110", "2"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestOdometerNoticesChance(t *testing.T) {
	for name, offer := range map[string]func(run int) (int, uint64){
		"another number":              func(run int) (int, uint64) { return 2 + run, 0 },
		"the same number, but others": func(run int) (int, uint64) { return 3, uint64(run) },
	} {
		o, run := new(sim.Odometer), 0
		for ; o.Next() && run < 10; run++ {
			o.PickFrom(offer(run))
			o.Pick(2)
		}
		if o.Err() == nil {
			t.Errorf("%s: %d runs and no complaint", name, run)
		}
	}
}
