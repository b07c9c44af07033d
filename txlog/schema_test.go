package txlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/internal/limits"
)

func TestSchemaJSONComesBack(t *testing.T) {
	text := `{"type":"struct","fields":[{"name":"id","type":"long","nullable":false,"metadata":{"comment":"k","delta.columnMapping.id":3,` +
		`"delta.columnMapping.physicalName":"col-1","odd":{"x":[1,2.50]}}},` +
		`{"name":"d","type":"decimal(10,2)","nullable":true,"metadata":{}},` +
		`{"name":"s","type":{"type":"struct","fields":[{"name":"a","type":{"type":"array","elementType":"string","containsNull":true},"nullable":true,"metadata":{}},` +
		`{"name":"m","type":{"type":"map","keyType":"integer","valueType":"timestamp_ntz","valueContainsNull":false},"nullable":true,"metadata":{}}]},"nullable":true,"metadata":{}},` +
		`{"name":"new","type":"interval year to month","nullable":true,"metadata":{}}]}`
	s, err := ParseSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	if s.JSON() != text {
		t.Errorf("got  %s\nwant %s", s.JSON(), text)
	}
	again, err := ParseSchema(s.JSON())
	if err != nil || !s.Equal(again) {
		t.Errorf("not equal: %v", err)
	}
	f, err := s.Lookup("ID")
	if err != nil || f.PhysicalName(MappingName) != "col-1" || f.PhysicalName(MappingNone) != "id" {
		t.Errorf("%+v, %v", f, err)
	}
	if id, ok := f.FieldID(); id != 3 || !ok {
		t.Errorf("id %d", id)
	}
	if err := s.CheckKnown(); !errors.Is(err, ErrUnsupportedType) || !strings.Contains(err.Error(), "interval year to month") {
		t.Errorf("got %v", err)
	}
	if f, err := s.LookupPath([]string{"S", "M"}); err != nil || f.Name != "m" {
		t.Errorf("%v", err)
	}
	if _, err := s.LookupPath([]string{"id", "x"}); err == nil {
		t.Error("a field inside a number")
	}
	if s.Leaves() != 6 || !s.Uses(KindTimestampNTZ) || s.Uses(KindVariant) {
		t.Errorf("%d leaves", s.Leaves())
	}
}

