package parquetio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"math/big"
	"strings"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/lakectl/lakectl/internal/limits"
)

// Vector holds the values of one leaf in one row group. A slot is one value or one place where a value is missing;
// a column outside lists and maps has one slot for each row. Exactly one of the value slices is set, by the kind of
// the column; slots without a value hold its zero. A column outside lists and maps without any value has no slices at
// all: a checkpoint has dozens of them.
type Vector struct {
	Column *Column
	Rows   int
	Starts []int32 // of lists and maps: row i has the slots Starts[i] to Starts[i+1]; nil otherwise
	Def    []uint8 // definition level of each slot; nil where every slot has a value, and where none has
	Rep    []uint8 // repetition level of each slot, of lists and maps

	Bools    []bool
	Ints     []int64
	Floats   []float64
	Spans    []Span     // KindString and KindBinary: parts of Text
	Text     string     // what Spans are parts of
	Decimals []*big.Int // unscaled

	slots int
	none  bool // no slot holds a value, and nothing is kept
}

// Span is a part of a text: bytes From to To.
type Span struct{ From, To uint32 }

// Len is the number of slots.
func (v *Vector) Len() int { return v.slots }

// Valid tells whether a slot holds a value.
func (v *Vector) Valid(slot int) bool {
	return !v.none && (v.Def == nil || v.Def[slot] == v.Column.def)
}

// TextAt is the text of a slot of KindString or KindBinary that holds a value. It shares the memory of all texts.
func (v *Vector) TextAt(slot int) string {
	s := v.Spans[slot]
	return v.Text[s.From:s.To]
}

// Span gives the slots of a row.
func (v *Vector) Span(row int) (from, to int) {
	if v.Starts == nil {
		return row, row + 1
	}
	return int(v.Starts[row]), int(v.Starts[row+1])
}

// Value is the value of a slot in the form that [Kind] describes, nil for a missing one.
func (v *Vector) Value(slot int) any {
	if !v.Valid(slot) {
		return nil
	}
	switch {
	case v.Bools != nil:
		return v.Bools[slot]
	case v.Ints != nil:
		return v.Ints[slot]
	case v.Floats != nil:
		return v.Floats[slot]
	case v.Decimals != nil:
		return v.Decimals[slot]
	case v.Column.Kind == KindBinary:
		return []byte(v.TextAt(slot))
	}
	return v.TextAt(slot)
}

// ReadVector reads one leaf of one row group. Errors: [ErrMalformed], *limits.Error, the errors of the reader.
func (f *File) ReadVector(g int, c *Column) (v *Vector, err error) {
	defer recovered(&err)
	if c == nil || !c.Leaf() || g < 0 || g >= f.Groups() {
		return nil, fmt.Errorf("%w: no such column or row group", ErrMalformed)
	}
	if c.Kind == KindUnknown {
		return nil, fmt.Errorf("%w: type of column %s is not known", ErrMalformed, strings.Join(c.path, "."))
	}
	if err := f.loadChunk(g, c.leaf); err != nil {
		return nil, err
	}
	defer f.window.drop()
	meta := &f.file.Metadata().RowGroups[g].Columns[c.leaf].MetaData
	b := vectorBuilder{v: &Vector{Column: c, Rows: int(f.GroupRows(g)), none: c.rep == 0 && c.def > 0}, meta: meta, bound: f.bound}
	if !b.v.none {
		b.reserve()
	}
	pages := f.file.RowGroups()[g].ColumnChunks()[c.leaf].Pages()
	defer func() { _ = pages.Close() }() // nothing is written
	buf := make([]parquet.Value, 1024)
	for {
		page, err := pages.ReadPage()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, malformed(f.window, err)
		}
		err = b.page(page, buf)
		parquet.Release(page)
		if err != nil {
			return nil, malformed(f.window, err)
		}
	}
	if err := b.finish(); err != nil {
		return nil, err
	}
	return b.v, nil
}

type vectorBuilder struct {
	v     *Vector
	meta  *format.ColumnMetaData
	text  strings.Builder
	slots int64
	level byte // of the slots so far, as long as v.none
	words parquet.Dictionary
	at    int // of its text in text
	bound limits.Limits
}

// begin ends the time in which there were nulls alone, which are counted and no more.
func (b *vectorBuilder) begin() {
	if !b.v.none {
		return
	}
	b.v.none = false
	b.reserve()
	b.v.Def = append(b.v.Def, bytes.Repeat([]byte{b.level}, int(b.slots))...)
	b.nothing(int(b.slots))
}

// reserve makes room, but no more than a sane file needs before its values were seen.
func (b *vectorBuilder) reserve() {
	m := b.meta
	n := int(min(m.NumValues, 1<<17))
	switch b.v.Column.Kind {
	case KindBoolean:
		b.v.Bools = make([]bool, 0, n)
	case KindFloat, KindDouble:
		b.v.Floats = make([]float64, 0, n)
	case KindDecimal:
		b.v.Decimals = make([]*big.Int, 0, n)
	case KindString, KindBinary:
		b.v.Spans = make([]Span, 0, n)
		b.text.Grow(int(max(0, min(m.TotalUncompressedSize, 8*m.TotalCompressedSize, 64<<20))))
	default:
		b.v.Ints = make([]int64, 0, n)
	}
	if b.v.Column.def > 0 {
		b.v.Def = make([]uint8, 0, n)
	}
	if b.v.Column.rep > 0 {
		b.v.Rep = make([]uint8, 0, n)
		b.v.Starts = make([]int32, 0, n)
	}
}

