package table

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// PrepareFiles starts an append of data files that the caller writes himself, without an engine, as the Write says. He
// adds each with AddFile, then commits or discards.
//
// Errors: ErrUnsupported where rows of the table get values, or must satisfy conditions, that only an engine computes.
func (t *Table) PrepareFiles(meta ChangeMeta) (*Change, Write, error) {
	c, w, err := t.prepareFiles(meta)
	if err != nil {
		return nil, Write{}, fmt.Errorf("append to %s: %w", t.URL(), err)
	}
	return c, w, nil
}

func (t *Table) prepareFiles(meta ChangeMeta) (*Change, Write, error) {
	base, err := t.writable()
	if err != nil {
		return nil, Write{}, err
	}
	sh, err := shapeOf(base)
	if err != nil {
		return nil, Write{}, err
	}
	c, err := t.begin(base, sh, operationWrite, meta)
	if err != nil {
		return nil, Write{}, err
	}
	if err := c.computesNothing(); err != nil {
		return nil, Write{}, err
	}
	w, err := sh.write(t)
	if err != nil {
		return nil, Write{}, err
	}
	c.parameter("mode", "Append")
	c.parameter("partitionBy", jsonText(orEmpty(sh.partitionBy)))
	c.op.BlindAppend = true
	c.metrics = writeMetrics
	return c, w, nil
}

// computesNothing refuses tables whose new rows need SQL. That a value is not null is for the caller to see to.
func (c *Change) computesNothing() error {
	if c.shape.iceberg() {
		return fmt.Errorf("%w: files of a table for Iceberg are written by an engine", ErrUnsupported)
	}
	r, err := rulesOf(c.shape, c.start)
	if err != nil {
		return err
	}
	for _, rule := range r.checks {
		if rule.err.Kind != kindNotNull {
			return fmt.Errorf("%w: rows are checked by an engine: %s", ErrUnsupported, rule.err.Rule)
		}
	}
	for _, f := range c.shape.schema.Fields {
		identity := slices.ContainsFunc(r.identity, func(id *identityNumbers) bool { return id.column == f.Name })
		if _, byDefault := r.defaults[f.Name]; byDefault || identity || r.computes(f.Name) {
			return fmt.Errorf("%w: the values of column %s are computed by an engine", ErrUnsupported, f.Name)
		}
	}
	return nil
}

// AddFile puts a data file under the table, by a name of its own, and adds it to the change. f says what the file holds:
// Rows, Partition and Stats; the rest is filled in.
//
// Errors: ErrInvalidRequest for a file without rows or with other partition columns; those of the store.
func (c *Change) AddFile(ctx context.Context, body objectstore.Body, f WrittenFile) error {
	if c.state != changeOpen {
		return ErrChangeDone
	}
	if f.Rows <= 0 || len(f.Partition) != len(c.shape.partitionBy) {
		return fmt.Errorf("%w: a file of %d rows and %d partition values", ErrInvalidRequest, f.Rows, len(f.Partition))
	}
	for _, name := range c.shape.partitionBy {
		if _, there := f.Partition[name]; !there {
			return fmt.Errorf("%w: a file without partition value for %s", ErrInvalidRequest, name)
		}
	}
	if _, err := txlog.ParseStats(f.Stats); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalidRequest, err)
	}
	w, err := c.shape.write(c.t)
	if err != nil {
		return err
	}
	options := c.t.opts.Log
	f.Store, f.Size = w.Store, body.Size()
	for attempt := 1; ; attempt++ { // by a new name each time: a put whose reply was lost may land late
		f.Key = w.Prefix + w.Folder(f.Partition) + "part-" + clock.NewUUID(options.Rand) + ".parquet"
		info, err := w.Store.Put(ctx, f.Key, body, objectstore.CreateOnly)
		if err == nil {
			f.ETag = info.ETag
			break
		}
		err = fmt.Errorf("put data file: %w", err)
		if drop := c.t.deleteStaged(ctx, []string{f.Key}); drop != nil || attempt == putAttempts || !objectstore.Retryable(err) {
			return errors.Join(err, drop)
		}
		if err := options.Clock.Sleep(ctx, putPause<<attempt); err != nil {
			return err
		}
	}
	c.addFresh([]WrittenFile{f})
	c.result.RowsSource += f.Rows
	c.result.RowsInserted += f.Rows
	return nil
}

const (
	putAttempts = 4 // tries to put one file
	putPause    = 50 * time.Millisecond
)
