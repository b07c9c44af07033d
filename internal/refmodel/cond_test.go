package refmodel

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"
)

// truth is a value of SQL's three-valued logic.
type truth int8

const (
	isFalse truth = iota
	isNull
	isTrue
)

func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

// cond is a condition in SQL and in Go, over a target row t and, in merges, a source row s.
type cond struct {
	op   string // and or not true; = <> < <= > >= in, null, prefix, even, same, pair
	args []cond
	side byte // t or s
	col  int
	vals []cell
}

func (c cond) column(wide bool) int {
	if c.col == colX && !wide {
		return colK
	}
	return c.col
}

// sql is the condition for tables with column x, or without: there k stands for it.
func (c cond) sql(wide bool) string {
	col := c.column(wide)
	kind := columns()[col].kind
	name := string(c.side) + "." + columns()[col].name
	switch c.op {
	case "true":
		return "true"
	case "and", "or":
		parts := make([]string, len(c.args))
		for i, a := range c.args {
			parts[i] = "(" + a.sql(wide) + ")"
		}
		return strings.Join(parts, " "+strings.ToUpper(c.op)+" ")
	case "not":
		return "NOT (" + c.args[0].sql(wide) + ")"
	case "null":
		return name + " IS NULL"
	case "even":
		return name + " % 2 = 0"
	case "prefix":
		return name + " LIKE '" + c.vals[0].s + "%'"
	case "in":
		parts := make([]string, len(c.vals))
		for i, v := range c.vals {
			parts[i] = v.literal(kind)
		}
		return name + " IN (" + strings.Join(parts, ", ") + ")"
	case "same":
		return name + " IS NOT DISTINCT FROM " + c.vals[0].literal(kind)
	case "pair":
		return "s." + columns()[col].name + " > t." + columns()[col].name
	}
	return name + " " + c.op + " " + c.vals[0].literal(kind)
}

func (c cond) eval(t, s row, wide bool) truth {
	r := t
	if c.side == 's' {
		r = s
	}
	v := r[c.column(wide)]
	switch c.op {
	case "true":
		return isTrue
	case "and":
		out := isTrue
		for _, a := range c.args {
			out = min(out, a.eval(t, s, wide))
		}
		return out
	case "or":
		out := isFalse
		for _, a := range c.args {
			out = max(out, a.eval(t, s, wide))
		}
		return out
	case "not":
		return isTrue - c.args[0].eval(t, s, wide)
	case "null":
		return truthOf(v.null())
	case "same":
		return truthOf(v.same(c.vals[0]))
	case "pair":
		a, b := s[c.column(wide)], t[c.column(wide)]
		if a.null() || b.null() {
			return isNull
		}
		return truthOf(a.compare(b) > 0)
	}
	if v.null() {
		return isNull
	}
	switch c.op {
	case "even":
		return truthOf(v.i%2 == 0)
	case "prefix":
		return truthOf(strings.HasPrefix(v.s, c.vals[0].s))
	case "in":
		out := isFalse
		for _, w := range c.vals {
			if w.null() {
				out = max(out, isNull)
			} else if v.compare(w) == 0 {
				out = isTrue
			}
		}
		return out
	}
	w := c.vals[0]
	if w.null() {
		return isNull
	}
	n := v.compare(w)
	return truthOf(map[string]bool{"=": n == 0, "<>": n != 0, "<": n < 0, "<=": n <= 0, ">": n > 0, ">=": n >= 0}[c.op])
}

// drawCond draws a condition over the rows of the given sides.
func drawCond(t *rapid.T, sides string) cond { return drawTree(t, sides, 2) }

func drawTree(t *rapid.T, sides string, depth int) cond {
	op := "leaf"
	if depth > 0 {
		op = rapid.SampledFrom([]string{"leaf", "leaf", "leaf", "and", "or", "not"}).Draw(t, "op")
	}
	switch op {
	case "and", "or":
		return cond{op: op, side: 't', args: []cond{drawTree(t, sides, depth-1), drawTree(t, sides, depth-1)}}
	case "not":
		return cond{op: op, side: 't', args: []cond{drawTree(t, sides, depth-1)}}
	}
	c := cond{side: sides[rapid.IntRange(0, len(sides)-1).Draw(t, "side")], col: rapid.IntRange(0, columnsAll-1).Draw(t, "column")}
	ops := []string{"=", "<", ">", "<=", ">=", "<>", "in", "null", "same"}
	switch columns()[c.col].kind {
	case 's':
		ops = append(ops, "prefix", "prefix")
	case 'i':
		ops = append(ops, "even", "half")
	}
	if len(sides) > 1 {
		ops = append(ops, "pair", "pair")
	}
	c.op = rapid.SampledFrom(ops).Draw(t, "comparison")
	switch c.op {
	case "in":
		for range rapid.IntRange(1, 3).Draw(t, "values") {
			c.vals = append(c.vals, drawCell(t, c.col))
		}
	case "prefix":
		c.vals = []cell{word(rapid.SampledFrom([]string{"a", "x", "", strings.Repeat("x", 31) + "a", strings.Repeat("y", 40)}).Draw(t, "prefix"))}
	case "half": // a literal of another type than the column
		c.op, c.vals = rapid.SampledFrom([]string{"<", ">"}).Draw(t, "comparison"), []cell{double(1.5)}
	case "null", "even", "pair":
	default:
		c.vals = []cell{drawCell(t, c.col)}
	}
	return c
}

func (c cond) String() string { return fmt.Sprintf("{%s}", c.sql(true)) }
