package table

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// evolve gives the change's shape what the source src brings and the table lacks, and plans the metaData that says so:
// the columns extra, nullable and last, and fields of structs at any depth, each last in its struct. source are the
// columns of src, from names those of each column of the table; extra is added to it.
//
// Protocol: "Change Metadata". Old files lack the columns and fields, which reads as NULL.
// Errors:   *SQLError for a type that no Delta table holds, ErrSchemaMismatch, txlog.ErrUnsupportedFeature for a type
// that needs a feature that we cannot write.
func (c *Change) evolve(ctx context.Context, eng Engine, src Query, source, extra []txlog.Field, from map[string]string) error {
	deeper := checkNested(c.shape.schema, source, from) != nil
	if len(extra) == 0 && !deeper {
		return nil
	}
	whole, err := typesOf(ctx, eng, src)
	if err != nil {
		return err
	}
	fields := slices.Clone(c.shape.schema.Fields)
	for i := range fields {
		if t := typeOf(whole, from[fields[i].Name]); t != nil && deeper {
			fields[i].Type = withFields(fields[i].Type, t)
		}
	}
	for _, f := range extra {
		if t := typeOf(whole, f.Name); t != nil {
			fields = append(fields, txlog.Field{Name: f.Name, Type: t, Nullable: true})
			from[f.Name] = f.Name
		}
	}
	schema, err := txlog.NewSchema(fields...)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSchemaMismatch, err)
	}
	return c.reshape(schema, c.shape.partitionBy)
}

// withFields is t with the fields of structs that from has at the same place and t lacks.
func withFields(t, from *txlog.DataType) *txlog.DataType {
	if t.Kind != from.Kind {
		return t
	}
	out := *t
	switch t.Kind {
	case txlog.KindStruct:
		out.Fields = slices.Clone(t.Fields)
		for _, f := range from.Fields {
			at := slices.IndexFunc(out.Fields, func(have txlog.Field) bool { return strings.EqualFold(have.Name, f.Name) })
			if at < 0 {
				out.Fields = append(out.Fields, txlog.Field{Name: f.Name, Type: f.Type, Nullable: true})
				continue
			}
			out.Fields[at].Type = withFields(out.Fields[at].Type, f.Type)
		}
	case txlog.KindArray:
		out.Element = withFields(t.Element, from.Element)
	case txlog.KindMap:
		out.Key, out.Value = withFields(t.Key, from.Key), withFields(t.Value, from.Value)
	default:
	}
	return &out
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
	if by := c.reclustered(); by != nil {
		c.shape.stats = c.shape.stats.WithClustering(by.Configuration)
	} else if c.base != nil {
		by, _ := c.base.Domain(clusteringDomain)
		c.shape.stats = c.shape.stats.WithClustering(by.Configuration)
	}
	return c.keepsClustering(c.shape)
}
