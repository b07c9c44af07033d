package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// completeTables offers the names of the lake's tables to the shell for the first argument; files otherwise.
func (a *app) completeTables(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	ctx := cmd.Context()
	if len(args) > 0 || strings.ContainsAny(begun, "/:") {
		return nil, cobra.ShellCompDirectiveDefault
	}
	p, err := a.lake(ctx)
	if err != nil || p == nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	store, err := a.openStore(ctx, p.Env.Warehouse, false)
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	folders, err := tableFolders(ctx, store, "")
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var names []string
	for _, f := range folders {
		if name := strings.ReplaceAll(f, "/", "."); strings.HasPrefix(name, begun) {
			names = append(names, name)
		}
	}
	return names, cobra.ShellCompDirectiveDefault
}
