package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// expandSQL replaces the macros (@name) and variables (${name}) of a SELECT by what lookup says: SQL text for
// "@as_of" or "${landing}". Strings, quoted names and comments are left alone, but a ${…} inside a string is an
// error, because the reader of the file would expect it to work. The offset of an error counts bytes of sql.
func expandSQL(sql string, lookup func(name string) (string, error)) (out string, offset int, err error) {
	var b strings.Builder
	for i := 0; i < len(sql); {
		if n := opaque(sql[i:]); n > 0 {
			part := sql[i : i+n]
			if part[0] == '\'' && strings.Contains(part, "${") {
				return "", i, fmt.Errorf("${…} inside a string is not replaced; write ${name} without quotes: it is a literal already")
			}
			b.WriteString(part)
			i += n
			continue
		}
		name, n := macroAt(sql, i)
		if n == 0 {
			b.WriteByte(sql[i])
			i++
			continue
		}
		text, err := lookup(name)
		if err != nil {
			return "", i, err
		}
		b.WriteString(text)
		i += n
	}
	return b.String(), -1, nil
}

// opaque is the length of the string, quoted name or comment that sql begins with, 0 for anything else.
func opaque(sql string) int {
	switch {
	case sql[0] == '\'' || sql[0] == '"':
		for i := 1; i < len(sql); i++ {
			if sql[i] != sql[0] {
				continue
			}
			if i+1 < len(sql) && sql[i+1] == sql[0] {
				i++
				continue
			}
			return i + 1
		}
		return len(sql)
	case strings.HasPrefix(sql, "--"):
		if i := strings.IndexByte(sql, '\n'); i >= 0 {
			return i + 1
		}
		return len(sql)
	case strings.HasPrefix(sql, "/*"):
		depth := 0
		for i := 0; i+1 < len(sql); i++ {
			switch sql[i : i+2] {
			case "/*":
				depth++
				i++
			case "*/":
				depth--
				i++
				if depth == 0 {
					return i + 1
				}
			}
		}
		return len(sql)
	}
	return 0
}

// macroAt finds "@name" or "${name}" at sql[i:] and its length.
func macroAt(sql string, i int) (name string, length int) {
	rest := sql[i:]
	if strings.HasPrefix(rest, "${") {
		if j := strings.IndexByte(rest, '}'); j > 0 {
			return "${" + strings.TrimSpace(rest[2:j]) + "}", j + 1
		}
		return rest, len(rest)
	}
	if rest[0] != '@' || i > 0 && (sql[i-1] == '<' || sql[i-1] == '@') {
		return "", 0
	}
	n := 1
	for n < len(rest) && (isWordByte(rest[n]) || n > 1 && rest[n] >= '0' && rest[n] <= '9') {
		n++
	}
	if n == 1 {
		return "", 0
	}
	return rest[:n], n
}

func isWordByte(c byte) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// moment is what macros stand for in one run.
type moment struct {
	run  string
	asOf time.Time
}

// canonicalMoment is the moment under which code hashes are computed: they must not change from run to run.
func canonicalMoment() moment { return moment{run: "run", asOf: time.Unix(0, 0)} }

// lookup gives the SQL text of macros and variables. Errors name what there is.
func (m moment) lookup(vars map[string]variable) func(name string) (string, error) {
	return func(name string) (string, error) {
		switch name {
		case "@as_of":
			return "TIMESTAMP WITH TIME ZONE " + quoteString(m.asOf.UTC().Format("2006-01-02 15:04:05.999999")+"+00"), nil
		case "@run_id":
			return quoteString(m.run), nil
		case "@start", "@end", "@start_ntz", "@end_ntz", "@start_date", "@end_date", "@this", "@staged":
			return "", fmt.Errorf("not supported yet in this version: %s", name)
		}
		if inner, ok := strings.CutPrefix(name, "${"); ok {
			inner = strings.TrimSuffix(inner, "}")
			v, ok := vars[inner]
			if !ok {
				return "", fmt.Errorf("%s names no variable of lake.yml", name)
			}
			return v.literal()
		}
		return "", fmt.Errorf("%s is not a macro; there are @as_of and @run_id (for the absolute value write abs(x))", name)
	}
}

// bareWord finds one of the words in sql outside of strings, quoted names and comments, and not as part of a path
// ("t.current_date"). It returns its offset, -1 when there is none. Words are lower case.
func bareWord(sql string, words []string) (word string, offset int) {
	for i := 0; i < len(sql); {
		if n := opaque(sql[i:]); n > 0 {
			i += n
			continue
		}
		if !isWordByte(sql[i]) {
			i++
			continue
		}
		n := 1
		for i+n < len(sql) && (isWordByte(sql[i+n]) || sql[i+n] >= '0' && sql[i+n] <= '9') {
			n++
		}
		if w := strings.ToLower(sql[i : i+n]); slices.Contains(words, w) && (i == 0 || sql[i-1] != '.') {
			return w, i
		}
		i += n
	}
	return "", -1
}
