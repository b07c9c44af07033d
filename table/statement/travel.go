package statement

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// feed is one table_changes(…) of a query.
type feed struct {
	table string
	ends  table.ChangeRange
}

// feedName is what stands in FROM for the call of this number: no table has such a name.
func feedName(n int) string { return "table_changes " + strconv.Itoa(n) }

// rewritten is a query in the engine's words.
type rewritten struct {
	sql   string
	feeds map[string]feed // by the names that stand for them
}

// rewrite puts a query into the engine's words: VERSION AS OF 3 and TIMESTAMP AS OF '…' become AT clauses, with the
// alias before them; names in backticks stand in double quotes, delta.`path` is the path; and a name stands for each
// table_changes(…).
//
// Errors: *SyntaxError for a call of table_changes that makes no sense.
func rewrite(sql string) (*rewritten, error) {
	p := &parser{sql: sql, tokens: scan(sql)}
	if last := p.tokens[len(p.tokens)-1]; last.kind == tokenOpen {
		return nil, p.at(last.start, "the quote or comment that begins here does not end", "")
	}
	r := &rewritten{feeds: map[string]feed{}}
	var out strings.Builder
	at := 0
	put := func(from int, text string) {
		out.WriteString(sql[at:p.tokens[from].start])
		out.WriteString(text)
		at = p.tokens[p.pos-1].end
	}
	for p.err == nil && p.kind() != tokenEnd {
		from := p.pos
		switch {
		case p.is("table_changes", "(") && !p.isAt(from-1, "."):
			f := p.feedCall()
			if p.err != nil {
				return nil, p.err
			}
			name := feedName(len(r.feeds) + 1)
			r.feeds[name] = f
			put(from, table.QuoteIdent(name))
		case p.is("delta", ".") && p.tokens[from+2].kind == tokenQuoted && !p.isAt(from-1, "."):
			p.pos += 3
			put(from, table.QuoteIdent(unquoted(p.textOf(from+2))))
		case p.kind() == tokenQuoted && sql[p.tokens[from].start] == '`':
			p.pos++
			put(from, table.QuoteIdent(unquoted(p.textOf(from))))
		case p.travels():
			clause := "AT (" + p.travel() + ")"
			if alias := p.lateAlias(); alias != "" {
				clause = "AS " + alias + " " + clause
			}
			put(from, clause)
		default:
			p.pos++
		}
	}
	out.WriteString(sql[at:])
	r.sql = out.String()
	return r, p.err
}

// travels tells whether a whole time travel clause comes next.
func (p *parser) travels() bool {
	i := p.pos
	if p.isAt(i, "FOR") {
		i++
	}
	try := *p
	switch {
	case (p.isAt(i, "VERSION") || p.isAt(i, "SYSTEM_VERSION") || p.isAt(i, "TIMESTAMP") || p.isAt(i, "SYSTEM_TIME")) && p.isAt(i+1, "AS") && p.isAt(i+2, "OF"):
	case p.is("AT", "(", "VERSION", "=>"), p.is("AT", "(", "TIMESTAMP", "=>"):
	default:
		return false
	}
	return try.travel() != "" && try.err == nil
}

// lateAlias passes the alias behind a time travel clause and returns it; "" when the next word is none.
func (p *parser) lateAlias() string {
	next := []string{
		"ANTI", "ASOF", "CROSS", "EXCEPT", "FETCH", "FULL", "GROUP", "HAVING", "INNER", "INTERSECT", "JOIN", "LEFT", "LIMIT",
		"NATURAL", "OFFSET", "ON", "ORDER", "PIVOT", "POSITIONAL", "QUALIFY", "RIGHT", "SEMI", "TABLESAMPLE", "UNION", "UNPIVOT",
		"USING", "WHERE", "WINDOW",
	}
	if p.accept("AS") {
		from := p.pos
		p.ident("a name")
		return p.expressionText(from, p.pos)
	}
	if p.kind() == tokenQuoted || p.kind() == tokenWord && !slices.ContainsFunc(next, func(w string) bool { return p.is(w) }) {
		p.pos++
		return p.expressionText(p.pos-1, p.pos)
	}
	return ""
}

// feedCall reads table_changes('table', first [, last]): versions, or times in quotes.
func (p *parser) feedCall() feed {
	p.hint = "FROM table_changes('./orders', 2, 5): a table, the first version or time, and the last one unless it is the newest"
	start := p.tokens[p.pos].start
	fail := func(what string) { p.failAt(start, "table_changes: "+what) }
	p.pos += 2
	var f feed
	if p.kind() != tokenText {
		fail("the table stands in quotes")
		return f
	}
	f.table = p.text("a table")
	ends := []struct {
		version **txlog.Version
		time    *time.Time
	}{{&f.ends.From, &f.ends.FromTime}, {&f.ends.To, &f.ends.ToTime}}
	var texts []string
	for n, end := range ends {
		if n == 1 && !p.is(",") {
			break
		}
		if !p.accept(",") {
			fail("1 arguments")
			return f
		}
		from, to := p.until("a version or a time", ",", ")")
		if p.err != nil {
			return f
		}
		text := p.raw(from, to)
		if p.tokens[from].kind == tokenText {
			text = unquoted(text)
		}
		texts = append(texts, text)
		var err error
		if *end.version, *end.time, err = ParseVersion(text); err != nil {
			fail(text + " is neither a version nor a time")
			return f
		}
	}
	if !p.accept(")") {
		if p.is(",") {
			fail("4 arguments")
		} else {
			fail("its parenthesis is not closed")
		}
	}
	if Backwards(f.ends) {
		fail(texts[0] + " comes after " + texts[1])
	}
	return f
}

// ParseVersion reads a version or a time, as text.
func ParseVersion(text string) (*txlog.Version, time.Time, error) {
	text = strings.TrimSpace(text)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
		v := txlog.Version(n)
		return &v, time.Time{}, nil
	}
	t, err := ParseTime(text)
	return nil, t, err
}

// ParseTime reads an instant: RFC 3339, or a date or a date and time, then in UTC.
func ParseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time such as 2026-01-31, 2026-01-31T12:00:00 or 2026-01-31T12:00:00Z", s)
}

// ParseAt reads the time travel clause of a table.TableRef: "VERSION => 3", "TIMESTAMP => '2026-01-31'".
func ParseAt(clause string) (*txlog.Version, *time.Time, error) {
	kind, value, ok := strings.Cut(clause, "=>")
	value = strings.Trim(strings.TrimSpace(value), "'")
	if ok {
		switch strings.ToUpper(strings.TrimSpace(kind)) {
		case "VERSION":
			v, err := strconv.ParseInt(value, 10, 64)
			if err != nil || v < 0 {
				return nil, nil, fmt.Errorf("AT (%s): %q is not a version", clause, value)
			}
			version := txlog.Version(v)
			return &version, nil, nil
		case "TIMESTAMP":
			t, err := ParseTime(value)
			if err != nil {
				return nil, nil, fmt.Errorf("AT (%s): %w", clause, err)
			}
			return nil, &t, nil
		}
	}
	return nil, nil, fmt.Errorf("AT (%s): write VERSION => 3 or TIMESTAMP => '2026-01-31T00:00:00Z'", clause)
}

// Backwards tells whether a range ends before it starts.
func Backwards(r table.ChangeRange) bool {
	return r.From != nil && r.To != nil && *r.From > *r.To || !r.FromTime.IsZero() && !r.ToTime.IsZero() && r.FromTime.After(r.ToTime)
}
