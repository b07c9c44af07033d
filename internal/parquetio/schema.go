package parquetio

import (
	"errors"
	"fmt"
	"math/big"
	"reflect"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/compress"
	"github.com/parquet-go/parquet-go/encoding"
)

// group is a struct of columns in the order that we give, which the library's own group would sort.
type group struct{ fields []parquet.Field }

func (g *group) ID() int                     { return 0 }
func (g *group) String() string              { return "group" }
func (g *group) Type() parquet.Type          { return parquet.Group{}.Type() }
func (g *group) Optional() bool              { return false }
func (g *group) Repeated() bool              { return false }
func (g *group) Required() bool              { return true }
func (g *group) Leaf() bool                  { return false }
func (g *group) Fields() []parquet.Field     { return g.fields }
func (g *group) Encoding() encoding.Encoding { return nil }
func (g *group) Compression() compress.Codec { return nil }
func (g *group) GoType() reflect.Type        { return reflect.TypeFor[struct{}]() }

// field is a named node. Rows are written by levels, never through reflection, so it has no Go value.
type field struct {
	parquet.Node
	name string
}

func (f *field) Name() string                      { return f.name }
func (f *field) Value(reflect.Value) reflect.Value { return reflect.Value{} }

// annotated gives a group the type of a list or map.
type annotated struct {
	parquet.Node
	of parquet.Node
}

func (a annotated) Type() parquet.Type { return a.of.Type() }

// plan numbers the leaves of columns that will be written and sets their levels.
type plan struct{ leaves int }

var errColumns = errors.New("columns cannot be written")

// root builds the schema of a file from its columns.
func (p *plan) root(columns []*Column) (*parquet.Schema, error) {
	g, err := p.group(columns, 0, 0)
	if err != nil {
		return nil, err
	}
	return parquet.NewSchema("schema", g), nil
}

func (p *plan) group(columns []*Column, rep, def uint8) (*group, error) {
	if len(columns) == 0 {
		return nil, fmt.Errorf("%w: a struct without fields", errColumns)
	}
	g := &group{}
	for _, c := range columns {
		n, err := p.node(c, rep, def)
		if err != nil {
			return nil, err
		}
		g.fields = append(g.fields, &field{n, c.Name})
	}
	return g, nil
}

const levelMax = 100

// node builds the node of one column below the given levels.
func (p *plan) node(c *Column, rep, def uint8) (parquet.Node, error) {
	if c == nil || c.Name == "" || def > levelMax {
		return nil, fmt.Errorf("%w: nested too deep, or without a name", errColumns)
	}
	if c.Nullable {
		def++
	}
	c.leaf, c.rep, c.def = -1, rep, def
	n, err := p.body(c, rep, def)
	if err != nil {
		return nil, err
	}
	if c.Nullable {
		n = parquet.Optional(n)
	} else {
		n = parquet.Required(n)
	}
	if c.FieldID != 0 {
		n = parquet.FieldID(n, c.FieldID)
	}
	return n, nil
}

func (p *plan) body(c *Column, rep, def uint8) (parquet.Node, error) {
	switch c.Kind {
	case KindStruct:
		return p.group(c.Fields, rep, def)
	case KindList:
		c.listRep, c.listDef = rep+1, def+1
		if c.Element == nil {
			return nil, fmt.Errorf("%w: list %s without an element", errColumns, c.Name)
		}
		c.Element.Name = "element"
		inner, err := p.group([]*Column{c.Element}, rep+1, def+1)
		if err != nil {
			return nil, err
		}
		g := &group{fields: []parquet.Field{&field{parquet.Repeated(inner), "list"}}}
		return annotated{g, parquet.List(parquet.String())}, nil
	case KindMap:
		c.listRep, c.listDef = rep+1, def+1
		if c.Key == nil || c.Value == nil {
			return nil, fmt.Errorf("%w: map %s without key or value", errColumns, c.Name)
		}
		c.Key.Name, c.Value.Name, c.Key.Nullable = "key", "value", false
		inner, err := p.group([]*Column{c.Key, c.Value}, rep+1, def+1)
		if err != nil {
			return nil, err
		}
		g := &group{fields: []parquet.Field{&field{parquet.Repeated(inner), "key_value"}}}
		return annotated{g, parquet.Map(parquet.String(), parquet.String())}, nil
	}
	c.leaf = p.leaves
	p.leaves++
	return leafNode(c)
}

func leafNode(c *Column) (parquet.Node, error) {
	switch c.Kind {
	case KindBoolean:
		return parquet.Leaf(parquet.BooleanType), nil
	case KindByte:
		return parquet.Int(8), nil
	case KindShort:
		return parquet.Int(16), nil
	case KindInteger:
		return parquet.Leaf(parquet.Int32Type), nil
	case KindLong:
		return parquet.Leaf(parquet.Int64Type), nil
	case KindFloat:
		return parquet.Leaf(parquet.FloatType), nil
	case KindDouble:
		return parquet.Leaf(parquet.DoubleType), nil
	case KindString:
		return parquet.String(), nil
	case KindBinary:
		return parquet.Leaf(parquet.ByteArrayType), nil
	case KindDate:
		return parquet.Date(), nil
	case KindTimestamp:
		return parquet.TimestampAdjusted(parquet.Microsecond, true), nil
	case KindTimestampNTZ:
		return parquet.TimestampAdjusted(parquet.Microsecond, false), nil
	case KindDecimal:
		switch {
		case c.Precision < 1 || c.Precision > 38 || c.Scale < 0 || c.Scale > c.Precision:
			return nil, fmt.Errorf("%w: decimal(%d,%d) of %s", errColumns, c.Precision, c.Scale, c.Name)
		case c.Precision <= 9:
			return parquet.Decimal(c.Scale, c.Precision, parquet.Int32Type), nil
		case c.Precision <= 18:
			return parquet.Decimal(c.Scale, c.Precision, parquet.Int64Type), nil
		}
		c.size, c.unit = decimalBytes(c.Precision), unitBytes
		return parquet.Decimal(c.Scale, c.Precision, parquet.FixedLenByteArrayType(c.size)), nil
	}
	return nil, fmt.Errorf("%w: %s of kind %s", errColumns, c.Name, c.Kind)
}

// decimalBytes is the length that holds every number of so many digits with its sign.
func decimalBytes(precision int) int {
	most := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(precision)), nil)
	return most.BitLen()/8 + 1
}
