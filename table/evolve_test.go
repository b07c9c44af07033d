package table_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Fields of structs come with the rows that bring them, at any depth, whatever the column mapping.
func TestMergeSchemaAddsFields(t *testing.T) {
	for name, c := range map[string]table.Create{
		"plain":   {},
		"by name": {Properties: map[string]string{"delta.columnMapping.mode": "name"}},
		"by id":   {Properties: map[string]string{"delta.columnMapping.mode": "id"}},
		"feed":    {Properties: map[string]string{"delta.enableChangeDataFeed": "true", "delta.enableRowTracking": "true"}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			tab := l.create("id bigint, pos struct<x:int,deep:struct<a:int>>, list array<struct<k:int>>", c)
			columns := "id, pos, list"
			l.append(tab, values(columns, "(1, {'x': 1, 'deep': {'a': 1}}, [{'k': 1}])", "(2, {'x': 2, 'deep': {'a': 2}}, NULL)", "(3, NULL, NULL)"))
			shown := []string{"id", "pos.x", "pos.deep.a", "pos.deep.b", "pos.y", "list[1].k", "list[1].l", "more"}
			m := table.Merge{
				Source: values(columns+", more",
					"(1, {'x': 10, 'y': 'new', 'deep': {'b': 11}}, [{'k': 7, 'l': 8}], 'm')", "(3, NULL, NULL, NULL)", "(4, {'x': 4, 'y': 'ins', 'deep': {'b': 4}}, NULL, NULL)"),
				On: "t.id = s.id", Clauses: []table.Clause{updateAll(""), insertAll("")},
			}
			_, err := tab.Merge(t.Context(), l.eng, m)
			if !errors.Is(err, table.ErrSchemaMismatch) {
				t.Fatalf("without schema evolution: %v", err)
			}
			m.MergeSchema = true
			res, err := tab.Merge(t.Context(), l.eng, m)
			if err != nil || res.RowsUpdated != 1 || res.RowsUnchanged != 1 || res.RowsInserted != 1 {
				t.Fatalf("%+v %v", res, err)
			}
			rows := []string{"1 10 1 11 new 7 8 m", "2 2 2 ∅ ∅ ∅ ∅ ∅", "3 ∅ ∅ ∅ ∅ ∅ ∅ ∅", "4 4 ∅ 4 ins ∅ ∅ ∅"}
			want(t, l.rows(tab, shown...), rows...)
			again, err := tab.Merge(t.Context(), l.eng, m)
			if err != nil || again.VersionAfter != res.VersionAfter || again.RowsUnchanged != 3 {
				t.Fatalf("again: %+v %v", again, err)
			}
			// An append goes on with one field more, below a list.
			src := values("id, list", "(5, [{'k': 5, 'z': 6}])")
			if _, err := tab.Append(t.Context(), l.eng, table.Append{Source: src}); !errors.Is(err, table.ErrSchemaMismatch) || !strings.Contains(err.Error(), "list.element.z") {
				t.Fatalf("append without schema evolution: %v", err)
			}
			if _, err := tab.Append(t.Context(), l.eng, table.Append{Source: src, MergeSchema: true}); err != nil {
				t.Fatal(err)
			}
			rows = append(rows, "5 ∅ ∅ ∅ ∅ 5 ∅ ∅")
			want(t, l.rows(tab, shown...), rows...)
			want(t, l.rows(tab, "list[1].z"), "6", "∅", "∅", "∅", "∅")
		})
	}
}

// A struct of the source that lacks a field would take its value away without a word.
func TestMergeStarKeepsNoHalfStructs(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, pos struct<x:int,y:int>", table.Create{})
	l.append(tab, values("id, pos", "(1, {'x': 1, 'y': 2})"))
	m := table.Merge{Source: values("id, pos", "(1, {'x': 5})"), On: "t.id = s.id", Clauses: []table.Clause{updateAll("")}}
	if _, err := tab.Merge(t.Context(), l.eng, m); !errors.Is(err, table.ErrSchemaMismatch) || !strings.Contains(err.Error(), `"pos.y"`) {
		t.Fatalf("%v", err)
	}
	m.MergeSchema = true
	if _, err := tab.Merge(t.Context(), l.eng, m); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab, "id", "pos.x", "pos.y"), "1 5 2")
}

// Clauses that number and clauses that bring numbers meet in one merge: the mark moves by what was given out.
func TestMergeNumbersOnlyWhatAsks(t *testing.T) {
	for _, feed := range []string{"false", "true"} {
		l := newLake(t)
		tab := l.ruled("name string, id bigint, other bigint", table.Create{Properties: map[string]string{"delta.enableChangeDataFeed": feed}},
			map[string]func(txlog.Field) txlog.Field{
				"id":    identity(txlog.Identity{Start: 1, Step: 1, AllowExplicitInsert: true}),
				"other": identity(txlog.Identity{Start: 100, Step: 10, AllowExplicitInsert: true}),
			})
		l.append(tab, values("name", "('a')"))
		set := func(columns ...string) (out []table.Assignment) {
			for _, c := range columns {
				out = append(out, table.Assignment{Column: c, Value: "s." + c})
			}
			return out
		}
		if _, err := tab.Merge(t.Context(), l.eng, table.Merge{
			Source: values("name, id, other", "('a', 0, 0)", "('own', 77, 1)", "('own', 78, 2)", "('given', 0, 0)", "('half', 79, 0)"), On: "t.name = s.name",
			Clauses: []table.Clause{
				{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "name", Value: "'A'"}}},
				{When: table.NotMatched, If: "s.name = 'own'", Do: table.DoInsert, Set: set("name", "id", "other")},
				{When: table.NotMatched, If: "s.name = 'half'", Do: table.DoInsert, Set: set("name", "id")},
				{When: table.NotMatched, Do: table.DoInsert, Set: set("name")},
			},
		}); err != nil {
			t.Fatal(err)
		}
		if mark(t, tab, "id") != "2" || mark(t, tab, "other") != "120" {
			t.Errorf("marks %s and %s", mark(t, tab, "id"), mark(t, tab, "other"))
		}
		want(t, l.rows(tab, "name", "id"), "A 1", "given 2", "half 79", "own 77", "own 78")
		l.append(tab, values("name", "('next')"))
		want(t, l.rows(tab, "id"), "1", "2", "3", "77", "78", "79")
	}
}
