package txlog

import (
	"slices"
	"strings"
)

// activeRefusals lists the duties of a writer that are switched on in this table and that we cannot do yet.
// A feature that is supported but not active asks nothing of a writer.
func activeRefusals(m *Metadata, schema *Schema) []string {
	var refused []string
	active := func(feature, what string) {
		if what != "" {
			refused = append(refused, feature+" ("+what+")")
		}
	}
	if name, reserved := feedColumn(schema); reserved && RecordsChanges(m.Configuration) {
		active(FeatureChangeDataFeed, "column "+name+" has a name that the feed needs")
	}
	if isTrue(m.Configuration, RowTrackingKey) && (m.Configuration[RowIDColumnKey] == "" || m.Configuration[RowVersionColumnKey] == "") {
		active(FeatureRowTracking, "the properties name no columns for the ids of rows")
	}
	if isTrue(m.Configuration, RowTrackingKey) && isTrue(m.Configuration, RowTrackingSuspendedKey) {
		active(FeatureRowTracking, RowTrackingKey+" and "+RowTrackingSuspendedKey+" are both true")
	}
	for _, key := range []string{"delta.universalFormat.enabledFormats", "delta.compatibility.symlinkFormatManifest.enabled"} {
		if v := m.Configuration[key]; v != "" && !strings.EqualFold(v, "false") {
			active(key, "our writes would leave that output stale: unset it first")
		}
	}
	slices.Sort(refused)
	return slices.Compact(refused)
}

// walkFields visits every field, those inside structs, arrays and maps included.
func walkFields(fields []Field, parent string, visit func(name string, f Field)) {
	var inside func(t *DataType, name string)
	inside = func(t *DataType, name string) {
		switch t.Kind {
		case KindStruct:
			walkFields(t.Fields, name+".", visit)
		case KindArray:
			inside(t.Element, name+".element")
		case KindMap:
			inside(t.Key, name+".key")
			inside(t.Value, name+".value")
		}
	}
	for _, f := range fields {
		visit(parent+f.Name, f)
		inside(f.Type, parent+f.Name)
	}
}

func isTrue(configuration map[string]string, key string) bool {
	return strings.EqualFold(configuration[key], "true")
}

func isConstraint(key string) bool {
	return strings.HasPrefix(strings.ToLower(key), "delta.constraints.")
}

func hasConstraints(configuration map[string]string) bool {
	for key := range configuration {
		if isConstraint(key) {
			return true
		}
	}
	return false
}
