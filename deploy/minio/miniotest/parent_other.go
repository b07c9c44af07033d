//go:build !linux

package miniotest

import "syscall"

// dieWithParent: only Linux has it. Elsewhere a killed test leaves its server behind.
func dieWithParent() *syscall.SysProcAttr { return nil }
