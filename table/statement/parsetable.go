package statement

import (
	"fmt"
	"strings"
	"time"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/schemaedit"
	"github.com/lakectl/lakectl/txlog"
)

func (p *parser) create() *Create {
	p.hint = "CREATE TABLE silver.orders (id bigint NOT NULL, day date) USING DELTA PARTITIONED BY (day)"
	c := &Create{}
	if p.accept("CREATE") {
		c.OrReplace = p.accept("OR", "REPLACE")
	} else {
		p.expect("REPLACE")
		c.OrReplace, c.MustReplace = true, true
	}
	if !p.is("TABLE") {
		p.refuse(p.tokens[p.pos].start, "CREATE "+strings.Trim(p.seen(), `"`), "a lake has tables; what is computed from them is a model of a pipeline")
		return c
	}
	p.expect("TABLE")
	if p.accept("IF", "NOT", "EXISTS") {
		if c.Request.IfNotExists = true; c.OrReplace {
			p.fail("OR REPLACE and IF NOT EXISTS exclude each other")
		}
	}
	c.Target = p.name()
	if p.accept("LIKE") {
		like := p.name()
		c.Like = &like
	}
	if p.is("(") && !p.queryInside() {
		if c.Like != nil {
			p.fail("LIKE and a list of columns exclude each other")
		}
		p.definitions(c)
	}
	for p.err == nil && p.kind() != tokenEnd && c.SQL == "" {
		p.createClause(c)
	}
	if p.err == nil && c.Request.Schema == nil && c.Like == nil && c.SQL == "" {
		p.fail("expected the columns, or AS SELECT, not " + p.seen())
	}
	if c.SQL != "" && (c.Request.Schema != nil || c.Like != nil) {
		p.fail("the columns come from the SELECT: leave the others out, and cast there")
	}
	return c
}

