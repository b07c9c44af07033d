package table

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/internal/limits"
)

// rules looks for rows that break a rule of the table, file by file. A generated column whose value depends on the time
// zone of whoever wrote it is left out: nobody knows that zone.
func (c *checking) rules(ctx context.Context) error {
	if !c.f.Deep || c.snapshot == nil || c.snapshot.CheckReadable() != nil {
		return nil // found by state, or an error of rows
	}
	sh, err := shapeOf(c.snapshot)
	if err != nil {
		return nil // found by state
	}
	r, err := rulesOf(sh, c.options.Log.Clock.Now())
	if err != nil {
		c.find(RuleUnchecked, at(c.snapshot.Version()), "%v", err)
	}
	if r == nil {
		return nil
	}
	checks := slices.DeleteFunc(slices.Clone(r.checks), func(rule rowRule) bool {
		f, err := sh.schema.Lookup(rule.err.Column) // rows counts the values of these
		return rule.err.Kind == kindNotNull && err == nil && !sh.partitioned(f.Name)
	})
	for _, g := range r.generated {
		if !g.zoned {
			checks = append(checks, g.given)
		}
	}
	if len(checks) == 0 {
		return nil
	}
	for part := range slices.Chunk(c.readable, deepFilesMax) {
		if err := c.ruleFiles(ctx, part, checks); err != nil {
			return err
		}
	}
	return nil
}

// ruleFiles counts the rows of some files that break rules. A row that a rule cannot be evaluated for breaks it.
func (c *checking) ruleFiles(ctx context.Context, idx []int, checks []rowRule) error {
	found, err := c.brokenRows(ctx, idx, checks)
	var over *limits.Error
	var sql *SQLError
	switch {
	case err == nil:
		for i, counts := range found {
			for n, count := range counts {
				if count > 0 {
					c.brokenRule(idx[i], checks[n], count)
				}
			}
		}
		return nil
	case unreachable(err), errors.As(err, &over):
		return err
	case len(idx) > 1: // one of them is the reason: which?
		for i := range idx {
			if err := c.ruleFiles(ctx, idx[i:i+1], checks); err != nil {
				return err
			}
		}
	case len(checks) > 1:
		for i := range checks {
			if err := c.ruleFiles(ctx, idx, checks[i:i+1]); err != nil {
				return err
			}
		}
	case errors.As(err, &sql):
		c.find(ConstraintBroken, objectName(c.snapshot.Files().Path(idx[0])), "%v: %v", checks[0].err, err)
	}
	return nil // a file that cannot be read is found by rows
}

// brokenRule says that rows of a file break a rule.
func (c *checking) brokenRule(i int, rule rowRule, count int64) {
	broken, class := *rule.err, ConstraintBroken
	if broken.Kind == kindNotNull {
		class = NotNullBroken
	}
	c.find(class, objectName(c.snapshot.Files().Path(i)), "%v, in %d rows", &broken, count)
}

// brokenRows counts, for each file and each rule, the rows that break it.
func (c *checking) brokenRows(ctx context.Context, idx []int, checks []rowRule) (found [][]int64, err error) {
	t := &Table{log: c.log, path: c.log.Root(), pinned: true, opts: c.options, snap: c.snapshot}
	rel, err := t.relation(ctx, c.snapshot, idx, true)
	if err != nil {
		return nil, err
	}
	for n, i := range idx {
		rel.Files[n].ETag = c.etags[i]
	}
	items := []string{FileColumn}
	for _, rule := range checks {
		items = append(items, "count(*) FILTER (WHERE "+rule.broken+")")
	}
	rows, err := c.f.Engine.Query(ctx, Query{
		SQL:       "SELECT " + strings.Join(items, ", ") + " FROM " + targetRelation + " AS " + rowAlias + " GROUP BY " + FileColumn,
		Relations: map[string]Relation{targetRelation: rel},
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = joinErrors(err, rows.Close()) }()
	found = make([][]int64, len(idx))
	for row, err := range rows.All {
		if err != nil {
			return nil, err
		}
		if n := asInt(row[0]); n >= 0 && n < int64(len(idx)) {
			for _, count := range row[1:] {
				found[n] = append(found[n], asInt(count))
			}
		}
	}
	return found, nil
}
