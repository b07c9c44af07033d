package main

import (
	"strings"

	"github.com/lakectl/lakectl/table/statement"
)

// cutWhere divides "SET … WHERE condition" at its last WHERE outside quotes and parentheses.
func cutWhere(s string) (head, condition string) {
	depth, at := 0, -1
	parts := statement.Pieces(s)
	offset := 0
	for i, p := range parts {
		if i%2 == 0 {
			for j := range len(p) {
				switch p[j] {
				case '(':
					depth++
				case ')':
					depth--
				}
				if depth == 0 && isWordAt(p, j, "where") {
					at = offset + j
				}
			}
		}
		offset += len(p)
	}
	if at < 0 {
		return strings.TrimSpace(s), ""
	}
	return strings.TrimSpace(s[:at]), strings.TrimSpace(s[at+len("where"):])
}

// isWordAt tells whether the word stands at i as a word of its own, without regard to case.
func isWordAt(s string, i int, word string) bool {
	if len(s)-i < len(word) || !strings.EqualFold(s[i:i+len(word)], word) {
		return false
	}
	letter := func(c byte) bool {
		return c == '_' || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
	}
	return (i == 0 || !letter(s[i-1])) && (i+len(word) == len(s) || !letter(s[i+len(word)]))
}

// splitCommas divides s at its commas outside quotes and parentheses.
func splitCommas(s string) []string {
	var out []string
	depth, start, offset := 0, 0, 0
	for i, p := range statement.Pieces(s) {
		if i%2 == 0 {
			for j := range len(p) {
				switch c := p[j]; {
				case c == '(' || c == '[' || c == '{':
					depth++
				case c == ')' || c == ']' || c == '}':
					depth--
				case c == ',' && depth == 0:
					out = append(out, strings.TrimSpace(s[start:offset+j]))
					start = offset + j + 1
				}
			}
		}
		offset += len(p)
	}
	return append(out, strings.TrimSpace(s[start:]))
}
