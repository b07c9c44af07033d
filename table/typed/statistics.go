package typed

import (
	"cmp"
	"math"
	"math/big"
	"slices"

	"github.com/lakectl/lakectl/txlog"
)

// statistics of one data file, taken row by row.
type statistics struct {
	rows   int64
	leaves []*leaf
}

// leaf is a column of the file, or a field inside of structs, that gets statistics.
type leaf struct {
	at    []int // where its value is: of the row, then of each struct
	stats txlog.LeafStats
	nulls int64
}

// newStatistics starts those of a file. fields are the columns of rows.
func newStatistics(fields []txlog.Field, mapping txlog.ColumnMapping, wanted txlog.StatsColumns) *statistics {
	s := &statistics{}
	var walk func(fields []txlog.Field, at []int, path []string)
	walk = func(fields []txlog.Field, at []int, path []string) {
		for i, f := range fields {
			at, path := append(slices.Clone(at), i), append(slices.Clone(path), f.PhysicalName(mapping))
			if f.Type.Kind == txlog.KindStruct {
				walk(f.Type.Fields, at, path)
			} else if wanted.Has(path) {
				s.leaves = append(s.leaves, &leaf{at: at, stats: txlog.LeafStats{Path: path, Type: f.Type, Exact: true}})
			}
		}
	}
	walk(fields, nil, nil)
	return s
}

func (s *statistics) add(row []any) {
	s.rows++
	for _, l := range s.leaves {
		l.add(row)
	}
}

func (l *leaf) add(row []any) {
	var v any = row
	for _, i := range l.at {
		fields, ok := v.([]any)
		if !ok {
			v = nil
			break
		}
		v = fields[i]
	}
	if v == nil {
		l.nulls++
		return
	}
	x, ordered := literal(l.stats.Type, v)
	if !ordered {
		return
	}
	if x.Kind == txlog.KindDouble && math.IsNaN(x.Float) {
		l.stats.HasNaN = true
		return
	}
	if l.stats.Min == nil || compare(x, *l.stats.Min) < 0 {
		low := x
		l.stats.Min = &low
	}
	if l.stats.Max == nil || compare(x, *l.stats.Max) > 0 {
		l.stats.Max = &x
	}
}

// json is the statistics as the log has them.
func (s *statistics) json() (string, error) {
	leaves := make([]txlog.LeafStats, len(s.leaves))
	for i, l := range s.leaves {
		leaves[i] = l.stats
		leaves[i].NullCount = &l.nulls
	}
	return txlog.BuildStats(s.rows, leaves, true)
}

// literal is a value in the forms of parquetio.Kind as a bound; false where the type has none.
func literal(t *txlog.DataType, v any) (txlog.Literal, bool) {
	switch t.Kind {
	case txlog.KindByte, txlog.KindShort, txlog.KindInteger, txlog.KindLong:
		n, ok := v.(int64)
		return txlog.Literal{Kind: txlog.KindLong, Int: n}, ok
	case txlog.KindDate, txlog.KindTimestamp, txlog.KindTimestampNTZ:
		n, ok := v.(int64)
		return txlog.Literal{Kind: t.Kind, Int: n}, ok
	case txlog.KindFloat, txlog.KindDouble:
		f, ok := v.(float64)
		return txlog.Literal{Kind: txlog.KindDouble, Float: f}, ok
	case txlog.KindString:
		s, ok := v.(string)
		return txlog.Literal{Kind: txlog.KindString, String: s}, ok
	case txlog.KindDecimal:
		n, ok := v.(*big.Int)
		if !ok {
			return txlog.Literal{}, false
		}
		return txlog.Literal{Kind: txlog.KindDecimal, Rat: txlog.Decimal{Unscaled: n, Scale: t.Scale}.Rat()}, true
	}
	return txlog.Literal{}, false
}

func compare(a, b txlog.Literal) int {
	switch a.Kind {
	case txlog.KindDouble:
		return cmp.Compare(a.Float, b.Float)
	case txlog.KindString:
		return cmp.Compare(a.String, b.String)
	case txlog.KindDecimal:
		return a.Rat.Cmp(b.Rat)
	}
	return cmp.Compare(a.Int, b.Int)
}
