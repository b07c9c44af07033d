package typed

import (
	"fmt"
	"math/big"
	"slices"

	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// adapter turns values as one file has them into those of the table: narrower types are widened, fields that the file
// lacks are NULL. Protocol: "Type Widening", "Reader Requirements for Column Mapping".
type adapter func(v any) (any, error)

// find is the column of a file for a field, nil where the file lacks it.
func find(columns []*parquetio.Column, f txlog.Field, mapping txlog.ColumnMapping) *parquetio.Column {
	id, numbered := f.FieldID()
	i := slices.IndexFunc(columns, func(c *parquetio.Column) bool {
		if mapping == txlog.MappingID && numbered {
			return c.FieldID == id
		}
		return c.Name == f.PhysicalName(mapping)
	})
	if i < 0 {
		return nil
	}
	return columns[i]
}

// adapt pairs a column of a file with its type in the table.
//
// Errors: table.ErrDataFile.
func adapt(c *parquetio.Column, t *txlog.DataType, mapping txlog.ColumnMapping) (adapter, error) {
	switch {
	case t.Kind == txlog.KindStruct && c.Kind == parquetio.KindStruct:
		return adaptStruct(c, t, mapping)
	case t.Kind == txlog.KindArray && c.Kind == parquetio.KindList:
		element, err := adapt(c.Element, t.Element, mapping)
		return adaptEach(element), err
	case t.Kind == txlog.KindMap && c.Kind == parquetio.KindMap:
		key, err := adapt(c.Key, t.Key, mapping)
		if err != nil {
			return nil, err
		}
		value, err := adapt(c.Value, t.Value, mapping)
		return adaptEntries(key, value), err
	}
	if a := adaptScalar(c, t); a != nil {
		return func(v any) (any, error) {
			if v == nil {
				return nil, nil
			}
			return a(v), nil
		}, nil
	}
	return nil, fmt.Errorf("%w: column %s is %s, the table says %s", table.ErrDataFile, c.Name, c.Kind, t.SQL())
}

// adaptScalar is nil where the types do not go together.
func adaptScalar(c *parquetio.Column, t *txlog.DataType) func(v any) any {
	same := func(v any) any { return v }
	whole := c.Kind == parquetio.KindByte || c.Kind == parquetio.KindShort || c.Kind == parquetio.KindInteger || c.Kind == parquetio.KindLong
	switch t.Kind {
	case txlog.KindByte, txlog.KindShort, txlog.KindInteger, txlog.KindLong:
		if whole && c.Kind <= kindOf(t.Kind) {
			return same
		}
	case txlog.KindFloat, txlog.KindDouble:
		switch {
		case c.Kind == parquetio.KindFloat || c.Kind == kindOf(t.Kind):
			return same
		case whole && t.Kind == txlog.KindDouble && c.Kind != parquetio.KindLong:
			return func(v any) any { n, _ := v.(int64); return float64(n) }
		}
	case txlog.KindDecimal:
		if c.Kind == parquetio.KindDecimal && c.Scale <= t.Scale {
			factor := tenTo(t.Scale - c.Scale)
			return func(v any) any { n, _ := v.(*big.Int); return new(big.Int).Mul(n, factor) }
		}
		if whole {
			factor := tenTo(t.Scale)
			return func(v any) any { n, _ := v.(int64); return new(big.Int).Mul(big.NewInt(n), factor) }
		}
	case txlog.KindString, txlog.KindBinary:
		switch {
		case c.Kind == kindOf(t.Kind):
			return same
		case c.Kind == parquetio.KindBinary:
			return func(v any) any { b, _ := v.([]byte); return string(b) }
		case c.Kind == parquetio.KindString:
			return func(v any) any { s, _ := v.(string); return []byte(s) }
		}
	case txlog.KindTimestamp, txlog.KindTimestampNTZ:
		switch {
		case c.Kind == parquetio.KindTimestamp || c.Kind == parquetio.KindTimestampNTZ:
			return same
		case c.Kind == parquetio.KindDate && t.Kind == txlog.KindTimestampNTZ:
			return func(v any) any { days, _ := v.(int64); return days * microsPerDay }
		}
	case txlog.KindBoolean, txlog.KindDate:
		if c.Kind == kindOf(t.Kind) {
			return same
		}
	}
	return nil
}

func adaptStruct(c *parquetio.Column, t *txlog.DataType, mapping txlog.ColumnMapping) (adapter, error) {
	from, adapters := make([]int, len(t.Fields)), make([]adapter, len(t.Fields))
	for i, f := range t.Fields {
		of := find(c.Fields, f, mapping)
		from[i] = slices.Index(c.Fields, of)
		if of == nil {
			continue
		}
		var err error
		if adapters[i], err = adapt(of, f.Type, mapping); err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return func(v any) (any, error) {
		fields, ok := v.([]any)
		if v == nil || !ok {
			return nil, nil
		}
		out := make([]any, len(from))
		for i, at := range from {
			if at < 0 {
				continue
			}
			var err error
			if out[i], err = adapters[i](fields[at]); err != nil {
				return nil, err
			}
		}
		return out, nil
	}, nil
}

func adaptEach(element adapter) adapter {
	return func(v any) (any, error) {
		list, ok := v.([]any)
		if v == nil || !ok {
			return nil, nil
		}
		out := make([]any, len(list))
		for i, x := range list {
			var err error
			if out[i], err = element(x); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
}

func adaptEntries(key, value adapter) adapter {
	return func(v any) (any, error) {
		entries, ok := v.([]parquetio.Entry)
		if v == nil || !ok {
			return nil, nil
		}
		out := make([]parquetio.Entry, len(entries))
		for i, e := range entries {
			var err error
			if out[i].Key, err = key(e.Key); err == nil {
				out[i].Value, err = value(e.Value)
			}
			if err != nil {
				return nil, err
			}
		}
		return out, nil
	}
}
