package pipeline

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// plansPerRun bounds how many plans one model gets in one run: an ingest whose landing folder fills faster than it is
// read must end some time.
const plansPerRun = 100_000

// Run walks the graph of a pipeline: each model is planned when its upstream tasks have ended, so that it sees what
// they committed, and planned again until there is nothing left to do. Downstream of a failed model is skipped. When a
// model's SQL cannot be bound to the columns of its sources, nothing runs at all.
//
// Failures of tasks are in the report; the error is about the request itself.
func (r *Runner) Run(ctx context.Context, req RunRequest) (*RunReport, error) {
	p, models, err := r.request(&req)
	if err != nil {
		return nil, err
	}
	if req.Execute == nil {
		req.Execute = r.Execute
	}
	w := &walk{r: r, req: req, done: map[string]chan struct{}{}, failed: map[string]string{}, empty: map[string]bool{}}
	w.rep = &RunReport{Run: req.Run, Project: r.o.Project.Name, Pipeline: p.Name, Env: r.o.Project.Env.Name, AsOf: req.AsOf.UTC(), StartedAt: r.o.Clock.Now()}
	for _, m := range models {
		w.done[m.Name] = make(chan struct{})
	}
	if w.binding = r.bind(ctx, req, models); len(w.binding.broken) > 0 {
		w.refuse(models, w.binding.broken)
		w.rep.FinishedAt = r.o.Clock.Now()
		return w.rep, nil
	}
	slots := make(chan struct{}, p.Parallel)
	var wg sync.WaitGroup
	for _, m := range models {
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer close(w.done[m.Name])
			w.model(ctx, m, slots)
		}()
	}
	wg.Wait()
	w.rep.FinishedAt = r.o.Clock.Now()
	return w.rep, nil
}

// Check tells whether a request can be served at all: its pipeline, its selectors and what it asks of them.
func (r *Runner) Check(req RunRequest) error {
	_, _, err := r.request(&req)
	return err
}

// request checks a request, fills in its time and finds its models.
func (r *Runner) request(req *RunRequest) (*Pipeline, []*Model, error) {
	p, ok := r.o.Project.Pipeline(req.Pipeline)
	if !ok {
		return nil, nil, &TaskError{Class: ClassConfig, Err: fmt.Errorf("run: %w: there is no pipeline %q", errConfig, req.Pipeline)}
	}
	if req.Run == "" {
		return nil, nil, &TaskError{Class: ClassConfig, Err: fmt.Errorf("run: %w: the run has no id", errConfig)}
	}
	models, err := p.selected(req.Select)
	if err != nil {
		return nil, nil, &TaskError{Class: ClassConfig, Err: fmt.Errorf("run %s: %w", req.Pipeline, err)}
	}
	if err := req.check(models); err != nil {
		return nil, nil, &TaskError{Class: ClassConfig, Err: fmt.Errorf("run %s: %w", req.Pipeline, err)}
	}
	if req.AsOf.IsZero() {
		req.AsOf = r.o.Clock.Now()
	}
	return p, models, nil
}

// walk is one run under way.
type walk struct {
	r       *Runner
	req     RunRequest
	done    map[string]chan struct{} // closed when a model has ended
	binding *binding

	mu     sync.Mutex // guards the rest, and calls of Observe
	rep    *RunReport
	failed map[string]string // why models downstream are skipped, by model
	empty  map[string]bool   // models of this run without a table
}

// model runs one model to its end.
func (w *walk) model(ctx context.Context, m *Model, slots chan struct{}) {
	for _, u := range m.Upstream {
		if c := w.done[u]; c != nil {
			<-c
		}
	}
	if why := w.blocked(m); why != "" {
		w.skip(m, why)
		return
	}
	select {
	case slots <- struct{}{}:
		defer func() { <-slots }()
	case <-ctx.Done():
		w.end(m, nil, w.cancelled(m, ctx.Err()))
		return
	}
	landed, first, restart := int64(0), true, w.req.Restart
	for range plansPerRun {
		if ctx.Err() != nil {
			w.end(m, nil, w.cancelled(m, ctx.Err()))
			return
		}
		rep := w.once(ctx, m, PlanRequest{Run: w.req.Run, AsOf: w.req.AsOf, Model: m.Name, Landed: landed, Restart: restart}, first)
		if rep == nil {
			return
		}
		if landed, first = rep.Plan, false; rep.Status != StatusSuperseded {
			restart = Restart{}
		}
	}
}

