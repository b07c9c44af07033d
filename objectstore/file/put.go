//go:build unix

package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"syscall"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
)

// Put implements [objectstore.Store]. A body that is an *objectstore.FileBody of the same file system is linked into
// place, not copied: it becomes the object, so it must not be changed afterwards.
func (s *Store) Put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (objectstore.Info, error) {
	info, err := s.put(ctx, key, body, cond)
	if err != nil {
		return objectstore.Info{}, objectstore.Wrap("put", key, err)
	}
	return info, nil
}

func (s *Store) put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (objectstore.Info, error) {
	if err := errors.Join(ctx.Err(), checkKey(key), cond.Check()); err != nil {
		return objectstore.Info{}, err
	}
	if err := s.early(key, cond); err != nil {
		return objectstore.Info{}, err
	}
	temp, err := s.stage(ctx, body)
	if err != nil {
		return objectstore.Info{}, err
	}
	defer func() { _ = s.root.Remove(temp) }()
	info, err := s.stat(temp)
	if err != nil {
		return objectstore.Info{}, err
	}
	info.Key = key
	dir := path.Dir(key)
	if err := s.makeFolder(dir); err != nil {
		return objectstore.Info{}, err
	}
	if err := ctx.Err(); err != nil {
		return objectstore.Info{}, err
	}
	if cond.IfNoneMatch {
		err = s.create(temp, key)
	} else {
		err = s.swap(ctx, temp, key, cond.IfMatch)
	}
	if err != nil {
		return objectstore.Info{}, err
	}
	return info, s.sync(dir)
}

// early spares the copy where the condition fails already; the condition itself is checked again, atomically.
func (s *Store) early(key string, cond objectstore.Condition) error {
	info, err := s.stat(key)
	switch {
	case cond.IfNoneMatch && err == nil:
		return objectstore.ErrExists
	case cond.IfMatch != "" && err != nil:
		return err
	case cond.IfMatch != "" && info.ETag != cond.IfMatch:
		return objectstore.ErrPrecondition
	}
	return nil
}

// stage brings the whole body, durably, into the folder for temporary files, and returns its path there. Its
// modification time is set to the nanosecond: the kernel's own steps are so coarse that two objects in a row could
// share size, time and a recycled inode, and so the ETag.
func (s *Store) stage(ctx context.Context, body objectstore.Body) (string, error) {
	if err := s.root.Mkdir(TempFolder, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		if missing(err) {
			return "", fmt.Errorf("%w: the root folder is gone", objectstore.ErrNoBucket)
		}
		return "", unsent(classify(err))
	}
	temp := TempFolder + "/" + clock.NewToken(s.rand, 16)
	f, err := s.link(body, temp)
	if f == nil && err == nil {
		f, err = s.copy(ctx, body, temp)
	}
	if err == nil {
		now := s.stamp()
		err = s.root.Chtimes(temp, now, now)
	}
	if f != nil {
		if err == nil {
			err = f.Sync()
		}
		err = errors.Join(err, f.Close())
	}
	if err != nil {
		_ = s.root.Remove(temp)
		return "", fmt.Errorf("write temporary file: %w", unsent(classify(err)))
	}
	return temp, nil
}

// unsent adds to a full disk that the key was not reached: only a link or a rename gives a temporary file its key.
func unsent(err error) error {
	if errors.Is(err, objectstore.ErrNoSpace) {
		return fmt.Errorf("%w: %w", objectstore.ErrUnsent, err)
	}
	return err
}

// stamp is the clock's time, moved on where it would repeat itself.
func (s *Store) stamp() time.Time {
	now := s.clock.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := s.stamped.Sub(now); d >= 0 && d < time.Millisecond {
		now = s.stamped.Add(1)
	}
	s.stamped = now
	return now
}

// copy writes body to temp.
func (s *Store) copy(ctx context.Context, body objectstore.Body, temp string) (*os.File, error) {
	f, err := s.root.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600|s.read)
	if err != nil {
		return nil, err
	}
	src := objectstore.Exactly(ctx, io.NopCloser(io.NewSectionReader(body, 0, body.Size())), body.Size())
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, src, make([]byte, min(max(body.Size(), 1), 1<<20)))
	return f, err
}

// create gives temp its name, if nothing has it.
func (s *Store) create(temp, key string) error {
	err := s.root.Link(temp, key)
	if !errors.Is(err, fs.ErrExist) {
		return folderIsKey(err)
	}
	if st, err := s.root.Lstat(key); err == nil && st.IsDir() {
		return fmt.Errorf("%w: a folder has this name", objectstore.ErrBadRequest)
	}
	return objectstore.ErrExists
}

