package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-playground/validator/v10"
	"go.yaml.in/yaml/v3"

	"github.com/lakectl/lakectl/internal/config"
	"github.com/lakectl/lakectl/internal/nearest"
)

// fileBytesMax bounds one project file, SQL included.
const fileBytesMax = 4 << 20

// later marks a key of the specification that this version does not know yet: using it is an error, never silence.
type later struct{}

// rawText is a string in which ${…} is left alone, because it is read later or for another environment.
type rawText string

// ratio is "2%" or 0.02.
type ratio float64

// position is where a key or a value stands.
type position struct{ line, column int }

// decoder turns the nodes of one YAML document into structs. Every key of a struct is a field with the tag
// `lake:"name"` or `lake:"name,required"`; a key that no field names is a problem, and so is any other surprise.
// It goes on after each, so that a file is mended in one round.
type decoder struct {
	file     string
	problems *Problems
	expand   func(text string) (string, error) // nil: text is taken as it is
	values   map[string]position               // of each value, by path
	keys     map[string]position               // of each key, by path
}

// selfDecoder is a type with more than one YAML form.
type selfDecoder interface {
	decodeNode(d *decoder, n *yaml.Node, path string)
}

// decodeYAML decodes text into out, a pointer to a struct, and validates the struct.
func decodeYAML(file string, text []byte, out any, problems *Problems, expand func(string) (string, error)) *decoder {
	d := &decoder{file: file, problems: problems, expand: expand, values: map[string]position{}, keys: map[string]position{}}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		line, message := yamlError(err)
		problems.add(Problem{File: file, Line: line, Column: 1, Code: CodeBadType, Message: message})
		return d
	}
	if len(doc.Content) == 0 {
		doc.Content = []*yaml.Node{{Kind: yaml.MappingNode, Tag: "!!map", Line: 1, Column: 1}}
	}
	before := len(problems.List)
	d.node(doc.Content[0], reflect.ValueOf(out).Elem(), "")
	d.validate(out, before)
	return d
}

// yamlError takes line and text out of an error of the YAML parser, which has no type for syntax errors.
func yamlError(err error) (line int, message string) {
	message = strings.TrimPrefix(err.Error(), "yaml: ")
	if rest, ok := strings.CutPrefix(message, "line "); ok {
		if number, text, ok := strings.Cut(rest, ": "); ok {
			if n, err := strconv.Atoi(number); err == nil {
				return n, "not YAML: " + text
			}
		}
	}
	return 1, "not YAML: " + message
}

func (d *decoder) problem(path, code, format string, args ...any) {
	p, ok := d.values[path]
	if !ok {
		p = d.keys[path]
	}
	d.at(p, path, code, format, args...)
}

func (d *decoder) at(p position, path, code, format string, args ...any) {
	d.problems.add(Problem{File: d.file, Line: p.line, Column: p.column, Key: path, Code: code, Message: fmt.Sprintf(format, args...)})
}

// has tells whether the file gives this key.
func (d *decoder) has(path string) bool {
	_, ok := d.values[path]
	return ok
}

func (d *decoder) node(n *yaml.Node, v reflect.Value, path string) {
	d.values[path] = position{n.Line, n.Column}
	if n.Kind == yaml.AliasNode {
		d.problem(path, CodeBadType, "an alias is not allowed here")
		return
	}
	if s, ok := v.Addr().Interface().(selfDecoder); ok {
		s.decodeNode(d, n, path)
		return
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		d.node(n, v.Elem(), path)
		return
	}
	switch v.Kind() { // the structs of this package use no other kind
	case reflect.Struct:
		d.structure(n, v, path)
	case reflect.Map:
		d.mapping(n, v, path)
	case reflect.Slice:
		d.list(n, v, path)
	default:
		d.scalar(n, v, path)
	}
}

// structure decodes a mapping whose keys are known.
func (d *decoder) structure(n *yaml.Node, v reflect.Value, path string) {
	if v.Type() == reflect.TypeFor[time.Time]() {
		d.scalar(n, v, path)
		return
	}
	if n.Kind != yaml.MappingNode {
		d.problem(path, CodeBadType, "needs keys and values, not %s", kindName(n))
		return
	}
	fields, required := fieldsOf(v.Type())
	for key, value := range d.pairs(n, path) {
		p := join(path, key.Value)
		i, ok := fields[key.Value]
		switch {
		case !ok:
			d.at(position{key.Line, key.Column}, p, CodeUnknownKey, "%s", unknownKey(key.Value, slices.Collect(maps.Keys(fields))))
		case v.FieldByIndex(i).Type() == reflect.TypeFor[later]():
			d.at(position{key.Line, key.Column}, p, CodeBadValue, "not supported yet in this version: %s", key.Value)
		default:
			d.node(value, v.FieldByIndex(i), p)
		}
	}
	for _, name := range required {
		if !d.has(join(path, name)) {
			d.at(position{n.Line, n.Column}, join(path, name), CodeMissingKey, "is needed")
		}
	}
}

