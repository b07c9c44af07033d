package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/table"
)

// mergeCase is one MERGE, the same for every engine.
//
// The sixteen cases of delta-io/delta are a share f of the files of the target, from which shares m and n of the rows
// are drawn: m as rows that match, with new values, and n as rows that match nothing. Here the keys of both lie in
// the files that were chosen, so that f also is the share of the table that an engine has to look at.
type mergeCase struct {
	Name   string   `json:"name"`
	Target string   `json:"target"` // name of a mergeTarget
	Source string   `json:"source"` // path of a Parquet file
	On     string   `json:"on"`     // aliases t and s
	When   []action `json:"when"`

	files, match, insert float64 // f, m and n
	same                 bool    // matched rows bring the values that they have
	one                  bool    // the source is one row that matches
	only                 string  // systems that take part, if not all
}

// action is one WHEN: "update" and "insert" take every column of the source.
type action struct {
	Do string `json:"do"` // update, delete, insert
	If string `json:"if"`
}

// mergeTarget is a table that merges start from.
type mergeTarget struct {
	name    string
	title   string
	rows    int
	files   int
	columns []column
}

// column is a column with the SQL that makes it of "range", and the SQL that makes it a whole number again.
type column struct {
	name, typ, sql string
	number         map[string]string // by system; "" is for all others
}

// saltMark stands for the salt of the values in SQL.
const saltMark = "$salt"

// hashed is a number below n that follows from the row and a salt.
func hashed(k, n int) string {
	return fmt.Sprintf("(hash(range * 64 + %d + %s * 1000003) %% %d)", k, saltMark, n)
}

// wideColumns are 24, in the manner of web_returns of TPC-DS: two keys, a time, a text, keys of dimensions, a quantity
// and amounts.
func wideColumns() []column {
	out := []column{
		{name: "order_number", typ: "bigint", sql: "(range * 2)::BIGINT"},
		{name: "item", typ: "bigint", sql: "(hash(range * 64) % 100000)::BIGINT"}, // a key: without salt
		{
			name: "returned_at", typ: "timestamp", sql: "TIMESTAMPTZ '2024-01-01 00:00:00Z' + to_seconds(" + hashed(1, 31_536_000) + "::BIGINT)",
			number: map[string]string{
				"": "epoch_us(returned_at) // 1000000", systemSpark: "unix_timestamp(returned_at)", systemDeltaRS: "cast(date_part('epoch', returned_at) as bigint)",
			},
		},
		{name: "reason", typ: "string", sql: "'reason ' || " + hashed(2, 5000) + "::VARCHAR", number: map[string]string{"": "cast(substr(reason, 8) as bigint)"}},
	}
	for i := range 11 {
		out = append(out, column{
			name: fmt.Sprintf("dimension_%d", i+1), typ: "int",
			sql: fmt.Sprintf("CASE WHEN %s <> 0 THEN %s::INTEGER END", hashed(3+i, 50), hashed(20+i, 2_000_000)),
		})
	}
	out = append(out, column{name: "quantity", typ: "int", sql: hashed(40, 100) + "::INTEGER"})
	for i := range 8 {
		name := fmt.Sprintf("amount_%d", i+1)
		out = append(out, column{
			name: name, typ: "decimal(9,2)", sql: fmt.Sprintf("(%s / 100)::DECIMAL(9,2)", hashed(41+i, 1_000_000)),
			number: map[string]string{"": "cast(" + name + " * 100 as bigint)"},
		})
	}
	return out
}

// narrowColumns are a key and n whole numbers.
func narrowColumns(n int) []column {
	out := []column{{name: "order_number", typ: "bigint", sql: "(range * 2)::BIGINT"}}
	for i := range n {
		out = append(out, column{name: fmt.Sprintf("value_%d", i+1), typ: "int", sql: hashed(i, 1_000_000) + "::INTEGER"})
	}
	return out
}

// rowsSQL is the rows of a range, their values drawn with a salt.
func (t mergeTarget) rowsSQL(ids string, salt int) string {
	items := make([]string, len(t.columns))
	for i, c := range t.columns {
		items[i] = strings.ReplaceAll(c.sql, saltMark, strconv.Itoa(salt)) + " AS " + c.name
	}
	return "SELECT " + strings.Join(items, ", ") + " FROM " + ids
}

// deltaColumns is the schema as CREATE TABLE has it.
func (t mergeTarget) deltaColumns() string {
	items := make([]string, len(t.columns))
	for i, c := range t.columns {
		items[i] = c.name + " " + c.typ
	}
	return strings.Join(items, ", ")
}

// sums is SQL of one row: how many rows there are, and for each column how many values it has and a sum that does not
// depend on the order of rows, yet ties each value to its row. It is the same number in every engine.
func (t mergeTarget) sums(system, from string) string {
	items := []string{"count(*)"}
	for _, c := range t.columns {
		number := c.name
		if sql, ok := c.number[system]; ok {
			number = sql
		} else if sql, ok := c.number[""]; ok {
			number = sql
		}
		items = append(items, "count("+c.name+")",
			"cast(sum(cast(coalesce("+number+", 0) % 1000003 as bigint) * (order_number % 1009 + 1)) as bigint)")
	}
	for i := range items {
		items[i] += fmt.Sprintf(" AS c%d", i)
	}
	return "SELECT " + strings.Join(items, ", ") + " FROM " + from
}

