package table

import (
	"context"
	"fmt"
	"maps"

	"github.com/lakectl/lakectl/txlog"
)

// Replace makes the table anew: other columns, properties and rules, and the rows of a source or none, in one commit.
// What it was stays readable as an old version.
//
// The table keeps its id and its protocol, which never loses a feature. Column mapping, row tracking and in-commit
// timestamps that are on stay on, where c does not say otherwise: old versions and readers count on them. Everything
// else is as c says. c.IfNotExists has no effect and is an error.
//
// Protocol: "Change Metadata", "Protocol Evolution".
// Errors:   those of [CreateTable] but ErrTableExists, ErrConstraint for an append-only table, those of Append.
func (t *Table) Replace(ctx context.Context, eng Engine, c Create, source Query) (*Result, error) {
	return t.replan(ctx, func(ctx context.Context) (*Change, error) { return t.PrepareReplace(ctx, eng, c, source) })
}

// PrepareReplace stages a Replace. A source without SQL gives no rows; with a nil c.Schema the table gets its columns.
func (t *Table) PrepareReplace(ctx context.Context, eng Engine, c Create, source Query) (*Change, error) {
	ch, err := t.prepareReplace(ctx, eng, c, source)
	if err != nil {
		return nil, fmt.Errorf("replace table %s: %w", t.URL(), err)
	}
	return ch, nil
}

func (t *Table) prepareReplace(ctx context.Context, eng Engine, c Create, source Query) (*Change, error) {
	if c.IfNotExists {
		return nil, fmt.Errorf("%w: a table that is replaced exists", ErrInvalidRequest)
	}
	operation := "CREATE OR REPLACE TABLE"
	if source.SQL != "" {
		operation += " AS SELECT"
	}
	ch, err := t.beginRows(operation, c.Meta)
	if err != nil || ch.result.AlreadyDone {
		return ch, err
	}
	if c.Schema == nil {
		if err := checkSource(source); err != nil {
			return nil, err
		}
		fields, err := typesOf(ctx, eng, source)
		if err != nil {
			return nil, err
		}
		if c.Schema, err = tableSchema(fields); err != nil {
			return nil, err
		}
	}
	ch.metrics = writeMetrics
	ch.readsFrom(source)
	ch.reads.whole = true
	if err := ch.replaceFiles(allFiles(ch.base)); err != nil {
		return nil, err
	}
	if err := ch.remake(c); err != nil {
		return nil, err
	}
	if source.SQL == "" {
		return ch, nil
	}
	if err := ch.fill(ctx, eng, source, false); err != nil {
		return nil, ch.abandon(ctx, err)
	}
	return ch, nil
}

// remake plans the metaData of a table that takes the place of the base.
func (c *Change) remake(want Create) error {
	meta, _ := c.inForce()
	before, rand := meta.Configuration, c.t.opts.Log.Rand
	lasting := func(key, value string) {
		if _, said := want.Properties[key]; !said {
			want.Properties[key] = value
		}
	}
	want.Properties = maps.Clone(want.Properties)
	if want.Properties == nil {
		want.Properties = map[string]string{}
	}
	if c.shape.mapping != txlog.MappingNone {
		lasting(propMappingMode, c.shape.mapping.String())
	}
	for _, key := range []string{txlog.RowTrackingKey, "delta.enableInCommitTimestamps"} {
		if boolProperty(before, key) {
			lasting(key, "true")
		}
	}
	sh, asked, err := newShape(want, newPhysicalName(rand))
	if err != nil {
		return err
	}
	for _, key := range lastingKeys() {
		if value, has := before[key]; has {
			sh.properties[key] = value
		}
	}
	if sh.mapping != txlog.MappingNone { // no id twice in the life of the table
		sh.properties[txlog.MaxColumnIDKey] = before[txlog.MaxColumnIDKey]
		mode := sh.mapping
		sh.schema = txlog.WithoutMapping(sh.schema)
		sh.mapColumns(mode, newPhysicalName(rand))
	}
	if _, err := rulesOf(sh, c.start); err != nil {
		return err
	}
	trackRows(sh.properties, rand)
	by, names, err := sh.clusterBy(want.ClusterBy)
	if err != nil {
		return err
	}
	if _, had := c.base.Domain(clusteringDomain); had || len(names) > 0 {
		c.first = append(c.first, by.action())
		asked = append(asked, txlog.FeatureClustering)
	}
	meta.Name, meta.Description = want.Name, want.Comment
	meta.SchemaString, meta.PartitionColumns, meta.Configuration = sh.schema.JSON(), orEmpty(sh.partitionBy), sh.properties
	if err := c.redefine(meta, sh.schema, asked); err != nil {
		return err
	}
	c.parameter("isManaged", "false")
	c.parameter("description", want.Comment)
	c.parameter("partitionBy", jsonText(orEmpty(sh.partitionBy)))
	c.parameter("clusterBy", jsonText(orEmpty(names)))
	c.parameter("properties", jsonText(sh.properties))
	return nil
}

// lastingKeys are properties that a table has for ever once it has them.
func lastingKeys() []string {
	return []string{
		txlog.RowIDColumnKey, txlog.RowVersionColumnKey,
		"delta.inCommitTimestampEnablementVersion", "delta.inCommitTimestampEnablementTimestamp",
	}
}
