package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// binding is what a run knows of its SQL before it does anything: each SELECT is bound to the columns of its sources,
// without reading rows, so that broken SQL is told also when there is no new data to meet it.
type binding struct {
	fields map[string][]txlog.Field // columns that a model will give
	broken map[string]error         // models that cannot run
	// open are models that cannot be judged yet: a source is not there, or may get columns in this run. They are
	// bound in their turn.
	open map[string]bool
}

// bind binds every model of SQL among models, which stand in the order of their graph. An error of the store is left to
// the turn of the model that meets it.
func (r *Runner) bind(ctx context.Context, req RunRequest, models []*Model) *binding {
	b := &binding{fields: map[string][]txlog.Field{}, broken: map[string]error{}, open: map[string]bool{}}
	for _, m := range models {
		if m.query == nil {
			b.open[m.Name] = r.mayGrow(ctx, m)
			continue
		}
		unsure := slices.ContainsFunc(m.Upstream, func(u string) bool { return b.open[u] || b.broken[u] != nil })
		fields, known, err := r.bindModel(ctx, req, m, b.fields)
		switch {
		case known && err == nil && !unsure:
			b.fields[m.Name] = fields
		case known && err != nil && !unsure && ofProject(err):
			b.broken[m.Name] = err
		default:
			b.open[m.Name] = true
		}
	}
	return b
}

// ofProject tells whether it takes a change of the project to mend err.
func ofProject(err error) bool {
	c := ClassOf(err)
	return c == ClassSQL || c == ClassConfig
}

// mayGrow tells whether the columns of an ingest may change before its readers run.
func (r *Runner) mayGrow(ctx context.Context, m *Model) bool {
	if m.ingest.columns == contractEvolve {
		return true
	}
	t, err := r.openTable(ctx, m.Name)
	if err != nil || t == nil {
		return true
	}
	schema, err := t.Schema()
	return err != nil || slices.ContainsFunc(m.ingest.hints, func(h columnHint) bool {
		_, err := schema.Lookup(h.Name)
		return err != nil
	})
}

// bindModel checks the SELECT of m, its rules and its columns. It returns the columns that the table of m will have;
// known is false when a source does not exist yet. given are the columns that models of this run will give.
func (r *Runner) bindModel(ctx context.Context, req RunRequest, m *Model, given map[string][]txlog.Field) (fields []txlog.Field, known bool, err error) {
	_, p, err := r.model(m.Name)
	if err != nil {
		return nil, true, err
	}
	relations := map[string]table.Relation{}
	for _, name := range m.query.tables {
		schema := &txlog.Schema{Fields: given[name]}
		if len(schema.Fields) == 0 {
			t, err := r.openTable(ctx, name)
			if err != nil || t == nil {
				return nil, false, err
			}
			if schema, err = t.Schema(); err != nil {
				return nil, false, err
			}
		}
		relations[name] = table.Relation{Schema: schema}
	}
	target, err := r.openTable(ctx, m.Name)
	if err != nil {
		return nil, false, err
	}
	t := &task{
		r: r, s: &state{m: m, p: p, target: target}, rep: &TaskReport{}, relations: relations,
		p: &Plan{Model: m.Name, Kind: m.Kind, Run: req.Run, AsOf: req.AsOf.UTC(), Restart: req.mode()},
	}
	fields, err = t.bound(ctx)
	return fields, true, err
}

// bound is the columns that the table will have, with everything that names one of them checked.
func (t *task) bound(ctx context.Context) ([]txlog.Field, error) {
	fields, err := t.stored(ctx)
	if err != nil {
		return nil, err
	}
	schema := &txlog.Schema{Fields: fields}
	for _, c := range t.s.m.table.checks {
		for _, name := range c.columns {
			if _, err := schema.Lookup(name); err != nil {
				return nil, fmt.Errorf("%w: %s: there is no column %q", errConfig, c.where, name)
			}
		}
	}
	return fields, nil
}

// stored binds the SELECT and the row rules, and leaves out the columns that only order rows.
func (t *task) stored(ctx context.Context) ([]txlog.Field, error) {
	sql, err := t.sql()
	if err != nil {
		return nil, err
	}
	fields, err := t.output(ctx, sql)
	if err != nil {
		return nil, err
	}
	if _, err := t.conditions(ctx, fields, sql); err != nil {
		return nil, err
	}
	if t.s.m.Kind != KindMerge {
		return fields, nil
	}
	spec := t.mergeSpec(fields)
	if t.s.target == nil || t.p.Restart == RestartFull {
		return slices.DeleteFunc(fields, func(f txlog.Field) bool { return !slices.Contains(spec.stored, f.Name) }), nil
	}
	have, err := t.s.target.Schema()
	if err != nil {
		return nil, err
	}
	return have.Fields, t.drift(spec, have)
}

// refuse ends a run before it begins: models that cannot run fail, the others are skipped.
func (w *walk) refuse(models []*Model, broken map[string]error) {
	var names []string
	for _, m := range models {
		if broken[m.Name] != nil {
			names = append(names, m.Name)
		}
	}
	for _, m := range models {
		now := w.r.o.Clock.Now()
		rep := &TaskReport{Run: w.req.Run, Model: m.Name, Kind: m.Kind, Status: StatusSkipped, Reason: "nothing was run: " + strings.Join(names, ", ") + " cannot", StartedAt: now, FinishedAt: now}
		if err := broken[m.Name]; err != nil {
			rep.Status, rep.Reason, rep.ErrorClass, rep.Error = StatusFailed, "", ClassOf(err), m.File+": "+strings.TrimPrefix(err.Error(), m.File+": ")
		}
		w.end(m, nil, rep)
	}
}

// late binds a model that had to wait for its sources and has nothing to do.
func (w *walk) late(ctx context.Context, m *Model, rep *TaskReport) {
	if m.query == nil || !w.binding.open[m.Name] {
		return
	}
	if _, known, err := w.r.bindModel(ctx, w.req, m, nil); known && err != nil {
		rep.Status, rep.ErrorClass, rep.Error = StatusFailed, ClassOf(err), err.Error()
	}
}
