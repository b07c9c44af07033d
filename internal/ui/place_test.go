package ui

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A place in SQL is shown by a caret, whatever stands before it on its line.
func TestPlaceIsPointedAt(t *testing.T) {
	long := strings.Repeat("a, ", 60)
	for name, tt := range map[string]struct {
		text   string
		offset int
		want   string
	}{
		"first":            {"SELEC 1", 0, "line 1: SELEC 1\n        ^\n"},
		"second line":      {"SELECT\n  x,\n y", 9, "line 2:   x,\n          ^\n"},
		"wide characters":  {"SELECT 'é', x", 13, "line 1: SELECT 'é', x\n                    ^\n"},
		"tab":              {"\tx", 1, "line 1:  x\n         ^\n"},
		"end of the text":  {"SELECT  \n", 9, "line 1: SELECT\n              ^\n"},
		"long line":        {long + "b" + long, len(long), "line 1: …" + strings.Repeat("a, ", 12) + "b" + strings.Repeat("a, ", 12)[:35] + "…\n" + strings.Repeat(" ", 8+1+36) + "^\n"},
		"unknown":          {"SELECT", -1, ""},
		"beyond":           {"SELECT", 7, ""},
		"nothing to point": {"", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			term, _, errOut := terminal(Table)
			term.Report(Problem{Message: "m", Place: PlaceAt(tt.text, tt.offset)})
			if d := cmp.Diff("error: m\n"+tt.want, errOut.String()); d != "" {
				t.Error(d)
			}
		})
	}
}
