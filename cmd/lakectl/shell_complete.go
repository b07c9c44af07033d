package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/statement"
)

// keywords that the shell completes, and functions that people use most. The engine knows more of both.
func keywords() []string {
	return strings.Fields(`ADD ALL ALTER ANALYZE AND ANTI ARRAY AS ASC AT BETWEEN BY CASE CAST CHECK CLUSTER COLUMN COMMENT CONSTRAINT
CREATE CROSS CURRENT_DATE CURRENT_TIMESTAMP DATE DEFAULT DELETE DESC DESCRIBE DETAIL DISTINCT DROP ELSE END
EVOLUTION EXCEPT EXCLUDE EXISTS EXPLAIN FALSE FIRST FROM FULL GROUP HAVING HISTORY IF IN INNER INSERT
INTERSECT INTERVAL INTO IS JOIN LAST LEFT LIKE LIMIT MATCHED MERGE NAME NOT NULL NULLS OF OFFSET ON OPTIMIZE
OR ORDER OUTER OVER OVERWRITE PARTITION PARTITIONED PIVOT QUALIFY RENAME REPLACE RESTORE RETAIN RIGHT SCHEMA
SELECT SEMI SET SHOW SOURCE TABLE TABLES TARGET TBLPROPERTIES THEN TIMESTAMP TO TRUE TRUNCATE TRY_CAST TYPE
UNION UNPIVOT UPDATE USING VACUUM VALUES VERSION WHEN WHERE WINDOW WITH ZORDER`)
}

func functionNames() []string {
	return strings.Fields(`abs avg ceil coalesce concat count date_diff date_part date_trunc epoch_ms first floor greatest last least length
lower max median min mode nullif quantile_cont regexp_extract regexp_matches regexp_replace replace round row_number split_part starts_with
stddev strftime string_agg strptime substring sum table_changes today trim upper`)
}

// catalog is what completion asks about the lake. Answers come soon, or empty.
type catalog interface {
	tables() []string
	columns(name string) []string
}

// completeSQL offers words for the end of before, which is a whole statement up to the cursor; after is what follows
// it. start is an offset in before.
func completeSQL(before, after string, lake catalog) (start int, words []string) {
	if sign := statement.OpenSign(before); sign != "" {
		at := strings.LastIndex(before, sign)
		if sign == "'" && tablePlace(before[:at]) {
			start, words = completePath(before[at+1:], strings.HasPrefix(after, "'"), dataFile)
			return at + 1 + start, words
		}
		return len(before), nil
	}
	word := before[len(strings.TrimRightFunc(before, inWord)):]
	start = len(before) - len(word)
	named := namedTables(before + wordRest(after))
	if tablePlace(before[:start]) {
		words = withPrefix(lake.tables(), word)
		if word == "" { // a path may stand there, too; and a name is not begun unasked
			words = append(words, "'")
		}
		return start, words
	}
	if alias, begun, dotted := strings.Cut(word, "."); dotted {
		for _, n := range named {
			if strings.EqualFold(n.alias, alias) {
				return start + len(alias) + 1, quotedNames(withPrefix(lake.columns(n.name), begun))
			}
		}
		return start, withPrefix(lake.tables(), word)
	}
	for _, n := range named {
		words = append(words, quotedNames(withPrefix(lake.columns(n.name), word))...)
		if n.alias != "" {
			words = append(words, withPrefix([]string{n.alias + "."}, word)...)
		}
	}
	if word == "" {
		return start, unique(words)
	}
	for _, f := range withPrefix(functionNames(), word) {
		words = append(words, f+"(")
	}
	first, _ := utf8.DecodeRuneInString(word)
	for _, k := range withPrefix(keywords(), word) {
		if unicode.IsLower(first) {
			k = strings.ToLower(k)
		}
		words = append(words, k+" ")
	}
	return start, unique(words)
}

func inWord(r rune) bool {
	return r == '_' || r == '.' || unicode.IsLetter(r) || unicode.IsDigit(r)
}

// wordRest leaves out of what follows the cursor the rest of the word in which it stands.
func wordRest(after string) string { return " " + strings.TrimLeftFunc(after, inWord) }

func withPrefix(words []string, begun string) []string {
	var out []string
	for _, w := range words {
		if len(w) >= len(begun) && strings.EqualFold(w[:len(begun)], begun) {
			out = append(out, w)
		}
	}
	return out
}

func unique(words []string) []string {
	seen := map[string]bool{}
	return slices.DeleteFunc(words, func(w string) bool {
		key := strings.ToLower(strings.TrimSpace(w))
		old := seen[key]
		seen[key] = true
		return old
	})
}

// quotedNames quotes the names of columns that SQL would not take as they are.
func quotedNames(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = n
		if strings.TrimFunc(n, func(r rune) bool { return inWord(r) && r != '.' }) != "" || n == "" || unicode.IsDigit(rune(n[0])) ||
			slices.Contains(keywords(), strings.ToUpper(n)) {
			out[i] = table.QuoteIdent(n)
		}
	}
	return out
}

// sqlToken is a word, a sign, or a quoted text with its quotes.
type sqlToken string

func sqlTokens(sql string) []sqlToken {
	var out []sqlToken
	for i, p := range statement.Pieces(sql) {
		if i%2 == 1 {
			if !strings.HasPrefix(p, "--") && !strings.HasPrefix(p, "/*") {
				out = append(out, sqlToken(p))
			}
			continue
		}
		for p != "" {
			if end := len(p) - len(strings.TrimLeftFunc(p, inWord)); end > 0 {
				out = append(out, sqlToken(p[:end]))
				p = p[end:]
				continue
			}
			r, size := utf8.DecodeRuneInString(p)
			if !unicode.IsSpace(r) {
				out = append(out, sqlToken(p[:size]))
			}
			p = p[size:]
		}
	}
	return out
}

