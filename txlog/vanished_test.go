package txlog

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/lakectl/lakectl/objectstore"
)

// interrupted does something right before the first read of an object.
type interrupted struct {
	objectstore.Store
	key string
	do  func()
}

func (s *interrupted) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	if key == s.key && s.do != nil {
		do := s.do
		s.do = nil
		do()
	}
	return s.Store.Get(ctx, key, r)
}

// beside is a log whose reader finds that clean-up is at work: between its listing and its first read of version v all
// that is older than checkpoint 20 goes.
func beside(t *testing.T, v Version, properties map[string]string) *Log {
	t.Helper()
	properties["delta.logRetentionDuration"], properties["delta.enableExpiredLogCleanup"] = "interval 1 days", "false"
	plain, _ := agedLog(t, properties, 22)
	clean := func() {
		s := latest(t, plain)
		s.metadata.Configuration["delta.enableExpiredLogCleanup"] = "true" // of this snapshot alone
		if done, err := plain.CleanUp(t.Context(), s); err != nil || done.Removed == 0 {
			t.Fatalf("clean up: %+v, %v", done, err)
		}
	}
	store := &interrupted{Store: plain.store, key: plain.commitKey(v), do: clean}
	return New(store, plain.root, plain.options)
}

// A read that had listed the log when clean-up came was told "object not found" about a table that is sound.
func TestReadBesideLogCleanUp(t *testing.T) {
	t.Run("newer than a snapshot", func(t *testing.T) {
		l := beside(t, 9, map[string]string{})
		old, err := l.At(t.Context(), 5)
		if err != nil {
			t.Fatal(err)
		}
		if s, err := l.Update(t.Context(), old); err != nil || s.Version() != 22 || s.Files().Len() != 22 {
			t.Errorf("newest: %v, %v", s, err)
		}
	})
	t.Run("a version that goes", func(t *testing.T) {
		l := beside(t, 5, map[string]string{})
		if s, err := l.At(t.Context(), 5); !errors.Is(err, ErrHistoryGone) {
			t.Errorf("version 5: %v, %v", s, err)
		}
	})
}

// Of two clean-ups at once the slower one ended with "history is gone".
func TestCleanUpBesideCleanUp(t *testing.T) {
	l := beside(t, 11, map[string]string{"delta.enableInCommitTimestamps": "true"})
	s := latest(t, l)
	s.metadata.Configuration["delta.enableExpiredLogCleanup"] = "true"
	if done, err := l.CleanUp(t.Context(), s); err != nil || done.Removed != 0 {
		t.Errorf("the slower one: %+v, %v", done, err)
	}
	if from, to := commitsLeft(t, l); from != 20 || to != 22 {
		t.Errorf("the log goes from %d to %d", from, to)
	}
}
