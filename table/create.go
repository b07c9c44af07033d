package table

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// Create says what a new table is like. Only Schema is required.
type Create struct {
	Schema      *txlog.Schema
	PartitionBy []string // columns of Schema, in the order of the folders
	// ClusterBy names up to ClusterColumnsMax columns that optimize lays rows out by; not together with PartitionBy.
	ClusterBy  []string
	Properties map[string]string // delta.md §10; unknown delta. keys are an error
	Name       string
	Comment    string
	// IfNotExists makes an existing table a success of Create, whatever it looks like.
	IfNotExists bool
	Meta        ChangeMeta
	// Constraints are conditions that every row must satisfy. The other rules of rows are marks of the columns in
	// Schema: see txlog.Field.WithGeneration, WithDefault, WithIdentity and WithInvariant.
	Constraints []AddConstraint
}

// oddCharacters cannot stand in a column name without column mapping: Spark and Parquet readers refuse them. A new
// table gets column mapping by name for them unless its properties say that it shall have none.
const oddCharacters = " ,;{}()\n\t="

// CreateTable makes an empty table at path. New tables have reader version 3, writer version 7 and deletion vectors;
// property delta.enableDeletionVectors = "false" gives versions 1 and 2, for readers that know no vectors.
//
// Protocol: "Requirements for Writers", first commit: protocol and metaData.
// Errors:   ErrTableExists, ErrProperty, ErrInvalidRequest, those of the commit.
func CreateTable(ctx context.Context, store objectstore.Store, path string, c Create, o ...Options) (*Table, error) {
	ch, err := prepareCreate(ctx, store, path, c, filled(o))
	if err == nil {
		_, err = ch.Commit(ctx)
	}
	if err == nil {
		return ch.t, nil
	}
	if errors.Is(err, ErrTableExists) || errors.Is(err, txlog.ErrConflict) {
		if c.IfNotExists {
			return Open(ctx, store, path, o...)
		}
		if !errors.Is(err, ErrTableExists) {
			err = fmt.Errorf("%w: %w", ErrTableExists, err)
		}
	}
	return nil, fmt.Errorf("create table: %w", err)
}

// PrepareCreateAppend stages a table together with its first rows: one commit, version 0. With a nil c.Schema the
// table gets the columns of the source. When the table exists by the time of the commit, Commit ends in
// txlog.ErrConflict and nothing is visible.
func PrepareCreateAppend(ctx context.Context, store objectstore.Store, path string, c Create, eng Engine, a Append, o ...Options) (*Change, error) {
	if err := checkSource(a.Source); err != nil {
		return nil, fmt.Errorf("create table: %w", err)
	}
	if c.Schema == nil {
		fields, err := typesOf(ctx, eng, a.Source)
		if err != nil {
			return nil, fmt.Errorf("create table: %w", err)
		}
		if c.Schema, err = tableSchema(fields); err != nil {
			return nil, fmt.Errorf("create table: %w", err)
		}
	}
	if c.Meta.Operation == "" {
		c.Meta.Operation = "CREATE TABLE AS SELECT"
	}
	c.Meta = mergeMeta(c.Meta, a.Meta)
	ch, err := prepareCreate(ctx, store, path, c, filled(o))
	if err != nil {
		return nil, fmt.Errorf("create table: %w", err)
	}
	ch.metrics = writeMetrics
	if err := ch.fill(ctx, eng, a.Source, a.MergeSchema); err != nil {
		return nil, ch.abandon(ctx, fmt.Errorf("create table %s: %w", ch.t.URL(), err))
	}
	return ch, nil
}

// mergeMeta puts what b says over a.
func mergeMeta(a, b ChangeMeta) ChangeMeta {
	if b.UserMetadata != "" {
		a.UserMetadata = b.UserMetadata
	}
	if b.Operation != "" {
		a.Operation = b.Operation
	}
	if b.Fence != nil {
		a.Fence = b.Fence
	}
	a.Txns = append(append([]txlog.Txn(nil), a.Txns...), b.Txns...)
	a.Extra = union(a.Extra, b.Extra)
	a.Parameters = union(a.Parameters, b.Parameters)
	a.Tags = union(a.Tags, b.Tags)
	return a
}

func union[V any](a, b map[string]V) map[string]V {
	if len(a)+len(b) == 0 {
		return nil
	}
	out := make(map[string]V, len(a)+len(b))
	maps.Copy(out, a)
	maps.Copy(out, b)
	return out
}

// tableSchema turns the columns of a SELECT into those of a new table: all nullable.
func tableSchema(fields []txlog.Field) (*txlog.Schema, error) {
	out := make([]txlog.Field, len(fields))
	for i, f := range fields {
		out[i] = txlog.Field{Name: f.Name, Type: f.Type, Nullable: true}
	}
	s, err := txlog.NewSchema(out...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchemaMismatch, err)
	}
	return s, nil
}

