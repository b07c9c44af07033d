package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/statement"
	"github.com/lakectl/lakectl/txlog"
)

func (a *app) changesCommand() *cobra.Command {
	var from, to, where string
	var columns []string
	var limit int
	c := &cobra.Command{
		Use:   "changes TABLE --from VERSION|TIME",
		Short: "The rows that each version inserted, updated and deleted",
		Long: `changes reads the change data feed of a table: a row for each inserted and deleted row, and two for each updated one, before
and after. _change_type says which: insert, delete, update_preimage or update_postimage; _commit_version and _commit_timestamp
say when. Both ends of the range are included. The table must have delta.enableChangeDataFeed=true in every version of the
range; changes from before it was set were not recorded. In SQL: FROM table_changes('./orders', 2, 5).`,
		Example: `  lakectl changes ./events --from 1 --to 2
  lakectl changes ./events --from 1 --columns id --where "_change_type = 'insert'" --output json`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 0 {
				return usagef("--limit: %d is negative", limit)
			}
			if from == "" {
				return usageHint("from which version or time?", "lakectl changes "+args[0]+" --from 0")
			}
			if _, err := a.tableWord(args[0]); err != nil {
				return err
			}
			call := "table_changes(" + table.QuoteString(args[0])
			var r table.ChangeRange
			for _, end := range []struct {
				flag, text string
				version    **txlog.Version
				time       *time.Time
			}{{"from", from, &r.From, &r.FromTime}, {"to", to, &r.To, &r.ToTime}} {
				if end.text == "" {
					continue
				}
				var err error
				if *end.version, *end.time, err = statement.ParseVersion(end.text); err != nil {
					return usagef("--%s: %q is neither a version such as 3 nor a time such as 2026-01-31", end.flag, end.text)
				}
				call += ", " + table.QuoteString(end.text)
			}
			if statement.Backwards(r) {
				return usagef("--from %s comes after --to %s", from, to)
			}
			items := "*"
			if len(columns) > 0 {
				quoted := []string{table.CommitVersionColumn, table.ChangeTypeColumn}
				for _, name := range columns {
					quoted = append(quoted, table.QuoteIdent(strings.TrimSpace(name)))
				}
				items = strings.Join(quoted, ", ")
			}
			sql := "SELECT " + items + " FROM " + call + ")"
			if where != "" {
				sql += " WHERE (" + where + "\n)"
			}
			// Types of one version stand together, old images before new ones.
			sql += " ORDER BY " + table.CommitVersionColumn + ", list_position(['delete', 'update_preimage', 'update_postimage', 'insert'], " +
				table.ChangeTypeColumn + ")"
			if limit > 0 {
				sql += " LIMIT " + strconv.Itoa(limit)
			}
			return a.query(cmd.Context(), sql, "UTC")
		},
	}
	c.Flags().StringVar(&from, "from", "", "first version, or the time since which versions count")
	c.Flags().StringVar(&to, "to", "", "last version, or the time up to which versions count (default: the newest)")
	c.Flags().StringSliceVar(&columns, "columns", nil, "columns to print after version and type, with commas between")
	c.Flags().StringVar(&where, "where", "", "only changes for which this condition is true")
	c.Flags().IntVarP(&limit, "limit", "n", 0, "at most this many changes (0: all)")
	return c
}
