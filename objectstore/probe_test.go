package objectstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/objectstore/storetest"
)

func probed(s objectstore.Store) objectstore.Store {
	return objectstore.Probed(s, "", clock.SeededRand(1))
}

func TestProbedContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objectstore.Store {
		t.Helper()
		return probed(mem.New(t.Name()))
	})
}

// deaf ignores conditions, as some stores do that speak most of S3.
type deaf struct{ objectstore.Store }

func (d deaf) Put(ctx context.Context, key string, b objectstore.Body, _ objectstore.Condition) (objectstore.Info, error) {
	return d.Store.Put(ctx, key, b, objectstore.Condition{})
}

func put(ctx context.Context, s objectstore.Store, key string, cond objectstore.Condition) error {
	_, err := s.Put(ctx, key, objectstore.Bytes([]byte("x")), cond)
	return err
}

func keys(t *testing.T, s objectstore.Store) string {
	t.Helper()
	var out []string
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, info.Key)
	}
	return strings.Join(out, " ")
}

func TestProbedRefusesAStoreThatIgnoresConditions(t *testing.T) {
	m := mem.New(t.Name())
	s := probed(deaf{m})
	for _, cond := range []objectstore.Condition{objectstore.CreateOnly, {}, {IfMatch: "x"}} {
		err := put(t.Context(), s, "a", cond)
		if !errors.Is(err, objectstore.ErrUnsafeStore) || !objectstore.Refused(err) || objectstore.Retryable(err) {
			t.Errorf("put %+v: %v, want a refusal with ErrUnsafeStore", cond, err)
		}
	}
	if got := keys(t, m); got != "" {
		t.Errorf("the store holds %s, want nothing, not even the probe", got)
	}
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Errorf("delete: %v", err)
	}
}

func TestProbedAsksOnce(t *testing.T) {
	f := newFaulty(mem.New(t.Name()))
	s := probed(f)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			if err := put(t.Context(), s, string(rune('a'+i)), objectstore.CreateOnly); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if f.calls["put"] != 2+8 || f.calls["delete"] != 1 {
		t.Errorf("%v, want two puts and a delete beside the eight", f.calls)
	}
	if got := keys(t, s); got != "a b c d e f g h" {
		t.Errorf("keys %s", got)
	}
}

func TestProbedReadsWithoutAProbe(t *testing.T) {
	f := newFaulty(mem.New(t.Name()))
	s := probed(f)
	_ = keys(t, s)
	if _, err := s.Head(t.Context(), "a"); !errors.Is(err, objectstore.ErrNotFound) {
		t.Fatal(err)
	}
	if f.calls["put"] != 0 {
		t.Error("reading wrote something")
	}
}

func TestProbedTriesAgainAfterAProbeThatSaidNothing(t *testing.T) {
	for name, tt := range map[string]struct {
		fail []error
		want []error // of puts in a row
	}{
		"first create fails":   {[]error{errDown}, []error{objectstore.ErrUnavailable, nil}},
		"second create fails":  {[]error{nil, errBusy}, []error{objectstore.ErrThrottled, nil}},
		"denied":               {[]error{objectstore.ErrDenied, objectstore.ErrDenied}, []error{objectstore.ErrDenied, objectstore.ErrDenied, nil}},
		"first create existed": {[]error{objectstore.ErrExists}, []error{nil}},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFaulty(mem.New(t.Name()))
			f.fail["put"] = tt.fail
			s := probed(f)
			for i, want := range tt.want {
				err := put(t.Context(), s, "a", objectstore.Condition{})
				if !errors.Is(err, want) {
					t.Fatalf("put %d: %v, want %v", i, err, want)
				}
				if err != nil && !objectstore.Refused(err) { // a commit that was never sent was said to be in doubt
					t.Errorf("put %d: %v leaves doubt about an object that was not sent", i, err)
				}
			}
			if got := keys(t, s); got != "a" {
				t.Errorf("keys %s", got)
			}
		})
	}
}

func TestProbedWriterWithoutTheRightToDelete(t *testing.T) {
	f := newFaulty(mem.New(t.Name()))
	f.fail["delete"] = []error{objectstore.ErrDenied}
	s := objectstore.Probed(f, "control/probe/", clock.SeededRand(1))
	if err := put(t.Context(), s, "a", objectstore.CreateOnly); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, s); !strings.HasPrefix(got, "a control/probe/") {
		t.Errorf("keys %s", got)
	}
}

func TestProbedWaiterEndsWithItsContext(t *testing.T) {
	enter, leave := make(chan struct{}), make(chan struct{})
	s := probed(slow{mem.New(t.Name()), enter, leave})
	done := make(chan error, 1)
	go func() { done <- put(t.Context(), s, "a", objectstore.Condition{}) }()
	<-enter
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := put(ctx, s, "b", objectstore.Condition{}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	close(leave)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// slow holds the first Put until it may leave.
type slow struct {
	objectstore.Store
	enter, leave chan struct{}
}

func (s slow) Put(ctx context.Context, key string, b objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
	select {
	case s.enter <- struct{}{}:
	case <-s.leave:
	}
	<-s.leave
	return s.Store.Put(ctx, key, b, c)
}
