package txlog

import (
	"encoding/json"
	"fmt"
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
	switch mode := strings.ToLower(configuration["delta.columnMapping.mode"]); mode {
	case "", "none":
		return MappingNone, nil
	case "name":
		return MappingName, nil
	case "id":
		return MappingID, nil
	default:
		return MappingNone, corrupt("delta.columnMapping.mode is %q", clip(mode))
	}
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
