package pipeline

import (
	"context"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/table"
)

// Relations of set checks.
const (
	relAfter  = "_lake.after"  // the table as it would be
	relStaged = "_lake.staged" // the new rows
)

// checks runs the set checks of the model over a staged change.
func (t *task) checks(ctx context.Context, c *table.Change) error {
	t.rep.Checks = nil
	if len(t.s.m.table.checks) == 0 {
		return nil
	}
	after, err := c.After(ctx)
	if err != nil {
		return err
	}
	relations := map[string]table.Relation{relAfter: after, relStaged: c.Staged()}
	var stop []string
	for _, x := range t.s.m.table.checks {
		rep, err := t.check(ctx, x, relations)
		if err != nil {
			return fmt.Errorf("%s: %w", x.where, err)
		}
		t.rep.Checks = append(t.rep.Checks, rep)
		if rep.Status == StatusFailed {
			stop = append(stop, fmt.Sprintf("%s: %d failures, allowed %s", rep.Check, rep.Failures, rep.Threshold))
		}
	}
	if len(stop) > 0 {
		return fmt.Errorf("%w: %s", ErrCheckFailed, strings.Join(stop, "; "))
	}
	return nil
}

func (t *task) check(ctx context.Context, x check, relations map[string]table.Relation) (CheckReport, error) {
	rep := CheckReport{Check: x.name(), Severity: x.severity, Status: StatusOK, Threshold: x.threshold}
	rel := relations[relStaged]
	if x.kind == "unique" {
		rel = relations[relAfter]
	}
	columns := make([]string, len(x.columns))
	for i, name := range x.columns {
		f, err := rel.Schema.Lookup(name)
		if err != nil {
			return rep, fmt.Errorf("%w: there is no column %q", errConfig, name)
		}
		columns[i] = quoteIdent(f.Name)
	}
	if len(rel.Files) == 0 {
		return rep, nil
	}
	sql := x.sql(columns)
	err := t.r.eachRow(ctx, table.Query{SQL: sql, Relations: relations, TimeZone: t.s.p.TimeZone}, func(row []any) error {
		rep.Failures, _ = row[0].(int64)
		rep.Rows, _ = row[1].(int64)
		return nil
	})
	if err != nil {
		return rep, err
	}
	if !x.allows(rep.Failures, rep.Rows) {
		rep.Status = StatusFailed
		if x.severity == onFailWarn {
			rep.Status = StatusWarned
		}
	}
	return rep, nil
}

// sql gives one row: failures and rows judged.
func (x check) sql(columns []string) string {
	list := strings.Join(columns, ", ")
	switch x.kind {
	case "unique":
		// A row with a NULL among the columns equals no other. Every row of a repeated value beyond its first is a failure.
		some := strings.Join(columns, " IS NOT NULL AND ") + " IS NOT NULL"
		return "SELECT CAST(coalesce(sum(n - 1), 0) AS BIGINT), CAST(coalesce(sum(n), 0) AS BIGINT) FROM (SELECT count(*) AS n FROM " +
			relAfter + " WHERE " + some + " GROUP BY " + list + ") AS g"
	case "not_null":
		some := strings.Join(columns, " IS NULL OR ") + " IS NULL"
		return "SELECT count(*) FILTER (WHERE " + some + "), count(*) FROM " + relStaged
	}
	// accepted_values
	return "SELECT count(*) FILTER (WHERE " + list + " IS NOT NULL AND CAST(" + list + " AS VARCHAR) NOT IN (" + quoteStrings(x.values) + ")), count(*) FROM " + relStaged
}
