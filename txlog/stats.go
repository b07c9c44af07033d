package txlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lakectl/lakectl/internal/limits"
)

// Stats are the statistics of one data file, by physical names. Values stay JSON nodes (string, bool, json.Number,
// nested map[string]any) until a column's type says how to read them.
//
// Protocol: "Per-file Statistics".
type Stats struct {
	NumRecords  *int64 // physical rows, deleted ones included
	TightBounds *bool  // false: the bounds and null counts may be of rows that are deleted since
	Min, Max    map[string]any
	NullCount   map[string]any

	bare *bareStats // values of the outermost columns that were asked for; nil: everything is in the maps
}

// bareStats are values as they are written, by the columns that were asked for. A plan looks at a few of each of many
// files: without a map and a copy for each, it takes half the time.
type bareStats struct {
	columns       []string
	min, max, nul []bareValue
}

// bareValue is a text or a number of the statistics.
type bareValue struct {
	text   string // a part of the statistics, or unescaped
	quoted bool
	there  bool
}

// ParseStats reads the JSON of an add; nil for "". An error means that the statistics say nothing.
func ParseStats(s string) (*Stats, error) {
	if s == "" {
		return nil, nil
	}
	return (&statsParser{most: limits.Default().StatsBytes}).parse(s)
}

// statsParser reads the statistics of one file after the other.
type statsParser struct {
	most    int64    // bytes
	columns []string // physical names of the outermost columns that are wanted; nil for all. Of others the syntax counts alone
	reuse   *Stats   // nil: results are kept. Otherwise each one is gone with the next
	text    []byte
}

func (p *statsParser) parse(s string) (*Stats, error) {
	if int64(len(s)) > p.most {
		return nil, limits.Over("stats_bytes", int64(len(s)), p.most)
	}
	p.text = append(p.text[:0], s...)
	r := &jsonReader{b: p.text}
	st := &Stats{}
	if p.reuse != nil {
		*p.reuse = Stats{bare: p.reuse.bare}
		st = p.reuse
	}
	b := st.bare
	if p.columns != nil && b == nil {
		n := len(p.columns)
		b = &bareStats{columns: p.columns, min: make([]bareValue, n), max: make([]bareValue, n), nul: make([]bareValue, n)}
		st.bare = b
	} else if b != nil {
		clear(b.min)
		clear(b.max)
		clear(b.nul)
	}
	var low, high, nul []bareValue
	if b != nil {
		low, high, nul = b.min, b.max, b.nul
	}
	r.members(func(key []byte) {
		switch string(key) {
		case "numRecords":
			st.NumRecords = r.optionalInt64()
		case "tightBounds":
			if r.null() {
				break
			}
			v := r.boolean()
			st.TightBounds = &v
		case "minValues":
			st.Min = p.object(r, s, low)
		case "maxValues":
			st.Max = p.object(r, s, high)
		case "nullCount":
			st.NullCount = p.object(r, s, nul)
		default:
			r.skip()
		}
	})
	if err := r.end(); err != nil {
		return nil, fmt.Errorf("parse statistics: %w", err)
	}
	if st.NumRecords != nil && *st.NumRecords < 0 {
		return nil, errors.New("parse statistics: numRecords is negative")
	}
	return st, nil
}

// object reads an object: all of it, or the wanted members, of which those that are a text or a number go to bare. A
// value of another shape gives nothing.
func (p *statsParser) object(r *jsonReader, s string, bare []bareValue) map[string]any {
	if p.columns == nil {
		m, _ := r.node().(map[string]any)
		return m
	}
	clear(bare) // of two objects the later one counts
	if r.peek() != '{' {
		r.skip()
		return nil
	}
	var m map[string]any
	r.members(func(key []byte) {
		for i, c := range p.columns {
			if c == string(key) {
				if v, is := r.bare(s); is {
					bare[i] = v
					delete(m, c)
					return
				}
				bare[i] = bareValue{}
				if m == nil {
					m = map[string]any{}
				}
				m[c] = r.node()
				return
			}
		}
		r.skip()
	})
	return m
}

// bare reads a text or a number of s, which the reader's bytes are a copy of. False leaves the value where it is.
func (r *jsonReader) bare(s string) (v bareValue, is bool) {
	switch r.peek() {
	case '{', '[', 't', 'f', 'n':
		return v, false
	case '"':
		from := r.pos + 1
		seen := r.view()
		if to := from + len(seen); to+1 == r.pos {
			return bareValue{s[from:to], true, true}, true // as it stands
		}
		return bareValue{string(seen), true, true}, true
	}
	from := r.pos
	r.skip()
	return bareValue{s[from:r.pos], false, r.err == nil}, true
}

// value finds what statistics say of a column: a text, or the digits of a number.
func (s *Stats) value(m map[string]any, bare []bareValue, path []string) (v bareValue) {
	if s.bare != nil && len(path) == 1 {
		for i, c := range s.bare.columns {
			if c == path[0] {
				return bare[i]
			}
		}
		return v
	}
	switch node := at(m, path).(type) {
	case string:
		return bareValue{node, true, true}
	case json.Number:
		return bareValue{node.String(), false, true}
	}
	return v
}

// at follows a physical path into nested statistics.
func at(m map[string]any, path []string) any {
	var v any = m
	for _, name := range path {
		inner, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = inner[name]
	}
	return v
}

// nulls is the null count of a column, if it says something about the rows that are left.
func (s *Stats) nulls(path []string, hasDV bool) (count int64, ok bool) {
	var bare []bareValue
	if s.bare != nil {
		bare = s.bare.nul
	}
	n := s.value(s.NullCount, bare, path)
	if !n.there || n.quoted || s.NumRecords == nil {
		return 0, false
	}
	count, err := strconv.ParseInt(n.text, 10, 64)
	if err != nil || count < 0 || count > *s.NumRecords {
		return 0, false
	}
	wide := hasDV || s.TightBounds != nil && !*s.TightBounds
	if wide && count != 0 && count != *s.NumRecords {
		return 0, false
	}
	return count, true
}

