package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

type appendFlags struct {
	writeFlags
	mode         string
	replaceWhere string
	partitions   bool
	mergeSchema  bool
}

func (a *app) appendCommand() *cobra.Command {
	var f appendFlags
	c := &cobra.Command{
		Use:   "append TABLE SOURCE…",
		Short: "Add rows from files, a query or the standard input",
		Long: `append adds the rows of SOURCE to TABLE in one commit. SOURCE is files (csv, json, ndjson, parquet; also .gz and
.zst), patterns in quotes, a folder, another table, a query, or - for the standard input.
Columns are matched by name; those that SOURCE lacks are NULL. Cells of csv files are cast to the table's types.`,
		Example: `  lakectl append ./orders new-orders.csv
  lakectl append ./orders "SELECT * FROM './staging' WHERE total > 0" --txn nightly:7`,
		Args: atLeast("TABLE", "SOURCE"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.append(cmd.Context(), args[0], args[1:], f) },
	}
	f.add(c.Flags())
	c.Flags().StringVar(&f.mode, "mode", "append", "append, or overwrite to replace the rows of the table")
	c.Flags().StringVar(&f.replaceWhere, "replace-where", "", "replace the rows for which this condition is true (with --mode overwrite)")
	c.Flags().BoolVar(&f.partitions, "overwrite-partitions", false, "replace the partitions that the new rows belong to (with --mode overwrite)")
	c.Flags().BoolVar(&f.mergeSchema, "merge-schema", false, "add columns that the table lacks")
	return c
}

func (f appendFlags) check() error {
	if err := oneOf("mode", f.mode, "append", "overwrite"); err != nil {
		return err
	}
	if f.mode == "append" && (f.replaceWhere != "" || f.partitions) {
		return usagef("--replace-where and --overwrite-partitions have no effect without --mode overwrite")
	}
	if f.replaceWhere != "" && f.partitions {
		return usagef("--replace-where and --overwrite-partitions exclude each other")
	}
	return nil
}

func (a *app) append(ctx context.Context, target string, sources []string, f appendFlags) error {
	if err := a.oneValue(); err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	txns, err := a.parseTxn(f.txn)
	if err != nil {
		return err
	}
	defer a.term.Progress(ctx, a.clock, "appending to "+target, nil)()
	w, t, err := a.writeTable(ctx, target)
	if err != nil {
		return err
	}
	engine, err := a.sqlEngine(ctx)
	if err != nil {
		return err
	}
	schema, err := t.Schema()
	if err != nil {
		return err
	}
	source, err := a.appendSource(ctx, sources, schema, f.writeFlags)
	if err != nil {
		return err
	}
	prepare := func() (*table.Change, error) {
		if f.mode == "overwrite" {
			return t.PrepareOverwrite(ctx, engine, table.Overwrite{
				Source: source, Where: f.replaceWhere, Partitions: f.partitions, MergeSchema: f.mergeSchema, Meta: a.meta(txns, f.message),
			})
		}
		return t.PrepareAppend(ctx, engine, table.Append{Source: source, MergeSchema: f.mergeSchema, Meta: a.meta(txns, f.message)})
	}
	change, err := prepare()
	if err != nil {
		return a.placed(ctx, source, schema, err)
	}
	verb := "appended to"
	if f.mode == "overwrite" {
		verb = "overwritten"
	}
	return a.finish(ctx, verb, w, f.dryRun, change, func() (*table.Change, error) {
		if err := t.Refresh(ctx); err != nil {
			return nil, err
		}
		return prepare()
	})
}

// appendSource makes one SELECT of the SOURCE words.
func (a *app) appendSource(ctx context.Context, sources []string, target *txlog.Schema, f writeFlags) (table.Query, error) {
	o, err := f.files(target != nil)
	if err != nil {
		return table.Query{}, err
	}
	if len(sources) == 1 && sources[0] == "-" {
		spooled, err := a.stdin(f.format)
		if err != nil {
			return table.Query{}, err
		}
		rel := table.Relation{Files: []table.RelationFile{spooled}, External: &table.External{Format: f.format}}
		if f.format == "csv" {
			rel.External.Options, rel.External.AllText = o.options, o.allText
		}
		return a.typedFiles(ctx, rel, target)
	}
	if len(sources) == 1 {
		return a.source(ctx, sources[0], target, o)
	}
	for _, s := range sources {
		if s == "-" || isQuery(s) {
			return table.Query{}, usagef("%q stands alone: give files, or one query, or -", s)
		}
	}
	rel, err := a.files(ctx, sources, o)
	if err != nil {
		return table.Query{}, err
	}
	return a.typedFiles(ctx, rel, target)
}
