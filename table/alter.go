package table

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/table/schemaedit"
	"github.com/lakectl/lakectl/txlog"
)

// Alter changes what a table is like, not its rows: one commit with a metaData, and with a protocol where a table
// feature is needed for the first time. Fields apply in the order in which they stand here.
//
// Columns are named by paths such as "total", "address.city" or "tags.element.`odd name`": element, key and value lead
// into arrays and maps.
type Alter struct {
	// SetProperties holds delta.md §10 properties and any without the prefix delta.; delta.feature.X = supported and
	// delta.minReaderVersion and delta.minWriterVersion ask for features.
	SetProperties   map[string]string
	UnsetProperties []string
	AddFeatures     []string // supported from now on, whether anything needs them or not; never removed again

	RenameColumns []RenameColumn // needs column mapping
	DropColumns   []string       // needs column mapping
	AddColumns    []AddColumn
	ChangeColumns []ChangeColumn

	DropConstraints []string
	AddConstraints  []AddConstraint

	Comment   *string   // description of the table; "" takes it away
	ClusterBy *[]string // the columns that later layouts follow; none switches clustering off

	// DryRun plans, checks rows where that is asked for, and changes nothing.
	DryRun bool
	Meta   ChangeMeta
}

// RenameColumn gives a column another name. Files keep theirs.
type RenameColumn struct{ Column, To string }

// AddColumn is a new column: old rows have NULL.
type AddColumn struct {
	Column  string // the path of the new column
	Type    *txlog.DataType
	Comment string
	Place   schemaedit.Place
}

// ChangeColumn changes what a column is like. Nil fields stay as they are.
type ChangeColumn struct {
	Column   string
	Type     *txlog.DataType   // a wider one
	Nullable *bool             // false: every row must have a value, old ones included
	Comment  *string           // "" takes it away
	Default  *string           // expression for rows that are written without a value; "" takes it away
	Place    *schemaedit.Place // where it stands among its neighbours
}

// AddConstraint is a rule for rows: every row, old ones included, must satisfy it.
type AddConstraint struct {
	Name       string
	Expression string // Spark SQL over the columns of the table
}

// AlterResult says what an Alter did, or would do. JSON names are stable.
type AlterResult struct {
	Table         string        `json:"table"`
	Operation     string        `json:"operation"`
	VersionBefore txlog.Version `json:"version_before"`
	VersionAfter  txlog.Version `json:"version_after"`
	DryRun        bool          `json:"dry_run"`
	AlreadyDone   bool          `json:"already_done"` // every txn entry of the request was in the table

	Changes          []string         `json:"changes"`        // one sentence each; none: the table was like this before
	FeaturesAdded    []string         `json:"features_added"` // table features that were not needed before
	MinReaderVersion int              `json:"min_reader_version"`
	MinWriterVersion int              `json:"min_writer_version"`
	PeersLost        []txlog.PeerLoss `json:"peers_lost"`    // who can work less with the table than before
	FilesChecked     int              `json:"files_checked"` // read to see whether old rows satisfy a new rule

	Milliseconds int64    `json:"milliseconds"`
	TxnID        string   `json:"txn_id,omitempty"`
	Attempts     int      `json:"attempts"`
	Warnings     []string `json:"warnings,omitempty"`
}

// Alter changes columns, properties, features and rules of the table, in one commit. When another writer was faster it
// plans again on the newest version. eng is asked only where old rows must satisfy a new rule; it may be nil otherwise.
//
// Protocol: "Change Metadata", "Protocol Evolution", "Column Mapping".
// Errors:   ErrInvalidRequest, ErrProperty, ErrUnsupported, txlog.ErrUnsupportedFeature; *ConstraintError where old rows
// break a new rule; those of Commit.
// Cost:     one PUT; for a new rule a pass over the files that cannot be proved to keep it.
func (t *Table) Alter(ctx context.Context, eng Engine, a Alter) (*AlterResult, error) {
	begin := t.opts.Log.Clock.Now()
	var last *Change
	prepare := func(ctx context.Context) (c *Change, err error) {
		last, err = t.PrepareAlter(ctx, eng, a)
		return last, err
	}
	attempts := 0
	if a.DryRun {
		if _, err := prepare(ctx); err != nil {
			return nil, err
		}
	} else {
		res, err := t.replan(ctx, prepare)
		if err != nil {
			return nil, err
		}
		attempts = res.Attempts
	}
	out := last.Altered()
	out.DryRun, out.Attempts = a.DryRun, attempts
	out.Milliseconds = clock.Since(t.opts.Log.Clock, begin).Milliseconds()
	return out, nil
}

// Altered says what a change made by PrepareAlter does to the table; VersionAfter is filled in by Commit.
func (c *Change) Altered() *AlterResult {
	out := AlterResult{}
	if c.altered != nil {
		out = *c.altered
	}
	r := c.Result()
	out.Table, out.Operation, out.AlreadyDone = r.Table, r.Operation, r.AlreadyDone
	out.VersionBefore, out.VersionAfter = r.VersionBefore, r.VersionAfter
	out.Milliseconds, out.TxnID, out.Attempts, out.Warnings = r.Milliseconds, r.TxnID, r.Attempts, r.Warnings
	out.FilesChecked = r.FilesScanned
	out.Changes, out.FeaturesAdded = orEmpty(out.Changes), orEmpty(out.FeaturesAdded)
	if out.PeersLost == nil {
		out.PeersLost = []txlog.PeerLoss{}
	}
	return &out
}

