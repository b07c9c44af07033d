package txlog

import (
	"cmp"
	"math"
	"math/big"
	"slices"
	"sort"
	"strings"
)

// MayMatch tells whether a data file may hold a row for which p is true, from its partition values and statistics.
// False is a proof: missing or unreadable statistics, unknown types and expressions, and comparisons across kinds
// that we cannot order all mean true. stats may be nil; hasDV says that rows of the file are deleted.
func MayMatch(p *Predicate, schema *Schema, mapping ColumnMapping, partitionColumns []string, partition map[string]string, stats *Stats, hasDV bool) bool {
	j := judge{schema: schema, mapping: mapping, partition: partition, stats: stats, hasDV: hasDV, columns: partitionColumns}
	return j.verdict(p, 0).mayBeTrue
}

// verdict says which of the three truth values an expression can have over the rows of one file. Each field may be
// true without need, never false without proof.
type verdict struct{ mayBeTrue, mayBeFalse, mayBeNull bool }

func anything() verdict { return verdict{true, true, true} }

type judge struct {
	schema    *Schema
	mapping   ColumnMapping
	columns   []string
	partition map[string]string
	stats     *Stats
	hasDV     bool
	resolved  map[*Predicate]*resolvedColumn // by judgements so far; nil: nothing is kept
	file      int                            // number of the file that is judged, from 1; 0: nothing is kept
}

// resolvedColumn is where the column of a comparison is found.
type resolvedColumn struct {
	field     *Field // nil: beyond us
	physical  []string
	nested    bool
	partition bool
	file      int // what is known below is of this one
	known     knowledge
	bounds    [2]Literal // of known
}

const predicateDepthMax = 1000

func (j *judge) verdict(p *Predicate, depth int) verdict {
	if p == nil || p.Op == OpTrue {
		return verdict{mayBeTrue: true}
	}
	if depth > predicateDepthMax {
		return anything()
	}
	switch p.Op {
	case OpFalse:
		return verdict{mayBeFalse: true}
	case OpAnd:
		v := verdict{mayBeTrue: true}
		for _, a := range p.Args {
			w := j.verdict(a, depth+1)
			v = verdict{v.mayBeTrue && w.mayBeTrue, v.mayBeFalse || w.mayBeFalse, v.mayBeNull || w.mayBeNull}
		}
		return v
	case OpOr:
		v := verdict{mayBeFalse: true}
		for _, a := range p.Args {
			w := j.verdict(a, depth+1)
			v = verdict{v.mayBeTrue || w.mayBeTrue, v.mayBeFalse && w.mayBeFalse, v.mayBeNull || w.mayBeNull}
		}
		return v
	case OpNot:
		if len(p.Args) != 1 {
			return anything()
		}
		w := j.verdict(p.Args[0], depth+1)
		return verdict{w.mayBeFalse, w.mayBeTrue, w.mayBeNull}
	}
	c, ok := j.column(p)
	if !ok {
		return anything()
	}
	switch p.Op {
	case OpIsNull:
		return verdict{mayBeTrue: c.mayBeNull, mayBeFalse: c.mayHaveValue}
	case OpIsNotNull:
		return verdict{mayBeTrue: c.mayHaveValue, mayBeFalse: c.mayBeNull}
	case OpIn:
		return c.in(p.Values)
	case OpInRanges:
		return c.inRanges(p.Values)
	case OpEq, OpNe, OpLt, OpLe, OpGt, OpGe, OpNullSafeEq, OpStartsWith:
		if len(p.Values) != 1 {
			return anything()
		}
		return c.compare(p.Op, p.Values[0])
	}
	return anything()
}

// knowledge is what we know of one column in one file.
type knowledge struct {
	mayBeNull, mayHaveValue bool
	low, high               *Literal // of values that are not null; nil: no limit
	exact                   bool     // low and high are the one value of a partition column
	mayBeNaN                bool     // NaN is above every other value and outside the bounds
	kind                    Kind
}

// column finds what we know. Predicates over nested fields of partition columns or of arrays are beyond us.
func (j *judge) column(p *Predicate) (knowledge, bool) {
	c, known := j.resolved[p]
	if !known {
		c = j.resolve(p.Column)
		for _, other := range j.resolved {
			if other.field == c.field && slices.Equal(other.physical, c.physical) {
				c = other
				break
			}
		}
		if j.resolved != nil {
			j.resolved[p] = c
		}
	}
	switch {
	case c.field == nil:
		return knowledge{}, false
	case c.partition:
		return j.partitionValue(c.field)
	case j.file == 0 || c.file != j.file: // most predicates ask for one column twice
		c.file, c.known = j.file, j.fromStats(c)
	}
	return c.known, true
}

