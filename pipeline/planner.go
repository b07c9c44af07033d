package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// state is what the tables of a model say of its progress.
type state struct {
	m          *Model
	p          *Pipeline
	target     *table.Table // nil: not created yet
	quarantine *table.Table // nil: not created yet
	task       int64        // last landed plan
	sideTask   int64        // last plan that wrote the quarantine table
	preview    bool         // nothing may be written
}

func (r *Runner) state(ctx context.Context, name string) (*state, error) {
	m, p, err := r.model(name)
	if err != nil {
		return nil, err
	}
	s := &state{m: m, p: p}
	if s.target, err = r.openTable(ctx, m.Name); err != nil {
		return nil, err
	}
	if s.quarantine, err = r.openTable(ctx, m.Quarantine()); err != nil {
		return nil, err
	}
	for _, t := range []*table.Table{s.target, s.quarantine} {
		if t == nil {
			continue
		}
		if err := r.checkOwner(m, t.Snapshot()); err != nil {
			return nil, fmt.Errorf("%s: %w", t.URL(), err)
		}
	}
	s.task, s.sideTask = r.task(m, s.snapshot()), r.task(m, snapshotOf(s.quarantine))
	return s, nil
}

func (s *state) snapshot() *txlog.Snapshot { return snapshotOf(s.target) }

func snapshotOf(t *table.Table) *txlog.Snapshot {
	if t == nil {
		return nil
	}
	return t.Snapshot()
}

// planAttempts bounds how often Plan starts over when another process plans the same model at the same time.
const planAttempts = 20

// Plan returns the next plan of a model: one that was made before and has not landed, if it can still be run, else a
// new one. It returns nil when there is nothing to do.
//
// A new plan is an object that is created once; who loses the race to create it works on the winner's plan. Errors are
// *TaskError.
func (r *Runner) Plan(ctx context.Context, req PlanRequest) (*Plan, error) {
	p, _, err := r.planNoted(ctx, req)
	return p, err
}

// planNoted is Plan with what people should know of the sources.
func (r *Runner) planNoted(ctx context.Context, req PlanRequest) (p *Plan, notes []string, err error) {
	for range planAttempts {
		p, notes, err = r.plan(ctx, req)
		if errors.Is(err, errPlanTaken) {
			continue
		}
		if err != nil {
			return nil, nil, failed(fmt.Errorf("plan %s: %w", req.Model, err))
		}
		return p, notes, nil
	}
	return nil, nil, &TaskError{Class: ClassConflict, Err: fmt.Errorf("plan %s: other processes made every plan", req.Model)}
}

// errPlanTaken says that a plan of this number was created meanwhile. Retryable.
var errPlanTaken = errors.New("plan number taken")

func (r *Runner) plan(ctx context.Context, req PlanRequest) (p *Plan, notes []string, err error) {
	s, err := r.state(ctx, req.Model)
	if err != nil {
		return nil, nil, err
	}
	s.preview = req.preview
	code, err := r.code(s.m)
	if err != nil {
		return nil, nil, err
	}
	greatest, err := r.greatestPlan(ctx, s)
	if err != nil {
		return nil, nil, err
	}
	fresh := &Plan{
		Model: s.m.Name, Kind: s.m.Kind, Run: req.Run, AsOf: req.AsOf.UTC(), Engine: r.o.EngineName, Code: code,
		Target: PlanTarget{Task: s.task},
	}
	if s.target != nil {
		v := s.target.Snapshot().Version()
		fresh.Target.ID, fresh.Target.Version = s.target.Snapshot().Metadata().ID, &v
	}
	if s.quarantine != nil {
		fresh.Quarantine = &PlanQuarantine{Version: s.quarantine.Snapshot().Version(), Task: s.sideTask}
	}
	var scan *landingScan
	if s.m.Kind == KindIngest {
		if scan, err = r.scanLanding(ctx, s); err != nil {
			return nil, nil, err
		}
		notes = scan.notes()
	}
	if s.m.Kind == KindMerge {
		fresh.Restart = req.mode()
	}
	if greatest > s.task && fresh.Restart == "" {
		p, err := r.Load(ctx, PlanRef{Model: s.m.Name, N: greatest})
		if err != nil && !errors.Is(err, ErrPlanNotFound) {
			return nil, nil, err
		}
		if err == nil && r.runnable(ctx, s, p, fresh, scan) {
			p.resumed = true
			return p, notes, nil
		}
	}
	work := false
	switch s.m.Kind {
	case KindIngest:
		work = r.planIngest(s, fresh, scan)
	case KindMerge:
		work, err = r.planMerge(ctx, s, fresh, req.ResumeAt)
	case KindFull:
		work, err = r.planFull(ctx, s, fresh, req.Landed)
	}
	if err != nil || !work {
		return nil, notes, err
	}
	fresh.N = 1 + max(greatest, s.task, s.sideTask)
	if req.preview {
		if scan != nil && len(scan.files) > len(fresh.Files) {
			notes = append(notes, fmt.Sprintf("landing files for later plans of the run: %d", len(scan.files)-len(fresh.Files)))
		}
		return fresh, notes, nil
	}
	p, err = r.create(ctx, fresh)
	return p, notes, err
}

