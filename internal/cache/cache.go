// Package cache keeps objects of remote stores as files of this machine, so that an engine can read them by path.
//
// Data files of a table never change, so that an object is known by store, key, ETag and size, and a kept file is
// never stale. Files are fetched whole, checked, and appear under their name at once. Their bytes stay within a bound:
// the files used longest ago make room, files in use never do.
//
// Several processes may share one folder. Each takes a file into use by a hard link of its own, so that another
// process that makes room cannot pull it away; a lock file tells which links belong to a process that has died.
package cache

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/objectstore"
)

// ErrDamaged says that an object is not what its name or its size promises. Terminal.
var ErrDamaged = errors.New("object is damaged")

// Setting raises the bound on bytes in lake.yml.
const Setting = "cache.max"

// Options of a [Cache]. The zero value works.
type Options struct {
	Clock  clock.Clock
	Rand   clock.Rand
	Logger *slog.Logger
}

// Cache is a folder of fetched objects. It is safe for concurrent use.
type Cache struct {
	dir     string // without symlinks; files/ kept objects, use/<id>/ links of one process
	use     *Claim // our folder under use/
	max     int64
	options Options

	mu     sync.Mutex          // guards what follows; a leaf lock, never held across a Store call
	using  map[string]int      // name → users in this process
	flight map[string]*fetch   // name → fetch under way
	coming int64               // bytes of the fetches under way
	kept   int64               // bytes at the last listing, and those fetched since
	unseen int                 // fetches until the next listing
	links  map[string]struct{} // names that have a link in use/
}

// fetch is a download that others may wait for.
type fetch struct {
	done chan struct{}
	err  error // set before done is closed
}

// Open makes or takes over the folder of a cache that holds at most maxBytes. Files of earlier processes are kept.
func Open(dir string, maxBytes int64, o ...Options) (*Cache, error) {
	c := &Cache{max: maxBytes, using: map[string]int{}, flight: map[string]*fetch{}, links: map[string]struct{}{}}
	if len(o) > 0 {
		c.options = o[0]
	}
	if c.options.Clock == nil {
		c.options.Clock = clock.System()
	}
	if c.options.Rand == nil {
		c.options.Rand = clock.SystemRand()
	}
	if c.options.Logger == nil {
		c.options.Logger = slog.New(slog.DiscardHandler)
	}
	if err := c.prepare(dir); err != nil {
		return nil, fmt.Errorf("open cache: %w", err)
	}
	return c, nil
}

// Dir is the folder of the cache.
func (c *Cache) Dir() string { return c.dir }

func (c *Cache) prepare(dir string) (err error) {
	if err = os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if c.dir, err = filepath.EvalSymlinks(dir); err == nil {
		c.dir, err = filepath.Abs(c.dir)
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(c.dir, "files"), 0o700); err != nil {
		return err
	}
	c.use, err = NewClaim(filepath.Join(c.dir, "use"), "", c.options.Rand)
	return err
}

// Close gives up the links of this process. No file may be in use.
func (c *Cache) Close() error { return c.use.Close() }

// Path returns the path of a file with the bytes of the object, and keeps the file until release is called, which
// may be called more than once. Objects of Local stores are returned in place. A size of zero or less is looked up.
//
// Errors: those of the store; objectstore.ErrPrecondition when the object has another ETag or size; [ErrDamaged]
// when a Parquet file does not begin and end as one; *limits.Error when files in use fill the cache.
func (c *Cache) Path(ctx context.Context, store objectstore.Store, key string, size int64, etag string) (path string, release func(), err error) {
	if local, ok := store.(objectstore.Local); ok {
		path, err = local.LocalPath(key)
		return path, func() {}, err
	}
	if size <= 0 {
		info, err := store.Head(ctx, key)
		if err != nil {
			return "", nil, fmt.Errorf("fetch %s: %w", key, err)
		}
		if etag != "" && info.ETag != etag {
			return "", nil, fmt.Errorf("fetch %s: %w", key, objectstore.ErrPrecondition)
		}
		size, etag = info.Size, info.ETag
	}
	name := objectName(store.URL(), key, etag, size)
	for {
		path, wait, lead := c.take(name)
		switch {
		case path != "":
			return path, sync.OnceFunc(func() { c.give(name) }), nil
		case lead:
			err := c.fetch(ctx, store, key, size, etag, name)
			c.land(name, wait, err)
			if err != nil {
				return "", nil, fmt.Errorf("fetch %s: %w", key, err)
			}
		default:
			select {
			case <-ctx.Done():
				return "", nil, context.Cause(ctx)
			case <-wait.done:
			}
			// The one that fetched may have been cancelled; then it is our turn.
			if wait.err != nil && !errors.Is(wait.err, context.Canceled) && !errors.Is(wait.err, context.DeadlineExceeded) {
				return "", nil, fmt.Errorf("fetch %s: %w", key, wait.err)
			}
		}
		if ctx.Err() != nil {
			return "", nil, context.Cause(ctx)
		}
	}
}

// objectName is the name of the file that keeps an object. The size is part of it, so that a file that a crash cut
// short is recognised.
func objectName(url, key, etag string, size int64) string {
	h := sha256.Sum256([]byte(url + "\x00" + key + "\x00" + etag))
	return hex.EncodeToString(h[:]) + "-" + strconv.FormatInt(size, 10)
}

func sizeOf(name string) int64 {
	_, digits, _ := strings.Cut(name, "-")
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		return -1
	}
	return n
}

