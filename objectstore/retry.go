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
}

// The defaults of [Policy]: about ten seconds of patience in the mean.
const (
	DefaultAttempts = 6
	DefaultBase     = 200 * time.Millisecond
	DefaultCap      = 10 * time.Second
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
		last, tries := after, 0
		for {
			failure := error(nil)
			for info, err := range r.Store.List(ctx, prefix, last) {
				if err != nil {
					failure = err
					break
				}
				last, tries = info.Key, 0
				if !yield(info, nil) {
					return
				}
			}
			if failure == nil {
				return
			}
			tries++
			if err := r.wait(ctx, tries, failure); err != nil {
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
	return &resuming{ctx: ctx, store: r, key: key, etag: info.ETag, body: body, offset: offset, left: length}, info, nil
}

// do calls f until it succeeds, fails for good, or the attempts are used up.
func (r *retry) do(ctx context.Context, f func() error) error {
	for tries := 1; ; tries++ {
		err := f()
		if err == nil {
			return nil
		}
		if err := r.wait(ctx, tries, err); err != nil {
			return err
		}
	}
}

// wait returns nil when the call that failed, for the tries-th time in a row, is to be repeated now.
func (r *retry) wait(ctx context.Context, tries int, failure error) error {
	if !Retryable(failure) || ctx.Err() != nil {
		return failure
	}
	if tries >= r.policy.Attempts {
		return fmt.Errorf("after %d attempts: %w", tries, failure)
	}
	bound := min(r.policy.Base<<(tries-1), r.policy.Cap)
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
	tries        int
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
			r.tries = 0
		}
		broken := err != nil && (Retryable(err) || errors.Is(err, io.ErrUnexpectedEOF))
		if !broken || r.left <= 0 || r.etag == "" {
			return n, err
		}
		_ = r.body.Close()
		r.body = nil
		r.tries++
		if err := r.store.wait(r.ctx, r.tries, fmt.Errorf("%w: %w", ErrUnavailable, err)); err != nil {
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
		r.tries++
		if err := r.store.wait(r.ctx, r.tries, err); err != nil {
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
