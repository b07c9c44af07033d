package main

import (
	"os"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/jobs"
)

// taskCommand is the child side of serve: it executes one plan and reports on file descriptor 3. It ends when its
// standard input does, because that means that its parent is gone.
func (a *app) taskCommand() *cobra.Command {
	var attempt int
	var low bool
	c := &cobra.Command{
		Use:    "task PLAN",
		Short:  "Execute one plan, for serve",
		Hidden: true,
		Args:   exactly("PLAN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			a.subject, a.serving, a.halfThreads = args[0], true, low
			w, err := a.wireProject(cmd.Context(), true)
			if err != nil {
				return err
			}
			code := jobs.Task(cmd.Context(), jobs.TaskConfig{
				Runner: w.runner, Ref: args[0], Attempt: attempt, Parent: os.Stdin, Progress: os.NewFile(3, "progress"), Logger: a.logger(),
			})
			if code != exitDone {
				return &codeError{code}
			}
			return nil
		},
	}
	c.Flags().IntVar(&attempt, "attempt", 1, "which attempt this is")
	c.Flags().BoolVar(&low, "low", false, "half the threads, after running out of memory")
	return c
}