// pairs yields each key once.
func (d *decoder) pairs(n *yaml.Node, path string) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		seen := map[string]bool{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i]
			p := join(path, key.Value)
			switch {
			case key.Kind != yaml.ScalarNode || key.Value == "":
				d.at(position{key.Line, key.Column}, path, CodeBadType, "a key must be a word")
				continue
			case seen[key.Value]:
				d.at(position{key.Line, key.Column}, p, CodeConflict, "is given twice")
				continue
			}
			seen[key.Value] = true
			d.keys[p] = position{key.Line, key.Column}
			if !yield(key, n.Content[i+1]) {
				return
			}
		}
	}
}

func (d *decoder) mapping(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.MappingNode {
		d.problem(path, CodeBadType, "needs names and values, not %s", kindName(n))
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for key, value := range d.pairs(n, path) {
		e := reflect.New(v.Type().Elem()).Elem()
		d.node(value, e, join(path, key.Value))
		v.SetMapIndex(reflect.ValueOf(key.Value), e)
	}
}

func (d *decoder) list(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.SequenceNode {
		d.problem(path, CodeBadType, "needs a list, not %s", kindName(n))
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, e := range n.Content {
		d.node(e, v.Index(i), fmt.Sprintf("%s[%d]", path, i))
	}
}

// scalar decodes one value. Sizes, durations and ratios are read from text, also where YAML sees a number.
func (d *decoder) scalar(n *yaml.Node, v reflect.Value, path string) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		d.problem(path, CodeBadType, "needs %s, not %s", typeName(v.Type()), kindName(n))
		return
	}
	text := n.Value
	if _, raw := v.Interface().(rawText); !raw && d.expand != nil && strings.Contains(text, "${") {
		t, err := d.expand(text)
		if err != nil {
			d.problem(path, CodeBadRef, "%s", err)
			return
		}
		text = t
	}
	expanded := text != n.Value
	switch x := v.Addr().Interface().(type) {
	case *config.Size:
		setParsed(d, path, text, config.ParseSize, x)
	case *time.Duration:
		setParsed(d, path, text, config.ParseDuration, x)
	case *ratio:
		setParsed(d, path, text, func(s string) (ratio, error) { r, err := config.ParseRatio(s); return ratio(r), err }, x)
	case *time.Time:
		setParsed(d, path, text, parseInstant, x)
	case *bool:
		if b, err := strconv.ParseBool(text); err == nil && (n.Tag == "!!bool" || expanded) {
			*x = b
			return
		}
		d.problem(path, CodeBadType, "needs true or false, not %q", text)
	case *int:
		if i, err := strconv.Atoi(text); err == nil && (n.Tag == "!!int" || expanded) {
			*x = i
			return
		}
		d.problem(path, CodeBadType, "needs a whole number, not %q", text)
	default:
		if n.Tag != "!!str" && n.Tag != "!!timestamp" && v.Type() != reflect.TypeFor[rawText]() {
			d.problem(path, CodeBadType, "needs a string, not %s", kindName(n))
			return
		}
		if strings.TrimSpace(text) == "" && v.Type() != reflect.TypeFor[rawText]() {
			d.problem(path, CodeBadValue, "is empty")
			return
		}
		v.SetString(text)
	}
}

func setParsed[T any](d *decoder, path, text string, parse func(string) (T, error), out *T) {
	v, err := parse(text)
	if err != nil {
		d.problem(path, CodeBadValue, "%s", err)
		return
	}
	*out = v
}

// parseInstant reads a date, which is its first instant in UTC, or an RFC 3339 timestamp.
func parseInstant(s string) (time.Time, error) {
	for _, layout := range []string{time.DateOnly, time.RFC3339Nano} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a date or a timestamp such as 2001-01-31T00:00:00Z", s)
}

