package storetest

import (
	"fmt"
	"io"
	"testing"

	"github.com/lakectl/lakectl/objectstore"
)

// Bench measures the calls that a commit and a scan are made of.
func Bench(b *testing.B, s objectstore.Store) {
	b.Helper()
	put := func(b *testing.B, key string, body objectstore.Body, cond objectstore.Condition) {
		b.Helper()
		if _, err := s.Put(b.Context(), key, body, cond); err != nil {
			b.Fatal(err)
		}
	}
	get := func(b *testing.B, key string) {
		b.Helper()
		body, _, err := s.Get(b.Context(), key, objectstore.Range{})
		if err == nil {
			_, err = io.Copy(io.Discard, body)
			_ = body.Close()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	small, large := objectstore.Bytes(noise(1, 1<<10)), objectstore.Bytes(noise(2, 64<<20))
	round := 0
	b.Run("create 1 KiB", func(b *testing.B) {
		round++
		for i := 0; b.Loop(); i++ {
			put(b, fmt.Sprintf("log/%d/%08d", round, i), small, objectstore.CreateOnly)
		}
	})
	put(b, "small", small, objectstore.Condition{})
	b.Run("get 1 KiB", func(b *testing.B) {
		for b.Loop() {
			get(b, "small")
		}
	})
	b.Run("put 64 MiB", func(b *testing.B) {
		b.SetBytes(large.Size())
		for b.Loop() {
			put(b, "large", large, objectstore.Condition{})
		}
	})
	b.Run("get 64 MiB", func(b *testing.B) {
		b.SetBytes(large.Size())
		for b.Loop() {
			get(b, "large")
		}
	})
}
