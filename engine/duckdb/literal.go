package duckdb

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// literalSQL writes a constant of type t as an SQL expression that DuckDB reads back as exactly the same value.
func literalSQL(t *txlog.DataType, v txlog.Literal) (string, error) {
	sqlType, err := typeSQL(t)
	if err != nil {
		return "", err
	}
	switch v.Kind {
	case txlog.KindVoid:
		return "NULL", nil
	case txlog.KindBoolean:
		return strconv.FormatBool(v.Bool), nil
	case txlog.KindLong:
		return "CAST(" + table.QuoteString(strconv.FormatInt(v.Int, 10)) + " AS " + sqlType + ")", nil
	case txlog.KindDouble:
		return "CAST(" + table.QuoteString(strconv.FormatFloat(v.Float, 'g', -1, 64)) + " AS " + sqlType + ")", nil
	case txlog.KindDecimal:
		if v.Rat == nil {
			return "", fmt.Errorf("decimal constant without a value")
		}
		return "CAST(" + table.QuoteString(v.Rat.FloatString(t.Scale)) + " AS " + sqlType + ")", nil
	case txlog.KindString:
		return table.QuoteString(v.String), nil
	case txlog.KindBinary:
		return "unhex(" + table.QuoteString(hex.EncodeToString([]byte(v.String))) + ")", nil
	case txlog.KindDate:
		return fmt.Sprintf("(DATE '1970-01-01' + CAST(%d AS INTEGER))", v.Int), nil
	case txlog.KindTimestamp:
		return fmt.Sprintf("timezone('UTC', make_timestamp(CAST(%d AS BIGINT)))", v.Int), nil
	case txlog.KindTimestampNTZ:
		return fmt.Sprintf("make_timestamp(CAST(%d AS BIGINT))", v.Int), nil
	}
	return "", fmt.Errorf("%w: constant of kind %d", txlog.ErrUnsupportedType, v.Kind)
}
