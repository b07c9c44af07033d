package statement

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// SQLBytesMax bounds a script, in bytes.
const SQLBytesMax = 16 << 20

// Parse cuts a script into its statements, which semicolons divide. Nothing is looked up: names and expressions may
// still turn out to be wrong.
//
// Errors: *SyntaxError. Never panics, whatever the script.
func Parse(script string) ([]Statement, error) {
	if len(script) > SQLBytesMax {
		return nil, &SyntaxError{SQL: script[:SQLBytesMax], Reason: "the script is longer than " + strconv.Itoa(SQLBytesMax) + " bytes"}
	}
	p := &parser{sql: script, tokens: scan(script)}
	if last := p.tokens[len(p.tokens)-1]; last.kind == tokenOpen {
		return nil, p.at(last.start, "the quote or comment that begins here does not end", "")
	}
	var out []Statement
	for p.err == nil {
		for p.accept(";") {
			continue
		}
		if p.kind() == tokenEnd {
			break
		}
		from := p.pos
		p.end = from
		for p.tokens[p.end].kind != tokenEnd && p.textOf(p.end) != ";" {
			p.end++
		}
		p.pieces, p.hint = nil, ""
		s := p.statement()
		if p.err == nil && p.pos < p.end {
			p.fail("unexpected " + p.seen())
		}
		if p.err == nil {
			*s.origin() = located{script, p.pieces, p.hint}
			out = append(out, s)
		}
		p.end = 0
	}
	return out, p.err
}

// Complete tells whether a script ends in a semicolon that ends a statement, as a shell wants it.
func Complete(script string) bool {
	tokens := scan(script)
	last := len(tokens) - 1
	return tokens[last].kind == tokenEnd && last > 0 && script[tokens[last-1].start:tokens[last-1].end] == ";"
}

// parser reads one statement after the other. The first error stays, and everything after it reads as the end.
type parser struct {
	sql    string
	tokens []token
	pos    int
	end    int // the token behind the statement; 0: between statements
	hint   string
	pieces []piece
	err    error
}

// at is an error at a byte.
func (p *parser) at(offset int, reason, hint string) *SyntaxError {
	return &SyntaxError{SQL: p.sql, Offset: offset, Reason: reason, Hint: hint}
}

// fail notes an error at the next token.
func (p *parser) fail(reason string) { p.failAt(p.tokens[p.pos].start, reason) }

func (p *parser) failAt(offset int, reason string) {
	if p.err == nil {
		p.err = p.at(offset, reason, p.hint)
	}
}

// kind of the next token.
func (p *parser) kind() kind {
	if p.err != nil || p.end > 0 && p.pos >= p.end {
		return tokenEnd
	}
	return p.tokens[p.pos].kind
}

// textOf is the text of a token.
func (p *parser) textOf(i int) string { return p.sql[p.tokens[i].start:p.tokens[i].end] }

// seen is the next token, for errors.
func (p *parser) seen() string {
	if p.kind() == tokenEnd {
		return "the end of the statement"
	}
	s := p.textOf(p.pos)
	if r := []rune(s); len(r) > 40 {
		s = string(r[:40]) + "…"
	}
	return strconv.Quote(s)
}

// isAt tells whether token i is this word or sign.
func (p *parser) isAt(i int, word string) bool {
	if p.err != nil || i < 0 || i >= len(p.tokens) || p.end > 0 && i >= p.end {
		return false
	}
	k := p.tokens[i].kind
	return (k == tokenWord || k == tokenSign) && strings.EqualFold(p.textOf(i), word)
}

// is tells whether the next tokens are these words and signs.
func (p *parser) is(words ...string) bool {
	for n, w := range words {
		if !p.isAt(p.pos+n, w) {
			return false
		}
	}
	return true
}

// accept passes these words when they come next.
func (p *parser) accept(words ...string) bool {
	if !p.is(words...) {
		return false
	}
	p.pos += len(words)
	return true
}

