package duckdb

import (
	"context"
	"errors"
	"unsafe"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/lakectl/lakectl/table"
)

// loadRows makes a table (i UBIGINT, r BIGINT) of the rows in maps, i being the index into maps, and returns its
// quoted name. Rows travel as runs, since vectors are often dense in places.
func (s *session) loadRows(ctx context.Context, name string, maps []*roaring64.Bitmap) (string, error) {
	if err := s.helpers(ctx); err != nil {
		return "", err
	}
	runs := helperSchema + "." + table.QuoteIdent(name+" runs")
	if err := s.exec(ctx, "CREATE TABLE "+runs+" (i BIGINT, first BIGINT, last BIGINT)"); err != nil {
		return "", err
	}
	if err := s.appendRuns(ctx, name+" runs", maps); err != nil {
		return "", err
	}
	rows := helperSchema + "." + table.QuoteIdent(name)
	for _, sql := range []string{
		"CREATE TABLE " + rows + " AS SELECT CAST(i AS UBIGINT) AS i, first AS r FROM " + runs + " WHERE first = last" +
			" UNION ALL SELECT CAST(i AS UBIGINT), unnest(range(first, last + 1)) FROM " + runs + " WHERE first < last",
		"DROP TABLE " + runs,
	} {
		if err := s.exec(ctx, sql); err != nil {
			return "", err
		}
	}
	return rows, nil
}

// runChunk is a chunk of three BIGINT columns that is filled and appended again and again.
type runChunk struct {
	appender bindings.Appender
	chunk    bindings.DataChunk
	columns  [3][]int64
	n        int
}

func (s *session) appendRuns(ctx context.Context, name string, maps []*roaring64.Bitmap) error {
	var c runChunk
	if bindings.AppenderCreate(s.conn, helperSchema, name, &c.appender) == bindings.StateError {
		return errors.New("load deletion vectors: " + bindings.AppenderError(c.appender))
	}
	defer bindings.AppenderDestroy(&c.appender)
	bigint := bindings.CreateLogicalType(bindings.TypeBigInt)
	defer bindings.DestroyLogicalType(&bigint)
	c.chunk = bindings.CreateDataChunk([]bindings.LogicalType{bigint, bigint, bigint})
	defer bindings.DestroyDataChunk(&c.chunk)
	size := int(bindings.VectorSize()) //nolint:gosec // 2048
	for i := range c.columns {
		v := bindings.DataChunkGetVector(c.chunk, bindings.IdxT(i))
		c.columns[i] = unsafe.Slice((*int64)(bindings.VectorGetData(v)), size)
	}
	for i, m := range maps {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := c.add(int64(i), m); err != nil {
			return err
		}
	}
	if err := c.flush(); err != nil {
		return err
	}
	if bindings.AppenderFlush(c.appender) == bindings.StateError {
		return errors.New("load deletion vectors: " + bindings.AppenderError(c.appender))
	}
	return nil
}

// add appends the runs of one map.
func (c *runChunk) add(i int64, m *roaring64.Bitmap) error {
	buffer := make([]uint64, 1024)
	first, last, open := int64(0), int64(0), false
	for it := m.ManyIterator(); ; {
		n := it.NextMany(buffer)
		for _, bit := range buffer[:n] {
			row := int64(bit) //nolint:gosec // txlog refuses vectors beyond the rows of a file
			if open && row == last+1 {
				last = row
				continue
			}
			if open {
				if err := c.run(i, first, last); err != nil {
					return err
				}
			}
			first, last, open = row, row, true
		}
		if n == 0 {
			break
		}
	}
	if open {
		return c.run(i, first, last)
	}
	return nil
}

func (c *runChunk) run(i, first, last int64) error {
	c.columns[0][c.n], c.columns[1][c.n], c.columns[2][c.n] = i, first, last
	if c.n++; c.n < len(c.columns[0]) {
		return nil
	}
	return c.flush()
}

func (c *runChunk) flush() error {
	if c.n == 0 {
		return nil
	}
	bindings.DataChunkSetSize(c.chunk, bindings.IdxT(c.n)) //nolint:gosec // positive
	c.n = 0
	if bindings.AppendDataChunk(c.appender, c.chunk) == bindings.StateError {
		return errors.New("load deletion vectors: " + bindings.AppenderError(c.appender))
	}
	return nil
}
