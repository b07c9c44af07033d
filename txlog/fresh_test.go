package txlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
)

// cleaned simulates what happened to a table while a writer slept: others committed up to version 12, made a
// checkpoint there, and clean-up removed the commits below it.
func cleaned(t *testing.T, l *Log) {
	t.Helper()
	s := latest(t, l)
	for s.version < 12 {
		x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
		x.Stage(&Add{Path: fmt.Sprintf("f%d", s.version), Size: 1, DataChange: true})
		mustCommit(t, x)
		s = latest(t, l)
	}
	if err := l.Checkpoint(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	forget(t, l, 11)
	if err := l.store.Delete(t.Context(), l.Key(logFolder+"00000000000000000010.checkpoint.parquet")); err != nil {
		t.Fatal(err)
	}
}

// TestStalledWriterListsAgain: its own clock went on, so it sees that its version was cleaned up, and sends nothing.
func TestStalledWriterListsAgain(t *testing.T) {
	l, c := testLog(t)
	s := createTable(t, l, "id bigint", nil, nil)
	x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(&Add{Path: "a", Size: 1, DataChange: true})
	cleaned(t, l)
	c.Advance(2 * time.Hour)
	if _, err := x.Commit(t.Context()); !errors.Is(err, ErrExpired) || !errors.Is(err, ErrVersionGap) {
		t.Fatalf("got %v", err)
	}
	if _, err := l.store.Head(t.Context(), l.commitKey(1)); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("version 1 was sent: %v", err)
	}
}

// TestOldSnapshotIsNoFailure: an old snapshot commits where nobody came between, and rebases where somebody did.
func TestOldSnapshotIsNoFailure(t *testing.T) {
	l, c := testLog(t)
	s := createTable(t, l, "id bigint", nil, nil)
	c.Advance(2 * time.Hour)
	for i, want := range []Version{1, 2} {
		x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
		x.Stage(&Add{Path: fmt.Sprintf("f%d", i), Size: 1, DataChange: true})
		if done := mustCommit(t, x); done.Version != want || len(done.Winners) != i {
			t.Errorf("%+v", done)
		}
	}
}

// TestSuspendedWriterLearnsFromTheReply: its own clock stood still; only the store's date shows how late it is.
func TestSuspendedWriterLearnsFromTheReply(t *testing.T) {
	stores := clock.NewStepping(testStart())
	store := mem.New(t.Name(), mem.WithClock(stores))
	others := New(store, "t", Options{Clock: stores, Rand: clock.SeededRand(1)})
	asleep := New(store, "t", Options{Clock: clock.NewStepping(testStart()), Rand: clock.SeededRand(2)})
	createTable(t, others, "id bigint", nil, nil)
	s := latest(t, asleep)
	x := asleep.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(&Add{Path: "a", Size: 1, DataChange: true})
	y := asleep.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
	y.Stage(&Add{Path: "b", Size: 1, DataChange: true})
	stores.Advance(2 * time.Hour)
	if done := mustCommit(t, y); done.Version != 1 { // late, but nothing was cleaned up
		t.Fatalf("%+v", done)
	}
	cleaned(t, others)
	if _, err := x.Commit(t.Context()); !errors.Is(err, ErrUnknown) { // it may as well have been visible and cleaned up
		t.Fatalf("got %v", err)
	}
	if got := latest(t, others); got.version != 12 {
		t.Errorf("the table is at %d", got.version)
	}
	z := &unlisted{Store: store}
	blind := New(z, "t", asleep.options)
	w := blind.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
	w.Stage(&Add{Path: "c", Size: 1, DataChange: true})
	forget(t, others, 1)
	z.down = true
	if _, err := w.Commit(t.Context()); !errors.Is(err, ErrUnknown) {
		t.Errorf("without a listing: %v", err)
	}
}

// unlisted is a store whose listings can be switched off.
type unlisted struct {
	objectstore.Store
	down bool
}

func (u *unlisted) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	if !u.down {
		return u.Store.List(ctx, prefix, after)
	}
	return func(yield func(objectstore.Info, error) bool) {
		yield(objectstore.Info{}, objectstore.ErrUnavailable)
	}
}