// expect passes these words, which must come next.
func (p *parser) expect(words ...string) {
	for _, w := range words {
		if !p.accept(w) {
			p.fail("expected " + w + ", not " + p.seen())
			return
		}
	}
}

// ident reads a name without dots.
func (p *parser) ident(what string) string {
	switch p.kind() {
	case tokenWord:
		p.pos++
		return p.textOf(p.pos - 1)
	case tokenQuoted:
		p.pos++
		return unquoted(p.textOf(p.pos - 1))
	default:
		p.fail("expected " + what + ", not " + p.seen())
		return ""
	}
}

// text reads a string.
func (p *parser) text(what string) string {
	if p.kind() != tokenText {
		p.fail("expected " + what + " in single quotes, not " + p.seen())
		return ""
	}
	p.pos++
	return unquoted(p.textOf(p.pos - 1))
}

// whole reads a whole number from 0.
func (p *parser) whole(what string) int64 {
	if p.kind() == tokenNumber {
		if n, err := strconv.ParseInt(p.textOf(p.pos), 10, 64); err == nil {
			p.pos++
			return n
		}
	}
	p.fail("expected " + what + ", a whole number, not " + p.seen())
	return 0
}

// name reads the name of a table: layer.name, a quoted path, or delta.`path`.
func (p *parser) name() Name {
	if p.kind() == tokenEnd {
		p.fail("expected a table, not " + p.seen())
		return Name{}
	}
	out := Name{Offset: p.tokens[p.pos].start}
	if p.kind() == tokenText {
		out.Text = p.text("a path")
		return out
	}
	parts := []string{p.ident("a table")}
	for p.accept(".") {
		parts = append(parts, p.ident("a name"))
	}
	if len(parts) == 2 && strings.EqualFold(parts[0], "delta") && strings.ContainsAny(parts[1], "/.") {
		parts = parts[1:]
	}
	out.Text = strings.Join(parts, ".")
	return out
}

// alias reads [AS] name; "" when there is none.
func (p *parser) alias() string {
	stop := []string{"FROM", "JOIN", "ON", "SELECT", "SET", "USING", "VALUES", "WHEN", "WHERE"}
	if p.accept("AS") {
		return p.ident("a name")
	}
	if p.kind() == tokenQuoted || p.kind() == tokenWord && !slices.ContainsFunc(stop, func(w string) bool { return p.is(w) }) {
		return p.ident("a name")
	}
	return ""
}

// columns reads (a, b).
func (p *parser) columns() []string {
	p.expect("(")
	out := []string{p.column()}
	for p.accept(",") {
		out = append(out, p.column())
	}
	p.expect(")")
	return out
}

// column reads the path of a column, as a.b or with quotes, in the form that package table reads.
func (p *parser) column() string {
	from := p.pos
	p.ident("a column")
	for p.accept(".") {
		p.ident("a field")
	}
	if p.err != nil {
		return ""
	}
	if p.pos == from+1 && p.tokens[from].kind == tokenWord {
		return p.textOf(from)
	}
	return strings.TrimSpace(p.raw(from, p.pos))
}

// raw is the text from one token to before another, without comments, as the user wrote it.
func (p *parser) raw(from, to int) string { return p.render(from, to, false) }

// expressionText is the same as the engine reads it: names in backticks stand in double quotes.
func (p *parser) expressionText(from, to int) string { return p.render(from, to, true) }

func (p *parser) render(from, to int, engine bool) string {
	if from >= to {
		return ""
	}
	var b strings.Builder
	at := p.tokens[from].start
	for i := from; i < to; i++ {
		t := p.tokens[i]
		b.WriteString(blank(p.sql[at:t.start]))
		text := p.sql[t.start:t.end]
		if engine && text[0] == '`' {
			text = `"` + strings.ReplaceAll(unquoted(text), `"`, `""`) + `"`
		}
		b.WriteString(text)
		at = t.end
	}
	return b.String()
}

