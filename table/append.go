package table

import (
	"context"
	"fmt"
)

// Append is rows to add.
type Append struct {
	// Source gives the rows. Its columns are matched by name, without regard to case, and cast to the table's types;
	// columns that it lacks are NULL.
	Source Query
	// MergeSchema adds columns and fields of structs that the table lacks, nullable, in the same commit. Without it they
	// are an error.
	MergeSchema bool
	// DeleteWhere is a condition over the table, alias t; rows for which it is true leave the table in the same
	// commit, also when the source is empty: that is how the rows of a file that was loaded before are replaced.
	DeleteWhere string
	// RewriteShare is the share of deleted rows above which a file is rewritten instead of getting a deletion
	// vector; 0 is DefaultRewriteShare.
	RewriteShare float64
	Meta         ChangeMeta
}

// Append adds the rows of a.Source in one commit.
//
// Protocol: a blind append unless DeleteWhere is set or the source reads the table itself; so it never conflicts with
// other appends, deletes or merges. A source without rows commits only what Meta carries.
// Errors:   ErrSchemaMismatch, *ConstraintError, *SQLError, those of Commit. Nothing is visible after an error.
func (t *Table) Append(ctx context.Context, eng Engine, a Append) (*Result, error) {
	return t.replan(ctx, func(ctx context.Context) (*Change, error) { return t.PrepareAppend(ctx, eng, a) })
}

// PrepareAppend stages an Append.
func (t *Table) PrepareAppend(ctx context.Context, eng Engine, a Append) (*Change, error) {
	c, err := t.prepareAppend(ctx, eng, a)
	if err != nil {
		return nil, fmt.Errorf("append to %s: %w", t.URL(), err)
	}
	return c, nil
}

func (t *Table) prepareAppend(ctx context.Context, eng Engine, a Append) (*Change, error) {
	if err := checkSource(a.Source); err != nil {
		return nil, err
	}
	base, err := t.writable()
	if err != nil {
		return nil, err
	}
	sh, err := shapeOf(base)
	if err != nil {
		return nil, err
	}
	c, err := t.begin(base, sh, operationWrite, a.Meta)
	if err != nil || c.result.AlreadyDone {
		return c, err
	}
	c.parameter("mode", "Append")
	c.parameter("partitionBy", jsonText(orEmpty(sh.partitionBy)))
	c.readsFrom(a.Source)
	c.op.BlindAppend = a.DeleteWhere == "" && !c.readsItself
	c.metrics = writeMetrics
	if err := c.fill(ctx, eng, a.Source, a.MergeSchema); err != nil {
		return nil, c.abandon(ctx, err)
	}
	if a.DeleteWhere != "" {
		c.parameter("deleteWhere", a.DeleteWhere)
		if err := c.deleteWhere(ctx, eng, condition{where: a.DeleteWhere, alias: targetAlias, zone: a.Source.TimeZone}, a.RewriteShare); err != nil {
			return nil, c.abandon(ctx, err)
		}
	}
	return c, nil
}

// operationWrite is the operation of append and overwrite, as Spark names it.
const operationWrite = "WRITE"

// fill stages the rows of a source as new rows of c, after adding the columns that c's shape lacks.
func (c *Change) fill(ctx context.Context, eng Engine, src Query, mergeSchema bool) error {
	source, err := outputOf(ctx, eng, src)
	if err != nil {
		return err
	}
	from, extra, err := matchColumns(c.shape.schema, source)
	if err != nil {
		return err
	}
	if len(extra) > 0 && !mergeSchema {
		return fmt.Errorf("%w: the table has no column %s", ErrSchemaMismatch, names(extra))
	}
	if mergeSchema {
		if err := c.evolve(ctx, eng, src, source, extra, from); err != nil {
			return err
		}
	}
	if err := checkNested(c.shape.schema, source, from); err != nil {
		return err
	}
	rows, err := c.newRowsOf()
	if err != nil {
		return err
	}
	if err := rows.castSource(source, from, src.SQL); err != nil {
		return err
	}
	files, err := c.stageNew(ctx, eng, rows, src)
	if err != nil {
		return err
	}
	c.result.RowsSource = rowsOf(files)
	c.result.RowsInserted = rowsOf(files)
	return nil
}

// writeMetrics names what a WRITE did the way Spark does.
func writeMetrics(c *Change) map[string]string {
	m := map[string]string{
		"numFiles":       metric(int64(len(c.fresh) + len(c.copied))),
		"numOutputRows":  metric(rowsOf(c.fresh) + rowsOf(c.copied)),
		"numOutputBytes": metric(bytesOf(c.fresh) + bytesOf(c.copied)),
	}
	if len(c.drop)+len(c.mask) > 0 {
		m["numRemovedFiles"] = metric(int64(len(c.drop)))
		m["numRemovedBytes"] = metric(c.droppedBytes())
		m["numDeletionVectorsAdded"] = metric(int64(len(c.mask)))
		if c.result.RowsDeleted >= 0 {
			m["numDeletedRows"] = metric(c.result.RowsDeleted)
		}
		m["numCopiedRows"] = metric(c.result.RowsCopied)
		m["numAddedChangeFiles"] = metric(int64(len(c.feed)))
	}
	return m
}
