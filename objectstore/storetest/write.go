package storetest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/lakectl/lakectl/objectstore"
)

func ifMatch(etag string) objectstore.Condition { return objectstore.Condition{IfMatch: etag} }

func writeCases() []testCase {
	return []testCase{
		{"create", func(f fixture) { f.putIf("a", "x", objectstore.CreateOnly); f.holds("a", "x") }},
		{"create where something is", func(f fixture) {
			f.putIf("a", "first", objectstore.CreateOnly)
			f.putFails("a", objectstore.CreateOnly, objectstore.ErrExists)
			f.holds("a", "first")
		}},
		{"create with the same bytes again", func(f fixture) {
			f.putIf("a", "must not land", objectstore.CreateOnly)
			f.putFails("a", objectstore.CreateOnly, objectstore.ErrExists)
		}},
		{"create again after a delete", func(f fixture) {
			f.putIf("a", "first", objectstore.CreateOnly)
			f.delete("a")
			f.putIf("a", "second", objectstore.CreateOnly)
			f.holds("a", "second")
		}},
		{"replace without a condition", func(f fixture) {
			old := f.put("a", "one")
			if now := f.put("a", "two"); now.ETag == old.ETag {
				f.Fatalf("other bytes, same etag %s", old.ETag)
			}
			f.holds("a", "two")
		}},
		{"swap with the right etag", func(f fixture) {
			info := f.put("a", "one")
			for _, text := range []string{"two", "three", "four"} {
				info = f.putIf("a", text, ifMatch(info.ETag))
				f.holds("a", text)
			}
		}},
		{"swap with an old etag", func(f fixture) {
			old := f.put("a", "one")
			f.putIf("a", "two", ifMatch(old.ETag))
			f.putFails("a", ifMatch(old.ETag), objectstore.ErrPrecondition)
			f.holds("a", "two")
		}},
		{"swap with an etag of another object", func(f fixture) {
			f.put("a", "one")
			other := f.put("b", "two")
			f.putFails("a", ifMatch(other.ETag), objectstore.ErrPrecondition)
			f.holds("a", "one")
		}},
		{"swap with nonsense for an etag", func(f fixture) {
			f.put("a", "one")
			f.putFails("a", ifMatch("0123456789abcdef0123456789abcdef"), objectstore.ErrPrecondition)
			f.holds("a", "one")
		}},
		{"swap where nothing is", func(f fixture) {
			f.putFails("a", ifMatch("0123456789abcdef0123456789abcdef"), objectstore.ErrNotFound)
			f.absent("a")
		}},
		{"swap with the etag that head and list tell", swapListedETag},
		{"swap of a deleted object", func(f fixture) {
			info := f.put("a", "one")
			f.delete("a")
			f.putFails("a", ifMatch(info.ETag), objectstore.ErrNotFound)
			f.absent("a")
		}},
		{"two conditions on one put", func(f fixture) {
			f.putFails("a", objectstore.Condition{IfNoneMatch: true, IfMatch: "x"}, objectstore.ErrBadRequest)
			f.absent("a")
		}},
		{"large object", func(f fixture) {
			text := string(noise(5, 17<<20+3))
			f.putIf("big", text, objectstore.CreateOnly)
			f.holds("big", text)
			f.reads("big", objectstore.Range{Offset: 16 << 20, Length: 5}, text[16<<20:16<<20+5], int64(len(text)))
			f.reads("big", objectstore.Range{Offset: -9}, text[len(text)-9:], int64(len(text)))
			f.putFails("big", objectstore.CreateOnly, objectstore.ErrExists)
		}},
		{"large object without a condition, replaced", func(f fixture) {
			f.put("big", string(noise(6, 17<<20)))
			text := string(noise(7, 18<<20))
			info := f.put("big", text)
			if got := f.holds("big", text); got.ETag != info.ETag {
				f.Fatalf("etag %s from put, %s from get", info.ETag, got.ETag)
			}
			f.putIf("big", "small", ifMatch(info.ETag))
		}},
		{"large object with a failing condition", func(f fixture) {
			f.put("big", "small")
			body := objectstore.Bytes(noise(8, 17<<20))
			if _, err := f.Put(f.Context(), "big", body, objectstore.CreateOnly); !errors.Is(err, objectstore.ErrExists) {
				f.Fatalf("create: %v, want ErrExists", err)
			}
			if _, err := f.Put(f.Context(), "big", body, ifMatch("0123")); !errors.Is(err, objectstore.ErrPrecondition) {
				f.Fatalf("swap: %v, want ErrPrecondition", err)
			}
			f.holds("big", "small")
		}},
		{"body from a file", bodyFromFile},
		{"body that fails while it is read", bodyFails},
		{"put under a done context", putDoneContext},
		{"put whose context ends while it is sent", putCancelled},
	}
}

