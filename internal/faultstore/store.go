// Package faultstore spoils one call of a store, and sweeps an operation with that: every kind of fault, at every call
// that the operation makes, until it ends untouched.
package faultstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"sync"

	"github.com/lakectl/lakectl/objectstore"
)

var _ objectstore.Store = (*Store)(nil)

// Fault is what goes wrong with a call.
type Fault uint8

// The eight faults.
const (
	Refused     Fault = iota // no effect, an error for which objectstore.Refused is true
	ReplyLost                // full effect, and an error that leaves doubt; a read has no answer
	Late                     // an error now; a write takes effect later (see New)
	Twice                    // a write is delivered twice, the second answer is passed on
	CrashBefore              // the process ends before the call
	CrashAfter               // the process ends after the call had its effect
	ShortRead                // a Get ends half-way with io.ErrUnexpectedEOF
	FlippedByte              // a Get has one wrong byte in its middle, and does not tell
)

// Faults lists all of them.
func Faults() []Fault {
	return []Fault{Refused, ReplyLost, Late, Twice, CrashBefore, CrashAfter, ShortRead, FlippedByte}
}

// String names the fault.
func (f Fault) String() string {
	return [...]string{"refused", "reply lost", "late", "twice", "crash before", "crash after", "short read", "flipped byte"}[f]
}

// ErrCrashed ends every call from a crash on: the process that makes them is no more. Terminal.
var ErrCrashed = errors.New("the process has crashed")

// Store passes calls on to another store, and spoils one of them. A crash ends no goroutine: from then on every call
// fails with [ErrCrashed] and reaches nothing, which is the same to the store.
type Store struct {
	inner objectstore.Store
	at    int
	fault Fault
	delay int

	mu      sync.Mutex // guards the fields below; a leaf lock
	calls   int
	fired   string // what was spoiled; "" so far
	dead    bool
	pending func() // the late write
	left    int    // calls until it arrives
}

// New returns a store that spoils call number at, from 0. A late write takes effect right before the call that comes
// delay calls after it (1: before the next one), and at the latest with [Store.Settle].
func New(inner objectstore.Store, at int, f Fault, delay int) *Store {
	return &Store{inner: inner, at: at, fault: f, delay: max(delay, 1)}
}

// Calls is the number of calls so far.
func (s *Store) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Fired describes the call that was spoiled, "" if none was. A fault that makes no sense for its call, a short read of
// a PUT for example, counts as fired at a call that is named "-".
func (s *Store) Fired() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fired
}

// Settle lets a late write arrive that has not yet.
func (s *Store) Settle() {
	s.mu.Lock()
	f := s.pending
	s.pending = nil
	s.mu.Unlock()
	if f != nil {
		f()
	}
}

// inert marks a fault that its call cannot have.
const inert = "-"

// begin counts a call and tells whether it is the one.
func (s *Store) begin(op, key string, write bool) (hit bool, err error) {
	s.mu.Lock()
	if s.dead {
		s.mu.Unlock()
		return false, fmt.Errorf("%s %s: %w", op, key, ErrCrashed)
	}
	n := s.calls
	s.calls++
	var arrives func()
	if s.pending != nil {
		if s.left--; s.left <= 0 {
			arrives, s.pending = s.pending, nil
		}
	}
	if hit = n == s.at; hit {
		s.fired = op + " " + key
		if reading := s.fault == ShortRead || s.fault == FlippedByte; reading && op != "GET" || !write && (s.fault == Twice || s.fault == Late) {
			hit, s.fired = false, inert
		}
	}
	s.mu.Unlock()
	if arrives != nil {
		arrives()
	}
	return hit, nil
}

func doubt(op, key, why string) error {
	return objectstore.Wrap(op, key, fmt.Errorf("%w: %s", objectstore.ErrUnavailable, why))
}

// crash ends the process.
func (s *Store) crash(op, key string) error {
	s.mu.Lock()
	s.dead = true
	s.mu.Unlock()
	return fmt.Errorf("%s %s: %w", op, key, ErrCrashed)
}

