package table_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/table"
)

// '3.7' became the integer 4, 1.239 the decimal 1.24 and '1e400' an infinity, without a word.
func TestLossyValueIsNotRoundedSilently(t *testing.T) {
	l := newLake(t)
	tab := l.create("k string, id bigint, i int, d decimal(5,2), w decimal(38,10), x double, f float, day date, at timestamp, wall timestamp_ntz", table.Create{})
	for name, c := range map[string]struct {
		column, value string
		want          string // stored; "" is refused
	}{
		"text with a fraction":               {"i", "'3.7'", ""},
		"text that rounds to a whole":        {"i", "'35e-1'", ""},
		"text of a large number":             {"id", "'9007199254740993.5'", ""},
		"double with a fraction":             {"i", "3.7::double", ""},
		"decimal with a fraction":            {"i", "3.7", ""},
		"text with too many digits":          {"d", "'1.239'", ""},
		"decimal with too many digits":       {"d", "1.239", ""},
		"double with too many digits":        {"d", "1.239::double", ""},
		"float with too many digits":         {"d", "1.239::float", ""},
		"text into the widest decimal":       {"w", "'1.23456789012'", ""},
		"text beyond double":                 {"x", "'1e400'", ""},
		"text beyond float":                  {"f", "'1e39'", ""},
		"time of day into a date":            {"day", "TIMESTAMP '2024-01-01 10:00:00'", ""},
		"time of day as text":                {"day", "'2024-01-01T10:00:00'", ""},
		"integer beyond float":               {"f", "16777217::int", ""},
		"bigint beyond double":               {"x", "9007199254740993::bigint", ""},
		"infinite date":                      {"day", "'infinity'::date", ""},
		"infinite timestamp":                 {"wall", "'infinity'::timestamp", ""},
		"infinite timestamp with zone":       {"at", "'-infinity'::timestamptz", ""},
		"midnight into a date":               {"day", "TIMESTAMP '2024-01-01 00:00:00'", "2024-01-01"},
		"midnight as text":                   {"day", "'2024-01-01 00:00:00'", "2024-01-01"},
		"integer that a float holds":         {"f", "16777216::int", "16777216.0"},
		"largest int as double":              {"x", "2147483647", "2147483647.0"},
		"text without a fraction":            {"i", "'3'", "3"},
		"text with an empty fraction":        {"i", "' 3.0 '", "3"},
		"text with an exponent":              {"i", "'2e3'", "2000"},
		"whole double":                       {"i", "3::double", "3"},
		"whole decimal":                      {"i", "3.00", "3"},
		"largest bigint as text":             {"id", "'9223372036854775807'", "9223372036854775807"},
		"text with zeros at the end":         {"d", "'1.2300'", "1.23"},
		"decimal with zeros at the end":      {"d", "1.2300", "1.23"},
		"double as near as a double can be":  {"d", "0.1::double + 0.2::double", "0.30"},
		"float as near as a float can be":    {"d", "1.24::float", "1.24"},
		"text that fits the widest decimal":  {"w", "'1.2345678901'", "1.2345678901"},
		"infinity that was meant":            {"x", "'Infinity'", "inf"},
		"text that is rounded as doubles do": {"x", "'0.1000000000000000055511151231257827'", "0.1"},
		"double that is rounded to a float":  {"f", "0.1::double", "0.1"},
		"null":                               {"i", "NULL::varchar", "∅"},
	} {
		t.Run(name, func(t *testing.T) {
			source := table.Query{SQL: "SELECT '" + name + "' AS k, " + c.value + " AS " + c.column}
			_, err := tab.Append(t.Context(), l.eng, table.Append{Source: source})
			if c.want == "" {
				var bad *table.ValueError
				if !errors.As(err, &bad) || !errors.Is(err, table.ErrValue) || bad.Column != c.column || bad.Value == "" || !strings.Contains(c.value, bad.Value) {
					t.Fatalf("error %v, want a value error of column %s", err, c.column)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := tab.Refresh(t.Context()); err != nil {
				t.Fatal(err)
			}
			if rows := l.rows(tab, "k", "CAST("+c.column+" AS VARCHAR)"); !slices.Contains(rows, name+" "+c.want) {
				t.Errorf("rows %q, want %q with %s", rows, name, c.want)
			}
		})
	}
}

// The same where a merge writes a source column, by * or by name.
func TestMergeRefusesLossyValue(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, i int", table.Create{})
	l.append(tab, values("id, i", "(1, 1)"))
	for name, clause := range map[string]table.Clause{
		"star": {Do: table.DoUpdate, Star: true},
		"set":  {Do: table.DoUpdate, Set: []table.Assignment{{Column: "i", Value: "s.i"}}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tab.Merge(t.Context(), l.eng, table.Merge{
				Source: table.Query{SQL: "SELECT 1 AS id, '3.7' AS i"}, On: "t.id = s.id", Clauses: []table.Clause{clause},
			})
			var bad *table.ValueError
			if !errors.As(err, &bad) || bad.Column != "i" || bad.Value != "3.7" || bad.Type != "int" {
				t.Fatalf("error %v, want a value error of column i", err)
			}
		})
	}
	want(t, l.rows(tab, "id", "i"), "1 1")
}

// Fields of a struct that the table's struct lacks were dropped by the cast.
func TestExtraFieldOfStructIsNotDropped(t *testing.T) {
	l := newLake(t)
	tab := l.create("id int, a struct<b:int>, l array<struct<x:int>>", table.Create{})
	for name, c := range map[string]struct{ value, path string }{
		"struct":          {"{'b': 1, 'zz': 3} AS a", `"a.zz"`},
		"array of struct": {"[{'x': 1, 'y': 2}] AS l", `"l.element.y"`},
	} {
		t.Run(name, func(t *testing.T) {
			source := table.Query{SQL: "SELECT 1 AS id, " + c.value}
			_, err := tab.Append(t.Context(), l.eng, table.Append{Source: source})
			if !errors.Is(err, table.ErrSchemaMismatch) || !strings.Contains(err.Error(), c.path) {
				t.Errorf("append: %v, want a mismatch of %s", err, c.path)
			}
			_, err = tab.Merge(t.Context(), l.eng, table.Merge{
				Source: source, On: "t.id = s.id", Clauses: []table.Clause{{When: table.NotMatched, Do: table.DoInsert, Star: true}},
			})
			if !errors.Is(err, table.ErrSchemaMismatch) || !strings.Contains(err.Error(), c.path) {
				t.Errorf("merge: %v, want a mismatch of %s", err, c.path)
			}
		})
	}
	l.append(tab, table.Query{SQL: "SELECT 1 AS id, {'B': 1} AS a, [{'x': 2}] AS l"})
	want(t, l.rows(tab, "a.b", "l[1].x"), "1 2")
}

// Expressions of a merge were rounded where plain columns were refused, and nested values everywhere.
func TestLossyExpressionOrNestedValueIsRefused(t *testing.T) {
	l := newLake(t)
	tab := l.create("id int, d decimal(5,2), a struct<b:int>, l array<date>, text string", table.Create{})
	l.append(tab, table.Query{SQL: "SELECT 1 AS id, 5.00 AS d, {'b': 1} AS a, [{'k': 1}] AS text"})
	want(t, l.rows(tab, "text"), `[{"k":1}]`)
	for column, value := range map[string]string{"d": "t.d / 7", "a": "{'b': s.id + 0.5}", "l": "[TIMESTAMP '2024-01-01 10:00:00', NULL]"} {
		_, err := tab.Merge(t.Context(), l.eng, table.Merge{
			Source: table.Query{SQL: "SELECT 1 AS id"}, On: "t.id = s.id",
			Clauses: []table.Clause{{Do: table.DoUpdate, Set: []table.Assignment{{Column: column, Value: value}}}},
		})
		var bad *table.ValueError
		if !errors.As(err, &bad) || bad.Column != column {
			t.Errorf("%s = %s: %v, want a value error", column, value, err)
		}
	}
	if _, err := tab.Merge(t.Context(), l.eng, table.Merge{
		Source: table.Query{SQL: "SELECT 1 AS id"}, On: "t.id = s.id",
		Clauses: []table.Clause{{Do: table.DoUpdate, Set: []table.Assignment{{Column: "a", Value: "{'b': 2, 'zz': t.id}"}}}},
	}); !errors.Is(err, table.ErrSchemaMismatch) || !strings.Contains(err.Error(), `"a.zz"`) {
		t.Errorf("%v, want a mismatch of a.zz", err)
	}
	if _, err := tab.Merge(t.Context(), l.eng, table.Merge{
		Source: table.Query{SQL: "SELECT 1 AS id"}, On: "t.id = s.id",
		Clauses: []table.Clause{{Do: table.DoUpdate, Set: []table.Assignment{{Column: "d", Value: "round(t.d / 7, 2)"}}}},
	}); err != nil {
		t.Error(err)
	}
}
