package parquetio

import (
	"errors"
	"fmt"
	"math/big"
	"runtime"
	"strings"
	"sync"

	"github.com/parquet-go/parquet-go"
)

// Fill gives the values of one leaf of a row group, or of the two leaves of a map of texts. Exactly one function is set.
// missing is 0 for a value, else how many of the optional levels above it are absent, its own included: 1 is a null in
// a struct that is there. The functions of one row group are called from one goroutine, row by row.
type Fill struct {
	Text    func(row int) (s string, missing uint8)
	Int     func(row int) (n int64, missing uint8)
	Float   func(row int) (f float64, missing uint8)
	Decimal func(row int) (unscaled *big.Int, missing uint8)
	Bool    func(row int) (b bool, missing uint8)
	Map     func(row int) (entries [][2]string, missing uint8) // pairs of key and value, "" is a null value
}

// Group is a row group: its rows, and its columns by their path ("add.path"). Of the others every row is null from the
// top on.
type Group struct {
	Rows  int
	Fills map[string]Fill
}

// WriteGroups writes row groups column by column, some of them side by side; group(i) is asked for in order. Rows that
// were written before go to a row group of their own. Errors: [ErrValue], the errors of the output.
func (w *Writer) WriteGroups(n int, group func(i int) Group) (err error) {
	defer recovered(&err)
	ahead := min(runtime.GOMAXPROCS(0), n)
	pending := make([]chan error, n)
	writers := make([]*parquet.ConcurrentRowGroupWriter, n)
	rows := make([]int, n)
	var wg sync.WaitGroup
	defer wg.Wait()
	for i := range n + ahead - 1 {
		if i < n {
			g := group(i)
			writers[i], rows[i], pending[i] = w.w.BeginRowGroup(), g.Rows, make(chan error, 1)
			wg.Go(func() { pending[i] <- w.fill(writers[i], g) })
		}
		done := i - ahead + 1
		if done < 0 {
			continue
		}
		if err := <-pending[done]; err != nil {
			return err
		}
		if _, err := writers[done].Commit(); err != nil {
			return err
		}
		writers[done] = nil
		w.rows += int64(rows[done])
	}
	w.group = 0
	return nil
}

// fillRows is how many values are handed on at once. Pages grow by so many.
const fillRows = 1024

