package sim

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
)

// Weather is what a simulation does to its actors: chances in a thousand, each time that a call is to be answered.
type Weather struct {
	Lost, Late, Twice, Refused int // of writes
	Crash                      int // of writes, before or after the effect
	Deaf                       int // of reads
	Throttled                  int // of all calls
	Storm                      int // a storm begins, in which nine of ten calls of all actors are throttled
	Freeze                     int // the actor is stopped for a while, and its call waits
	FreezeCommit               int // the same for creating a commit: the worst moment
	Pass                       int // time passes while calls wait
}

// How long the things of a [Weather] last. Lengths are spread evenly over their logarithm.
const (
	latestPut    = 50 * time.Minute // a late PUT arrives within it
	longestStorm = 2 * time.Minute
	longestPass  = 4 * time.Second
	shortFreeze  = time.Minute
	// LongFreeze and LongestFreeze bound the pause that each actor may meet once in its life; all others last a minute at
	// most.
	LongFreeze    = 31 * time.Minute
	LongestFreeze = 20 * time.Hour
	livelock      = 20 // times as many events as were asked for end a simulation that does not come to rest
)

// Simulation is a program of many actors and one long random schedule of its calls.
type Simulation struct {
	Case    // its Budget is not used: the weather decides
	Seed    uint64
	Steps   int // events in bad weather; after them the actors come to rest in fair weather
	Weather Weather
	// Calm tells the actors to come to an end. It is called once, when all goroutines wait.
	Calm func(w *World)
}

// Passage is how a simulation went.
type Passage struct {
	Hash   string         // of all events with their times, and of what was left in the store
	Events map[string]int // by what happened: "" is a plain answer
	Steps  int
	Awoke  int           // long pauses that ended while the actor was about to create a commit
	Lasted time.Duration // by the clock of the bubble
	Err    error         // what Check or the simulation itself found
	Trace  []Step
}

// Simulate runs s once. The same seed gives the same passage, on every machine.
func Simulate(t *testing.T, s Simulation) Passage {
	t.Helper()
	p := Passage{Events: map[string]int{}}
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		began := time.Now()
		r := &sailing{s: s, w: newWorld(ctx, s.Case), rand: clock.SeededRand(s.Seed), sum: sha256.New(), began: began, pause: map[*actor]time.Time{}, p: &p}
		s.Start(t, r.w)
		for r.w.settle(); r.w.busy(); r.w.settle() {
			if p.Steps == s.Steps {
				r.calm()
				continue
			}
			if p.Steps > livelock*s.Steps {
				p.Err = fmt.Errorf("no rest after %d events", p.Steps)
				r.w.end()
				break
			}
			r.step()
		}
		p.Lasted, p.Trace = time.Since(began), r.w.trace
		if p.Err == nil {
			p.Err = s.Check(t, r.w)
		}
		p.Hash = r.hash(t)
	})
	return p
}

// sailing is a simulation under way.
type sailing struct {
	s     Simulation
	w     *World
	rand  clock.Rand
	sum   hash.Hash
	began time.Time
	storm time.Time            // until then
	fair  bool                 // no more faults
	pause map[*actor]time.Time // when their long pause began; zero once they are awake
	p     *Passage
}

func (r *sailing) n(n int) int { return int(clock.Int64N(r.rand, int64(n))) }

func (r *sailing) chance(thousandths int) bool { return r.n(1000) < thousandths }

// spread draws from low to high, evenly over the logarithm.
func (r *sailing) spread(low, high time.Duration) time.Duration {
	return Spread(r.rand, low, high)
}

// Spread draws a length from low to high, evenly over its logarithm: short ones are as likely as long ones.
func Spread(r clock.Rand, low, high time.Duration) time.Duration {
	part := float64(clock.Int64N(r, 1<<30)) / (1 << 30)
	return low + time.Duration(float64(low)*(math.Pow(float64(high)/float64(low), part)-1))
}

// calm ends faults, storms and pauses.
func (r *sailing) calm() {
	r.fair = true
	r.w.mu.Lock()
	for _, a := range r.w.actors {
		if left := time.Until(a.thaw); left > 0 {
			a.thaw, a.frozen = time.Time{}, a.frozen-left
		}
	}
	r.w.mu.Unlock()
	r.note(Step{How: "calm"})
	r.s.Calm(r.w)
}

// step lets one thing happen.
func (r *sailing) step() {
	ready, late, next := r.w.open(time.Now())
	switch {
	case late != nil:
		r.happen(event{late, arrives})
	case len(ready) == 0:
		r.note(Step{How: tick.String()})
		r.w.idle(next)
	case r.chance(r.s.Weather.Pass):
		r.note(Step{How: tick.String()})
		time.Sleep(r.spread(time.Millisecond, longestPass))
	case len(r.w.late) > 0 && r.chance(20):
		r.happen(event{r.w.late[r.n(len(r.w.late))], arrives})
	default:
		r.answer(ready[r.n(len(ready))])
	}
}

