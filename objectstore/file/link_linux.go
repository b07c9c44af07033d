package file

import (
	"errors"
	"fmt"
	"os"
	"path"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/lakectl/lakectl/objectstore"
)

// link gives a body that is a finished file of this file system the second name temp, and returns it open, for Sync.
// It returns no file where the body must be copied instead.
//
// The link goes through the descriptor (linkat with /proc/self/fd), so that it is the file that was opened even if
// its name now means another.
func (s *Store) link(body objectstore.Body, temp string) (*os.File, error) {
	b, ok := body.(*objectstore.FileBody)
	if !ok {
		return nil, nil
	}
	st, err := b.Stat()
	if err != nil || !st.Mode().IsRegular() {
		return nil, err
	}
	if st.Size() != b.Size() {
		return nil, fmt.Errorf("staged file changed from %d to %d bytes", b.Size(), st.Size())
	}
	dir, err := s.root.Open(path.Dir(temp))
	if err != nil {
		return nil, err
	}
	defer func() { _ = dir.Close() }()
	source := "/proc/self/fd/" + strconv.Itoa(int(b.Fd()))
	err = unix.Linkat(unix.AT_FDCWD, source, int(dir.Fd()), path.Base(temp), unix.AT_SYMLINK_FOLLOW)
	if err != nil {
		return nil, nil // another file system, no /proc, no right to link: a copy does as well
	}
	if err := s.root.Chmod(temp, 0o600|s.read); err != nil {
		return nil, errors.Join(err, s.root.Remove(temp))
	}
	return s.root.Open(temp)
}
