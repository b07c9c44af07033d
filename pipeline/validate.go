package pipeline

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-playground/validator/v10"

	"github.com/lakectl/lakectl/txlog"
)

// A validate tag is go-playground/validator with NULL in mind: `required` means NOT NULL, and so 0 and "" pass; every
// other part skips NULL. Parts with an exact twin in SQL run in the engine; a tag with any other part runs in Go over
// the distinct values of its column. A property test holds each twin to validator.Var.

// valueKind is how a column's values reach the validator.
type valueKind uint8

const (
	valueOther valueKind = iota // only required makes sense
	valueString
	valueInteger
	valueDouble
	valueFloat
	valueBoolean
)

func valueKindOf(t *txlog.DataType) valueKind {
	switch t.Kind { // the others are valueOther
	case txlog.KindString:
		return valueString
	case txlog.KindLong, txlog.KindInteger, txlog.KindShort, txlog.KindByte:
		return valueInteger
	case txlog.KindDouble:
		return valueDouble
	case txlog.KindFloat:
		return valueFloat
	case txlog.KindBoolean:
		return valueBoolean
	}
	return valueOther
}

// tagPart is "min=3" of "required,min=3".
type tagPart struct {
	name, param string
	hasParam    bool
}

func splitTag(tag string) []tagPart {
	var parts []tagPart
	for _, text := range strings.Split(tag, ",") {
		name, param, ok := strings.Cut(text, "=")
		parts = append(parts, tagPart{name: name, param: param, hasParam: ok})
	}
	return parts
}

// checkTag says why tag cannot be used on a column of type t, "" when it can. A nil t checks what every type needs.
func checkTag(tag string, t *txlog.DataType) string {
	for _, p := range splitTag(tag) {
		for _, alternative := range strings.Split(p.name, "|") {
			alternative, _, _ = strings.Cut(alternative, "=")
			if why := foreignTag(alternative); why != "" {
				return fmt.Sprintf("%q %s", alternative, why)
			}
		}
	}
	rest, _ := withoutRequired(tag)
	if rest == "" {
		return ""
	}
	if t == nil {
		// A tag is sound if it is for some type.
		var first string
		for _, kind := range []valueKind{valueString, valueInteger, valueDouble, valueBoolean} {
			why := tryTag(rest, kind)
			if why == "" {
				return ""
			}
			first = orText(first, why)
		}
		return first
	}
	kind := valueKindOf(t)
	if kind == valueOther {
		return fmt.Sprintf("only required can be asked of a %s column; use expect with sql", t.SQL())
	}
	if why := tryTag(rest, kind); why != "" {
		return fmt.Sprintf("not for a %s column: %s", t.SQL(), why)
	}
	return ""
}

// foreignTag says why a tag is not for columns of a table.
func foreignTag(name string) string {
	switch name {
	case "dive", "keys", "endkeys", "structonly", "nostructlevel", "omitempty", "omitnil", "omitzero", "isdefault", "unique", "validateFn", "-", "":
		return "is about structs and lists, not about one value"
	case "file", "filepath", "dir", "dirpath", "image", "unix_addr", "uds_exists":
		return "would look at this machine"
	}
	for _, s := range []string{"field", "_if", "_unless", "_with", "_without", "_with_all", "_without_all"} {
		if strings.HasSuffix(name, s) || strings.HasPrefix(name, "field") || strings.HasSuffix(name, "csfield") {
			return "compares fields of a struct; use expect with sql"
		}
	}
	if strings.HasSuffix(name, "_addr") && name != "mac_addr" {
		return "would ask the network"
	}
	return ""
}

// tryTag runs a tag over sample values of a kind: the validator panics on unknown tags, on parameters that it cannot
// read and on types that a tag is not for.
func tryTag(tag string, kind valueKind) (why string) {
	defer func() {
		if r := recover(); r != nil {
			why = strings.TrimSuffix(strings.ReplaceAll(fmt.Sprint(r), " on field ''", ""), ".")
			if len(why) > 120 {
				why = why[:120]
			}
		}
	}()
	for _, p := range splitTag(tag) {
		for _, alternative := range strings.Split(p.name, "|") {
			alternative, _, _ = strings.Cut(alternative, "=")
			if kind != valueString && textTag(alternative, kind) {
				return alternative + " is for other values"
			}
		}
	}
	v := validator.New()
	for _, sample := range samples(kind) {
		// Each part alone, else the first failure would hide a later panic.
		for _, part := range strings.Split(tag, ",") {
			_ = v.Var(sample, part)
		}
	}
	return ""
}

// textTag names the tags that read their value as text, and so say nothing of a value of another kind.
func textTag(name string, kind valueKind) bool {
	switch name {
	case "eq", "ne":
		return false
	case "boolean":
		return kind != valueBoolean
	case "gt", "gte", "lt", "lte", "len", "min", "max", "numeric", "number", "latitude", "longitude":
		return kind == valueBoolean
	case "oneof", "noneof", "port", "iso3166_1_alpha_numeric", "iso3166_1_alpha_numeric_eu", "iso4217_numeric":
		return kind != valueInteger
	}
	return true
}

