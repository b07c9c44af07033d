package main

import (
	"strconv"
	"strings"
)

// parseSize reads a size such as 128MB, 1GB or 4MiB; "" is 0. MB is a million bytes, MiB is 1024 × 1024.
func parseSize(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	digits := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	factor, ok := map[string]float64{
		"": 1, "b": 1, "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12, "kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	}[strings.ToLower(strings.TrimSpace(text[len(digits):]))]
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || !ok || n <= 0 || n*factor > 1<<60 {
		return 0, usagef("--%s: %q is not a size such as 128MB or 1GB", flag, text)
	}
	return int64(n * factor), nil
}
