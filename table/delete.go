package table

import (
	"context"
	"fmt"
	"strings"
)

// Delete is rows to remove.
type Delete struct {
	// Where is a condition over the table, alias t; rows for which it is true leave. "" removes every row.
	Where        string
	TimeZone     string  // as in Query
	RewriteShare float64 // as in Append
	Meta         ChangeMeta
}

// Delete removes rows in one commit. Rows that do not exist cost nothing: then there is no commit.
//
// Protocol: files without rows left are removed, others get a deletion vector or are copied.
// Errors:   *SQLError, ErrConstraint for an append-only table, those of Commit.
func (t *Table) Delete(ctx context.Context, eng Engine, d Delete) (*Result, error) {
	return t.replan(ctx, Query{}, func(ctx context.Context) (*Change, error) { return t.PrepareDelete(ctx, eng, d) })
}

// PrepareDelete stages a Delete.
func (t *Table) PrepareDelete(ctx context.Context, eng Engine, d Delete) (*Change, error) {
	c, err := t.prepareDelete(ctx, eng, d)
	if err != nil {
		return nil, fmt.Errorf("delete from %s: %w", t.URL(), err)
	}
	return c, nil
}

func (t *Table) prepareDelete(ctx context.Context, eng Engine, d Delete) (*Change, error) {
	base, err := t.writable()
	if err != nil {
		return nil, err
	}
	sh, err := shapeOf(base)
	if err != nil {
		return nil, err
	}
	c, err := t.begin(base, sh, "DELETE", d.Meta)
	if err != nil || c.result.AlreadyDone {
		return c, err
	}
	c.metrics = deleteMetrics
	if strings.TrimSpace(d.Where) == "" {
		c.parameter("predicate", "[]")
		c.reads.whole = true
		return c, c.replaceFiles(allFiles(base))
	}
	c.parameter("predicate", jsonText([]string{d.Where}))
	if err := c.deleteWhere(ctx, eng, d.Where, d.TimeZone, d.RewriteShare); err != nil {
		return nil, c.abandon(ctx, err)
	}
	return c, nil
}

// deleteMetrics names what a DELETE did the way Spark does.
func deleteMetrics(c *Change) map[string]string {
	m := map[string]string{
		"numRemovedFiles":         metric(int64(len(c.drop))),
		"numAddedFiles":           metric(int64(len(c.copied))),
		"numCopiedRows":           metric(c.result.RowsCopied),
		"numDeletionVectorsAdded": metric(int64(len(c.mask))),
		"numRemovedBytes":         metric(c.droppedBytes()),
		"numAddedBytes":           metric(bytesOf(c.copied)),
		"numAddedChangeFiles":     metric(int64(len(c.feed))),
	}
	if c.result.RowsDeleted >= 0 {
		m["numDeletedRows"] = metric(c.result.RowsDeleted)
	}
	return m
}
