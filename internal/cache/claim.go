package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lakectl/lakectl/internal/clock"
)

// Claim is a folder that belongs to this process while it lives: a lock on a file in it says so. What processes that
// died leave behind is removed by the next claim beside it.
type Claim struct {
	Dir  string // absolute when parent was
	lock *os.File
}

// claimAttempts bounds how often a folder is made again that a sweeper took in the moment before it was locked.
const claimAttempts = 10

// lockName is the file whose lock marks a claim.
const lockName = "lock"

// NewClaim makes a folder whose name begins with prefix below parent, and removes those of dead processes there.
func NewClaim(parent, prefix string, r clock.Rand) (*Claim, error) {
	sweep(parent, prefix)
	for range claimAttempts {
		dir := filepath.Join(parent, prefix+clock.NewToken(r, 16))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("claim folder: %w", err)
		}
		lock, err := lockFile(filepath.Join(dir, lockName), true)
		if err != nil {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, lockName)); err == nil {
			return &Claim{Dir: dir, lock: lock}, nil
		}
		_ = lock.Close()
	}
	return nil, errors.New("claim folder: others keep removing it")
}

// Close removes the folder.
func (c *Claim) Close() error {
	err := os.RemoveAll(c.Dir)
	return errors.Join(err, c.lock.Close())
}

// sweep removes folders whose process has died, best effort. A folder without a lock file may be about to get one.
func sweep(parent, prefix string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !e.IsDir() || !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		dir := filepath.Join(parent, e.Name())
		lock, err := lockFile(filepath.Join(dir, lockName), false)
		if errors.Is(err, fs.ErrNotExist) {
			_ = os.Remove(dir) // only when it is empty
			continue
		}
		if err != nil {
			continue // its process lives
		}
		_ = os.RemoveAll(dir)
		_ = lock.Close()
	}
}
