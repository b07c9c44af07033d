package txlog

import (
	"encoding/hex"
	"math/big"
	"strconv"
	"strings"
)

// Op is the operator of a [Predicate].
type Op uint8

// The operators that can be judged from partition values and statistics. OpUnknown stands for any expression that
// we cannot judge, a cast or a function for example: it may be true for every row.
const (
	OpUnknown Op = iota
	OpAnd
	OpOr
	OpNot
	OpEq
	OpNullSafeEq
	OpNe
	OpLt
	OpLe
	OpGt
	OpGe
	OpIn
	OpInRanges // the column lies in one of many ranges
	OpIsNull
	OpIsNotNull
	OpStartsWith
	OpTrue
	OpFalse
)

// Predicate is a condition over the columns of one table, as far as a file can be judged by it.
//
// It is used in two places that must never be wrong in opposite directions: skipping files (a file is dropped only
// with proof that no row matches) and conflicts (a winner's file is harmless only with the same proof).
type Predicate struct {
	Op     Op
	Args   []*Predicate // OpAnd, OpOr, OpNot
	Column []string     // logical path, outermost first; comparisons, IN, IS NULL, prefix
	Values []Literal    // right side: one for comparisons and prefix, any number for OpIn; see InRanges
}

// Literal is a constant. Exactly the field of its Kind is set; KindVoid is NULL.
type Literal struct {
	Kind   Kind     // KindBoolean, KindLong, KindDouble, KindDecimal, KindString, KindBinary, KindDate, KindTimestamp, KindTimestampNTZ, KindVoid
	Bool   bool     // KindBoolean
	Int    int64    // KindLong; KindDate: days since 1970; KindTimestamp, KindTimestampNTZ: microseconds since 1970
	Float  float64  // KindDouble
	Rat    *big.Rat // KindDecimal
	String string   // KindString; KindBinary: the bytes
}

// InRanges is "column lies in one of these ranges". bounds are the least and the greatest value of each range, one range
// after the other, ascending and apart from each other, all of one kind that has an order. It is
// judged in a time that hardly grows with their number.
func InRanges(column []string, bounds []Literal) *Predicate {
	return &Predicate{Op: OpInRanges, Column: column, Values: bounds}
}

// And joins conditions. Nil ones are no condition; none at all gives nil.
func And(ps ...*Predicate) *Predicate {
	var args []*Predicate
	for _, p := range ps {
		switch {
		case p == nil:
		case p.Op == OpAnd:
			args = append(args, p.Args...)
		default:
			args = append(args, p)
		}
	}
	switch len(args) {
	case 0:
		return nil
	case 1:
		return args[0]
	}
	return &Predicate{Op: OpAnd, Args: args}
}

// String is the condition as SQL, for operation parameters and messages. OpUnknown prints as "(unknown)".
func (p *Predicate) String() string {
	if p == nil {
		return "true"
	}
	switch p.Op {
	case OpAnd, OpOr:
		word := " AND "
		if p.Op == OpOr {
			word = " OR "
		}
		parts := make([]string, len(p.Args))
		for i, a := range p.Args {
			parts[i] = a.String()
		}
		return "(" + strings.Join(parts, word) + ")"
	case OpNot:
		if len(p.Args) == 1 {
			return "(NOT " + p.Args[0].String() + ")"
		}
	case OpIn:
		parts := make([]string, len(p.Values))
		for i, v := range p.Values {
			parts[i] = v.SQL()
		}
		return p.name() + " IN (" + strings.Join(parts, ", ") + ")"
	case OpInRanges:
		parts := make([]string, 0, len(p.Values)/2)
		for i := 0; i+1 < len(p.Values); i += 2 {
			parts = append(parts, p.name()+" BETWEEN "+p.Values[i].SQL()+" AND "+p.Values[i+1].SQL())
		}
		return "(" + strings.Join(parts, " OR ") + ")"
	case OpIsNull:
		return p.name() + " IS NULL"
	case OpIsNotNull:
		return p.name() + " IS NOT NULL"
	case OpTrue:
		return "true"
	case OpFalse:
		return "false"
	case OpStartsWith:
		if len(p.Values) == 1 {
			return "starts_with(" + p.name() + ", " + p.Values[0].SQL() + ")"
		}
	}
	signs := map[Op]string{OpEq: "=", OpNullSafeEq: "<=>", OpNe: "<>", OpLt: "<", OpLe: "<=", OpGt: ">", OpGe: ">="}
	if sign, ok := signs[p.Op]; ok && len(p.Values) == 1 {
		return p.name() + " " + sign + " " + p.Values[0].SQL()
	}
	return "(unknown)"
}

func (p *Predicate) name() string {
	parts := make([]string, len(p.Column))
	for i, c := range p.Column {
		parts[i] = quoteName(c)
	}
	return strings.Join(parts, ".")
}

// SQL is the constant as SQL.
func (l Literal) SQL() string {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	switch l.Kind {
	case KindVoid:
		return "NULL"
	case KindBoolean:
		return strconv.FormatBool(l.Bool)
	case KindLong:
		return strconv.FormatInt(l.Int, 10)
	case KindDouble:
		return strconv.FormatFloat(l.Float, 'g', -1, 64)
	case KindDecimal:
		if l.Rat == nil {
			return "NULL"
		}
		if l.Rat.IsInt() {
			return l.Rat.Num().String()
		}
		for scale := 1; scale <= 40; scale++ {
			if d, exact := decimalOf(l.Rat, scale); exact {
				return d.String()
			}
		}
		return l.Rat.RatString()
	case KindString:
		return quote(l.String)
	case KindBinary:
		return "X'" + strings.ToUpper(hex.EncodeToString([]byte(l.String))) + "'"
	case KindDate:
		return "DATE " + quote(formatDate(l.Int))
	case KindTimestamp:
		return "TIMESTAMP " + quote(formatTimestamp(l.Int, " ", 6, "Z"))
	case KindTimestampNTZ:
		return "TIMESTAMP_NTZ " + quote(formatTimestamp(l.Int, " ", 6, ""))
	}
	return "NULL"
}
