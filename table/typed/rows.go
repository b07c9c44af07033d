package typed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"

	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Rows streams the rows of the table at its version, file by file, in no order that means anything. p drops files
// that cannot hold a row for which it is true, and filters no rows; nil keeps all. The first error ends the sequence.
//
// Errors: table.ErrSchemaMismatch where T does not fit the columns; table.ErrValue for a NULL that T cannot hold;
// table.ErrDataFile; txlog.ErrFileGone; those of Relation and of the store.
// Cost:   for each file its footer, and the columns of T a row group at a time; a T with lists, maps or structs reads
// all columns.
func Rows[T any](ctx context.Context, t *table.Table, p *txlog.Predicate) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		err := func() error {
			rel, _, err := t.Relation(ctx, table.ScanOptions{Predicate: p})
			if err != nil {
				return err
			}
			members, err := bind(reflect.TypeFor[T](), rel.Schema.Fields, "", reading)
			if err != nil {
				return err
			}
			for _, f := range rel.Files {
				s := &scan{table: t, relation: rel, file: f, members: members}
				err := s.rows(ctx, func(values []any) (bool, error) {
					var row T
					to := reflect.ValueOf(&row).Elem()
					for i, m := range members {
						if err := m.codec.decode(to.FieldByIndex(m.index), values[i]); err != nil {
							return false, err
						}
					}
					return yield(row, nil), nil
				})
				if err != nil {
					if errors.Is(err, errStopped) {
						return nil
					}
					return fmt.Errorf("data file %s: %w", f.Key, err)
				}
			}
			return nil
		}()
		if err != nil {
			var none T
			yield(none, fmt.Errorf("read %s: %w", t.URL(), err))
		}
	}
}

// errStopped says that nobody wants more rows.
var errStopped = errors.New("stopped")

// scan reads one data file.
type scan struct {
	table    *table.Table
	relation table.Relation
	file     table.RelationFile
	members  []member

	open     *parquetio.File
	constant []any               // values of partition columns, by member
	columns  []*parquetio.Column // of the file, by member; nil: a constant
	adapters []adapter
}

// rows calls each with one value for every member.
func (s *scan) rows(ctx context.Context, each func([]any) (bool, error)) error {
	var err error
	s.open, err = parquetio.Open(objectstore.ReaderAt(ctx, s.file.Store, s.file.Key, s.file.Size), s.file.Size, s.table.Limits())
	if err != nil {
		return fileError(err)
	}
	if err := s.prepare(); err != nil {
		return err
	}
	at := uint64(0)
	for g := range s.open.Groups() {
		values, err := s.group(g)
		if err != nil {
			return fileError(err)
		}
		for row, err := range values {
			if err := ctx.Err(); err != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				return fileError(err)
			}
			gone := s.file.Deleted != nil && s.file.Deleted.Contains(at)
			at++
			if gone {
				continue
			}
			if more, err := each(row); err != nil || !more {
				return errors.Join(err, stopped(more, err))
			}
		}
	}
	return nil
}

func stopped(more bool, err error) error {
	if !more && err == nil {
		return errStopped
	}
	return nil
}

// fileError gives errors of the codec the kind that users of tables know.
func fileError(err error) error {
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return fmt.Errorf("%w: %w", txlog.ErrFileGone, err)
	case errors.Is(err, parquetio.ErrMalformed):
		return fmt.Errorf("%w: %w", table.ErrDataFile, err)
	}
	return err
}

// prepare finds out where the values of each member come from.
func (s *scan) prepare() error {
	n := len(s.members)
	s.constant, s.columns, s.adapters = make([]any, n), make([]*parquetio.Column, n), make([]adapter, n)
	for i, m := range s.members {
		f := s.relation.Schema.Fields[m.at]
		if slices.Contains(s.relation.PartitionColumns, f.Name) {
			l, err := txlog.ParsePartition(f.Type, s.file.Partition[f.Name])
			if err != nil {
				return err
			}
			if s.constant[i], err = constant(f.Type, l); err != nil {
				return fmt.Errorf("partition column %s: %w", f.Name, err)
			}
			continue
		}
		c := find(s.open.Schema().Fields, f, s.relation.Mapping)
		if c == nil {
			continue
		}
		a, err := adapt(c, f.Type, s.relation.Mapping)
		if err != nil {
			return err
		}
		s.columns[i], s.adapters[i] = c, a
	}
	return nil
}

// constant is a partition value in the forms of parquetio.Kind.
func constant(t *txlog.DataType, l txlog.Literal) (any, error) {
	switch l.Kind {
	case txlog.KindVoid:
		return nil, nil
	case txlog.KindBoolean:
		return l.Bool, nil
	case txlog.KindLong, txlog.KindDate, txlog.KindTimestamp, txlog.KindTimestampNTZ:
		return l.Int, nil
	case txlog.KindDouble:
		return l.Float, nil
	case txlog.KindString:
		return l.String, nil
	case txlog.KindBinary:
		return []byte(l.String), nil
	case txlog.KindDecimal:
		n, exact := unscaled(l, t.Scale)
		if !exact {
			return nil, fmt.Errorf("%w: %s has more than %d digits after the point", table.ErrDataFile, l.Rat, t.Scale)
		}
		return n, nil
	}
	return nil, fmt.Errorf("%w: a partition value of type %s", txlog.ErrUnsupportedType, t.SQL())
}

// group streams the rows of one row group.
func (s *scan) group(g int) (iter.Seq2[[]any, error], error) {
	flat := true
	for _, c := range s.columns {
		flat = flat && (c == nil || c.Leaf())
	}
	if flat {
		return s.vectors(g)
	}
	from := make([]int, len(s.columns))
	for i, c := range s.columns {
		from[i] = slices.Index(s.open.Schema().Fields, c)
	}
	return func(yield func([]any, error) bool) {
		out := make([]any, len(s.columns))
		for row, err := range s.open.Group(g) {
			for i := 0; i < len(out) && err == nil; i++ {
				if out[i] = s.constant[i]; s.columns[i] != nil {
					out[i], err = s.adapters[i](row[from[i]])
				}
			}
			if !yield(out, err) || err != nil {
				return
			}
		}
	}, nil
}

// vectors streams rows whose columns hold plain values: no other column is read.
func (s *scan) vectors(g int) (iter.Seq2[[]any, error], error) {
	vectors := make([]*parquetio.Vector, len(s.columns))
	for i, c := range s.columns {
		if c == nil {
			continue
		}
		var err error
		if vectors[i], err = s.open.ReadVector(g, c); err != nil {
			return nil, err
		}
	}
	return func(yield func([]any, error) bool) {
		out := make([]any, len(s.columns))
		for row := range int(s.open.GroupRows(g)) {
			var err error
			for i := 0; i < len(out) && err == nil; i++ {
				if out[i] = s.constant[i]; vectors[i] != nil {
					out[i], err = s.adapters[i](vectors[i].Value(row))
				}
			}
			if !yield(out, err) || err != nil {
				return
			}
		}
	}, nil
}
