package sparksql

import (
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// Bounds of an expression: both come from outside.
const (
	bytesMax = 64 << 10
	depthMax = 100
)

// nodeKind says what a node is.
type nodeKind uint8

const (
	nodeColumn  nodeKind = iota // path
	nodeString                  // text
	nodeNumber                  // text, with sign and suffix
	nodeTyped                   // DATE '…', TIMESTAMP '…': name and text
	nodeWord                    // TRUE, FALSE, NULL: name
	nodeUnary                   // name is - or NOT
	nodeBinary                  // name is the operator
	nodeIn                      // the value, then the list
	nodeBetween                 // value, low, high
	nodeLike                    // value, pattern
	nodeIs                      // name is NULL, TRUE or FALSE
	nodeCase                    // when, then, when, then …, else (else may be missing)
	nodeCast                    // to
	nodeCall                    // name
)

// node is a part of an expression. not turns the predicates IN, BETWEEN, LIKE and IS around.
type node struct {
	kind nodeKind
	name string
	text string
	path []string
	args []*node
	to   *txlog.DataType
	not  bool
}

// Expr is an expression of Spark's SQL whose grammar is understood. It says nothing yet about columns and types.
type Expr struct {
	text string
	root *node
}

// Parse reads an expression. Errors: *Error.
func Parse(text string) (*Expr, error) {
	if len(text) > bytesMax {
		return nil, &Error{Expression: clip(text), What: fmt.Sprintf("it is longer than %d bytes", bytesMax)}
	}
	tokens, err := lex(text)
	if err != nil {
		return nil, &Error{Expression: clip(text), What: err.Error()}
	}
	p := &parser{tokens: tokens}
	root := p.expression()
	if p.err == nil && p.peek().kind != tokenEnd {
		p.fail("%q is not expected here", p.peek().text)
	}
	if p.err != nil {
		return nil, &Error{Expression: clip(text), What: p.err.Error()}
	}
	return &Expr{text: text, root: root}, nil
}

// String is the expression as it was written.
func (e *Expr) String() string { return e.text }

// parser goes down the precedences of Spark: OR, AND, NOT, predicates (IN, LIKE, BETWEEN, IS), comparisons, sums,
// products, signs. The first error stays.
type parser struct {
	tokens []token
	pos    int
	depth  int
	err    error
}

func (p *parser) fail(format string, args ...any) *node {
	if p.err == nil {
		p.err = fmt.Errorf(format, args...)
	}
	p.pos = len(p.tokens)
	return &node{kind: nodeWord, name: "NULL"}
}

func (p *parser) peek() token { return p.peekAt(0) }

func (p *parser) peekAt(n int) token {
	if p.pos+n >= len(p.tokens) {
		return token{}
	}
	return p.tokens[p.pos+n]
}

func (p *parser) take() token {
	t := p.peek()
	p.pos++
	return t
}

func (p *parser) accept(text string) bool {
	if !p.peek().is(text) {
		return false
	}
	p.pos++
	return true
}

func (p *parser) expect(text string) {
	if !p.accept(text) {
		if t := p.peek(); t.kind == tokenEnd {
			p.fail("%s is missing at the end", text)
		} else {
			p.fail("%s is expected before %q", text, t.text)
		}
	}
}

// expression is the lowest precedence.
func (p *parser) expression() *node {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > depthMax {
		return p.fail("it is nested more than %d deep", depthMax)
	}
	left := p.conjunction()
	for p.accept("OR") {
		left = &node{kind: nodeBinary, name: "OR", args: []*node{left, p.conjunction()}}
	}
	return left
}

func (p *parser) conjunction() *node {
	left := p.negation()
	for p.accept("AND") {
		left = &node{kind: nodeBinary, name: "AND", args: []*node{left, p.negation()}}
	}
	return left
}

func (p *parser) negation() *node {
	nots := 0
	for p.accept("NOT") || p.accept("!") {
		nots++
	}
	n := p.predicate()
	if nots > depthMax {
		return p.fail("it is nested more than %d deep", depthMax)
	}
	for range nots {
		n = &node{kind: nodeUnary, name: "NOT", args: []*node{n}}
	}
	return n
}

// predicate is a value with at most one predicate behind it.
func (p *parser) predicate() *node {
	n := p.comparison()
	not := p.peek().is("NOT")
	if not {
		p.pos++
	}
	switch {
	case p.accept("IN"):
		p.expect("(")
		return &node{kind: nodeIn, args: append([]*node{n}, p.list()...), not: not}
	case p.accept("BETWEEN"):
		low := p.comparison()
		p.expect("AND")
		return &node{kind: nodeBetween, args: []*node{n, low, p.comparison()}, not: not}
	case p.accept("LIKE"):
		out := &node{kind: nodeLike, args: []*node{n, p.comparison()}, not: not}
		if p.peek().is("ESCAPE") {
			return p.fail("LIKE with ESCAPE is not supported")
		}
		return out
	case not:
		return p.fail("NOT %s is not supported", p.peek().text)
	case p.accept("IS"):
		return p.is(n)
	}
	return n
}

func (p *parser) is(n *node) *node {
	not := p.accept("NOT")
	t := p.take()
	switch {
	case t.is("NULL"), t.is("TRUE"), t.is("FALSE"):
		return &node{kind: nodeIs, name: strings.ToUpper(t.text), args: []*node{n}, not: not}
	case t.is("UNKNOWN"):
		return &node{kind: nodeIs, name: "NULL", args: []*node{n}, not: not}
	case t.is("DISTINCT"):
		p.expect("FROM")
		same := &node{kind: nodeBinary, name: "<=>", args: []*node{n, p.comparison()}}
		if not {
			return same
		}
		return &node{kind: nodeUnary, name: "NOT", args: []*node{same}}
	}
	return p.fail("IS %s is not supported", t.text)
}

// list is the rest of a list in parentheses, one item at least.
func (p *parser) list() []*node {
	if p.peek().is("SELECT") {
		p.fail("subqueries are not supported")
	}
	var out []*node
	for {
		out = append(out, p.expression())
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	return out
}

func (p *parser) comparison() *node {
	return p.binary(p.sum, "<=>", "<>", "!=", "==", "<=", ">=", "=", "<", ">")
}

func (p *parser) sum() *node { return p.binary(p.product, "+", "-", "||") }

func (p *parser) product() *node { return p.binary(p.unary, "*", "/", "%", "DIV") }

// binary is operands of a higher precedence with these operators between them, from the left.
func (p *parser) binary(operand func() *node, operators ...string) *node {
	left := operand()
next:
	for count := 0; ; count++ {
		if count > 10*depthMax {
			return p.fail("it has too many operators in a row")
		}
		for _, op := range operators {
			if p.accept(op) {
				left = &node{kind: nodeBinary, name: op, args: []*node{left, operand()}}
				continue next
			}
		}
		return left
	}
}

func (p *parser) unary() *node {
	negative, signs := false, 0
	for ; p.peek().is("-") || p.peek().is("+"); signs++ {
		if p.take().text == "-" {
			negative = !negative
		}
	}
	if signs > 1 {
		return p.fail("more than one sign in a row is not supported")
	}
	if negative && p.peek().kind == tokenNumber { // one literal: the smallest numbers have no positive counterpart
		n := p.postfix()
		if n.kind == nodeNumber {
			n.text = "-" + n.text
			return n
		}
		return &node{kind: nodeUnary, name: "-", args: []*node{n}}
	}
	n := p.postfix()
	if negative {
		n = &node{kind: nodeUnary, name: "-", args: []*node{n}}
	}
	return n
}

// postfix is a value with its fields and casts.
func (p *parser) postfix() *node {
	n := p.primary()
	for count := 0; ; count++ {
		switch {
		case count > depthMax:
			return p.fail("it is nested more than %d deep", depthMax)
		case p.accept("::"):
			n = &node{kind: nodeCast, to: p.dataType(), args: []*node{n}}
		case p.peek().is("["), p.peek().is("."):
			return p.fail("access to elements is not supported")
		default:
			return n
		}
	}
}

func (p *parser) primary() *node {
	t := p.take()
	switch t.kind {
	case tokenEnd:
		return p.fail("a value is missing at the end")
	case tokenNumber:
		return &node{kind: nodeNumber, text: t.text}
	case tokenString:
		if p.peek().kind == tokenString {
			return p.fail("strings in a row are not supported")
		}
		return &node{kind: nodeString, text: t.text}
	case tokenQuoted:
		return p.column(t.text)
	case tokenSign:
		if t.text == "(" {
			if p.peek().is("SELECT") {
				return p.fail("subqueries are not supported")
			}
			n := p.expression()
			p.expect(")")
			return n
		}
		return p.fail("%s is not supported", t.text)
	case tokenWord:
	}
	return p.word(t.text)
}

// word is what begins with a word: a constant, CASE, CAST, a function or a column.
func (p *parser) word(name string) *node {
	next := p.peek()
	switch upper := strings.ToUpper(name); {
	case upper == "TRUE" || upper == "FALSE" || upper == "NULL":
		return &node{kind: nodeWord, name: upper}
	case upper == "CASE":
		return p.caseWhen()
	case upper == "CAST" && p.accept("("):
		n := p.expression()
		p.expect("AS")
		out := &node{kind: nodeCast, to: p.dataType(), args: []*node{n}}
		p.expect(")")
		return out
	case next.kind == tokenString:
		switch upper {
		case "DATE", "TIMESTAMP", "TIMESTAMP_NTZ", "TIMESTAMP_LTZ":
			p.take()
			return &node{kind: nodeTyped, name: upper, text: next.text}
		}
		return p.fail("%s before a string is not supported", name)
	case next.is("("):
		p.take()
		return p.call(name)
	case reserved(upper):
		return p.fail("%s is not supported here", name)
	}
	return p.column(name)
}

// reserved words cannot be columns without backticks; that they are met means that something is missing before them.
func reserved(upper string) bool {
	switch upper {
	case "AND", "OR", "NOT", "IN", "BETWEEN", "LIKE", "ILIKE", "RLIKE", "REGEXP", "IS", "WHEN", "THEN", "ELSE", "END",
		"SELECT", "FROM", "WHERE", "INTERVAL", "EXISTS", "DISTINCT", "AS", "DIV", "OVER":
		return true
	}
	return false
}

func (p *parser) column(name string) *node {
	n := &node{kind: nodeColumn, path: []string{name}}
	for p.peek().is(".") {
		p.take()
		t := p.take()
		if t.kind != tokenWord && t.kind != tokenQuoted {
			return p.fail("a name is expected behind %s.", strings.Join(n.path, "."))
		}
		n.path = append(n.path, t.text)
	}
	return n
}

func (p *parser) call(name string) *node {
	n := &node{kind: nodeCall, name: strings.ToLower(name)}
	if p.accept(")") {
		return n
	}
	if p.peek().is("DISTINCT") || p.peek().is("ALL") || p.peek().is("*") {
		return p.fail("%s(%s …) is not supported", name, p.peek().text)
	}
	if s := p.peekAt(1); s.kind == tokenWord && p.peek().kind == tokenWord && s.is("FROM") || p.peek().is("BOTH") ||
		p.peek().is("LEADING") || p.peek().is("TRAILING") {
		return p.fail("%s(… FROM …) is not supported", name)
	}
	n.args = p.list()
	if p.peek().is("OVER") || p.peek().is("FILTER") {
		return p.fail("%s(…) %s is not supported", name, p.peek().text)
	}
	return n
}

func (p *parser) caseWhen() *node {
	n := &node{kind: nodeCase}
	var subject *node
	if !p.peek().is("WHEN") {
		subject = p.expression()
	}
	for p.accept("WHEN") {
		when := p.expression()
		if subject != nil {
			when = &node{kind: nodeBinary, name: "=", args: []*node{subject, when}}
		}
		p.expect("THEN")
		n.args = append(n.args, when, p.expression())
	}
	if len(n.args) == 0 {
		return p.fail("CASE without WHEN")
	}
	if p.accept("ELSE") {
		n.args = append(n.args, p.expression())
	}
	p.expect("END")
	return n
}

// dataType reads the name of a type: a word, decimals with their digits.
func (p *parser) dataType() *txlog.DataType {
	t := p.take()
	if t.kind != tokenWord {
		p.fail("a type is expected before %q", t.text)
		return nil
	}
	text := t.text
	if p.accept("(") {
		text += "("
		for !p.peek().is(")") && p.err == nil {
			if p.peek().kind == tokenEnd {
				p.fail("the type %s does not end", text)
			}
			text += p.take().text
		}
		p.expect(")")
		text += ")"
	}
	if p.err != nil {
		return nil
	}
	if p.peek().is("<") {
		p.fail("a cast to %s<…> is not supported", text)
		return nil
	}
	out, err := txlog.ParseType(text)
	if err != nil || out.Kind == txlog.KindUnknown || out.Nested() {
		p.fail("the type %s is not supported", text)
		return nil
	}
	return out
}
