//go:build unix

package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/objectstore"
)

// readDirChunk is how many entries are read between two looks at ctx.
const readDirChunk = 1024

// List implements [objectstore.Store]. It holds the names of one folder per level, and asks for the state of a file
// when it is its turn.
//
// Byte order of keys is not the order of a folder walk: "a-b" < "a/b" < "a0". Comparing the names of folders with
// their slash makes the walk agree, since "-" < "/" < "0".
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		w := walk{s: s, prefix: prefix, after: after, yield: yield}
		err := errors.Join(ctx.Err(), objectstore.CheckPrefix(prefix))
		if err == nil {
			_, err = w.folder(ctx, prefix[:strings.LastIndexByte(prefix, '/')+1])
		}
		if err != nil {
			yield(objectstore.Info{}, fmt.Errorf("list %q: %w", prefix, err))
		}
	}
}

type walk struct {
	s             *Store
	prefix, after string
	yield         func(objectstore.Info, error) bool
}

// folder yields what lies under dir, which is empty or ends with a slash. It returns false when the consumer has had
// enough.
func (w *walk) folder(ctx context.Context, dir string) (bool, error) {
	names, err := w.names(ctx, dir)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		var more bool
		if key := dir + name; strings.HasSuffix(name, "/") {
			more, err = w.folder(ctx, key)
		} else {
			more, err = w.file(key)
		}
		if err != nil || !more {
			return false, err
		}
	}
	return true, nil
}

func (w *walk) file(key string) (bool, error) {
	info, err := w.s.stat(key)
	switch {
	case errors.Is(err, objectstore.ErrNotFound), errors.Is(err, objectstore.ErrInvalidKey):
		return true, nil // removed meanwhile, a fifo, or a link to nowhere: no object
	case err != nil:
		return false, fmt.Errorf("%s: %w", key, err)
	}
	return w.yield(info, nil), nil
}

// names returns the entries of dir that may matter, folders with a slash at the end, in byte order.
func (w *walk) names(ctx context.Context, dir string) ([]string, error) {
	path := strings.TrimSuffix(dir, "/")
	if path == "" {
		path = "."
	}
	f, err := w.s.root.Open(path)
	if missing(err) || escapes(err) {
		return nil, nil // removed meanwhile, or never there
	}
	if err != nil {
		return nil, classify(err)
	}
	defer func() { _ = f.Close() }()
	var names []string
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		entries, err := f.ReadDir(readDirChunk)
		for _, e := range entries {
			if name, ok := w.wanted(dir, e); ok {
				names = append(names, name)
			}
		}
		if errors.Is(err, io.EOF) || missing(err) {
			break
		}
		if err != nil {
			return nil, classify(err)
		}
	}
	slices.Sort(names)
	return names, nil
}

// wanted tells whether an entry of dir can lead to a listed key, and its name there.
func (w *walk) wanted(dir string, e fs.DirEntry) (string, bool) {
	name := e.Name()
	if name == TempFolder {
		return "", false
	}
	key := dir + name
	if !e.IsDir() {
		return name, strings.HasPrefix(key, w.prefix) && key > w.after
	}
	key += "/"
	inPrefix := strings.HasPrefix(key, w.prefix) || strings.HasPrefix(w.prefix, key)
	// Every key below is greater than key itself, and less than after only if after is below too or greater.
	passed := w.after > key && !strings.HasPrefix(w.after, key)
	return name + "/", inPrefix && !passed
}
