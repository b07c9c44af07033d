package txlog

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestAssignNestedIDs(t *testing.T) {
	bare, err := ParseColumns("a array<array<int>>, b map<int, array<int>>, c map<int, struct<d: array<int>>>, e int")
	if err != nil {
		t.Fatal(err)
	}
	physical := map[string]string{"a": "col-a", "b": "col-b", "c": "col-c", "d": "col-d", "e": "col-e"}
	mapped, last := AssignMapping(bare, 10, func(name string) string { return physical[name] })
	if bad := nestedIDsMissing(mapped); bad != "a.element" {
		t.Errorf("without ids %q is missed", bad)
	}
	s, highest := AssignNestedIDs(mapped, last)
	if last != 15 || highest != 23 {
		t.Errorf("the highest ids are %d and %d", last, highest)
	}
	if bad := nestedIDsMissing(s); bad != "" {
		t.Errorf("%q is missed", bad)
	}
	var got []string
	walkFields(s.Fields, "", func(_ string, f Field) {
		ids := f.NestedIDs()
		paths := f.NestedPaths()
		if !slices.Equal(slices.Sorted(maps.Keys(ids)), slices.Sorted(slices.Values(paths))) {
			t.Errorf("%s: ids of %v for %v", f.Name, ids, paths)
		}
		got = append(got, paths...)
	})
	if want := "col-a.element col-a.element.element col-b.key col-b.value col-b.value.element col-c.key col-c.value col-d.element"; strings.Join(got, " ") != want {
		t.Errorf("got %q, want %q", got, want)
	}
	again, same := AssignNestedIDs(s, highest)
	if same != highest || again.JSON() != s.JSON() {
		t.Error("ids that are there do not stay")
	}
	parsed, err := ParseSchema(s.JSON())
	if err != nil {
		t.Fatal(err)
	}
	if _, next := AssignMapping(parsed, 0, func(string) string { return "x" }); next != 23 {
		t.Errorf("ids go on above %d", next)
	}
	twice := s.Fields[0]
	twice.Metadata = maps.Clone(twice.Metadata)
	twice.Metadata[nestedIDsKey] = []byte(`{"col-a.element":11,"col-a.element.element":99}`) // 11 is the column itself
	if bad := nestedIDsMissing(&Schema{Fields: []Field{twice}}); bad != "a.element" {
		t.Errorf("an id that is taken: %q", bad)
	}
}
