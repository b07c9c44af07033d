package cache_test

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
	"sync/atomic"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/lakectl/lakectl/internal/cache"
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
)

func TestMain(m *testing.M) {
	if os.Getenv(childFolder) != "" {
		fillForEver()
	}
	goleak.VerifyTestMain(m)
}

const (
	kib = 1 << 10
	mib = 1 << 20
)

// spent is what the files below a folder cost on disk, in bytes; links to one file count once.
func spent(t *testing.T, dir string) (total int64) {
	t.Helper()
	known := map[uint64]bool{}
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		st, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		s, ok := st.Sys().(*syscall.Stat_t)
		if err == nil && ok && !known[s.Ino] {
			known[s.Ino] = true
			total += s.Blocks * 512
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return total
}

// made is a store whose objects are computed: every key is there, its bytes follow from key, ETag and place.
type made struct {
	objectstore.Store
	size int64

	mu   sync.Mutex // guards what follows
	etag string
	asks []objectstore.Range

	hold   chan struct{}            // when set, a Get waits for it
	broken func(n int) (int, error) // of Get number n, from 0: the bytes after which it ends, and how; -1: it does not
}

func newMade(size int64) *made { return &made{size: size, etag: "first"} }

func (m *made) URL() string { return "made://here" }

// content is the bytes of a part of an object.
func content(key, etag string, from, to int64) []byte {
	seed := uint64(len(key)+1) * 0x9e3779b97f4a7c15
	for _, c := range key + etag {
		seed = (seed ^ uint64(c)) * 0xff51afd7ed558ccd
	}
	out := make([]byte, to-from)
	for i := range out {
		x := seed + uint64(from+int64(i))/8
		x ^= x >> 29
		x *= 0xbf58476d1ce4e5b9
		x ^= x >> 32
		out[i] = byte(x >> (8 * (uint64(from+int64(i)) % 8)))
	}
	return out
}

func (m *made) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	m.mu.Lock()
	n, etag := len(m.asks), m.etag
	m.asks = append(m.asks, r)
	m.mu.Unlock()
	if m.hold != nil {
		select {
		case <-m.hold:
		case <-ctx.Done():
			return nil, objectstore.Info{}, context.Cause(ctx)
		}
	}
	info := objectstore.Info{Key: key, Size: m.size, ETag: etag}
	if r.IfMatch != "" && r.IfMatch != etag {
		return nil, objectstore.Info{}, fmt.Errorf("get %s: %w", key, objectstore.ErrPrecondition)
	}
	from, length := r.Span(m.size)
	body := io.Reader(bytes.NewReader(content(key, etag, from, from+length)))
	if m.broken != nil {
		if after, err := m.broken(n); after >= 0 {
			body = io.MultiReader(io.LimitReader(body, int64(after)), failing{err})
		}
	}
	return io.NopCloser(body), info, nil
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func (m *made) asked() (n int, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.asks {
		_, length := r.Span(m.size)
		total += length
	}
	return len(m.asks), total
}

func (m *made) replace(etag string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.etag = etag
}

func take(t *testing.T, c *cache.Cache, m *made, key, etag string) *cache.File {
	t.Helper()
	f, err := c.Take(t.Context(), m, key, m.size, etag)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Release)
	return f
}

// holds checks the bytes of a part of a file.
func holds(t *testing.T, f *cache.File, key, etag string, s cache.Span) {
	t.Helper()
	file, err := os.Open(f.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	got := make([]byte, s.To-s.From)
	if _, err := file.ReadAt(got, s.From); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, content(key, etag, s.From, s.To)) {
		t.Errorf("%s: other bytes at %d to %d", key, s.From, s.To)
	}
}

