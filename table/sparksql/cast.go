package sparksql

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/lakectl/lakectl/txlog"
)

// exactDigits is the number of decimal digits that a double always holds: fewer of them convert without rounding twice.
const exactDigits = 15

// unify gives values that meet in an operator one type, as Spark does.
func (tr *translation) unify(values []value, what string) ([]value, error) {
	t := values[0].t
	for i, v := range values[1:] {
		var ok bool
		if t, ok = common(value{t: t, constant: only(values[:i+1])}, v); !ok {
			return nil, fmt.Errorf("%s of %s and %s", what, values[0].t.SQL(), v.t.SQL())
		}
	}
	if t.Nested() {
		return nil, fmt.Errorf("%s of %s", what, t.SQL())
	}
	out := make([]value, len(values))
	for i, v := range values {
		var err error
		if out[i], err = tr.cast(v, t); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// only is the constant of a single value.
func only(values []value) *node {
	if len(values) == 1 {
		return values[0].constant
	}
	return nil
}

// common is the type in which Spark compares two values; false where that is none, or differs between its versions.
func common(a, b value) (*txlog.DataType, bool) {
	switch x, y := a.t, b.t; {
	case x.Kind == txlog.KindVoid:
		return y, true
	case y.Kind == txlog.KindVoid:
		return x, true
	case wholeRank(x) > 0 && wholeRank(y) > 0:
		if wholeRank(x) >= wholeRank(y) {
			return x, true
		}
		return y, true
	case isNumber(x) && isNumber(y):
		return commonNumber(a, b)
	case x.Kind == y.Kind:
		return x, true
	case moment(x) && b.constant != nil && b.constant.kind == nodeString:
		return x, true
	case moment(y) && a.constant != nil && a.constant.kind == nodeString:
		return y, true
	case x.Kind == txlog.KindDate && moment(y):
		return y, true
	case y.Kind == txlog.KindDate && moment(x):
		return x, true
	}
	return nil, false
}

func commonNumber(a, b value) (*txlog.DataType, bool) {
	x, y := a.t, b.t
	switch {
	case x.Kind == txlog.KindDouble || y.Kind == txlog.KindDouble:
		return of(txlog.KindDouble), true
	case x.Kind == txlog.KindFloat && y.Kind == txlog.KindFloat:
		return x, true
	case x.Kind == txlog.KindFloat || y.Kind == txlog.KindFloat:
		if x.Kind == txlog.KindDecimal || y.Kind == txlog.KindDecimal {
			return of(txlog.KindDouble), true
		}
		return nil, false // a float in Spark 3, a double under ANSI rules
	}
	p, q := asDecimal(a), asDecimal(b)
	scale := max(p.Scale, q.Scale)
	precision := max(p.Precision-p.Scale, q.Precision-q.Scale) + scale
	return decimal(precision, scale), precision <= decimalMax
}

// moment tells whether t is a date or a time.
func moment(t *txlog.DataType) bool {
	return t.Kind == txlog.KindDate || t.Kind == txlog.KindTimestamp || t.Kind == txlog.KindTimestampNTZ
}

// cast is v as a value of type to, by the rules of Spark's CAST under ANSI: what does not fit is an error.
func (tr *translation) cast(v value, to *txlog.DataType) (value, error) {
	from := v.t
	switch {
	case from.Equal(to) || from.Kind == to.Kind && from.Kind != txlog.KindDecimal && !from.Nested():
		return value{sql: v.sql, t: to, constant: v.constant}, nil
	case from.Kind == txlog.KindVoid:
		return tr.exactly("NULL", to)
	case v.constant != nil && v.constant.kind == nodeString && moment(to):
		return tr.typed(&node{kind: nodeTyped, name: strings.ToUpper(to.SQL()), text: strings.Trim(v.constant.text, " ")})
	}
	sql, ok := "", false
	switch to.Kind {
	case txlog.KindByte, txlog.KindShort, txlog.KindInteger, txlog.KindLong:
		sql, ok = tr.toWhole(v)
	case txlog.KindDecimal:
		sql, ok = v.sql, wholeRank(from) > 0 || from.Kind == txlog.KindDecimal
	case txlog.KindDouble:
		sql, ok = v.sql, wholeRank(from) > 0 || from.Kind == txlog.KindFloat || from.Kind == txlog.KindDecimal && from.Precision <= exactDigits
	case txlog.KindBoolean:
		sql, ok = "("+v.sql+" <> 0)", wholeRank(from) > 0
	case txlog.KindString:
		sql, ok = tr.toText(v)
	case txlog.KindDate, txlog.KindTimestamp, txlog.KindTimestampNTZ:
		sql, ok = tr.toMoment(v, to)
	default:
	}
	if !ok {
		return value{}, fmt.Errorf("a cast from %s to %s", from.SQL(), to.SQL())
	}
	return tr.exactly(sql, to)
}

// toWhole cuts fractions off, where the engine would round.
func (tr *translation) toWhole(v value) (string, bool) {
	switch v.t.Kind {
	case txlog.KindFloat, txlog.KindDouble, txlog.KindDecimal:
		return "trunc(" + v.sql + ")", true
	case txlog.KindBoolean:
		return v.sql, true
	case txlog.KindString:
		text := "trim(" + v.sql + ", ' ')"
		return tr.guarded(text, "regexp_full_match("+text+", '[+-]?[0-9]+')", "a text is no whole number"), true
	default:
		return v.sql, wholeRank(v.t) > 0
	}
}

// toText writes values as Spark does. Floats are left out: both write them in their own way.
func (tr *translation) toText(v value) (string, bool) {
	switch v.t.Kind {
	case txlog.KindBoolean:
		return v.sql, true
	case txlog.KindDecimal: // with the zero before the point that the engine leaves out where there is no place for it
		wide, err := tr.exactly(v.sql, decimal(min(v.t.Precision+1, decimalMax), v.t.Scale))
		return wide.sql, err == nil && v.t.Scale <= 6 // beyond that Spark 3 writes small values with an exponent
	case txlog.KindDate:
		return tr.fourDigits(v, v.sql), true
	case txlog.KindTimestamp, txlog.KindTimestampNTZ:
		tr.zoned = tr.zoned || v.t.Kind == txlog.KindTimestamp
		return tr.fourDigits(v, "CAST("+v.sql+" AS TIMESTAMP)"), true
	default:
		return v.sql, wholeRank(v.t) > 0
	}
}

// fourDigits raises an error for years that are written in other ways than with four digits.
func (tr *translation) fourDigits(v value, sql string) string {
	return tr.guarded(sql, "year("+v.sql+") BETWEEN 1 AND 9999", "a year is not between 1 and 9999")
}

func (tr *translation) toMoment(v value, to *txlog.DataType) (string, bool) {
	if moment(v.t) {
		tr.zoned = tr.zoned || v.t.Kind == txlog.KindTimestamp || to.Kind == txlog.KindTimestamp
		return v.sql, true
	}
	if v.t.Kind != txlog.KindString || to.Kind != txlog.KindDate {
		return "", false // times as text come in too many forms
	}
	text := "trim(" + v.sql + ", ' ')"
	return tr.guarded("regexp_extract("+text+", '^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}')",
		"regexp_full_match("+text+", '[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}')", "a text is no date"), true
}

// typed is a constant date or time.
func (tr *translation) typed(n *node) (value, error) {
	bad := fmt.Errorf("the constant %s %q", n.name, n.text)
	switch n.name {
	case "DATE":
		if _, err := time.Parse(time.DateOnly, n.text); err != nil {
			return value{}, bad
		}
		v, err := tr.exactly(tr.Text(n.text), of(txlog.KindDate))
		v.constant = n
		return v, err
	case "TIMESTAMP", "TIMESTAMP_LTZ", "TIMESTAMP_NTZ":
	default:
		return value{}, bad
	}
	m := regexp.MustCompile(`^(\d{4}-\d{2}-\d{2})(?:[ T](\d{2}:\d{2}:\d{2})(\.\d{1,6})?(Z|\+00:00)?)?$`).FindStringSubmatch(n.text)
	if m == nil {
		return value{}, bad
	}
	clock := m[2]
	if clock == "" {
		clock = "00:00:00"
	}
	text := m[1] + " " + clock + m[3]
	if _, err := time.Parse("2006-01-02 15:04:05.999999", text); err != nil {
		return value{}, bad
	}
	t := of(txlog.KindTimestamp)
	switch {
	case n.name == "TIMESTAMP_NTZ":
		if m[4] != "" {
			return value{}, bad
		}
		t = of(txlog.KindTimestampNTZ)
	case m[4] != "":
		text += "+00"
	default:
		tr.zoned = true
	}
	v, err := tr.exactly(tr.Text(text), t)
	v.constant = n
	return v, err
}
