package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// sqlParts cuts SQL into pieces that are code and pieces that are quoted or comments, in turn, beginning with code.
func sqlParts(sql string) []string {
	var parts []string
	start := 0
	for i := 0; i < len(sql); {
		end := quotedEnd(sql, i)
		if end == i {
			i++
			continue
		}
		parts = append(parts, sql[start:i], sql[i:end])
		start, i = end, end
	}
	return append(parts, sql[start:])
}

// quotedEnd returns where the quoted text or comment that begins at i ends; i when none begins there.
func quotedEnd(sql string, i int) int {
	rest := sql[i:]
	switch {
	case rest[0] == '\'' || rest[0] == '"':
		for j := 1; j < len(rest); j++ {
			if rest[j] != rest[0] {
				continue
			}
			if j+1 < len(rest) && rest[j+1] == rest[0] { // a doubled quote stands for itself
				j++
				continue
			}
			return i + j + 1
		}
		return len(sql)
	case strings.HasPrefix(rest, "--"):
		if j := strings.IndexByte(rest, '\n'); j >= 0 {
			return i + j
		}
		return len(sql)
	case strings.HasPrefix(rest, "/*"):
		if j := strings.Index(rest[2:], "*/"); j >= 0 {
			return i + 2 + j + 2
		}
		return len(sql)
	}
	return i
}

// travelClauses writes Spark's VERSION AS OF 3 and TIMESTAMP AS OF '…' as the AT clauses that the engine knows, and
// puts the alias after such a clause before it, where the engine wants it.
func travelClauses(sql string) string {
	version := regexp.MustCompile(`(?i)\b(?:for\s+)?(?:system_)?version\s+as\s+of\s+(\d+)`)
	stamp := regexp.MustCompile(`(?i)\b(?:for\s+)?(?:system_time|timestamp)\s+as\s+of\s*(?:timestamp(?:tz)?\s*)?$`)
	typed := regexp.MustCompile(`(?i)\bat\s*\(\s*timestamp\s*=>\s*(?:timestamp(?:tz)?\s*)?$`)
	atVersion := regexp.MustCompile(`(?i)\bat\s*\(\s*version\s*=>\s*\d+\s*\)\s*(?:as\s+)?([a-z_]\w*)`)
	parts := sqlParts(sql)
	for i := 0; i < len(parts); i += 2 {
		parts[i] = version.ReplaceAllString(parts[i], "AT (VERSION => $1)")
		parts[i] = atVersion.ReplaceAllStringFunc(parts[i], func(clause string) string {
			at, alias := cutAlias(clause)
			return alias + at
		})
		if i+2 >= len(parts) || !strings.HasPrefix(parts[i+1], "'") {
			continue
		}
		if stamp.MatchString(parts[i]) {
			parts[i] = stamp.ReplaceAllString(parts[i], "AT (TIMESTAMP => ")
			parts[i+2] = ")" + parts[i+2]
		}
		if !typed.MatchString(parts[i]) {
			continue
		}
		parts[i] = typed.ReplaceAllString(parts[i], "AT (TIMESTAMP => ")
		end := regexp.MustCompile(`(?i)^\s*\)\s*(?:as\s+)?[a-z_]\w*`).FindString(parts[i+2])
		if rest, alias := cutAlias(end); alias != "" {
			parts[i] = strings.TrimSuffix(parts[i], "AT (TIMESTAMP => ") + alias + "AT (TIMESTAMP => "
			parts[i+2] = rest + parts[i+2][len(end):]
		}
	}
	return strings.Join(parts, "")
}

// cutAlias cuts the word after the parenthesis off a clause and returns it as "AS word "; "" when it is no alias but
// the next word of the statement.
func cutAlias(clause string) (rest, alias string) {
	end := strings.LastIndexByte(clause, ')') + 1
	words := strings.Fields(clause[end:])
	if len(words) == 0 {
		return clause, ""
	}
	next := []string{
		"ANTI", "ASOF", "CROSS", "EXCEPT", "FETCH", "FULL", "GROUP", "HAVING", "INNER", "INTERSECT", "JOIN", "LEFT", "LIMIT",
		"NATURAL", "OFFSET", "ON", "ORDER", "PIVOT", "POSITIONAL", "QUALIFY", "RIGHT", "SEMI", "TABLESAMPLE", "UNION", "UNPIVOT",
		"USING", "WHERE", "WINDOW",
	}
	word := words[len(words)-1]
	if len(words) == 1 && slices.Contains(next, strings.ToUpper(word)) {
		return clause, ""
	}
	return clause[:end], "AS " + word + " "
}

// fileFunction returns the first of the functions that would read files past us, or "".
func fileFunction(functions []string) string {
	for _, f := range functions {
		if strings.HasPrefix(f, "read_") || strings.HasSuffix(f, "_scan") || slices.Contains([]string{"glob", "sniff_csv", "parquet_metadata", "parquet_schema", "getenv"}, f) {
			return f
		}
	}
	return ""
}

// castable tells whether text is cast to a type: not strings, which need no cast, nor types that no CSV cell holds.
func castable(t *txlog.DataType) bool {
	switch t.Kind {
	case txlog.KindLong, txlog.KindInteger, txlog.KindShort, txlog.KindByte, txlog.KindFloat, txlog.KindDouble,
		txlog.KindBoolean, txlog.KindDate, txlog.KindDecimal, txlog.KindBinary, txlog.KindTimestamp, txlog.KindTimestampNTZ:
		return true
	default:
		return false
	}
}

// cutWhere divides "SET … WHERE condition" at its last WHERE outside quotes and parentheses.
func cutWhere(s string) (head, condition string) {
	depth, at := 0, -1
	parts := sqlParts(s)
	offset := 0
	for i, p := range parts {
		if i%2 == 0 {
			for j := range len(p) {
				switch p[j] {
				case '(':
					depth++
				case ')':
					depth--
				}
				if depth == 0 && isWordAt(p, j, "where") {
					at = offset + j
				}
			}
		}
		offset += len(p)
	}
	if at < 0 {
		return strings.TrimSpace(s), ""
	}
	return strings.TrimSpace(s[:at]), strings.TrimSpace(s[at+len("where"):])
}

// isWordAt tells whether the word stands at i as a word of its own, without regard to case.
func isWordAt(s string, i int, word string) bool {
	if len(s)-i < len(word) || !strings.EqualFold(s[i:i+len(word)], word) {
		return false
	}
	letter := func(c byte) bool {
		return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	return (i == 0 || !letter(s[i-1])) && (i+len(word) == len(s) || !letter(s[i+len(word)]))
}

// splitCommas divides s at its commas outside quotes and parentheses.
func splitCommas(s string) []string {
	var out []string
	depth, start, offset := 0, 0, 0
	for i, p := range sqlParts(s) {
		if i%2 == 0 {
			for j := range len(p) {
				switch c := p[j]; {
				case c == '(' || c == '[' || c == '{':
					depth++
				case c == ')' || c == ']' || c == '}':
					depth--
				case c == ',' && depth == 0:
					out = append(out, strings.TrimSpace(s[start:offset+j]))
					start = offset + j + 1
				}
			}
		}
		offset += len(p)
	}
	return append(out, strings.TrimSpace(s[start:]))
}
