package hostile

import (
	"context"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"

	"github.com/lakectl/lakectl/objectstore"
)

// watched is a store that notes each key outside one prefix.
type watched struct {
	objectstore.Store
	prefix string

	mu      sync.Mutex // guards strays; a leaf lock
	strays  []string
	touched int
}

// watchedFolder also lets an engine read the files in place.
type watchedFolder struct {
	*watched
	local objectstore.Local
}

func (w *watched) note(call, key string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.touched++
	if !strings.HasPrefix(key, w.prefix) {
		w.strays = append(w.strays, fmt.Sprintf("%s %q", call, key))
	}
}

func (w *watched) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	w.note("get", key)
	return w.Store.Get(ctx, key, r)
}

func (w *watched) Head(ctx context.Context, key string) (objectstore.Info, error) {
	w.note("head", key)
	return w.Store.Head(ctx, key)
}

func (w *watched) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	w.note("list", prefix)
	return w.Store.List(ctx, prefix, after)
}

func (w *watched) Put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (objectstore.Info, error) {
	w.note("put", key)
	return w.Store.Put(ctx, key, body, cond)
}

func (w *watched) Delete(ctx context.Context, keys ...string) error {
	for _, k := range keys {
		w.note("delete", k)
	}
	return w.Store.Delete(ctx, keys...)
}

func (w watchedFolder) LocalPath(key string) (string, error) {
	w.note("local path", key)
	return w.local.LocalPath(key)
}
