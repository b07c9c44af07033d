package txlog

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ColumnMapping says how the columns of a schema are found in data files. Protocol: "Column Mapping".
type ColumnMapping uint8

// The modes of the property delta.columnMapping.mode.
const (
	MappingNone ColumnMapping = iota // by column name; ids and physical names left in the schema mean nothing
	MappingName                      // by physical name
	MappingID                        // by Parquet field id
)

// Keys of a field's metadata that column mapping uses.
const (
	FieldIDKey      = "delta.columnMapping.id"
	PhysicalNameKey = "delta.columnMapping.physicalName"
	nestedIDsKey    = "delta.columnMapping.nested.ids" // ids of elements, keys and values, for Iceberg
)

// Properties of column mapping. MaxColumnIDKey is the highest id that any column of the table ever had.
const (
	MappingModeKey = "delta.columnMapping.mode"
	MaxColumnIDKey = "delta.columnMapping.maxColumnId"
)

// String is the value of the property.
func (m ColumnMapping) String() string {
	switch m {
	case MappingName:
		return "name"
	case MappingID:
		return "id"
	case MappingNone:
	}
	return "none"
}

func mappingOf(configuration map[string]string) (ColumnMapping, error) {
	switch mode := strings.ToLower(configuration[MappingModeKey]); mode {
	case "", "none":
		return MappingNone, nil
	case "name":
		return MappingName, nil
	case "id":
		return MappingID, nil
	default:
		return MappingNone, corrupt(MappingModeKey+" is %q", clip(mode))
	}
}

// ParseMapping reads the value of the property delta.columnMapping.mode; "" is none.
func ParseMapping(mode string) (ColumnMapping, error) {
	return mappingOf(map[string]string{MappingModeKey: mode})
}

// AssignMapping gives an id and a physical name to every field of s that lacks one, those inside structs, arrays and
// maps included. Ids go on above last, the highest that the table ever gave out; the highest afterwards comes back.
// physical makes a physical name for the column called name.
//
// Protocol: "Column Mapping", "Writer Requirements for Column Mapping": ids and physical names are unique for ever.
func AssignMapping(s *Schema, last int, physical func(name string) string) (*Schema, int) {
	walkFields(s.Fields, "", func(_ string, f Field) {
		if id, ok := f.FieldID(); ok {
			last = max(last, id)
		}
		for _, id := range f.NestedIDs() {
			last = max(last, id)
		}
	})
	fields := mapFields(s.Fields, func(f Field) Field {
		_, hasID := f.FieldID()
		_, hasName := f.Metadata[PhysicalNameKey]
		if hasID && hasName {
			return f
		}
		f.Metadata = maps.Clone(f.Metadata)
		if f.Metadata == nil {
			f.Metadata = map[string]json.RawMessage{}
		}
		if !hasID {
			last++
			f.Metadata[FieldIDKey] = json.RawMessage(strconv.Itoa(last))
		}
		if !hasName {
			f.Metadata[PhysicalNameKey] = json.RawMessage(quoteJSON(physical(f.Name)))
		}
		return f
	})
	return &Schema{Fields: fields}, last
}

// WithoutMapping is s without ids and physical names: those of another table, or of a mode that is off, mean nothing.
func WithoutMapping(s *Schema) *Schema {
	return &Schema{Fields: mapFields(s.Fields, bareField)}
}

// InheritMapping is s with the ids and physical names of those columns of old that have the same name and type: a
// column that is replaced by its like stays itself.
func InheritMapping(s, old *Schema) *Schema {
	fields := slices.Clone(s.Fields)
	for i, f := range fields {
		at, err := lookupField(old.Fields, f.Name)
		if err != nil || !withoutMapping(old.Fields[at].Type).Equal(withoutMapping(f.Type)) {
			continue
		}
		was := old.Fields[at]
		fields[i].Type, fields[i].Metadata = was.Type, maps.Clone(f.Metadata)
		if fields[i].Metadata == nil {
			fields[i].Metadata = map[string]json.RawMessage{}
		}
		for _, key := range mappingKeys() {
			if raw, has := was.Metadata[key]; has {
				fields[i].Metadata[key] = raw
			}
		}
	}
	return &Schema{Fields: fields}
}

// MatchPhysical is s, which has no mapping, with the ids and physical names of those columns of mapped that have the
// names of s in files. Others stay without.
func MatchPhysical(s, mapped *Schema) *Schema {
	return &Schema{Fields: matchFields(s.Fields, mapped.Fields)}
}

