package faultstore

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
)

// Subject is an operation under the sweep.
type Subject struct {
	Name string
	// Prepare brings an empty store into the old state. It must do the same each time.
	Prepare func(ctx context.Context, s objectstore.Store) error
	// Do is the operation, from opening to the end, as one process does it. It must make the same calls each time.
	Do func(ctx context.Context, s objectstore.Store) error
	// State tells everything that a user can see, in one text. It must be the same for equal contents.
	State func(ctx context.Context, s objectstore.Store) (string, error)
	// Again is Do in a new process after the first one failed; nil is Do.
	Again func(ctx context.Context, s objectstore.Store) error
	// Once says that Again after a first time that landed changes nothing: the operation is idempotent, or carries its
	// progress. Without it, Again is tried only where the old state is left.
	Once bool
	// Unknown tells whether an error of Do says that the outcome is not known. Nil: no error does.
	Unknown func(error) bool
	// Harmless says that the operation is never seen by users: old and new state are the same, a checkpoint for
	// example. Otherwise a Do that changes nothing fails the sweep.
	Harmless bool
	// Skip leaves out what nobody promises: a fault at a call such as "GET t/part-1.parquet". Nil: nothing.
	Skip func(f Fault, call string) bool
	// Patience bounds one run; ten seconds if zero.
	Patience time.Duration
}

// Counts are what a sweep has done.
type Counts struct {
	Calls    int // that the operation makes when nothing goes wrong
	Runs     int // faults at calls
	Inert    int // combinations left out because the call cannot have the fault
	Old, New int // states after the runs
	Acked    int // runs that reported success
	Unknown  int // runs that said that they do not know
	Failed   int // runs that broke a promise
}

// Add sums up.
func (c *Counts) Add(o Counts) {
	c.Calls += o.Calls
	c.Runs += o.Runs
	c.Inert += o.Inert
	c.Old += o.Old
	c.New += o.New
	c.Acked += o.Acked
	c.Unknown += o.Unknown
	c.Failed += o.Failed
}

// String is one line for people.
func (c Counts) String() string {
	return fmt.Sprintf("%d calls, %d runs (%d old, %d new, %d acknowledged, %d unknown), %d inert, %d failed",
		c.Calls, c.Runs, c.Old, c.New, c.Acked, c.Unknown, c.Inert, c.Failed)
}

// delays are when a late write arrives, in calls after it; the last is after everything.
func delays(f Fault) []int {
	if f == Late {
		return []int{1, 2, 1 << 30}
	}
	return []int{1}
}

// Sweep runs the operation with each fault at call k = 0, 1, 2 … until it ends untouched, and checks after each run:
//
//   - the table is in the old state or in the new one, at once and after late writes have arrived;
//   - success was reported only for the new state, an error other than "unknown" only for the old one;
//   - a second process can do the work, and with Once it does not do it twice.
//
// It prints the counts, and how to repeat what failed.
func Sweep(t testing.TB, s Subject) Counts {
	t.Helper()
	if s.Again == nil {
		s.Again = s.Do
	}
	if s.Unknown == nil {
		s.Unknown = func(error) bool { return false }
	}
	if s.Patience == 0 {
		s.Patience = 10 * time.Second
	}
	sw := &sweep{Subject: s, t: t}
	sw.states()
	for _, f := range Faults() {
		for _, delay := range delays(f) {
			for k := 0; sw.run(f, k, delay); k++ {
				continue
			}
		}
	}
	t.Logf("%s: %v", s.Name, sw.counts)
	return sw.counts
}

type sweep struct {
	Subject
	t        testing.TB
	old, new string
	counts   Counts
	stores   int // made so far
}

