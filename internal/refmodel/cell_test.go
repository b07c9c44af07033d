package refmodel

import (
	"cmp"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/lakectl/lakectl/txlog"
)

// cell is one value of a row. Cells are compared by meaning with equal, and by representation with ==.
type cell struct {
	kind byte // of columns: one of l i s d t y n; 0 is null
	i    int64
	f    string // floats as text, so that NaN equals itself and -0 is not 0
	s    string
}

// column is a column of the tables under test.
type column struct {
	name, sql string
	kind      byte
	pool      []cell
}

// The columns, by index. x is the one that schemas gain and lose.
const (
	colID = iota
	colK
	colS
	colD
	colT
	colDay
	colN
	colP
	colX
	columnsAll
)

// row is a row of a table; x of a table without that column is null.
type row [columnsAll]cell

func long(v int64) cell     { return cell{kind: 'l', i: v} }
func whole(v int64) cell    { return cell{kind: 'i', i: v} }
func word(v string) cell    { return cell{kind: 's', s: v} }
func double(v float64) cell { return cell{kind: 'd', f: strconv.FormatFloat(v, 'g', -1, 64)} }
func day(v int64) cell      { return cell{kind: 'y', i: v} }
func cents(v int64) cell    { return cell{kind: 'n', i: v} }

func instant(text string) cell {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return cell{}
	}
	return cell{kind: 't', i: t.UnixMicro()}
}

// columns are the columns with the values that they take: few, so that they meet, and at the edges of what statistics
// can say.
func columns() [columnsAll]column {
	ids := []cell{}
	for i := range int64(24) {
		ids = append(ids, long(i))
	}
	ids = append(ids, long(1<<53+1), long(math.MaxInt64), long(math.MinInt64), cell{}, cell{})
	prefix := strings.Repeat("x", 31)
	return [columnsAll]column{
		{"id", "bigint", 'l', ids},
		{"k", "int", 'i', []cell{whole(0), whole(1), whole(2), whole(3), whole(-1), whole(math.MaxInt32), whole(math.MinInt32), {}}},
		{"s", "string", 's', []cell{
			word("a"), word("b"), word("ab"), word(""), word("A"), word("ä"), word("o'x%_"), word("zz"),
			{},
			word(prefix + "ab"), word(prefix + "a"), word(prefix + "😀b"), word(prefix + "\U0010FFFFz"), word(strings.Repeat("y", 300)),
		}},
		{"d", "double", 'd', []cell{
			double(0), double(1.5), double(-1.5), double(1e300), double(math.Copysign(0, -1)), double(math.NaN()), double(math.Inf(1)), double(math.Inf(-1)), {},
		}},
		{"ts", "timestamp", 't', []cell{
			instant("2026-01-01T00:00:00Z"), instant("2026-01-01T00:00:00.000001Z"), instant("2026-01-01T00:00:00.123999Z"),
			instant("2026-01-01T00:00:00.124Z"), instant("1969-12-31T23:59:59.999999Z"), instant("1901-06-01T12:00:00.5Z"),
			{},
		}},
		{"day", "date", 'y', []cell{day(20454), day(20455), day(0), day(-1), day(-25567), {}}},
		{"n", "decimal(10,2)", 'n', []cell{cents(0), cents(1), cents(-1), cents(1050), cents(-99999), cents(9999999999), {}}},
		{"p", "string", 's', []cell{word("a"), word("b"), word("c d"), word("x=y/z%"), word("ü:?"), {}}},
		{"x", "int", 'i', []cell{whole(7), whole(8), whole(-8), {}}},
	}
}

func (c cell) null() bool { return c.kind == 0 }

func (c cell) float() float64 {
	if c.kind != 'd' {
		return float64(c.i)
	}
	f, err := strconv.ParseFloat(c.f, 64)
	if err != nil {
		return math.NaN()
	}
	return f
}

// compare orders two cells that are not null, as SQL does: NaN is the greatest number and equals itself.
func (c cell) compare(o cell) int {
	switch {
	case c.kind == 's':
		return cmp.Compare(c.s, o.s)
	case c.kind == 'd' || o.kind == 'd':
		a, b := c.float(), o.float()
		switch {
		case math.IsNaN(a) && math.IsNaN(b):
			return 0
		case math.IsNaN(a):
			return 1
		case math.IsNaN(b):
			return -1
		}
		return cmp.Compare(a, b)
	}
	return cmp.Compare(c.i, o.i)
}

