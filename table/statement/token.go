package statement

import (
	"strings"
	"unicode/utf8"
)

// kind is what a token is.
type kind uint8

const (
	tokenEnd    kind = iota
	tokenWord        // a keyword or a name without quotes
	tokenQuoted      // a name in double quotes or backticks
	tokenText        // a string
	tokenNumber
	tokenSign // one byte, or one of the signs of several bytes that matter here: => ::
	tokenOpen // a quote or comment that does not end
)

// token is a piece of SQL. Comments and spaces lie between tokens.
type token struct {
	kind       kind
	start, end int // bytes
}

// scan cuts SQL into tokens; the last one is tokenEnd, or tokenOpen where a quote or comment does not end.
func scan(sql string) []token {
	out := make([]token, 0, len(sql)/5+1)
	for i := 0; ; {
		var open bool
		if i, open = afterSpace(sql, i); open {
			return append(out, token{tokenOpen, i, len(sql)})
		}
		if i == len(sql) {
			return append(out, token{tokenEnd, i, i})
		}
		t := scanOne(sql, i)
		out = append(out, t)
		if t.kind == tokenOpen {
			return out
		}
		i = t.end
	}
}

// afterSpace passes spaces and comments; open where a comment does not end. As in PostgreSQL, comments nest.
func afterSpace(sql string, i int) (next int, open bool) {
	for i < len(sql) {
		switch rest := sql[i:]; {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			i++
		case strings.HasPrefix(rest, "--"):
			line := strings.IndexByte(rest, '\n')
			if line < 0 {
				return len(sql), false
			}
			i += line + 1
		case strings.HasPrefix(rest, "/*"):
			length := commentLength(rest)
			if length < 0 {
				return i, true
			}
			i += length
		default:
			return i, false
		}
	}
	return i, false
}

// commentLength is the length of the /* */ at the beginning; -1 when it does not end.
func commentLength(s string) int {
	depth := 0
	for i := 0; i+1 < len(s); {
		switch s[i : i+2] {
		case "/*":
			depth++
			i += 2
		case "*/":
			depth--
			i += 2
			if depth == 0 {
				return i
			}
		default:
			i++
		}
	}
	return -1
}

func scanOne(sql string, i int) token {
	rest := sql[i:]
	switch c := rest[0]; {
	case c == '\'':
		return quoted(sql, i, i, tokenText, false)
	case (c == 'e' || c == 'E') && len(rest) > 1 && rest[1] == '\'':
		return quoted(sql, i, i+1, tokenText, true)
	case c == '"' || c == '`':
		return quoted(sql, i, i, tokenQuoted, false)
	case c == '$':
		if t, ok := dollar(sql, i); ok {
			return t
		}
	case letter(c) || c >= utf8.RuneSelf:
		end := i + 1
		for end < len(sql) && (letter(sql[end]) || digit(sql[end]) || sql[end] == '$' || sql[end] >= utf8.RuneSelf) {
			end++
		}
		return token{tokenWord, i, end}
	case digit(c) || c == '.' && len(rest) > 1 && digit(rest[1]):
		return number(sql, i)
	}
	for _, sign := range []string{"=>", "::"} {
		if strings.HasPrefix(rest, sign) {
			return token{tokenSign, i, i + len(sign)}
		}
	}
	return token{tokenSign, i, i + 1}
}

// quoted is the token from start whose quote opens at i. A doubled quote stands for itself, and with escapes so does
// what a backslash stands before.
func quoted(sql string, start, i int, k kind, escapes bool) token {
	q := sql[i]
	for j := i + 1; j < len(sql); j++ {
		switch {
		case escapes && sql[j] == '\\':
			j++
		case sql[j] != q:
		case j+1 < len(sql) && sql[j+1] == q:
			j++
		default:
			return token{k, start, j + 1}
		}
	}
	return token{tokenOpen, start, len(sql)}
}

// dollar is a $$text$$ or $tag$text$tag$.
func dollar(sql string, i int) (token, bool) {
	end := i + 1
	for end < len(sql) && (letter(sql[end]) || digit(sql[end]) && end > i+1) {
		end++
	}
	if end == len(sql) || sql[end] != '$' {
		return token{}, false
	}
	tag := sql[i : end+1]
	closing := strings.Index(sql[end+1:], tag)
	if closing < 0 {
		return token{tokenOpen, i, len(sql)}, true
	}
	return token{tokenText, i, end + 1 + closing + len(tag)}, true
}

func number(sql string, i int) token {
	end := i
	for end < len(sql) && (letter(sql[end]) || digit(sql[end]) || sql[end] == '.' ||
		(sql[end] == '+' || sql[end] == '-') && (sql[end-1] == 'e' || sql[end-1] == 'E')) {
		end++
	}
	return token{tokenNumber, i, end}
}

func letter(c byte) bool { return c == '_' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

func digit(c byte) bool { return '0' <= c && c <= '9' }

// unquoted is the value of a name or a string in quotes.
func unquoted(s string) string {
	if len(s) > 1 && (s[0] == 'e' || s[0] == 'E') && s[1] == '\'' {
		s = s[1:]
	}
	if s[0] == '$' {
		tag := s[:strings.IndexByte(s[1:], '$')+2]
		return s[len(tag) : len(s)-len(tag)]
	}
	q := s[:1]
	return strings.ReplaceAll(s[1:len(s)-1], q+q, q)
}
