package schemaedit

import (
	"strings"
	"testing"

	"github.com/lakectl/lakectl/txlog"
)

const columns = "id bigint not null comment 'key', `a.b` int, s struct<x:int,deep:struct<y:string>>, l array<struct<u:int>>, m map<string,struct<w:int>>, n array<array<int>>"

func schemaOf(t *testing.T, sql string) *txlog.Schema {
	t.Helper()
	s, err := txlog.ParseColumns(sql)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// text is the columns of a schema in one line.
func text(s *txlog.Schema) string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = quote(f.Name) + " " + f.Type.SQL()
	}
	return strings.Join(names, ", ")
}

func TestEdits(t *testing.T) {
	long := &txlog.DataType{Kind: txlog.KindLong}
	fresh := txlog.Field{Name: "new", Type: long, Nullable: true}
	retype := func(path string) func(*txlog.Schema) (*txlog.Schema, error) {
		return func(s *txlog.Schema) (*txlog.Schema, error) {
			p, err := Resolve(s, path)
			if err != nil {
				return nil, err
			}
			return Retype(s, p, func(*txlog.DataType) (*txlog.DataType, error) { return long, nil })
		}
	}
	add := func(parent string, at Place) func(*txlog.Schema) (*txlog.Schema, error) {
		return func(s *txlog.Schema) (*txlog.Schema, error) {
			p, err := Resolve(s, parent)
			if err != nil {
				return nil, err
			}
			return Add(s, p, fresh, at)
		}
	}
	with := func(path string, f func(*txlog.Schema, Path) (*txlog.Schema, error)) func(*txlog.Schema) (*txlog.Schema, error) {
		return func(s *txlog.Schema) (*txlog.Schema, error) {
			p, err := Resolve(s, path)
			if err != nil {
				return nil, err
			}
			return f(s, p)
		}
	}
	rename := func(path, to string) func(*txlog.Schema) (*txlog.Schema, error) {
		return with(path, func(s *txlog.Schema, p Path) (*txlog.Schema, error) { return Rename(s, p, to) })
	}
	move := func(path string, at Place) func(*txlog.Schema) (*txlog.Schema, error) {
		return with(path, func(s *txlog.Schema, p Path) (*txlog.Schema, error) { return Move(s, p, at) })
	}
	drop := func(path string) func(*txlog.Schema) (*txlog.Schema, error) { return with(path, Drop) }
	for name, tc := range map[string]struct {
		do     func(*txlog.Schema) (*txlog.Schema, error)
		change [2]string // what is replaced by what in the text of the columns
		bad    string
	}{
		"add last":            {do: func(s *txlog.Schema) (*txlog.Schema, error) { return Add(s, nil, fresh, Place{}) }, change: [2]string{"n array<array<int>>", "n array<array<int>>, new bigint"}},
		"add first":           {do: func(s *txlog.Schema) (*txlog.Schema, error) { return Add(s, nil, fresh, Place{First: true}) }, change: [2]string{"id bigint", "new bigint, id bigint"}},
		"add into a struct":   {do: add("S", Place{After: "X"}), change: [2]string{"x:int,", "x:int,new:bigint,"}},
		"add below":           {do: add("s.deep", Place{}), change: [2]string{"y:string", "y:string,new:bigint"}},
		"add into elements":   {do: add("l.element", Place{First: true}), change: [2]string{"<u:int", "<new:bigint,u:int"}},
		"add into values":     {do: add("m.VALUE", Place{}), change: [2]string{"w:int", "w:int,new:bigint"}},
		"add into no struct":  {do: add("id", Place{}), bad: "no struct"},
		"add into a key":      {do: add("m.key", Place{}), bad: "no struct"},
		"add behind nothing":  {do: add("s", Place{After: "zz"}), bad: "no column zz to stand behind"},
		"add first and after": {do: add("s", Place{After: "x", First: true}), bad: "exclude"},
		"add twice": {do: func(s *txlog.Schema) (*txlog.Schema, error) {
			return Add(s, nil, txlog.Field{Name: "ID", Type: long}, Place{})
		}, bad: "differ at most in case"},
		"drop":                  {do: drop("a.b"), change: [2]string{"`a.b` int, ", ""}},
		"drop quoted":           {do: drop("`a.b`"), change: [2]string{"`a.b` int, ", ""}},
		"drop nested":           {do: drop("s.x"), change: [2]string{"x:int,", ""}},
		"drop the last":         {do: drop("s.deep.y"), bad: "only column"},
		"drop an element":       {do: drop("l.element"), bad: "no column of its own"},
		"drop what is not":      {do: drop("s.zz"), bad: "no column zz"},
		"drop below a number":   {do: drop("id.x"), bad: "no field x"},
		"rename":                {do: rename("ID", "key"), change: [2]string{"id bigint", "key bigint"}},
		"rename in elements":    {do: rename("l.element.u", "v v"), change: [2]string{"u:int", "`v v`:int"}},
		"rename to a neighbour": {do: rename("s.x", "DEEP"), bad: "differ at most in case"},
		"rename to nothing":     {do: rename("id", ""), bad: "needs a name"},
		"move first":            {do: move("n", Place{First: true}), change: [2]string{"", ""}},
		"move behind":           {do: move("id", Place{After: "a.b"}), change: [2]string{"id bigint, `a.b` int", "`a.b` int, id bigint"}},
		"move behind itself":    {do: move("id", Place{After: "id"}), change: [2]string{"id", "id"}},
		"move nested":           {do: move("s.x", Place{}), change: [2]string{"x:int,deep:struct<y:string>", "deep:struct<y:string>,x:int"}},
		"retype":                {do: retype("s.x"), change: [2]string{"x:int", "x:bigint"}},
		"retype an element":     {do: retype("n.element.element"), change: [2]string{"array<array<int>>", "array<array<bigint>>"}},
		"retype a key":          {do: retype("m.key"), change: [2]string{"map<string", "map<bigint"}},
		"no name":               {do: drop(""), bad: "missing"},
		"a dot too many":        {do: drop("s..x"), bad: "missing"},
		"quote left open":       {do: drop("s.`x"), bad: "does not end"},
		"behind a quote":        {do: drop("`s`x"), bad: "dot"},
	} {
		t.Run(name, func(t *testing.T) {
			s := schemaOf(t, columns)
			before := s.JSON()
			got, err := tc.do(s)
			if s.JSON() != before {
				t.Error("the schema that was given changed")
			}
			if tc.bad != "" {
				if err == nil || !strings.Contains(err.Error(), tc.bad) {
					t.Fatalf("error %v, want %q", err, tc.bad)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Replace(text(s), tc.change[0], tc.change[1], 1)
			if name == "move first" {
				want = "n array<array<int>>, " + strings.TrimSuffix(text(s), ", n array<array<int>>")
			}
			if text(got) != want {
				t.Errorf("got  %s\nwant %s", text(got), want)
			}
		})
	}
}

func TestResolveSpellsAsTheSchemaDoes(t *testing.T) {
	s := schemaOf(t, columns)
	for text, want := range map[string]string{"ID": "id", "A.B": "`a.b`", `"S".Deep.Y`: "s.deep.y", "M.VALUE.W": "m.value.w", "l.Element": "l.element"} {
		p, err := Resolve(s, text)
		if err != nil || p.String() != want {
			t.Errorf("%s: %s, %v", text, p, err)
		}
	}
	f, err := Field(s, Path{"s", "deep"})
	if err != nil || f.Name != "deep" {
		t.Errorf("%+v, %v", f, err)
	}
}

func FuzzParsePath(f *testing.F) {
	for _, s := range []string{"a", "a.b", "`a.b`.c", `"x""y".z`, "", ".", "`", "a..b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := ParsePath(s)
		if err != nil {
			return
		}
		again, err := ParsePath(p.String())
		if err != nil || again.String() != p.String() || len(again) != len(p) {
			t.Fatalf("%q reads as %q, which reads as %q, %v", s, p, again, err)
		}
	})
}