func (b *vectorBuilder) page(page parquet.Page, buf []parquet.Value) error {
	if done, err := b.whole(page); done || err != nil {
		return err
	}
	b.begin()
	values := page.Values()
	for {
		n, err := values.ReadValues(buf)
		for i := range buf[:n] {
			if err := b.slot(buf[i]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return io.ErrNoProgress
		}
	}
}

func (b *vectorBuilder) slot(value parquet.Value) error {
	v := b.v
	if v.Rep != nil {
		rep := uint8(value.RepetitionLevel()) //nolint:gosec // a byte in the library
		if rep == 0 {
			v.Starts = append(v.Starts, int32(b.slots)) //nolint:gosec // checked below
		} else if len(v.Starts) == 0 {
			return fmt.Errorf("%w: first value continues a row", ErrMalformed)
		}
		v.Rep = append(v.Rep, rep)
	}
	if v.Def != nil {
		v.Def = append(v.Def, uint8(value.DefinitionLevel())) //nolint:gosec // a byte in the library
	}
	b.slots++
	if b.slots > 1<<31-2 {
		return fmt.Errorf("%w: too many values in one row group", ErrMalformed)
	}
	return b.value(value)
}

func (b *vectorBuilder) value(value parquet.Value) error {
	v, null := b.v, value.IsNull()
	switch v.Column.Kind {
	case KindBoolean:
		v.Bools = append(v.Bools, !null && value.Boolean())
	case KindFloat:
		var f float64
		if !null {
			f = float64(value.Float())
		}
		v.Floats = append(v.Floats, f)
	case KindDouble:
		var f float64
		if !null {
			f = value.Double()
		}
		v.Floats = append(v.Floats, f)
	case KindDecimal:
		var d *big.Int
		if !null {
			d = decimalOf(v.Column, value)
		}
		v.Decimals = append(v.Decimals, d)
	case KindString, KindBinary:
		from := b.text.Len()
		if !null {
			text := value.ByteArray()
			if n := int64(len(text)); n > b.bound.ParquetValueBytes {
				return limits.Over("parquet_value_bytes", n, b.bound.ParquetValueBytes)
			}
			if err := b.write(text); err != nil {
				return err
			}
		}
		v.Spans = append(v.Spans, span32(from, b.text.Len()))
	default:
		var n int64
		if !null {
			n = intOf(v.Column, value)
		}
		v.Ints = append(v.Ints, n)
	}
	return nil
}

// write adds to the text, which spans of 32 bits can tell the parts of.
func (b *vectorBuilder) write(text []byte) error {
	if int64(b.text.Len())+int64(len(text)) > math.MaxUint32 {
		return fmt.Errorf("%w: more than 4 GiB of text in one column of a row group", ErrMalformed)
	}
	b.text.Write(text)
	return nil
}

// span32 is a part of the text, which write has bounded.
func span32(from, to int) Span { return Span{uint32(from), uint32(to)} } //nolint:gosec // bounded by write

// finish checks the counts and hands out the text, which all spans share.
func (b *vectorBuilder) finish() error {
	v, values := b.v, b.meta.NumValues
	if b.slots != values {
		return fmt.Errorf("%w: %d values in column %s, %d in the footer", ErrMalformed, b.slots, strings.Join(v.Column.path, "."), values)
	}
	v.Text, v.slots = b.text.String(), int(b.slots)
	rows := int(b.slots)
	if v.Starts != nil {
		rows = len(v.Starts)
		v.Starts = append(v.Starts, int32(b.slots)) //nolint:gosec // checked in slot
	}
	if rows != v.Rows {
		return fmt.Errorf("%w: %d rows in column %s, %d in its row group", ErrMalformed, rows, strings.Join(v.Column.path, "."), v.Rows)
	}
	return nil
}

// intOf reads whole numbers, dates and timestamps.
func intOf(c *Column, value parquet.Value) int64 {
	switch value.Kind() {
	case parquet.Int32:
		if c.unit == unitUnsigned {
			return int64(value.Uint32())
		}
		return int64(value.Int32())
	case parquet.Int96:
		i := value.Int96()
		const julianEpoch = 2_440_588
		nanos := int64(i[0]) | int64(i[1])<<32
		days := int64(int32(i[2])) - julianEpoch //nolint:gosec // two's complement
		return days*86_400_000_000 + floorDiv(nanos, 1000)
	}
	n := value.Int64()
	switch c.unit {
	case unitMillis:
		return n * 1000
	case unitNanos:
		return floorDiv(n, 1000)
	case unitPlain, unitInt96, unitBytes, unitUnsigned:
	}
	return n
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 && (a < 0) != (b < 0) {
		q--
	}
	return q
}

// decimalOf reads the unscaled value of a decimal in any of its physical forms.
func decimalOf(c *Column, value parquet.Value) *big.Int {
	if c.unit != unitBytes {
		if value.Kind() == parquet.Int32 {
			return big.NewInt(int64(value.Int32()))
		}
		return big.NewInt(value.Int64())
	}
	b := value.ByteArray()
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(len(b))*8))
	}
	return n
}
