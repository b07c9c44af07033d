package txlog

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// skipWorld makes random files with true statistics and random predicates, and judges rows one by one.
type skipWorld struct {
	*rand.Rand
	schema *Schema
}

const skipColumns = "i bigint, f float, d double, dec decimal(20,3), s string, b boolean, day date, ts timestamp, ntz timestamp_ntz, bin binary, p string, pi int, pd double, st struct<x:bigint,y:string>"

func (w *skipWorld) value(t *DataType) Literal {
	if w.IntN(4) == 0 {
		return Literal{Kind: KindVoid}
	}
	switch t.Kind {
	case KindLong, KindInteger:
		edges := []int64{0, 1, -1, 5, 7, math.MaxInt32, math.MinInt32}
		if t.Kind == KindLong {
			edges = append(edges, math.MaxInt64, math.MinInt64, 1<<53, 1<<53+1, 1<<53-1)
		}
		return Literal{Kind: KindLong, Int: edges[w.IntN(len(edges))]}
	case KindFloat, KindDouble:
		edges := []float64{0, math.Copysign(0, -1), 1, -1, 0.1, 1e300, -1e300, math.NaN(), math.Inf(1), math.Inf(-1), 1 << 53, 5e-324}
		f := edges[w.IntN(len(edges))]
		if t.Kind == KindFloat {
			f = float64(float32(f))
		}
		return Literal{Kind: KindDouble, Float: f}
	case KindDecimal:
		edges := []string{"0", "1", "-1", "0.1", "5.125", "99999999999999999.999", "9007199254740993", "-7.5"}
		r, _ := new(big.Rat).SetString(edges[w.IntN(len(edges))])
		return Literal{Kind: KindDecimal, Rat: r}
	case KindString, KindBinary:
		edges := []string{
			"a", "ab", "b", "", strings.Repeat("a", 32), strings.Repeat("a", 33), strings.Repeat("a", 40) + "z",
			strings.Repeat("a", 32) + "\x7f", strings.Repeat("a", 32) + "é", strings.Repeat("a", 32) + "😈", strings.Repeat("😈", 33),
			strings.Repeat(string(utf8.MaxRune), 40), strings.Repeat(string(utf8.MaxRune), 70), strings.Repeat("a", 31) + "\uFFFD",
			strings.Repeat("é", 31) + "\x00\x00",
		}
		return Literal{Kind: t.Kind, String: edges[w.IntN(len(edges))]}
	case KindBoolean:
		return Literal{Kind: KindBoolean, Bool: w.IntN(2) == 0}
	case KindDate:
		return Literal{Kind: KindDate, Int: int64(w.IntN(5) - 2)}
	case KindTimestamp, KindTimestampNTZ:
		edges := []int64{0, -1, 1, 999, 1000, 1001, -999, -1000, 1577836800123456, -62135596800000001}
		return Literal{Kind: t.Kind, Int: edges[w.IntN(len(edges))]}
	}
	return Literal{Kind: KindVoid}
}

type skipLeaf struct {
	path []string
	t    *DataType
}

func (w *skipWorld) leaves() []skipLeaf {
	var out []skipLeaf
	for _, f := range w.schema.Fields {
		if f.Type.Kind == KindStruct {
			for _, g := range f.Type.Fields {
				out = append(out, skipLeaf{[]string{f.Name, g.Name}, g.Type})
			}
			continue
		}
		out = append(out, skipLeaf{[]string{f.Name}, f.Type})
	}
	return out
}

type skipFile struct {
	rows      []map[string]Literal // by joined path
	partition map[string]string
	stats     string
	hasDV     bool
}