func TestBadSchemas(t *testing.T) {
	deep := strings.Repeat(`{"type":"array","containsNull":true,"elementType":`, 100) + `"long"` + strings.Repeat("}", 100)
	for name, text := range map[string]string{
		"empty":           "",
		"no struct":       `"long"`,
		"array":           `{"type":"array","elementType":"long"}`,
		"double name":     `{"type":"struct","fields":[{"name":"a","type":"long"},{"name":"A","type":"long"}]}`,
		"no name":         `{"type":"struct","fields":[{"type":"long"}]}`,
		"no type":         `{"type":"struct","fields":[{"name":"a"}]}`,
		"no element":      `{"type":"struct","fields":[{"name":"a","type":{"type":"array"}}]}`,
		"no value":        `{"type":"struct","fields":[{"name":"a","type":{"type":"map","keyType":"long"}}]}`,
		"cut":             `{"type":"struct","fields":[`,
		"too deep":        `{"type":"struct","fields":[{"name":"a","type":` + deep + `}]}`,
		"double in depth": `{"type":"struct","fields":[{"name":"a","type":{"type":"struct","fields":[{"name":"x","type":"long"},{"name":"X","type":"long"}]}}]}`,
	} {
		var over *limits.Error
		if _, err := ParseSchema(text); !errors.Is(err, ErrCorruptLog) && !errors.As(err, &over) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestParseType(t *testing.T) {
	for text, want := range map[string]string{
		"BIGINT": "bigint", "integer": "int", "string": "string", "varchar": "string", "decimal(10,2)": "decimal(10,2)", "numeric": "decimal(10,0)",
		"decimal(38, 38)": "decimal(38,38)", "array<int>": "array<int>", "map<string, array<double>>": "map<string,array<double>>",
		"struct<a: int, `b c`: string not null>": "struct<a:int,`b c`:string not null>", "timestamp_ntz": "timestamp_ntz", "void": "void", "struct<>": "struct<>",
		"decimal(39,0)": "", "decimal(5,6)": "", "array<>": "", "array<int": "", "int int": "", "hugeint": "", "": "", "map<int>": "", "struct<a>": "", "struct<`a": "",
	} {
		got, err := ParseType(text)
		if (err == nil) != (want != "") || err == nil && got.SQL() != want {
			t.Errorf("%q gives %v, %v; want %q", text, got, err, want)
		}
		if err == nil {
			again, err := ParseType(got.SQL())
			if err != nil || !again.Equal(got) {
				t.Errorf("%q does not come back: %v", got.SQL(), err)
			}
		}
	}
}

func TestParseColumns(t *testing.T) {
	s, err := ParseColumns("id bigint not null, name string comment 'it''s', `odd name` decimal(5,1), s struct<x:int>")
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]string{"id", "name", "odd name", "s"}, s.Names()); d != "" {
		t.Error(d)
	}
	if s.Fields[0].Nullable || !s.Fields[1].Nullable || string(s.Fields[1].Metadata["comment"]) != `"it's"` {
		t.Errorf("%+v", s.Fields)
	}
	for _, bad := range []string{"", "id", "id bigint,", "id bigint, ID int", "id bigint comment x", "id bigint not", "a int b int"} {
		if _, err := ParseColumns(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestMappingIsChecked(t *testing.T) {
	field := func(name string, id int, physical string) Field {
		f := Field{Name: name, Type: &DataType{Kind: KindLong}, Nullable: true, Metadata: map[string]json.RawMessage{}}
		if id > 0 {
			raw, _ := json.Marshal(id)
			f.Metadata[FieldIDKey] = raw
		}
		if physical != "" {
			f.Metadata[PhysicalNameKey] = json.RawMessage(quoteJSON(physical))
		}
		return f
	}
	for name, tc := range map[string]struct {
		fields []Field
		bad    bool
	}{
		"sound":            {[]Field{field("a", 1, "x"), field("b", 2, "y")}, false},
		"shared id":        {[]Field{field("a", 1, "x"), field("b", 1, "y")}, true},
		"shared name":      {[]Field{field("a", 1, "x"), field("b", 2, "x")}, true},
		"no id":            {[]Field{field("a", 0, "x")}, true},
		"no physical name": {[]Field{field("a", 1, "")}, true},
	} {
		if err := checkMapping(&Schema{Fields: tc.fields}, MappingName); (err != nil) != tc.bad {
			t.Errorf("%s: %v", name, err)
		}
		if err := checkMapping(&Schema{Fields: tc.fields}, MappingNone); err != nil {
			t.Errorf("%s without a mode: %v", name, err)
		}
	}
}

func FuzzParseSchema(f *testing.F) {
	f.Add(`{"type":"struct","fields":[{"name":"a","type":{"type":"map","keyType":"long","valueType":"decimal(3,1)","valueContainsNull":true},"nullable":true,"metadata":{"x":1}}]}`)
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseSchema(text)
		if err != nil {
			return
		}
		again, err := ParseSchema(s.JSON())
		if err != nil || !again.Equal(s) {
			t.Fatalf("%s does not come back: %v", s.JSON(), err)
		}
		_ = checkMapping(s, MappingID)
		DefaultStatsColumns(s, MappingName, nil, map[string]string{"delta.dataSkippingNumIndexedCols": "-1"})
	})
}

func FuzzParseColumns(f *testing.F) {
	f.Add("id bigint not null, s struct<a:int, `b`: map<string,array<decimal(3,1)>>> comment 'x'")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ParseColumns(text)
		if err != nil {
			return
		}
		if _, err := ParseSchema(s.JSON()); err != nil {
			t.Fatalf("%s: %v", s.JSON(), err)
		}
	})
}

// TestMappingOutlivesCatchingUp: a snapshot that was caught up with commits without metaData keeps the mapping, or
// files would be read and written by logical names.
func TestMappingOutlivesCatchingUp(t *testing.T) {
	l, _ := testLog(t)
	schema, _ := AssignMapping(&Schema{Fields: []Field{{Name: "id", Type: &DataType{Kind: KindLong}, Nullable: true}}}, 0,
		func(string) string { return "col-1" })
	properties := map[string]string{MappingModeKey: "id", MaxColumnIDKey: "1"}
	p, err := DefaultProtocol(schema, nil, properties)
	if err != nil {
		t.Fatal(err)
	}
	x := l.Begin(nil, Operation{Name: "CREATE TABLE"})
	x.Stage(p, &Metadata{ID: "x", Provider: "parquet", SchemaString: schema.JSON(), Configuration: properties})
	if _, err := x.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := l.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
		x.Stage(&Add{Path: fmt.Sprintf("f%d", s.Version()), Size: 1, DataChange: true, PartitionValues: map[string]string{}})
		if _, err := x.Commit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s, err = l.Update(t.Context(), s); err != nil || s.Mapping() != MappingID {
			t.Fatalf("version %d has mapping %s, %v", s.Version(), s.Mapping(), err)
		}
	}
}
