package sim

import (
	"cmp"
	"context"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"sync"
	"testing/synctest"
	"time"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
)

// Budget is how many faults of each kind one schedule may spend.
type Budget struct {
	Lost    int // a write takes effect, and its answer is lost
	Late    int // a PUT is answered with an error, and takes effect later
	Twice   int // a write is delivered twice; the second answer is passed on
	Crash   int // an actor ends, before or after a write
	Refused int // a write is refused: no effect, an error for which objectstore.Refused is true
	Deaf    int // a read gets no answer
}

// World is the state that the actors of one schedule share.
type World struct {
	ctx     context.Context //nolint:containedctx // of the whole schedule: the objects outlive the actors' contexts
	objects *mem.Store
	parks   func(op Op, key string) bool
	fixed   func(key string) bool
	landed  func(key string, body []byte)
	gone    func(keys []string)

	mu      sync.Mutex // guards the fields below; a leaf lock, never held across a wait
	budget  Budget
	actors  []*actor
	parked  []*call
	late    []*call // PUTs that were given up and are still to arrive
	last    *actor  // whose call was answered last
	leaps   int     // preemptions so far
	cut     bool    // the bound took an event away
	path    Schedule
	trace   []Step
	steps   int           // of trace, for whoever runs beside the scheduler
	wake    chan struct{} // a call parked or an actor ended while the scheduler slept
	choices []event       // reused
}

// actor is a process as far as the store can tell: goroutines that share a fate.
type actor struct {
	name    string
	index   int
	cancel  context.CancelFunc
	done    bool
	crashed bool
	unwinds bool          // after a crash its calls fail, instead of ending their goroutines
	thaw    time.Time     // until then none of its calls is answered
	frozen  time.Duration // how long it has been stopped in all
	start   func()        // nil once it runs
	onCrash func()
	calls   map[callName]int
}

type callName struct {
	op  Op
	key string
}

// Step is one event of a schedule.
type Step struct {
	Actor string // "" for time itself
	Op    Op
	Key   string
	How   string // "" for the plain answer, else the fault; "tick"
}

// String is one line of a trace.
func (s Step) String() string {
	if s.Actor == "" {
		return s.How
	}
	return strings.TrimRight(fmt.Sprintf("%s %s %s %s", s.Actor, s.Op, s.Key, s.How), " ")
}

// Objects is the store behind the actors. Its calls do not park: for what is there before the actors start, and for
// the check afterwards.
func (w *World) Objects() objectstore.Store { return w.objects }

// Go starts an actor. What f starts ends with it. f may run in part only: a crash ends its goroutine within a call of
// store and cancels ctx. An actor may start others. It runs from its start to its first call alone, and from each answer
// to its next call, so what actors note for the check needs no lock.
func (w *World) Go(name string, f func(ctx context.Context, store objectstore.Store)) {
	w.GoAgain(name, f, nil)
}

// GoAgain is Go with what happens right after a crash of the actor: it may start another, that repeats the work.
func (w *World) GoAgain(name string, f func(ctx context.Context, store objectstore.Store), onCrash func()) {
	w.add(&actor{name: name, onCrash: onCrash}, f)
}

// GoProcess is GoAgain for code whose goroutines wait for each other: a goroutine that ended in the middle would leave
// the others waiting for ever, where a real crash ends them all. After a crash its calls fail and change nothing, and
// the code finds its own way out. What it does meanwhile nobody has seen: ask [Store.Alive] before noting anything.
func (w *World) GoProcess(name string, f func(ctx context.Context, store objectstore.Store), onCrash func()) {
	w.add(&actor{name: name, onCrash: onCrash, unwinds: true}, f)
}

func (w *World) add(a *actor, f func(ctx context.Context, store objectstore.Store)) {
	ctx, cancel := context.WithCancel(w.ctx)
	a.cancel = cancel
	w.mu.Lock()
	a.index = len(w.actors)
	w.actors = append(w.actors, a)
	w.mu.Unlock()
	w.stir()
	a.start = func() {
		defer func() {
			cancel()
			w.mu.Lock()
			a.done = true
			w.mu.Unlock()
			w.stir()
		}()
		f(ctx, &Store{world: w, actor: a})
	}
}

