package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/table"
)

func TestTravelClauses(t *testing.T) {
	for _, c := range [][2]string{
		{"SELECT * FROM t VERSION AS OF 3", "SELECT * FROM t AT (VERSION => 3)"},
		{"SELECT * FROM t FOR SYSTEM_VERSION AS OF 3 x", "SELECT * FROM t AS x AT (VERSION => 3)"},
		{"SELECT * FROM t timestamp as of '2026-01-31' x", "SELECT * FROM t AS x AT (TIMESTAMP => '2026-01-31')"},
		{"SELECT 'version as of 3' -- version as of 3", "SELECT 'version as of 3' -- version as of 3"},
		{`SELECT "version as of 3", /* version as of 3 */ 1`, `SELECT "version as of 3", /* version as of 3 */ 1`},
		{"SELECT 'it''s' FROM './t' VERSION AS OF 0", "SELECT 'it''s' FROM './t' AT (VERSION => 0)"},
		// the alias after the clause
		{"SELECT y.id FROM './t' VERSION AS OF 0 AS y WHERE y.id = 1", "SELECT y.id FROM './t' AS y AT (VERSION => 0) WHERE y.id = 1"},
		{"FROM './t' AT (VERSION => 0) y", "FROM './t' AS y AT (VERSION => 0)"},
		{"FROM './t' VERSION AS OF 0 JOIN './u' VERSION AS OF 1 u ON true", "FROM './t' AT (VERSION => 0) JOIN './u' AS u AT (VERSION => 1) ON true"},
		{"FROM './t' VERSION AS OF 0\nWHERE true", "FROM './t' AT (VERSION => 0)\nWHERE true"},
		{"FROM './t' TIMESTAMP AS OF '2026-01-01' AS y", "FROM './t' AS y AT (TIMESTAMP => '2026-01-01')"},
		{"FROM './t' TIMESTAMP AS OF TIMESTAMP '2026-01-01' ORDER BY 1", "FROM './t' AT (TIMESTAMP => '2026-01-01') ORDER BY 1"},
		{"FROM './t' AT (TIMESTAMP => TIMESTAMP '2026-01-01') y", "FROM './t' AS y AT (TIMESTAMP => '2026-01-01')"},
	} {
		if got := travelClauses(c[0]); got != c[1] {
			t.Errorf("%s:\n got %s\nwant %s", c[0], got, c[1])
		}
	}
}

// The pieces are the text, whatever the text is.
func FuzzSQLPartsKeepTheText(f *testing.F) {
	for _, s := range []string{"", "a'b", "--", "/*", "'x''y' \"z\" -- c\n/* d */ e", "'''"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if got := strings.Join(sqlParts(s), ""); got != s {
			t.Errorf("got %q, want %q", got, s)
		}
		_, _ = cutWhere(s)
		_ = splitCommas(s)
		_, _, _ = parenthesised(s)
		_, _, _ = beforeWord(s, "when")
		_, _ = parseMerge(s)
	})
}

func TestClauses(t *testing.T) {
	update, err := parseUpdate(`a = s.a + 1, "b c" = concat(s.b, ', where'), t.d = s.d WHERE s.x > 1 AND t.a IN (SELECT 1 WHERE true)`)
	if err != nil {
		t.Fatal(err)
	}
	want := table.Clause{When: table.Matched, Do: table.DoUpdate, If: "s.x > 1 AND t.a IN (SELECT 1 WHERE true)", Set: []table.Assignment{
		{Column: "a", Value: "s.a + 1"}, {Column: "b c", Value: "concat(s.b, ', where')"}, {Column: "d", Value: "s.d"},
	}}
	if d := cmp.Diff(want, update); d != "" {
		t.Error(d)
	}
	insert, err := parseInsert("(id, n) VALUES (s.id, coalesce(s.n, 0)) where s.id > 0")
	if err != nil {
		t.Fatal(err)
	}
	want = table.Clause{When: table.NotMatched, Do: table.DoInsert, If: "s.id > 0", Set: []table.Assignment{{Column: "id", Value: "s.id"}, {Column: "n", Value: "coalesce(s.n, 0)"}}}
	if d := cmp.Diff(want, insert); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{"", "a", "a =", "= 1", "a b = 1"} {
		if c, err := parseUpdate(bad); err == nil {
			t.Errorf("update %q: got %+v, want an error", bad, c)
		}
	}
	for _, bad := range []string{"", "(a)", "(a) VALUES", "(a) VALUES (1, 2)", "a VALUES (1)", "(a) VALUES (1) x"} {
		if c, err := parseInsert(bad); err == nil {
			t.Errorf("insert %q: got %+v, want an error", bad, c)
		}
	}
}

func TestParseMerge(t *testing.T) {
	m, err := parseMerge(`MERGE INTO silver.orders AS o -- comment
		USING (SELECT id, 'when' AS w FROM 'a.csv' WHERE id > 0) u ON o.id = u.id
		WHEN MATCHED AND CASE WHEN u.w = 'x' THEN true ELSE false END THEN DELETE
		WHEN MATCHED THEN UPDATE SET w = u.w
		WHEN NOT MATCHED BY TARGET THEN INSERT *;`)
	if err != nil {
		t.Fatal(err)
	}
	want := &mergeStatement{
		target: "silver.orders", targetAlias: "o", source: "SELECT id, 'when' AS w FROM 'a.csv' WHERE id > 0", sourceAlias: "u", on: "o.id = u.id",
		clauses: []table.Clause{
			{When: table.Matched, Do: table.DoDelete, If: "CASE WHEN u.w = 'x' THEN true ELSE false END"},
			{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "w", Value: "u.w"}}},
			{When: table.NotMatched, Do: table.DoInsert, Star: true},
		},
	}
	if d := cmp.Diff(want, m, cmp.AllowUnexported(mergeStatement{})); d != "" {
		t.Error(d)
	}
	for _, bad := range []string{
		"", "MERGE t", "MERGE INTO t ON true", "MERGE INTO t USING s WHEN MATCHED THEN DELETE", "MERGE INTO t USING s ON true",
		"MERGE INTO t USING s ON true WHEN MATCHED THEN INSERT *", "MERGE INTO t USING s ON true WHEN NOT MATCHED BY SOURCE THEN INSERT *",
	} {
		if m, err := parseMerge(bad); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, m)
		}
	}
}
