package table

import (
	"cmp"
	"slices"

	"github.com/lakectl/lakectl/txlog"
)

// gaps are small ranges of a column's values, ascending, and the distances between them.
type gaps struct {
	low, high []txlog.Literal
	at        []float64 // about where each begins
}

func (g *gaps) add(low, high txlog.Literal, at float64) {
	g.low, g.high, g.at = append(g.low, low), append(g.high, high), append(g.at, at)
}

// ranges are at most most ranges that hold all of them, in pairs of bounds: what lies in the widest distances is left
// out.
func (g *gaps) ranges(most int) []txlog.Literal {
	if len(g.low) == 0 {
		return nil
	}
	cuts := make([]int, len(g.low)-1) // before which a new range begins
	for i := range cuts {
		cuts[i] = i + 1
	}
	if len(cuts) >= most {
		width := func(i int) float64 { return g.at[i] - g.at[i-1] }
		slices.SortFunc(cuts, func(a, b int) int { return cmp.Compare(width(b), width(a)) })
		cuts = cuts[:most-1]
		slices.Sort(cuts)
	}
	out := []txlog.Literal{g.low[0]}
	for _, i := range cuts {
		out = append(out, g.high[i-1], g.low[i])
	}
	return append(out, g.high[len(g.high)-1])
}
