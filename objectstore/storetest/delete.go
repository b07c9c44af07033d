package storetest

import (
	"errors"
	"fmt"

	"github.com/lakectl/lakectl/objectstore"
)

func (f fixture) delete(keys ...string) {
	f.Helper()
	if err := f.Delete(f.Context(), keys...); err != nil {
		f.Fatalf("delete %.5q: %v", keys, err)
	}
}

func deleteCases() []testCase {
	return []testCase{
		{"delete", func(f fixture) { f.put("a", "x"); f.delete("a"); f.absent("a"); f.lists("", "") }},
		{"delete what is not there", func(f fixture) { f.delete("a", "b/c"); f.delete("a") }},
		{"delete nothing", func(f fixture) { f.put("a", "x"); f.delete(); f.holds("a", "x") }},
		{"delete the same key twice in one call", func(f fixture) { f.put("a", "x"); f.delete("a", "a"); f.absent("a") }},
		{"delete does not reach below", func(f fixture) {
			f.put("a/b", "x")
			f.delete("a")
			f.holds("a/b", "x")
		}},
		{"delete keeps neighbours", func(f fixture) {
			for _, k := range []string{"a/1", "a/10", "a/2", "a1", "A/1"} {
				f.put(k, k)
			}
			f.delete("a/1")
			f.lists("", "", "A/1", "a/10", "a/2", "a1")
		}},
		{"delete takes names literally", func(f fixture) {
			f.put("ab", "x")
			f.put("a%62", "x")
			f.delete("a*", "a?", "[a]b", "a%62")
			f.lists("", "", "ab")
		}},
		{"delete more than one request holds", deleteMany},
		{"delete with an invalid key touches nothing", func(f fixture) {
			f.put("a", "x")
			if err := f.Delete(f.Context(), "a", "../b"); !errors.Is(err, objectstore.ErrInvalidKey) {
				f.Fatalf("got %v, want ErrInvalidKey", err)
			}
			f.holds("a", "x")
		}},
	}
}

func deleteMany(f fixture) {
	var keys []string
	for i := range 1050 {
		keys = append(keys, fmt.Sprintf("many/%04d", i))
		if i%50 == 0 {
			f.put(keys[i], "x")
		}
	}
	f.put("keep", "x")
	f.delete(keys...)
	f.lists("", "", "keep")
}
