package faultstore_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/lakectl/lakectl/internal/faultstore"
	"github.com/lakectl/lakectl/objectstore"
)

// witness is a test whose failures are counted instead of reported.
type witness struct {
	testing.TB
	errors int
}

func (w *witness) Helper()               {}
func (w *witness) Logf(string, ...any)   {}
func (w *witness) Errorf(string, ...any) { w.errors++ }

// The sweep is worth what it finds: three rules for a commit whose PUT failed, of which it must pass one.
func TestSweepFindsBadRules(t *testing.T) {
	var next func(ctx context.Context, s objectstore.Store, v int) error
	for _, c := range []struct {
		name  string
		sound bool
		rule  func(ctx context.Context, s objectstore.Store, v int, put error) error
	}{
		{"settle", true, func(ctx context.Context, s objectstore.Store, v int, put error) error {
			if objectstore.Refused(put) {
				return put
			}
			for range 5 {
				switch who, err := get(ctx, s, fmt.Sprint(v)); {
				case err == nil && who == "mine":
					return nil
				case err == nil:
					return next(ctx, s, v+1)
				case errors.Is(err, objectstore.ErrNotFound):
					if again := putMine(ctx, s, v); again == nil {
						return nil
					}
				}
			}
			return put
		}},
		{"any failure: try v+1", false, func(ctx context.Context, s objectstore.Store, v int, put error) error {
			if objectstore.Refused(put) || errors.Is(put, faultstore.ErrCrashed) {
				return put
			}
			return next(ctx, s, v+1)
		}},
		{"absent is failure", false, func(ctx context.Context, s objectstore.Store, v int, put error) error {
			if who, err := get(ctx, s, fmt.Sprint(v)); err == nil && who == "mine" {
				return nil
			}
			return put
		}},
		{"any failure is failure", false, func(_ context.Context, _ objectstore.Store, _ int, put error) error { return put }},
	} {
		t.Run(c.name, func(t *testing.T) {
			next = func(ctx context.Context, s objectstore.Store, v int) error {
				if err := putMine(ctx, s, v); err != nil {
					return c.rule(ctx, s, v, err)
				}
				return nil
			}
			w := &witness{TB: t}
			counts := faultstore.Sweep(w, faultstore.Subject{
				Name:    c.name,
				Prepare: func(ctx context.Context, s objectstore.Store) error { return put(ctx, s, "0", "first") },
				Do:      func(ctx context.Context, s objectstore.Store) error { return next(ctx, s, 1) },
				State: func(ctx context.Context, s objectstore.Store) (string, error) {
					text := ""
					for info, err := range s.List(ctx, "", "") {
						if err != nil {
							return "", err
						}
						text += info.Key + " "
					}
					return text, nil
				},
			})
			if (w.errors == 0) != c.sound || counts.Failed != w.errors {
				t.Errorf("%d violations, %v", w.errors, counts)
			}
		})
	}
}

func putMine(ctx context.Context, s objectstore.Store, v int) error {
	return put(ctx, s, fmt.Sprint(v), "mine")
}
