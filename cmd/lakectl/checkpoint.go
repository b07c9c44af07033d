package main

import (
	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table"
)

func (a *app) checkpointCommand() *cobra.Command {
	var o table.Checkpoint
	c := &cobra.Command{
		Use:   "checkpoint TABLE",
		Short: "Write a checkpoint of the newest version",
		Long: `checkpoint writes what the whole log says about the newest version into one place, so that readers open the table without
reading the commits before it. Writes do so by themselves after each delta.checkpointInterval commits. No row and no
version changes; delta.checkpointPolicy says in which form it is written.`,
		Example: `  lakectl checkpoint ./orders --dry-run
  lakectl checkpoint ./orders`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if err := a.oneValue(); err != nil {
				return err
			}
			defer a.term.Progress(ctx, a.clock, "writing a checkpoint of "+args[0], nil)()
			w, t, err := a.writeTable(ctx, args[0])
			if err != nil {
				return err
			}
			r, err := t.WriteCheckpoint(ctx, o)
			if err != nil {
				return err
			}
			return a.showCheckpoint(w, r)
		},
	}
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "say what would be written, and write nothing")
	return c
}

func (a *app) showCheckpoint(w word, r *table.CheckpointResult) error {
	if a.term.Machine() {
		return a.term.Object(r)
	}
	version := int64(r.Version)
	if r.AlreadyDone {
		a.term.Headline("nothing to do:", w.text, version, version, r.Milliseconds, false)
		a.term.Fact("log", "version "+ui.Text(r.Version)+" has a checkpoint")
		return nil
	}
	a.term.Headline(dryVerb("checkpointed", r.DryRun), w.text, version, version, r.Milliseconds, r.DryRun)
	a.term.Fact("log", r.Form+" checkpoint of "+ui.Plural(int64(r.Files), "file"), "spares readers "+ui.Plural(r.Commits, "commit"))
	return nil
}
