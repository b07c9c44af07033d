package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/pipeline"
)

// worked is a runner whose tasks take a while.
func worked(d time.Duration, models ...string) *scripted {
	return &scripted{models: models, task: func(ctx context.Context, p *pipeline.Plan) (*pipeline.TaskReport, error) {
		if err := clock.System().Sleep(ctx, d); err != nil {
			return &pipeline.TaskReport{Model: p.Model, Status: pipeline.StatusCancelled}, err
		}
		return &pipeline.TaskReport{Model: p.Model, Plan: p.N, Status: pipeline.StatusOK}, nil
	}}
}

// until sleeps up to the given moment of the bubble, whose time begins at 2000-01-01T00:00:00Z.
func until(at string) {
	t, err := time.Parse(time.RFC3339, at)
	if err != nil {
		panic(err)
	}
	time.Sleep(time.Until(t))
}

func ids(moments ...string) []string {
	var out []string
	for _, m := range moments {
		out = append(out, "flights/20000101T"+m+"Z")
	}
	return out
}

type scheduler struct {
	stop  func()
	ended chan error
}

func start(t *testing.T, c Config) *scheduler {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	s := &scheduler{stop: cancel, ended: make(chan error, 1)}
	go func() { s.ended <- Serve(ctx, c) }()
	return s
}

func (s *scheduler) wait(t *testing.T) {
	t.Helper()
	if err := <-s.ended; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestServeRunsEachSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := worked(time.Minute, "bronze.flights", "silver.flights")
		s := start(t, config(mem.New(t.Name()), r, flights("*/10 * * * *")))
		until("2000-01-01T00:45:00Z")
		s.stop()
		s.wait(t)
		if want := ids("001000", "002000", "003000", "004000"); !slices.Equal(r.runs(), want) {
			t.Errorf("got %v, want %v", r.runs(), want)
		}
	})
}

func TestTwoSchedulersRunEachSlotOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, r := mem.New(t.Name()), worked(time.Minute, "bronze.flights")
		var all []*scheduler
		for i := range 2 {
			cfg := config(store, r, flights("*/5 * * * *"))
			cfg.Rand, cfg.Holder = clock.SeededRand(uint64(i)), fmt.Sprint("scheduler ", i)
			all = append(all, start(t, cfg))
		}
		until("2000-01-01T00:31:00Z")
		all[0].stop() // whichever has the seat, the other goes on
		until("2000-01-01T01:03:00Z")
		again := config(store, r, flights("*/5 * * * *"))
		again.Rand = clock.SeededRand(7)
		all = append(all, start(t, again))
		all[1].stop()
		until("2000-01-01T01:41:00Z")
		all[2].stop()
		for _, s := range all {
			s.wait(t)
		}
		var want []string
		for at := moment(t, "2000-01-01T00:05:00Z"); at.Before(moment(t, "2000-01-01T01:41:00Z")); at = at.Add(5 * time.Minute) {
			want = append(want, "flights/"+at.Format(slotForm))
		}
		if !slices.Equal(r.runs(), want) || len(want) != 20 {
			t.Errorf("got %v, want %v", r.runs(), want)
		}
	})
}

// severed is the store as a process sees it that dies at some moment: from then on nothing reaches it.
type severed struct {
	objectstore.Store
	dead func() bool
}

func (s *severed) Put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (objectstore.Info, error) {
	if s.dead() {
		return objectstore.Info{}, objectstore.ErrUnavailable
	}
	return s.Store.Put(ctx, key, body, cond)
}

// The first scheduler dies in the middle of a run: the second takes the seat when it has expired, finishes that run
// under its own id, and deals with the slots that were missed.
func TestRunOfADeadSchedulerIsFinished(t *testing.T) {
	for _, c := range []struct {
		catchup string
		max     int
		want    []string
	}{
		{"latest", 0, ids("001000", "001000", "001300", "001400")},
		{"all", 100, ids("001000", "001000", "001100", "001200", "001300", "001400")},
		{"all", 2, ids("001000", "001000", "001200", "001300", "001400")},
		{"none", 0, ids("001000", "001000", "001400")},
	} {
		t.Run(fmt.Sprint(c.catchup, c.max), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, r := mem.New(t.Name()), worked(4*time.Second, "bronze.flights", "silver.flights")
				died := moment(t, "2000-01-01T00:10:05Z")
				p := flights("10-59 * * * *")
				p.Catchup, p.MaxCatchup = c.catchup, c.max
				first := config(&severed{store, func() bool { return time.Now().After(died) }}, r, p)
				one := start(t, first)
				until("2000-01-01T00:10:05Z")
				one.stop()
				until("2000-01-01T00:13:05Z")
				second := config(store, r, p)
				second.Rand = clock.SeededRand(2)
				two := start(t, second)
				until("2000-01-01T00:14:59Z")
				two.stop()
				one.wait(t)
				two.wait(t)
				if !slices.Equal(r.runs(), c.want) {
					t.Errorf("got %v, want %v", r.runs(), c.want)
				}
			})
		})
	}
}

