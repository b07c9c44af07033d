package table

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/txlog"
)

// condition says which rows of a table a write is about.
type condition struct {
	where     string              // over the table; "" is every row
	also      string              // true for those of them that count; "": all. It is asked only where where is true
	alias     string              // of the table
	zone      string              // of the session
	relations map[string]Relation // what else where and also read
}

// from is FROM … WHERE … of the rows.
func (w condition) from() string {
	sql := QuoteIdent(targetRelation) + " AS " + QuoteIdent(w.alias)
	where := strings.TrimSpace(w.where)
	if where != "" {
		sql += " WHERE " + enclosed(where)
	}
	switch {
	case w.also == "":
		return sql
	case where == "":
		return sql + " WHERE " + enclosed(w.also)
	}
	// The engine may judge the parts of an AND in any order, and also may hold casts that only rows of where survive.
	return sql + " AND CASE WHEN " + enclosed(where) + " THEN " + enclosed(w.also) + " ELSE false END"
}

// query is a SELECT over the rows of rel for which the condition is true.
func (w condition) query(items, tail string, rel Relation) Query {
	q := w.over(rel)
	q.SQL = "SELECT " + items + " FROM " + w.from() + tail
	return q
}

// over is what a statement with the condition reads.
func (w condition) over(rel Relation) Query {
	relations := map[string]Relation{targetRelation: rel}
	maps.Copy(relations, w.relations)
	return Query{Relations: relations, TimeZone: w.zone}
}

// column is a column of the table in the condition's SQL.
func (w condition) column(name string) string { return QuoteIdent(w.alias) + "." + name }

// findRows returns the live rows of the base for which the condition is true, by file. What it read becomes part of
// the change's read set.
//
// Cost: a condition over partition columns alone reads no file, nor is one read whose statistics prove the condition for
// every row. Otherwise one pass over the columns of the condition
// counts rows by file, and a second one reads only files whose rows do not lie side by side.
func (c *Change) findRows(ctx context.Context, eng Engine, w condition) (map[int]*roaring64.Bitmap, error) {
	others, err := schemasOf(ctx, eng, Query{Relations: w.relations, TimeZone: w.zone})
	if err != nil {
		return nil, err
	}
	ref, err := c.targetRef(ctx, eng, "SELECT 1 FROM "+w.from(), w.zone, others)
	if err != nil {
		return nil, err
	}
	idx, report, err := planScan(ctx, c.base, ref.Predicate)
	if err != nil {
		return nil, err
	}
	if whole, ok, err := c.findPartitions(ctx, eng, ref, w, idx); err != nil || ok {
		if err == nil {
			report.SkippedByPartition, report.SkippedByStats = report.Files-len(whole), 0
			report.Read, report.BytesRead = len(whole), 0
			c.result.scanned(report)
			c.readPredicate(ref.Predicate, idx)
		}
		return whole, err
	}
	c.readPredicate(ref.Predicate, idx)
	whole, rest, err := c.findWhole(ctx, eng, w, idx)
	if err != nil {
		return nil, err
	}
	for i := range whole {
		report.Read--
		report.BytesRead -= c.base.Files().Size(i)
	}
	c.result.scanned(report)
	found, scattered, err := c.findRuns(ctx, eng, w, rest)
	if err != nil {
		return nil, err
	}
	maps.Copy(found, whole)
	if len(scattered) == 0 {
		return found, nil
	}
	listed, err := c.listRows(ctx, eng, w, scattered)
	if err != nil {
		return nil, err
	}
	maps.Copy(found, listed)
	return found, nil
}

// findWhole divides files into those of which the log proves that the condition is true for every row, with their live
// rows, and the rest. A file is proved by what a file is skipped by: no row of it can make the opposite true.
func (c *Change) findWhole(ctx context.Context, eng Engine, w condition, idx []int) (whole map[int]*roaring64.Bitmap, rest []int, err error) {
	if w.also != "" || len(w.relations) > 0 || strings.TrimSpace(w.where) == "" || len(idx) == 0 {
		return nil, idx, nil
	}
	opposite := "SELECT 1 FROM " + QuoteIdent(targetRelation) + " AS " + QuoteIdent(w.alias) + " WHERE NOT " + enclosed(w.where) + " OR " + enclosed(w.where) + " IS NULL"
	ref, err := c.targetRef(ctx, eng, opposite, w.zone, nil)
	if err != nil || ref.Predicate == nil {
		return nil, idx, err
	}
	kept, _, err := planScan(ctx, c.base, ref.Predicate)
	if err != nil {
		return nil, nil, err
	}
	var proved []int
	for _, i := range idx {
		_, open := slices.BinarySearch(kept, i)
		if _, counted := c.base.Files().NumRecords(i); open || !counted {
			rest = append(rest, i)
		} else {
			proved = append(proved, i)
		}
	}
	whole, err = c.liveRows(ctx, proved)
	return whole, rest, err
}

