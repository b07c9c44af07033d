package objectstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/objectstore/storetest"
)

// faulty fails the calls that a test wants to fail, and counts them all.
type faulty struct {
	objectstore.Store
	mu    sync.Mutex
	fail  map[string][]error // by verb, one error for each call; nil lets it pass
	calls map[string]int
	cut   []int // readers of Get break after so many bytes, one entry for each Get
}

func newFaulty(s objectstore.Store) *faulty {
	return &faulty{Store: s, fail: map[string][]error{}, calls: map[string]int{}}
}

func (f *faulty) call(verb string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := f.calls[verb]
	f.calls[verb]++
	if n < len(f.fail[verb]) {
		return f.fail[verb][n]
	}
	return nil
}

func (f *faulty) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	if err := f.call("get"); err != nil {
		return nil, objectstore.Info{}, err
	}
	body, info, err := f.Store.Get(ctx, key, r)
	if err == nil && len(f.cut) > 0 {
		n := f.cut[0]
		f.cut = f.cut[1:]
		if n >= 0 {
			body = io.NopCloser(io.MultiReader(io.LimitReader(body, int64(n)), broken{}))
		}
	}
	return body, info, err
}

type broken struct{}

func (broken) Read([]byte) (int, error) {
	return 0, fmt.Errorf("reset: %w", objectstore.ErrUnavailable)
}

func (f *faulty) Head(ctx context.Context, key string) (objectstore.Info, error) {
	if err := f.call("head"); err != nil {
		return objectstore.Info{}, err
	}
	return f.Store.Head(ctx, key)
}

func (f *faulty) Put(ctx context.Context, key string, b objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
	if err := f.call("put"); err != nil {
		return objectstore.Info{}, err
	}
	return f.Store.Put(ctx, key, b, c)
}

func (f *faulty) Delete(ctx context.Context, keys ...string) error {
	if err := f.call("delete"); err != nil {
		return err
	}
	return f.Store.Delete(ctx, keys...)
}

// List breaks after each key for which "list" holds an error.
func (f *faulty) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		for info, err := range f.Store.List(ctx, prefix, after) {
			if fault := f.call("list"); fault != nil {
				yield(objectstore.Info{}, fault)
				return
			}
			if !yield(info, err) {
				return
			}
		}
	}
}

var (
	errBusy = fmt.Errorf("503: %w", objectstore.ErrThrottled)
	errDown = fmt.Errorf("reset: %w", objectstore.ErrUnavailable)
)

func retried(s objectstore.Store) objectstore.Store {
	return objectstore.Retry(s, objectstore.Policy{Attempts: 4}, clock.NewStepping(time.Unix(0, 0)), clock.SeededRand(1))
}

func TestRetryContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objectstore.Store {
		t.Helper()
		return retried(mem.New(t.Name()))
	})
}

func TestRetryRepeatsWhatMayBeRepeated(t *testing.T) {
	ctx := t.Context()
	for _, verb := range []string{"get", "head", "put", "delete"} {
		for _, tt := range []struct {
			name  string
			fail  []error
			calls int
			want  error
		}{
			{"no failure", nil, 1, nil},
			{"throttled once", []error{errBusy}, 2, nil},
			{"three failures", []error{errDown, errBusy, errDown}, 4, nil},
			{"never comes back", []error{errDown, errDown, errDown, errDown, errDown}, 4, objectstore.ErrUnavailable},
			{"denied", []error{objectstore.ErrDenied}, 1, objectstore.ErrDenied},
			{"denied after a failure", []error{errDown, objectstore.ErrDenied}, 2, objectstore.ErrDenied},
			{"not found", []error{objectstore.ErrNotFound}, 1, objectstore.ErrNotFound},
		} {
			t.Run(verb+" "+tt.name, func(t *testing.T) {
				f := newFaulty(mem.New(t.Name()))
				if _, err := f.Store.Put(ctx, "a", objectstore.Bytes([]byte("x")), objectstore.Condition{}); err != nil {
					t.Fatal(err)
				}
				f.fail[verb] = tt.fail
				s := retried(f)
				var err error
				switch verb {
				case "get":
					_, _, err = s.Get(ctx, "a", objectstore.Range{})
				case "head":
					_, err = s.Head(ctx, "a")
				case "put":
					_, err = s.Put(ctx, "a", objectstore.Bytes([]byte("y")), objectstore.Condition{})
				case "delete":
					err = s.Delete(ctx, "a")
				}
				if !errors.Is(err, tt.want) || f.calls[verb] != tt.calls {
					t.Errorf("%v after %d calls, want %v after %d", err, f.calls[verb], tt.want, tt.calls)
				}
			})
		}
	}
}

