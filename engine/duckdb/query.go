package duckdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Query implements [table.Engine]. Rows hold DuckDB's database open until they are closed.
func (e *Engine) Query(ctx context.Context, q table.Query) (*table.Rows, error) {
	b, err := e.bind(ctx, q, kind{ordered: !q.Unordered}, "")
	if err != nil {
		return nil, err
	}
	rows, err := b.query(ctx)
	if err != nil {
		b.session.close()
		return nil, err
	}
	return rows, nil
}

// bound is a statement whose tables exist in a locked database.
type bound struct {
	session *session
	sql     string // what DuckDB runs
	source  string // what the user wrote
}

// bind opens a session with the relations of a statement. The caller closes it. folder is one outside the session
// that the statement may write to; "" is none.
func (e *Engine) bind(ctx context.Context, q table.Query, k kind, folder string) (*bound, error) {
	k.timeZone = q.TimeZone
	s, err := e.open(ctx, k)
	if err != nil {
		return nil, err
	}
	b := &bound{session: s, sql: q.SQL, source: q.SQL}
	if err := b.create(ctx, q, folder); err != nil {
		b.session.close()
		return nil, err
	}
	return b, nil
}

func (b *bound) create(ctx context.Context, q table.Query, folder string) error {
	t, err := b.session.parse(ctx, q.SQL)
	if err != nil {
		return err
	}
	if err := b.check(t); err != nil {
		return err
	}
	refs, err := t.refs(ctx)
	if err != nil {
		return err
	}
	places, travel := assign(refs)
	if err := b.match(places, q.Relations); err != nil {
		return err
	}
	if travel {
		if b.sql, err = t.text(ctx); err != nil {
			return err
		}
	}
	if err := b.admit(ctx, places, folder); err != nil {
		return err
	}
	if err := b.createViews(ctx, places); err != nil {
		return err
	}
	return b.fill(ctx, places)
}

// check refuses what a SELECT may not do here, with words instead of a permission error.
func (b *bound) check(t *tree) error {
	if t.shows() {
		return &table.SQLError{SQL: b.source, Message: "SHOW has no tables to show here", Offset: -1}
	}
	allowed := []string{"range", "generate_series", "unnest", "repeat", "repeat_row", "json_each", "json_tree"}
	for _, name := range t.tableFunctions() {
		if !slices.Contains(allowed, name) {
			return &table.SQLError{
				SQL: b.source, Message: fmt.Sprintf("table function %s cannot be used here; name tables and files in FROM instead", name),
				Offset: strings.Index(strings.ToLower(b.source), name),
			}
		}
	}
	return nil
}

// place is one table of a statement under the name by which the statement finds it.
type place struct {
	ref                   *ref // where the statement names it first
	catalog, schema, name string
	relation              table.Relation
	paths                 []string
	reader                *reader // nil for files outside tables
	view                  string  // quoted
	narrow                bool    // the view lacks columns
}

// assign gives every table of a statement a place. Tables with time travel get names of their own, in the syntax
// tree too, since DuckDB's own tables know no time travel; travel tells whether there were any.
func assign(refs []*ref) (places []*place, travel bool) {
	made := map[string]*place{}
	for _, r := range refs {
		id := strings.ToLower(strings.Join([]string{r.catalog, r.schema, r.name, r.at}, "\x00"))
		p := made[id]
		if p == nil {
			p = &place{ref: r, catalog: r.catalog, schema: r.schema, name: r.name}
			if r.at != "" {
				p.catalog, p.schema, p.name = "", "", "_lakectl_at_"+strconv.Itoa(len(places))
			}
			made[id] = p
			places = append(places, p)
		}
		if r.at == "" {
			continue
		}
		travel = true
		if alias, _ := r.node["alias"].(string); alias == "" {
			r.node["alias"] = r.name
		}
		r.node["at_clause"], r.node["catalog_name"], r.node["schema_name"], r.node["table_name"] = nil, "", "", p.name
	}
	return places, travel
}

