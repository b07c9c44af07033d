package txlog

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func TestWidens(t *testing.T) {
	const yes, noIceberg, no = "yes", "not with Iceberg", "no"
	for change, want := range map[string]string{
		"tinyint → smallint": yes, "tinyint → int": yes, "tinyint → bigint": yes, "smallint → int": yes, "smallint → bigint": yes, "int → bigint": yes,
		"float → double": yes, "decimal(6,2) → decimal(8,2)": yes,
		"tinyint → double": noIceberg, "smallint → double": noIceberg, "int → double": noIceberg, "date → timestamp_ntz": noIceberg,
		"decimal(6,2) → decimal(8,4)": noIceberg, "decimal(6,2) → decimal(9,4)": noIceberg,
		"int → decimal(10,0)": noIceberg, "tinyint → decimal(12,2)": noIceberg, "bigint → decimal(20,0)": noIceberg, "bigint → decimal(38,18)": noIceberg,
		"int → int": no, "bigint → int": no, "bigint → double": no, "double → float": no, "float → decimal(38,0)": no, "int → float": no,
		"decimal(6,2) → decimal(6,2)": no, "decimal(6,2) → decimal(7,4)": no, "decimal(6,2) → decimal(8,1)": no, "decimal(6,2) → double": no,
		"int → decimal(9,0)": no, "tinyint → decimal(11,2)": no, "bigint → decimal(20,1)": no, "bigint → decimal(19,0)": no,
		"date → timestamp": no, "timestamp_ntz → date": no, "timestamp_ntz → timestamp": no, "int → string": no, "string → binary": no,
		"boolean → int": no, "int → date": no, "array<int> → array<bigint>": no, "struct<a:int> → struct<a:bigint>": no, "void → int": no,
	} {
		a, b, _ := strings.Cut(change, " → ")
		from, err1 := ParseType(a)
		to, err2 := ParseType(b)
		if err1 != nil || err2 != nil {
			t.Fatal(change, err1, err2)
		}
		got := no
		if Widens(from, to) {
			got = noIceberg
			if WidensForIceberg(from, to) {
				got = yes
			}
		} else if WidensForIceberg(from, to) {
			t.Errorf("%s: with Iceberg only", change)
		}
		if got != want {
			t.Errorf("%s: %s, want %s", change, got, want)
		}
	}
}

func TestRecordTypeChange(t *testing.T) {
	f := Field{Name: "c", Type: &DataType{Kind: KindLong}, Metadata: map[string]json.RawMessage{
		TypeChangesKey: json.RawMessage(`[{"tableVersion":3,"fromType":"byte","toType":"short"}]`),
	}}
	dec := &DataType{Kind: KindDecimal, Precision: 12, Scale: 2}
	if err := RecordTypeChange(&f, []string{"element", "key"}, &DataType{Kind: KindShort}, dec); err != nil {
		t.Fatal(err)
	}
	want := `[{"tableVersion":3,"fromType":"byte","toType":"short"},{"fromType":"short","toType":"decimal(12,2)","fieldPath":"element.key"}]`
	if got := string(f.Metadata[TypeChangesKey]); got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
	f.Metadata[TypeChangesKey] = json.RawMessage(`"none"`)
	if err := RecordTypeChange(&f, nil, dec, dec); !errors.Is(err, ErrCorruptLog) {
		t.Fatalf("a list that is none: %v", err)
	}
}

func TestTypeChangesThatWeCannotFollow(t *testing.T) {
	for text, want := range map[string]error{
		`[]`:   nil,
		`null`: nil,
		`[{"fromType":"integer","toType":"long"},{"fromType":"decimal(4, 2)","toType":"decimal(6, 3)","fieldPath":"element"}]`: nil,
		`[{"fromType":"integer","toType":"long"},{"fromType":"long","toType":"double"}]`:                                       ErrUnsupportedFeature,
		`[{"fromType":"geo","toType":"long"}]`: ErrUnsupportedFeature,
		`[{}]`:                                 ErrUnsupportedFeature,
		`{}`:                                   ErrCorruptLog,
	} {
		s, err := ParseSchema(`{"type":"struct","fields":[{"name":"s","nullable":true,"metadata":{},"type":{"type":"struct","fields":[` +
			`{"name":"x","type":"long","nullable":true,"metadata":{"delta.typeChanges":` + text + `}}]}}]}`)
		if err != nil {
			t.Fatal(text, err)
		}
		if err := checkTypeChanges(s); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", text, err, want)
		}
		if err := checkTypeChanges(WithoutTypeChanges(s)); err != nil {
			t.Errorf("%s, taken away: %v", text, err)
		}
	}
}

// TestFloatBoundsOfDoubles: the text of a float is not the number that readers of a widened column see.
func TestFloatBoundsOfDoubles(t *testing.T) {
	f := Field{Name: "x", Type: &DataType{Kind: KindDouble}, Nullable: true, Metadata: map[string]json.RawMessage{
		TypeChangesKey: json.RawMessage(`[{"fromType":"float","toType":"double"}]`),
	}}
	for text, value := range map[string]float64{"0.1": float64(float32(0.1)), "0.3": float64(float32(0.3)), "1e300": 1e300, "-1e300": -1e300, "1e-300": 1e-300} {
		st, err := ParseStats(`{"numRecords":1,"minValues":{"x":` + text + `},"maxValues":{"x":` + text + `},"nullCount":{"x":0}}`)
		if err != nil {
			t.Fatal(err)
		}
		p := &Predicate{Op: OpEq, Column: []string{"x"}, Values: []Literal{{Kind: KindDouble, Float: value}}}
		if !MayMatch(p, &Schema{Fields: []Field{f}}, MappingNone, nil, nil, st, false) {
			t.Errorf("%s: the file with %v is left out", text, value)
		}
	}
}
