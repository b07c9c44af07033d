package txlog

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

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
		{name: FeatureClustering, read: true},
		{name: FeatureTypeWidening, readerWrite: true, read: true, write: true},
		{name: FeatureVacuumProtocolCheck, readerWrite: true, read: true, write: true},
		{name: "variantType", readerWrite: true},
		{name: "variantShredding", readerWrite: true},
		{name: "icebergCompatV1", read: true},
		{name: "icebergCompatV2", read: true},
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

// Check tells whether the action follows the rules of the protocol. Errors match [ErrInvalidProtocol].
//
// Protocol: "Protocol Evolution", "Table Features".
func (p *Protocol) Check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", ErrInvalidProtocol, fmt.Sprintf(format, args...))
	}
	switch r, w := p.MinReaderVersion, p.MinWriterVersion; {
	case r < 1 || w < 1:
		return bad("versions (%d,%d)", r, w)
	case r > 3 || w > 7:
		return nil // unsupported, which is another error than invalid
	case r == 3 && w < 7:
		return bad("reader version 3 with writer version %d", w)
	case r == 3 && p.ReaderFeatures == nil:
		return bad("reader version 3 without readerFeatures")
	case w == 7 && p.WriterFeatures == nil:
		return bad("writer version 7 without writerFeatures")
	case r < 3 && len(p.ReaderFeatures) > 0:
		return bad("readerFeatures with reader version %d", r)
	case w < 7 && len(p.WriterFeatures) > 0:
		return bad("writerFeatures with writer version %d", w)
	}
	for _, name := range p.ReaderFeatures {
		if !slices.Contains(p.WriterFeatures, name) {
			return bad("%s is in readerFeatures only", clip(name))
		}
	}
	if p.MinReaderVersion == 3 {
		for _, name := range p.WriterFeatures {
			if f, _ := featureNamed(name); f.readerWrite && !slices.Contains(p.ReaderFeatures, name) {
				return bad("%s is in writerFeatures but not in readerFeatures", clip(name))
			}
		}
	}
	return nil
}

// Supports tells whether the table has the feature, listed or implied by an old version number.
func (p *Protocol) Supports(name string) bool {
	for _, n := range p.WriterFeatures {
		if f, _ := featureNamed(n); f.name == name {
			return true
		}
	}
	f, known := featureNamed(name)
	if !known || p.MinWriterVersion >= 7 {
		return false
	}
	return f.writer > 0 && p.MinWriterVersion >= f.writer
}

// checkReadable returns a *FeatureError that lists all that stops us from reading.
func (p *Protocol) checkReadable() error {
	if err := p.Check(); err != nil {
		return err
	}
	var missing []string
	if p.MinReaderVersion > 3 {
		missing = append(missing, fmt.Sprintf("minReaderVersion %d", p.MinReaderVersion))
	}
	for _, name := range p.ReaderFeatures {
		if f, _ := featureNamed(name); !f.read {
			missing = append(missing, clip(name))
		}
	}
	return featureError(false, missing)
}

// checkWritable returns a *FeatureError that lists all that stops us from writing, whether active or not.
func (p *Protocol) checkWritable() error {
	if err := p.checkReadable(); err != nil {
		return err
	}
	var missing []string
	if p.MinWriterVersion > 7 {
		missing = append(missing, fmt.Sprintf("minWriterVersion %d", p.MinWriterVersion))
	}
	for _, name := range slices.Concat(p.WriterFeatures, p.ReaderFeatures) {
		if f, _ := featureNamed(name); !f.write {
			missing = append(missing, clip(name))
		}
	}
	return featureError(true, missing)
}

func featureError(write bool, missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	slices.Sort(missing)
	e := &FeatureError{Write: write, Features: slices.Compact(missing)}
	if slices.ContainsFunc(missing, func(n string) bool {
		return n == FeatureCatalogManaged || n == "catalogOwned-preview"
	}) {
		e.Reason = "a catalog owns the commits of this table: use the catalog's own client"
	}
	return e
}