func TestSlotsThatFireDuringARun(t *testing.T) {
	for _, c := range []struct {
		overlap string
		want    []string
		joined  []string
	}{
		{"queue", ids("001000", "003000", "010000"), ids("002000", "004000", "005000")},
		{"skip", ids("001000", "004000", "011000"), nil},
	} {
		t.Run(c.overlap, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store, r := mem.New(t.Name()), worked(25*time.Minute, "bronze.flights")
				p := flights("*/10 * * * *")
				p.Overlap = c.overlap
				s := start(t, config(store, r, p))
				until("2000-01-01T01:15:00Z")
				s.stop()
				s.wait(t)
				if !slices.Equal(r.runs(), c.want) {
					t.Errorf("got %v, want %v", r.runs(), c.want)
				}
				c1 := fill(t, config(store, r, p))
				for _, id := range c.joined {
					if run, err := c1.readRun(t.Context(), id); err != nil || run.Joined == "" {
						t.Errorf("%s: %+v, %v", id, run, err)
					}
				}
			})
		})
	}
}

// Told to end, a scheduler gives the seat back at once, lets the running task end, begins no other, and leaves the run
// to be finished by the next.
func TestServeEndsGracefully(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, r := mem.New(t.Name()), worked(40*time.Second, "bronze.flights", "silver.flights", "gold.daily_delay")
		one := start(t, config(store, r, flights("10 * * * *")))
		until("2000-01-01T00:11:00Z") // in the second task
		one.stop()
		one.wait(t)
		if now := time.Now(); now.After(moment(t, "2000-01-01T00:11:25Z")) {
			t.Errorf("ended at %v", now)
		}
		if got := fmt.Sprint(r.done); got != "map[bronze.flights:[flights/20000101T001000Z] silver.flights:[flights/20000101T001000Z]]" {
			t.Errorf("done: %v", got)
		}
		second := config(store, r, flights("10 * * * *"))
		second.Rand = clock.SeededRand(2)
		two := start(t, second)
		until("2000-01-01T00:20:00Z")
		two.stop()
		two.wait(t)
		if !slices.Equal(r.runs(), ids("001000", "001000")) || len(r.done["gold.daily_delay"]) != 1 {
			t.Errorf("runs %v, done %v", r.runs(), r.done)
		}
	})
}

func TestServeCancelsAfterTheGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := worked(time.Hour, "bronze.flights")
		s := start(t, config(mem.New(t.Name()), r, flights("10 * * * *")))
		until("2000-01-01T00:11:00Z")
		s.stop()
		s.wait(t)
		if d := time.Since(moment(t, "2000-01-01T00:11:00Z")); d < DefaultGrace || d > DefaultGrace+time.Second {
			t.Errorf("ended after %v", d)
		}
	})
}

// A failed run is over: the next slot does what it left.
func TestFailedRunIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &scripted{models: []string{"bronze.flights"}, task: func(_ context.Context, p *pipeline.Plan) (*pipeline.TaskReport, error) {
			return failed(p, pipeline.ClassCheck)
		}}
		s := start(t, config(mem.New(t.Name()), r, flights("*/10 * * * *")))
		until("2000-01-01T00:25:00Z")
		s.stop()
		s.wait(t)
		if !slices.Equal(r.runs(), ids("001000", "002000")) {
			t.Errorf("got %v", r.runs())
		}
	})
}

func TestServeNeedsASchedule(t *testing.T) {
	if err := Serve(t.Context(), config(mem.New(t.Name()), &scripted{}, flights(""))); !errors.Is(err, ErrNothingToSchedule) {
		t.Errorf("got %v", err)
	}
	if err := Serve(t.Context(), config(mem.New(t.Name()), &scripted{}, flights("* * *"))); !errors.Is(err, ErrSchedule) || !strings.Contains(err.Error(), "flights") {
		t.Errorf("got %v", err)
	}
	if err := Serve(t.Context(), Config{}); err == nil {
		t.Error("a scheduler of nothing")
	}
}

// The seat is an object that anybody can delete. Nothing is lost then: runs are created once.
func TestDeletedControlFolderRepeatsNoSlotInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, r := mem.New(t.Name()), worked(30*time.Second, "bronze.flights")
		var all []*scheduler
		for i := range 2 {
			cfg := config(store, r, flights("*/10 * * * *"))
			cfg.Rand = clock.SeededRand(uint64(i))
			all = append(all, start(t, cfg))
		}
		until("2000-01-01T00:15:00Z")
		if err := store.Delete(t.Context(), schedulerKey); err != nil {
			t.Fatal(err)
		}
		until("2000-01-01T00:45:00Z")
		var wg sync.WaitGroup
		for _, s := range all {
			s.stop()
			wg.Go(func() { s.wait(t) })
		}
		wg.Wait()
		if !slices.Equal(r.runs(), ids("001000", "002000", "003000", "004000")) {
			t.Errorf("got %v", r.runs())
		}
	})
}
