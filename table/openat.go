package table

import (
	"context"
	"time"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// OpenAt opens a table as of version v, read only, without loading any newer version: also when the newest is damaged.
//
// Errors: those of [Table.At], txlog.ErrNotATable.
func OpenAt(ctx context.Context, store objectstore.Store, path string, v txlog.Version, o ...Options) (*Table, error) {
	t, err := unopened(store, path, filled(o))
	if err != nil {
		return nil, err
	}
	return t.At(ctx, v)
}

// OpenAtTime opens a table as of the newest version that was committed at or before when, read only.
//
// Errors: those of [Table.AtTime], txlog.ErrNotATable.
func OpenAtTime(ctx context.Context, store objectstore.Store, path string, when time.Time, o ...Options) (*Table, error) {
	t, err := unopened(store, path, filled(o))
	if err != nil {
		return nil, err
	}
	return t.AtTime(ctx, when)
}
