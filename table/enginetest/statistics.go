package enginetest

import (
	"encoding/json"
	"strings"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/table"
)

// stats decodes the statistics of the only file that a SELECT makes.
func (s *suite) stats(columns, sql string) map[string]any {
	s.Helper()
	files := s.write(sql, table.Write{Schema: s.columns(columns)})
	if len(files) != 1 {
		s.Fatalf("%d files", len(files))
	}
	d := json.NewDecoder(strings.NewReader(files[0].Stats))
	d.UseNumber()
	var stats map[string]any
	if err := d.Decode(&stats); err != nil {
		s.Fatalf("statistics %q: %v", files[0].Stats, err)
	}
	return stats
}

func (s *suite) statistics() {
	got := s.stats("i int, s string, d date, ts timestamp, tn timestamp_ntz, dc decimal(38,3), f double, b boolean, x binary, st struct<a:int,b:struct<c:string>>, l array<int>, n int",
		`SELECT 1 i, 'a' s, DATE '2020-01-01' d, TIMESTAMPTZ '2020-01-01 00:00:00.123456+02' ts, TIMESTAMP '2020-01-01 00:00:00.999999' tn,
			12345678901234567890123456789012345.678 dc, 1.5 f, true b, 'x'::BLOB x, {'a': 1, 'b': {'c': 'q'}} st, [1] l, NULL n
		UNION ALL BY NAME SELECT 3 i, 'c' s, DATE '2020-01-03' d, TIMESTAMPTZ '2020-01-03 00:00:00+00' ts, TIMESTAMP '2020-01-03 00:00:00' tn,
			'0.001' dc, -2 f, false b, 'y'::BLOB x, NULL st, NULL l, NULL n
		UNION ALL BY NAME SELECT NULL i`)
	want := map[string]any{
		"numRecords":  json.Number("3"),
		"tightBounds": true,
		"minValues": map[string]any{
			"i": json.Number("1"), "s": "a", "d": "2020-01-01", "ts": "2019-12-31T22:00:00.123Z", "tn": "2020-01-01T00:00:00.999",
			"dc": json.Number("0.001"), "f": json.Number("-2"), "st": map[string]any{"a": json.Number("1"), "b": map[string]any{"c": "q"}},
		},
		"maxValues": map[string]any{
			"i": json.Number("3"), "s": "c", "d": "2020-01-03", "ts": "2020-01-03T00:00:00.000Z", "tn": "2020-01-03T00:00:00.000",
			"dc": json.Number("12345678901234567890123456789012345.678"), "f": json.Number("1.5"),
			"st": map[string]any{"a": json.Number("1"), "b": map[string]any{"c": "q"}},
		},
		"nullCount": map[string]any{
			"i": json.Number("1"), "s": json.Number("1"), "d": json.Number("1"), "ts": json.Number("1"), "tn": json.Number("1"),
			"dc": json.Number("1"), "f": json.Number("1"), "b": json.Number("1"), "x": json.Number("1"), "n": json.Number("3"),
			"st": map[string]any{"a": json.Number("2"), "b": map[string]any{"c": json.Number("2")}},
		},
	}
	number := cmp.Comparer(func(a, b json.Number) bool {
		x, errX := a.Float64()
		y, errY := b.Float64()
		return a == b || (errX == nil && errY == nil && x == y && len(a) < 15)
	})
	// an engine may know the NULLs of an array, or not
	if nulls, ok := got["nullCount"].(map[string]any); ok {
		delete(nulls, "l")
	}
	if d := cmp.Diff(want, got, number); d != "" {
		s.Errorf("statistics (-want +got):\n%s", d)
	}
}

func (s *suite) oddStatistics() {
	bound := func(stats map[string]any, which string) any {
		values, _ := stats[which].(map[string]any)
		return values["v"]
	}
	for _, c := range []struct {
		name, kind, low, high string
		min, max              any
	}{
		{"NaN", "double", "1.0", "'nan'", nil, nil},
		{"NaN of 32 bits", "float", "1.0", "'nan'", nil, nil},
		{"infinity", "double", "1.0", "'inf'", nil, nil},
		{"shortest decimal form", "double", "0.1::DOUBLE + 0.2::DOUBLE", "1e300", json.Number("0.30000000000000004"), json.Number("1e+300")},
		{"date before the calendar of today", "date", "DATE '0001-01-01'", "DATE '1582-10-14'", "0001-01-01", "1582-10-14"},
		{"infinite date", "date", "DATE '2020-01-01'", "DATE 'infinity'", nil, nil},
		{"infinite time", "timestamp_ntz", "TIMESTAMP '2020-01-01'", "TIMESTAMP 'infinity'", nil, nil},
		{"32 characters", "string", "repeat('a', 32)", "repeat('b', 32)", strings.Repeat("a", 32), strings.Repeat("b", 32)},
		{"33 characters", "string", "repeat('a', 33)", "repeat('b', 33)", strings.Repeat("a", 32), strings.Repeat("b", 32) + "\x7f"},
		{"cut beside wide characters", "string", "repeat('é', 40)", "repeat('é', 40)", strings.Repeat("é", 32), strings.Repeat("é", 32) + "\U0010ffff"},
		{"empty string", "string", "''", "'x'", "", "x"},
	} {
		stats := s.stats("v "+c.kind, "SELECT "+c.low+" v UNION ALL SELECT "+c.high)
		low, high := bound(stats, "minValues"), bound(stats, "maxValues")
		if d := cmp.Diff([]any{c.min, c.max}, []any{low, high}); d != "" {
			s.Errorf("%s: bounds (-want +got):\n%s", c.name, d)
		}
	}
	// beyond 256 bytes a maximum may be missing, but must not be too low
	stats := s.stats("v string", "SELECT repeat('x', 300) || 'y' v UNION ALL SELECT 'a'")
	if low := bound(stats, "minValues"); low != nil && low != "a" {
		s.Errorf("minimum %q", low)
	}
	if high, ok := bound(stats, "maxValues").(string); ok && high < strings.Repeat("x", 300) {
		s.Errorf("maximum %q is too low", high)
	}
	zero := s.stats("v double", "SELECT '0.0'::DOUBLE v UNION ALL SELECT '-0.0'::DOUBLE")
	if low, high := bound(zero, "minValues"), bound(zero, "maxValues"); low != json.Number("-0.0") || high != json.Number("0.0") {
		s.Errorf("bounds of zeros: %v, %v", low, high)
	}
}
