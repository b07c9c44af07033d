package txlog

import (
	"math"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPartitionValues(t *testing.T) {
	compare := cmp.Comparer(func(a, b *big.Rat) bool { return a == b || a != nil && b != nil && a.Cmp(b) == 0 })
	decimal := func(s string) *big.Rat { r, _ := new(big.Rat).SetString(s); return r }
	for _, tc := range []struct {
		sql, text string
		want      Literal
		bad       bool
		written   string // where it differs from text
	}{
		{sql: "string", text: "a/%20", want: Literal{Kind: KindString, String: "a/%20"}},
		{sql: "string", text: "", want: Literal{Kind: KindVoid}},
		{sql: "int", text: "", want: Literal{Kind: KindVoid}},
		{sql: "bigint", text: "-9223372036854775808", want: Literal{Kind: KindLong, Int: math.MinInt64}},
		{sql: "int", text: "2147483648", bad: true},
		{sql: "tinyint", text: "-129", bad: true},
		{sql: "smallint", text: "1.0", bad: true},
		{sql: "boolean", text: "true", want: Literal{Kind: KindBoolean, Bool: true}},
		{sql: "boolean", text: "yes", bad: true},
		{sql: "double", text: "0.1", want: Literal{Kind: KindDouble, Float: 0.1}},
		{sql: "double", text: "Infinity", want: Literal{Kind: KindDouble, Float: math.Inf(1)}},
		{sql: "double", text: "1e999", bad: true},
		{sql: "decimal(10,2)", text: "-1.50", want: Literal{Kind: KindDecimal, Rat: decimal("-1.5")}},
		{sql: "decimal(38,0)", text: "12345678901234567890123456789012345678", want: Literal{Kind: KindDecimal, Rat: decimal("12345678901234567890123456789012345678")}},
		{sql: "decimal(10,2)", text: "1e99999999", bad: true},
		{sql: "decimal(10,2)", text: "x", bad: true},
		{sql: "date", text: "1969-12-31", want: Literal{Kind: KindDate, Int: -1}},
		{sql: "date", text: "0001-01-01", want: Literal{Kind: KindDate, Int: -719162}},
		{sql: "date", text: "2024-02-30", bad: true},
		{sql: "date", text: "2024-1-1", want: Literal{Kind: KindDate, Int: 19723}, written: "2024-01-01"},
		{sql: "timestamp", text: "2024-01-01T00:00:00.000001Z", want: Literal{Kind: KindTimestamp, Int: 1704067200000001}},
		{sql: "timestamp", text: "2024-01-01 00:00:00.1", want: Literal{Kind: KindTimestamp, Int: 1704067200100000}, written: "2024-01-01T00:00:00.100000Z"},
		{sql: "timestamp", text: "2024-01-01T00:00:00-08:00", want: Literal{Kind: KindTimestamp, Int: 1704096000000000}, written: "2024-01-01T08:00:00.000000Z"},
		{sql: "timestamp", text: "2024-01-01 25:00:00", bad: true},
		{sql: "timestamp_ntz", text: "1969-12-31 23:59:59.999999", want: Literal{Kind: KindTimestampNTZ, Int: -1}},
		{sql: "timestamp_ntz", text: "2024-01-01T00:00:00Z", bad: true},
		{sql: "binary", text: "😈", want: Literal{Kind: KindBinary, String: "😈"}},
		{sql: "array<int>", text: "x", bad: true},
	} {
		typ, err := ParseType(tc.sql)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ParsePartition(typ, tc.text)
		if (err != nil) != tc.bad {
			t.Errorf("%s %q: %v", tc.sql, tc.text, err)
			continue
		}
		if tc.bad {
			continue
		}
		if d := cmp.Diff(tc.want, got, compare); d != "" {
			t.Errorf("%s %q: %s", tc.sql, tc.text, d)
		}
		want := tc.text
		if tc.written != "" {
			want = tc.written
		}
		if text, err := PartitionText(typ, got); err != nil || text != want {
			t.Errorf("%s %q is written as %q, %v", tc.sql, tc.text, text, err)
		}
	}
	for _, tc := range []struct {
		sql  string
		v    any
		want string
		bad  bool
	}{
		{"string", nil, "", false},
		{"int", 7, "7", false},
		{"int", int64(1) << 40, "", true},
		{"date", Date(-1), "1969-12-31", false},
		{"decimal(5,2)", Decimal{Unscaled: big.NewInt(5), Scale: 1}, "0.50", false},
		{"decimal(5,0)", decimal("0.5"), "", true},
		{"binary", []byte{0xff}, "", true},
		{"binary", []byte("a"), "a", false},
		{"boolean", "true", "", true},
		{"float", 0.1, "0.1", false},
	} {
		typ, _ := ParseType(tc.sql)
		if got, err := PartitionText(typ, tc.v); got != tc.want || (err != nil) != tc.bad {
			t.Errorf("%s %v gives %q, %v", tc.sql, tc.v, got, err)
		}
	}
}

func FuzzParsePartition(f *testing.F) {
	for _, s := range []string{"1", "2024-01-01", "2024-01-01 00:00:00.1", "2024-01-01T00:00:00Z", "1.5", "true", "-0", "1e5", "+12345-01-01"} {
		f.Add(s)
	}
	var types []*DataType
	for _, sql := range []string{"string", "bigint", "tinyint", "double", "float", "decimal(38,10)", "date", "timestamp", "timestamp_ntz", "boolean", "binary"} {
		typ, err := ParseType(sql)
		if err != nil {
			f.Fatal(err)
		}
		types = append(types, typ)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, typ := range types {
			l, err := ParsePartition(typ, s)
			if err != nil {
				continue
			}
			text, err := PartitionText(typ, l)
			if err != nil {
				continue
			}
			again, err := ParsePartition(typ, text)
			if err != nil {
				t.Fatalf("%s: %q becomes %q: %v", typ.SQL(), s, text, err)
			}
			if c, ok := compareLiterals(l, again); ok && c != 0 {
				t.Fatalf("%s: %q becomes %q", typ.SQL(), s, text)
			}
		}
	})
}
