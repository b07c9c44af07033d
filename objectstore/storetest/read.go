package storetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/objectstore"
)

const digits = "0123456789"

func readCases() []testCase {
	return []testCase{
		{"url names the store without credentials", urlNamesTheStore},
		{"get returns what was put", func(f fixture) { f.put("a", "text"); f.holds("a", "text") }},
		{"get of a missing object", func(f fixture) { f.absent("none"); f.absent("deep/er/none") }},
		{"get of a folder", func(f fixture) { f.put("dir/a", "x"); f.absent("dir") }},
		{"zero-byte object", zeroBytes},
		{"head agrees with get and put", headAgrees},
		{"modified is the store's clock", modifiedIsRecent},
		{"ranges", ranges},
		{"range with the right etag", func(f fixture) {
			info := f.put("a", digits)
			f.reads("a", objectstore.Range{Offset: 3, Length: 4, IfMatch: info.ETag}, "3456", 10)
			f.reads("a", objectstore.Range{Offset: -2, IfMatch: info.ETag}, "89", 10)
		}},
		{"range with another etag", rangeOtherETag},
		{"range of a negative length", func(f fixture) {
			f.put("a", digits)
			if _, _, err := read(f.Context(), f, "a", objectstore.Range{Length: -1}); !errors.Is(err, objectstore.ErrBadRequest) {
				f.Fatalf("got %v, want ErrBadRequest", err)
			}
		}},
		{"closing a reader early", closeEarly},
		{"a reader keeps its object while it is replaced", readerKeepsObject},
		{"get, head and list under a done context", readDoneContext},
		{"a context that ends ends the reader", readerEndsWithContext},
	}
}

func urlNamesTheStore(f fixture) {
	if u := f.URL(); !strings.Contains(u, "://") || strings.ContainsAny(u, "@?#") {
		f.Fatalf("URL %q", u)
	}
	if f.URL() != f.other.URL() {
		f.Fatalf("two clients of one store: %q and %q", f.URL(), f.other.URL())
	}
}

func zeroBytes(f fixture) {
	f.putIf("empty", "", objectstore.CreateOnly)
	f.holds("empty", "")
	f.reads("empty", objectstore.Range{Offset: 5, Length: 5}, "", 0)
	f.reads("empty", objectstore.Range{Offset: -5}, "", 0)
	f.putFails("empty", objectstore.CreateOnly, objectstore.ErrExists)
	f.lists("", "", "empty")
}

func headAgrees(f fixture) {
	put := f.put("a/b", "text")
	got := f.holds("a/b", "text")
	head, err := f.Head(f.Context(), "a/b")
	if err != nil {
		f.Fatal(err)
	}
	var listed objectstore.Info
	for info, err := range f.List(f.Context(), "", "") {
		if err != nil {
			f.Fatal(err)
		}
		listed = info
	}
	for name, info := range map[string]objectstore.Info{"put": put, "get": got, "list": listed} {
		if info.Key != head.Key || info.Size != head.Size || info.ETag != head.ETag {
			f.Errorf("%s says %+v, head says %+v", name, info, head)
		}
	}
	if !got.Modified.Equal(head.Modified) || got.Modified.Sub(listed.Modified).Abs() > time.Second {
		f.Errorf("modified: get %v, head %v, list %v", got.Modified, head.Modified, listed.Modified)
	}
	if strings.Contains(head.ETag, `"`) {
		f.Errorf("etag with quotes: %s", head.ETag)
	}
}

func modifiedIsRecent(f fixture) {
	f.put("a", "x")
	info, err := f.Head(f.Context(), "a")
	if err != nil {
		f.Fatal(err)
	}
	if info.Date.IsZero() || info.Date.Sub(info.Modified).Abs() > time.Minute {
		f.Fatalf("modified %v, date %v", info.Modified, info.Date)
	}
	if info.Modified.Location() != time.UTC {
		f.Fatalf("modified in %v, want UTC", info.Modified.Location())
	}
}

