package table

import (
	"context"
	"fmt"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/txlog"
)

// CompactLog writes a log compaction: one object with what some commits leave behind, which readers may take in their
// place. Nothing that a reader sees changes. Writes do so by themselves where the table has the property
// txlog.CompactionIntervalKey.
type CompactLog struct {
	From, To *txlog.Version // nil: from the newest checkpoint on, up to the newest version
	DryRun   bool           // write nothing
}

// CompactLogResult says what was written, or would be. JSON names are stable; sizes in bytes.
type CompactLogResult struct {
	Table        string        `json:"table"`
	Operation    string        `json:"operation"` // COMPACT LOG
	Version      txlog.Version `json:"version"`   // of the table
	From         txlog.Version `json:"from_version"`
	To           txlog.Version `json:"to_version"`
	Commits      int64         `json:"commits"`
	Actions      int           `json:"actions"`
	Bytes        int64         `json:"bytes"`
	Object       string        `json:"object"` // below the table root; "" where there is nothing to do
	DryRun       bool          `json:"dry_run"`
	AlreadyDone  bool          `json:"already_done"` // it is there, or there are not two commits
	Milliseconds int64         `json:"milliseconds"`
}

// CompactLog writes a log compaction, unless it is there.
//
// Protocol: "Log Compaction Files".
// Errors:   ErrInvalidRequest for versions that are no span of the log; txlog.ErrUnsupportedFeature: what we may not write
// is not compacted; those of txlog.Log.Compaction; those of the store.
// Cost:     those of txlog.Log.Latest, a GET for each commit, one HEAD or PUT.
func (t *Table) CompactLog(ctx context.Context, c CompactLog) (*CompactLogResult, error) {
	r, err := t.compactLog(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("compact the log of %s: %w", t.URL(), err)
	}
	return r, nil
}

func (t *Table) compactLog(ctx context.Context, c CompactLog) (*CompactLogResult, error) {
	start := t.opts.Log.Clock.Now()
	s, err := t.log.Latest(ctx)
	if err == nil {
		err = s.CheckWritable()
	}
	if err != nil {
		return nil, err
	}
	r := &CompactLogResult{
		Table: t.URL(), Operation: "COMPACT LOG", Version: s.Version(), From: s.CheckpointVersion() + 1, To: s.Version(), DryRun: c.DryRun,
	}
	if c.From != nil {
		r.From = *c.From
	}
	if c.To != nil {
		r.To = *c.To
	}
	r.Commits = max(0, int64(r.To-r.From)+1)
	defer func() { r.Milliseconds = clock.Since(t.opts.Log.Clock, start).Round(time.Millisecond).Milliseconds() }()
	switch {
	case r.From < 0 || r.To > r.Version || (c.From != nil || c.To != nil) && r.To <= r.From:
		return nil, fmt.Errorf("%w: versions %d to %d are no span of two versions of a log that ends at %d", ErrInvalidRequest, r.From, r.To, r.Version)
	case r.Commits < 2:
		r.AlreadyDone = true
		return r, nil
	}
	made, err := t.log.Compaction(ctx, r.From, r.To)
	if err != nil {
		return nil, err
	}
	r.Actions, r.Bytes, r.Object = made.Actions, made.Bytes, made.Object
	if c.DryRun {
		r.AlreadyDone, err = made.There(ctx)
	} else {
		r.AlreadyDone, err = made.Write(ctx)
	}
	return r, err
}
