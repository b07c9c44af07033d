package jobs

import "syscall"

// childAttributes makes the kernel end a child with its parent, and keeps a Ctrl-C at the terminal from reaching the
// child before the parent has decided what to do.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
