package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/statement"
)

func (a *app) updateCommand() *cobra.Command {
	var f rowFlags
	var set []string
	c := &cobra.Command{
		Use:   "update TABLE --set 'column = value' --where CONDITION",
		Short: "Change rows, in one commit",
		Long: `update gives columns of the rows for which --where is true new values: expressions over the columns of the row (alias t),
with other tables in subqueries. Rows that are like that already are left alone. Files that the condition rules out are not read.`,
		Example: `  lakectl update ./orders --set "status = 'sent', total = total * 2" --where 'id = 7'
  lakectl update ./orders --set "status = 'old'" --where "id IN (SELECT id FROM 'old.csv')" --dry-run`,
		Args: exactly("TABLE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(set) == 0 {
				return usageHint("what is to change? give --set", "lakectl update "+args[0]+` --set "status = 'sent'" --where 'id = 7'`)
			}
			if err := f.check(args[0], "update"); err != nil {
				return err
			}
			return a.changeRows(cmd.Context(), "UPDATE "+table.QuoteIdent(args[0])+" AS t SET "+strings.Join(set, ", "), f)
		},
	}
	c.Flags().StringArrayVar(&set, "set", nil, "'column = value, …' (may be repeated)")
	f.add(c.Flags())
	return c
}

// rowFlags are those of update and delete.
type rowFlags struct {
	statementFlags
	where string
	all   bool
}

func (f *rowFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.where, "where", "", "the rows: a condition over their columns")
	flags.BoolVar(&f.all, "all", false, "every row, instead of --where")
	flags.StringVar(&f.zone, "timezone", "UTC", "time zone of the session, such as America/Chicago")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would change, and change nothing")
	flags.StringVar(&f.txn, "txn", "", "APP:VERSION makes the command repeatable: a version that is in the table is not applied again")
	flags.StringVar(&f.message, "message", "", "a note that history keeps (userMetadata)")
}

func (f *rowFlags) check(target, verb string) error {
	switch given := strings.TrimSpace(f.where) != ""; {
	case given && f.all:
		return usagef("--where and --all exclude each other")
	case !given && !f.all:
		return usageHint("which rows? give --where, or --all", "lakectl "+verb+" "+target+" --where 'id = 7' --dry-run")
	}
	return nil
}

// changeRows runs an UPDATE or DELETE that flags made up.
func (a *app) changeRows(ctx context.Context, sql string, f rowFlags) error {
	if !f.all {
		sql += " WHERE " + f.where
	}
	all, err := statement.Parse(sql)
	if err != nil {
		return err
	}
	if len(all) != 1 {
		return usagef("--set and --where are parts of one statement: no semicolons")
	}
	txns, err := a.parseTxn(f.txn)
	if err != nil {
		return err
	}
	return a.runStatement(ctx, all[0], f.statementFlags, a.meta(txns, f.message))
}
