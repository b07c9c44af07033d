package history

import "golang.org/x/sys/unix"

// Monotonic is the machine's monotonic clock in nanoseconds, comparable between processes.
func Monotonic() int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0 // no Linux is without it
	}
	return t.Nano()
}
