package file

import (
	"errors"
	"io/fs"
	"syscall"
	"testing"

	"github.com/lakectl/lakectl/objectstore"
)

func TestClassify(t *testing.T) {
	for errno, want := range map[syscall.Errno]error{
		syscall.ENOENT: objectstore.ErrNotFound, syscall.ENOTDIR: objectstore.ErrNotFound,
		syscall.EACCES: objectstore.ErrDenied, syscall.EPERM: objectstore.ErrDenied, syscall.EROFS: objectstore.ErrDenied,
		syscall.ENOSPC: objectstore.ErrNoSpace, syscall.EDQUOT: objectstore.ErrNoSpace,
		syscall.EFBIG: objectstore.ErrTooLarge, syscall.ENAMETOOLONG: objectstore.ErrInvalidKey,
		syscall.ELOOP: objectstore.ErrInvalidKey, syscall.EMFILE: objectstore.ErrUnavailable,
		syscall.ENFILE: objectstore.ErrUnavailable,
	} {
		err := classify(&fs.PathError{Op: "open", Path: "p", Err: errno})
		if !errors.Is(err, want) || !errors.Is(err, errno) {
			t.Errorf("%v: %v, want %v", errno, err, want)
		}
	}
	// A failing disk proves nothing: not refused, not worth a retry.
	err := classify(&fs.PathError{Op: "fsync", Path: "p", Err: syscall.EIO})
	if objectstore.Refused(err) || objectstore.Retryable(err) || !errors.Is(err, syscall.EIO) {
		t.Errorf("EIO: %v", err)
	}
	if classify(nil) != nil {
		t.Error("no error became one")
	}
}
