// Package clock is the only room that asks the machine for the time or for randomness.
//
// Everything else takes a [Clock] and a [Rand] through its constructor, so that a test can stop time, turn it back,
// let it run fast, or repeat a run from its seed.
package clock

import (
	"context"
	"time"
)

// Clock tells the time and waits. Implementations are safe for concurrent use.
type Clock interface {
	// Now is the current time, in UTC. It may go backwards: never measure progress with it.
	Now() time.Time

	// Sleep waits for d, or until ctx is done and then returns an error that wraps ctx.Err(). A d of zero or less
	// returns at once, with the error of a ctx that is already done.
	Sleep(ctx context.Context, d time.Duration) error
}

// System returns the clock of this machine. Inside a testing/synctest bubble it is the bubble's clock.
func System() Clock { return system{} }

type system struct{}

func (system) Now() time.Time { return time.Now().UTC() }

func (system) Sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Since is the time that has passed on c since t.
func Since(c Clock, t time.Time) time.Duration { return c.Now().Sub(t) }

// Skewed returns a clock that is off by offset, as the clock of another machine may be.
func Skewed(c Clock, offset time.Duration) Clock { return skewed{c, offset} }

type skewed struct {
	Clock
	offset time.Duration
}

func (s skewed) Now() time.Time { return s.Clock.Now().Add(s.offset) }

// Fast returns a clock that showed start when c showed epoch and runs factor times as fast since. Processes that are
// given the same epoch, start and factor agree on the time. A factor below 1 counts as 1.
func Fast(c Clock, epoch, start time.Time, factor int) Clock {
	return fast{c, epoch, start, int64(max(factor, 1))}
}

type fast struct {
	base         Clock
	epoch, start time.Time
	factor       int64
}

func (f fast) Now() time.Time {
	passed := int64(f.base.Now().Sub(f.epoch)) * f.factor
	return f.start.Add(time.Duration(passed)).UTC()
}

func (f fast) Sleep(ctx context.Context, d time.Duration) error {
	if d > 0 {
		d = time.Duration(max(int64(d)/f.factor, 1))
	}
	return f.base.Sleep(ctx, d)
}
