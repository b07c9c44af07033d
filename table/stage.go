package table

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/txlog"
)

// DefaultRewriteShare is the share of deleted rows of a file above which a write copies the rows that stay into a new
// file instead of giving the old one a deletion vector: beyond it every later read pays more than the copy costs.
const DefaultRewriteShare = 0.5

// stageAs writes the rows of q into the table's folder. They have the columns of schema: those of the table, and hidden
// ones.
func (c *Change) stageAs(ctx context.Context, eng Engine, q Query, schema *txlog.Schema, packed bool) ([]WrittenFile, error) {
	w, err := c.shape.write(c.t)
	if err != nil {
		return nil, err
	}
	w.Schema, w.PackedVariants = schema, packed
	files, err := eng.Write(ctx, q, w)
	if err != nil {
		return nil, valueErrorOf(err)
	}
	return files, nil
}

// addFresh adds files of new rows.
func (c *Change) addFresh(files []WrittenFile) {
	c.fresh = append(c.fresh, files...)
	c.wrote(files)
}

func (c *Change) wrote(files []WrittenFile) {
	c.result.FilesAdded += len(files)
	c.result.BytesWritten += bytesOf(files)
}

// abandon deletes what was staged before err ended the preparation.
func (c *Change) abandon(ctx context.Context, err error) error {
	return joinErrors(err, c.Discard(context.WithoutCancel(ctx)))
}

// parameter sets an operation parameter unless the caller chose it.
func (c *Change) parameter(key, value string) {
	if _, set := c.op.Parameters[key]; !set {
		c.op.Parameters[key] = value
	}
}

// deleteWhere takes the rows for which the condition is true out of the table.
func (c *Change) deleteWhere(ctx context.Context, eng Engine, w condition, share float64) error {
	if c.base == nil {
		return nil
	}
	found, err := c.findRows(ctx, eng, w)
	if err != nil {
		return err
	}
	left := c.leaving(found)
	n, err := c.removeRows(ctx, eng, found, share)
	if err != nil {
		return err
	}
	c.result.RowsDeleted += n
	return c.recordDeletes(ctx, eng, left)
}

// removeRows plans the removal of the found rows: a file without rows left only leaves; a file that loses more than
// share of its rows, or whose table has no deletion vectors, is rewritten; any other gets a new deletion vector. It
// returns how many rows leave.
//
// Protocol: "Deletion Vectors": the new vector holds the old one; all vectors of a commit share one file.
func (c *Change) removeRows(ctx context.Context, eng Engine, found map[int]*roaring64.Bitmap, share float64) (int64, error) {
	if len(found) == 0 {
		return 0, nil
	}
	if err := c.checkRemovable(); err != nil {
		return 0, err
	}
	if share <= 0 {
		share = DefaultRewriteShare
	}
	idx := slices.Sorted(maps.Keys(found))
	old, err := c.t.vectors(ctx, c.base, idx)
	if err != nil {
		return 0, err
	}
	withVectors := boolProperty(c.shape.properties, propDeletionVectors)
	var removed int64
	var rewrite []int
	for _, i := range idx {
		removed += cardinality(found[i])
		if old[i] != nil {
			found[i].Or(old[i])
		}
		gone := cardinality(found[i])
		n, known := c.base.Files().NumRecords(i)
		switch {
		case known && gone >= n:
			c.drop = append(c.drop, i)
		case known && withVectors && float64(gone) <= share*float64(n):
			c.mask = append(c.mask, maskedFile{file: i, vector: found[i]})
		default:
			rewrite = append(rewrite, i)
		}
	}
	if err := c.writeVectors(ctx); err != nil {
		return 0, err
	}
	if err := c.rewrite(ctx, eng, rewrite, found); err != nil {
		return 0, err
	}
	c.result.FilesMatched += len(idx)
	c.result.FilesRemoved = len(c.drop)
	c.result.DeletionVectors = len(c.mask)
	return removed, nil
}

// checkRemovable refuses what an append-only table does not allow.
func (c *Change) checkRemovable() error {
	if boolProperty(c.shape.properties, propAppendOnly) {
		return fmt.Errorf("%w: %s is set, rows can only be added", ErrConstraint, propAppendOnly)
	}
	return nil
}

func (c *Change) writeVectors(ctx context.Context) error {
	if len(c.mask) == 0 {
		return nil
	}
	vectors := make([]*roaring64.Bitmap, len(c.mask))
	for n, m := range c.mask {
		vectors[n] = m.vector
	}
	descriptors, err := c.t.log.WriteDeletionVectors(ctx, vectors)
	if err != nil {
		return fmt.Errorf("write deletion vectors: %w", err)
	}
	for n, d := range descriptors {
		c.mask[n].descriptor = d
	}
	return nil
}

// rewrite copies the rows of files that are not in gone into new files.
func (c *Change) rewrite(ctx context.Context, eng Engine, files []int, gone map[int]*roaring64.Bitmap) error {
	if len(files) == 0 {
		return nil
	}
	rel, schema := c.shape.relation(), c.shape.moved()
	rel.RowIDs, rel.PackedVariants = c.shape.rowIDs(), true
	rel.Files = make([]RelationFile, len(files))
	for n, i := range files {
		var err error
		if rel.Files[n], err = c.t.relationFile(c.base, i, c.shape.schema); err != nil {
			return err
		}
		rel.Files[n].Deleted = gone[i]
	}
	written, err := c.stageAs(ctx, eng, Query{
		SQL:       "SELECT " + selectList(schema) + " FROM " + QuoteIdent(targetRelation),
		Relations: map[string]Relation{targetRelation: rel},
	}, schema, true)
	if err != nil {
		return fmt.Errorf("rewrite files: %w", err)
	}
	c.copied = append(c.copied, written...)
	c.wrote(written)
	c.result.RowsCopied += rowsOf(written)
	c.result.FilesRewritten += len(files)
	c.drop = append(c.drop, files...)
	slices.Sort(c.drop)
	return nil
}

// dropFiles plans the removal of whole files and returns how many rows leave with them, -1 when a file has no count.
func (c *Change) dropFiles(files []int) (int64, error) {
	if len(files) == 0 {
		return 0, nil
	}
	if err := c.checkRemovable(); err != nil {
		return 0, err
	}
	var removed int64
	for _, i := range files {
		n, known := c.base.Files().NumRecords(i)
		if d := c.base.Files().DeletionVector(i); d != nil {
			n -= d.Cardinality
		}
		if !known {
			removed = -1
		}
		if removed >= 0 {
			removed += n
		}
	}
	c.drop = append(c.drop, files...)
	slices.Sort(c.drop)
	c.result.FilesMatched += len(files)
	c.result.FilesRemoved = len(c.drop)
	return removed, nil
}

// droppedBytes sums the sizes of the files that leave.
func (c *Change) droppedBytes() int64 {
	var n int64
	for _, i := range c.drop {
		n += c.base.Files().Size(i)
	}
	return n
}

// orEmpty makes nil print as [] in JSON.
func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
