package statement

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func (s *Session) merge(ctx context.Context, st *Merge, out *Outcome) error {
	t, err := s.open(ctx, st.Target, out)
	if err != nil {
		return err
	}
	schema, err := t.Schema()
	if err != nil {
		return err
	}
	m := st.Request
	if m.Source, err = s.source(ctx, st.Source, schema); err != nil {
		return err
	}
	m.Meta = s.Meta
	return s.commit(ctx, out, "merged into", func(ctx context.Context) (*table.Change, error) { return t.PrepareMerge(ctx, s.Engine, m) })
}

// source is the rows of a statement as a query. The cells of CSV files are cast to the types of the target's columns.
func (s *Session) source(ctx context.Context, src Source, target *txlog.Schema) (table.Query, error) {
	sql := src.SQL
	if sql == "" {
		if sql = src.Word(); src.At == "" {
			sql = "SELECT * FROM " + table.QuoteIdent(sql)
		}
	}
	r, err := Bind(ctx, s.Engine, s.Lake, sql)
	if err != nil {
		return table.Query{}, err
	}
	r.Query.TimeZone = s.TimeZone
	if src.SQL != "" {
		return r.Query, nil
	}
	for _, rel := range r.Query.Relations {
		if rel.External != nil && rel.External.Format == "csv" {
			text := *rel.External
			text.AllText = true
			rel.External = &text
			q, err := CastFiles(ctx, s.Engine, rel, target)
			q.TimeZone = s.TimeZone
			return q, err
		}
	}
	return r.Query, nil
}

// FilesRelation is the relation of the query that CastFiles makes.
const FilesRelation = "source"

// CastFiles is the query for all rows of files outside of tables. Columns of text files are cast to the types of the
// target's columns of their names; others stay text, so that nothing is guessed from the digits of a file.
func CastFiles(ctx context.Context, eng table.Engine, rel table.Relation, target *txlog.Schema) (table.Query, error) {
	q := table.Query{SQL: "SELECT * FROM " + FilesRelation, Relations: map[string]table.Relation{FilesRelation: rel}}
	if rel.External == nil || !rel.External.AllText || target == nil {
		return q, nil
	}
	rows, err := eng.Query(ctx, table.Query{SQL: q.SQL + " LIMIT 0", Relations: q.Relations})
	if err != nil {
		return q, err
	}
	columns := slices.Clone(rows.Columns)
	if err := rows.Close(); err != nil {
		return q, err
	}
	items := make([]string, len(columns))
	for i, c := range columns {
		items[i] = table.QuoteIdent(c.Name)
		if f, err := target.Lookup(c.Name); err == nil {
			if Castable(f.Type) {
				items[i] = table.CastSQL(items[i], c.Type, f.Type, f.Name)
			}
			items[i] += " AS " + table.QuoteIdent(f.Name)
		}
	}
	q.SQL = "SELECT " + strings.Join(items, ", ") + " FROM " + FilesRelation
	return q, nil
}

// Castable tells whether text is cast to a type: not strings, which need no cast, nor types that no CSV cell holds.
func Castable(t *txlog.DataType) bool {
	switch t.Kind {
	case txlog.KindLong, txlog.KindInteger, txlog.KindShort, txlog.KindByte, txlog.KindFloat, txlog.KindDouble,
		txlog.KindBoolean, txlog.KindDate, txlog.KindDecimal, txlog.KindBinary, txlog.KindTimestamp, txlog.KindTimestampNTZ:
		return true
	default:
		return false
	}
}

func (s *Session) update(ctx context.Context, st *Update, out *Outcome) error {
	t, err := s.open(ctx, st.Target, out)
	if err != nil {
		return err
	}
	u := st.Request
	u.Set = slices.Clone(u.Set)
	texts := []*string{&u.Where}
	for i := range u.Set {
		texts = append(texts, &u.Set[i].Value)
	}
	if u.Relations, err = s.inner(ctx, texts); err != nil {
		return err
	}
	u.TimeZone, u.Meta = s.TimeZone, s.Meta
	return s.commit(ctx, out, "updated", func(ctx context.Context) (*table.Change, error) { return t.PrepareUpdate(ctx, s.Engine, u) })
}

func (s *Session) delete(ctx context.Context, st *Delete, out *Outcome) error {
	t, err := s.open(ctx, st.Target, out)
	if err != nil {
		return err
	}
	d := st.Request
	if d.Relations, err = s.inner(ctx, []*string{&d.Where}); err != nil {
		return err
	}
	d.TimeZone, d.Meta = s.TimeZone, s.Meta
	return s.commit(ctx, out, "deleted from", func(ctx context.Context) (*table.Change, error) { return t.PrepareDelete(ctx, s.Engine, d) })
}

