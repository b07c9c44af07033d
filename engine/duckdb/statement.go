package duckdb

import (
	"context"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Parse implements [table.Engine].
func (e *Engine) Parse(ctx context.Context, p table.Parse) (*table.Statement, error) {
	aggregates, err := e.aggregateNames(ctx)
	if err != nil {
		return nil, err
	}
	s, err := e.open(ctx, kind{timeZone: p.TimeZone, analysis: true})
	if err != nil {
		return nil, err
	}
	defer s.close()
	t, err := s.parse(ctx, p.SQL)
	if err != nil {
		return nil, err
	}
	statement := &table.Statement{Functions: t.functions(), RowWise: t.rowWise(aggregates)}
	if statement.Canonical, err = t.text(ctx); err != nil {
		return nil, err
	}
	refs, err := t.refs(ctx)
	if err != nil {
		return nil, err
	}
	advice := t.outputExpressions(ctx)
	named := map[*ref]table.TableRef{}
	for _, r := range refs {
		named[r] = r.table() // before assign gives them other names
	}
	places, travel := assign(refs)
	for _, p := range places {
		statement.Tables = append(statement.Tables, named[p.ref])
	}
	if p.Schemas == nil {
		return statement, nil
	}
	a := &analysis{session: s, source: p.SQL, sql: p.SQL, places: places, statement: statement}
	if travel {
		if a.sql, err = t.text(ctx); err != nil {
			return nil, err
		}
	}
	if err := a.run(ctx, p.Schemas, advice); err != nil {
		return nil, err
	}
	return statement, nil
}

// table is the reference as the caller sees it.
func (r *ref) table() table.TableRef {
	alias, _ := r.node["alias"].(string)
	return table.TableRef{Name: r.fullName(), At: r.at, Alias: alias}
}

// outputExpressions writes the SELECT list of the outermost query; nil where it has none of its own. Errors do not
// matter: the texts only make advice better.
func (t *tree) outputExpressions(ctx context.Context) []string {
	top, _ := t.root["node"].(node)
	list, _ := top["select_list"].([]any)
	var texts []string
	for _, item := range list {
		n, _ := item.(node)
		if n == nil || n["class"] == "STAR" {
			return nil
		}
		alias := n["alias"]
		n["alias"] = ""
		text, err := t.expression(ctx, n)
		n["alias"] = alias
		if err != nil {
			return nil
		}
		texts = append(texts, text)
	}
	return texts
}

// analysis binds a statement to empty tables.
type analysis struct {
	session   *session
	source    string // what the user wrote
	sql       string // the same over the tables that we made
	places    []*place
	statement *table.Statement
	schemas   []*txlog.Schema // of each place
}

func (a *analysis) run(ctx context.Context, schemas func(table.TableRef) (*txlog.Schema, error), expressions []string) error {
	s := a.session
	if err := s.attach(ctx, a.places); err != nil {
		return err
	}
	for i, p := range a.places {
		schema, err := schemas(a.statement.Tables[i])
		if err != nil {
			return err
		}
		a.schemas = append(a.schemas, schema)
		if err := a.create(ctx, p, schema); err != nil {
			return err
		}
	}
	if err := a.output(ctx, expressions); err != nil {
		return err
	}
	return a.scans(ctx)
}

// create makes the empty table of a place. Nothing is declared NOT NULL: the optimiser must not conclude anything
// from it that the files do not keep.
func (a *analysis) create(ctx context.Context, p *place, schema *txlog.Schema) error {
	if schema == nil || len(schema.Fields) == 0 {
		return &table.SQLError{SQL: a.source, Message: fmt.Sprintf("table %s has no columns", p.ref.key()), Offset: p.ref.location}
	}
	columns := make([]string, len(schema.Fields))
	for i, f := range schema.Fields {
		sql, err := typeSQL(f.Type)
		if err != nil {
			sql = "VARCHAR" // an error only when it is read: see scans
		}
		columns[i] = table.QuoteIdent(f.Name) + " " + sql
	}
	name, err := a.session.qualified(ctx, p, "TABLE")
	if err != nil {
		return err
	}
	if err := a.session.exec(ctx, "CREATE TABLE "+name+" ("+strings.Join(columns, ", ")+")"); err != nil {
		return fmt.Errorf("bind %s: %w", p.ref.key(), err)
	}
	return nil
}

// output reads the columns of the result.
func (a *analysis) output(ctx context.Context, expressions []string) error {
	p, err := a.session.prepare(ctx, a.sql)
	if err != nil {
		return a.located(err)
	}
	defer p.close()
	names, types := p.columns()
	for i, name := range names {
		t, advice, ok := types[i].delta()
		if !ok {
			expression := table.QuoteIdent(name)
			if len(expressions) == len(names) {
				expression = expressions[i]
			}
			return &table.SQLError{SQL: a.source, Offset: -1, Message: fmt.Sprintf(
				"column %s has type %s, which a Delta table cannot hold: write %s", name, types[i], fmt.Sprintf(advice, expression))}
		}
		a.statement.Output = append(a.statement.Output, txlog.Field{Name: name, Type: t, Nullable: true})
	}
	return nil
}

func (a *analysis) located(err error) error {
	if a.sql != a.source {
		return shift(err, a.source, len(a.sql)+1)
	}
	return shift(err, a.source, 0)
}
