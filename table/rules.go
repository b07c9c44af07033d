package table

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lakectl/lakectl/table/sparksql"
	"github.com/lakectl/lakectl/txlog"
)

// rules are what new rows of a table get, and what they must satisfy, before they are written. Rows that only move
// from file to file have been through them.
//
// Protocol: "Column Invariants", "CHECK Constraints", "Generated Columns", "Default Columns", "Identity Columns". The
// expressions are Spark's SQL: what cannot be evaluated with its meaning is refused, never passed over.
type rules struct {
	schema    *txlog.Schema
	checks    []rowRule          // not null, invariants, constraints: over rows called rowAlias
	generated []generatedColumn  // in the order of the schema
	defaults  map[string]string  // column → SQL of its value in rows that come without one
	identity  []*identityNumbers // in the order of the schema
}

// rowAlias is the name of the row in the SQL of rules.
const rowAlias = "lake_row"

// generatedColumn is a column that follows from others.
type generatedColumn struct {
	name  string
	sql   string  // its value, of the column's type
	given rowRule // that a value which a row brings is that one
	zoned bool    // the value depends on the time zone of the session
}

// rulesOf reads the rules of a shape. now is the time that defaults may ask for.
//
// Errors: *txlog.FeatureError, with every expression that cannot be evaluated.
func rulesOf(sh shape, now time.Time) (*rules, error) {
	r := &rules{schema: sh.schema, defaults: map[string]string{}}
	var err error
	if r.checks, err = notNullRules(sh.schema); err != nil {
		return nil, err
	}
	c := &ruleReader{rules: r, now: now}
	for _, f := range sh.schema.Fields {
		c.column(f)
	}
	for _, key := range slices.Sorted(maps.Keys(sh.properties)) {
		if isConstraintKey(key) {
			c.constraint(key[len(constraintPrefix):], sh.properties[key])
		}
	}
	return r, c.refusal()
}

// ruleReader is one rulesOf under way: it goes on after a refusal, so that one error lists them all.
type ruleReader struct {
	rules   *rules
	now     time.Time
	refused []string
}

func (c *ruleReader) refuse(feature, what string, err error) {
	c.refused = append(c.refused, fmt.Sprintf("%s (%s: %v)", feature, what, err))
}

func (c *ruleReader) refusal() error {
	if len(c.refused) == 0 {
		return nil
	}
	slices.Sort(c.refused)
	return &txlog.FeatureError{
		Write: true, Features: slices.Compact(c.refused),
		Reason: "expressions are Spark's SQL, and are evaluated where they mean the same here",
	}
}

// ruleRefused is the refusal of a single rule.
func ruleRefused(feature, what string, err error) error {
	c := &ruleReader{}
	c.refuse(feature, what, err)
	return c.refusal()
}

// column reads the marks of a column of the table.
func (c *ruleReader) column(f txlog.Field) {
	what := "column " + f.Name
	id, err := f.Identity()
	switch {
	case err == nil && id != nil && f.Type.Kind != txlog.KindLong:
		err = fmt.Errorf("its type is %s, not bigint", f.Type.SQL())
		fallthrough
	case err != nil:
		c.refuse(txlog.FeatureIdentityColumns, what, err)
	case id != nil:
		c.rules.identity = append(c.rules.identity, newIdentityNumbers(f, id, len(c.rules.identity)))
	}
	if text, err := f.Default(); err != nil {
		c.refuse(txlog.FeatureColumnDefaults, what, err)
	} else if text != "" {
		c.defaultOf(f, text)
	}
	if text, err := f.Generation(); err != nil {
		c.refuse(txlog.FeatureGeneratedColumns, what, err)
	} else if text != "" {
		c.generation(f, text)
	}
	c.invariants(f, f.Name, true)
}

// defaultOf reads the value for rows that come without one. It names no columns, and may ask for the time.
func (c *ruleReader) defaultOf(f txlog.Field, text string) {
	target := sqlTarget(nil)
	target.Now = c.now
	sql, err := translate(text, target)
	if err != nil {
		c.refuse(txlog.FeatureColumnDefaults, "column "+f.Name, err)
		return
	}
	c.rules.defaults[f.Name] = assigned(sql, f)
}

// generation reads the expression of a generated column.
func (c *ruleReader) generation(f txlog.Field, text string) {
	refuse := func(err error) { c.refuse(txlog.FeatureGeneratedColumns, "column "+f.Name, err) }
	sql, err := translate(text, sqlTarget(c.rules.schema))
	if err != nil {
		refuse(err)
		return
	}
	for _, name := range sql.Columns {
		used, err := c.rules.schema.Lookup(name)
		if err != nil {
			refuse(err)
			return
		}
		if ruled(*used) {
			refuse(fmt.Errorf("expression %s: it uses column %s, which is generated itself", clip(text), name))
			return
		}
	}
	value := assigned(sql, f)
	c.rules.generated = append(c.rules.generated, generatedColumn{
		name: f.Name, sql: value, zoned: sql.Zoned,
		given: rowRule{
			broken:  qualified(rowAlias, f.Name) + " IS DISTINCT FROM " + value,
			columns: append([]string{f.Name}, sql.Columns...),
			err:     &ConstraintError{Kind: kindGenerated, Column: f.Name, Rule: text},
		},
	})
}

