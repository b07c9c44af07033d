//go:build unix

// Package file keeps objects as plain files under one folder, with the same conditional writes as an object store.
//
// A new object is written to a temporary file, synced, and linked to its name: link(2) fails where a name exists, on
// every local file system, which makes create-only atomic between processes. An object is replaced by rename(2)
// under an exclusive flock(2) on its folder, which orders swaps against each other and against deletions. Folders
// are synced before a write is acknowledged. Network file systems without atomic link are not supported.
//
// Temporary files live in the folder [TempFolder] of the root. The name begins with a dot, so that Spark, delta-rs
// and our own vacuum treat it as hidden, and keys with such a segment are refused: nothing is ever listed from it.
// What a killed process leaves there is removed by a later Open, a day after it was last written.
//
// Every path goes through [os.Root]: a symlink that leaves the root leads nowhere. Symlinks that stay inside are
// followed by Get, Head and LocalPath; listings show links to files and do not enter links to folders. Two limits of
// file systems remain: "a" and "a/b" cannot both be objects, and a segment has at most 255 bytes.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
)

var (
	_ objectstore.Store = (*Store)(nil)
	_ objectstore.Local = (*Store)(nil)
)

// TempFolder holds unfinished objects. No key has a segment of this name.
const TempFolder = ".lake-tmp"

// staleTempAge is when an unfinished object is taken for left behind. Longer than any upload may last.
const staleTempAge = 24 * time.Hour

// Store is an [objectstore.Store] in a folder.
type Store struct {
	root  *os.Root
	dir   string      // absolute, symlinks resolved
	read  fs.FileMode // the bits of 0o044 that the root folder grants; files grant the same
	clock clock.Clock
	rand  clock.Rand

	mu      sync.Mutex          // guards the fields below; a leaf lock
	durable map[string]struct{} // folders whose entry in their parent has been synced
	stamped time.Time           // the last modification time given
}

type options struct {
	create bool
	clock  clock.Clock
	rand   clock.Rand
}

// Option changes how [Open] opens.
type Option func(*options)

// Create makes the root folder, and its parents, where they are missing.
func Create(o *options) { o.create = true }

// WithClock takes modification times, Date and the age of temporary files from c instead of the system.
func WithClock(c clock.Clock) Option { return func(o *options) { o.clock = c } }

// Open opens the folder dir as a store: a path, relative or absolute, or a URL, "file:///abs/path". Without [Create] the
// folder must exist.
// Errors: objectstore.ErrNoBucket, objectstore.ErrDenied, objectstore.ErrBadRequest for a URL that names no folder.
func Open(dir string, opts ...Option) (*Store, error) {
	o := options{clock: clock.System(), rand: clock.SystemRand()}
	for _, set := range opts {
		set(&o)
	}
	s := &Store{clock: o.clock, rand: o.rand, durable: map[string]struct{}{}}
	if err := s.open(dir, o.create); err != nil {
		return nil, fmt.Errorf("open folder %s: %w", dir, err)
	}
	return s, nil
}

func (s *Store) open(dir string, create bool) error {
	dir, err := folder(dir)
	if err != nil {
		return err
	}
	abs, err := filepath.Abs(dir)
	if err == nil && create {
		err = os.MkdirAll(abs, 0o777) //nolint:gosec // the umask of the user decides who may read a lake
	}
	if err == nil {
		s.dir, err = filepath.EvalSymlinks(abs)
	}
	if err == nil {
		s.root, err = os.OpenRoot(s.dir)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return fmt.Errorf("%w: %w", objectstore.ErrNoBucket, err)
	}
	if err != nil {
		return classify(err)
	}
	st, err := s.root.Stat(".")
	if err != nil {
		return classify(err)
	}
	s.read = st.Mode() & 0o044
	s.sweep()
	return nil
}

// folder returns the path in a file:// URL; anything else is a path already.
func folder(dir string) (string, error) {
	if !strings.HasPrefix(dir, "file:") {
		return dir, nil
	}
	u, err := url.Parse(dir)
	if err != nil || u.Host != "" && u.Host != "localhost" || !strings.HasPrefix(u.Path, "/") || u.RawQuery != "" || u.Fragment != "" {
		return "", fmt.Errorf("%w: not a URL such as file:///path", objectstore.ErrBadRequest)
	}
	return filepath.FromSlash(u.Path), nil
}

// Close releases the folder. Calls after it fail.
func (s *Store) Close() error { return s.root.Close() }