// file makes a few rows, statistics of them, and then may delete some.
func (w *skipWorld) file(t *testing.T) skipFile {
	t.Helper()
	f := skipFile{partition: map[string]string{}}
	fixed := map[string]Literal{}
	for _, name := range []string{"p", "pi", "pd"} {
		field, _ := w.schema.Lookup(name)
		v := w.value(field.Type)
		text, err := PartitionText(field.Type, v)
		if err != nil {
			t.Fatal(err)
		}
		if text == "" {
			v = Literal{Kind: KindVoid}
		}
		f.partition[name], fixed[name] = text, v
	}
	n := w.IntN(4)
	for range n {
		row := map[string]Literal{}
		nullStruct := w.IntN(4) == 0
		for _, leaf := range w.leaves() {
			v := w.value(leaf.t)
			if len(leaf.path) > 1 && nullStruct {
				v = Literal{Kind: KindVoid}
			}
			if p, ok := fixed[leaf.path[0]]; ok {
				v = p
			}
			row[strings.Join(leaf.path, ".")] = v
		}
		f.rows = append(f.rows, row)
	}
	if w.IntN(8) > 0 {
		f.stats = w.stats(t, f.rows, fixed)
	}
	if len(f.rows) > 0 && w.IntN(3) == 0 {
		f.hasDV = true
		f.rows = f.rows[:w.IntN(len(f.rows))]
		var err error
		if f.stats, err = WidenStats(f.stats); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (w *skipWorld) stats(t *testing.T, rows []map[string]Literal, partition map[string]Literal) string {
	t.Helper()
	var leaves []LeafStats
	for _, leaf := range w.leaves() {
		if _, isPartition := partition[leaf.path[0]]; isPartition || w.IntN(6) == 0 {
			continue
		}
		l := LeafStats{Path: leaf.path, Type: leaf.t, Exact: w.IntN(5) > 0}
		nulls := int64(0)
		for _, row := range rows {
			v := row[strings.Join(leaf.path, ".")]
			switch {
			case v.Kind == KindVoid:
				nulls++
				continue
			case v.Kind == KindDouble && math.IsNaN(v.Float):
				l.HasNaN = true
				continue
			}
			if c, ok := compareLiterals(v, orElse(l.Min, v)); l.Min == nil || ok && c < 0 {
				l.Min = &v
			}
			if c, ok := compareLiterals(v, orElse(l.Max, v)); l.Max == nil || ok && c > 0 {
				l.Max = &v
			}
		}
		if w.IntN(5) > 0 {
			l.NullCount = &nulls
		}
		leaves = append(leaves, l)
	}
	text, err := BuildStats(int64(len(rows)), leaves, true)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func orElse(l *Literal, v Literal) Literal {
	if l == nil {
		return v
	}
	return *l
}

func (w *skipWorld) predicate(depth int) *Predicate {
	if depth > 0 && w.IntN(3) == 0 {
		switch w.IntN(3) {
		case 0:
			return &Predicate{Op: OpNot, Args: []*Predicate{w.predicate(depth - 1)}}
		case 1:
			return &Predicate{Op: OpAnd, Args: []*Predicate{w.predicate(depth - 1), w.predicate(depth - 1)}}
		default:
			return &Predicate{Op: OpOr, Args: []*Predicate{w.predicate(depth - 1), w.predicate(depth - 1)}}
		}
	}
	all := w.leaves()
	leaf := all[w.IntN(len(all))]
	p := &Predicate{Column: leaf.path}
	ops := []Op{OpEq, OpNullSafeEq, OpNe, OpLt, OpLe, OpGt, OpGe, OpIn, OpInRanges, OpIsNull, OpIsNotNull, OpTrue, OpFalse, OpUnknown}
	if leaf.t.Kind == KindString {
		ops = append(ops, OpStartsWith, OpStartsWith)
	}
	p.Op = ops[w.IntN(len(ops))]
	constant := func() Literal {
		// Numbers of other kinds are compared as an engine would.
		if k := comparableKind(leaf.t.Kind); w.IntN(3) == 0 && (k == KindLong || k == KindDouble || k == KindDecimal) {
			other := []*DataType{{Kind: KindLong}, {Kind: KindDouble}, {Kind: KindDecimal, Precision: 20, Scale: 3}}
			return w.value(other[w.IntN(3)])
		}
		return w.value(leaf.t)
	}
	switch p.Op {
	case OpIn:
		for range w.IntN(3) + 1 {
			p.Values = append(p.Values, constant())
		}
	case OpInRanges:
		for range 2 * (w.IntN(4) + 1) {
			if v := w.value(leaf.t); v.Kind != KindVoid && (v.Kind != KindDouble || !math.IsNaN(v.Float)) {
				p.Values = append(p.Values, v)
			}
		}
		p.Values = p.Values[:len(p.Values)/2*2]
		slices.SortFunc(p.Values, func(a, b Literal) int { return order(a, b, true) })
	case OpIsNull, OpIsNotNull, OpTrue, OpFalse, OpUnknown:
	default:
		p.Values = []Literal{constant()}
	}
	return p
}

// judgeRow evaluates predicates for one row the slow and obvious way. exact tells how numbers of different kinds are
// compared: as they are, or as doubles; unknown is the value of what cannot be judged.
type judgeRow struct {
	row     map[string]Literal
	exact   bool
	unknown int
}

// truth is 1 for true, 0 for false, -1 for NULL.
func (j judgeRow) truth(p *Predicate) int {
	switch p.Op {
	case OpUnknown:
		return j.unknown
	case OpTrue:
		return 1
	case OpFalse:
		return 0
	case OpNot:
		if v := j.truth(p.Args[0]); v >= 0 {
			return 1 - v
		}
		return -1
	case OpAnd, OpOr:
		a, b := j.truth(p.Args[0]), j.truth(p.Args[1])
		decisive := 0
		if p.Op == OpOr {
			decisive = 1
		}
		switch {
		case a == decisive || b == decisive:
			return decisive
		case a < 0 || b < 0:
			return -1
		}
		return 1 - decisive
	}
	v := j.row[strings.Join(p.Column, ".")]
	is := func(b bool) int {
		if b {
			return 1
		}
		return 0
	}
	switch p.Op {
	case OpIsNull:
		return is(v.Kind == KindVoid)
	case OpIsNotNull:
		return is(v.Kind != KindVoid)
	case OpIn:
		out := 0
		for _, c := range p.Values {
			switch t := j.truth(&Predicate{Op: OpEq, Column: p.Column, Values: []Literal{c}}); {
			case t == 1:
				return 1
			case t < 0:
				out = -1
			}
		}
		return out
	}
	if p.Op == OpInRanges {
		if v.Kind == KindVoid {
			return -1
		}
		for i := 0; i < len(p.Values); i += 2 {
			if order(v, p.Values[i], j.exact) >= 0 && order(v, p.Values[i+1], j.exact) <= 0 {
				return 1
			}
		}
		return 0
	}
	c := p.Values[0]
	if p.Op == OpNullSafeEq {
		if v.Kind == KindVoid || c.Kind == KindVoid {
			return is(v.Kind == c.Kind)
		}
		return is(order(v, c, j.exact) == 0)
	}
	if v.Kind == KindVoid || c.Kind == KindVoid {
		return -1
	}
	if p.Op == OpStartsWith {
		return is(strings.HasPrefix(v.String, c.String))
	}
	n := order(v, c, j.exact)
	return map[Op]int{OpEq: is(n == 0), OpNe: is(n != 0), OpLt: is(n < 0), OpLe: is(n <= 0), OpGt: is(n > 0), OpGe: is(n >= 0)}[p.Op]
}

// order compares two values as an engine does: NaN equals itself and is above everything.
func order(a, b Literal, exact bool) int {
	number := func(l Literal) float64 {
		if l.Kind == KindDouble {
			return l.Float
		}
		r, _ := l.rat()
		f, _ := r.Float64()
		return f
	}
	if a.Kind == b.Kind && a.Kind != KindDouble {
		n, _ := compareLiterals(a, b)
		return n
	}
	_, okA := a.rat()
	_, okB := b.rat()
	if okA && okB && (exact || a.Kind != KindDouble && b.Kind != KindDouble) {
		ra, _ := a.rat()
		rb, _ := b.rat()
		return ra.Cmp(rb)
	}
	fa, fb := number(a), number(b)
	switch {
	case math.IsNaN(fa) && math.IsNaN(fb):
		return 0
	case math.IsNaN(fa):
		return 1
	case math.IsNaN(fb):
		return -1
	case fa < fb:
		return -1
	case fa > fb:
		return 1
	}
	return 0
}

// TestSkippingNeverLosesARow compares MayMatch with the rows themselves. LAKE_SEED repeats a run.
func TestSkippingNeverLosesARow(t *testing.T) {
	schema, err := ParseColumns(skipColumns)
	if err != nil {
		t.Fatal(err)
	}
	partition := []string{"p", "PI", "pd"}
	skipped := 0
	for seed := range uint64(20_000) {
		w := &skipWorld{rand.New(rand.NewPCG(seed, 1)), schema}
		f := w.file(t)
		stats, err := ParseStats(f.stats)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 {
			p := w.predicate(3)
			if MayMatch(p, schema, MappingNone, partition, f.partition, stats, f.hasDV) {
				continue
			}
			skipped++
			for _, row := range f.rows {
				if mayBeTrue(p, row) {
					t.Fatalf("seed %d: %s skips a file with row %v\nstatistics %s\npartition %v", seed, p, printRow(row, p), f.stats, f.partition)
				}
			}
		}
	}
	if skipped < 20_000 {
		t.Errorf("only %d of 160000 files skipped: the test does not bite", skipped)
	}
}

// mayBeTrue tells whether the row matches under any reading of numbers and of what is unknown.
func mayBeTrue(p *Predicate, row map[string]Literal) bool {
	for _, exact := range []bool{true, false} {
		for unknown := -1; unknown <= 1; unknown++ {
			if (judgeRow{row, exact, unknown}).truth(p) == 1 {
				return true
			}
		}
	}
	return false
}

func printRow(row map[string]Literal, p *Predicate) string {
	var out []string
	for name, v := range row {
		if strings.Contains(p.String(), name) {
			out = append(out, fmt.Sprintf("%s=%s", name, v.SQL()))
		}
	}
	return strings.Join(out, " ")
}

func TestMayMatch(t *testing.T) {
	schema, err := ParseColumns("id bigint, name string, f double, part int, ts timestamp, v variant")
	if err != nil {
		t.Fatal(err)
	}
	num := func(n int64) []Literal { return []Literal{{Kind: KindLong, Int: n}} }
	text := func(s string) []Literal { return []Literal{{Kind: KindString, String: s}} }
	stats := `{"numRecords":10,"minValues":{"id":5,"name":"b","f":1.0,"ts":"2020-01-01T00:00:00.000-08:00"},` +
		`"maxValues":{"id":9,"name":"d","f":2.0,"ts":"2020-01-01T00:00:01.000-08:00"},"nullCount":{"id":0,"name":10,"f":3,"v":0}}`
	for _, tc := range []struct {
		name  string
		p     *Predicate
		part  string
		stats string
		hasDV bool
		want  bool
	}{
		{"no predicate", nil, "1", stats, false, true},
		{"above", &Predicate{Op: OpGt, Column: []string{"id"}, Values: num(9)}, "1", stats, false, false},
		{"at the top", &Predicate{Op: OpGe, Column: []string{"ID"}, Values: num(9)}, "1", stats, false, true},
		{"below", &Predicate{Op: OpLt, Column: []string{"id"}, Values: num(5)}, "1", stats, false, false},
		{"not equal inside", &Predicate{Op: OpNe, Column: []string{"id"}, Values: num(7)}, "1", stats, false, true},
		{"no statistics", &Predicate{Op: OpGt, Column: []string{"id"}, Values: num(9)}, "1", "", false, true},
		{"unknown column", &Predicate{Op: OpGt, Column: []string{"nope"}, Values: num(9)}, "1", stats, false, true},
		{"unknown expression", &Predicate{Op: OpUnknown}, "1", stats, false, true},
		{"text against number", &Predicate{Op: OpGt, Column: []string{"id"}, Values: text("9")}, "1", stats, false, true},
		{"is null, none are", &Predicate{Op: OpIsNull, Column: []string{"id"}}, "1", stats, false, false},
		{"is null, a variant may be", &Predicate{Op: OpIsNull, Column: []string{"v"}}, "1", stats, false, true},
		{"is not null, all are", &Predicate{Op: OpIsNotNull, Column: []string{"name"}}, "1", stats, false, false},
		{"compare, all null", &Predicate{Op: OpEq, Column: []string{"name"}, Values: text("c")}, "1", stats, false, false},
		{"null count of deleted rows", &Predicate{Op: OpIsNull, Column: []string{"f"}}, "1", stats, true, true},
		{"NaN may be above", &Predicate{Op: OpGt, Column: []string{"f"}, Values: []Literal{{Kind: KindDouble, Float: 3}}}, "1", stats, false, true},
		{"partition", &Predicate{Op: OpEq, Column: []string{"part"}, Values: num(2)}, "1", stats, false, false},
		{"partition in", &Predicate{Op: OpIn, Column: []string{"part"}, Values: append(num(1), num(2)...)}, "1", stats, false, true},
		{"between ranges", InRanges([]string{"id"}, append(append(num(1), num(4)...), append(num(10), num(12)...)...)), "1", stats, false, false},
		{"in a range", InRanges([]string{"id"}, append(append(num(1), num(4)...), append(num(8), num(12)...)...)), "1", stats, false, true},
		{"above all ranges", InRanges([]string{"id"}, append(num(1), num(4)...)), "1", stats, false, false},
		{"no range", InRanges([]string{"id"}, nil), "1", stats, false, false},
		{"ranges of texts", InRanges([]string{"id"}, append(text("a"), text("b")...)), "1", stats, false, true},
		{"partition null", &Predicate{Op: OpEq, Column: []string{"part"}, Values: num(2)}, "", stats, false, false},
		{"partition unreadable", &Predicate{Op: OpEq, Column: []string{"part"}, Values: num(2)}, "x", stats, false, true},
		{"not of partition", &Predicate{Op: OpNot, Args: []*Predicate{{Op: OpEq, Column: []string{"part"}, Values: num(1)}}}, "1", stats, false, false},
		{"millisecond after the maximum", &Predicate{Op: OpGt, Column: []string{"ts"}, Values: []Literal{{Kind: KindTimestamp, Int: 1577865601000999}}}, "1", stats, false, true},
		{"past that", &Predicate{Op: OpGt, Column: []string{"ts"}, Values: []Literal{{Kind: KindTimestamp, Int: 1577865601001000}}}, "1", stats, false, false},
		{"bounds in the wrong order", &Predicate{Op: OpEq, Column: []string{"id"}, Values: num(7)}, "1", `{"numRecords":1,"minValues":{"id":9},"maxValues":{"id":1}}`, false, true},
		{"empty file", &Predicate{Op: OpEq, Column: []string{"id"}, Values: num(7)}, "1", `{"numRecords":0}`, false, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := ParseStats(tc.stats)
			if err != nil {
				t.Fatal(err)
			}
			got := MayMatch(tc.p, schema, MappingNone, []string{"part"}, map[string]string{"part": tc.part}, s, tc.hasDV)
			if got != tc.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
