package protocolmodel

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
)

// step is how the search came to a state: from which, and by which of the things that may happen there.
type step struct{ from, choice int32 }

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
	for _, label := range w.prologue {
		from, ok := first, false
		b.next(from, func(l string, n state) {
			if l == label {
				first, ok = n, true
			}
		})
		if !ok {
			f.violation = "nothing is called " + label
			return f
		}
	}
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
			choice := int32(-1)
			b.next(at.state, func(_ string, n state) {
				f.edges++
				choice++
				h := n.hash()
				if _, ok := seen[h]; ok || f.violation != "" {
					return
				}
				seen[h] = struct{}{}
				f.states++
				steps = append(steps, step{at.step, choice})
				if f.violation = n.violated(); f.violation != "" {
					f.trace = b.trace(first, steps)
				}
				next = append(next, node{n, int32(len(steps) - 1)})
			})
			if f.violation != "" || f.states >= most {
				return f
			}
		}
		frontier = next
	}
	f.whole = true
	return f
}

// trace goes the way to the last of steps again and says what happened.
func (b broken) trace(s state, steps []step) (labels []string) {
	var way []int32
	for i := int32(len(steps) - 1); i >= 0; i = steps[i].from {
		way = append(way, steps[i].choice)
	}
	slices.Reverse(way)
	for _, choice := range way {
		k := int32(-1)
		from := s
		b.next(from, func(label string, n state) {
			if k++; k == choice {
				labels, s = append(labels, label), n
			}
		})
	}
	return labels
}

// No state of the protocol breaks a promise. The long run searches every world to its end.
func TestR17(t *testing.T) {
	check := ledger.Open(t, "R17", ledger.At(100_000, 400_000, 50_000_000))
	most := ledger.At(30_000, 100_000, 1<<31)
	for _, w := range worlds() {
		t.Run(w.name, func(t *testing.T) {
			began := time.Now()
			f := search(broken{}, w, most)
			check.Count += f.states
			t.Logf("%d states, %d steps, depth %d, whole space %t, %.1f s", f.states, f.edges, f.depth, f.whole, time.Since(began).Seconds())
			if ledger.Size() == ledger.Long && !f.whole && f.violation == "" {
				t.Error("the search stopped before its end")
			}
			if f.violation != "" {
				t.Errorf("%s:\n  %s", f.violation, strings.Join(f.trace, "\n  "))
			}
		})
	}
}

// Each rule that is taken away leads to a state that a promise forbids: the model can tell.
func TestR17Broken(t *testing.T) {
	one := world{actors: []int{2}, appends: 4}
	// Two writers have sent the PUTs of versions 1 and 2, which others took; none has arrived.
	stalled := world{actors: []int{0, 2}, appends: 3, prologue: []string{
		"actor 0: stages work 1", "actor 0: takes a snapshot of 0", "actor 0: sends PUT of work 1 at 1", "others commit 1",
		"actor 2: stages work 3", "actor 2: takes a snapshot of 1", "actor 2: sends PUT of work 3 at 2", "others commit 2",
		"others commit 3",
	}}
	// Two writers have sent PUTs of version 1; that of actor 2 has arrived, its answer has not.
	beaten := world{actors: []int{0, 2}, appends: 1, prologue: []string{
		"actor 0: stages work 1", "actor 0: takes a snapshot of 0", "actor 0: sends PUT of work 1 at 1",
		"actor 2: stages work 3", "actor 2: takes a snapshot of 0", "actor 2: sends PUT of work 3 at 1",
		"PUT of work 3 at 1 arrives, created true", "others commit 2",
	}}
	// Actor 0 has sent the PUT of version 1, which others took. Actor 2 has seen version 0, and works long.
	longWork := world{actors: []int{0, 2}, appends: 2, prologue: []string{
		"actor 0: stages work 1", "actor 0: takes a snapshot of 0", "actor 0: sends PUT of work 1 at 1",
		"actor 2: stages work 3", "actor 2: takes a snapshot of 0", "others commit 1", "others commit 2",
	}}
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
		{broken{name: "expired where the predecessor is gone", asksPredecessor: true, expires: true, orphansAreFine: true}, one},
		{broken{name: "expired instead of unknown", expires: true}, one},
		{broken{name: "an orphan as predecessor", asksPredecessor: true, orphansAreFine: true}, stalled},
		{broken{name: "orphans are fine", orphansAreFine: true}, one},
		{broken{name: "late conflicts are believed", believesConflicts: true}, beaten},
		{broken{name: "old snapshots follow orphans", followsOrphans: true}, longWork},
	} {
		t.Run(c.broken.name, func(t *testing.T) {
			c.ticks = 4
			f := search(c.broken, c.world, 3_000_000)
			if f.violation == "" || len(f.trace) == 0 {
				t.Fatalf("%d states, depth %d, whole space %t, and nothing is wrong %s", f.states, f.depth, f.whole, f.violation)
			}
			t.Logf("%d states: %s after:\n  %s", f.states, f.violation, strings.Join(f.trace, "\n  "))
		})
	}
}
