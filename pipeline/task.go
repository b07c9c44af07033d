package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// task is one execution of one plan: stage, check, commit.
type task struct {
	r         *Runner
	s         *state
	p         *Plan
	rep       *TaskReport
	relations map[string]table.Relation
	scratch   []table.WrittenFile // deleted at the end
	sided     bool                // the side table was written
}

// Execute runs a plan: it stages the rows, judges them, writes the side table and makes one commit. The report is
// never nil and tells the same as the error, which is a *TaskError.
//
// It may be called again after any failure or kill, here or elsewhere, also at the same time: one of them lands and
// the others report StatusSuperseded, or StatusOK when the plan had landed before they began. Neither is an error.
func (r *Runner) Execute(ctx context.Context, p *Plan) (*TaskReport, error) {
	rep := &TaskReport{
		Run: p.Run, Model: p.Model, Kind: p.Kind, Plan: p.N, Attempt: 1, Engine: p.Engine, Code: p.Code,
		StartedAt: r.o.Clock.Now(), Resumed: p.resumed,
	}
	err := r.execute(ctx, p, rep)
	rep.FinishedAt = r.o.Clock.Now()
	switch {
	case errors.Is(err, ErrSuperseded):
		rep.Status, rep.Reason = StatusSuperseded, strings.TrimPrefix(err.Error(), ErrSuperseded.Error()+": ")
		return rep, nil
	case err != nil && errors.Is(err, context.Canceled):
		rep.Status, rep.ErrorClass, rep.Error = StatusCancelled, ClassOf(err), err.Error()
		return rep, failed(err)
	case err != nil:
		err = failed(fmt.Errorf("%s plan %d: %w", p.Model, p.N, err))
		rep.Status, rep.ErrorClass, rep.Error, rep.Hint = StatusFailed, ClassOf(err), err.Error(), r.hint(p.Model, err)
		return rep, err
	}
	rep.Status = StatusOK
	if n, names := rep.Warned(); n > 0 || len(names) > 0 {
		rep.Status = StatusWarned
	}
	return rep, nil
}

func (r *Runner) execute(ctx context.Context, p *Plan, rep *TaskReport) (err error) {
	defer func() {
		// The boundary of a task: a fault in one must not end the others of this process.
		if fault := recover(); fault != nil {
			r.o.Logger.ErrorContext(ctx, "task fault", "model", p.Model, "plan", p.N, "fault", fmt.Sprint(fault), "stack", string(debug.Stack()))
			err = &TaskError{Class: ClassConfig, Err: fmt.Errorf("internal fault: %v", fault)}
		}
	}()
	s, err := r.state(ctx, p.Model)
	if err != nil {
		return err
	}
	if landed, err := r.landed(ctx, s, p, rep); landed || err != nil {
		return err
	}
	if err := r.fence(s.m, p, s.snapshot()); err != nil {
		return err
	}
	code, err := r.code(s.m)
	if err != nil {
		return err
	}
	if code != p.Code {
		return fmt.Errorf("%w: the model changed since the plan was made", ErrSuperseded)
	}
	t := &task{r: r, s: s, p: p, rep: rep, relations: map[string]table.Relation{}}
	defer t.close(ctx)
	switch p.Kind {
	case KindIngest:
		return t.ingest(ctx)
	case KindMerge:
		return t.merge(ctx)
	case KindFull:
		return t.full(ctx)
	}
	return fmt.Errorf("%w: plan of unknown kind %q", errConfig, p.Kind)
}

// landed tells whether the plan is in the table already, and reports it.
func (r *Runner) landed(ctx context.Context, s *state, p *Plan, rep *TaskReport) (bool, error) {
	if s.target == nil || s.task != p.N {
		return false, nil
	}
	mark, version, err := r.markOf(ctx, s.target, p.N)
	if err != nil {
		return false, err
	}
	if mark != nil && mark.PlanHash != p.hash {
		return false, fmt.Errorf("%w: the table has another plan %d", ErrSuperseded, p.N)
	}
	rep.Reason = "landed before"
	rep.TargetVersion = version
	return true, nil
}

