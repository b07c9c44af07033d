package duckdb

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
)

const (
	// idleMax bounds the instances that wait for a call. Each holds about three megabytes.
	idleMax = 8
	// idleTime is how long an instance waits for a call.
	idleTime = 10 * time.Second
	// longCall is the length of a call after which its instance ends: what it has grown to goes with it, and a new one
	// costs little beside such a call.
	longCall = 5 * time.Second
	// callsMax bounds the calls of one instance.
	callsMax = 500
)

// pool keeps instances between calls: opening and closing one takes about eight milliseconds, which would be most of
// a small call.
//
// A call has its instance for itself, so that calls never wait for each other, and gives it back empty: objects that
// it made are dropped, and its connection, which holds all else that SQL text could change, is closed. An instance of
// which that is not certain, since a statement failed or was stopped, is never given back.
type pool struct {
	clock clock.Clock

	mu      sync.Mutex // guards the following; a leaf lock
	idle    []*instance
	out     int // calls that may give an instance back
	closed  bool
	sweep   context.CancelFunc // ends the sweeper; nil: none runs
	sweeper chan struct{}      // closed when the sweeper has ended
}

// take returns an instance of a kind that waits, the one that was used last; nil if there is none. A call of put
// follows.
func (p *pool) take(ctx context.Context, k kind) *instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out++
	if p.sweep == nil && !p.closed {
		ctx, p.sweep = context.WithCancel(context.WithoutCancel(ctx))
		p.sweeper = make(chan struct{})
		go p.run(ctx, p.sweeper)
	}
	for i, in := range slices.Backward(p.idle) {
		if in.kind == k {
			p.idle = slices.Delete(p.idle, i, i+1)
			return in
		}
	}
	return nil
}

// put keeps an instance for other calls; nil: there is nothing to keep.
func (p *pool) put(in *instance) {
	if out := p.keep(in); out != nil {
		out.close()
	}
}

// keep adds an instance to those that wait and returns the one that has to go.
func (p *pool) keep(in *instance) (out *instance) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.out--
	if in == nil {
		return nil
	}
	in.calls++
	in.since = p.clock.Now()
	if p.closed || in.calls >= callsMax {
		return in
	}
	if len(p.idle) >= idleMax {
		out = p.idle[0]
		p.idle = slices.Delete(p.idle, 0, 1)
	}
	p.idle = append(p.idle, in)
	return out
}

// run ends instances that have waited for long, until there are none and no call will give one back.
func (p *pool) run(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	for p.clock.Sleep(ctx, idleTime) == nil {
		old, more := p.old()
		for _, in := range old {
			in.close()
		}
		if !more {
			return
		}
	}
}

// old takes out the instances that have waited for long. Without more there is no sweeper from then on.
func (p *pool) old() (old []*instance, more bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = slices.DeleteFunc(p.idle, func(in *instance) bool {
		gone := clock.Since(p.clock, in.since) >= idleTime
		if gone {
			old = append(old, in)
		}
		return gone
	})
	if len(p.idle) > 0 || p.out > 0 || p.closed {
		return old, true
	}
	p.sweep()
	p.sweep = nil
	return old, false
}

// close ends all instances that wait, and every one that is put from now on.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle, sweep, sweeper := p.idle, p.sweep, p.sweeper
	p.idle, p.sweep = nil, nil
	p.mu.Unlock()
	if sweep != nil {
		sweep()
	}
	if sweeper != nil {
		<-sweeper
	}
	for _, in := range idle {
		in.close()
	}
}
