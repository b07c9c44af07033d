package txlog

import (
	"encoding/binary"
	"unicode/utf8"
)

// What a log is made of is mostly text: paths and statistics. These read it eight bytes at a time and without a copy.

const (
	onesOfBytes = 0x0101010101010101
	highOfBytes = 0x8080808080808080
)

// plainText is the length of the run at the start of b in which nothing has a meaning to JSON: no quote, no backslash, no
// control character, and nothing beyond ASCII, which has to be checked.
func plainText(b []byte) int {
	n := 0
	for ; len(b)-n >= 8; n += 8 {
		x := binary.LittleEndian.Uint64(b[n:])
		quote, slash := x^(onesOfBytes*'"'), x^(onesOfBytes*'\\')
		special := x | (x - onesOfBytes*0x20) | (quote - onesOfBytes) | (slash - onesOfBytes)
		if special&highOfBytes != 0 {
			break
		}
	}
	for ; n < len(b); n++ {
		if c := b[n]; c == '"' || c == '\\' || c < 0x20 || c >= utf8.RuneSelf {
			break
		}
	}
	return n
}

// members is object for callers that only look at the key: it is a part of the text and changes with it.
func (r *jsonReader) members(member func(key []byte)) {
	if r.null() || r.err != nil || !r.expect('{') || !r.enter() {
		return
	}
	defer r.leave()
	if r.peek() == '}' {
		r.pos++
		return
	}
	for r.err == nil {
		key := r.view()
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

// view reads a string as text does. Where it has no escapes it is a part of the text that is read.
func (r *jsonReader) view() []byte {
	if r.peek() == '"' {
		from := r.pos + 1
		if to := from + plainText(r.b[from:]); to < len(r.b) && r.b[to] == '"' {
			r.pos = to + 1
			return r.b[from:to]
		}
	}
	return []byte(r.text())
}
