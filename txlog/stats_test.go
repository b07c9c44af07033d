package txlog

import (
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"
)

func TestBuildStats(t *testing.T) {
	lit := func(k Kind, v any) *Literal {
		l := Literal{Kind: k}
		switch v := v.(type) {
		case int64:
			l.Int = v
		case float64:
			l.Float = v
		case string:
			l.String = v
		case *big.Rat:
			l.Rat = v
		}
		return &l
	}
	a32 := strings.Repeat("a", 32)
	top := string(rune(0x10ffff))
	n := func(i int64) *int64 { return &i }
	for _, tc := range []struct {
		name string
		leaf LeafStats
		want string // between the braces after numRecords
	}{
		{
			"long",
			LeafStats{Type: &DataType{Kind: KindLong}, Min: lit(KindLong, int64(math.MinInt64)), Max: lit(KindLong, int64(math.MaxInt64)), NullCount: n(0)},
			`"minValues":{"c":-9223372036854775808},"maxValues":{"c":9223372036854775807},"nullCount":{"c":0},`,
		},
		{
			"zeros",
			LeafStats{Type: &DataType{Kind: KindDouble}, Min: lit(KindDouble, 0.0), Max: lit(KindDouble, math.Copysign(0, -1))},
			`"minValues":{"c":-0.0},"maxValues":{"c":0.0},`,
		},
		{"NaN", LeafStats{Type: &DataType{Kind: KindDouble}, Min: lit(KindDouble, 1.0), Max: lit(KindDouble, 2.0), HasNaN: true, NullCount: n(1)}, `"nullCount":{"c":1},`},
		{"infinity", LeafStats{Type: &DataType{Kind: KindDouble}, Min: lit(KindDouble, math.Inf(-1)), Max: lit(KindDouble, 2.0)}, `"maxValues":{"c":2.0},`},
		{"float", LeafStats{Type: &DataType{Kind: KindFloat}, Min: lit(KindDouble, float64(float32(0.1)))}, `"minValues":{"c":0.1},`},
		{"decimal", LeafStats{Type: &DataType{Kind: KindDecimal, Precision: 38, Scale: 2}, Max: lit(KindDecimal, big.NewRat(-1, 4))}, `"maxValues":{"c":-0.25},`},
		{"short text", LeafStats{Type: &DataType{Kind: KindString}, Min: lit(KindString, ""), Max: lit(KindString, a32), Exact: true}, `"minValues":{"c":""},"maxValues":{"c":"` + a32 + `"},`},
		{
			"long text",
			LeafStats{Type: &DataType{Kind: KindString}, Min: lit(KindString, a32+"b"), Max: lit(KindString, a32+"b"), Exact: true},
			`"minValues":{"c":"` + a32 + `"},"maxValues":{"c":"` + a32 + "\x7f" + `"},`,
		},
		{"long text beyond ASCII", LeafStats{Type: &DataType{Kind: KindString}, Max: lit(KindString, a32+"é"), Exact: true}, `"maxValues":{"c":"` + a32 + top + `"},`},
		{"skips the last character", LeafStats{Type: &DataType{Kind: KindString}, Max: lit(KindString, a32+top+"b"+"c"), Exact: true}, `"maxValues":{"c":"` + a32 + top + "\x7f" + `"},`},
		{"nothing is above", LeafStats{Type: &DataType{Kind: KindString}, Max: lit(KindString, strings.Repeat(top, 70)), Exact: true}, ""},
		{"maximum cut by the engine", LeafStats{Type: &DataType{Kind: KindString}, Min: lit(KindString, "a"), Max: lit(KindString, "b")}, `"minValues":{"c":"a"},`},
		{"binary", LeafStats{Type: &DataType{Kind: KindBinary}, NullCount: n(2)}, `"nullCount":{"c":2},`},
		{"date", LeafStats{Type: &DataType{Kind: KindDate}, Min: lit(KindDate, int64(-1)), Max: lit(KindDate, int64(0))}, `"minValues":{"c":"1969-12-31"},"maxValues":{"c":"1970-01-01"},`},
		{
			"timestamp",
			LeafStats{Type: &DataType{Kind: KindTimestamp}, Min: lit(KindTimestamp, int64(-1)), Max: lit(KindTimestamp, int64(1999))},
			`"minValues":{"c":"1969-12-31T23:59:59.999Z"},"maxValues":{"c":"1970-01-01T00:00:00.001Z"},`,
		},
		{"ntz", LeafStats{Type: &DataType{Kind: KindTimestampNTZ}, Max: lit(KindTimestampNTZ, int64(0))}, `"maxValues":{"c":"1970-01-01T00:00:00.000"},`},
		{"kind of another type", LeafStats{Type: &DataType{Kind: KindLong}, Min: lit(KindString, "x")}, ""},
	} {
		tc.leaf.Path = []string{"c"}
		got, err := BuildStats(3, []LeafStats{tc.leaf}, true)
		want := `{"numRecords":3,` + tc.want + `"tightBounds":true}`
		if err != nil || got != want {
			t.Errorf("%s: %v\ngot  %s\nwant %s", tc.name, err, got, want)
		}
		if _, err := ParseStats(got); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
	got, err := BuildStats(1, []LeafStats{
		{Path: []string{"s", "a"}, Type: &DataType{Kind: KindLong}, Min: lit(KindLong, int64(1))},
		{Path: []string{"s", "b", "c"}, Type: &DataType{Kind: KindLong}, Min: lit(KindLong, int64(2))},
	}, false)
	if want := `{"numRecords":1,"minValues":{"s":{"a":1,"b":{"c":2}}},"tightBounds":false}`; err != nil || got != want {
		t.Errorf("got %s, %v", got, err)
	}
	for _, leaf := range []LeafStats{{Type: &DataType{Kind: KindLong}}, {Path: []string{"c"}}, {Path: []string{"c"}, Type: &DataType{Kind: KindLong}, NullCount: n(4)}} {
		if _, err := BuildStats(3, []LeafStats{leaf}, true); err == nil {
			t.Errorf("%+v was accepted", leaf)
		}
	}
}

func TestWidenStats(t *testing.T) {
	for text, want := range map[string]string{
		"":                                     "",
		`{"numRecords":3,"tightBounds":true}`:  `{"numRecords":3,"tightBounds":false}`,
		`{"numRecords":3,"x":{"y":1.50}}`:      `{"numRecords":3,"x":{"y":1.50},"tightBounds":false}`,
		`{"tightBounds":false,"numRecords":3}`: `{"numRecords":3,"tightBounds":false}`,
	} {
		if got, err := WidenStats(text); got != want || err != nil {
			t.Errorf("%s gives %s, %v", text, got, err)
		}
	}
	if _, err := WidenStats("{"); err == nil {
		t.Error("broken statistics were widened")
	}
}

// delta-rs writes the bounds of wide decimals through doubles and 64-bit integers: they lie beside the values.
func TestWideDecimalBoundOfDeltaRsKeepsTheRow(t *testing.T) {
	wide, whole, narrow := &DataType{Kind: KindDecimal, Precision: 38, Scale: 10}, &DataType{Kind: KindDecimal, Precision: 38}, &DataType{Kind: KindDecimal, Precision: 9, Scale: 2}
	for _, tc := range []struct {
		name, bound, value string
		t                  *DataType
		exact              bool
	}{
		{"rounded up", "1.2345678901234568e+27", "1234567890123456789012345678.0123456789", wide, false},
		{"rounded, negative", "-1.2345678901234567e+27", "-1234567890123456789012345678.0123456789", wide, false},
		{"rounded to few digits", "0.1", "0.1000000000000000000001", &DataType{Kind: KindDecimal, Precision: 28, Scale: 28}, false},
		{"stopped at the last whole number", "-9223372036854775808", "-99999999999999999999999999999999999999", whole, false},
		{"stopped at the first", "9223372036854775807", "99999999999999999999999999999999999999", whole, false},
		{"all digits", "1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789", wide, true},
		{"narrow", "1234567.89", "1234567.89", narrow, true},
	} {
		st := &Stats{Min: map[string]any{"c": json.Number(tc.bound)}, Max: map[string]any{"c": json.Number(tc.bound)}}
		low, high := st.bounds(tc.t, []string{"c"}, new([2]Literal))
		value, _ := new(big.Rat).SetString(tc.value)
		if low != nil && low.Rat.Cmp(value) > 0 || high != nil && high.Rat.Cmp(value) < 0 {
			t.Errorf("%s: %s is outside the bounds %s and %s", tc.name, value.FloatString(10), low.Rat.FloatString(10), high.Rat.FloatString(10))
		}
		if exact := low != nil && high != nil && low.Rat.Cmp(high.Rat) == 0; exact != tc.exact {
			t.Errorf("%s: the bounds are exact: %v, want %v", tc.name, exact, tc.exact)
		}
	}
}

func TestStatsColumns(t *testing.T) {
	schema, err := ParseColumns("p string, a int, s struct<x:int, y:struct<z:string>>, l array<int>, b binary, `c.d` int")
	if err != nil {
		t.Fatal(err)
	}
	paths := map[string][]string{"p": {"p"}, "a": {"a"}, "s.x": {"s", "x"}, "s.y.z": {"s", "y", "z"}, "l": {"l"}, "b": {"b"}, "c.d": {"c.d"}}
	for _, tc := range []struct {
		properties map[string]string
		want       string
	}{
		{nil, "a s.x s.y.z l b c.d"},
		{map[string]string{"delta.dataSkippingNumIndexedCols": "2"}, "a s.x"},
		{map[string]string{"delta.dataSkippingNumIndexedCols": "0"}, ""},
		{map[string]string{"delta.dataSkippingNumIndexedCols": "-1"}, "a s.x s.y.z l b c.d"},
		{map[string]string{"delta.dataSkippingStatsColumns": "S, b", "delta.dataSkippingNumIndexedCols": "0"}, "s.x s.y.z b"},
		{map[string]string{"delta.dataSkippingStatsColumns": "s.y.z,`c.d`"}, "s.y.z c.d"},
		{map[string]string{"delta.dataSkippingStatsColumns": ""}, ""},
	} {
		c := DefaultStatsColumns(schema, MappingNone, []string{"P"}, tc.properties)
		for name, path := range paths {
			want := strings.Contains(" "+tc.want+" ", " "+name+" ")
			if c.Has(path) != want {
				t.Errorf("%v: %s is %t", tc.properties, name, c.Has(path))
			}
		}
	}
	c := StatsColumns{}.WithClustering(`{"clusteringColumns":[["s","x"]]}`)
	if !c.Has([]string{"s", "x"}) || c.Has([]string{"a"}) {
		t.Error("clustering columns")
	}
}
