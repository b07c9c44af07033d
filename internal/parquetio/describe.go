package parquetio

import (
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// describe turns the schema of a file into columns. Lists and maps of older writers, with two levels or inner names
// of their own, come out like those of today.
func describe(p *parquet.Column) *Column {
	c := &Column{
		Name: p.Name(), Nullable: p.Optional(), FieldID: p.ID(), leaf: -1,
		rep: uint8(p.MaxRepetitionLevel()), def: uint8(p.MaxDefinitionLevel()), //nolint:gosec // the library bounds levels at 255
	}
	if p.Leaf() {
		c.leaf, c.path = p.Index(), p.Path()
		describeLeaf(c, p.Type())
		if p.Repeated() { // a list without the wrapping of lists
			return listOf(c, p)
		}
		return c
	}
	children := p.Columns()
	if inner := repeatedChild(p, children); inner != nil {
		switch {
		case isMap(p) && len(inner.Columns()) == 2:
			c.Kind = KindMap
			c.Key, c.Value = describe(inner.Columns()[0]), describe(inner.Columns()[1])
			c.listRep, c.listDef = levels(inner)
			return c
		case isList(p):
			c.Kind = KindList
			c.listRep, c.listDef = levels(inner)
			if !inner.Leaf() && len(inner.Columns()) == 1 && inner.Name() != "array" && inner.Name() != p.Name()+"_tuple" {
				c.Element = describe(inner.Columns()[0])
			} else {
				c.Element = elementItself(inner)
			}
			return c
		}
	}
	c.Kind = KindStruct
	for _, child := range children {
		c.Fields = append(c.Fields, describe(child))
	}
	if p.Repeated() {
		return listOf(c, p)
	}
	return c
}

// listOf wraps a repeated field that stands for a list of itself.
func listOf(element *Column, p *parquet.Column) *Column {
	rep, def := levels(p)
	element.Nullable = false
	return &Column{
		Name: element.Name, Kind: KindList, Element: element, leaf: -1, FieldID: element.FieldID,
		rep: rep - 1, def: def - 1, listRep: rep, listDef: def,
	}
}

// elementItself describes the repeated child of a two-level list: it is the element.
func elementItself(inner *parquet.Column) *Column {
	c := describe(inner)
	if c.Kind == KindList && inner.Repeated() && c.Element != nil && c.listRep == uint8(inner.MaxRepetitionLevel()) { //nolint:gosec // bounded
		return c.Element // describe wrapped it; the list around it is already there
	}
	return c
}

func levels(p *parquet.Column) (rep, def uint8) {
	return uint8(p.MaxRepetitionLevel()), uint8(p.MaxDefinitionLevel()) //nolint:gosec // the library bounds levels at 255
}

// repeatedChild returns the only child of a group if it is repeated.
func repeatedChild(p *parquet.Column, children []*parquet.Column) *parquet.Column {
	if len(children) == 1 && children[0].Repeated() && !p.Repeated() {
		return children[0]
	}
	return nil
}

func isList(p *parquet.Column) bool {
	if t := p.Type().LogicalType(); t != nil {
		_, ok := t.Value.(*format.ListType)
		return ok
	}
	t := p.Type().ConvertedType()
	return t != nil && *t == deprecated.List
}

func isMap(p *parquet.Column) bool {
	if t := p.Type().LogicalType(); t != nil {
		_, ok := t.Value.(*format.MapType)
		return ok
	}
	t := p.Type().ConvertedType()
	return t != nil && (*t == deprecated.Map || *t == deprecated.MapKeyValue)
}

// describeLeaf finds the kind of a column that holds values.
func describeLeaf(c *Column, t parquet.Type) {
	c.size = t.Length()
	switch t.Kind() {
	case parquet.Boolean:
		c.Kind = KindBoolean
	case parquet.Int32:
		c.Kind = KindInteger
	case parquet.Int64:
		c.Kind = KindLong
	case parquet.Int96:
		c.Kind, c.unit = KindTimestamp, unitInt96
	case parquet.Float:
		c.Kind = KindFloat
	case parquet.Double:
		c.Kind = KindDouble
	case parquet.ByteArray, parquet.FixedLenByteArray:
		c.Kind = KindBinary
	}
	if l := t.LogicalType(); l != nil {
		describeLogical(c, l)
	} else if d := t.ConvertedType(); d != nil {
		describeConverted(c, *d)
	}
	if c.Kind == KindDecimal && (t.Kind() == parquet.ByteArray || t.Kind() == parquet.FixedLenByteArray) {
		c.unit = unitBytes
	}
}

func describeLogical(c *Column, l *format.LogicalType) {
	switch v := l.Value.(type) {
	case *format.StringType, *format.EnumType, *format.JsonType:
		c.Kind = KindString
	case *format.DateType:
		c.Kind = KindDate
	case *format.DecimalType:
		c.Kind, c.Precision, c.Scale = KindDecimal, int(v.Precision), int(v.Scale)
	case *format.TimestampType:
		c.Kind = KindTimestamp
		if !v.IsAdjustedToUTC {
			c.Kind = KindTimestampNTZ
		}
		switch v.Unit.Value.(type) {
		case *format.MilliSeconds:
			c.unit = unitMillis
		case *format.NanoSeconds:
			c.unit = unitNanos
		}
	case *format.IntType:
		c.Kind = intKind(int(v.BitWidth), v.IsSigned)
		if !v.IsSigned {
			c.unit = unitUnsigned
		}
	case *format.TimeType, *format.UUIDType, *format.Float16Type:
		c.Kind = KindUnknown
	}
}

func describeConverted(c *Column, d deprecated.ConvertedType) {
	switch d {
	case deprecated.UTF8, deprecated.Enum, deprecated.Json:
		c.Kind = KindString
	case deprecated.Date:
		c.Kind = KindDate
	case deprecated.TimestampMillis:
		c.Kind, c.unit = KindTimestamp, unitMillis
	case deprecated.TimestampMicros:
		c.Kind = KindTimestamp
	case deprecated.Int8:
		c.Kind = KindByte
	case deprecated.Int16:
		c.Kind = KindShort
	case deprecated.Int32:
		c.Kind = KindInteger
	case deprecated.Int64:
		c.Kind = KindLong
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		c.unit = unitUnsigned
		c.Kind = intKind(8<<(d-deprecated.Uint8), false)
	case deprecated.TimeMillis, deprecated.TimeMicros, deprecated.Interval:
		c.Kind = KindUnknown
	}
}

// intKind is the smallest kind that holds all values; 64 bits without a sign have none.
func intKind(bits int, signed bool) Kind {
	switch {
	case bits <= 8 && signed:
		return KindByte
	case bits <= 16 && signed || bits <= 8:
		return KindShort
	case bits <= 32 && signed || bits <= 16:
		return KindInteger
	case bits <= 64 && signed || bits <= 32:
		return KindLong
	}
	return KindUnknown
}
