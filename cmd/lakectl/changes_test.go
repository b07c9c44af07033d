package main

import (
	"strings"
	"testing"
)

func TestFeedCalls(t *testing.T) {
	for _, c := range []struct{ sql, want, bad string }{
		{"SELECT 1", "SELECT 1", ""},
		{"FROM table_changes('t', 1)", `FROM "table_changes 1"`, ""},
		{"FROM Table_Changes ( 'it''s' , 1 , 2 ) AS c, table_changes('u',0) x", `FROM "table_changes 1" AS c, "table_changes 2" x`, ""},
		{"SELECT (SELECT count(*) FROM table_changes('t', '2026-01-01', '2026-01-31T12:00:00Z'))", `SELECT (SELECT count(*) FROM "table_changes 1")`, ""},
		{"SELECT 'table_changes(1)', table_changes, my_table_changes(1) -- table_changes(", "SELECT 'table_changes(1)', table_changes, my_table_changes(1) -- table_changes(", ""},
		{"FROM table_changes('t')", "", "1 arguments"},
		{"FROM table_changes('t', 1, 2, 3)", "", "4 arguments"},
		{"FROM table_changes(t, 1)", "", "in quotes"},
		{"FROM table_changes('t', -1)", "", "neither a version nor a time"},
		{"FROM table_changes('t', 3, 2)", "", "3 comes after 2"},
		{"FROM table_changes('t', (1)", "", "not closed"},
		{"FROM table_changes('t, 1)", "", "not closed"},
	} {
		got, calls, err := feedCalls(c.sql)
		if (err != nil) != (c.bad != "") || err != nil && !strings.Contains(err.Error(), c.bad) || err == nil && got != c.want {
			t.Errorf("%s:\n got %s, %v\nwant %s, %s", c.sql, got, err, c.want, c.bad)
		}
		if n := strings.Count(got, `"table_changes `); err == nil && n != len(calls) {
			t.Errorf("%s: %d names for %d calls", c.sql, n, len(calls))
		}
	}
	_, calls, err := feedCalls("FROM table_changes('it''s', 1, '2026-01-31')")
	if c := calls[feedName(1)]; err != nil || c.table != "it's" || *c.ends.From != 1 || c.ends.ToTime.Day() != 31 {
		t.Errorf("%+v, %v", c, err)
	}
}

// Text without a call stays as it is, whatever the text is; every call has a name in it.
func FuzzFeedCalls(f *testing.F) {
	for _, s := range []string{"", "table_changes('t', 1)", "table_changes(", "table_changes('t', '", "x table_changes ('a''b',1,2) table_changes", "/* table_changes( */"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, calls, err := feedCalls(s)
		switch {
		case err != nil:
		case len(calls) == 0 && got != s:
			t.Fatalf("%q became %q", s, got)
		case strings.Count(got, `"table_changes `) < len(calls):
			t.Fatalf("%q lost a call of %d: %q", s, len(calls), got)
		}
	})
}
