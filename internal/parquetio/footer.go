package parquetio

import (
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/lakectl/lakectl/internal/limits"
)

// Footer is what a file says of itself, checked: its lists fit into their bytes, its columns form a tree that is not
// too deep, its row groups add up, and each column chunk lies within the file, on bytes of its own. Whoever decodes
// the same footer afterwards meets no claim that costs more than the file is worth.
type Footer struct {
	Rows     int64
	Groups   int
	Leaves   []Leaf // in the order of the file
	FieldIDs bool   // some column, at any level, has an id
	Nodes    []Node // the tree of columns without its root, each node before what is inside of it
}

// Node is a column of a file at any level: a leaf, or a group of others.
type Node struct {
	Name     string
	FieldID  int64 // 0 means none
	Repeated bool
	Variant  bool // annotated as a variant
	Leaf     bool
	Next     int // index in Footer.Nodes of the first node that is not inside of it
}

// Children lists the indexes of the nodes directly inside of node i; of the columns of the file for -1.
func (f *Footer) Children(i int) []int {
	end := len(f.Nodes)
	if i >= 0 {
		end = f.Nodes[i].Next
	}
	var out []int
	for at := i + 1; at < end; at = f.Nodes[at].Next {
		out = append(out, at)
	}
	return out
}

// Leaf is a column that holds values.
type Leaf struct {
	Name     string // its own
	Depth    int    // 1 for a column outside structs, lists and maps
	FieldID  int64  // 0 means none
	Root     string // name of the column outside structs, lists and maps that it is a part of, or is
	RootID   int64  // its field id
	Physical Physical
	Decimal  bool // annotated as a decimal
	Scale    int64
	Millis   bool // annotated as a timestamp in milliseconds

	repeated bool // at some level
	variant  bool // a group with that annotation
}

// Physical is the form of the values of a leaf in the file.
type Physical int64

// The physical types of Parquet.
const (
	PhysicalBoolean Physical = iota
	PhysicalInt32
	PhysicalInt64
	PhysicalInt96
	PhysicalFloat
	PhysicalDouble
	PhysicalBytes
	PhysicalFixedBytes
)

// ReadFooter reads and checks the footer of a file without building what it describes.
//
// Errors: [ErrMalformed], *limits.Error, the errors of r. Cost: one read of up to 64 KiB at the end, a second one for
// a footer that is longer.
func ReadFooter(r io.ReaderAt, size int64, bound limits.Limits) (*Footer, error) {
	w := &window{base: r, size: size}
	return readFooter(w, size, bound.Filled(), nil)
}

// Extent is a part of a file: the byte at From and those after it, up to To.
type Extent struct{ From, To int64 }

// Chunks reads the footer and returns where the bytes lie of the columns that are wanted, in the order of the file: of
// their chunks in all row groups, and of their bloom filters.
//
// Errors and cost are those of [ReadFooter].
func Chunks(r io.ReaderAt, size int64, bound limits.Limits, wanted func(*Leaf) bool) ([]Extent, error) {
	var out []Extent
	_, err := readFooter(&window{base: r, size: size}, size, bound.Filled(), func(leaf *Leaf, s Extent) {
		if wanted(leaf) {
			out = append(out, s)
		}
	})
	return out, err
}

func readFooter(w *window, size int64, bound limits.Limits, chunk func(*Leaf, Extent)) (*Footer, error) {
	if size < 12 {
		return nil, fmt.Errorf("%w: %d bytes", ErrMalformed, size)
	}
	const tail = 64 << 10
	if err := w.load(max(0, size-tail), min(size, tail)); err != nil {
		return nil, err
	}
	end, _ := w.bytes(size-8, 8)
	if string(end[4:]) != "PAR1" {
		return nil, fmt.Errorf("%w: no footer, or an encrypted one", ErrMalformed)
	}
	length := int64(binary.LittleEndian.Uint32(end[:4]))
	if length > size-12 {
		return nil, fmt.Errorf("%w: footer of %d bytes in a file of %d", ErrMalformed, length, size)
	}
	if err := bound.Check("parquet_footer_bytes", length); err != nil {
		return nil, err
	}
	if length > tail-8 {
		if err := w.load(size-8-length, length+8); err != nil {
			return nil, err
		}
	}
	b, _ := w.bytes(size-8-length, length)
	f := &footerWalk{thriftWalker: thriftWalker{b: b}, bound: bound, fileSize: size, found: chunk}
	f.file()
	switch {
	case f.over != nil:
		return nil, f.over
	case f.err != nil:
		return nil, fmt.Errorf("%w: footer: %w", ErrMalformed, f.err)
	}
	return &f.out, nil
}

