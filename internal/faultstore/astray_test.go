package faultstore_test

import (
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/lakectl/lakectl/internal/faultstore"
	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// inLog is an object of the log.
func inLog(name string, v int) string {
	return fmt.Sprintf("%s/_delta_log/%020d%s", logops.Path, v, name)
}

// overwrite puts an object, whatever is there.
func overwrite(ctx context.Context, s objectstore.Store, key string, b []byte) error {
	_, err := s.Put(ctx, key, objectstore.Bytes(b), objectstore.Condition{})
	return err
}

// partOf writes the checkpoint of version 2 once more, as one part of a checkpoint of version 3.
func partOf(ctx context.Context, s objectstore.Store, part, of int) error {
	body, _, err := s.Get(ctx, inLog(".checkpoint.parquet", 2), objectstore.Range{})
	if err != nil {
		return err
	}
	b, err := io.ReadAll(body)
	if err != nil {
		return err
	}
	return overwrite(ctx, s, inLog(fmt.Sprintf(".checkpoint.%010d.%010d.parquet", part, of), 3), b)
}

// astray are the ways in which what shall speed reading up may be wrong: the table below is whole, with commits 0 to 3
// and a checkpoint of 2.
func astray() map[string]func(ctx context.Context, s objectstore.Store) error {
	hint := func(text string) func(ctx context.Context, s objectstore.Store) error {
		return func(ctx context.Context, s objectstore.Store) error {
			return overwrite(ctx, s, logops.Path+"/_delta_log/_last_checkpoint", []byte(text))
		}
	}
	then := func(all ...func(context.Context, objectstore.Store) error) func(context.Context, objectstore.Store) error {
		return func(ctx context.Context, s objectstore.Store) error {
			for _, f := range all {
				if err := f(ctx, s); err != nil {
					return err
				}
			}
			return nil
		}
	}
	part := func(p, of int) func(context.Context, objectstore.Store) error {
		return func(ctx context.Context, s objectstore.Store) error { return partOf(ctx, s, p, of) }
	}
	return map[string]func(ctx context.Context, s objectstore.Store) error{
		"hint to a commit":          hint(`{"version":1,"size":4}`),
		"hint to the newest commit": hint(`{"version":3,"size":4}`),
		"hint beyond the log":       hint(`{"version":500,"size":4}`),
		"hint of the beginning":     hint(`{"version":0,"size":1}`),
		"hint cut short":            hint(`{"version":`),
		"hint to a checkpoint that is gone": func(ctx context.Context, s objectstore.Store) error {
			return s.Delete(ctx, inLog(".checkpoint.parquet", 2))
		},
		"hint to a damaged checkpoint": then(hint(`{"version":3,"size":4}`), func(ctx context.Context, s objectstore.Store) error {
			return overwrite(ctx, s, inLog(".checkpoint.parquet", 3), []byte("PAR1 it was PAR1"))
		}),
		"hint to a checkpoint with a hole": then(hint(`{"version":3,"size":4,"parts":2}`), part(1, 2)),
		"checkpoint with a hole":           part(2, 2),
		"two checkpoints with holes":       then(part(1, 2), part(2, 3), part(3, 3)),
	}
}

// TestR4Astray sweeps a reader and a writer over tables whose hint lies, or whose newest checkpoint is not whole:
// nothing but speed may depend on either.
func TestR4Astray(t *testing.T) {
	check := ledger.Open(t, "R4 astray", 500)
	var all faultstore.Counts
	for name, lie := range astray() {
		t.Run(name, func(t *testing.T) {
			once := ofLog(t, logops.WithCheckpoint, "append once", func(ctx context.Context, l *txlog.Log, r *logops.Report) {
				r.Err = logops.AppendOnce(ctx, l, "w", 2)
			})
			once.Once = true
			read := ofLog(t, logops.WithCheckpoint, "latest", func(ctx context.Context, l *txlog.Log, r *logops.Report) {
				var s *txlog.Snapshot
				if s, r.Err = l.Latest(ctx); r.Err != nil {
					return
				}
				if x, _ := s.Txn("app"); s.Version() != 3 || s.Files().Len() != 3 || x.Version != 1 {
					t.Errorf("read version %d with %d files and task %d; want 3 with 3 and 1", s.Version(), s.Files().Len(), x.Version)
				}
			})
			read.Harmless = true
			for _, s := range []faultstore.Subject{once, read} {
				whole := s.Prepare
				s.Prepare = func(ctx context.Context, store objectstore.Store) error {
					if err := whole(ctx, store); err != nil {
						return err
					}
					return lie(ctx, store)
				}
				all.Add(faultstore.Sweep(t, s))
			}
		})
	}
	check.Count, check.Failed = all.Runs, all.Failed
	t.Logf("R4 astray: %v", all)
}
