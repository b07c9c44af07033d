package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/pipeline"
)

// errTimeout is the cause of a context that a task's timeout ended.
var errTimeout = errors.New("task_timeout passed")

// executor returns what pipeline calls for each plan: the plan is run, and run again as the pipeline's retries allow.
//
// Every attempt runs the same plan, so nothing can be applied twice. Between attempts it waits with full jitter: a
// random part of the back-off, which doubles up to its maximum. The report is never nil and tells of the last attempt.
func (c *Config) executor(open context.Context, p *pipeline.Pipeline, run Run) func(context.Context, *pipeline.Plan) (*pipeline.TaskReport, error) {
	return func(ctx context.Context, plan *pipeline.Plan) (*pipeline.TaskReport, error) {
		low := false
		for attempt := 1; ; attempt++ {
			if err := open.Err(); err != nil {
				return c.unbegun(plan, run), fmt.Errorf("task %s not begun: %w", plan.Ref(), err)
			}
			report, err := c.attempt(ctx, p.TaskTimeout, plan, run, attempt, low)
			if err == nil || ctx.Err() != nil || !p.Retries.Retry(report.ErrorClass, attempt) {
				return report, err
			}
			wait := clock.Jitter(c.Rand, backoff(p.Retries, attempt))
			c.Logger.WarnContext(ctx, "task failed, trying again", "run", run.ID, "task", plan.Ref().String(),
				"attempt", attempt, "class", report.ErrorClass, "wait", wait, "err", err)
			if serr := c.Clock.Sleep(ctx, wait); serr != nil {
				return report, err
			}
			low = report.ErrorClass == pipeline.ClassOOM
		}
	}
}

// unbegun reports a task that had no turn before the scheduler was told to end.
func (c *Config) unbegun(plan *pipeline.Plan, run Run) *pipeline.TaskReport {
	now := c.Clock.Now()
	return &pipeline.TaskReport{
		Run: run.ID, Model: plan.Model, Kind: plan.Kind, Plan: plan.N, Engine: plan.Engine, Code: plan.Code,
		Status: pipeline.StatusCancelled, StartedAt: now, FinishedAt: now,
	}
}

// backoff is the longest wait after the attempt-th failure.
func backoff(r pipeline.Retries, attempt int) time.Duration {
	d := r.Initial
	for ; attempt > 1 && d < r.MaxWait; attempt-- {
		d *= 2
	}
	return min(d, max(r.MaxWait, r.Initial))
}

// attempt runs a plan once, in a child or here, within the timeout.
func (c *Config) attempt(ctx context.Context, timeout time.Duration, plan *pipeline.Plan, run Run, n int, low bool) (*pipeline.TaskReport, error) {
	started := c.Clock.Now()
	working, cancel := withTimeout(ctx, c.LeaseClock, timeout)
	defer cancel()

	var report *pipeline.TaskReport
	var err error
	if len(c.Child) == 0 {
		report, err = c.Runner.Execute(working, plan)
	} else {
		report, err = c.child(working, plan.Ref(), n, low)
	}
	if report == nil {
		report = c.unbegun(plan, run)
		report.Status, report.ErrorClass, report.StartedAt = pipeline.StatusFailed, pipeline.ClassIO, started
		var ended *childError
		if errors.As(err, &ended) && ended.killed {
			report.ErrorClass = pipeline.ClassOOM
		}
	}
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(working), errTimeout) {
		err = fmt.Errorf("%w after %v: %w", errTimeout, timeout, err)
		report.Status, report.ErrorClass = pipeline.StatusFailed, pipeline.ClassTimeout
	}
	if err != nil && ctx.Err() != nil {
		report.Status = pipeline.StatusCancelled
	}
	if err != nil {
		report.Error = err.Error()
	}
	report.Attempt = n
	return report, err
}

// withTimeout is context.WithTimeout on an injected clock; the cause is errTimeout. A d of zero or less never passes.
func withTimeout(ctx context.Context, clk clock.Clock, d time.Duration) (context.Context, func()) {
	working, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	if d <= 0 {
		close(ended)
	} else {
		go func() {
			defer close(ended)
			if clk.Sleep(working, d) == nil {
				cancel(errTimeout)
			}
		}()
	}
	return working, func() {
		cancel(nil)
		<-ended
	}
}

// detached outlives ctx, by at most d: for what must be tidied up after a cancel.
func detached(ctx context.Context, clk clock.Clock, d time.Duration) (context.Context, func()) {
	return withTimeout(context.WithoutCancel(ctx), clk, d)
}