// PrepareAlter plans an Alter and checks rows where a new rule asks for it. Nothing is staged.
func (t *Table) PrepareAlter(ctx context.Context, eng Engine, a Alter) (*Change, error) {
	c, err := t.prepareAlter(ctx, eng, a)
	if err != nil {
		return nil, fmt.Errorf("alter %s: %w", t.URL(), err)
	}
	return c, nil
}

// alteration is an Alter in the making: the parts of the metaData, changed one after the other.
type alteration struct {
	t        *Table
	base     *txlog.Snapshot
	meta     *txlog.Metadata
	schema   *txlog.Schema
	mapping  txlog.ColumnMapping
	asked    []string
	domain   *txlog.DomainMetadata // of clustering, when it changes
	clusters [][]string            // physical paths of the clustering columns
	rules    []rowRule             // what old rows must satisfy
	changes  []string
	steps    []alterStep
}

// alterStep is one kind of change, as Spark records it in commitInfo.
type alterStep struct {
	operation  string
	parameters map[string]string
}

func (t *Table) prepareAlter(ctx context.Context, eng Engine, a Alter) (*Change, error) {
	if t.pinned {
		return nil, ErrReadOnly
	}
	base := t.Snapshot()
	if err := base.CheckReadable(); err != nil {
		return nil, err
	}
	sh, err := shapeOf(base)
	if err != nil {
		return nil, err
	}
	c, err := t.begin(base, sh, "ALTER TABLE", a.Meta)
	if err != nil || c.result.AlreadyDone {
		return c, err
	}
	x := &alteration{t: t, base: base, schema: sh.schema, mapping: sh.mapping}
	var protocol *txlog.Protocol
	x.meta, protocol = c.inForce()
	c.altered = &AlterResult{MinReaderVersion: protocol.MinReaderVersion, MinWriterVersion: protocol.MinWriterVersion}
	x.meta.PartitionColumns = sh.partitionBy
	if x.meta.Configuration = maps.Clone(x.meta.Configuration); x.meta.Configuration == nil {
		x.meta.Configuration = map[string]string{}
	}
	x.assignIDs() // what is dropped below must not give its id to a new column
	x.readClustering()
	if err := x.apply(a); err != nil {
		return nil, err
	}
	if len(x.changes) == 0 && len(x.asked) == 0 {
		return c, nil
	}
	if err := x.plan(c, a.Meta); err != nil {
		return nil, err
	}
	return c, x.checkRows(ctx, eng, c)
}

// apply changes one thing after the other. The order makes one request of what belongs together: column mapping on
// and a rename, for example.
func (x *alteration) apply(a Alter) error {
	steps := []func(Alter) error{
		x.setProperties, x.unsetProperties, x.addFeatures, x.renameColumns, x.dropColumns, x.addColumns, x.changeColumns,
		x.dropConstraints, x.addConstraints, x.setComment, x.setClustering,
	}
	for _, step := range steps {
		if err := step(a); err != nil {
			return err
		}
	}
	return nil
}

// step records a kind of change.
func (x *alteration) step(operation string, parameters map[string]string) {
	x.steps = append(x.steps, alterStep{operation, parameters})
}

func (x *alteration) changed(format string, args ...any) {
	x.changes = append(x.changes, fmt.Sprintf(format, args...))
}

// plan puts the metaData, and what it needs, into the change.
func (x *alteration) plan(c *Change, meta ChangeMeta) error {
	x.assignIDs()
	if err := x.backfill(c); err != nil {
		return err
	}
	x.meta.SchemaString, x.meta.PartitionColumns = x.schema.JSON(), orEmpty(x.meta.PartitionColumns)
	before := x.base.Protocol()
	if err := c.redefine(x.meta, x.schema, x.asked); err != nil {
		return err
	}
	_, after := c.inForce()
	if len(x.changes) == 0 {
		c.first = slices.DeleteFunc(c.first, func(a txlog.Action) bool { _, ok := a.(*txlog.Metadata); return ok })
	}
	if x.domain != nil {
		c.first = append(c.first, x.domain)
	}
	c.altered.Changes = x.changes
	c.altered.FeaturesAdded = after.FeaturesBeyond(before)
	c.altered.PeersLost = txlog.PeersLost(before, after)
	c.altered.MinReaderVersion, c.altered.MinWriterVersion = after.MinReaderVersion, after.MinWriterVersion
	for _, f := range c.altered.FeaturesAdded {
		if slices.Contains(x.asked, f) {
			c.altered.Changes = append(c.altered.Changes, "feature "+f+" is supported")
		}
	}
	if len(x.steps) != 1 {
		c.parameter("changes", jsonText(c.altered.Changes))
		return nil
	}
	if meta.Operation == "" {
		c.op.Name = x.steps[0].operation
		c.result.Operation = c.op.Name
	}
	for key, value := range x.steps[0].parameters {
		c.parameter(key, value)
	}
	return nil
}

// assignIDs gives columns without them ids and physical names, where the table has column mapping.
func (x *alteration) assignIDs() {
	if x.mapping == txlog.MappingNone {
		return
	}
	sh := shape{schema: x.schema, properties: x.meta.Configuration}
	sh.mapColumns(x.mapping, newPhysicalName(x.t.opts.Log.Rand))
	x.schema = sh.schema
}

// setComment changes the description of the table.
func (x *alteration) setComment(a Alter) error {
	if a.Comment == nil || *a.Comment == x.meta.Description {
		return nil
	}
	x.meta.Description = *a.Comment
	x.changed("comment of the table: %s", orNone(*a.Comment))
	x.step("SET TBLPROPERTIES", map[string]string{"properties": jsonText(map[string]string{"comment": *a.Comment})})
	return nil
}

func orNone(s string) string {
	if strings.TrimSpace(s) == "" {
		return "none"
	}
	return clip(s)
}
