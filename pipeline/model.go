package pipeline

// Kind is how a model turns its sources into its table.
type Kind string

// The kinds of this version.
const (
	KindIngest Kind = "ingest" // landing files → table, each file identity once
	KindMerge  Kind = "merge"  // changes of one source → newest row per key
	KindFull   Kind = "full"   // pinned sources → all rows anew
)

// Model is one table of the project and the file that makes it.
type Model struct {
	Name        string // "silver.flights", unique in the project
	Layer       string // "silver"
	Table       string // "flights"
	Pipeline    string
	Kind        Kind
	File        string // below the folder of the pipeline: "silver/flights.sql"
	Description string
	Owner       string
	Tags        []string
	Enabled     bool     // a disabled model keeps its table; readers pin it
	Upstream    []string // models of the same pipeline that are read, sorted
	Pinned      []string // tables of other pipelines that are read, sorted

	path   string      // below the project folder
	ingest *ingestSpec // KindIngest
	query  *querySpec  // the other kinds
	table  tableRules
}

// Path is the folder of the model's table below the warehouse: "silver/flights".
func (m *Model) Path() string { return m.Layer + "/" + m.Table }

// QuarantinePath is the folder of the rows that were not let in: "silver/flights__quarantine".
func (m *Model) QuarantinePath() string { return m.Path() + quarantineSuffix }

// Quarantine is the name of that table in SQL: "silver.flights__quarantine".
func (m *Model) Quarantine() string { return m.Name + quarantineSuffix }

const quarantineSuffix = "__quarantine"