// same is IS NOT DISTINCT FROM.
func (c cell) same(o cell) bool {
	if c.null() || o.null() {
		return c.null() == o.null()
	}
	return c.compare(o) == 0
}

// sqlType is the type of columns of a kind.
func sqlType(kind byte) string {
	switch kind {
	case 'l':
		return "BIGINT"
	case 'i':
		return "INT"
	case 'd':
		return "DOUBLE"
	case 't':
		return "TIMESTAMPTZ"
	case 'y':
		return "DATE"
	case 'n':
		return "DECIMAL(10,2)"
	}
	return "VARCHAR"
}

// literal is the cell as SQL; kind is that of its column, for nulls.
func (c cell) literal(kind byte) string {
	switch c.kind {
	case 0:
		return "NULL::" + sqlType(kind)
	case 's':
		return c.quoted()
	case 't':
		return "TIMESTAMPTZ " + c.quoted()
	}
	return c.quoted() + "::" + sqlType(c.kind)
}

// quoted is the cell as a string in SQL, which a cast to the type of its column reads.
func (c cell) quoted() string {
	switch c.kind {
	case 0:
		return "NULL"
	case 's':
		return "'" + strings.ReplaceAll(c.s, "'", "''") + "'"
	case 't':
		return "'" + time.UnixMicro(c.i).UTC().Format("2006-01-02 15:04:05.000000") + "+00'"
	case 'd':
		return "'" + c.f + "'"
	}
	return "'" + c.text() + "'"
}

// text is how tabletest writes the value.
func (c cell) text() string {
	switch c.kind {
	case 0:
		return "NULL"
	case 's':
		return strconv.Quote(c.s)
	case 'd':
		if c.f == "-0" {
			return "0"
		}
		return c.f
	case 't':
		return strconv.FormatInt(c.i, 10) + "us"
	case 'y':
		return txlog.Date(c.i).String()
	case 'n':
		return txlog.Decimal{Unscaled: big.NewInt(c.i), Scale: 2}.String()
	}
	return strconv.FormatInt(c.i, 10)
}

// text is how tabletest writes the row.
func (r row) text() string {
	parts := make([]string, len(r))
	for i, c := range r {
		parts[i] = c.text()
	}
	return strings.Join(parts, " | ")
}

func (r row) same(o row) bool {
	for i := range r {
		if !r[i].same(o[i]) {
			return false
		}
	}
	return true
}

func drawCell(t *rapid.T, col int) cell {
	pool := columns()[col].pool
	return pool[rapid.IntRange(0, len(pool)-1).Draw(t, columns()[col].name)]
}

func drawRows(t *rapid.T, most int) []row {
	rows := make([]row, rapid.IntRange(0, most).Draw(t, "rows"))
	for n := range rows {
		for col := range columnsAll {
			rows[n][col] = drawCell(t, col)
		}
	}
	return rows
}

// values is a SELECT of rows, with column x or without.
func values(rows []row, wide bool) string {
	n := width(wide)
	var b strings.Builder
	// Cast by column: a cast for each value would be most of the work of those who read the statement.
	b.WriteString("SELECT ")
	for col, c := range columns() {
		if col == n {
			break
		}
		if col > 0 {
			b.WriteString(", ")
		}
		b.WriteString(c.name + "::" + sqlType(c.kind) + " AS " + c.name)
	}
	b.WriteString(" FROM (VALUES ")
	shown := rows
	if len(rows) == 0 {
		shown = []row{{}}
	}
	for i, r := range shown {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(")
		for col := range n {
			if col > 0 {
				b.WriteString(", ")
			}
			b.WriteString(r[col].quoted())
		}
		b.WriteString(")")
	}
	b.WriteString(") v(" + strings.Join(names(n), ", ") + ")")
	if len(rows) == 0 {
		b.WriteString(" WHERE false")
	}
	return b.String()
}

func width(wide bool) int {
	if wide {
		return columnsAll
	}
	return colX
}

func names(n int) []string {
	out := make([]string, n)
	for i, c := range columns() {
		if i < n {
			out[i] = c.name
		}
	}
	return out
}

// ddl declares the first n columns.
func ddl(n int) string {
	out := make([]string, n)
	for i, c := range columns() {
		if i < n {
			out[i] = c.name + " " + c.sql
		}
	}
	return strings.Join(out, ", ")
}
