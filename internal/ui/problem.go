package ui

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Problem is an error in the words of the command: what happened, why, and what to try.
type Problem struct {
	Code    int    `json:"code"`              // exit code
	Message string `json:"message"`           // what happened
	Why     string `json:"why,omitempty"`     // the cause, as deep as it is known
	Hint    string `json:"hint,omitempty"`    // the command or setting to try
	Table   string `json:"table,omitempty"`   // the table it is about
	Version *int64 `json:"version,omitempty"` // the version it is about
	TxnID   string `json:"txnId,omitempty"`   // of work whose outcome is unknown
	Place   *Place `json:"place,omitempty"`   // in the SQL text
}

// Report writes a problem to Err: three lines for people, one JSON object for programs.
func (t *Terminal) Report(p Problem) {
	if t.Format == JSON || t.Format == NDJSON {
		if text, err := json.Marshal(p); err == nil {
			fmt.Fprintf(t.Err, "%s\n", text)
			return
		}
	}
	red, dim := "error:", "hint:"
	if t.Colour && t.ErrTTY {
		red, dim = t.Red(red), t.Bold(dim)
	}
	fmt.Fprintf(t.Err, "%s %s\n", red, Clean(p.Message))
	if p.Why != "" {
		for i, line := range strings.Split(strings.TrimSpace(p.Why), "\n") { // several problems, one line each
			lead := "why: "
			if i > 0 {
				lead = "     "
			}
			fmt.Fprintf(t.Err, "%s%s\n", lead, Clean(line))
		}
	}
	if p.Place != nil {
		text, caret := p.Place.drawn()
		fmt.Fprintf(t.Err, "line %d: %s\n%s%s\n", p.Place.Line, text, strings.Repeat(" ", len(fmt.Sprintf("line %d: ", p.Place.Line))), caret)
	}
	if p.Hint != "" {
		fmt.Fprintf(t.Err, "%s %s\n", dim, Clean(p.Hint))
	}
}
