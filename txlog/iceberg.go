package txlog

// icebergRefusals lists what keeps us from writing files that an Iceberg reader would understand as well. Nothing where
// the table does not ask for that.
//
// Protocol: "Writer Requirements for IcebergCompatV1", "Writer Requirement for IcebergCompatV2". That partition columns
// stand in data files, too, and that every add has numRecords, is done where files are written.
func icebergRefusals(p *Protocol, m *Metadata, schema *Schema) []string {
	first, second := isTrue(m.Configuration, "delta.enableIcebergCompatV1"), isTrue(m.Configuration, "delta.enableIcebergCompatV2")
	if !first && !second {
		return nil
	}
	name := FeatureIcebergCompatV1
	if second {
		name = FeatureIcebergCompatV2
	}
	var refused []string
	refuse := func(when bool, why string) {
		if when {
			refused = append(refused, name+" ("+why+")")
		}
	}
	mapping, err := mappingOf(m.Configuration)
	refuse(first && second, FeatureIcebergCompatV1+" is on as well")
	refuse(err != nil || mapping == MappingNone, "it needs column mapping: set delta.columnMapping.mode = name")
	refuse(first && p.Supports(FeatureDeletionVectors), "the table supports deletion vectors: make it with delta.enableDeletionVectors = false")
	refuse(isTrue(m.Configuration, "delta.enableDeletionVectors"), "it excludes deletion vectors: set delta.enableDeletionVectors = false")
	refuse(schema.Uses(KindVoid), "column of type void")
	refuse(schema.Uses(KindVariant), "column of type variant")
	lists := schema.Uses(KindArray) || schema.Uses(KindMap)
	refuse(first && lists, "column of type array or map")
	if second {
		bad := nestedIDsMissing(schema)
		refuse(bad != "", bad+" has no id of its own")
	}
	return refused
}
