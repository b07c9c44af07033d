package faultstore_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/faultstore"
	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// monthsLater is a store whose clock has gone on since its objects were written.
type monthsLater struct{ objectstore.Store }

func (s monthsLater) Head(ctx context.Context, key string) (objectstore.Info, error) {
	info, err := s.Store.Head(ctx, key)
	info.Date = info.Date.Add(90 * 24 * time.Hour)
	return info, err
}

// cleanedFrom is the version that the log begins with in the end.
const cleanedFrom = 6

// TestR4CleanUp sweeps the clean-up of a log: wherever it fails, the newest version and all from the checkpoint on read as
// before, an older one is whole or gone, and the next clean-up ends the work. With sidecars it also gives the checkpoint
// that it leaves at the beginning a classic name, and takes the sidecars of those that it deletes.
func TestR4CleanUp(t *testing.T) {
	check := ledger.Open(t, "R4 clean-up", 90)
	for name, properties := range map[string]map[string]string{"classic": nil, "v2": v2Policy()} {
		t.Run(name, func(t *testing.T) {
			c := sweepCleanUp(t, everySecond(properties))
			check.Count, check.Failed = check.Count+c.Runs, check.Failed+c.Failed
		})
	}
}

func sweepCleanUp(t *testing.T, properties map[string]string) faultstore.Counts {
	t.Helper()
	do := func(seed uint64) func(context.Context, objectstore.Store) error {
		return func(ctx context.Context, s objectstore.Store) error {
			l := logops.Open(monthsLater{s}, seed)
			now, err := l.Latest(ctx)
			if err != nil {
				return err
			}
			done, err := l.CleanUp(ctx, now)
			if err == nil && (done.Start != cleanedFrom || seed == 1 && done.Removed == 0) {
				err = fmt.Errorf("a clean-up that does nothing: %+v", done)
			}
			return err
		}
	}
	return faultstore.Sweep(t, faultstore.Subject{
		Name: "clean-up", Harmless: true, Do: do(1), Again: do(2),
		Prepare: func(ctx context.Context, s objectstore.Store) error {
			l := logops.Open(s, 99)
			x, err := logops.CreateWith(l, properties)
			if err != nil {
				return err
			}
			if _, err := x.Commit(ctx); err != nil {
				return err
			}
			for n := range int64(7) {
				if err := logops.AppendOnce(ctx, l, "w", n+1); err != nil {
					return err
				}
			}
			return nil
		},
		State: func(ctx context.Context, s objectstore.Store) (string, error) {
			l := logops.Open(s, 500)
			var b strings.Builder
			for v := txlog.Version(0); v <= 7; v++ {
				at, err := l.At(ctx, v)
				gone := errors.Is(err, txlog.ErrHistoryGone) || errors.Is(err, txlog.ErrVersionGap)
				if v < cleanedFrom && (gone || err == nil && at.Files().Len() == int(v)) {
					continue
				}
				if err != nil {
					return "", fmt.Errorf("version %d: %w", v, err)
				}
				fmt.Fprintf(&b, "%d: %d files\n", v, at.Files().Len())
			}
			now, err := l.Latest(ctx)
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "newest %d\n", now.Version())
			return b.String(), nil
		},
	})
}
