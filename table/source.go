package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// outputOf asks the engine for the columns of a SELECT, without reading rows.
func outputOf(ctx context.Context, eng Engine, q Query) ([]txlog.Field, error) {
	fields, err := OutputOf(ctx, eng, q)
	if err != nil {
		return nil, fmt.Errorf("read the columns of the source: %w", err)
	}
	return fields, nil
}

// OutputOf asks the engine for the columns of a SELECT, without computing rows. Two columns of one name, without
// regard to case, are an error: nobody could say which one is meant.
//
// Errors: those of Engine.Query.
func OutputOf(ctx context.Context, eng Engine, q Query) ([]txlog.Field, error) {
	q.Unordered = true // no row is computed
	rows, err := eng.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	fields := slices.Clone(rows.Columns)
	return fields, errors.Join(checkTwins(q.SQL, fields), rows.Close())
}

func checkTwins(sql string, fields []txlog.Field) error {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return CheckTwins(sql, names)
}

// CheckTwins says whether two output columns of a SELECT have one name, without regard to case. Errors: *SQLError.
func CheckTwins(sql string, names []string) error {
	first := make(map[string]string, len(names))
	for _, name := range names {
		key := strings.ToLower(name)
		if twin, ok := first[key]; ok {
			return &SQLError{SQL: sql, Offset: -1, Message: fmt.Sprintf(
				"two columns have one name: %s and %s; give one of them another with AS", QuoteIdent(twin), QuoteIdent(name))}
		}
		first[key] = name
	}
	return nil
}

// typesOf asks the engine for the columns of a SELECT as a table would hold them. Where outputOf shows a value in a
// type that is near, this refuses it and says which cast to write.
//
// Errors: *SQLError for a column that no Delta type holds.
func typesOf(ctx context.Context, eng Engine, q Query) ([]txlog.Field, error) {
	schemas, err := schemasOf(ctx, eng, q)
	if err != nil {
		return nil, err
	}
	st, err := eng.Parse(ctx, Parse{SQL: q.SQL, TimeZone: q.TimeZone, Schemas: func(r TableRef) (*txlog.Schema, error) {
		for name, schema := range schemas {
			if strings.EqualFold(name, r.Key()) {
				return schema, nil
			}
		}
		return nil, fmt.Errorf("%w: the source names table %q", ErrInvalidRequest, r.Key())
	}})
	if err != nil {
		return nil, fmt.Errorf("read the columns of the source: %w", err)
	}
	return st.Output, checkTwins(q.SQL, st.Output)
}

// schemasOf finds the columns of the relations of q, by their names.
func schemasOf(ctx context.Context, eng Engine, q Query) (map[string]*txlog.Schema, error) {
	out := make(map[string]*txlog.Schema, len(q.Relations))
	for name, rel := range q.Relations {
		if rel.Schema != nil && !rel.Position {
			out[name] = rel.Schema
			continue
		}
		fields, err := outputOf(ctx, eng, Query{
			SQL: "SELECT * FROM " + QuoteIdent(sourceRelation), Relations: map[string]Relation{sourceRelation: rel}, TimeZone: q.TimeZone,
		})
		if err != nil {
			return nil, err
		}
		out[name] = &txlog.Schema{Fields: fields}
	}
	return out, nil
}

// scratch is rows that the engine keeps for the length of one operation, outside any table.
type scratch struct {
	schema *txlog.Schema
	files  []WrittenFile
}

// keep runs q once and keeps its rows, so that they can be read any number of times and are the same each time.
func keep(ctx context.Context, eng Engine, q Query, schema *txlog.Schema) (*scratch, error) {
	files, err := eng.Write(ctx, q, Write{Schema: schema, Codec: scratchCodec})
	if err != nil {
		return nil, valueErrorOf(err)
	}
	return &scratch{schema: schema, files: files}, nil
}

// scratchCodec is cheap: scratch rows are written and read once or twice on this machine.
const scratchCodec = "snappy"

// relation is the rows as a relation.
func (s *scratch) relation() Relation {
	rel := Relation{Schema: s.schema}
	for _, f := range s.files {
		rel.Files = append(rel.Files, f.relationFile())
	}
	return rel
}

// drop deletes the rows, also when ctx is done. Errors are not reported: the engine removes its scratch when it closes.
func (s *scratch) drop(ctx context.Context) {
	if s == nil {
		return
	}
	for _, f := range s.files {
		_ = f.Store.Delete(context.WithoutCancel(ctx), f.Key)
	}
}