// bounds are limits between which all values of a column lie that are not null; nil means no limit is known.
// NaN is never within them: the caller must not take bounds of floating-point columns for a proof about NaN. They are
// kept in own.
func (s *Stats) bounds(t *DataType, path []string, own *[2]Literal) (low, high *Literal) {
	var lows, highs []bareValue
	if s.bare != nil {
		lows, highs = s.bare.min, s.bare.max
	}
	return boundOf(t, s.value(s.Min, lows, path), false, &own[0]), boundOf(t, s.value(s.Max, highs, path), true, &own[1])
}

// boundOf reads one bound into l; nil where it says nothing.
func boundOf(t *DataType, v bareValue, upper bool, l *Literal) *Literal {
	if !v.there {
		return nil
	}
	text := v.text
	var ok bool
	if *l, ok = statsLiteral(t, text, v.quoted); !ok {
		return nil
	}
	switch t.Kind {
	case KindString:
		// Old writers cut a maximum with U+FFFD, which is below the characters beyond the basic plane.
		if prefix, cut := strings.CutSuffix(text, "\uFFFD"); cut && upper {
			l.String = prefix + string(utf8.MaxRune)
		}
	case KindFloat, KindDouble:
		l.Float = floatBound(t, l.Float, upper)
	case KindDecimal:
		return decimalBound(t, text, l.Rat, upper)
	case KindTimestamp, KindTimestampNTZ:
		if upper { // cut down to the millisecond by the writer
			if l.Int > math.MaxInt64-1000 {
				return nil
			}
			l.Int += 1000
		}
	}
	return l
}

// statsLiteral reads one bound as it is written: a text, or the digits of a number. Types without an order have none.
func statsLiteral(t *DataType, text string, quoted bool) (l Literal, ok bool) {
	switch t.Kind {
	case KindString:
		return Literal{Kind: KindString, String: text}, quoted
	case KindLong, KindInteger, KindShort, KindByte:
		n, err := strconv.ParseInt(text, 10, 64)
		return Literal{Kind: KindLong, Int: n}, !quoted && err == nil
	case KindFloat, KindDouble:
		// Some writers put infinities and NaN in quotes: not usable as a bound.
		f, err := strconv.ParseFloat(text, 64)
		return Literal{Kind: KindDouble, Float: f}, !quoted && err == nil && !math.IsNaN(f) && !math.IsInf(f, 0)
	case KindDecimal:
		r, ok := parseDecimal(text)
		return Literal{Kind: KindDecimal, Rat: r}, ok
	case KindDate:
		days, ok := parseDate(text)
		return Literal{Kind: KindDate, Int: days}, quoted && ok
	case KindTimestamp, KindTimestampNTZ:
		micros, zoned, ok := parseTimestamp(text)
		return Literal{Kind: t.Kind, Int: micros}, quoted && ok && zoned == (t.Kind == KindTimestamp)
	}
	return Literal{}, false
}

// floatBound widens a bound by the rounding that its text may hide: one step of the column's own precision.
func floatBound(t *DataType, f float64, upper bool) float64 {
	toward := math.Inf(-1)
	if upper {
		toward = math.Inf(1)
	}
	if t.Kind == KindFloat {
		return float64(math.Nextafter32(float32(f), float32(toward)))
	}
	return math.Nextafter(f, toward)
}

// doubleDigits is how many decimal digits a double always keeps; doubleDigitsMax is how many its shortest text can have.
const (
	doubleDigits    = 15
	doubleDigitsMax = 17
)

// decimalBound is a bound of a decimal column. delta-rs sends the bounds of wide decimals through doubles, or through
// whole numbers of 64 bits that stop at the last one: a text that may come from there is moved by what it may have lost.
func decimalBound(t *DataType, text string, r *big.Rat, upper bool) *Literal {
	if t.Precision <= doubleDigits {
		return &Literal{Kind: KindDecimal, Rat: r}
	}
	if r.IsInt() && (r.Num().Cmp(big.NewInt(math.MinInt64)) == 0 || r.Num().Cmp(big.NewInt(math.MaxInt64)) == 0) {
		return nil
	}
	if significantDigits(text) <= doubleDigitsMax {
		step := new(big.Rat).Mul(r, big.NewRat(1, 1<<52))
		if (step.Sign() < 0) == upper {
			step.Neg(step)
		}
		r = new(big.Rat).Add(r, step)
	}
	return &Literal{Kind: KindDecimal, Rat: r}
}

// significantDigits counts the digits of a number without its exponent and the zeros around it.
func significantDigits(text string) int {
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		text = text[:i]
	}
	digits := strings.Map(func(c rune) rune {
		if c < '0' || c > '9' {
			return -1
		}
		return c
	}, text)
	return len(strings.Trim(digits, "0"))
}

// WidenStats rewrites statistics for a file that gets a deletion vector: the bounds stay and are marked as wide.
// Every other field is kept as it was written. "" gives "".
func WidenStats(stats string) (string, error) {
	if stats == "" {
		return "", nil
	}
	r := newJSONReader([]byte(stats))
	var members []string
	r.object(func(key string) {
		raw := r.raw()
		if key != "tightBounds" {
			members = append(members, quoteJSON(key)+":"+string(raw))
		}
	})
	if err := r.end(); err != nil {
		return "", fmt.Errorf("widen statistics: %w", err)
	}
	members = append(members, `"tightBounds":false`)
	return "{" + strings.Join(members, ",") + "}", nil
}