// liveRows are the rows of files that no deletion vector hides.
func (c *Change) liveRows(ctx context.Context, idx []int) (map[int]*roaring64.Bitmap, error) {
	old, err := c.t.vectors(ctx, c.base, idx)
	if err != nil {
		return nil, err
	}
	found := map[int]*roaring64.Bitmap{}
	for _, i := range idx {
		n, _ := c.base.Files().NumRecords(i)
		found[i] = span(0, n-1)
		if old[i] != nil {
			found[i].AndNot(old[i])
		}
	}
	return found, nil
}

// findPartitions judges a condition over partition columns alone by the log: its rows are all live rows of the files
// whose partition satisfies it. ok is false where that cannot be done.
func (c *Change) findPartitions(ctx context.Context, eng Engine, ref TableRef, w condition, idx []int) (found map[int]*roaring64.Bitmap, ok bool, err error) {
	if len(ref.Columns) == 0 || w.also != "" || len(w.relations) > 0 || slices.ContainsFunc(ref.Columns, func(n string) bool { return !c.shape.partitioned(n) }) {
		return nil, false, nil
	}
	columns := make([]txlog.Field, len(c.shape.partitionBy))
	for n, name := range c.shape.partitionBy {
		f, err := c.shape.schema.Lookup(name)
		if err != nil || f.Type.Kind == txlog.KindBinary {
			return nil, false, err
		}
		columns[n] = *f
	}
	// One row for each distinct partition, so that a table of many files costs a short statement.
	number, values := map[string]int{}, []string{}
	of := make([]int, len(idx))
	for n, i := range idx {
		if _, known := c.base.Files().NumRecords(i); !known {
			return nil, false, nil
		}
		partition := logicalPartition(c.shape.schema, c.shape.mapping, c.shape.partitionBy, c.base.Files().Partition(i))
		row := partitionRow(columns, partition)
		k, seen := number[row]
		if !seen {
			k = len(values)
			number[row] = k
			values = append(values, "("+metric(int64(k))+", "+row+")")
		}
		of[n] = k
	}
	found = map[int]*roaring64.Bitmap{}
	if len(values) == 0 {
		return found, true, nil
	}
	names := make([]string, len(columns))
	for n, f := range columns {
		names[n] = QuoteIdent(f.Name)
	}
	// The condition may name other columns where they do not matter, as in day <> NULL.
	others := ""
	for _, f := range c.shape.schema.Fields {
		if !c.shape.partitioned(f.Name) {
			others += ", " + castTo("NULL", f.Type) + " AS " + QuoteIdent(f.Name)
		}
	}
	rows, err := eng.Query(ctx, Query{TimeZone: w.zone, SQL: "SELECT CAST(" + w.column("_lake_partition") + " AS BIGINT) FROM (SELECT *" + others +
		" FROM (VALUES " + strings.Join(values, ", ") + ") AS v(_lake_partition, " + strings.Join(names, ", ") + ")) AS " + QuoteIdent(w.alias) +
		" WHERE " + enclosed(w.where)})
	if err != nil {
		return nil, false, fmt.Errorf("find partitions: %w", err)
	}
	defer func() { err = joinErrors(err, rows.Close()) }()
	hit := make([]bool, len(values))
	for row, err := range rows.All {
		if err != nil {
			return nil, false, fmt.Errorf("find partitions: %w", err)
		}
		k, ok := row[0].(int64)
		if !ok || k < 0 || k >= int64(len(hit)) {
			return nil, false, fmt.Errorf("engine answered with partition %v", row[0])
		}
		hit[k] = true
	}
	var whole []int
	for n, i := range idx {
		if hit[of[n]] {
			whole = append(whole, i)
		}
	}
	found, err = c.liveRows(ctx, whole)
	return found, err == nil, err
}

// partitionRow writes the values of a partition as SQL.
func partitionRow(columns []txlog.Field, partition map[string]string) string {
	out := make([]string, len(columns))
	for n, f := range columns {
		value := "NULL"
		if text := partition[f.Name]; text != "" {
			value = QuoteString(text)
		}
		out[n] = castTo(value, f.Type)
	}
	return strings.Join(out, ", ")
}

// span is the rows from first to last.
func span(first, last int64) *roaring64.Bitmap {
	b := roaring64.New()
	if last >= first && first >= 0 {
		b.AddRange(uint64(first), uint64(last)+1) //nolint:gosec // neither is negative
	}
	return b
}

