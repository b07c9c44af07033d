//go:build !linux && !windows

package jobs

import "syscall"

// childAttributes keeps a Ctrl-C at the terminal from reaching the child. That its parent has gone, the child learns
// from the end of its stdin.
func childAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
