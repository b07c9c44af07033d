//go:build unix

package file

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"github.com/lakectl/lakectl/objectstore"
)

// fullDisk is a body whose copy ends as the disk fills up.
type fullDisk struct{}

func (fullDisk) Size() int64 { return 10 }

func (fullDisk) ReadAt([]byte, int64) (int, error) { return 0, syscall.ENOSPC }

// A commit on a full disk was reported as one whose outcome is unknown, though its file never got its name.
func TestFullDiskBeforeTheNameLeavesNoDoubt(t *testing.T) {
	s, err := Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close() //nolint:errcheck // a test
	for _, cond := range []objectstore.Condition{{}, objectstore.CreateOnly} {
		_, err := s.Put(t.Context(), "log/1.json", fullDisk{}, cond)
		if !errors.Is(err, objectstore.ErrNoSpace) || !objectstore.Refused(err) {
			t.Errorf("%+v: error %v, want ErrNoSpace, refused", cond, err)
		}
		if _, err := s.Head(t.Context(), "log/1.json"); !errors.Is(err, objectstore.ErrNotFound) {
			t.Errorf("after it: %v", err)
		}
	}
	if err := fmt.Errorf("sync folder: %w", classify(syscall.ENOSPC)); objectstore.Refused(err) {
		t.Error("a full disk after the name was given is taken for a refusal")
	}
}
