package parquetio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/variant"
)

// PlainVariants checks the values of the variant columns of a file, which stand at nodes (indexes in Footer.Nodes), and
// gives them one form: a group of the two byte columns metadata and value, without an annotation. A file that has it
// already is left alone; of another one a copy goes to the writer that create makes, and copied is true.
//
// An engine that takes the annotation at its word decodes every value itself and no longer tells a variant that is null
// from a missing one; shredded values, which are spread over typed columns, are put together again.
//
// Format: "Variant Binary Encoding" and "Variant Shredding" of the Parquet format.
// Errors: [ErrMalformed], also for a group that is no variant and for bytes that are none; *limits.Error; the errors of r
// and of create's writer. Cost: the variant columns are read once, a copy costs one pass over the file more.
func PlainVariants(r io.ReaderAt, size int64, nodes []int, bound limits.Limits, create func() (io.Writer, error)) (copied bool, err error) {
	if len(nodes) == 0 {
		return false, nil
	}
	f, err := Open(r, size, bound)
	if err != nil {
		return false, err
	}
	defer recovered(&err)
	v := &variants{file: f, columns: map[*parquet.Column]bool{}}
	if err := v.find(nodes); err != nil {
		return false, err
	}
	for g := range f.Groups() {
		for _, c := range v.groups {
			if err := v.check(g, c); err != nil {
				return false, err
			}
		}
	}
	switch {
	case v.shredded:
		return true, v.assemble(create)
	case v.annotated:
		return true, v.strip(size, create)
	}
	return false, nil
}

// variants are the variant columns of one file.
type variants struct {
	file      *File
	groups    []*parquet.Column
	columns   map[*parquet.Column]bool // the same
	shredded  bool                     // one of them has typed columns
	annotated bool
}

// Names of the columns of a variant.
const (
	variantMetadata = "metadata"
	variantValue    = "value"
	variantTyped    = "typed_value"
)

// find looks at the groups.
func (v *variants) find(nodes []int) error {
	var all []*parquet.Column
	var walk func(c *parquet.Column)
	walk = func(c *parquet.Column) {
		for _, child := range c.Columns() {
			all = append(all, child)
			walk(child)
		}
	}
	walk(v.file.file.Root())
	for _, i := range nodes {
		if i < 0 || i >= len(all) {
			return fmt.Errorf("%w: no column %d", ErrMalformed, i)
		}
		c := all[i]
		for _, child := range c.Columns() {
			bytes := child.Leaf() && child.Type().Kind() == parquet.ByteArray && !child.Repeated()
			if name := child.Name(); name != variantTyped && (!bytes || name != variantMetadata && name != variantValue) {
				return fmt.Errorf("%w: column %s is no variant: it has a column %s", ErrMalformed, c.Name(), name)
			}
		}
		typed := c.Column(variantTyped) != nil
		if c.Leaf() || c.Column(variantMetadata) == nil || c.Column(variantValue) == nil && !typed {
			return fmt.Errorf("%w: column %s is no variant", ErrMalformed, c.Name())
		}
		v.shredded = v.shredded || typed
		v.annotated = v.annotated || isVariant(c)
		v.groups, v.columns[c] = append(v.groups, c), true
	}
	return nil
}

func isVariant(c *parquet.Column) bool {
	t := c.Type().LogicalType()
	if t == nil {
		return false
	}
	_, is := t.Value.(*format.VariantType)
	return is
}

// check reads the bytes of one variant column in one row group.
func (v *variants) check(g int, c *parquet.Column) error {
	metadata, err := v.vector(g, c.Column(variantMetadata))
	if err != nil {
		return err
	}
	if c.Column(variantTyped) == nil {
		value, err := v.vector(g, c.Column(variantValue))
		if err != nil {
			return err
		}
		return checkPairs(metadata, value)
	}
	for slot := range metadata.Len() {
		if metadata.Valid(slot) {
			if _, err := variant.Names(metadata.TextAt(slot)); err != nil {
				return fmt.Errorf("%w: column %s: %w", ErrMalformed, c.Name(), err)
			}
		}
	}
	return v.checkParts(g, c)
}

