package pipeline

import (
	"context"
	"errors"
	"slices"
	"time"
)

// RunPreview is what a run would plan now. JSON names are stable.
type RunPreview struct {
	Project  string         `json:"project"`
	Pipeline string         `json:"pipeline"`
	Env      string         `json:"environment"`
	AsOf     time.Time      `json:"as_of"`
	Tasks    []*PreviewTask `json:"tasks"` // in the order of the graph
}

// PreviewTask is what would become of one model.
type PreviewTask struct {
	Model string `json:"model"`
	Kind  Kind   `json:"kind"`
	Plan  *Plan  `json:"plan,omitempty"` // the first plan; nil: nothing to do, or nothing that can be known yet
	// After are the models of the run that commit before: a plan is made when they have ended, so that Plan, made of
	// what is there now, may grow.
	After      []string `json:"after,omitempty"`
	Notes      []string `json:"notes,omitempty"`
	ErrorClass Class    `json:"error_class,omitempty"`
	Error      string   `json:"error,omitempty"`
}

// ExitCode is that of the first model that cannot be planned.
func (p *RunPreview) ExitCode() int {
	for _, t := range p.Tasks {
		if t.Error != "" {
			return t.ErrorClass.ExitCode()
		}
	}
	return ExitDone
}

// Preview says what Run would plan, and writes nothing. Failures of models are in the preview; the error is about the
// request itself.
func (r *Runner) Preview(ctx context.Context, req RunRequest) (*RunPreview, error) {
	p, models, err := r.request(&req)
	if err != nil {
		return nil, err
	}
	out := &RunPreview{Project: r.o.Project.Name, Pipeline: p.Name, Env: r.o.Project.Env.Name, AsOf: req.AsOf.UTC()}
	bound := r.bind(ctx, req, models)
	works := map[string]bool{}
	for _, m := range models {
		t := &PreviewTask{Model: m.Name, Kind: m.Kind}
		out.Tasks = append(out.Tasks, t)
		for _, u := range m.Upstream {
			if works[u] {
				t.After = append(t.After, u)
			}
		}
		err := bound.broken[m.Name]
		if err == nil {
			t.Plan, t.Notes, err = r.planNoted(ctx, PlanRequest{Run: req.Run, AsOf: req.AsOf, Model: m.Name, Restart: req.Restart, preview: true})
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		// A source that this run builds, or leaves empty because nothing has landed, is no failure.
		if errors.Is(err, ErrNotBuilt) && slices.ContainsFunc(m.Upstream, func(u string) bool { return bound.open[u] }) {
			err = nil
		}
		if err != nil {
			t.ErrorClass, t.Error = ClassOf(err), err.Error()
		}
		works[m.Name] = err == nil && (t.Plan != nil || len(t.After) > 0)
	}
	return out, nil
}
