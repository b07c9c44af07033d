package objectstore_test

import (
	"errors"
	"io"
	"testing"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
)

func TestReaderAt(t *testing.T) {
	store := mem.New("readerat")
	if _, err := store.Put(t.Context(), "k", objectstore.Bytes([]byte("0123456789")), objectstore.Condition{}); err != nil {
		t.Fatal(err)
	}
	r := objectstore.ReaderAt(t.Context(), store, "k", 10)
	for _, c := range []struct {
		at   int64
		n    int
		want string
		err  error
	}{
		{0, 10, "0123456789", nil}, {3, 2, "34", nil}, {8, 5, "89", io.EOF}, {10, 1, "", io.EOF}, {-1, 1, "", io.EOF}, {5, 0, "", nil},
	} {
		p := make([]byte, c.n)
		n, err := r.ReadAt(p, c.at)
		if string(p[:n]) != c.want || !errors.Is(err, c.err) {
			t.Errorf("%d at %d: %q, %v", c.n, c.at, p[:n], err)
		}
	}
	grown := objectstore.ReaderAt(t.Context(), store, "k", 20) // the object became shorter
	if n, err := grown.ReadAt(make([]byte, 5), 8); n != 2 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("beyond the end: %d, %v", n, err)
	}
	if _, err := objectstore.ReaderAt(t.Context(), store, "none", 5).ReadAt(make([]byte, 1), 0); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("no object: %v", err)
	}
}
