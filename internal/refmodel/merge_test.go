package refmodel

import (
	"fmt"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/lakectl/lakectl/table"
)

// merge is a MERGE in SQL and in Go.
type merge struct {
	keys    []int // columns of the equality
	safe    bool  // nulls match
	also    *cond // further condition of the match
	clauses []clause
	source  []row
	share   float64
}

type clause struct {
	when table.When
	do   table.Do
	cond *cond
	star bool
	set  []assignment
}

// assignment gives a column the value of the same column of one side, or a constant.
type assignment struct {
	col  int
	from byte // t s or c
	val  cell
}

func drawMerge(t *rapid.T) merge {
	m := merge{
		keys: rapid.SampledFrom([][]int{{colID}, {colID, colP}, {colS}, {colDay, colK}, {colID, colD}, {colT}}).Draw(t, "keys"),
		safe: rapid.Float64Range(0, 1).Draw(t, "null matches") > 0.8, share: rapid.SampledFrom([]float64{0, 0.01, 0.3, 2}).Draw(t, "share"),
		source: drawRows(t, 8),
	}
	if rapid.IntRange(0, 3).Draw(t, "also") == 3 {
		c := drawCond(t, "t")
		m.also = &c
	}
	if rapid.IntRange(0, 9).Draw(t, "duplicates") < 8 {
		m.source = distinctKeys(m.source, m.keys)
	}
	condition := func(sides string) *cond { c := drawCond(t, sides); return &c }
	for range rapid.IntRange(0, 2).Draw(t, "conditional clauses") {
		c := clause{when: table.Matched, do: table.DoDelete, cond: condition("ts")}
		if rapid.Bool().Draw(t, "update") {
			c.do, c.set = table.DoUpdate, drawSet(t, "stc")
		}
		m.clauses = append(m.clauses, c)
	}
	switch rapid.IntRange(0, 3).Draw(t, "matched") {
	case 1:
		m.clauses = append(m.clauses, clause{when: table.Matched, do: table.DoUpdate, star: true})
	case 2:
		m.clauses = append(m.clauses, clause{when: table.Matched, do: table.DoDelete})
	case 3:
		m.clauses = append(m.clauses, clause{when: table.Matched, do: table.DoUpdate, set: drawSet(t, "stc")})
	}
	insert := rapid.IntRange(0, 3).Draw(t, "not matched")
	if insert == 2 {
		m.clauses = append(m.clauses, clause{when: table.NotMatched, do: table.DoInsert, cond: condition("s"), set: drawSet(t, "sc")})
	}
	if insert > 0 || len(m.clauses) == 0 {
		m.clauses = append(m.clauses, clause{when: table.NotMatched, do: table.DoInsert, star: true})
	}
	switch rapid.IntRange(0, 4).Draw(t, "by source") {
	case 3:
		m.clauses = append(m.clauses, clause{when: table.NotMatchedBySource, do: table.DoDelete, cond: condition("t")})
	case 4:
		m.clauses = append(m.clauses, clause{when: table.NotMatchedBySource, do: table.DoUpdate, cond: condition("t"), set: drawSet(t, "tc")})
	}
	return m
}

// drawSet draws assignments from these sides: t, s, or c for a constant.
func drawSet(t *rapid.T, sides string) []assignment {
	var out []assignment
	for _, col := range rapid.SliceOfNDistinct(rapid.IntRange(0, colX-1), 1, 3, rapid.ID).Draw(t, "set") {
		a := assignment{col: col, from: sides[rapid.IntRange(0, len(sides)-1).Draw(t, "from")]}
		if a.from == 'c' {
			a.val = drawCell(t, col)
		}
		out = append(out, a)
	}
	return out
}

func distinctKeys(rows []row, keys []int) []row {
	var out []row
	for _, r := range rows {
		if !slices.ContainsFunc(out, func(o row) bool {
			return !slices.ContainsFunc(keys, func(k int) bool { return !r[k].same(o[k]) })
		}) {
			out = append(out, r)
		}
	}
	return out
}

