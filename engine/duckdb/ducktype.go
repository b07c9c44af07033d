package duckdb

import (
	"fmt"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// duckType is a logical type of DuckDB, copied out of its memory.
type duckType struct {
	id           bindings.Type
	width, scale int           // DECIMAL
	internal     bindings.Type // DECIMAL, ENUM: how values are stored
	names        []string      // STRUCT fields, ENUM values
	children     []*duckType
	json         bool
	variant      bool // a VARCHAR that shows a value of type VARIANT as JSON
}

// newDuckType copies t; the caller still owns it.
func newDuckType(t bindings.LogicalType) *duckType {
	d := &duckType{id: bindings.GetTypeId(t)}
	child := func(c bindings.LogicalType) {
		d.children = append(d.children, newDuckType(c))
		bindings.DestroyLogicalType(&c)
	}
	switch d.id {
	case bindings.TypeDecimal:
		d.width, d.scale = int(bindings.DecimalWidth(t)), int(bindings.DecimalScale(t))
		d.internal = bindings.DecimalInternalType(t)
	case bindings.TypeEnum:
		d.internal = bindings.EnumInternalType(t)
		for i := range bindings.EnumDictionarySize(t) {
			d.names = append(d.names, bindings.EnumDictionaryValue(t, bindings.IdxT(i)))
		}
	case bindings.TypeList:
		child(bindings.ListTypeChildType(t))
	case bindings.TypeMap:
		child(bindings.MapTypeKeyType(t))
		child(bindings.MapTypeValueType(t))
	case bindings.TypeStruct:
		for i := range bindings.StructTypeChildCount(t) {
			d.names = append(d.names, bindings.StructTypeChildName(t, i))
			child(bindings.StructTypeChildType(t, i))
		}
	case bindings.TypeVarchar:
		d.json = bindings.LogicalTypeGetAlias(t) == "JSON"
	}
	return d
}

// delta is the Delta type that holds every value of d. ok is false where there is none; then also what to do.
func (d *duckType) delta() (t *txlog.DataType, advice string, ok bool) {
	simple := func(k txlog.Kind, name string) (*txlog.DataType, string, bool) {
		return &txlog.DataType{Kind: k, Name: name}, "", true
	}
	switch d.id {
	case bindings.TypeVariant:
		return simple(txlog.KindVariant, "variant")
	case bindings.TypeBoolean:
		return simple(txlog.KindBoolean, "boolean")
	case bindings.TypeTinyInt:
		return simple(txlog.KindByte, "byte")
	case bindings.TypeSmallInt, bindings.TypeUTinyInt:
		return simple(txlog.KindShort, "short")
	case bindings.TypeInteger, bindings.TypeUSmallInt:
		return simple(txlog.KindInteger, "integer")
	case bindings.TypeBigInt, bindings.TypeUInteger:
		return simple(txlog.KindLong, "long")
	case bindings.TypeFloat:
		return simple(txlog.KindFloat, "float")
	case bindings.TypeDouble:
		return simple(txlog.KindDouble, "double")
	case bindings.TypeVarchar, bindings.TypeEnum:
		if d.variant {
			return simple(txlog.KindVariant, "variant")
		}
		return simple(txlog.KindString, "string")
	case bindings.TypeBlob:
		return simple(txlog.KindBinary, "binary")
	case bindings.TypeDate:
		return simple(txlog.KindDate, "date")
	case bindings.TypeTimestampTZ:
		return simple(txlog.KindTimestamp, "timestamp")
	case bindings.TypeTimestamp, bindings.TypeTimestampS, bindings.TypeTimestampMS:
		return simple(txlog.KindTimestampNTZ, "timestamp_ntz")
	case bindings.TypeSQLNull:
		return simple(txlog.KindVoid, "void")
	case bindings.TypeDecimal:
		return &txlog.DataType{
			Kind: txlog.KindDecimal, Name: fmt.Sprintf("decimal(%d,%d)", d.width, d.scale), Precision: d.width, Scale: d.scale,
		}, "", true
	case bindings.TypeList, bindings.TypeArray, bindings.TypeMap, bindings.TypeStruct:
		return d.nested()
	case bindings.TypeHugeInt, bindings.TypeUHugeInt, bindings.TypeUBigInt, bindings.TypeBigNum:
		return nil, "CAST(%s AS bigint)", false
	case bindings.TypeTimestampNS:
		return nil, "CAST(%s AS timestamp)", false
	default: // TIME, INTERVAL, UUID, BIT, UNION, …
		return nil, "CAST(%s AS varchar)", false
	}
}

func (d *duckType) nested() (*txlog.DataType, string, bool) {
	var types []*txlog.DataType
	for _, c := range d.children {
		t, advice, ok := c.delta()
		if !ok {
			return nil, advice, false
		}
		types = append(types, t)
	}
	switch {
	case d.id == bindings.TypeStruct:
		t := &txlog.DataType{Kind: txlog.KindStruct, Name: "struct"}
		for i, name := range d.names {
			t.Fields = append(t.Fields, txlog.Field{Name: name, Type: types[i], Nullable: true})
		}
		return t, "", true
	case d.id == bindings.TypeMap && len(types) == 2:
		return &txlog.DataType{Kind: txlog.KindMap, Name: "map", Key: types[0], Value: types[1], ValueContainsNull: true}, "", true
	case d.id == bindings.TypeList && len(types) == 1:
		return &txlog.DataType{Kind: txlog.KindArray, Name: "array", Element: types[0], ContainsNull: true}, "", true
	}
	return nil, "CAST(%s AS varchar)", false // ARRAY: the length of its values is a part of the type
}

// near is the SQL of a type that shows every value of d and that Delta has: only the leaves that it lacks change, most
// of them to text.
func (d *duckType) near() string {
	switch d.id {
	case bindings.TypeStruct:
		fields := make([]string, len(d.names))
		for i, name := range d.names {
			fields[i] = table.QuoteIdent(name) + " " + d.children[i].near()
		}
		return "STRUCT(" + strings.Join(fields, ", ") + ")"
	case bindings.TypeList:
		return d.children[0].near() + "[]"
	case bindings.TypeMap:
		return "MAP(" + d.children[0].near() + ", " + d.children[1].near() + ")"
	case bindings.TypeHugeInt, bindings.TypeUBigInt:
		sql, _ := typeSQL(d.shown()) // of a decimal: it has one
		return sql
	case bindings.TypeSQLNull:
		return "VARCHAR"
	}
	if t, _, ok := d.delta(); ok {
		if sql, err := typeSQL(t); err == nil {
			return sql
		}
	}
	return "VARCHAR"
}

// String is DuckDB's name of the type, for error messages.
func (d *duckType) String() string {
	switch d.id {
	case bindings.TypeHugeInt:
		return "HUGEINT"
	case bindings.TypeUHugeInt:
		return "UHUGEINT"
	case bindings.TypeUBigInt:
		return "UBIGINT"
	case bindings.TypeBigNum:
		return "BIGNUM"
	case bindings.TypeTimestampNS:
		return "TIMESTAMP_NS"
	case bindings.TypeTime, bindings.TypeTimeTZ, bindings.TypeTimeNS:
		return "TIME"
	case bindings.TypeInterval:
		return "INTERVAL"
	case bindings.TypeUUID:
		return "UUID"
	case bindings.TypeBit:
		return "BIT"
	case bindings.TypeUnion:
		return "UNION"
	case bindings.TypeVariant:
		return "VARIANT"
	case bindings.TypeArray:
		return "ARRAY"
	case bindings.TypeStruct, bindings.TypeList, bindings.TypeMap:
		for _, c := range d.children {
			if _, _, ok := c.delta(); !ok {
				return c.String()
			}
		}
	}
	return fmt.Sprintf("type %d", d.id)
}

// typeSQL is the DuckDB type in which values of t are computed.
//
// void has no values: it is read as an INTEGER that is always NULL.
func typeSQL(t *txlog.DataType) (string, error) { return table.TypeText{Void: true}.SQL(t) }
