package table

import (
	"context"
	"encoding/json"
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

// Bounds of one question about rows.
const (
	deepColumnsMax = 50
	deepFilesMax   = 64
)

// rows reads every row of the files whose footers are sound, and compares the statistics with them.
func (c *checking) rows(ctx context.Context) error {
	if !c.f.Deep || c.snapshot == nil {
		return nil
	}
	err := c.snapshot.CheckReadable()
	switch {
	case errors.Is(err, txlog.ErrCorruptLog):
		return nil // found by state
	case err != nil:
		return fmt.Errorf("read rows: %w", err)
	}
	for part := range slices.Chunk(c.readable, deepFilesMax) {
		if err := c.deepFiles(ctx, part); err != nil {
			return err
		}
	}
	return nil
}

// deepFiles reads all rows of some files, a bounded number of columns at a time: how many values there are in each
// column, the smallest and the largest.
func (c *checking) deepFiles(ctx context.Context, idx []int) error {
	s := c.snapshot
	t := &Table{log: c.log, path: c.log.Root(), pinned: true, opts: c.options, snap: s}
	rel, err := t.relation(ctx, s, idx, true)
	if err != nil {
		return err
	}
	for n, i := range idx {
		rel.Files[n].ETag = c.etags[i]
	}
	data := slices.DeleteFunc(slices.Clone(rel.Schema.Fields), func(f txlog.Field) bool {
		return slices.Contains(rel.PartitionColumns, f.Name) || f.Type.Kind == txlog.KindVoid || f.Type.Kind == txlog.KindVariant
	})
	for part := range slices.Chunk(data, deepColumnsMax) {
		err := c.deepColumns(ctx, idx, rel, part)
		var over *limits.Error
		switch {
		case err == nil:
		case unreachable(err), errors.As(err, &over):
			return err
		case len(idx) == 1:
			c.find(RowsUnreadable, objectName(s.Files().Path(idx[0])), "%v", err)
			return nil
		default: // one of them is damaged: which?
			for i := range idx {
				if err := c.deepFiles(ctx, idx[i:i+1]); err != nil {
					return err
				}
			}
			return nil
		}
	}
	return nil
}

// deepColumns asks for the aggregates of some columns, by file.
func (c *checking) deepColumns(ctx context.Context, idx []int, rel Relation, fields []txlog.Field) error {
	list := []string{FileColumn, "count(*)"}
	for _, f := range fields {
		q := QuoteIdent(f.Name)
		list = append(list, "count("+q+")")
		if hasBounds(f.Type.Kind) {
			list = append(list, "min("+q+")", "max("+q+")")
		} else {
			// A hash reads every byte of what has no order.
			list = append(list, "CAST(bit_xor(hash("+q+")) AS VARCHAR)", "NULL")
		}
	}
	rows, err := c.f.Engine.Query(ctx, Query{
		SQL: "SELECT " + strings.Join(list, ", ") + " FROM t GROUP BY " + FileColumn, Relations: map[string]Relation{"t": rel},
	})
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }() // the rows were read
	found := map[int][]any{}
	for row, err := range rows.All {
		if err != nil {
			return err
		}
		if n := asInt(row[0]); n >= 0 && n < int64(len(idx)) {
			found[idx[n]] = slices.Clone(row[1:])
		}
	}
	for _, i := range idx {
		if row := found[i]; row != nil { // without one, every row of the file is deleted
			c.deepRow(i, fields, row)
		}
	}
	return nil
}

// deepRow compares what the rows say with what the statistics promise. A bound is judged by its use: a predicate that
// a row satisfies must not let the file be skipped.
func (c *checking) deepRow(i int, fields []txlog.Field, row []any) {
	s := c.snapshot
	name := objectName(s.Files().Path(i))
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
		if counted, ok := nullCount(stats, f.PhysicalName(s.Mapping())); ok && !vector && counted != total-there {
			c.find(NullCountDiffers, name, "column %s has no value in %d rows, the statistics count %d", f.Name, total-there, counted)
		}
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

// nullCount is what the statistics count for a top-level column; false where they do not, or only roughly.
func nullCount(stats *txlog.Stats, physical string) (int64, bool) {
	if stats == nil || stats.TightBounds != nil && !*stats.TightBounds {
		return 0, false
	}
	text, ok := stats.NullCount[physical].(json.Number)
	if !ok {
		return 0, false
	}
	n, err := text.Int64()
	return n, err == nil
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