func swapListedETag(f fixture) {
	f.put("a", "one")
	head, err := f.Head(f.Context(), "a")
	if err != nil {
		f.Fatal(err)
	}
	f.putIf("a", "two", ifMatch(head.ETag))
	for info, err := range f.List(f.Context(), "", "") {
		if err != nil {
			f.Fatal(err)
		}
		f.putIf("a", "three", ifMatch(info.ETag))
	}
	f.holds("a", "three")
}

func bodyFromFile(f fixture) {
	for _, text := range []string{"", "short", string(noise(9, 3<<20))} {
		name := filepath.Join(f.TempDir(), "staged")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			f.Fatal(err)
		}
		body, err := objectstore.OpenFile(name)
		if err != nil {
			f.Fatal(err)
		}
		_, err = f.Put(f.Context(), "data/part", body, objectstore.Condition{})
		if cerr := body.Close(); err != nil || cerr != nil {
			f.Fatal(err, cerr)
		}
		if err := os.Remove(name); err != nil {
			f.Fatalf("the staged file belongs to the caller: %v", err)
		}
		f.holds("data/part", text)
	}
	f.lists("", "", "data/part")
}

var errBody = errors.New("body is broken")

type brokenBody struct{ *bytes.Reader }

func (b brokenBody) Size() int64 { return b.Reader.Size() + 100 }

func (b brokenBody) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.Reader.Size() {
		return 0, errBody
	}
	return b.Reader.ReadAt(p, off)
}

func bodyFails(f fixture) {
	f.put("b", "old")
	for _, cond := range []objectstore.Condition{{}, objectstore.CreateOnly} {
		if _, err := f.Put(f.Context(), "a", brokenBody{bytes.NewReader([]byte(digits))}, cond); !errors.Is(err, errBody) {
			f.Fatalf("put %+v: %v, want the error of the body", cond, err)
		}
	}
	if _, err := f.Put(f.Context(), "b", brokenBody{bytes.NewReader([]byte(digits))}, objectstore.Condition{}); err == nil {
		f.Fatal("half a body was accepted")
	}
	f.absent("a")
	f.holds("b", "old")
	f.lists("", "", "b")
}

func putDoneContext(f fixture) {
	ctx, cancel := context.WithCancel(f.Context())
	cancel()
	for _, cond := range []objectstore.Condition{{}, objectstore.CreateOnly, ifMatch("x")} {
		if _, err := f.Put(ctx, "a", objectstore.Bytes([]byte("x")), cond); !errors.Is(err, context.Canceled) {
			f.Errorf("put %+v: %v", cond, err)
		}
	}
	f.put("b", "x")
	if err := f.Delete(ctx, "b"); !errors.Is(err, context.Canceled) {
		f.Errorf("delete: %v", err)
	}
	f.lists("", "", "b")
}

func putCancelled(f fixture) {
	ctx, cancel := context.WithCancel(f.Context())
	defer cancel()
	body := countingBody{bytes.NewReader(noise(10, 17<<20)), cancel}
	if _, err := f.Put(ctx, "a", body, objectstore.Condition{}); !errors.Is(err, context.Canceled) {
		f.Fatalf("put: %v, want context.Canceled", err)
	}
	f.absent("a")
	f.lists("", "")
}
