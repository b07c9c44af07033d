package enginetest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// roundTrip writes one row for each SELECT list and reads all of them back, through both kinds of store.
func (s *suite) roundTrip(columns string, selects []string, want ...string) {
	s.Helper()
	for _, store := range []objectstore.Store{s.local, s.remote} {
		w := table.Write{Schema: s.columns(columns), Store: store}
		files := s.write(strings.Join(selects, " UNION ALL BY NAME "), w)
		s.want("SELECT * FROM t", relations{"t": relation(w, files...)}, want...)
	}
}

func (s *suite) typesRoundTrip() {
	s.roundTrip("b boolean, i1 tinyint, i2 smallint, i4 int, i8 bigint, f4 float, f8 double, s string, x binary, d date, "+
		"ts timestamp, tn timestamp_ntz, dc decimal(10,2)",
		[]string{
			"SELECT true b, 1 i1, 2 i2, 3 i4, 4 i8, 0.5 f4, 0.1 f8, 'ä''' s, '\\x00\\xff'::BLOB x, DATE '2024-02-29' d, " +
				"TIMESTAMPTZ '2024-02-29 12:00:00.123456+02' ts, TIMESTAMP '2024-02-29 12:00:00.123456' tn, 12.34 dc",
			"SELECT NULL b, NULL i1, NULL i2, NULL i4, NULL i8, NULL f4, NULL f8, NULL s, NULL x, NULL d, NULL ts, NULL tn, NULL dc",
		},
		`true | 1 | 2 | 3 | 4 | 0.5f | 0.1d | "ä'" | x00ff | 2024-02-29 | `+
			`2024-02-29T10:00:00.123456Z | 2024-02-29T12:00:00.123456Z | 12.34`,
		strings.Repeat("NULL | ", 12)+"NULL")
}

func (s *suite) decimals() {
	var columns, low, high, wantLow, wantHigh []string
	for p := 1; p <= 38; p++ {
		scale := p * (p % 3) / 2
		if scale > p {
			scale = p
		}
		columns = append(columns, fmt.Sprintf("d%d decimal(%d,%d)", p, p, scale))
		digits := strings.Repeat("9", p)
		number := digits[:p-scale]
		if number == "" {
			number = "0"
		}
		if scale > 0 {
			number += "." + digits[p-scale:]
		}
		low = append(low, fmt.Sprintf("'-%s' AS d%d", number, p))
		high = append(high, fmt.Sprintf("'%s' AS d%d", number, p))
		wantLow = append(wantLow, "-"+number)
		wantHigh = append(wantHigh, number)
	}
	s.roundTrip(strings.Join(columns, ", "),
		[]string{"SELECT " + strings.Join(low, ", "), "SELECT " + strings.Join(high, ", ")},
		strings.Join(wantLow, " | "), strings.Join(wantHigh, " | "))
}

func (s *suite) nested() {
	s.roundTrip("id int, st struct<a:int,b:struct<c:string,d:array<date>>>, l array<array<string>>, "+
		"m map<string,struct<x:decimal(5,2),y:bigint>>, ls array<struct<k:int,v:string>>",
		[]string{
			// fields of structs are matched by name
			"SELECT 1 id, {'b': {'d': [DATE '2020-01-01', NULL], 'c': 'x'}, 'a': 7} st, [['a', NULL], [], NULL] l, " +
				"MAP {'k': {'y': 2, 'x': 1.5}, 'l': NULL} m, [{'v': 'q', 'k': 1}] ls",
			"SELECT 2 id, {'a': NULL, 'b': NULL} st, [] l, MAP {} m, [] ls",
			"SELECT 3 id, NULL st, NULL l, NULL m, NULL ls",
		},
		`1 | [7, ["x", [2020-01-01, NULL]]] | [["a", NULL], [], NULL] | {"k": [1.50, 2], "l": NULL} | [[1, "q"]]`,
		`2 | [NULL, NULL] | [] | {} | []`,
		`3 | NULL | NULL | NULL | NULL`)
}

func (s *suite) edges() {
	s.roundTrip("i8 bigint, i4 int, i2 smallint, i1 tinyint, f8 double, f4 float, s string, d date, ts timestamp, tn timestamp_ntz",
		[]string{
			"SELECT 9223372036854775807 i8, 2147483647 i4, 32767 i2, 127 i1, 'inf' f8, 'nan' f4, '' s, '1500-02-28' d, " +
				"'1500-02-28 00:00:00+00' ts, '0001-01-01 00:00:00.000001' tn",
			"SELECT -9223372036854775808 i8, -2147483648 i4, -32768 i2, -128 i1, '-0.0' f8, '1e-45' f4, 'a' || chr(0) || 'b' s, " +
				"'9999-12-31' d, '9999-12-31 23:59:59.999999+00' ts, '9999-12-31 23:59:59.999999' tn",
		},
		`9223372036854775807 | 2147483647 | 32767 | 127 | +Infd | NaNf | "" | 1500-02-28 | 1500-02-28T00:00:00.000000Z | 0001-01-01T00:00:00.000001Z`,
		`-9223372036854775808 | -2147483648 | -32768 | -128 | -0d | 1e-45f | "a\x00b" | 9999-12-31 | 9999-12-31T23:59:59.999999Z | 9999-12-31T23:59:59.999999Z`)
}

