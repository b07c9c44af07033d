package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/jobs"
)

func (a *app) serveCommand() *cobra.Command {
	var grace time.Duration
	c := &cobra.Command{
		Use:   "serve",
		Short: "Run the pipelines at their times, until stopped",
		Long: `serve runs each pipeline of the project at its cron slots; each task works in a process of its own. Any number of
schedulers may serve one lake: every slot takes effect once. Ctrl-C or SIGTERM ends it after the commits under way;
a second one ends it at once.`,
		Example: `  lakectl serve --project flights
  LAKE_LOG=debug lakectl serve --project flights --env dev --grace 2m`,
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if a.term.Machine() {
				return usagef("--output has no effect on serve: its log goes to stderr, as JSON where that is no terminal")
			}
			return a.serve(cmd.Context(), grace)
		},
	}
	c.Flags().DurationVar(&grace, "grace", jobs.DefaultGrace, "how long tasks under way may take after the first signal")
	return c
}

func (a *app) serve(ctx context.Context, grace time.Duration) error {
	a.serving = true
	w, err := a.wireProject(ctx, true)
	if err != nil {
		return err
	}
	exe, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find own program: %w", err)
	}
	w.config.Child = []string{exe, "--project", w.project.Dir, "--env", w.project.Env.Name}
	for _, v := range a.vars {
		w.config.Child = append(w.config.Child, "--var", v)
	}
	w.config.Child = append(w.config.Child, "task")
	w.config.ChildMemory = w.project.DuckDB.MemoryBytes
	w.config.Grace = grace
	return jobs.Serve(ctx, w.config)
}
