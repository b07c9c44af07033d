package objectstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
)

// DefaultProbePrefix is where [Probed] puts its object when the caller names no place.
const DefaultProbePrefix = "_lake/probe/"

// probeCleanup is how long the removal of a probe may take after the write that it stood in for.
const probeCleanup = 10 * time.Second

// Probed returns a Store that believes no store by name: before the first Put it creates one object twice, and if the
// second create succeeds too, the store ignores conditions and every Put from then on is [ErrUnsafeStore]. A pass can
// be trusted as far as one try goes: it refutes, it does not prove.
//
// The probe is named prefix + a random token and is removed afterwards, best effort: a writer that may not delete
// leaves it. The prefix is [DefaultProbePrefix] if empty. A probe that ended in neither way, because the store was
// not reachable for example, fails the Put that caused it ([ErrUnsent] beside the cause) and is repeated by the next.
//
// Cost: two PUTs and one DELETE, once. Reading and deleting pass through. If s is [Local], so is the result.
func Probed(s Store, prefix string, r clock.Rand) Store {
	if prefix == "" {
		prefix = DefaultProbePrefix
	}
	p := &probed{Store: s, prefix: prefix, rand: r, turn: make(chan struct{}, 1)}
	if l, ok := s.(Local); ok {
		return localStore{p, l}
	}
	return p
}

// localStore keeps Local visible through a decorator.
type localStore struct {
	Store
	Local
}

type probed struct {
	Store
	prefix string
	rand   clock.Rand

	// turn holds a token while somebody probes or looks; it is a channel, not a mutex, because it is held across calls
	// of the store. It guards the fields below.
	turn    chan struct{}
	settled bool
	verdict error
}

func (p *probed) Put(ctx context.Context, key string, body Body, cond Condition) (Info, error) {
	if err := p.check(ctx); err != nil {
		return Info{}, Wrap("put", key, err)
	}
	return p.Store.Put(ctx, key, body, cond)
}

func (p *probed) check(ctx context.Context) error {
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-ctx.Done():
		return fmt.Errorf("%w: %w", ErrUnsent, ctx.Err())
	}
	if p.settled {
		return p.verdict
	}
	verdict, err := p.probe(ctx)
	if err != nil {
		return fmt.Errorf("probe the store: %w: %w", ErrUnsent, err) // whatever became of the probe
	}
	p.settled, p.verdict = true, verdict
	return verdict
}

// probe returns the verdict, or the error that kept it from one.
func (p *probed) probe(ctx context.Context) (verdict, err error) {
	key := p.prefix + clock.NewToken(p.rand, 16)
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeCleanup)
		defer cancel()
		_ = p.Delete(ctx, key) // a writer without the right to delete is a writer none the less
	}()
	for _, text := range []string{"first", "second"} {
		_, err := p.Store.Put(ctx, key, Bytes([]byte(text)), CreateOnly)
		if errors.Is(err, ErrExists) {
			return nil, nil // also on the first, if its own reply was lost on the way
		}
		if err != nil {
			return nil, err
		}
	}
	return fmt.Errorf("%w: %s created %s twice", ErrUnsafeStore, p.URL(), key), nil
}
