package parquetio

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
)

// Options of a Writer. The zero value works.
type Options struct {
	Codec        string            // as delta.parquet.compression.codec: uncompressed or none, snappy, gzip, lz4_raw, zstd; "" is zstd
	RowGroupRows int64             // rows of one row group; 0 is DefaultRowGroupRows
	Metadata     map[string]string // texts for the footer
}

// DefaultRowGroupRows bounds the memory of a Writer.
const DefaultRowGroupRows = 122_880

// ErrValue says that a value does not fit its column. Terminal.
var ErrValue = errors.New("value does not fit its column")

// Writer writes rows to a Parquet file with data pages of version 1. It is not safe for concurrent use.
type Writer struct {
	w       *parquet.GenericWriter[any]
	columns []*Column
	values  [][]parquet.Value // of the current row, by leaf
	row     parquet.Row
	rows    int64
	group   int64
	perRows int64
}

// NewWriter begins a file. Columns are copied. Nothing is written before the first rows.
func NewWriter(out io.Writer, columns []Column, o Options) (w *Writer, err error) {
	defer recovered(&err)
	codec, err := codecNamed(o.Codec)
	if err != nil {
		return nil, err
	}
	own := make([]*Column, len(columns))
	for i := range columns {
		own[i] = columns[i].clone()
	}
	p := plan{}
	schema, err := p.root(own)
	if err != nil {
		return nil, err
	}
	options := []parquet.WriterOption{
		schema, parquet.Compression(codec), parquet.DataPageVersion(1), parquet.DataPageStatistics(false),
		parquet.CreatedBy("lakectl", "", ""),
	}
	for _, key := range slices.Sorted(maps.Keys(o.Metadata)) {
		options = append(options, parquet.KeyValueMetadata(key, o.Metadata[key]))
	}
	w = &Writer{
		w: parquet.NewGenericWriter[any](out, options...), columns: own, values: make([][]parquet.Value, p.leaves),
		perRows: o.RowGroupRows,
	}
	if w.perRows <= 0 {
		w.perRows = DefaultRowGroupRows
	}
	return w, nil
}

func codecNamed(name string) (compress.Codec, error) {
	switch strings.ToLower(name) {
	case "", "zstd":
		return &parquet.Zstd, nil
	case "snappy":
		return &parquet.Snappy, nil
	case "gzip":
		return &parquet.Gzip, nil
	case "lz4_raw":
		return &parquet.Lz4Raw, nil
	case "none", "uncompressed":
		return &parquet.Uncompressed, nil
	}
	return nil, fmt.Errorf("%w: codec %q", errColumns, name)
}

func (c *Column) clone() *Column {
	if c == nil {
		return nil
	}
	o := *c
	o.Fields = make([]*Column, len(c.Fields))
	for i, f := range c.Fields {
		o.Fields[i] = f.clone()
	}
	o.Element, o.Key, o.Value = c.Element.clone(), c.Key.clone(), c.Value.clone()
	return &o
}

// WriteRow adds one row: a value for each column, in the forms that [Kind] describes; whole numbers may also be int
// or int32, maps also map[string]string. Errors: [ErrValue], the errors of the output. After an error of the output
// the file is lost; after [ErrValue] the row was not added.
func (w *Writer) WriteRow(row []any) (err error) {
	defer recovered(&err)
	if len(row) != len(w.columns) {
		return fmt.Errorf("%w: %d values for %d columns", ErrValue, len(row), len(w.columns))
	}
	for i := range w.values {
		w.values[i] = w.values[i][:0]
	}
	for i, v := range row {
		if err := w.shred(w.columns[i], v, 0, 0); err != nil {
			return fmt.Errorf("column %s: %w", w.columns[i].Name, err)
		}
	}
	w.row = w.row[:0]
	for _, values := range w.values {
		w.row = append(w.row, values...)
	}
	if _, err := w.w.WriteRows([]parquet.Row{w.row}); err != nil {
		return err
	}
	w.rows++
	if w.group++; w.group >= w.perRows {
		w.group = 0
		return w.w.Flush()
	}
	return nil
}

// Rows is the number of rows written so far.
func (w *Writer) Rows() int64 { return w.rows }

// Close writes the footer. It does not close the output.
func (w *Writer) Close() (err error) {
	defer recovered(&err)
	return w.w.Close()
}

// shred splits a value into leaf values with their levels. def is the definition level reached above the column.
func (w *Writer) shred(c *Column, v any, rep, def uint8) error {
	if isNil(v) {
		if !c.Nullable {
			return fmt.Errorf("%w: NULL", ErrValue)
		}
		w.missing(c, rep, def)
		return nil
	}
	def = c.def
	switch c.Kind {
	case KindStruct:
		fields, ok := v.([]any)
		if !ok || len(fields) != len(c.Fields) {
			return fmt.Errorf("%w: %T for a struct of %d fields", ErrValue, v, len(c.Fields))
		}
		for i, f := range c.Fields {
			if err := w.shred(f, fields[i], rep, def); err != nil {
				return fmt.Errorf("%s: %w", f.Name, err)
			}
		}
		return nil
	case KindList:
		list, ok := v.([]any)
		if !ok {
			return fmt.Errorf("%w: %T for a list", ErrValue, v)
		}
		for i, element := range list {
			if i > 0 {
				rep = c.listRep
			}
			if err := w.shred(c.Element, element, rep, c.listDef); err != nil {
				return err
			}
		}
		if len(list) == 0 {
			w.missing(c, rep, def)
		}
		return nil
	case KindMap:
		return w.shredMap(c, v, rep, def)
	}
	value, err := leafOf(c, v)
	if err != nil {
		return err
	}
	w.values[c.leaf] = append(w.values[c.leaf], value.Level(int(rep), int(def), c.leaf))
	return nil
}

