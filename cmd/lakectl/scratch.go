package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// scratchPrefix begins the names of scratch folders; scratchLock is the file in one that its process keeps locked.
const (
	scratchPrefix = "lakectl-scratch-"
	scratchLock   = ".lock"
)

// scratchDir makes the folder of this process, readable by its user alone, and removes it at the end. What killed
// processes left behind, spilled gigabytes perhaps, goes first.
func (a *app) scratchDir() (string, error) {
	if a.wiring.scratch != "" {
		return a.wiring.scratch, nil
	}
	base := a.env("LAKE_TEMP_DIR")
	if p := a.wiring.project; base == "" && p != nil {
		base = p.DuckDB.TempDir
	}
	if base == "" {
		base = os.TempDir()
	}
	sweepScratch(base)
	dir, err := os.MkdirTemp(base, scratchPrefix)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir) // the engine takes real paths only
	}
	if err != nil {
		return "", fmt.Errorf("make scratch folder: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, scratchLock), os.O_CREATE|os.O_RDWR, 0o600)
	if err == nil {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		return "", fmt.Errorf("lock scratch folder: %w", err)
	}
	a.wiring.scratch = dir
	a.wiring.closers = append(a.wiring.closers, func() error {
		err := os.RemoveAll(dir)
		return errorsFirst(err, lock.Close())
	})
	return dir, nil
}

// sweepScratch removes scratch folders whose process is gone: the system gives up its lock when it ends, however it
// ends. A folder without a lock file is one that is being made.
func sweepScratch(base string) {
	locks, err := filepath.Glob(filepath.Join(base, scratchPrefix+"*", scratchLock))
	if err != nil {
		return
	}
	for _, path := range locks {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			continue // another user's
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			_ = os.RemoveAll(filepath.Dir(path)) // what cannot be removed now is tried again by the next process
		}
		_ = f.Close()
	}
}
