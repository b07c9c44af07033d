package table

import (
	"context"
	"errors"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// fileReaders bounds the data files that are looked at together.
const fileReaders = 8

// files looks at every live file: there, with its size, a footer that can be read, as many rows as the log says, and
// a deletion vector that fits.
func (c *checking) files(ctx context.Context) error {
	s := c.snapshot
	if s == nil {
		return nil
	}
	n := s.Files().Len()
	found := make([][]Finding, n)
	rows, etags := make([]int64, n), make([]string, n)
	var mu sync.Mutex // guards vectors
	vectors := 0
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fileReaders)
	for i := range n {
		g.Go(func() error {
			one := &checking{log: c.log, options: c.options, f: c.f, snapshot: s, report: &FsckReport{}}
			var err error
			if rows[i], etags[i], err = one.file(gctx, i); err != nil {
				return err
			}
			if s.Files().DeletionVector(i) != nil {
				if err := one.vector(gctx, i, rows[i]); err != nil {
					return err
				}
				mu.Lock()
				vectors++
				mu.Unlock()
			}
			one.partition(i)
			found[i] = one.report.Findings
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	c.etags = map[int]string{}
	for i := range n {
		c.etags[i] = etags[i]
		c.report.Files++
		if rows[i] >= 0 {
			c.report.Rows += rows[i]
		}
		if len(found[i]) == 0 {
			c.readable = append(c.readable, i)
		}
		for _, f := range found[i] {
			c.find(f.Class, f.Object, "%s", f.Detail)
		}
	}
	c.report.Vectors = vectors
	return nil
}

// file checks one data file and returns the rows that its footer counts, -1 when there is no footer, and its ETag.
func (c *checking) file(ctx context.Context, i int) (int64, string, error) {
	files := c.snapshot.Files()
	name := objectName(files.Path(i))
	key, err := files.Key(i)
	if err != nil {
		c.find(PathUnusable, name, "%v", err)
		return -1, "", nil
	}
	info, err := c.log.Store().Head(ctx, key)
	switch {
	case errors.Is(err, objectstore.ErrNotFound), errors.Is(err, objectstore.ErrInvalidKey):
		c.find(FileMissing, name, "the log names it, the store does not have it")
		return -1, "", nil
	case err != nil:
		return -1, "", err
	case info.Size != files.Size(i):
		c.find(FileSizeDiffers, name, "%d bytes, the log says %d", info.Size, files.Size(i))
		return -1, "", nil
	}
	f, err := parquetio.Open(objectstore.ReaderAt(ctx, c.log.Store(), key, info.Size), info.Size, c.options.limits())
	if err != nil {
		if unreachable(err) {
			return -1, "", err
		}
		c.find(FooterUnreadable, name, "%v", err)
		return -1, "", nil
	}
	if want, known := files.NumRecords(i); known && want != f.Rows() {
		c.find(RowCountDiffers, name, "%d rows, the log says %d", f.Rows(), want)
	}
	return f.Rows(), info.ETag, nil
}

// vector checks the deletion vector of one file. rows is -1 when the file itself cannot tell.
func (c *checking) vector(ctx context.Context, i int, rows int64) error {
	files := c.snapshot.Files()
	d := files.DeletionVector(i)
	name := objectName(files.Path(i))
	if rows < 0 {
		if n, ok := files.NumRecords(i); ok {
			rows = n
		}
	}
	_, err := c.log.ReadDeletionVector(ctx, d, rows)
	var over *limits.Error
	switch {
	case err == nil:
	case errors.Is(err, objectstore.ErrNotFound), errors.Is(err, txlog.ErrFileGone):
		c.find(VectorMissing, name, "%v", err)
	case unreachable(err):
		return err
	case errors.Is(err, txlog.ErrDeletionVector), errors.As(err, &over), errors.Is(err, io.ErrUnexpectedEOF):
		c.find(VectorDamaged, name, "%v", err)
	default:
		c.find(VectorDamaged, name, "%v", err)
	}
	return nil
}

// partition checks that every partition column has a value that can be read as its type.
func (c *checking) partition(i int) {
	s := c.snapshot
	schema, err := s.Schema()
	if err != nil {
		return
	}
	raw := s.Files().Partition(i)
	values := logicalPartition(schema, s.Mapping(), s.PartitionColumns(), raw)
	name := objectName(s.Files().Path(i))
	if len(raw) < len(s.PartitionColumns()) {
		c.find(PartitionValueBad, name, "%d partition values for %d partition columns", len(raw), len(s.PartitionColumns()))
	}
	for _, column := range partitionNames(schema, s.PartitionColumns()) {
		f, err := schema.Lookup(column)
		if err != nil || values[column] == "" {
			continue
		}
		if _, err := txlog.ParsePartition(f.Type, values[column]); err != nil {
			c.find(PartitionValueBad, name, "column %s: %v", column, err)
		}
	}
}
