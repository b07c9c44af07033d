package main

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/table"
)

func (a *app) showCommand() *cobra.Command {
	var limit int
	var columns []string
	var where string
	c := &cobra.Command{
		Use:   "show TABLE",
		Short: "The first rows of a table",
		Long:  "show prints rows of a table, in no order; use query to sort them. TABLE may travel in time: ./orders@v3.",
		Example: `  lakectl show ./orders
  lakectl show ./orders@v1 --columns id,status --where "status = 'open'" --limit 3`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if limit < 1 {
				return usagef("--limit: %d is not positive", limit)
			}
			if _, err := a.tableWord(args[0]); err != nil {
				return err
			}
			items := "*"
			if len(columns) > 0 {
				quoted := make([]string, len(columns))
				for i, name := range columns {
					quoted[i] = table.QuoteIdent(strings.TrimSpace(name))
				}
				items = strings.Join(quoted, ", ")
			}
			sql := "SELECT " + items + " FROM " + table.QuoteString(args[0])
			if where != "" {
				sql += " WHERE (" + where + "\n)"
			}
			return a.query(cmd.Context(), sql+" LIMIT "+strconv.Itoa(limit), "UTC")
		},
	}
	c.Flags().IntVarP(&limit, "limit", "n", 20, "rows to print")
	c.Flags().StringSliceVar(&columns, "columns", nil, "columns to print, with commas between")
	c.Flags().StringVar(&where, "where", "", "only rows for which this condition is true")
	return c
}
