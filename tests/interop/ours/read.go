package main

import (
	"context"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// read returns every row of a version.
func (r request) read(ctx context.Context, eng table.Engine, t *table.Table) (reply, error) {
	if r.Version != nil {
		var err error
		if t, err = t.At(ctx, *r.Version); err != nil {
			return reply{}, err
		}
	}
	rel, _, err := t.Relation(ctx, table.ScanOptions{})
	if err != nil {
		return reply{}, err
	}
	out, err := rows(ctx, eng, rel, "SELECT * FROM t")
	out.Version = t.Snapshot().Version()
	return out, err
}

// changes returns the change data feed since a version, without the times of commits.
func (r request) changes(ctx context.Context, eng table.Engine, t *table.Table) (reply, error) {
	rel, err := t.ChangeFeed(ctx, table.ChangeRange{From: r.Version})
	if err != nil {
		return reply{}, err
	}
	return rows(ctx, eng, rel, "SELECT * EXCLUDE ("+table.CommitTimestampColumn+") FROM t")
}

// times returns the time of each version.
func times(ctx context.Context, t *table.Table) (reply, error) {
	out := reply{Times: map[txlog.Version]int64{}}
	for h, err := range t.History(ctx) {
		if err != nil {
			return reply{}, err
		}
		out.Times[h.Version] = h.Timestamp.UnixMilli()
	}
	return out, nil
}

// rows runs a SELECT over a relation.
func rows(ctx context.Context, eng table.Engine, rel table.Relation, sql string) (reply, error) {
	result, err := eng.Query(ctx, table.Query{SQL: sql, Relations: map[string]table.Relation{"t": rel}})
	if err != nil {
		return reply{}, err
	}
	defer func() { _ = result.Close() }() // the rows were read
	out := reply{Rows: [][]any{}}
	var fields []txlog.Field
	for _, c := range result.Columns {
		out.Types = append(out.Types, c.Type.SQL())
		f, err := rel.Schema.Lookup(c.Name)
		if err != nil {
			return reply{}, err
		}
		fields = append(fields, *f)
	}
	schema, err := txlog.NewSchema(fields...)
	if err != nil {
		return reply{}, err
	}
	out.Schema = schema.JSON()
	for row, err := range result.All {
		if err != nil {
			return reply{}, err
		}
		values := make([]any, len(row))
		for i, v := range row {
			values[i] = encode(v)
		}
		out.Rows = append(out.Rows, values)
	}
	return out, nil
}

// encode keeps a value exactly in JSON: integers, dates (days) and timestamps (µs since 1970 UTC) as decimal text,
// floats as the bits of a double in hexadecimal, decimals as plain text, binary in hexadecimal, maps as pairs.
func encode(v any) any {
	switch v := v.(type) {
	case int64:
		return strconv.FormatInt(v, 10)
	case float32:
		return encodeFloat(float64(v))
	case float64:
		return encodeFloat(v)
	case []byte:
		return hex.EncodeToString(v)
	case txlog.Decimal:
		return v.String()
	case txlog.Date:
		return strconv.FormatInt(int64(v), 10)
	case time.Time:
		return strconv.FormatInt(v.UnixMicro(), 10)
	case []table.MapEntry:
		pairs := make([]any, len(v))
		for i, e := range v {
			pairs[i] = []any{encode(e.Key), encode(e.Value)}
		}
		return pairs
	case []any:
		values := make([]any, len(v))
		for i, e := range v {
			values[i] = encode(e)
		}
		return values
	default: // nil, bool, string
		return v
	}
}

func encodeFloat(v float64) string {
	if math.IsNaN(v) {
		return "nan"
	}
	return fmt.Sprintf("%016x", math.Float64bits(v))
}