// lakeMark is commitInfo.lake: who made a commit, and from what.
type lakeMark struct {
	Project  string `json:"project"`
	Model    string `json:"model"`
	Plan     int64  `json:"plan"`
	PlanHash string `json:"plan_hash"`
	Run      string `json:"run"`
	Code     string `json:"code"`
	Epoch    int64  `json:"epoch"`
	Engine   string `json:"engine"`
}

// markSearch bounds how many commits are read back to find one of ours.
const markSearch = 200

// markOf finds the commit of plan n, newest first. It returns nil when history no longer tells.
func (r *Runner) markOf(ctx context.Context, t *table.Table, n int64) (*lakeMark, *int64, error) {
	for c, err := range t.Log().History(ctx, txlog.HistoryOptions{Limit: markSearch}) {
		if errors.Is(err, txlog.ErrHistoryGone) {
			break
		}
		if err != nil {
			return nil, nil, fmt.Errorf("read history: %w", err)
		}
		if c.Info == nil {
			continue
		}
		var mark lakeMark
		raw, ok := c.Info.Extra["lake"]
		if !ok || json.Unmarshal(raw, &mark) != nil {
			continue
		}
		if mark.Plan == n {
			v := int64(c.Version)
			return &mark, &v, nil
		}
		if mark.Plan < n {
			break
		}
	}
	return nil, nil, nil
}

// mark is the commitInfo of this task.
func (t *task) mark() json.RawMessage {
	raw, err := json.Marshal(lakeMark{
		Project: t.r.o.Project.Name, Model: t.s.m.Name, Plan: t.p.N, PlanHash: t.p.hash, Run: t.p.Run, Code: t.p.Code,
		Epoch: t.r.o.Epoch, Engine: t.p.Engine,
	})
	if err != nil { // a struct of texts and numbers
		return json.RawMessage("{}")
	}
	return raw
}

// close deletes what the task kept outside tables, also when ctx is done.
func (t *task) close(ctx context.Context) {
	ctx = context.WithoutCancel(ctx)
	for _, f := range t.scratch {
		if err := f.Store.Delete(ctx, f.Key); err != nil {
			t.r.o.Logger.WarnContext(ctx, "delete scratch", "model", t.p.Model, "err", err)
		}
	}
}

// query is sql over the relations of the task, in the zone of its pipeline.
func (t *task) query(sql string) table.Query {
	return table.Query{SQL: sql, Relations: t.relations, TimeZone: t.s.p.TimeZone}
}

// one runs a query that gives one row.
func (t *task) one(ctx context.Context, sql string) (row []any, err error) {
	err = t.r.eachRow(ctx, t.query(sql), func(v []any) error {
		if row == nil {
			row = slices.Clone(v)
		}
		return nil
	})
	if err == nil && row == nil {
		err = fmt.Errorf("the engine gave no row")
	}
	return row, err
}

// columns asks the engine for the columns of a SELECT, without reading rows.
func (t *task) columns(ctx context.Context, sql string) ([]txlog.Field, error) {
	return table.OutputOf(ctx, t.r.o.Engine, t.query(sql))
}

// keep runs a SELECT once and gives its rows a name, so that they can be read any number of times.
func (t *task) keep(ctx context.Context, name, sql string) error {
	fields, err := t.columns(ctx, sql)
	if err != nil {
		return err
	}
	for i := range fields {
		fields[i].Nullable, fields[i].Metadata = true, nil
	}
	schema, err := txlog.NewSchema(fields...)
	if err != nil {
		return fmt.Errorf("%w: %w", table.ErrSchemaMismatch, err)
	}
	files, err := t.r.o.Engine.Write(ctx, t.query(sql), table.Write{Schema: schema, Codec: "snappy"})
	if err != nil {
		return err
	}
	t.scratch = append(t.scratch, files...)
	rel := table.Relation{Schema: schema}
	for _, f := range files {
		rel.Files = append(rel.Files, table.RelationFile{Store: f.Store, Key: f.Key, Size: f.Size, ETag: f.ETag})
	}
	t.relations[name] = rel
	return nil
}