// ruled tells whether values of a column are made by the table.
func ruled(f txlog.Field) bool {
	id, err := f.Identity()
	text, terr := f.Generation()
	return id != nil || err != nil || text != "" || terr != nil
}

// invariants reads the conditions on a column and on the fields inside it.
func (c *ruleReader) invariants(f txlog.Field, path string, reachable bool) {
	text, err := f.Invariant()
	if err == nil && text != "" && !reachable {
		err = fmt.Errorf("expression %s: it stands inside an array or a map", clip(text))
	}
	if err != nil {
		c.refuse(txlog.FeatureInvariants, "column "+path, err)
	} else if text != "" {
		c.condition(txlog.FeatureInvariants, "column "+path, text, &ConstraintError{Kind: kindInvariant, Column: path, Rule: text})
	}
	if path != f.Name {
		for _, key := range []string{"CURRENT_DEFAULT", "delta.generationExpression", "delta.identity.start"} {
			if raw := f.Metadata[key]; len(raw) > 0 && string(raw) != "null" {
				c.refuse(key, "column "+path, errors.New("it is not a column of the table itself"))
			}
		}
	}
	c.inside(f.Type, path, reachable)
}

func (c *ruleReader) inside(t *txlog.DataType, path string, reachable bool) {
	switch t.Kind {
	case txlog.KindStruct:
		for _, g := range t.Fields {
			c.invariants(g, path+"."+g.Name, reachable)
		}
	case txlog.KindArray:
		c.inside(t.Element, path+".element", false)
	case txlog.KindMap:
		c.inside(t.Key, path+".key", false)
		c.inside(t.Value, path+".value", false)
	default:
	}
}

func (c *ruleReader) constraint(name, text string) {
	c.condition(txlog.FeatureCheckConstraints, constraintPrefix+name, text, &ConstraintError{Kind: kindCheck, Name: name, Rule: text})
}

// condition reads a condition. A row for which it is not true, NULL included, breaks it.
func (c *ruleReader) condition(feature, what, text string, broken *ConstraintError) {
	rule, err := conditionRule(c.rules.schema, text, broken)
	if err != nil {
		c.refuse(feature, what, err)
		return
	}
	c.rules.checks = append(c.rules.checks, rule)
}

// conditionRule is the rule that a condition over the columns of a schema is true. Errors: *sparksql.Error.
func conditionRule(schema *txlog.Schema, text string, broken *ConstraintError) (rowRule, error) {
	sql, err := translate(text, sqlTarget(schema))
	if err != nil {
		return rowRule{}, err
	}
	if sql.Type.Kind != txlog.KindBoolean {
		return rowRule{}, &sparksql.Error{Expression: clip(text), What: "it is a " + sql.Type.SQL() + ", not a condition"}
	}
	return rowRule{broken: sql.Text + " IS NOT TRUE", columns: sql.Columns, err: broken}, nil
}

// translate reads an expression of Spark's SQL. Errors: *sparksql.Error.
func translate(text string, target sparksql.Target) (*sparksql.SQL, error) {
	e, err := sparksql.Parse(text)
	if err != nil {
		return nil, err
	}
	return e.Translate(target)
}

// sqlTarget is the row that rules see; a nil schema has no columns.
func sqlTarget(schema *txlog.Schema) sparksql.Target {
	t := sparksql.Target{Alias: rowAlias, Ident: QuoteIdent, Text: QuoteString, Type: TypeSQL}
	if schema != nil {
		t.Columns = schema.Fields
	}
	return t
}

// assigned is an expression as a value of a column: one that does not fit is an error of the statement.
func assigned(sql *sparksql.SQL, f txlog.Field) string {
	switch {
	case sql.Type.Kind == txlog.KindVoid:
		return castTo(sql.Text, f.Type)
	case sql.Type.Equal(f.Type):
		return sql.Text
	}
	return CastSQL(sql.Text, sql.Type, f.Type, f.Name)
}

// gives tells whether rows may come without a value of the column, since they get one.
func (r *rules) gives(column string) bool {
	_, has := r.defaults[column]
	return has || r.computes(column) || r.numbers(column) != nil
}

// computes tells whether the column is a generated one.
func (r *rules) computes(column string) bool {
	return slices.ContainsFunc(r.generated, func(g generatedColumn) bool { return g.name == column })
}

// numbers is the identity column of that name; nil when it is none.
func (r *rules) numbers(column string) *identityNumbers {
	for _, id := range r.identity {
		if id.column == column {
			return id
		}
	}
	return nil
}

// missing lists the not null columns that new rows would have no value for. given are those that they bring.
func (r *rules) missing(given func(column string) bool) []txlog.Field {
	return slices.DeleteFunc(slices.Clone(r.schema.Fields), func(f txlog.Field) bool {
		return f.Nullable || given(f.Name) || r.gives(f.Name)
	})
}

// checkInserted refuses rows that bring values of columns which only the table may number.
func (r *rules) checkInserted(given func(column string) bool) error {
	for _, id := range r.identity {
		if given(id.column) && !id.id.AllowExplicitInsert {
			return fmt.Errorf("%w: column %q is numbered by the table, rows bring no values of their own for it", ErrSchemaMismatch, id.column)
		}
	}
	return nil
}
