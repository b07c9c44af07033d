package pipeline

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Codes of problems.
const (
	CodeUnknownKey = "unknown_key"
	CodeMissingKey = "missing_key"
	CodeBadType    = "bad_type"
	CodeBadValue   = "bad_value"
	CodeBadRef     = "bad_ref"
	CodeConflict   = "conflict"
	CodeNoEffect   = "no_effect"
)

// Problem is one thing that is wrong with a project file.
type Problem struct {
	File    string // below the project folder
	Line    int    // from 1; 0: the file as a whole
	Column  int    // from 1
	Key     string // "expect.delay_sane.on_fail"; "" for SQL and whole files
	Code    string
	Message string
}

// String is one line: `silver/flights.sql:11:65: expect.delay_sane.on_fail: bad_value: "quarantin" is not one of …`.
func (p Problem) String() string {
	var b strings.Builder
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": ")
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Code + ": " + p.Message)
	return b.String()
}

// Problems is everything that is wrong with a project. Nothing of it runs. Terminal.
type Problems struct{ List []Problem } //nolint:errname // it is a list of problems, and reads so

// Error is one line for each problem, in the order of files and lines.
func (p *Problems) Error() string {
	lines := make([]string, len(p.List))
	for i, x := range p.List {
		lines[i] = x.String()
	}
	return strings.Join(lines, "\n")
}

func (p *Problems) add(x ...Problem) { p.List = append(p.List, x...) }

// err is nil when nothing is wrong, else p with its list sorted and without repetitions.
func (p *Problems) err() error {
	if len(p.List) == 0 {
		return nil
	}
	slices.SortStableFunc(p.List, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	p.List = slices.Compact(p.List)
	return p
}
