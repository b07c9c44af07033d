package miniotest

import "syscall"

// dieWithParent has the kernel end the server when we end, even by SIGKILL.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
