package duckdb

import (
	"testing"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// What is known of a condition that is NULL is true for every row for which it is NULL: for more rows only where no NOT
// turns it round.
func TestPredicateOfNullConditions(t *testing.T) {
	e, err := Open(Options{TempDir: t.TempDir(), Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close() }()
	schema, err := txlog.ParseColumns("id bigint, s string, b boolean")
	if err != nil {
		t.Fatal(err)
	}
	for where, want := range map[string]string{
		"(id < 5) IS NULL":                    "id IS NULL",
		"(5 > id) IS NULL":                    "id IS NULL",
		"NOT (id < 5) OR (id < 5) IS NULL":    "(id >= 5 OR id IS NULL)",
		"(id < 5 AND s = 'a') IS NULL":        "(id IS NULL OR s IS NULL)",
		"(NOT (id = 5 OR b)) IS NULL":         "(b IS NULL OR id IS NULL)",
		"(id IN (1, 2)) IS NULL":              "id IS NULL",
		"(id IN (1, NULL)) IS NULL":           "none",
		"(id = id % 7) IS NULL":               "none",
		"(id < 5 AND random() < 0.5) IS NULL": "(id IS NULL OR (unknown))",
		"NOT ((id < 5 AND s = 'a') IS NULL)":  "(NOT (unknown))",
		"(id IS NOT DISTINCT FROM 5) IS NULL": "none",
	} {
		st, err := e.Parse(t.Context(), table.Parse{
			SQL:     "SELECT 1 FROM t WHERE " + where,
			Schemas: func(table.TableRef) (*txlog.Schema, error) { return schema, nil },
		})
		if err != nil {
			t.Errorf("%s: %v", where, err)
			continue
		}
		got := "none"
		if p := st.Tables[0].Predicate; p != nil {
			got = p.String()
		}
		if got != want {
			t.Errorf("%s: %s, want %s", where, got, want)
		}
	}
}
