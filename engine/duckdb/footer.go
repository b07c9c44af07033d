package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// footers reads the footer of each file with a reader of our own before DuckDB sees the file: its reader recurses
// without a bound over nested columns, so that a file of a few kilobytes ends the process, and believes counts that
// do not add up.
func (s *session) footers(ctx context.Context, paths []string) ([]*parquetio.Footer, error) {
	out := make([]*parquetio.Footer, len(paths))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchParallel)
	for i, path := range paths {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			var err error
			if sparse := s.sparse[path]; sparse != nil {
				out[i], err = parquetio.ReadFooter(sparse.Reader(ctx), sparse.Size(), s.engine.options.Limits)
			} else {
				out[i], err = readFooter(path, s.engine.options.Limits)
			}
			if err != nil {
				return s.footerError(path, err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return out, nil
}

func readFooter(path string, bound limits.Limits) (*parquetio.Footer, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // read only
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return parquetio.ReadFooter(f, st.Size(), bound)
}

// footerError says which file has a bad footer: one of a table, or one that a statement names.
func (s *session) footerError(path string, err error) error {
	var over *limits.Error
	if !errors.Is(err, parquetio.ErrMalformed) || errors.As(err, &over) {
		return fmt.Errorf("read %s: %w", s.names[path], gone(err))
	}
	if f, ok := s.sources[path]; ok {
		return &table.SourceFileError{File: f.name, Reason: err.Error()}
	}
	return fmt.Errorf("%w: %s: %s", table.ErrDataFile, s.names[path], err.Error()) // whose error it was is our business
}

// fits refuses a file whose column cannot hold what the table says: DuckDB would cast, and a text that looks like a
// number would be read as one. It looks at columns outside structs, lists and maps.
func (r *reader) fits(path string, footer *parquetio.Footer) error {
	var err error
	r.pairs(footer, func(leaf *parquetio.Leaf, i int) {
		if f := r.fields[i]; err == nil && !holds(leaf, f.Type.Kind) {
			err = fmt.Errorf("%w: %s: column %s is %s in the file, which cannot hold %s",
				table.ErrDataFile, r.session.names[path], f.Name, physicalName(leaf), f.Type)
		}
	})
	return err
}

// pairs visits the columns of a file that are outside structs, lists and maps, each with the index in reader.fields of
// what it is in the table.
func (r *reader) pairs(footer *parquetio.Footer, visit func(leaf *parquetio.Leaf, field int)) {
	for i := range footer.Leaves {
		leaf := &footer.Leaves[i]
		if leaf.Depth != 1 {
			continue
		}
		for n, f := range r.fields {
			if r.relation.Mapping == txlog.MappingID {
				if id, ok := f.FieldID(); !ok || int64(id) != leaf.FieldID {
					continue
				}
			} else if !strings.EqualFold(f.PhysicalName(r.relation.Mapping), leaf.Name) {
				continue
			}
			visit(leaf, n)
		}
	}
}

// converted tells which of reader.fields get other values while they are read than a file holds, in the sense that a
// constant of the table's type may have no equal among them; nil where none does.
func (r *reader) converted(footer *parquetio.Footer) []bool {
	var out []bool
	mark := func(i int) {
		if out == nil {
			out = make([]bool, len(r.fields))
		}
		out[i] = true
	}
	r.pairs(footer, func(leaf *parquetio.Leaf, i int) {
		if !exact(leaf, r.fields[i].Type) {
			mark(i)
		}
	})
	millis := slices.ContainsFunc(footer.Leaves, func(l parquetio.Leaf) bool { return l.Depth > 1 && l.Millis })
	for i, f := range r.fields {
		nested := &txlog.Schema{Fields: []txlog.Field{f}}
		if f.Type.Nested() && (nested.Widened() || millis && (nested.Uses(txlog.KindTimestamp) || nested.Uses(txlog.KindTimestampNTZ))) {
			mark(i)
		}
	}
	return out
}

// exact tells whether every constant of a type, cast to what the file holds, either fails to be cast or is the same.
func exact(leaf *parquetio.Leaf, t *txlog.DataType) bool {
	switch t.Kind {
	case txlog.KindDouble:
		return leaf.Physical == parquetio.PhysicalDouble
	case txlog.KindFloat:
		return leaf.Physical == parquetio.PhysicalFloat
	case txlog.KindDecimal:
		return leaf.Decimal && leaf.Scale == int64(t.Scale)
	case txlog.KindTimestamp, txlog.KindTimestampNTZ:
		return leaf.Physical == parquetio.PhysicalInt96 || leaf.Physical == parquetio.PhysicalInt64 && !leaf.Millis
	default:
		return true
	}
}

// opaque is a value that DuckDB does not look behind. It would apply filters, also those that come from joins, to what
// a file holds, with the constant cast to that type: d < TIMESTAMP '2020-02-03 12:00:00' on a file with dates would
// leave out the third.
func opaque(sql string) string { return "CASE WHEN " + sql + " IS NOT NULL THEN " + sql + " END" }

// holds tells whether values of a physical type can be those of a column, perhaps after widening.
func holds(leaf *parquetio.Leaf, kind txlog.Kind) bool {
	bytes := leaf.Physical == parquetio.PhysicalBytes || leaf.Physical == parquetio.PhysicalFixedBytes
	switch kind {
	case txlog.KindString, txlog.KindBinary:
		return bytes && !leaf.Decimal
	case txlog.KindBoolean:
		return leaf.Physical == parquetio.PhysicalBoolean
	case txlog.KindByte, txlog.KindShort, txlog.KindInteger, txlog.KindLong, txlog.KindFloat, txlog.KindDouble, txlog.KindDecimal,
		txlog.KindDate, txlog.KindTimestamp, txlog.KindTimestampNTZ:
		return leaf.Physical != parquetio.PhysicalBoolean && (!bytes || leaf.Decimal)
	default:
		return true
	}
}

func physicalName(leaf *parquetio.Leaf) string {
	names := []string{"a boolean", "a 32-bit number", "a 64-bit number", "a 96-bit timestamp", "a float", "a double", "bytes", "bytes of fixed length"}
	if leaf.Decimal {
		return "a decimal"
	}
	return names[leaf.Physical]
}