func (j *judge) resolve(path []string) *resolvedColumn {
	if len(path) == 0 || j.schema == nil {
		return &resolvedColumn{}
	}
	out := &resolvedColumn{nested: len(path) > 1}
	fields := j.schema.Fields
	for n, name := range path {
		i, err := lookupField(fields, name)
		if err != nil {
			return &resolvedColumn{}
		}
		out.field = &fields[i]
		out.physical = append(out.physical, out.field.PhysicalName(j.mapping))
		if n < len(path)-1 {
			if out.field.Type.Kind != KindStruct {
				return &resolvedColumn{}
			}
			fields = out.field.Type.Fields
		}
	}
	out.partition = len(path) == 1 && j.isPartition(out.field.Name)
	return out
}

func (j *judge) isPartition(name string) bool {
	for _, c := range j.columns {
		if c == name || strings.EqualFold(c, name) {
			return true
		}
	}
	return false
}

func (j *judge) partitionValue(f *Field) (knowledge, bool) {
	text, has := j.partition[f.PhysicalName(j.mapping)]
	if !has {
		return knowledge{}, false
	}
	l, err := ParsePartition(f.Type, text)
	if err != nil {
		return knowledge{}, false
	}
	if l.Kind == KindVoid {
		return knowledge{mayBeNull: true, kind: comparableKind(f.Type.Kind)}, true
	}
	k := knowledge{mayHaveValue: true, kind: l.Kind}
	switch {
	case l.Kind == KindDouble && math.IsNaN(l.Float):
		k.mayBeNaN = true
		return k, true
	case l.Kind == KindDouble && f.Type.Kind == KindFloat:
		// The text of a float may stand for its neighbours.
		k.low = &Literal{Kind: KindDouble, Float: float64(math.Nextafter32(float32(l.Float), float32(math.Inf(-1))))}
		k.high = &Literal{Kind: KindDouble, Float: float64(math.Nextafter32(float32(l.Float), float32(math.Inf(1))))}
		return k, true
	}
	k.low, k.high, k.exact = &l, &l, true
	return k, true
}

func (j *judge) fromStats(c *resolvedColumn) knowledge {
	f, physical := c.field, c.physical
	k := knowledge{mayBeNull: true, mayHaveValue: true, kind: comparableKind(f.Type.Kind)}
	k.mayBeNaN = k.kind == KindDouble
	if j.stats == nil {
		return k
	}
	if n := j.stats.NumRecords; n != nil && *n == 0 {
		return knowledge{kind: k.kind}
	}
	// A variant that is null is a value to writers and NULL to those who ask.
	if f.Type.Kind == KindStruct || f.Type.Kind == KindVariant {
		return k
	}
	if count, ok := j.stats.nulls(physical, j.hasDV); ok {
		k.mayHaveValue = count != *j.stats.NumRecords
		// Writers differ in whether a null struct counts as a null of its fields.
		k.mayBeNull = count != 0 || c.nested
	}
	t := f.Type
	if f.wasFloat() { // the text of a float may stand for its neighbours
		t = &DataType{Kind: KindFloat}
	}
	k.low, k.high = j.stats.bounds(t, physical, &c.bounds)
	if k.low != nil && k.high != nil {
		if c, ok := compareLiterals(*k.low, *k.high); ok && c > 0 {
			k.low, k.high = nil, nil // nonsense
		}
	}
	return k
}

// compare judges `column op value`. SQL: a comparison with NULL is NULL; NaN equals itself and is above all else.
func (k knowledge) compare(op Op, value Literal) verdict {
	if op == OpNullSafeEq {
		if value.Kind == KindVoid {
			return verdict{mayBeTrue: k.mayBeNull, mayBeFalse: k.mayHaveValue}
		}
		v := k.compare(OpEq, value)
		return verdict{v.mayBeTrue, v.mayBeFalse || v.mayBeNull, false}
	}
	if value.Kind == KindVoid {
		return verdict{mayBeNull: true}
	}
	v := verdict{mayBeNull: k.mayBeNull}
	if !k.mayHaveValue {
		return v
	}
	v.mayBeTrue, v.mayBeFalse = true, true
	if value.Kind == KindDouble && math.IsNaN(value.Float) {
		return v
	}
	if op == OpStartsWith {
		v.mayBeTrue = k.mayStartWith(value)
		return v
	}
	low, lowKnown := k.against(k.low, value)
	high, highKnown := k.against(k.high, value)
	// Where all numbers lie with respect to the constant; NaN, if there may be any, is above.
	above, atLeast := lowKnown && low > 0, lowKnown && low >= 0
	below, atMost := highKnown && high < 0, highKnown && high <= 0
	equal := k.exact && lowKnown && low == 0
	switch op {
	case OpEq:
		v.mayBeTrue, v.mayBeFalse = !below && !above, !equal
	case OpNe:
		v.mayBeTrue, v.mayBeFalse = !equal, !below && !above
	case OpLt:
		v.mayBeTrue, v.mayBeFalse = !atLeast, !below || k.mayBeNaN
	case OpLe:
		v.mayBeTrue, v.mayBeFalse = !above, !atMost || k.mayBeNaN
	case OpGt:
		v.mayBeTrue, v.mayBeFalse = !atMost || k.mayBeNaN, !above
	case OpGe:
		v.mayBeTrue, v.mayBeFalse = !below || k.mayBeNaN, !atLeast
	}
	return v
}