// attach makes the catalogs that places need.
func (s *session) attach(ctx context.Context, places []*place) error {
	for _, p := range places {
		if p.catalog == "" {
			continue
		}
		s.spent.Store(true)
		if err := s.exec(ctx, "ATTACH IF NOT EXISTS ':memory:' AS "+table.QuoteIdent(p.catalog)); err != nil {
			return err
		}
	}
	return nil
}

// qualified makes the schema of a place and returns its whole name, quoted. what will have the name is a TABLE or a
// VIEW.
func (s *session) qualified(ctx context.Context, p *place, what string) (string, error) {
	if p.schema == "" {
		name := table.QuoteIdent(p.name)
		s.made = append(s.made, "DROP "+what+" IF EXISTS "+name)
		return name, nil
	}
	if slices.Contains([]string{"main", "temp", "information_schema", "pg_catalog"}, strings.ToLower(p.schema)) {
		s.spent.Store(true) // what was there before must stay
	} else {
		s.made = append(s.made, "DROP SCHEMA IF EXISTS "+table.QuoteIdent(p.schema)+" CASCADE")
	}
	schema := table.QuoteIdent(p.schema)
	if p.catalog != "" {
		schema = table.QuotePath(p.catalog, p.schema)
	}
	if err := s.exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+schema); err != nil {
		return "", err
	}
	return schema + "." + table.QuoteIdent(p.name), nil
}

// match finds the relation of each place.
func (b *bound) match(places []*place, relations map[string]table.Relation) error {
	known := map[string]table.Relation{}
	for key, r := range relations {
		known[strings.ToLower(key)] = r
	}
	for _, p := range places {
		var ok bool
		if p.relation, ok = known[strings.ToLower(p.ref.key())]; !ok {
			return &table.SQLError{
				SQL: b.source, Message: fmt.Sprintf("table %s not found", p.ref.key()), Offset: p.ref.location,
			}
		}
	}
	return nil
}

// linksMax bounds the files that a call gets as links; of more, the time that they take counts more than that of
// opening an instance.
const linksMax = 300

// admit brings the files of the places here and makes them readable by the session, together with a folder outside
// of it.
func (b *bound) admit(ctx context.Context, places []*place, folder string) error {
	s := b.session
	for _, p := range places {
		var err error
		if p.paths, err = s.locate(ctx, p.relation); err != nil {
			if p.relation.External == nil {
				err = gone(err)
			}
			return err
		}
		if err := s.plainVariants(ctx, p.relation, p.paths); err != nil {
			return err
		}
	}
	if folder == "" && len(s.names) <= linksMax && s.link() == nil {
		return nil
	}
	var folders []string
	if folder != "" {
		folders = append(folders, folder)
	}
	alone, err := s.engine.openAlone(ctx, s.in.kind, s.names, folders)
	if err != nil {
		return err
	}
	alone.release, s.release = s.release, nil
	alone.sparse = s.sparse
	s.close()
	b.session = alone
	return nil
}

// gone says of a file of a table that is not in its store what that means.
func gone(err error) error {
	if errors.Is(err, objectstore.ErrNotFound) {
		return fmt.Errorf("%w: %w", txlog.ErrFileGone, err)
	}
	return err
}

// createViews makes the views of all places.
func (b *bound) createViews(ctx context.Context, places []*place) error {
	s := b.session
	if err := s.attach(ctx, places); err != nil {
		return err
	}
	for i, p := range places {
		sql, reader, err := s.relationSQL(ctx, fmt.Sprintf("%d %s", i, p.name), p.relation, p.paths)
		if err != nil {
			return err
		}
		p.reader = reader
		if p.view, err = s.qualified(ctx, p, "VIEW"); err != nil {
			return err
		}
		if err := s.exec(ctx, "CREATE VIEW "+p.view+" AS "+sql); err != nil {
			return fmt.Errorf("bind %s: %w", p.ref.key(), shift(err, b.source, len(sql)+len(b.source)))
		}
	}
	return nil
}