// take puts a kept file into use. Without one it tells whether the caller shall fetch it, or for which fetch to wait.
func (c *Cache) take(name string) (path string, f *fetch, lead bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if path, ok := c.link(name); ok {
		c.using[name]++
		return path, nil, false
	}
	if f := c.flight[name]; f != nil {
		return "", f, false
	}
	f = &fetch{done: make(chan struct{})}
	c.flight[name] = f
	return "", f, true
}

// link makes the path under which this process uses a file. The caller holds c.mu.
func (c *Cache) link(name string) (path string, ok bool) {
	path = filepath.Join(c.use.Dir, name)
	if _, linked := c.links[name]; linked {
		return path, true
	}
	kept := filepath.Join(c.dir, "files", name)
	st, err := os.Stat(kept)
	if err != nil || st.Size() != sizeOf(name) {
		return "", false
	}
	now := c.options.Clock.Now()
	_ = os.Chtimes(kept, now, now) // only the order of making room depends on it
	if err := os.Link(kept, path); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", false
	}
	c.links[name] = struct{}{}
	return path, true
}

// give ends one use of a file.
func (c *Cache) give(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.using[name]--; c.using[name] > 0 {
		return
	}
	delete(c.using, name)
	delete(c.links, name)
	if err := os.Remove(filepath.Join(c.use.Dir, name)); err != nil {
		c.options.Logger.Warn("cache link stays", "file", name, "error", err)
	}
}

// fetch brings one object here.
func (c *Cache) fetch(ctx context.Context, store objectstore.Store, key string, size int64, etag, name string) error {
	if err := c.makeRoom(size); err != nil {
		return err
	}
	defer c.arrived(size)
	temp := filepath.Join(c.use.Dir, "fetch-"+name)
	defer func() { _ = os.Remove(temp) }() // gone already when all went well
	if err := download(ctx, store, key, size, etag, temp); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(c.dir, "files", name))
}

func download(ctx context.Context, store objectstore.Store, key string, size int64, etag, temp string) (err error) {
	body, info, err := store.Get(ctx, key, objectstore.Range{IfMatch: etag})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, body.Close()) }()
	if info.Size != size {
		return fmt.Errorf("%w: it has %d bytes, not %d", objectstore.ErrPrecondition, info.Size, size)
	}
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	n, err := io.Copy(f, io.LimitReader(body, size+1))
	if mutant.On(mutant.CacheServesHole) {
		return f.Truncate(size)
	}
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("%w: %d bytes came, not %d", io.ErrUnexpectedEOF, n, size)
	}
	if strings.HasSuffix(key, ".parquet") {
		return checkParquet(f, size)
	}
	return nil
}

// checkParquet looks at both ends of a file, where every Parquet file says that it is one.
func checkParquet(f io.ReaderAt, size int64) error {
	const magic = "PAR1"
	head, tail := make([]byte, len(magic)), make([]byte, len(magic))
	if size < 3*int64(len(magic)) {
		return fmt.Errorf("%w: a Parquet file of %d bytes", ErrDamaged, size)
	}
	if _, err := f.ReadAt(head, 0); err != nil {
		return err
	}
	if _, err := f.ReadAt(tail, size-int64(len(magic))); err != nil {
		return err
	}
	if !bytes.Equal(head, []byte(magic)) || !bytes.Equal(tail, []byte(magic)) {
		return fmt.Errorf("%w: not a Parquet file, or an encrypted one", ErrDamaged)
	}
	return nil
}

// arrived takes a fetch out of the count of what is coming: it has come, or never will.
func (c *Cache) arrived(size int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.coming -= size
	c.kept += size
}

// land ends a fetch and wakes those who wait for it.
func (c *Cache) land(name string, f *fetch, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.flight, name)
	f.err = err
	close(f.done)
}

// kept is one file under files/.
type kept struct {
	name string
	size int64
	used time.Time
}

// listEvery is how many fetches may pass without a listing of the folder while there is room by our own count, which
// does not know what other processes fetch.
const listEvery = 64

// makeRoom removes the files used longest ago until size more bytes fit, and counts them as coming.
func (c *Cache) makeRoom(size int64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.unseen > 0 && c.kept+c.coming+size <= c.max/2 {
		c.unseen--
		c.coming += size
		return nil
	}
	files, total, err := c.list()
	if err != nil {
		return err
	}
	c.kept, c.unseen = total, listEvery
	total += c.coming + size
	for _, f := range files {
		if total <= c.max {
			break
		}
		if c.using[f.name] > 0 {
			continue
		}
		if err := os.Remove(filepath.Join(c.dir, "files", f.name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make room in the cache: %w", err)
		}
		total -= f.size
		c.kept -= f.size
	}
	if total > c.max {
		return &limits.Error{Limit: "cache_bytes", Value: total, Max: c.max, Setting: Setting}
	}
	c.coming += size
	return nil
}

// list reads the kept files, those used longest ago first. The caller holds c.mu.
func (c *Cache) list() (files []kept, total int64, err error) {
	entries, err := os.ReadDir(filepath.Join(c.dir, "files"))
	if err != nil {
		return nil, 0, fmt.Errorf("list the cache: %w", err)
	}
	for _, e := range entries {
		st, err := e.Info()
		if err != nil {
			continue // another process removed it
		}
		files = append(files, kept{e.Name(), st.Size(), st.ModTime()})
		total += st.Size()
	}
	slices.SortFunc(files, func(a, b kept) int { return a.used.Compare(b.used) })
	return files, total, nil
}
