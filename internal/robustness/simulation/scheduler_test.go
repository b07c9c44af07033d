package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/sim"
	"github.com/lakectl/lakectl/jobs"
	"github.com/lakectl/lakectl/pipeline"
	"github.com/lakectl/lakectl/txlog"
)

// The schedule.
const (
	slotEvery = 6 * time.Hour
	slotCron  = "0 */6 * * *"
	leaseTTL  = 3 * time.Hour
	taskApp   = "lake/simulation/slots/task"
)

// slotNumber counts slots from the epoch.
func slotNumber(at time.Time) int64 { return at.Unix() / int64(slotEvery/time.Second) }

// schedule is the job of a scheduler: the real one, over a pipeline of one model.
func (p *process) schedule(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.lake.working, cancel)()
	if err := jobs.Serve(ctx, p.config()); err != nil {
		p.wrong = append(p.wrong, fmt.Sprintf("%s: %v", p.name, err))
	}
}

func (p *process) config() jobs.Config {
	line := &pipeline.Pipeline{
		Name: "hourly", TimeZone: "UTC", Location: time.UTC, Trigger: pipeline.Trigger{Cron: slotCron},
		Catchup: p.lake.catchup, Overlap: "queue", Parallel: 1, TaskTimeout: 12 * time.Hour,
		Retries: pipeline.Retries{
			Max: 3, Initial: 30 * time.Second, MaxWait: 10 * time.Minute,
			Classes: []pipeline.Class{pipeline.ClassIO, pipeline.ClassThrottled, pipeline.ClassConflict, pipeline.ClassTimeout, pipeline.ClassUnknown},
		},
	}
	return jobs.Config{
		Store: p.store, Runner: &runner{p}, Project: "simulation", Env: "test", Pipelines: []*pipeline.Pipeline{line},
		Clock: clock.Skewed(clock.System(), p.skew), LeaseTTL: leaseTTL, Rand: p.rand, Holder: p.name,
	}
}

// runner does the one task of a run: it brings the table of slots up to the slot of the run, its side table first. The
// number of the slot is that of the plan, and goes with the rows into both.
type runner struct{ p *process }

func (r *runner) Load(context.Context, pipeline.PlanRef) (*pipeline.Plan, error) {
	return nil, pipeline.ErrPlanNotFound // no child processes here
}

func (r *runner) Run(ctx context.Context, req pipeline.RunRequest) (*pipeline.RunReport, error) {
	report := &pipeline.RunReport{Run: req.Run, Project: "simulation", Pipeline: req.Pipeline, AsOf: req.AsOf}
	plan := &pipeline.Plan{N: slotNumber(req.AsOf), Model: "lake." + slotTable, Run: req.Run, AsOf: req.AsOf}
	done, _ := req.Execute(ctx, plan) // the report tells
	report.Tasks = append(report.Tasks, done)
	req.Observe(pipeline.Event{Type: pipeline.EventDone, Model: plan.Model, Plan: plan, Task: done})
	return report, nil
}

func (r *runner) Execute(ctx context.Context, plan *pipeline.Plan) (*pipeline.TaskReport, error) {
	report := &pipeline.TaskReport{Run: plan.Run, Model: plan.Model, Plan: plan.N, Status: pipeline.StatusOK}
	err := r.p.cover(ctx, sideTable, plan.N)
	if err == nil {
		err = r.p.Sleep(ctx, sim.Spread(r.p.rand, time.Second, 20*time.Minute)) // while it computes
	}
	if err == nil {
		err = r.p.cover(ctx, slotTable, plan.N)
	}
	switch {
	case errors.Is(err, errCovered):
		report.Status = pipeline.StatusSuperseded
		return report, nil
	case err != nil:
		report.Status, report.ErrorClass = pipeline.StatusFailed, pipeline.ClassOf(err)
		return report, err
	}
	return report, nil
}

// errCovered says that the slots are in the table already. Terminal; the work is done.
var errCovered = errors.New("covered before")

// cover adds the slots up to n to a table, unless somebody has: their number, which the same commit carries, decides.
func (p *process) cover(ctx context.Context, name string, n int64) error {
	for {
		s, err := p.log(name).Latest(ctx)
		if err != nil {
			return err
		}
		last, _ := s.Txn(taskApp)
		if last.Version >= n {
			p.fenced++
			if name == sideTable {
				return nil
			}
			return errCovered
		}
		row := fmt.Sprintf("%d-%d", last.Version, n)
		f, err := p.fileOf(ctx, name, "slots-", []string{row}, true)
		if err != nil {
			return err
		}
		x := s.Log().Begin(s, txlog.Operation{Name: "WRITE", BlindAppend: true})
		x.Stage(f, &txlog.Txn{AppID: taskApp, Version: n})
		err = p.commit(ctx, name, x, work{kind: covers, rows: []string{row}, base: int(s.Version())})
		switch {
		case err == nil:
			if name == slotTable {
				p.slots++
			}
			return nil
		case errors.Is(err, txlog.ErrConcurrentTransaction):
			p.fenced++ // another scheduler did it meanwhile: look again
		case !errors.Is(err, txlog.ErrUnknown) || !p.door.Alive() || ctx.Err() != nil:
			return err
		}
	}
}

// aftermath lets one more scheduler serve in fair weather, on a store that answers, until the slots are up to date.
func (l *lake) aftermath(ctx context.Context) (last int64, err error) {
	p := &process{lake: l, job: "last", name: "last.1", rand: clock.SeededRand(7), seen: -1}
	p.door, p.store = l.world.Free(), l.world.Free()
	l.processes = append(l.processes, p)
	now := time.Now().UTC()
	until := now.Add(20 * time.Hour).Truncate(slotEvery).Add(2 * time.Hour)
	serving, stop := context.WithDeadline(ctx, until)
	defer stop()
	return slotNumber(until), jobs.Serve(serving, p.config())
}
