//go:build unix

package cache

import (
	"os"

	"golang.org/x/sys/unix"
)

// lockFile opens a file, or creates it, and locks it for this process; an error other than fs.ErrNotExist means that
// another process holds it.
func lockFile(path string, create bool) (*os.File, error) {
	flags := os.O_RDWR
	if create {
		flags |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}