// footerWalk reads the fields of a footer that matter and walks over the others.
type footerWalk struct {
	thriftWalker
	bound    limits.Limits
	fileSize int64
	out      Footer
	rows     int64 // of all row groups
	spans    []span
	found    func(*Leaf, Extent) // is told where columns lie; nil: nobody asks
	over     error               // the limit that ended the walk
}

// span is where a column chunk lies.
type span struct{ start, end int64 }

// Numbers of fields of the Parquet format, each within its struct.
const (
	fileSchema, fileRows, fileGroups = 2, 3, 4

	elementType, elementRepetition, elementName           = 1, 3, 4
	elementChildren, elementConverted, elementID          = 5, 6, 9
	elementScale, elementPrecision, elementLogical        = 7, 8, 10
	logicalDecimal, decimalScale, decimalPrecision        = 5, 1, 2
	logicalTimestamp, timestampUnit, inMillis             = 8, 2, 1
	logicalVariant                                        = 16
	repetitionRepeated, convertedDecimal, convertedMillis = 2, 5, 9
	groupColumns, groupRows                               = 1, 3
	chunkFile, chunkMeta                                  = 1, 3
	metaType, metaValues, metaPacked, metaData, metaIndex = 1, 5, 7, 9, 11
	metaBloom, metaBloomLength                            = 14, 15
)

// columnDepthMax bounds the nesting of columns, far above what limits.SchemaDepth lets a table have: a list takes
// three levels.
const columnDepthMax = 250

// decimalDigitsMax is what decimals of Delta, and of every engine, hold at most.
const decimalDigitsMax = 38

// once refuses a field that matters and comes a second time: decoders differ in which of the two they believe.
func (f *footerWalk) once(seen *uint32, id int64) {
	if id < 0 || id > 31 {
		return
	}
	if *seen&(1<<id) != 0 {
		f.fail("field %d occurs twice", id)
	}
	*seen |= 1 << id
}

// pass leaves a field to be walked over. One that matters but has another type counts as missing.
func (f *footerWalk) pass(seen *uint32, id int64) bool {
	if id >= 0 && id <= 31 {
		*seen &^= 1 << id
	}
	return false
}

// need refuses a struct in which one of these fields is missing.
func (f *footerWalk) need(what string, seen uint32, ids ...int) {
	for _, id := range ids {
		if seen&(1<<id) == 0 {
			f.fail("%s without field %d", what, id)
		}
	}
}

func (f *footerWalk) file() {
	var seen uint32
	rows := int64(-1)
	f.structure(0, func(id int64, kind byte) bool {
		f.once(&seen, id)
		switch {
		case id == fileSchema && kind == thriftList:
			f.schema()
		case id == fileRows && kind == thriftI64:
			rows = f.whole()
		case id == fileGroups && kind == thriftList:
			if seen&(1<<fileSchema) == 0 {
				f.fail("row groups before the columns")
			}
			f.groups()
		default:
			return f.pass(&seen, id)
		}
		return true
	})
	f.need("file", seen, fileSchema, fileRows, fileGroups)
	if f.out.Rows = rows; f.err == nil && rows != f.rows {
		f.fail("%d rows in row groups, %d in the footer", f.rows, rows)
	}
	f.apart()
}

// apart refuses chunks that share bytes: a small file could stand for any number of columns.
func (f *footerWalk) apart() {
	byStart := func(a, b span) int {
		switch {
		case a.start < b.start:
			return -1
		case a.start > b.start:
			return 1
		}
		return 0
	}
	if !slices.IsSortedFunc(f.spans, byStart) {
		slices.SortFunc(f.spans, byStart)
	}
	for i := 1; i < len(f.spans); i++ {
		if f.spans[i].start < f.spans[i-1].end {
			f.fail("two column chunks share byte %d of the file", f.spans[i].start)
			return
		}
	}
}