// fresh is a store in the old state.
func (s *sweep) fresh(ctx context.Context) objectstore.Store {
	s.t.Helper()
	// A clock that stands still: the times of objects are the same in every run. The operation comes an hour later.
	c := clock.NewManual(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
	defer c.Advance(time.Hour)
	// A name of its own: what one run has cached of a store is no help to the next.
	s.stores++
	inner := mem.New(fmt.Sprintf("%s/%d", s.t.Name(), s.stores), mem.WithClock(c))
	if err := s.Prepare(ctx, inner); err != nil {
		s.t.Fatalf("%s: prepare: %v", s.Name, err)
	}
	return inner
}

// states learns old and new state from an untouched run.
func (s *sweep) states() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), s.Patience)
	defer cancel()
	inner := s.fresh(ctx)
	var err error
	if s.old, err = s.State(ctx, inner); err != nil {
		s.t.Fatalf("%s: state: %v", s.Name, err)
	}
	outer := New(inner, -1, Refused, 1)
	if err := s.Do(ctx, outer); err != nil {
		s.t.Fatalf("%s: %v", s.Name, err)
	}
	s.counts.Calls = outer.Calls()
	if s.new, err = s.State(ctx, inner); err != nil {
		s.t.Fatalf("%s: state: %v", s.Name, err)
	}
	if s.Harmless != (s.old == s.new) {
		s.t.Fatalf("%s: the operation goes from\n%s\nto\n%s", s.Name, s.old, s.new)
	}
}

// run tries one fault. It is false where the operation ended before call k.
func (s *sweep) run(f Fault, k, delay int) (more bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), s.Patience)
	defer cancel()
	inner := s.fresh(ctx)
	outer := New(inner, k, f, delay)
	got := s.Do(ctx, outer)
	fired := outer.Fired()
	switch fired {
	case "":
		if got != nil {
			s.fail(f, k, delay, "nothing", fmt.Errorf("it failed untouched: %w", got))
		}
		return false
	case inert:
		s.counts.Inert++
		return true
	}
	if s.Skip != nil && s.Skip(f, fired) {
		s.counts.Inert++
		return true
	}
	s.counts.Runs++
	if err := s.judge(ctx, inner, outer, got); err != nil {
		s.fail(f, k, delay, fired, err)
	}
	return true
}

func (s *sweep) fail(f Fault, k, delay int, fired string, err error) {
	s.t.Helper()
	s.counts.Failed++
	s.t.Errorf("%s: %v at call %d (%s, delay %d): %v", s.Name, f, k, fired, delay, err)
}

// judge looks at what a run has left.
func (s *sweep) judge(ctx context.Context, inner objectstore.Store, outer *Store, got error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("it took longer than %v: %w", s.Patience, got)
	}
	before, err := s.look(ctx, inner)
	if err != nil {
		return err
	}
	outer.Settle()
	state, err := s.look(ctx, inner)
	if err != nil {
		return fmt.Errorf("after the late write arrived: %w", err)
	}
	crashed := outer.crashed()
	switch {
	case s.Harmless:
		s.counts.Old++
	case state == s.new:
		s.counts.New++
	default:
		s.counts.Old++
	}
	switch {
	case crashed:
	case got == nil:
		s.counts.Acked++
		if before != s.new || state != s.new {
			return errors.New("it reported success, and the change is not visible")
		}
	case s.Unknown(got):
		s.counts.Unknown++
	case state != s.old:
		return fmt.Errorf("it reported a failure, and the change is visible: %w", got)
	}
	if state == s.new && !s.Once && !s.Harmless {
		return nil
	}
	if err := s.Again(ctx, inner); err != nil {
		return fmt.Errorf("the second process failed: %w (the first: %w)", err, got)
	}
	if again, err := s.look(ctx, inner); err != nil {
		return fmt.Errorf("after the second process: %w", err)
	} else if again != s.new {
		return fmt.Errorf("the second process left\n%s\nwanted\n%s", again, s.new)
	}
	return nil
}

// look reads the state, which must be one of the two.
func (s *sweep) look(ctx context.Context, inner objectstore.Store) (string, error) {
	state, err := s.State(ctx, inner)
	if err != nil {
		return "", fmt.Errorf("it left a table that cannot be read: %w", err)
	}
	if state != s.old && state != s.new {
		return "", fmt.Errorf("it left neither the old nor the new state:\n%s", state)
	}
	return state, nil
}

func (s *Store) crashed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dead
}
