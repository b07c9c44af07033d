package faultstore_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/lakectl/lakectl/internal/faultstore"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/objectstore/storetest"
)

// A store that never fires keeps the whole contract.
func TestContractUntouched(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objectstore.Store {
		t.Helper()
		return faultstore.New(mem.New(t.Name()), -1, faultstore.Refused, 1)
	})
}

func put(ctx context.Context, s objectstore.Store, key, text string) error {
	_, err := s.Put(ctx, key, objectstore.Bytes([]byte(text)), objectstore.CreateOnly)
	return err
}

func get(ctx context.Context, s objectstore.Store, key string) (string, error) {
	body, _, err := s.Get(ctx, key, objectstore.Range{})
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(body)
	return string(b), errors.Join(err, body.Close())
}

func TestFaultsOfAPut(t *testing.T) {
	for _, c := range []struct {
		fault             faultstore.Fault
		want              error
		now, then, settle bool // the object is there at once, after one more call, in the end
	}{
		{faultstore.Refused, objectstore.ErrDenied, false, false, false},
		{faultstore.ReplyLost, objectstore.ErrUnavailable, true, true, true},
		{faultstore.Late, objectstore.ErrUnavailable, false, true, true},
		{faultstore.Twice, objectstore.ErrExists, true, true, true},
		{faultstore.CrashBefore, faultstore.ErrCrashed, false, false, false},
		{faultstore.CrashAfter, faultstore.ErrCrashed, true, true, true},
		{faultstore.ShortRead, nil, true, true, true},
		{faultstore.FlippedByte, nil, true, true, true},
	} {
		t.Run(c.fault.String(), func(t *testing.T) {
			inner := mem.New(t.Name())
			s := faultstore.New(inner, 1, c.fault, 1)
			there := func() bool {
				_, err := inner.Head(t.Context(), "x")
				return err == nil
			}
			if err := put(t.Context(), s, "before", ""); err != nil || s.Fired() != "" {
				t.Fatalf("call 0: %v, fired %q", err, s.Fired())
			}
			if err := put(t.Context(), s, "x", "text"); !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("the writer was told %v, want %v", err, c.want)
			}
			if s.Fired() == "" || there() != c.now {
				t.Errorf("fired %q, there %v", s.Fired(), there())
			}
			_, err := s.Head(t.Context(), "before")
			if crashed := errors.Is(err, faultstore.ErrCrashed); crashed != errors.Is(c.want, faultstore.ErrCrashed) || there() != c.then {
				t.Errorf("one call later: %v, there %v", err, there())
			}
			if s.Settle(); there() != c.settle {
				t.Errorf("in the end: there %v", there())
			}
		})
	}
}

func TestFaultsOfAGet(t *testing.T) {
	for _, c := range []struct {
		fault faultstore.Fault
		want  error
		text  string
	}{
		{faultstore.Refused, objectstore.ErrDenied, ""},
		{faultstore.ReplyLost, objectstore.ErrUnavailable, ""},
		{faultstore.ShortRead, io.ErrUnexpectedEOF, "te"},
		{faultstore.FlippedByte, nil, "te\xf8t"},
		{faultstore.CrashBefore, faultstore.ErrCrashed, ""},
		{faultstore.Late, nil, "text"},
	} {
		t.Run(c.fault.String(), func(t *testing.T) {
			inner := mem.New(t.Name())
			if err := put(t.Context(), inner, "x", "text"); err != nil {
				t.Fatal(err)
			}
			s := faultstore.New(inner, 0, c.fault, 1)
			if got, err := get(t.Context(), s, "x"); got != c.text || !errors.Is(err, c.want) || c.want == nil && err != nil {
				t.Errorf("%q, %v; want %q, %v", got, err, c.text, c.want)
			}
			if got, err := get(t.Context(), inner, "x"); got != "text" || err != nil {
				t.Errorf("the object itself is %q, %v", got, err)
			}
		})
	}
}
