package txlog

import (
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// ParsePartition reads the text of a partition value. "" is NULL, a Literal of [KindVoid].
//
// Protocol: "Partition Value Serialization". Timestamps without a zone are taken as UTC. A text that does not fit
// the type is an error, never NULL. The bytes of a binary value are those of the text in UTF-8, as Spark reads them.
func ParsePartition(t *DataType, text string) (Literal, error) {
	if text == "" {
		return Literal{Kind: KindVoid}, nil
	}
	bad := func() (Literal, error) {
		return Literal{}, fmt.Errorf("partition value %q is no %s", clip(text), t.SQL())
	}
	switch t.Kind {
	case KindString:
		return Literal{Kind: KindString, String: text}, nil
	case KindBinary:
		return Literal{Kind: KindBinary, String: text}, nil
	case KindLong, KindInteger, KindShort, KindByte:
		n, err := strconv.ParseInt(text, 10, 64)
		if low, high := wholeRange(t.Kind); err != nil || n < low || n > high {
			return bad()
		}
		return Literal{Kind: KindLong, Int: n}, nil
	case KindFloat, KindDouble:
		bits := 64
		if t.Kind == KindFloat {
			bits = 32 // the value that a reader of the column sees
		}
		f, err := strconv.ParseFloat(text, bits)
		if err != nil || len(text) > 400 {
			return bad()
		}
		return Literal{Kind: KindDouble, Float: f}, nil
	case KindBoolean:
		switch strings.ToLower(text) {
		case "true":
			return Literal{Kind: KindBoolean, Bool: true}, nil
		case "false":
			return Literal{Kind: KindBoolean}, nil
		}
		return bad()
	case KindDecimal:
		r, ok := parseDecimal(text)
		if !ok || !wholeFits(t, r) {
			return bad()
		}
		return Literal{Kind: KindDecimal, Rat: r}, nil
	case KindDate:
		days, ok := parseDate(text)
		if !ok {
			return bad()
		}
		return Literal{Kind: KindDate, Int: days}, nil
	case KindTimestamp, KindTimestampNTZ:
		micros, zoned, ok := parseTimestamp(text)
		if !ok || zoned && t.Kind == KindTimestampNTZ {
			return bad()
		}
		return Literal{Kind: t.Kind, Int: micros}, nil
	}
	return Literal{}, fmt.Errorf("partition column: %w: %s", ErrUnsupportedType, t.SQL())
}

// PartitionText writes a partition value in the form of the protocol; nil gives "", which is NULL. v may be a
// Literal, or string, []byte, bool, int64, int, float64, *big.Rat, Decimal or Date by the type.
// An empty string cannot be told from NULL and becomes NULL.
func PartitionText(t *DataType, v any) (string, error) {
	if v == nil {
		return "", nil
	}
	l, err := literalOf(t, v)
	if err != nil || l.Kind == KindVoid {
		return "", err
	}
	switch l.Kind {
	case KindBoolean:
		return strconv.FormatBool(l.Bool), nil
	case KindLong:
		if low, high := wholeRange(t.Kind); l.Int < low || l.Int > high {
			return "", fmt.Errorf("partition value %d is no %s", l.Int, t.SQL())
		}
		return strconv.FormatInt(l.Int, 10), nil
	case KindDouble:
		return floatText(t, l.Float), nil
	case KindDecimal:
		d, exact := decimalOf(l.Rat, t.Scale)
		if !exact || !wholeFits(t, l.Rat) {
			return "", fmt.Errorf("partition value %s is no %s", clip(l.Rat.RatString()), t.SQL())
		}
		return d.String(), nil
	case KindString:
		return l.String, nil
	case KindBinary:
		if !utf8.ValidString(l.String) {
			return "", fmt.Errorf("partition value: %w: bytes that are not UTF-8 have no text form", ErrUnsupportedType)
		}
		return l.String, nil
	case KindDate:
		return formatDate(l.Int), nil
	case KindTimestamp:
		return formatTimestamp(l.Int, "T", 6, "Z"), nil
	case KindTimestampNTZ:
		return formatTimestamp(l.Int, " ", 6, ""), nil
	}
	return "", fmt.Errorf("partition column: %w: %s", ErrUnsupportedType, t.SQL())
}

// literalOf turns a Go value into a literal of the type's kind.
func literalOf(t *DataType, v any) (Literal, error) {
	bad := fmt.Errorf("partition value of type %T for a %s", v, t.SQL())
	var l Literal
	switch v := v.(type) {
	case Literal:
		l = v
	case *Literal:
		l = *v
	case string:
		l = Literal{Kind: KindString, String: v}
	case []byte:
		l = Literal{Kind: KindBinary, String: string(v)}
	case bool:
		l = Literal{Kind: KindBoolean, Bool: v}
	case int64:
		l = Literal{Kind: KindLong, Int: v}
	case int:
		l = Literal{Kind: KindLong, Int: int64(v)}
	case Date:
		l = Literal{Kind: KindDate, Int: int64(v)}
	case float64:
		l = Literal{Kind: KindDouble, Float: v}
	case *big.Rat:
		l = Literal{Kind: KindDecimal, Rat: v}
	case Decimal:
		l = Literal{Kind: KindDecimal, Rat: v.Rat()}
	default:
		return l, bad
	}
	if l.Kind == KindVoid {
		return l, nil
	}
	want := comparableKind(t.Kind)
	switch {
	case l.Kind == want:
	case l.Kind == KindLong && (want == KindDate || want == KindTimestamp || want == KindTimestampNTZ):
		l.Kind = want
	case l.Kind == KindLong && want == KindDecimal:
		l = Literal{Kind: KindDecimal, Rat: new(big.Rat).SetInt64(l.Int)}
	case l.Kind == KindLong && want == KindDouble:
		l = Literal{Kind: KindDouble, Float: float64(l.Int)}
	default:
		return l, bad
	}
	return l, nil
}

// comparableKind is the kind of literal that values of a type become; KindUnknown for types without an order.
func comparableKind(k Kind) Kind {
	switch k {
	case KindLong, KindInteger, KindShort, KindByte:
		return KindLong
	case KindFloat, KindDouble:
		return KindDouble
	case KindString, KindBinary, KindBoolean, KindDate, KindDecimal, KindTimestamp, KindTimestampNTZ:
		return k
	}
	return KindUnknown
}

// wholeFits tells whether the digits before the point are no more than a decimal type has.
func wholeFits(t *DataType, r *big.Rat) bool {
	return new(big.Rat).Abs(r).Cmp(new(big.Rat).SetInt(tenTo(t.Precision-t.Scale))) < 0
}

func wholeRange(k Kind) (low, high int64) {
	switch k {
	case KindByte:
		return math.MinInt8, math.MaxInt8
	case KindShort:
		return math.MinInt16, math.MaxInt16
	case KindInteger:
		return math.MinInt32, math.MaxInt32
	}
	return math.MinInt64, math.MaxInt64
}

func floatText(t *DataType, f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case t.Kind == KindFloat:
		return strconv.FormatFloat(f, 'g', -1, 32)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// partitionLabel prints partition values for people, sorted by name: "a=1/b=2".
func partitionLabel(values map[string]string) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(values)) {
		parts = append(parts, name+"="+values[name])
	}
	return strings.Join(parts, "/")
}
