package table

import "strings"

// QuoteIdent writes a name as an SQL identifier, whatever it contains: one part, never a dotted path.
func QuoteIdent(name string) string {
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// QuotePath writes a path of names, outermost first, as one SQL expression: "a"."b".
func QuotePath(names ...string) string {
	quoted := make([]string, len(names))
	for i, n := range names {
		quoted[i] = QuoteIdent(n)
	}
	return strings.Join(quoted, ".")
}

// QuoteString writes a text as an SQL string constant. SQL text travels to engines as a C string, so that a NUL
// character becomes a call of chr.
func QuoteString(s string) string {
	if !strings.Contains(s, "\x00") {
		return "'" + strings.ReplaceAll(s, "'", "''") + "'"
	}
	parts := strings.Split(s, "\x00")
	for i, p := range parts {
		parts[i] = QuoteString(p)
	}
	return "(" + strings.Join(parts, " || chr(0) || ") + ")"
}