// settle starts the actors that are new, one after the other, and returns when all goroutines wait.
func (w *World) settle() {
	for {
		synctest.Wait()
		w.mu.Lock()
		var next func()
		for _, a := range w.actors {
			if a.start != nil {
				next, a.start = a.start, nil
				break
			}
		}
		w.mu.Unlock()
		if next == nil {
			return
		}
		go next()
	}
}

// Steps is how many events have happened: a clock that all actors agree on. Safe for concurrent use.
func (w *World) Steps() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.steps
}

// Trace is what has happened.
func (w *World) Trace() []Step { return w.trace }

// stir wakes a scheduler that sleeps until something happens.
func (w *World) stir() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// park registers a call, unless it may pass.
func (w *World) park(c *call) bool {
	if !w.parks(c.op, c.key) || (c.op == OpGet || c.op == OpHead) && w.fixed != nil && w.fixed(c.key) && w.exists(c.key) {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.actor.crashed {
		return false
	}
	if c.actor.calls == nil {
		c.actor.calls = map[callName]int{}
	}
	name := callName{c.op, c.key}
	c.seq = c.actor.calls[name]
	c.actor.calls[name]++
	c.answer = make(chan error, 1)
	w.parked = append(w.parked, c)
	w.stir()
	return true
}

func (w *World) exists(key string) bool {
	_, err := w.objects.Head(w.ctx, key)
	return err == nil
}

// abandon takes back a call whose context is done. It never took effect.
func (w *World) abandon(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.parked = slices.DeleteFunc(w.parked, func(x *call) bool { return x == c })
}

// event is one thing that can happen next.
type event struct {
	call *call // nil: tick
	how  how
}

type how uint8

const (
	plain how = iota
	lost
	late
	twice
	refused
	deaf
	crashBefore
	crashAfter
	arrives
	tick
	throttled
)

func (h how) String() string {
	return [...]string{"", "reply lost", "late", "twice", "refused", "no answer", "crash before", "crash after", "arrives", "tick", "throttled"}[h]
}

// busy tells whether anything is left to happen.
func (w *World) busy() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.late) > 0 || slices.ContainsFunc(w.actors, func(a *actor) bool { return !a.done })
}

// events lists what can happen now: calls by actor, kind, key and order, the plain answer before its faults; then late
// PUTs; then time, if no call is parked.
func (w *World) events() []event {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sortParked()
	ev := w.choices[:0]
	for _, c := range w.parked {
		ev = append(ev, event{c, plain})
		ev = w.faults(ev, c)
	}
	for _, c := range w.late {
		ev = append(ev, event{c, arrives})
	}
	if len(w.parked) == 0 && slices.ContainsFunc(w.actors, func(a *actor) bool { return !a.done }) {
		ev = append(ev, event{nil, tick})
	}
	w.choices = ev
	return ev
}

// sortParked brings the calls into an order that does not depend on which goroutine came first. The caller holds mu.
func (w *World) sortParked() {
	slices.SortFunc(w.parked, func(a, b *call) int {
		return cmp.Or(cmp.Compare(a.actor.index, b.actor.index), cmp.Compare(a.op, b.op), strings.Compare(a.key, b.key), cmp.Compare(a.seq, b.seq))
	})
}

// faults appends the faults that are left for a call. A crash at a read is left out: nobody can tell it from a crash
// at the actor's next write, or after its last.
func (w *World) faults(ev []event, c *call) []event {
	b := w.budget
	if !c.op.writes() {
		if b.Deaf > 0 {
			ev = append(ev, event{c, deaf})
		}
		return ev
	}
	for _, f := range [...]struct {
		left int
		how  how
	}{{b.Lost, lost}, {b.Late, late}, {b.Twice, twice}, {b.Refused, refused}, {b.Crash, crashBefore}, {b.Crash, crashAfter}} {
		if f.left > 0 && (f.how != late || c.late != nil) {
			ev = append(ev, event{c, f.how})
		}
	}
	return ev
}

