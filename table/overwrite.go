package table

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// Overwrite is rows that replace others.
type Overwrite struct {
	// Source gives the new rows, matched by name and cast like those of Append. Without SQL nothing is added.
	Source Query
	// Where limits what is replaced to the rows for which this condition is true (alias t); "" replaces every row.
	// New rows that do not satisfy it are an error, unless Unchecked.
	Where     string
	Unchecked bool
	// Partitions replaces exactly the partitions that the new rows belong to. It excludes Where.
	Partitions bool
	// OverwriteSchema gives the table the columns of the source; only without Where and Partitions. MergeSchema adds
	// columns that the table lacks.
	OverwriteSchema bool
	MergeSchema     bool
	RewriteShare    float64 // as in Append
	Meta            ChangeMeta
}

// Overwrite replaces rows in one commit: readers see the old rows or the new ones.
//
// Protocol: removes and adds in one commit. Where removes whole files where it can, else it marks or copies rows.
// Errors:   ErrSchemaMismatch, *ConstraintError, *SQLError, those of Commit. Nothing is visible after an error.
func (t *Table) Overwrite(ctx context.Context, eng Engine, o Overwrite) (*Result, error) {
	return t.replan(ctx, func(ctx context.Context) (*Change, error) { return t.PrepareOverwrite(ctx, eng, o) })
}

// PrepareOverwrite stages an Overwrite.
func (t *Table) PrepareOverwrite(ctx context.Context, eng Engine, o Overwrite) (*Change, error) {
	c, err := t.prepareOverwrite(ctx, eng, o)
	if err != nil {
		return nil, fmt.Errorf("overwrite %s: %w", t.URL(), err)
	}
	return c, nil
}

func (o Overwrite) check(sh shape) error {
	switch {
	case o.Partitions && o.Where != "":
		return fmt.Errorf("%w: Partitions and Where exclude each other", ErrInvalidRequest)
	case o.Partitions && len(sh.partitionBy) == 0:
		return fmt.Errorf("%w: the table is not partitioned", ErrInvalidRequest)
	case o.OverwriteSchema && (o.Partitions || o.Where != ""):
		return fmt.Errorf("%w: OverwriteSchema replaces every row", ErrInvalidRequest)
	case o.OverwriteSchema && o.MergeSchema:
		return fmt.Errorf("%w: OverwriteSchema and MergeSchema exclude each other", ErrInvalidRequest)
	case o.Unchecked && o.Where == "":
		return fmt.Errorf("%w: Unchecked has no effect without Where", ErrInvalidRequest)
	case strings.TrimSpace(o.Source.SQL) == "" && (o.Partitions || o.OverwriteSchema || o.MergeSchema):
		return fmt.Errorf("%w: the source has no SELECT", ErrInvalidRequest)
	}
	return nil
}

func (t *Table) prepareOverwrite(ctx context.Context, eng Engine, o Overwrite) (*Change, error) {
	base, err := t.writable()
	if err != nil {
		return nil, err
	}
	sh, err := shapeOf(base)
	if err != nil {
		return nil, err
	}
	if err := o.check(sh); err != nil {
		return nil, err
	}
	c, err := t.begin(base, sh, operationWrite, o.Meta)
	if err != nil || c.result.AlreadyDone {
		return c, err
	}
	c.parameter("mode", "Overwrite")
	c.parameter("partitionBy", jsonText(orEmpty(sh.partitionBy)))
	c.metrics = writeMetrics
	c.readsFrom(o.Source)
	if err := c.overwrite(ctx, eng, o); err != nil {
		return nil, c.abandon(ctx, err)
	}
	return c, nil
}

func (c *Change) overwrite(ctx context.Context, eng Engine, o Overwrite) error {
	if o.OverwriteSchema {
		if err := c.overwriteSchema(ctx, eng, o.Source); err != nil {
			return err
		}
	}
	if strings.TrimSpace(o.Source.SQL) != "" {
		if err := c.fill(ctx, eng, o.Source, o.MergeSchema); err != nil {
			return err
		}
	}
	switch {
	case o.Where != "":
		c.parameter("predicate", jsonText([]string{o.Where}))
		if !o.Unchecked {
			if err := c.checkWhere(ctx, eng, o.Where, o.Source.TimeZone); err != nil {
				return err
			}
		}
		return c.deleteWhere(ctx, eng, condition{where: o.Where, alias: targetAlias, zone: o.Source.TimeZone}, o.RewriteShare)
	case o.Partitions:
		c.parameter("isDynamicPartitionOverwrite", "true")
		return c.replacePartitions()
	}
	c.reads.whole = true
	return c.replaceFiles(allFiles(c.base))
}

