package txlog

// Names of table features that the code asks for.
const (
	FeatureAppendOnly          = "appendOnly"
	FeatureInvariants          = "invariants"
	FeatureCheckConstraints    = "checkConstraints"
	FeatureChangeDataFeed      = "changeDataFeed"
	FeatureGeneratedColumns    = "generatedColumns"
	FeatureColumnMapping       = "columnMapping"
	FeatureIdentityColumns     = "identityColumns"
	FeatureColumnDefaults      = "allowColumnDefaults"
	FeatureDeletionVectors     = "deletionVectors"
	FeatureTimestampNTZ        = "timestampNtz"
	FeatureV2Checkpoint        = "v2Checkpoint"
	FeatureDomainMetadata      = "domainMetadata"
	FeatureRowTracking         = "rowTracking"
	FeatureInCommitTimestamp   = "inCommitTimestamp"
	FeatureClustering          = "clustering"
	FeatureTypeWidening        = "typeWidening"
	FeatureVacuumProtocolCheck = "vacuumProtocolCheck"
	FeatureVariantType         = "variantType"
	FeatureVariantShredding    = "variantShredding"
	FeatureIcebergCompatV1     = "icebergCompatV1"
	FeatureIcebergCompatV2     = "icebergCompatV2"
	FeatureCatalogManaged      = "catalogManaged"
)

// previewVariantShredding is what Spark calls variant shredding where the property asks for it. It asks the same of
// readers and writers as the final feature.
const previewVariantShredding = "variantShredding-preview"

// feature says what we can do with a table feature of the protocol ("Valid Feature Names in Table Features").
type feature struct {
	name        string
	readerWrite bool // a reader-and-writer feature: it must stand in both lists
	writer      int  // writer version that implies it; 0: none
	reader      int  // reader version that implies it; 0: none
	read        bool // we can read a table that has it
	write       bool // we can write one, as far as it is not active (see activeRefusals)
}

// featureNamed tells what we can do with a feature: everything that the protocol names is known, refusals included. It
// is asked many times for each commit, so it is no table that would have to be built.
func featureNamed(name string) (f feature, known bool) {
	switch name {
	case FeatureAppendOnly, FeatureInvariants:
		f = feature{writer: 2, read: true, write: true}
	case FeatureCheckConstraints:
		f = feature{writer: 3, read: true, write: true}
	case FeatureChangeDataFeed, FeatureGeneratedColumns:
		f = feature{writer: 4, read: true, write: true}
	case FeatureColumnMapping:
		f = feature{readerWrite: true, writer: 5, reader: 2, read: true, write: true}
	case FeatureIdentityColumns:
		f = feature{writer: 6, read: true, write: true}
	case FeatureColumnDefaults, FeatureDomainMetadata, FeatureRowTracking, FeatureInCommitTimestamp, FeatureClustering,
		FeatureIcebergCompatV1, FeatureIcebergCompatV2:
		f = feature{read: true, write: true}
	case "timestampWithoutTimezone": // an old spelling
		name = FeatureTimestampNTZ
		f = feature{readerWrite: true, read: true, write: true}
	case FeatureDeletionVectors, FeatureTimestampNTZ, FeatureV2Checkpoint, FeatureTypeWidening, FeatureVacuumProtocolCheck,
		FeatureVariantType, FeatureVariantShredding, previewVariantShredding:
		f = feature{readerWrite: true, read: true, write: true}
	case "typeWidening-preview", "variantType-preview":
		f = feature{readerWrite: true, read: true}
	case FeatureCatalogManaged, "catalogOwned-preview", "timestampNanos", "geospatial", "geospatial-dev", "adaptiveMetadata-preview", "redirectReaderWriter-preview":
		f = feature{readerWrite: true}
	default:
		return feature{name: name}, false
	}
	f.name = name
	return f, true
}

// oldFeatures lists the features that version numbers below 7 imply.
func oldFeatures() [7]string {
	return [...]string{
		FeatureAppendOnly, FeatureInvariants, FeatureCheckConstraints, FeatureChangeDataFeed, FeatureGeneratedColumns,
		FeatureColumnMapping, FeatureIdentityColumns,
	}
}
