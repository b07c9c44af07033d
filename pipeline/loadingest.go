package pipeline

import (
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/lakectl/lakectl/txlog"
)

// Defaults of ingest files.
const (
	DefaultMinAge         = 60 * time.Second
	DefaultMaxFiles       = 1000
	DefaultMaxBytes       = 5_000_000_000
	DefaultSampleFiles    = 20
	DefaultSampleRows     = 20000
	DefaultPoisonAttempts = 3
	DefaultRescued        = "_rescued"
)

// Metadata columns of every ingested table.
const (
	columnFile     = "_file"
	columnETag     = "_file_etag"
	columnModified = "_file_modified"
	columnRow      = "_row"
	columnPlan     = "_plan"
	columnIngested = "_ingested_at"
)

// The choices of schema.contract, source.changed_file and poison.
const (
	contractEvolve       = "evolve"
	contractFreeze       = "freeze"
	contractDiscardValue = "discard_value"
	contractDiscardRow   = "discard_row"
	contractRescue       = "rescue"

	changedReload = "reload"
	changedIgnore = "ignore"
	changedFail   = "fail"

	poisonFail = "fail"
)

// ingestSpec is an ingest file, resolved.
type ingestSpec struct {
	url         string // folder of the landing files
	glob        *regexp.Regexp
	globText    string
	pathColumns []columnHint // by name
	compression string       // auto, none, gzip
	csv         csvOptions
	minAge      time.Duration
	since       time.Time // zero: no bound
	changed     string
	maxFiles    int
	maxBytes    int64
	hints       []columnHint // in the order of the file
	required    []string
	sampleFiles int
	sampleRows  int
	columns     string // contract for unknown columns
	types       string // contract for values that do not fit
	rescued     string // name of the rescue column; "" without one
	poison      string
	attempts    int
}

// csvOptions says how lines become values.
type csvOptions struct {
	Header          bool     `json:"header"`
	Delimiter       byte     `json:"delimiter"`
	NullStrings     []string `json:"null_strings"`
	DateFormat      string   `json:"date_format"`
	TimestampFormat string   `json:"timestamp_format"`
	Skip            int      `json:"skip"`
}

// ingest reads an ingest file into m.
func (l *loader) ingest(m *Model, text []byte) {
	var f ingestFile
	d := decodeYAML(m.File, text, &f, &l.problems, l.expand)
	m.Kind = KindIngest
	s := &ingestSpec{
		globText:    orText(f.Source.Glob, "**"),
		compression: orText(f.Source.Compression, "auto"),
		minAge:      DefaultMinAge,
		changed:     orText(f.Source.ChangedFile, changedReload),
		maxFiles:    orInt(f.Batch.MaxFiles, DefaultMaxFiles),
		maxBytes:    int64(f.Batch.MaxBytes),
		hints:       f.Schema.Columns,
		required:    f.Schema.Required,
		sampleFiles: orInt(f.Schema.Sample.Files, DefaultSampleFiles),
		sampleRows:  orInt(f.Schema.Sample.Rows, DefaultSampleRows),
		columns:     orText(f.Schema.Contract.Columns, contractEvolve),
		types:       orText(f.Schema.Contract.DataType, contractRescue),
		poison:      orText(f.Poison, onFailQuarantine),
		attempts:    orInt(f.PoisonAttempts, DefaultPoisonAttempts),
	}
	m.ingest = s
	if s.maxBytes == 0 {
		s.maxBytes = DefaultMaxBytes
	}
	if f.Source.MinAge != nil {
		s.minAge = *f.Source.MinAge
	}
	if f.Source.Since != nil {
		s.since = *f.Source.Since
	}
	s.glob, _ = globPattern(s.globText) // a wrong one was reported by its tag
	if d.has("source.path") && f.Source.Path != "" {
		s.url = l.address(d, "source.path", f.Source.Path)
	}
	l.ingestFormat(d, f, s)
	l.ingestColumns(d, f, s)
	l.tableRules(m, d, f.tableSpec)
}

