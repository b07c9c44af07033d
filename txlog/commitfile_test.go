package txlog

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/lakectl/lakectl/internal/limits"
)

func TestCommitWhoseReadBreaksIsNotDamage(t *testing.T) {
	whole := `{"commitInfo":{"timestamp":1,"operation":"WRITE"}}` + "\n" + `{"txn":{"appId":"a","version":1}}` + "\n"
	for cut := range len(whole) {
		body := io.MultiReader(strings.NewReader(whole[:cut]), iotest.ErrReader(io.ErrUnexpectedEOF))
		_, _, err := decodeCommit(body, limits.Default())
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrCorruptLog) {
			t.Fatalf("cut at byte %d: %v, want the error of the store", cut, err)
		}
	}
}