// findRuns counts the rows of FROM … WHERE by file. Files whose rows lie side by side are found; the others come back
// as scattered.
func (c *Change) findRuns(ctx context.Context, eng Engine, w condition, idx []int) (found map[int]*roaring64.Bitmap, scattered []int, err error) {
	found = map[int]*roaring64.Bitmap{}
	if len(idx) == 0 {
		return found, nil, nil
	}
	rel, err := c.t.relation(ctx, c.base, idx, true)
	if err != nil {
		return nil, nil, err
	}
	file, row := w.column(FileColumn), w.column(RowColumn)
	rows, err := eng.Query(ctx, w.query(file+", count(*), min("+row+"), max("+row+")", " GROUP BY "+file, rel))
	if err != nil {
		return nil, nil, fmt.Errorf("find rows: %w", err)
	}
	defer func() { err = joinErrors(err, rows.Close()) }()
	for row, err := range rows.All {
		if err != nil {
			return nil, nil, fmt.Errorf("find rows: %w", err)
		}
		var v [4]int64
		for n := range v {
			var ok bool
			if v[n], ok = row[n].(int64); !ok {
				return nil, nil, fmt.Errorf("find rows: engine answered with %v", row)
			}
		}
		file, count, first, last := v[0], v[1], v[2], v[3]
		if file < 0 || file >= int64(len(idx)) || first < 0 || last < first {
			return nil, nil, fmt.Errorf("find rows: engine answered with %v", row)
		}
		if last-first+1 == count {
			found[idx[file]] = span(first, last)
		} else {
			scattered = append(scattered, idx[file])
		}
	}
	slices.Sort(scattered)
	return found, scattered, nil
}

// listRows reads the rows of FROM … WHERE one by one.
func (c *Change) listRows(ctx context.Context, eng Engine, w condition, idx []int) (map[int]*roaring64.Bitmap, error) {
	rel, err := c.t.relation(ctx, c.base, idx, true)
	if err != nil {
		return nil, err
	}
	rows, err := eng.Query(ctx, w.query(w.column(FileColumn)+", "+w.column(RowColumn), "", rel))
	if err != nil {
		return nil, fmt.Errorf("find rows: %w", err)
	}
	found, err := collect(rows, idx)
	if err != nil {
		return nil, fmt.Errorf("find rows: %w", err)
	}
	return found, nil
}

// collect reads (file, row) pairs into one bitmap per file of the base; idx translates the file numbers.
func collect(rows *Rows, idx []int) (found map[int]*roaring64.Bitmap, err error) {
	defer func() { err = joinErrors(err, rows.Close()) }()
	found = map[int]*roaring64.Bitmap{}
	for row, err := range rows.All {
		if err != nil {
			return nil, err
		}
		file, fok := row[0].(int64)
		pos, pok := row[1].(int64)
		if !fok || !pok || file < 0 || file >= int64(len(idx)) || pos < 0 {
			return nil, fmt.Errorf("engine answered with position (%v, %v)", row[0], row[1])
		}
		bitmap(found, idx[file]).Add(uint64(pos))
	}
	return found, nil
}

// bitmap is the bitmap of i, made when there is none.
func bitmap(m map[int]*roaring64.Bitmap, i int) *roaring64.Bitmap {
	b := m[i]
	if b == nil {
		b = roaring64.New()
		m[i] = b
	}
	return b
}

// cardinality counts the rows in b, which are rows of one file.
func cardinality(b *roaring64.Bitmap) int64 {
	return int64(b.GetCardinality()) //nolint:gosec // far below 2^63
}

// targetRef asks the engine what a statement over targetRelation reads of it and implies for each of its rows. Other
// relations of the statement are given by their columns.
func (c *Change) targetRef(ctx context.Context, eng Engine, sql, zone string, others map[string]*txlog.Schema) (TableRef, error) {
	st, err := eng.Parse(ctx, Parse{SQL: sql, TimeZone: zone, Schemas: func(r TableRef) (*txlog.Schema, error) {
		if strings.EqualFold(r.Name, targetRelation) {
			return c.shape.schema, nil
		}
		for name, schema := range others {
			if strings.EqualFold(r.Key(), name) {
				return schema, nil
			}
		}
		return nil, fmt.Errorf("%w: the condition names table %q", ErrInvalidRequest, r.Name)
	}})
	if err != nil {
		return TableRef{}, err
	}
	for _, ref := range st.Tables {
		if strings.EqualFold(ref.Name, targetRelation) {
			return ref, nil
		}
	}
	return TableRef{}, nil // no condition: every file counts
}

// readPredicate notes what the change read of its base.
func (c *Change) readPredicate(p *txlog.Predicate, files []int) {
	if p == nil {
		p = &txlog.Predicate{Op: txlog.OpTrue}
	}
	c.reads.predicate = append(c.reads.predicate, readPredicate{p: p, files: files})
}
