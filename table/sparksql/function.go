package sparksql

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// errNoFunction says that a name belongs to another family of functions. It never leaves the package. Terminal.
var errNoFunction = errors.New("no function")

// call translates a function that is known to mean the same.
func (tr *translation) call(n *node) (value, error) {
	if v, err := tr.wordFunction(n.name); !errors.Is(err, errNoFunction) && len(n.args) == 0 {
		return v, err
	}
	args, err := tr.values(n.args)
	if err != nil {
		return value{}, err
	}
	for _, family := range []func(string, []value) (value, error){
		tr.conditional, tr.castFunction, tr.text, tr.math, tr.dateFunction,
	} {
		if v, err := family(n.name, args); !errors.Is(err, errNoFunction) {
			if err != nil {
				err = fmt.Errorf("function %s: %w", n.name, err)
			}
			return v, err
		}
	}
	return value{}, fmt.Errorf("function %s is not known to mean the same here", n.name)
}

// wordFunction is a function without arguments, which some may be called without parentheses. They are those whose
// value is another one each time.
func (tr *translation) wordFunction(name string) (value, error) {
	var t *txlog.DataType
	switch strings.ToLower(name) {
	case "current_timestamp", "now":
		t = of(txlog.KindTimestamp)
	case "current_date", "curdate":
		t = of(txlog.KindDate)
	default:
		return value{}, errNoFunction
	}
	if tr.Now.IsZero() {
		return value{}, fmt.Errorf("function %s is another value each time", name)
	}
	now, err := tr.exactly(tr.Text(tr.Now.UTC().Format("2006-01-02 15:04:05.000000")+"+00"), of(txlog.KindTimestamp))
	if err != nil {
		return value{}, err
	}
	return tr.cast(now, t)
}

// want checks the number of arguments.
func want(args []value, least, most int) error {
	if len(args) < least || len(args) > most {
		return fmt.Errorf("%d arguments", len(args))
	}
	return nil
}

// conditional are functions that choose among their arguments.
func (tr *translation) conditional(name string, args []value) (value, error) {
	least, most := 1, 1000
	switch name {
	case "coalesce":
	case "greatest", "least":
		least = 2
	case "nvl", "ifnull", "nullif":
		least, most = 2, 2
	case "nvl2", "if":
		least, most = 3, 3
	case "isnull", "isnotnull", "isnan":
		most = 1
	default:
		return value{}, errNoFunction
	}
	if err := want(args, least, most); err != nil {
		return value{}, err
	}
	switch name {
	case "if":
		return tr.caseWhen(args)
	case "isnull":
		return value{sql: "(" + args[0].sql + " IS NULL)", t: of(txlog.KindBoolean)}, nil
	case "isnotnull":
		return value{sql: "(" + args[0].sql + " IS NOT NULL)", t: of(txlog.KindBoolean)}, nil
	case "isnan":
		if k := args[0].t.Kind; k != txlog.KindDouble && k != txlog.KindFloat {
			return value{}, fmt.Errorf("of a %s", args[0].t.SQL())
		}
		return value{sql: "coalesce(isnan(" + args[0].sql + "), false)", t: of(txlog.KindBoolean)}, nil
	case "nvl2":
		first := args[0]
		both, err := tr.unify(args[1:], name)
		if err != nil {
			return value{}, err
		}
		return value{sql: "(CASE WHEN " + first.sql + " IS NOT NULL THEN " + both[0].sql + " ELSE " + both[1].sql + " END)", t: both[0].t}, nil
	case "nullif":
		same, err := tr.compare("=", args[0], args[1])
		if err != nil {
			return value{}, err
		}
		return tr.exactly("(CASE WHEN "+same.sql+" THEN NULL ELSE "+args[0].sql+" END)", args[0].t)
	case "nvl", "ifnull":
		name = "coalesce"
	}
	all, err := tr.unify(args, name)
	if err != nil {
		return value{}, err
	}
	return value{sql: name + "(" + list(all) + ")", t: all[0].t}, nil
}

func list(values []value) string {
	texts := make([]string, len(values))
	for i, v := range values {
		texts[i] = v.sql
	}
	return strings.Join(texts, ", ")
}

