package table

import (
	"fmt"
	"slices"

	"github.com/lakectl/lakectl/txlog"
)

// addColumns gives the change's shape the columns extra, nullable and last, and plans the metaData that says so.
//
// Protocol: "Change Metadata". Old files lack the columns, which reads as NULL.
// Errors:   ErrUnsupported for a table with column mapping, or for a type that needs another protocol.
func (c *Change) addColumns(extra []txlog.Field) error {
	if c.shape.mapping != txlog.MappingNone {
		return fmt.Errorf("%w: adding columns to a table with column mapping", ErrUnsupported)
	}
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

// reshape plans a metaData with another schema.
func (c *Change) reshape(schema *txlog.Schema, partitionBy []string) error {
	need, err := txlog.DefaultProtocol(schema, partitionBy, c.shape.properties)
	if err != nil {
		return err
	}
	var old *txlog.Metadata
	var protocol *txlog.Protocol
	if c.base != nil {
		old, protocol = c.base.Metadata(), c.base.Protocol()
	}
	for _, a := range c.first { // a table that this change creates
		switch a := a.(type) {
		case *txlog.Metadata:
			old = a
		case *txlog.Protocol:
			protocol = a
		default:
		}
	}
	for _, name := range need.ReaderFeatures {
		if !slices.Contains(protocol.ReaderFeatures, name) && name != "deletionVectors" {
			return fmt.Errorf("%w: the new columns need table feature %s, which this table does not have", ErrUnsupported, name)
		}
	}
	meta := *old
	meta.SchemaString, meta.PartitionColumns = schema.JSON(), orEmpty(partitionBy)
	c.first = slices.DeleteFunc(c.first, func(a txlog.Action) bool { _, ok := a.(*txlog.Metadata); return ok })
	c.first = append(c.first, &meta)
	c.shape.schema, c.shape.partitionBy = schema, partitionBy
	c.shape.stats = txlog.DefaultStatsColumns(schema, c.shape.mapping, partitionBy, c.shape.properties)
	return nil
}
