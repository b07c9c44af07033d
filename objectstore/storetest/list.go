package storetest

import (
	"fmt"
	"slices"

	"github.com/lakectl/lakectl/objectstore"
)

func listCases() []testCase {
	return []testCase{
		{"list an empty store", func(f fixture) { f.lists("", ""); f.lists("a/", ""); f.lists("a/b/c", "x") }},
		{"list in byte order of whole keys", byteOrder},
		{"list with a prefix of a folder", func(f fixture) {
			f.putAll("a/1", "a/2", "a/b/3", "ab", "b/1")
			f.lists("a/", "", "a/1", "a/2", "a/b/3")
			f.lists("a/b/", "", "a/b/3")
			f.lists("b", "", "b/1")
		}},
		{"list with a prefix cut anywhere", func(f fixture) {
			f.putAll("part-1", "part-10", "part-2", "part/1", "pa")
			f.lists("part-1", "", "part-1", "part-10")
			f.lists("part", "", "part-1", "part-10", "part-2", "part/1")
			f.lists("part-1/", "")
			f.lists("part-10x", "")
		}},
		{"list after a key", func(f fixture) {
			f.putAll("a", "b", "c")
			f.lists("", "a", "b", "c")
			f.lists("", "aa", "b", "c")
			f.lists("", "b", "c")
			f.lists("", "c")
			f.lists("", "z")
		}},
		{"list after a key, over folders", func(f fixture) {
			f.putAll("a-b", "a/b", "a/c/d", "a/e", "a0", "b/a")
			f.lists("", "a-b", "a/b", "a/c/d", "a/e", "a0", "b/a")
			f.lists("", "a/b", "a/c/d", "a/e", "a0", "b/a")
			f.lists("", "a/c", "a/c/d", "a/e", "a0", "b/a")
			f.lists("", "a/c/d", "a/e", "a0", "b/a")
			f.lists("", "a/z", "a0", "b/a")
			f.lists("", "a0", "b/a")
			f.lists("", "a", "a-b", "a/b", "a/c/d", "a/e", "a0", "b/a")
		}},
		{"list with prefix and after", func(f fixture) {
			f.putAll("log/00", "log/01", "log/02", "log/_last", "z")
			f.lists("log/", "log/00", "log/01", "log/02", "log/_last")
			f.lists("log/", "log/02", "log/_last")
			f.lists("log/", "a", "log/00", "log/01", "log/02", "log/_last")
			f.lists("log/", "zz")
			f.lists("log/0", "log/01", "log/02")
		}},
		{"list more than one page", manyPages},
		{"list stops when the loop stops", listBreak},
		{"list sees what was written and not what was deleted", func(f fixture) {
			f.putAll("a", "b", "c")
			f.lists("", "", "a", "b", "c")
			f.delete("b")
			f.put("d", "x")
			f.put("a", "again")
			f.lists("", "", "a", "c", "d")
		}},
		{"list may be used twice", func(f fixture) {
			f.putAll("a", "b")
			seq := f.List(f.Context(), "", "")
			for range 2 {
				var got []string
				for info, err := range seq {
					if err != nil {
						f.Fatal(err)
					}
					got = append(got, info.Key)
				}
				if !slices.Equal(got, []string{"a", "b"}) {
					f.Fatalf("got %q", got)
				}
			}
		}},
		{"list tells size, etag and time", func(f fixture) {
			f.put("a", "12345")
			for info, err := range f.List(f.Context(), "", "") {
				if err != nil || info.Size != 5 || info.ETag == "" || info.Modified.IsZero() {
					f.Fatalf("%+v, %v", info, err)
				}
			}
		}},
		{"list while objects are deleted", listWhileDeleting},
	}
}

func (f fixture) putAll(keys ...string) {
	f.Helper()
	for _, k := range keys {
		f.put(k, k)
	}
}

func byteOrder(f fixture) {
	want := []string{
		"!", "%", "+", "-/x", "A", "B/a", "_delta_log/00000000000000000000.json",
		"_delta_log/_last_checkpoint", "a b", "a!/b", "a-b", "a-b/c", "a.b", "a/-", "a/b", "a/b-c", "a/b.c/d", "a/b/c", "a/b0",
		"a0", "aa", "z", "é", "数据", "🦆",
	}
	if !slices.IsSorted(want) {
		f.Fatal("the test itself is out of order")
	}
	keys := slices.Clone(want)
	// "a/b" cannot be both an object and a folder on a file system.
	keys = slices.DeleteFunc(keys, func(k string) bool { return k == "a-b" || k == "a/b" })
	want = slices.Clone(keys)
	slices.Reverse(keys)
	f.putAll(keys...)
	f.lists("", "", want...)
}

func manyPages(f fixture) {
	var want []string
	for i := range 1105 {
		want = append(want, fmt.Sprintf("p/%05d", i))
	}
	inParallel(f, 16, len(want), func(i int) error {
		_, err := f.Put(f.Context(), want[i], objectstore.Bytes(nil), objectstore.Condition{})
		return err
	})
	f.lists("p/", "", want...)
	f.lists("p/", want[99], want[100:]...)
	f.lists("p/", want[1004], want[1005:]...)
}

func listBreak(f fixture) {
	f.putAll("a", "b/1", "b/2", "c")
	for _, stop := range []int{1, 2, 3} {
		n := 0
		for _, err := range f.List(f.Context(), "", "") {
			if err != nil {
				f.Fatal(err)
			}
			if n++; n == stop {
				break
			}
		}
		if n != stop {
			f.Fatalf("went on to %d after %d", n, stop)
		}
	}
}

func listWhileDeleting(f fixture) {
	var keys []string
	for i := range 60 {
		keys = append(keys, fmt.Sprintf("d%d/%03d", i%3, i))
	}
	f.putAll(keys...)
	n := 0
	for info, err := range f.List(f.Context(), "", "") {
		if err != nil {
			f.Fatal(err)
		}
		f.delete(info.Key)
		n++
	}
	if n != len(keys) {
		f.Fatalf("listed %d of %d", n, len(keys))
	}
	f.lists("", "")
}