// schema reads the columns, which stand as a tree in depth-first order, each group with the number of its children.
func (f *footerWalk) schema() {
	n, kind := f.listHead(2)
	if kind != thriftStruct || n == 0 {
		f.fail("no columns")
		return
	}
	type open struct {
		children int64 // still to come
		repeated bool
		node     int // in Footer.Nodes
	}
	var root Leaf
	var path []open
	for i := uint64(0); i < n && f.err == nil; i++ {
		leaf, children, group := f.element()
		if i > 0 {
			if len(path) == 0 {
				f.fail("a column outside the tree")
				return
			}
			parent := &path[len(path)-1]
			parent.children--
			f.out.Nodes = append(f.out.Nodes, Node{leaf.Name, leaf.FieldID, leaf.repeated, leaf.variant, !group, len(f.out.Nodes) + 1})
			leaf.repeated = leaf.repeated || parent.repeated
		}
		if children < 0 || uint64(children) > n-i-1 {
			f.fail("a column with %d children, %d are left", children, n-i-1)
			return
		}
		if len(path) == 1 {
			root = leaf
		}
		leaf.Root, leaf.RootID = root.Name, root.FieldID
		if leaf.Depth = len(path); group || i == 0 {
			path = append(path, open{children, leaf.repeated && i > 0, len(f.out.Nodes) - 1})
		} else {
			f.out.Leaves = append(f.out.Leaves, leaf)
		}
		if len(path) > columnDepthMax {
			f.fail("columns nested deeper than %d", columnDepthMax)
		}
		for len(path) > 0 && path[len(path)-1].children == 0 {
			if node := path[len(path)-1].node; node >= 0 {
				f.out.Nodes[node].Next = len(f.out.Nodes)
			}
			path = path[:len(path)-1]
		}
	}
	if f.err == nil && len(path) > 0 {
		f.fail("%d columns are missing", path[len(path)-1].children)
	}
	if err := f.bound.Check("columns", int64(len(f.out.Leaves))); err != nil && f.err == nil {
		f.over, f.err = err, err
	}
}

// element reads one node of the tree. A group is what has no type of its own.
func (f *footerWalk) element() (leaf Leaf, children int64, group bool) {
	var seen uint32
	group = true
	precision := func() {
		if p := f.whole(); f.err == nil && (p < 1 || p > decimalDigitsMax) {
			f.fail("a decimal of %d digits", p)
		}
	}
	f.structure(1, func(id int64, kind byte) bool {
		f.once(&seen, id)
		switch {
		case id == elementType && kind == thriftI32:
			leaf.Physical, group = Physical(f.whole()), false
		case id == elementRepetition && kind == thriftI32:
			leaf.repeated = f.whole() == repetitionRepeated
		case id == elementName && kind == thriftBinary:
			leaf.Name = string(f.binary())
		case id == elementChildren && kind == thriftI32:
			children = f.whole()
		case id == elementConverted && kind == thriftI32:
			converted := f.whole()
			leaf.Decimal = leaf.Decimal || converted == convertedDecimal
			leaf.Millis = leaf.Millis || converted == convertedMillis
		case id == elementScale && kind == thriftI32:
			leaf.Scale = f.whole()
		case id == elementID && kind == thriftI32:
			leaf.FieldID, f.out.FieldIDs = f.whole(), true
		case id == elementPrecision && kind == thriftI32 && leaf.Decimal:
			precision()
		case id == elementLogical && kind == thriftStruct:
			f.logical(&leaf, precision)
		default:
			return f.pass(&seen, id)
		}
		return true
	})
	f.need("column", seen, elementName)
	switch {
	case !utf8.ValidString(leaf.Name):
		f.fail("the name of a column is not UTF-8")
	case group || f.err != nil:
	case leaf.Physical < PhysicalBoolean || leaf.Physical > PhysicalFixedBytes:
		f.fail("column of the unknown type %d", leaf.Physical)
	case children != 0:
		f.fail("a column with both a type and children")
	}
	return leaf, children, group
}

// logical reads what the newer annotation says of the values of a column.
func (f *footerWalk) logical(leaf *Leaf, precision func()) {
	inside := func(depth int, field func(id int64, kind byte) bool) bool {
		f.structure(depth, field)
		return true
	}
	f.structure(2, func(id int64, kind byte) bool {
		switch {
		case id == logicalDecimal && kind == thriftStruct:
			leaf.Decimal = true
			return inside(3, func(id int64, kind byte) bool {
				switch {
				case id == decimalPrecision && kind == thriftI32:
					precision()
				case id == decimalScale && kind == thriftI32:
					leaf.Scale = f.whole()
				default:
					return false
				}
				return true
			})
		case id == logicalVariant && kind == thriftStruct:
			leaf.variant = true
			return false
		case id == logicalTimestamp && kind == thriftStruct:
			return inside(3, func(id int64, kind byte) bool {
				return id == timestampUnit && kind == thriftStruct && inside(4, func(id int64, _ byte) bool {
					leaf.Millis = leaf.Millis || id == inMillis
					return false
				})
			})
		}
		return false
	})
}