// leap tells whether e leaves an actor whose call is ready. A late PUT that arrives leaves nobody.
func (w *World) leap(e event) bool {
	if e.call == nil || e.how == arrives || w.last == nil || e.call.actor == w.last {
		return false
	}
	return slices.ContainsFunc(w.parked, func(c *call) bool { return c.actor == w.last })
}

// happen makes e so.
func (w *World) happen(e event) {
	step := Step{How: e.how.String()}
	if e.call != nil {
		step.Actor, step.Op, step.Key = e.call.actor.name, e.call.op, e.call.key
	}
	w.mu.Lock()
	w.trace = append(w.trace, step)
	w.steps = len(w.trace)
	w.mu.Unlock()
	switch e.how {
	case tick:
		w.sleep()
		return
	case arrives:
		e.call.late()
		w.mu.Lock()
		w.late = slices.DeleteFunc(w.late, func(x *call) bool { return x == e.call })
		w.mu.Unlock()
		return
	default: // a call is answered
	}
	w.last = e.call.actor
	w.abandon(e.call) // it is no longer parked
	err := w.apply(e)
	if e.how == crashBefore || e.how == crashAfter {
		w.crash(e.call)
		return
	}
	e.call.answer <- err
}

// apply spends the budget, does what the call does, and returns what its caller gets.
func (w *World) apply(e event) error {
	c := e.call
	doubt := func(why string) error {
		return objectstore.Wrap(c.op.String(), c.key, fmt.Errorf("%w: %s", objectstore.ErrUnavailable, why))
	}
	switch e.how {
	case lost:
		w.budget.Lost--
		_ = c.effect() // the caller never hears of it
		return doubt("the reply was lost")
	case late:
		w.budget.Late--
		w.mu.Lock()
		w.late = append(w.late, c)
		w.mu.Unlock()
		return doubt("no reply in time")
	case twice:
		w.budget.Twice--
		_ = c.effect() // the caller hears of the second delivery only
	case refused:
		w.budget.Refused--
		return objectstore.Wrap(c.op.String(), c.key, objectstore.ErrDenied)
	case deaf:
		w.budget.Deaf--
		return doubt("no reply")
	case throttled:
		return objectstore.Wrap(c.op.String(), c.key, objectstore.ErrThrottled)
	case crashBefore:
		w.budget.Crash--
		return nil
	case crashAfter:
		w.budget.Crash--
	case plain, arrives, tick:
	}
	return c.effect()
}

// crash ends the actor of c: its parked and later calls end their goroutines, its context is cancelled so that helpers
// leave, and deferred code no longer reaches the store.
func (w *World) crash(c *call) {
	a := c.actor
	w.mu.Lock()
	a.crashed = true
	gone := []*call{c}
	w.parked = slices.DeleteFunc(w.parked, func(x *call) bool {
		if x.actor == a {
			gone = append(gone, x)
		}
		return x.actor == a
	})
	w.mu.Unlock()
	a.cancel()
	for _, x := range gone {
		x.answer <- nil
	}
	synctest.Wait() // for the dead to be gone
	if a.onCrash != nil {
		a.onCrash()
	}
}

// sleep lets time run to the next timer and on, until a call parks or an actor ends. Where no timer is left, the
// bubble reports the deadlock.
func (w *World) sleep() {
	select {
	case <-w.wake: // from before
	default:
	}
	<-w.wake
}

// offered is a fingerprint of the events, so that a change is seen even where their number stays.
func offered(seed maphash.Seed, ev []event) uint64 {
	var h maphash.Hash
	h.SetSeed(seed)
	for _, e := range ev {
		_ = h.WriteByte(byte(e.how))
		if e.call != nil {
			_ = h.WriteByte(byte(e.call.actor.index))
			_ = h.WriteByte(byte(e.call.op))
			_, _ = h.WriteString(e.call.key)
		}
	}
	return h.Sum64()
}
