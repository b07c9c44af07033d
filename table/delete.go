package table

import (
	"context"
	"fmt"
	"strings"
)

// Delete is rows to remove.
type Delete struct {
	// Where is a condition over the table; rows for which it is true leave. "" removes every row.
	Where string
	Alias string // what the table is called in Where; "" means t
	// Relations are other tables and files that Where reads, by the names that they have in it. A conflict with a
	// change of these goes unnoticed: they are pinned.
	Relations    map[string]Relation
	TimeZone     string  // as in Query
	RewriteShare float64 // as in Append
	Meta         ChangeMeta
}

// condition is the rows of the request.
func (d Delete) condition() condition {
	w := condition{where: d.Where, alias: d.Alias, zone: d.TimeZone, relations: d.Relations}
	if w.alias == "" {
		w.alias = targetAlias
	}
	return w
}

// Delete removes rows in one commit. Rows that do not exist cost nothing: then there is no commit.
//
// Protocol: files without rows left are removed, others get a deletion vector or are copied.
// Errors:   *SQLError, ErrConstraint for an append-only table, those of Commit.
func (t *Table) Delete(ctx context.Context, eng Engine, d Delete) (*Result, error) {
	return t.replan(ctx, func(ctx context.Context) (*Change, error) { return t.PrepareDelete(ctx, eng, d) })
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
	c, err := t.beginRows("DELETE", d.Meta)
	if err != nil || c.result.AlreadyDone {
		return c, err
	}
	c.metrics = deleteMetrics
	if strings.TrimSpace(d.Where) == "" {
		c.parameter("predicate", "[]")
		c.reads.whole = true
		return c, c.replaceFiles(allFiles(c.base))
	}
	c.parameter("predicate", jsonText([]string{d.Where}))
	c.readsFrom(Query{Relations: d.Relations})
	if err := c.deleteWhere(ctx, eng, d.condition(), d.RewriteShare); err != nil {
		return nil, c.abandon(ctx, err)
	}
	return c, nil
}

// beginRows starts a change of rows on the newest version that the handle knows.
func (t *Table) beginRows(operation string, meta ChangeMeta) (*Change, error) {
	base, err := t.writable()
	if err != nil {
		return nil, err
	}
	sh, err := shapeOf(base)
	if err != nil {
		return nil, err
	}
	return t.begin(base, sh, operation, meta)
}

// deleteMetrics names what a DELETE did the way Spark does.
func deleteMetrics(c *Change) map[string]string {
	m := rowMetrics(c)
	if c.result.RowsDeleted >= 0 {
		m["numDeletedRows"] = metric(c.result.RowsDeleted)
	}
	return m
}

// rowMetrics is what DELETE and UPDATE say of the files that they change.
func rowMetrics(c *Change) map[string]string {
	return map[string]string{
		"numRemovedFiles":           metric(int64(len(c.drop))),
		"numAddedFiles":             metric(int64(len(c.fresh) + len(c.copied))),
		"numCopiedRows":             metric(c.result.RowsCopied),
		"numDeletionVectorsAdded":   metric(int64(len(c.mask))),
		"numDeletionVectorsRemoved": metric(c.droppedVectors()),
		"numDeletionVectorsUpdated": metric(c.updatedVectors()),
		"numRemovedBytes":           metric(c.droppedBytes()),
		"numAddedBytes":             metric(bytesOf(c.fresh) + bytesOf(c.copied)),
		"numAddedChangeFiles":       metric(int64(len(c.feed))),
	}
}
