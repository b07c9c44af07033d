package table

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/txlog"
)

// Checkpoint writes a checkpoint of the newest version, so that readers need not read the commits before it. Writes do so
// by themselves after each delta.checkpointInterval commits; nothing that a reader sees changes.
type Checkpoint struct {
	DryRun bool // write nothing
}

// CheckpointResult says which checkpoint was written, or would be. JSON names are stable.
type CheckpointResult struct {
	Table        string        `json:"table"`
	Operation    string        `json:"operation"` // CHECKPOINT
	Version      txlog.Version `json:"version"`
	Previous     txlog.Version `json:"previous_checkpoint"` // -1: none
	Commits      int64         `json:"commits"`             // that readers had to read before
	Form         string        `json:"form"`                // classic, v2
	Files        int           `json:"files"`
	DryRun       bool          `json:"dry_run"`
	AlreadyDone  bool          `json:"already_done"` // the version has one
	Milliseconds int64         `json:"milliseconds"`
}

// WriteCheckpoint writes the checkpoint of the newest version, unless it has one.
//
// Protocol: "Checkpoints".
// Errors:   txlog.ErrUnsupportedFeature: what we may not write gets no checkpoint; those of the store.
// Cost:     those of txlog.Log.Latest and, unless there is nothing to do, of txlog.Log.Checkpoint.
func (t *Table) WriteCheckpoint(ctx context.Context, c Checkpoint) (*CheckpointResult, error) {
	start := t.opts.Log.Clock.Now()
	s, err := t.log.Latest(ctx)
	if err == nil {
		err = s.CheckWritable()
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoint %s: %w", t.URL(), err)
	}
	r := &CheckpointResult{
		Table: t.URL(), Operation: "CHECKPOINT", Version: s.Version(), Previous: s.CheckpointVersion(), Form: "classic",
		Commits: int64(s.Version() - s.CheckpointVersion()), Files: s.Files().Len(), DryRun: c.DryRun,
	}
	if policy, _ := s.Property("delta.checkpointPolicy"); strings.EqualFold(policy, "v2") && s.Protocol().Supports(txlog.FeatureV2Checkpoint) {
		r.Form = "v2"
	}
	if r.AlreadyDone = r.Previous == r.Version; !r.AlreadyDone && !c.DryRun {
		if err := t.log.Checkpoint(ctx, s); err != nil {
			return nil, fmt.Errorf("checkpoint %s: %w", t.URL(), err)
		}
	}
	r.Milliseconds = clock.Since(t.opts.Log.Clock, start).Round(time.Millisecond).Milliseconds()
	return r, nil
}
