package table

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/table/schemaedit"
	"github.com/lakectl/lakectl/txlog"
)

// The Z-order of rows.
//
// Each column is cut into ranges that hold about as many rows each; the number of its range is the rank of a value.
// The bits of the ranks, interleaved, are the Morton code: rows with near codes are near in every column, so a file
// that holds a span of codes holds a narrow box of values, and a predicate on any of the columns leaves most boxes
// out. Ranks rather than values make the order blind to scale and skew.
//
// The boundaries of the ranges come from a sample with a fixed seed. They decide the layout only: whatever they are,
// every row is written once.
const (
	// ZOrderColumnsMax is how many columns a Z-order may have: each more halves what the others gain.
	ZOrderColumnsMax = 8
	zOrderBits       = 10 // bits of a rank, 1024 ranges, fewer when the columns are many
	zOrderCodeBits   = 60 // bits of a code: it stays a positive bigint
	zOrderSample     = 100_000
)

// Tags of files that a Z-order wrote; the names are those of Spark.
const (
	tagCubeID    = "ZCUBE_ID"
	tagCubeBy    = "ZCUBE_ZORDER_BY"
	tagCubeCurve = "ZCUBE_ZORDER_CURVE"
)

// orderColumn is a column of a layout, or a field inside of structs.
type orderColumn schemaedit.Path

// name is how people and tags of files name it: a column as it is, dots and all, a field by its path.
func (c orderColumn) name() string {
	if len(c) == 1 {
		return c[0]
	}
	return schemaedit.Path(c).String()
}

// in is the value in a row of the relation.
func (c orderColumn) in(relation string) string {
	sql := relation + "." + QuoteIdent(c[0])
	for _, field := range c[1:] {
		sql = "struct_extract(" + sql + ", " + QuoteString(field) + ")"
	}
	return sql
}

func orderNames(by []orderColumn) []string {
	out := make([]string, len(by))
	for i, c := range by {
		out[i] = c.name()
	}
	return out
}

// zOrderColumns checks the columns of a Z-order and spells them as the schema does.
func zOrderColumns(s *txlog.Snapshot, names []string) ([]orderColumn, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if len(names) > ZOrderColumnsMax {
		return nil, fmt.Errorf("%w: Z-order by %d columns, at most %d", ErrInvalidRequest, len(names), ZOrderColumnsMax)
	}
	sh, err := shapeOf(s)
	if err != nil {
		return nil, err
	}
	var out []orderColumn
	for _, name := range names {
		p, err := schemaedit.Resolve(sh.schema, name)
		if err != nil {
			return nil, fmt.Errorf("%w: Z-order by %q: %w", ErrInvalidRequest, name, err)
		}
		physical, kind, err := sh.physical(p)
		if err != nil {
			return nil, fmt.Errorf("%w: Z-order by %q: %w", ErrInvalidRequest, name, err)
		}
		why := ""
		switch {
		case sh.partitioned(p[0]):
			why = "is a partition column, so every file holds one value of it"
		case slices.ContainsFunc(out, func(c orderColumn) bool { return slices.Equal(c, orderColumn(p)) }):
			why = "is named twice"
		case !hasBounds(kind) || !sh.stats.Has(physical):
			why = "has no minimum and maximum in the statistics (see delta.dataSkippingStatsColumns), so its order leaves no file out"
		}
		if why != "" {
			return nil, fmt.Errorf("%w: Z-order by %q: the column %s", ErrInvalidRequest, name, why)
		}
		out = append(out, orderColumn(p))
	}
	return out, nil
}

// hasBounds tells whether statistics keep a minimum and a maximum for columns of this kind.
func hasBounds(k txlog.Kind) bool {
	switch k {
	case txlog.KindString, txlog.KindLong, txlog.KindInteger, txlog.KindShort, txlog.KindByte, txlog.KindFloat,
		txlog.KindDouble, txlog.KindDate, txlog.KindDecimal, txlog.KindTimestamp, txlog.KindTimestampNTZ:
		return true
	default:
		return false
	}
}

