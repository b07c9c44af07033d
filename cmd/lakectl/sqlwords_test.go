package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/table"
)

// Whatever the text is, cutting clauses out of it ends.
func FuzzClausesOfAnyText(f *testing.F) {
	for _, s := range []string{"", "a'b", "--", "/*", "'x''y' \"z\" -- c\n/* d */ e", "'''"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		_, _ = cutWhere(s)
		_ = splitCommas(s)
		_, _, _ = parenthesised(s)
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
