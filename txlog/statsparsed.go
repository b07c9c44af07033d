package txlog

import (
	"math"
	"math/big"
	"strconv"

	"github.com/lakectl/lakectl/internal/parquetio"
)

// parsedStats reads add.stats_parsed: statistics as typed columns, for checkpoints without the JSON form. They are
// turned into that form, so that only one kind of statistics goes further.
type parsedStats struct{ root *statsNode }

// statsNode is one column below stats_parsed: a struct of others, or values.
type statsNode struct {
	name     string
	children []*statsNode
	values   *flatColumn
}

// newParsedStats reads the columns, unless every file has its statistics in JSON, which says at least as much and is
// what goes further. Columns that cannot be read are left out: no statistics are better than wrong ones.
func newParsedStats(g *actionGroup, path, stats *flatColumn) *parsedStats {
	c := g.file.Lookup("add", "stats_parsed")
	if c == nil || g.err != nil || !lacks(path, stats) {
		return nil
	}
	root := g.statsNode(c)
	if root == nil {
		return nil
	}
	return &parsedStats{root}
}

// lacks tells whether a file has no statistics in JSON.
func lacks(path, stats *flatColumn) bool {
	for row := range path.len() {
		if path.has(row) && !stats.has(row) {
			return true
		}
	}
	return false
}

func (g *actionGroup) statsNode(c *parquetio.Column) *statsNode {
	n := &statsNode{name: c.Name}
	switch {
	case c.Kind == parquetio.KindStruct:
		for _, f := range c.Fields {
			if child := g.statsNode(f); child != nil {
				n.children = append(n.children, child)
			}
		}
		if len(n.children) == 0 {
			return nil
		}
		return n
	case !c.Leaf() || c.Kind == parquetio.KindUnknown || c.Kind == parquetio.KindBinary || g.err != nil:
		return nil
	}
	v := g.vector(c, c.Kind)
	if v == nil || v.Starts != nil {
		return nil
	}
	n.values = &flatColumn{v}
	return n
}

// json is the text of one file's statistics, "" for none.
func (p *parsedStats) json(row int) string {
	if p == nil {
		return ""
	}
	w := &jsonWriter{}
	w.statsMembers(p.root, row)
	if w.buf.Len() == 0 {
		return ""
	}
	return "{" + w.buf.String() + "}"
}

func (w *jsonWriter) statsMembers(n *statsNode, row int) {
	for _, c := range n.children {
		if c.values == nil {
			inner := &jsonWriter{}
			inner.statsMembers(c, row)
			if inner.buf.Len() > 0 {
				w.key(c.name)
				w.buf.WriteString("{" + inner.buf.String() + "}")
			}
			continue
		}
		if text := statsText(c.values, row); text != "" {
			w.key(c.name)
			w.buf.WriteString(text)
		}
	}
}

// statsText is the JSON of one value, "" where there is none that JSON can say.
func statsText(c *flatColumn, row int) string {
	switch v := c.v.Value(row).(type) {
	case bool:
		return strconv.FormatBool(v)
	case string:
		return quoteJSON(v)
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return ""
		}
		if c.v.Column.Kind == parquetio.KindFloat {
			return strconv.FormatFloat(v, 'g', -1, 32)
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	case *big.Int:
		return Decimal{Unscaled: v, Scale: c.v.Column.Scale}.String()
	case int64:
		switch c.v.Column.Kind {
		case parquetio.KindDate:
			return quoteJSON(formatDate(v))
		case parquetio.KindTimestamp:
			return quoteJSON(formatTimestamp(v, "T", 6, "Z"))
		case parquetio.KindTimestampNTZ:
			return quoteJSON(formatTimestamp(v, "T", 6, ""))
		}
		return strconv.FormatInt(v, 10)
	}
	return ""
}
