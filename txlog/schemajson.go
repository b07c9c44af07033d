package txlog

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/internal/limits"
)

// ParseSchema reads a schemaString.
//
// Protocol: "Schema Serialization Format". Type names that we do not know give [KindUnknown]: the schema opens.
// Names are checked as in [NewSchema]. Errors match [ErrCorruptLog], or are a *limits.Error.
func ParseSchema(s string) (*Schema, error) { return parseSchema(s, limits.Default()) }

func parseSchema(s string, bound limits.Limits) (*Schema, error) {
	if s == "" {
		return nil, corrupt("metaData has no schemaString")
	}
	if err := bound.Check("schema_bytes", int64(len(s))); err != nil {
		return nil, err
	}
	p := schemaParser{jsonReader: newJSONReader([]byte(s)), bound: bound}
	t := p.dataType(0)
	if err := p.end(); err != nil {
		if p.over != nil {
			return nil, p.over
		}
		return nil, corrupt("schemaString: %w", err)
	}
	if t == nil || t.Kind != KindStruct {
		return nil, corrupt("schemaString is no struct")
	}
	schema := &Schema{Fields: t.Fields}
	if err := checkNames(t.Fields, ""); err != nil {
		return nil, corrupt("%w", err)
	}
	if err := bound.Check("columns", schema.Leaves()); err != nil {
		return nil, err
	}
	return schema, nil
}

type schemaParser struct {
	*jsonReader
	bound limits.Limits
	over  error
}

func (p *schemaParser) dataType(depth int64) *DataType {
	if err := p.bound.Check("schema_depth", depth); err != nil {
		p.over = err
		p.fail("type nested too deep")
		return nil
	}
	switch p.peek() {
	case '"':
		return primitiveOf(p.text())
	case '{':
	default:
		p.fail("expected a type")
		return nil
	}
	// The word that says which kind this is may come after the rest.
	t, kind := &DataType{}, ""
	var legacy bool
	p.object(func(key string) {
		switch key {
		case "type":
			kind = p.text()
		case "fields":
			p.array(func() { t.Fields = append(t.Fields, p.field(depth)) })
		case "elementType":
			t.Element = p.dataType(depth + 1)
		case "containsNull":
			t.ContainsNull = p.boolean()
		case "keyType":
			t.Key = p.dataType(depth + 1)
		case "valueType":
			t.Value = p.dataType(depth + 1)
		case "valueContainsNull":
			t.ValueContainsNull = p.boolean()
		default:
			legacy = true
			p.skip()
		}
	})
	if p.err != nil {
		return nil
	}
	switch kind {
	case "struct":
		return &DataType{Kind: KindStruct, Name: kind, Fields: t.Fields}
	case "array":
		if t.Element == nil {
			p.fail("array without elementType")
			return nil
		}
		return &DataType{Kind: KindArray, Name: kind, Element: t.Element, ContainsNull: t.ContainsNull}
	case "map":
		if t.Key == nil || t.Value == nil {
			p.fail("map without keyType or valueType")
			return nil
		}
		return &DataType{Kind: KindMap, Name: kind, Key: t.Key, Value: t.Value, ValueContainsNull: t.ValueContainsNull}
	}
	if kind == "" && !legacy {
		p.fail("type without a name")
		return nil
	}
	if primitiveOf(kind).Kind != KindUnknown {
		p.fail("type %q written as an object", kind)
		return nil
	}
	return &DataType{Kind: KindUnknown, Name: kind}
}

func (p *schemaParser) field(depth int64) Field {
	f := Field{Nullable: true}
	if p.peek() != '{' {
		p.fail("expected a field")
		return f
	}
	p.object(func(key string) {
		switch key {
		case "name":
			f.Name = p.text()
		case "type":
			f.Type = p.dataType(depth + 1)
		case "nullable":
			f.Nullable = p.boolean()
		case "metadata":
			p.object(func(key string) {
				if f.Metadata == nil {
					f.Metadata = map[string]json.RawMessage{}
				}
				f.Metadata[key] = p.raw()
			})
		default:
			p.skip()
		}
	})
	if f.Type == nil {
		p.fail("field %q without a type", clip(f.Name))
	}
	return f
}