func fill(t *testing.T, f *cache.File, spans ...cache.Span) {
	t.Helper()
	if err := f.Fill(t.Context(), spans...); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyWhatIsAskedForIsHere(t *testing.T) {
	m, dir := newMade(64*mib+12_345), t.TempDir()
	c := open(t, dir, 1<<30)
	f := take(t, c, m, "x.parquet", "first")
	parts := []cache.Span{{10 * mib, 10*mib + 100*kib}, {40*mib + 1, 41 * mib}, {m.size - 100, m.size}}
	fill(t, f, parts...)
	for _, s := range parts {
		holds(t, f, "x.parquet", "first", s)
	}
	st, err := os.Stat(f.Path())
	if err != nil || st.Size() != m.size {
		t.Errorf("the file has %d bytes, %v", st.Size(), err)
	}
	if n, total := m.asked(); n != 3 || total > 2*mib {
		t.Errorf("%d requests for %d bytes", n, total)
	}
	if total := spent(t, dir); total > 2*mib {
		t.Errorf("%d bytes on disk", total)
	}
	fill(t, f, parts...)
	again := take(t, open(t, dir, 1<<30), m, "x.parquet", "first") // as another process would
	fill(t, again, parts...)
	holds(t, again, "x.parquet", "first", parts[1])
	if n, _ := m.asked(); n != 3 {
		t.Errorf("%d requests, three would do", n)
	}
}

func TestRequestsAreJoinedAndCut(t *testing.T) {
	for _, tt := range []struct {
		name  string
		whole bool
		size  int64
		spans []cache.Span
		asks  int
		bytes int64
	}{
		{"neighbours", false, 64 * mib, []cache.Span{{0, 32 * kib}, {32 * kib, 64 * kib}}, 1, 64 * kib},
		{"a short gap", false, 64 * mib, []cache.Span{{0, 32 * kib}, {160 * kib, 192 * kib}}, 1, 192 * kib},
		{"a long gap", false, 64 * mib, []cache.Span{{0, 32 * kib}, {256 * kib, 288 * kib}}, 2, 64 * kib},
		{"out of order and twice", false, 64 * mib, []cache.Span{{64 * kib, 70 * kib}, {0, 65 * kib}, {64 * kib, 70 * kib}}, 1, 96 * kib},
		{"a long part", false, 64 * mib, []cache.Span{{0, 20 * mib}}, 3, 20 * mib},
		{"a small file", false, 1 * mib, []cache.Span{{5, 6}}, 1, 1 * mib},
		{"beyond the end", false, 2 * mib, []cache.Span{{2*mib - 5, 9 * mib}, {9 * mib, 10 * mib}}, 1, 32 * kib},
		{"before the beginning", false, 2 * mib, []cache.Span{{-9, 5}, {7, 7}}, 1, 32 * kib},
		{"nothing", false, 2 * mib, nil, 0, 0},
		{"files kept whole", true, 64 * mib, []cache.Span{{5, 6}}, 1, 64 * mib},
		{"over several windows", false, 600 * mib, []cache.Span{{mib, 520 * mib}}, 65, 519 * mib},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMade(tt.size)
			f := take(t, open(t, t.TempDir(), 1<<30, cache.Options{Whole: tt.whole}), m, "x", "first")
			fill(t, f, tt.spans...)
			if n, total := m.asked(); n != tt.asks || total != tt.bytes {
				t.Errorf("%d requests for %d bytes, want %d for %d", n, total, tt.asks, tt.bytes)
			}
		})
	}
}

// Without an ETag the end of the file, which everybody wants first, brings it.
func TestETagIsLearnedOnce(t *testing.T) {
	m, dir := newMade(64*mib), t.TempDir()
	c := open(t, dir, 1<<30)
	m.hold = make(chan struct{})
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			f, err := c.Take(t.Context(), m, "x", m.size, "")
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Release()
			tail := make([]byte, 1000)
			if _, err := f.Reader(t.Context()).ReadAt(tail, m.size-1000); err != nil || !bytes.Equal(tail, content("x", "first", m.size-1000, m.size)) {
				t.Errorf("the end: %v", err)
			}
		})
	}
	close(m.hold)
	wait.Wait()
	take(t, open(t, dir, 1<<30), m, "x", "")
	if n, total := m.asked(); n != 1 || total > 512*kib {
		t.Errorf("%d requests for %d bytes", n, total)
	}
	f := take(t, c, m, "x", "")
	fill(t, f, cache.Span{From: 0, To: 10})
	if last := m.asks[len(m.asks)-1]; last.IfMatch != "first" {
		t.Errorf("asked for %+v", last)
	}
}

func TestTwoQueriesFillOneFile(t *testing.T) {
	m := newMade(40 * mib)
	m.hold = make(chan struct{})
	c := open(t, t.TempDir(), 1<<30)
	var wait sync.WaitGroup
	for i := range int64(16) {
		wait.Go(func() {
			f, err := c.Take(t.Context(), m, "x", m.size, "first")
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Release()
			spans := []cache.Span{{i * mib, (i + 8) * mib}, {30*mib + i*kib, 31 * mib}}
			if err := f.Fill(t.Context(), spans...); err != nil {
				t.Error(err)
			}
			for _, s := range spans {
				holds(t, f, "x", "first", s)
			}
		})
	}
	close(m.hold)
	wait.Wait()
	if _, total := m.asked(); total > 24*mib+gaps {
		t.Errorf("%d bytes were fetched for 24 MiB", total)
	}
}

