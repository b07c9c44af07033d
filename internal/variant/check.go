// Package variant checks the binary form of values of type variant before an engine decodes them: a decoder that
// believes an offset reads beside the value, and one that follows nested values recurses as deep as they claim to go.
//
// Format: "Variant Binary Encoding" of the Parquet format: two byte strings, the metadata, which is a dictionary of
// field names, and the value, whose objects name their fields by their place in it.
package variant

import (
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// ErrMalformed says that bytes are no variant. Terminal.
var ErrMalformed = errors.New("malformed variant")

// DepthMax bounds how deep values may nest.
const DepthMax = 200

// version is the only one of the encoding that there is.
const version = 1

// Check reads a whole value and refuses what a decoder could stumble over. It allocates nothing and reads each byte
// a bounded number of times. Bytes after the value are ignored. Errors: [ErrMalformed].
func Check(metadata, value string) error {
	names, err := Names(metadata)
	if err != nil {
		return err
	}
	return checkValue(value, names)
}

// CheckShredded is Check for the bytes that are left of a shredded value, whose metadata stands elsewhere: field names
// are not looked up. Errors: [ErrMalformed].
func CheckShredded(value string) error { return checkValue(value, math.MaxInt64) }

// Names reads a dictionary and counts its names. The bytes must end with it. Errors: [ErrMalformed].
func Names(metadata string) (int64, error) {
	if len(metadata) == 0 {
		return 0, malformed("empty metadata")
	}
	head := metadata[0]
	if head&0x0f != version {
		return 0, malformed("version %d", head&0x0f)
	}
	c := cursor{b: metadata, at: 1}
	width := int(head>>6) + 1
	n := c.number(width)
	offsets := c.at
	text, ok := c.after((n + 1) * int64(width))
	if !ok {
		return 0, malformed("a dictionary of %d names in %d bytes", n, len(metadata))
	}
	last := int64(0)
	for i := int64(0); i <= n; i++ {
		next := at(metadata, offsets, i, width)
		if next < last || next > int64(len(text)) || i == 0 && next != 0 {
			return 0, malformed("name %d of the dictionary lies outside of it", i)
		}
		if !utf8.ValidString(text[last:next]) {
			return 0, malformed("name %d of the dictionary is not UTF-8", i)
		}
		last = next
	}
	if last != int64(len(text)) {
		return 0, malformed("%d bytes after the dictionary", int64(len(text))-last)
	}
	return n, nil
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, args...))
}

func checkValue(value string, names int64) error {
	_, err := size(value, names, 0)
	return err
}

// cursor takes numbers off the front of bytes. Past the end they are 0, and after tells.
type cursor struct {
	b  string
	at int64
}

func (c *cursor) number(width int) int64 {
	n := at(c.b, c.at, 0, width)
	c.at += int64(width)
	return n
}

// after is what follows the next n bytes; ok is false where there are fewer.
func (c *cursor) after(n int64) (rest string, ok bool) {
	if n < 0 || c.at > int64(len(c.b)) || n > int64(len(c.b))-c.at {
		return "", false
	}
	c.at += n
	return c.b[c.at:], true
}

// at is number i of a list of little-endian numbers that begins at from; 0 past the end.
func at(b string, from, i int64, width int) int64 {
	from += i * int64(width)
	if from+int64(width) > int64(len(b)) {
		return 0
	}
	var n int64
	for j := range width {
		n |= int64(b[from+int64(j)]) << (8 * j)
	}
	return n
}

// The two low bits of the first byte of a value.
const (
	basicPrimitive = iota
	basicShortString
	basicObject
	basicArray
)

// size is the length of the value at the front of b, once it and everything inside of it was found sound.
func size(b string, names int64, depth int) (int64, error) {
	switch {
	case len(b) == 0:
		return 0, malformed("a value without bytes")
	case depth > DepthMax:
		return 0, malformed("values nested deeper than %d", DepthMax)
	}
	head := b[0] >> 2
	switch b[0] & 3 {
	case basicPrimitive:
		return primitive(b, head)
	case basicShortString:
		return text(b, 1, int64(head))
	case basicObject:
		return container(b, names, depth, head>>4&1 == 1, int(head>>2&3)+1, int(head&3)+1)
	default:
		return container(b, names, depth, head>>2&1 == 1, 0, int(head&3)+1)
	}
}

// Types of primitive values whose length is not that of their family.
const (
	typeDecimal4, typeDecimal16 = 8, 10
	typeBinary, typeString      = 15, 16
)

// decimalScaleMax is the largest scale that a decimal may have.
const decimalScaleMax = 38

// lengths are those of the primitive types in order, without their first byte; the two with a length of their own
// have that of its number.
const lengths = "\x00\x00\x00\x01\x02\x04\x08\x08\x05\x09\x11\x04\x08\x08\x04\x04\x04\x08\x08\x08\x10"

func primitive(b string, kind byte) (int64, error) {
	if int(kind) >= len(lengths) {
		return 0, malformed("unknown type %d", kind)
	}
	n := 1 + int64(lengths[kind])
	if n > int64(len(b)) {
		return 0, malformed("a value of %d bytes where %d are left", n, len(b))
	}
	switch {
	case kind == typeString:
		return text(b, n, at(b, 1, 0, 4))
	case kind == typeBinary:
		if n += at(b, 1, 0, 4); n > int64(len(b)) {
			return 0, malformed("a value of %d bytes where %d are left", n, len(b))
		}
	case kind >= typeDecimal4 && kind <= typeDecimal16 && b[1] > decimalScaleMax:
		return 0, malformed("a decimal of scale %d", b[1])
	}
	return n, nil
}

// text is the length of a string of n bytes that begins at from.
func text(b string, from, n int64) (int64, error) {
	if from+n > int64(len(b)) {
		return 0, malformed("a string of %d bytes where %d are left", n, int64(len(b))-from)
	}
	if !utf8.ValidString(b[from : from+n]) {
		return 0, malformed("a string that is not UTF-8")
	}
	return from + n, nil
}

// container is the length of an object, or of an array, which has no ids: width 0. What is inside may stand in any
// order but not share bytes, or a few of them could stand for any number of values.
func container(b string, names int64, depth int, large bool, idWidth, offsetWidth int) (int64, error) {
	c := cursor{b: b, at: 1}
	countWidth := 1
	if large {
		countWidth = 4
	}
	n := c.number(countWidth)
	ids := c.at
	if _, ok := c.after(n * int64(idWidth)); !ok {
		return 0, malformed("%d fields in %d bytes", n, len(b))
	}
	offsets := c.at
	inside, ok := c.after((n + 1) * int64(offsetWidth))
	if !ok {
		return 0, malformed("%d values in %d bytes", n, len(b))
	}
	total := at(b, offsets, n, offsetWidth)
	if total > int64(len(inside)) {
		return 0, malformed("values of %d bytes where %d are left", total, len(inside))
	}
	inside = inside[:total]
	left := total
	for i := range n {
		if idWidth > 0 {
			if id := at(b, ids, i, idWidth); id >= names {
				return 0, malformed("field %d of a dictionary of %d names", id, names)
			}
		}
		from := at(b, offsets, i, offsetWidth)
		if from > total {
			return 0, malformed("value %d lies outside", i)
		}
		one, err := size(inside[from:], names, depth+1)
		if err != nil {
			return 0, err
		}
		if left -= one; left < 0 {
			return 0, malformed("values share bytes")
		}
	}
	return c.at + total, nil
}
