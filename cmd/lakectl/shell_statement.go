package main

import (
	"strings"

	"github.com/lakectl/lakectl/table/statement"
)

// cutStatements cuts text at the semicolons that end statements. rest is what has no end yet: "" when nothing but blanks
// and comments is left.
func cutStatements(text string) (whole []string, rest string) {
	var current strings.Builder
	code := false // current holds more than blanks and comments
	for i, part := range statement.Pieces(text) {
		if i%2 == 1 {
			current.WriteString(part)
			code = code || !strings.HasPrefix(part, "--") && !strings.HasPrefix(part, "/*")
			continue
		}
		for {
			head, tail, ended := strings.Cut(part, ";")
			current.WriteString(head)
			code = code || strings.TrimSpace(head) != ""
			if !ended {
				break
			}
			if code {
				whole = append(whole, strings.TrimSpace(current.String()))
			}
			current.Reset()
			code, part = false, tail
		}
	}
	if rest = current.String(); !code && statement.OpenSign(rest) == "" {
		rest = ""
	}
	return whole, rest
}