// answer decides the fate of a call.
func (r *sailing) answer(c *call) {
	if r.fair {
		r.happen(event{c, plain})
		return
	}
	now, x := time.Now(), r.s.Weather
	if r.chance(x.Storm) {
		r.storm = now.Add(r.spread(time.Second, longestStorm))
	}
	commit := c.op == OpPut && CommitFile(c.key)
	if commit && r.chance(x.FreezeCommit) || r.chance(x.Freeze) {
		r.freeze(c, commit)
		return
	}
	h := throttled
	if !now.Before(r.storm) || !r.chance(900) {
		h = r.fate(c)
	}
	if h == late {
		c.due = now.Add(r.spread(100*time.Millisecond, latestPut))
	}
	r.happen(event{c, h})
}

func (r *sailing) fate(c *call) how {
	x := r.s.Weather
	fates := []struct {
		chance int
		how    how
	}{{x.Throttled, throttled}, {x.Deaf, deaf}}
	if c.op.writes() {
		crash := crashBefore
		if r.chance(500) {
			crash = crashAfter
		}
		fates = append(fates[:1], []struct {
			chance int
			how    how
		}{{x.Lost, lost}, {x.Twice, twice}, {x.Refused, refused}, {x.Crash, crash}, {x.Late, late}}...)
	}
	at := r.n(1000)
	for _, f := range fates {
		if at -= f.chance; at < 0 && (f.how != late || c.late != nil) {
			return f.how
		}
	}
	return plain
}

// freeze stops the actor of c for a while.
func (r *sailing) freeze(c *call, commit bool) {
	a, d := c.actor, r.spread(time.Second, shortFreeze)
	if _, had := r.pause[a]; !had && (commit || r.chance(300)) {
		r.pause[a], d = time.Now(), r.spread(LongFreeze, LongestFreeze)
	}
	r.w.mu.Lock()
	a.thaw, a.frozen = time.Now().Add(d), a.frozen+d
	r.w.mu.Unlock()
	r.note(Step{Actor: a.name, Op: c.op, Key: c.key, How: "frozen for " + d.String()})
	r.p.Events["frozen"]++
}

func (r *sailing) happen(e event) {
	if e.how != arrives {
		if began := r.pause[e.call.actor]; !began.IsZero() {
			r.pause[e.call.actor] = time.Time{}
			if e.call.op == OpPut && CommitFile(e.call.key) && time.Since(began) >= LongFreeze {
				r.p.Awoke++
			}
		}
	}
	r.p.Events[e.how.String()]++
	r.w.happen(e)
	r.digest(r.w.trace[len(r.w.trace)-1])
}

// note adds an event that answers no call to the trace.
func (r *sailing) note(s Step) {
	r.w.mu.Lock()
	r.w.trace = append(r.w.trace, s)
	r.w.steps = len(r.w.trace)
	r.w.mu.Unlock()
	r.digest(s)
}

func (r *sailing) digest(s Step) {
	r.p.Steps++
	_, _ = fmt.Fprintf(r.sum, "%d %s\n", time.Since(r.began), s)
}

// hash adds what is in the store.
func (r *sailing) hash(t *testing.T) string {
	t.Helper()
	for info, err := range r.w.objects.List(r.w.ctx, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(r.sum, "%s %s %d\n", info.Key, info.ETag, info.Modified.UnixNano())
	}
	return hex.EncodeToString(r.sum.Sum(nil)[:8])
}

// open lists the calls that can be answered now, in a fixed order; a late PUT that is due; and when the next actor
// thaws or late PUT is due, zero for never.
func (w *World) open(now time.Time) (ready []*call, due *call, next time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sortParked()
	soon := func(at time.Time) {
		if next.IsZero() || at.Before(next) {
			next = at
		}
	}
	for _, c := range w.parked {
		if c.actor.thaw.After(now) {
			soon(c.actor.thaw)
			continue
		}
		ready = append(ready, c)
	}
	for _, c := range w.late {
		if !c.due.After(now) {
			due = c
			break
		}
		soon(c.due)
	}
	return ready, due, next
}

// idle lets time run until a call parks or an actor ends, and not beyond next; zero is no bound. It may end early.
func (w *World) idle(next time.Time) {
	if next.IsZero() {
		w.sleep()
		return
	}
	select {
	case <-w.wake: // from before
	default:
	}
	timer := time.NewTimer(time.Until(next))
	defer timer.Stop()
	select {
	case <-w.wake:
	case <-timer.C:
	}
}

// Tail is the end of a trace as text.
func (p Passage) Tail(most int) string { return text(p.Trace[max(0, len(p.Trace)-most):]) }

// Answered tells how many events were of these kinds: "late", "reply lost" and so on.
func (p Passage) Answered(kinds ...string) (n int) {
	for how, c := range p.Events {
		if slices.Contains(kinds, how) {
			n += c
		}
	}
	return n
}
