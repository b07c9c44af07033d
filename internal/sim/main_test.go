package sim_test

import (
	"os"
	"runtime/debug"
	"testing"
)

// Schedules are many and short-lived: collecting less often halves their cost.
func TestMain(m *testing.M) {
	debug.SetGCPercent(800)
	os.Exit(m.Run())
}
