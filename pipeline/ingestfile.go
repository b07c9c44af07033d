package pipeline

import (
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/lakectl/lakectl/internal/config"
)

// ingestFile is <layer>/<name>.ingest.yml.
type ingestFile struct {
	Source         sourceSpec `lake:"source,required"`
	Batch          batchSpec  `lake:"batch"`
	Schema         schemaSpec `lake:"schema"`
	Poison         string     `lake:"poison" validate:"omitempty,oneof=quarantine fail"`
	PoisonAttempts *int       `lake:"poison_attempts" validate:"omitempty,min=1,max=100"`

	tableSpec
}

type sourceSpec struct {
	Path        string            `lake:"path,required"`
	Glob        string            `lake:"glob" validate:"omitempty,lakeglob"`
	PathColumns map[string]string `lake:"path_columns" validate:"dive,keys,lakecolumn,endkeys,laketype"`
	Format      string            `lake:"format,required" validate:"oneof=csv json ndjson parquet"`
	Compression string            `lake:"compression" validate:"omitempty,oneof=auto none gzip zstd"`
	Options     csvSpec           `lake:"options"`
	MinAge      *time.Duration    `lake:"min_age" validate:"omitempty,min=0"`
	Since       *time.Time        `lake:"since"`
	DoneMarker  later             `lake:"done_marker"`
	Order       string            `lake:"order" validate:"omitempty,oneof=any lexicographic"`
	Relist      later             `lake:"relist"`
	ChangedFile string            `lake:"changed_file" validate:"omitempty,oneof=reload ignore fail"`
	After       later             `lake:"after"`
}

type csvSpec struct {
	Header           *bool    `lake:"header"`
	Delimiter        rawText  `lake:"delimiter" validate:"omitempty,len=1,ascii"`
	Quote            later    `lake:"quote"`
	Escape           later    `lake:"escape"`
	NullStrings      textList `lake:"null_strings"`
	Encoding         string   `lake:"encoding" validate:"omitempty,oneof=utf-8"`
	DateFormat       string   `lake:"date_format"`
	TimestampFormat  string   `lake:"timestamp_format"`
	DecimalSeparator later    `lake:"decimal_separator"`
	Skip             *int     `lake:"skip" validate:"omitempty,min=0,max=1000"`
}

// textList is a list of strings in which the empty string is meant.
type textList []string

func (l *textList) decodeNode(d *decoder, n *yaml.Node, path string) {
	if n.Kind != yaml.SequenceNode {
		d.problem(path, CodeBadType, "needs a list, not %s", kindName(n))
		return
	}
	*l = make(textList, 0, len(n.Content))
	for _, e := range n.Content {
		if e.Kind != yaml.ScalarNode || e.Tag == "!!null" {
			d.at(position{e.Line, e.Column}, path, CodeBadType, "needs strings, not %s", kindName(e))
			continue
		}
		*l = append(*l, e.Value)
	}
}

type batchSpec struct {
	MaxFiles *int        `lake:"max_files" validate:"omitempty,min=1"`
	MaxBytes config.Size `lake:"max_bytes"`
}

type schemaSpec struct {
	Columns  columnHints  `lake:"columns"`
	Required []string     `lake:"required" validate:"unique"`
	Sample   sampleSpec   `lake:"sample"`
	Contract contractSpec `lake:"contract"`
	Rescued  string       `lake:"rescued" validate:"omitempty,lakecolumn"`
}

// columnHints keeps the order of the file: it becomes the order of the table's columns.
type columnHints []columnHint

type columnHint struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

func (h *columnHints) decodeNode(d *decoder, n *yaml.Node, path string) {
	if n.Kind != yaml.MappingNode {
		d.problem(path, CodeBadType, "needs names and types, not %s", kindName(n))
		return
	}
	for key, value := range d.pairs(n, path) {
		p := join(path, key.Value)
		hint := columnHint{Name: key.Value}
		d.values[p] = position{value.Line, value.Column}
		d.scalar(value, reflectElem(&hint.Type), p)
		switch {
		case !isColumnName(hint.Name):
			d.at(position{key.Line, key.Column}, p, CodeBadValue, "%q is not a column name", hint.Name)
		case hint.Type != "" && !isTypeText(hint.Type):
			d.problem(p, CodeBadValue, "%q is not a type such as bigint, decimal(10,2) or timestamp_ntz", hint.Type)
		}
		*h = append(*h, hint)
	}
}

type sampleSpec struct {
	Files *int `lake:"files" validate:"omitempty,min=1,max=1000"`
	Rows  *int `lake:"rows" validate:"omitempty,min=1,max=10000000"`
}

type contractSpec struct {
	Columns  string `lake:"columns" validate:"omitempty,oneof=evolve freeze discard_value discard_row rescue"`
	DataType string `lake:"data_type" validate:"omitempty,oneof=evolve freeze discard_value discard_row rescue"`
}
