package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

type createFlags struct {
	writeFlags
	schema, like, from string
	partitionBy        []string
	properties         []string
	comment            string
	ifNotExists        bool
}

func (a *app) createCommand() *cobra.Command {
	var f createFlags
	c := &cobra.Command{
		Use:   "create TABLE",
		Short: "Make a new table, empty or from files or a query",
		Long: `create makes a Delta table. Its columns come from --schema, from another table (--like) or from the rows of files or a
query (--from), which are loaded in the same commit.
Types: bigint int smallint tinyint double float decimal(p,s) boolean string binary date timestamp timestamp_ntz
array<…> map<…> struct<…>.`,
		Example: `  lakectl create ./orders --schema "id bigint not null, status string, total decimal(10,2)"
  lakectl create ./people --from people.csv --partition-by country`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.create(cmd.Context(), args[0], f) },
	}
	f.add(c.Flags())
	flags := c.Flags()
	flags.StringVar(&f.schema, "schema", "", "columns: 'id bigint not null, name string'")
	flags.StringVar(&f.like, "like", "", "columns, partitioning and properties of this table")
	flags.StringVar(&f.from, "from", "", "columns and rows of files, a table or a query")
	flags.StringSliceVar(&f.partitionBy, "partition-by", nil, "partition columns, with commas between")
	flags.StringArrayVar(&f.properties, "property", nil, "table property, delta.appendOnly=true for example (may be repeated)")
	flags.StringVar(&f.comment, "comment", "", "description of the table")
	flags.BoolVar(&f.ifNotExists, "if-not-exists", false, "an existing table is left alone and is no error")
	return c
}

func (f createFlags) check() error {
	given := 0
	for _, s := range []string{f.schema, f.like, f.from} {
		if s != "" {
			given++
		}
	}
	switch {
	case given == 0:
		return usageHint("what columns? give --schema, --like or --from", `lakectl create T --schema "id bigint not null, name string"`)
	case given > 1:
		return usagef("--schema, --like and --from exclude each other")
	case f.from == "" && (f.format != "" || len(f.csvOptions) > 0 || f.txn != ""):
		return usagef("--format, --csv-option and --txn have no effect without --from")
	case f.like != "" && len(f.partitionBy) > 0:
		return usagef("--partition-by has no effect with --like, which takes the partitioning along")
	}
	return nil
}

// request is what the flags ask for, without rows.
func (a *app) createRequest(ctx context.Context, f createFlags) (table.Create, error) {
	c := table.Create{PartitionBy: f.partitionBy, Comment: f.comment, IfNotExists: f.ifNotExists, Properties: map[string]string{}, Meta: a.meta(nil, f.message)}
	var err error
	if f.schema != "" {
		if c.Schema, err = txlog.ParseColumns(f.schema); err != nil {
			return c, usageHint("--schema: "+err.Error(), "'id bigint not null, name string'; types: lakectl create --help")
		}
	}
	if f.like != "" {
		subject := a.subject
		t, err := a.readTable(ctx, f.like)
		if err != nil {
			return c, err
		}
		a.subject = subject
		if c.Schema, err = t.Schema(); err != nil {
			return c, err
		}
		c.PartitionBy = slices.Clone(t.Snapshot().PartitionColumns())
		c.Properties = table.CopyProperties(t.Snapshot().Metadata().Configuration)
	}
	for _, p := range f.properties {
		name, value, ok := strings.Cut(p, "=")
		if !ok || name == "" {
			return c, usagef("--property: %q is not name=value", p)
		}
		c.Properties[name] = value
	}
	return c, nil
}