// checkParts reads what is left of shredded values, at every level.
func (v *variants) checkParts(g int, c *parquet.Column) error {
	for _, child := range c.Columns() {
		if !child.Leaf() {
			if err := v.checkParts(g, child); err != nil {
				return err
			}
			continue
		}
		if child.Name() != variantValue || child.Type().Kind() != parquet.ByteArray || child.Type().LogicalType() != nil {
			continue
		}
		value, err := v.vector(g, child)
		if err != nil {
			return err
		}
		for slot := range value.Len() {
			if value.Valid(slot) {
				if err := variant.CheckShredded(value.TextAt(slot)); err != nil {
					return fmt.Errorf("%w: column %s: %w", ErrMalformed, c.Name(), err)
				}
			}
		}
	}
	return nil
}

func checkPairs(metadata, value *Vector) error {
	if metadata.Len() != value.Len() {
		return fmt.Errorf("%w: %d metadata of variants, %d values", ErrMalformed, metadata.Len(), value.Len())
	}
	for slot := range metadata.Len() {
		if metadata.Valid(slot) != value.Valid(slot) {
			return fmt.Errorf("%w: half a variant", ErrMalformed)
		}
		if !metadata.Valid(slot) {
			continue
		}
		if err := variant.Check(metadata.TextAt(slot), value.TextAt(slot)); err != nil {
			return fmt.Errorf("%w: %w", ErrMalformed, err)
		}
	}
	return nil
}

func (v *variants) vector(g int, c *parquet.Column) (*Vector, error) {
	at := slices.IndexFunc(v.file.leaves, func(l *Column) bool { return l.leaf == c.Index() })
	if at < 0 {
		return nil, fmt.Errorf("%w: no column %s", ErrMalformed, c.Name())
	}
	return v.file.ReadVector(g, v.file.leaves[at])
}

// strip copies the file with the annotations taken out of its footer.
func (v *variants) strip(size int64, create func() (io.Writer, error)) error {
	meta := *v.file.file.Metadata()
	meta.Schema = slices.Clone(meta.Schema)
	at := 1 // after the root
	var walk func(c *parquet.Column)
	walk = func(c *parquet.Column) {
		for _, child := range c.Columns() {
			if v.columns[child] {
				meta.Schema[at].LogicalType = format.LogicalType{}
			}
			at++
			walk(child)
		}
	}
	walk(v.file.file.Root())
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &meta)
	if err != nil {
		return fmt.Errorf("write footer: %w", err)
	}
	var tail [8]byte
	if _, err := v.file.window.base.ReadAt(tail[:], size-8); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	out, err := create()
	if err != nil {
		return err
	}
	body := size - 8 - int64(binary.LittleEndian.Uint32(tail[:4]))
	if _, err := io.Copy(out, io.NewSectionReader(v.file.window.base, 0, body)); err != nil {
		return err
	}
	binary.LittleEndian.PutUint32(tail[:4], uint32(len(footer))) //nolint:gosec // not longer than the one that was read
	_, err = out.Write(append(footer, tail[:]...))
	return err
}