func samples(kind valueKind) []any {
	switch kind {
	case valueString:
		return []any{"a", "1", "", "2001-01-31", "https://example.org/"}
	case valueInteger:
		return []any{int64(0), int64(1)}
	case valueDouble:
		return []any{0.0, 1.5}
	case valueFloat:
		return []any{float32(0), float32(1.5)}
	case valueBoolean:
		return []any{false, true}
	case valueOther:
	}
	return nil
}

// withoutRequired removes required from a tag and tells whether it was there.
func withoutRequired(tag string) (rest string, required bool) {
	parts := strings.Split(tag, ",")
	kept := slices.DeleteFunc(parts, func(p string) bool {
		if p == "required" {
			required = true
			return true
		}
		return false
	})
	return strings.Join(kept, ","), required
}

// twin is the SQL condition that is TRUE exactly where a value passes tag, false when the tag has no twin. column is
// SQL for the value; the condition is never NULL.
func twin(tag, column string, kind valueKind) (condition string, ok bool) {
	rest, required := withoutRequired(tag)
	var all []string
	if rest != "" {
		for _, p := range splitTag(rest) {
			c, ok := twinPart(p, column, kind)
			if !ok {
				return "", false
			}
			all = append(all, c)
		}
	}
	condition = "TRUE"
	if len(all) > 0 {
		condition = strings.Join(all, " AND ")
	}
	if required {
		return "(" + column + " IS NOT NULL AND " + condition + ")", true
	}
	return "(" + column + " IS NULL OR (" + condition + "))", true
}

func twinPart(p tagPart, column string, kind valueKind) (string, bool) {
	if strings.ContainsAny(p.name, "|") || strings.Contains(p.param, "|") || strings.Contains(p.param, "0x2C") || strings.Contains(p.param, "0x7C") {
		return "", false
	}
	switch p.name {
	case "alpha":
		return "regexp_full_match(" + column + ", '[a-zA-Z]+')", kind == valueString
	case "alphanum":
		return "regexp_full_match(" + column + ", '[a-zA-Z0-9]+')", kind == valueString
	case "numeric":
		switch kind {
		case valueString:
			return `regexp_full_match(` + column + `, '[-+]?[0-9]+(?:\.[0-9]+)?')`, true
		case valueInteger, valueDouble, valueFloat:
			return "TRUE", true
		case valueBoolean, valueOther:
		}
		return "", false
	case "oneof":
		return twinOneOf(p.param, column, kind)
	}
	operator, known := map[string]string{"eq": "=", "ne": "<>", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "len": "=", "min": ">=", "max": "<="}[p.name]
	if !known || !p.hasParam {
		return "", false
	}
	switch kind {
	case valueString:
		if p.name == "eq" || p.name == "ne" {
			return column + " " + operator + " " + quoteString(p.param), true
		}
		n, err := strconv.ParseInt(p.param, 0, 64)
		return "length(" + column + ") " + operator + " " + strconv.FormatInt(n, 10), err == nil
	case valueInteger:
		n, err := strconv.ParseInt(p.param, 0, 64)
		return column + " " + operator + " CAST('" + strconv.FormatInt(n, 10) + "' AS BIGINT)", err == nil
	case valueDouble, valueFloat:
		return twinFloat(p, operator, column, kind)
	case valueBoolean:
		b, err := strconv.ParseBool(p.param)
		return column + " " + operator + " " + strconv.FormatBool(b), err == nil && (p.name == "eq" || p.name == "ne")
	case valueOther:
	}
	return "", false
}

// twinFloat compares as Go does: NaN is unequal to everything and neither above nor below, while SQL sorts it last.
func twinFloat(p tagPart, operator, column string, kind valueKind) (string, bool) {
	bits, name := 64, "DOUBLE"
	if kind == valueFloat {
		bits, name = 32, "FLOAT"
	}
	f, err := strconv.ParseFloat(p.param, bits)
	if err != nil || f != f {
		return "", false
	}
	text := "CAST('" + strconv.FormatFloat(f, 'g', -1, bits) + "' AS " + name + ")"
	if p.name == "ne" {
		return "(isnan(" + column + ") OR " + column + " <> " + text + ")", true
	}
	return "(NOT isnan(" + column + ") AND " + column + " " + operator + " " + text + ")", true
}

func twinOneOf(param, column string, kind valueKind) (string, bool) {
	if kind != valueString && kind != valueInteger {
		return "", false
	}
	values := regexp.MustCompile(`'[^']*'|\S+`).FindAllString(param, -1)
	if len(values) == 0 {
		return "", false
	}
	for i := range values {
		values[i] = strings.ReplaceAll(values[i], "'", "")
	}
	return "CAST(" + column + " AS VARCHAR) IN (" + quoteStrings(values) + ")", true
}

// goValidator judges values in Go. It is for one goroutine.
type goValidator struct{ v *validator.Validate }

func newGoValidator() *goValidator { return &goValidator{v: validator.New()} }

// passes tells whether a value that is not NULL passes tag. A validator that panics fails the value: what cannot be
// judged is not let in.
func (g *goValidator) passes(value any, tag string) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	rest, _ := withoutRequired(tag)
	return rest == "" || g.v.Var(&value, rest) == nil
}
