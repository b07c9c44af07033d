package txlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/internal/nearest"
)

// Kind is the family of a [DataType].
type Kind uint8

// The kinds of the Delta protocol ("Schema Serialization Format"). KindUnknown is any type name that we do not
// know: the schema opens, reading or writing such a column is refused by name.
const (
	KindUnknown Kind = iota
	KindString
	KindBinary
	KindLong
	KindInteger
	KindShort
	KindByte
	KindFloat
	KindDouble
	KindBoolean
	KindDate
	KindDecimal
	KindTimestamp
	KindTimestampNTZ
	KindVariant
	KindVoid
	KindArray
	KindMap
	KindStruct
)

// DataType is a Delta type. Only the fields of its Kind are set. Values are treated as immutable once built.
type DataType struct {
	Kind              Kind
	Name              string    // the name as in the schema; for KindUnknown the only thing known
	Precision, Scale  int       // KindDecimal
	Fields            []Field   // KindStruct
	Element           *DataType // KindArray
	ContainsNull      bool      // KindArray
	Key, Value        *DataType // KindMap
	ValueContainsNull bool      // KindMap
}

// Field is a column of a schema or of a struct. Metadata keeps unknown keys as they were read.
type Field struct {
	Name     string
	Type     *DataType
	Nullable bool
	Metadata map[string]json.RawMessage
}

// Schema is the columns of a table, in order. Names are unique without regard to case, at each level.
type Schema struct {
	Fields []Field
}

// NewSchema builds a schema and checks that names are not empty and unique without regard to case, at each level.
func NewSchema(fields ...Field) (*Schema, error) {
	if err := checkNames(fields, ""); err != nil {
		return nil, err
	}
	return &Schema{Fields: slices.Clone(fields)}, nil
}

func checkNames(fields []Field, parent string) error {
	seen := make(map[string]string, len(fields))
	for _, f := range fields {
		name := parent + f.Name
		if f.Name == "" || f.Type == nil {
			return fmt.Errorf("schema: column %q needs a name and a type", name)
		}
		folded := strings.ToLower(f.Name)
		if other, twice := seen[folded]; twice {
			return fmt.Errorf("schema: columns %q and %q differ at most in case", parent+other, name)
		}
		seen[folded] = f.Name
		if err := checkTypeNames(f.Type, name); err != nil {
			return err
		}
	}
	return nil
}

func checkTypeNames(t *DataType, name string) error {
	if t == nil {
		return fmt.Errorf("schema: column %q has an incomplete type", name)
	}
	switch t.Kind {
	case KindStruct:
		return checkNames(t.Fields, name+".")
	case KindArray:
		return checkTypeNames(t.Element, name+".element")
	case KindMap:
		return firstError(checkTypeNames(t.Key, name+".key"), checkTypeNames(t.Value, name+".value"))
	}
	return nil
}

// Lookup finds a top-level column: the exact name first, then the only one that is equal without regard to case.
func (s *Schema) Lookup(name string) (*Field, error) {
	i, err := lookupField(s.Fields, name)
	if err != nil {
		return nil, err
	}
	return &s.Fields[i], nil
}

// LookupPath finds a column or a field of nested structs.
func (s *Schema) LookupPath(path []string) (*Field, error) {
	fields := s.Fields
	for n, name := range path {
		i, err := lookupField(fields, name)
		if err != nil {
			return nil, err
		}
		if n == len(path)-1 {
			return &fields[i], nil
		}
		if fields[i].Type.Kind != KindStruct {
			return nil, fmt.Errorf("column %q is no struct", fields[i].Name)
		}
		fields = fields[i].Type.Fields
	}
	return nil, errors.New("empty column name")
}

func lookupField(fields []Field, name string) (int, error) {
	found := -1
	for i := range fields {
		if fields[i].Name == name {
			return i, nil
		}
		if strings.EqualFold(fields[i].Name, name) {
			if found >= 0 {
				return 0, fmt.Errorf("column %q is ambiguous", name)
			}
			found = i
		}
	}
	if found < 0 {
		return 0, noColumn(fields, name)
	}
	return found, nil
}

