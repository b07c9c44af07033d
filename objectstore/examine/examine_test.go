package examine_test

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/examine"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/objectstore/s3"
)

func TestMain(m *testing.M) { os.Exit(miniotest.Main(m)) }

// sound demands the best verdict and an empty store afterwards.
func sound(t *testing.T, a, b objectstore.Store, o examine.Options) {
	t.Helper()
	r, err := examine.Run(t.Context(), a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != examine.ManyWriters || len(r.Trials) != 10 {
		t.Errorf("%s: %d trials", r.Verdict, len(r.Trials))
	}
	for _, trial := range r.Trials {
		t.Logf("%-18s %-8s %s (%d ms)", trial.Name, trial.Status, trial.Detail, trial.Milliseconds)
		if trial.Status == examine.Failed || trial.Status == examine.Warned {
			t.Errorf("%s: %s: %s", trial.Name, trial.Status, trial.Detail)
		}
	}
	for info, err := range a.List(t.Context(), "", "") {
		t.Errorf("left over: %s %v", info.Key, err)
	}
}

func TestMemory(t *testing.T) {
	s := mem.New(t.Name())
	sound(t, s, s, examine.Options{LargeBytes: 1000})
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	var clients []objectstore.Store
	for range 2 {
		s, err := file.Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		clients = append(clients, s)
	}
	sound(t, clients[0], clients[1], examine.Options{})
}

func TestMinIO(t *testing.T) {
	server := miniotest.Start(t)
	bucket := server.Bucket(t)
	var clients []objectstore.Store
	for range 2 {
		o := server.Options()
		o.PartSize = s3.PartSizeMin
		s, err := s3.Open(t.Context(), "s3://"+bucket+"/lake", o)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		clients = append(clients, s)
	}
	sound(t, clients[0], clients[1], examine.Options{LargeBytes: s3.PartSizeMin + 1000})
}

// odd is a store with one property missing.
type odd struct {
	objectstore.Store
	put    func(s objectstore.Store, ctx context.Context, key string, body objectstore.Body, c objectstore.Condition) (objectstore.Info, error)
	get    func(s objectstore.Store, ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error)
	list   func(all []objectstore.Info) []objectstore.Info
	remove func(keys []string) []string
	ahead  time.Duration
}

func (s *odd) Put(ctx context.Context, key string, body objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
	if s.put == nil {
		return s.Store.Put(ctx, key, body, c)
	}
	return s.put(s.Store, ctx, key, body, c)
}

func (s *odd) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	if s.get == nil {
		return s.Store.Get(ctx, key, r)
	}
	return s.get(s.Store, ctx, key, r)
}

func (s *odd) Head(ctx context.Context, key string) (objectstore.Info, error) {
	info, err := s.Store.Head(ctx, key)
	info.Date = info.Date.Add(s.ahead)
	return info, err
}

func (s *odd) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	if s.list == nil {
		return s.Store.List(ctx, prefix, after)
	}
	return func(yield func(objectstore.Info, error) bool) {
		var all []objectstore.Info
		for info, err := range s.Store.List(ctx, prefix, after) {
			if err != nil {
				yield(info, err)
				return
			}
			all = append(all, info)
		}
		for _, info := range s.list(all) {
			if !yield(info, nil) {
				return
			}
		}
	}
}

func (s *odd) Delete(ctx context.Context, keys ...string) error {
	if s.remove != nil {
		keys = s.remove(keys)
	}
	return s.Store.Delete(ctx, keys...)
}