// primitiveOf reads the name of a type without parts.
func primitiveOf(name string) *DataType {
	if kind, ok := primitiveKinds()[name]; ok {
		return &DataType{Kind: kind, Name: name}
	}
	if name == "decimal" {
		return &DataType{Kind: KindDecimal, Name: "decimal(10,0)", Precision: 10}
	}
	if inside, ok := strings.CutPrefix(name, "decimal("); ok && strings.HasSuffix(inside, ")") {
		p, s, two := strings.Cut(strings.TrimSuffix(inside, ")"), ",")
		precision, err1 := strconv.Atoi(strings.TrimSpace(p))
		scale, err2 := 0, error(nil)
		if two {
			scale, err2 = strconv.Atoi(strings.TrimSpace(s))
		}
		if err1 == nil && err2 == nil && precision >= 1 && precision <= 38 && scale >= 0 && scale <= precision {
			return &DataType{Kind: KindDecimal, Name: decimalName(precision, scale), Precision: precision, Scale: scale}
		}
	}
	return &DataType{Kind: KindUnknown, Name: name}
}

func decimalName(precision, scale int) string { return fmt.Sprintf("decimal(%d,%d)", precision, scale) }

func primitiveKinds() map[string]Kind {
	return map[string]Kind{
		"string": KindString, "binary": KindBinary, "long": KindLong, "integer": KindInteger, "short": KindShort,
		"byte": KindByte, "float": KindFloat, "double": KindDouble, "boolean": KindBoolean, "date": KindDate,
		"timestamp": KindTimestamp, "timestamp_ntz": KindTimestampNTZ, "variant": KindVariant, "void": KindVoid,
		"null": KindVoid,
	}
}

// JSON is the schemaString of the schema. Metadata keys come sorted, values as they were read.
func (s *Schema) JSON() string {
	var b strings.Builder
	writeStruct(&b, s.Fields)
	return b.String()
}

func writeStruct(b *strings.Builder, fields []Field) {
	b.WriteString(`{"type":"struct","fields":[`)
	for i, f := range fields {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"name":` + quoteJSON(f.Name) + `,"type":`)
		writeType(b, f.Type)
		b.WriteString(`,"nullable":` + strconv.FormatBool(f.Nullable) + `,"metadata":{`)
		for n, key := range slices.Sorted(maps.Keys(f.Metadata)) {
			if n > 0 {
				b.WriteByte(',')
			}
			b.WriteString(quoteJSON(key) + ":" + string(f.Metadata[key]))
		}
		b.WriteString("}}")
	}
	b.WriteString("]}")
}

func writeType(b *strings.Builder, t *DataType) {
	switch t.Kind {
	case KindStruct:
		writeStruct(b, t.Fields)
	case KindArray:
		b.WriteString(`{"type":"array","elementType":`)
		writeType(b, t.Element)
		b.WriteString(`,"containsNull":` + strconv.FormatBool(t.ContainsNull) + "}")
	case KindMap:
		b.WriteString(`{"type":"map","keyType":`)
		writeType(b, t.Key)
		b.WriteString(`,"valueType":`)
		writeType(b, t.Value)
		b.WriteString(`,"valueContainsNull":` + strconv.FormatBool(t.ValueContainsNull) + "}")
	default:
		b.WriteString(quoteJSON(t.deltaName()))
	}
}

// deltaName is the name of a type without parts as schemas spell it.
func (t *DataType) deltaName() string {
	if t.Kind == KindDecimal {
		return decimalName(t.Precision, t.Scale)
	}
	for name, kind := range primitiveKinds() {
		if kind == t.Kind && name != "null" {
			return name
		}
	}
	return t.Name
}
