package statement

import (
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/table"
)

// statement reads one statement, by its first words.
func (p *parser) statement() Statement {
	switch {
	case p.is("MERGE"):
		return p.merge()
	case p.is("UPDATE"):
		return p.update()
	case p.is("DELETE"):
		return p.delete()
	case p.is("TRUNCATE"):
		p.expect("TRUNCATE", "TABLE")
		return &Delete{Target: p.name()}
	case p.is("INSERT"):
		return p.insert()
	case p.is("CREATE"), p.is("REPLACE", "TABLE"):
		return p.create()
	case p.is("ALTER"):
		return p.alter()
	case p.is("COMMENT", "ON"):
		return p.comment()
	case p.is("DROP"):
		return p.drop()
	case p.is("DESCRIBE"), p.is("DESC"):
		return p.describe()
	case p.is("SHOW"):
		return p.show()
	case p.is("OPTIMIZE"):
		return p.optimize()
	case p.is("VACUUM"):
		return p.vacuum()
	case p.is("RESTORE"):
		return p.restore()
	}
	for word, why := range map[string]string{
		"COPY": "INSERT INTO t SELECT * FROM 'file.csv' reads files, lakectl query --output csv writes them",
		"SET":  "settings are those of lake.yml and of the flags", "PRAGMA": "settings are those of lake.yml and of the flags",
		"ATTACH": "tables are named by lake.yml and by their paths", "INSTALL": "the engine loads no extensions", "LOAD": "the engine loads no extensions",
		"USE":   "names are layer.name, or paths",
		"BEGIN": "a statement is one commit to one table, and there are no transactions over several", "COMMIT": "a statement is committed when it ends",
		"CALL": "there are no procedures",
	} {
		if p.is(word) {
			p.refuse(p.tokens[p.pos].start, word, why)
			return nil
		}
	}
	from := p.pos
	p.pos = p.end
	return &Select{SQL: p.piece(from, p.end, true)}
}

// called is the alias of a table that was given none: its own name where the statement uses that, else another.
func (p *parser) called(given string, n Name, from int, otherwise string) string {
	if given != "" {
		return given
	}
	if strings.ContainsAny(n.Text, "/ ") {
		return otherwise
	}
	last := n.Text[strings.LastIndexByte(n.Text, '.')+1:]
	for i := from; i+1 < p.end; i++ {
		k := p.tokens[i].kind
		text := p.textOf(i)
		if k == tokenQuoted {
			text = unquoted(text)
		}
		if (k == tokenWord || k == tokenQuoted) && strings.EqualFold(text, last) && p.isAt(i+1, ".") && !p.isAt(i-1, ".") {
			return last
		}
	}
	return otherwise
}

const mergeHint = "MERGE INTO './t' t USING 'new.csv' s ON t.id = s.id WHEN MATCHED THEN UPDATE SET * WHEN NOT MATCHED THEN INSERT *"

func (p *parser) merge() *Merge {
	p.hint = mergeHint
	m := &Merge{}
	p.expect("MERGE")
	m.Request.MergeSchema = p.accept("WITH", "SCHEMA", "EVOLUTION")
	p.expect("INTO")
	m.Target = p.name()
	if p.accept("WITH", "SCHEMA", "EVOLUTION") {
		m.Request.MergeSchema = true
	}
	target := p.alias()
	p.expect("USING")
	m.Source = p.source()
	source := p.alias()
	p.expect("ON")
	body := p.pos
	m.Request.On = p.expression("the condition of a match", "WHEN")
	m.Request.TargetAlias = p.called(target, m.Target, body, "t")
	m.Request.SourceAlias = p.called(source, m.Source.Name, body, "s")
	if p.err == nil && p.kind() == tokenEnd {
		p.fail("expected WHEN, not " + p.seen())
	}
	for p.err == nil && p.kind() != tokenEnd {
		m.Request.Clauses = append(m.Request.Clauses, p.when(m.Request.TargetAlias))
	}
	return m
}

// source reads (query), a name or a path, with its time travel.
func (p *parser) source() Source {
	if p.is("(") {
		from, to := p.enclosed("a query")
		return Source{SQL: p.piece(from, to, true)}
	}
	return Source{Name: p.name(), At: p.travel()}
}

// travel reads VERSION AS OF 3, TIMESTAMP AS OF '…' and AT (…), as the text of an AT clause.
func (p *parser) travel() string {
	p.accept("FOR")
	switch {
	case p.accept("VERSION", "AS", "OF"), p.accept("SYSTEM_VERSION", "AS", "OF"):
		return fmt.Sprint("VERSION => ", p.whole("a version"))
	case p.accept("TIMESTAMP", "AS", "OF"), p.accept("SYSTEM_TIME", "AS", "OF"):
		return "TIMESTAMP => " + p.instant()
	case p.accept("AT", "(", "VERSION", "=>"):
		v := p.whole("a version")
		p.expect(")")
		return fmt.Sprint("VERSION => ", v)
	case p.accept("AT", "(", "TIMESTAMP", "=>"):
		t := p.instant()
		p.expect(")")
		return "TIMESTAMP => " + t
	}
	return ""
}

