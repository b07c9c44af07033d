package txlog

import (
	"math"

	"github.com/lakectl/lakectl/internal/parquetio"
)

// actionGroup reads columns of one row group of a checkpoint. The first error stays. A column that is missing, or
// that holds nothing, reads as nil, and nil columns give zero values.
type actionGroup struct {
	file  *parquetio.File
	group int
	rows  int
	err   error
}

// vector reads one leaf if its kind is among those wanted; another kind is damage.
func (g *actionGroup) vector(c *parquetio.Column, kinds ...parquetio.Kind) *parquetio.Vector {
	if g.err != nil || c == nil {
		return nil
	}
	for _, k := range kinds {
		if c.Kind != k {
			continue
		}
		v, err := g.file.ReadVector(g.group, c)
		if err != nil {
			g.err = err
			return nil
		}
		for i := range v.Len() {
			if v.Valid(i) {
				return v
			}
		}
		return nil
	}
	g.err = corrupt("checkpoint column %s is of kind %s", c.Name, c.Kind)
	return nil
}

func (g *actionGroup) flat(path []string, kinds ...parquetio.Kind) *flatColumn {
	c := g.file.Lookup(path...)
	if c == nil || g.err != nil {
		return nil
	}
	v := g.vector(c, kinds...)
	if v == nil {
		return nil
	}
	if v.Starts != nil {
		g.err = corrupt("checkpoint column %s is repeated", c.Name)
		return nil
	}
	return &flatColumn{v}
}

func (g *actionGroup) text(path ...string) *flatColumn {
	return g.flat(path, parquetio.KindString, parquetio.KindBinary)
}

func (g *actionGroup) int(path ...string) *flatColumn {
	return g.flat(path, parquetio.KindLong, parquetio.KindInteger, parquetio.KindShort, parquetio.KindByte, parquetio.KindTimestamp)
}

func (g *actionGroup) bool(path ...string) *flatColumn { return g.flat(path, parquetio.KindBoolean) }

// flatColumn has one value for each row.
type flatColumn struct{ v *parquetio.Vector }

func (c *flatColumn) len() int {
	if c == nil {
		return 0
	}
	return c.v.Len()
}

func (c *flatColumn) has(row int) bool { return c != nil && c.v.Valid(row) }

// allText is the text that all values are parts of.
func (c *flatColumn) allText() string {
	if c == nil {
		return ""
	}
	return c.v.Text
}

func (c *flatColumn) text(row int) string {
	if !c.has(row) {
		return ""
	}
	return c.v.TextAt(row)
}

func (c *flatColumn) int(row int) int64 {
	if !c.has(row) {
		return 0
	}
	return c.v.Ints[row]
}

func (c *flatColumn) optional(row int) *int64 {
	if !c.has(row) {
		return nil
	}
	n := c.v.Ints[row]
	return &n
}

func (c *flatColumn) bool(row int) bool { return c.has(row) && c.v.Bools[row] }

// mapColumn is a map of texts.
type mapColumn struct{ keys, values *parquetio.Vector }

func (g *actionGroup) textMap(path ...string) *mapColumn {
	c := g.file.Lookup(path...)
	if c == nil || c.Kind != parquetio.KindMap {
		return nil
	}
	keys := g.vector(c.Key, parquetio.KindString, parquetio.KindBinary)
	if keys == nil || keys.Starts == nil {
		return nil
	}
	values := g.vector(c.Value, parquetio.KindString, parquetio.KindBinary)
	if values != nil && values.Len() != keys.Len() {
		g.err = corrupt("checkpoint column %s has %d keys and %d values", c.Name, keys.Len(), values.Len())
		return nil
	}
	return &mapColumn{keys, values}
}

func (c *mapColumn) at(row int) map[string]string {
	if c == nil {
		return nil
	}
	var m map[string]string
	from, to := c.keys.Span(row)
	for i := from; i < to; i++ {
		if !c.keys.Valid(i) {
			continue
		}
		if m == nil {
			m = make(map[string]string, to-from)
		}
		value := ""
		if c.values != nil && c.values.Valid(i) {
			value = c.values.TextAt(i)
		}
		m[c.keys.TextAt(i)] = value
	}
	return m
}

// listColumn is a list of texts. A list that is there but empty is not nil.
type listColumn struct {
	v       *parquetio.Vector
	present uint8 // definition level from which the list itself is there
}