// gaps is what requests of several calls may bring twice: the gaps that they were joined over.
const gaps = 16 * 128 * kib

func TestRepliesCutShort(t *testing.T) {
	cutAt := func(times int) func(int) (int, error) {
		return func(n int) (int, error) {
			if n < times {
				return 300*kib + 17, io.ErrUnexpectedEOF
			}
			return -1, nil
		}
	}
	span := cache.Span{From: mib, To: 3 * mib}
	t.Run("the rest is asked for", func(t *testing.T) {
		m := newMade(4 * mib)
		m.broken = cutAt(2)
		f := take(t, open(t, t.TempDir(), 1<<30), m, "x", "first")
		fill(t, f, span)
		holds(t, f, "x", "first", span)
		if n, total := m.asked(); n != 3 || total > 6*mib {
			t.Errorf("%d requests for %d bytes", n, total)
		}
		if m.asks[1].Offset != mib+288*kib {
			t.Errorf("went on at %d", m.asks[1].Offset)
		}
	})
	t.Run("in the end it is an error", func(t *testing.T) {
		m, dir := newMade(4*mib), t.TempDir()
		m.broken = cutAt(3)
		f := take(t, open(t, dir, 1<<30), m, "x", "first")
		if err := f.Fill(t.Context(), span); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("error %v", err)
		}
		fill(t, f, span) // what came is kept, the rest comes now
		holds(t, f, "x", "first", span)
		if _, total := m.asked(); total > 7*mib {
			t.Errorf("%d bytes asked for", total)
		}
	})
	t.Run("a body that just ends", func(t *testing.T) {
		m := newMade(4 * mib)
		m.broken = func(int) (int, error) { return 5, io.EOF }
		f := take(t, open(t, t.TempDir(), 1<<30), m, "x", "first")
		if err := f.Fill(t.Context(), span); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("the error of the store", func(t *testing.T) {
		m := newMade(4 * mib)
		m.broken = func(int) (int, error) { return 300 * kib, objectstore.ErrThrottled }
		f := take(t, open(t, t.TempDir(), 1<<30), m, "x", "first")
		if err := f.Fill(t.Context(), span); !errors.Is(err, objectstore.ErrThrottled) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("the reply that brings the ETag", func(t *testing.T) {
		m := newMade(100)
		m.broken = cutAt(0)
		m.broken = func(n int) (int, error) { return []int{10, -1}[min(n, 1)], io.ErrUnexpectedEOF }
		f := take(t, open(t, t.TempDir(), 1<<30), m, "x", "")
		fill(t, f, cache.Span{From: 0, To: 100})
		holds(t, f, "x", "first", cache.Span{From: 0, To: 100})
	})
}

func TestReplacedObject(t *testing.T) {
	m, dir := newMade(8*mib), t.TempDir()
	c := open(t, dir, 1<<30)
	f := take(t, c, m, "x", "")
	first, second := cache.Span{From: 0, To: mib}, cache.Span{From: 4 * mib, To: 5 * mib}
	fill(t, f, first)
	m.replace("second")
	err := f.Fill(t.Context(), second)
	if !errors.Is(err, cache.ErrChanged) || !errors.Is(err, objectstore.ErrPrecondition) {
		t.Errorf("error %v", err)
	}
	holds(t, f, "x", "first", first) // who uses it keeps what it has
	now := take(t, c, m, "x", "")
	fill(t, now, first, second)
	holds(t, now, "x", "second", first)
	holds(t, now, "x", "second", second)
	holds(t, f, "x", "first", first)
	if err := f.Fill(t.Context(), second); !errors.Is(err, cache.ErrChanged) {
		t.Errorf("the old one: %v", err)
	}
	if _, err := c.Take(t.Context(), m, "y", m.size+1, ""); !errors.Is(err, cache.ErrChanged) {
		t.Errorf("another size: %v", err)
	}
	pinned := take(t, c, m, "z", "third")
	if err := pinned.Fill(t.Context(), second); !errors.Is(err, cache.ErrChanged) {
		t.Errorf("another ETag than that asked for: %v", err)
	}
}

// flip changes one byte of each file that a pattern finds.
func flip(t *testing.T, at int64, pattern ...string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(pattern...))
	if err != nil || len(paths) == 0 {
		t.Fatal(paths, err)
	}
	for _, path := range paths {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1)
		if _, err := f.ReadAt(b, at); err != nil {
			t.Fatal(err)
		}
		b[0] ^= 0x10
		if _, err := f.WriteAt(b, at); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFlippedBytesAreNoticed(t *testing.T) {
	m, dir := newMade(8*mib), t.TempDir()
	c := open(t, dir, 1<<30)
	whole := cache.Span{From: 0, To: m.size}
	f := take(t, c, m, "x", "")
	fill(t, f, whole)
	before, _ := m.asked()
	for i, flipped := range []struct {
		folder string
		at     int64
	}{{"data", 0}, {"data", m.size - 1}, {"data", 5*mib + 77}, {"sums", 8 * 40}, {"sums", 8*40 + 6}} {
		flip(t, flipped.at, dir, flipped.folder, "*")
		fill(t, f, whole)
		holds(t, f, "x", "first", whole)
		if n, _ := m.asked(); n != before+i+1 {
			t.Errorf("%v: %d requests after the flip, want one", flipped, n-before-i)
		}
	}
	if s := c.Stats(); s.Damaged != 3 {
		t.Errorf("%d blocks were found damaged, want 3", s.Damaged)
	}
	flip(t, 12, dir, "etags", "*")
	f.Release()
	again := take(t, c, m, "x", "")
	fill(t, again, whole)
	holds(t, again, "x", "first", whole)
	if n, total := m.asked(); total > 9*mib {
		t.Errorf("%d requests for %d bytes: a damaged ETag costs one request", n, total)
	}
}

func TestCancelledFillIsTakenOver(t *testing.T) {
	m := newMade(8 * mib)
	m.hold = make(chan struct{})
	c := open(t, t.TempDir(), 1<<30)
	f := take(t, c, m, "x", "first")
	span := cache.Span{From: 0, To: mib}
	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- f.Fill(ctx, span) }()
	for n := 0; n == 0; n, _ = m.asked() {
		if err := clock.System().Sleep(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
	}
	go func() { second <- f.Fill(t.Context(), span) }()
	cancel()
	if err := <-first; !errors.Is(err, context.Canceled) {
		t.Errorf("the cancelled one: %v", err)
	}
	close(m.hold)
	if err := <-second; err != nil {
		t.Errorf("the one that waited: %v", err)
	}
	holds(t, f, "x", "first", span)
}

// Readers of many files have room for a few of them: what they read is right, and the disk holds what it may.
func TestRoomUnderLoad(t *testing.T) {
	const bound = 24 * mib
	m, dir := newMade(4*mib), t.TempDir()
	caches := []*cache.Cache{open(t, dir, bound), open(t, dir, bound)} // as two processes
	var wait sync.WaitGroup
	var most atomic.Int64
	for worker := range int64(6) {
		wait.Go(func() {
			r := clock.SeededRand(uint64(worker))
			for range 60 {
				key := fmt.Sprint("k", clock.Int64N(r, 20))
				f, err := caches[worker%2].Take(t.Context(), m, key, m.size, "first")
				if err != nil {
					t.Error(err)
					return
				}
				from := clock.Int64N(r, m.size-600*kib)
				span := cache.Span{From: from, To: from + clock.Int64N(r, 600*kib) + 1}
				if err := f.Fill(t.Context(), span); err != nil {
					t.Error(err)
				} else {
					holds(t, f, key, "first", span)
				}
				if total := spent(t, filepath.Join(dir, "data")); total > most.Load() {
					most.Store(total)
				}
				f.Release()
			}
		})
	}
	wait.Wait()
	if most.Load() > bound || most.Load() < bound/4 {
		t.Errorf("up to %d bytes on disk, the bound is %d", most.Load(), bound)
	}
	if n, total := m.asked(); total < bound {
		t.Errorf("%d requests for %d bytes: nothing had to go", n, total)
	}
}

// What counts is what the disk spends: a file that is larger than the cache can be read in parts.
func TestFilesLargerThanTheCache(t *testing.T) {
	m := newMade(1 << 40)
	c := open(t, t.TempDir(), 4*mib)
	f := take(t, c, m, "x", "")
	span := cache.Span{From: 1 << 39, To: 1<<39 + mib}
	fill(t, f, span)
	holds(t, f, "x", "first", span)
	err := f.Fill(t.Context(), cache.Span{From: 0, To: 4 * mib})
	var over *limits.Error
	if !errors.As(err, &over) || over.Setting == "" {
		t.Errorf("error %v, want a limit", err)
	}
}

func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a small disk needs the right to mount one: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	m := newMade(8 * mib)
	c := open(t, dir, 1<<30)
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 1200*kib), 0o600); err != nil {
		t.Fatal(err)
	}
	f := take(t, c, m, "x", "first")
	span := cache.Span{From: 100, To: 1100 * kib}
	if err := f.Fill(t.Context(), span); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("error %v", err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	fill(t, f, span)
	holds(t, f, "x", "first", span)
}
