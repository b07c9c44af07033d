package main

import "strings"

// sqlParts cuts SQL into pieces that are code and pieces that are quoted or comments, in turn, beginning with code.
func sqlParts(sql string) []string {
	var parts []string
	start := 0
	for i := 0; i < len(sql); {
		end := quotedEnd(sql, i)
		if end == i {
			i++
			continue
		}
		parts = append(parts, sql[start:i], sql[i:end])
		start, i = end, end
	}
	return append(parts, sql[start:])
}

// quotedEnd returns where the quoted text or comment that begins at i ends; i when none begins there.
func quotedEnd(sql string, i int) int {
	rest := sql[i:]
	switch {
	case rest[0] == '\'' || rest[0] == '"':
		for j := 1; j < len(rest); j++ {
			if rest[j] != rest[0] {
				continue
			}
			if j+1 < len(rest) && rest[j+1] == rest[0] { // a doubled quote stands for itself
				j++
				continue
			}
			return i + j + 1
		}
		return len(sql)
	case strings.HasPrefix(rest, "--"):
		if j := strings.IndexByte(rest, '\n'); j >= 0 {
			return i + j
		}
		return len(sql)
	case strings.HasPrefix(rest, "/*"):
		if j := strings.Index(rest[2:], "*/"); j >= 0 {
			return i + 2 + j + 2
		}
		return len(sql)
	}
	return i
}

// cutWhere divides "SET … WHERE condition" at its last WHERE outside quotes and parentheses.
func cutWhere(s string) (head, condition string) {
	depth, at := 0, -1
	parts := sqlParts(s)
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
	for i, p := range sqlParts(s) {
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
