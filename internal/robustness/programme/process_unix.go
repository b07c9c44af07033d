//go:build unix

package main

import (
	"os/exec"
	"syscall"
	"time"
)

// inGroup gives a command a process group, so that its tests and their servers end with it: first they are asked, half
// a minute later they are not.
func inGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 30 * time.Second
}

// endGroup ends what a cancelled command has left.
func endGroup(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // mostly nobody is left
	}
}
