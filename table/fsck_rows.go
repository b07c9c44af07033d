package table

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/txlog"
)

// deepColumnsMax bounds the columns of one question about rows.
const deepColumnsMax = 50

// rows reads every row of the files whose footers are sound, and compares the statistics with them.
func (c *checking) rows(ctx context.Context) error {
	if !c.f.Deep || c.snapshot == nil {
		return nil
	}
	if err := c.snapshot.CheckReadable(); err != nil {
		return fmt.Errorf("read rows: %w", err)
	}
	for _, i := range c.readable {
		if err := c.deepFile(ctx, i); err != nil {
			return err
		}
	}
	return nil
}

// deepFile reads all rows of one file, a bounded number of columns at a time: their smallest and largest value, and
// how many there are.
func (c *checking) deepFile(ctx context.Context, i int) error {
	s := c.snapshot
	t := &Table{log: c.log, path: c.log.Root(), pinned: true, opts: c.options, snap: s}
	rel, err := t.relation(ctx, s, []int{i}, false)
	if err != nil {
		return err
	}
	schema, err := s.Schema()
	if err != nil {
		return err
	}
	partitioned := partitionNames(schema, s.PartitionColumns())
	data := slices.DeleteFunc(slices.Clone(schema.Fields), func(f txlog.Field) bool {
		return slices.Contains(partitioned, f.Name) || f.Type.Kind == txlog.KindVoid || f.Type.Kind == txlog.KindVariant
	})
	for part := range slices.Chunk(data, deepColumnsMax) {
		if err := c.deepColumns(ctx, i, rel, part); err != nil || ctx.Err() != nil {
			return err
		}
	}
	return nil
}

// deepColumns asks for the aggregates of some columns of file i.
func (c *checking) deepColumns(ctx context.Context, i int, rel Relation, fields []txlog.Field) error {
	name := objectName(c.snapshot.Files().Path(i))
	list := []string{"count(*)"}
	for _, f := range fields {
		q := QuoteIdent(f.Name)
		list = append(list, "count("+q+")")
		if hasBounds(f.Type.Kind) {
			list = append(list, "min("+q+")", "max("+q+")")
		} else {
			// A hash reads every byte of what has no order.
			list = append(list, "bit_xor(hash("+q+"))::VARCHAR", "NULL")
		}
	}
	rows, err := c.f.Engine.Query(ctx, Query{
		SQL: "SELECT " + strings.Join(list, ", ") + " FROM t", Relations: map[string]Relation{"t": rel},
	})
	if err == nil {
		defer rows.Close() //nolint:errcheck // the row was read
		for row, rowErr := range rows.All {
			if rowErr != nil {
				err = rowErr
				break
			}
			c.deepRow(i, name, fields, row)
		}
	}
	var over *limits.Error
	switch {
	case err == nil:
		return nil
	case unreachable(err), errors.As(err, &over):
		return err
	}
	c.find(RowsUnreadable, name, "%v", err)
	return nil
}

// deepRow compares what the rows say with what the statistics promise. A bound is judged by its use: a predicate that
// a row satisfies must not let the file be skipped.
func (c *checking) deepRow(i int, name string, fields []txlog.Field, row []any) {
	s := c.snapshot
	stats, err := s.Files().Stats(i)
	if err != nil {
		c.find(BoundExcludes, name, "statistics cannot be read: %v", err)
		return
	}
	schema, err := s.Schema()
	if err != nil {
		return
	}
	vector := s.Files().DeletionVector(i) != nil
	may := func(p *txlog.Predicate) bool {
		return stats == nil || txlog.MayMatch(p, schema, s.Mapping(), s.PartitionColumns(), s.Files().Partition(i), stats, vector)
	}
	total := asInt(row[0])
	for n, f := range fields {
		there := asInt(row[1+3*n])
		column := []string{f.Name}
		if nulls := total - there; nulls > 0 {
			if !f.Nullable {
				c.find(NotNullBroken, name, "column %s has no value in %d rows", f.Name, nulls)
			}
			if !may(&txlog.Predicate{Op: txlog.OpIsNull, Column: column}) {
				c.find(NullCountDiffers, name, "column %s has no value in %d rows, the statistics count none", f.Name, nulls)
			}
		}
		if there > 0 && !may(&txlog.Predicate{Op: txlog.OpIsNotNull, Column: column}) {
			c.find(NullCountDiffers, name, "column %s has a value in %d rows, the statistics count none", f.Name, there)
		}
		if !hasBounds(f.Type.Kind) {
			continue
		}
		for k, side := range []string{"smallest", "largest"} {
			lit, ok := literalOf(f.Type.Kind, row[2+3*n+k])
			if ok && !may(&txlog.Predicate{Op: txlog.OpEq, Column: column, Values: []txlog.Literal{lit}}) {
				c.find(BoundExcludes, name, "the %s value of column %s lies outside the bounds of the statistics", side, f.Name)
			}
		}
	}
	if n, known := s.Files().NumRecords(i); known && !vector && n != total {
		c.find(RowCountDiffers, name, "%d rows were read, the log says %d", total, n)
	}
}

func asInt(v any) int64 {
	n, _ := v.(int64)
	return n
}

// literalOf turns a value of a row into the constant of a predicate; false for NULL, NaN and what has no constant.
func literalOf(k txlog.Kind, v any) (txlog.Literal, bool) {
	switch v := v.(type) {
	case int64:
		return txlog.Literal{Kind: txlog.KindLong, Int: v}, true
	case float32:
		return txlog.Literal{Kind: txlog.KindDouble, Float: float64(v)}, !math.IsNaN(float64(v))
	case float64:
		return txlog.Literal{Kind: txlog.KindDouble, Float: v}, !math.IsNaN(v)
	case string:
		return txlog.Literal{Kind: txlog.KindString, String: v}, true
	case txlog.Date:
		return txlog.Literal{Kind: txlog.KindDate, Int: int64(v)}, true
	case time.Time:
		return txlog.Literal{Kind: k, Int: v.UnixMicro()}, k == txlog.KindTimestamp || k == txlog.KindTimestampNTZ
	case txlog.Decimal:
		if v.Unscaled == nil {
			return txlog.Literal{}, false
		}
		scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(v.Scale)), nil)
		return txlog.Literal{Kind: txlog.KindDecimal, Rat: new(big.Rat).SetFrac(v.Unscaled, scale)}, true
	}
	return txlog.Literal{}, false
}

// String keeps the report short in logs and test failures.
func (r *FsckReport) String() string {
	lines := make([]string, 0, len(r.Findings)+1)
	lines = append(lines, fmt.Sprintf("fsck %s version %d: %d commits, %d checkpoints, %d files, %d vectors, %d rows, %d findings",
		r.Table, r.Version, r.Commits, r.Checkpoints, r.Files, r.Vectors, r.Rows, len(r.Findings)))
	for _, f := range r.Findings {
		lines = append(lines, "  "+f.String())
	}
	return strings.Join(lines, "\n")
}