// landingSteps is how a task puts its rows into the target.
type landingSteps struct {
	// create stages the table with its first rows.
	create func(ctx context.Context) (*table.Change, error)
	// change stages the rows on an existing table.
	change func(ctx context.Context, target *table.Table) (*table.Change, error)
	// judge looks at the staged change; nil: only the set checks of the model.
	judge func(ctx context.Context, c *table.Change) error
	// rejected writes the side table, once.
	rejected func(ctx context.Context) error
}

// land stages, checks, writes the side table and commits, and does it again on the newest table while a foreign commit
// makes the plan untrue. What another process of ours landed ends in ErrSuperseded.
func (t *task) land(ctx context.Context, steps landingSteps) (*table.Result, error) {
	for attempt := int64(1); ; attempt++ {
		res, err := t.landOnce(ctx, steps)
		if err == nil || !errors.Is(err, txlog.ErrConflict) && !errors.Is(err, table.ErrTableExists) {
			return res, err
		}
		if attempt >= t.r.o.Project.Limits.CommitAttempts {
			return nil, fmt.Errorf("%w: %w", txlog.ErrConcurrentWrite, err)
		}
		if t.s.target, err = t.r.openTable(ctx, t.s.m.Name); err != nil {
			return nil, err
		}
		if t.s.target != nil && t.r.task(t.s.m, t.s.snapshot()) == t.p.N {
			return nil, fmt.Errorf("%w: plan %d was landed by another process", ErrSuperseded, t.p.N)
		}
		if err := t.r.fence(t.s.m, t.p, t.s.snapshot()); err != nil {
			return nil, err
		}
	}
}

func (t *task) landOnce(ctx context.Context, steps landingSteps) (*table.Result, error) {
	var c *table.Change
	var err error
	if t.s.target == nil {
		c, err = steps.create(ctx)
	} else {
		c, err = steps.change(ctx, t.s.target)
	}
	if err != nil {
		return nil, err
	}
	if err := t.judge(ctx, steps, c); err != nil {
		// The staged rows stay where they are: people want to see why.
		for _, f := range c.Staged().Files {
			t.rep.Staged = append(t.rep.Staged, f.Key)
		}
		return nil, err
	}
	if !t.sided {
		if err := steps.rejected(ctx); err != nil {
			return nil, errors.Join(err, c.Discard(context.WithoutCancel(ctx)))
		}
		t.sided = true
	}
	c.AddTxn(txlog.Txn{AppID: t.r.taskID(t.s.m), Version: t.p.N})
	for _, src := range t.p.Sources {
		if src.Mode == modeChanges && src.Upto != nil {
			c.AddTxn(txlog.Txn{AppID: t.r.sourceID(t.s.m, src.ID), Version: int64(*src.Upto)})
		}
	}
	for _, own := range t.forget() {
		c.AddTxn(own)
	}
	c.SetExtra("lake", t.mark())
	c.Fence(func(s *txlog.Snapshot) error { return t.r.fence(t.s.m, t.p, s) })
	res, err := c.Commit(ctx)
	if err != nil {
		return nil, errors.Join(err, c.Discard(context.WithoutCancel(ctx)))
	}
	v := int64(res.VersionAfter)
	t.rep.TargetVersion, t.rep.BytesWritten = &v, res.BytesWritten
	for _, w := range res.Warnings {
		t.r.o.Logger.WarnContext(ctx, "after the commit", "model", t.p.Model, "plan", t.p.N, "warning", w)
	}
	return res, nil
}

func (t *task) judge(ctx context.Context, steps landingSteps, c *table.Change) error {
	if steps.judge != nil {
		if err := steps.judge(ctx, c); err != nil {
			return err
		}
	}
	return t.checks(ctx, c)
}

// createOf describes the table of this model as its first commit makes it.
func (t *task) createOf(schema *txlog.Schema) table.Create {
	return table.Create{
		Schema: schema, PartitionBy: t.s.m.table.partitionBy, Properties: t.s.m.table.properties, Comment: t.s.m.Description,
	}
}
