package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/pipeline"
)

// RunNow creates a run and works it off in the foreground. With a Request.Key that was used before, a finished run
// answers with its report, and an unfinished one is taken up again.
//
// Errors: ErrUnknownPipeline; ErrHeld when another process works on the same key; those of the store and of
// Runner.Run. Failures of tasks are in the report. When ctx is done, running commits are settled and the rest is
// cancelled; running again takes up what is left.
func RunNow(ctx context.Context, cfg Config, req Request) (*pipeline.RunReport, error) {
	c, err := cfg.filled()
	if err != nil {
		return nil, err
	}
	p, err := c.pipeline(req.Pipeline)
	if err != nil {
		return nil, err
	}
	run, _, err := c.createRun(ctx, c.manualRun(req))
	if err != nil {
		return nil, err
	}
	recorder := c.record(ctx)
	defer recorder.flush()
	return c.work(ctx, ctx, p, run, recorder)
}

// work does what a run object asks for, unless somebody else is at it ([ErrHeld]) or it is done: then the report of
// whoever did it is returned. Once open is done no task is begun any more; ctx ends those that work.
func (c *Config) work(ctx, open context.Context, p *pipeline.Pipeline, run Run, rec *recorder) (*pipeline.RunReport, error) {
	claim, err := c.acquire(ctx, claimKey(run.ID))
	if err != nil {
		return nil, err
	}
	if claim.state.Finished {
		report := &pipeline.RunReport{Run: run.ID, Project: c.Project, Pipeline: run.Pipeline, Env: c.Env, AsOf: run.AsOf}
		if len(claim.state.Report) > 0 {
			if err := json.Unmarshal(claim.state.Report, report); err != nil {
				return nil, fmt.Errorf("read report of run %s: %w", run.ID, err)
			}
		}
		return report, nil
	}

	working, lost := context.WithCancelCause(ctx)
	kept := make(chan struct{})
	go func() {
		defer close(kept)
		claim.keep(working, lost)
	}()
	rec.add(event{Type: eventRunStarted, Run: run.ID, Pipeline: run.Pipeline})
	report, err := c.Runner.Run(working, pipeline.RunRequest{
		Run: run.ID, Pipeline: run.Pipeline, Select: run.Select, AsOf: run.AsOf, Restart: run.restart(),
		Execute: c.executor(open, p, run),
		Observe: func(e pipeline.Event) {
			if e.Type == pipeline.EventDone && e.Task != nil && e.Task.Status != pipeline.StatusNothing {
				rec.add(event{Type: eventTaskFinished, Run: run.ID, Pipeline: run.Pipeline, Task: e.Task})
			}
			c.observe(run, e)
		},
	})
	interrupted := working.Err() != nil || open.Err() != nil && (report == nil || cancelled(report))
	if cause := context.Cause(working); errors.Is(cause, ErrHeld) {
		err = errors.Join(err, cause)
	}
	lost(nil)
	<-kept

	done := event{Type: eventRunFinished, Run: run.ID, Pipeline: run.Pipeline, Status: pipeline.StatusFailed}
	if report != nil {
		done.Status = report.Status()
	}
	if interrupted {
		done.Status = pipeline.StatusCancelled
	}
	rec.add(done)
	// The tables say what is done; a claim that could not be given back only makes others wait for its ttl.
	ending, cancel := detached(ctx, c.LeaseClock, killDelay)
	defer cancel()
	if rerr := claim.release(ending, !interrupted, summary(report)); rerr != nil {
		c.Logger.WarnContext(ctx, "claim not released", "run", run.ID, "err", rerr)
	}
	return report, err
}

// cancelled tells whether a task of the run did not get its turn.
func cancelled(r *pipeline.RunReport) bool {
	return slices.ContainsFunc(r.Tasks, func(t *pipeline.TaskReport) bool { return t.Status == pipeline.StatusCancelled })
}

// observe tells the caller of a step, one at a time.
func (c *Config) observe(run Run, e pipeline.Event) {
	if c.Observe == nil {
		return
	}
	c.observing.Lock()
	defer c.observing.Unlock()
	c.Observe(run, e)
}

// summary is the report as the claim keeps it; nil when it would not fit.
func summary(r *pipeline.RunReport) json.RawMessage {
	if r == nil {
		return nil
	}
	b, err := json.Marshal(r)
	if err != nil || len(b) > objectBytes/2 {
		return nil
	}
	return b
}

// finished tells whether nothing is left to do for a run, and if not, whether somebody works on it now.
func (c *Config) finished(ctx context.Context, runID string) (done, held bool, err error) {
	l := &lease{c: c, key: claimKey(runID)}
	state, info, err := l.read(ctx)
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return false, false, nil
	case err != nil:
		return false, false, fmt.Errorf("read claim of run %s: %w", runID, err)
	}
	return state.Finished, !state.Finished && !state.Released && !expired(state, info), nil
}