// Engines cut files between row groups, which hold up to some hundred thousand rows. Files that shall hold less than a
// few of them are cut by us, by the number of the row along the curve.
const (
	zOrderCutRows   = 500_000 // files of more rows are cut by the engine
	zOrderRowsFloor = 1000    // no file is asked to hold less
	zOrderNumber    = "_lake_n"
)

// writeOrdered writes the rows of a group along the curve, in files of about the target size.
func (r *optimizing) writeOrdered(ctx context.Context, g planGroup, q Query, w Write) ([]WrittenFile, error) {
	w.Ordered, w.TargetFileSize = true, r.target
	size, rows := int64(0), g.liveRows()
	for _, f := range g.files {
		size += f.liveSize()
	}
	pieces := (size + r.target - 1) / r.target
	if rows <= 0 || pieces <= 1 || rows/pieces > zOrderCutRows {
		q.SQL = zOrderSQL(w.Schema, r.by, "")
		return r.eng.Write(ctx, q, w)
	}
	numbered, err := txlog.NewSchema(append(slices.Clone(w.Schema.Fields), txlog.Field{
		Name: zOrderNumber, Type: &txlog.DataType{Kind: txlog.KindLong, Name: "long"},
	})...)
	if err != nil {
		return nil, err
	}
	q.SQL = zOrderSQL(w.Schema, r.by, ", row_number() OVER () AS "+zOrderNumber)
	sorted, err := r.eng.Write(ctx, q, Write{Schema: numbered, Ordered: true, Codec: scratchCodec, PackedVariants: true})
	if err != nil {
		return nil, err
	}
	s := &scratch{schema: numbered, files: sorted}
	defer s.drop(ctx)
	rel := s.relation()
	rel.PackedVariants = true
	return r.cut(ctx, rel, rows, max((rows+pieces-1)/pieces, zOrderRowsFloor), w)
}

// cut writes numbered rows as files of each rows.
func (r *optimizing) cut(ctx context.Context, rel Relation, rows, each int64, w Write) ([]WrittenFile, error) {
	w.TargetFileSize = 4 * r.target // it is cut already; only what is far too large is cut again
	var out []WrittenFile
	for from := int64(0); from < rows; from += each {
		files, err := r.eng.Write(ctx, Query{
			SQL: fmt.Sprintf("SELECT %s FROM t WHERE %s > %d AND %s <= %d ORDER BY %s",
				selectList(w.Schema), zOrderNumber, from, zOrderNumber, from+each, zOrderNumber),
			Relations: map[string]Relation{"t": rel},
		}, w)
		if err != nil {
			var keys []string
			for _, f := range out {
				keys = append(keys, f.Key)
			}
			return nil, joinErrors(err, r.t.deleteStaged(ctx, keys))
		}
		out = append(out, files...)
	}
	return out, nil
}

// zOrderSQL is the SELECT that reads table t with the columns of schema and gives its rows along the curve.
//
// Within one code rows are in the order of the columns; for one column the code adds nothing and is left out. NULL
// comes first: statistics do not tell where it is. more is added to the columns, in the order of the curve.
func zOrderSQL(schema *txlog.Schema, by []orderColumn, more string) string {
	last := make([]string, len(by))
	for i, c := range by {
		last[i] = c.in("q") + " NULLS FIRST"
	}
	list := make([]string, len(schema.Fields))
	for i, f := range schema.Fields {
		list[i] = "q." + QuoteIdent(f.Name)
	}
	columns := strings.Join(list, ", ")
	with, from, order := "", "t AS q", strings.Join(last, ", ")
	if len(by) > 1 {
		bits := rankBits(len(by))
		with = "WITH " + boundsSQL(by, bits) + " "
		from = "(" + ranksSQL(selectList(schema), by, bits) + ") AS q"
		order = mortonSQL(len(by), bits) + ", " + order
	}
	if more == "" {
		return with + "SELECT " + columns + " FROM " + from + " ORDER BY " + order
	}
	return with + "SELECT *" + more + " FROM (SELECT " + columns + " FROM " + from + " ORDER BY " + order + ")"
}

