package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/jobs"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/pipeline"
	"github.com/lakectl/lakectl/txlog"
)

type runFlags struct {
	selected []string
	asOf     string
	key      string
	refresh  bool
	dryRun   bool
	resumeAt int64 // version of the source; -1: not given
}

func (a *app) runCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "run [PIPELINE]",
		Short: "Run a pipeline once: load, merge and rebuild what is new",
		Long: `run plans every model of PIPELINE, stages and checks its rows and commits them, upstream first. It may be interrupted
or killed at any moment and run again: what the tables have already is not done twice. PIPELINE may be left out where
the project has one.

A merge whose source was recreated or restored stops (source_rewound). --full-refresh computes the selected merges anew
from all rows of their sources and replaces their rows in one commit; --resume-at keeps the rows of one merge and goes on
behind that version of its source.`,
		Example: `  lakectl run --project flights
  lakectl run flights --project flights --select silver.flights+ --dry-run`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactly("PIPELINE")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) == 1 {
				name = args[0]
			}
			return a.runPipeline(cmd.Context(), name, f)
		},
	}
	c.Flags().StringSliceVar(&f.selected, "select", nil, "only these models: names, patterns, +name with what it needs, name+ with what needs it")
	c.Flags().StringVar(&f.asOf, "as-of", "", "the time that the run takes for now (default: now)")
	c.Flags().BoolVar(&f.dryRun, "dry-run", false, "say what would be planned, and do nothing")
	c.Flags().BoolVar(&f.refresh, "full-refresh", false, "compute the selected merges anew; their rows and progress are replaced in one commit")
	c.Flags().Int64Var(&f.resumeAt, "resume-at", -1, "take this version of its source for consumed by the one merge that is selected")
	c.Flags().StringVar(&f.key, "idempotency-key", "", "a name for this run: the same key is not run twice")
	return c
}

// projectWiring is everything that run, serve and task need.
type projectWiring struct {
	project *pipeline.Project
	store   objectstore.Store
	runner  *pipeline.Runner
	config  jobs.Config
}

