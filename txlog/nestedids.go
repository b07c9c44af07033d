package txlog

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Elements of arrays and keys and values of maps are no fields, so they have no metadata of their own. Where Iceberg
// readers want ids of them, these stand in the metadata of the field around them, by their path from it.

// NestedPaths lists what is inside of arrays and maps of the field up to the next struct: "col.element",
// "col.value.element", outer ones first. The first part is the physical name of the field.
//
// Protocol: "Writer Requirements for IcebergCompatV2", delta.columnMapping.nested.ids.
func (f Field) NestedPaths() []string {
	var paths []string
	var inside func(t *DataType, path string)
	below := func(t *DataType, path string) {
		paths = append(paths, path)
		inside(t, path)
	}
	inside = func(t *DataType, path string) {
		switch t.Kind {
		case KindArray:
			below(t.Element, path+".element")
		case KindMap:
			below(t.Key, path+".key")
			below(t.Value, path+".value")
		default:
		}
	}
	inside(f.Type, f.PhysicalName(MappingName))
	return paths
}

// NestedIDs are the Parquet field ids of what NestedPaths lists, by path; those that the schema gives.
func (f Field) NestedIDs() map[string]int {
	raw, has := f.Metadata[nestedIDsKey]
	if !has {
		return nil
	}
	ids := map[string]int{}
	r := newJSONReader(raw)
	r.object(func(path string) { ids[path] = int(r.int32()) })
	if r.end() != nil {
		return nil
	}
	return ids
}

// AssignNestedIDs gives an id to every element, key and value of s that lacks one. Ids go on above last, the highest
// that the table ever gave out; the highest afterwards comes back. Columns and their fields have theirs: see
// [AssignMapping].
//
// Protocol: "Writer Requirements for IcebergCompatV2".
func AssignNestedIDs(s *Schema, last int) (*Schema, int) {
	fields := mapFields(s.Fields, func(f Field) Field {
		paths := f.NestedPaths()
		if len(paths) == 0 {
			return f
		}
		ids, given := f.NestedIDs(), false
		if ids == nil {
			ids = map[string]int{}
		}
		for _, path := range paths {
			if _, has := ids[path]; !has {
				last, given = last+1, true
				ids[path] = last
			}
		}
		if !given {
			return f
		}
		f.Metadata = maps.Clone(f.Metadata)
		if f.Metadata == nil {
			f.Metadata = map[string]json.RawMessage{}
		}
		f.Metadata[nestedIDsKey] = nestedIDsJSON(ids)
		return f
	})
	return &Schema{Fields: fields}, last
}

func nestedIDsJSON(ids map[string]int) json.RawMessage {
	entries := make([]string, 0, len(ids))
	for _, path := range slices.Sorted(maps.Keys(ids)) {
		entries = append(entries, quoteJSON(path)+":"+strconv.Itoa(ids[path]))
	}
	return json.RawMessage("{" + strings.Join(entries, ",") + "}")
}

// nestedIDsMissing names an element, key or value without an id, or with that of another column; "" when all is well.
func nestedIDsMissing(s *Schema) string {
	taken := map[int]bool{}
	walkFields(s.Fields, "", func(_ string, f Field) {
		if id, ok := f.FieldID(); ok {
			taken[id] = true
		}
	})
	bad := ""
	walkFields(s.Fields, "", func(name string, f Field) {
		ids := f.NestedIDs()
		for _, path := range f.NestedPaths() {
			id, has := ids[path]
			if bad == "" && (!has || taken[id]) {
				bad = name + strings.TrimPrefix(path, f.PhysicalName(MappingName))
			}
			taken[id] = true
		}
	})
	return bad
}
