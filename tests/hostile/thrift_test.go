package hostile

import (
	"encoding/binary"
	"math"
)

// thrift writes the compact protocol by hand: a library would refuse to write what these tables hold.
type thrift struct {
	b    []byte
	last []int // field numbers of the structs that are open
}

const (
	tI32, tI64, tBinary, tList, tStruct = 5, 6, 8, 9, 12
	tTrue                               = 1
)

func (t *thrift) uvarint(v uint64) { t.b = binary.AppendUvarint(t.b, v) }

func (t *thrift) zigzag(v int64) { t.uvarint(uint64(v<<1) ^ uint64(v>>63)) }

func (t *thrift) begin() { t.last = append(t.last, 0) }

func (t *thrift) end() {
	t.b = append(t.b, 0)
	t.last = t.last[:len(t.last)-1]
}

func (t *thrift) field(id, kind int) {
	last := &t.last[len(t.last)-1]
	if delta := id - *last; delta > 0 && delta < 16 {
		t.b = append(t.b, byte(delta<<4|kind))
	} else {
		t.b = append(t.b, byte(kind))
		t.zigzag(int64(id))
	}
	*last = id
}

func (t *thrift) i32(id int, v int32) {
	t.field(id, tI32)
	t.zigzag(int64(v))
}

func (t *thrift) i64(id int, v int64) {
	t.field(id, tI64)
	t.zigzag(v)
}

func (t *thrift) text(id int, s string) {
	t.field(id, tBinary)
	t.bytes(s)
}

func (t *thrift) bytes(s string) {
	t.uvarint(uint64(len(s)))
	t.b = append(t.b, s...)
}

func (t *thrift) list(id, n, kind int) {
	t.field(id, tList)
	if n < 15 {
		t.b = append(t.b, byte(n<<4|kind))
		return
	}
	t.b = append(t.b, byte(15<<4|kind))
	t.uvarint(uint64(n))
}

func (t *thrift) object(id int, write func()) {
	t.field(id, tStruct)
	t.begin()
	write()
	t.end()
}

// Numbers of the Parquet format.
const (
	typeInt64, typeByteArray = 2, 6

	codecNone, codecZstd = 0, 6

	plain, rle, plainDictionary, rleDictionary = 0, 3, 2, 8

	pageData, pageDictionary = 0, 2

	required, optional, repeated = 0, 1, 2
)

// element is a node of the schema of a Parquet file.
type element struct {
	name       string
	physical   int // -1: a group
	repetition int // -1: none, as at the root
	children   int32
	text       bool  // UTF8
	digits     int32 // of a decimal; 0: none
}

// chunk is a column of a row group.
type chunk struct {
	physical      int
	path          []string
	codec         int
	values        int64
	packed, loose int64
	data, dict    int64 // offsets; dict 0: none
	encodings     []int32
	foreignFile   string
	bound         string // smallest and largest value
}

type rowGroup struct {
	chunks []chunk
	rows   int64
}

type footer struct {
	schema []element
	rows   int64
	groups []rowGroup
}

func (f footer) bytes() []byte {
	t := &thrift{}
	t.begin()
	t.i32(1, 1)
	t.list(2, len(f.schema), tStruct)
	for _, e := range f.schema {
		t.begin()
		if e.physical >= 0 {
			t.i32(1, int32(e.physical))
		}
		if e.repetition >= 0 {
			t.i32(3, int32(e.repetition))
		}
		t.text(4, e.name)
		if e.physical < 0 {
			t.i32(5, e.children)
		}
		if e.text {
			t.i32(6, 0)
		}
		if e.digits != 0 {
			t.i32(6, 5)
			t.i32(7, 0)
			t.i32(8, e.digits)
		}
		t.end()
	}
	t.i64(3, f.rows)
	t.list(4, len(f.groups), tStruct)
	for _, g := range f.groups {
		t.begin()
		t.list(1, len(g.chunks), tStruct)
		total := int64(0)
		for _, c := range g.chunks {
			t.chunk(c)
			total += c.loose
		}
		t.i64(2, total)
		t.i64(3, g.rows)
		t.end()
	}
	t.text(6, "parquet-mr version 1.13.1")
	t.end()
	return t.b
}

func (t *thrift) chunk(c chunk) {
	t.begin()
	if c.foreignFile != "" {
		t.text(1, c.foreignFile)
	}
	t.i64(2, 0)
	t.object(3, func() {
		t.i32(1, int32(c.physical))
		encodings := c.encodings
		if encodings == nil {
			encodings = []int32{plain, rle}
		}
		t.list(2, len(encodings), tI32)
		for _, e := range encodings {
			t.zigzag(int64(e))
		}
		t.list(3, len(c.path), tBinary)
		for _, p := range c.path {
			t.bytes(p)
		}
		t.i32(4, int32(c.codec))
		t.i64(5, c.values)
		t.i64(6, c.loose)
		t.i64(7, c.packed)
		t.i64(9, c.data)
		if c.dict != 0 {
			t.i64(11, c.dict)
		}
		if c.bound != "" {
			t.object(12, func() {
				t.i64(3, 0)
				t.text(5, c.bound)
				t.text(6, c.bound)
			})
		}
	})
	t.end()
}

