package table

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/txlog"
)

// The columns that a relation of changes adds. Protocol: "Reader Requirements for AddCDCFile".
const (
	ChangeTypeColumn      = txlog.ChangeTypeColumn
	CommitVersionColumn   = txlog.CommitVersionColumn
	CommitTimestampColumn = txlog.CommitTimestampColumn
)

// ChangesRelation gives the rows that came and went in the versions after from, up to and including to, with the
// schema of to and the three columns above. An update is a delete and an insert. It works on every table, whether its
// change data feed is on or not; [Table.ChangeFeed] is the feed.
//
// Shape:    each file holds changes of one type, and names the rows by their place in the table's own files.
// Protocol: derived from add, remove and deletion vectors, also where a commit has change data files: rows that only
// moved (dataChange false) are no change; a file with a new deletion vector changed only in the rows between the two.
// A copied row leaves one file and comes in another.
// Errors:   ErrInvalidRequest for an empty or unknown range; txlog.ErrHistoryGone; ErrSchemaMismatch when a column of
// the range is missing or has another type in to.
// Cost:     a GET for each commit of the range and for each deletion vector in it.
func (t *Table) ChangesRelation(ctx context.Context, from, to txlog.Version) (Relation, error) {
	rel, err := t.changesRelation(ctx, from, to)
	if err != nil {
		return Relation{}, fmt.Errorf("changes of %s after version %d up to %d: %w", t.URL(), from, to, err)
	}
	return rel, nil
}

func (t *Table) changesRelation(ctx context.Context, from, to txlog.Version) (Relation, error) {
	end := t.Snapshot()
	if from < -1 || to < from || to > end.Version() {
		return Relation{}, fmt.Errorf("%w: the newest version is %d", ErrInvalidRequest, end.Version())
	}
	var err error
	if to != end.Version() {
		if end, err = t.log.At(ctx, to); err != nil {
			return Relation{}, err
		}
	}
	if err := end.CheckReadable(); err != nil {
		return Relation{}, err
	}
	schema, err := end.Schema()
	if err != nil {
		return Relation{}, err
	}
	f := &feed{t: t, schema: schema, mapping: end.Mapping(), partitionBy: end.PartitionColumns(), derived: true}
	for v := from + 1; v <= to; v++ {
		c, err := t.log.ReadCommit(ctx, v)
		if err != nil {
			return Relation{}, fmt.Errorf("read version %d: %w", v, err)
		}
		for _, a := range c.Actions {
			if m, ok := a.(*txlog.Metadata); ok {
				if err := f.compare(ctx, m, from); err != nil {
					return Relation{}, fmt.Errorf("version %d: %w", v, err)
				}
			}
		}
		if err := f.commit(ctx, c); err != nil {
			return Relation{}, fmt.Errorf("version %d: %w", v, err)
		}
	}
	return f.relation()
}

// feed gathers the files of a relation of changes.
type feed struct {
	t           *Table
	schema      *txlog.Schema
	mapping     txlog.ColumnMapping
	partitionBy []string
	files       []RelationFile
	derived     bool // change data files do not count, nor what only they promise
	compared    bool // the schema at the start of the range was compared
}

func (f *feed) relation() (Relation, error) {
	fields := append([]txlog.Field(nil), f.schema.Fields...)
	for _, c := range []struct {
		name, kind string
		k          txlog.Kind
	}{
		{ChangeTypeColumn, "string", txlog.KindString},
		{CommitVersionColumn, "long", txlog.KindLong},
		{CommitTimestampColumn, "timestamp", txlog.KindTimestamp},
	} {
		fields = append(fields, txlog.Field{Name: c.name, Type: &txlog.DataType{Kind: c.k, Name: c.kind}, Nullable: true})
	}
	schema, err := txlog.NewSchema(fields...)
	if err != nil {
		return Relation{}, fmt.Errorf("%w: %w", ErrSchemaMismatch, err)
	}
	return Relation{
		Schema: schema, Mapping: f.mapping, Files: f.files,
		PartitionColumns: append(partitionNames(f.schema, f.partitionBy), ChangeTypeColumn, CommitVersionColumn, CommitTimestampColumn),
	}, nil
}

// commit adds what one commit changed.
func (f *feed) commit(ctx context.Context, c *txlog.Commit) error {
	if !f.derived {
		if recorded, err := f.recorded(ctx, c); err != nil || recorded {
			return err
		}
	}
	removes := map[string]*txlog.Remove{}
	adds := map[string]*txlog.Add{}
	var order []string
	for _, a := range c.Actions {
		switch a := a.(type) {
		case *txlog.Remove:
			if a.DataChange {
				removes[a.Path] = a
				order = append(order, a.Path)
			}
		case *txlog.Add:
			if a.DataChange {
				adds[a.Path] = a
				if removes[a.Path] == nil {
					order = append(order, a.Path)
				}
			}
		default:
		}
	}
	seen := map[string]bool{}
	for _, path := range order {
		if seen[path] {
			continue
		}
		seen[path] = true
		if err := f.file(ctx, c, removes[path], adds[path]); err != nil {
			return err
		}
	}
	return nil
}