// rankBits is how many bits of each rank the code has room for.
func rankBits(columns int) int { return min(zOrderBits, zOrderCodeBits/columns) }

// boundsSQL defines _lake_bounds: one row, and for column i of by a list b<i> of the 2^bits-1 values that separate
// ranges with equal shares of a sample; empty when the column has no value.
func boundsSQL(by []orderColumn, bits int) string {
	sampled, bounds := make([]string, len(by)), make([]string, len(by))
	// A list of the shares, one by one, would be most of the statement, and of the time that it takes to prepare.
	list := fmt.Sprintf("[i / %d FOR i IN range(1, %d)]", 1<<bits, 1<<bits)
	for i, c := range by {
		sampled[i] = fmt.Sprintf("%s AS c%d", c.in("t"), i)
		bounds[i] = fmt.Sprintf("quantile_disc(c%d, %s) AS b%d", i, list, i)
	}
	return "_lake_sample AS (SELECT " + strings.Join(sampled, ", ") + " FROM t USING SAMPLE reservoir(" +
		fmt.Sprint(zOrderSample) + " ROWS) REPEATABLE (1)), _lake_bounds AS (SELECT " + strings.Join(bounds, ", ") + " FROM _lake_sample)"
}

// ranksSQL adds the columns _lake_r0 … to the rows of t: how many boundaries are not above the value, found by
// bisection, one level of it per subquery. NULL has rank 0.
func ranksSQL(columns string, by []orderColumn, bits int) string {
	zero, kept := make([]string, len(by)), make([]string, len(by))
	for i := range by {
		zero[i] = fmt.Sprintf("0::BIGINT AS _lake_r%d, b.b%d AS _lake_b%d", i, i, i)
		kept[i] = fmt.Sprintf("_lake_b%d", i)
	}
	sql := "SELECT " + columns + ", " + strings.Join(zero, ", ") + " FROM t, _lake_bounds AS b"
	for step := 1 << (bits - 1); step > 0; step >>= 1 {
		next := make([]string, len(by))
		for i, c := range by {
			next[i] = fmt.Sprintf("_lake_r%d + CASE WHEN %s >= _lake_b%d[_lake_r%d + %d] THEN %d ELSE 0 END AS _lake_r%d",
				i, c.in("_lake_s"), i, i, step, step, i)
		}
		sql = "SELECT " + columns + ", " + strings.Join(next, ", ") + ", " + strings.Join(kept, ", ") + " FROM (" + sql + ") AS _lake_s"
	}
	return sql
}

// mortonSQL interleaves the ranks _lake_r0 … of n columns: bit b of rank i is bit b·n + (n-1-i) of the code, so that
// the first column decides first.
func mortonSQL(n, bits int) string {
	terms := make([]string, 0, n*bits)
	for b := range bits {
		for i := range n {
			terms = append(terms, fmt.Sprintf("(((_lake_r%d >> %d) & 1) << %d)", i, b, b*n+n-1-i))
		}
	}
	return "(" + strings.Join(terms, " | ") + ")"
}

// cubeTags mark the files of one run in one partition.
func cubeTags(by []string, id string) map[string]string {
	return map[string]string{tagCubeID: id, tagCubeBy: jsonText(by), tagCubeCurve: "zorder"}
}

// cubeOf is the run that put a file in the wanted order, or "".
func cubeOf(tags map[string]string, by []string) string {
	var had []string
	if tags[tagCubeCurve] != "zorder" || json.Unmarshal([]byte(tags[tagCubeBy]), &had) != nil || !slices.Equal(had, by) {
		return ""
	}
	return tags[tagCubeID]
}
