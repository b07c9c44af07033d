package duckdb

import (
	"math/big"
	"time"
	"unsafe"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// column reads the values of one vector of DuckDB, which it points into: it is bound anew for each chunk, and values
// are copied out of it.
type column struct {
	kind     *duckType
	data     unsafe.Pointer
	validity unsafe.Pointer // one bit a row, in words of 64; nil: all valid
	children []*column
}

func newColumn(t *duckType) *column {
	c := &column{kind: t}
	for _, child := range t.children {
		c.children = append(c.children, newColumn(child))
	}
	return c
}

// bind points c at a vector and its children at the vector's children.
func (c *column) bind(v bindings.Vector) {
	c.data = bindings.VectorGetData(v)
	c.validity = bindings.VectorGetValidity(v)
	switch c.kind.id {
	case bindings.TypeStruct:
		for i, child := range c.children {
			child.bind(bindings.StructVectorGetChild(v, bindings.IdxT(i)))
		}
	case bindings.TypeList:
		c.children[0].bind(bindings.ListVectorGetChild(v))
	case bindings.TypeMap: // a list of structs of key and value
		entries := bindings.ListVectorGetChild(v)
		c.children[0].bind(bindings.StructVectorGetChild(entries, 0))
		c.children[1].bind(bindings.StructVectorGetChild(entries, 1))
	}
}

func (c *column) null(row int) bool {
	if c.validity == nil {
		return false
	}
	word := *(*uint64)(unsafe.Add(c.validity, row/64*8))
	return word&(1<<(row%64)) == 0
}

// at reads the fixed-size value of a row. T must be the type that DuckDB stores.
func at[T any](c *column, row int) T {
	var zero T
	return *(*T)(unsafe.Add(c.data, uintptr(row)*unsafe.Sizeof(zero)))
}

// hugeint is DuckDB's 128-bit integer.
type hugeint struct {
	lower uint64
	upper int64
}

// value is the value of a row in the forms that table.Rows promises; nil is NULL. Types that no Delta type holds
// never get here: see castable.
func (c *column) value(row int) any {
	if c.null(row) {
		return nil
	}
	switch c.kind.id {
	case bindings.TypeBoolean:
		return at[bool](c, row)
	case bindings.TypeTinyInt:
		return int64(at[int8](c, row))
	case bindings.TypeSmallInt:
		return int64(at[int16](c, row))
	case bindings.TypeInteger:
		return int64(at[int32](c, row))
	case bindings.TypeBigInt:
		return at[int64](c, row)
	case bindings.TypeUTinyInt:
		return int64(at[uint8](c, row))
	case bindings.TypeUSmallInt:
		return int64(at[uint16](c, row))
	case bindings.TypeUInteger:
		return int64(at[uint32](c, row))
	case bindings.TypeUBigInt:
		return txlog.Decimal{Unscaled: new(big.Int).SetUint64(at[uint64](c, row))}
	case bindings.TypeHugeInt:
		return txlog.Decimal{Unscaled: at[hugeint](c, row).big()}
	case bindings.TypeFloat:
		return at[float32](c, row)
	case bindings.TypeDouble:
		return at[float64](c, row)
	case bindings.TypeDecimal:
		return c.decimal(row)
	case bindings.TypeVarchar:
		return string(c.bytes(row))
	case bindings.TypeBlob:
		return append([]byte{}, c.bytes(row)...)
	case bindings.TypeEnum:
		return c.enum(row)
	case bindings.TypeDate:
		return txlog.Date(at[int32](c, row))
	case bindings.TypeTimestamp, bindings.TypeTimestampTZ:
		return time.UnixMicro(at[int64](c, row)).UTC()
	case bindings.TypeTimestampMS:
		return time.UnixMilli(at[int64](c, row)).UTC()
	case bindings.TypeTimestampS:
		return time.Unix(at[int64](c, row), 0).UTC()
	default:
		return c.nested(row)
	}
}

func (c *column) nested(row int) any {
	switch c.kind.id {
	case bindings.TypeStruct:
		fields := make([]any, len(c.children))
		for i, child := range c.children {
			fields[i] = child.value(row)
		}
		return fields
	case bindings.TypeList:
		first, n := c.entry(row)
		items := make([]any, n)
		for i := range items {
			items[i] = c.children[0].value(first + i)
		}
		return items
	case bindings.TypeMap:
		first, n := c.entry(row)
		entries := make([]table.MapEntry, n)
		for i := range entries {
			entries[i] = table.MapEntry{Key: c.children[0].value(first + i), Value: c.children[1].value(first + i)}
		}
		return entries
	}
	return nil
}

// entry is the place of a list in the child vector.
func (c *column) entry(row int) (first, n int) {
	e := at[[2]uint64](c, row)
	return int(e[0]), int(e[1]) //nolint:gosec // DuckDB's own counts
}

// bytes is a string or blob: 4 bytes of length, then up to 12 bytes in place, or 4 bytes of prefix and a pointer.
func (c *column) bytes(row int) []byte {
	const inlined = 12
	p := unsafe.Add(c.data, row*16)
	n := *(*uint32)(p)
	if n <= inlined {
		return unsafe.Slice((*byte)(unsafe.Add(p, 4)), n)
	}
	return unsafe.Slice(*(**byte)(unsafe.Add(p, 8)), n)
}

func (c *column) decimal(row int) txlog.Decimal {
	d := txlog.Decimal{Scale: c.kind.scale}
	switch c.kind.internal {
	case bindings.TypeSmallInt:
		d.Unscaled = big.NewInt(int64(at[int16](c, row)))
	case bindings.TypeInteger:
		d.Unscaled = big.NewInt(int64(at[int32](c, row)))
	case bindings.TypeBigInt:
		d.Unscaled = big.NewInt(at[int64](c, row))
	default:
		d.Unscaled = at[hugeint](c, row).big()
	}
	return d
}

func (c *column) enum(row int) any {
	var i int
	switch c.kind.internal {
	case bindings.TypeUTinyInt:
		i = int(at[uint8](c, row))
	case bindings.TypeUSmallInt:
		i = int(at[uint16](c, row))
	default:
		i = int(at[uint32](c, row))
	}
	if i >= len(c.kind.names) {
		return nil
	}
	return c.kind.names[i]
}

func (h hugeint) big() *big.Int {
	n := new(big.Int).Lsh(big.NewInt(h.upper), 64)
	return n.Add(n, new(big.Int).SetUint64(h.lower))
}
