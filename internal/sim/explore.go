package sim

import (
	"context"
	"fmt"
	"hash/maphash"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/objectstore/mem"
)

// ScheduleVariable names the environment variable that repeats one schedule, "0.2.1".
const ScheduleVariable = "LAKE_SCHEDULE"

// Case is a small program of several actors, and what must be true whatever the order of its calls.
type Case struct {
	Budget Budget
	// Start fills w.Objects() and starts the actors.
	Start func(t *testing.T, w *World)
	// Check looks at w.Objects() and at what the actors noted when all is quiet. An error is a wrong schedule.
	Check func(t *testing.T, w *World) error
	// Parks tells which calls wait for the scheduler; nil is [SharedState].
	Parks func(op Op, key string) bool
	// Fixed tells which objects are never changed nor deleted in this case once they exist: reading one that exists does
	// not wait, because its answer can be no other at any later time. Nil: none.
	Fixed func(key string) bool
	// Landed is told of each object right after a PUT has put it there; Gone of each delete. They run before the caller
	// hears. Of calls that do not park they come from several goroutines at once. Nil: nobody listens.
	Landed func(key string, body []byte)
	Gone   func(keys []string)
}

// SharedState parks the calls that see or change shared state: everything but reads and writes of data files, which
// are never rewritten, and of version checksums, which nothing depends on.
func SharedState(op Op, key string) bool {
	if op == OpPut && strings.HasSuffix(key, ".crc") {
		return false
	}
	return op == OpList || op == OpDelete || strings.Contains(key, "_delta_log/") || strings.Contains(key, "_lake/")
}

// CommitFile tells whether key is a commit of a Delta log: created once, never changed; deleted by log clean-up only.
func CommitFile(key string) bool {
	return strings.Contains(key, "_delta_log/") && strings.HasSuffix(key, ".json") && !strings.Contains(key, "checkpoint") && !strings.HasSuffix(key, ".compacted.json")
}

// All is the bound without a bound.
const All = -1

// Limits say how far Explore goes.
type Limits struct {
	Bound     int // preemptions: 0, 1, … up to Bound, each bound complete; All visits every schedule at once
	Schedules int // at most so many in all, none begun beyond; 0: no limit. Reaching it leaves the last bound incomplete
	Wrong     int // stop after so many wrong schedules; 0: count them all
}

// Result is what Explore has seen.
type Result struct {
	Schedules int  // runs; those of lower bounds are visited again by higher ones
	Distinct  int  // different traces
	Wrong     int  // distinct traces that Check refused
	Bound     int  // highest bound that is complete; All if nothing was cut; -2 if none is
	ToFirst   int  // runs up to the first wrong one; 0 if there was none
	At        []At // of each bound that was begun
	First     Schedule
	Err       error // of the first wrong one
	Trace     []Step
	Seconds   float64
}

// At is what one bound has seen.
type At struct{ Bound, Schedules, Wrong int }

// String is one line for people.
func (r Result) String() string {
	bound := fmt.Sprintf("complete at bound %d", r.Bound)
	switch r.Bound {
	case All:
		bound = "complete"
	case none:
		bound = "no bound complete"
	}
	return fmt.Sprintf("%d schedules, %d distinct, %d wrong, %s, %.1f s", r.Schedules, r.Distinct, r.Wrong, bound, r.Seconds)
}

const none = -2

// Explore runs c under every schedule within the limits and reports wrong ones through the result alone. It fails the
// test only where c is not deterministic. With $LAKE_SCHEDULE set it runs that one and logs its trace.
func Explore(t *testing.T, c Case, l Limits) Result {
	t.Helper()
	e := &explorer{t: t, c: c, limits: l, seed: maphash.MakeSeed(), traces: map[uint64]bool{}, result: Result{Bound: none}}
	began := time.Now()
	if text := os.Getenv(ScheduleVariable); text != "" {
		s, err := ParseSchedule(text)
		if err != nil {
			t.Fatal(err)
		}
		e.repeat(s)
		return e.result
	}
	if l.Bound == All {
		e.bound(All)
	} else {
		for b := 0; b <= l.Bound && e.result.Bound != All && e.bound(b); b++ {
			continue
		}
	}
	e.result.Seconds = time.Since(began).Seconds()
	return e.result
}

// Must is Explore for a case where no schedule may be wrong. It prints the counts, and how to repeat a wrong one.
func Must(t *testing.T, c Case, l Limits) Result {
	t.Helper()
	if l.Wrong == 0 {
		l.Wrong = 1
	}
	r := Explore(t, c, l)
	if r.Err != nil {
		t.Errorf("%v\nrepeat: %s=%s %s=%s go test %s -run '^%s$'\n%s", r.Err, ledger.ScaleVariable, ledger.Size(), ScheduleVariable, r.First, here(), pattern(t.Name()), text(r.Trace))
	}
	t.Log(r)
	return r
}

// here is the package under test, relative to the module.
func here() string {
	dir, err := os.Getwd()
	if err != nil {
		return "."
	}
	if _, rel, ok := strings.Cut(dir, "/internal/"); ok {
		return "./internal/" + rel
	}
	return "."
}

// pattern is the -run expression of a subtest.
func pattern(name string) string { return strings.ReplaceAll(name, "/", "$/^") }

func text(trace []Step) string {
	var b strings.Builder
	for i, s := range trace {
		fmt.Fprintf(&b, "%4d  %s\n", i, s)
	}
	return b.String()
}

type explorer struct {
	t      *testing.T
	c      Case
	limits Limits
	seed   maphash.Seed
	traces map[uint64]bool
	result Result
}

