package sparksql

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tokenKind is the family of a token.
type tokenKind uint8

const (
	tokenEnd tokenKind = iota
	tokenWord
	tokenQuoted // an identifier in backticks
	tokenString
	tokenNumber
	tokenSign
)

// token is a piece of an expression. text is the word, the name without backticks, the text that a string stands for,
// the number with its suffix, or the sign.
type token struct {
	kind tokenKind
	text string
}

// is tells whether the token is a keyword or a sign.
func (t token) is(text string) bool {
	return (t.kind == tokenWord || t.kind == tokenSign) && strings.EqualFold(t.text, text)
}

// lex cuts an expression into tokens.
func lex(text string) ([]token, error) {
	var out []token
	for rest := text; ; {
		rest = strings.TrimLeft(rest, " \t\r\n")
		if rest == "" {
			return out, nil
		}
		t, n, err := lexOne(rest)
		if err != nil {
			return nil, err
		}
		out = append(out, t)
		rest = rest[n:]
	}
}

// lexOne reads the token that rest begins with, and its length.
func lexOne(rest string) (token, int, error) {
	c, _ := utf8.DecodeRuneInString(rest)
	switch {
	case c == '\'' || c == '"':
		return lexString(rest)
	case c == '`':
		return lexQuoted(rest)
	case c >= '0' && c <= '9', c == '.' && len(rest) > 1 && rest[1] >= '0' && rest[1] <= '9':
		return lexNumber(rest)
	case c == '_' || unicode.IsLetter(c):
		n := strings.IndexFunc(rest, func(c rune) bool { return c != '_' && !unicode.IsLetter(c) && (c < '0' || c > '9') })
		if n < 0 {
			n = len(rest)
		}
		return token{tokenWord, rest[:n]}, n, nil
	}
	for _, sign := range []string{"--", "/*"} {
		if strings.HasPrefix(rest, sign) {
			return token{}, 0, fmt.Errorf("comments are not supported")
		}
	}
	for _, sign := range []string{"<=>", "<=", ">=", "<>", "!=", "==", "||", "::", "->"} {
		if strings.HasPrefix(rest, sign) {
			return token{tokenSign, sign}, len(sign), nil
		}
	}
	if strings.ContainsRune("=<>!+-*/%(),.[]&|^~", c) {
		return token{tokenSign, string(c)}, 1, nil
	}
	return token{}, 0, fmt.Errorf("character %q is not known", c)
}

func lexQuoted(rest string) (token, int, error) {
	var name strings.Builder
	for i := 1; i < len(rest); i++ {
		if rest[i] != '`' {
			name.WriteByte(rest[i])
			continue
		}
		if i+1 < len(rest) && rest[i+1] == '`' {
			name.WriteByte('`')
			i++
			continue
		}
		return token{tokenQuoted, name.String()}, i + 1, nil
	}
	return token{}, 0, fmt.Errorf("a backtick does not end")
}

// lexNumber reads digits, a fraction, an exponent, and the letters that give the number a type.
func lexNumber(rest string) (token, int, error) {
	i := 0
	digits := func() {
		for i < len(rest) && rest[i] >= '0' && rest[i] <= '9' {
			i++
		}
	}
	digits()
	if i < len(rest) && rest[i] == '.' {
		i++
		digits()
	}
	if i < len(rest) && (rest[i] == 'e' || rest[i] == 'E') {
		k := i + 1
		if k < len(rest) && (rest[k] == '+' || rest[k] == '-') {
			k++
		}
		if k < len(rest) && rest[k] >= '0' && rest[k] <= '9' {
			i = k
			digits()
		}
	}
	for i < len(rest) && (rest[i] == '_' || rest[i] >= 'a' && rest[i] <= 'z' || rest[i] >= 'A' && rest[i] <= 'Z') {
		i++
	}
	return token{tokenNumber, rest[:i]}, i, nil
}

// lexString reads a string. Spark has backslash escapes in both kinds of quotes; \% and \_ stay as they are, for LIKE.
// A doubled quote has had two meanings in Spark's life, so that it is refused.
func lexString(rest string) (token, int, error) {
	quote := rest[0]
	var text strings.Builder
	for i := 1; i < len(rest); {
		switch c := rest[i]; {
		case c == quote:
			if i+1 < len(rest) && rest[i+1] == quote {
				return token{}, 0, fmt.Errorf("a doubled quote in a string is not supported")
			}
			return token{tokenString, text.String()}, i + 1, nil
		case c == '\\' && i+1 < len(rest):
			n, err := unescape(&text, rest[i+1:])
			if err != nil {
				return token{}, 0, err
			}
			i += 1 + n
		default:
			text.WriteByte(c)
			i++
		}
	}
	return token{}, 0, fmt.Errorf("a string does not end")
}

// unescape writes what the escape that follows a backslash stands for and returns its length.
func unescape(to *strings.Builder, rest string) (int, error) {
	switch c := rest[0]; c {
	case 'b':
		to.WriteByte('\b')
	case 'n':
		to.WriteByte('\n')
	case 'r':
		to.WriteByte('\r')
	case 't':
		to.WriteByte('\t')
	case 'Z':
		to.WriteByte(0x1a)
	case '%', '_':
		to.WriteString(`\` + string(c))
	case 'u', 'U':
		n := 4
		if c == 'U' {
			n = 8
		}
		if len(rest) <= n {
			return 0, fmt.Errorf("the escape \\%c needs %d digits", c, n)
		}
		v, err := strconv.ParseUint(rest[1:1+n], 16, 32)
		if err != nil || v == 0 || v > unicode.MaxRune || v >= 0xd800 && v < 0xe000 {
			return 0, fmt.Errorf("the escape \\%s is no character", rest[:1+n])
		}
		to.WriteRune(rune(v))
		return 1 + n, nil
	case '\\', '\'', '"':
		to.WriteByte(c)
	default:
		return 0, fmt.Errorf("the escape \\%c is not supported", c)
	}
	return 1, nil
}