func matchFields(fields, mapped []Field) []Field {
	out := slices.Clone(fields)
	for i, f := range out {
		at := slices.IndexFunc(mapped, func(m Field) bool { return m.PhysicalName(MappingName) == f.Name })
		if at < 0 {
			continue
		}
		out[i].Metadata = maps.Clone(f.Metadata)
		if out[i].Metadata == nil {
			out[i].Metadata = map[string]json.RawMessage{}
		}
		for _, key := range []string{FieldIDKey, PhysicalNameKey} {
			if raw, has := mapped[at].Metadata[key]; has {
				out[i].Metadata[key] = raw
			}
		}
		out[i].Type = matchType(f.Type, mapped[at].Type)
	}
	return out
}

func matchType(t, mapped *DataType) *DataType {
	if t.Kind != mapped.Kind || !t.Nested() {
		return t
	}
	out := *t
	switch t.Kind {
	case KindStruct:
		out.Fields = matchFields(t.Fields, mapped.Fields)
	case KindArray:
		out.Element = matchType(t.Element, mapped.Element)
	case KindMap:
		out.Key, out.Value = matchType(t.Key, mapped.Key), matchType(t.Value, mapped.Value)
	default:
	}
	return &out
}

func mappingKeys() []string { return []string{FieldIDKey, PhysicalNameKey, nestedIDsKey} }

func withoutMapping(t *DataType) *DataType { return mapTypeFields(t, bareField) }

func bareField(f Field) Field {
	f.Metadata = maps.Clone(f.Metadata)
	for _, key := range mappingKeys() {
		delete(f.Metadata, key)
	}
	return f
}

// mapFields changes every field, an outer one before those inside of it.
func mapFields(fields []Field, change func(Field) Field) []Field {
	out := make([]Field, len(fields))
	for i, f := range fields {
		f = change(f)
		f.Type = mapTypeFields(f.Type, change)
		out[i] = f
	}
	return out
}

func mapTypeFields(t *DataType, change func(Field) Field) *DataType {
	out := *t
	switch t.Kind {
	case KindStruct:
		out.Fields = mapFields(t.Fields, change)
	case KindArray:
		out.Element = mapTypeFields(t.Element, change)
	case KindMap:
		out.Key, out.Value = mapTypeFields(t.Key, change), mapTypeFields(t.Value, change)
	default:
		return t
	}
	return &out
}

// PhysicalName is the name of the field in data files, partition values and statistics.
func (f Field) PhysicalName(m ColumnMapping) string {
	if m == MappingNone {
		return f.Name
	}
	var name string
	if err := json.Unmarshal(f.Metadata[PhysicalNameKey], &name); err != nil || name == "" {
		return f.Name
	}
	return name
}

// FieldID is the Parquet field id of the field, whatever the mode; ok is false where the schema gives none.
func (f Field) FieldID() (id int, ok bool) {
	raw, has := f.Metadata[FieldIDKey]
	if !has {
		return 0, false
	}
	r := newJSONReader(raw)
	id = int(r.int32())
	return id, r.end() == nil
}

// checkMapping demands an id and a physical name of every field, unique within the table, as the mode requires.
func checkMapping(s *Schema, m ColumnMapping) error {
	if m == MappingNone {
		return nil
	}
	ids, names := map[int]string{}, map[string]string{}
	var walk func(fields []Field, parent string) error
	var inside func(t *DataType, name string) error
	inside = func(t *DataType, name string) error {
		switch t.Kind {
		case KindStruct:
			return walk(t.Fields, name+".")
		case KindArray:
			return inside(t.Element, name+".element")
		case KindMap:
			return firstError(inside(t.Key, name+".key"), inside(t.Value, name+".value"))
		}
		return nil
	}
	walk = func(fields []Field, parent string) error {
		for _, f := range fields {
			name := parent + f.Name
			id, ok := f.FieldID()
			if _, has := f.Metadata[PhysicalNameKey]; !ok || !has {
				return fmt.Errorf("column %q lacks an id or a physical name", name)
			}
			physical := parent + f.PhysicalName(m)
			if other, twice := ids[id]; twice {
				return fmt.Errorf("columns %q and %q share id %d", other, name, id)
			}
			if other, twice := names[physical]; twice {
				return fmt.Errorf("columns %q and %q share a physical name", other, name)
			}
			ids[id], names[physical] = name, name
			if err := inside(f.Type, name); err != nil {
				return err
			}
		}
		return nil
	}
	return walk(s.Fields, "")
}