// validate runs go-playground/validator over a decoded struct. Keys that already have a problem get no second one.
func (d *decoder) validate(out any, before int) {
	err := newValidate().Struct(out)
	var found validator.ValidationErrors
	if !errors.As(err, &found) {
		return
	}
	known := map[string]bool{}
	for _, p := range d.problems.List[before:] {
		known[p.Key] = true
	}
	for _, f := range found {
		_, path, _ := strings.Cut(f.Namespace(), ".")
		path = namespacePath(strings.TrimPrefix(path, "tableSpec."))
		if known[path] || !d.has(path) {
			continue
		}
		d.problem(path, CodeBadValue, "%s", ruleMessage(f))
	}
}

// newValidate is a validator that names fields as project files do.
func newValidate() *validator.Validate {
	v := validator.New(validator.WithRequiredStructEnabled())
	v.RegisterTagNameFunc(func(f reflect.StructField) string {
		name, _, _ := strings.Cut(f.Tag.Get("lake"), ",")
		return name
	})
	for name, ok := range map[string]func(string) bool{"lakename": isName, "lakecolumn": isColumnName, "laketype": isTypeText, "lakeglob": isGlob} {
		_ = v.RegisterValidation(name, func(f validator.FieldLevel) bool { return ok(f.Field().String()) })
	}
	return v
}

// namespacePath turns the validator's "expect[delay_sane].on_fail" into our "expect.delay_sane.on_fail"; indexes
// of lists stay in brackets.
func namespacePath(s string) string {
	var b strings.Builder
	for {
		i := strings.IndexByte(s, '[')
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		inside, rest, ok := strings.Cut(s[i+1:], "]")
		if !ok {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i])
		if _, err := strconv.Atoi(inside); err == nil {
			b.WriteString("[" + inside + "]")
		} else {
			b.WriteString("." + inside)
		}
		s = rest
	}
}

func ruleMessage(f validator.FieldError) string {
	value := fmt.Sprint(f.Value())
	switch f.Tag() {
	case "oneof":
		return fmt.Sprintf("%q is not one of %s", value, strings.Join(strings.Fields(f.Param()), ", "))
	case "eq":
		return fmt.Sprintf("must be %s, not %s", f.Param(), value)
	case "min", "gte":
		if k := f.Kind(); k == reflect.Slice || k == reflect.Map {
			return "is empty"
		}
		return fmt.Sprintf("must be at least %s, not %s", f.Param(), value)
	case "max", "lte":
		return fmt.Sprintf("must be at most %s, not %s", f.Param(), value)
	case "lakename":
		return fmt.Sprintf("%q is not a name: it must match [a-z][a-z0-9_]{0,62} without two underscores in a row", value)
	case "lakecolumn":
		return fmt.Sprintf("%q is not a column name", value)
	case "laketype":
		return fmt.Sprintf("%q is not a type such as bigint, decimal(10,2) or timestamp_ntz", value)
	case "lakeglob":
		return fmt.Sprintf("%q is not a glob pattern", value)
	case "unique":
		return "names something twice"
	case "len":
		return fmt.Sprintf("%q must be one character", value)
	}
	return fmt.Sprintf("%q is not valid (%s)", value, f.Tag())
}

// fieldsOf maps the key names of a struct, and of the structs embedded in it, to its fields.
func fieldsOf(t reflect.Type) (fields map[string][]int, required []string) {
	fields = map[string][]int{}
	for _, f := range reflect.VisibleFields(t) {
		name, option, _ := strings.Cut(f.Tag.Get("lake"), ",")
		if name == "" {
			continue
		}
		fields[name] = f.Index
		if option == "required" {
			required = append(required, name)
		}
	}
	return fields, required
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

func kindName(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	case yaml.AliasNode:
		return "an alias"
	case yaml.ScalarNode, yaml.DocumentNode:
	}
	switch n.Tag {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "the number " + n.Value
	case "!!bool":
		return n.Value
	}
	return strconv.Quote(n.Value)
}

func typeName(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[config.Size]():
		return "a size"
	case reflect.TypeFor[time.Duration]():
		return "a duration"
	case reflect.TypeFor[ratio]():
		return "a ratio"
	case reflect.TypeFor[time.Time]():
		return "a date or timestamp"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	default:
		return "a string"
	}
}

// unknownKey names the nearest of the keys that are known.
func unknownKey(key string, known []string) string {
	slices.Sort(known)
	if word := meant(key, known); word != "" {
		return fmt.Sprintf("%q is not a key here; did you mean %q?", key, word)
	}
	return fmt.Sprintf("%q is not a key here; there are %s", key, strings.Join(known, ", "))
}

// meant returns the candidate that is nearest to a word, "" when none is close.
func meant(word string, candidates []string) string {
	if found := nearest.Of(word, candidates, 1); found != nil {
		return found[0]
	}
	return ""
}
