package table

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/table/schemaedit"
	"github.com/lakectl/lakectl/txlog"
)

// rowRule is a rule that rows get, and that old rows must satisfy before it is in force.
type rowRule struct {
	broken    string           // SQL over the table, alias t: true for a row that breaks the rule
	predicate *txlog.Predicate // files for which it is not true have no such row; nil: unknown
	err       error            // what a row that breaks it means
}

// notNullRule demands a value of a column. A field of a struct that is NULL itself needs none.
func notNullRule(p schemaedit.Path) rowRule {
	column := "t." + QuoteIdent(p[0])
	broken, parent := column+" IS NULL", ""
	for _, name := range p[1:] {
		parent = column
		column += "." + QuoteIdent(name)
		broken = parent + " IS NOT NULL AND " + column + " IS NULL"
	}
	r := rowRule{broken: broken, err: &ConstraintError{Kind: kindNotNull, Column: p.String()}}
	if len(p) == 1 {
		r.predicate = &txlog.Predicate{Op: txlog.OpIsNull, Column: []string{p[0]}}
	}
	return r
}

// checkRows looks for old rows that break a new rule. The commit depends on what was read: rows that came meanwhile
// were not looked at.
func (x *alteration) checkRows(ctx context.Context, eng Engine, c *Change) error {
	if len(x.rules) == 0 {
		return nil
	}
	c.reads.whole = true
	for _, r := range x.rules {
		idx := suspects(c, r.predicate)
		c.result.FilesScanned += len(idx)
		if len(idx) == 0 {
			continue
		}
		if eng == nil {
			return fmt.Errorf("%w: an engine is needed to check the rows of the table", ErrInvalidRequest)
		}
		rel, err := c.baseRelation(ctx, idx)
		if err != nil {
			return err
		}
		rows, err := eng.Query(ctx, Query{
			SQL:       "SELECT 1 FROM " + QuoteIdent(targetRelation) + " AS t WHERE " + enclosed(r.broken) + " LIMIT 1",
			Relations: map[string]Relation{targetRelation: rel},
		})
		if err != nil {
			return fmt.Errorf("check rows: %w", err)
		}
		for _, rowErr := range rows.All {
			if err = rowErr; err == nil {
				err = r.err
			}
			break
		}
		if err := errors.Join(err, rows.Close()); err != nil {
			return err
		}
	}
	return nil
}

// suspects are the files that may have a row for which p is true, by the columns as they will be; nil p takes all.
func suspects(c *Change, p *txlog.Predicate) []int {
	var idx []int
	files := c.base.Files()
	for i := range files.Len() {
		stats, err := files.Stats(i)
		if err != nil {
			stats = nil // what cannot be read proves nothing
		}
		if p == nil || txlog.MayMatch(p, c.shape.schema, c.shape.mapping, c.shape.partitionBy, files.Partition(i), stats, files.DeletionVector(i) != nil) {
			idx = append(idx, i)
		}
	}
	return idx
}

const constraintPrefix = "delta.constraints."

func isConstraintKey(key string) bool {
	return strings.HasPrefix(strings.ToLower(key), constraintPrefix)
}

// constraintKey is the key under which the table has the constraint, "" for none; names match without regard to case.
func (x *alteration) constraintKey(name string) string {
	for key := range x.meta.Configuration {
		if isConstraintKey(key) && strings.EqualFold(key[len(constraintPrefix):], name) {
			return key
		}
	}
	return ""
}

// addConstraints gives the table rules for rows.
//
// Protocol: "CHECK Constraints": a row for which the expression is not true, NULL included, breaks it.
func (x *alteration) addConstraints(a Alter) error {
	for _, add := range a.AddConstraints {
		switch {
		case strings.TrimSpace(add.Name) == "" || strings.TrimSpace(add.Expression) == "":
			return fmt.Errorf("%w: a constraint needs a name and an expression", ErrInvalidRequest)
		case x.constraintKey(add.Name) != "":
			return fmt.Errorf("%w: the table has a constraint %s", ErrInvalidRequest, add.Name)
		}
		x.rules = append(x.rules, constraintRule(add))
		x.meta.Configuration[constraintPrefix+strings.ToLower(add.Name)] = add.Expression
		x.changed("constraint %s: %s", add.Name, add.Expression)
		x.step("ADD CONSTRAINT", map[string]string{"name": add.Name, "expr": add.Expression})
	}
	return nil
}

// dropConstraints takes rules away.
func (x *alteration) dropConstraints(a Alter) error {
	for _, name := range a.DropConstraints {
		key := x.constraintKey(name)
		if key == "" {
			return fmt.Errorf("%w: the table has no constraint %q", ErrInvalidRequest, name)
		}
		x.changed("constraint %s is gone: %s", name, x.meta.Configuration[key])
		x.step("DROP CONSTRAINT", map[string]string{"name": name, "expr": x.meta.Configuration[key]})
		delete(x.meta.Configuration, key)
	}
	return nil
}

// constraintRule is the rule of a CHECK constraint for the rows that are there. It takes the expression as the engine
// reads it; a table whose expressions we cannot read alike is refused by the log before any row is looked at.
func constraintRule(add AddConstraint) rowRule {
	return rowRule{
		broken: enclosed(add.Expression) + " IS NOT TRUE",
		err:    &ConstraintError{Kind: kindWhere, Rule: add.Name + ": " + add.Expression},
	}
}