func ranges(f fixture) {
	f.put("a", digits)
	tests := []struct {
		name string
		r    objectstore.Range
		want string
	}{
		{"whole", objectstore.Range{}, digits},
		{"first byte", objectstore.Range{Length: 1}, "0"},
		{"from the middle", objectstore.Range{Offset: 7}, "789"},
		{"middle", objectstore.Range{Offset: 2, Length: 3}, "234"},
		{"last byte", objectstore.Range{Offset: 9, Length: 1}, "9"},
		{"cut at the end", objectstore.Range{Offset: 8, Length: 100}, "89"},
		{"length beyond the end", objectstore.Range{Length: 1 << 40}, digits},
		{"at the end", objectstore.Range{Offset: 10, Length: 1}, ""},
		{"beyond the end", objectstore.Range{Offset: 1 << 40}, ""},
		{"last three", objectstore.Range{Offset: -3}, "789"},
		{"two of the last three", objectstore.Range{Offset: -3, Length: 2}, "78"},
		{"last of more than all", objectstore.Range{Offset: -100}, digits},
		{"exactly all from behind", objectstore.Range{Offset: -10, Length: 10}, digits},
	}
	for _, tt := range tests {
		f.Run(tt.name, func(t *testing.T) {
			g := f
			g.T = t
			g.reads("a", tt.r, tt.want, 10)
		})
	}
}

func rangeOtherETag(f fixture) {
	old := f.put("a", digits)
	f.put("a", "abc")
	for _, r := range []objectstore.Range{{}, {Offset: 1}, {Offset: -1}, {Offset: 100}, {Offset: -2, Length: 1}} {
		r.IfMatch = old.ETag
		if b, _, err := read(f.Context(), f, "a", r); !errors.Is(err, objectstore.ErrPrecondition) {
			f.Errorf("range %+v = %q, %v; want ErrPrecondition", r, b, err)
		}
	}
	r := objectstore.Range{IfMatch: old.ETag}
	if _, _, err := read(f.Context(), f, "none", r); !errors.Is(err, objectstore.ErrNotFound) {
		f.Errorf("missing object with an etag: %v, want ErrNotFound", err)
	}
}

func closeEarly(f fixture) {
	want := noise(1, 1<<20)
	f.put("a", string(want))
	body, _, err := f.Get(f.Context(), "a", objectstore.Range{})
	if err != nil {
		f.Fatal(err)
	}
	var first [10]byte
	if _, err := body.Read(first[:]); err != nil {
		f.Fatal(err)
	}
	if err := body.Close(); err != nil {
		f.Fatalf("close: %v", err)
	}
	f.holds("a", string(want))
}

func readerKeepsObject(f fixture) {
	old := string(noise(2, 1<<16))
	info := f.put("a", old)
	body, _, err := f.Get(f.Context(), "a", objectstore.Range{IfMatch: info.ETag})
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	f.put("a", string(noise(3, 1<<16)))
	var got []byte
	buf := make([]byte, 4096)
	for {
		n, err := body.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			break
		}
	}
	if string(got) != old[:len(got)] {
		f.Fatal("a reader mixed two objects")
	}
}

func readDoneContext(f fixture) {
	f.put("a", "x")
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	if _, _, err := read(ctx, f, "a", objectstore.Range{}); !errors.Is(err, context.Canceled) {
		f.Errorf("get: %v", err)
	}
	if _, err := f.Head(ctx, "a"); !errors.Is(err, context.Canceled) {
		f.Errorf("head: %v", err)
	}
	n := 0
	for info, err := range f.List(ctx, "", "") {
		if n++; !errors.Is(err, context.Canceled) {
			f.Errorf("list: %+v, %v", info, err)
		}
	}
	if n != 1 {
		f.Errorf("list under a done context yielded %d times", n)
	}
}

func readerEndsWithContext(f fixture) {
	f.put("a", string(noise(4, 8<<20)))
	ctx, cancel := context.WithCancel(f.Context())
	defer cancel()
	body, _, err := f.Get(ctx, "a", objectstore.Range{})
	if err != nil {
		f.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	var first [10]byte
	if _, err := body.Read(first[:]); err != nil {
		f.Fatal(err)
	}
	cancel()
	for range 8<<20 + 1 {
		if _, err = body.Read(first[:]); err != nil {
			break
		}
	}
	if !errors.Is(err, context.Canceled) {
		f.Fatalf("read after cancel: %v", err)
	}
}
