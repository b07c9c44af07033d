package txlog

import "slices"

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

// feature says what we can do with a table feature of the protocol ("Valid Feature Names in Table Features").
type feature struct {
	name        string
	readerWrite bool // a reader-and-writer feature: it must stand in both lists
	writer      int  // writer version that implies it; 0: none
	reader      int  // reader version that implies it; 0: none
	read        bool // we can read a table that has it
	write       bool // we can write one, as far as it is not active (see activeRefusals)
}

// features lists everything that the protocol names, known refusals included.
func features() []feature {
	return []feature{
		{name: FeatureAppendOnly, writer: 2, read: true, write: true},
		{name: FeatureInvariants, writer: 2, read: true, write: true},
		{name: FeatureCheckConstraints, writer: 3, read: true, write: true},
		{name: FeatureChangeDataFeed, writer: 4, read: true, write: true},
		{name: FeatureGeneratedColumns, writer: 4, read: true, write: true},
		{name: FeatureColumnMapping, readerWrite: true, writer: 5, reader: 2, read: true, write: true},
		{name: FeatureIdentityColumns, writer: 6, read: true, write: true},
		{name: FeatureColumnDefaults, read: true, write: true},
		{name: FeatureDeletionVectors, readerWrite: true, read: true, write: true},
		{name: FeatureTimestampNTZ, readerWrite: true, read: true, write: true},
		{name: FeatureV2Checkpoint, readerWrite: true, read: true, write: true},
		{name: FeatureDomainMetadata, read: true, write: true},
		{name: FeatureRowTracking, read: true, write: true},
		{name: FeatureInCommitTimestamp, read: true, write: true},
		{name: FeatureClustering, read: true, write: true},
		{name: FeatureTypeWidening, readerWrite: true, read: true, write: true},
		{name: FeatureVacuumProtocolCheck, readerWrite: true, read: true, write: true},
		{name: FeatureVariantType, readerWrite: true, read: true, write: true},
		{name: FeatureVariantShredding, readerWrite: true},
		{name: FeatureIcebergCompatV1, read: true, write: true},
		{name: FeatureIcebergCompatV2, read: true, write: true},
		{name: FeatureCatalogManaged, readerWrite: true},
		{name: "catalogOwned-preview", readerWrite: true},
		{name: "typeWidening-preview", readerWrite: true, read: true},
		{name: "variantType-preview", readerWrite: true},
		{name: "variantShredding-preview", readerWrite: true},
		{name: "timestampNanos", readerWrite: true},
		{name: "geospatial", readerWrite: true},
		{name: "geospatial-dev", readerWrite: true},
		{name: "adaptiveMetadata-preview", readerWrite: true},
		{name: "redirectReaderWriter-preview", readerWrite: true},
	}
}

func featureNamed(name string) (feature, bool) {
	if name == "timestampWithoutTimezone" { // an old spelling
		name = FeatureTimestampNTZ
	}
	all := features()
	if i := slices.IndexFunc(all, func(f feature) bool { return f.name == name }); i >= 0 {
		return all[i], true
	}
	return feature{name: name}, false
}
