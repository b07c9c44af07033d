package main

import (
	"strconv"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func (a *app) restoreCommand() *cobra.Command {
	var r table.Restore
	var to string
	c := &cobra.Command{
		Use:   "restore TABLE --to VERSION",
		Short: "Make an old version the newest",
		Long: `restore commits a new version with the rows of an old one. Nothing is lost: the versions in between stay readable
until vacuum. --to takes a version or a time.`,
		Example: `  lakectl restore ./orders --to 1 --dry-run
  lakectl restore ./orders --to 1`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if err := a.oneValue(); err != nil {
				return err
			}
			if to == "" {
				return usageHint("to which version? give --to", "lakectl history "+args[0]+"   # lists them")
			}
			if n, err := strconv.ParseInt(to, 10, 64); err == nil && n >= 0 {
				v := txlog.Version(n)
				r.Version = &v
			} else if r.Time, err = parseTime(to); err != nil {
				return usagef("--to: %q is neither a version such as 12 nor a time such as 2026-01-31T00:00:00Z", to)
			}
			defer a.term.Progress(ctx, a.clock, "restoring "+args[0], nil)()
			w, t, err := a.writeTable(ctx, args[0])
			if err != nil {
				return err
			}
			r.Meta = a.meta(nil, "")
			res, err := t.Restore(ctx, r)
			if err != nil {
				return err
			}
			return a.showRestored(w, res)
		},
	}
	c.Flags().StringVar(&to, "to", "", "version (12) or time (2026-01-31T00:00:00Z)")
	c.Flags().BoolVar(&r.DryRun, "dry-run", false, "say what would change, and change nothing")
	return c
}

func (a *app) showRestored(w word, r *table.RestoreResult) error {
	if a.term.Machine() {
		return a.term.Object(r)
	}
	for _, s := range r.Warnings {
		a.term.Warnf("%s", ui.Clean(s))
	}
	a.term.Headline(dryVerb("restored", r.DryRun), w.text, int64(r.VersionBefore), int64(r.VersionAfter), r.Milliseconds, r.DryRun)
	a.term.Fact("rows", "those of version "+strconv.FormatInt(int64(r.RestoredVersion), 10))
	facts := []string{"restored " + ui.Count(int64(r.FilesRestored)), "removed " + ui.Count(int64(r.FilesRemoved))}
	if r.DeletionVectors > 0 {
		facts = append(facts, "deletion vectors "+ui.Count(int64(r.DeletionVectors)))
	}
	a.term.Fact("files", append(facts, "now "+ui.Count(int64(r.FilesAfter)))...)
	a.term.Fact("bytes", "restored "+ui.Bytes(r.BytesRestored), "removed "+ui.Bytes(r.BytesRemoved), "now "+ui.Bytes(r.BytesAfter))
	if r.MetadataChanged {
		a.term.Fact("schema", "columns or properties went back, too")
	}
	return nil
}
