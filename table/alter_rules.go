package table

import (
	"context"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/table/schemaedit"
	"github.com/lakectl/lakectl/txlog"
)

// rowRule is a rule that rows get, and that old rows must satisfy before it is in force.
type rowRule struct {
	broken    string           // SQL over rows called rowAlias: true for one that breaks the rule
	predicate *txlog.Predicate // files for which it is not true have no such row; nil: unknown
	columns   []string         // of the table, that show what is wrong with a row; none: all of them
	err       *ConstraintError // what a row that breaks it means
}

// notNullRule demands a value of a column. A field of a struct that is NULL itself needs none.
func notNullRule(p schemaedit.Path) rowRule {
	column := qualified(rowAlias, p[0])
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
		q := Query{SQL: "SELECT * FROM " + QuoteIdent(targetRelation), Relations: map[string]Relation{targetRelation: rel}}
		switch broken, err := r.find(ctx, eng, q); {
		case err != nil:
			return err
		case broken != nil:
			return broken
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

// constraintKey is the key of a new constraint.
func constraintKey(name string) string {
	return constraintPrefix + strings.ToLower(strings.TrimSpace(name))
}

// constraintIn is the key under which properties have the constraint, "" for none; names match without regard to case.
func constraintIn(properties map[string]string, name string) string {
	for key := range properties {
		if isConstraintKey(key) && strings.EqualFold(key[len(constraintPrefix):], strings.TrimSpace(name)) {
			return key
		}
	}
	return ""
}

// check refuses a constraint without a name or an expression, and a second one of its name.
func (add AddConstraint) check(properties map[string]string) error {
	switch {
	case strings.TrimSpace(add.Name) == "" || strings.TrimSpace(add.Expression) == "":
		return fmt.Errorf("%w: a constraint needs a name and an expression", ErrInvalidRequest)
	case constraintIn(properties, add.Name) != "":
		return fmt.Errorf("%w: the table has a constraint %s", ErrInvalidRequest, add.Name)
	}
	return nil
}

// addConstraints gives the table rules for rows.
//
// Protocol: "CHECK Constraints": a row for which the expression is not true, NULL included, breaks it.
// Errors:   txlog.ErrUnsupportedFeature for an expression that cannot be evaluated with its meaning.
func (x *alteration) addConstraints(a Alter) error {
	for _, add := range a.AddConstraints {
		if err := add.check(x.meta.Configuration); err != nil {
			return err
		}
		rule, err := conditionRule(x.schema, add.Expression, &ConstraintError{Kind: kindCheck, Name: add.Name, Rule: add.Expression})
		if err != nil {
			return ruleRefused(txlog.FeatureCheckConstraints, constraintPrefix+add.Name, err)
		}
		x.rules = append(x.rules, rule)
		x.meta.Configuration[constraintKey(add.Name)] = add.Expression
		x.changed("constraint %s: %s", add.Name, add.Expression)
		x.step("ADD CONSTRAINT", map[string]string{"name": add.Name, "expr": add.Expression})
	}
	return nil
}

// dropConstraints takes rules away.
func (x *alteration) dropConstraints(a Alter) error {
	for _, name := range a.DropConstraints {
		key := constraintIn(x.meta.Configuration, name)
		if key == "" {
			return fmt.Errorf("%w: the table has no constraint %q", ErrInvalidRequest, name)
		}
		x.changed("constraint %s is gone: %s", name, x.meta.Configuration[key])
		x.step("DROP CONSTRAINT", map[string]string{"name": name, "expr": x.meta.Configuration[key]})
		delete(x.meta.Configuration, key)
	}
	return nil
}
