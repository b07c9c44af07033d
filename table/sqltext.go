package table

import (
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// The names of relations and columns that our own SQL uses. The prefix keeps them apart from what users write.
const (
	targetRelation  = "lake_target"
	sourceRelation  = "lake_source"
	matchRelation   = "lake_match"
	changedRelation = "lake_changed"
	sourceRowColumn = "_lake_source_row"
)

// enclosed puts a user's expression into parentheses; the line break ends a comment that it may end with.
func enclosed(expr string) string { return "(" + expr + "\n)" }

// subquery makes a user's SELECT usable in FROM.
func subquery(sql string) string {
	return enclosed(strings.TrimRight(strings.TrimSpace(sql), "; \t\r\n"))
}

// qualified is a column of an alias.
func qualified(alias, column string) string { return QuoteIdent(alias) + "." + QuoteIdent(column) }

// castTo is expr as a value of type t. A value that does not fit is an error of the engine.
func castTo(expr string, t *txlog.DataType) string {
	name, ok := engineType(t)
	if !ok {
		return expr
	}
	return "CAST(" + expr + " AS " + name + ")"
}

// engineType is the SQL name of t; false where a cast is left to the engine's writer.
func engineType(t *txlog.DataType) (string, bool) {
	switch t.Kind {
	case txlog.KindString:
		return "VARCHAR", true
	case txlog.KindBinary:
		return "BLOB", true
	case txlog.KindLong:
		return "BIGINT", true
	case txlog.KindInteger:
		return "INTEGER", true
	case txlog.KindShort:
		return "SMALLINT", true
	case txlog.KindByte:
		return "TINYINT", true
	case txlog.KindFloat:
		return "FLOAT", true
	case txlog.KindDouble:
		return "DOUBLE", true
	case txlog.KindBoolean:
		return "BOOLEAN", true
	case txlog.KindDate:
		return "DATE", true
	case txlog.KindDecimal:
		return "DECIMAL(" + strconv.Itoa(t.Precision) + "," + strconv.Itoa(t.Scale) + ")", true
	case txlog.KindTimestamp:
		return "TIMESTAMPTZ", true
	case txlog.KindTimestampNTZ:
		return "TIMESTAMP", true
	case txlog.KindArray:
		e, ok := engineType(t.Element)
		return e + "[]", ok
	case txlog.KindMap:
		k, kok := engineType(t.Key)
		v, vok := engineType(t.Value)
		return "MAP(" + k + ", " + v + ")", kok && vok
	case txlog.KindStruct:
		parts := make([]string, 0, len(t.Fields))
		for _, f := range t.Fields {
			e, ok := engineType(f.Type)
			if !ok {
				return "", false
			}
			parts = append(parts, QuoteIdent(f.Name)+" "+e)
		}
		return "STRUCT(" + strings.Join(parts, ", ") + ")", len(parts) > 0
	case txlog.KindUnknown, txlog.KindVariant, txlog.KindVoid:
		return "", false
	}
	return "", false
}