// definitions reads the columns and constraints of a new table.
func (p *parser) definitions(c *Create) {
	p.expect("(")
	first, last := p.pos, p.pos
	for p.err == nil {
		if p.is("CONSTRAINT") || p.is("CHECK") || p.is("PRIMARY") || p.is("FOREIGN") || p.is("UNIQUE") {
			p.constraint(c)
		} else {
			if last > first && last != p.pos-1 {
				p.fail("columns come before constraints")
			}
			p.definition()
			last = p.pos
		}
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	if p.err == nil && last == first {
		p.fail("a table needs columns")
	}
	c.Request.Schema = parsed(p, first, last, txlog.ParseColumns)
}

// definition passes one column: up to a comma outside of parentheses and of the brackets of a type.
func (p *parser) definition() {
	angle := 0
	depth := 0
	from := p.pos
	for p.kind() != tokenEnd {
		switch {
		case depth == 0 && angle == 0 && (p.is(",") || p.is(")")):
			if p.pos == from {
				p.fail("expected a column, not " + p.seen())
			}
			return
		case p.is("("):
			depth++
		case p.is(")"):
			depth--
		case p.is("<") && (p.isAt(p.pos-1, "array") || p.isAt(p.pos-1, "map") || p.isAt(p.pos-1, "struct")):
			angle++
		case p.is(">") && angle > 0:
			angle--
		}
		p.pos++
	}
	p.fail("the list of columns does not end")
}

// constraint reads CONSTRAINT name CHECK (condition).
func (p *parser) constraint(c *Create) {
	at := p.tokens[p.pos].start
	if !p.accept("CONSTRAINT") {
		if p.is("CHECK") {
			p.fail("a constraint has a name: CONSTRAINT positive CHECK (total > 0)")
			return
		}
		p.refuse(at, p.textOf(p.pos)+" KEY", "nothing would keep it; MERGE finds rows by their key, and a check of a pipeline tells doubles")
		return
	}
	c.Request.Constraints = append(c.Request.Constraints, p.check(at))
}

// check reads name CHECK (condition). The condition is Spark's SQL, and stays as it was written.
func (p *parser) check(at int) table.AddConstraint {
	out := table.AddConstraint{Name: p.ident("the name of the constraint")}
	if !p.is("CHECK") && p.err == nil {
		p.refuse(at, "a constraint that is no CHECK", "nothing would keep it")
		return out
	}
	p.expect("CHECK")
	from, to := p.enclosed("a condition")
	if p.err == nil {
		out.Expression = p.raw(from, to)
	}
	return out
}

func (p *parser) createClause(c *Create) {
	r := &c.Request
	switch at := p.tokens[p.pos].start; {
	case p.accept("USING"):
		if !p.accept("DELTA") {
			p.refuse(at, "USING "+strings.Trim(p.seen(), `"`), "tables are Delta tables")
		}
	case p.accept("PARTITIONED", "BY"):
		for _, name := range p.columns() {
			r.PartitionBy = append(r.PartitionBy, plainColumn(name))
		}
	case p.accept("CLUSTER", "BY"):
		r.ClusterBy = p.clustering()
	case p.accept("TBLPROPERTIES"):
		r.Properties = p.properties()
	case p.accept("COMMENT"):
		p.accept("=")
		r.Comment = p.text("the comment")
	case p.is("LOCATION"):
		p.refuse(at, "LOCATION", "a table lies where its name says; CREATE TABLE './orders' takes a path")
	case p.is("OPTIONS"):
		p.refuse(at, "OPTIONS", "what a table keeps is a property: TBLPROPERTIES")
	case p.is("SHALLOW"), p.is("DEEP"), p.is("CLONE"):
		p.refuse(at, "CLONE", "CREATE TABLE … AS SELECT copies the rows")
	case p.accept("AS"), p.queryNext():
		from, to := p.until("a query")
		if p.err == nil {
			c.SQL = p.piece(from, to, true)
		}
	default:
		p.fail("expected USING DELTA, PARTITIONED BY, CLUSTER BY, TBLPROPERTIES, COMMENT or AS, not " + p.seen())
	}
}

func (p *parser) queryNext() bool { return p.is("SELECT") || p.is("WITH") || p.is("FROM") }

// clustering reads (a, b) or NONE.
func (p *parser) clustering() []string {
	if p.accept("NONE") {
		return nil
	}
	return p.columns()
}

func (p *parser) drop() *Drop {
	p.hint = "DROP TABLE silver.orders"
	p.expect("DROP", "TABLE")
	d := &Drop{IfExists: p.accept("IF", "EXISTS")}
	d.Target = p.name()
	if p.is("PURGE") {
		p.fail("DROP TABLE removes the files: there is no PURGE")
	}
	return d
}

func (p *parser) comment() *Alter {
	p.hint = "COMMENT ON TABLE silver.orders IS 'one row per order'"
	p.expect("COMMENT", "ON")
	if p.is("COLUMN") {
		p.fail("ALTER TABLE t ALTER COLUMN c COMMENT 'text' does that")
	}
	p.expect("TABLE")
	a := &Alter{Target: p.name()}
	p.expect("IS")
	text := ""
	if !p.accept("NULL") {
		text = p.text("the comment")
	}
	a.Request.Comment = &text
	return a
}

func (p *parser) alter() *Alter {
	p.hint = "ALTER TABLE silver.orders ADD COLUMN note string COMMENT 'free text' AFTER status"
	p.expect("ALTER", "TABLE")
	a := &Alter{Target: p.name()}
	r := &a.Request
	switch at := p.tokens[p.pos].start; {
	case p.is("ADD", "COLUMN"), p.is("ADD", "COLUMNS"):
		p.pos += 2
		p.addColumns(a)
	case p.accept("ADD", "CONSTRAINT"):
		r.AddConstraints = append(r.AddConstraints, p.check(at))
	case p.accept("DROP", "CONSTRAINT"):
		a.IfExists = p.accept("IF", "EXISTS")
		r.DropConstraints = append(r.DropConstraints, p.ident("the name of the constraint"))
	case p.is("DROP", "COLUMN"), p.is("DROP", "COLUMNS"):
		p.pos += 2
		a.IfExists = p.accept("IF", "EXISTS")
		if p.is("(") {
			r.DropColumns = p.columns()
		} else {
			r.DropColumns = []string{p.column()}
		}
	case p.is("DROP", "FEATURE"):
		p.pos += 2
		name := p.ident("a table feature")
		p.refuse(at, "DROP FEATURE "+name, "a feature that old versions need cannot be taken away while they are there; copy the table with CREATE TABLE … AS SELECT")
	case p.accept("RENAME", "COLUMN"):
		from := p.column()
		p.expect("TO")
		r.RenameColumns = append(r.RenameColumns, table.RenameColumn{Column: from, To: p.ident("the new name")})
	case p.is("RENAME"):
		p.refuse(at, "RENAME TO", "a table lies where its name says; CREATE TABLE … AS SELECT copies it")
	case p.is("REPLACE", "COLUMNS"):
		p.refuse(at, "REPLACE COLUMNS", "CREATE OR REPLACE TABLE makes the table anew; ADD, DROP and ALTER COLUMN change it")
	case p.accept("SET", "TBLPROPERTIES"):
		r.SetProperties = p.properties()
	case p.accept("UNSET", "TBLPROPERTIES"):
		a.IfExists = p.accept("IF", "EXISTS")
		p.expect("(")
		for p.err == nil {
			r.UnsetProperties = append(r.UnsetProperties, p.propertyKey())
			if !p.accept(",") {
				break
			}
		}
		p.expect(")")
	case p.accept("CLUSTER", "BY"):
		by := p.clustering()
		r.ClusterBy = &by
	case p.is("ALTER"), p.is("CHANGE"):
		p.pos++
		p.accept("COLUMN")
		p.changeColumn(a)
	default:
		p.fail("expected ADD, DROP, RENAME, ALTER COLUMN, SET TBLPROPERTIES, UNSET TBLPROPERTIES or CLUSTER BY, not " + p.seen())
	}
	return a
}

// addColumns reads one column, or several in parentheses.
func (p *parser) addColumns(a *Alter) {
	a.IfNotExists = p.accept("IF", "NOT", "EXISTS")
	several := p.accept("(")
	for p.err == nil {
		a.Request.AddColumns = append(a.Request.AddColumns, p.addColumn())
		if !p.accept(",") {
			break
		}
	}
	if several {
		p.expect(")")
	}
}

func (p *parser) addColumn() table.AddColumn {
	out := table.AddColumn{Column: p.column()}
	from, to := p.typeTokens()
	out.Type = parsed(p, from, to, txlog.ParseType)
	for p.err == nil {
		switch {
		case p.accept("COMMENT"):
			out.Comment = p.text("the comment")
			continue
		case p.is("NOT", "NULL"):
			p.fail("old rows have no value, so a new column cannot be NOT NULL: ALTER COLUMN … SET NOT NULL when they have one")
		case p.is("DEFAULT"), p.is("GENERATED"):
			p.fail("old rows have no value, so a new column has a type and a comment only: ALTER COLUMN … SET DEFAULT is for the rows to come")
		}
		if place := p.place(); place != nil {
			out.Place = *place
			continue
		}
		break
	}
	return out
}

// place reads FIRST or AFTER other; nil when neither comes.
func (p *parser) place() *schemaedit.Place {
	switch {
	case p.accept("FIRST"):
		return &schemaedit.Place{First: true}
	case p.accept("AFTER"):
		return &schemaedit.Place{After: p.ident("a column")}
	}
	return nil
}

// typeTokens passes a type: a word with what stands in its brackets.
func (p *parser) typeTokens() (from, to int) {
	from = p.pos
	p.ident("a type")
	opening, closing := "(", ")"
	if p.is("<") {
		opening, closing = "<", ">"
	}
	if !p.is(opening) {
		return from, p.pos
	}
	for depth := 0; p.kind() != tokenEnd; {
		if p.is(opening) {
			depth++
		} else if p.is(closing) {
			depth--
		}
		p.pos++
		if depth == 0 {
			return from, p.pos
		}
	}
	p.fail("the brackets of the type do not end")
	return from, p.pos
}

func (p *parser) changeColumn(a *Alter) {
	c := table.ChangeColumn{Column: p.column()}
	yes, no, none := true, false, ""
	switch at := p.tokens[p.pos].start; {
	case p.accept("TYPE"), p.accept("SET", "DATA", "TYPE"):
		from, to := p.typeTokens()
		c.Type = parsed(p, from, to, txlog.ParseType)
	case p.accept("SET", "NOT", "NULL"):
		c.Nullable = &no
	case p.accept("DROP", "NOT", "NULL"):
		c.Nullable = &yes
	case p.accept("SET", "DEFAULT"):
		from, to := p.until("the value")
		if p.err == nil {
			text := p.raw(from, to)
			c.Default = &text
		}
	case p.accept("DROP", "DEFAULT"):
		c.Default = &none
	case p.accept("COMMENT"):
		text := p.text("the comment")
		c.Comment = &text
	case p.is("SET", "GENERATED"), p.is("DROP", "IDENTITY"), p.is("SYNC"):
		p.refuse(at, strings.ToUpper(p.textOf(p.pos)+" "+p.textOf(p.pos+1)), "how a column gets its values is said when the table is made")
	default:
		if c.Place = p.place(); c.Place == nil {
			p.fail("expected TYPE, SET, DROP, COMMENT, FIRST or AFTER, not " + p.seen())
		}
	}
	a.Request.ChangeColumns = append(a.Request.ChangeColumns, c)
}

func (p *parser) describe() Statement {
	p.hint = "DESCRIBE silver.orders, DESCRIBE HISTORY silver.orders LIMIT 5, DESCRIBE DETAIL silver.orders"
	from := p.pos
	p.pos++
	if p.queryNext() || p.is("(") || p.is("VALUES") { // what a query gives: the engine knows
		p.pos = p.end
		return &Select{SQL: p.piece(from, p.end, true)}
	}
	d := &Describe{}
	switch {
	case p.accept("HISTORY"):
		d.History = true
	case p.accept("DETAIL"):
		d.Detail = true
	case p.accept("TABLE"):
	}
	if !p.accept("EXTENDED") {
		p.accept("FORMATTED")
	}
	d.Target = p.name()
	d.At = p.travel()
	if d.History && p.accept("LIMIT") {
		d.Limit = int(min(p.whole("a number of versions"), 1<<31-1))
	}
	return d
}

func (p *parser) show() *ShowTables {
	p.hint = "SHOW TABLES, or SHOW TABLES IN silver"
	p.expect("SHOW", "TABLES")
	s := &ShowTables{}
	if p.accept("IN") || p.accept("FROM") {
		s.Layer = p.ident("a layer")
	}
	return s
}

func (p *parser) optimize() *Optimize {
	p.hint = "OPTIMIZE silver.orders WHERE day >= '2026-01-01' ZORDER BY (origin, destination)"
	p.expect("OPTIMIZE")
	o := &Optimize{Target: p.name()}
	o.Request.Full = p.accept("FULL")
	if p.accept("WHERE") {
		o.Request.Where = p.expression("a condition", "ZORDER")
	}
	if p.accept("ZORDER") {
		p.expect("BY")
		if p.is("(") {
			o.Request.ZOrderBy = p.columns()
		} else {
			o.Request.ZOrderBy = []string{p.column()}
			for p.accept(",") {
				o.Request.ZOrderBy = append(o.Request.ZOrderBy, p.column())
			}
		}
	}
	return o
}

// retainHoursMax bounds what VACUUM is asked to keep: a thousand years.
const retainHoursMax = 1000 * 366 * 24

func (p *parser) vacuum() *Vacuum {
	p.hint = "VACUUM silver.orders RETAIN 168 HOURS DRY RUN"
	p.expect("VACUUM")
	v := &Vacuum{Target: p.name()}
	if p.is("LITE") {
		p.refuse(p.tokens[p.pos].start, "LITE", "VACUUM lists the files that are there")
	}
	p.accept("FULL")
	if p.accept("RETAIN") {
		hours := p.whole("hours")
		if hours > retainHoursMax {
			p.fail(fmt.Sprint("more than ", retainHoursMax, " hours"))
		}
		retain := time.Duration(hours) * time.Hour
		v.Request.Retain = &retain
		p.expect("HOURS")
	}
	v.Request.DryRun = p.accept("DRY", "RUN")
	return v
}

func (p *parser) restore() *Restore {
	p.hint = "RESTORE TABLE silver.orders TO VERSION AS OF 12"
	p.expect("RESTORE")
	p.accept("TABLE")
	r := &Restore{Target: p.name()}
	p.expect("TO")
	switch {
	case p.accept("VERSION", "AS", "OF"):
		v := txlog.Version(p.whole("a version"))
		r.Version = &v
	case p.accept("TIMESTAMP", "AS", "OF"):
		r.Time = p.text("a time")
	default:
		p.fail("expected VERSION AS OF or TIMESTAMP AS OF, not " + p.seen())
	}
	return r
}
