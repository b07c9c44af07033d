package config

import (
	"errors"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for text, want := range map[string]Size{
		"1": 1, "64MB": 64e6, "64 mb": 64e6, "5GB": 5e9, "1KiB": 1024, "1.5GiB": 3 << 29, "12B": 12, "2TB": 2e12,
		"": 0, "0": 0, "-1": 0, "MB": 0, "1e3": 0, "0x10": 0, "inf": 0, "NaN": 0, "1_0": 0, "9999999999TB": 0, "5 apples": 0,
	} {
		got, err := ParseSize(text)
		if got != want || (err == nil) != (want != 0) {
			t.Errorf("ParseSize(%q) = %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestParseDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s": 0, "90s": 90 * time.Second, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "0.5d": 12 * time.Hour,
		"1h30m": 90 * time.Minute, "-1h": -time.Hour, "-1d": -24 * time.Hour, "0d": 0,
	} {
		if got, err := ParseDuration(text); got != want || err != nil {
			t.Errorf("ParseDuration(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "d", "1", "7days", "1e9d", "h", "1h-2m", "--1h", "1d-1h", "99999999999d"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("ParseDuration(%q) = %v; want an error", text, got)
		}
	}
}

func TestParseRatio(t *testing.T) {
	for text, want := range map[string]float64{"2%": 0.02, "100%": 1, "0.5": 0.5, "0": 0, "0%": 0, " 10 % ": 0.1} {
		if got, err := ParseRatio(text); got != want || err != nil {
			t.Errorf("ParseRatio(%q) = %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "%", "101%", "2", "-1%", "NaN", "1e-2"} {
		if got, err := ParseRatio(text); err == nil {
			t.Errorf("ParseRatio(%q) = %v; want an error", text, got)
		}
	}
}

func TestExpand(t *testing.T) {
	unknown := errors.New("unknown")
	lookup := func(name string) (string, error) {
		switch name {
		case "a":
			return "A${b}", nil
		case "env:X":
			return "x", nil
		}
		return "", unknown
	}
	for text, want := range map[string]string{
		"": "", "plain $ {a} }": "plain $ {a} }", "${a}": "A${b}", "-${ a }-${env:X}-": "-A${b}-x-", "$${a}": "${a}", "${a}$${a}": "A${b}${a}",
	} {
		if got, err := Expand(text, lookup); got != want || err != nil {
			t.Errorf("Expand(%q) = %q, %v; want %q", text, got, err, want)
		}
	}
	if _, err := Expand("${nope}", lookup); !errors.Is(err, unknown) {
		t.Errorf("unknown name: %v", err)
	}
	if _, err := Expand("x${a", lookup); err == nil {
		t.Error("no error for a missing brace")
	}
}
