package main

import (
	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/table"
)

func (a *app) deleteCommand() *cobra.Command {
	var f rowFlags
	c := &cobra.Command{
		Use:   "delete TABLE --where CONDITION",
		Short: "Remove rows, in one commit",
		Long: `delete removes the rows for which --where is true: a condition over the columns of the row (alias t), with other tables
in subqueries. A condition over partition columns alone removes whole files and reads none. The rows stay readable in older
versions until vacuum.`,
		Example: `  lakectl delete ./orders --where "status = 'cancelled'" --dry-run
  lakectl delete ./orders --where "id IN (SELECT id FROM 'gone.csv')" --txn cleanup:7`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(args[0], "delete"); err != nil {
				return err
			}
			return a.changeRows(cmd.Context(), "DELETE FROM "+table.QuoteIdent(args[0])+" AS t", f)
		},
	}
	f.add(c.Flags())
	return c
}
