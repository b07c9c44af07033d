package table

import (
	"context"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// mergeSource is the rows of a source as the statements of a merge read them: kept once, or read again and again where
// the source is nothing but files that never change.
type mergeSource struct {
	schema *txlog.Schema // columns of the source
	rel    Relation
	kept   *scratch // nil: the files themselves
	rows   int64
}

// fileRows is more rows than any file has: the number of a row is its position, and that of its file times fileRows.
const fileRows = 1 << 40

// row is the SQL of the number of a source row.
func (s *mergeSource) row(alias string) string {
	if s.kept != nil {
		return qualified(alias, sourceRowColumn)
	}
	return "(CAST(" + qualified(alias, FileColumn) + " AS BIGINT) * " + metric(fileRows) + " + " + qualified(alias, RowColumn) + ")"
}

// there is a column that is NULL only where there is no source row.
func (s *mergeSource) there(alias string) string {
	if s.kept != nil {
		return qualified(alias, sourceRowColumn)
	}
	return qualified(alias, RowColumn)
}

// drop removes what was kept.
func (s *mergeSource) drop(ctx context.Context) {
	if s != nil {
		s.kept.drop(ctx)
	}
}

// openSource makes the rows of the source readable: files are read in place, anything else runs once and is kept.
func (r *merging) openSource(ctx context.Context) error {
	r.source = &mergeSource{}
	var err error
	if r.source.schema, err = nullable(r.fields); err != nil {
		return fmt.Errorf("%w: source: %w", ErrSchemaMismatch, err)
	}
	if rel, ok := filesOf(r.Source, r.source.schema); ok {
		r.source.rel = rel
		row, _, err := r.one(ctx, "SELECT count(*) FROM "+QuoteIdent(sourceRelation))
		if err != nil {
			return fmt.Errorf("read the source: %w", err)
		}
		r.source.rows, ok = row[0].(int64)
		if !ok {
			return fmt.Errorf("read the source: engine answered with %v", row[0])
		}
		return nil
	}
	return r.keepSource(ctx)
}

// nullable is the schema of columns that may be NULL.
func nullable(fields []txlog.Field) (*txlog.Schema, error) {
	out := make([]txlog.Field, len(fields))
	for i, f := range fields {
		out[i] = txlog.Field{Name: f.Name, Type: f.Type, Nullable: true}
	}
	return txlog.NewSchema(out...)
}

// filesOf is the relation that a source selects whole, with numbered rows, if it does nothing else and if its rows are
// the same whenever they are read.
func filesOf(q Query, schema *txlog.Schema) (Relation, bool) {
	tokens, ok := lex(strings.TrimSuffix(strings.TrimSpace(q.SQL), ";"))
	if !ok || len(tokens) != 4 || !tokens[0].is("select") || !tokens[1].is("*") || !tokens[2].is("from") || !tokens[3].named() {
		return Relation{}, false
	}
	for _, f := range schema.Fields {
		if strings.EqualFold(f.Name, FileColumn) || strings.EqualFold(f.Name, RowColumn) {
			return Relation{}, false
		}
	}
	for name, rel := range q.Relations {
		if !strings.EqualFold(name, tokens[3].text) {
			continue
		}
		switch {
		case rel.Position || rel.RowIDs != nil || len(rel.Files) == 0:
			return Relation{}, false
		case rel.External != nil && rel.External.Format != "parquet":
			return Relation{}, false
		case rel.External != nil:
			rel.Schema = schema // types as the source shows them
		}
		rel.Position = true
		return rel, true
	}
	return Relation{}, false
}

// keepSource runs the source once and numbers its rows.
func (r *merging) keepSource(ctx context.Context) error {
	number := txlog.Field{Name: sourceRowColumn, Type: &txlog.DataType{Kind: txlog.KindLong, Name: "long"}, Nullable: true}
	schema, err := txlog.NewSchema(append([]txlog.Field{number}, r.source.schema.Fields...)...)
	if err != nil {
		return fmt.Errorf("%w: source: %w", ErrSchemaMismatch, err)
	}
	q := r.Source
	q.SQL = "SELECT row_number() OVER () AS " + sourceRowColumn + ", s.* FROM " + subquery(q.SQL) + " AS s"
	kept, err := keep(ctx, r.eng, q, schema)
	if err != nil {
		return fmt.Errorf("read the source: %w", err)
	}
	r.source.kept, r.source.rel, r.source.rows = kept, kept.relation(), rowsOf(kept.files)
	return nil
}