// inner finds the tables in the subqueries of expressions, and puts the expressions into the engine's words.
func (s *Session) inner(ctx context.Context, texts []*string) (map[string]table.Relation, error) {
	subqueries := false
	var all []string
	for _, text := range texts {
		if *text == "" {
			continue
		}
		p := &parser{sql: *text, tokens: scan(*text)}
		for i := range p.tokens {
			subqueries = subqueries || p.isAt(i, "SELECT") || p.isAt(i, "FROM")
		}
		r, err := rewrite(*text)
		if err != nil {
			return nil, err
		}
		if len(r.feeds) > 0 {
			return nil, fmt.Errorf("%w: table_changes stands in queries, not in a condition", table.ErrInvalidRequest)
		}
		*text = r.sql
		all = append(all, "("+r.sql+"\n)")
	}
	if !subqueries {
		return nil, nil
	}
	st, err := s.Engine.Parse(ctx, table.Parse{SQL: "SELECT " + strings.Join(all, ", ")})
	if err != nil {
		return nil, err
	}
	if f := fileFunction(st.Functions); f != "" {
		return nil, &FunctionError{f}
	}
	out := map[string]table.Relation{}
	for _, ref := range st.Tables {
		t, rel, err := reference(ctx, s.Lake, ref)
		if err == nil && t != nil {
			rel, _, err = t.Relation(ctx, table.ScanOptions{})
		}
		if err != nil {
			return nil, err
		}
		out[ref.Key()] = rel
	}
	return out, nil
}

func (s *Session) insert(ctx context.Context, st *Insert, out *Outcome) error {
	t, err := s.open(ctx, st.Target, out)
	if err != nil {
		return err
	}
	source, err := s.source(ctx, Source{SQL: st.SQL}, nil)
	if err != nil {
		return err
	}
	if !st.ByName {
		if source.SQL, err = s.named(ctx, t, st, source); err != nil {
			return err
		}
	}
	if !st.Overwrite {
		a := table.Append{Source: source, MergeSchema: st.Evolve, Meta: s.Meta}
		return s.commit(ctx, out, "inserted into", func(ctx context.Context) (*table.Change, error) { return t.PrepareAppend(ctx, s.Engine, a) })
	}
	o := table.Overwrite{Source: source, Where: st.Where, MergeSchema: st.Evolve, Meta: s.Meta}
	if o.Where != "" {
		where := o.Where
		if _, err := s.inner(ctx, []*string{&where}); err != nil {
			return err
		}
		o.Where = where
	}
	return s.commit(ctx, out, "overwritten", func(ctx context.Context) (*table.Change, error) { return t.PrepareOverwrite(ctx, s.Engine, o) })
}

// named gives the columns of a query the names of the table's columns that they stand for.
func (s *Session) named(ctx context.Context, t *table.Table, st *Insert, source table.Query) (string, error) {
	schema, err := t.Schema()
	if err != nil {
		return "", err
	}
	rows, err := s.Engine.Query(ctx, source)
	if err != nil {
		return "", err
	}
	given := len(rows.Columns)
	if err := rows.Close(); err != nil {
		return "", err
	}
	columns := st.Columns
	for i, c := range columns {
		f, err := schema.Lookup(c)
		if err != nil && !st.Evolve {
			return "", fmt.Errorf("%w: %w", table.ErrSchemaMismatch, err)
		}
		if err == nil && slices.ContainsFunc(columns[:i], func(o string) bool { return strings.EqualFold(o, f.Name) }) {
			return "", fmt.Errorf("%w: column %q is given twice", table.ErrInvalidRequest, f.Name)
		}
	}
	if columns == nil {
		columns = schema.Names()
		if own := valued(schema); given != len(columns) && given == len(own) {
			columns = own // the table makes the values of the others
		}
	}
	if given != len(columns) {
		return "", fmt.Errorf("%w: the query has %d columns for the %d columns %s", table.ErrSchemaMismatch, given, len(columns), strings.Join(columns, ", "))
	}
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = table.QuoteIdent(c)
	}
	return "SELECT * FROM (" + strings.TrimRight(source.SQL, "; \t\r\n") + "\n) AS s(" + strings.Join(names, ", ") + ")", nil
}

// valued are the columns whose values the table does not make itself.
func valued(schema *txlog.Schema) []string {
	var out []string
	for _, f := range schema.Fields {
		id, ierr := f.Identity()
		text, gerr := f.Generation()
		if id == nil && text == "" && ierr == nil && gerr == nil {
			out = append(out, f.Name)
		}
	}
	return out
}
