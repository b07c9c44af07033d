package typed

import (
	"fmt"

	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// columnOf describes a column of a data file. Everything in it may be NULL, as other writers have it: what must not be
// was checked before.
func columnOf(f txlog.Field, mapping txlog.ColumnMapping) (*parquetio.Column, error) {
	c, err := typeOf(f.PhysicalName(mapping), f.Type, mapping)
	if err != nil {
		return nil, fmt.Errorf("column %s: %w", f.Name, err)
	}
	if id, ok := f.FieldID(); ok && mapping != txlog.MappingNone {
		c.FieldID = id
	}
	return c, nil
}

func typeOf(name string, t *txlog.DataType, mapping txlog.ColumnMapping) (c *parquetio.Column, err error) {
	c = &parquetio.Column{Name: name, Nullable: true, Kind: kindOf(t.Kind)}
	switch t.Kind {
	case txlog.KindDecimal:
		c.Precision, c.Scale = t.Precision, t.Scale
	case txlog.KindStruct:
		for _, f := range t.Fields {
			field, err := columnOf(f, mapping)
			if err != nil {
				return nil, err
			}
			c.Fields = append(c.Fields, field)
		}
	case txlog.KindArray:
		c.Element, err = typeOf("element", t.Element, mapping)
	case txlog.KindMap:
		if c.Key, err = typeOf("key", t.Key, mapping); err == nil {
			c.Key.Nullable = false
			c.Value, err = typeOf("value", t.Value, mapping)
		}
	}
	if err == nil && c.Kind == parquetio.KindUnknown {
		err = fmt.Errorf("%w: values of type %s are written by an engine", table.ErrUnsupported, t.SQL())
	}
	return c, err
}

func kindOf(k txlog.Kind) parquetio.Kind {
	switch k {
	case txlog.KindBoolean:
		return parquetio.KindBoolean
	case txlog.KindByte:
		return parquetio.KindByte
	case txlog.KindShort:
		return parquetio.KindShort
	case txlog.KindInteger:
		return parquetio.KindInteger
	case txlog.KindLong:
		return parquetio.KindLong
	case txlog.KindFloat:
		return parquetio.KindFloat
	case txlog.KindDouble:
		return parquetio.KindDouble
	case txlog.KindDecimal:
		return parquetio.KindDecimal
	case txlog.KindString:
		return parquetio.KindString
	case txlog.KindBinary:
		return parquetio.KindBinary
	case txlog.KindDate:
		return parquetio.KindDate
	case txlog.KindTimestamp:
		return parquetio.KindTimestamp
	case txlog.KindTimestampNTZ:
		return parquetio.KindTimestampNTZ
	case txlog.KindStruct:
		return parquetio.KindStruct
	case txlog.KindArray:
		return parquetio.KindList
	case txlog.KindMap:
		return parquetio.KindMap
	}
	return parquetio.KindUnknown
}
