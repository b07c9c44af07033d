package protocolmodel

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
)

// step is how the search came to a state.
type step struct {
	from  int32
	label string
}

// found is what a search saw.
type found struct {
	states, edges, depth int
	whole                bool // nothing is left to visit
	violation            string
	trace                []string
}

// search visits states breadth first until one breaks a promise, most states were seen, or none is left.
func search(b broken, w world, most int) found {
	var f found
	first := w.start()
	seen := map[uint64]struct{}{first.hash(): {}}
	type node struct {
		state state
		step  int32
	}
	frontier := []node{{first, -1}}
	var steps []step // of every state, for the trace
	f.states = 1
	for ; len(frontier) > 0; f.depth++ {
		var next []node
		for _, at := range frontier {
			stop := false
			b.next(at.state, func(label string, n state) {
				f.edges++
				h := n.hash()
				if _, ok := seen[h]; ok || stop {
					return
				}
				seen[h] = struct{}{}
				f.states++
				steps = append(steps, step{at.step, label})
				if f.violation = n.violated(); f.violation != "" {
					stop = true
					for i := int32(len(steps) - 1); i >= 0; i = steps[i].from {
						f.trace = append(f.trace, steps[i].label)
					}
					slices.Reverse(f.trace)
					return
				}
				next = append(next, node{n, int32(len(steps) - 1)})
			})
			if stop || f.states >= most {
				return f
			}
		}
		frontier = next
	}
	f.whole = true
	return f
}

const floor = 100_000

// No state of the protocol breaks a promise.
func TestR17(t *testing.T) {
	check := ledger.Open(t, "R17", floor)
	most := floor / len(worlds())
	if os.Getenv("LAKE_LONG") != "" {
		most = 1 << 31
	}
	for _, w := range worlds() {
		began := time.Now()
		f := search(broken{}, w, most)
		check.Count += f.states
		t.Logf("R17 %s: %d states, %d steps, depth %d, whole space %t, %.1f s", w.name, f.states, f.edges, f.depth, f.whole, time.Since(began).Seconds())
		if f.violation != "" {
			t.Errorf("%s:\n  %s", f.violation, strings.Join(f.trace, "\n  "))
		}
	}
}

// Each rule that is taken away leads to a state that a promise forbids: the model can tell.
func TestR17Broken(t *testing.T) {
	one, stalled := world{actors: []int{2}, appends: 4}, world{actors: []int{0, 2}, appends: 3}
	for _, c := range []struct {
		broken
		world
	}{
		{broken{name: "failure without settling", noSettle: true}, one},
		{broken{name: "next version after a lost reply", nextVersion: true}, one},
		{broken{name: "412 read as lost", takenIsLost: true}, world{actors: []int{2}, twice: 1}},
		{broken{name: "vacuum ignores age", vacuumIgnoresAge: true}, world{actors: []int{2}, vacuum: true}},
		{broken{name: "vacuum looks once", vacuumLooksOnce: true}, world{actors: []int{2}, vacuum: true}},
		{broken{name: "lease as a fence", leaseIsFence: true}, world{actors: []int{0, 1}}},
		{broken{name: "clean-up removes young commits", cleansYoung: true}, one},
		{broken{name: "no freshness rule", noFreshness: true}, one},
		{broken{name: "expired where the predecessor is gone", asksPredecessor: true}, one},
		{broken{name: "an orphan as predecessor", asksPredecessor: true, orphansAreFine: true}, stalled},
		{broken{name: "orphans are fine", orphansAreFine: true}, one},
		{broken{name: "expired in doubt", doubtExpires: true}, one},
	} {
		t.Run(c.broken.name, func(t *testing.T) {
			f := search(c.broken, c.world, 3_000_000)
			if f.violation == "" {
				t.Fatalf("%d states, depth %d, whole space %t, and nothing is wrong", f.states, f.depth, f.whole)
			}
			t.Logf("%d states: %s after:\n  %s", f.states, f.violation, strings.Join(f.trace, "\n  "))
		})
	}
}
