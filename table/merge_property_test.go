package table_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/table"
)

var mergeSeed = flag.Uint64("merge.seed", 0, "run only this seed of TestRandomMerges")

// model is a table in memory: (id, a, b, p), -1 for NULL.
type model [][4]int

// rule is a condition or value in SQL and in Go, over a target and a source row.
type rule[T any] struct {
	sql string
	do  func(t, s [4]int) T
}

const null = -1

// pick returns one of the choices.
func pick[T any](r *rand.Rand, choices ...T) T { return choices[r.IntN(len(choices))] }

func text(v int) string {
	if v == null {
		return "NULL"
	}
	return fmt.Sprint(v)
}

func (m model) texts() []string {
	out := make([]string, len(m))
	for i, row := range m {
		out[i] = strings.ReplaceAll(fmt.Sprintf("%s %s %s %s", text(row[0]), text(row[1]), text(row[2]), text(row[3])), "NULL", "∅")
	}
	slices.Sort(out)
	return out
}

func randomRows(r *rand.Rand, n, ids int) model {
	rows := make(model, n)
	for i := range rows {
		rows[i] = [4]int{r.IntN(ids), r.IntN(3), r.IntN(4) - 1, r.IntN(3) - 1}
		if r.IntN(12) == 0 {
			rows[i][0] = null
		}
	}
	return rows
}

func (m model) source() table.Query {
	rows := make([]string, len(m))
	for i, row := range m {
		rows[i] = fmt.Sprintf("(%s::BIGINT, %s::INT, %s::INT, %s::INT)", text(row[0]), text(row[1]), text(row[2]), text(row[3]))
	}
	return values("id, a, b, p", rows...)
}

// scenario is a merge in both languages.
type scenario struct {
	merge   table.Merge
	on      func(t, s [4]int) bool
	clauses []scenarioClause
}

type scenarioClause struct {
	when table.When
	do   table.Do
	cond func(t, s [4]int) bool
	row  func(t, s [4]int) [4]int
}

func randomScenario(r *rand.Rand) scenario {
	eq := func(i int) func(t, s [4]int) bool {
		return func(t, s [4]int) bool { return t[i] != null && t[i] == s[i] }
	}
	on := pick(r,
		rule[bool]{"t.id = s.id", eq(0)},
		rule[bool]{"s.id = t.id AND t.a = s.a", func(t, s [4]int) bool { return eq(0)(t, s) && eq(1)(t, s) }},
		rule[bool]{"t.id = s.id AND t.p = s.p", func(t, s [4]int) bool { return eq(0)(t, s) && eq(3)(t, s) }},
		rule[bool]{"t.id IS NOT DISTINCT FROM s.id AND t.a = 1", func(t, s [4]int) bool { return t[0] == s[0] && t[1] == 1 }},
		rule[bool]{"t.id = s.id AND (t.p IS NULL OR t.p <> 0)", func(t, s [4]int) bool { return eq(0)(t, s) && t[3] != 0 }},
		rule[bool]{"t.id = s.id + 1 AND s.a > 0", func(t, s [4]int) bool { return s[0] != null && t[0] == s[0]+1 && s[1] > 0 }},
	)
	sc := scenario{on: on.do, merge: table.Merge{On: on.sql, RewriteShare: pick(r, 0, 0.01, 0.3, 2)}}
	pairCond := func() rule[bool] {
		return pick(r,
			rule[bool]{"s.a > t.a", func(t, s [4]int) bool { return s[1] > t[1] }},
			rule[bool]{"t.b = 1", func(t, _ [4]int) bool { return t[2] == 1 }},
			rule[bool]{"s.b IS NULL", func(_, s [4]int) bool { return s[2] == null }},
			rule[bool]{"s.b > 0", func(_, s [4]int) bool { return s[2] > 0 }},
		)
	}
	whole := func(_, s [4]int) [4]int { return s }
	for range r.IntN(3) {
		if c := pairCond(); r.IntN(2) == 0 {
			sc.add(table.Clause{When: table.Matched, If: c.sql, Do: table.DoDelete}, c.do, nil)
		} else {
			sc.update(r, c)
		}
	}
	always := rule[bool]{"", func(_, _ [4]int) bool { return true }}
	switch r.IntN(4) {
	case 0:
		sc.update(r, always)
	case 1:
		sc.add(table.Clause{When: table.Matched, Do: table.DoUpdate, Star: true}, always.do, whole)
	case 2:
		sc.add(table.Clause{When: table.Matched, Do: table.DoDelete}, always.do, nil)
	}
	if r.IntN(3) > 0 || len(sc.clauses) == 0 {
		if r.IntN(2) == 0 {
			c := rule[bool]{"s.b >= 0 AND s.a < 2", func(_, s [4]int) bool { return s[2] >= 0 && s[1] < 2 }}
			sc.add(table.Clause{When: table.NotMatched, If: c.sql, Do: table.DoInsert, Set: []table.Assignment{
				{Column: "p", Value: "s.p"}, {Column: "id", Value: "s.id"}, {Column: "a", Value: "s.a + 10"},
			}}, c.do, func(_, s [4]int) [4]int { return [4]int{s[0], s[1] + 10, null, s[3]} })
		}
		if r.IntN(2) == 0 || len(sc.clauses) == 0 {
			sc.add(table.Clause{When: table.NotMatched, Do: table.DoInsert, Star: true}, always.do, whole)
		}
	}
	if r.IntN(3) == 0 {
		c := pick(r, always,
			rule[bool]{"t.b = 1", func(t, _ [4]int) bool { return t[2] == 1 }},
			rule[bool]{"t.p IS NULL OR t.id < 5", func(t, _ [4]int) bool { return t[3] == null || t[0] != null && t[0] < 5 }})
		if r.IntN(2) == 0 {
			sc.add(table.Clause{When: table.NotMatchedBySource, If: c.sql, Do: table.DoDelete}, c.do, nil)
		} else {
			sc.add(table.Clause{When: table.NotMatchedBySource, If: c.sql, Do: table.DoUpdate, Set: []table.Assignment{
				{Column: "b", Value: "t.a"},
			}}, c.do, func(t, _ [4]int) [4]int { return [4]int{t[0], t[1], t[1], t[3]} })
		}
	}
	return sc
}

