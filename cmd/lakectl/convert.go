package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

type convertFlags struct {
	partitionBy, comment string
	properties           []string
	dryRun               bool
}

func (a *app) convertCommand() *cobra.Command {
	var f convertFlags
	c := &cobra.Command{
		Use:   "convert FOLDER",
		Short: "Make a table of a folder of Parquet files, where they are",
		Long: `convert writes a Delta log beside the Parquet files of a folder. No file is copied, moved or changed, and only footers
are read. Folders such as country=nz are partitions; their columns get the narrowest type that fits, or the one that
--partition-by says. Files may lack columns that others have; a column with two types, or a file that is no Parquet
file, is refused by name. Names that begin with _ or . are left alone.`,
		Example: `  lakectl convert ./sales --dry-run
  lakectl convert ./sales --partition-by "day date, region string"`,
		Args: exactly("FOLDER"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.convert(cmd.Context(), args[0], f) },
	}
	flags := c.Flags()
	flags.StringVar(&f.partitionBy, "partition-by", "", "columns of the folders: 'day date, region'")
	flags.StringArrayVar(&f.properties, "property", nil, "table property, delta.appendOnly=true for example (may be repeated)")
	flags.StringVar(&f.comment, "comment", "", "description of the table")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what the table would be, and write nothing")
	return c
}

func (f convertFlags) request() (table.Convert, error) {
	r := table.Convert{Comment: f.comment, DryRun: f.dryRun, Properties: map[string]string{}}
	for _, p := range f.properties {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return r, usagef("--property: %q is not name=value", p)
		}
		r.Properties[name] = value
	}
	if f.partitionBy == "" {
		return r, nil
	}
	if s, err := txlog.ParseColumns(f.partitionBy); err == nil {
		r.PartitionBy = s.Fields
		return r, nil
	}
	for column := range strings.SplitSeq(f.partitionBy, ",") {
		name, kind, typed := strings.Cut(strings.TrimSpace(column), " ")
		field := txlog.Field{Name: name, Nullable: true}
		if typed {
			var err error
			if field.Type, err = txlog.ParseType(kind); err != nil {
				return r, usagef("--partition-by: %s: %v", name, err)
			}
		}
		if name == "" || slices.ContainsFunc(r.PartitionBy, func(o txlog.Field) bool { return strings.EqualFold(o.Name, name) }) {
			return r, usagef("--partition-by: %q does not name each column once", f.partitionBy)
		}
		r.PartitionBy = append(r.PartitionBy, field)
	}
	return r, nil
}

func (a *app) convert(ctx context.Context, target string, f convertFlags) error {
	if err := a.oneValue(); err != nil {
		return err
	}
	request, err := f.request()
	if err != nil {
		return err
	}
	w, err := a.tableWord(target)
	if err != nil {
		return err
	}
	if w.version != nil || w.time != nil {
		return usagef("%s: a folder has no versions yet", target)
	}
	defer a.term.Progress(ctx, a.clock, "converting "+w.text, nil)()
	at, err := a.locate(ctx, w, false)
	if errors.Is(err, txlog.ErrNotATable) {
		return errors.Join(objectstore.ErrNoBucket, err)
	}
	if err != nil {
		return err
	}
	request.Meta = a.meta(nil, "")
	r, err := table.ConvertFolder(ctx, at.store, at.path, request, a.tableOptions())
	if err != nil {
		return err
	}
	return a.showConverted(w, r)
}

func (a *app) showConverted(w word, r *table.ConvertResult) error {
	if a.term.Machine() {
		return a.term.Object(r)
	}
	for _, s := range r.Warnings {
		a.term.Warnf("%s", ui.Clean(s))
	}
	a.term.Headline(dryVerb("converted", r.DryRun), w.text, int64(r.VersionBefore), int64(r.VersionAfter), r.Milliseconds, r.DryRun)
	a.term.Fact("columns", columnList(r.Columns))
	if len(r.PartitionBy) > 0 {
		a.term.Fact("folders", "partitioned by "+strings.Join(r.PartitionBy, ", "))
	}
	a.term.Fact("rows", ui.Count(r.Rows))
	a.term.Fact("files", ui.Count(int64(r.FilesAdded)), ui.Bytes(r.Bytes))
	return nil
}