// request is the merge as the table takes it.
func (m merge) request(wide bool) table.Merge {
	var on []string
	for _, k := range m.keys {
		format := "t.%[1]s = s.%[1]s"
		if m.safe {
			format = "t.%[1]s IS NOT DISTINCT FROM s.%[1]s"
		}
		on = append(on, fmt.Sprintf(format, columns()[k].name))
	}
	if m.also != nil {
		on = append(on, "("+m.also.sql(wide)+")")
	}
	out := table.Merge{
		Source: table.Query{SQL: values(m.source, wide)}, On: strings.Join(on, " AND "), RewriteShare: m.share,
	}
	for _, c := range m.clauses {
		k := table.Clause{When: c.when, Do: c.do, Star: c.star}
		if c.cond != nil {
			k.If = c.cond.sql(wide)
		}
		for _, a := range c.set {
			value := string(a.from) + "." + columns()[a.col].name
			if a.from == 'c' {
				value = a.val.literal(columns()[a.col].kind)
			}
			k.Set = append(k.Set, table.Assignment{Column: columns()[a.col].name, Value: value})
		}
		out.Clauses = append(out.Clauses, k)
	}
	return out
}

func (m merge) matches(t, s row, wide bool) bool {
	for _, k := range m.keys {
		if t[k].null() || s[k].null() {
			if !m.safe || !t[k].null() || !s[k].null() {
				return false
			}
		} else if !t[k].same(s[k]) {
			return false
		}
	}
	return m.also == nil || m.also.eval(t, s, wide) == isTrue
}

func (c clause) image(t, s row) row {
	out := t
	if c.do == table.DoInsert {
		out = row{}
	}
	if c.star {
		return s
	}
	for _, a := range c.set {
		switch a.from {
		case 't':
			out[a.col] = t[a.col]
		case 's':
			out[a.col] = s[a.col]
		default:
			out[a.col] = a.val
		}
	}
	return out
}

// effect is what a merge must do.
type effect struct {
	rows                                  []row
	ambiguous                             bool
	inserted, updated, deleted, unchanged int64
}

// apply merges in memory, one pair at a time.
func (m merge) apply(target []row, wide bool) effect {
	var e effect
	source := m.source
	if !wide {
		source = narrowed(source)
	}
	first := func(kind table.When, t, s row) *clause {
		for i, c := range m.clauses {
			if c.when == kind && (c.cond == nil || c.cond.eval(t, s, wide) == isTrue) {
				return &m.clauses[i]
			}
		}
		return nil
	}
	var about []clause
	for _, c := range m.clauses {
		if c.when == table.Matched {
			about = append(about, c)
		}
	}
	repeatable := len(about) == 1 && about[0].do == table.DoDelete && about[0].cond == nil
	matched := make([]bool, len(source))
	for _, t := range target {
		next, hits, gone, orphan := t, 0, false, true
		hit := func(c *clause, s row) {
			if c == nil {
				return
			}
			hits++
			if c.do == table.DoDelete {
				gone = true
			} else {
				next = c.image(t, s)
			}
		}
		for n, s := range source {
			if m.matches(t, s, wide) {
				matched[n], orphan = true, false
				hit(first(table.Matched, t, s), s)
			}
		}
		if orphan {
			hit(first(table.NotMatchedBySource, t, row{}), row{})
		}
		e.ambiguous = e.ambiguous || hits > 1 && !repeatable
		switch {
		case gone:
			e.deleted++
			continue
		case hits > 0 && next.same(t):
			e.unchanged++
			next = t
		case hits > 0:
			e.updated++
		}
		e.rows = append(e.rows, next)
	}
	for n, s := range source {
		if matched[n] {
			continue
		}
		if c := first(table.NotMatched, row{}, s); c != nil {
			e.rows = append(e.rows, c.image(row{}, s))
			e.inserted++
		}
	}
	return e
}

func narrowed(rows []row) []row {
	out := slices.Clone(rows)
	for i := range out {
		out[i][colX] = cell{}
	}
	return out
}
