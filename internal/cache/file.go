package cache

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/lakectl/lakectl/objectstore"
)

// File is an object that this process uses: a sparse file that [File.Fill] fills where its bytes are wanted. It stays
// under its path until it is released. It is safe for concurrent use.
type File struct {
	cache   *Cache
	store   objectstore.Store
	object  object
	name    string // of the files that keep it
	path    string
	local   bool // in place: there is nothing to fill
	release func()
}

// Span is a part of a file: the byte at From and those after it, up to To.
type Span struct{ From, To int64 }

// Take takes an object into use. Objects of Local stores are taken in place; a size of zero or less is looked up.
// Without an ETag it is the one that the object had when it was first met, and that is asked for with the end of the
// file, where Parquet has its footer.
//
// Errors: those of the store; [ErrChanged] when the object has another ETag or size than was said.
func (c *Cache) Take(ctx context.Context, store objectstore.Store, key string, size int64, etag string) (*File, error) {
	if local, ok := store.(objectstore.Local); ok {
		path, err := local.LocalPath(key)
		if err != nil {
			return nil, err
		}
		return &File{cache: c, store: store, object: object{key: key, size: size}, path: path, local: true, release: func() {}}, nil
	}
	if size <= 0 {
		info, err := store.Head(ctx, key)
		if err != nil {
			return nil, fmt.Errorf("fetch %s: %w", key, err)
		}
		if etag != "" && info.ETag != etag {
			return nil, fmt.Errorf("fetch %s: %w: %w", key, ErrChanged, objectstore.ErrPrecondition)
		}
		size, etag = info.Size, info.ETag
	}
	o := object{url: store.URL(), key: key, size: size, etag: etag}
	if etag == "" {
		f, err := c.takeUnpinned(ctx, store, o)
		if err != nil {
			return nil, fmt.Errorf("fetch %s: %w", key, err)
		}
		return f, nil
	}
	return c.open(store, o)
}

// takeUnpinned takes an object whose ETag the caller does not know: as it was when this cache first met it.
func (c *Cache) takeUnpinned(ctx context.Context, store objectstore.Store, o object) (*File, error) {
	for {
		if etag, ok := c.knownETag(o); ok {
			o.etag = etag
			return c.open(store, o)
		}
		c.mu.Lock()
		other := c.learning[o.alias()]
		mine := &flight{done: make(chan struct{})}
		if other == nil {
			c.learning[o.alias()] = mine
		}
		c.mu.Unlock()
		if other == nil {
			f, err := c.lead(ctx, store, o)
			c.mu.Lock()
			delete(c.learning, o.alias())
			c.mu.Unlock()
			mine.err = err
			close(mine.done)
			return f, err
		}
		if err := other.wait(ctx); err != nil {
			return nil, err
		}
	}
}

// wait returns the error of a flight once it has ended. One that was cancelled has none: it is the next one's turn.
func (w *flight) wait(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-w.done:
	}
	if errors.Is(w.err, context.Canceled) || errors.Is(w.err, context.DeadlineExceeded) {
		return nil
	}
	return w.err
}

// lead learns the ETag of an object for all who wait for it, unless the one before has.
func (c *Cache) lead(ctx context.Context, store objectstore.Store, o object) (*File, error) {
	if etag, ok := c.knownETag(o); ok {
		o.etag = etag
		return c.open(store, o)
	}
	return c.learn(ctx, store, o)
}

// learn asks for the end of an object, keeps it, and remembers the ETag that came with it.
func (c *Cache) learn(ctx context.Context, store objectstore.Store, o object) (*File, error) {
	r := o.ending()
	if c.options.Whole {
		r = o.blocks(Span{0, o.size})
	}
	reserved, err := c.reserve(o.length(r))
	if err != nil {
		return nil, err
	}
	defer reserved()
	buf, err := borrow(ctx, c.requests)
	if err != nil {
		return nil, err
	}
	defer func() { c.requests <- buf }()
	body, info, err := c.get(ctx, store, o, r)
	if err != nil {
		return nil, err
	}
	o.etag = info.ETag
	f, err := c.open(store, o)
	if err != nil {
		return nil, errors.Join(err, body.Close())
	}
	_, err = f.keep(r, body, buf)
	if err := errors.Join(err, body.Close()); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		f.Release()
		return nil, err
	}
	c.rememberETag(o) // what has not come is fetched when it is wanted
	return f, nil
}