// A conditional put whose reply was lost may have landed: repeating it is the settle rule's business alone.
func TestRetryNeverRepeatsAConditionalPut(t *testing.T) {
	for _, cond := range []objectstore.Condition{objectstore.CreateOnly, {IfMatch: "x"}} {
		for _, fault := range []error{errBusy, errDown, context.DeadlineExceeded} {
			f := newFaulty(mem.New(t.Name()))
			f.fail["put"] = []error{fault, nil}
			s := retried(f)
			_, err := s.Put(t.Context(), "a", objectstore.Bytes(nil), cond)
			if !errors.Is(err, fault) || f.calls["put"] != 1 {
				t.Errorf("%+v: %v after %d calls, want the fault after one", cond, err, f.calls["put"])
			}
		}
	}
}

func TestRetryWaitsLongerAndWithinBounds(t *testing.T) {
	f := newFaulty(mem.New(t.Name()))
	for range 20 {
		f.fail["head"] = append(f.fail["head"], errBusy)
	}
	c := clock.NewStepping(time.Unix(0, 0))
	s := objectstore.Retry(f, objectstore.Policy{Attempts: 20, Base: time.Second, Cap: 8 * time.Second, Patience: time.Hour}, c, clock.SeededRand(7))
	if _, err := s.Head(t.Context(), "a"); !errors.Is(err, objectstore.ErrThrottled) {
		t.Fatal(err)
	}
	waited := clock.Since(c, time.Unix(0, 0))
	// Bounds are 1 2 4 8 8 …: 135 s in all, half of it in the mean.
	if waited < 30*time.Second || waited >= 135*time.Second {
		t.Errorf("waited %v", waited)
	}
}

// hanging takes long over every Head, as a store does that accepts connections and never answers.
type hanging struct {
	objectstore.Store
	clock *clock.Manual
	heads int
}

func (h *hanging) Head(ctx context.Context, _ string) (objectstore.Info, error) {
	h.heads++
	if err := h.clock.Sleep(ctx, 30*time.Second); err != nil {
		return objectstore.Info{}, err
	}
	return objectstore.Info{}, objectstore.ErrUnavailable
}

func TestRetryStoreThatNeverAnswersEndsInAMinute(t *testing.T) {
	c := clock.NewStepping(time.Unix(0, 0))
	h := &hanging{Store: mem.New(t.Name()), clock: c}
	_, err := objectstore.Retry(h, objectstore.Policy{}, c, clock.SeededRand(1)).Head(t.Context(), "a")
	if !errors.Is(err, objectstore.ErrUnavailable) {
		t.Errorf("%v, want ErrUnavailable", err)
	}
	if waited := clock.Since(c, time.Unix(0, 0)); h.heads != 2 || waited > 65*time.Second {
		t.Errorf("%d tries in %v, want 2 in about a minute", h.heads, waited)
	}
}

func TestRetryEndsWithItsContext(t *testing.T) {
	f := newFaulty(mem.New(t.Name()))
	f.fail["head"] = []error{errBusy, errBusy, errBusy}
	c := clock.NewManual(time.Unix(0, 0))
	s := objectstore.Retry(f, objectstore.Policy{}, c, clock.SeededRand(1))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		if c.Sleepers(t.Context(), 1) == nil {
			cancel()
		}
	}()
	_, err := s.Head(ctx, "a")
	if !errors.Is(err, context.Canceled) || !errors.Is(err, objectstore.ErrThrottled) {
		t.Errorf("%v, want the end of the context and the last failure", err)
	}
	if f.calls["head"] != 1 {
		t.Errorf("%d calls after the end", f.calls["head"])
	}
}