// noColumn says which columns may be meant.
func noColumn(fields []Field, name string) error {
	names := make([]string, len(fields))
	for i := range fields {
		names[i] = fields[i].Name
	}
	if meant := nearest.Of(name, names, 3); meant != nil {
		for i := range meant {
			meant[i] = strconv.Quote(meant[i])
		}
		return fmt.Errorf("no column %q; did you mean %s?", name, strings.Join(meant, " or "))
	}
	return fmt.Errorf("no column %q", name)
}

// Names lists the top-level columns in order.
func (s *Schema) Names() []string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = f.Name
	}
	return names
}

// Equal compares names, types, nullability and metadata, in order.
func (s *Schema) Equal(o *Schema) bool {
	if s == nil || o == nil {
		return s == o
	}
	return slices.EqualFunc(s.Fields, o.Fields, fieldsEqual)
}

func fieldsEqual(a, b Field) bool {
	return a.Name == b.Name && a.Nullable == b.Nullable && a.Type.Equal(b.Type) &&
		maps.EqualFunc(a.Metadata, b.Metadata, func(x, y json.RawMessage) bool { return jsonEqual(x, y) })
}

func jsonEqual(a, b json.RawMessage) bool {
	if bytes.Equal(a, b) {
		return true
	}
	ra, rb := newJSONReader(a), newJSONReader(b)
	na, nb := ra.node(), rb.node()
	return ra.end() == nil && rb.end() == nil && reflect.DeepEqual(na, nb)
}

// Equal compares two types with everything below them.
func (t *DataType) Equal(o *DataType) bool {
	if t == nil || o == nil {
		return t == o
	}
	if t.Kind != o.Kind {
		return false
	}
	switch t.Kind {
	case KindUnknown:
		return t.Name == o.Name
	case KindDecimal:
		return t.Precision == o.Precision && t.Scale == o.Scale
	case KindArray:
		return t.ContainsNull == o.ContainsNull && t.Element.Equal(o.Element)
	case KindMap:
		return t.ValueContainsNull == o.ValueContainsNull && t.Key.Equal(o.Key) && t.Value.Equal(o.Value)
	case KindStruct:
		return slices.EqualFunc(t.Fields, o.Fields, fieldsEqual)
	}
	return true
}

// Nested tells whether the type is an array, a map or a struct.
func (t *DataType) Nested() bool {
	return t.Kind == KindArray || t.Kind == KindMap || t.Kind == KindStruct
}

// CheckKnown returns an error that matches [ErrUnsupportedType] and names the first type that we do not know.
func (s *Schema) CheckKnown() error {
	for _, f := range s.Fields {
		if t := f.Type.unknown(); t != nil {
			return fmt.Errorf("column %q: %w: %s", f.Name, ErrUnsupportedType, clip(t.Name))
		}
	}
	return nil
}

func (t *DataType) unknown() *DataType {
	switch t.Kind {
	case KindUnknown:
		return t
	case KindArray:
		return t.Element.unknown()
	case KindMap:
		if u := t.Key.unknown(); u != nil {
			return u
		}
		return t.Value.unknown()
	case KindStruct:
		for _, f := range t.Fields {
			if u := f.Type.unknown(); u != nil {
				return u
			}
		}
	}
	return nil
}

// Uses tells whether a column, at any depth, has the kind.
func (s *Schema) Uses(k Kind) bool {
	for _, f := range s.Fields {
		if f.Type.Uses(k) {
			return true
		}
	}
	return false
}

// Uses tells whether the type, or one inside of it, has the kind.
func (t *DataType) Uses(k Kind) bool {
	if t.Kind == k {
		return true
	}
	switch t.Kind {
	case KindArray:
		return t.Element.Uses(k)
	case KindMap:
		return t.Key.Uses(k) || t.Value.Uses(k)
	case KindStruct:
		return (&Schema{Fields: t.Fields}).Uses(k)
	}
	return false
}

// Leaves counts the columns that hold values; an array or a map counts what is inside it.
func (s *Schema) Leaves() int64 {
	var n int64
	for _, f := range s.Fields {
		n += f.Type.leaves()
	}
	return n
}

func (t *DataType) leaves() int64 {
	switch t.Kind {
	case KindArray:
		return t.Element.leaves()
	case KindMap:
		return t.Key.leaves() + t.Value.leaves()
	case KindStruct:
		return (&Schema{Fields: t.Fields}).Leaves()
	}
	return 1
}
