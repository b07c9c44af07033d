package main

import "strings"

// cutStatements cuts text at the semicolons that end statements. rest is what has no end yet: "" when nothing but blanks
// and comments is left.
func cutStatements(text string) (whole []string, rest string) {
	var current strings.Builder
	code := false // current holds more than blanks and comments
	for i, part := range sqlParts(text) {
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
	if rest = current.String(); !code && openSign(rest) == "" {
		rest = ""
	}
	return whole, rest
}

// openSign is the sign of the quoted text or comment in which text ends: ', ", /* or "".
func openSign(text string) string {
	parts := sqlParts(text)
	if len(parts) < 3 || parts[len(parts)-1] != "" {
		return ""
	}
	last := parts[len(parts)-2]
	switch {
	case strings.HasPrefix(last, "/*") && (len(last) < 4 || !strings.HasSuffix(last, "*/")):
		return "/*"
	case (last[0] == '\'' || last[0] == '"') && strings.Count(last, last[:1])%2 == 1:
		return last[:1]
	}
	return ""
}
