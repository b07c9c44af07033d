package table

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// partitionsPerQuery bounds the text of one question about partitions.
const partitionsPerQuery = 500

// partitions returns the partitions (by partitionKey) for which Where is true; nil means all.
//
// The condition is the user's SQL, so the engine decides it, over the partition values alone: no file is read.
func (r *optimizing) partitions(ctx context.Context, s *txlog.Snapshot) (map[string]bool, error) {
	if strings.TrimSpace(r.o.Where) == "" {
		return nil, nil
	}
	schema, err := s.Schema()
	if err != nil {
		return nil, err
	}
	columns, err := r.partitionFields(ctx, s, schema)
	if err != nil {
		return nil, err
	}
	var keys []string
	values := map[string]map[string]string{}
	for i := range s.Files().Len() {
		raw := s.Files().Partition(i)
		key := partitionKey(raw)
		if values[key] == nil {
			values[key] = logicalPartition(schema, s.Mapping(), s.PartitionColumns(), raw)
			keys = append(keys, key)
		}
	}
	keep := map[string]bool{}
	for chunk := range slices.Chunk(keys, partitionsPerQuery) {
		if err := r.judge(ctx, columns, chunk, values, keep); err != nil {
			return nil, err
		}
	}
	return keep, nil
}

// partitionFields are the partition columns, after a check that Where reads nothing else.
func (r *optimizing) partitionFields(ctx context.Context, s *txlog.Snapshot, schema *txlog.Schema) ([]txlog.Field, error) {
	names := partitionNames(schema, s.PartitionColumns())
	st, err := r.eng.Parse(ctx, Parse{
		SQL:     "SELECT 1 FROM t WHERE " + enclosed(r.o.Where),
		Schemas: func(TableRef) (*txlog.Schema, error) { return schema, nil },
	})
	if err != nil {
		return nil, err
	}
	if len(st.Tables) != 1 {
		return nil, fmt.Errorf("%w: the condition of optimize reads other tables", ErrInvalidRequest)
	}
	for _, c := range st.Tables[0].Columns {
		if !slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, c) }) {
			return nil, fmt.Errorf("%w: the condition of optimize reads %q, which is not a partition column", ErrInvalidRequest, c)
		}
	}
	var out []txlog.Field
	for _, n := range names {
		f, err := schema.Lookup(n)
		if err != nil {
			return nil, err
		}
		out = append(out, *f)
	}
	return out, nil
}

// judge asks the engine for which of the partitions chunk the condition is true.
func (r *optimizing) judge(ctx context.Context, columns []txlog.Field, chunk []string, values map[string]map[string]string, keep map[string]bool) error {
	names := []string{"_lake_partition"}
	for _, c := range columns {
		names = append(names, QuoteIdent(c.Name))
	}
	rows := make([]string, len(chunk))
	for i, key := range chunk {
		row := []string{fmt.Sprintf("%d::BIGINT", i)}
		for _, c := range columns {
			lit, err := partitionSQL(c.Type, values[key][c.Name])
			if err != nil {
				return err
			}
			row = append(row, lit)
		}
		rows[i] = "(" + strings.Join(row, ", ") + ")"
	}
	sql := "SELECT _lake_partition FROM (VALUES " + strings.Join(rows, ", ") + ") AS t(" + strings.Join(names, ", ") +
		") WHERE " + enclosed(r.o.Where)
	got, err := r.eng.Query(ctx, Query{SQL: sql})
	if err != nil {
		return err
	}
	defer func() { _ = got.Close() }() // the rows were read
	for row, err := range got.All {
		if err != nil {
			return err
		}
		if i, ok := row[0].(int64); ok && i >= 0 && i < int64(len(chunk)) {
			keep[chunk[i]] = true
		}
	}
	return nil
}

// partitionSQL is a partition value as a constant of its type.
func partitionSQL(t *txlog.DataType, text string) (string, error) {
	if t.Kind == txlog.KindBinary {
		return "", fmt.Errorf("%w: a condition over a binary partition column", ErrUnsupported)
	}
	if text == "" {
		return castTo("NULL", t), nil
	}
	return castTo(QuoteString(text), t), nil
}