func (w *Writer) shredMap(c *Column, v any, rep, def uint8) error {
	var entries []Entry
	switch m := v.(type) {
	case []Entry:
		entries = m
	case map[string]string:
		for _, key := range slices.Sorted(maps.Keys(m)) {
			entries = append(entries, Entry{key, m[key]})
		}
	default:
		return fmt.Errorf("%w: %T for a map", ErrValue, v)
	}
	for i, e := range entries {
		if i > 0 {
			rep = c.listRep
		}
		if err := w.shred(c.Key, e.Key, rep, c.listDef); err != nil {
			return err
		}
		if err := w.shred(c.Value, e.Value, rep, c.listDef); err != nil {
			return err
		}
	}
	if len(entries) == 0 {
		w.missing(c, rep, def)
	}
	return nil
}

// missing writes the placeholders of something that is not there.
func (w *Writer) missing(c *Column, rep, def uint8) {
	c.leaves(func(leaf *Column) {
		w.values[leaf.leaf] = append(w.values[leaf.leaf], parquet.NullValue().Level(int(rep), int(def), leaf.leaf))
	})
}

func isNil(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case []byte:
		return v == nil
	case *big.Int:
		return v == nil
	case map[string]string:
		return v == nil
	}
	return false
}

// leafOf turns a Go value into a value of the column's physical type.
func leafOf(c *Column, v any) (parquet.Value, error) {
	wrong := func() (parquet.Value, error) {
		return parquet.Value{}, fmt.Errorf("%w: %T for a %s", ErrValue, v, c.Kind)
	}
	switch c.Kind {
	case KindBoolean:
		if b, ok := v.(bool); ok {
			return parquet.BooleanValue(b), nil
		}
	case KindFloat:
		switch f := v.(type) {
		case float64:
			return parquet.FloatValue(float32(f)), nil
		case float32:
			return parquet.FloatValue(f), nil
		}
	case KindDouble:
		switch f := v.(type) {
		case float64:
			return parquet.DoubleValue(f), nil
		case float32:
			return parquet.DoubleValue(float64(f)), nil
		}
	case KindString, KindBinary:
		switch s := v.(type) {
		case string:
			return parquet.ByteArrayValue([]byte(s)), nil
		case []byte:
			return parquet.ByteArrayValue(s), nil
		}
	case KindDecimal:
		d, ok := v.(*big.Int)
		if !ok {
			n, whole := intFrom(v)
			if !whole {
				return wrong()
			}
			d = big.NewInt(n)
		}
		return decimalValue(c, d)
	default:
		n, ok := intFrom(v)
		if !ok {
			return wrong()
		}
		return intValue(c, n)
	}
	return wrong()
}

func intFrom(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case int:
		return int64(n), true
	case int32:
		return int64(n), true
	}
	return 0, false
}

func intValue(c *Column, n int64) (parquet.Value, error) {
	low, high := int64(math.MinInt64), int64(math.MaxInt64)
	switch c.Kind {
	case KindByte:
		low, high = math.MinInt8, math.MaxInt8
	case KindShort:
		low, high = math.MinInt16, math.MaxInt16
	case KindInteger, KindDate:
		low, high = math.MinInt32, math.MaxInt32
	}
	if n < low || n > high {
		return parquet.Value{}, fmt.Errorf("%w: %d for a %s", ErrValue, n, c.Kind)
	}
	switch c.Kind {
	case KindByte, KindShort, KindInteger, KindDate:
		return parquet.Int32Value(int32(n)), nil //nolint:gosec // checked above
	}
	return parquet.Int64Value(n), nil
}

func decimalValue(c *Column, d *big.Int) (parquet.Value, error) {
	most := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(c.Precision)), nil)
	if d.CmpAbs(most) >= 0 {
		return parquet.Value{}, fmt.Errorf("%w: too many digits for decimal(%d,%d)", ErrValue, c.Precision, c.Scale)
	}
	switch {
	case c.Precision <= 9:
		return parquet.Int32Value(int32(d.Int64())), nil //nolint:gosec // nine digits
	case c.Precision <= 18:
		return parquet.Int64Value(d.Int64()), nil
	}
	n := new(big.Int).Set(d)
	if n.Sign() < 0 {
		n.Add(n, new(big.Int).Lsh(big.NewInt(1), uint(c.size)*8))
	}
	return parquet.FixedLenByteArrayValue(n.FillBytes(make([]byte, c.size))), nil
}
