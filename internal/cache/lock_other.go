//go:build !unix

package cache

import (
	"errors"
	"os"
)

// lockFile creates a file. Without locks, what dead processes leave behind stays.
func lockFile(path string, create bool) (*os.File, error) {
	if !create {
		return nil, errors.New("no locks on this system")
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}