// activeRefusals lists the duties of a writer that are switched on in this table and that we cannot do yet.
// A feature that is supported but not active asks nothing of a writer.
func activeRefusals(m *Metadata, schema *Schema, mapping ColumnMapping) []string {
	var refused []string
	active := func(feature, what string) {
		if what != "" {
			refused = append(refused, feature+" ("+what+")")
		}
	}
	for key, expression := range m.Configuration {
		if strings.HasPrefix(strings.ToLower(key), "delta.constraints.") {
			active(FeatureCheckConstraints, key+": "+expression)
		}
	}
	if isTrue(m.Configuration, "delta.enableChangeDataFeed") || isTrue(m.Configuration, "delta.enableChangeDataCapture") {
		active(FeatureChangeDataFeed, "delta.enableChangeDataFeed is true")
	}
	if mapping != MappingNone {
		active(FeatureColumnMapping, "delta.columnMapping.mode is "+mapping.String())
	}
	if isTrue(m.Configuration, "delta.enableRowTracking") {
		active(FeatureRowTracking, "delta.enableRowTracking is true")
	}
	for _, key := range []string{"delta.universalFormat.enabledFormats", "delta.compatibility.symlinkFormatManifest.enabled"} {
		if v := m.Configuration[key]; v != "" && !strings.EqualFold(v, "false") {
			active(key, "our writes would leave that output stale: unset it first")
		}
	}
	if schema.Uses(KindVariant) {
		active("variantType", "column of type variant")
	}
	walkFields(schema.Fields, "", func(name string, f Field) {
		for key, feature := range map[string]string{
			"delta.invariants":           FeatureInvariants,
			"delta.generationExpression": FeatureGeneratedColumns,
			"delta.identity.start":       FeatureIdentityColumns,
			"delta.identity.step":        FeatureIdentityColumns,
			"CURRENT_DEFAULT":            FeatureColumnDefaults,
		} {
			if raw, has := f.Metadata[key]; has && string(raw) != "null" {
				active(feature, "column "+name+": "+expressionOf(raw))
			}
		}
	})
	slices.Sort(refused)
	return slices.Compact(refused)
}

// expressionOf is the SQL in a field's metadata, for a message.
func expressionOf(raw json.RawMessage) string {
	text := string(raw)
	r := newJSONReader(raw)
	if r.peek() == '"' {
		text = r.text()
	}
	var invariant struct {
		Expression struct {
			Expression string `json:"expression"`
		} `json:"expression"`
	}
	if json.Unmarshal([]byte(text), &invariant) == nil && invariant.Expression.Expression != "" {
		text = invariant.Expression.Expression
	}
	if most := 500; len(text) > most {
		return clip(text)
	}
	return text
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

// DefaultProtocol is the protocol of a new table: as low as its schema and properties allow. Deletion vectors are
// on unless delta.enableDeletionVectors is "false".
//
// Errors match [ErrUnsupportedFeature] where the table would need a feature that we cannot write.
func DefaultProtocol(schema *Schema, partitionColumns []string, configuration map[string]string) (*Protocol, error) {
	for _, name := range partitionColumns {
		f, err := schema.Lookup(name)
		if err != nil {
			return nil, fmt.Errorf("partition column: %w", err)
		}
		if f.Type.Nested() || f.Type.Kind == KindVariant || f.Type.Kind == KindVoid {
			return nil, fmt.Errorf("partition column %q: %w: %s", name, ErrUnsupportedType, f.Type.SQL())
		}
	}
	if len(partitionColumns) > 0 && len(partitionColumns) == len(schema.Fields) {
		return nil, fmt.Errorf("partition columns: at least one other column is needed")
	}
	if err := schema.CheckKnown(); err != nil {
		return nil, err
	}
	mapping, err := mappingOf(configuration)
	if err != nil {
		return nil, err
	}
	m := &Metadata{Configuration: configuration}
	if refused := activeRefusals(m, schema, mapping); len(refused) > 0 {
		return nil, featureError(true, refused)
	}
	reader, writer := []string{}, []string{FeatureAppendOnly, FeatureInvariants}
	need := func(name string) {
		f, _ := featureNamed(name)
		writer = append(writer, name)
		if f.readerWrite {
			reader = append(reader, name)
		}
	}
	vectors := !strings.EqualFold(configuration["delta.enableDeletionVectors"], "false")
	ntz, inCommit := schema.Uses(KindTimestampNTZ), isTrue(configuration, "delta.enableInCommitTimestamps")
	if vectors {
		need(FeatureDeletionVectors)
	}
	if ntz {
		need(FeatureTimestampNTZ)
	}
	if inCommit {
		need(FeatureInCommitTimestamp)
	}
	slices.Sort(reader)
	slices.Sort(writer)
	switch {
	case len(reader) > 0:
		return &Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: reader, WriterFeatures: writer}, nil
	case inCommit:
		return &Protocol{MinReaderVersion: 1, MinWriterVersion: 7, WriterFeatures: writer}, nil
	}
	return &Protocol{MinReaderVersion: 1, MinWriterVersion: 2}, nil
}
