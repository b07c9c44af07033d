package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/objectstore"
)

var _ objectstore.Store = (*Store)(nil)

// Op is a kind of store call. The order is the order of events.
type Op uint8

// The kinds.
const (
	OpDelete Op = iota
	OpGet
	OpHead
	OpList
	OpPut
)

// String is the name in traces.
func (o Op) String() string { return [...]string{"DELETE", "GET", "HEAD", "LIST", "PUT"}[o] }

// writes tells whether the call can change an object.
func (o Op) writes() bool { return o == OpPut || o == OpDelete }

// Store is one actor's door to the objects of a [World]. Its calls park until the scheduler answers them, except those
// that the world lets pass. Calls of an actor that has crashed end their goroutine.
type Store struct {
	world *World
	actor *actor
}

// call is one store call on its way.
type call struct {
	actor  *actor
	op     Op
	key    string
	seq    int
	effect func() error // what the call does to the objects, and keeps the answer; run at most twice
	late   func()       // what arrives later, for a PUT; nil where that makes no sense
	due    time.Time    // of a late PUT in a simulation: it arrives then at the latest
	answer chan error   // gets one value: what to return instead of the answer, or nil
}

// URL is "mem://sim".
func (s *Store) URL() string { return s.world.objects.URL() }

// Put implements [objectstore.Store]. The body is read when the call begins.
func (s *Store) Put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (info objectstore.Info, err error) {
	b := make([]byte, body.Size())
	if n, rerr := body.ReadAt(b, 0); n < len(b) {
		return info, objectstore.Wrap("put", key, fmt.Errorf("read body: %w", rerr))
	}
	put := func() (objectstore.Info, error) {
		info, err := s.world.objects.Put(s.world.ctx, key, objectstore.Bytes(b), cond)
		if err == nil && s.world.landed != nil {
			s.world.landed(key, b)
		}
		return info, err
	}
	err = s.do(ctx, &call{
		op: OpPut, key: key,
		effect: func() error { info, err = put(); return err },
		late:   func() { _, _ = put() }, // nobody is left to hear the answer
	})
	if err != nil {
		return objectstore.Info{}, err
	}
	return info, nil
}

// Get implements [objectstore.Store].
func (s *Store) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	var data []byte
	var info objectstore.Info
	err := s.do(ctx, &call{op: OpGet, key: key, effect: func() error {
		body, i, err := s.world.objects.Get(s.world.ctx, key, r)
		if err != nil {
			return err
		}
		info = i
		data, err = io.ReadAll(body)
		return err
	}})
	if err != nil {
		return nil, objectstore.Info{}, err
	}
	return objectstore.Exactly(ctx, io.NopCloser(bytes.NewReader(data)), int64(len(data))), info, nil
}

// Head implements [objectstore.Store].
func (s *Store) Head(ctx context.Context, key string) (info objectstore.Info, err error) {
	err = s.do(ctx, &call{op: OpHead, key: key, effect: func() error {
		var herr error
		info, herr = s.world.objects.Head(s.world.ctx, key)
		return herr
	}})
	return info, err
}

// List implements [objectstore.Store]. A listing is answered as a whole when it begins.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		var all []objectstore.Info
		err := s.do(ctx, &call{op: OpList, key: prefix, effect: func() error {
			all = all[:0]
			for info, err := range s.world.objects.List(s.world.ctx, prefix, after) {
				if err != nil {
					return err
				}
				all = append(all, info)
			}
			return nil
		}})
		for _, info := range all {
			if !yield(info, nil) {
				return
			}
		}
		if err != nil {
			yield(objectstore.Info{}, err)
		}
	}
}

// Delete implements [objectstore.Store]. All keys go at once.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	keys = slices.Clone(keys)
	return s.do(ctx, &call{op: OpDelete, key: strings.Join(keys, " "), effect: func() error {
		err := s.world.objects.Delete(s.world.ctx, keys...)
		if err == nil && s.world.gone != nil {
			s.world.gone(keys)
		}
		return err
	}})
}

// do lets the call pass, or parks it until it is answered.
func (s *Store) do(ctx context.Context, c *call) error {
	w := s.world
	c.actor = s.actor
	if err := ctx.Err(); err != nil {
		return errors.Join(s.leaveIfCrashed(), fmt.Errorf("%s %s: %w", c.op, c.key, err))
	}
	if !w.park(c) {
		if err := s.leaveIfCrashed(); err != nil {
			return err
		}
		return c.effect()
	}
	select {
	case err := <-c.answer:
		return errors.Join(s.leaveIfCrashed(), err)
	case <-ctx.Done():
		gone := s.leaveIfCrashed()
		w.abandon(c)
		return errors.Join(gone, fmt.Errorf("%s %s: %w", c.op, c.key, ctx.Err()))
	}
}

// leaveIfCrashed ends the goroutine of an actor that is no more, or says so to one that unwinds. Deferred code runs,
// but reaches no store.
func (s *Store) leaveIfCrashed() error {
	if s.Alive() {
		return nil
	}
	if !s.actor.unwinds {
		runtime.Goexit()
	}
	return errGone
}

// errGone is what the dead hear from their stores. Terminal.
var errGone = fmt.Errorf("the process has crashed: %w", context.Canceled)

// Alive tells whether the actor has not crashed. Safe for concurrent use.
func (s *Store) Alive() bool {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return !s.actor.crashed
}

// Frozen is how long a simulation has stopped the actor so far. Safe for concurrent use.
func (s *Store) Frozen() time.Duration {
	s.world.mu.Lock()
	defer s.world.mu.Unlock()
	return s.actor.frozen
}

// Free is a door to the objects whose calls never wait: for what is done once all is quiet, told to Landed and Gone.
func (w *World) Free() *Store {
	free := &World{ctx: w.ctx, objects: w.objects, parks: func(Op, string) bool { return false }, landed: w.landed, gone: w.gone}
	return &Store{world: free, actor: &actor{cancel: func() {}}}
}

// Unparked returns a Store none of whose calls park, outside of any bubble.
func Unparked(t *testing.T) *Store {
	t.Helper()
	w := newWorld(t.Context(), Case{Parks: func(Op, string) bool { return false }})
	return &Store{world: w, actor: &actor{name: "a", cancel: func() {}}}
}
