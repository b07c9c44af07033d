package txlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
)

// unreadStats are the statistics that opening a checkpoint has left in it: they are most of its bytes, and whoever
// appends, or asks for the version, has no use for them. The first plan with a predicate reads them, all of them and once
// for all snapshots that descend from this checkpoint: the columns of statistics alone, row group by row group, with one
// request for each part. Files say in which row of the checkpoint theirs are.
//
// The parts may be gone by then, or replaced by another writer's, whose rows stand in another order. Then the version is
// read again, from whatever base the log has left, and files are found by their key.
type unreadStats struct {
	ctx     context.Context //nolint:containedctx // of the caller that opened the checkpoint, without its end; see text
	log     *Log
	version Version
	parts   []statsPart
	turn    chan struct{} // holds one token; whoever has it may read
	loaded  atomic.Pointer[loadedStats]
	failed  atomic.Pointer[error] // why somebody who could not be told got nothing
}

// loadedStats are the statistics by the row of the checkpoint; or by file where that is no longer there.
type loadedStats struct {
	rows  fileTexts
	files map[string]string // by fileKey
}

// statsPart is a Parquet file of the checkpoint.
type statsPart struct {
	object objectstore.Info
	tail   []byte // the end of the object, footer included
	first  int64  // row of the checkpoint that its rows begin with
}

// statsAtOnce is how many bytes of statistics a part may have for them to be read with everything else.
const statsAtOnce = 1 << 20

// LoadStats reads the statistics that opening the table has left in its checkpoint; without it they are read when they
// are first asked for. Nothing is read twice.
//
// Errors: those of the store, [ErrCorruptLog], *limits.Error; [ErrHistoryGone] and others of [Log.At] where the checkpoint
// is gone and the log no longer tells what was in it: the table has to be opened again.
// Cost: one GET for each part of the checkpoint.
func (s *Snapshot) LoadStats(ctx context.Context) error {
	u := s.Files().unread
	if u == nil {
		return nil
	}
	_, err := u.load(ctx)
	return s.log.named(err)
}

// statsLost is why statistics that somebody asked for were not there. A change that was made from what is left would take
// them out of the log for good.
func (s *Snapshot) statsLost() error {
	if s == nil {
		return nil
	}
	if u := s.Files().unread; u != nil {
		if err := u.failed.Load(); err != nil {
			return *err
		}
	}
	return nil
}

// text is the statistics of file i, for callers that have no way to wait or to be told of an error. A failure shows as
// no statistics, which proves nothing, and it is kept: see statsLost.
func (u *unreadStats) text(f *Files, i int) string {
	all := u.loaded.Load()
	if all == nil {
		if u.failed.Load() != nil {
			return ""
		}
		var err error
		if all, err = u.load(u.ctx); err != nil {
			u.failed.CompareAndSwap(nil, &err)
			return ""
		}
	}
	if all.files != nil {
		return all.files[keyOf(canonicalPath(f.Path(i)), f.DeletionVector(i))]
	}
	return all.rows.at(int(f.rows[i]) - 1)
}

