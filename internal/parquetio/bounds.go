package parquetio

import (
	"encoding/binary"
	"math/big"
)

// Bounds reads from the footer between which values all values of a leaf lie, over all row groups; ok is false where
// the footer does not tell, or not in a way that can be relied on: floating-point bounds leave NaN out, and those of
// texts may be cut, so that of a text only the lower one is told (high is nil then). Values are as Kind describes.
//
// How many NULLs there are cannot be read: a footer without the count reads as one with zero.
func (f *File) Bounds(c *Column) (low, high any, ok bool) {
	if c == nil || !c.Leaf() || c.unit == unitInt96 || c.unit == unitNanos || c.unit == unitBytes || c.unit == unitUnsigned {
		return nil, nil, false
	}
	for _, group := range f.file.Metadata().RowGroups {
		stats := group.Columns[c.leaf].MetaData.Statistics
		if len(stats.MinValue) == 0 || len(stats.MaxValue) == 0 {
			return nil, nil, false // an empty text, too, cannot be told from none
		}
		from, okFrom := c.bound(stats.MinValue)
		to, okTo := c.bound(stats.MaxValue)
		if !okFrom || !okTo {
			return nil, nil, false
		}
		if low == nil || less(from, low) {
			low = from
		}
		if high == nil || less(high, to) {
			high = to
		}
	}
	if _, text := low.(string); text {
		high = nil
	}
	return low, high, low != nil
}

// bound decodes one bound in the plain encoding.
func (c *Column) bound(b []byte) (any, bool) {
	var n int64
	switch c.Kind {
	case KindString:
		return string(b), true
	case KindByte, KindShort, KindInteger, KindLong, KindDate, KindTimestamp, KindTimestampNTZ, KindDecimal:
		switch len(b) {
		case 4:
			n = int64(int32(binary.LittleEndian.Uint32(b))) //nolint:gosec // the bits are those of a signed number
		case 8:
			n = int64(binary.LittleEndian.Uint64(b)) //nolint:gosec // the same
		default:
			return nil, false
		}
	default:
		return nil, false
	}
	if c.unit == unitMillis {
		n *= 1000
	}
	if c.Kind == KindDecimal {
		return big.NewInt(n), true
	}
	return n, true
}

func less(a, b any) bool {
	switch a := a.(type) {
	case int64:
		b, ok := b.(int64)
		return ok && a < b
	case string:
		b, ok := b.(string)
		return ok && a < b
	case *big.Int:
		b, ok := b.(*big.Int)
		return ok && a.Cmp(b) < 0
	}
	return false
}

// Nanoseconds tells whether the file keeps times finer than a microsecond, which are cut when they are read.
func (c *Column) Nanoseconds() bool { return c.unit == unitNanos }