// assemble writes the rows of the file again, with every variant in one piece.
func (v *variants) assemble(create func() (io.Writer, error)) error {
	root := v.file.file.Root()
	raised := map[int]int{}
	from := v.reshape(root, func(c *parquet.Column) []parquet.Field { return optionalValues(c, raised) }, true)
	whole := func(*parquet.Column) []parquet.Field {
		bytes := parquet.Required(parquet.Leaf(parquet.ByteArrayType))
		return []parquet.Field{&field{bytes, variantMetadata}, &field{bytes, variantValue}}
	}
	conversion, err := parquet.Convert(parquet.NewSchema("schema", v.reshape(root, whole, true)), from)
	if err != nil {
		return fmt.Errorf("%w: variants: %w", ErrMalformed, err)
	}
	out, err := create()
	if err != nil {
		return err
	}
	w := parquet.NewGenericWriter[any](out, parquet.NewSchema("schema", v.reshape(root, whole, false)),
		parquet.Compression(&parquet.Snappy), parquet.DataPageVersion(1), parquet.DataPageStatistics(false))
	rows := make([]parquet.Row, 256)
	for g, group := range v.file.file.RowGroups() {
		for _, leaf := range v.file.leaves { // its pages are what they claim to be
			if err := v.file.loadChunk(g, leaf.leaf); err != nil {
				return err
			}
		}
		v.file.window.drop()
		if err := v.convert(&raisedRows{group.Rows(), raised}, conversion, w, rows); err != nil {
			return malformed(v.file.window, err)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return w.Close()
}

func (v *variants) convert(in parquet.Rows, conversion parquet.Conversion, w *parquet.GenericWriter[any], rows []parquet.Row) error {
	defer func() { _ = in.Close() }() // nothing is written
	converted := parquet.ConvertRowReader(in, conversion)
	for {
		n, err := converted.ReadRows(rows)
		if n > 0 {
			if _, err := w.WriteRows(rows[:n]); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case n == 0:
			return io.ErrNoProgress
		}
	}
}

// optionalValues are the columns inside of c with every column value optional, as the format has it: some writers make
// those required that are always there. raised gets the definition level of each such leaf.
func optionalValues(c *parquet.Column, raised map[int]int) []parquet.Field {
	fields := make([]parquet.Field, 0, len(c.Columns()))
	for _, child := range c.Columns() {
		switch {
		case !child.Leaf():
			fields = append(fields, &field{&reshaped{Node: child, fields: optionalValues(child, raised), as: child.Type()}, child.Name()})
		case child.Name() == variantValue && child.Required():
			raised[child.Index()] = child.MaxDefinitionLevel()
			fields = append(fields, &field{parquet.Optional(parquet.Leaf(child.Type())), child.Name()})
		default:
			fields = append(fields, child)
		}
	}
	return fields
}

// raisedRows are rows whose leaves in levels were made optional: what is there is there one level higher.
type raisedRows struct {
	parquet.Rows
	levels map[int]int
}

func (r *raisedRows) ReadRows(rows []parquet.Row) (int, error) {
	n, err := r.Rows.ReadRows(rows)
	for _, row := range rows[:n] {
		for i, value := range row {
			if level, is := r.levels[value.Column()]; is && value.DefinitionLevel() == level {
				row[i] = value.Level(value.RepetitionLevel(), level+1, value.Column())
			}
		}
	}
	return n, err
}

// reshape is the tree of columns below c with other columns inside of each variant, annotated or not.
func (v *variants) reshape(c *parquet.Column, inside func(*parquet.Column) []parquet.Field, annotate bool) parquet.Node {
	if v.columns[c] {
		n := &reshaped{Node: c, fields: inside(c), as: parquet.Group{}.Type()}
		if annotate {
			n.as = parquet.Variant().Type()
		}
		return n
	}
	n := &reshaped{Node: c, as: c.Type()}
	for _, child := range c.Columns() {
		if child.Leaf() {
			n.fields = append(n.fields, &field{freshLeaf(child), child.Name()})
			continue
		}
		n.fields = append(n.fields, &field{v.reshape(child, inside, annotate), child.Name()})
	}
	return n
}

// freshLeaf is a leaf whose encoding in the file that it comes from does not matter.
func freshLeaf(c *parquet.Column) parquet.Node {
	n := parquet.Leaf(c.Type())
	switch {
	case c.Optional():
		n = parquet.Optional(n)
	case c.Repeated():
		n = parquet.Repeated(n)
	}
	if id := c.ID(); id != 0 {
		n = parquet.FieldID(n, id)
	}
	return n
}

// reshaped is a group of a file with other columns inside.
type reshaped struct {
	parquet.Node
	fields []parquet.Field
	as     parquet.Type
}

func (r *reshaped) Fields() []parquet.Field { return r.fields }
func (r *reshaped) Type() parquet.Type      { return r.as }

// GoType is that of no value in particular: rows are written by levels.
func (r *reshaped) GoType() reflect.Type {
	if r.Repeated() {
		return reflect.TypeFor[[]struct{}]()
	}
	return reflect.TypeFor[struct{}]()
}
