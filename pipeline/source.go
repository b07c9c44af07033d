package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// planMerge pins the sources of a merge. There is work when its changes source has a version that was not consumed, and
// in a restart.
func (r *Runner) planMerge(ctx context.Context, s *state, p *Plan, resumeAt *txlog.Version) (bool, error) {
	work := false
	for _, name := range s.m.query.tables {
		t, err := r.source(ctx, name)
		if err != nil {
			return false, err
		}
		snap := t.Snapshot()
		v := snap.Version()
		if name != s.m.query.changesOf() {
			p.Sources = append(p.Sources, PlanSource{Table: name, ID: snap.Metadata().ID, Mode: modePinned, Version: &v})
			continue
		}
		after, err := resumeAt, error(nil)
		switch {
		case p.Restart == "":
			after, err = r.consumed(s, name, snap)
		case after != nil && *after > v:
			err = fmt.Errorf("%w: --resume-at %d: %s has no such version, its newest is %d", errConfig, *after, name, v)
		}
		if err != nil {
			return false, err
		}
		p.Sources = append(p.Sources, PlanSource{Table: name, ID: snap.Metadata().ID, Mode: modeChanges, After: after, Upto: &v})
		work = p.Restart != "" || after == nil || *after < v
	}
	return work, nil
}

// consumed is the version of a source that the target holds, nil when it holds none.
func (r *Runner) consumed(s *state, name string, source *txlog.Snapshot) (*txlog.Version, error) {
	target := s.snapshot()
	if target == nil {
		return nil, nil //nolint:nilnil // nothing consumed is an answer
	}
	own := r.sourceID(s.m, source.Metadata().ID)
	if t, ok := target.Txn(own); ok && t.Version != forgotten {
		v := txlog.Version(t.Version)
		if v > source.Version() {
			return nil, fmt.Errorf("%w: version %d of %s was consumed, it has %d now", ErrSourceRewound, v, name, source.Version())
		}
		return &v, nil
	}
	for id := range target.Txns() {
		if strings.HasPrefix(id, r.sourceID(s.m, "")) {
			return nil, fmt.Errorf("%w: %s is another table than the one that was consumed", ErrSourceRewound, name)
		}
	}
	return nil, nil //nolint:nilnil // as above
}

// planFull pins the sources of a full model. It runs once in every run: there is nothing to do when the last landed
// plan saw the same versions with the same code, and is of this run or was resumed by it. A resumed plan of a SELECT
// that asks for the run or its time is not enough.
func (r *Runner) planFull(ctx context.Context, s *state, p *Plan, landed int64) (bool, error) {
	for _, name := range s.m.query.tables {
		t, err := r.source(ctx, name)
		if err != nil {
			return false, err
		}
		v := t.Snapshot().Version()
		p.Sources = append(p.Sources, PlanSource{Table: name, ID: t.Snapshot().Metadata().ID, Mode: modePinned, Version: &v})
	}
	if s.task == 0 {
		return true, nil
	}
	last, err := r.Load(ctx, PlanRef{Model: s.m.Name, N: s.task})
	if errors.Is(err, ErrPlanNotFound) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	mine := last.Run == p.Run || landed == s.task && !s.m.query.timed
	same := mine && last.Code == p.Code && slices.EqualFunc(last.Sources, p.Sources, func(a, b PlanSource) bool {
		return a.Table == b.Table && a.ID == b.ID && a.pinned() == b.pinned()
	})
	return !same, nil
}

// source opens a source table.
func (r *Runner) source(ctx context.Context, name string) (*table.Table, error) {
	t, err := r.openTable(ctx, name)
	if err != nil {
		return nil, err
	}
	if t == nil {
		return nil, fmt.Errorf("%w: %s", ErrNotBuilt, name)
	}
	return t, nil
}

// pinnedTable opens a source at the version of the plan.
func (r *Runner) pinnedTable(ctx context.Context, src PlanSource) (*table.Table, error) {
	t, err := r.source(ctx, src.Table)
	if err != nil {
		return nil, err
	}
	if id := t.Snapshot().Metadata().ID; id != src.ID {
		return nil, fmt.Errorf("%w: %s is another table than the one that was planned", ErrSourceRewound, src.Table)
	}
	at, err := t.At(ctx, src.pinned())
	if errors.Is(err, txlog.ErrHistoryGone) || errors.Is(err, txlog.ErrVersionNotFound) {
		return nil, fmt.Errorf("%w: version %d of %s: %w", ErrSourceRewound, src.pinned(), src.Table, err)
	}
	return at, err
}

// relations gives the pinned sources of a plan as the engine reads them, by table name.
func (r *Runner) relations(ctx context.Context, p *Plan) (map[string]table.Relation, error) {
	out := map[string]table.Relation{}
	for _, src := range p.Sources {
		t, err := r.pinnedTable(ctx, src)
		if err != nil {
			return nil, err
		}
		rel, _, err := t.Relation(ctx, table.ScanOptions{})
		if err != nil {
			return nil, err
		}
		out[src.Table] = rel
	}
	return out, nil
}
