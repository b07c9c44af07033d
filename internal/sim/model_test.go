package sim_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"testing"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/internal/sim"
	"github.com/lakectl/lakectl/objectstore"
)

// The model on which the scheduler is counted: writers that each want one version of a log that has nothing but
// LIST, PUT and GET, under three rules for a PUT that failed. The number of schedules of such a program is known, so
// one event too many or too few shows.

type rule int

const (
	nextVersion  rule = iota // any failure: list, and try the version after
	absentFailed             // look: ours, another's (list, try again), or absent: report failure
	settle                   // look: ours, another's (list, try again), or absent: the same PUT again
)

// said is what a writer reports: at most one of the two.
type said struct{ committed, failed bool }

func model(r rule, writers int, b sim.Budget) sim.Case {
	var says []said
	return sim.Case{
		Budget: b,
		Parks:  func(sim.Op, string) bool { return true },
		Start: func(t *testing.T, w *sim.World) {
			t.Helper()
			says = make([]said, writers)
			for i := range writers {
				name := string(rune('a' + i))
				w.Go(name, func(ctx context.Context, s objectstore.Store) { says[i] = write(ctx, s, r, name) })
			}
		},
		Check: func(t *testing.T, w *sim.World) error {
			t.Helper()
			found := map[string]int{}
			for v := 0; ; v++ {
				body := get(t.Context(), w.Objects(), v)
				if body == "" {
					break
				}
				found[body]++
			}
			for i, s := range says {
				name := string(rune('a' + i))
				switch n := found[name]; {
				case n > 1:
					return fmt.Errorf("the work of %s is there %d times", name, n)
				case s.committed && n == 0:
					return fmt.Errorf("%s was told committed, and is absent", name)
				case s.failed && n > 0:
					return fmt.Errorf("%s was told failed, and is there", name)
				}
			}
			return nil
		},
	}
}

func version(v int) string { return fmt.Sprintf("%04d", v) }

func write(ctx context.Context, s objectstore.Store, r rule, name string) said {
	v := newest(ctx, s) + 1
	for {
		_, err := s.Put(ctx, version(v), objectstore.Bytes([]byte(name)), objectstore.CreateOnly)
		if err == nil {
			return said{committed: true}
		}
		if r == nextVersion {
			v = newest(ctx, s) + 1
			continue
		}
		switch get(ctx, s, v) {
		case name:
			return said{committed: true}
		case "":
			if r == absentFailed {
				return said{failed: true}
			}
		default:
			v = newest(ctx, s) + 1
		}
	}
}

func newest(ctx context.Context, s objectstore.Store) int {
	n := -1
	for info, err := range s.List(ctx, "", "") {
		if err == nil {
			n, _ = strconv.Atoi(info.Key)
		}
	}
	return n
}

// get returns "" where nothing is.
func get(ctx context.Context, s objectstore.Store, v int) string {
	body, _, err := s.Get(ctx, version(v), objectstore.Range{})
	if errors.Is(err, objectstore.ErrNotFound) {
		return ""
	}
	if err != nil {
		return err.Error()
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

func TestCountsOfTheModelAreExact(t *testing.T) {
	long := ledger.Size() == ledger.Long
	for _, c := range []struct {
		name             string
		rule             rule
		writers          int
		budget           sim.Budget
		bound            int
		schedules, wrong int
		long             bool
	}{
		{"try v+1, one lost reply", nextVersion, 2, sim.Budget{Lost: 1}, sim.All, 68, 58, false},
		{"try v+1, one lost reply, no preemption", nextVersion, 2, sim.Budget{Lost: 1}, 0, 6, 4, false},
		{"absent is failure, one late PUT", absentFailed, 2, sim.Budget{Late: 1}, sim.All, 112, 16, false},
		{"absent is failure, one late PUT, one preemption", absentFailed, 2, sim.Budget{Late: 1}, 1, 46, 10, false},
		{"settle, two writers, one lost reply", settle, 2, sim.Budget{Lost: 1}, sim.All, 0, 0, false},
		{"settle, two writers, one late PUT", settle, 2, sim.Budget{Late: 1}, sim.All, 0, 0, false},
		{"settle, three writers, one late PUT", settle, 3, sim.Budget{Late: 1}, sim.All, 601_158, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.long && !long {
				t.Skip("half a minute: set LAKE_LONG=1")
			}
			r := sim.Explore(t, model(c.rule, c.writers, c.budget), sim.Limits{Bound: c.bound})
			if os.Getenv(sim.ScheduleVariable) != "" {
				t.Skip("one schedule was repeated")
			}
			last := r.At[len(r.At)-1]
			t.Logf("%v; %.0f a second; first wrong after %d", r, float64(r.Schedules)/r.Seconds, r.ToFirst)
			if c.schedules != 0 && last.Schedules != c.schedules || last.Wrong != c.wrong {
				t.Errorf("%d schedules, %d wrong; want %d, %d", last.Schedules, last.Wrong, c.schedules, c.wrong)
			}
			if c.bound == sim.All && r.Distinct != r.Schedules {
				t.Errorf("%d of %d schedules are distinct", r.Distinct, r.Schedules)
			}
		})
	}
}
