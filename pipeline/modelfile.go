package pipeline

import (
	"reflect"

	"go.yaml.in/yaml/v3"
)

// tableSpec holds the keys that ingest files and model front matter have in common.
type tableSpec struct {
	PartitionBy []string              `lake:"partition_by" validate:"unique"`
	Properties  map[string]string     `lake:"properties"`
	Columns     map[string]columnSpec `lake:"columns" validate:"dive"`
	Expect      map[string]expectSpec `lake:"expect" validate:"dive,keys,lakename,endkeys"`
	Quarantine  breakerSpec           `lake:"quarantine"`
	Checks      []checkSpec           `lake:"checks" validate:"dive"`
	Engine      string                `lake:"engine" validate:"omitempty,oneof=auto duckdb spark"`
	Tags        []string              `lake:"tags" validate:"unique,dive,lakename"`
	Owner       string                `lake:"owner"`
	Description string                `lake:"description"`
	Enabled     *bool                 `lake:"enabled"`
	Freshness   later                 `lake:"freshness"`
	Watermark   later                 `lake:"watermark"`
}

// modelFile is the front matter of a model. Keys of kinds that do not exist yet are known by name.
type modelFile struct {
	Kind           string            `lake:"kind,required" validate:"oneof=append merge scd2 interval full view"`
	From           map[string]string `lake:"from" validate:"dive,oneof=changes pinned"`
	Key            []string          `lake:"key" validate:"unique"`
	SequenceBy     []string          `lake:"sequence_by" validate:"unique"`
	NotStored      []string          `lake:"not_stored" validate:"unique"`
	OnSourceDelete string            `lake:"on_source_delete" validate:"omitempty,oneof=fail ignore recompute"`
	AllowEmpty     *bool             `lake:"allow_empty"`
	OnNewColumns   string            `lake:"on_new_columns" validate:"omitempty,oneof=fail add"`
	DeleteWhen     later             `lake:"delete_when"`
	TombstoneTTL   later             `lake:"tombstone_ttl"`
	SnapshotBy     later             `lake:"snapshot_by"`
	HardDeletes    later             `lake:"hard_deletes"`
	MaxClosed      later             `lake:"max_closed"`
	Track          later             `lake:"track"`
	Valid          later             `lake:"valid"`
	Late           later             `lake:"late"`
	TimeColumn     later             `lake:"time_column"`
	Grain          later             `lake:"grain"`
	Lookback       later             `lake:"lookback"`
	Settle         later             `lake:"settle"`
	Partial        later             `lake:"partial"`
	Batch          later             `lake:"batch"`

	tableSpec
}

// columnSpec asserts one column of the table.
type columnSpec struct {
	Type     string       `lake:"type" validate:"omitempty,laketype"`
	Doc      string       `lake:"doc"`
	Validate validateSpec `lake:"validate"`
}

// validateSpec is a tag of go-playground/validator, or {tag, on_fail}.
type validateSpec struct {
	Tag    string `lake:"tag,required"`
	OnFail string `lake:"on_fail" validate:"omitempty,oneof=warn quarantine drop fail"`
}

type validateMap struct {
	Tag    string `lake:"tag,required"`
	OnFail string `lake:"on_fail"`
}

func (s *validateSpec) decodeNode(d *decoder, n *yaml.Node, path string) {
	if n.Kind == yaml.MappingNode {
		var m validateMap
		d.structure(n, reflectElem(&m), path)
		*s = validateSpec(m)
		return
	}
	d.scalar(n, reflectElem(&s.Tag), path)
}

// The values of on_fail.
const (
	onFailWarn       = "warn"
	onFailQuarantine = "quarantine"
	onFailDrop       = "drop"
	onFailFail       = "fail"
)

// expectSpec is one row rule.
type expectSpec struct {
	SQL      rawText `lake:"sql"`
	Column   string  `lake:"column"`
	Validate string  `lake:"validate"`
	OnFail   string  `lake:"on_fail" validate:"omitempty,oneof=warn quarantine drop fail"`
	Doc      string  `lake:"doc"`
}

// breakerSpec stops a task that would reject too much.
type breakerSpec struct {
	MaxRatio *ratio `lake:"max_ratio"`
	MaxRows  *int   `lake:"max_rows" validate:"omitempty,min=0"`
	MinRows  *int   `lake:"min_rows" validate:"omitempty,min=0"`
}

// checkSpec is one item of checks: a map with the name of the check as its only key.
type checkSpec struct {
	Unique         *uniqueSpec   `lake:"unique"`
	NotNull        *uniqueSpec   `lake:"not_null"`
	AcceptedValues *acceptedSpec `lake:"accepted_values"`
	Relationships  later         `lake:"relationships"`
	RowCountChange later         `lake:"row_count_change"`
	Freshness      later         `lake:"freshness"`
	File           later         `lake:"file"`
}

type uniqueSpec struct {
	Columns     []string `lake:"columns,required" validate:"min=1,unique"`
	Severity    string   `lake:"severity" validate:"omitempty,oneof=fail warn"`
	MaxFailures rawText  `lake:"max_failures"`
}

type acceptedSpec struct {
	Column      string    `lake:"column,required"`
	Values      []rawText `lake:"values,required" validate:"min=1"`
	Severity    string    `lake:"severity" validate:"omitempty,oneof=fail warn"`
	MaxFailures rawText   `lake:"max_failures"`
}

// reflectElem is the settable value behind a pointer.
func reflectElem(p any) reflect.Value { return reflect.ValueOf(p).Elem() }
