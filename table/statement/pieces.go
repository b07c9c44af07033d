package statement

import "strings"

// Pieces cuts SQL into code and what is none: strings, quoted names and comments. They come in turn, beginning with
// code, which may be empty; one after the other they are the SQL. What does not end reaches to the end of the SQL.
func Pieces(sql string) []string {
	out, _ := pieces(sql)
	return out
}

// OpenSign is the sign that begins the string, the quoted name or the comment in which SQL ends: ' " ` $ /*; "" when it
// ends in none.
func OpenSign(sql string) string {
	out, open := pieces(sql)
	if !open {
		return ""
	}
	last := out[len(out)-2]
	if strings.HasPrefix(last, "/*") {
		return "/*"
	}
	return strings.TrimLeft(last, "eE")[:1]
}

func pieces(sql string) (out []string, open bool) {
	start := 0
	for i := 0; i < len(sql) && !open; {
		end, code := i+1, true
		switch rest := sql[i:]; {
		case strings.HasPrefix(rest, "--"):
			if code, end = false, strings.IndexByte(rest, '\n')+i; end < i {
				end = len(sql)
			}
		case strings.HasPrefix(rest, "/*"):
			code, end = false, i+commentLength(rest)
			if open = end < i; open {
				end = len(sql)
			}
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) < 0:
			t := scanOne(sql, i)
			open, end = t.kind == tokenOpen, t.end
			code = !open && t.kind != tokenText && t.kind != tokenQuoted
		}
		if !code {
			out = append(out, sql[start:i], sql[i:end])
			start = end
		}
		i = end
	}
	return append(out, sql[start:]), open
}
