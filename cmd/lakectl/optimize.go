package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table"
)

func (a *app) optimizeCommand() *cobra.Command {
	var o table.Optimize
	var target string
	c := &cobra.Command{
		Use:   "optimize TABLE",
		Short: "Make few large files of many small ones, or lay rows out by several columns",
		Long: `optimize rewrites small files as large ones and drops rows that deletion vectors hide. With --zorder-by rows that are
near each other in these columns come into the same files, so that conditions on any of them skip more files.
No row changes. Old files stay for time travel until vacuum removes them.`,
		Example: `  lakectl optimize ./orders --dry-run
  lakectl optimize ./orders --zorder-by id,total`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			if err := a.oneValue(); err != nil {
				return err
			}
			var err error
			if o.TargetSize, err = parseSize("target-size", target); err != nil {
				return err
			}
			defer a.term.Progress(ctx, a.clock, "optimizing "+args[0], nil)()
			w, t, err := a.writeTable(ctx, args[0])
			if err != nil {
				return err
			}
			if o.Full && len(o.ZOrderBy) == 0 && !t.Clustered() {
				return usagef("--full has no effect without --zorder-by on a table that is not clustered")
			}
			engine, err := a.sqlEngine(ctx)
			if err != nil {
				return err
			}
			o.Meta = a.meta(nil, "")
			r, err := t.Optimize(ctx, engine, o)
			if err != nil {
				return err
			}
			return a.showOptimized(w, r)
		},
	}
	flags := c.Flags()
	flags.StringVar(&o.Where, "where", "", "only partitions for which this condition is true")
	flags.StringSliceVar(&o.ZOrderBy, "zorder-by", nil, "columns to lay rows out by, with commas between")
	flags.BoolVar(&o.Full, "full", false, "also partitions that are in this order already (with --zorder-by)")
	flags.StringVar(&target, "target-size", "", "size that files should have, 128MB for example")
	flags.IntVar(&o.MaxFiles, "max-files", 0, "rewrite at most about this many files")
	flags.BoolVar(&o.DryRun, "dry-run", false, "say what would change, and change nothing")
	return c
}

func (a *app) showOptimized(w word, r *table.OptimizeResult) error {
	if a.term.Machine() {
		return a.term.Object(r)
	}
	for _, s := range r.Warnings {
		a.term.Warnf("%s", ui.Clean(s))
	}
	if r.FilesRemoved == 0 {
		a.term.Printf("nothing to do: %s is optimized already   version %d   %s\n", w.text, r.VersionBefore, ui.Plural(int64(r.FilesConsidered), "file"))
		return nil
	}
	a.term.Headline(dryVerb("optimized", r.DryRun), w.text, int64(r.VersionBefore), int64(r.VersionAfter), r.Milliseconds, r.DryRun)
	order := ""
	if len(r.ZOrderBy) > 0 {
		order = "zorder by " + strings.Join(r.ZOrderBy, ", ")
	}
	about := ""
	if r.DryRun {
		about = "about "
	}
	facts := []string{"considered " + ui.Count(int64(r.FilesConsidered)), "removed " + ui.Count(int64(r.FilesRemoved)), "written " + about + ui.Count(int64(r.FilesAdded))}
	if r.DeletionVectorsRemoved > 0 {
		facts = append(facts, "deletion vectors dropped "+ui.Count(int64(r.DeletionVectorsRemoved)))
	}
	if order != "" {
		facts = append(facts, order)
	}
	a.term.Fact("files", facts...)
	a.term.Fact("bytes", "removed "+ui.Bytes(r.BytesRemoved), "written "+about+ui.Bytes(r.BytesAdded))
	if r.MoreToDo {
		a.term.Printf("more to do: --max-files left work for another run\n")
	}
	return nil
}

// dryVerb is the verb of a headline.
func dryVerb(verb string, dryRun bool) string {
	if dryRun {
		return "would be " + verb + ":"
	}
	return verb
}
