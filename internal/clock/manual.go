package clock

import (
	"context"
	"sync"
	"time"
)

// Manual is a clock that a test moves by hand. Create it with [NewManual] or [NewStepping].
type Manual struct {
	stepping bool

	mu    sync.Mutex // guards the fields below; a leaf lock
	now   time.Time
	sleep map[*sleeper]struct{}
	moved chan struct{} // closed and replaced whenever a sleeper arrives or leaves
}

type sleeper struct {
	until time.Time
	wake  chan struct{}
}

// NewManual returns a clock that stands still at t until Advance or Set moves it.
func NewManual(t time.Time) *Manual {
	return &Manual{now: t.UTC(), sleep: map[*sleeper]struct{}{}, moved: make(chan struct{})}
}

// NewStepping returns a clock that stands still at t except that each Sleep moves it forward and returns at once.
// Backoff loops run through without waiting.
func NewStepping(t time.Time) *Manual {
	m := NewManual(t)
	m.stepping = true
	return m
}

// Now is the time that the test has set.
func (m *Manual) Now() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// Sleep waits until the clock has been moved to d from now, or ctx is done.
func (m *Manual) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil || d <= 0 {
		return err
	}
	m.mu.Lock()
	if m.stepping {
		m.now = m.now.Add(d)
		m.mu.Unlock()
		return nil
	}
	s := &sleeper{until: m.now.Add(d), wake: make(chan struct{})}
	m.sleep[s] = struct{}{}
	m.announce()
	m.mu.Unlock()

	select {
	case <-s.wake:
		return nil
	case <-ctx.Done():
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.sleep, s)
		m.announce()
		return ctx.Err()
	}
}

// Advance moves the clock by d, which may be negative, and wakes those whose time has come.
func (m *Manual) Advance(d time.Duration) { m.Set(m.Now().Add(d)) }

// Set moves the clock to t, which may lie in the past, and wakes those whose time has come.
func (m *Manual) Set(t time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.now = t.UTC()
	for s := range m.sleep {
		if !s.until.After(m.now) {
			delete(m.sleep, s)
			close(s.wake)
		}
	}
	m.announce()
}

// Sleepers waits until exactly n callers are asleep, or ctx is done.
func (m *Manual) Sleepers(ctx context.Context, n int) error {
	for {
		m.mu.Lock()
		have, moved := len(m.sleep), m.moved
		m.mu.Unlock()
		if have == n {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// announce tells waiters in Sleepers to count again. The caller holds mu.
func (m *Manual) announce() {
	close(m.moved)
	m.moved = make(chan struct{})
}
