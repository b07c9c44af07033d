package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/statement"
	"github.com/lakectl/lakectl/txlog"
)

// listed is one table of the lake. JSON names are stable.
type listed struct {
	Table     string        `json:"table"`
	Version   txlog.Version `json:"version"`
	Rows      *int64        `json:"rows"` // null: unknown
	Files     int           `json:"files"`
	Bytes     int64         `json:"bytes"`
	Timestamp time.Time     `json:"timestamp"` // of the newest version
	Error     string        `json:"error,omitempty"`
}

func (a *app) lsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "ls [LAYER]",
		Short: "The tables of the lake, with version, rows, size and freshness",
		Long:  "ls lists the tables in the warehouse of the environment in use. LAYER limits it to one layer.",
		Example: `  lakectl ls
  lakectl ls gold --output json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactly("LAYER")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			layer := ""
			if len(args) == 1 {
				layer = args[0]
			}
			return a.ls(cmd.Context(), layer)
		},
	}
}

func (a *app) ls(ctx context.Context, layer string) error {
	p, err := a.lake(ctx)
	if err != nil {
		return err
	}
	if p == nil {
		return noProject("ls")
	}
	a.subject = p.Env.Warehouse
	store, err := a.openStore(ctx, p.Env.Warehouse, false)
	var found []listed
	switch {
	case errors.Is(err, objectstore.ErrNoBucket) && strings.HasPrefix(p.Env.Warehouse, "file://"): // nothing was built yet
	case err != nil:
		return err
	default:
		names, err := statement.TableFolders(ctx, store, "", layer)
		if err != nil {
			return err
		}
		if found, err = a.openListed(ctx, store, names); err != nil {
			return err
		}
	}
	if len(found) == 0 && layer != "" {
		return &toldError{
			code: exitNotFound, message: fmt.Sprintf("there is no table in the layer %q", layer), why: "nothing is there in " + p.Env.Warehouse,
			hint: "lakectl ls   # lists all tables with their layers",
		}
	}
	if len(found) == 0 && !a.term.Machine() {
		a.term.Notef("no tables in %s yet: lakectl run builds them\n", p.Env.Warehouse)
		return nil
	}
	return a.showTables(found)
}

// tablesAtOnce is how many logs ls reads at a time.
const tablesAtOnce = 8

func (a *app) openListed(ctx context.Context, store objectstore.Store, names []string) ([]listed, error) {
	all := make([]*listed, len(names))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(tablesAtOnce)
	for i, name := range names {
		g.Go(func() error {
			one := &listed{Table: name, Version: -1}
			t, err := table.Open(gctx, store, strings.ReplaceAll(name, ".", "/"), a.tableOptions())
			switch {
			case errors.Is(err, txlog.ErrNotATable):
				return nil
			case gctx.Err() != nil:
				return gctx.Err()
			case err != nil: // one broken table does not hide the others
				one.Error = err.Error()
			default:
				s := t.Snapshot()
				one.Version, one.Files, one.Bytes, one.Timestamp = s.Version(), s.Files().Len(), s.SizeBytes(), s.Timestamp().UTC()
				if rows, ok := s.NumRows(); ok {
					one.Rows = &rows
				}
			}
			all[i] = one
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	var out []listed
	for _, one := range all {
		if one != nil {
			out = append(out, *one)
		}
	}
	return out, nil
}

func (a *app) showTables(found []listed) error {
	if a.term.Format == ui.JSON || a.term.Format == ui.NDJSON {
		list := a.term.NewList()
		for _, l := range found {
			if err := list.Write(l); err != nil {
				return err
			}
		}
		return list.Close()
	}
	people := a.term.Format == ui.Table
	rows := a.term.NewRows(ui.Column{Name: "table"}, ui.Column{Name: "version", Right: true}, ui.Column{Name: "rows", Right: true},
		ui.Column{Name: "files", Right: true}, ui.Column{Name: "size", Right: true}, ui.Column{Name: "changed"})
	broken := 0
	for _, l := range found {
		if l.Error != "" {
			broken++
			if err := rows.Write([]any{l.Table, "?", "?", "?", "?", "cannot be read: lakectl fsck " + l.Table}); err != nil {
				return err
			}
			continue
		}
		count := "unknown"
		if l.Rows != nil {
			count = number(*l.Rows, people)
		}
		size, changed := number(l.Bytes, false), ui.Time(l.Timestamp)
		if people {
			size = ui.Bytes(l.Bytes)
		}
		if a.term.Person {
			changed = ui.Age(clock.Since(a.clock, l.Timestamp)) + " ago"
		}
		if err := rows.Write([]any{l.Table, l.Version, count, number(int64(l.Files), people), size, changed}); err != nil {
			return err
		}
	}
	return rows.Close()
}

func number(n int64, people bool) string {
	if people {
		return ui.Count(n)
	}
	return ui.Text(n)
}
