// Package cache keeps objects of remote stores as files of this machine, so that an engine can read them by path.
//
// Data files of a table never change, so that an object is known by store, key, ETag and size, and what is kept of it
// is never stale. A kept file is sparse: it has the size of the object and holes where nothing was asked for yet. Its
// bytes come in blocks, by ranged requests that name the ETag. What is kept stays within a bound on the bytes that the
// disk really spends: the files used longest ago make room, files in use never do.
//
// A block counts as here only with its checksum, which is written after it into a file beside; see sums.go. So a block
// that was half written when its process died, or whose bytes on disk have changed since, is fetched again.
//
// Several processes may share one folder, without a lock between them. Since a name stands for the same bytes for
// ever, whoever writes a block writes the same as every other, and a checksum is right for whatever file of that name
// it finds; two processes that fill one file at once waste a request and nothing else. Each takes a file into use by
// hard links of its own, so that another process that makes room cannot pull it away; a lock file tells which links
// belong to a process that has died.
package cache

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
)

// ErrDamaged says that an object is not what its name or its size promises. Terminal.
var ErrDamaged = errors.New("object is damaged")

// ErrChanged says that an object that must never change has another ETag or size than when it was first met. It comes
// together with objectstore.ErrPrecondition. What was kept of the object is forgotten. Terminal for whoever pinned the
// object; without a pinned ETag a repeat reads what is there now.
var ErrChanged = errors.New("object was replaced")

// Setting raises the bound on bytes in lake.yml.
const Setting = "cache.max"

// Options of a [Cache]. The zero value works.
type Options struct {
	Clock  clock.Clock
	Rand   clock.Rand
	Logger *slog.Logger
	// Whole fetches every file whole, by one request, whatever is asked for: the form to measure ranges against.
	Whole bool
}

// Cache is a folder of fetched objects. It is safe for concurrent use.
type Cache struct {
	dir     string // without symlinks; see the constants
	use     *Claim // our folder under use/
	max     int64
	options Options
	table   *crc32.Table

	requests chan []byte // buffers of the requests under way; nil until one is needed
	checks   chan []byte // buffers of those who read blocks again

	taken, fetched, sent, damaged atomic.Int64

	mu       sync.Mutex         // guards what follows; a leaf lock, never held across a Store call
	using    map[string]*use    // by name of file
	learning map[string]*flight // by key and size: whose ETag is being asked for
	room     room
}

// Folders of a cache.
const (
	dataFolder  = "data"  // sparse files
	sumsFolder  = "sums"  // of the same names: the checksums of their blocks
	etagsFolder = "etags" // the ETags of objects that are asked for without one
	useFolder   = "use"   // <id>/: links and unfinished files of one process
	oldFolder   = "files" // of the form that kept whole files
)

// Sizes of what is fetched, in bytes.
const (
	// blockSize is the unit that is kept. Smaller ones would follow column chunks more closely, which are a few hundred
	// kilobytes, at more bookkeeping.
	blockSize = 32 << 10
	// gapMax is the longest gap between two wanted parts that is fetched with them: about what a connection brings in
	// the time that a request takes to begin.
	gapMax = 128 << 10
	// requestMax is the most that one request asks for, so that a long part comes over several connections.
	requestMax = 8 << 20
	// wholeMax is the size of files that are fetched whole: one request costs more than their bytes.
	wholeMax = 1 << 20
	// bufferSize is what is read before it is written to disk; it is a multiple of blockSize.
	bufferSize = 256 << 10
)

const (
	// requestsMax bounds the requests under way for one cache.
	requestsMax = 16
	// checksMax bounds those who read blocks of a cache again at a time.
	checksMax = 4
	// triesMax bounds how often the rest of a part is asked for whose body ended early.
	triesMax = 3
)

// use is a file that this process uses.
type use struct {
	users   int
	flights map[int64]*flight // by block
}

// flight is work that others may wait for.
type flight struct {
	done chan struct{}
	err  error // set before done is closed
}

// Stats says what a cache has done since it was opened.
type Stats struct {
	Taken    int64 // times a file of a store beyond this machine was taken into use
	Requests int64 // GET requests sent
	Bytes    int64 // received
	Damaged  int64 // blocks on disk whose bytes did not fit their checksum, and were fetched again
}

// Open makes or takes over the folder of a cache that holds at most maxBytes. Files of earlier processes are kept.
func Open(dir string, maxBytes int64, o ...Options) (*Cache, error) {
	c := &Cache{
		max: maxBytes, table: crc32.MakeTable(crc32.Castagnoli), using: map[string]*use{}, learning: map[string]*flight{},
		requests: make(chan []byte, requestsMax), checks: make(chan []byte, checksMax),
	}
	for range requestsMax {
		c.requests <- nil
	}
	for range checksMax {
		c.checks <- nil
	}
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

// Stats tells what the cache has done. Safe for concurrent use.
func (c *Cache) Stats() Stats {
	return Stats{Taken: c.taken.Load(), Requests: c.sent.Load(), Bytes: c.fetched.Load(), Damaged: c.damaged.Load()}
}

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
	for _, folder := range []string{dataFolder, sumsFolder, etagsFolder} {
		if err := os.MkdirAll(filepath.Join(c.dir, folder), 0o700); err != nil {
			return err
		}
	}
	c.clearOld()
	c.use, err = NewClaim(filepath.Join(c.dir, useFolder), "", c.options.Rand)
	return err
}

// clearOld removes whole files of an earlier form, best effort: nothing counts them any more.
func (c *Cache) clearOld() {
	entries, err := os.ReadDir(filepath.Join(c.dir, oldFolder))
	if err != nil {
		return // there are none
	}
	for _, e := range entries {
		if err := os.Remove(filepath.Join(c.dir, oldFolder, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			c.options.Logger.Warn("old cache file stays", "file", e.Name(), "error", err)
		}
	}
}

// Close gives up the links of this process. No file may be in use.
func (c *Cache) Close() error { return c.use.Close() }

// Path returns the path of a file with all bytes of the object, and keeps the file until release is called, which may
// be called more than once. Objects of Local stores are returned in place. A size of zero or less is looked up.
//
// Errors: those of [Cache.Take] and [File.Fill]; [ErrDamaged] when a Parquet file does not begin and end as one.
func (c *Cache) Path(ctx context.Context, store objectstore.Store, key string, size int64, etag string) (path string, release func(), err error) {
	f, err := c.Take(ctx, store, key, size, etag)
	if err != nil {
		return "", nil, err
	}
	if err := f.Fill(ctx, Span{0, f.Size()}); err != nil {
		f.Release()
		return "", nil, err
	}
	if !f.local && strings.HasSuffix(key, ".parquet") {
		if err := f.checkParquet(); err != nil {
			f.Release()
			return "", nil, fmt.Errorf("fetch %s: %w", key, err)
		}
	}
	return f.Path(), f.Release, nil
}