// blocked says why a model cannot run.
func (w *walk) blocked(m *Model) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, u := range m.Upstream {
		if why, ok := w.failed[u]; ok {
			return why
		}
		if w.empty[u] {
			return u + " has no data yet"
		}
	}
	return ""
}

func (w *walk) skip(m *Model, why string) {
	w.mu.Lock()
	if strings.HasSuffix(why, " has no data yet") {
		w.empty[m.Name] = true
	} else {
		w.failed[m.Name] = why
	}
	w.mu.Unlock()
	now := w.r.o.Clock.Now()
	w.end(m, nil, &TaskReport{Run: w.req.Run, Model: m.Name, Kind: m.Kind, Status: StatusSkipped, Reason: why, StartedAt: now, FinishedAt: now})
}

func (w *walk) cancelled(m *Model, err error) *TaskReport {
	now := w.r.o.Clock.Now()
	return &TaskReport{Run: w.req.Run, Model: m.Name, Kind: m.Kind, Status: StatusCancelled, ErrorClass: ClassOf(err), Error: err.Error(), StartedAt: now, FinishedAt: now}
}

// once plans and executes. It returns the report of a plan that landed, nil when there is no more to do.
func (w *walk) once(ctx context.Context, m *Model, req PlanRequest, first bool) *TaskReport {
	w.observe(Event{Type: EventPlanning, Model: m.Name})
	start := w.r.o.Clock.Now()
	p, notes, err := w.r.planNoted(ctx, req)
	if err != nil {
		rep := &TaskReport{
			Run: w.req.Run, Model: m.Name, Kind: m.Kind, Engine: w.r.o.EngineName, Status: StatusFailed,
			ErrorClass: ClassOf(err), Error: err.Error(), Hint: w.r.hint(m.Name, err), StartedAt: start, FinishedAt: w.r.o.Clock.Now(),
		}
		if errors.Is(err, context.Canceled) {
			rep.Status = StatusCancelled
		}
		w.end(m, nil, rep)
		return nil
	}
	if p == nil {
		if first {
			w.nothing(ctx, m, start, notes)
		}
		return nil
	}
	w.observe(Event{Type: EventPlanned, Model: m.Name, Plan: p})
	rep, err := w.req.Execute(ctx, p)
	if rep == nil {
		rep = &TaskReport{Run: p.Run, Model: m.Name, Kind: m.Kind, Plan: p.N, Engine: p.Engine, Status: StatusFailed, Code: p.Code, StartedAt: start, FinishedAt: w.r.o.Clock.Now()}
		if err == nil {
			err = fmt.Errorf("the task of plan %d gave no report", p.N)
		}
		rep.ErrorClass, rep.Error = ClassOf(err), err.Error()
		if errors.Is(err, context.Canceled) {
			rep.Status = StatusCancelled
		}
	}
	rep.Notes = append(rep.Notes, notes...)
	if w.changedMeanwhile(ctx, m, p, rep) {
		rep.Status, rep.Reason = StatusSuperseded, "a landing file changed while it was read; planned again"
		rep.ErrorClass, rep.Error = "", ""
	}
	if rep.Status == StatusSuperseded && req.Landed == p.N {
		// The plan that gave way comes back: planning and executing disagree, and would for ever.
		rep.Status, rep.ErrorClass, rep.Error = StatusFailed, ClassConflict, fmt.Sprintf("%s plan %d: superseded again: %s", m.Name, p.N, rep.Reason)
	}
	w.end(m, p, rep)
	switch rep.Status {
	case StatusOK, StatusWarned, StatusSuperseded:
		rep.Plan = p.N
		return rep
	case StatusFailed, StatusSkipped, StatusCancelled, StatusNothing:
	}
	return nil
}

// changedMeanwhile tells whether an ingest failed because a landing file is no longer what its plan pins: then there is
// another plan to run.
func (w *walk) changedMeanwhile(ctx context.Context, m *Model, p *Plan, rep *TaskReport) bool {
	if m.Kind != KindIngest || rep.Status != StatusFailed || rep.ErrorClass != ClassIO || ctx.Err() != nil {
		return false
	}
	next, err := w.r.Plan(ctx, PlanRequest{Run: w.req.Run, AsOf: w.req.AsOf, Model: m.Name})
	return err == nil && next != nil && next.N != p.N
}

