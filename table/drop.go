package table

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// DropResult says what a drop removed, or would remove. JSON names are stable.
type DropResult struct {
	Table         string        `json:"table"`
	Operation     string        `json:"operation"`      // DROP TABLE
	VersionBefore txlog.Version `json:"version_before"` // -1: the log could not be read
	DryRun        bool          `json:"dry_run"`
	Objects       int           `json:"objects"` // data files, log, and whatever else lies under the table
	Bytes         int64         `json:"bytes"`
	Milliseconds  int64         `json:"milliseconds"`
}

// logFolder is where the log of a table lies.
const logFolder = "_delta_log/"

// dropBatch is how many objects one delete names.
const dropBatch = 1000

// Drop deletes a table: its log and everything else under its path. Nothing of it can be read or restored afterwards. A
// table whose log is damaged can be dropped, too.
//
// This is no commit. The data goes first and the log last, so that a drop that was interrupted leaves a table that says
// which files it lacks, and can be dropped again; readers meanwhile meet missing files. Writers must have stopped.
//
// Errors: txlog.ErrNotATable; ErrInvalidRequest where another table lies under the path.
// Cost:   a listing, and a delete for each thousand objects.
func Drop(ctx context.Context, store objectstore.Store, path string, dryRun bool, o ...Options) (*DropResult, error) {
	t, err := unopened(store, path, filled(o))
	if err != nil {
		return nil, err
	}
	res, err := t.drop(ctx, dryRun)
	if err != nil {
		return nil, fmt.Errorf("drop table %s: %w", t.URL(), err)
	}
	return res, nil
}

func (t *Table) drop(ctx context.Context, dryRun bool) (*DropResult, error) {
	start := t.opts.Log.Clock.Now()
	res := &DropResult{Table: t.URL(), Operation: "DROP TABLE", VersionBefore: -1, DryRun: dryRun}
	switch s, err := t.log.Latest(ctx); {
	case err == nil:
		res.VersionBefore = s.Version()
	case errors.Is(err, txlog.ErrNotATable) || ctx.Err() != nil:
		return nil, err
	}
	if err := t.countObjects(ctx, res); err != nil {
		return nil, err
	}
	if !dryRun {
		for _, prefix := range []string{"", logFolder} {
			if err := t.deleteObjects(ctx, t.prefix()+prefix, prefix == ""); err != nil {
				return nil, err
			}
		}
	}
	res.Milliseconds = clock.Since(t.opts.Log.Clock, start).Milliseconds()
	return res, nil
}

// countObjects looks at what lies under the table.
func (t *Table) countObjects(ctx context.Context, res *DropResult) error {
	for o, err := range t.Store().List(ctx, t.prefix(), "") {
		if err != nil {
			return fmt.Errorf("list objects: %w", err)
		}
		res.Objects++
		res.Bytes += o.Size
		if i := strings.Index(o.Key, "/"+logFolder); i >= 0 && !strings.HasPrefix(o.Key, t.prefix()+logFolder) {
			return fmt.Errorf("%w: another table lies under it: %s", ErrInvalidRequest, o.Key[:i])
		}
	}
	return nil
}

// deleteObjects removes what lies under a prefix, a batch at a time; with keepLog all but the log of the table.
func (t *Table) deleteObjects(ctx context.Context, prefix string, keepLog bool) error {
	for after, more := "", true; more; {
		var keys []string
		more = false
		for o, err := range t.Store().List(ctx, prefix, after) {
			if err != nil {
				return fmt.Errorf("list objects: %w", err)
			}
			if len(keys) == dropBatch {
				more = true
				break
			}
			if !keepLog || !strings.HasPrefix(o.Key, t.prefix()+logFolder) {
				keys = append(keys, o.Key)
			}
			after = o.Key
		}
		if len(keys) == 0 {
			continue
		}
		if err := t.Store().Delete(ctx, keys...); err != nil {
			return fmt.Errorf("delete objects: %w", err)
		}
	}
	return nil
}
