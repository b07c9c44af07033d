package table

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// equality is a part "t.target = s.source" of a merge condition that holds for every matching pair of rows.
type equality struct {
	target, source string // column names as written
	nullSafe       bool   // IS NOT DISTINCT FROM
}

// equalities finds the equalities between one column of each side among the top-level AND parts of a condition. It
// is a reader of tokens, not a parser of SQL: what it does not recognise it leaves out, which costs speed and never
// an answer. An OR at the top level therefore gives none.
func equalities(on, target, source string) []equality {
	tokens, ok := lex(on)
	if !ok {
		return nil
	}
	var out []equality
	for _, part := range conjuncts(tokens) {
		if e, ok := asEquality(part, target, source); ok {
			out = append(out, e)
		}
	}
	return out
}

// conjunctsOf counts the top-level AND parts of a condition; 0: they cannot be told apart.
func conjunctsOf(on string) int {
	tokens, ok := lex(on)
	if !ok {
		return 0
	}
	return len(conjuncts(tokens))
}

type tokenKind uint8

const (
	tokenWord tokenKind = iota // a name or keyword without quotes
	tokenName                  // a quoted name, text without the quotes
	tokenOther
)

type token struct {
	kind tokenKind
	text string
}

// is tells whether the token is this keyword or symbol.
func (t token) is(text string) bool {
	return t.kind != tokenName && strings.EqualFold(t.text, text)
}

// names tells whether the token is an identifier.
func (t token) named() bool { return t.kind == tokenName || t.kind == tokenWord }

// lex cuts SQL text into tokens; false when a quote or comment does not end.
func lex(sql string) ([]token, bool) {
	var out []token
	for i := 0; i < len(sql); {
		r, width := utf8.DecodeRuneInString(sql[i:])
		switch {
		case unicode.IsSpace(r):
			i += width
		case strings.HasPrefix(sql[i:], "--"):
			end := strings.IndexByte(sql[i:], '\n')
			if end < 0 {
				return out, true
			}
			i += end
		case strings.HasPrefix(sql[i:], "/*"):
			end := strings.Index(sql[i+2:], "*/")
			// A comment inside a comment, or a quoted end of one, is not worth knowing.
			if end < 0 || strings.Contains(sql[i+2:i+2+end], "/*") {
				return nil, false
			}
			i += end + 4
		case r == '"' || r == '\'':
			text, n, ok := quoted(sql[i:], byte(r))
			if !ok {
				return nil, false
			}
			kind := tokenName
			if r == '\'' {
				kind, text = tokenOther, sql[i:i+n]
			}
			out = append(out, token{kind, text})
			i += n
		case r == '$': // dollar quotes hide anything
			return nil, false
		case r == '_' || unicode.IsLetter(r):
			n := strings.IndexFunc(sql[i:], func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
			if n < 0 {
				n = len(sql) - i
			}
			out = append(out, token{tokenWord, sql[i : i+n]})
			i += n
		default:
			out = append(out, token{tokenOther, sql[i : i+width]})
			i += width
		}
	}
	return out, true
}

// quoted reads a quoted text at the start of s, doubled quotes undone, and its length.
func quoted(s string, quote byte) (text string, n int, ok bool) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != quote {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == quote {
			b.WriteByte(quote)
			i++
			continue
		}
		return b.String(), i + 1, true
	}
	return "", 0, false
}

// conjuncts splits at the ANDs of the top level, through parentheses around the whole; nil when there is an OR.
func conjuncts(tokens []token) [][]token {
	for enclosedWhole(tokens) {
		tokens = tokens[1 : len(tokens)-1]
	}
	var out [][]token
	depth, start, between := 0, 0, 0
	for i, t := range tokens {
		switch {
		case t.is("(") || t.is("[") || t.is("{") || t.is("case"):
			depth++
		case t.is(")") || t.is("]") || t.is("}") || t.is("end"):
			depth--
		case depth != 0:
		case t.is("or"):
			return nil
		case t.is("between"):
			between++
		case t.is("and") && between > 0:
			between--
		case t.is("and"):
			out = append(out, tokens[start:i])
			start = i + 1
		}
	}
	if depth != 0 {
		return nil
	}
	if start == 0 {
		return [][]token{tokens}
	}
	out = append(out, tokens[start:])
	var flat [][]token
	for _, part := range out {
		flat = append(flat, conjuncts(part)...)
	}
	return flat
}

// enclosedWhole tells whether one pair of parentheses holds all tokens.
func enclosedWhole(tokens []token) bool {
	if len(tokens) < 2 || !tokens[0].is("(") || !tokens[len(tokens)-1].is(")") {
		return false
	}
	depth := 0
	for i, t := range tokens {
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			if depth--; depth == 0 && i < len(tokens)-1 {
				return false
			}
		}
	}
	return true
}

// asEquality recognises a.x = b.y, a.x == b.y and a.x IS NOT DISTINCT FROM b.y.
func asEquality(part []token, target, source string) (equality, bool) {
	if len(part) < 7 {
		return equality{}, false
	}
	op := part[3 : len(part)-3]
	nullSafe := len(op) == 4 && op[0].is("is") && op[1].is("not") && op[2].is("distinct") && op[3].is("from")
	equals := len(op) == 1 && op[0].is("=") || len(op) == 2 && op[0].is("=") && op[1].is("=")
	if !nullSafe && !equals {
		return equality{}, false
	}
	leftAlias, left, lok := asColumn(part[:3])
	rightAlias, right, rok := asColumn(part[len(part)-3:])
	if !lok || !rok {
		return equality{}, false
	}
	switch {
	case strings.EqualFold(leftAlias, target) && strings.EqualFold(rightAlias, source):
		return equality{target: left, source: right, nullSafe: nullSafe}, true
	case strings.EqualFold(leftAlias, source) && strings.EqualFold(rightAlias, target):
		return equality{target: right, source: left, nullSafe: nullSafe}, true
	}
	return equality{}, false
}

// asColumn recognises alias.column.
func asColumn(t []token) (alias, column string, ok bool) {
	if len(t) != 3 || !t[0].named() || !t[1].is(".") || !t[2].named() {
		return "", "", false
	}
	return t[0].text, t[2].text, true
}

// onlyColumnOf tells whether expr is nothing but a column of alias, and which.
func onlyColumnOf(expr, alias string) (string, bool) {
	tokens, ok := lex(expr)
	if !ok {
		return "", false
	}
	a, column, ok := asColumn(tokens)
	return column, ok && strings.EqualFold(a, alias)
}
