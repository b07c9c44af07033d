package txlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// jsonReader walks one JSON text. The standard decoder matches keys without regard to case and turns numbers into
// floats; a log needs exact keys, whole numbers, and unknown values kept as they were written. The first error
// stays: every later call returns at once, so that callers check err once at the end.
type jsonReader struct {
	b     []byte
	pos   int
	depth int
	err   error
}

// jsonDepthMax bounds the nesting of any JSON text, so that recursion cannot exhaust the stack.
const jsonDepthMax = 512

var errJSONSyntax = errors.New("malformed JSON")

func newJSONReader(b []byte) *jsonReader { return &jsonReader{b: b} }

func (r *jsonReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w at byte %d: %s", errJSONSyntax, r.pos, fmt.Sprintf(format, args...))
	}
}

func (r *jsonReader) space() {
	for r.pos < len(r.b) {
		switch r.b[r.pos] {
		case ' ', '\t', '\n', '\r':
			r.pos++
		default:
			return
		}
	}
}

// peek returns the first byte of the next token, 0 at the end.
func (r *jsonReader) peek() byte {
	r.space()
	if r.err != nil || r.pos >= len(r.b) {
		return 0
	}
	return r.b[r.pos]
}

func (r *jsonReader) expect(c byte) bool {
	if r.peek() != c {
		r.fail("expected %q", c)
		return false
	}
	r.pos++
	return true
}

// end fails unless nothing but space is left.
func (r *jsonReader) end() error {
	if r.peek() != 0 || (r.err == nil && r.pos < len(r.b)) {
		r.fail("text after the value")
	}
	return r.err
}

// null consumes the word null if it is next.
func (r *jsonReader) null() bool {
	if r.peek() != 'n' {
		return false
	}
	r.word("null")
	return true
}

func (r *jsonReader) word(w string) {
	if len(r.b)-r.pos < len(w) || string(r.b[r.pos:r.pos+len(w)]) != w {
		r.fail("unknown word")
		return
	}
	r.pos += len(w)
}

// object calls member for each key, in order; member must consume the value. A null counts as an empty object.
func (r *jsonReader) object(member func(key string)) {
	if r.null() || r.err != nil || !r.expect('{') || !r.enter() {
		return
	}
	defer r.leave()
	if r.peek() == '}' {
		r.pos++
		return
	}
	for r.err == nil {
		key := r.text()
		if !r.expect(':') {
			return
		}
		before := r.pos
		member(key)
		if r.err == nil && r.pos == before {
			r.fail("value of %q was not read", key)
		}
		switch r.peek() {
		case ',':
			r.pos++
		case '}':
			r.pos++
			return
		default:
			r.fail("expected ',' or '}'")
		}
	}
}

// eachKey calls f with the keys of an object and skips the values.
func (r *jsonReader) eachKey(f func(key string)) {
	r.object(func(key string) {
		f(key)
		r.skip()
	})
}

// array calls element for each element; element must consume it. A null counts as an empty array.
func (r *jsonReader) array(element func()) {
	if r.null() || r.err != nil || !r.expect('[') || !r.enter() {
		return
	}
	defer r.leave()
	if r.peek() == ']' {
		r.pos++
		return
	}
	for r.err == nil {
		element()
		switch r.peek() {
		case ',':
			r.pos++
		case ']':
			r.pos++
			return
		default:
			r.fail("expected ',' or ']'")
		}
	}
}

func (r *jsonReader) enter() bool {
	r.depth++
	if r.depth > jsonDepthMax {
		r.fail("nested deeper than %d", jsonDepthMax)
		return false
	}
	return true
}

func (r *jsonReader) leave() { r.depth-- }

// text reads a string; null reads as "".
func (r *jsonReader) text() string {
	if r.null() || r.err != nil || !r.expect('"') {
		return ""
	}
	start := r.pos
	r.pos += plainText(r.b[start:])
	if r.pos < len(r.b) && r.b[r.pos] == '"' {
		r.pos++
		return string(r.b[start : r.pos-1])
	}
	for r.pos < len(r.b) {
		switch c := r.b[r.pos]; {
		case c == '"':
			s := r.b[start:r.pos]
			if !utf8.Valid(s) {
				r.fail("string is not UTF-8")
				return ""
			}
			r.pos++
			return string(s)
		case c == '\\':
			return r.escaped(start)
		case c < 0x20:
			r.fail("control character in a string")
			return ""
		default:
			r.pos++
		}
	}
	r.fail("string does not end")
	return ""
}

// escaped reads the rest of a string whose first escape is at the current position.
func (r *jsonReader) escaped(start int) string {
	out := append(make([]byte, 0, r.pos-start+32), r.b[start:r.pos]...)
	for r.pos < len(r.b) {
		c := r.b[r.pos]
		switch {
		case c == '"':
			if !utf8.Valid(out) {
				r.fail("string is not UTF-8")
				return ""
			}
			r.pos++
			return string(out)
		case c < 0x20:
			r.fail("control character in a string")
			return ""
		case c != '\\':
			out = append(out, c)
			r.pos++
			continue
		}
		if r.pos+1 >= len(r.b) {
			break
		}
		r.pos += 2
		switch e := r.b[r.pos-1]; e {
		case '"', '\\', '/':
			out = append(out, e)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			out = utf8.AppendRune(out, r.unicode())
		default:
			r.fail("unknown escape")
		}
		if r.err != nil {
			return ""
		}
	}
	r.fail("string does not end")
	return ""
}

