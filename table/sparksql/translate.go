package sparksql

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lakectl/lakectl/txlog"
)

// Target is what an expression is translated for.
type Target struct {
	Columns []txlog.Field // that it may name; none for column defaults
	Alias   string        // of the relation that has the columns
	// Ident and Text quote an identifier and a text in the engine's SQL; Type names a type, false where it has none.
	Ident, Text func(string) string
	Type        func(*txlog.DataType) (string, bool)
	// Now is the value of current_timestamp() and its like. The zero time refuses them, and everything else whose
	// value is not the same each time: only column defaults may have it.
	Now time.Time
}

// SQL is an expression in the engine's SQL.
type SQL struct {
	Text    string
	Type    *txlog.DataType // void for a NULL without a type
	Columns []string        // top-level columns that it reads, spelled as in Target, once each, in order of appearance
	// Zoned tells that the value depends on the time zone of the session, as it does in Spark.
	Zoned bool
}

// Translate writes the expression in the engine's SQL. Errors: *Error.
func (e *Expr) Translate(t Target) (*SQL, error) {
	tr := &translation{Target: t}
	v, err := tr.value(e.root)
	if err != nil {
		return nil, &Error{Expression: clip(e.text), What: err.Error()}
	}
	return &SQL{Text: v.sql, Type: v.t, Columns: tr.columns, Zoned: tr.zoned}, nil
}

// translation is one Translate under way.
type translation struct {
	Target
	columns []string
	zoned   bool
}

// value is a translated part. constant is the node of a literal, nil for what is computed.
type value struct {
	sql      string
	t        *txlog.DataType
	constant *node
}

func (tr *translation) value(n *node) (value, error) {
	switch n.kind {
	case nodeColumn:
		return tr.column(n)
	case nodeString:
		return value{sql: tr.Text(n.text), t: of(txlog.KindString), constant: n}, nil
	case nodeNumber:
		return number(n)
	case nodeTyped:
		return tr.typed(n)
	case nodeWord:
		if n.name == "NULL" {
			return value{sql: "NULL", t: of(txlog.KindVoid), constant: n}, nil
		}
		return value{sql: strings.ToLower(n.name), t: of(txlog.KindBoolean), constant: n}, nil
	case nodeCast:
		v, err := tr.value(n.args[0])
		if err != nil {
			return value{}, err
		}
		return tr.cast(v, n.to)
	case nodeCall:
		return tr.call(n)
	case nodeUnary, nodeBinary, nodeIn, nodeBetween, nodeLike, nodeIs, nodeCase:
	}
	args, err := tr.values(n.args)
	if err != nil {
		return value{}, err
	}
	switch n.kind {
	case nodeUnary:
		return tr.unary(n, args[0])
	case nodeBinary:
		return tr.binary(n.name, args[0], args[1])
	case nodeIn:
		return tr.in(n, args)
	case nodeBetween:
		return tr.between(n, args)
	case nodeLike:
		return tr.like(n, args)
	case nodeIs:
		return tr.is(n, args[0])
	case nodeCase:
		return tr.caseWhen(args)
	default:
		return value{}, fmt.Errorf("a part of it is not supported")
	}
}

