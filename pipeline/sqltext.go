package pipeline

import (
	"strings"

	"github.com/lakectl/lakectl/table"
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

// typedLiteral writes text as a literal of type t.
func typedLiteral(t *txlog.DataType, text string) (string, error) {
	if t.Kind == txlog.KindString {
		return quoteString(text), nil
	}
	name, err := table.TypeText{}.SQL(t)
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
