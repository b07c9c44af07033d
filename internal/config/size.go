package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes.
type Size int64

// ParseSize reads "1048576", "64MB" or "1.5GiB": KB, MB, GB and TB are powers of 1000, KiB, MiB, GiB and TiB of 1024.
// Sizes are positive.
func ParseSize(text string) (Size, error) {
	number := strings.TrimSpace(text)
	factor := 1.0
	lower := strings.ToLower(number)
	for _, u := range []struct {
		suffix string
		factor float64
	}{
		{"kib", 1 << 10},
		{"mib", 1 << 20},
		{"gib", 1 << 30},
		{"tib", 1 << 40},
		{"kb", 1e3},
		{"mb", 1e6},
		{"gb", 1e9},
		{"tb", 1e12},
		{"b", 1},
	} {
		if strings.HasSuffix(lower, u.suffix) {
			number, factor = strings.TrimSpace(number[:len(number)-len(u.suffix)]), u.factor
			break
		}
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !plainNumber(number) || v*factor < 1 || v*factor > math.MaxInt64/2 {
		return 0, fmt.Errorf("%q is not a size such as 64MB", clip(text))
	}
	return Size(v * factor), nil
}

// plainNumber refuses what ParseFloat takes beyond digits and a point: signs, exponents, hex, inf, underscores.
func plainNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789.") == ""
}

// clip keeps an error readable whatever the text.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