func TestRetryListGoesOnAfterTheLastKey(t *testing.T) {
	m := mem.New(t.Name())
	var want []string
	for i := range 10 {
		key := fmt.Sprintf("k%d", i)
		want = append(want, key)
		if _, err := m.Put(t.Context(), key, objectstore.Bytes(nil), objectstore.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	f := newFaulty(m)
	f.fail["list"] = []error{errDown, errDown, errDown, nil, nil, errBusy, nil, errDown, errDown, errDown, nil, errDown}
	s := retried(f)
	var got []string
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, info.Key)
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got %v", got)
	}

	f.calls["list"], f.fail["list"] = 0, []error{nil, nil, errDown, errDown, errDown, errDown}
	got, n := nil, 0
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil {
			n++
			if !errors.Is(err, objectstore.ErrUnavailable) {
				t.Errorf("%v", err)
			}
			continue
		}
		got = append(got, info.Key)
	}
	if n != 1 || fmt.Sprint(got) != fmt.Sprint(want[:2]) {
		t.Errorf("%d errors, keys %v; want one after two keys", n, got)
	}
}

func TestRetryReaderGoesOnWhereItBroke(t *testing.T) {
	want := bytes.Repeat([]byte("0123456789"), 1000)
	for name, tt := range map[string]struct {
		r    objectstore.Range
		cut  []int
		fail []error
		want []byte
	}{
		"whole":            {objectstore.Range{}, []int{17, 0, 0, 1, 5000}, nil, want},
		"part":             {objectstore.Range{Offset: 5, Length: 100}, []int{3, 96}, nil, want[5:105]},
		"end":              {objectstore.Range{Offset: -9}, []int{8, 0}, nil, want[len(want)-9:]},
		"broken at reopen": {objectstore.Range{}, []int{10}, []error{nil, errDown, errBusy, nil}, want},
	} {
		t.Run(name, func(t *testing.T) {
			m := mem.New(t.Name())
			if _, err := m.Put(t.Context(), "a", objectstore.Bytes(want), objectstore.Condition{}); err != nil {
				t.Fatal(err)
			}
			f := newFaulty(m)
			f.cut, f.fail["get"] = tt.cut, tt.fail
			s := retried(f)
			body, info, err := s.Get(t.Context(), "a", tt.r)
			if err != nil || info.Size != int64(len(want)) {
				t.Fatal(info, err)
			}
			got, err := io.ReadAll(body)
			if err != nil || !bytes.Equal(got, tt.want) {
				t.Errorf("%d bytes, %v; want %d", len(got), err, len(tt.want))
			}
			if err := body.Close(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRetryReaderNeverMixesTwoObjects(t *testing.T) {
	m := mem.New(t.Name())
	put := func(text string) {
		if _, err := m.Put(t.Context(), "a", objectstore.Bytes([]byte(text)), objectstore.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	put("old old old")
	f := newFaulty(m)
	f.cut = []int{4}
	s := retried(f)
	body, _, err := s.Get(t.Context(), "a", objectstore.Range{})
	if err != nil {
		t.Fatal(err)
	}
	put("new new new")
	got, err := io.ReadAll(body)
	if !errors.Is(err, objectstore.ErrPrecondition) || string(got) != "old " {
		t.Errorf("%q, %v; want ErrPrecondition after the part that was read", got, err)
	}
	if err := body.Close(); err != nil {
		t.Error(err)
	}
}

func TestRetryReaderGivesUp(t *testing.T) {
	m := mem.New(t.Name())
	if _, err := m.Put(t.Context(), "a", objectstore.Bytes([]byte("text")), objectstore.Condition{}); err != nil {
		t.Fatal(err)
	}
	f := newFaulty(m)
	f.cut = []int{1, 0, 0, 0, 0, 0, 0}
	s := retried(f)
	body, _, err := s.Get(t.Context(), "a", objectstore.Range{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(body)
	if !errors.Is(err, objectstore.ErrUnavailable) || string(got) != "t" {
		t.Errorf("%q, %v", got, err)
	}
}

func TestDecoratorsKeepLocal(t *testing.T) {
	dir, err := file.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = dir.Close() }()
	want, err := dir.LocalPath("a/b")
	if err != nil {
		t.Fatal(err)
	}
	s := retried(objectstore.Probed(dir, "", clock.SeededRand(1)))
	l, ok := s.(objectstore.Local)
	if !ok {
		t.Fatal("the folder is no longer local")
	}
	if got, err := l.LocalPath("a/b"); got != want || err != nil {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	s = retried(objectstore.Probed(mem.New("m"), "", clock.SeededRand(1)))
	if _, ok := s.(objectstore.Local); ok {
		t.Error("memory is not local")
	}
}
