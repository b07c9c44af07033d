package parquetio

import (
	"bytes"
	"fmt"
	"math/big"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding"

	"github.com/lakectl/lakectl/internal/limits"
)

// whole takes in a page at once, where its levels and values lie side by side as the vector wants them; false leaves
// everything as it was. A page value by value costs ten times as much, and checkpoints have millions.
func (b *vectorBuilder) whole(page parquet.Page) (done bool, err error) {
	v := b.v
	defs, reps := page.DefinitionLevels(), page.RepetitionLevels()
	slots := int(page.NumValues())
	if v.none && b.nulls(slots, defs) {
		return true, nil
	}
	b.begin()
	valid := slots
	if v.Def != nil {
		if len(defs) != slots {
			return false, nil
		}
		valid = bytes.Count(defs, []byte{v.Column.def})
	}
	if v.Rep != nil && (len(reps) != slots || slots > 0 && len(v.Starts) == 0 && reps[0] != 0) {
		return false, nil
	}
	values, ok := b.values(page, valid)
	if !ok {
		return false, nil
	}
	if b.slots+int64(slots) > 1<<31-2 {
		return false, fmt.Errorf("%w: too many values in one row group", ErrMalformed)
	}
	for i, rep := range reps {
		if v.Rep != nil && rep == 0 {
			v.Starts = append(v.Starts, int32(b.slots)+int32(i)) //nolint:gosec // checked above
		}
	}
	if v.Rep != nil {
		v.Rep = append(v.Rep, reps...)
	}
	if v.Def != nil {
		v.Def = append(v.Def, defs...)
	}
	b.slots += int64(slots)
	return true, values(slots, defs)
}

// nulls counts the slots of a page that has no values, as long as the vector has none either. Slots that are missing at
// different levels are kept as they are.
func (b *vectorBuilder) nulls(slots int, defs []byte) bool {
	if len(defs) != slots || slots == 0 {
		return false
	}
	if b.slots == 0 {
		b.level = defs[0]
	}
	if b.level == b.v.Column.def || bytes.Count(defs, []byte{b.level}) != slots || b.slots+int64(slots) > 1<<31-2 {
		return false
	}
	b.slots += int64(slots)
	return true
}

// values finds how the values of a page are taken in; valid is how many there must be.
func (b *vectorBuilder) values(page parquet.Page, valid int) (take func(slots int, defs []byte) error, ok bool) {
	v := b.v
	if valid == 0 {
		return func(slots int, _ []byte) error { b.nothing(slots); return nil }, true
	}
	data := page.Data()
	switch v.Column.Kind {
	case KindString, KindBinary:
		if dict := page.Dictionary(); dict != nil {
			words := dict.Page().Data()
			if data.Kind() != encoding.Int32 || words.Kind() != encoding.ByteArray || len(data.Int32()) != valid {
				return nil, false
			}
			text, offsets := words.ByteArray()
			return func(slots int, defs []byte) error {
				if err := b.learn(dict, text, offsets); err != nil {
					return err
				}
				return b.lookUp(slots, defs, data.Int32(), offsets)
			}, true
		}
		if data.Kind() != encoding.ByteArray {
			return nil, false
		}
		text, offsets := data.ByteArray()
		if len(offsets) != valid+1 {
			return nil, false
		}
		return func(slots int, defs []byte) error { return b.texts(slots, defs, text, offsets) }, true
	case KindLong, KindInteger, KindShort, KindByte, KindDate, KindTimestamp, KindTimestampNTZ:
		if page.Dictionary() != nil || v.Column.unit != unitPlain {
			return nil, false
		}
		switch {
		case data.Kind() == encoding.Int64 && len(data.Int64()) == valid:
			return func(slots int, defs []byte) error { b.v.Ints = spread(b, slots, defs, data.Int64()); return nil }, true
		case data.Kind() == encoding.Int32 && len(data.Int32()) == valid:
			return func(slots int, defs []byte) error { b.v.Ints = spread(b, slots, defs, data.Int32()); return nil }, true
		}
	}
	return nil, false
}

// nothing adds slots without a value.
func (b *vectorBuilder) nothing(slots int) {
	v := b.v
	switch v.Column.Kind {
	case KindBoolean:
		v.Bools = append(v.Bools, make([]bool, slots)...)
	case KindFloat, KindDouble:
		v.Floats = append(v.Floats, make([]float64, slots)...)
	case KindDecimal:
		v.Decimals = append(v.Decimals, make([]*big.Int, slots)...)
	case KindString, KindBinary:
		v.Spans = append(v.Spans, make([]Span, slots)...)
	default:
		v.Ints = append(v.Ints, make([]int64, slots)...)
	}
}

func spread[N int32 | int64](b *vectorBuilder, slots int, defs []byte, values []N) []int64 {
	out := slices.Grow(b.v.Ints, slots)
	for i := range slots {
		var n int64
		if b.v.Def == nil || defs[i] == b.v.Column.def {
			n, values = int64(values[0]), values[1:]
		}
		out = append(out, n)
	}
	return out
}

// texts takes in values that follow each other in text. Equal neighbours, which columns without a dictionary are full of,
// become one.
func (b *vectorBuilder) texts(slots int, defs, text []byte, offsets []uint32) error {
	b.v.Spans = slices.Grow(b.v.Spans, slots)
	var last Span       // of the value before
	var previous []byte // its text; nil for none
	begin := offsets[0] // of what is not yet written
	at := 0
	for i := range slots {
		if b.v.Def != nil && defs[i] != b.v.Column.def {
			b.v.Spans = append(b.v.Spans, Span{})
			continue
		}
		from, to := offsets[at], offsets[at+1]
		at++
		value := text[from:to]
		if n := int64(len(value)); n > b.bound.ParquetValueBytes {
			return limits.Over("parquet_value_bytes", n, b.bound.ParquetValueBytes)
		}
		if previous != nil && bytes.Equal(previous, value) {
			if err := b.write(text[begin:from]); err != nil {
				return err
			}
			begin = to
		} else {
			start := b.text.Len() + int(from-begin)
			last, previous = span32(start, start+len(value)), value
		}
		b.v.Spans = append(b.v.Spans, last)
	}
	return b.write(text[begin:offsets[at]])
}

// learn takes in the text of a dictionary, once for all pages that use it.
func (b *vectorBuilder) learn(words parquet.Dictionary, text []byte, offsets []uint32) error {
	if b.words == words {
		return nil
	}
	if len(offsets) == 0 {
		return fmt.Errorf("%w: a dictionary without words", ErrMalformed)
	}
	b.words, b.at = words, b.text.Len()-int(offsets[0])
	return b.write(text[offsets[0]:offsets[len(offsets)-1]])
}

// lookUp takes in values of the dictionary that was learnt last.
func (b *vectorBuilder) lookUp(slots int, defs []byte, index []int32, offsets []uint32) error {
	b.v.Spans = slices.Grow(b.v.Spans, slots)
	for i := range slots {
		var s Span
		if b.v.Def == nil || defs[i] == b.v.Column.def {
			at := index[0]
			index = index[1:]
			if at < 0 || int(at)+1 >= len(offsets) {
				return fmt.Errorf("%w: word %d of a dictionary of %d", ErrMalformed, at, len(offsets)-1)
			}
			s = span32(b.at+int(offsets[at]), b.at+int(offsets[at+1]))
			if n := int64(s.To - s.From); n > b.bound.ParquetValueBytes {
				return limits.Over("parquet_value_bytes", n, b.bound.ParquetValueBytes)
			}
		}
		b.v.Spans = append(b.v.Spans, s)
	}
	return nil
}
