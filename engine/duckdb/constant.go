package duckdb

import (
	"encoding/json"
	"math/big"
	"strconv"

	"github.com/lakectl/lakectl/txlog"
)

// literal reads a constant of the plan that is compared with a column of type t. ok is false unless the constant has
// exactly the type of the column, so that it compares with statistics as DuckDB compares it with rows.
//
// FLOAT never has a literal: statistics hold the shortest decimal form of a value, the plan its exact one.
func literal(t *txlog.DataType, v any) (l txlog.Literal, ok bool) {
	c, _ := v.(node)
	kind, _ := c["type"].(node)
	id, _ := kind["id"].(string)
	if null, _ := c["is_null"].(bool); null || t == nil {
		return l, false
	}
	value := c["value"]
	switch t.Kind {
	case txlog.KindString:
		s, is := value.(string)
		return txlog.Literal{Kind: txlog.KindString, String: s}, is && id == "VARCHAR"
	case txlog.KindBoolean:
		b, is := value.(bool)
		return txlog.Literal{Kind: txlog.KindBoolean, Bool: b}, is && id == "BOOLEAN"
	case txlog.KindLong, txlog.KindInteger, txlog.KindShort, txlog.KindByte:
		n, is := signed(value)
		fits := map[txlog.Kind]string{
			txlog.KindLong: "BIGINT", txlog.KindInteger: "INTEGER", txlog.KindShort: "SMALLINT", txlog.KindByte: "TINYINT",
		}
		return txlog.Literal{Kind: txlog.KindLong, Int: n}, is && id == fits[t.Kind]
	case txlog.KindDouble:
		n, is := value.(json.Number)
		x, err := strconv.ParseFloat(string(n), 64)
		return txlog.Literal{Kind: txlog.KindDouble, Float: x}, is && err == nil && id == "DOUBLE"
	case txlog.KindDate:
		n, is := signed(value)
		return txlog.Literal{Kind: txlog.KindDate, Int: n}, is && id == "DATE" && finite(n, 32)
	case txlog.KindTimestamp:
		n, is := signed(value)
		return txlog.Literal{Kind: txlog.KindTimestamp, Int: n}, is && id == "TIMESTAMP WITH TIME ZONE" && finite(n, 64)
	case txlog.KindTimestampNTZ:
		n, is := signed(value)
		return txlog.Literal{Kind: txlog.KindTimestampNTZ, Int: n}, is && id == "TIMESTAMP" && finite(n, 64)
	case txlog.KindDecimal:
		return decimalLiteral(t, kind, id, value)
	}
	return l, false
}

func signed(v any) (int64, bool) {
	n, ok := v.(json.Number)
	if !ok {
		return 0, false
	}
	i, err := strconv.ParseInt(n.String(), 10, 64)
	return i, err == nil
}

// finite is false for the values that stand for infinity.
func finite(n int64, bits int) bool {
	highest := int64(1)<<(bits-1) - 1
	return n != highest && n != -highest
}

func decimalLiteral(t *txlog.DataType, kind node, id string, value any) (l txlog.Literal, ok bool) {
	info, _ := kind["type_info"].(node)
	width, ok1 := integer(info["width"])
	scale, ok2 := integer(info["scale"])
	if id != "DECIMAL" || !ok1 || !ok2 || width != int64(t.Precision) || scale != int64(t.Scale) {
		return l, false
	}
	unscaled, ok := wide(value)
	if !ok {
		return l, false
	}
	return txlog.Literal{Kind: txlog.KindDecimal, Rat: txlog.Decimal{Unscaled: unscaled, Scale: t.Scale}.Rat()}, true
}

// wide reads an integer that may have 128 bits.
func wide(v any) (*big.Int, bool) {
	if parts, is := v.(node); is {
		upper, ok1 := signed(parts["upper"])
		lower, is := parts["lower"].(json.Number)
		if !ok1 || !is {
			return nil, false
		}
		low, err := strconv.ParseUint(lower.String(), 10, 64)
		return hugeint{lower: low, upper: upper}.big(), err == nil
	}
	n, ok := signed(v)
	return big.NewInt(n), ok
}
