package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/table/statement"
)

// completeTables offers the names of the lake's tables to the shell for the first argument; files otherwise.
func (a *app) completeTables(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	ctx := cmd.Context()
	if len(args) > 0 || strings.ContainsAny(begun, "/:") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	all, err := a.tableNames(ctx)
	if err != nil || all == nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	for _, name := range all {
		if strings.HasPrefix(name, begun) {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveDefault
}

// tableNames lists the tables of the lake by the names that commands and SQL know them by; nil where there is no
// lake.yml.
func (a *app) tableNames(ctx context.Context) ([]string, error) {
	p, err := a.lake(ctx)
	if err != nil || p == nil {
		return nil, err
	}
	store, err := a.openStore(ctx, p.Env.Warehouse, false)
	if err != nil {
		return nil, err
	}
	return statement.TableFolders(ctx, store, "", "")
}
