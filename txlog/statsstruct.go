package txlog

import (
	"github.com/lakectl/lakectl/internal/parquetio"
)

// statsStruct writes add.stats_parsed: the statistics of a file as a struct of typed columns, with the physical names
// of the schema. It is made from the JSON; a value that does not fit its column, or that the text does not have, is
// null, which claims nothing.
//
// Protocol: "Checkpoint Format", stats_parsed; "Per-file Statistics".
type statsStruct struct {
	column *parquetio.Column
	root   *statsMember
	leaves []statsLeaf
}

// statsMember is a member of the JSON: an object of others, or a value.
type statsMember struct {
	members map[string]*statsMember
	leaf    int
}

// statsLeaf is a column that holds values.
type statsLeaf struct {
	path   string
	of     *DataType
	absent uint8 // levels that are missing where the file has no statistics
}

// newStatsStruct lays the struct out for the columns that have statistics; nil where two of them would be one path.
func newStatsStruct(schema *Schema, mapping ColumnMapping, columns StatsColumns) *statsStruct {
	b := &statsLayout{out: &statsStruct{root: &statsMember{}}, mapping: mapping, columns: columns, paths: map[string]bool{}}
	long := &DataType{Kind: KindLong}
	top := structColumn("stats_parsed")
	b.out.column = top
	b.add(top, b.out.root, "numRecords", long, "add.stats_parsed", 1)
	for _, part := range []struct {
		name  string
		typed func(t *DataType) *DataType
	}{
		{"minValues", boundType}, {"maxValues", boundType}, {"nullCount", func(*DataType) *DataType { return long }},
	} {
		b.typed = part.typed
		b.group(top, b.out.root, part.name, schema.Fields, "add.stats_parsed", nil, 1)
	}
	b.add(top, b.out.root, "tightBounds", &DataType{Kind: KindBoolean}, "add.stats_parsed", 1)
	if b.twice {
		return nil
	}
	return b.out
}

// boundType is the type of the bounds of a column, nil for none.
func boundType(t *DataType) *DataType {
	switch t.Kind {
	case KindString, KindLong, KindInteger, KindShort, KindByte, KindFloat, KindDouble, KindDecimal, KindDate,
		KindTimestamp, KindTimestampNTZ:
		return t
	}
	return nil
}

type statsLayout struct {
	out     *statsStruct
	mapping ColumnMapping
	columns StatsColumns
	typed   func(t *DataType) *DataType
	paths   map[string]bool
	twice   bool
}

// add appends a column with values.
func (b *statsLayout) add(in *parquetio.Column, m *statsMember, name string, t *DataType, path string, depth uint8) {
	c, ok := typedColumn(name, t)
	if !ok {
		return
	}
	in.Fields = append(in.Fields, c)
	path = parquetio.Path(path, name)
	b.twice = b.twice || b.paths[path]
	b.paths[path] = true
	m.put(name, &statsMember{leaf: len(b.out.leaves)})
	b.out.leaves = append(b.out.leaves, statsLeaf{path, t, depth + 1})
}

func (m *statsMember) put(name string, inner *statsMember) {
	if m.members == nil {
		m.members = map[string]*statsMember{}
	}
	m.members[name] = inner
}

// group appends a struct with what is below it, unless that is nothing.
func (b *statsLayout) group(in *parquetio.Column, m *statsMember, name string, fields []Field, path string, physical []string, depth uint8) {
	c, inner := structColumn(name), &statsMember{}
	path = parquetio.Path(path, name)
	for _, f := range fields {
		own := f.PhysicalName(b.mapping)
		at := append(append([]string(nil), physical...), own)
		if f.Type.Kind == KindStruct {
			b.group(c, inner, own, f.Type.Fields, path, at, depth+1)
		} else if t := b.typed(f.Type); t != nil && b.columns.Has(at) {
			b.add(c, inner, own, t, path, depth+1)
		}
	}
	if len(c.Fields) > 0 {
		in.Fields = append(in.Fields, c)
		m.put(name, inner)
	}
}

// statsTable are the statistics of some files by columns.
type statsTable struct {
	has    []bool // the file has statistics that parse
	values []*typedValues
}