// matchColumns finds, for each column of target, the source column of its name: the exact name first, then the only
// one that is equal without regard to case. extra are the source columns that target lacks.
//
// Errors: ErrSchemaMismatch when two source columns meet in one column of the table.
func matchColumns(target *txlog.Schema, source []txlog.Field) (from map[string]string, extra []txlog.Field, err error) {
	from = make(map[string]string, len(source))
	for _, f := range source {
		t, err := target.Lookup(f.Name)
		if err != nil {
			extra = append(extra, f)
			continue
		}
		if other, twice := from[t.Name]; twice {
			return nil, nil, fmt.Errorf("%w: source columns %q and %q are both %q of the table", ErrSchemaMismatch, other, f.Name, t.Name)
		}
		from[t.Name] = f.Name
	}
	return from, extra, nil
}

// checkNested refuses fields of nested source columns that the table's columns lack: a cast would drop them.
//
// Errors: ErrSchemaMismatch, with the paths.
func checkNested(target *txlog.Schema, source []txlog.Field, from map[string]string) error {
	var lost []string
	for _, f := range target.Fields {
		if t := typeOf(source, from[f.Name]); t != nil {
			lost = append(lost, lostFields(t, f.Type, f.Name)...)
		}
	}
	if lost != nil {
		return fmt.Errorf("%w: the table has no field %s; merge schemas to add it", ErrSchemaMismatch, strings.Join(lost, ", "))
	}
	return nil
}

// lostFields lists the fields of structs in from that the structs of to, which stand at the same place, lack.
func lostFields(from, to *txlog.DataType, path string) []string {
	if from.Kind != to.Kind {
		return nil
	}
	var lost []string
	switch from.Kind {
	case txlog.KindStruct:
		for _, f := range from.Fields {
			at := slices.IndexFunc(to.Fields, func(t txlog.Field) bool { return strings.EqualFold(t.Name, f.Name) })
			if at < 0 {
				lost = append(lost, strconv.Quote(path+"."+f.Name))
				continue
			}
			lost = append(lost, lostFields(f.Type, to.Fields[at].Type, path+"."+f.Name)...)
		}
	case txlog.KindArray:
		return lostFields(from.Element, to.Element, path+".element")
	case txlog.KindMap:
		return append(lostFields(from.Key, to.Key, path+".key"), lostFields(from.Value, to.Value, path+".value")...)
	default:
	}
	return lost
}

// names lists the names of fields for an error.
func names(fields []txlog.Field) string {
	out := make([]string, len(fields))
	for i, f := range fields {
		out[i] = fmt.Sprintf("%q", f.Name)
	}
	return strings.Join(out, ", ")
}

// castSource is the rows of src, which have the columns of source, as new rows of the table: matched by name and cast.
//
// Errors: ErrSchemaMismatch where src lacks a not null column that nothing else gives a value.
func (n *newRows) castSource(source []txlog.Field, from map[string]string, src string) error {
	given := func(column string) bool { _, ok := from[column]; return ok }
	if missing := n.rules.missing(given); len(missing) > 0 {
		return fmt.Errorf("%w: the source lacks the not null columns %s", ErrSchemaMismatch, names(missing))
	}
	if err := n.rules.checkInserted(given); err != nil {
		return err
	}
	values := make(map[string]string, len(from))
	for _, f := range n.rules.schema.Fields {
		if name, ok := from[f.Name]; ok {
			values[f.Name] = CastSQL(qualified("s", name), typeOf(source, name), f.Type, f.Name)
		}
	}
	n.add(values, " FROM "+subquery(src)+" AS s", true, allRows)
	return nil
}

// typeOf is the type of the field of that exact name; nil when there is none.
func typeOf(fields []txlog.Field, name string) *txlog.DataType {
	for _, f := range fields {
		if f.Name == name {
			return f.Type
		}
	}
	return nil
}

// readsTable tells whether q reads files of t: then its answer depends on the version of t.
func readsTable(t *Table, q Query) bool {
	for _, rel := range q.Relations {
		for _, f := range rel.Files {
			if f.Store != nil && f.Store.URL() == t.Store().URL() && strings.HasPrefix(f.Key, t.prefix()) {
				return true
			}
		}
	}
	return false
}

// checkSource refuses a source without SQL.
func checkSource(q Query) error {
	if strings.TrimSpace(q.SQL) == "" {
		return fmt.Errorf("%w: the source has no SELECT", ErrInvalidRequest)
	}
	return nil
}

// joinErrors keeps the first error and the one of the clean-up after it.
func joinErrors(err, cleanup error) error {
	if cleanup == nil {
		return err
	}
	return errors.Join(err, cleanup)
}
