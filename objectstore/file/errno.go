//go:build unix

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/lakectl/lakectl/objectstore"
)

// missing tells whether err says that a path does not exist. A file where a folder should be is the same to a key.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// classify gives an error of the file system its sentinel of objectstore. An error without one, of a failing disk
// for example, leaves doubt.
func classify(err error) error {
	var kind error
	switch {
	case err == nil:
		return nil
	case missing(err):
		kind = objectstore.ErrNotFound
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		kind = objectstore.ErrDenied
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		kind = objectstore.ErrNoSpace
	case errors.Is(err, syscall.EFBIG):
		kind = objectstore.ErrTooLarge
	case errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.EILSEQ), errors.Is(err, syscall.ELOOP), escapes(err):
		kind = objectstore.ErrInvalidKey
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE), errors.Is(err, syscall.ENOMEM),
		errors.Is(err, syscall.EINTR), errors.Is(err, syscall.EAGAIN):
		kind = objectstore.ErrUnavailable
	default:
		return err
	}
	return fmt.Errorf("%w: %w", kind, err)
}

// escapes tells whether os.Root refused to leave the root; os exports no sentinel for it.
func escapes(err error) bool {
	var pe *fs.PathError
	return errors.As(err, &pe) && strings.Contains(pe.Err.Error(), "escapes from parent")
}
