package parquetio

import (
	"encoding/binary"
	"fmt"
)

// thriftWalker walks the compact Thrift protocol without building anything. The decoders that follow, ours and those
// of engines, allocate lists by the length that the bytes claim and recurse as deep as they nest: a few hostile bytes
// must not become gigabytes or end the stack.
type thriftWalker struct {
	b   []byte
	pos int
	err error
}

// Types of the compact protocol.
const (
	thriftTrue, thriftFalse, thriftByte = 1, 2, 3
	thriftI16, thriftI32, thriftI64     = 4, 5, 6
	thriftDouble, thriftBinary          = 7, 8
	thriftList, thriftSet, thriftMap    = 9, 10, 11
	thriftStruct, thriftUUID            = 12, 13
)

const thriftDepthMax = 64

func (w *thriftWalker) fail(format string, args ...any) {
	if w.err == nil {
		w.err = fmt.Errorf("thrift at byte %d: %w", w.pos, fmt.Errorf(format, args...))
	}
}

func (w *thriftWalker) byte() byte {
	if w.err != nil || w.pos >= len(w.b) {
		w.fail("cut short")
		return 0
	}
	w.pos++
	return w.b[w.pos-1]
}

func (w *thriftWalker) uvarint() uint64 {
	if w.err != nil {
		return 0
	}
	v, n := binary.Uvarint(w.b[w.pos:])
	if n <= 0 {
		w.fail("bad number")
		return 0
	}
	w.pos += n
	return v
}

// whole reads a whole number of any width.
func (w *thriftWalker) whole() int64 {
	u := w.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// binary reads a text without copying it.
func (w *thriftWalker) binary() []byte {
	n, from := w.uvarint(), w.pos
	w.skip(n)
	if w.err != nil {
		return nil
	}
	return w.b[from:w.pos]
}

// left is the number of bytes that are not read yet.
func (w *thriftWalker) left() uint64 {
	return uint64(max(len(w.b)-w.pos, 0))
}

func (w *thriftWalker) skip(n uint64) {
	if w.err != nil {
		return
	}
	if n > w.left() {
		w.fail("%d bytes claimed, %d left", n, len(w.b)-w.pos)
		return
	}
	w.pos += int(n) //nolint:gosec // bounded by the length
}

// structure walks one struct. take is offered each field and tells whether it has read the value; nil reads none.
func (w *thriftWalker) structure(depth int, take func(id int64, kind byte) bool) {
	if depth > thriftDepthMax {
		w.fail("nested too deep")
	}
	var field int64
	for w.err == nil {
		head := w.byte()
		if head == 0 {
			return
		}
		if delta := int64(head >> 4); delta != 0 {
			field += delta
		} else {
			field = w.whole()
		}
		kind := head & 0x0f
		if w.err == nil && (take == nil || !take(field, kind)) {
			w.value(kind, depth, false)
		}
	}
}

// value walks over a value that nobody wants.
func (w *thriftWalker) value(kind byte, depth int, inList bool) {
	if depth > thriftDepthMax {
		w.fail("nested too deep")
	}
	switch kind {
	case thriftTrue, thriftFalse:
		if inList { // in a field the type is the value
			w.skip(1)
		}
	case thriftByte:
		w.skip(1)
	case thriftI16, thriftI32, thriftI64:
		w.uvarint()
	case thriftDouble:
		w.skip(8)
	case thriftUUID:
		w.skip(16)
	case thriftBinary:
		w.skip(w.uvarint())
	case thriftList, thriftSet:
		n, of := w.listHead(2)
		for i := uint64(0); i < n && w.err == nil; i++ {
			w.value(of, depth+1, true)
		}
	case thriftMap:
		n := w.uvarint()
		if n == 0 {
			return
		}
		kinds := w.byte()
		if n > w.left() {
			w.fail("map of %d entries in %d bytes", n, len(w.b)-w.pos)
		}
		for i := uint64(0); i < n && w.err == nil; i++ {
			w.value(kinds>>4, depth+1, true)
			w.value(kinds&0x0f, depth+1, true)
		}
	case thriftStruct:
		w.structure(depth+1, nil)
	default:
		w.fail("unknown type %d", kind)
	}
}

// listHead reads the length and type of a list and refuses lengths that the bytes left cannot hold. least is the
// size of the smallest struct that may stand in it.
func (w *thriftWalker) listHead(least uint64) (n uint64, kind byte) {
	head := w.byte()
	n, kind = uint64(head>>4), head&0x0f
	if n == 15 {
		n = w.uvarint()
	}
	if kind != thriftStruct {
		least = 1
	}
	if w.err == nil && n > w.left()/least {
		w.fail("list of %d elements in %d bytes", n, len(w.b)-w.pos)
	}
	if w.err != nil {
		return 0, kind
	}
	return n, kind
}
