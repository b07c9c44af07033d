package cache_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/cache"
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/objectstore/mem"
)

// counting counts the objects that are fetched, and can hold fetches up or cut them short.
type counting struct {
	objectstore.Store
	gets atomic.Int64
	hold chan struct{} // when set, a Get waits for it
	cut  bool
}

func (c *counting) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	c.gets.Add(1)
	if c.hold != nil {
		select {
		case <-c.hold:
		case <-ctx.Done():
			return nil, objectstore.Info{}, context.Cause(ctx)
		}
	}
	body, info, err := c.Store.Get(ctx, key, r)
	if err == nil && c.cut {
		body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(body, info.Size/2), body}
	}
	return body, info, err
}

func open(t *testing.T, dir string, maxBytes int64, o ...cache.Options) *cache.Cache {
	t.Helper()
	c, err := cache.Open(dir, maxBytes, o...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// put stores size bytes that look like a Parquet file.
func put(t *testing.T, s objectstore.Store, key string, size int) objectstore.Info {
	t.Helper()
	body := "PAR1" + strings.Repeat(key[:1], size-8) + "PAR1"
	info, err := s.Put(t.Context(), key, objectstore.Bytes([]byte(body)), objectstore.Condition{})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// read takes a file into use, checks that it holds the object, and returns its release.
func read(t *testing.T, c *cache.Cache, s objectstore.Store, info objectstore.Info) func() {
	t.Helper()
	path, release, err := c.Path(t.Context(), s, info.Key, info.Size, info.ETag)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(b)) != info.Size || b[4] != info.Key[0] {
		t.Fatalf("%s: %d bytes that begin with %q", info.Key, len(b), b[:min(8, len(b))])
	}
	return release
}

func TestFetchedOnceAndKeptAcrossRestarts(t *testing.T) {
	store := &counting{Store: mem.New("a")}
	info := put(t, store, "x.parquet", 1000)
	dir := t.TempDir()
	c := open(t, dir, 1<<20)
	read(t, c, store, info)()
	read(t, c, store, info)()
	again := open(t, dir, 1<<20)
	read(t, again, store, info)()
	if n := store.gets.Load(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		st, err := d.Info()
		if err == nil && st.Mode().Perm()&0o077 != 0 && path != dir {
			t.Errorf("%s has mode %v", path, st.Mode())
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestConcurrentReadersShareOneFetch(t *testing.T) {
	store := &counting{Store: mem.New("a"), hold: make(chan struct{})}
	info := put(t, store, "x.parquet", 1000)
	c := open(t, t.TempDir(), 1<<20)
	var wait sync.WaitGroup
	for range 16 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			path, release, err := c.Path(t.Context(), store, info.Key, info.Size, info.ETag)
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := os.Stat(path); err != nil {
				t.Error(err)
			}
			release()
			release() // more than once is allowed
		}()
	}
	close(store.hold)
	wait.Wait()
	// a reader may come after all others have gone, but the file stays
	if n := store.gets.Load(); n != 1 {
		t.Errorf("%d fetches, want 1", n)
	}
}

func TestCancelledFetchIsTakenOver(t *testing.T) {
	store := &counting{Store: mem.New("a"), hold: make(chan struct{})}
	info := put(t, store, "x.parquet", 1000)
	c := open(t, t.TempDir(), 1<<20)
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		_, _, err := c.Path(ctx, store, info.Key, info.Size, info.ETag)
		first <- err
	}()
	for store.gets.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	go func() {
		_, release, err := c.Path(t.Context(), store, info.Key, info.Size, info.ETag)
		if err == nil {
			release()
		}
		second <- err
	}()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled one: %v", err)
	}
	close(store.hold)
	if err := <-second; err != nil {
		t.Errorf("the one that waited: %v", err)
	}
}

func TestMakesRoomForTheNewest(t *testing.T) {
	const size, bound = 100_000, 360_000
	store := &counting{Store: mem.New("a")}
	now := clock.NewManual(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC))
	dir := t.TempDir()
	c := open(t, dir, bound, cache.Options{Clock: now})
	a, b, d := put(t, store, "a.parquet", size), put(t, store, "b.parquet", size), put(t, store, "d.parquet", size)
	for _, info := range []objectstore.Info{a, b, d} {
		read(t, c, store, info)()
		now.Advance(time.Minute)
	}
	read(t, c, store, a)() // b is now the one used longest ago
	now.Advance(time.Minute)
	e := put(t, store, "e.parquet", size/2)
	read(t, c, store, e)()
	fetched := store.gets.Load()
	read(t, c, store, a)()
	read(t, c, store, d)()
	if n := store.gets.Load(); n != fetched {
		t.Errorf("%d files were fetched again", n-fetched)
	}
	read(t, c, store, b)()
	if n := store.gets.Load(); n != fetched+1 {
		t.Error("the file used longest ago was kept")
	}
	if total := spent(t, dir); total > bound {
		t.Errorf("%d bytes kept, the bound is %d", total, bound)
	}
}

