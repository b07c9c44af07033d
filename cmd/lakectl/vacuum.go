package main

import (
	"bufio"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table"
)

func (a *app) vacuumCommand() *cobra.Command {
	var v table.Vacuum
	var retain string
	var yes bool
	c := &cobra.Command{
		Use:   "vacuum TABLE",
		Short: "Remove files that no retained version needs",
		Long: `vacuum deletes files under the table that no version of the retention time needs, and what writers that died left
behind. Time travel to versions before that is over afterwards. A retention shorter than the table's own needs
--force: it breaks readers and writers that have been running for longer.`,
		Example: `  lakectl vacuum ./orders --dry-run
  lakectl vacuum ./orders --retain 30d --yes`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if err := a.oneValue(); err != nil {
				return err
			}
			if retain != "" {
				d, err := parseDuration("retain", retain)
				if err != nil {
					return err
				}
				v.Retain = &d
			}
			if v.Force && v.Retain == nil {
				return usagef("--force has no effect without --retain")
			}
			w, t, err := a.writeTable(ctx, args[0])
			if err != nil {
				return err
			}
			if !v.DryRun {
				if err := a.confirm(yes, "delete files of "+w.text+" that no retained version needs"); err != nil {
					return err
				}
			}
			defer a.term.Progress(ctx, a.clock, "vacuuming "+w.text, nil)()
			v.Meta = a.meta(nil, "")
			r, err := t.Vacuum(ctx, v)
			if err != nil {
				return err
			}
			return a.showVacuumed(w, r)
		},
	}
	flags := c.Flags()
	flags.StringVar(&retain, "retain", "", "keep what versions of this time need, 168h or 30d (default: the table's property, else 7d)")
	flags.BoolVar(&v.Force, "force", false, "allow a retention that is shorter than the table's")
	flags.BoolVar(&v.DryRun, "dry-run", false, "list what would be deleted, and delete nothing")
	flags.BoolVar(&yes, "yes", false, "do not ask")
	return c
}

func (a *app) showVacuumed(w word, r *table.VacuumResult) error {
	if a.term.Machine() {
		return a.term.Object(r)
	}
	for _, s := range r.Warnings {
		a.term.Warnf("%s", ui.Clean(s))
	}
	a.term.Headline(dryVerb("vacuumed", r.DryRun), w.text, int64(r.VersionBefore), int64(r.VersionAfter), r.Milliseconds, r.DryRun)
	verb := "deleted "
	if r.DryRun {
		verb = "would delete "
	}
	a.term.Fact("files", "listed "+ui.Count(int64(r.ObjectsListed)), "kept "+ui.Count(int64(r.ObjectsKept)), verb+ui.Count(int64(r.FilesDeleted)))
	a.term.Fact("bytes", verb+ui.Bytes(r.BytesDeleted))
	a.term.Fact("kept", "what versions since "+ui.Time(r.Cutoff)+" need")
	if r.DryRun {
		for _, o := range r.Objects {
			a.term.Printf("    %s   %s   %s\n", ui.Clean(o.Path), ui.Bytes(o.Size), ui.Time(o.Modified))
		}
		if n := r.FilesDeleted - len(r.Objects); n > 0 {
			a.term.Printf("    and %s more\n", ui.Count(int64(n)))
		}
	}
	if r.MoreToDo {
		a.term.Printf("more to do: run it again\n")
	}
	return nil
}

// parseDuration reads Go's durations, and days: 36h, 7d, 1d12h.
func parseDuration(flag, text string) (time.Duration, error) {
	rest, days := text, time.Duration(0)
	if head, tail, ok := strings.Cut(text, "d"); ok {
		if n, err := strconv.ParseInt(head, 10, 32); err == nil {
			days, rest = time.Duration(n)*24*time.Hour, tail
		}
	}
	var d time.Duration
	var err error
	if rest != "" {
		d, err = time.ParseDuration(rest)
	}
	if err != nil || text == "" || days+d < 0 {
		return 0, usagef("--%s: %q is not a duration such as 168h or 7d", flag, text)
	}
	return days + d, nil
}

// confirm asks on a terminal; elsewhere it wants --yes.
func (a *app) confirm(yes bool, what string) error {
	if yes {
		return nil
	}
	if !ui.IsTerminal(a.in) || !a.term.ErrTTY {
		return usageHint("this would "+what+": say --yes", "--dry-run shows what would happen")
	}
	question := ui.Clean(what) + "? [y/N] "
	ask := a.ask
	if ask == nil {
		ask = func(question string) (string, error) {
			fmt.Fprint(a.term.Err, question)
			return bufio.NewReader(a.in).ReadString('\n')
		}
	}
	answer, err := ask(question)
	if s := strings.ToLower(strings.TrimSpace(answer)); err == nil && (s == "y" || s == "yes") {
		return nil
	}
	return &toldError{code: exitInterrupted, message: "nothing was done", why: "the question was not answered with y", hint: "--yes answers it"}
}
