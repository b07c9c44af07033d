package parquetio

import (
	"encoding/binary"
	"fmt"
)

// checkThrift walks a footer in the compact Thrift protocol without building anything. The decoder that follows
// allocates lists by the length that the bytes claim: a few hostile bytes must not become gigabytes.
func checkThrift(b []byte) error {
	w := thriftWalker{b: b}
	w.structure(0, footerStruct)
	return w.err
}

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

// role names the structs whose lists grow most when decoded.
type role uint8

const (
	otherStruct role = iota
	footerStruct
	rowGroupStruct
	chunkStruct
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

// left is the number of bytes that are not read yet.
func (w *thriftWalker) left() uint64 {
	return uint64(max(len(w.b)-w.pos, 0))
}

func (w *thriftWalker) skip(n uint64) {
	if w.err == nil && n > w.left() {
		w.fail("%d bytes claimed, %d left", n, len(w.b)-w.pos)
		return
	}
	w.pos += int(n) //nolint:gosec // bounded by the length
}

func (w *thriftWalker) structure(depth int, is role) {
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
			u := w.uvarint()
			field = int64(u>>1) ^ -int64(u&1)
		}
		child := otherStruct
		switch {
		case is == footerStruct && field == 4:
			child = rowGroupStruct
		case is == rowGroupStruct && field == 1:
			child = chunkStruct
		}
		w.value(head&0x0f, depth, child, false)
	}
}

func (w *thriftWalker) value(kind byte, depth int, child role, inList bool) {
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
		w.list(depth, child)
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
			w.value(kinds>>4, depth+1, otherStruct, true)
			w.value(kinds&0x0f, depth+1, otherStruct, true)
		}
	case thriftStruct:
		w.structure(depth+1, child)
	default:
		w.fail("unknown type %d", kind)
	}
}

func (w *thriftWalker) list(depth int, child role) {
	head := w.byte()
	n, kind := uint64(head>>4), head&0x0f
	if n == 15 {
		n = w.uvarint()
	}
	least := uint64(1)
	if kind == thriftStruct {
		least = 2
		if child == chunkStruct || child == rowGroupStruct {
			least = 12
		}
	}
	if w.err == nil && n > w.left()/least {
		w.fail("list of %d elements in %d bytes", n, len(w.b)-w.pos)
	}
	for i := uint64(0); i < n && w.err == nil; i++ {
		w.value(kind, depth+1, child, true)
	}
}
