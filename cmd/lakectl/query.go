package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table/statement"
	"github.com/lakectl/lakectl/txlog"
)

func (a *app) queryCommand() *cobra.Command {
	var file string
	var f statementFlags
	var noHistory bool
	c := &cobra.Command{
		Use:     "query [SQL]",
		Aliases: []string{"sql"},
		Short:   "Run SQL over tables, paths and files",
		Long: `query runs SQL: SELECT, MERGE, UPDATE, DELETE, INSERT, CREATE [OR REPLACE] TABLE, ALTER TABLE, DROP TABLE, DESCRIBE
[HISTORY | DETAIL], SHOW TABLES, OPTIMIZE, VACUUM and RESTORE; docs/sql.md has an example of each. Several statements are
divided by semicolons, and each is a commit of its own. Nothing is run before the whole text was read.
A table is a name of lake.yml (silver.flights), or a quoted path or URL of a table or, in FROM, of files ('./orders',
's3://lake/orders', 'new.csv', 'landing/*.parquet').
Time travel: './orders@v1', './orders@2026-01-31T00:00:00Z', AT (VERSION => 1), VERSION AS OF 1, TIMESTAMP AS OF '…'.
EXPLAIN SELECT … says which files of each table are read and skipped, and why, then shows the plan; EXPLAIN ANALYZE runs it.
Changes: table_changes('./orders', 2, 5) is the change data feed of the versions 2 to 5; see lakectl changes --help.
Without SQL it is read from the standard input; on a terminal that is the interactive shell: \help lists its commands.
What files were read and skipped is said on stderr.`,
		Example: `  lakectl query "SELECT status, count(*) AS n FROM './orders' GROUP BY ALL ORDER BY status"
  lakectl query "UPDATE './orders' SET status = 'done' WHERE id = 1" --dry-run`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) <= 1 {
				return nil
			}
			return &usageError{fmt.Sprintf("query takes one SQL text; %q is one argument too many", args[1]), `put the SQL in quotes: lakectl query "SELECT …"`}
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case len(args) == 1 && file != "":
				return usagef("SQL and --file exclude each other")
			case len(args) == 1:
				return a.checkedScript(cmd.Context(), args[0], f)
			case file != "":
				sql, err := readSQL(file)
				if err != nil {
					return err
				}
				return a.checkedScript(cmd.Context(), sql, f)
			case ui.IsTerminal(a.in):
				return a.shell(cmd.Context(), f, !noHistory)
			}
			sql, err := io.ReadAll(io.LimitReader(a.in, maxSQL+1))
			if err != nil {
				return fmt.Errorf("read SQL from standard input: %w", err)
			}
			if len(sql) > maxSQL {
				return usagef("the SQL on standard input is longer than %s", ui.Bytes(maxSQL))
			}
			return a.checkedScript(cmd.Context(), string(sql), f)
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "read the SQL from a file")
	f.add(c.Flags())
	c.Flags().BoolVar(&noHistory, "no-history", false, "interactive shell: neither read nor write the history (LAKE_HISTORY=off does the same)")
	return c
}

// maxSQL bounds SQL text from a pipe, in bytes.
const maxSQL = 16 << 20

// query runs one SELECT and prints its rows.
func (a *app) query(ctx context.Context, sql, zone string) error {
	if strings.TrimSpace(sql) == "" {
		return usagef("the SQL is empty")
	}
	if rest, analyze, ok := explainOf(sql); ok {
		return a.explain(ctx, rest, zone, analyze)
	}
	if err := onlySelect(sql); err != nil {
		return err
	}
	elapsed := a.watch()
	stop := a.term.Progress(ctx, a.clock, "running the query", nil)
	defer func() { stop() }()
	r, err := a.read(ctx, sql)
	if err != nil {
		return err
	}
	r.query.TimeZone = zone
	engine, err := a.sqlEngine(ctx)
	if err != nil {
		return err
	}
	rows, err := engine.Query(ctx, r.query)
	if err != nil {
		return r.gone(err)
	}
	out := a.term.NewRows(columnsFor(rows.Columns)...)
	shape := ui.Shaper(rows.Columns)
	for row, err := range rows.All {
		if err != nil {
			return errors.Join(err, rows.Close())
		}
		if out.Count() == 0 {
			stop()
			stop = func() {}
		}
		if err := out.Write(shape(row)); err != nil {
			return errors.Join(fmt.Errorf("write rows: %w", err), rows.Close())
		}
	}
	stop()
	stop = func() {}
	if err := rows.Close(); err != nil {
		return err
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("write rows: %w", err)
	}
	a.term.Scanned(r.reports, a.fetched(), elapsed())
	return nil
}

// fetched is what this process has got of data files beyond this machine, in bytes; -1 when it has read none.
func (a *app) fetched() int64 {
	if a.wiring.cache == nil {
		return -1
	}
	s := a.wiring.cache.Stats()
	if s.Taken == 0 {
		return -1
	}
	return s.Bytes
}

func columnsFor(fields []txlog.Field) []ui.Column {
	out := make([]ui.Column, len(fields))
	for i, f := range fields {
		out[i] = ui.Column{Name: f.Name, Right: ui.Numeric(f.Type)}
	}
	return out
}

// onlySelect refuses what is not one query.
func onlySelect(sql string) error {
	all, err := statement.Parse(sql)
	if err != nil {
		return err
	}
	if len(all) == 1 {
		if _, ok := all[0].(*statement.Select); ok {
			return nil
		}
	}
	return usageHint("that is not one SELECT", "lakectl query runs other statements, too: lakectl query --help")
}
