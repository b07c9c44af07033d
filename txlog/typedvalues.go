package txlog

import (
	"math"
	"math/big"

	"github.com/lakectl/lakectl/internal/parquetio"
)

// typedValues are values of one type in the form of a column of a checkpoint. A value is null until it is set.
type typedValues struct {
	of       *DataType
	valid    []bool
	ints     []int64 // whole numbers, dates and timestamps
	floats   []float64
	texts    []string
	decimals []*big.Int
	flags    []bool
}

// typedColumn describes the column for values of a type; ok is false where checkpoints have none for it.
func typedColumn(name string, t *DataType) (c *parquetio.Column, ok bool) {
	c = &parquetio.Column{Name: name, Nullable: true}
	switch t.Kind {
	case KindString:
		c.Kind = parquetio.KindString
	case KindBinary:
		c.Kind = parquetio.KindBinary
	case KindLong:
		c.Kind = parquetio.KindLong
	case KindInteger:
		c.Kind = parquetio.KindInteger
	case KindShort:
		c.Kind = parquetio.KindShort
	case KindByte:
		c.Kind = parquetio.KindByte
	case KindFloat:
		c.Kind = parquetio.KindFloat
	case KindDouble:
		c.Kind = parquetio.KindDouble
	case KindBoolean:
		c.Kind = parquetio.KindBoolean
	case KindDate:
		c.Kind = parquetio.KindDate
	case KindTimestamp:
		c.Kind = parquetio.KindTimestamp
	case KindTimestampNTZ:
		c.Kind = parquetio.KindTimestampNTZ
	case KindDecimal:
		c.Kind, c.Precision, c.Scale = parquetio.KindDecimal, t.Precision, t.Scale
	default:
		return nil, false
	}
	return c, true
}

func newTypedValues(t *DataType, n int) *typedValues {
	v := &typedValues{of: t, valid: make([]bool, n)}
	switch t.Kind {
	case KindString, KindBinary:
		v.texts = make([]string, n)
	case KindFloat, KindDouble:
		v.floats = make([]float64, n)
	case KindDecimal:
		v.decimals = make([]*big.Int, n)
	case KindBoolean:
		v.flags = make([]bool, n)
	default:
		v.ints = make([]int64, n)
	}
	return v
}

// set stores a value, unless the type cannot hold it exactly: then it stays null, and fits is false.
func (v *typedValues) set(i int, l Literal) (fits bool) {
	switch v.of.Kind {
	case KindString, KindBinary:
		v.texts[i] = l.String
	case KindFloat:
		if f := float64(float32(l.Float)); math.IsInf(f, 0) != math.IsInf(l.Float, 0) {
			return false
		}
		v.floats[i] = l.Float
	case KindDouble:
		v.floats[i] = l.Float
	case KindDecimal:
		d, exact := decimalOf(l.Rat, v.of.Scale)
		if !exact || d.Unscaled.CmpAbs(tenTo(v.of.Precision)) >= 0 {
			return false
		}
		v.decimals[i] = d.Unscaled
	case KindBoolean:
		v.flags[i] = l.Bool
	default:
		if low, high := wholeRange(v.of.Kind); l.Int < low || l.Int > high {
			return false
		}
		v.ints[i] = l.Int
	}
	v.valid[i] = true
	return true
}

// typedFill hands out values of a type to a column. at finds the one of a row; what it says is missing is nowhere.
func typedFill(t *DataType, at func(row int) (v *typedValues, i int, missing uint8)) parquetio.Fill {
	find := func(row int) (*typedValues, int, uint8) {
		v, i, missing := at(row)
		if missing == 0 && !v.valid[i] {
			missing = 1
		}
		return v, i, missing
	}
	switch t.Kind {
	case KindString, KindBinary:
		return parquetio.Fill{Text: func(row int) (string, uint8) {
			v, i, missing := find(row)
			if missing > 0 {
				return "", missing
			}
			return v.texts[i], 0
		}}
	case KindFloat, KindDouble:
		return parquetio.Fill{Float: func(row int) (float64, uint8) {
			v, i, missing := find(row)
			if missing > 0 {
				return 0, missing
			}
			return v.floats[i], 0
		}}
	case KindDecimal:
		return parquetio.Fill{Decimal: func(row int) (*big.Int, uint8) {
			v, i, missing := find(row)
			if missing > 0 {
				return nil, missing
			}
			return v.decimals[i], 0
		}}
	case KindBoolean:
		return parquetio.Fill{Bool: func(row int) (bool, uint8) {
			v, i, missing := find(row)
			if missing > 0 {
				return false, missing
			}
			return v.flags[i], 0
		}}
	}
	return parquetio.Fill{Int: func(row int) (int64, uint8) {
		v, i, missing := find(row)
		if missing > 0 {
			return 0, missing
		}
		return v.ints[i], 0
	}}
}