// write runs a write that may be spoiled. effect may run twice, and after write has returned.
func (s *Store) write(op, key string, effect func() error) error {
	hit, err := s.begin(op, key, true)
	if err != nil {
		return err
	}
	if !hit {
		return effect()
	}
	switch s.fault {
	case Refused:
		return objectstore.Wrap(op, key, objectstore.ErrDenied)
	case ReplyLost:
		_ = effect() // the caller never hears of it
		return doubt(op, key, "the reply was lost")
	case Late:
		s.mu.Lock()
		s.pending, s.left = func() { _ = effect() }, s.delay // nobody is left to hear of it
		s.mu.Unlock()
		return doubt(op, key, "no reply in time")
	case Twice:
		_ = effect() // the second answer counts
	case CrashBefore:
		return s.crash(op, key)
	case CrashAfter:
		_ = effect() // the process is no more
		return s.crash(op, key)
	case ShortRead, FlippedByte: // begin does not let them come here
	}
	return effect()
}

// read decides about a read: an error instead of the answer, or nil and whether its bytes are to be spoiled.
func (s *Store) read(op, key string) (spoil bool, err error) {
	hit, err := s.begin(op, key, false)
	if err != nil || !hit {
		return false, err
	}
	switch s.fault {
	case Refused:
		return false, objectstore.Wrap(op, key, objectstore.ErrDenied)
	case ReplyLost:
		return false, doubt(op, key, "no reply")
	case CrashBefore, CrashAfter:
		return false, s.crash(op, key)
	case ShortRead, FlippedByte:
		return true, nil
	case Late, Twice: // begin does not let them come here
	}
	return false, nil
}

// URL is that of the store below.
func (s *Store) URL() string { return s.inner.URL() }

// Put implements [objectstore.Store]. The body is read first, so that it may arrive late.
func (s *Store) Put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (info objectstore.Info, err error) {
	b := make([]byte, body.Size())
	if n, rerr := body.ReadAt(b, 0); n < len(b) {
		return info, objectstore.Wrap("put", key, rerr)
	}
	if err := ctx.Err(); err != nil {
		return info, objectstore.Wrap("put", key, err)
	}
	late := context.WithoutCancel(ctx)
	var got objectstore.Info
	err = s.write("PUT", key, func() error {
		i, err := s.inner.Put(late, key, objectstore.Bytes(b), cond)
		got = i
		return err
	})
	if err != nil {
		return objectstore.Info{}, err
	}
	return got, nil
}

// Get implements [objectstore.Store].
func (s *Store) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	spoil, err := s.read("GET", key)
	if err != nil {
		return nil, objectstore.Info{}, err
	}
	body, info, err := s.inner.Get(ctx, key, r)
	if err != nil || !spoil {
		return body, info, err
	}
	b, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, objectstore.Info{}, err
	}
	want := int64(len(b))
	if s.fault == ShortRead {
		b = b[:len(b)/2]
	} else if len(b) > 0 {
		b = slices.Clone(b)
		b[len(b)/2] ^= 0x80
	}
	return objectstore.Exactly(ctx, io.NopCloser(bytes.NewReader(b)), want), info, nil
}

// Head implements [objectstore.Store].
func (s *Store) Head(ctx context.Context, key string) (objectstore.Info, error) {
	if _, err := s.read("HEAD", key); err != nil {
		return objectstore.Info{}, err
	}
	return s.inner.Head(ctx, key)
}

// List implements [objectstore.Store]. A listing is one call, however long it is; a fault comes before its first key.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		if _, err := s.read("LIST", prefix); err != nil {
			yield(objectstore.Info{}, err)
			return
		}
		s.inner.List(ctx, prefix, after)(yield)
	}
}

// Delete implements [objectstore.Store]. All keys share the fate of the call.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("delete: %w", err)
	}
	name := ""
	if len(keys) > 0 {
		name = keys[0]
	}
	keys, late := slices.Clone(keys), context.WithoutCancel(ctx)
	return s.write("DELETE", name, func() error { return s.inner.Delete(late, keys...) })
}
