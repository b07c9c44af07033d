package table

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEqualities(t *testing.T) {
	tests := map[string]struct {
		on   string
		want []equality
	}{
		"one key":             {"t.id = s.id", []equality{{target: "id", source: "id"}}},
		"turned round":        {"s.key = t.id", []equality{{target: "id", source: "key"}}},
		"double equals":       {"t.id == s.id", []equality{{target: "id", source: "id"}}},
		"null safe":           {"t.id IS NOT DISTINCT FROM s.id", []equality{{target: "id", source: "id", nullSafe: true}}},
		"two keys":            {"t.a = s.a AND t.b = s.b", []equality{{target: "a", source: "a"}, {target: "b", source: "b"}}},
		"parentheses":         {"((t.a = s.a) and (t.b = s.b and t.c = s.c))", []equality{{target: "a", source: "a"}, {target: "b", source: "b"}, {target: "c", source: "c"}}},
		"quoted":              {`t."odd ""name" = s.x`, []equality{{target: `odd "name`, source: "x"}}},
		"other case":          {"T.id = S.ID", []equality{{target: "id", source: "ID"}}},
		"comments":            {"t.id /* the key */ = s.id -- or 1 = 1", []equality{{target: "id", source: "id"}}},
		"beside a condition":  {"t.id = s.id AND t.d > '2026-01-01'", []equality{{target: "id", source: "id"}}},
		"or":                  {"t.id = s.id OR t.x = s.x", nil},
		"or below":            {"t.id = s.id AND (t.x = s.x OR t.y = s.y)", []equality{{target: "id", source: "id"}}},
		"or in parentheses":   {"(t.id = s.id OR t.x = s.x)", nil},
		"not":                 {"NOT t.id = s.id", nil},
		"between":             {"t.y BETWEEN 1 AND t.x = s.x", nil},
		"between, then a key": {"t.y BETWEEN 1 AND 2 AND t.x = s.x", []equality{{target: "x", source: "x"}}},
		"case":                {"CASE WHEN t.a = s.a AND t.b = s.b THEN t.c = s.c END", nil},
		"cast":                {"t.id = s.id::bigint", nil},
		"expression":          {"t.id = s.id + 1", nil},
		"is null after":       {"t.id = s.id IS NULL", nil},
		"struct field":        {"t.a.b = s.b", nil},
		"same side":           {"t.a = t.b", nil},
		"unqualified":         {"id = s.id", nil},
		"string hides and":    {"t.a = 'x AND t.id = s.id'", nil},
		"open quote":          {"t.a = s.a AND 'x", nil},
		"dollar quote":        {"$$ t.id = s.id $$ = '' AND t.id = s.id", nil},
		"nested comment":      {"/* /* */ t.x = s.x AND */ t.id = s.id", nil},
		"empty":               {"", nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := equalities(tt.on, "t", "s")
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(equality{})); diff != "" {
				t.Fatal(diff)
			}
		})
	}
}

func FuzzLex(f *testing.F) {
	f.Add(`t.id = s.id AND "a" = 'b' -- c`)
	f.Add("case when (t.a = s.a) end and /* x */ t.b = s.b")
	f.Fuzz(func(t *testing.T, on string) {
		most := strings.Count(on, "=") + strings.Count(strings.ToLower(on), "from")
		if got := len(equalities(on, "t", "s")); got > most {
			t.Fatalf("%d equalities in a text with %d operators", got, most)
		}
	})
}
