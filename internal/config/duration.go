package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseDuration reads Go's durations with days in front: "90s", "1h30m", "7d", "1d12h". A day is 24 hours.
func ParseDuration(text string) (time.Duration, error) {
	wrong := fmt.Errorf("%q is not a duration such as 90s, 2h or 7d", clip(text))
	rest := strings.TrimSpace(text)
	negative := strings.HasPrefix(rest, "-")
	rest = strings.TrimPrefix(rest, "-")
	var total time.Duration
	if days, after, ok := strings.Cut(rest, "d"); ok {
		n, err := strconv.ParseFloat(days, 64)
		if err != nil || !plainNumber(days) || n*24 > math.MaxInt64/float64(time.Hour)/2 {
			return 0, wrong
		}
		total, rest = time.Duration(n*24*float64(time.Hour)), after
	}
	if rest != "" || total == 0 && !strings.Contains(text, "d") {
		d, err := time.ParseDuration(rest)
		if err != nil || d < 0 || total+d < total {
			return 0, wrong
		}
		total += d
	}
	if negative {
		total = -total
	}
	return total, nil
}
