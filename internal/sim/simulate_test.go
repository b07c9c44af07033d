package sim_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/sim"
	"github.com/lakectl/lakectl/objectstore"
)

// storm is a simulation of a few actors who create numbered objects, each at most once, whatever the weather.
func storm(seed uint64, weather sim.Weather) (s sim.Simulation, lives *int) {
	lives = new(int)
	working, rest := context.WithCancel(context.Background())
	var hire func(w *sim.World, name string, life int)
	hire = func(w *sim.World, name string, life int) {
		*lives++
		work := func(ctx context.Context, s objectstore.Store) {
			for n := 0; working.Err() == nil && ctx.Err() == nil; n++ {
				_ = put(ctx, s, fmt.Sprintf("%s.%d/%d", name, life, n))
				_ = clock.System().Sleep(ctx, time.Second)
			}
		}
		w.GoProcess(fmt.Sprintf("%s.%d", name, life), work, func() { hire(w, name, life+1) })
	}
	return sim.Simulation{
		Seed: seed, Steps: 2000, Weather: weather,
		Case: sim.Case{
			Parks: everything,
			Start: func(_ *testing.T, w *sim.World) {
				for _, name := range []string{"a", "b", "c"} {
					hire(w, name, 1)
				}
			},
			Check: func(t *testing.T, w *sim.World) error {
				t.Helper()
				if len(holds(t, w, "a.1/0", "b.1/0", "c.1/0")) == 0 {
					return errors.New("nothing was created")
				}
				return nil
			},
		},
		Calm: func(*sim.World) { rest() },
	}, lives
}

// One seed is one passage: events, times, objects. Another seed is another one.
func TestASeedIsAPassage(t *testing.T) {
	weather := sim.Weather{Lost: 20, Late: 20, Twice: 20, Refused: 20, Crash: 20, Throttled: 20, Storm: 5, Freeze: 20, FreezeCommit: 20, Pass: 200}
	hashes := map[string]uint64{}
	for seed := range uint64(10) {
		s, lives := storm(seed, weather)
		p := sim.Simulate(t, s)
		again, _ := storm(seed, weather)
		if q := sim.Simulate(t, again); p.Hash != q.Hash || p.Err != nil {
			t.Errorf("seed %d: %s and %s, %v", seed, p.Hash, q.Hash, p.Err)
		}
		if other, seen := hashes[p.Hash]; seen {
			t.Errorf("seeds %d and %d are one passage", seed, other)
		}
		hashes[p.Hash] = seed
		for _, how := range []string{"", "late", "arrives", "twice", "reply lost", "refused", "throttled", "crash before", "crash after", "frozen"} {
			if p.Answered(how) == 0 {
				t.Errorf("seed %d: no %q in %v", seed, how, p.Events)
			}
		}
		if p.Answered("late") != p.Answered("arrives") {
			t.Errorf("seed %d: %v", seed, p.Events)
		}
		if *lives != 3+p.Answered("crash before", "crash after") {
			t.Errorf("seed %d: %d lives and %v", seed, *lives, p.Events)
		}
	}
}

// In fair weather nothing goes wrong and nobody is stopped.
func TestFairWeather(t *testing.T) {
	s, lives := storm(1, sim.Weather{Pass: 200})
	p := sim.Simulate(t, s)
	if p.Err != nil || *lives != 3 || len(p.Events) != 1 || p.Awoke != 0 {
		t.Errorf("%v, %d lives, %v", p.Err, *lives, p.Events)
	}
}
