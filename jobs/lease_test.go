package jobs

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
)

const testLease = "_lake/lease/test.json"

func contender(t *testing.T, store objectstore.Store, seed uint64) *Config {
	t.Helper()
	cfg := config(store, &scripted{}, flights(""))
	cfg.Rand, cfg.Holder = clock.SeededRand(seed), "contender"
	return fill(t, cfg)
}

func TestLeaseHasOneHolder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := mem.New(t.Name())
		a, b := contender(t, store, 1), contender(t, store, 2)
		held, err := a.acquire(t.Context(), testLease)
		if err != nil || held.state.Epoch != 1 {
			t.Fatalf("got %+v, %v", held, err)
		}
		if _, err := b.acquire(t.Context(), testLease); !errors.Is(err, ErrHeld) {
			t.Fatalf("second holder: %v", err)
		}
		// Renewed, it does not expire.
		ctx, lost := context.WithCancelCause(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); held.keep(ctx, lost) }()
		time.Sleep(10 * DefaultLeaseTTL)
		synctest.Wait()
		if _, err := b.acquire(t.Context(), testLease); !errors.Is(err, ErrHeld) {
			t.Fatalf("a renewed lease expired: %v", err)
		}
		lost(nil)
		<-ended
		// Not renewed, it does, and not a moment before.
		time.Sleep(DefaultLeaseTTL - DefaultLeaseTTL/3 - time.Second)
		if _, err := b.acquire(t.Context(), testLease); !errors.Is(err, ErrHeld) {
			t.Fatalf("expired early: %v", err)
		}
		time.Sleep(DefaultLeaseTTL/3 + 2*time.Second)
		taken, err := b.acquire(t.Context(), testLease)
		if err != nil || taken.state.Epoch != 2 {
			t.Fatalf("got %+v, %v", taken, err)
		}
		// The old holder wakes up, and learns that it is over at its next renewal.
		ctx, lost = context.WithCancelCause(t.Context())
		held.keep(ctx, lost)
		if !errors.Is(context.Cause(ctx), ErrHeld) {
			t.Fatalf("the old holder goes on: %v", context.Cause(ctx))
		}
		// Given back, it can be taken at once.
		if err := taken.release(t.Context(), false, nil); err != nil {
			t.Fatal(err)
		}
		if next, err := a.acquire(t.Context(), testLease); err != nil || next.state.Epoch != 3 {
			t.Fatalf("got %+v, %v", next, err)
		}
	})
}

func TestFinishedClaimIsNotTaken(t *testing.T) {
	store := mem.New(t.Name())
	a, b := contender(t, store, 1), contender(t, store, 2)
	claim, err := a.acquire(t.Context(), claimKey("flights/x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := claim.release(t.Context(), true, []byte(`{"run":"flights/x"}`)); err != nil {
		t.Fatal(err)
	}
	got, err := b.acquire(t.Context(), claimKey("flights/x"))
	if err != nil || !got.state.Finished || string(got.state.Report) != `{"run":"flights/x"}` {
		t.Fatalf("got %+v, %v", got, err)
	}
}

// A lost reply is not a lost lease: neither when it is taken nor when it is renewed.
func TestLeaseSurvivesLostReplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &forgetful{Store: mem.New(t.Name()), lose: func(int, string) bool { return true }}
		a := contender(t, store, 1)
		held, err := a.acquire(t.Context(), testLease)
		if err != nil {
			t.Fatal(err)
		}
		ctx, lost := context.WithCancelCause(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); held.keep(ctx, lost) }()
		time.Sleep(5 * DefaultLeaseTTL)
		synctest.Wait()
		if ctx.Err() != nil {
			t.Fatalf("lease lost: %v", context.Cause(ctx))
		}
		lost(nil)
		<-ended
		if held.state.Beat < 10 {
			t.Errorf("renewed %d times", held.state.Beat)
		}
	})
}

// A holder that cannot reach the store stops when its lease must have expired.
func TestLeaseEndsWhenTheStoreIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &broken{Store: mem.New(t.Name())}
		a := contender(t, store, 1)
		held, err := a.acquire(t.Context(), testLease)
		if err != nil {
			t.Fatal(err)
		}
		store.down = true
		began := time.Now()
		ctx, lost := context.WithCancelCause(t.Context())
		held.keep(ctx, lost)
		if !errors.Is(context.Cause(ctx), objectstore.ErrUnavailable) || time.Since(began) > 2*DefaultLeaseTTL {
			t.Errorf("ended with %v after %v", context.Cause(ctx), time.Since(began))
		}
	})
}

type broken struct {
	objectstore.Store
	down bool
}

func (b *broken) Put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (objectstore.Info, error) {
	if b.down {
		return objectstore.Info{}, objectstore.ErrUnavailable
	}
	return b.Store.Put(ctx, key, body, cond)
}
