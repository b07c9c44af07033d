package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/jobs"
	"github.com/lakectl/lakectl/pipeline"
)

// previewRun says what a run would plan.
func (a *app) previewRun(ctx context.Context, r *pipeline.Runner, req jobs.Request) error {
	preview, err := r.Preview(ctx, pipeline.RunRequest{Run: req.Pipeline + "/dry-run", Pipeline: req.Pipeline, Select: req.Select, AsOf: req.AsOf, Restart: req.Restart})
	if err != nil {
		return err
	}
	if a.term.Machine() {
		err = a.term.Object(preview)
	} else {
		for _, t := range preview.Tasks {
			a.term.Printf("%s\n", previewLine(t))
		}
		a.term.Printf("dry run: nothing was written\n")
	}
	if err != nil {
		return err
	}
	if code := preview.ExitCode(); code != exitDone {
		return &codeError{code}
	}
	return nil
}

// previewLine is "   silver.flights       plan 2     changes of bronze.flights in versions 1-3".
func previewLine(t *pipeline.PreviewTask) string {
	name := fmt.Sprintf("   %-20s ", t.Model)
	var line string
	switch {
	case t.Error != "":
		line = fmt.Sprintf("%scannot be planned\n     %s: %s", name, t.ErrorClass, ui.Clean(t.Error))
	case t.Plan != nil:
		line = fmt.Sprintf("%splan %-4d  %s", name, t.Plan.N, strings.Join(planFacts(t.Plan), ", "))
		if len(t.After) > 0 {
			line += ", and what comes of " + strings.Join(t.After, ", ")
		}
	case len(t.After) > 0:
		line = name + "planned when " + strings.Join(t.After, ", ") + " has ended"
	default:
		line = name + "nothing to do"
	}
	for _, n := range t.Notes {
		line += "\n     note: " + ui.Clean(n)
	}
	return line
}

// planFacts says what a plan would do, in a few words.
func planFacts(p *pipeline.Plan) []string {
	var out []string
	switch p.Restart {
	case pipeline.RestartFull:
		out = append(out, "full refresh")
	case pipeline.RestartResume:
		out = append(out, "resumed")
	}
	var size, reload int64
	for _, f := range p.Files {
		size += f.Size
		if f.Reload {
			reload++
		}
	}
	if n := int64(len(p.Files)); n > 0 {
		out = append(out, ui.Plural(n, "file"), ui.Bytes(size))
	}
	if reload > 0 {
		out = append(out, fmt.Sprintf("%s of them loaded before", ui.Count(reload)))
	}
	for _, s := range p.Sources {
		switch {
		case s.Version != nil:
			out = append(out, fmt.Sprintf("%s at version %d", s.Table, *s.Version))
		case s.After != nil && s.Upto != nil:
			out = append(out, fmt.Sprintf("changes of %s in versions %d-%d", s.Table, *s.After+1, *s.Upto))
		case s.Upto != nil:
			out = append(out, fmt.Sprintf("all rows of %s at version %d", s.Table, *s.Upto))
		}
	}
	if p.Resumed() {
		out = append(out, "begun by an earlier run")
	}
	return out
}
