//go:build unix

package cache

import (
	"io/fs"
	"syscall"
)

// sector is the unit of Stat_t.Blocks, whatever the file system.
const sector = 512

// allocated is what a file costs on disk in bytes: holes cost nothing.
func allocated(st fs.FileInfo) int64 {
	if s, ok := st.Sys().(*syscall.Stat_t); ok {
		return s.Blocks * sector
	}
	return st.Size()
}