func (l *loader) ingestFormat(d *decoder, f ingestFile, s *ingestSpec) {
	if f.Source.Format != "csv" && slices.Contains([]string{"json", "ndjson", "parquet"}, f.Source.Format) {
		d.problem("source.format", CodeBadValue, "not supported yet in this version: %s", f.Source.Format)
	}
	if s.compression == "zstd" {
		d.problem("source.compression", CodeBadValue, "not supported yet in this version: zstd")
	}
	if f.Source.Order == "lexicographic" {
		d.problem("source.order", CodeBadValue, "not supported yet in this version: lexicographic")
	}
	if s.types == contractEvolve {
		d.problem("schema.contract.data_type", CodeBadValue, "not supported yet in this version: evolve")
	}
	o := f.Source.Options
	s.csv = csvOptions{
		Header: o.Header == nil || *o.Header, Delimiter: ',', NullStrings: []string{""},
		DateFormat: o.DateFormat, TimestampFormat: o.TimestampFormat, Skip: orInt(o.Skip, 0),
	}
	if o.NullStrings != nil {
		s.csv.NullStrings = o.NullStrings
	}
	if len(o.Delimiter) == 1 {
		s.csv.Delimiter = o.Delimiter[0]
		if strings.ContainsRune("\"\r\n\x00", rune(s.csv.Delimiter)) {
			d.problem("source.options.delimiter", CodeBadValue, "%q cannot separate values", string(o.Delimiter))
		}
	}
	if !s.csv.Header && len(s.hints) == 0 {
		d.problem("source.options.header", CodeConflict, "without a header the columns must stand in schema.columns, in the order of the files")
	}
}

func (l *loader) ingestColumns(d *decoder, f ingestFile, s *ingestSpec) {
	for name, t := range f.Source.PathColumns {
		s.pathColumns = append(s.pathColumns, columnHint{name, t})
	}
	slices.SortFunc(s.pathColumns, func(a, b columnHint) int { return strings.Compare(a.Name, b.Name) })
	seen := map[string]string{}
	for _, c := range []string{columnFile, columnETag, columnModified, columnRow, columnPlan, columnIngested} {
		seen[c] = "a metadata column"
	}
	if s.columns == contractRescue || s.types == contractRescue {
		s.rescued = orText(f.Schema.Rescued, DefaultRescued)
		if seen[strings.ToLower(s.rescued)] != "" {
			d.problem("schema.rescued", CodeConflict, "%q is a metadata column", s.rescued)
		}
		seen[strings.ToLower(s.rescued)] = "the column of rescued values"
	} else if f.Schema.Rescued != "" {
		d.problem("schema.rescued", CodeNoEffect, "no contract rescues anything")
	}
	named := func(key, name, what string) {
		if other := seen[strings.ToLower(name)]; other != "" {
			d.problem(key, CodeConflict, "%q is %s already", name, other)
		}
		seen[strings.ToLower(name)] = what
	}
	for _, h := range s.hints {
		named("schema.columns."+h.Name, h.Name, "a column of the file")
		l.scalarType(d, "schema.columns."+h.Name, h.Type)
	}
	for _, h := range s.pathColumns {
		named("source.path_columns."+h.Name, h.Name, "a column of the path")
		l.scalarType(d, "source.path_columns."+h.Name, h.Type)
	}
}

// scalarType refuses types that text cannot hold.
func (l *loader) scalarType(d *decoder, key, text string) {
	t, err := txlog.ParseType(text)
	if err != nil {
		return // reported already
	}
	switch t.Kind { // every scalar is fine
	case txlog.KindArray, txlog.KindMap, txlog.KindStruct, txlog.KindVariant, txlog.KindVoid, txlog.KindUnknown, txlog.KindBinary:
		d.problem(key, CodeBadValue, "a value of a csv file cannot be %s", t.SQL())
	}
}