// greatestPlan is the greatest number of a plan object above the landed one, 0 for none.
func (r *Runner) greatestPlan(ctx context.Context, s *state) (int64, error) {
	prefix := planPrefix(s.m.Name)
	var greatest int64
	for info, err := range r.o.Store.List(ctx, prefix, PlanRef{Model: s.m.Name, N: s.task}.Key()) {
		if err != nil {
			return 0, fmt.Errorf("list plans: %w", err)
		}
		digits, ok := strings.CutSuffix(strings.TrimPrefix(info.Key, prefix), ".json")
		if n, err := strconv.ParseInt(digits, 10, 64); ok && err == nil && len(digits) == 20 {
			greatest = n
		}
	}
	return greatest, nil
}

// runnable tells whether a plan that has not landed can still be run: its code is today's, its fence holds, and its
// inputs can be read. Anything else is planned anew from the table.
func (r *Runner) runnable(ctx context.Context, s *state, p, fresh *Plan, scan *landingScan) bool {
	if p.Code != fresh.Code || p.Kind != fresh.Kind || p.Engine != fresh.Engine || p.Target.ID != fresh.Target.ID || p.Target.Task != s.task {
		return false
	}
	if r.fence(s.m, p, s.snapshot()) != nil {
		return false
	}
	if s.sideTask != quarantineTask(p) && s.sideTask != p.N {
		return false
	}
	if s.m.Kind == KindIngest {
		return scan.readable(p.Files)
	}
	for _, src := range p.Sources {
		t, err := r.openTable(ctx, src.Table)
		if err != nil || t == nil || t.Snapshot().Metadata().ID != src.ID || !s.m.query.reads(src) {
			return false
		}
		if _, err := t.At(ctx, src.pinned()); err != nil {
			return false
		}
	}
	return len(p.Sources) == len(s.m.query.tables)
}

// pinned is the version at which the source is read as a whole.
func (s PlanSource) pinned() txlog.Version {
	if s.Version != nil {
		return *s.Version
	}
	if s.Upto != nil {
		return *s.Upto
	}
	return 0
}

// reads tells whether the SELECT still reads src in the same way.
func (q *querySpec) reads(src PlanSource) bool {
	return slices.Contains(q.tables, src.Table) && (src.Mode == modeChanges) == (q.changesOf() == src.Table && len(q.key) > 0)
}

// quarantineTask is the plan that the side table had landed when p was made.
func quarantineTask(p *Plan) int64 {
	if p.Quarantine == nil {
		return 0
	}
	return p.Quarantine.Task
}