// fill writes the columns of one row group.
func (w *Writer) fill(out *parquet.ConcurrentRowGroupWriter, g Group) (err error) {
	defer recovered(&err)
	f := &filler{out: out.ColumnWriters(), group: g, used: 0}
	for _, c := range w.columns {
		if err := f.column(c, c.Name); err != nil {
			return fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	if f.used != len(g.Fills) {
		return fmt.Errorf("%w: %d columns are filled, %d of them are there", ErrValue, len(g.Fills), f.used)
	}
	return nil
}

type filler struct {
	out    []*parquet.ColumnWriter
	group  Group
	used   int
	values []parquet.Value
	others []parquet.Value // values of a map
	text   []byte
}

// column writes a column with all that is below it.
func (f *filler) column(c *Column, path string) error {
	fill, filled := f.group.Fills[path]
	if filled {
		f.used++
	}
	switch {
	case filled && fill.Map != nil && c.Kind == KindMap:
		return f.texts(c, fill.Map)
	case filled && c.Leaf():
		return f.leaf(c, fill)
	case filled:
		return fmt.Errorf("%w: %s is a %s", ErrValue, path, c.Kind)
	case c.Kind == KindStruct:
		for _, inner := range c.Fields {
			if err := f.column(inner, path+"."+inner.Name); err != nil {
				return err
			}
		}
		return nil
	}
	var failed []error
	c.leaves(func(leaf *Column) { failed = append(failed, f.nulls(leaf)) })
	return errors.Join(failed...)
}

// nulls writes a leaf that is missing from the top on.
func (f *filler) nulls(c *Column) error {
	f.values = f.values[:0]
	for range min(f.group.Rows, fillRows) {
		f.values = append(f.values, parquet.NullValue().Level(0, 0, c.leaf))
	}
	for left := f.group.Rows; left > 0; left -= fillRows {
		if _, err := f.out[c.leaf].WriteRowValues(f.values[:min(left, fillRows)]); err != nil {
			return err
		}
	}
	return nil
}

func (f *filler) leaf(c *Column, fill Fill) error {
	for from := 0; from < f.group.Rows; from += fillRows {
		f.values, f.text = f.values[:0], f.text[:0]
		for row := from; row < min(from+fillRows, f.group.Rows); row++ {
			v, missing, err := f.value(c, fill, row)
			if err != nil {
				return err
			}
			if missing > c.def {
				return fmt.Errorf("%w: %d of %d levels are missing", ErrValue, missing, c.def)
			}
			f.values = append(f.values, v.Level(0, int(c.def-missing), c.leaf))
		}
		if _, err := f.out[c.leaf].WriteRowValues(f.values); err != nil {
			return err
		}
	}
	return nil
}

// value is the value of a row, or null. Bytes of texts stay until the next batch; the library copies them before.
func (f *filler) value(c *Column, fill Fill, row int) (v parquet.Value, missing uint8, err error) {
	switch {
	case fill.Text != nil && (c.Kind == KindString || c.Kind == KindBinary):
		var s string
		if s, missing = fill.Text(row); missing == 0 {
			v = f.textValue(s)
		}
	case fill.Int != nil && c.whole():
		var n int64
		if n, missing = fill.Int(row); missing == 0 {
			v, err = intValue(c, n)
		}
	case fill.Float != nil && (c.Kind == KindFloat || c.Kind == KindDouble):
		var x float64
		if x, missing = fill.Float(row); missing == 0 {
			v, err = leafOf(c, x)
		}
	case fill.Decimal != nil && c.Kind == KindDecimal:
		var d *big.Int
		if d, missing = fill.Decimal(row); missing == 0 {
			v, err = decimalValue(c, d)
		}
	case fill.Bool != nil && c.Kind == KindBoolean:
		var b bool
		if b, missing = fill.Bool(row); missing == 0 {
			v = parquet.BooleanValue(b)
		}
	default:
		return v, 0, fmt.Errorf("%w: a %s is filled with another kind", ErrValue, c.Kind)
	}
	return v, missing, err
}

// whole tells whether values are whole numbers in Go: dates and timestamps are.
func (c *Column) whole() bool {
	switch c.Kind {
	case KindByte, KindShort, KindInteger, KindLong, KindDate, KindTimestamp, KindTimestampNTZ:
		return true
	}
	return false
}

func (f *filler) textValue(s string) parquet.Value {
	from := len(f.text)
	f.text = append(f.text, s...)
	return parquet.ByteArrayValue(f.text[from:len(f.text):len(f.text)])
}

// texts writes the two leaves of a map.
func (f *filler) texts(c *Column, entries func(row int) ([][2]string, uint8)) error {
	for from := 0; from < f.group.Rows; from += fillRows {
		f.values, f.others, f.text = f.values[:0], f.others[:0], f.text[:0]
		for row := from; row < min(from+fillRows, f.group.Rows); row++ {
			pairs, missing := entries(row)
			if missing > c.def {
				return fmt.Errorf("%w: %d of %d levels are missing", ErrValue, missing, c.def)
			}
			if missing > 0 || len(pairs) == 0 {
				null := parquet.NullValue().Level(0, int(c.def-missing), 0)
				f.values, f.others = append(f.values, null), append(f.others, null)
				continue
			}
			rep := 0
			for _, pair := range pairs {
				f.values = append(f.values, f.textValue(pair[0]).Level(rep, int(c.Key.def), c.Key.leaf))
				value := parquet.NullValue().Level(rep, max(0, int(c.Value.def)-1), c.Value.leaf)
				if pair[1] != "" || !c.Value.Nullable {
					value = f.textValue(pair[1]).Level(rep, int(c.Value.def), c.Value.leaf)
				}
				f.others = append(f.others, value)
				rep = int(c.listRep)
			}
		}
		_, err := f.out[c.Key.leaf].WriteRowValues(f.values)
		if err == nil {
			_, err = f.out[c.Value.leaf].WriteRowValues(f.others)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Path names a column for [Group].
func Path(names ...string) string { return strings.Join(names, ".") }