// wireProject loads the project and wires its engine and stores.
func (a *app) wireProject(ctx context.Context, writes bool) (*projectWiring, error) {
	p, err := a.fullProject(ctx)
	if err != nil {
		return nil, err
	}
	w := &projectWiring{project: p}
	a.subject = p.Env.Warehouse
	w.store, err = a.openStore(ctx, p.Env.Warehouse, writes)
	if errors.Is(err, objectstore.ErrNoBucket) && !writes && strings.HasPrefix(p.Env.Warehouse, "file://") {
		w.store, err = mem.New("warehouse"), nil // nothing was built yet, and looking is not to begin it
	}
	if err != nil {
		return nil, err
	}
	engine, err := a.sqlEngine(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := a.scratchDir()
	if err != nil {
		return nil, err
	}
	scratch, err := a.openStore(ctx, dir+"/landing", true)
	if err != nil {
		return nil, err
	}
	var opening sync.Mutex // guards wiring.stores: tasks open their sources at the same time
	w.runner, err = pipeline.NewRunner(pipeline.Options{
		Project: p, Store: w.store, Engine: engine, Scratch: scratch, Clock: a.clock, Rand: a.rand, Logger: a.logger(), EngineInfo: a.engineInfo(),
		OpenStore: func(ctx context.Context, address string) (objectstore.Store, error) {
			opening.Lock()
			defer opening.Unlock()
			return a.openStore(ctx, address, false)
		},
	})
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	w.config = jobs.Config{
		Store: w.store, Runner: w.runner, Project: p.Name, Env: p.Env.Name, Pipelines: p.Pipelines, Clock: a.clock, LeaseClock: a.clock,
		Rand: a.rand, Logger: a.logger(), Holder: fmt.Sprintf("%s/%d", host, os.Getpid()),
	}
	return w, a.testClock(&w.config)
}

// testClock lets tests run weeks of slots in seconds. It is read from the environment so that no flag invites its use.
func (a *app) testClock(c *jobs.Config) error {
	text := a.env("LAKE_TEST_CLOCK")
	if text == "" {
		return nil
	}
	t, err := jobs.ParseTestClock(text)
	if err != nil {
		return usagef("LAKE_TEST_CLOCK: %v", err)
	}
	c.Clock, c.LeaseTTL = t.Clock(a.clock), t.TTL
	return nil
}

// choosePipeline finds a pipeline by name, or the only one.
func choosePipeline(p *pipeline.Project, name string) (string, error) {
	var names []string
	for _, x := range p.Pipelines {
		names = append(names, x.Name)
	}
	switch {
	case name == "" && len(names) == 1:
		return names[0], nil
	case len(names) == 0:
		return "", &toldError{code: exitNotFound, message: "the project has no pipeline", why: "there is no folder with a pipeline.yml under pipelines/", hint: "lakectl init DIR   # writes an example to look at"}
	case name == "":
		return "", usageHint("which pipeline? the project has "+strings.Join(names, ", "), "lakectl run "+names[0])
	}
	if _, ok := p.Pipeline(name); !ok {
		return "", &toldError{code: exitNotFound, message: fmt.Sprintf("there is no pipeline %q", name), why: "the project has " + strings.Join(names, ", "), hint: "lakectl run " + names[0]}
	}
	return name, nil
}

func (a *app) runPipeline(ctx context.Context, name string, f runFlags) error {
	if err := a.oneValue(); err != nil {
		return err
	}
	request := jobs.Request{Select: f.selected, Key: f.key, Restart: pipeline.Restart{FullRefresh: f.refresh}}
	if f.resumeAt >= 0 && f.refresh {
		return usagef("--full-refresh reads everything again, --resume-at only what is new: say one of them")
	}
	if f.resumeAt >= 0 {
		v := txlog.Version(f.resumeAt)
		request.Restart.ResumeAt = &v
	}
	if f.asOf != "" {
		t, err := parseTime(f.asOf)
		if err != nil {
			return err
		}
		request.AsOf = t
	}
	if f.dryRun && f.key != "" {
		return usagef("--idempotency-key does nothing with --dry-run")
	}
	w, err := a.wireProject(ctx, !f.dryRun)
	if err != nil {
		return err
	}
	if request.Pipeline, err = choosePipeline(w.project, name); err != nil {
		return err
	}
	a.subject = request.Pipeline
	if err := w.runner.Check(pipeline.RunRequest{Run: "check", Pipeline: request.Pipeline, Select: request.Select, Restart: request.Restart}); err != nil {
		return usageHint(err.Error(), "lakectl run "+request.Pipeline+" --dry-run   # names its models")
	}
	if f.dryRun {
		return a.previewRun(ctx, w.runner, request)
	}
	screen := &runScreen{a: a, people: !a.term.Machine()}
	w.config.Observe = screen.observe
	stop := a.term.Progress(ctx, a.clock, "running "+request.Pipeline, screen.working)
	report, err := jobs.RunNow(ctx, w.config, request)
	stop()
	if err != nil {
		return err
	}
	if a.term.Machine() {
		if err := a.term.Object(report); err != nil {
			return err
		}
	} else {
		screen.end(report)
	}
	if code := report.ExitCode(); code != exitDone {
		return &codeError{code}
	}
	return nil
}

// runScreen prints a line for each task as it ends.
type runScreen struct {
	a      *app
	people bool

	mu   sync.Mutex // guards the fields below; progress asks from its own goroutine
	busy map[string]bool
}

func (s *runScreen) observe(run jobs.Run, e pipeline.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy == nil {
		s.busy = map[string]bool{}
	}
	switch e.Type {
	case pipeline.EventPlanned:
		s.busy[e.Model] = true
	case pipeline.EventDone:
		delete(s.busy, e.Model)
	case pipeline.EventPlanning:
	}
	if !s.people || e.Type != pipeline.EventDone || e.Task == nil {
		return
	}
	if s.a.term.ErrTTY {
		fmt.Fprint(s.a.term.Err, "\r\x1b[K")
	}
	s.a.term.Printf("%s\n", s.a.taskLine(e.Task))
}

func (s *runScreen) working() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := make([]string, 0, len(s.busy))
	for n := range s.busy {
		names = append(names, n)
	}
	return strings.Join(names, ", ")
}