// fence is F1: nothing that the plan replaces has changed since it was made. Nil s: the table does not exist.
func (r *Runner) fence(m *Model, p *Plan, s *txlog.Snapshot) error {
	if s == nil {
		if p.Target.ID != "" {
			return fmt.Errorf("%w: the table is gone", ErrSuperseded)
		}
		return nil
	}
	if err := r.checkOwner(m, s); err != nil {
		return err
	}
	if p.Target.ID != "" && p.Target.ID != s.Metadata().ID {
		return fmt.Errorf("%w: the table was created anew", ErrSuperseded)
	}
	if task := r.task(m, s); task != p.Target.Task {
		return fmt.Errorf("%w: plan %d expects plan %d, the table has plan %d", ErrSuperseded, p.N, p.Target.Task, task)
	}
	for _, src := range p.Sources {
		if src.Mode != modeChanges || p.Restart != "" { // what a restart replaces, task alone stands for
			continue
		}
		t, ok := s.Txn(r.sourceID(m, src.ID))
		if ok != (src.After != nil) || ok && t.Version != int64(*src.After) {
			return fmt.Errorf("%w: %s was consumed by another plan", ErrSuperseded, src.Table)
		}
	}
	return nil
}

// create writes the plan object. A plan of this number that is not ours is errPlanTaken: it may be the better one.
func (r *Runner) create(ctx context.Context, p *Plan) (*Plan, error) {
	body, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("write plan: %w", err)
	}
	if n := int64(len(body)); n > r.o.Project.Limits.PlanBytes {
		return nil, limits.Over("plan_bytes", n, r.o.Project.Limits.PlanBytes)
	}
	_, err = r.o.Store.Put(ctx, p.Ref().Key(), objectstore.Bytes(body), objectstore.CreateOnly)
	if err == nil {
		p.hash, p.created = hashOf(body), true
		return p, nil
	}
	if objectstore.Refused(err) || ctx.Err() != nil {
		return nil, fmt.Errorf("write plan %d: %w", p.N, err)
	}
	// Doubt: ours may be there, from a reply that was lost. Equal bytes are the same plan, whoever wrote them.
	there, readErr := r.readPlan(ctx, p.Ref())
	switch {
	case readErr == nil && bytes.Equal(there, body):
		p.hash, p.created = hashOf(body), true
		return p, nil
	case readErr == nil:
		return nil, errPlanTaken
	case errors.Is(readErr, ErrPlanNotFound) && errors.Is(err, objectstore.ErrExists):
		return nil, errPlanTaken
	}
	return nil, fmt.Errorf("write plan %d: %w", p.N, err)
}

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func (r *Runner) readPlan(ctx context.Context, ref PlanRef) ([]byte, error) {
	rc, info, err := r.o.Store.Get(ctx, ref.Key(), objectstore.Range{})
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, fmt.Errorf("%w: %s", ErrPlanNotFound, ref)
	}
	if err != nil {
		return nil, fmt.Errorf("read plan %s: %w", ref, err)
	}
	defer func() { _ = rc.Close() }()
	if info.Size > r.o.Project.Limits.PlanBytes {
		return nil, limits.Over("plan_bytes", info.Size, r.o.Project.Limits.PlanBytes)
	}
	body, err := io.ReadAll(rc)
	if err != nil {
		return nil, fmt.Errorf("read plan %s: %w", ref, err)
	}
	return body, nil
}

// Load reads a plan object. Errors: ErrPlanNotFound, those of the store.
func (r *Runner) Load(ctx context.Context, ref PlanRef) (*Plan, error) {
	body, err := r.readPlan(ctx, ref)
	if err != nil {
		return nil, failed(err)
	}
	p := &Plan{hash: hashOf(body)}
	if err := json.Unmarshal(body, p); err != nil {
		return nil, &TaskError{Class: ClassConfig, Err: fmt.Errorf("read plan %s: not a plan: %w", ref, err)}
	}
	if p.N != ref.N || p.Model != ref.Model {
		return nil, &TaskError{Class: ClassConfig, Err: fmt.Errorf("read plan %s: the object is plan %s", ref, p.Ref())}
	}
	return p, nil
}
