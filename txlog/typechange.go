package txlog

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
)

// TypeChangesKey is the key of a column's metadata that lists the wider types which it or a part of it got.
const TypeChangesKey = "delta.typeChanges"

// Widens tells whether every value of one type can be read as one of the other, so that old files may stay as they are.
// Types that are equal, and parts of other types, do not widen.
//
// Protocol: "Type Widening".
func Widens(from, to *DataType) bool {
	switch from.Kind {
	case KindByte, KindShort, KindInteger:
		switch to.Kind {
		case KindShort, KindInteger, KindLong:
			_, most := wholeRange(from.Kind)
			_, wider := wholeRange(to.Kind)
			return most < wider
		case KindDouble:
			return true
		case KindDecimal:
			return to.Precision-to.Scale >= 10
		}
	case KindLong:
		return to.Kind == KindDecimal && to.Precision-to.Scale >= 20
	case KindFloat:
		return to.Kind == KindDouble
	case KindDate:
		return to.Kind == KindTimestampNTZ
	case KindDecimal:
		return to.Kind == KindDecimal && !from.Equal(to) &&
			to.Scale >= from.Scale && to.Precision-from.Precision >= to.Scale-from.Scale
	}
	return false
}

// WidensForIceberg tells whether a table that has to be readable as an Iceberg table may widen so.
//
// Protocol: "Iceberg Compatibility V1", "Iceberg Compatibility V2".
func WidensForIceberg(from, to *DataType) bool {
	whole := from.Kind == KindByte || from.Kind == KindShort || from.Kind == KindInteger || from.Kind == KindLong
	return Widens(from, to) && from.Kind != KindDate && (from.Kind != KindDecimal || from.Scale == to.Scale) &&
		(!whole || to.Kind != KindDouble && to.Kind != KindDecimal)
}

// typeChange is an entry of delta.typeChanges.
type typeChange struct {
	From string `json:"fromType"`
	To   string `json:"toType"`
	Path string `json:"fieldPath,omitempty"` // of words element, key and value; "": the column itself
}

// RecordTypeChange adds to the metadata of a field that it, or the part of it that path leads to, had another type.
// Path is of the words element, key and value; the field's metadata must be its own.
//
// Protocol: "Type Widening", "Type Change Metadata".
func RecordTypeChange(f *Field, path []string, from, to *DataType) error {
	entries := []json.RawMessage{} // those that are there stay as they were written
	if raw := f.Metadata[TypeChangesKey]; len(raw) > 0 {
		if err := json.Unmarshal(raw, &entries); err != nil {
			return corrupt("column %q: %s: %w", clip(f.Name), TypeChangesKey, err)
		}
	}
	entry, err := json.Marshal(typeChange{From: from.deltaName(), To: to.deltaName(), Path: strings.Join(path, ".")})
	if err != nil {
		return fmt.Errorf("write %s: %w", TypeChangesKey, err)
	}
	raw, err := json.Marshal(append(entries, entry))
	if err != nil {
		return fmt.Errorf("write %s: %w", TypeChangesKey, err)
	}
	f.Metadata[TypeChangesKey] = raw
	return nil
}

// Widened tells whether a column, at any depth, got a wider type.
func (s *Schema) Widened() bool {
	found := false
	walkFields(s.Fields, "", func(_ string, f Field) {
		raw := f.Metadata[TypeChangesKey]
		found = found || len(raw) > 0 && string(raw) != "null"
	})
	return found
}

// WithoutTypeChanges is the schema of a table that has no older files.
func WithoutTypeChanges(s *Schema) *Schema {
	return &Schema{Fields: mapFields(s.Fields, func(f Field) Field {
		if _, has := f.Metadata[TypeChangesKey]; has {
			f.Metadata = maps.Clone(f.Metadata)
			delete(f.Metadata, TypeChangesKey)
		}
		return f
	})}
}

// checkTypeChanges refuses a table with files whose types we could not widen.
//
// Protocol: "Reader Requirements for Type Widening". Errors: [ErrUnsupportedFeature], [ErrCorruptLog].
func checkTypeChanges(s *Schema) error {
	var err error
	walkFields(s.Fields, "", func(name string, f Field) {
		raw := f.Metadata[TypeChangesKey]
		if err != nil || len(raw) == 0 || string(raw) == "null" {
			return
		}
		var changes []typeChange
		if bad := json.Unmarshal(raw, &changes); bad != nil {
			err = corrupt("column %q: %s: %w", clip(name), TypeChangesKey, bad)
			return
		}
		for _, c := range changes {
			if !Widens(primitiveOf(c.From), primitiveOf(c.To)) {
				err = featureError(false, []string{
					fmt.Sprintf("%s (column %s was %s and became %s)", FeatureTypeWidening, clip(name), clip(c.From), clip(c.To)),
				})
				return
			}
		}
	})
	return err
}

// wasFloat tells whether values of a column of doubles may come from files that hold floats.
func (f *Field) wasFloat() bool {
	var changes []typeChange
	raw := f.Metadata[TypeChangesKey]
	if f.Type.Kind != KindDouble || len(raw) == 0 || json.Unmarshal(raw, &changes) != nil {
		return false
	}
	for _, c := range changes {
		if c.Path == "" && c.From == "float" {
			return true
		}
	}
	return false
}
