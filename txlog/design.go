package txlog

import (
	"fmt"
	"slices"
	"strings"
)

// Design is what decides which table features a table needs. Creating a table and changing one ask the same
// question here.
type Design struct {
	Schema      *Schema
	PartitionBy []string
	Clustered   bool              // the table has the domain delta.clustering
	Properties  map[string]string // as metaData stores them
	Asked       []string          // features asked for by name (delta.feature.X = supported)
}

// Features lists the features that the table needs, sorted: those asked for, and those that a property or a mark in
// the schema makes active, with the features that they rest on.
//
// Protocol: "Valid Feature Names in Table Features", the enablement of each.
func (d Design) Features() []string {
	var names []string
	need := func(active bool, features ...string) {
		if active {
			names = append(names, features...)
		}
	}
	on := func(key string) bool { return isTrue(d.Properties, key) }
	mapped := func() bool { m, err := mappingOf(d.Properties); return err == nil && m != MappingNone }
	for _, name := range d.Asked {
		f, _ := featureNamed(name)
		need(true, f.name)
	}
	need(on("delta.appendOnly"), FeatureAppendOnly)
	need(hasConstraints(d.Properties), FeatureCheckConstraints)
	need(RecordsChanges(d.Properties), FeatureChangeDataFeed)
	need(mapped(), FeatureColumnMapping)
	need(on("delta.enableDeletionVectors"), FeatureDeletionVectors)
	need(strings.EqualFold(d.Properties["delta.checkpointPolicy"], "v2"), FeatureV2Checkpoint)
	need(on(RowTrackingKey), FeatureRowTracking)
	need(on("delta.enableInCommitTimestamps"), FeatureInCommitTimestamp)
	need(on("delta.enableTypeWidening"), FeatureTypeWidening)
	need(on("delta.enableIcebergCompatV1"), FeatureIcebergCompatV1)
	need(on("delta.enableIcebergCompatV2"), FeatureIcebergCompatV2)
	need(on("delta.enableVariantShredding"), FeatureVariantShredding)
	need(d.Clustered, FeatureClustering)
	if d.Schema != nil {
		need(d.Schema.Uses(KindTimestampNTZ), FeatureTimestampNTZ)
		need(d.Schema.Uses(KindVariant), FeatureVariantType)
		walkFields(d.Schema.Fields, "", func(_ string, f Field) {
			for key := range f.Metadata {
				if name, marked := featureOfMark(f, key); marked {
					need(true, name)
				}
			}
		})
	}
	for i := 0; i < len(names); i++ { // grows while it runs: what a feature rests on may rest on another one
		names = append(names, featureBasis(names[i])...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// featureOfMark is the feature that a key of a field's metadata switches on.
func featureOfMark(f Field, key string) (name string, marked bool) {
	if raw := f.Metadata[key]; len(raw) == 0 || string(raw) == "null" {
		return "", false
	}
	switch key {
	case invariantsKey:
		return FeatureInvariants, true
	case generationKey:
		return FeatureGeneratedColumns, true
	case identityStartKey, identityStepKey:
		return FeatureIdentityColumns, true
	case defaultKey:
		return FeatureColumnDefaults, true
	case "delta.typeChanges":
		return FeatureTypeWidening, true
	}
	return "", false
}

// featureBasis lists the features that must be supported wherever name is.
func featureBasis(name string) []string {
	switch name {
	case FeatureRowTracking, FeatureClustering:
		return []string{FeatureDomainMetadata}
	case FeatureIcebergCompatV1, FeatureIcebergCompatV2:
		return []string{FeatureColumnMapping}
	case FeatureVariantShredding:
		return []string{FeatureVariantType}
	}
	return nil
}

// DefaultProtocol is the protocol of a new table: as low as its schema and properties allow. Deletion vectors are
// on unless delta.enableDeletionVectors is "false".
//
// Errors match [ErrUnsupportedFeature] where the table would need a feature that we cannot write.
func DefaultProtocol(schema *Schema, partitionColumns []string, configuration map[string]string) (*Protocol, error) {
	d := Design{Schema: schema, PartitionBy: partitionColumns, Properties: configuration}
	if _, set := configuration["delta.enableDeletionVectors"]; !set {
		d.Asked = []string{FeatureDeletionVectors}
	}
	return d.NewProtocol()
}

// NewProtocol is the protocol of a new table of this design: as low as it allows.
//
// Errors: ErrUnsupportedFeature and ErrUnsupportedType for what we cannot write.
func (d Design) NewProtocol() (*Protocol, error) {
	return d.Upgrade(&Protocol{MinReaderVersion: 1, MinWriterVersion: 2})
}

// Upgrade is p with the features that the design needs besides; p itself where it has them all. Nothing is ever
// taken out of a protocol. The version numbers before table features are raised as long as they can say it; from
// then on (x,7) lists everything, also what the old numbers implied.
//
// Protocol: "Protocol Evolution", "Table Features".
// Errors:   ErrUnsupportedFeature and ErrUnsupportedType for what we cannot write.
func (d Design) Upgrade(p *Protocol) (*Protocol, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	up := p.with(d.Features())
	if err := up.checkWritable(); err != nil {
		return nil, err
	}
	return up, featureError(true, icebergRefusals(up, &Metadata{Configuration: d.Properties}, d.Schema))
}

// check refuses what no protocol makes writable for us.
func (d Design) check() error {
	for _, name := range d.PartitionBy {
		f, err := d.Schema.Lookup(name)
		if err != nil {
			return fmt.Errorf("partition column: %w", err)
		}
		if f.Type.Nested() || f.Type.Kind == KindVariant || f.Type.Kind == KindVoid {
			return fmt.Errorf("partition column %q: %w: %s", name, ErrUnsupportedType, f.Type.SQL())
		}
	}
	if len(d.PartitionBy) > 0 && len(d.PartitionBy) == len(d.Schema.Fields) {
		return fmt.Errorf("partition columns: at least one other column is needed")
	}
	if err := d.Schema.CheckKnown(); err != nil {
		return err
	}
	if name, reserved := feedColumn(d.Schema); reserved && RecordsChanges(d.Properties) {
		return fmt.Errorf("column %q has a name that the change data feed (%s) needs for itself", name, changeFeedKey)
	}
	if _, err := mappingOf(d.Properties); err != nil {
		return err
	}
	return featureError(true, activeRefusals(&Metadata{Configuration: d.Properties}, d.Schema))
}

// with adds features to a protocol.
func (p *Protocol) with(names []string) *Protocol {
	missing := slices.DeleteFunc(slices.Clone(names), p.Supports)
	if len(missing) == 0 {
		return p
	}
	out := &Protocol{MinReaderVersion: p.MinReaderVersion, MinWriterVersion: p.MinWriterVersion}
	legacy := p.MinWriterVersion < 7
	for _, name := range missing {
		f, _ := featureNamed(name)
		legacy = legacy && f.writer > 0
	}
	if legacy {
		for _, name := range missing {
			f, _ := featureNamed(name)
			out.MinReaderVersion = max(out.MinReaderVersion, f.reader)
			out.MinWriterVersion = max(out.MinWriterVersion, f.writer)
		}
		return out
	}
	out.MinWriterVersion = 7
	out.WriterFeatures = append(p.supported(), missing...)
	for _, name := range out.WriterFeatures {
		if f, _ := featureNamed(name); f.readerWrite {
			need := 3
			if f.reader > 0 { // a version number says it to readers
				need = f.reader
			}
			out.MinReaderVersion = max(out.MinReaderVersion, need)
		}
	}
	if out.MinReaderVersion == 3 {
		out.ReaderFeatures = slices.Clone(p.ReaderFeatures)
		for _, name := range out.WriterFeatures {
			if f, _ := featureNamed(name); f.readerWrite {
				out.ReaderFeatures = append(out.ReaderFeatures, name)
			}
		}
		slices.Sort(out.ReaderFeatures)
		out.ReaderFeatures = slices.Compact(out.ReaderFeatures)
		if out.ReaderFeatures == nil {
			out.ReaderFeatures = []string{}
		}
	}
	slices.Sort(out.WriterFeatures)
	out.WriterFeatures = slices.Compact(out.WriterFeatures)
	return out
}

// supported lists the features of a protocol, those that old version numbers imply included.
func (p *Protocol) supported() []string {
	if p.MinWriterVersion >= 7 {
		return slices.Clone(p.WriterFeatures)
	}
	var names []string
	for _, name := range oldFeatures() {
		if f, _ := featureNamed(name); p.MinWriterVersion >= f.writer {
			names = append(names, name)
		}
	}
	return names
}

// FeaturesBeyond lists the features that p supports and before does not, sorted.
func (p *Protocol) FeaturesBeyond(before *Protocol) []string {
	names := slices.DeleteFunc(p.supported(), before.Supports)
	slices.Sort(names)
	return names
}

// FeaturesOfVersions lists the features that a pair of old version numbers implies, sorted; 3 and 7 imply none.
//
// Protocol: "Table Features", the table of versions.
func FeaturesOfVersions(reader, writer int) []string {
	var names []string
	for _, name := range oldFeatures() {
		if f, _ := featureNamed(name); writer < 7 && writer >= f.writer || f.reader > 0 && reader < 3 && reader >= f.reader {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