func (tr *translation) values(nodes []*node) ([]value, error) {
	out := make([]value, len(nodes))
	for i, n := range nodes {
		var err error
		if out[i], err = tr.value(n); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// column finds a column, or a field of a struct, without regard to case.
func (tr *translation) column(n *node) (value, error) {
	fields, sql := tr.Columns, ""
	for i, name := range n.path {
		at := slices.IndexFunc(fields, func(f txlog.Field) bool { return f.Name == name })
		if at < 0 {
			at = slices.IndexFunc(fields, func(f txlog.Field) bool { return strings.EqualFold(f.Name, name) })
		}
		if at < 0 {
			if i == 0 && len(n.path) == 1 {
				if v, err := tr.wordFunction(name); !errors.Is(err, errNoFunction) {
					return v, err
				}
			}
			return value{}, fmt.Errorf("there is no column %s", strings.Join(n.path[:i+1], "."))
		}
		f := fields[at]
		if i == 0 {
			if !slices.Contains(tr.columns, f.Name) {
				tr.columns = append(tr.columns, f.Name)
			}
			sql = tr.Ident(tr.Alias)
		}
		sql += "." + tr.Ident(f.Name)
		if i == len(n.path)-1 {
			if f.Type.Kind == txlog.KindUnknown || f.Type.Kind == txlog.KindVariant || f.Type.Kind == txlog.KindVoid {
				return value{}, fmt.Errorf("column %s of type %s", f.Name, f.Type.SQL())
			}
			return value{sql: sql, t: f.Type}, nil
		}
		if f.Type.Kind != txlog.KindStruct {
			return value{}, fmt.Errorf("column %s is no struct", f.Name)
		}
		fields = f.Type.Fields
	}
	return value{}, fmt.Errorf("a column without a name")
}

// boolean refuses what is no condition.
func boolean(v value, what string) (value, error) {
	switch v.t.Kind {
	case txlog.KindBoolean:
		return v, nil
	case txlog.KindVoid:
		return value{sql: "CAST(NULL AS BOOLEAN)", t: of(txlog.KindBoolean)}, nil
	default:
		return value{}, fmt.Errorf("%s needs a condition, not a %s", what, v.t.SQL())
	}
}

func (tr *translation) unary(n *node, v value) (value, error) {
	if n.name == "NOT" {
		b, err := boolean(v, "NOT")
		return value{sql: "(NOT " + b.sql + ")", t: b.t}, err
	}
	if !isNumber(v.t) {
		return value{}, fmt.Errorf("- of a %s", v.t.SQL())
	}
	// In the engine a folded constant may take a wider type where it should overflow.
	return tr.exactly("(- "+v.sql+")", v.t)
}

func (tr *translation) binary(op string, a, b value) (value, error) {
	switch op {
	case "AND", "OR":
		x, err := boolean(a, op)
		if err != nil {
			return value{}, err
		}
		y, err := boolean(b, op)
		return value{sql: "(" + x.sql + " " + op + " " + y.sql + ")", t: x.t}, err
	case "||":
		return tr.concat([]value{a, b})
	case "=", "==", "<=>", "<>", "!=", "<", "<=", ">", ">=":
		return tr.compare(op, a, b)
	default:
		return tr.arithmetic(op, a, b)
	}
}

func (tr *translation) compare(op string, a, b value) (value, error) {
	both, err := tr.unify([]value{a, b}, op)
	if err != nil {
		return value{}, err
	}
	switch op {
	case "==":
		op = "="
	case "!=":
		op = "<>"
	case "<=>":
		op = "IS NOT DISTINCT FROM"
	}
	return value{sql: "(" + both[0].sql + " " + op + " " + both[1].sql + ")", t: of(txlog.KindBoolean)}, nil
}

func (tr *translation) in(n *node, args []value) (value, error) {
	args, err := tr.unify(args, "IN")
	if err != nil {
		return value{}, err
	}
	items := make([]string, len(args)-1)
	for i, v := range args[1:] {
		items[i] = v.sql
	}
	return predicate(n, args[0].sql+" IN ("+strings.Join(items, ", ")+")"), nil
}

func (tr *translation) between(n *node, args []value) (value, error) {
	low, err := tr.compare(">=", args[0], args[1])
	if err != nil {
		return value{}, err
	}
	high, err := tr.compare("<=", args[0], args[2])
	return predicate(n, low.sql+" AND "+high.sql), err
}

// like takes patterns that are constants: then it is known that their escapes are those that Spark allows.
func (tr *translation) like(n *node, args []value) (value, error) {
	if args[0].t.Kind != txlog.KindString || args[1].constant == nil || args[1].constant.kind != nodeString {
		return value{}, fmt.Errorf("LIKE of anything but a string and a constant pattern")
	}
	pattern := args[1].constant.text
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '\\' {
			continue
		}
		if i++; i == len(pattern) || !strings.ContainsRune(`%_\`, rune(pattern[i])) {
			return value{}, fmt.Errorf("the escape in the pattern %q", pattern)
		}
	}
	return predicate(n, args[0].sql+" LIKE "+tr.Text(pattern)+` ESCAPE '\'`), nil
}

func (tr *translation) is(n *node, v value) (value, error) {
	if n.name != "NULL" {
		var err error
		if v, err = boolean(v, "IS "+n.name); err != nil {
			return value{}, err
		}
	}
	return predicate(n, v.sql+" IS "+n.name), nil
}

// predicate encloses a condition, turned around where the node says so.
func predicate(n *node, sql string) value {
	sql = "(" + sql + ")"
	if n.not {
		sql = "(NOT " + sql + ")"
	}
	return value{sql: sql, t: of(txlog.KindBoolean)}
}

// caseWhen takes pairs of condition and value, and perhaps a last value.
func (tr *translation) caseWhen(args []value) (value, error) {
	var results []value
	for i := 1; i < len(args); i += 2 {
		results = append(results, args[i])
	}
	if len(args)%2 == 1 {
		results = append(results, args[len(args)-1])
	}
	results, err := tr.unify(results, "CASE")
	if err != nil {
		return value{}, err
	}
	var b strings.Builder
	b.WriteString("(CASE")
	for i := 0; i+1 < len(args); i += 2 {
		when, err := boolean(args[i], "WHEN")
		if err != nil {
			return value{}, err
		}
		b.WriteString(" WHEN " + when.sql + " THEN " + results[i/2].sql)
	}
	if len(args)%2 == 1 {
		b.WriteString(" ELSE " + results[len(results)-1].sql)
	}
	b.WriteString(" END)")
	return value{sql: b.String(), t: results[0].t}, nil
}

// guarded is sql for rows that satisfy the condition ok and an error for others. NULL satisfies it.
func (tr *translation) guarded(sql, ok, message string) string {
	return "(CASE WHEN NOT (" + ok + ") THEN error(" + tr.Text(message) + ") ELSE " + sql + " END)"
}