// castFunction are the functions that are named after types.
func (tr *translation) castFunction(name string, args []value) (value, error) {
	var kind txlog.Kind
	switch name {
	case "bigint":
		kind = txlog.KindLong
	case "int":
		kind = txlog.KindInteger
	case "smallint":
		kind = txlog.KindShort
	case "tinyint":
		kind = txlog.KindByte
	case "double":
		kind = txlog.KindDouble
	case "boolean":
		kind = txlog.KindBoolean
	case "string":
		kind = txlog.KindString
	case "date", "to_date":
		kind = txlog.KindDate
	case "timestamp":
		kind = txlog.KindTimestamp
	default:
		return value{}, errNoFunction
	}
	if err := want(args, 1, 1); err != nil {
		return value{}, err
	}
	return tr.cast(args[0], of(kind))
}

// text are functions of strings. Their lengths and positions count characters, as in Spark.
func (tr *translation) text(name string, args []value) (value, error) {
	least, most := 1, 1
	switch name {
	case "length", "char_length", "character_length", "len", "lower", "lcase", "upper", "ucase", "trim", "ltrim", "rtrim":
	case "substring", "substr":
		least, most = 2, 3
	case "left", "right", "startswith", "endswith", "contains":
		least, most = 2, 2
	case "replace":
		least, most = 3, 3
	case "concat":
		most = 1000
	default:
		return value{}, errNoFunction
	}
	if err := want(args, least, most); err != nil {
		return value{}, err
	}
	if name == "concat" {
		return tr.concat(args)
	}
	for i, v := range args {
		numbers := (name == "substring" || name == "substr" || name == "left" || name == "right") && i > 0
		if v.t.Kind != txlog.KindString && !numbers {
			return value{}, fmt.Errorf("of a %s", v.t.SQL())
		}
	}
	s := args[0].sql
	switch name {
	case "length", "char_length", "character_length", "len":
		return tr.exactly("length("+s+")", of(txlog.KindInteger))
	case "lower", "lcase":
		return value{sql: tr.cased("lower", s, notLowered), t: args[0].t}, nil
	case "upper", "ucase":
		return value{sql: tr.cased("upper", s, notUppered), t: args[0].t}, nil
	case "trim", "ltrim", "rtrim":
		return value{sql: name + "(" + s + ", ' ')", t: args[0].t}, nil
	case "startswith":
		return value{sql: "starts_with(" + list(args) + ")", t: of(txlog.KindBoolean)}, nil
	case "endswith":
		return value{sql: "suffix(" + list(args) + ")", t: of(txlog.KindBoolean)}, nil
	case "contains":
		return value{sql: "contains(" + list(args) + ")", t: of(txlog.KindBoolean)}, nil
	case "replace":
		if c := args[1].constant; c == nil || c.text == "" {
			return value{}, fmt.Errorf("of anything but a constant text")
		}
		return value{sql: "replace(" + list(args) + ")", t: args[0].t}, nil
	}
	return tr.part(name, args)
}

// part cuts a string at constant places: Spark and the engine agree on those from 1 on.
func (tr *translation) part(name string, args []value) (value, error) {
	numbers := make([]int64, 0, 2)
	for _, v := range args[1:] {
		i, ok := smallInt(v)
		if !ok || i < 0 || i > 1<<30 {
			return value{}, fmt.Errorf("at a place that is no constant from 0 on")
		}
		numbers = append(numbers, i)
	}
	s := args[0].sql
	switch name {
	case "left", "right":
		return value{sql: fmt.Sprintf("%s(%s, %d)", name, s, numbers[0]), t: args[0].t}, nil
	}
	from := max(1, numbers[0]) // 0 means 1
	if len(numbers) == 1 {
		return value{sql: fmt.Sprintf("substring(%s, %d)", s, from), t: args[0].t}, nil
	}
	return value{sql: fmt.Sprintf("substring(%s, %d, %d)", s, from, numbers[1]), t: args[0].t}, nil
}

// concat joins texts; NULL if one of them is.
func (tr *translation) concat(args []value) (value, error) {
	texts := make([]string, len(args))
	for i, v := range args {
		if v.t.Nested() || v.t.Kind == txlog.KindBinary {
			return value{}, fmt.Errorf("concat of %s", v.t.SQL())
		}
		c, err := tr.cast(v, of(txlog.KindString))
		if err != nil {
			return value{}, err
		}
		texts[i] = c.sql
	}
	return value{sql: "(" + strings.Join(texts, " || ") + ")", t: of(txlog.KindString)}, nil
}