// taskLine is " ✓ silver.flights       plan 1     +2 999 798 ~0 -0   191 superseded   …   v0  14.2 s".
func (a *app) taskLine(t *pipeline.TaskReport) string {
	mark := a.term.Green("✓")
	switch t.Status {
	case pipeline.StatusWarned:
		mark = a.term.Yellow("!")
	case pipeline.StatusFailed, pipeline.StatusCancelled:
		mark = a.term.Red("✗")
	case pipeline.StatusSkipped, pipeline.StatusNothing, pipeline.StatusSuperseded:
		mark = a.term.Dim("·")
	case pipeline.StatusOK:
	}
	line := fmt.Sprintf(" %s %-20s ", mark, t.Model)
	if t.Plan > 0 {
		line += fmt.Sprintf("plan %-4d  ", t.Plan)
	} else {
		line += "           "
	}
	line += strings.Join(a.taskFacts(t), "   ")
	if t.TargetVersion != nil {
		line += fmt.Sprintf("   v%d", *t.TargetVersion)
	}
	if t.Plan > 0 {
		line += "   " + ui.Seconds(t.Elapsed())
	}
	for _, n := range t.Notes {
		line += "\n     note: " + ui.Clean(n)
	}
	if t.Error != "" && t.Status != pipeline.StatusCancelled {
		line += fmt.Sprintf("\n     %s: %s", t.ErrorClass, ui.Clean(t.Error))
	}
	return line
}

// taskFacts are the numbers that matter for the kind of task.
func (a *app) taskFacts(t *pipeline.TaskReport) []string {
	switch t.Status {
	case pipeline.StatusNothing:
		return []string{"nothing to do"}
	case pipeline.StatusSkipped, pipeline.StatusCancelled, pipeline.StatusSuperseded:
		if t.Reason == "" {
			return []string{string(t.Status)}
		}
		return []string{string(t.Status) + ": " + ui.Clean(t.Reason)}
	case pipeline.StatusFailed:
		return []string{"failed, nothing committed"}
	case pipeline.StatusOK, pipeline.StatusWarned:
	}
	var out []string
	switch t.Kind {
	case pipeline.KindIngest:
		out = append(out, ui.Plural(t.FilesIn, "file"), ui.Plural(t.RowsAdded, "row"), ui.Count(t.RowsRescued)+" rescued", ui.Count(t.FilesPoison+t.RowsPoison)+" poison")
		if t.FilesPoison > 0 { // a line is one row; a file is all of its rows
			out[len(out)-1] += " (" + ui.Plural(t.FilesPoison, "whole file") + ")"
		}
	case pipeline.KindMerge:
		out = append(out, fmt.Sprintf("+%s ~%s -%s", ui.Count(t.RowsAdded), ui.Count(t.RowsUpdated), ui.Count(t.RowsDeleted)))
		if t.RowsSuperseded > 0 {
			out = append(out, ui.Count(t.RowsSuperseded)+" superseded")
		}
	default:
		out = append(out, ui.Plural(t.RowsAdded, "row"))
	}
	if t.RowsQuarantine > 0 {
		out = append(out, "quarantine "+ui.Count(t.RowsQuarantine))
	}
	if t.RowsDropped > 0 {
		out = append(out, "dropped "+ui.Count(t.RowsDropped))
	}
	if rows, names := t.Warned(); rows > 0 {
		out = append(out, fmt.Sprintf("warned %s (%s)", ui.Count(rows), strings.Join(names, ", ")))
	}
	return out
}

// end is the last line: what became of the models, and what to do about it.
func (s *runScreen) end(r *pipeline.RunReport) {
	models := map[string]bool{}
	count := map[pipeline.Status]int64{}
	for _, t := range r.Tasks {
		models[t.Model] = true
		count[t.Status]++
	}
	line := ui.Plural(int64(len(models)), "model")
	for _, status := range []pipeline.Status{pipeline.StatusFailed, pipeline.StatusCancelled, pipeline.StatusSkipped, pipeline.StatusWarned, pipeline.StatusNothing} {
		if n := count[status]; n > 0 {
			word := string(status)
			if status == pipeline.StatusNothing {
				word = "with nothing to do"
			}
			line += fmt.Sprintf(", %s %s", ui.Count(n), word)
		}
	}
	s.a.term.Printf("%s   %s   run %s\n", line, ui.Seconds(r.FinishedAt.Sub(r.StartedAt).Round(100*time.Millisecond)), r.Run)
	if r.ExitCode() == exitDone {
		return
	}
	told := false
	for _, t := range r.Tasks {
		if t.Hint != "" {
			s.a.term.Notef("hint: %s\n", ui.Clean(t.Hint))
			told = true
		}
	}
	switch {
	case told:
	case r.ExitCode() == exitInterrupted:
		s.a.term.Notef("hint: run the same command again: it does only what is left\n")
	default:
		s.a.term.Notef("hint: mend the cause and run the same command again: it does only what is left\n")
	}
}
