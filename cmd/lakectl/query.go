package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/txlog"
)

func (a *app) queryCommand() *cobra.Command {
	var file, zone string
	var noHistory bool
	c := &cobra.Command{
		Use:     "query [SQL]",
		Aliases: []string{"sql"},
		Short:   "Run a SELECT over tables, paths and files",
		Long: `query runs one SELECT. In FROM stands a name of lake.yml (silver.flights), or a quoted path or URL of a table or of
files ('./orders', 's3://lake/orders', 'new.csv', 'landing/*.parquet').
Time travel: './orders@v1', './orders@2026-01-31T00:00:00Z', AT (VERSION => 1), VERSION AS OF 1, TIMESTAMP AS OF '…'.
EXPLAIN SELECT … says which files of each table are read and skipped, and why, then shows the plan; EXPLAIN ANALYZE runs it.
Changes: table_changes('./orders', 2, 5) is the change data feed of the versions 2 to 5; see lakectl changes --help.
Without SQL it is read from the standard input; on a terminal that is the interactive shell: \help lists its commands.
What files were read and skipped is said on stderr.`,
		Example: `  lakectl query "SELECT status, count(*) AS n FROM './orders' GROUP BY ALL ORDER BY status"
  lakectl query "SELECT * FROM './orders@v1' ORDER BY id" --output json`,
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
				return a.query(cmd.Context(), args[0], zone)
			case file != "":
				sql, err := readSQL(file)
				if err != nil {
					return err
				}
				return a.query(cmd.Context(), sql, zone)
			case ui.IsTerminal(a.in):
				return a.shell(cmd.Context(), zone, !noHistory)
			}
			sql, err := io.ReadAll(io.LimitReader(a.in, maxSQL+1))
			if err != nil {
				return fmt.Errorf("read SQL from standard input: %w", err)
			}
			if len(sql) > maxSQL {
				return usagef("the SQL on standard input is longer than %s", ui.Bytes(maxSQL))
			}
			return a.query(cmd.Context(), string(sql), zone)
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "read the SQL from a file")
	c.Flags().StringVar(&zone, "timezone", "UTC", "time zone of the session, such as America/Chicago")
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
	a.term.Scanned(r.reports, elapsed())
	return nil
}

func columnsFor(fields []txlog.Field) []ui.Column {
	out := make([]ui.Column, len(fields))
	for i, f := range fields {
		out[i] = ui.Column{Name: f.Name, Right: ui.Numeric(f.Type)}
	}
	return out
}

// onlySelect sends people who write with SQL to the verb that does it.
func onlySelect(sql string) error {
	first := strings.ToUpper(strings.TrimLeft(strings.Join(codeParts(sql), " "), " \t\r\n("))
	for word, verb := range map[string]string{
		"INSERT": "append", "MERGE": "merge", "CREATE": "create", "UPDATE": "merge", "DELETE": "merge", "OPTIMIZE": "optimize",
		"VACUUM": "vacuum", "RESTORE": "restore", "DESCRIBE": "describe", "SHOW": "show", "COPY": "append",
	} {
		if isWordAt(first, 0, word) {
			return usageHint(word+" is not a SELECT, and query runs only those", "lakectl "+verb+" --help")
		}
	}
	return nil
}

// codeParts is SQL without its quoted texts and comments.
func codeParts(sql string) []string {
	var out []string
	for i, p := range sqlParts(sql) {
		if i%2 == 0 {
			out = append(out, p)
		}
	}
	return out
}