// prepareCreate plans the first commit of a table and checks that there is none yet.
func prepareCreate(ctx context.Context, store objectstore.Store, path string, c Create, o Options) (*Change, error) {
	t, err := unopened(store, path, o)
	if err != nil {
		return nil, err
	}
	sh, asked, err := newShape(c, newPhysicalName(o.Log.Rand))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.URL(), err)
	}
	if _, err := rulesOf(sh, o.Log.Clock.Now()); err != nil {
		return nil, fmt.Errorf("%s: %w", t.URL(), err)
	}
	_, err = t.log.Latest(ctx)
	switch {
	case err == nil:
		return nil, fmt.Errorf("%s: %w", t.URL(), ErrTableExists)
	case !errors.Is(err, txlog.ErrNotATable):
		return nil, fmt.Errorf("%s: %w", t.URL(), err)
	}
	trackRows(sh.properties, o.Log.Rand)
	by, names, err := sh.clusterBy(c.ClusterBy)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.URL(), err)
	}
	protocol, err := txlog.Design{
		Schema: sh.schema, PartitionBy: sh.partitionBy, Properties: sh.properties, Asked: asked, Clustered: len(names) > 0,
	}.NewProtocol()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.URL(), err)
	}
	ch, err := t.begin(nil, sh, "CREATE TABLE", c.Meta)
	if err != nil {
		return nil, err
	}
	now := o.Log.Clock.Now().UnixMilli()
	ch.first = []txlog.Action{protocol, &txlog.Metadata{
		ID: clock.NewUUID(o.Log.Rand), Name: c.Name, Description: c.Comment, Provider: "parquet",
		SchemaString: sh.schema.JSON(), PartitionColumns: orEmpty(sh.partitionBy), CreatedTime: &now,
		Configuration: sh.properties,
	}}
	if len(names) > 0 {
		ch.first = append(ch.first, by.action())
	}
	ch.parameter("isManaged", "false")
	ch.parameter("description", c.Comment)
	ch.parameter("partitionBy", jsonText(orEmpty(sh.partitionBy)))
	ch.parameter("clusterBy", jsonText(orEmpty(names)))
	ch.parameter("properties", jsonText(sh.properties))
	return ch, nil
}

// newShape checks a request for a new table and fills in its defaults. physical makes names for data files; asked are
// the features that the properties ask for by name.
func newShape(c Create, physical func(name string) string) (sh shape, asked []string, err error) {
	var problems []error
	if c.Schema == nil || len(c.Schema.Fields) == 0 {
		return shape{}, nil, fmt.Errorf("%w: a table needs columns", ErrInvalidRequest)
	}
	request, err := readProperties(c.Properties)
	if err != nil {
		problems = append(problems, err)
	}
	if _, set := request.stored[propDeletionVectors]; !set {
		request.stored[propDeletionVectors] = "true"
	}
	for _, add := range c.Constraints {
		if err := add.check(request.stored); err != nil {
			problems = append(problems, err)
			continue
		}
		request.stored[constraintKey(add.Name)] = add.Expression
	}
	sh = shape{schema: txlog.WithoutTypeChanges(c.Schema), properties: request.stored}
	if err := sh.mapNewColumns(physical); err != nil {
		problems = append(problems, err)
	}
	if sh.partitionBy, err = checkPartitioning(c.Schema, c.PartitionBy); err != nil {
		problems = append(problems, err)
	}
	by, _, err := sh.clusterBy(c.ClusterBy)
	if err != nil {
		problems = append(problems, err)
	}
	if err := errors.Join(problems...); err != nil {
		return shape{}, nil, err
	}
	sh.stats = txlog.DefaultStatsColumns(sh.schema, sh.mapping, sh.partitionBy, sh.properties).WithClustering(by.text())
	return sh, request.asked, nil
}

// checkPartitioning spells partition columns as the schema does and refuses those that cannot be one.
func checkPartitioning(schema *txlog.Schema, columns []string) ([]string, error) {
	var out []string
	var problems []error
	for _, c := range columns {
		f, err := schema.Lookup(c)
		if err != nil {
			problems = append(problems, fmt.Errorf("%w: partition by: %w", ErrInvalidRequest, err))
			continue
		}
		switch f.Type.Kind {
		case txlog.KindArray, txlog.KindMap, txlog.KindStruct, txlog.KindVariant, txlog.KindVoid, txlog.KindUnknown:
			problems = append(problems, fmt.Errorf("%w: partition by %s: a column of type %s cannot be one",
				ErrInvalidRequest, f.Name, f.Type.SQL()))
		default:
		}
		for _, other := range out {
			if other == f.Name {
				problems = append(problems, fmt.Errorf("%w: partition by %s twice", ErrInvalidRequest, f.Name))
			}
		}
		out = append(out, f.Name)
	}
	if len(out) == len(schema.Fields) {
		problems = append(problems, fmt.Errorf("%w: a table needs a column that it is not partitioned by", ErrInvalidRequest))
	}
	return out, errors.Join(problems...)
}