// update adds an update that keeps some columns.
func (sc *scenario) update(r *rand.Rand, cond rule[bool]) {
	set := pick(r,
		rule[[4]int]{"b=s.b", func(t, s [4]int) [4]int { return [4]int{t[0], t[1], s[2], t[3]} }},
		rule[[4]int]{"b=t.a+1;p=s.p", func(t, s [4]int) [4]int { return [4]int{t[0], t[1], t[1] + 1, s[3]} }},
		rule[[4]int]{"a=s.a;b=s.b;id=s.id", func(t, s [4]int) [4]int { return [4]int{s[0], s[1], s[2], t[3]} }},
	)
	c := table.Clause{When: table.Matched, If: cond.sql, Do: table.DoUpdate}
	for _, part := range strings.Split(set.sql, ";") {
		column, value, _ := strings.Cut(part, "=")
		c.Set = append(c.Set, table.Assignment{Column: column, Value: value})
	}
	sc.add(c, cond.do, set.do)
}

func (sc *scenario) add(c table.Clause, cond func(t, s [4]int) bool, row func(t, s [4]int) [4]int) {
	sc.merge.Clauses = append(sc.merge.Clauses, c)
	sc.clauses = append(sc.clauses, scenarioClause{c.When, c.Do, cond, row})
}

// outcome is what a merge must do.
type outcome struct {
	rows                       model
	ambiguous                  bool
	inserted, updated, deleted int64
	unchanged                  int64
	matchedClauses             int
}

// apply merges in memory, one pair at a time.
func (sc scenario) apply(target, source model) outcome {
	var o outcome
	for _, c := range sc.clauses {
		if c.when == table.Matched {
			o.matchedClauses++
		}
	}
	deletesOnly := false
	for i, c := range sc.merge.Clauses {
		if c.When == table.Matched && c.Do == table.DoDelete && c.If == "" && o.matchedClauses == 1 {
			deletesOnly = sc.clauses[i].do == table.DoDelete
		}
	}
	matched := make([]bool, len(source))
	for _, t := range target {
		hits, row, gone, orphan := 0, t, false, true
		for n, s := range source {
			if !sc.on(t, s) {
				continue
			}
			matched[n], orphan = true, false
			for _, c := range sc.clauses {
				if c.when != table.Matched || !c.cond(t, s) {
					continue
				}
				hits++
				if c.do == table.DoDelete {
					gone = true
				} else {
					row = c.row(t, s)
				}
				break
			}
		}
		for _, c := range sc.clauses {
			if !orphan || c.when != table.NotMatchedBySource || !c.cond(t, t) {
				continue
			}
			hits++
			if gone = c.do == table.DoDelete; !gone {
				row = c.row(t, t)
			}
			break
		}
		if hits > 1 && !deletesOnly {
			o.ambiguous = true
		}
		switch {
		case gone:
			o.deleted++
			continue
		case hits > 0 && row == t:
			o.unchanged++
		case hits > 0:
			o.updated++
		}
		o.rows = append(o.rows, row)
	}
	for n, s := range source {
		if matched[n] {
			continue
		}
		for _, c := range sc.clauses {
			if c.when == table.NotMatched && c.cond(s, s) {
				o.rows = append(o.rows, c.row(s, s))
				o.inserted++
				break
			}
		}
	}
	return o
}

// Random merges, one after the other into one table, against nested loops in memory.
func TestRandomMerges(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4, 5, 6, 7, 8}
	if *mergeSeed != 0 {
		seeds = []uint64{*mergeSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Logf("repeat: go test ./table -run TestRandomMerges -merge.seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 0))
			l := newLake(t)
			c := table.Create{Properties: map[string]string{"delta.enableDeletionVectors": pick(r, "true", "true", "false")}}
			if r.IntN(2) == 0 {
				c.PartitionBy = []string{"p"}
			}
			tab := l.create("id bigint, a int, b int, p int", c)
			var rows model
			for range 3 {
				more := randomRows(r, 1+r.IntN(30), 40)
				l.append(tab, more.source())
				rows = append(rows, more...)
			}
			for step := range 8 {
				sc := randomScenario(r)
				source := randomRows(r, r.IntN(12), 40)
				sc.merge.Source = source.source()
				o := sc.apply(rows, source)
				res, err := tab.Merge(t.Context(), l.eng, sc.merge)
				label := fmt.Sprintf("step %d: %+v\nsource %v", step, sc.merge, source)
				if o.ambiguous {
					if err == nil {
						t.Fatalf("%s\nwas not ambiguous", label)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s\n%v", label, err)
				}
				if res.RowsInserted != o.inserted || res.RowsUpdated != o.updated || res.RowsDeleted != o.deleted || res.RowsUnchanged != o.unchanged {
					t.Fatalf("%s\nresult %+v\nwant %+v", label, res, o)
				}
				rows = o.rows
				if got := l.rows(tab); !slices.Equal(got, rows.texts()) {
					t.Fatalf("%s\ngot  %v\nwant %v", label, got, rows.texts())
				}
			}
		})
	}
}
