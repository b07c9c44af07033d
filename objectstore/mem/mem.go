// Package mem keeps objects in memory: for tests, and as the plainest reading of the Store contract.
package mem

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
)

var _ objectstore.Store = (*Store)(nil)

// Store is an [objectstore.Store] in memory. ETags are hashes of the content, as on S3: an object written again with
// the same bytes has its old ETag back.
type Store struct {
	name  string
	clock clock.Clock

	mu      sync.Mutex // guards the fields below; a leaf lock, never held across a wait
	objects map[string]object
	keys    []string // of objects, ascending
}

type object struct {
	data     []byte // never changed
	etag     string
	modified time.Time
}

// Option changes what [New] makes.
type Option func(*Store)

// WithClock takes Modified and Date from c instead of the system.
func WithClock(c clock.Clock) Option { return func(s *Store) { s.clock = c } }

// New returns an empty store named mem://name. Names are for people: two stores of one name share nothing, so tests
// that compare URLs give each its own.
func New(name string, opts ...Option) *Store {
	s := &Store{name: name, clock: clock.System(), objects: map[string]object{}}
	for _, o := range opts {
		o(s)
	}
	return s
}

// URL is "mem://name".
func (s *Store) URL() string { return "mem://" + s.name }

// Get implements [objectstore.Store].
func (s *Store) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	o, err := s.find(ctx, key)
	if err == nil {
		err = r.Check()
	}
	if err == nil && r.IfMatch != "" && r.IfMatch != o.etag {
		err = objectstore.ErrPrecondition
	}
	if err != nil {
		return nil, objectstore.Info{}, objectstore.Wrap("get", key, err)
	}
	offset, n := r.Span(int64(len(o.data)))
	body := io.NopCloser(bytes.NewReader(o.data[offset : offset+n]))
	return objectstore.Exactly(ctx, body, n), o.info(key, s.clock.Now()), nil
}

// Head implements [objectstore.Store].
func (s *Store) Head(ctx context.Context, key string) (objectstore.Info, error) {
	o, err := s.find(ctx, key)
	if err != nil {
		return objectstore.Info{}, objectstore.Wrap("head", key, err)
	}
	return o.info(key, s.clock.Now()), nil
}

func (s *Store) find(ctx context.Context, key string) (object, error) {
	if err := ctx.Err(); err != nil {
		return object{}, err
	}
	if err := objectstore.CheckKey(key); err != nil {
		return object{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.objects[key]
	if !ok {
		return object{}, objectstore.ErrNotFound
	}
	return o, nil
}

func (o object) info(key string, date time.Time) objectstore.Info {
	return objectstore.Info{Key: key, Size: int64(len(o.data)), ETag: o.etag, Modified: o.modified, Date: date}
}

// pageLength is how many objects List copies under the lock, as many as S3 puts on a page.
const pageLength = 1000

// List implements [objectstore.Store].
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		err := objectstore.CheckPrefix(prefix)
		for last := after; err == nil; {
			if err = ctx.Err(); err != nil {
				break
			}
			page := s.page(prefix, last)
			for _, info := range page {
				if !yield(info, nil) {
					return
				}
			}
			if len(page) < pageLength {
				return
			}
			last = page[len(page)-1].Key
		}
		yield(objectstore.Info{}, fmt.Errorf("list %q: %w", prefix, err))
	}
}

func (s *Store) page(prefix, after string) []objectstore.Info {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, _ := slices.BinarySearch(s.keys, prefix)
	if next, taken := slices.BinarySearch(s.keys, after); after >= prefix {
		at = next
		if taken {
			at++
		}
	}
	var page []objectstore.Info
	for ; at < len(s.keys) && len(page) < pageLength && strings.HasPrefix(s.keys[at], prefix); at++ {
		page = append(page, s.objects[s.keys[at]].info(s.keys[at], time.Time{}))
	}
	return page
}

// Put implements [objectstore.Store].
func (s *Store) Put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (objectstore.Info, error) {
	o, err := s.read(ctx, key, body, cond)
	if err == nil {
		err = s.store(key, o, cond)
	}
	if err != nil {
		return objectstore.Info{}, objectstore.Wrap("put", key, err)
	}
	return o.info(key, o.modified), nil
}

// read makes the object before the lock is taken.
func (s *Store) read(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (object, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return object{}, err
	}
	if err := cond.Check(); err != nil {
		return object{}, err
	}
	data := make([]byte, body.Size())
	if n, err := body.ReadAt(data, 0); n < len(data) {
		return object{}, fmt.Errorf("read body: %d of %d bytes: %w", n, len(data), err)
	}
	if err := ctx.Err(); err != nil {
		return object{}, err
	}
	sum := sha256.Sum256(data)
	return object{data: data, etag: hex.EncodeToString(sum[:16]), modified: s.clock.Now()}, nil
}

func (s *Store) store(key string, o object, cond objectstore.Condition) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, ok := s.objects[key]
	switch {
	case ok && cond.IfNoneMatch:
		return objectstore.ErrExists
	case !ok && cond.IfMatch != "":
		return objectstore.ErrNotFound
	case ok && cond.IfMatch != "" && cond.IfMatch != old.etag:
		return objectstore.ErrPrecondition
	case !ok:
		at, _ := slices.BinarySearch(s.keys, key)
		s.keys = slices.Insert(s.keys, at, key)
	}
	s.objects[key] = o
	return nil
}

// Delete implements [objectstore.Store].
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	for _, key := range keys {
		if err := objectstore.CheckKey(key); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	for _, key := range keys {
		if err := ctx.Err(); err != nil {
			return objectstore.Wrap("delete", key, err)
		}
		s.remove(key)
	}
	return nil
}

func (s *Store) remove(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.objects[key]; ok {
		delete(s.objects, key)
		at, _ := slices.BinarySearch(s.keys, key)
		s.keys = slices.Delete(s.keys, at, at+1)
	}
}
