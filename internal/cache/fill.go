package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/objectstore"
)

// run is consecutive blocks: from, up to and without to.
type run struct{ from, to int64 }

func (r run) count() int64 { return r.to - r.from }

// add appends a run that begins at or after the end of the last one.
func add(runs []run, r run) []run {
	if n := len(runs); n > 0 && runs[n-1].to >= r.from {
		runs[n-1].to = max(runs[n-1].to, r.to)
		return runs
	}
	return append(runs, r)
}

// windowMax bounds the blocks that one pass of Fill looks after, and so its bookkeeping.
const windowMax = 256 << 20 / blockSize

// Fill brings parts of the object here. When it returns nil the file has their bytes, each block of them fetched now or
// compared with its checksum. Parts that lie close to each other come in one request, long ones in several at a time.
// Blocks that another call is about to bring are waited for.
//
// Errors: those of the store; [ErrChanged] when the object has another ETag or size than when it was first met;
// io.ErrUnexpectedEOF when replies keep ending early; *limits.Error when files in use fill the cache. What came before
// an error is kept.
func (f *File) Fill(ctx context.Context, spans ...Span) error {
	if f.local {
		return nil
	}
	for _, window := range f.windows(spans) {
		if err := f.fill(ctx, window); err != nil {
			return fmt.Errorf("fetch %s: %w", f.object.key, err)
		}
	}
	return nil
}

// windows are the blocks of spans, in parts that are filled one after the other.
func (f *File) windows(spans []Span) [][]run {
	runs := make([]run, 0, len(spans))
	for _, s := range spans {
		if r := f.object.blocks(s); r.count() > 0 {
			runs = append(runs, r)
		}
	}
	if len(runs) == 0 {
		return nil
	}
	if f.cache.options.Whole || f.object.size <= wholeMax {
		return [][]run{{f.object.blocks(Span{0, f.object.size})}}
	}
	slices.SortFunc(runs, func(a, b run) int { return int(a.from - b.from) })
	var merged []run
	for _, r := range runs {
		merged = add(merged, r)
	}
	var windows [][]run
	var window []run
	blocks := int64(0)
	for _, r := range merged {
		for r.count() > 0 {
			part := run{r.from, min(r.to, r.from+windowMax-blocks)}
			window, r.from = append(window, part), part.to
			if blocks += part.count(); blocks == windowMax {
				windows, window, blocks = append(windows, window), nil, 0
			}
		}
	}
	if len(window) > 0 {
		windows = append(windows, window)
	}
	return windows
}