// blank is what lies between two tokens without its comments: as long as before, so that places stay what they are.
func blank(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, " "))
}

// until passes tokens up to one of these words or signs outside of parentheses and CASE … END, or up to the end, and
// returns where they begin and end.
func (p *parser) until(what string, words ...string) (from, to int) {
	from = p.pos
	depth, cases := 0, 0
	for p.kind() != tokenEnd {
		if depth == 0 && cases == 0 && slices.ContainsFunc(words, func(w string) bool { return p.is(w) && !p.within() }) {
			break
		}
		switch {
		case p.is("("), p.is("["), p.is("{"):
			depth++
		case p.is(")"), p.is("]"), p.is("}"):
			if depth--; depth < 0 {
				p.fail("unexpected " + p.seen())
				return from, from
			}
		case p.is("CASE"):
			cases++
		case cases > 0 && p.is("END"):
			cases--
		}
		p.pos++
	}
	if depth > 0 {
		p.fail("a parenthesis does not end")
	}
	if p.err == nil && p.pos == from {
		p.fail("expected " + what + ", not " + p.seen())
	}
	return from, p.pos
}

// within tells whether the next word belongs to what stands before it: IS [NOT] DISTINCT FROM, and a column t.set.
func (p *parser) within() bool {
	return p.pos > 0 && (p.is("FROM") && p.isAt(p.pos-1, "DISTINCT") || p.isAt(p.pos-1, "."))
}

// expression reads an expression up to one of these words.
func (p *parser) expression(what string, words ...string) string {
	from, to := p.until(what, words...)
	if p.err != nil {
		return ""
	}
	return p.piece(from, to, false)
}

// piece is text for the engine, noted with its place.
func (p *parser) piece(from, to int, query bool) string {
	text := p.expressionText(from, to)
	if from < to {
		p.pieces = append(p.pieces, piece{text, p.tokens[from].start, query})
	}
	return text
}

// enclosed reads what stands in parentheses, without them, as tokens.
func (p *parser) enclosed(what string) (from, to int) {
	p.expect("(")
	from, to = p.until(what, ")")
	p.expect(")")
	return from, to
}

// properties reads ('key' = 'value', …).
func (p *parser) properties() map[string]string {
	out := map[string]string{}
	p.expect("(")
	for p.err == nil {
		key := p.propertyKey()
		p.accept("=")
		if _, twice := out[key]; twice {
			p.fail("property " + key + " is given twice")
		}
		switch p.kind() {
		case tokenText:
			out[key] = p.text("a value")
		case tokenNumber, tokenWord:
			out[key] = p.textOf(p.pos)
			p.pos++
		default:
			p.fail("expected the value of " + key + ", not " + p.seen())
		}
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	return out
}

// propertyKey reads 'delta.x' or delta.x.
func (p *parser) propertyKey() string {
	if p.kind() == tokenText {
		return p.text("a property")
	}
	parts := []string{p.ident("a property")}
	for p.accept(".") {
		parts = append(parts, p.ident("the rest of a property"))
	}
	return strings.Join(parts, ".")
}

// parsed is what a parser of package txlog makes of tokens; its errors get their places.
func parsed[T any](p *parser, from, to int, parse func(string) (T, error)) (out T) {
	if p.err != nil {
		return out
	}
	out, err := parse(p.raw(from, to))
	if err == nil {
		return out
	}
	offset, reason := 0, err.Error()
	var at *txlog.ColumnSyntaxError
	if errors.As(err, &at) {
		offset, reason = at.Offset, at.Reason
	}
	p.failAt(p.tokens[from].start+offset, reason)
	return out
}

// refuse notes that a statement is understood and not done.
func (p *parser) refuse(offset int, what, why string) {
	p.failAt(offset, fmt.Sprintf("%s is not done here: %s", what, why))
}