func (f *footerWalk) groups() {
	n, kind := f.listHead(6)
	if f.err == nil && n > 0 && kind != thriftStruct {
		f.fail("row groups of type %d", kind)
	}
	if err := f.bound.Check("parquet_row_groups", int64(min(n, 1<<62))); err != nil && f.err == nil {
		f.over, f.err = err, err
	}
	for i := uint64(0); i < n && f.err == nil; i++ {
		f.group()
	}
	f.out.Groups = int(min(n, 1<<31))
}

func (f *footerWalk) group() {
	var seen uint32
	var values []int64 // of each chunk
	rows := int64(-1)
	f.structure(1, func(id int64, kind byte) bool {
		f.once(&seen, id)
		switch {
		case id == groupColumns && kind == thriftList:
			n, of := f.listHead(6)
			if f.err == nil && (n != uint64(len(f.out.Leaves)) || n > 0 && of != thriftStruct) {
				f.fail("a row group of %d columns, the file has %d", n, len(f.out.Leaves))
			}
			values = make([]int64, 0, n)
			for i := uint64(0); i < n && f.err == nil; i++ {
				values = append(values, f.chunk(&f.out.Leaves[i]))
			}
		case id == groupRows && kind == thriftI64:
			rows = f.whole()
		default:
			return f.pass(&seen, id)
		}
		return true
	})
	f.need("row group", seen, groupColumns, groupRows)
	if f.err != nil {
		return
	}
	if rows < 0 || f.rows+rows < f.rows {
		f.fail("a row group of %d rows", rows)
		return
	}
	f.rows += rows
	for i, v := range values {
		if !f.out.Leaves[i].repeated && v != rows {
			f.fail("a column of %d values in a row group of %d rows", v, rows)
		}
	}
}

// chunk reads one column of a row group and returns the number of its values.
func (f *footerWalk) chunk(leaf *Leaf) (values int64) {
	var seen, inside uint32
	var start, dictionary, length, bloom, bloomLength int64
	physical := Physical(-1)
	f.structure(2, func(id int64, kind byte) bool {
		f.once(&seen, id)
		switch {
		case id == chunkFile && kind == thriftBinary:
			if len(f.binary()) > 0 {
				f.fail("a column in another file")
			}
			return true
		case id != chunkMeta || kind != thriftStruct:
			return f.pass(&seen, id)
		}
		f.structure(3, func(id int64, kind byte) bool {
			f.once(&inside, id)
			switch {
			case id == metaType && kind == thriftI32:
				physical = Physical(f.whole())
			case id == metaValues && kind == thriftI64:
				values = f.whole()
			case id == metaPacked && kind == thriftI64:
				length = f.whole()
			case id == metaData && kind == thriftI64:
				start = f.whole()
			case id == metaIndex && kind == thriftI64:
				dictionary = f.whole()
			case id == metaBloom && kind == thriftI64:
				bloom = f.whole()
			case id == metaBloomLength && kind == thriftI32:
				bloomLength = f.whole()
			default:
				return f.pass(&inside, id)
			}
			return true
		})
		return true
	})
	f.need("column chunk", seen, chunkMeta)
	f.need("column chunk", inside, metaType, metaValues, metaPacked, metaData)
	if f.err != nil {
		return 0
	}
	start = chunkStart(start, dictionary)
	switch {
	case values < 0:
		f.fail("a column of %d values", values)
	case physical != leaf.Physical:
		f.fail("column %q of type %d, its chunk says %d", leaf.Name, leaf.Physical, physical)
	case values == 0 && length == 0:
		return 0 // it lies nowhere
	case start < 4 || length < 0 || length > f.fileSize-start:
		f.fail("a column chunk of %d bytes at %d lies outside the file", length, start)
	default:
		f.spans = append(f.spans, span{start, start + length})
		f.tell(leaf, start, length, bloom, bloomLength)
	}
	return values
}

// chunkPadding is what some writers leave out of the length of a chunk: the header of its dictionary.
const chunkPadding = 128

// tell passes on where a column lies. A bloom filter of unknown length may reach to the end of the file: read short it
// would deny rows without a word.
func (f *footerWalk) tell(leaf *Leaf, start, length, bloom, bloomLength int64) {
	if f.found == nil {
		return
	}
	f.found(leaf, Extent{start, min(start+length+chunkPadding, f.fileSize)})
	if bloom <= 0 || bloom >= f.fileSize {
		return
	}
	if bloomLength <= 0 {
		bloomLength = f.fileSize
	}
	f.found(leaf, Extent{bloom, min(bloom+bloomLength, f.fileSize)})
}

// chunkStart is where a column chunk begins. A dictionary stands before the data, or it is none.
func chunkStart(data, dictionary int64) int64 {
	if dictionary > 0 && dictionary < data {
		return dictionary
	}
	return data
}