// swap renames temp over key; with an etag only while key has it.
func (s *Store) swap(ctx context.Context, temp, key, etag string) error {
	unlock, err := s.lock(ctx, path.Dir(key))
	if err != nil {
		return err
	}
	defer unlock()
	if etag != "" {
		info, err := s.stat(key)
		if err != nil {
			return err
		}
		if info.ETag != etag {
			return objectstore.ErrPrecondition
		}
	}
	return folderIsKey(s.root.Rename(temp, key))
}

// folderIsKey reports that a folder stands where an object should, or an object where a folder should: nothing was
// written and nothing will be.
func folderIsKey(err error) error {
	if errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.EISDIR) || errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: an object and a folder cannot share a name: %w", objectstore.ErrBadRequest, err)
	}
	return classify(err)
}

// lockPause is the wait between two tries for a folder's lock, which is held for a rename at most.
const lockPause = 2 * time.Millisecond

// lock takes the exclusive lock on dir, against other stores and processes too.
func (s *Store) lock(ctx context.Context, dir string) (unlock func(), err error) {
	f, err := s.root.Open(dir)
	if err != nil {
		return nil, classify(err)
	}
	for {
		// Closing the descriptor lets go of the lock, as does the end of the process.
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
			// Not the store's clock: a test that stops it must not stop the lock.
			err = clock.System().Sleep(ctx, lockPause)
		}
		if err != nil {
			_ = f.Close()
			return nil, fmt.Errorf("lock folder: %w", classify(err))
		}
	}
}

// Delete implements [objectstore.Store]. Folders stay when they become empty.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := checkKey(key); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	dirs := map[string]struct{}{}
	for _, key := range keys {
		removed, err := s.remove(ctx, key)
		if err != nil {
			return objectstore.Wrap("delete", key, err)
		}
		if removed {
			dirs[path.Dir(key)] = struct{}{}
		}
	}
	for dir := range dirs {
		if err := s.sync(dir); err != nil && !errors.Is(err, objectstore.ErrNotFound) {
			return fmt.Errorf("delete in %s: %w", dir, err)
		}
	}
	return nil
}

func (s *Store) remove(ctx context.Context, key string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	st, err := s.root.Lstat(key)
	if missing(err) || err == nil && st.IsDir() {
		return false, nil
	}
	if err != nil {
		return false, classify(err)
	}
	unlock, err := s.lock(ctx, path.Dir(key))
	if err != nil {
		return false, err
	}
	defer unlock()
	if err := s.root.Remove(key); err != nil && !missing(err) {
		return false, classify(err)
	}
	return true, nil
}

// durableMax bounds the memory of folders known to be durable; past it they are synced again.
const durableMax = 4096

// makeFolder makes dir and its parents, each synced into its parent once.
func (s *Store) makeFolder(dir string) error {
	if dir == "." {
		return nil
	}
	for i := 0; i <= len(dir); i++ {
		if i < len(dir) && dir[i] != '/' {
			continue
		}
		err := s.root.Mkdir(dir[:i], 0o777)
		if errors.Is(err, fs.ErrExist) {
			if s.isDurable(dir[:i]) {
				continue
			}
			err = nil
		}
		if err == nil {
			err = s.sync(path.Dir(dir[:i]))
		}
		if err != nil {
			return folderIsKey(err)
		}
		s.setDurable(dir[:i])
	}
	return nil
}

func (s *Store) isDurable(dir string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.durable[dir]
	return ok
}

func (s *Store) setDurable(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.durable) >= durableMax {
		clear(s.durable)
	}
	s.durable[dir] = struct{}{}
}

// sync makes the entries of dir durable.
func (s *Store) sync(dir string) error {
	f, err := s.root.Open(dir)
	if err == nil {
		err = errors.Join(f.Sync(), f.Close())
	}
	if err != nil {
		return fmt.Errorf("sync folder: %w", classify(err))
	}
	return nil
}

// sweep removes what killed processes left, best effort.
func (s *Store) sweep() {
	f, err := s.root.Open(TempFolder)
	if err != nil {
		return
	}
	defer func() { _ = f.Close() }()
	entries, _ := f.ReadDir(readDirChunk)
	for _, e := range entries {
		st, err := e.Info()
		if err == nil && clock.Since(s.clock, st.ModTime()) > staleTempAge {
			_ = s.root.Remove(TempFolder + "/" + e.Name())
		}
	}
}
