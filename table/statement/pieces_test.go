package statement

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPieces(t *testing.T) {
	for sql, tt := range map[string]struct {
		want []string
		open string
	}{
		"":                              {[]string{""}, ""},
		"SELECT 'a;' -- b\n, \"c\"\"\"": {[]string{"SELECT ", "'a;'", " ", "-- b", "\n, ", `"c"""`, ""}, ""},
		"a/* b /* c */ d */e":           {[]string{"a", "/* b /* c */ d */", "e"}, ""},
		"E'it\\'s' name'x'":             {[]string{"", `E'it\'s'`, " name", "'x'", ""}, ""},
		"$t$ ' $t$; $1":                 {[]string{"", "$t$ ' $t$", "; $1"}, ""},
		"`a b`":                         {[]string{"", "`a b`", ""}, ""},
		"x 'it''s":                      {[]string{"x ", "'it''s", ""}, "'"},
		"x e'it\\'":                     {[]string{"x ", "e'it\\'", ""}, "'"},
		`x "`:                           {[]string{"x ", `"`, ""}, `"`},
		"x `":                           {[]string{"x ", "`", ""}, "`"},
		"/* /* */ ;":                    {[]string{"", "/* /* */ ;", ""}, "/*"},
		"$$ ;":                          {[]string{"", "$$ ;", ""}, "$"},
		"-- ' ":                         {[]string{"", "-- ' ", ""}, ""},
	} {
		if d := cmp.Diff(tt.want, Pieces(sql)); d != "" {
			t.Errorf("%q: %s", sql, d)
		}
		if got := OpenSign(sql); got != tt.open {
			t.Errorf("OpenSign(%q) = %q, want %q", sql, got, tt.open)
		}
	}
}

// The pieces are the SQL, and in those of code stand the semicolons at which a script is cut.
func FuzzPiecesAgreeWithTokens(f *testing.F) {
	f.Add("SELECT ';', \";\" /* ; */ -- ;\n; E'\\';' $a$;$a$")
	f.Add("a'b\\';c")
	f.Fuzz(func(t *testing.T, sql string) {
		parts := Pieces(sql)
		if strings.Join(parts, "") != sql || len(parts)%2 == 0 {
			t.Fatalf("%q is cut into %q", sql, parts)
		}
		semicolons := 0
		for i := 0; i < len(parts); i += 2 {
			semicolons += strings.Count(parts[i], ";")
		}
		tokens := scan(sql)
		for _, k := range tokens {
			if k.kind == tokenSign && sql[k.start:k.end] == ";" {
				semicolons--
			}
		}
		if semicolons != 0 {
			t.Errorf("%q: %d semicolons too many in %q", sql, semicolons, parts)
		}
		if open := tokens[len(tokens)-1].kind == tokenOpen; open != (OpenSign(sql) != "") {
			t.Errorf("%q: open sign %q, and its tokens end open: %v", sql, OpenSign(sql), open)
		}
	})
}