// against compares a bound with the constant; known is false without a bound or an order.
func (k knowledge) against(bound *Literal, value Literal) (order int, known bool) {
	if bound == nil {
		return 0, false
	}
	return compareLiterals(*bound, value)
}

// in judges `column IN (values)`: the same as a chain of equalities.
func (k knowledge) in(values []Literal) verdict {
	v := verdict{mayBeFalse: true, mayBeNull: k.mayBeNull}
	for _, value := range values {
		w := k.compare(OpEq, value)
		v = verdict{v.mayBeTrue || w.mayBeTrue, v.mayBeFalse && w.mayBeFalse, v.mayBeNull || w.mayBeNull}
	}
	return v
}

// inRanges judges a column that lies in one of ascending ranges.
func (k knowledge) inRanges(bounds []Literal) verdict {
	v := verdict{mayBeFalse: true, mayBeNull: k.mayBeNull}
	if !k.mayHaveValue {
		return v
	}
	v.mayBeTrue = true
	if len(bounds)%2 != 0 || k.low == nil || k.high == nil {
		return v
	}
	// The first range that does not end below all values is the only one that can tell.
	ordered := true
	i := sort.Search(len(bounds)/2, func(i int) bool {
		order, ok := compareLiterals(bounds[2*i+1], *k.low)
		ordered = ordered && ok
		return order >= 0
	})
	if !ordered {
		return v
	}
	if 2*i >= len(bounds) {
		v.mayBeTrue = k.mayBeNaN
		return v
	}
	if order, ok := compareLiterals(bounds[2*i], *k.high); ok && order > 0 {
		v.mayBeTrue = k.mayBeNaN
	}
	return v
}

// mayStartWith compares bounds with a prefix byte by byte, the order of strings.
func (k knowledge) mayStartWith(prefix Literal) bool {
	if prefix.Kind != KindString || k.kind != KindString {
		return true
	}
	p := prefix.String
	if k.low != nil && k.low.Kind == KindString {
		if low := k.low.String; low > p && !strings.HasPrefix(low, p) {
			return false
		}
	}
	if k.high != nil && k.high.Kind == KindString {
		if high := k.high.String; high < p {
			return false
		}
	}
	return true
}

// compareLiterals orders two constants; ok is false where there is no order that every engine shares.
func compareLiterals(a, b Literal) (order int, ok bool) {
	if a.Kind == b.Kind {
		switch a.Kind {
		case KindBoolean:
			switch {
			case a.Bool == b.Bool:
				return 0, true
			case b.Bool:
				return -1, true
			}
			return 1, true
		case KindLong, KindDate, KindTimestamp, KindTimestampNTZ:
			return cmp.Compare(a.Int, b.Int), true
		case KindDouble:
			if math.IsNaN(a.Float) || math.IsNaN(b.Float) {
				return 0, false
			}
			switch {
			case a.Float < b.Float:
				return -1, true
			case a.Float > b.Float:
				return 1, true
			}
			return 0, true
		case KindString, KindBinary:
			return strings.Compare(a.String, b.String), true
		}
	}
	ra, okA := a.rat()
	rb, okB := b.rat()
	if !okA || !okB {
		return 0, false
	}
	order = ra.Cmp(rb)
	if a.Kind == KindDouble || b.Kind == KindDouble {
		// Engines compare such a pair as doubles, where large whole numbers lose digits: both ways must agree.
		fa, _ := ra.Float64()
		fb, _ := rb.Float64()
		return order, cmp.Compare(fa, fb) == order
	}
	return order, true
}

// rat is the exact value of a number.
func (l Literal) rat() (*big.Rat, bool) {
	switch l.Kind {
	case KindLong:
		return new(big.Rat).SetInt64(l.Int), true
	case KindDecimal:
		return l.Rat, l.Rat != nil
	case KindDouble:
		if math.IsNaN(l.Float) || math.IsInf(l.Float, 0) {
			return nil, false
		}
		return new(big.Rat).SetFloat64(l.Float), true
	}
	return nil, false
}