// page is the header of a page, and what it claims of the bytes behind it.
type page struct {
	kind     int
	loose    int64 // uncompressed bytes
	packed   int64 // -1: as many as there are
	values   int32
	encoding int32
}

func (p page) header(body int) []byte {
	if p.packed < 0 {
		p.packed = int64(body)
	}
	t := &thrift{}
	t.begin()
	t.i32(1, int32(p.kind))
	t.i32(2, int32(p.loose))
	t.i32(3, int32(p.packed))
	if p.kind == pageDictionary {
		t.object(7, func() {
			t.i32(1, p.values)
			t.i32(2, p.encoding)
		})
	} else {
		t.object(5, func() {
			t.i32(1, p.values)
			t.i32(2, p.encoding)
			t.i32(3, rle)
			t.i32(4, rle)
		})
	}
	t.end()
	return t.b
}

// parquetFile is a file that grows page by page.
type parquetFile struct{ b []byte }

func newParquet() *parquetFile { return &parquetFile{b: []byte("PAR1")} }

// add appends a page and returns where it lies.
func (f *parquetFile) add(p page, body []byte) (offset, length int64) {
	offset = int64(len(f.b))
	f.b = append(f.b, p.header(len(body))...)
	f.b = append(f.b, body...)
	return offset, int64(len(f.b)) - offset
}

func (f *parquetFile) close(m footer) []byte {
	return closeFooter(f.b, m.bytes(), -1)
}

// closeFooter ends a file with a footer; claimed is the length that the file gives it, -1 for the true one.
func closeFooter(file, foot []byte, claimed int64) []byte {
	if claimed < 0 {
		claimed = int64(len(foot))
	}
	file = append(file, foot...)
	file = binary.LittleEndian.AppendUint32(file, uint32(claimed&math.MaxUint32))
	return append(file, "PAR1"...)
}

// root is the first element of a schema.
func root(children int32) element {
	return element{name: "schema", physical: -1, repetition: -1, children: children}
}

// column is a leaf of a schema.
func column(name string, physical, repetition int) element {
	return element{name: name, physical: physical, repetition: repetition, text: physical == typeByteArray}
}

// structure is a group of a schema.
func structure(name string, children int32) element {
	return element{name: name, physical: -1, repetition: optional, children: children}
}

// longs is a sound file with one required column x of whole numbers.
func longs(values ...int64) []byte {
	f := newParquet()
	c := f.longColumn("x", values)
	return f.close(footer{
		schema: []element{root(1), column("x", typeInt64, required)}, rows: int64(len(values)),
		groups: []rowGroup{{[]chunk{c}, int64(len(values))}},
	})
}

func (f *parquetFile) longColumn(name string, values []int64) chunk {
	var body []byte
	for _, v := range values {
		body = binary.LittleEndian.AppendUint64(body, uint64(v))
	}
	return f.column(name, typeInt64, len(values), int64(len(body)), body)
}

// column adds one data page and describes the chunk that it is.
func (f *parquetFile) column(name string, physical, values int, loose int64, body []byte) chunk {
	at, n := f.add(page{pageData, loose, -1, int32(values), plain}, body)
	return chunk{physical: physical, path: []string{name}, values: int64(values), packed: n, loose: loose + n - int64(len(body)), data: at}
}

// zstdRun is a zstd frame of a few bytes that says a literal beginning and then one byte as often as you like. claim
// is the size that the frame itself names.
func zstdRun(head []byte, fill byte, run int64, claim uint64) []byte {
	const blockMax = 128 << 10
	out := binary.LittleEndian.AppendUint32(nil, 0xFD2FB528)
	out = append(out, 3<<6|1<<5) // eight bytes of content size, single segment
	out = binary.LittleEndian.AppendUint64(out, claim)
	block := func(kind, size uint32, last bool) {
		h := size<<3 | kind<<1
		if last {
			h |= 1
		}
		out = append(out, byte(h), byte(h>>8), byte(h>>16))
	}
	if len(head) > 0 {
		block(0, uint32(len(head)), run == 0)
		out = append(out, head...)
	}
	for run > 0 {
		n := min(run, blockMax)
		run -= n
		block(1, uint32(n), run == 0)
		out = append(out, fill)
	}
	return out
}