func (s *suite) misfits() {
	for _, c := range []struct{ column, value string }{
		{"v tinyint", "300"},
		{"v int", "3000000000"},
		{"v bigint", "'x'"},
		{"v bigint", "9223372036854775808"},
		{"v decimal(4,2)", "123.4"},
		{"v date", "'2023-02-30'"},
		{"v boolean", "'maybe'"},
		{"v int", "[1]"},
		{"v struct<a:int>", "{'a': 1, 'b': 2}"},
		{"v array<struct<a:int>>", "[{'b': 2}]"},
		{"v map<string,struct<a:int>>", "MAP {'k': {'c': 1}}"},
	} {
		_, err := s.tryWrite("SELECT "+c.value+" v", table.Write{Schema: s.columns(c.column)})
		s.wantSQLError(err)
	}
	if keys := s.keys(s.remote); len(keys) > 0 {
		s.Errorf("files after errors: %v", keys)
	}
}

func (s *suite) outputColumns() {
	w := table.Write{Schema: s.columns("a int, B string")}
	files := s.write("SELECT 'x' b, 1 A", w) // any order, case does not matter
	s.want("SELECT * FROM t", relations{"t": relation(w, files...)}, `1 | "x"`)
	_, err := s.tryWrite("SELECT 1 a", w)
	s.wantSQLError(err, "B")
	_, err = s.tryWrite("SELECT 1 a, 'x' b, 3 c", w)
	s.wantSQLError(err, "c")
}

func (s *suite) notNull() {
	for _, c := range []struct{ columns, sql, column string }{
		{"a int not null", "SELECT * FROM (VALUES (1), (NULL)) v(a)", "a"},
		{"a int, p string not null", "SELECT 1 a, NULL p", "p"},
		{"s struct<a:int> not null, b int", "SELECT NULL s, 1 b", "s"},
		{"l array<int> not null, b int", "SELECT NULL l, 1 b", "l"},
	} {
		w := table.Write{Schema: s.columns(c.columns)}
		if c.column == "p" {
			w.PartitionBy = []string{"p"}
		}
		s.constraint(c.sql, w, c.column)
	}
	inner := s.columns("s struct<a:int>, l array<int>, m map<string,int>")
	inner.Fields[0].Type.Fields[0].Nullable = false
	inner.Fields[1].Type.ContainsNull = false
	inner.Fields[2].Type.ValueContainsNull = false
	w := table.Write{Schema: inner}
	s.constraint("SELECT {'a': NULL} s, [1] l, MAP {'k': 1} m", w, "s")
	s.constraint("SELECT {'a': 1} s, [1, NULL] l, MAP {'k': 1} m", w, "l")
	s.constraint("SELECT {'a': 1} s, [1] l, MAP {'k': NULL} m", w, "m")
	files := s.write("SELECT NULL s, NULL l, NULL m UNION ALL SELECT {'a': 1}, [], MAP {}", w)
	s.want("SELECT * FROM t", relations{"t": relation(w, files...)}, "NULL | NULL | NULL", "[1] | [] | {}")
}

func (s *suite) constraint(sql string, w table.Write, column string) {
	s.Helper()
	_, err := s.tryWrite(sql, w)
	var e *table.ConstraintError
	if !errors.As(err, &e) || !errors.Is(err, table.ErrConstraint) || !strings.HasPrefix(e.Column, column) {
		s.Errorf("%s: error %v, want a constraint error that names %s", sql, err, column)
	}
}

func (s *suite) noRows() {
	w := table.Write{Schema: s.columns("a int, p string")}
	for _, by := range [][]string{nil, {"p"}} {
		w.PartitionBy = by
		if files := s.write("SELECT 1 a, 'x' p WHERE false", w); len(files) != 0 {
			s.Errorf("files of no rows: %v", files)
		}
	}
	if keys := s.keys(s.remote); len(keys) > 0 {
		s.Errorf("objects of no rows: %v", keys)
	}
	s.want("SELECT count(*), max(a) FROM t", relations{"t": relation(w)}, "0 | NULL")
}

func (s *suite) voids() {
	schema := s.columns("a int, v int, st struct<x:int,y:int>")
	schema.Fields[1].Type = &txlog.DataType{Kind: txlog.KindVoid, Name: "void"}
	schema.Fields[2].Type.Fields[1].Type = &txlog.DataType{Kind: txlog.KindVoid, Name: "void"}
	w := table.Write{Schema: schema}
	files := s.write("SELECT 1 a, NULL v, {'x': 1, 'y': NULL} st", w)
	files = append(files, s.write("SELECT 2 a, {'x': 2} st", w)...)
	r := relations{"t": relation(w, files...)}
	s.want("SELECT a, v, st.x, st.y FROM t", r, "1 | NULL | 1 | NULL", "2 | NULL | 2 | NULL")
	if _, err := s.tryWrite("SELECT 1 a, 3 v, NULL st", w); err == nil {
		s.Error("a value in a void column was accepted")
	}
}