func (t sqlToken) is(words ...string) bool {
	return slices.ContainsFunc(words, func(w string) bool { return strings.EqualFold(string(t), w) })
}

// name is the token as the name of a table or an alias; "" when it is none.
func (t sqlToken) name() string {
	r, _ := utf8.DecodeRuneInString(string(t))
	switch {
	case len(t) > 1 && strings.ContainsRune("'\"`", r) && t[len(t)-1] == t[0]:
		return strings.ReplaceAll(string(t[1:len(t)-1]), string(t[:1])+string(t[:1]), string(t[:1]))
	case inWord(r) && !slices.Contains(keywords(), strings.ToUpper(string(t))):
		return string(t)
	}
	return ""
}

// beforeTables are the words after which a table is named.
func beforeTables() []string {
	return []string{"FROM", "JOIN", "INTO", "UPDATE", "TABLE", "DESCRIBE", "HISTORY", "USING", "OVERWRITE", "OPTIMIZE", "VACUUM"}
}

// tablePlace tells whether a table is named where text ends.
func tablePlace(text string) bool {
	tokens := sqlTokens(text)
	if len(tokens) == 0 {
		return false
	}
	last := tokens[len(tokens)-1]
	if last != "," {
		return last.is(beforeTables()...)
	}
	for i := len(tokens) - 2; i >= 0; i-- { // a list of tables: FROM a, b c, …
		if tokens[i].is("FROM") {
			return true
		}
		if tokens[i] != "," && tokens[i].name() == "" && !tokens[i].is("AS") {
			return false
		}
	}
	return false
}

// namedTable is a table of a statement, with its alias, or with the last part of its name for one.
type namedTable struct{ name, alias string }

// namedTables finds the tables of a statement that may not be whole.
func namedTables(sql string) []namedTable {
	tokens := sqlTokens(sql)
	var out []namedTable
	at := func(i int) sqlToken {
		if i < len(tokens) {
			return tokens[i]
		}
		return ""
	}
	for i := 0; i < len(tokens); i++ {
		if !tokens[i].is(beforeTables()...) {
			continue
		}
		for list := tokens[i].is("FROM"); ; i++ {
			name := at(i + 1).name()
			if name == "" {
				break
			}
			i++
			t := namedTable{name: name, alias: name[strings.LastIndexAny(name, "./")+1:]}
			if at(i + 1).is("AS") {
				i++
			}
			if alias := at(i + 1).name(); alias != "" {
				t.alias = alias
				i++
			}
			out = append(out, t)
			if !list || at(i+1) != "," {
				break
			}
		}
	}
	return out
}

// dataFile tells whether a file can stand in FROM.
func dataFile(name string) bool { return fileFormat(name) != "" }

// completePath offers what a begun path may become: folders end in a slash, tables and wanted files with the closing
// quote unless that stands there already, or there is none.
func completePath(begun string, quoted bool, wanted func(name string) bool) (start int, words []string) {
	if strings.Contains(begun, "://") {
		return 0, nil
	}
	folder, name := filepath.Split(begun)
	entries, err := os.ReadDir(filepath.Join(".", folder))
	if filepath.IsAbs(folder) {
		entries, err = os.ReadDir(folder)
	}
	if err != nil {
		return 0, nil
	}
	quote := "'"
	if quoted {
		quote = ""
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), name) || hidden(e.Name()) && name == "" {
			continue
		}
		path := filepath.Join(folder, e.Name())
		switch info, err := os.Stat(path); {
		case err != nil:
		case !info.IsDir():
			if wanted(e.Name()) {
				words = append(words, e.Name()+quote)
			}
		default:
			if _, err := os.Stat(filepath.Join(path, logFolder)); err == nil {
				words = append(words, e.Name()+quote)
			} else {
				words = append(words, e.Name()+"/")
			}
		}
	}
	return len(folder), words
}

// lakeCatalog answers from the tables of the lake, and remembers the answers until they may have changed.
type lakeCatalog struct {
	ctx   context.Context //nolint:containedctx // completion is a callback of the editor, which has none
	app   *app
	names []string // nil: not asked yet
	known map[string][]string
}

func (c *lakeCatalog) forget() { c.names, c.known = nil, nil }

func (c *lakeCatalog) tables() []string {
	if c.names == nil {
		names, err := c.app.tableNames(c.ctx)
		if err != nil { // no lake, or a store that does not answer: nothing to offer
			names = nil
		}
		c.names = append([]string{}, names...)
	}
	return c.names
}

func (c *lakeCatalog) columns(name string) []string {
	if names, ok := c.known[name]; ok {
		return names
	}
	if c.known == nil {
		c.known = map[string][]string{}
	}
	c.known[name] = nil
	w, err := parseWord(name)
	if err != nil || w.kind == wordQuery {
		return nil
	}
	if w.kind == wordPath && fileFormat(w.text) != "" {
		if rel, err := c.app.files(c.ctx, []string{w.text}, fileOptions{}); err == nil {
			if s, err := c.app.externalSchema(c.ctx, rel); err == nil {
				c.known[name] = s.Names()
			}
		}
		return c.known[name]
	}
	t, err := c.app.openTable(c.ctx, w)
	if err != nil {
		return nil
	}
	if s, err := t.Schema(); err == nil {
		c.known[name] = s.Names()
	}
	return c.known[name]
}