// bound visits every schedule with at most b preemptions. It is false where a limit ended it.
func (e *explorer) bound(b int) (complete bool) {
	at := At{Bound: b}
	defer func() { e.result.At = append(e.result.At, at) }()
	cut := false
	o := new(Odometer)
	for o.Next() {
		if e.limits.Schedules > 0 && e.result.Schedules == e.limits.Schedules {
			return false
		}
		at.Schedules++
		w, err := e.run(func(w *World, ev []event) event { return e.choose(w, ev, o, b) }, o)
		cut = cut || w.cut
		if o.Err() != nil {
			e.t.Fatalf("%v\n%s", o.Err(), text(w.trace))
		}
		if err != nil {
			at.Wrong++
		}
		if e.note(w, err); e.limits.Wrong > 0 && e.result.Wrong >= e.limits.Wrong {
			return false
		}
	}
	if o.Err() != nil {
		e.t.Fatal(o.Err())
	}
	e.result.Bound = b
	if !cut {
		e.result.Bound = All
	}
	return true
}

// choose picks among the events that the bound allows.
func (e *explorer) choose(w *World, ev []event, o *Odometer, bound int) event {
	if bound == All || w.leaps < bound {
		return ev[w.note(o.PickFrom(len(ev), offered(e.seed, ev)))]
	}
	allowed := make([]int, 0, len(ev))
	for i, x := range ev {
		if w.leap(x) {
			w.cut = true
			continue
		}
		allowed = append(allowed, i)
	}
	return ev[w.note(allowed[o.PickFrom(len(allowed), offered(e.seed, ev))])]
}

// run runs one schedule in a bubble of its own.
func (e *explorer) run(choose func(*World, []event) event, o *Odometer) (w *World, finding error) {
	synctest.Test(e.t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w = newWorld(ctx, e.c)
		e.c.Start(t, w)
		for w.settle(); w.busy(); w.settle() {
			x := choose(w, w.events())
			if o != nil && o.Err() != nil {
				w.end()
				return
			}
			if w.leap(x) {
				w.leaps++
			}
			w.happen(x)
		}
		finding = e.c.Check(t, w)
	})
	return w, finding
}

func newWorld(ctx context.Context, c Case) *World {
	w := &World{ctx: ctx, objects: mem.New("sim"), parks: c.Parks, fixed: c.Fixed, landed: c.Landed, gone: c.Gone, budget: c.Budget, wake: make(chan struct{}, 1)}
	if w.parks == nil {
		w.parks = SharedState
	}
	return w
}

// end crashes all actors, for a schedule that is given up.
func (w *World) end() {
	for {
		w.mu.Lock()
		var victim *call
		if len(w.parked) > 0 {
			victim = w.parked[0]
		}
		w.mu.Unlock()
		if victim == nil {
			break
		}
		victim.actor.onCrash = nil
		w.crash(victim)
	}
	w.mu.Lock()
	actors := w.actors
	w.mu.Unlock()
	for _, a := range actors {
		a.start, a.done = nil, a.done || a.start != nil
		a.cancel()
	}
	synctest.Wait()
}

// note keeps the choice in the path, which repeats the schedule whatever the bound.
func (w *World) note(i int) int {
	w.path = append(w.path, i)
	return i
}

// note counts a schedule.
func (e *explorer) note(w *World, err error) {
	e.result.Schedules++
	var h maphash.Hash
	h.SetSeed(e.seed)
	for _, s := range w.trace {
		_, _ = h.WriteString(s.Actor)
		_ = h.WriteByte(byte(s.Op))
		_, _ = h.WriteString(s.Key)
		_, _ = h.WriteString(s.How)
		_ = h.WriteByte(0)
	}
	sum := h.Sum64()
	isNew := !e.traces[sum]
	e.traces[sum] = true
	e.result.Distinct = len(e.traces)
	if err == nil || !isNew {
		return
	}
	e.result.Wrong++
	if e.result.Err == nil {
		e.result.Err, e.result.First, e.result.Trace, e.result.ToFirst = err, w.path, w.trace, e.result.Schedules
	}
}

// repeat runs one schedule and logs it.
func (e *explorer) repeat(s Schedule) {
	at := 0
	var bad error
	w, err := e.run(func(w *World, ev []event) event {
		d := 0
		if at < len(s) {
			d = s[at]
		}
		if d >= len(ev) {
			bad = fmt.Errorf("schedule %s: choice %d is %d and there are %d events", s, at, d, len(ev))
			d = 0
		}
		at++
		return ev[w.note(d)]
	}, nil)
	e.note(w, err)
	e.result.At = append(e.result.At, At{Bound: All, Schedules: 1, Wrong: e.result.Wrong})
	e.t.Logf("schedule %s\n%s", w.path, text(w.trace))
	if bad != nil {
		e.t.Fatal(bad)
	}
	if err != nil {
		e.result.Err = err
	}
}

// Tally adds up results, for a check of many cases. Safe for concurrent use.
type Tally struct {
	mu        sync.Mutex // guards the fields below; a leaf lock
	Cases     int
	Distinct  int
	Schedules int
	Wrong     int
	Seconds   float64
	Lowest    int // the lowest bound that a case ended with, All counting as the highest
}

// Add counts one case.
func (a *Tally) Add(r Result) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.Cases == 0 {
		a.Lowest = All
	}
	if r.Bound != All && (a.Lowest == All || r.Bound < a.Lowest) {
		a.Lowest = r.Bound
	}
	a.Cases++
	a.Distinct += r.Distinct
	a.Schedules += r.Schedules
	a.Wrong += r.Wrong
	a.Seconds += r.Seconds
}
