package objectstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
)

// Policy says how patient [Retry] is. The zero value stands for the defaults.
type Policy struct {
	Attempts int           // tries in all; DefaultAttempts if zero
	Base     time.Duration // longest first wait; DefaultBase if zero. Doubles with each try
	Cap      time.Duration // longest wait of all; DefaultCap if zero
	// Patience is the time without progress after which no further try begins, so that tries that each take long (a
	// store that accepts and never answers) end in bounded time, too. DefaultPatience if zero.
	Patience time.Duration
}

// The defaults of [Policy]: some ten seconds where the store refuses at once, a minute where it hangs.
const (
	DefaultAttempts = 6
	DefaultBase     = 200 * time.Millisecond
	DefaultCap      = 10 * time.Second
	DefaultPatience = 45 * time.Second
)

// attemptsMax keeps the doubling of waits within range.
const attemptsMax = 30

// Retry returns a Store that repeats calls which failed with a [Retryable] error, after a wait of random length below
// a bound that doubles (full jitter): Get, Head, List, Delete, and Put without a condition. A Put with a condition is
// passed on once and never repeated: its error is doubt, which only the settle rule may resolve.
//
// A reader of Get that breaks half-way is continued where it broke, on the same ETag; a List goes on after the last
// key it yielded. Progress renews the attempts. A done ctx ends waiting with an error that wraps ctx.Err() and the
// last failure. If s is [Local], so is the result.
func Retry(s Store, p Policy, c clock.Clock, r clock.Rand) Store {
	if p.Attempts <= 0 {
		p.Attempts = DefaultAttempts
	}
	if p.Base <= 0 {
		p.Base = DefaultBase
	}
	if p.Cap <= 0 {
		p.Cap = DefaultCap
	}
	if p.Patience <= 0 {
		p.Patience = DefaultPatience
	}
	p.Attempts = min(p.Attempts, attemptsMax)
	out := &retry{Store: s, policy: p, clock: c, rand: r}
	if l, ok := s.(Local); ok {
		return localStore{out, l}
	}
	return out
}

type retry struct {
	Store
	policy Policy
	clock  clock.Clock
	rand   clock.Rand
}

func (r *retry) Head(ctx context.Context, key string) (info Info, err error) {
	err = r.do(ctx, func() error {
		info, err = r.Store.Head(ctx, key)
		return err
	})
	return info, err
}

func (r *retry) Delete(ctx context.Context, keys ...string) error {
	return r.do(ctx, func() error { return r.Store.Delete(ctx, keys...) })
}

func (r *retry) Put(ctx context.Context, key string, body Body, cond Condition) (info Info, err error) {
	if cond.Conditional() {
		return r.Store.Put(ctx, key, body, cond)
	}
	err = r.do(ctx, func() error {
		info, err = r.Store.Put(ctx, key, body, cond)
		return err
	})
	return info, err
}

func (r *retry) List(ctx context.Context, prefix, after string) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		last, run := after, r.begin()
		for {
			failure := error(nil)
			for info, err := range r.Store.List(ctx, prefix, last) {
				if err != nil {
					failure = err
					break
				}
				last, run = info.Key, r.begin()
				if !yield(info, nil) {
					return
				}
			}
			if failure == nil {
				return
			}
			if err := r.wait(ctx, &run, failure); err != nil {
				yield(Info{}, err)
				return
			}
		}
	}
}

func (r *retry) Get(ctx context.Context, key string, rg Range) (body io.ReadCloser, info Info, err error) {
	err = r.do(ctx, func() error {
		body, info, err = r.Store.Get(ctx, key, rg)
		return err
	})
	if err != nil {
		return nil, info, err
	}
	offset, length := rg.Span(info.Size)
	return &resuming{ctx: ctx, store: r, key: key, etag: info.ETag, body: body, offset: offset, left: length, run: r.begin()}, info, nil
}

// streak is a run of failures without progress.
type streak struct {
	tries int
	since time.Time // when it began: the start of its first try
}

func (r *retry) begin() streak { return streak{since: r.clock.Now()} }

// do calls f until it succeeds, fails for good, or patience ends.
func (r *retry) do(ctx context.Context, f func() error) error {
	for run := r.begin(); ; {
		err := f()
		if err == nil {
			return nil
		}
		if err := r.wait(ctx, &run, err); err != nil {
			return err
		}
	}
}

// wait counts a failure and returns nil when the call is to be repeated now.
func (r *retry) wait(ctx context.Context, run *streak, failure error) error {
	run.tries++
	if !Retryable(failure) || ctx.Err() != nil {
		return failure
	}
	if run.tries >= r.policy.Attempts || clock.Since(r.clock, run.since) >= r.policy.Patience {
		return fmt.Errorf("after %d attempts: %w", run.tries, failure)
	}
	bound := min(r.policy.Base<<(run.tries-1), r.policy.Cap)
	if bound <= 0 {
		bound = r.policy.Cap
	}
	if err := r.clock.Sleep(ctx, clock.Jitter(r.rand, bound)); err != nil {
		return fmt.Errorf("%w: %w", err, failure)
	}
	return nil
}

// resuming reads one object, opening it again where a connection broke.
type resuming struct {
	ctx          context.Context //nolint:containedctx // the reader belongs to one Get
	store        *retry
	key, etag    string
	body         io.ReadCloser // nil while broken
	offset, left int64         // of what the caller has not seen
	run          streak
}

func (r *resuming) Read(p []byte) (int, error) {
	for {
		if r.body == nil {
			if err := r.reopen(); err != nil {
				return 0, err
			}
		}
		n, err := r.body.Read(p)
		r.offset += int64(n)
		r.left -= int64(n)
		if n > 0 {
			r.run = r.store.begin()
		}
		broken := err != nil && (Retryable(err) || errors.Is(err, io.ErrUnexpectedEOF))
		if !broken || r.left <= 0 || r.etag == "" {
			return n, err
		}
		_ = r.body.Close()
		r.body = nil
		if err := r.store.wait(r.ctx, &r.run, fmt.Errorf("%w: %w", ErrUnavailable, err)); err != nil {
			return n, err
		}
		if n > 0 {
			return n, nil
		}
	}
}

func (r *resuming) reopen() error {
	for {
		body, _, err := r.store.Store.Get(r.ctx, r.key, Range{Offset: r.offset, Length: r.left, IfMatch: r.etag})
		if err == nil {
			r.body = body
			return nil
		}
		if err := r.store.wait(r.ctx, &r.run, err); err != nil {
			return fmt.Errorf("read on at byte %d: %w", r.offset, err)
		}
	}
}

func (r *resuming) Close() error {
	if r.body == nil {
		return nil
	}
	return r.body.Close()
}
