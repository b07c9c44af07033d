package txlog

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// SQL is the type in the words of Spark SQL and Delta: "bigint", "decimal(10,2)", "array<int>",
// "struct<a:int,b:string>", "map<string,int>". [ParseType] reads it back, except that nullability inside is lost.
func (t *DataType) SQL() string {
	if t == nil {
		return "unknown"
	}
	switch t.Kind {
	case KindLong:
		return "bigint"
	case KindInteger:
		return "int"
	case KindShort:
		return "smallint"
	case KindByte:
		return "tinyint"
	case KindArray:
		return "array<" + t.Element.SQL() + ">"
	case KindMap:
		return "map<" + t.Key.SQL() + "," + t.Value.SQL() + ">"
	case KindStruct:
		parts := make([]string, len(t.Fields))
		for i, f := range t.Fields {
			parts[i] = quoteName(f.Name) + ":" + f.Type.SQL()
			if !f.Nullable {
				parts[i] += " not null"
			}
		}
		return "struct<" + strings.Join(parts, ",") + ">"
	}
	return t.deltaName()
}

// String is SQL.
func (t DataType) String() string { return t.SQL() }

// quoteName puts a name in backticks unless it is a plain word.
func quoteName(name string) string {
	if plainName(name) {
		return name
	}
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}