func (a *app) create(ctx context.Context, target string, f createFlags) (err error) {
	if err := a.oneValue(); err != nil {
		return err
	}
	if err := f.check(); err != nil {
		return err
	}
	w, err := a.tableWord(target)
	if err != nil {
		return err
	}
	if w.version != nil || w.time != nil {
		return usagef("%s: a new table has no versions yet", target)
	}
	request, err := a.createRequest(ctx, f)
	if err != nil {
		return err
	}
	elapsed := a.watch()
	if made := newFolder(w); made != "" {
		defer func() {
			if err != nil { // only what is empty goes
				_ = os.Remove(filepath.Join(made, file.TempFolder))
				_ = os.Remove(made)
			}
		}()
	}
	at, err := a.locate(ctx, w, !f.dryRun)
	if err != nil && (!f.dryRun || !notATable(err)) {
		return err
	}
	if at.store != nil {
		switch t, err := table.Open(ctx, at.store, at.path, a.tableOptions()); {
		case err == nil && f.ifNotExists:
			v := t.Snapshot().Version()
			return a.term.Changed("exists:", w.text, &table.Result{Table: t.URL(), Operation: "CREATE TABLE", VersionBefore: v, VersionAfter: v, AlreadyDone: true}, false)
		case err == nil:
			return table.ErrTableExists
		case !notATable(err):
			return err
		}
	}
	if f.from != "" {
		return a.createFrom(ctx, w, at, request, f)
	}
	r := &table.Result{Table: w.text, Operation: "CREATE TABLE", VersionBefore: -1, VersionAfter: -1}
	var lost []txlog.PeerLoss
	if !f.dryRun {
		t, err := table.CreateTable(ctx, at.store, at.path, request, a.tableOptions())
		if err != nil {
			return err
		}
		r.Table, r.VersionAfter = t.URL(), t.Snapshot().Version()
		lost = txlog.PeersLost(nil, t.Snapshot().Protocol())
	}
	r.Milliseconds = elapsed()
	if err := a.created(w, request.Schema, request.PartitionBy, r, f.dryRun); err != nil || a.term.Machine() {
		return err
	}
	a.peersLost(lost)
	return nil
}

// newFolder is the folder of this machine that a table at a path shall get; "" when there is one already, or none.
func newFolder(w word) string {
	if w.kind != wordPath || strings.HasPrefix(w.text, "s3://") {
		return ""
	}
	dir, err := localPath(w.text)
	if err != nil {
		return ""
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return dir
}

func (a *app) created(w word, schema *txlog.Schema, partitionBy []string, r *table.Result, dryRun bool) error {
	if a.term.Machine() {
		return a.term.Changed("created", w.text, r, dryRun)
	}
	verb := "created"
	if dryRun {
		verb = "would be created:"
	}
	a.term.Headline(verb, w.text, int64(r.VersionBefore), int64(r.VersionAfter), r.Milliseconds, dryRun)
	if schema != nil {
		a.term.Fact("columns", columnList(schema))
	}
	if len(partitionBy) > 0 {
		a.term.Fact("folders", "partitioned by "+strings.Join(partitionBy, ", "))
	}
	return nil
}

func columnList(s *txlog.Schema) string {
	items := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		items[i] = f.Name + " " + f.Type.SQL()
		if !f.Nullable {
			items[i] += " not null"
		}
	}
	return strings.Join(items, ", ")
}

// createFrom makes the table and loads its first rows in one commit.
func (a *app) createFrom(ctx context.Context, w word, at place, request table.Create, f createFlags) error {
	txns, err := a.parseTxn(f.txn)
	if err != nil {
		return err
	}
	defer a.term.Progress(ctx, a.clock, "creating "+w.text, nil)()
	engine, err := a.sqlEngine(ctx)
	if err != nil {
		return err
	}
	source, err := a.appendSource(ctx, []string{f.from}, nil, f.writeFlags)
	if err != nil {
		return err
	}
	if at.store == nil {
		if at, err = a.scratchPlace(ctx); err != nil { // a dry run must not make the folder
			return err
		}
	}
	change, err := table.PrepareCreateAppend(ctx, at.store, at.path, request, engine, table.Append{Source: source, Meta: a.meta(txns, f.message)}, a.tableOptions())
	if err != nil {
		return err
	}
	err = a.finish(ctx, "created", w, f.dryRun, change, nil)
	if errors.Is(err, txlog.ErrConflict) {
		return errors.Join(table.ErrTableExists, err)
	}
	return err
}

// scratchPlace is a place that nobody sees, for dry runs.
func (a *app) scratchPlace(ctx context.Context) (place, error) {
	dir, err := a.scratchDir()
	if err != nil {
		return place{}, err
	}
	store, err := a.newStore(ctx, dir+"/table", true)
	return place{store: store}, err
}
