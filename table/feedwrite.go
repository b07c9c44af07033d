package table

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/txlog"
)

// changeDataFolder holds change data files, below the table root. Protocol: "Change Data Files".
const changeDataFolder = "_change_data/"

// recordsChanges tells whether the commit has to carry change data files where its adds and removes alone would not
// tell readers which rows changed.
//
// Protocol: "Writer Requirements for AddCDCFile".
func (c *Change) recordsChanges() bool {
	meta, protocol := c.inForce()
	return protocol != nil && txlog.RecordsChanges(meta.Configuration) && protocol.Supports(txlog.FeatureChangeDataFeed)
}

// leaving copies the rows that are about to leave, by file, before their removal is planned; nil where nobody asks.
func (c *Change) leaving(found map[int]*roaring64.Bitmap) map[int]*roaring64.Bitmap {
	if !c.recordsChanges() {
		return nil
	}
	out := make(map[int]*roaring64.Bitmap, len(found))
	for i, rows := range found {
		out[i] = rows.Clone()
	}
	return out
}

// partial tells whether a file lost some of its rows only: then removes and adds name rows that did not change.
func (c *Change) partial() bool { return len(c.mask)+len(c.copied) > 0 }

// recordDeletes stages change data files of a change that removed rows and perhaps added others, where its adds and
// removes do not say so by themselves. left are the removed rows, as leaving gave them.
func (c *Change) recordDeletes(ctx context.Context, eng Engine, left map[int]*roaring64.Bitmap) error {
	if left == nil || !c.partial() {
		return nil
	}
	images, err := c.oldImages(txlog.ChangeDelete, left)
	if err != nil {
		return err
	}
	return c.writeFeed(ctx, eng, append(images, newImages(txlog.ChangeInsert, c.fresh)...))
}

// oldImages describes rows of files of the base, by physical position.
func (c *Change) oldImages(kind string, rows map[int]*roaring64.Bitmap) ([]RelationFile, error) {
	out := make([]RelationFile, 0, len(rows))
	for _, i := range slices.Sorted(maps.Keys(rows)) {
		if rows[i].IsEmpty() {
			continue
		}
		f, err := c.t.relationFile(c.base, i, c.shape.schema)
		if err != nil {
			return nil, err
		}
		f.Only = rows[i]
		out = append(out, f.changed(kind))
	}
	return out, nil
}

// newImages describes all rows of staged files.
func newImages(kind string, files []WrittenFile) []RelationFile {
	out := make([]RelationFile, len(files))
	for n, w := range files {
		out[n] = w.relationFile().changed(kind)
	}
	return out
}

// changed is the file with the type of change as one more constant.
func (f RelationFile) changed(kind string) RelationFile {
	values := maps.Clone(f.Partition)
	if values == nil {
		values = map[string]string{}
	}
	values[ChangeTypeColumn] = kind
	f.Partition = values
	return f
}

// writeFeed stages change data files with the rows of images. They hold every change of the commit, inserts too:
// readers who find any ignore the commit's adds and removes.
func (c *Change) writeFeed(ctx context.Context, eng Engine, images []RelationFile) error {
	if mutant.On(mutant.FeedWithoutInserts) {
		images = slices.DeleteFunc(images, func(f RelationFile) bool { return f.Partition[ChangeTypeColumn] == txlog.ChangeInsert })
	}
	if len(images) == 0 {
		return nil
	}
	schema := &txlog.Schema{}
	for _, f := range c.shape.schema.Fields {
		f.Nullable = true // an old row that breaks a rule must be able to leave
		schema.Fields = append(schema.Fields, f)
	}
	schema.Fields = append(schema.Fields, txlog.Field{
		Name: ChangeTypeColumn, Type: &txlog.DataType{Kind: txlog.KindString, Name: "string"}, Nullable: true,
	})
	w, err := c.shape.write(c.t)
	if err != nil {
		return err
	}
	w.Prefix += changeDataFolder
	w.NamePrefix, w.Schema, w.Stats, w.PackedVariants = "cdc-", schema, txlog.StatsColumns{}, true
	rel := c.shape.relation()
	rel.PackedVariants = true
	rel.Schema, rel.PartitionColumns, rel.Files = schema, append(slices.Clone(rel.PartitionColumns), ChangeTypeColumn), images
	if c.feed, err = eng.Write(ctx, Query{
		SQL:       "SELECT " + selectList(schema) + " FROM " + QuoteIdent(targetRelation),
		Relations: map[string]Relation{targetRelation: rel},
	}, w); err != nil {
		return fmt.Errorf("write change data: %w", err)
	}
	c.result.ChangeFiles = len(c.feed)
	c.result.BytesWritten += bytesOf(c.feed)
	return nil
}

// cdc names a change data file in the log.
func (sh shape) cdc(t *Table, w WrittenFile) *txlog.CDC {
	return &txlog.CDC{
		Path:            txlog.EncodePath(strings.TrimPrefix(w.Key, t.prefix())),
		PartitionValues: physicalPartition(sh.schema, sh.mapping, sh.partitionBy, w.Partition),
		Size:            w.Size,
	}
}
