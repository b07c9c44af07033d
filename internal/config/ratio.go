package config

import (
	"fmt"
	"strconv"
	"strings"
)

// ParseRatio reads "2%" or "0.02" as 0.02. Ratios lie between 0 and 1.
func ParseRatio(text string) (float64, error) {
	number, factor := strings.TrimSpace(text), 1.0
	if s, ok := strings.CutSuffix(number, "%"); ok {
		number, factor = strings.TrimSpace(s), 0.01
	}
	v, err := strconv.ParseFloat(number, 64)
	if err != nil || !plainNumber(number) || v*factor > 1 {
		return 0, fmt.Errorf("%q is not a ratio such as 2%%", clip(text))
	}
	return v * factor, nil
}
