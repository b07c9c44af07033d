package pipeline

import (
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// quoteIdent writes a name as a SQL identifier.
func quoteIdent(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// quoteIdents writes names as a list, each after prefix ("s." or "").
func quoteIdents(prefix string, names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = prefix + quoteIdent(n)
	}
	return out
}

// quoteString writes text as a SQL literal.
func quoteString(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// quoteStrings writes a list of literals, "'a', 'b'".
func quoteStrings(list []string) string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = quoteString(s)
	}
	return strings.Join(out, ", ")
}

// sqlType is a Delta type in the words of the engine's dialect. Errors: a type that SQL cannot cast to.
func sqlType(t *txlog.DataType) (string, error) {
	switch t.Kind {
	case txlog.KindString:
		return "VARCHAR", nil
	case txlog.KindBinary:
		return "BLOB", nil
	case txlog.KindLong:
		return "BIGINT", nil
	case txlog.KindInteger:
		return "INTEGER", nil
	case txlog.KindShort:
		return "SMALLINT", nil
	case txlog.KindByte:
		return "TINYINT", nil
	case txlog.KindFloat:
		return "FLOAT", nil
	case txlog.KindDouble:
		return "DOUBLE", nil
	case txlog.KindBoolean:
		return "BOOLEAN", nil
	case txlog.KindDate:
		return "DATE", nil
	case txlog.KindDecimal:
		return fmt.Sprintf("DECIMAL(%d,%d)", t.Precision, t.Scale), nil
	case txlog.KindTimestamp:
		return "TIMESTAMP WITH TIME ZONE", nil
	case txlog.KindTimestampNTZ:
		return "TIMESTAMP", nil
	case txlog.KindArray:
		e, err := sqlType(t.Element)
		return e + "[]", err
	case txlog.KindMap:
		k, err := sqlType(t.Key)
		if err != nil {
			return "", err
		}
		v, err := sqlType(t.Value)
		return "MAP(" + k + ", " + v + ")", err
	case txlog.KindStruct:
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			e, err := sqlType(f.Type)
			if err != nil {
				return "", err
			}
			parts[i] = quoteIdent(f.Name) + " " + e
		}
		return "STRUCT(" + strings.Join(parts, ", ") + ")", nil
	case txlog.KindUnknown, txlog.KindVariant, txlog.KindVoid:
	}
	return "", fmt.Errorf("type %s has no SQL form", t.SQL())
}

// typedLiteral writes text as a literal of type t.
func typedLiteral(t *txlog.DataType, text string) (string, error) {
	if t.Kind == txlog.KindString {
		return quoteString(text), nil
	}
	name, err := sqlType(t)
	if err != nil {
		return "", err
	}
	return "CAST(" + quoteString(text) + " AS " + name + ")", nil
}

// bodyOf is a statement as a subquery can hold it: without closing semicolons and what follows them, and with a line
// end, because the statement may end in a comment.
func bodyOf(sql string) string {
	end := 0 // after the last byte that says something
	for i := 0; i < len(sql); {
		n := opaque(sql[i:])
		comment := n > 0 && (sql[i] == '-' || sql[i] == '/')
		n = max(n, 1)
		if !comment && !strings.ContainsRune("; \t\r\n", rune(sql[i])) {
			end = i + n
		}
		i += n
	}
	return "(" + sql[:end] + "\n)"
}