// nothing reports a model without work. One that was never built has nothing to give downstream either.
func (w *walk) nothing(ctx context.Context, m *Model, start time.Time, notes []string) {
	rep := &TaskReport{Run: w.req.Run, Model: m.Name, Kind: m.Kind, Status: StatusNothing, Notes: notes, StartedAt: start, FinishedAt: w.r.o.Clock.Now()}
	t, err := w.r.openTable(ctx, m.Name)
	switch {
	case err != nil:
		rep.Status, rep.ErrorClass, rep.Error = StatusFailed, ClassOf(err), err.Error()
	case t == nil:
		w.mu.Lock()
		w.empty[m.Name] = true
		w.mu.Unlock()
		rep.Reason = "no data yet"
	default:
		v := int64(t.Snapshot().Version())
		rep.TargetVersion = &v
		w.late(ctx, m, rep)
	}
	w.end(m, nil, rep)
}

func (w *walk) observe(e Event) {
	if w.req.Observe == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.req.Observe(e)
}

func (w *walk) end(m *Model, p *Plan, rep *TaskReport) {
	w.mu.Lock()
	w.rep.Tasks = append(w.rep.Tasks, rep)
	switch rep.Status {
	case StatusFailed:
		w.failed[m.Name] = m.Name + " failed"
	case StatusCancelled:
		w.failed[m.Name] = m.Name + " was cancelled"
	case StatusOK, StatusWarned, StatusSkipped, StatusSuperseded, StatusNothing:
	}
	w.mu.Unlock()
	w.observe(Event{Type: EventDone, Model: m.Name, Plan: p, Task: rep})
}

// selected resolves selectors: name globs, with + before for upstream, + behind for downstream, and a number for how
// many steps. Nothing selected is an error.
func (p *Pipeline) selected(selectors []string) ([]*Model, error) {
	want := map[string]bool{}
	for _, text := range selectors {
		for _, s := range strings.Fields(text) {
			if err := p.selectOne(s, want); err != nil {
				return nil, err
			}
		}
	}
	var out []*Model
	for _, m := range p.Models {
		if m.Enabled && (len(selectors) == 0 || want[m.Name]) {
			out = append(out, m)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: nothing is selected", errConfig)
	}
	return out, nil
}

func (p *Pipeline) selectOne(s string, want map[string]bool) error {
	up, down := 0, 0
	name := s
	if i := strings.IndexByte(name, '+'); i >= 0 && i < len(name)-1 && steps(name[:i]) > 0 {
		up, name = steps(name[:i]), name[i+1:]
	}
	if i := strings.LastIndexByte(name, '+'); i > 0 && steps(name[i+1:]) > 0 {
		down, name = steps(name[i+1:]), name[:i]
	}
	if strings.ContainsAny(name, ":@,+") {
		return fmt.Errorf("%w: not supported yet in this version: the selector %q", errConfig, s)
	}
	found := false
	for _, m := range p.Models {
		if ok, err := path.Match(name, m.Name); err != nil || !ok {
			continue
		}
		found = true
		p.reach(m, up, want, func(x *Model) []string { return x.Upstream })
		p.reach(m, down, want, p.downstream)
	}
	if !found {
		return fmt.Errorf("%w: no model matches the selector %q", errConfig, s)
	}
	return nil
}

// steps reads the number before or behind a plus: none is any number.
func steps(s string) int {
	if s == "" {
		return int(^uint(0) >> 1)
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return 0
	}
	return n
}

// reach marks m and what lies up to n steps from it.
func (p *Pipeline) reach(m *Model, n int, want map[string]bool, next func(*Model) []string) {
	level, seen := []*Model{m}, map[string]bool{m.Name: true}
	want[m.Name] = true
	for ; n > 0 && len(level) > 0; n-- {
		var further []*Model
		for _, x := range level {
			for _, name := range next(x) {
				i := slices.IndexFunc(p.Models, func(y *Model) bool { return y.Name == name })
				if i < 0 || seen[name] {
					continue
				}
				seen[name], want[name] = true, true
				further = append(further, p.Models[i])
			}
		}
		level = further
	}
}

func (p *Pipeline) downstream(m *Model) []string {
	var names []string
	for _, x := range p.Models {
		if slices.Contains(x.Upstream, m.Name) {
			names = append(names, x.Name)
		}
	}
	return names
}