// open makes the files of an object and takes them into use.
func (c *Cache) open(store objectstore.Store, o object) (*File, error) {
	name := o.name()
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.using[name]
	if u == nil {
		if err := c.link(name, o.size); err != nil {
			return nil, fmt.Errorf("keep %s: %w", o.key, err)
		}
		u = &use{flights: map[int64]*flight{}}
		c.using[name] = u
	}
	u.users++
	c.taken.Add(1)
	return &File{
		cache: c, store: store, object: o, name: name, path: filepath.Join(c.use.Dir, name),
		release: sync.OnceFunc(func() { c.give(name) }),
	}, nil
}

// linkAttempts bounds how often a file is made again that another process removed before it had our link.
const linkAttempts = 20

// link makes the two files of an object, and the paths under which this process uses them. The caller holds c.mu.
func (c *Cache) link(name string, size int64) error {
	for range linkAttempts {
		err := c.linkOnce(name, size)
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return errors.New("others keep removing it from the cache")
}

func (c *Cache) linkOnce(name string, size int64) error {
	data, sums := filepath.Join(c.dir, dataFolder, name), filepath.Join(c.dir, sumsFolder, name)
	if err := create(data, size); err != nil {
		return err
	}
	if err := create(sums, sumsSize(size)); err != nil {
		return err
	}
	c.touch(sums)
	for from, to := range map[string]string{data: filepath.Join(c.use.Dir, name), sums: filepath.Join(c.use.Dir, name+sumsSuffix)} {
		if err := os.Link(from, to); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// touch says of the checksums of a file that it is used now, best effort: only the order of making room depends on it.
func (c *Cache) touch(sums string) {
	now := c.options.Clock.Now()
	_ = os.Chtimes(sums, now, now)
}

// create makes a sparse file of a size, unless it is there with that size.
func create(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err == nil && st.Size() != size {
		err = f.Truncate(size)
	}
	return errors.Join(err, f.Close())
}

// give ends one use of a file.
func (c *Cache) give(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.using[name]
	if u.users--; u.users > 0 {
		return
	}
	delete(c.using, name)
	c.touch(filepath.Join(c.use.Dir, name+sumsSuffix))
	for _, link := range []string{name, name + sumsSuffix} {
		if err := os.Remove(filepath.Join(c.use.Dir, link)); err != nil {
			c.options.Logger.Warn("cache link stays", "file", link, "error", err)
		}
	}
}

// Path is where the file is. Bytes that were not filled are zero.
func (f *File) Path() string { return f.path }

// Size of the object, in bytes.
func (f *File) Size() int64 { return f.object.size }

// Release ends the use of the file. It may be called more than once.
func (f *File) Release() { f.release() }

// Reader reads the object, and fills what it reads. ctx ends its requests.
func (f *File) Reader(ctx context.Context) io.ReaderAt { return &reader{ctx: ctx, file: f} }

type reader struct {
	ctx  context.Context //nolint:containedctx // io.ReaderAt has none, and a reader belongs to one call
	file *File
}

// ReadAt implements io.ReaderAt.
func (r *reader) ReadAt(p []byte, at int64) (n int, err error) {
	if err := r.file.Fill(r.ctx, Span{at, at + int64(len(p))}); err != nil {
		return 0, err
	}
	file, err := os.Open(r.file.path)
	if err != nil {
		return 0, err
	}
	n, err = file.ReadAt(p, at)
	if e := file.Close(); err == nil {
		err = e
	}
	return n, err
}

// checkParquet looks at both ends of a file, where every Parquet file says that it is one.
func (f *File) checkParquet() error {
	const magic = "PAR1"
	head, tail := make([]byte, len(magic)), make([]byte, len(magic))
	size := f.object.size
	if size < 3*int64(len(magic)) {
		return fmt.Errorf("%w: a Parquet file of %d bytes", ErrDamaged, size)
	}
	file, err := os.Open(f.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // read only
	if _, err := file.ReadAt(head, 0); err != nil {
		return err
	}
	if _, err := file.ReadAt(tail, size-int64(len(magic))); err != nil {
		return err
	}
	if !bytes.Equal(head, []byte(magic)) || !bytes.Equal(tail, []byte(magic)) {
		return fmt.Errorf("%w: not a Parquet file, or an encrypted one", ErrDamaged)
	}
	return nil
}
