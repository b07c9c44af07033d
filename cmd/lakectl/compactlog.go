package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func (a *app) compactLogCommand() *cobra.Command {
	var o table.CompactLog
	var from, to string
	c := &cobra.Command{
		Use:   "compact-log TABLE",
		Short: "Write a log compaction of some commits",
		Long: `compact-log writes one object that says what some commits leave behind; readers that know log compactions take it in
their place. By default it spans the commits after the newest checkpoint. No row and no version changes. With the
property ` + txlog.CompactionIntervalKey + ` writes do so by themselves after each so many commits.`,
		Example: `  lakectl compact-log ./orders --from 1 --to 3
  lakectl compact-log ./orders --dry-run --output json`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			err := a.oneValue()
			if err == nil {
				o.From, err = parseVersion("from", from)
			}
			if err == nil {
				o.To, err = parseVersion("to", to)
			}
			if err != nil {
				return err
			}
			defer a.term.Progress(ctx, a.clock, "compacting the log of "+args[0], nil)()
			w, t, err := a.writeTable(ctx, args[0])
			if err != nil {
				return err
			}
			r, err := t.CompactLog(ctx, o)
			if err != nil {
				return err
			}
			return a.showCompacted(w, r)
		},
	}
	c.Flags().StringVar(&from, "from", "", "first version (default: the one after the newest checkpoint)")
	c.Flags().StringVar(&to, "to", "", "last version (default: the newest)")
	c.Flags().BoolVar(&o.DryRun, "dry-run", false, "say what would be written, and write nothing")
	return c
}

// parseVersion reads the version of a flag, nil where the flag is not given.
func parseVersion(flag, text string) (*txlog.Version, error) {
	if text == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return nil, usagef("--%s: %q is not a version such as 12", flag, text)
	}
	v := txlog.Version(n)
	return &v, nil
}

func (a *app) showCompacted(w word, r *table.CompactLogResult) error {
	if a.term.Machine() {
		return a.term.Object(r)
	}
	version := int64(r.Version)
	if r.AlreadyDone {
		why := "versions " + ui.Text(r.From) + " to " + ui.Text(r.To) + " have a compaction"
		if r.Object == "" {
			why = "fewer than two commits follow the newest checkpoint"
		}
		a.term.Headline("nothing to do:", w.text, version, version, r.Milliseconds, false)
		a.term.Fact("log", why)
		return nil
	}
	verb := "compacted the log of"
	if r.DryRun {
		verb = "would compact the log of"
	}
	a.term.Headline(verb, w.text, version, version, r.Milliseconds, r.DryRun)
	a.term.Fact("log", "versions "+ui.Text(r.From)+" to "+ui.Text(r.To), ui.Plural(r.Commits, "commit"), ui.Plural(int64(r.Actions), "action"), ui.Bytes(r.Bytes))
	return nil
}