func TestFilesInUseStay(t *testing.T) {
	store := &counting{Store: mem.New("a")}
	c := open(t, t.TempDir(), 250_000)
	a, b := put(t, store, "a.parquet", 100_000), put(t, store, "b.parquet", 100_000)
	releaseA, releaseB := read(t, c, store, a), read(t, c, store, b)
	d := put(t, store, "d.parquet", 100_000)
	_, _, err := c.Path(t.Context(), store, d.Key, d.Size, d.ETag)
	var over *limits.Error
	if !errors.As(err, &over) || over.Setting == "" || over.Max != 250_000 {
		t.Errorf("error %v, want a limit", err)
	}
	releaseA()
	read(t, c, store, d)() // in the place of a
	read(t, c, store, b)()
	releaseB()
	if n := store.gets.Load(); n != 3 {
		t.Errorf("%d fetches, want 3", n)
	}
}

func TestShortAndDamagedObjects(t *testing.T) {
	store := &counting{Store: mem.New("a"), cut: true}
	info := put(t, store, "x.parquet", 1000)
	dir := t.TempDir()
	c := open(t, dir, 1<<20)
	if _, _, err := c.Path(t.Context(), store, info.Key, info.Size, info.ETag); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("short read: %v", err)
	}
	store.cut = false
	read(t, c, store, info)()
	bad, err := store.Put(t.Context(), "bad.parquet", objectstore.Bytes([]byte(strings.Repeat("x", 100))), objectstore.CreateOnly)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Path(t.Context(), store, bad.Key, bad.Size, bad.ETag); !errors.Is(err, cache.ErrDamaged) {
		t.Errorf("not a Parquet file: %v", err)
	}
	text, err := store.Put(t.Context(), "a.csv", objectstore.Bytes([]byte("a,b\n")), objectstore.CreateOnly)
	if err != nil {
		t.Fatal(err)
	}
	if _, release, err := c.Path(t.Context(), store, text.Key, 0, ""); err != nil { // size unknown
		t.Errorf("a text file: %v", err)
	} else {
		release()
	}
	files, err := filepath.Glob(filepath.Join(dir, "use", "*", "fetch-*"))
	if err != nil || len(files) > 0 {
		t.Errorf("unfinished fetches stay: %v, %v", files, err)
	}
}

func TestChangedObject(t *testing.T) {
	store := &counting{Store: mem.New("a")}
	old := put(t, store, "x.parquet", 1000)
	c := open(t, t.TempDir(), 1<<20)
	read(t, c, store, old)()
	recent := put(t, store, "x.parquet", 1200)
	read(t, c, store, recent)()
	stale := recent
	stale.ETag, stale.Size = "another", 1200
	if _, _, err := c.Path(t.Context(), store, stale.Key, stale.Size, stale.ETag); !errors.Is(err, objectstore.ErrPrecondition) {
		t.Errorf("other ETag: %v", err)
	}
	if _, _, err := c.Path(t.Context(), store, recent.Key, 999, recent.ETag); !errors.Is(err, objectstore.ErrPrecondition) {
		t.Errorf("other size: %v", err)
	}
	if _, _, err := c.Path(t.Context(), store, "nothing.parquet", 10, ""); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("missing object: %v", err)
	}
}

