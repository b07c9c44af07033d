package simulation_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/internal/sim"
)

// LAKE_SEED chooses: below firstSeed it names a run of many simulations, from there on exactly one simulation.
const (
	seedVariable = "LAKE_SEED"
	firstSeed    = 1 << 20
)

const steps = 2000

func weather() sim.Weather {
	return sim.Weather{
		Lost: 12, Late: 12, Twice: 12, Refused: 3, Crash: 6, Deaf: 6, Throttled: 6, Storm: 2, Freeze: 1, FreezeCommit: 40, Pass: 150,
	}
}

// simulate runs one seed.
func simulate(t *testing.T, seed uint64) (sim.Passage, *lake) {
	t.Helper()
	l := &lake{rand: clock.SeededRand(seed ^ 0x5bd1e995)}
	p := sim.Simulate(t, sim.Simulation{
		Seed: seed, Steps: steps, Weather: weather(),
		Case: sim.Case{
			Start: l.start, Parks: parks, Landed: l.onLanded, Gone: l.onGone,
			Check: func(t *testing.T, _ *sim.World) error { t.Helper(); return l.verdict(t) },
		},
		Calm: func(*sim.World) { l.rest() },
	})
	return p, l
}

func TestR3(t *testing.T) {
	seed, err := strconv.ParseUint(os.Getenv(seedVariable), 10, 64)
	if err != nil {
		seed = 1
	}
	if seed >= firstSeed {
		p, _ := simulate(t, seed)
		t.Logf("seed %d, trace %s, %d events, %v\n%s", seed, p.Hash, p.Steps, p.Lasted, p.Tail(400))
		if p.Err != nil {
			t.Error(p.Err)
		}
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(400))
	many := ledger.At(8, 100, 1000)
	check := ledger.Open(t, "R3", many)
	check.Seed, check.Adds = seed, true
	s := &summary{hashes: map[string]bool{}, events: map[string]int{}}
	t.Run("seeds", func(t *testing.T) {
		for i := range runtime.GOMAXPROCS(0) {
			t.Run(fmt.Sprint("part ", i), func(t *testing.T) {
				t.Parallel()
				for n := i; n < many; n += runtime.GOMAXPROCS(0) {
					s.one(t, seed*firstSeed+uint64(n), n%50 == 7)
				}
			})
		}
	})
	check.Count, check.Failed = len(s.hashes), s.failed
	s.report(t)
	s.guard(t, many)
}

// summary adds up simulations. Safe for concurrent use.
type summary struct {
	mu      sync.Mutex // guards the fields below; a leaf lock
	hashes  map[string]bool
	failed  int
	runs    int
	twice   int
	steps   int
	awoke   int
	orphans int
	cleaned int // commits of the main table
	lives   int
	events  map[string]int
	lasted  time.Duration
	tally   tally
}

// one runs a seed, or runs it twice and compares.
func (s *summary) one(t *testing.T, seed uint64, twice bool) {
	t.Helper()
	p, l := simulate(t, seed)
	if twice {
		if again, _ := simulate(t, seed); again.Hash != p.Hash {
			t.Errorf("seed %d went by two ways: %s and %s: not deterministic", seed, p.Hash, again.Hash)
		}
	}
	if p.Err != nil {
		t.Errorf("seed %d: %v\nrepeat: %s=%d go test ./internal/robustness/simulation -run '^TestR3$' -v", seed, p.Err, seedVariable, seed)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(p, l, twice)
}

func (s *summary) add(p sim.Passage, l *lake, twice bool) {
	s.runs++
	s.hashes[p.Hash] = true
	s.steps += p.Steps
	s.awoke += p.Awoke
	s.lasted += p.Lasted
	s.lives += len(l.processes)
	if twice {
		s.twice++
	}
	if p.Err != nil {
		s.failed++
	}
	for how, n := range p.Events {
		s.events[how] += n
	}
	for _, a := range l.tables {
		s.orphans += len(a.orphans)
	}
	s.cleaned += l.cleaned
	for _, p := range l.processes {
		s.tally.add(p.tally)
	}
}

func (c *tally) add(o tally) {
	c.committed += o.committed
	c.conflicts += o.conflicts
	c.unknown += o.unknown
	c.expired += o.expired
	c.refused += o.refused
	c.checkpoints += o.checkpoints
	c.cleanUps += o.cleanUps
	c.removed += o.removed
	c.vacuumed += o.vacuumed
	c.slots += o.slots
	c.fenced += o.fenced
}

func (s *summary) report(t *testing.T) {
	t.Helper()
	t.Logf("%d simulations, %d of them twice, %d traces, %d events, %d lives, %.0f days; %+v; %d awoke before a commit, %d orphans, %d commits cleaned up; events %v",
		s.runs, s.twice, len(s.hashes), s.steps, s.lives, s.lasted.Hours()/24, s.tally, s.awoke, s.orphans, s.cleaned, s.events)
}

// guard fails a run in which too little has happened. Floors are about half of what a hundred seeds give.
func (s *summary) guard(t *testing.T, runs int) {
	t.Helper()
	c := s.tally
	for _, g := range []struct {
		what     string
		got      int
		ahundred int
	}{
		{"events", s.steps, 200_000},
		{"commits", c.committed, 6000},
		{"conflicts", c.conflicts, 150},
		{"outcomes unknown", c.unknown, 25},
		{"clean-ups that removed something", c.cleanUps, 35},
		{"objects that a housekeeper's clean-up removed", c.removed, 2000},
		{"commits of the main table that were gone at the end", s.cleaned, 4000},
		{"files vacuumed", c.vacuumed, 1000},
		{"checkpoints of a housekeeper", c.checkpoints, 300},
		{"slots", c.slots, 800},
		{"slots that somebody else had done", c.fenced, 40},
		{"days", int(s.lasted.Hours() / 24), 150},
		{"crashes", s.events["crash before"] + s.events["crash after"], 100},
		{"lives", s.lives, 1200},
		{"pauses", s.events["frozen"], 250},
		{"long pauses right before a commit", s.awoke, 100},
		{"commits into room that clean-up made", s.orphans, 6},
		{"replies lost", s.events["reply lost"], 200},
		{"late PUTs", s.events["arrives"], 200},
		{"delivered twice", s.events["twice"], 200},
		{"refusals", s.events["refused"], 50},
		{"reads without an answer", s.events["no answer"], 250},
		{"calls throttled", s.events["throttled"], 4000},
	} {
		if floor := g.ahundred * runs / 100; runs >= 100 && g.got < floor {
			t.Errorf("idle: %d %s, the floor is %d", g.got, g.what, floor)
		}
	}
}
