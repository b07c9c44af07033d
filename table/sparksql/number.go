package sparksql

import (
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// decimalMax is the most digits that a decimal has.
const decimalMax = 38

func of(k txlog.Kind) *txlog.DataType { return &txlog.DataType{Kind: k} }

func decimal(precision, scale int) *txlog.DataType {
	return &txlog.DataType{Kind: txlog.KindDecimal, Precision: precision, Scale: scale}
}

// wholeRank orders the types of whole numbers by width; 0 for all others.
func wholeRank(t *txlog.DataType) int {
	switch t.Kind {
	case txlog.KindByte:
		return 1
	case txlog.KindShort:
		return 2
	case txlog.KindInteger:
		return 3
	case txlog.KindLong:
		return 4
	default:
		return 0
	}
}

func isNumber(t *txlog.DataType) bool {
	return wholeRank(t) > 0 || t.Kind == txlog.KindDecimal || t.Kind == txlog.KindFloat || t.Kind == txlog.KindDouble
}

// asDecimal is the decimal that holds every value of a whole or decimal type. A constant takes the digits that it has.
func asDecimal(v value) *txlog.DataType {
	switch wholeRank(v.t) {
	case 1:
		return wholeDecimal(v, 3)
	case 2:
		return wholeDecimal(v, 5)
	case 3:
		return wholeDecimal(v, 10)
	case 4:
		return wholeDecimal(v, 20)
	}
	return v.t
}

func wholeDecimal(v value, digits int) *txlog.DataType {
	if v.constant != nil && v.constant.kind == nodeNumber {
		digits = len(strings.TrimLeft(v.constant.text, "-0"))
		for _, c := range v.constant.text {
			if c >= 'A' {
				digits--
			}
		}
		digits = max(1, digits)
	}
	return decimal(digits, 0)
}

// number reads a literal the way Spark types it: by its suffix, else whole numbers by their size, fractions as decimals
// of their digits, exponents as doubles.
func number(n *node) (value, error) {
	bad := func() (value, error) { return value{}, fmt.Errorf("the number %s", n.text) }
	text := strings.ToUpper(n.text)
	digits := strings.TrimRight(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_")
	suffix := text[len(digits):]
	switch suffix {
	case "L", "S", "Y":
		bits := map[string]int{"L": 64, "S": 16, "Y": 8}[suffix]
		kind := map[string]txlog.Kind{"L": txlog.KindLong, "S": txlog.KindShort, "Y": txlog.KindByte}[suffix]
		if _, err := strconv.ParseInt(digits, 10, bits); err != nil {
			return bad()
		}
		return constant(n, digits, of(kind)), nil
	case "D":
		return double(n, digits)
	case "", "BD":
	default:
		return bad() // F among them: a float constant is compared as a float in Spark
	}
	if strings.Contains(digits, "E") {
		if suffix == "BD" {
			return bad()
		}
		return double(n, digits)
	}
	if i, err := strconv.ParseInt(digits, 10, 64); err == nil && suffix == "" {
		if i >= math.MinInt32 && i <= math.MaxInt32 {
			return constant(n, digits, of(txlog.KindInteger)), nil
		}
		return constant(n, digits, of(txlog.KindLong)), nil
	}
	whole, fraction, _ := strings.Cut(strings.TrimPrefix(digits, "-"), ".")
	precision := max(len(strings.TrimLeft(whole+fraction, "0")), len(fraction), 1)
	if precision > decimalMax {
		return bad()
	}
	return constant(n, digits, decimal(precision, len(fraction))), nil
}

func double(n *node, digits string) (value, error) {
	f, err := strconv.ParseFloat(digits, 64)
	if err != nil || math.IsInf(f, 0) {
		return value{}, fmt.Errorf("the number %s", n.text)
	}
	return value{sql: "CAST('" + strconv.FormatFloat(f, 'g', -1, 64) + "' AS DOUBLE)", t: of(txlog.KindDouble), constant: n}, nil
}

// constant is digits as a value of a type; the engine would choose another one by itself.
func constant(n *node, digits string, t *txlog.DataType) value {
	name := map[txlog.Kind]string{
		txlog.KindByte: "TINYINT", txlog.KindShort: "SMALLINT", txlog.KindInteger: "INTEGER", txlog.KindLong: "BIGINT",
	}[t.Kind]
	if t.Kind == txlog.KindDecimal {
		name = fmt.Sprintf("DECIMAL(%d,%d)", t.Precision, t.Scale)
	}
	return value{sql: "CAST('" + digits + "' AS " + name + ")", t: t, constant: n}
}

// smallInt is the value of a constant whole number; false for everything else.
func smallInt(v value) (int64, bool) {
	if v.constant == nil || v.constant.kind != nodeNumber || wholeRank(v.t) == 0 {
		return 0, false
	}
	i, ok := new(big.Int).SetString(strings.TrimRight(v.constant.text, "lLsSyY"), 10)
	if !ok || !i.IsInt64() {
		return 0, false
	}
	return i.Int64(), true
}

// exactly is sql as a value of t.
func (tr *translation) exactly(sql string, t *txlog.DataType) (value, error) {
	name, ok := tr.Type(t)
	if !ok {
		return value{}, fmt.Errorf("type %s", t.SQL())
	}
	return value{sql: "CAST(" + sql + " AS " + name + ")", t: t}, nil
}

// arithmetic follows the rules of Spark for the types of results. What overflows, and a division by zero, is an error.
func (tr *translation) arithmetic(op string, a, b value) (value, error) {
	if a.t.Kind == txlog.KindDate && wholeRank(b.t) > 0 && wholeRank(b.t) < 4 && (op == "+" || op == "-") {
		return tr.exactly("("+a.sql+" "+op+" CAST("+b.sql+" AS INTEGER))", a.t)
	}
	if !isNumber(a.t) && a.t.Kind != txlog.KindVoid || !isNumber(b.t) && b.t.Kind != txlog.KindVoid {
		return value{}, fmt.Errorf("%s of %s and %s", op, a.t.SQL(), b.t.SQL())
	}
	decimals := a.t.Kind == txlog.KindDecimal || b.t.Kind == txlog.KindDecimal
	floats := a.t.Kind == txlog.KindDouble || b.t.Kind == txlog.KindDouble || a.t.Kind == txlog.KindFloat || b.t.Kind == txlog.KindFloat
	switch op {
	case "+", "-", "*":
		if decimals && !floats {
			return tr.decimals(op, a, b)
		}
	case "/":
		if decimals && !floats {
			return value{}, fmt.Errorf("/ of decimals")
		}
		return tr.divide("/", a, b, of(txlog.KindDouble))
	case "DIV":
		if decimals || floats {
			return value{}, fmt.Errorf("DIV of %s and %s", a.t.SQL(), b.t.SQL())
		}
		return tr.divide("//", a, b, of(txlog.KindLong))
	}
	both, err := tr.unify([]value{a, b}, op)
	if err != nil {
		return value{}, err
	}
	if op == "%" {
		if decimals && !floats {
			return value{}, fmt.Errorf("%% of decimals")
		}
		return tr.divide("%", both[0], both[1], both[0].t)
	}
	return tr.exactly("("+both[0].sql+" "+op+" "+both[1].sql+")", both[0].t)
}

// divide computes in the type t, and raises an error for a division by zero, as Spark does.
func (tr *translation) divide(op string, a, b value, t *txlog.DataType) (value, error) {
	x, err := tr.cast(a, t)
	if err != nil {
		return value{}, err
	}
	y, err := tr.cast(b, t)
	if err != nil {
		return value{}, err
	}
	sql := tr.guarded("("+x.sql+" "+op+" "+y.sql+")", y.sql+" <> 0 OR "+x.sql+" IS NULL", "division by zero")
	return tr.exactly(sql, t)
}

// decimals adds, subtracts and multiplies without rounding; a result that could need more digits than there are is
// refused, since Spark then drops some of them.
func (tr *translation) decimals(op string, a, b value) (value, error) {
	x, y := asDecimal(a), asDecimal(b)
	if x.Kind != txlog.KindDecimal || y.Kind != txlog.KindDecimal {
		return value{}, fmt.Errorf("%s of %s and %s", op, a.t.SQL(), b.t.SQL())
	}
	t := decimal(max(x.Precision-x.Scale, y.Precision-y.Scale)+max(x.Scale, y.Scale)+1, max(x.Scale, y.Scale))
	wide := decimal(decimalMax, t.Scale)
	xt, yt := wide, wide
	if op == "*" {
		t = decimal(x.Precision+y.Precision+1, x.Scale+y.Scale)
		// The engine adds the scales; a wide operand keeps it from counting in 64 bits.
		xt, yt = decimal(decimalMax-y.Precision, x.Scale), y
	}
	if t.Precision > decimalMax {
		return value{}, fmt.Errorf("%s of %s and %s needs more than %d digits", op, a.t.SQL(), b.t.SQL(), decimalMax)
	}
	left, err := tr.exactly(a.sql, xt)
	if err != nil {
		return value{}, err
	}
	right, err := tr.exactly(b.sql, yt)
	if err != nil {
		return value{}, err
	}
	return tr.exactly("("+left.sql+" "+op+" "+right.sql+")", t)
}
