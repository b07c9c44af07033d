package table

import (
	"fmt"
	"maps"
	"slices"

	"github.com/lakectl/lakectl/txlog"
)

// addColumns gives the change's shape the columns extra, nullable and last, and plans the metaData that says so.
//
// Protocol: "Change Metadata". Old files lack the columns, which reads as NULL.
// Errors:   txlog.ErrUnsupportedFeature for a type that needs a feature that we cannot write.
func (c *Change) addColumns(extra []txlog.Field) error {
	fields := slices.Clone(c.shape.schema.Fields)
	for _, f := range extra {
		fields = append(fields, txlog.Field{Name: f.Name, Type: f.Type, Nullable: true})
	}
	schema, err := txlog.NewSchema(fields...)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSchemaMismatch, err)
	}
	return c.reshape(schema, c.shape.partitionBy)
}

// reshape plans a metaData with another schema. With column mapping its new columns get ids and physical names;
// without, a name that would need them is an error.
func (c *Change) reshape(schema *txlog.Schema, partitionBy []string) error {
	meta, _ := c.inForce()
	sh := shape{schema: schema, properties: maps.Clone(meta.Configuration)}
	if c.shape.mapping != txlog.MappingNone {
		sh.mapColumns(c.shape.mapping, newPhysicalName(c.t.opts.Log.Rand))
	} else if odd := oddName(schema.Fields, ""); odd != "" && oddName(c.shape.schema.Fields, "") == "" {
		return fmt.Errorf("%w: column name %q needs column mapping (%s = name)", ErrSchemaMismatch, odd, propMappingMode)
	}
	meta.SchemaString, meta.PartitionColumns, meta.Configuration = sh.schema.JSON(), orEmpty(partitionBy), sh.properties
	return c.redefine(meta, sh.schema, nil)
}

// inForce is a copy of the metaData as the change leaves it, and the protocol.
func (c *Change) inForce() (*txlog.Metadata, *txlog.Protocol) {
	var meta txlog.Metadata
	var protocol *txlog.Protocol
	if c.base != nil {
		meta, protocol = *c.base.Metadata(), c.base.Protocol()
	}
	for _, a := range c.first {
		switch a := a.(type) {
		case *txlog.Metadata:
			meta = *a
		case *txlog.Protocol:
			protocol = a
		default:
		}
	}
	return &meta, protocol
}

// redefine plans another metaData and, where it needs features that the table does not have, another protocol; asked
// are features that are wanted whether needed or not. The change gets the shape that they describe.
//
// Protocol: "Change Metadata", "Protocol Evolution".
// Errors:   txlog.ErrUnsupportedFeature for what we cannot write.
func (c *Change) redefine(meta *txlog.Metadata, schema *txlog.Schema, asked []string) error {
	_, protocol := c.inForce()
	design := txlog.Design{Schema: schema, PartitionBy: meta.PartitionColumns, Properties: meta.Configuration, Asked: asked}
	need, err := design.Upgrade(protocol)
	if err != nil {
		return err
	}
	if need != protocol {
		c.first = slices.DeleteFunc(c.first, func(a txlog.Action) bool { _, ok := a.(*txlog.Protocol); return ok })
		c.first = append([]txlog.Action{need}, c.first...)
	}
	c.first = slices.DeleteFunc(c.first, func(a txlog.Action) bool { _, ok := a.(*txlog.Metadata); return ok })
	c.first = append(c.first, meta)
	c.shape.schema, c.shape.partitionBy = schema, partitionNames(schema, meta.PartitionColumns)
	c.shape.properties = meta.Configuration
	if c.shape.mapping, err = txlog.ParseMapping(meta.Configuration[propMappingMode]); err != nil {
		return err
	}
	c.shape.stats = txlog.DefaultStatsColumns(schema, c.shape.mapping, c.shape.partitionBy, c.shape.properties)
	if c.base != nil {
		by, _ := c.base.Domain(clusteringDomain)
		c.shape.stats = c.shape.stats.WithClustering(by.Configuration)
	}
	return c.keepsClustering(c.shape)
}
