package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/ui"
)

// app is one call of the command: where it reads and writes, the flags that all verbs share, and what was opened.
type app struct {
	in    io.Reader
	term  *ui.Terminal
	env   func(string) string
	clock clock.Clock
	rand  clock.Rand

	// Flags of every verb.
	output      string
	environment string // --env
	projectDir  string // --project
	vars        []string

	subject     string // the table or pipeline that the verb is about, for error lines
	txn         string // --txn of this call, for the hint of an unknown outcome
	running     bool   // flags and arguments were fine; what fails now is not usage
	serving     bool   // the scheduler: its log is what people see of it
	halfThreads bool   // the engine gets half the threads: a task that ran out of memory is tried again
	wiring      wiring
	interrupts  interrupts
	ask         func(question string) (string, error) // how a person is asked, where the shell reads what is typed; nil: directly
}

func newApp(in io.Reader, out, errOut io.Writer, env func(string) string, c clock.Clock, r clock.Rand) *app {
	return &app{in: in, term: ui.NewTerminal(out, errOut, env), env: env, clock: c, rand: r}
}

// run executes one command line and returns its exit code.
func (a *app) run(ctx context.Context, args []string) int {
	root := a.root() //nolint:contextcheck // cobra hands the context to RunE, which takes it from the command
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.term.Out)
	root.SetErr(a.term.Err)
	err := root.ExecuteContext(ctx)
	if closeErr := a.wiring.close(); err == nil {
		err = closeErr
	}
	if err == nil {
		return exitDone
	}
	if !a.running && !errors.As(err, new(*usageError)) {
		err = &usageError{err.Error(), ""}
		if f, ferr := ui.ParseFormat(outputFlag(args)); ferr == nil {
			a.term.Format = f
		}
	}
	return a.fail(ctx, err)
}

// outputFlag finds --output among arguments that could not be parsed as a whole, so that a program gets its error
// in the form that it asked for.
func outputFlag(args []string) string {
	for i, s := range args {
		if v, ok := strings.CutPrefix(s, "--output="); ok {
			return v
		}
		if (s == "--output" || s == "-o") && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "lakectl",
		Short: "Delta Lake tables and pipelines on a folder or S3, in one binary",
		Long: `lakectl keeps Delta Lake tables on a folder or on S3-compatible storage, without a JVM, and runs
bronze → silver → gold pipelines over them.

TABLE is a name of lake.yml (silver.flights), a URL (s3://…, file://…) or a path (./t); @v12 or
@2026-01-31T00:00:00Z after it travels in time.`,
		Example: `  lakectl init flights && lakectl run --project flights
  lakectl query "SELECT count(*) FROM './orders'"`,
		Args:          cobra.NoArgs,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			f, err := ui.ParseFormat(a.output)
			if err != nil {
				return usagef("--output: %v", err)
			}
			a.term.Format = f
			a.running = true
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	flags := root.PersistentFlags()
	flags.StringVarP(&a.output, "output", "o", "table", "form of the output: table, json, ndjson, csv or markdown")
	flags.BoolVarP(&a.term.Quiet, "quiet", "q", false, "no notes and no progress, only data and errors")
	flags.StringVar(&a.environment, "env", "", "environment of lake.yml (default: LAKE_ENV, then default_environment)")
	flags.StringVar(&a.projectDir, "project", "", "folder of lake.yml (default: searched upward from here)")
	flags.StringArrayVar(&a.vars, "var", nil, "set a variable of lake.yml: name=value")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err.Error(), ""} })
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetUsageTemplate(root.UsageTemplate() + "\nExit codes: 0 done, others as in `lakectl help exit-codes`\n")
	root.AddGroup(&cobra.Group{ID: "tables", Title: "Tables:"}, &cobra.Group{ID: "pipelines", Title: "Pipelines:"})
	tables := []*cobra.Command{
		a.createCommand(), a.appendCommand(), a.mergeCommand(), a.updateCommand(), a.deleteCommand(), a.alterCommand(), a.queryCommand(), a.showCommand(), a.describeCommand(),
		a.historyCommand(), a.changesCommand(), a.optimizeCommand(), a.vacuumCommand(), a.restoreCommand(), a.convertCommand(), a.checkpointCommand(), a.compactLogCommand(), a.fsckCommand(), a.doctorCommand(),
	}
	pipelines := []*cobra.Command{a.initCommand(), a.runCommand(), a.serveCommand(), a.lsCommand()}
	for _, c := range tables {
		c.GroupID = "tables"
		c.ValidArgsFunction = a.completeTables
	}
	for _, c := range pipelines {
		c.GroupID = "pipelines"
	}
	root.AddCommand(tables...)
	root.AddCommand(pipelines...)
	root.AddCommand(a.versionCommand(), a.taskCommand(), exitCodesTopic())
	return root
}

// usageError is a mistake in flags or arguments: nothing was tried.
type usageError struct{ text, hint string }

func (e *usageError) Error() string { return e.text }

func usageHint(text, hint string) error { return &usageError{text, hint} }

func usagef(format string, args ...any) error { return &usageError{fmt.Sprintf(format, args...), ""} }

// exactly checks the number of arguments and names the missing one.
func exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return &usageError{cmd.CommandPath() + ": " + names[len(args)] + " is missing", cmd.CommandPath() + " --help"}
		case len(args) > len(names):
			return &usageError{fmt.Sprintf("%s: %q is one argument too many", cmd.CommandPath(), args[len(names)]), cmd.CommandPath() + " --help"}
		}
		return nil
	}
}

// atLeast checks that the named arguments are there; the last may repeat.
func atLeast(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < len(names) {
			return &usageError{cmd.CommandPath() + ": " + names[len(args)] + " is missing", cmd.CommandPath() + " --help"}
		}
		return nil
	}
}

// oneOf checks the value of a flag that has few.
func oneOf(flag, value string, allowed ...string) error {
	if slices.Contains(allowed, value) {
		return nil
	}
	return usagef("--%s: %q is not one of %s", flag, value, strings.Join(allowed, ", "))
}