// file adds what happened to one data file.
func (f *feed) file(ctx context.Context, c *txlog.Commit, remove *txlog.Remove, add *txlog.Add) error {
	switch {
	case remove == nil:
		return f.whole(ctx, c, txlog.ChangeInsert, add.Path, add.Size, add.PartitionValues, add.DeletionVector)
	case add == nil:
		size := int64(-1)
		if remove.Size != nil {
			size = *remove.Size
		}
		return f.whole(ctx, c, txlog.ChangeDelete, remove.Path, size, remove.PartitionValues, remove.DeletionVector)
	}
	before, err := f.vector(ctx, remove.DeletionVector)
	if err != nil {
		return err
	}
	after, err := f.vector(ctx, add.DeletionVector)
	if err != nil {
		return err
	}
	for _, part := range []struct {
		kind string
		rows *roaring64.Bitmap
	}{{txlog.ChangeDelete, roaring64.AndNot(after, before)}, {txlog.ChangeInsert, roaring64.AndNot(before, after)}} {
		if part.rows.IsEmpty() {
			continue
		}
		file, err := f.describe(ctx, c, part.kind, add.Path, add.Size, add.PartitionValues)
		if err != nil {
			return err
		}
		file.Only = part.rows
		f.files = append(f.files, file)
	}
	return nil
}

// whole adds all live rows of a file.
func (f *feed) whole(ctx context.Context, c *txlog.Commit, kind, path string, size int64, partition map[string]string, d *txlog.DeletionVectorDescriptor) error {
	file, err := f.describe(ctx, c, kind, path, size, partition)
	if err != nil {
		return err
	}
	if d != nil {
		if file.Deleted, err = f.vector(ctx, d); err != nil {
			return err
		}
	}
	f.files = append(f.files, file)
	return nil
}

func (f *feed) vector(ctx context.Context, d *txlog.DeletionVectorDescriptor) (*roaring64.Bitmap, error) {
	if d == nil {
		return roaring64.New(), nil
	}
	return f.t.log.ReadDeletionVector(ctx, d, -1)
}

// describe makes the relation's entry of a file; a negative size is looked up.
func (f *feed) describe(ctx context.Context, c *txlog.Commit, kind, path string, size int64, partition map[string]string) (RelationFile, error) {
	p, err := txlog.DecodePath(path)
	if err != nil {
		return RelationFile{}, err
	}
	if p.Absolute != "" {
		return RelationFile{}, fmt.Errorf("%w: a file outside the table", ErrUnsupported)
	}
	key := f.t.prefix() + p.Key
	if size < 0 {
		info, err := f.t.Store().Head(ctx, key)
		if err != nil {
			return RelationFile{}, fmt.Errorf("size of a removed file: %w", gone(err))
		}
		size = info.Size
	}
	values := logicalPartition(f.schema, f.mapping, f.partitionBy, partition)
	if values == nil {
		values = map[string]string{}
	}
	values[ChangeTypeColumn] = kind
	values[CommitVersionColumn] = metric(int64(c.Version))
	values[CommitTimestampColumn] = c.Timestamp.UTC().Format("2006-01-02T15:04:05.000000Z")
	return RelationFile{Store: f.t.Store(), Key: key, Size: size, Partition: values}, nil
}

// compare refuses a range over which the columns changed, at a commit of the range and at its start.
func (f *feed) compare(ctx context.Context, m *txlog.Metadata, from txlog.Version) error {
	if err := f.fits(m); err != nil {
		return err
	}
	if f.compared || from < 0 {
		return nil
	}
	f.compared = true
	s, err := f.t.log.At(ctx, from)
	if err != nil {
		return fmt.Errorf("schema of version %d: %w", from, err)
	}
	return f.fits(s.Metadata())
}

// fits refuses a metaData whose rows cannot be read with the columns of the end of the range: columns may come, and
// nothing else may happen to them.
func (f *feed) fits(m *txlog.Metadata) error {
	old, err := txlog.ParseSchema(m.SchemaString)
	if err != nil {
		return err
	}
	if !slices.EqualFunc(m.PartitionColumns, f.partitionBy, strings.EqualFold) {
		return fmt.Errorf("%w: the partition columns changed from %v to %v", ErrSchemaMismatch, orEmpty(m.PartitionColumns), orEmpty(f.partitionBy))
	}
	for _, o := range old.Fields {
		n, err := f.schema.Lookup(o.Name)
		if err != nil {
			return fmt.Errorf("%w: column %q is gone", ErrSchemaMismatch, o.Name)
		}
		if err := f.fitsField(o.Name, o, *n); err != nil {
			return err
		}
	}
	return nil
}

// fitsField compares a column, or a field of one, before and at the end.
func (f *feed) fitsField(path string, o, n txlog.Field) error {
	switch {
	case n.PhysicalName(f.mapping) != o.PhysicalName(f.mapping):
		return fmt.Errorf("%w: column %q was replaced by another of its name", ErrSchemaMismatch, path)
	case !f.derived && o.Nullable && !n.Nullable:
		return fmt.Errorf("%w: column %q could be NULL and now has to have a value", ErrSchemaMismatch, path)
	case o.Type.Kind != txlog.KindStruct || n.Type.Kind != txlog.KindStruct:
		if !n.Type.Equal(o.Type) {
			return fmt.Errorf("%w: column %q changed from %s to %s", ErrSchemaMismatch, path, o.Type.SQL(), n.Type.SQL())
		}
		return nil
	}
	inside := &txlog.Schema{Fields: n.Type.Fields}
	for _, field := range o.Type.Fields {
		now, err := inside.Lookup(field.Name)
		if err != nil {
			return fmt.Errorf("%w: column %q is gone", ErrSchemaMismatch, path+"."+field.Name)
		}
		if err := f.fitsField(path+"."+field.Name, field, *now); err != nil {
			return err
		}
	}
	return nil
}
