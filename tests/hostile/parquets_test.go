package hostile

import (
	"encoding/binary"
	"math"
)

// parquets are tables whose data file is not what its footer says.
func parquets() map[string]func(f *fixture) {
	one := []element{root(1), column("x", typeInt64, required)}
	text := []element{root(1), column("x", typeByteArray, required)}
	// sound writes the pages of x = 1, 2, and lets lie change the footer.
	sound := func(lie func(m *footer)) func(f *fixture) {
		return func(f *fixture) {
			p := newParquet()
			c := p.longColumn("x", []int64{1, 2})
			m := footer{schema: one, rows: 2, groups: []rowGroup{{[]chunk{c}, 2}}}
			lie(&m)
			f.data(schemaX, 2, p.close(m))
		}
	}
	// claims writes one page whose header is this and whose bytes are those.
	claims := func(schema []element, h page, codec int, values int64, body []byte) func(f *fixture) {
		return func(f *fixture) {
			p := newParquet()
			at, n := p.add(h, body)
			c := chunk{physical: schema[1].physical, path: []string{"x"}, codec: codec, values: values, packed: n, loose: n, data: at}
			in := schemaX
			if schema[1].physical == typeByteArray {
				in = schemaText
			}
			f.data(in, values, p.close(footer{schema: schema, rows: values, groups: []rowGroup{{[]chunk{c}, values}}}))
		}
	}
	// odd is legal where nobody looks at what is wrong: the rows are right.
	odd := func(build func(f *fixture)) func(f *fixture) {
		return func(f *fixture) {
			build(f)
			f.want(1, 2)
		}
	}
	sixteen := binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, 1), 2)
	return map[string]func(f *fixture){
		"inflates-to-gib": func(f *fixture) {
			p := newParquet()
			const rows, each = 1024, 4 << 20
			c := chunk{physical: typeByteArray, path: []string{"x"}, codec: codecZstd, values: rows}
			head := binary.LittleEndian.AppendUint32(nil, each)
			for range rows {
				at, n := p.add(page{pageData, each + 4, -1, 1, plain}, zstdRun(head, 'a', each, each+4))
				if c.data == 0 {
					c.data = at
				}
				c.packed += n
				c.loose += each + 4
			}
			f.data(schemaText, rows, p.close(footer{schema: text, rows: rows, groups: []rowGroup{{[]chunk{c}, rows}}}))
		},
		"page-size-maximum":    claims(one, page{pageData, math.MaxInt32, -1, 2, plain}, codecZstd, 2, zstdRun(nil, 0, 16, 16)),
		"page-size-all-true":   claims(text, page{pageData, math.MaxInt32, -1, 1, plain}, codecZstd, 1, zstdRun(binary.LittleEndian.AppendUint32(nil, math.MaxInt32-4), 'a', math.MaxInt32-4, math.MaxInt32)),
		"page-size-negative":   claims(one, page{pageData, -5, -1, 2, plain}, codecNone, 2, sixteen),
		"packed-size-beyond":   claims(one, page{pageData, 16, math.MaxInt32, 2, plain}, codecNone, 2, sixteen),
		"page-values-maximum":  odd(claims(one, page{pageData, 16, -1, math.MaxInt32, plain}, codecNone, 2, sixteen)),
		"page-values-negative": odd(claims(one, page{pageData, 16, -1, -1, plain}, codecNone, 2, sixteen)),
		"string-length-beyond": claims(text, page{pageData, 8, -1, 1, plain}, codecNone, 1, []byte{0xff, 0xff, 0xff, 0x7f, 'a', 'b', 'c', 'd'}),
		"negative-counts":      sound(func(m *footer) { m.rows, m.groups[0].rows, m.groups[0].chunks[0].values = -2, -2, -2 }),
		"rows-maximum": sound(func(m *footer) {
			m.rows, m.groups[0].rows, m.groups[0].chunks[0].values = math.MaxInt64, math.MaxInt64, math.MaxInt64
		}),
		"dictionary-bomb":  dictionary(math.MaxInt32, sixteen, 2, []byte{1, 3, 0}),
		"dictionary-index": dictionary(2, sixteen, 2, []byte{8, 4, 200}),
		"dictionary-run":   dictionary(2, sixteen, 1_000_000, append(binary.AppendUvarint([]byte{1}, 2_000_000), 0)),
		"zstd-bomb":        claims(one, page{pageData, 16, -1, 2, plain}, codecZstd, 2, zstdRun(nil, 0, 1<<30, 1<<30)),
		"zstd-claims-less": claims(one, page{pageData, 16, -1, 2, plain}, codecZstd, 2, zstdRun(nil, 0, 1<<30, 16)),
		"schema-cycle": sound(func(m *footer) {
			m.schema = []element{root(1), structure("x", math.MaxInt32), column("y", typeInt64, required)}
		}),
		"schema-children-minus": sound(func(m *footer) { m.schema = []element{root(-1), column("x", typeInt64, required)} }),
		"depth": sound(func(m *footer) {
			m.schema = []element{root(1)}
			for range 200_000 {
				m.schema = append(m.schema, structure("x", 1))
			}
			m.schema = append(m.schema, column("x", typeInt64, required))
		}),
		"decimal-digits": sound(func(m *footer) { m.schema[1].digits = 243 }),
		"name-no-text":   sound(func(m *footer) { m.schema[1].name = "x\xff" }),
		"bounds-no-text": func(f *fixture) {
			p := newParquet()
			body := append(binary.LittleEndian.AppendUint32(nil, 1), 'a')
			c := p.column("x", typeByteArray, 1, int64(len(body)), body)
			c.bound = "\xff\xfe"
			f.data(schemaText, 1, p.close(footer{schema: text, rows: 1, groups: []rowGroup{{[]chunk{c}, 1}}}))
			f.want("a")
		},
		"footer-length-lies": func(f *fixture) {
			b := longs(1, 2)
			f.data(schemaX, 2, append(binary.LittleEndian.AppendUint32(b[:len(b)-8:len(b)-8], math.MaxUint32), "PAR1"...))
		},
		"chunk-outside":     sound(func(m *footer) { m.groups[0].chunks[0].data = 1 << 40 }),
		"chunk-negative":    sound(func(m *footer) { m.groups[0].chunks[0].data = -1 << 40 }),
		"chunk-other-file":  sound(func(m *footer) { m.groups[0].chunks[0].foreignFile = "../../canary.parquet" }),
		"overlapping":       overlapping,
		"rows-disagree":     sound(func(m *footer) { m.rows = 3 }),
		"group-disagrees":   sound(func(m *footer) { m.rows, m.groups[0].rows = 3, 3 }),
		"values-disagree":   sound(func(m *footer) { m.rows, m.groups[0].rows, m.groups[0].chunks[0].values = 1000, 1000, 1000 }),
		"wrong-type":        wrongType,
		"bad-levels":        badLevels(3, []byte{9, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
		"levels-beyond":     badLevels(1, []byte{0xff, 0xff, 0xff, 0x7f, 0x02}),
		"levels-above-most": badLevels(2, []byte{2, 0, 0, 0, 4, 7}),
		"repeats-for-ever":  repeats,
		"encrypted-footer": func(f *fixture) {
			b := longs(1, 2)
			f.data(schemaX, 2, append(b[:len(b)-4:len(b)-4], "PARE"...))
		},
		"groups-without-end": sound(func(m *footer) {
			for range 200_000 {
				m.groups = append(m.groups, rowGroup{nil, 0})
			}
		}),
	}
}

// dictionary is a file of one column whose values are indexes into a dictionary that claims so many values.
func dictionary(claim int32, values []byte, rows int64, indexes []byte) func(f *fixture) {
	return func(f *fixture) {
		p := newParquet()
		dict, n := p.add(page{pageDictionary, int64(len(values)), -1, claim, plain}, values)
		at, m := p.add(page{pageData, int64(len(indexes)), -1, int32(rows), rleDictionary}, indexes)
		c := chunk{physical: typeInt64, path: []string{"x"}, values: rows, packed: n + m, loose: n + m, data: at, dict: dict, encodings: []int32{plain, rle, rleDictionary}}
		f.data(schemaX, rows, p.close(footer{
			schema: []element{root(1), column("x", typeInt64, required)}, rows: rows, groups: []rowGroup{{[]chunk{c}, rows}},
		}))
		if claim == 2 && rows > 2 {
			f.count = int(rows)
		}
	}
}

// overlapping is a file with thousands of columns that all lie on the same bytes.
func overlapping(f *fixture) {
	p := newParquet()
	c := p.longColumn("x", []int64{1, 2})
	m := footer{schema: []element{root(2), column("x", typeInt64, required), column("y", typeInt64, required)}, rows: 2}
	other := c
	other.path = []string{"y"}
	m.groups = []rowGroup{{[]chunk{c, other}, 2}}
	f.data(schemaXY, 2, p.close(m))
}

// wrongType is a file of texts where the table has whole numbers.
func wrongType(f *fixture) {
	p := newParquet()
	var body []byte
	for _, s := range []string{"1", "two"} {
		body = append(binary.LittleEndian.AppendUint32(body, uint32(len(s))), s...)
	}
	c := p.column("x", typeByteArray, 2, int64(len(body)), body)
	f.data(schemaX, 2, p.close(footer{
		schema: []element{root(1), column("x", typeByteArray, required)}, rows: 2, groups: []rowGroup{{[]chunk{c}, 2}},
	}))
}

// badLevels is a file of one optional column whose definition levels are these bytes.
func badLevels(values int64, levels []byte) func(f *fixture) {
	return func(f *fixture) {
		p := newParquet()
		body := binary.LittleEndian.AppendUint64(levels, 7)
		c := p.column("x", typeInt64, int(values), int64(len(body)), body)
		f.data(schemaX, values, p.close(footer{
			schema: []element{root(1), column("x", typeInt64, optional)}, rows: values, groups: []rowGroup{{[]chunk{c}, values}},
		}))
	}
}

// repeats is a file of a list whose repetition levels never begin a row: they all go on with one that was never begun.
func repeats(f *fixture) {
	p := newParquet()
	const values = 1_000_000
	run := append(binary.AppendUvarint(nil, values<<1), 1)
	levels := append(binary.LittleEndian.AppendUint32(nil, uint32(len(run))), run...)
	body := append(append(levels, levels...), make([]byte, 8)...)
	c := p.column("x", typeInt64, values, int64(len(body)), body)
	c.path = []string{"x"}
	f.data(`{"type":"struct","fields":[{"name":"x","type":{"type":"array","elementType":"long","containsNull":false},"nullable":true,"metadata":{}}]}`, 2, p.close(footer{
		schema: []element{root(1), column("x", typeInt64, repeated)}, rows: 2, groups: []rowGroup{{[]chunk{c}, 2}},
	}))
}
