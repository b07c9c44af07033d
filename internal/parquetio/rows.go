package parquetio

import (
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/parquet-go/parquet-go"
)

// All streams the rows of the file in order: one value for each field of Schema, in the forms that [Kind] describes.
// The slice is reused for the next row; the values are not. The first error ends the sequence: [ErrMalformed],
// *limits.Error, the errors of the reader.
func (f *File) All() iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		for g := range f.Groups() {
			for row, err := range f.Group(g) {
				if !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}

// Group streams the rows of one row group as All does.
func (f *File) Group(g int) iter.Seq2[[]any, error] {
	return func(yield func([]any, error) bool) {
		r, err := f.openGroup(g)
		if err != nil {
			yield(nil, err)
			return
		}
		defer r.close()
		for {
			row, err := r.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if !yield(row, err) || err != nil {
				return
			}
		}
	}
}

type groupReader struct {
	file  *File
	rows  parquet.Rows
	buf   []parquet.Row
	have  int
	at    int
	seen  int64
	want  int64
	build assembler
	done  bool
}

func (f *File) openGroup(g int) (r *groupReader, err error) {
	defer recovered(&err)
	if g < 0 || g >= f.Groups() {
		return nil, fmt.Errorf("%w: no row group %d", ErrMalformed, g)
	}
	for _, leaf := range f.leaves {
		if leaf.Kind == KindUnknown {
			return nil, fmt.Errorf("%w: type of column %s is not known", ErrMalformed, leaf.Name)
		}
		if err := f.loadChunk(g, leaf.leaf); err != nil {
			return nil, err
		}
	}
	f.window.drop()
	return &groupReader{
		file: f, rows: f.file.RowGroups()[g].Rows(), buf: make([]parquet.Row, 64), want: f.GroupRows(g),
		build: assembler{columns: make([][]parquet.Value, len(f.leaves)), file: f},
	}, nil
}

func (r *groupReader) close() { _ = r.rows.Close() } // nothing is written

func (r *groupReader) next() (row []any, err error) {
	defer recovered(&err)
	for r.at == r.have {
		if r.done || r.seen == r.want {
			if r.seen != r.want {
				return nil, fmt.Errorf("%w: %d rows, the footer says %d", ErrMalformed, r.seen, r.want)
			}
			return nil, io.EOF
		}
		n, err := r.rows.ReadRows(r.buf)
		r.at, r.have = 0, n
		r.done = errors.Is(err, io.EOF)
		if err != nil && !r.done {
			return nil, malformed(r.file.window, err)
		}
		if n == 0 && err == nil {
			return nil, malformed(r.file.window, io.ErrNoProgress)
		}
	}
	r.at++
	r.seen++
	return r.build.row(r.buf[r.at-1])
}

// assembler rebuilds nested values from levels.
type assembler struct {
	file    *File
	columns [][]parquet.Value // what is left of each leaf in this row
	out     []any
}

var errLevels = errors.New("repetition and definition levels disagree")

func (a *assembler) row(row parquet.Row) ([]any, error) {
	row.Range(func(column int, values []parquet.Value) bool {
		a.columns[column] = values
		return true
	})
	a.out = a.out[:0]
	for _, f := range a.file.root.Fields {
		v, err := a.value(f)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
		}
		a.out = append(a.out, v)
	}
	for _, left := range a.columns {
		if len(left) != 0 {
			return nil, fmt.Errorf("%w: %w", ErrMalformed, errLevels)
		}
	}
	return a.out, nil
}

// peek is the next value of the first leaf below c.
func (a *assembler) peek(c *Column) (parquet.Value, bool) {
	for c.leaf < 0 {
		switch c.Kind {
		case KindList:
			c = c.Element
		case KindMap:
			c = c.Key
		default:
			if len(c.Fields) == 0 {
				return parquet.Value{}, false
			}
			c = c.Fields[0]
		}
	}
	if left := a.columns[c.leaf]; len(left) > 0 {
		return left[0], true
	}
	return parquet.Value{}, false
}

// drop consumes the placeholders of something that is not there.
func (a *assembler) drop(c *Column) error {
	var err error
	c.leaves(func(leaf *Column) {
		if len(a.columns[leaf.leaf]) == 0 {
			err = errLevels
			return
		}
		a.columns[leaf.leaf] = a.columns[leaf.leaf][1:]
	})
	return err
}

func (a *assembler) value(c *Column) (any, error) {
	first, ok := a.peek(c)
	if !ok {
		return nil, errLevels
	}
	def := uint8(first.DefinitionLevel()) //nolint:gosec // a byte in the library
	if def < c.def {
		return nil, a.drop(c)
	}
	switch c.Kind {
	case KindStruct:
		out := make([]any, len(c.Fields))
		for i, f := range c.Fields {
			v, err := a.value(f)
			if err != nil {
				return nil, err
			}
			out[i] = v
		}
		return out, nil
	case KindList:
		out := []any{}
		err := a.repeat(c, def, func() error {
			v, err := a.value(c.Element)
			out = append(out, v)
			return err
		})
		return out, err
	case KindMap:
		out := []Entry{}
		err := a.repeat(c, def, func() error {
			k, err := a.value(c.Key)
			if err != nil {
				return err
			}
			v, err := a.value(c.Value)
			out = append(out, Entry{k, v})
			return err
		})
		return out, err
	}
	a.columns[c.leaf] = a.columns[c.leaf][1:]
	return leafValue(c, first), nil
}

// repeat reads the elements of a list or map.
func (a *assembler) repeat(c *Column, def uint8, element func() error) error {
	if def < c.listDef {
		return a.drop(c)
	}
	for {
		if err := element(); err != nil {
			return err
		}
		next, more := a.peek(c)
		if !more || uint8(next.RepetitionLevel()) < c.listRep { //nolint:gosec // a byte in the library
			return nil
		}
	}
}

// leafValue turns a value of the library into the form of its kind.
func leafValue(c *Column, v parquet.Value) any {
	switch c.Kind {
	case KindBoolean:
		return v.Boolean()
	case KindFloat:
		return float64(v.Float())
	case KindDouble:
		return v.Double()
	case KindDecimal:
		return decimalOf(c, v)
	case KindString:
		return string(v.ByteArray())
	case KindBinary:
		return append([]byte{}, v.ByteArray()...)
	}
	return intOf(c, v)
}