func (u *unreadStats) load(ctx context.Context) (*loadedStats, error) {
	select {
	case u.turn <- struct{}{}:
		defer func() { <-u.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if all := u.loaded.Load(); all != nil {
		return all, nil
	}
	all, err := u.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("read statistics of checkpoint %d: %w", u.version, err)
	}
	u.loaded.Store(all)
	u.parts = nil
	return all, nil
}

// read reads the parts, or the version anew.
func (u *unreadStats) read(ctx context.Context) (*loadedStats, error) {
	out := &loadedStats{}
	if rows := u.parts[len(u.parts)-1].first; rows > 0 {
		out.rows.grow(int(rows))
	}
	for i := range u.parts {
		err := u.log.readStats(ctx, &u.parts[i], out)
		if err == nil {
			continue
		}
		for _, lost := range []error{objectstore.ErrNotFound, objectstore.ErrPrecondition, parquetio.ErrMalformed, ErrCorruptLog} {
			if errors.Is(err, lost) {
				return u.again(ctx, err)
			}
		}
		return nil, err
	}
	return out, nil
}

// again reads the version of the checkpoint once more, statistics included.
func (u *unreadStats) again(ctx context.Context, why error) (*loadedStats, error) {
	u.log.options.Logger.WarnContext(ctx, "statistics of a checkpoint cannot be read, reading its version again", "table", u.log.root,
		"version", u.version, "error", why)
	eager := New(u.log.store, u.log.root, u.log.options)
	eager.statsAtOnce = math.MaxInt64
	s, err := eager.At(ctx, u.version)
	if err != nil {
		return nil, fmt.Errorf("%w; read the version again: %w", why, err)
	}
	files := s.Files()
	out := &loadedStats{files: make(map[string]string, files.Len())}
	for i := range files.Len() {
		if text := files.StatsText(i); text != "" {
			out.files[keyOf(canonicalPath(files.Path(i)), files.DeletionVector(i))] = text
		}
	}
	return out, nil
}

// readStats reads the statistics of one part: the row groups in order with one request, as many at a time as there are
// processors to decode them.
func (l *Log) readStats(ctx context.Context, p *statsPart, out *loadedStats) error {
	bound := l.options.Limits
	open := func(at int64, b []byte) (*parquetio.File, error) {
		return parquetio.Open(&spanReader{size: p.object.Size, tail: p.tail, at: at, b: b}, p.object.Size, bound)
	}
	f, err := open(0, nil)
	if err != nil {
		return err
	}
	in := &forwardReader{store: l.store, object: p.object}
	defer in.close()
	first := int(p.first)
	for from := 0; from < f.Groups(); {
		ahead := min(runtime.GOMAXPROCS(0), f.Groups()-from)
		groups, errs := make([]*fileTexts, ahead), make([]error, ahead)
		var wg sync.WaitGroup
		for n := range ahead {
			g := from + n
			at, length := statsSpan(f, g)
			var b []byte
			if b, errs[n] = in.read(ctx, at, length); errs[n] != nil {
				break
			}
			wg.Go(func() {
				own, err := open(at, b)
				if err == nil {
					groups[n], err = decodeStats(own, g)
				}
				errs[n] = err
			})
		}
		wg.Wait()
		if err := firstError(errs...); err != nil {
			return err
		}
		for n, texts := range groups {
			x := textCopier{from: texts}
			for row := range len(texts.parts) {
				out.rows.copyFrom(&x, row, first+row)
			}
			first += int(f.GroupRows(from + n))
		}
		from += ahead
	}
	return nil
}

// statsColumns are the columns that are read for statistics: one that says which rows are adds, and theirs.
func statsLeaves(f *parquetio.File) []*parquetio.Column {
	var out []*parquetio.Column
	for _, c := range []*parquetio.Column{presenceColumn(f), f.Lookup("add", "stats"), f.Lookup("add", "stats_parsed")} {
		if c != nil {
			out = append(out, c)
		}
	}
	return out
}

// presenceColumn has a value in each row that is an add.
func presenceColumn(f *parquetio.File) *parquetio.Column {
	if c := f.Lookup("add", "size"); c != nil {
		return c
	}
	return f.Lookup("add", "path")
}

func statsSpan(f *parquetio.File, g int) (at, length int64) { return f.Span(g, statsLeaves(f)...) }

// statsBytes is how many bytes of the file are statistics.
func statsBytes(f *parquetio.File) (n int64) {
	for g := range f.Groups() {
		for _, name := range []string{"stats", "stats_parsed"} {
			if c := f.Lookup("add", name); c != nil {
				n += f.PackedBytes(g, c)
			}
		}
	}
	return n
}

// decodeStats reads the statistics of one row group, by its rows.
func decodeStats(f *parquetio.File, n int) (*fileTexts, error) {
	g := &actionGroup{file: f, group: n, rows: int(f.GroupRows(n))}
	present := g.int("add", "size")
	if f.Lookup("add", "size") == nil {
		present = g.text("add", "path")
	}
	out := &fileTexts{}
	texts := newStatsTexts(g, present, out)
	for row := range g.rows {
		if g.err == nil && present.has(row) {
			texts.take(row, row)
		}
	}
	texts.done()
	return out, g.err
}

// forwardReader reads parts of an object in their order with one request. It must still be the object that it was.
type forwardReader struct {
	store  objectstore.Store
	object objectstore.Info
	body   io.ReadCloser
	at     int64
}

// forwardGap is how many bytes are read for nothing rather than by another request.
const forwardGap = 16 << 20

func (r *forwardReader) read(ctx context.Context, at, length int64) ([]byte, error) {
	if length == 0 {
		return nil, nil
	}
	if r.body == nil || at < r.at || at-r.at > forwardGap {
		r.close()
		body, info, err := r.store.Get(ctx, r.object.Key, objectstore.Range{Offset: at, IfMatch: r.object.ETag})
		if err != nil {
			return nil, err
		}
		if r.body, r.at = body, at; info.Size != r.object.Size {
			return nil, fmt.Errorf("%w: %d bytes instead of %d", objectstore.ErrPrecondition, info.Size, r.object.Size)
		}
	}
	if _, err := io.CopyN(io.Discard, r.body, at-r.at); err != nil {
		return nil, short(err)
	}
	b := make([]byte, length)
	if _, err := io.ReadFull(r.body, b); err != nil {
		return nil, short(err)
	}
	r.at = at + length
	return b, nil
}

// short is the error of an object that ends too early.
func short(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r *forwardReader) close() {
	if r.body != nil {
		_ = r.body.Close() // what is left of it is not wanted
		r.body = nil
	}
}

// spanReader is a file of which one span and the end are there, and the mark that every Parquet file begins with.
type spanReader struct {
	size int64
	tail []byte
	at   int64
	b    []byte
}

// ReadAt implements io.ReaderAt.
func (r *spanReader) ReadAt(p []byte, at int64) (int, error) {
	for _, s := range []struct {
		at int64
		b  []byte
	}{{r.size - int64(len(r.tail)), r.tail}, {r.at, r.b}, {0, []byte("PAR1")}} {
		if from := at - s.at; from >= 0 && from+int64(len(p)) <= int64(len(s.b)) {
			return copy(p, s.b[from:]), nil
		}
	}
	return 0, io.ErrUnexpectedEOF
}

// tailKeeper keeps the end of a file as it is read, so that it need not be read again: the footer is there.
type tailKeeper struct {
	base io.ReaderAt
	size int64
	tail []byte
	done bool // the footer was read
}

// ReadAt implements io.ReaderAt.
func (k *tailKeeper) ReadAt(p []byte, at int64) (int, error) {
	if from := at - (k.size - int64(len(k.tail))); from >= 0 && from+int64(len(p)) <= int64(len(k.tail)) {
		return copy(p, k.tail[from:]), nil
	}
	n, err := k.base.ReadAt(p, at)
	if !k.done && n == len(p) && at+int64(n) == k.size && n > len(k.tail) {
		k.tail = append([]byte(nil), p...)
	}
	return n, err
}