// unicode reads the four digits of an escape, and a second escape where the first is half of a surrogate pair.
func (r *jsonReader) unicode() rune {
	first := r.hex4()
	if !utf16.IsSurrogate(first) {
		return first
	}
	if r.err == nil && len(r.b)-r.pos >= 6 && r.b[r.pos] == '\\' && r.b[r.pos+1] == 'u' {
		back := r.pos
		r.pos += 2
		if pair := utf16.DecodeRune(first, r.hex4()); pair != utf8.RuneError {
			return pair
		}
		r.pos = back
	}
	return utf8.RuneError
}

func (r *jsonReader) hex4() rune {
	if len(r.b)-r.pos < 4 {
		r.fail("short unicode escape")
		return 0
	}
	v, err := strconv.ParseUint(string(r.b[r.pos:r.pos+4]), 16, 32)
	if err != nil {
		r.fail("bad unicode escape")
		return 0
	}
	r.pos += 4
	return rune(v) //nolint:gosec // 16 bits
}

// number returns the digits of a number as they are written.
func (r *jsonReader) number() string { return string(r.digits()) }

// digits is number without a copy.
func (r *jsonReader) digits() []byte {
	r.space()
	start := r.pos
	for r.pos < len(r.b) {
		switch c := r.b[r.pos]; {
		case c >= '0' && c <= '9', c == '-', c == '+', c == '.', c == 'e', c == 'E':
			r.pos++
			continue
		}
		break
	}
	s := r.b[start:r.pos]
	if len(s) == 0 || !validNumber(s) {
		r.pos = start
		r.fail("expected a number")
		return nil
	}
	return s
}

// validNumber tells whether s follows the JSON grammar of numbers.
func validNumber(s []byte) bool {
	i := 0
	digits := func() bool {
		from := i
		for i < len(s) && s[i] >= '0' && s[i] <= '9' {
			i++
		}
		return i > from
	}
	if i < len(s) && s[i] == '-' {
		i++
	}
	if i < len(s) && s[i] == '0' {
		i++
	} else if !digits() {
		return false
	}
	if i < len(s) && s[i] == '.' {
		i++
		if !digits() {
			return false
		}
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		if !digits() {
			return false
		}
	}
	return i == len(s)
}

// int64 reads a whole number; fractions and exponents are errors.
func (r *jsonReader) int64() int64 {
	s := r.number()
	if r.err != nil {
		return 0
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		r.fail("%s is not a 64-bit whole number", clip(s))
	}
	return v
}

// int32 reads a whole number of 32 bits.
func (r *jsonReader) int32() int32 {
	v := r.int64()
	if v != int64(int32(v)) { //nolint:gosec // the comparison is the check
		r.fail("%d is not a 32-bit whole number", v)
		return 0
	}
	return int32(v) //nolint:gosec // checked above
}

// optionalInt64 reads a whole number, nil for null.
func (r *jsonReader) optionalInt64() *int64 {
	if r.null() || r.err != nil {
		return nil
	}
	v := r.int64()
	return &v
}

// boolean reads true or false; null reads as false.
func (r *jsonReader) boolean() bool {
	switch r.peek() {
	case 't':
		r.word("true")
		return r.err == nil
	case 'f':
		r.word("false")
	case 'n':
		r.word("null")
	default:
		r.fail("expected true or false")
	}
	return false
}

// texts reads an array of strings; nil for null, empty but not nil for [].
func (r *jsonReader) texts() []string {
	if r.null() || r.err != nil {
		return nil
	}
	list := []string{}
	r.array(func() {
		if r.peek() != '"' {
			r.fail("expected a string")
			return
		}
		list = append(list, r.text())
	})
	return list
}

// textMap reads an object of strings; nil for null. Null values read as "".
func (r *jsonReader) textMap() map[string]string {
	if r.null() || r.err != nil {
		return nil
	}
	m := map[string]string{}
	r.object(func(key string) { m[key] = r.text() })
	return m
}

// looseTextMap reads an object whose values may be anything; what is not a string is kept as its JSON text.
func (r *jsonReader) looseTextMap() map[string]string {
	if r.null() || r.err != nil {
		return nil
	}
	m := map[string]string{}
	r.object(func(key string) {
		switch r.peek() {
		case '"', 'n':
			m[key] = r.text()
		default:
			m[key] = string(r.raw())
		}
	})
	return m
}

// raw returns the next value as it is written, checked for syntax.
func (r *jsonReader) raw() json.RawMessage {
	r.space()
	start := r.pos
	r.skip()
	if r.err != nil {
		return nil
	}
	return append(json.RawMessage(nil), r.b[start:r.pos]...)
}

// skip consumes one value of any kind.
func (r *jsonReader) skip() {
	switch c := r.peek(); c {
	case '{':
		r.members(func([]byte) { r.skip() })
	case '[':
		r.array(r.skip)
	case '"':
		r.view()
	case 't':
		r.word("true")
	case 'f':
		r.word("false")
	case 'n':
		r.word("null")
	case 0:
		r.fail("value is missing")
	default:
		r.digits()
	}
}

// node reads any value: nil, bool, string, json.Number, []any or map[string]any. Numbers keep their digits.
func (r *jsonReader) node() any {
	switch r.peek() {
	case '{':
		m := map[string]any{}
		r.object(func(key string) { m[key] = r.node() })
		return m
	case '[':
		list := []any{}
		r.array(func() { list = append(list, r.node()) })
		return list
	case '"':
		return r.text()
	case 't', 'f':
		return r.boolean()
	case 'n':
		r.word("null")
		return nil
	}
	return json.Number(r.number())
}

// clip shortens a piece of input for an error message.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	cut := most
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
