// Package storetest is the contract of objectstore.Store as a program: every implementation and every decorator
// passes it.
package storetest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
)

// Open returns an empty store that nothing else uses.
type Open func(t *testing.T) objectstore.Store

// Clients returns two independent clients of one empty store that nothing else uses, so that races meet in the store
// and not in a mutex of ours.
type Clients func(t *testing.T) (a, b objectstore.Store)

// Run checks the whole contract with one client.
func Run(t *testing.T, open Open) {
	t.Helper()
	RunClients(t, func(t *testing.T) (a, b objectstore.Store) {
		t.Helper()
		s := open(t)
		return s, s
	})
}

// RunClients checks the whole contract, the races between two clients.
func RunClients(t *testing.T, open Clients) {
	t.Helper()
	for _, group := range [][]testCase{readCases(), writeCases(), deleteCases(), keyCases(), listCases(), raceCases()} {
		for _, c := range group {
			t.Run(c.name, func(t *testing.T) {
				a, b := open(t)
				c.run(fixture{T: t, Store: a, other: b})
			})
		}
	}
}

type testCase struct {
	name string
	run  func(f fixture)
}

// fixture is a test with its store and the verbs that the cases are told in.
type fixture struct {
	*testing.T
	objectstore.Store
	other objectstore.Store
}

// put writes text without a condition.
func (f fixture) put(key, text string) objectstore.Info {
	f.Helper()
	return f.putIf(key, text, objectstore.Condition{})
}

func (f fixture) putIf(key, text string, cond objectstore.Condition) objectstore.Info {
	f.Helper()
	info, err := f.Put(f.Context(), key, objectstore.Bytes([]byte(text)), cond)
	if err != nil {
		f.Fatalf("put %q: %v", key, err)
	}
	if info.Key != key || info.Size != int64(len(text)) || info.ETag == "" {
		f.Fatalf("put %q returned %+v", key, info)
	}
	return info
}

// putFails tries a put that must fail with want.
func (f fixture) putFails(key string, cond objectstore.Condition, want error) {
	f.Helper()
	info, err := f.Put(f.Context(), key, objectstore.Bytes([]byte("must not land")), cond)
	if !errors.Is(err, want) {
		f.Fatalf("put %q with %+v = %+v, %v; want %v", key, cond, info, err, want)
	}
}

// holds checks that key is there with exactly this text.
func (f fixture) holds(key, text string) objectstore.Info {
	f.Helper()
	return f.reads(key, objectstore.Range{}, text, int64(len(text)))
}

// reads checks a ranged read of an object of size bytes.
func (f fixture) reads(key string, r objectstore.Range, text string, size int64) objectstore.Info {
	f.Helper()
	got, info, err := read(f.Context(), f.Store, key, r)
	if err != nil {
		f.Fatalf("get %q %+v: %v", key, r, err)
	}
	if string(got) != text {
		f.Fatalf("get %q %+v = %.100q, want %.100q", key, r, got, text)
	}
	if info.Key != key || info.Size != size || info.ETag == "" || info.Modified.IsZero() {
		f.Fatalf("get %q %+v: info %+v, want size %d and every field", key, r, info, size)
	}
	return info
}

// absent checks that key is not there.
func (f fixture) absent(key string) {
	f.Helper()
	if got, _, err := read(f.Context(), f.Store, key, objectstore.Range{}); !errors.Is(err, objectstore.ErrNotFound) {
		f.Fatalf("get %q = %.100q, %v; want ErrNotFound", key, got, err)
	}
	if info, err := f.Head(f.Context(), key); !errors.Is(err, objectstore.ErrNotFound) {
		f.Fatalf("head %q = %+v, %v; want ErrNotFound", key, info, err)
	}
}

// lists checks the keys of a listing.
func (f fixture) lists(prefix, after string, want ...string) {
	f.Helper()
	var got []string
	for info, err := range f.List(f.Context(), prefix, after) {
		if err != nil {
			f.Fatalf("list %q after %q: %v", prefix, after, err)
		}
		got = append(got, info.Key)
	}
	if d := cmp.Diff(want, got); d != "" {
		f.Fatalf("list %q after %q (-want +got):\n%s", prefix, after, d)
	}
}

func read(ctx context.Context, s objectstore.Store, key string, r objectstore.Range) ([]byte, objectstore.Info, error) {
	body, info, err := s.Get(ctx, key, r)
	if err != nil {
		return nil, info, err
	}
	b, err := io.ReadAll(body)
	if cerr := body.Close(); err == nil {
		err = cerr
	}
	return b, info, err
}

// noise returns n bytes that do not repeat.
func noise(seed uint64, n int) []byte {
	r := clock.SeededRand(seed)
	b := make([]byte, 0, n+8)
	for len(b) < n {
		b = binary.LittleEndian.AppendUint64(b, r.Uint64())
	}
	return b[:n]
}

// countingBody fails the test when it is read after it was forbidden.
type countingBody struct {
	*bytes.Reader
	onRead func()
}

func (b countingBody) Size() int64 { return b.Reader.Size() }

func (b countingBody) ReadAt(p []byte, off int64) (int, error) {
	b.onRead()
	return b.Reader.ReadAt(p, off)
}
