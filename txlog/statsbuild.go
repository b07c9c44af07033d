package txlog

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/lakectl/lakectl/internal/mutant"
)

// LeafStats is what a writer knows of one column of a new data file.
type LeafStats struct {
	Path      []string // physical names, outermost first
	Type      *DataType
	Min, Max  *Literal // nil means unknown; of the kind that values of the type have
	NullCount *int64
	HasNaN    bool // a floating-point column that holds NaN gets no bounds
	Exact     bool // false: Min and Max of a string may have been cut already, then a cut Max is left out
}

// Lengths of string bounds, in characters.
const (
	stringBoundLength = 32
	stringBoundMost   = 64
)

// BuildStats writes the statistics of a new data file as JSON and applies the rules for what they may claim: string
// bounds cut to a prefix that stays a bound, timestamps cut down to milliseconds, no bounds where NaN, infinity or a
// type without an order is involved. tight says that no row of the file is deleted.
//
// Protocol: "Per-file Statistics".
func BuildStats(rows int64, leaves []LeafStats, tight bool) (string, error) {
	if rows < 0 {
		return "", errors.New("build statistics: negative number of rows")
	}
	low, high, nulls := newStatsTree(), newStatsTree(), newStatsTree()
	for _, leaf := range leaves {
		if len(leaf.Path) == 0 || leaf.Type == nil {
			return "", errors.New("build statistics: a leaf needs a path and a type")
		}
		if leaf.NullCount != nil {
			if *leaf.NullCount < 0 || *leaf.NullCount > rows {
				return "", fmt.Errorf("build statistics: null count %d of %d rows", *leaf.NullCount, rows)
			}
			nulls.put(leaf.Path, strconv.FormatInt(*leaf.NullCount, 10))
		}
		if leaf.HasNaN {
			continue
		}
		if leaf.Min != nil {
			low.put(leaf.Path, boundText(leaf, *leaf.Min, false))
		}
		if leaf.Max != nil {
			high.put(leaf.Path, boundText(leaf, *leaf.Max, true))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `{"numRecords":%d`, rows)
	for _, part := range []struct {
		name string
		tree *statsTree
	}{{"minValues", low}, {"maxValues", high}, {"nullCount", nulls}} {
		if len(part.tree.names) > 0 {
			b.WriteString(`,"` + part.name + `":`)
			part.tree.write(&b)
		}
	}
	if tight {
		b.WriteString(`,"tightBounds":true}`)
	} else {
		b.WriteString(`,"tightBounds":false}`)
	}
	return b.String(), nil
}

// statsTree nests values under the names of their paths, in the order of arrival.
type statsTree struct {
	names    []string
	children map[string]*statsTree
	text     string
}

func newStatsTree() *statsTree { return &statsTree{children: map[string]*statsTree{}} }

func (t *statsTree) put(path []string, text string) {
	if text == "" {
		return
	}
	for _, name := range path {
		child := t.children[name]
		if child == nil {
			child = newStatsTree()
			t.children[name] = child
			t.names = append(t.names, name)
		}
		t = child
	}
	t.text = text
}

func (t *statsTree) write(b *strings.Builder) {
	if t.text != "" {
		b.WriteString(t.text)
		return
	}
	b.WriteByte('{')
	for i, name := range t.names {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(quoteJSON(name) + ":")
		t.children[name].write(b)
	}
	b.WriteByte('}')
}

// boundText is the JSON of one bound, "" where none can be claimed.
func boundText(leaf LeafStats, l Literal, upper bool) string {
	if l.Kind != comparableKind(leaf.Type.Kind) {
		return ""
	}
	switch l.Kind {
	case KindLong:
		return strconv.FormatInt(l.Int, 10)
	case KindDouble:
		return floatBoundText(leaf.Type, l.Float, upper)
	case KindDecimal:
		if d, exact := decimalOf(l.Rat, leaf.Type.Scale); exact {
			return d.String()
		}
	case KindString:
		return stringBoundText(leaf, l.String, upper)
	case KindDate:
		if l.Int > daysMin && l.Int < daysMax {
			return quoteJSON(formatDate(l.Int))
		}
	case KindTimestamp, KindTimestampNTZ:
		suffix := ""
		if l.Kind == KindTimestamp {
			suffix = "Z"
		}
		if days := floorDiv(l.Int, microsPerDay); days > daysMin && days < daysMax {
			return quoteJSON(formatTimestamp(l.Int, "T", 3, suffix))
		}
	}
	return ""
}

func floatBoundText(t *DataType, f float64, upper bool) string {
	switch {
	case math.IsNaN(f) || math.IsInf(f, 0):
		return ""
	case f == 0 && upper:
		return "0.0" // +0.0 is the larger of the two zeros
	case f == 0:
		return "-0.0"
	}
	bits := 64
	if t.Kind == KindFloat {
		bits = 32
	}
	s := strconv.FormatFloat(f, 'g', -1, bits)
	if !strings.ContainsAny(s, ".e") {
		s += ".0"
	}
	return s
}

func stringBoundText(leaf LeafStats, s string, upper bool) string {
	if !utf8.ValidString(s) {
		return ""
	}
	if !upper {
		return quoteJSON(firstRunes(s, stringBoundLength))
	}
	if !leaf.Exact {
		return ""
	}
	bound, ok := stringUpperBound(s)
	if !ok {
		return ""
	}
	return quoteJSON(bound)
}

// firstRunes is the prefix of n characters.
func firstRunes(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for i := range s {
		if n == 0 {
			return s[:i]
		}
		n--
	}
	return s
}

// stringUpperBound is s itself when short, else a prefix with a character that is above the one it replaces:
// U+007F where that is enough, else U+10FFFF, which itself cannot be replaced.
func stringUpperBound(s string) (string, bool) {
	prefix := firstRunes(s, stringBoundLength)
	if prefix == s || mutant.On(mutant.BoundInward) {
		return prefix, true
	}
	for n := stringBoundLength; n <= stringBoundMost; n++ {
		prefix = firstRunes(s, n)
		if prefix == s {
			return s, true
		}
		next, _ := utf8.DecodeRuneInString(s[len(prefix):])
		switch {
		case next < 0x7f:
			return prefix + "\u007f", true
		case next < utf8.MaxRune:
			return prefix + string(utf8.MaxRune), true
		}
	}
	return "", false
}
