package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"

	"github.com/lakectl/lakectl/pipeline"
)

// TaskConfig is what a child works with.
type TaskConfig struct {
	Runner   Runner
	Ref      string    // the plan: "silver.flights/182"
	Attempt  int       // from 1
	Parent   io.Reader // ends when the parent has gone; nil: there is none
	Progress io.Writer // takes one JSON object a line; nil: nobody listens
	Logger   *slog.Logger
}

// Task runs one plan as the child of a scheduler and returns the exit code. The report goes to Progress. When Parent
// ends the task is cancelled: commits in flight are settled, nothing new is begun.
func Task(ctx context.Context, t TaskConfig) int {
	log := t.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	ref, err := pipeline.ParsePlanRef(t.Ref)
	if err != nil {
		log.ErrorContext(ctx, "bad plan", "err", err)
		return exitUsage
	}
	working, cancel := context.WithCancel(ctx)
	defer cancel()
	if t.Parent != nil {
		go func() { // ends with the process, or with the parent
			_, _ = io.Copy(io.Discard, t.Parent)
			cancel()
		}()
	}
	if err := t.send(message{Stage: "executing"}); err != nil {
		log.WarnContext(ctx, "progress not sent", "err", err)
	}
	var report *pipeline.TaskReport
	plan, err := t.Runner.Load(working, ref)
	if err != nil {
		report = &pipeline.TaskReport{
			Model: ref.Model, Plan: ref.N, Status: pipeline.StatusFailed, ErrorClass: pipeline.ClassOf(err), Error: err.Error(),
		}
	} else {
		report, err = t.Runner.Execute(working, plan)
	}
	last := message{Report: report}
	if err != nil {
		last.Error = err.Error()
	}
	if report != nil {
		report.Attempt = t.Attempt
	}
	if serr := t.send(last); serr != nil {
		log.WarnContext(ctx, "report not sent", "err", serr)
	}
	switch {
	case err == nil:
		return pipeline.ExitDone
	case working.Err() != nil:
		return pipeline.ExitInterrupted
	}
	return pipeline.ClassOf(err).ExitCode()
}

const exitUsage = 64

func (t TaskConfig) send(m message) error {
	if t.Progress == nil {
		return nil
	}
	line, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode progress: %w", err)
	}
	if _, err := t.Progress.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("send progress: %w", err)
	}
	return nil
}
