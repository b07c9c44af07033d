//go:build linux || darwin

package main

import "syscall"

// freeSpace is what this user may still write to the disk of a folder, in bytes.
func freeSpace(dir string) (bytes int64, known bool) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, false
	}
	free := st.Bavail * uint64(st.Bsize) //nolint:gosec // the size of a block
	return int64(min(free, 1<<62)), true
}