// instant reads '2026-01-31', with or without its type before it, and returns it as a SQL string.
func (p *parser) instant() string {
	if !p.accept("TIMESTAMP") {
		p.accept("TIMESTAMPTZ")
	}
	return table.QuoteString(p.text("a time"))
}

// when reads one clause.
func (p *parser) when(target string) table.Clause {
	p.expect("WHEN")
	c := table.Clause{When: table.Matched}
	if p.accept("NOT") {
		c.When = table.NotMatched
		p.expect("MATCHED")
		if p.accept("BY", "SOURCE") {
			c.When = table.NotMatchedBySource
		} else {
			p.accept("BY", "TARGET")
		}
	} else {
		p.expect("MATCHED")
	}
	if p.accept("AND") {
		c.If = p.expression("a condition", "THEN")
	}
	p.expect("THEN")
	switch {
	case c.When == table.NotMatched && p.accept("INSERT"):
		c.Do = table.DoInsert
		p.insertClause(&c)
	case c.When != table.NotMatched && p.accept("DELETE"):
		c.Do = table.DoDelete
	case c.When != table.NotMatched && p.accept("UPDATE"):
		if p.accept("*") || p.accept("SET", "*") {
			c.Star = true
			break
		}
		p.expect("SET")
		c.Set = p.assignments(target, "WHEN")
	case c.When == table.NotMatched:
		p.fail("expected INSERT, not " + p.seen())
	default:
		p.fail("expected UPDATE or DELETE, not " + p.seen())
	}
	return c
}

// insertClause reads * or (a, b) VALUES (x, y).
func (p *parser) insertClause(c *table.Clause) {
	if p.accept("*") {
		c.Star = true
		return
	}
	columns := p.columns()
	p.expect("VALUES")
	at := p.tokens[p.pos].start
	values := p.tuple()
	if p.err == nil && len(values) != len(columns) {
		p.failAt(at, fmt.Sprintf("%d values for %d columns", len(values), len(columns)))
	}
	for i := range values {
		if p.err == nil {
			c.Set = append(c.Set, table.Assignment{Column: plainColumn(columns[i]), Value: p.piece(values[i][0], values[i][1], false)})
		}
	}
}

