package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/internal/cache"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
)

// cacheWork is one query of the base table with a cache that is empty, and the same again.
type cacheWork struct {
	SQL   string `json:"sql"`
	Whole bool   `json:"whole"` // keep whole files, the form that ranges are measured against
	// A link to put between the store and us; zero is the loopback as it is.
	Delay time.Duration `json:"delay"` // until the first byte of each reply
	Rate  int64         `json:"rate"`  // bytes a second, of all replies together
}

// cacheQueries read two of the eight columns: two of middling size, the two smallest and the two largest.
var cacheQueries = []struct{ name, sql string }{ //nolint:gochecknoglobals // a constant in all but syntax
	{"region, amount", "SELECT region, sum(amount) FROM t GROUP BY region"},
	{"region, status", "SELECT region, status, count(*) FROM t GROUP BY ALL"},
	{"ordered_at, amount", "SELECT max(ordered_at), sum(amount) FROM t"},
}

// links are what stands between the store and us.
var links = []struct { //nolint:gochecknoglobals // the same
	name  string
	delay time.Duration
	rate  int64
}{
	{"loopback", 0, 0},
	{"20 ms, 100 MB/s", 20 * time.Millisecond, 100_000_000},
}

// caches measures cold and warm queries on MinIO with files kept in parts beside files kept whole.
func (b *bench) caches(ctx context.Context) error {
	s := b.settings
	p, err := openPeer(s.Threads, fmt.Sprintf("%dMB", s.Memory>>20))
	if err != nil {
		return err
	}
	if err := (dataset{s.Rows, s.Files, s.Dir}).generate(ctx, p); err != nil {
		return err
	}
	if err := p.db.Close(); err != nil {
		return fmt.Errorf("close DuckDB: %w", err)
	}
	url, stop, err := startMinIO(ctx)
	if err != nil {
		return err
	}
	defer stop()
	b.Store = url
	filled, err := spawn(ctx, b.at("append"))
	if err != nil {
		return err
	}
	fmt.Printf("table on MinIO: %s; %d threads, median of %d rounds\n\n", filled.Note, s.Threads, s.Rounds)
	b.line("link\ttwo of eight columns\tcold s\twhole files s\tratio\taim\tfetched MiB\twhole files MiB\tratio\taim\trequests\twarm s\twhole files s\tratio\t\n")
	for _, link := range links {
		for _, q := range cacheQueries {
			w := cacheWork{SQL: q.sql, Delay: link.delay, Rate: link.rate}
			if err := b.compareCaches(ctx, link.name, q.name, w); err != nil {
				return err
			}
		}
	}
	return nil
}

// compareCaches takes turns between the two forms and prints the medians.
func (b *bench) compareCaches(ctx context.Context, link, name string, w cacheWork) error {
	var forms [2][]figure
	for range b.Rounds {
		for i := range forms {
			s := b.at("cache")
			w.Whole = i == 1
			s.Cache = &w
			f, err := spawn(ctx, s)
			if err != nil {
				return err
			}
			forms[i] = append(forms[i], f)
		}
	}
	parts, whole := median(forms[0]), median(forms[1])
	if parts.Count != whole.Count {
		return fmt.Errorf("%d rows and %d rows of one query", parts.Count, whole.Count)
	}
	b.line("%s\t%s\t%.2f\t%.2f\t%.2f\t0.6\t%.0f\t%.0f\t%.2f\t0.4\t%d : %d\t%.2f\t%.2f\t%.2f\t\n", link, name,
		parts.Seconds, whole.Seconds, parts.Seconds/whole.Seconds,
		float64(parts.Bytes)/(1<<20), float64(whole.Bytes)/(1<<20), float64(parts.Bytes)/float64(whole.Bytes),
		parts.Requests, whole.Requests, parts.Again, whole.Again, parts.Again/whole.Again)
	return nil
}

// measureCache times a query with an empty cache, and once more.
func measureCache(ctx context.Context, s settings) error {
	w := *s.Cache
	store, err := openStore(ctx, s.Store)
	if err != nil {
		return err
	}
	if w.Delay > 0 {
		store = &linked{Store: store, delay: w.Delay, rate: w.Rate}
	}
	dir, err := os.MkdirTemp(s.Dir, "cache-")
	if err != nil {
		return fmt.Errorf("create the cache: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	c, err := cache.Open(dir, 20<<30, cache.Options{Whole: w.Whole})
	if err != nil {
		return err
	}
	eng, err := duckdb.Open(duckdb.Options{
		MemoryBytes: s.Memory, Threads: s.Threads, TempDir: filepath.Join(s.Dir, "tmp"), Cache: c,
	})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close() }()
	var f figure
	for i := range 2 {
		start := time.Now()
		n, err := countRows(ctx, store, eng, w.SQL)
		if err != nil {
			return err
		}
		if i == 0 {
			stats := c.Stats()
			f = figure{Seconds: time.Since(start).Seconds(), Count: n, Bytes: stats.Bytes, Requests: stats.Requests}
			continue
		}
		f.Again = time.Since(start).Seconds()
		if c.Stats().Requests != f.Requests {
			return fmt.Errorf("a warm query sent %d requests", c.Stats().Requests-f.Requests)
		}
	}
	return reportFigure(f)
}

// countRows opens the base table from its log on and reads a query of it to its end.
func countRows(ctx context.Context, store objectstore.Store, eng table.Engine, sql string) (n int, err error) {
	t, err := table.Open(ctx, store, baseTable)
	if err != nil {
		return 0, err
	}
	rel, _, err := t.Relation(ctx, table.ScanOptions{})
	if err != nil {
		return 0, err
	}
	rows, err := eng.Query(ctx, table.Query{SQL: sql, Relations: map[string]table.Relation{"t": rel}})
	if err != nil {
		return 0, err
	}
	defer func() { _ = rows.Close() }()
	for _, err := range rows.All {
		if err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// linked is a store at the other end of a slower link: every reply begins late, and all of them share a rate.
type linked struct {
	objectstore.Store
	delay time.Duration
	rate  int64 // bytes a second

	mu   sync.Mutex // guards free
	free time.Time  // when the link has sent what was asked of it
}

// Get implements objectstore.Store.
func (l *linked) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	time.Sleep(l.delay)
	body, info, err := l.Store.Get(ctx, key, r)
	if err != nil {
		return nil, info, err
	}
	return struct {
		io.Reader
		io.Closer
	}{shared{l, body}, body}, info, nil
}

// shared reads a body at the pace of its link.
type shared struct {
	link *linked
	body io.Reader
}

func (s shared) Read(p []byte) (int, error) {
	n, err := s.body.Read(p)
	s.link.mu.Lock()
	now := time.Now()
	if s.link.free.Before(now) {
		s.link.free = now
	}
	s.link.free = s.link.free.Add(time.Duration(int64(n) * int64(time.Second) / s.link.rate))
	wait := s.link.free.Sub(now)
	s.link.mu.Unlock()
	time.Sleep(wait)
	return n, err
}