// URL is "file:///absolute/path", escaped where a URL must be.
func (s *Store) URL() string {
	return (&url.URL{Scheme: "file", Path: filepath.ToSlash(s.dir)}).String()
}

// checkKey is the common rule and ours.
func checkKey(key string) error {
	if err := objectstore.CheckKey(key); err != nil {
		return err
	}
	for segment := range strings.SplitSeq(key, "/") {
		if segment == TempFolder {
			return fmt.Errorf("%w: %q has the segment %s", objectstore.ErrInvalidKey, key, TempFolder)
		}
	}
	return nil
}

// LocalPath implements [objectstore.Local].
func (s *Store) LocalPath(key string) (string, error) {
	if err := checkKey(key); err != nil {
		return "", fmt.Errorf("local path: %w", err)
	}
	full := filepath.Join(s.dir, filepath.FromSlash(key))
	// The object need not exist: resolve as much of the path as does.
	rest := ""
	for at := full; ; at = filepath.Dir(at) {
		resolved, err := filepath.EvalSymlinks(at)
		if err == nil {
			full = filepath.Join(resolved, rest)
			break
		}
		if errors.Is(err, fs.ErrPermission) || at == s.dir {
			return "", fmt.Errorf("local path of %s: %w", key, classify(err))
		}
		if !missing(err) {
			return "", fmt.Errorf("local path of %s: %w: %w", key, objectstore.ErrInvalidKey, err)
		}
		if st, err := os.Lstat(at); err == nil && st.Mode()&fs.ModeSymlink != 0 {
			return "", fmt.Errorf("local path: %w: %q meets a symlink that leads nowhere", objectstore.ErrInvalidKey, key)
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
	if !strings.HasPrefix(full, strings.TrimSuffix(s.dir, "/")+"/") {
		return "", fmt.Errorf("local path: %w: %q leaves the root through a symlink", objectstore.ErrInvalidKey, key)
	}
	return full, nil
}

// Get implements [objectstore.Store].
func (s *Store) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	body, info, err := s.get(ctx, key, r)
	if err != nil {
		return nil, objectstore.Info{}, objectstore.Wrap("get", key, err)
	}
	return body, info, nil
}

func (s *Store) get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	if err := errors.Join(ctx.Err(), checkKey(key), r.Check()); err != nil {
		return nil, objectstore.Info{}, err
	}
	// Without O_NONBLOCK a fifo in the folder would hang the open.
	f, err := s.root.OpenFile(key, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, objectstore.Info{}, classify(err)
	}
	info, err := s.info(key, f)
	if err == nil && r.IfMatch != "" && r.IfMatch != info.ETag {
		err = objectstore.ErrPrecondition
	}
	if err != nil {
		_ = f.Close()
		return nil, objectstore.Info{}, err
	}
	offset, n := r.Span(info.Size)
	return objectstore.Exactly(ctx, section{io.NewSectionReader(f, offset, n), f}, n), info, nil
}

type section struct {
	io.Reader
	io.Closer
}

func (s *Store) info(key string, f *os.File) (objectstore.Info, error) {
	st, err := f.Stat()
	if err != nil {
		return objectstore.Info{}, classify(err)
	}
	return s.describe(key, st)
}

// Head implements [objectstore.Store].
func (s *Store) Head(ctx context.Context, key string) (objectstore.Info, error) {
	err := errors.Join(ctx.Err(), checkKey(key))
	var info objectstore.Info
	if err == nil {
		info, err = s.stat(key)
	}
	if err != nil {
		return objectstore.Info{}, objectstore.Wrap("head", key, err)
	}
	return info, nil
}

func (s *Store) stat(key string) (objectstore.Info, error) {
	st, err := s.root.Stat(key)
	if err != nil {
		return objectstore.Info{}, classify(err)
	}
	return s.describe(key, st)
}

// describe makes the Info of a regular file; whatever else lies there is no object.
func (s *Store) describe(key string, st fs.FileInfo) (objectstore.Info, error) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !st.Mode().IsRegular() || !ok {
		return objectstore.Info{}, fmt.Errorf("%w: not a regular file", objectstore.ErrNotFound)
	}
	return objectstore.Info{
		Key: key, Size: st.Size(), Modified: st.ModTime().UTC(), Date: s.clock.Now(),
		ETag: strconv.FormatInt(st.Size(), 36) + "-" + strconv.FormatInt(st.ModTime().UnixNano(), 36) + "-" +
			strconv.FormatUint(sys.Ino, 36),
	}, nil
}