// Characters whose other case is one character everywhere, and the same in all versions of Unicode that matter: of
// Latin, Greek and Cyrillic those without special rules, and scripts and signs without cases. Spark also knows rules
// for several characters and for the end of a word.
const (
	uncased    = `\x{0590}-\x{06FF}\x{0900}-\x{0DFF}\x{0E00}-\x{0EFF}\x{2000}-\x{2064}\x{20A0}-\x{20BF}\x{2190}-\x{22FF}\x{2E80}-\x{2FD5}\x{3000}-\x{4DB5}\x{4E00}-\x{9FEF}\x{AC00}-\x{D7A3}\x{FF10}-\x{FF19}\x{1F300}-\x{1F64F}\x{1F680}-\x{1F6D2}`
	notLowered = `[\x{00}-\x{012F}\x{0131}-\x{01C3}\x{0391}-\x{03A1}\x{03A4}-\x{03A9}\x{03AC}-\x{03AF}\x{03B1}-\x{03CE}\x{0400}-\x{04FF}` + uncased + `]*`
	notUppered = `[\x{00}-\x{DE}\x{E0}-\x{0130}\x{0132}-\x{0148}\x{014A}-\x{017E}\x{0391}-\x{03A1}\x{03A3}-\x{03A9}\x{03AC}-\x{03AF}\x{03B1}-\x{03CE}\x{0400}-\x{04FF}` + uncased + `]*`
)

// cased changes the case of texts whose characters do not tell the engine and Spark apart.
func (tr *translation) cased(function, sql, allowed string) string {
	return tr.guarded(function+"("+sql+")", "regexp_full_match("+sql+", "+tr.Text(allowed)+")",
		function+": a text has a character with special rules")
}

// math are functions of numbers.
func (tr *translation) math(name string, args []value) (value, error) {
	most := 1
	switch name {
	case "abs", "floor", "ceil", "ceiling", "negative", "positive":
	case "round":
		most = 2
	case "mod":
		if err := want(args, 2, 2); err != nil {
			return value{}, err
		}
		return tr.arithmetic("%", args[0], args[1])
	default:
		return value{}, errNoFunction
	}
	if err := want(args, 1, most); err != nil {
		return value{}, err
	}
	v := args[0]
	if !isNumber(v.t) {
		return value{}, fmt.Errorf("of a %s", v.t.SQL())
	}
	switch name {
	case "abs":
		return tr.exactly("abs("+v.sql+")", v.t)
	case "negative":
		return tr.unary(&node{name: "-"}, v)
	case "positive":
		return value{sql: v.sql, t: v.t}, nil
	case "round":
		return tr.round(v, args[1:])
	}
	name = name[:min(len(name), len("floor"))]
	if name == "ceili" {
		name = "ceil"
	}
	switch v.t.Kind {
	case txlog.KindDecimal:
		precision := max(v.t.Precision-v.t.Scale+1, 1)
		return tr.exactly(name+"("+v.sql+")", decimal(min(precision, decimalMax), 0))
	case txlog.KindDouble, txlog.KindFloat:
		return tr.exactly(name+"("+v.sql+")", of(txlog.KindLong))
	default:
		return tr.cast(v, of(txlog.KindLong))
	}
}

// round is half up. Doubles are rounded to whole numbers only: Spark rounds fractions by their decimal text.
func (tr *translation) round(v value, scale []value) (value, error) {
	places := int64(0)
	if len(scale) > 0 {
		var ok bool
		if places, ok = smallInt(scale[0]); !ok || places < 0 {
			return value{}, fmt.Errorf("to a place that is no constant from 0 on")
		}
	}
	switch {
	case v.t.Kind == txlog.KindDecimal:
		if places >= int64(v.t.Scale) {
			return value{sql: v.sql, t: v.t}, nil
		}
		precision := v.t.Precision - v.t.Scale + int(places) + 1
		return tr.exactly(fmt.Sprintf("round(%s, %d)", v.sql, places), decimal(min(precision, decimalMax), int(places)))
	case wholeRank(v.t) > 0:
		return value{sql: v.sql, t: v.t}, nil
	case v.t.Kind == txlog.KindDouble && places == 0:
		return tr.exactly("round("+v.sql+")", v.t)
	}
	return value{}, fmt.Errorf("of a %s to %d places", v.t.SQL(), places)
}
