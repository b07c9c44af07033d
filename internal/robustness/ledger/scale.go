package ledger

import (
	"cmp"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// ScaleVariable names the environment variable that says how much of each check runs.
const ScaleVariable = "LAKE_SCALE"

// Scale is how much of each check runs.
type Scale string

// The sizes. Plain `go test` is Short and stays within seconds.
const (
	Short Scale = "short"
	Pull  Scale = "pr"   // make reliability: what a change must pass
	Long  Scale = "long" // make reliability-long, and LAKE_LONG=1 for one check
)

// Size is the size that was asked for.
func Size() Scale {
	if os.Getenv("LAKE_LONG") != "" {
		return Long
	}
	return Scale(cmp.Or(os.Getenv(ScaleVariable), string(Short)))
}

// At chooses by [Size].
func At[T any](short, pull, long T) T {
	switch Size() {
	case Long:
		return long
	case Pull:
		return pull
	case Short:
	}
	return short
}

// Machine says in one line what the counts and seconds were measured on.
func Machine() string {
	model := ""
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if key, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(key) == "model name" {
				model = ", " + strings.TrimSpace(value)
				break
			}
		}
	}
	return runtime.GOOS + "/" + runtime.GOARCH + ", " + fmt.Sprint(runtime.NumCPU()) + " cores" + model + ", " + runtime.Version()
}