// per is how many rows a file has.
func (t mergeTarget) per() int { return (t.rows + t.files - 1) / t.files }

// sourceSQL draws the source of a case. A file is chosen so that the chosen ones are spread evenly.
func (t mergeTarget) sourceSQL(c mergeCase) string {
	if c.one {
		return t.rowsSQL(fmt.Sprintf("range(%d, %d)", t.rows/2, t.rows/2+1), 1)
	}
	chosen := max(1, int(math.Round(c.files*float64(t.files))))
	file := fmt.Sprintf("(range // %d)", t.per())
	in := fmt.Sprintf("(%[1]s + 1) * %[2]d // %[3]d > %[1]s * %[2]d // %[3]d", file, chosen, t.files)
	draw := func(salt int, share float64) string {
		return fmt.Sprintf("(SELECT range FROM range(%d) WHERE %s AND hash(range * 8 + %d) %% 1000000 < %d)", t.rows, in, salt, int(math.Round(share*1e6)))
	}
	salt := 1
	if c.same {
		salt = 0
	}
	var parts []string
	if c.match > 0 {
		parts = append(parts, t.rowsSQL(draw(3, c.match), salt))
	}
	if c.insert > 0 { // odd keys are between those of the table
		parts = append(parts, "SELECT * REPLACE (order_number + 1 AS order_number) FROM ("+t.rowsSQL(draw(5, c.insert), 2)+")")
	}
	if len(parts) == 0 {
		parts = append(parts, t.rowsSQL("(SELECT range FROM range(0))", 0))
	}
	return strings.Join(parts, " UNION ALL ")
}

// scaled is n times the scale, at least least.
func scaled(n int, scale float64, least int) int {
	return max(least, int(math.Round(float64(n)*scale)))
}

// targets are the tables of the benchmark at a scale; 1 is the size that counts.
func targets(scale float64) []mergeTarget {
	rows := scaled(5_000_000, scale, 20_000)
	few, many := scaled(64, math.Sqrt(scale), 16), scaled(2000, scale, 64)
	return []mergeTarget{
		{name: "few", title: fmt.Sprintf("%s rows × 24 columns in %s files", count(rows), count(few)), rows: rows, files: few, columns: wideColumns()},
		{name: "many", title: fmt.Sprintf("%s rows × 24 columns in %s files", count(rows), count(many)), rows: rows, files: many, columns: wideColumns()},
		{name: "micro", title: "micro-merge", rows: scaled(7_000_000, scale, 20_000), files: 16, columns: narrowColumns(9)},
		{name: "huge", title: "one row", rows: scaled(100_000_000, scale, 100_000), files: 64, columns: narrowColumns(2)},
	}
}

// casesOf are the merges into a target.
func casesOf(t mergeTarget) []mergeCase {
	const wideKey = "t.order_number = s.order_number AND t.item = s.item"
	insert, remove := []action{{Do: "insert"}}, []action{{Do: "delete"}}
	twice := []action{{Do: "insert", If: "s.item % 2 = 0"}, {Do: "insert"}}
	upsert := []action{{Do: "update"}, {Do: "insert"}}
	var out []mergeCase
	add := func(what string, when []action, f, m, n float64) *mergeCase {
		out = append(out, mergeCase{Name: fmt.Sprintf("%s f %g m %g n %g", what, f, m, n), Target: t.name, On: wideKey, When: when, files: f, match: m, insert: n})
		return &out[len(out)-1]
	}
	switch t.name {
	case "micro": // half updates, half inserts, spread over the whole table
		for _, share := range []float64{0.00001, 0.0001, 0.001, 0.01} {
			c := add("micro-merge", upsert, 1, share/2, share/2)
			c.On = "t.order_number = s.order_number"
		}
	case "huge":
		c := add("one row", upsert, 0, 0, 0)
		c.Name, c.On = fmt.Sprintf("one row into %s rows", count(t.rows)), "t.order_number = s.order_number"
		c.one, c.only = true, systemOurs+","+systemDeltaRS
	default:
		for _, n := range []float64{0.05, 0.5, 1} {
			add("insert", insert, 0.05, 0, n)
			add("insert, two clauses", twice, 0.05, 0, n)
		}
		add("delete", remove, 0.05, 0.05, 0)
		for _, u := range [][3]float64{
			{0.05, 0.1, 0.01},
			{0.05, 0, 0.1},
			{0.05, 0.01, 0.1},
			{0.05, 0.1, 0},
			{0.5, 0.01, 0.001},
			{1, 0.01, 0.001},
			{0.05, 0.5, 0.001},
			{0.05, 0.99, 0.001},
			{0.05, 1, 0.001},
		} {
			add("upsert", upsert, u[0], u[1], u[2])
		}
		c := add("nothing changes", upsert, 0.05, 0.1, 0)
		c.Name, c.same = "nothing changes", true
	}
	return out
}

// clauses are the actions of a case as our library takes them.
func (c mergeCase) clauses() []table.Clause {
	var out []table.Clause
	for _, a := range c.When {
		cl := table.Clause{When: table.Matched, If: a.If}
		switch a.Do {
		case "update":
			cl.Do, cl.Star = table.DoUpdate, true
		case "insert":
			cl.When, cl.Do, cl.Star = table.NotMatched, table.DoInsert, true
		case "delete":
			cl.Do = table.DoDelete
		}
		out = append(out, cl)
	}
	return out
}
