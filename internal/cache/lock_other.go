//go:build !unix

package cache

import (
	"errors"
	"io/fs"
	"os"
)

// lockFile creates a file, which counts as its process being alive: without locks, links of dead processes stay.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return f, err
}