func TestFilesCutShortByACrashAreFetchedAgain(t *testing.T) {
	store := &counting{Store: mem.New("a")}
	info := put(t, store, "x.parquet", 1000)
	dir := t.TempDir()
	c := open(t, dir, 1<<20)
	read(t, c, store, info)()
	files, err := filepath.Glob(filepath.Join(dir, "data", "*"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	if err := os.Truncate(files[0], 10); err != nil {
		t.Fatal(err)
	}
	read(t, c, store, info)()
}

func TestLinksOfDeadProcessesAreRemoved(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "use", "dead")
	if err := os.MkdirAll(dead, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"lock", "fetch-x"} {
		if err := os.WriteFile(filepath.Join(dead, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	store := mem.New("a")
	info := put(t, store, "x.parquet", 1000)
	living := open(t, dir, 1<<20)
	release := read(t, living, store, info)
	open(t, dir, 1<<20)
	if _, err := os.Stat(dead); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("links of a dead process: %v", err)
	}
	read(t, living, store, info)()
	release()
}

// Another process makes room while this one uses a file: the file must stay readable under the path given.
func TestRoomMadeByAnotherProcess(t *testing.T) {
	store := mem.New("a")
	dir := t.TempDir()
	one, two := open(t, dir, 150_000), open(t, dir, 150_000)
	a, b := put(t, store, "a.parquet", 100_000), put(t, store, "b.parquet", 100_000)
	path, release, err := one.Path(t.Context(), store, a.Key, a.Size, a.ETag)
	if err != nil {
		t.Fatal(err)
	}
	read(t, two, store, b)()
	if st, err := os.Stat(path); err != nil || st.Size() != a.Size {
		t.Errorf("file in use: %v", err)
	}
	release()
}

func TestLocalStoresAreReadInPlace(t *testing.T) {
	root := t.TempDir()
	store, err := file.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	info := put(t, store, "x.parquet", 1000)
	dir := t.TempDir()
	c := open(t, dir, 10)
	path, release, err := c.Path(t.Context(), store, info.Key, info.Size, info.ETag)
	if err != nil || !strings.HasSuffix(path, "x.parquet") {
		t.Errorf("%s, %v", path, err)
	}
	release()
}

func TestManyReadersAndLittleRoom(t *testing.T) {
	store := &counting{Store: mem.New("a")}
	var infos []objectstore.Info
	for i := range 20 {
		infos = append(infos, put(t, store, fmt.Sprintf("%c%d.parquet", 'a'+i, i), 10_000))
	}
	c := open(t, t.TempDir(), 300_000)
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Add(1)
		go func() {
			defer wait.Done()
			for i := range 50 {
				info := infos[(i*7+worker*3)%len(infos)]
				path, release, err := c.Path(t.Context(), store, info.Key, info.Size, info.ETag)
				if err != nil {
					t.Error(err)
					return
				}
				b, err := os.ReadFile(path)
				if err != nil || len(b) != 10_000 || b[4] != info.Key[0] {
					t.Errorf("%s: %d bytes, %v", info.Key, len(b), err)
				}
				release()
			}
		}()
	}
	wait.Wait()
}

// Most fetches do not list the folder, and the bound holds all the same, for two processes too.
func TestBoundHoldsBetweenListings(t *testing.T) {
	const size, bound = 1000, 400_000
	store := mem.New("a")
	dir := t.TempDir()
	caches := []*cache.Cache{open(t, dir, bound), open(t, dir, bound)}
	for i := range 300 {
		read(t, caches[i%2], store, put(t, store, fmt.Sprintf("%d.parquet", i), size))()
		entries, err := os.ReadDir(filepath.Join(dir, "data"))
		if err != nil {
			t.Fatal(err)
		}
		if n, total := len(entries), spent(t, dir); total > bound || i < 40 && n != i+1 {
			t.Fatalf("%d files of %d bytes after %d fetches, the bound is %d", n, total, i+1, bound)
		}
	}
}