// Each property that is missing is found by its own trial, and the verdict says what that means.
func TestWhatIsMissingIsFound(t *testing.T) {
	type putFunc = func(objectstore.Store, context.Context, string, objectstore.Body, objectstore.Condition) (objectstore.Info, error)
	unconditional := func(when func(key string, size int64, c objectstore.Condition) bool) putFunc {
		return func(s objectstore.Store, ctx context.Context, key string, body objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
			if when(key, body.Size(), c) {
				c = objectstore.Condition{}
			}
			return s.Put(ctx, key, body, c)
		}
	}
	// Looks first and writes then: right for one writer, wrong for two.
	lookFirst := func(s objectstore.Store, ctx context.Context, key string, body objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
		info, err := s.Head(ctx, key)
		switch {
		case c.IfNoneMatch && err == nil:
			return objectstore.Info{}, objectstore.ErrExists
		case c.IfMatch != "" && (err != nil || info.ETag != c.IfMatch):
			return objectstore.Info{}, objectstore.ErrPrecondition
		}
		time.Sleep(2 * time.Millisecond)
		return s.Put(ctx, key, body, objectstore.Condition{})
	}
	var mu sync.Mutex
	first := map[string]string{} // the first body of each key, for ever
	cached := func(s objectstore.Store, ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
		body, info, err := s.Get(ctx, key, r)
		if err != nil || r != (objectstore.Range{}) || !strings.Contains(key, "/read/") {
			return body, info, err
		}
		b, _ := io.ReadAll(body)
		mu.Lock()
		defer mu.Unlock()
		if _, ok := first[key]; !ok {
			first[key] = string(b)
		}
		info.Size = int64(len(first[key]))
		return io.NopCloser(strings.NewReader(first[key])), info, body.Close()
	}
	offByOne := func(s objectstore.Store, ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
		if r.Offset == 99 {
			r.Offset++
		}
		return s.Get(ctx, key, r)
	}
	for _, c := range []struct {
		name    string
		store   odd
		verdict examine.Verdict
		failed  []string
		warned  []string
	}{
		{
			"ignores If-None-Match",
			odd{put: unconditional(func(_ string, _ int64, c objectstore.Condition) bool { return c.IfNoneMatch })},
			examine.OneWriter,
			[]string{"create once", "create race", "create in parts"},
			nil,
		},
		{
			"ignores If-Match",
			odd{put: unconditional(func(_ string, _ int64, c objectstore.Condition) bool { return c.IfMatch != "" })},
			examine.OneWriter,
			[]string{"swap by ETag", "swap race"},
			nil,
		},
		{
			"ignores the condition of large objects",
			odd{put: unconditional(func(_ string, n int64, _ objectstore.Condition) bool { return n == 200_000 })},
			examine.OneWriter,
			[]string{"create in parts"},
			nil,
		},
		{"looks and then writes", odd{put: lookFirst}, examine.OneWriter, []string{"create race", "swap race"}, nil},
		{"has no conditions", odd{put: func(s objectstore.Store, ctx context.Context, key string, body objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
			if c != (objectstore.Condition{}) {
				return objectstore.Info{}, objectstore.ErrUnsupported
			}
			return s.Put(ctx, key, body, c)
		}}, examine.OneWriter, []string{"create once", "create race", "swap by ETag", "swap race", "create in parts"}, nil},
		{"reads from a cache", odd{get: cached}, examine.NotSafe, []string{"read after write"}, nil},
		{"lists late", odd{list: func(all []objectstore.Info) []objectstore.Info {
			return slices.DeleteFunc(all, func(i objectstore.Info) bool { return strings.HasSuffix(i.Key, "list/0003") })
		}}, examine.NotSafe, []string{"list after write"}, nil},
		{"lists without regard to case", odd{list: func(all []objectstore.Info) []objectstore.Info {
			slices.SortStableFunc(all, func(a, b objectstore.Info) int {
				return strings.Compare(strings.ToLower(a.Key), strings.ToLower(b.Key))
			})
			return all
		}}, examine.NotSafe, []string{"order of listings"}, nil},
		{"cuts ranges wrongly", odd{get: offByOne}, examine.NotSafe, []string{"ranges"}, nil},
		{"keeps what is deleted", odd{remove: func([]string) []string { return nil }}, examine.NotSafe, []string{"read after write", "list after write"}, []string{"removal"}},
		{"has another time", odd{ahead: -time.Hour}, examine.ManyWriters, nil, []string{"clock"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.store
			s.Store = mem.New(t.Name())
			r, err := examine.Run(t.Context(), &s, &s, examine.Options{LargeBytes: 200_000})
			if err != nil {
				t.Fatal(err)
			}
			var failed, warned []string
			for _, trial := range r.Trials {
				switch trial.Status {
				case examine.Failed:
					failed = append(failed, trial.Name)
				case examine.Warned:
					warned = append(warned, trial.Name)
				case examine.Passed, examine.Skipped:
				}
				if trial.Status != examine.Passed && trial.Detail == "" {
					t.Errorf("%s says nothing", trial.Name)
				}
			}
			if r.Verdict != c.verdict || !slices.Equal(failed, c.failed) || !slices.Equal(warned, c.warned) {
				t.Errorf("%s, failed %q, warned %q; want %s, %q, %q\n%+v", r.Verdict, failed, warned, c.verdict, c.failed, c.warned, r.Trials)
			}
		})
	}
}

// A store that refuses the first write was not examined.
func TestWhatCannotBeReachedIsAnError(t *testing.T) {
	s := &odd{Store: mem.New(t.Name()), put: func(objectstore.Store, context.Context, string, objectstore.Body, objectstore.Condition) (objectstore.Info, error) {
		return objectstore.Info{}, objectstore.ErrDenied
	}}
	if r, err := examine.Run(t.Context(), s, s, examine.Options{Rand: clock.SeededRand(1)}); !errors.Is(err, objectstore.ErrDenied) {
		t.Errorf("%+v, %v", r, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := mem.New(t.Name())
	if r, err := examine.Run(ctx, m, m, examine.Options{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", r, err)
	}
}