// fill brings blocks here. Of those that nobody is about to bring it brings what is missing itself.
func (f *File) fill(ctx context.Context, wanted []run) error {
	for {
		missing, err := f.missing(ctx, wanted)
		if err != nil || len(missing) == 0 {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		mine, theirs, flights := f.claim(missing)
		if mine != nil {
			err := f.bring(ctx, mine.runs)
			f.unclaim(mine, err)
			if err != nil {
				return err
			}
		}
		for _, other := range flights {
			if err := other.wait(ctx); err != nil {
				return err
			}
		}
		if len(flights) == 0 {
			return nil
		}
		wanted = theirs
	}
}

// claimed is blocks that one call has promised to bring.
type claimed struct {
	runs   []run
	flight *flight
}

// claim promises to bring those of some blocks that nobody else has; mine is nil when others have all of them.
func (f *File) claim(blocks []run) (mine *claimed, theirs []run, flights []*flight) {
	f.cache.mu.Lock()
	defer f.cache.mu.Unlock()
	pending := f.cache.using[f.name].flights
	for _, r := range blocks {
		for b := r.from; b < r.to; b++ {
			if other := pending[b]; other != nil {
				theirs = add(theirs, run{b, b + 1})
				if !slices.Contains(flights, other) {
					flights = append(flights, other)
				}
				continue
			}
			if mine == nil {
				mine = &claimed{flight: &flight{done: make(chan struct{})}}
			}
			mine.runs = add(mine.runs, run{b, b + 1})
			pending[b] = mine.flight
		}
	}
	return mine, theirs, flights
}

// unclaim ends a promise and wakes those who wait for it.
func (f *File) unclaim(c *claimed, err error) {
	f.cache.mu.Lock()
	defer f.cache.mu.Unlock()
	pending := f.cache.using[f.name].flights
	for _, r := range c.runs {
		for b := r.from; b < r.to; b++ {
			delete(pending, b)
		}
	}
	c.flight.err = err
	close(c.flight.done)
}

// bring fetches what is missing of claimed blocks: some may have come between the look at them and the claim.
func (f *File) bring(ctx context.Context, blocks []run) error {
	blocks, err := f.missing(ctx, blocks)
	if err != nil {
		return err
	}
	requests := f.requests(blocks)
	var total int64
	for _, r := range requests {
		total += f.object.length(r)
	}
	reserved, err := f.cache.reserve(total)
	if err != nil {
		return err
	}
	defer reserved()
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(requestsMax)
	for _, r := range requests {
		group.Go(func() error { return f.fetch(ctx, r) })
	}
	return group.Wait()
}

// requests are what is asked for to get blocks: with the short gaps between them, and cut where they are long.
func (f *File) requests(blocks []run) []run {
	var joined []run
	for _, r := range blocks {
		if n := len(joined); n > 0 && r.from-joined[n-1].to <= gapMax/blockSize {
			joined[n-1].to = r.to
			continue
		}
		joined = append(joined, r)
	}
	if f.cache.options.Whole {
		return joined
	}
	var out []run
	for _, r := range joined {
		for ; r.count() > requestMax/blockSize; r.from += requestMax / blockSize {
			out = append(out, run{r.from, r.from + requestMax/blockSize})
		}
		out = append(out, r)
	}
	return out
}

// fetch brings one run, and asks again for the rest of a body that ended early.
func (f *File) fetch(ctx context.Context, r run) error {
	buf, err := borrow(ctx, f.cache.requests)
	if err != nil {
		return err
	}
	defer func() { f.cache.requests <- buf }()
	for try := 1; ; try++ {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		body, _, err := f.cache.get(ctx, f.store, f.object, r)
		if err != nil {
			return err
		}
		rest, err := f.keep(r, body, buf)
		if e := body.Close(); err == nil {
			err = e
		}
		if err == nil || try == triesMax || !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		r = rest
	}
}

// borrow takes a buffer out of a pool, which bounds those who have one at a time.
func borrow(ctx context.Context, pool chan []byte) ([]byte, error) {
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case buf := <-pool:
		if buf == nil {
			buf = make([]byte, bufferSize)
		}
		return buf, nil
	}
}

// get asks for a run of an object, of its ETag when that is known.
func (c *Cache) get(ctx context.Context, store objectstore.Store, o object, r run) (io.ReadCloser, objectstore.Info, error) {
	c.sent.Add(1)
	body, info, err := store.Get(ctx, o.key, objectstore.Range{Offset: r.from * blockSize, Length: o.length(r), IfMatch: o.etag})
	switch {
	case errors.Is(err, objectstore.ErrPrecondition):
		return nil, info, c.changed(o, err)
	case err != nil:
		return nil, info, err
	case info.Size != o.size:
		err = fmt.Errorf("%w: it has %d bytes, not %d", objectstore.ErrPrecondition, info.Size, o.size)
	case o.etag != "" && info.ETag != "" && info.ETag != o.etag:
		err = fmt.Errorf("%w: it has another ETag", objectstore.ErrPrecondition)
	}
	if err != nil {
		return nil, info, c.changed(o, errors.Join(err, body.Close()))
	}
	return body, info, nil
}

// changed forgets what is kept of an object that is another now.
func (c *Cache) changed(o object, err error) error {
	c.remove(o.name())
	return fmt.Errorf("%w: %w", ErrChanged, err)
}

// keep reads the bytes of a run and keeps their whole blocks. rest is what has not come.
func (f *File) keep(r run, body io.Reader, buf []byte) (rest run, err error) {
	p, err := f.files()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, p.close()) }()
	for r.count() > 0 {
		part := buf[:min(int64(len(buf)), f.object.length(r))]
		got, failure := io.ReadFull(body, part)
		f.cache.fetched.Add(int64(got))
		if failure != nil && mutant.On(mutant.CacheServesHole) {
			clear(part[got:])
			got, failure = len(part), nil
		}
		if got < len(part) {
			got -= got % blockSize
		}
		if err := f.write(p, r.from, part[:got]); err != nil {
			return r, err
		}
		r.from += (int64(got) + blockSize - 1) / blockSize
		switch {
		case errors.Is(failure, io.EOF), errors.Is(failure, io.ErrUnexpectedEOF):
			return r, fmt.Errorf("the reply ended %d bytes early: %w", f.object.length(r), io.ErrUnexpectedEOF)
		case failure != nil:
			return r, failure
		}
	}
	return r, nil
}
