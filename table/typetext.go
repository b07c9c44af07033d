package table

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// TypeText writes Delta types in the engine's dialect of SQL. The zero value writes the types in which values are
// computed.
type TypeText struct {
	// Mapping says how fields of structs are named: with none by their own names, else by their physical ones.
	Mapping txlog.ColumnMapping
	// Plain writes timestamp as timestamp_ntz, which is how files without a zone mark hold it.
	Plain bool
	// Packed writes variant as data files hold it: its two parts as bytes.
	Packed bool
	// Void writes void, which has no values, as the type of a column that is always NULL. Else it is an error.
	Void bool
}

// SQL is the text of one type. Errors: [txlog.ErrUnsupportedType] for types whose values no expression has.
func (w TypeText) SQL(t *txlog.DataType) (string, error) {
	if name := w.simple(t); name != "" {
		return name, nil
	}
	switch t.Kind {
	case txlog.KindArray:
		e, err := w.SQL(t.Element)
		return e + "[]", err
	case txlog.KindMap:
		k, err := w.SQL(t.Key)
		if err != nil {
			return "", err
		}
		v, err := w.SQL(t.Value)
		return "MAP(" + k + ", " + v + ")", err
	case txlog.KindStruct:
		return w.structSQL(t)
	}
	return "", fmt.Errorf("%w: %s", txlog.ErrUnsupportedType, t)
}

// simple is the text of a type without parts; "" for others.
func (w TypeText) simple(t *txlog.DataType) string {
	switch t.Kind {
	case txlog.KindString:
		return "VARCHAR"
	case txlog.KindBinary:
		return "BLOB"
	case txlog.KindLong:
		return "BIGINT"
	case txlog.KindInteger:
		return "INTEGER"
	case txlog.KindShort:
		return "SMALLINT"
	case txlog.KindByte:
		return "TINYINT"
	case txlog.KindFloat:
		return "FLOAT"
	case txlog.KindDouble:
		return "DOUBLE"
	case txlog.KindBoolean:
		return "BOOLEAN"
	case txlog.KindDate:
		return "DATE"
	case txlog.KindDecimal:
		return "DECIMAL(" + strconv.Itoa(t.Precision) + "," + strconv.Itoa(t.Scale) + ")"
	case txlog.KindTimestampNTZ:
		return "TIMESTAMP"
	case txlog.KindTimestamp:
		if w.Plain {
			return "TIMESTAMP"
		}
		return "TIMESTAMPTZ"
	case txlog.KindVariant:
		if w.Packed {
			return "STRUCT(metadata BLOB, \"value\" BLOB)"
		}
		return "VARIANT"
	case txlog.KindVoid:
		if w.Void {
			return "INTEGER"
		}
	}
	return ""
}

func (w TypeText) structSQL(t *txlog.DataType) (string, error) {
	if len(t.Fields) == 0 {
		return "", fmt.Errorf("%w: struct without fields", txlog.ErrUnsupportedType)
	}
	fields := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		s, err := w.SQL(f.Type)
		if err != nil {
			return "", fmt.Errorf("field %s: %w", f.Name, err)
		}
		fields[i] = QuoteIdent(f.PhysicalName(w.Mapping)) + " " + s
	}
	return "STRUCT(" + strings.Join(fields, ", ") + ")", nil
}
