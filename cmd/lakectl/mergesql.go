package main

import (
	"strings"

	"github.com/lakectl/lakectl/table"
)

// mergeStatement is a MERGE INTO, taken apart.
type mergeStatement struct {
	target, targetAlias string
	source, sourceAlias string
	on                  string
	clauses             []table.Clause
	evolves             bool // WITH SCHEMA EVOLUTION
}

// parseMerge reads
//
//	MERGE [WITH SCHEMA EVOLUTION] INTO target [AS] t USING source [AS] s ON condition
//	WHEN MATCHED [AND condition] THEN UPDATE SET … | DELETE
//	WHEN NOT MATCHED [BY TARGET] [AND condition] THEN INSERT …
//	WHEN NOT MATCHED BY SOURCE [AND condition] THEN UPDATE SET … | DELETE
//
// where target and source are names, quoted paths or, for the source, a query in parentheses.
func parseMerge(sql string) (*mergeStatement, error) {
	sql = strings.TrimSuffix(strings.TrimSpace(stripComments(sql)), ";")
	bad := func(what string) error {
		return usageHint("the MERGE statement "+what, "MERGE INTO './t' t USING 'new.csv' s ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *")
	}
	rest, ok := afterWords(sql, "merge")
	into, evolves := afterWords(rest, "with", "schema", "evolution")
	if evolves {
		rest = into
	}
	if into, found := afterWords(rest, "into"); ok && found {
		rest = into
	} else {
		return nil, bad("does not begin with MERGE INTO")
	}
	target, rest, ok := beforeWord(rest, "using")
	if !ok {
		return nil, bad("has no USING")
	}
	source, rest, ok := beforeWord(rest, "on")
	if !ok {
		return nil, bad("has no ON")
	}
	on, rest, ok := beforeWord(rest, "when")
	if !ok {
		return nil, bad("has no WHEN")
	}
	m := &mergeStatement{on: on, evolves: evolves}
	m.target, m.targetAlias = aliased(target, "t")
	m.source, m.sourceAlias = aliased(source, "s")
	for rest != "" {
		head, tail, more := beforeWord(rest, "when")
		if !more {
			head, tail = rest, ""
		}
		c, err := parseWhen(head, bad)
		if err != nil {
			return nil, err
		}
		m.clauses = append(m.clauses, c)
		rest = tail
	}
	return m, nil
}

// parseWhen reads one clause, after its WHEN.
func parseWhen(text string, bad func(string) error) (table.Clause, error) {
	condition, action, ok := beforeWord(text, "then")
	if !ok {
		return table.Clause{}, bad("has a WHEN without THEN")
	}
	when := table.Matched
	rest, ok := afterWords(condition, "matched")
	if !ok {
		when = table.NotMatched
		if rest, ok = afterWords(condition, "not", "matched"); !ok {
			return table.Clause{}, bad("has a WHEN that is neither MATCHED nor NOT MATCHED")
		}
		if by, ok := afterWords(rest, "by", "target"); ok {
			rest = by
		} else if by, ok := afterWords(rest, "by", "source"); ok {
			rest, when = by, table.NotMatchedBySource
		}
	}
	if and, ok := afterWords(rest, "and"); ok {
		rest = and
	} else if rest != "" {
		return table.Clause{}, bad("has a condition without AND")
	}
	var c table.Clause
	var err error
	switch {
	case when != table.NotMatched && isWordAt(action, 0, "delete"):
		c = table.Clause{Do: table.DoDelete}
	case when != table.NotMatched && isWordAt(action, 0, "update"):
		c, err = parseUpdate(strings.TrimSpace(action[len("update"):]))
	case when == table.NotMatched && isWordAt(action, 0, "insert"):
		c, err = parseInsert(strings.TrimSpace(action[len("insert"):]))
	default:
		return c, bad("has an action that does not fit its WHEN")
	}
	c.When, c.If = when, rest
	return c, err
}

// stripComments takes comments out; quoted texts stay.
func stripComments(sql string) string {
	parts := sqlParts(sql)
	for i := 1; i < len(parts); i += 2 {
		if strings.HasPrefix(parts[i], "--") || strings.HasPrefix(parts[i], "/*") {
			parts[i] = " "
		}
	}
	return strings.Join(parts, "")
}

// afterWords cuts words, in order, off the beginning.
func afterWords(s string, words ...string) (string, bool) {
	s = strings.TrimSpace(s)
	for _, w := range words {
		if !isWordAt(s, 0, w) {
			return "", false
		}
		s = strings.TrimSpace(s[len(w):])
	}
	return s, true
}

// beforeWord divides s at the first such word outside quotes, parentheses and CASE … END.
func beforeWord(s, word string) (before, after string, ok bool) {
	depth, cases, offset := 0, 0, 0
	for i, p := range sqlParts(s) {
		for j := 0; i%2 == 0 && j < len(p); j++ {
			switch {
			case p[j] == '(':
				depth++
			case p[j] == ')':
				depth--
			case isWordAt(p, j, "case"):
				cases++
			case cases > 0 && isWordAt(p, j, "end"):
				cases--
			case depth == 0 && cases == 0 && isWordAt(p, j, word):
				at := offset + j
				return strings.TrimSpace(s[:at]), strings.TrimSpace(s[at+len(word):]), true
			}
		}
		offset += len(p)
	}
	return "", "", false
}

// aliased divides "silver.orders AS t", "'./t' t" and "(SELECT …) s".
func aliased(s, otherwise string) (name, alias string) {
	s = strings.TrimSpace(s)
	cut := len(s)
	if inner, rest, ok := parenthesised(s); ok {
		s, cut = inner+" "+rest, len(inner)
	} else if end := quotedEnd(s, 0); s != "" && end > 0 {
		cut = end
	} else if i := strings.IndexAny(s, " \t\r\n"); i >= 0 {
		cut = i
	}
	name, alias = strings.TrimSpace(s[:cut]), strings.TrimSpace(s[cut:])
	if after, ok := afterWords(alias, "as"); ok {
		alias = after
	}
	if alias == "" {
		alias = otherwise
	}
	if len(name) > 1 && (name[0] == '\'' || name[0] == '"') {
		q := name[:1]
		name = strings.ReplaceAll(strings.Trim(name, q), q+q, q)
	}
	return name, strings.Trim(alias, `"`)
}