// query prepares the statement and wraps its rows, which it begins to compute when the first is asked for.
func (b *bound) query(ctx context.Context) (*table.Rows, error) {
	s := b.session
	p, err := s.prepare(ctx, b.sql)
	if err != nil {
		return nil, b.located(err, 0)
	}
	names, types := p.columns()
	if slices.ContainsFunc(types, func(t *duckType) bool { return !t.direct() }) {
		p.close()
		if p, err = b.castable(ctx, types); err != nil {
			return nil, err
		}
		was := types
		_, types = p.columns()
		for i, t := range types {
			t.showsVariants(was[i])
		}
	}
	var r *result
	rows := &table.Rows{Close: func() error {
		p.close()
		if r != nil {
			if !r.ended {
				s.spent.Store(true) // a thread may still be at work on the rest
			}
			r.close()
		}
		s.close()
		return nil
	}}
	for i, name := range names {
		rows.Columns = append(rows.Columns, txlog.Field{Name: name, Type: types[i].shown(), Nullable: true})
	}
	rows.All = func(yield func([]any, error) bool) {
		if r == nil {
			started, err := p.run(ctx, true)
			if err != nil {
				yield(nil, b.located(err, 0))
				return
			}
			r = started
			r.stream = true
		}
		for row, err := range r.rows(ctx) {
			if err != nil {
				err = b.located(err, 0)
			}
			if !yield(row, err) {
				return
			}
		}
	}
	return rows, nil
}

// castable prepares the statement with the columns in a near type whose own types we have no Go form for.
func (b *bound) castable(ctx context.Context, types []*duckType) (*prepared, error) {
	if err := b.outputView(ctx); err != nil {
		return nil, err
	}
	var aliases, items []string
	for i, t := range types {
		alias := "c" + strconv.Itoa(i)
		aliases = append(aliases, alias)
		if !t.direct() {
			alias = t.nearSQL(alias, 0)
		}
		items = append(items, alias)
	}
	return b.session.prepare(ctx, "SELECT "+strings.Join(items, ", ")+" FROM "+outputView+" AS t("+strings.Join(aliases, ", ")+")")
}

// outputView is the statement of the user as a view, so that we can select from it whatever its text ends with.
const outputView = helperSchema + ".output"

func (b *bound) outputView(ctx context.Context) error {
	if err := b.session.helpers(ctx); err != nil {
		return err
	}
	const prefix = "CREATE VIEW " + outputView + " AS "
	if err := b.session.exec(ctx, prefix+b.sql); err != nil {
		return b.located(err, len(prefix))
	}
	return nil
}

// helpers makes the schema of what we make beside the views of a call, before it is used.
func (s *session) helpers(ctx context.Context) error {
	if s.helped {
		return nil
	}
	s.helped = true
	s.made = append(s.made, "DROP SCHEMA IF EXISTS "+helperSchema+" CASCADE")
	return s.exec(ctx, "CREATE SCHEMA IF NOT EXISTS "+helperSchema)
}

// located makes the offset of an error one into the text of the user, where that can be told.
func (b *bound) located(err error, prefix int) error {
	if b.sql != b.source {
		prefix = len(b.sql) + prefix + 1
	}
	return shift(err, b.source, prefix)
}

// direct tells whether column.value has a form for every value of the type.
func (d *duckType) direct() bool {
	switch d.id {
	case bindings.TypeHugeInt, bindings.TypeUBigInt:
		return true
	case bindings.TypeSQLNull, bindings.TypeVariant:
		return false
	}
	_, _, ok := d.delta()
	return ok && !slices.ContainsFunc(d.children, func(c *duckType) bool { return !c.direct() })
}

// shown is the type of an output column: that of delta, and decimals for integers that no Delta type holds.
func (d *duckType) shown() *txlog.DataType {
	switch d.id {
	case bindings.TypeHugeInt:
		return &txlog.DataType{Kind: txlog.KindDecimal, Name: "decimal(38,0)", Precision: 38}
	case bindings.TypeUBigInt:
		return &txlog.DataType{Kind: txlog.KindDecimal, Name: "decimal(20,0)", Precision: 20}
	}
	t, _, _ := d.delta()
	return t
}
