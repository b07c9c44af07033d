package main

import (
	"errors"
	"testing"
	"time"
)

func TestParseWord(t *testing.T) {
	for _, c := range []struct {
		in, text string
		kind     wordKind
		version  int64 // -1: none
		at       string
		usage    bool
	}{
		{"silver.orders", "silver.orders", wordName, -1, "", false},
		{"orders", "orders", wordName, -1, "", false},
		{"silver.orders@v12", "silver.orders", wordName, 12, "", false},
		{"./t@2026-01-31T00:00:00Z", "./t", wordPath, -1, "2026-01-31T00:00:00Z", false},
		{"./t@2026-01-31", "./t", wordPath, -1, "2026-01-31T00:00:00Z", false},
		{"s3://b/t@v0", "s3://b/t", wordPath, 0, "", false},
		{"me@home/t", "me@home/t", wordPath, -1, "", false},
		{"./a@verily", "./a@verily", wordPath, -1, "", false},
		{"new.csv", "new.csv", wordPath, -1, "", false},
		{"new.CSV.gz", "new.CSV.gz", wordPath, -1, "", false},
		{"x.parquet", "x.parquet", wordPath, -1, "", false},
		{".", ".", wordPath, -1, "", false},
		{"SELECT 1", "SELECT 1", wordQuery, -1, "", false},
		{"from x", "from x", wordQuery, -1, "", false},
		{"(SELECT 1)", "(SELECT 1)", wordQuery, -1, "", false},
		{"with", "with", wordName, -1, "", false},
		{"selected.rows", "selected.rows", wordName, -1, "", false},
		{"a.b.c", "", 0, -1, "", true},
		{"a b", "", 0, -1, "", true},
		{"./t@2026-99-01", "", 0, -1, "", true},
		{"./t@v99999999999999999999", "", 0, -1, "", true},
		{"", "", 0, -1, "", true},
	} {
		w, err := parseWord(c.in)
		if c.usage {
			if !errors.As(err, new(*usageError)) {
				t.Errorf("%q: got %+v, %v, want a usage error", c.in, w, err)
			}
			continue
		}
		version, at := int64(-1), ""
		if w.version != nil {
			version = int64(*w.version)
		}
		if w.time != nil {
			at = w.time.Format(time.RFC3339)
		}
		if err != nil || w.text != c.text || w.kind != c.kind || version != c.version || at != c.at {
			t.Errorf("%q: got %q kind %d version %d time %q, %v; want %q kind %d version %d time %q", c.in, w.text, w.kind, version, at, err, c.text, c.kind, c.version, c.at)
		}
	}
}

func TestSplitFile(t *testing.T) {
	for _, c := range [][3]string{
		{"a.csv", ".", "a.csv"},
		{"./in/a.csv", "in", "a.csv"},
		{"/abs/a.csv", "/abs", "a.csv"},
		{"/a.csv", "/", "a.csv"},
		{"in/*/a*.csv", "in", "*/a*.csv"},
		{"*.csv", ".", "*.csv"},
		{"../up.csv", "..", "up.csv"},
		{"s3://b/x/y.csv", "s3://b/x", "y.csv"},
		{"s3://b/y.csv", "s3://b", "y.csv"},
		{"s3://b/*.csv", "s3://b", "*.csv"},
		{"s3://b", "s3://b", ""},
		{"in/", ".", "in"},
		{"/", "/", ""},
	} {
		if folder, name := splitFile(c[0]); folder != c[1] || name != c[2] {
			t.Errorf("%q: got %q and %q, want %q and %q", c[0], folder, name, c[1], c[2])
		}
	}
}

func TestParseDurationAndSize(t *testing.T) {
	for in, want := range map[string]time.Duration{"168h": 168 * time.Hour, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "0s": 0, "0d": 0} {
		if got, err := parseDuration("x", in); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "7", "d", "-1h", "week", "7d7"} {
		if got, err := parseDuration("x", in); err == nil {
			t.Errorf("%q: got %v, want an error", in, got)
		}
	}
	for in, want := range map[string]int64{"": 0, "128MB": 128e6, "1GB": 1e9, "4MiB": 4 << 20, "8kB": 8000, "10": 10, "1.5 MB": 1500000} {
		if got, err := parseSize("x", in); err != nil || got != want {
			t.Errorf("%q: got %v, %v, want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"-1MB", "MB", "1XB", "0"} {
		if got, err := parseSize("x", in); err == nil {
			t.Errorf("%q: got %v, want an error", in, got)
		}
	}
}