// overwriteSchema gives the change the columns of the source.
func (c *Change) overwriteSchema(ctx context.Context, eng Engine, src Query) error {
	fields, err := typesOf(ctx, eng, src)
	if err != nil {
		return err
	}
	schema, err := tableSchema(fields)
	if err != nil {
		return err
	}
	if c.shape.mapping != txlog.MappingNone {
		schema = txlog.InheritMapping(schema, c.shape.schema)
	}
	if schema.Equal(c.shape.schema) {
		return nil
	}
	partitionBy, err := checkPartitioning(schema, c.shape.partitionBy)
	if err != nil {
		return err
	}
	return c.reshape(schema, partitionBy)
}

// checkWhere refuses new rows for which the condition is not true. It reads the staged files: so it judges the values
// as the table will have them.
func (c *Change) checkWhere(ctx context.Context, eng Engine, where, zone string) error {
	if len(c.fresh) == 0 {
		return nil
	}
	rows, err := eng.Query(ctx, Query{
		SQL:       "SELECT 1 FROM " + QuoteIdent(targetRelation) + " AS t WHERE " + enclosed(where) + " IS NOT TRUE LIMIT 1",
		Relations: map[string]Relation{targetRelation: c.Staged()}, TimeZone: zone,
	})
	if err != nil {
		return fmt.Errorf("check new rows: %w", err)
	}
	for _, rowErr := range rows.All {
		if err = rowErr; err == nil {
			err = &ConstraintError{Kind: kindWhere, Rule: where}
		}
		break
	}
	return joinErrors(err, rows.Close())
}

// replacePartitions removes the files of the partitions that new rows belong to.
func (c *Change) replacePartitions() error {
	wanted := map[string]map[string]string{}
	for _, w := range c.fresh {
		key, err := c.partitionKey(w.Partition)
		if err != nil {
			return err
		}
		wanted[key] = w.Partition
	}
	var idx []int
	for i := range c.base.Files().Len() {
		key, err := c.partitionKey(logicalPartition(c.shape.schema, c.shape.mapping, c.shape.partitionBy, c.base.Files().Partition(i)))
		if err != nil {
			return err
		}
		if _, ok := wanted[key]; ok {
			idx = append(idx, i)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	read := &txlog.Predicate{Op: txlog.OpOr}
	for _, key := range slices.Sorted(maps.Keys(wanted)) {
		p, err := c.partitionPredicate(wanted[key])
		if err != nil {
			return err
		}
		read.Args = append(read.Args, p)
	}
	c.readPredicate(read, idx)
	return c.replaceFiles(idx)
}

// partitionKey is equal for partitions of equal values: one value may stand in the log in several texts, 0 as -0.0 or
// a time in the forms of several writers.
func (c *Change) partitionKey(values map[string]string) (string, error) {
	key := make([]string, len(c.shape.partitionBy))
	for i, name := range c.shape.partitionBy {
		f, err := c.shape.schema.Lookup(name)
		if err != nil {
			return "", err
		}
		v, err := txlog.ParsePartition(f.Type, values[name])
		if v.Float == 0 {
			v.Float = 0 // also from -0, which equals it
		}
		if err == nil {
			key[i], err = txlog.PartitionText(f.Type, v)
		}
		if err != nil {
			return "", fmt.Errorf("partition column %s: %w", name, err)
		}
	}
	return jsonText(key), nil
}

// partitionPredicate is true for the rows of one partition.
func (c *Change) partitionPredicate(values map[string]string) (*txlog.Predicate, error) {
	and := &txlog.Predicate{Op: txlog.OpAnd}
	for _, name := range c.shape.partitionBy {
		if values[name] == "" {
			and.Args = append(and.Args, &txlog.Predicate{Op: txlog.OpIsNull, Column: []string{name}})
			continue
		}
		f, err := c.shape.schema.Lookup(name)
		if err != nil {
			return nil, err
		}
		v, err := txlog.ParsePartition(f.Type, values[name])
		if err != nil {
			return nil, fmt.Errorf("partition column %s: %w", name, err)
		}
		and.Args = append(and.Args, &txlog.Predicate{Op: txlog.OpEq, Column: []string{name}, Values: []txlog.Literal{v}})
	}
	return and, nil
}

// replaceFiles removes whole files and counts their rows.
func (c *Change) replaceFiles(idx []int) error {
	n, err := c.dropFiles(idx)
	c.result.RowsDeleted = n
	return err
}

// allFiles lists the live files of s.
func allFiles(s *txlog.Snapshot) []int {
	idx := make([]int, s.Files().Len())
	for i := range idx {
		idx[i] = i
	}
	return idx
}
