package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/statement"
	"github.com/lakectl/lakectl/txlog"
)

// placed adds to an error about a value of CSV files in which file, row and column it stands. It reads the files again,
// which only a failed command does; where that finds nothing the error stays as it is.
func (a *app) placed(ctx context.Context, source table.Query, target *txlog.Schema, err error) error {
	rel, files := source.Relations[sourceName]
	if !errors.Is(err, table.ErrValue) || !files || rel.External == nil || !rel.External.AllText || ctx.Err() != nil {
		return err
	}
	for _, f := range rel.Files {
		one := rel
		one.Files = []table.RelationFile{f}
		row, column, found := a.findValue(ctx, one, target, err)
		if found {
			return fmt.Errorf("%s, row %d below the header, column %s: %w", f.Key, row, column, err)
		}
	}
	return err
}

// findValue looks for the first value of a file that its column of the target cannot hold.
func (a *app) findValue(ctx context.Context, rel table.Relation, target *txlog.Schema, cause error) (row int64, column string, found bool) {
	q := table.Query{SQL: "SELECT * FROM " + sourceName + " LIMIT 0", Relations: map[string]table.Relation{sourceName: rel}}
	columns, err := a.columnsOf(ctx, q)
	if err != nil {
		return 0, "", false
	}
	var known *table.ValueError
	lossy := errors.As(cause, &known)
	var cases strings.Builder
	for _, c := range columns {
		f, err := target.Lookup(c.Name)
		if err != nil || !statement.Castable(f.Type) || lossy && f.Name != known.Column {
			continue
		}
		name := table.QuoteIdent(c.Name)
		bad := name + " IS NOT NULL AND TRY_" + table.CastSQL(name, nil, f.Type, f.Name) + " IS NULL"
		if lossy {
			bad = "left(" + name + ", 80) = " + table.QuoteString(known.Value)
		}
		cases.WriteString(" WHEN " + bad + " THEN " + table.QuoteString(c.Name))
	}
	if cases.Len() == 0 {
		return 0, "", false
	}
	engine, err := a.sqlEngine(ctx)
	if err != nil {
		return 0, "", false
	}
	q.SQL = "SELECT n, c FROM (SELECT row_number() OVER () AS n, CASE" + cases.String() + " END AS c FROM " + sourceName + ") WHERE c IS NOT NULL ORDER BY n LIMIT 1"
	rows, err := engine.Query(ctx, q)
	if err != nil {
		return 0, "", false
	}
	defer rows.Close() //nolint:errcheck // nothing was written
	for values, err := range rows.All {
		if err != nil {
			return 0, "", false
		}
		row, _ = values[0].(int64)
		column, _ = values[1].(string)
		found = true
	}
	return row, column, found
}