func plainName(name string) bool {
	for i, c := range name {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return name != ""
}

// ParseType reads a type in the words of Spark SQL or of the Delta schema, without regard to case.
// Errors are for people and name the place.
func ParseType(sql string) (*DataType, error) {
	p := &sqlTypeParser{text: sql}
	t := p.dataType(0)
	if p.err == nil && p.next() != "" {
		p.fail("unexpected %q", p.next())
	}
	if p.err != nil {
		return nil, fmt.Errorf("parse type %q: %w", clip(sql), p.err)
	}
	return t, nil
}

// ParseColumns reads the columns of a CREATE: "id bigint not null, name string comment 'x'".
func ParseColumns(sql string) (*Schema, error) {
	p := &sqlTypeParser{text: sql}
	var fields []Field
	for p.err == nil {
		f := Field{Name: p.name(), Nullable: true}
		p.accept(":")
		f.Type = p.dataType(0)
		p.suffix(&f)
		fields = append(fields, f)
		if !p.accept(",") {
			break
		}
	}
	if p.err == nil && p.next() != "" {
		p.fail("unexpected %q", p.next())
	}
	if p.err != nil {
		return nil, fmt.Errorf("parse columns %q: %w", clip(sql), p.err)
	}
	return NewSchema(fields...)
}

// sqlTypeParser reads tokens: words, numbers, quoted names and texts, and single signs.
type sqlTypeParser struct {
	text string
	pos  int
	err  error
}

func (p *sqlTypeParser) fail(format string, args ...any) {
	if p.err == nil {
		p.err = fmt.Errorf("at %d: %w", p.pos+1, fmt.Errorf(format, args...))
	}
}

// next returns the next token without consuming it, "" at the end.
func (p *sqlTypeParser) next() string {
	for p.pos < len(p.text) && strings.IndexByte(" \t\r\n", p.text[p.pos]) >= 0 {
		p.pos++
	}
	rest := p.text[p.pos:]
	if rest == "" || p.err != nil {
		return ""
	}
	switch c := rest[0]; c {
	case '`', '"', '\'':
		for i := 1; i < len(rest); i++ {
			if rest[i] != c {
				continue
			}
			if i+1 < len(rest) && rest[i+1] == c {
				i++
				continue
			}
			return rest[:i+1]
		}
		p.fail("quote does not end")
		return ""
	}
	end := strings.IndexAny(rest, " \t\r\n,:<>()`\"'")
	switch end {
	case -1:
		return rest
	case 0:
		return rest[:1]
	}
	return rest[:end]
}

func (p *sqlTypeParser) take() string {
	t := p.next()
	p.pos += len(t)
	return t
}

func (p *sqlTypeParser) accept(token string) bool {
	if !strings.EqualFold(p.next(), token) {
		return false
	}
	p.take()
	return true
}

func (p *sqlTypeParser) expect(token string) {
	if !p.accept(token) {
		p.fail("expected %q", token)
	}
}

func (p *sqlTypeParser) name() string {
	t := p.take()
	if len(t) >= 2 && (t[0] == '`' || t[0] == '"') {
		q := t[:1]
		return strings.ReplaceAll(t[1:len(t)-1], q+q, q)
	}
	if t == "" || strings.ContainsAny(t, ",:<>()'") {
		p.fail("expected a name")
	}
	return t
}

// suffix reads NOT NULL, NULL and COMMENT 'text' behind a type.
func (p *sqlTypeParser) suffix(f *Field) {
	for {
		switch {
		case p.accept("not"):
			p.expect("null")
			f.Nullable = false
		case p.accept("null"):
			f.Nullable = true
		case p.accept("comment"):
			t := p.take()
			if len(t) < 2 || t[0] != '\'' {
				p.fail("expected the comment in single quotes")
				return
			}
			text := strings.ReplaceAll(t[1:len(t)-1], "''", "'")
			if f.Metadata == nil {
				f.Metadata = map[string]json.RawMessage{}
			}
			f.Metadata["comment"] = json.RawMessage(quoteJSON(text))
		default:
			return
		}
	}
}

func (p *sqlTypeParser) dataType(depth int) *DataType {
	if depth > 64 {
		p.fail("type nested too deep")
		return nil
	}
	word := strings.ToLower(p.take())
	switch word {
	case "array":
		p.expect("<")
		element := p.dataType(depth + 1)
		p.expect(">")
		return &DataType{Kind: KindArray, Name: word, Element: element, ContainsNull: true}
	case "map":
		p.expect("<")
		key := p.dataType(depth + 1)
		p.expect(",")
		value := p.dataType(depth + 1)
		p.expect(">")
		return &DataType{Kind: KindMap, Name: word, Key: key, Value: value, ValueContainsNull: true}
	case "struct":
		return p.structType(depth)
	case "decimal", "dec", "numeric":
		return p.decimal()
	}
	kind, ok := sqlKind(word)
	if !ok {
		p.fail("unknown type %q", clip(word))
		return nil
	}
	t := &DataType{Kind: kind}
	t.Name = t.deltaName()
	return t
}

func (p *sqlTypeParser) structType(depth int) *DataType {
	t := &DataType{Kind: KindStruct, Name: "struct"}
	p.expect("<")
	for p.err == nil && p.next() != ">" {
		f := Field{Name: p.name(), Nullable: true}
		p.accept(":")
		f.Type = p.dataType(depth + 1)
		p.suffix(&f)
		t.Fields = append(t.Fields, f)
		if !p.accept(",") {
			break
		}
	}
	p.expect(">")
	return t
}

func (p *sqlTypeParser) decimal() *DataType {
	precision, scale := 10, 0
	if p.accept("(") {
		precision = p.small()
		if p.accept(",") {
			scale = p.small()
		}
		p.expect(")")
	}
	if precision < 1 || precision > 38 || scale > precision {
		p.fail("decimal(%d,%d) is not between decimal(1,0) and decimal(38,38)", precision, scale)
	}
	return &DataType{Kind: KindDecimal, Name: decimalName(precision, scale), Precision: precision, Scale: scale}
}

func (p *sqlTypeParser) small() int {
	n, err := strconv.Atoi(p.take())
	if err != nil || n < 0 || n > 1000 {
		p.fail("expected a number")
		return 0
	}
	return n
}

func sqlKind(word string) (Kind, bool) {
	switch word {
	case "bigint", "long", "int8":
		return KindLong, true
	case "int", "integer":
		return KindInteger, true
	case "smallint", "short":
		return KindShort, true
	case "tinyint", "byte":
		return KindByte, true
	case "string", "varchar", "text":
		return KindString, true
	case "binary", "blob":
		return KindBinary, true
	case "float", "real":
		return KindFloat, true
	case "double":
		return KindDouble, true
	case "boolean", "bool":
		return KindBoolean, true
	case "date":
		return KindDate, true
	case "timestamp", "timestamptz":
		return KindTimestamp, true
	case "timestamp_ntz":
		return KindTimestampNTZ, true
	case "variant":
		return KindVariant, true
	case "void":
		return KindVoid, true
	}
	return KindUnknown, false
}