// decode reads the statistics of some files, from one on.
func (s *statsStruct) decode(files *Files, from, count int) *statsTable {
	t := &statsTable{has: make([]bool, count), values: make([]*typedValues, len(s.leaves))}
	for i, leaf := range s.leaves {
		t.values[i] = newTypedValues(leaf.of, count)
	}
	var buf []byte
	for row := range count {
		text := files.StatsText(from + row)
		if text == "" {
			continue
		}
		buf = append(buf[:0], text...)
		d := statsDecoder{r: jsonReader{b: buf}, text: text, table: t, row: row}
		d.member(s.root)
		t.has[row] = d.r.end() == nil
	}
	return t
}

// statsDecoder reads the statistics of one file into its row of a table.
type statsDecoder struct {
	r     jsonReader // of the bytes of text
	text  string
	table *statsTable
	row   int
}

func (d *statsDecoder) member(m *statsMember) {
	r := &d.r
	switch c := r.peek(); {
	case c == '{' && m.members != nil:
		r.members(func(key []byte) {
			if inner := m.members[string(key)]; inner != nil {
				d.member(inner)
			} else {
				r.skip()
			}
		})
	case m.members != nil || c == '{' || c == '[' || c == 'n':
		r.skip()
	default:
		d.value(d.table.values[m.leaf])
	}
}

func (d *statsDecoder) value(v *typedValues) {
	r := &d.r
	switch r.peek() {
	case 't', 'f':
		if b := r.boolean(); v.of.Kind == KindBoolean {
			v.set(d.row, Literal{Kind: KindBoolean, Bool: b})
		}
	case '"':
		from := r.pos + 1
		seen := r.view()
		text := ""
		if to := from + len(seen); to+1 == r.pos {
			text = d.text[from:to] // as it stands: the text is kept, bytes are not
		} else {
			text = string(seen)
		}
		d.bound(v, text, true)
	default:
		from := r.pos
		r.skip()
		if r.err == nil {
			d.bound(v, d.text[from:r.pos], false)
		}
	}
}

func (d *statsDecoder) bound(v *typedValues, text string, quoted bool) {
	if l, ok := statsLiteral(v.of, text, quoted); ok && d.r.err == nil {
		v.set(d.row, l)
	}
}

// fills are the columns for some files, from one on. The texts are read when the first value is asked for.
func (s *statsStruct) fills(files *Files, from, count int, out map[string]parquetio.Fill) {
	var table *statsTable
	for n, leaf := range s.leaves {
		out[leaf.path] = typedFill(leaf.of, func(row int) (*typedValues, int, uint8) {
			if table == nil {
				table = s.decode(files, from, count)
			}
			if !table.has[row] {
				return nil, 0, leaf.absent
			}
			return table.values[n], row, 0
		})
	}
}

// partitionStruct writes add.partitionValues_parsed: the partition values with their types.
type partitionStruct struct {
	column *parquetio.Column
	values []*typedValues // by column, one for each combination of values
}

// newPartitionStruct is nil where the table has no partitions, and where a value cannot be told for sure: a text that
// does not fit its column, or a timestamp whose zone is that of its writer.
func newPartitionStruct(s *Snapshot, f *Files) *partitionStruct {
	if len(s.metadata.PartitionColumns) == 0 {
		return nil
	}
	out := &partitionStruct{column: structColumn("partitionValues_parsed")}
	for _, name := range s.metadata.PartitionColumns {
		field, err := s.schema.Lookup(name)
		if err != nil {
			return nil
		}
		physical := field.PhysicalName(s.mapping)
		c, ok := typedColumn(physical, field.Type)
		if !ok || out.column.Field(physical) != nil {
			return nil
		}
		v := newTypedValues(field.Type, len(f.partitions))
		for i, texts := range f.partitions {
			text, has := texts[physical]
			l, err := ParsePartition(field.Type, text)
			if !has || err != nil {
				return nil
			}
			if _, zoned, _ := parseTimestamp(text); field.Type.Kind == KindTimestamp && l.Kind != KindVoid && !zoned {
				return nil
			}
			if l.Kind != KindVoid && !v.set(i, l) {
				return nil
			}
		}
		out.column.Fields, out.values = append(out.column.Fields, c), append(out.values, v)
	}
	return out
}

// fills are the columns for files from the first one on.
func (p *partitionStruct) fills(f *Files, from int, out map[string]parquetio.Fill) {
	for n, c := range p.column.Fields {
		v := p.values[n]
		out[parquetio.Path("add", p.column.Name, c.Name)] = typedFill(v.of, func(row int) (*typedValues, int, uint8) {
			return v, int(f.partition[from+row]), 0
		})
	}
}