// tuple reads (x, y) as the tokens of each.
func (p *parser) tuple() [][2]int {
	p.expect("(")
	var out [][2]int
	for p.err == nil {
		from, to := p.until("a value", ",", ")")
		out = append(out, [2]int{from, to})
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	return out
}

// assignments reads a = x, b = y up to one of these words.
func (p *parser) assignments(alias string, stop ...string) []table.Assignment {
	var out []table.Assignment
	for p.err == nil {
		at := p.tokens[p.pos].start
		parts := []string{p.ident("a column")}
		for p.accept(".") {
			parts = append(parts, p.ident("a column"))
		}
		if len(parts) > 1 && strings.EqualFold(parts[0], alias) {
			parts = parts[1:]
		}
		if len(parts) > 1 {
			p.failAt(at, "a field inside of a column is set with the whole column: "+parts[0]+" = struct_update(…)")
		}
		p.expect("=")
		out = append(out, table.Assignment{Column: parts[0], Value: p.expression("a value", append([]string{","}, stop...)...)})
		if !p.accept(",") {
			break
		}
	}
	return out
}

// plainColumn is the name of a column that has no dots in it.
func plainColumn(path string) string {
	if path != "" && (path[0] == '`' || path[0] == '"') && path[len(path)-1] == path[0] && len(path) > 1 {
		return unquoted(path)
	}
	return path
}

func (p *parser) update() *Update {
	p.hint = "UPDATE silver.orders SET status = 'sent', total = total * 2 WHERE id = 7"
	u := &Update{}
	p.expect("UPDATE")
	u.Target = p.name()
	u.Request.Alias = p.called(p.alias(), u.Target, p.pos, "t")
	p.expect("SET")
	if p.is("*") {
		p.fail("an UPDATE has no source to take * from: MERGE has")
	}
	u.Request.Set = p.assignments(u.Request.Alias, "WHERE", "FROM")
	if p.is("FROM") {
		p.fail("an UPDATE reads its own table, and others in subqueries: SET a = (SELECT …); MERGE takes rows from another table")
	}
	if p.accept("WHERE") {
		u.Request.Where = p.expression("a condition")
	}
	return u
}

func (p *parser) delete() *Delete {
	p.hint = "DELETE FROM silver.orders WHERE status = 'cancelled'"
	d := &Delete{}
	p.expect("DELETE", "FROM")
	d.Target = p.name()
	d.Request.Alias = p.called(p.alias(), d.Target, p.pos, "t")
	if p.is("USING") {
		p.fail("a DELETE reads others in subqueries: WHERE id IN (SELECT id FROM …); MERGE has USING")
	}
	if p.accept("WHERE") {
		d.Request.Where = p.expression("a condition")
	}
	return d
}

func (p *parser) insert() *Insert {
	p.hint = "INSERT INTO silver.orders (id, status) VALUES (7, 'new')   -- or a SELECT"
	s := &Insert{}
	p.expect("INSERT")
	evolve := func() {
		if p.accept("WITH", "SCHEMA", "EVOLUTION") {
			s.Evolve = true
		}
	}
	evolve()
	if p.accept("OVERWRITE") {
		s.Overwrite = true
		p.accept("INTO")
	} else {
		p.expect("INTO")
	}
	p.accept("TABLE")
	s.Target = p.name()
	evolve()
	if p.is("PARTITION") {
		p.fail("which partitions are replaced is said by REPLACE WHERE: INSERT INTO t REPLACE WHERE day = DATE '2026-01-31' SELECT …")
	}
	if p.is("(") && !p.queryInside() {
		for _, c := range p.columns() {
			s.Columns = append(s.Columns, plainColumn(c))
		}
	}
	s.ByName = p.accept("BY", "NAME")
	if p.is("REPLACE") && s.Overwrite {
		p.fail("INSERT OVERWRITE replaces every row; INSERT INTO … REPLACE WHERE those of a condition")
	}
	if p.accept("REPLACE") {
		p.expect("WHERE")
		s.Overwrite = true
		s.Where = p.expression("a condition", "SELECT", "VALUES", "WITH", "FROM", "TABLE")
	}
	if s.ByName && s.Columns != nil {
		p.fail("a list of columns and BY NAME exclude each other")
	}
	p.rows(s)
	return s
}

// queryInside tells whether a query begins behind the parenthesis that comes next.
func (p *parser) queryInside() bool {
	i := p.pos
	for p.isAt(i, "(") {
		i++
	}
	return p.isAt(i, "SELECT") || p.isAt(i, "WITH") || p.isAt(i, "FROM") || p.isAt(i, "VALUES")
}

// rows reads the query of an INSERT, or its VALUES. Those may say DEFAULT in a column: then it is left out.
func (p *parser) rows(s *Insert) {
	switch {
	case p.is("DEFAULT", "VALUES"):
		p.fail("a row has a value: INSERT INTO t (id) VALUES (1)")
		return
	case p.is("VALUES"), p.is("SELECT"), p.is("WITH"), p.is("FROM"), p.is("TABLE"), p.is("("):
	default:
		p.fail("expected VALUES or a query, not " + p.seen())
		return
	}
	from := p.pos
	defaults := false
	for i := from; i < p.end; i++ {
		defaults = defaults || p.isAt(i, "DEFAULT") && (p.isAt(i-1, "(") || p.isAt(i-1, ",")) && (p.isAt(i+1, ")") || p.isAt(i+1, ","))
	}
	if !defaults || !p.is("VALUES") {
		p.pos = p.end
		s.SQL = p.piece(from, p.end, true)
		return
	}
	p.valuesWithDefaults(s)
}

// valuesWithDefaults leaves out the columns that are DEFAULT in every row.
func (p *parser) valuesWithDefaults(s *Insert) {
	if s.Columns == nil {
		p.fail("DEFAULT needs a list of columns: INSERT INTO t (id, status) VALUES (7, DEFAULT)")
		return
	}
	p.expect("VALUES")
	var rows [][][2]int
	for p.err == nil {
		at := p.tokens[p.pos].start
		row := p.tuple()
		if p.err == nil && len(row) != len(s.Columns) {
			p.failAt(at, fmt.Sprintf("%d values for %d columns", len(row), len(s.Columns)))
		}
		rows = append(rows, row)
		if !p.accept(",") {
			break
		}
	}
	if p.err != nil {
		return
	}
	isDefault := func(v [2]int) bool { return v[1] == v[0]+1 && p.isAt(v[0], "DEFAULT") }
	var columns []string
	texts := make([][]string, len(rows))
	for c, name := range s.Columns {
		left := isDefault(rows[0][c])
		for r, row := range rows {
			if isDefault(row[c]) != left {
				p.failAt(p.tokens[row[c][0]].start, "column "+name+" is DEFAULT in some rows only: insert those in a statement of their own")
				return
			}
			if !left {
				texts[r] = append(texts[r], p.piece(row[c][0], row[c][1], false))
			}
		}
		if !left {
			columns = append(columns, name)
		}
	}
	if columns == nil {
		p.fail("a row has a value: INSERT INTO t (id) VALUES (1)")
		return
	}
	items := make([]string, len(texts))
	for r, row := range texts {
		items[r] = "(" + strings.Join(row, ", ") + ")"
	}
	s.Columns, s.SQL = columns, "VALUES "+strings.Join(items, ", ")
}
