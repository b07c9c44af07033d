package table

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// Table is one Delta table at one version: the newest when it was opened or refreshed, or the one it is pinned to.
//
// Safe for concurrent use. A write through a Table that is not pinned starts from its snapshot, so a stale handle
// costs a rebase or a second plan, never a wrong answer; after its own commit a Table is at the new version.
type Table struct {
	log    *txlog.Log
	path   string
	pinned bool
	opts   Options

	mu   sync.Mutex // guards snap; held for no store call
	snap *txlog.Snapshot
}

// Open loads the newest snapshot of the table whose root is path in store ("silver/orders"; "" is the store's root).
//
// Errors: txlog.ErrNotATable, txlog.ErrUnsupportedFeature and the other errors of a log that cannot be read.
// Cost:    one listing of the log, the newest checkpoint, and the commits after it.
func Open(ctx context.Context, store objectstore.Store, path string, o ...Options) (*Table, error) {
	t, err := unopened(store, path, filled(o))
	if err != nil {
		return nil, err
	}
	if t.snap, err = t.log.Latest(ctx); err != nil {
		return nil, fmt.Errorf("open table %s: %w", t.URL(), err)
	}
	return t, nil
}

// unopened makes the handle without any I/O.
func unopened(store objectstore.Store, path string, o Options) (*Table, error) {
	path = strings.Trim(path, "/")
	if path != "" {
		if err := objectstore.CheckKey(path); err != nil {
			return nil, fmt.Errorf("open table %q: %w", path, err)
		}
	}
	return &Table{log: txlog.New(store, path, o.Log), path: path, opts: o}, nil
}

// Path is the root of the table within its store.
func (t *Table) Path() string { return t.path }

// URL names the table for people, without credentials.
func (t *Table) URL() string {
	root := strings.TrimSuffix(t.log.Store().URL(), "/")
	if t.path == "" {
		return root
	}
	return root + "/" + t.path
}

// Log is the transaction log of the table.
func (t *Table) Log() *txlog.Log { return t.log }

// Store is where the table lives.
func (t *Table) Store() objectstore.Store { return t.log.Store() }

// Limits bound what is read of the table.
func (t *Table) Limits() limits.Limits { return t.opts.limits() }

// Snapshot is the version that reads of this handle see.
func (t *Table) Snapshot() *txlog.Snapshot {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.snap
}

// Refresh moves the handle to the newest version. A pinned table stays where it is.
func (t *Table) Refresh(ctx context.Context) error {
	if t.pinned {
		return nil
	}
	old := t.Snapshot()
	s, err := t.log.Update(ctx, old)
	if err != nil {
		return fmt.Errorf("refresh table %s: %w", t.URL(), err)
	}
	t.advance(s)
	return nil
}

// advance moves the handle forwards, never backwards.
func (t *Table) advance(s *txlog.Snapshot) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.snap == nil || s.Version() > t.snap.Version() {
		t.snap = s
	}
}

// At returns the table as of version v, read only.
//
// Protocol: "Time travel" (delta.md §12). Errors: txlog.ErrHistoryGone, txlog.ErrVersionGap.
func (t *Table) At(ctx context.Context, v txlog.Version) (*Table, error) {
	s, err := t.log.At(ctx, v)
	if err != nil {
		return nil, fmt.Errorf("open table %s at version %d: %w", t.URL(), v, err)
	}
	return t.pin(s), nil
}

// AtTime returns the table as of the newest version that was committed at or before when, read only.
//
// Errors: txlog.ErrTimestampTooEarly, txlog.ErrTimestampTooLate and those of At.
func (t *Table) AtTime(ctx context.Context, when time.Time) (*Table, error) {
	s, err := t.log.AtTime(ctx, when)
	if err != nil {
		return nil, fmt.Errorf("open table %s at %s: %w", t.URL(), when.UTC().Format(time.RFC3339Nano), err)
	}
	return t.pin(s), nil
}

func (t *Table) pin(s *txlog.Snapshot) *Table {
	return &Table{log: t.log, path: t.path, opts: t.opts, pinned: true, snap: s}
}

// Pinned tells whether the handle stays at one version and refuses writes.
func (t *Table) Pinned() bool { return t.pinned }

// Schema is the columns of the table at its version.
func (t *Table) Schema() (*txlog.Schema, error) { return t.Snapshot().Schema() }

// writable returns the snapshot that a write starts from.
func (t *Table) writable() (*txlog.Snapshot, error) {
	if t.pinned {
		return nil, fmt.Errorf("write table %s: %w", t.URL(), ErrReadOnly)
	}
	s := t.Snapshot()
	if err := s.CheckWritable(); err != nil {
		return nil, fmt.Errorf("write table %s: %w", t.URL(), err)
	}
	return s, nil
}