func (g *actionGroup) list(path ...string) *listColumn {
	c := g.file.Lookup(path...)
	if c == nil || c.Kind != parquetio.KindList || c.Element == nil || g.err != nil || !c.Element.Leaf() {
		return nil
	}
	v, err := g.file.ReadVector(g.group, c.Element)
	if err != nil {
		g.err = err
		return nil
	}
	if v.Starts == nil || v.Spans == nil {
		return nil
	}
	return &listColumn{v, c.MaxDefinition()}
}

func (c *listColumn) at(row int) []string {
	if c == nil {
		return nil
	}
	from, to := c.v.Span(row)
	var list []string
	if from < to && (c.v.Def == nil || c.v.Def[from] >= c.present) {
		list = []string{}
	}
	for i := from; i < to; i++ {
		if c.v.Valid(i) {
			list = append(list, c.v.TextAt(i))
		}
	}
	return list
}

// descriptorColumn is the deletionVector of an add or remove.
type descriptorColumn struct {
	storage, path, offset, size, cardinality *flatColumn
	group                                    *actionGroup
}

func (g *actionGroup) descriptor(kind string) *descriptorColumn {
	storage := g.text(kind, "deletionVector", "storageType")
	if storage == nil {
		return nil
	}
	return &descriptorColumn{
		storage: storage, path: g.text(kind, "deletionVector", "pathOrInlineDv"),
		offset: g.int(kind, "deletionVector", "offset"), size: g.int(kind, "deletionVector", "sizeInBytes"),
		cardinality: g.int(kind, "deletionVector", "cardinality"), group: g,
	}
}

func (c *descriptorColumn) at(row int) *DeletionVectorDescriptor {
	if c == nil || !c.storage.has(row) {
		return nil
	}
	size, offset := c.size.int(row), c.offset.optional(row)
	if size > math.MaxInt32 || size < 0 || offset != nil && (*offset > math.MaxInt32 || *offset < 0) {
		c.group.err = corrupt("%w: size or offset out of range", ErrDeletionVector)
		return nil
	}
	d := &DeletionVectorDescriptor{
		StorageType: c.storage.text(row), PathOrInlineDv: c.path.text(row), SizeInBytes: int32(size),
		Cardinality: c.cardinality.int(row),
	}
	if offset != nil {
		o := int32(*offset) //nolint:gosec // checked above
		d.Offset = &o
	}
	return d
}

// columns reads the fields of one kind of action, each once.
type columns struct {
	group *actionGroup
	kind  string
	flats map[string]*flatColumn
	maps  map[string]*mapColumn
	lists map[string]*listColumn
}

// each calls visit for the rows that hold an action of a kind, known by a field that is never null. A row that has the
// other number without it is damage: skipping it would lose an action; "" asks for none.
func (g *actionGroup) each(kind, field, number string, visit func(row int, at columns)) {
	at := columns{g, kind, map[string]*flatColumn{}, map[string]*mapColumn{}, map[string]*listColumn{}}
	var key *flatColumn
	if field == "minReaderVersion" {
		key = at.int(field)
	} else {
		key = at.text(field)
	}
	var witness *flatColumn
	if number != "" {
		witness = at.int(number)
	}
	if key == nil && witness == nil {
		return
	}
	for row := range g.rows {
		switch {
		case g.err != nil:
			return
		case key.has(row):
			visit(row, at)
		case witness.has(row):
			g.err = corrupt("action %s: %s is missing", kind, field)
		}
	}
}

func (at columns) flat(name string, read func() *flatColumn) *flatColumn {
	c, done := at.flats[name]
	if !done {
		c = read()
		at.flats[name] = c
	}
	return c
}

func (at columns) path(field []string) (string, []string) {
	name := ""
	for _, f := range field {
		name += "." + f
	}
	return name, append([]string{at.kind}, field...)
}

func (at columns) text(field ...string) *flatColumn {
	name, path := at.path(field)
	return at.flat(name, func() *flatColumn { return at.group.text(path...) })
}

func (at columns) int(field ...string) *flatColumn {
	name, path := at.path(field)
	return at.flat(name, func() *flatColumn { return at.group.int(path...) })
}

func (at columns) bool(field ...string) *flatColumn {
	name, path := at.path(field)
	return at.flat(name, func() *flatColumn { return at.group.bool(path...) })
}

func (at columns) textMap(field ...string) *mapColumn {
	name, path := at.path(field)
	c, done := at.maps[name]
	if !done {
		c = at.group.textMap(path...)
		at.maps[name] = c
	}
	return c
}

func (at columns) list(field ...string) *listColumn {
	name, path := at.path(field)
	c, done := at.lists[name]
	if !done {
		c = at.group.list(path...)
		at.lists[name] = c
	}
	return c
}
