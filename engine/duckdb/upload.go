package duckdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
)

const (
	// putAttempts bounds the tries to put one file, each under a new name.
	putAttempts = 4
	// retryPause grows twofold with each attempt.
	retryPause = 50 * time.Millisecond
)

// uploader puts the files of one Write, and takes them away again when one cannot be put.
type uploader struct {
	engine *Engine
	write  table.Write

	mu   sync.Mutex // guards keys; a leaf lock
	keys []string   // everything that may have been put
}

// upload puts staged files under their final names, several at a time.
func (e *Engine) upload(ctx context.Context, w table.Write, files []written) ([]table.WrittenFile, error) {
	u := &uploader{engine: e, write: w}
	result := make([]table.WrittenFile, len(files))
	group, inner := errgroup.WithContext(ctx)
	group.SetLimit(max(e.options.Threads, 2))
	for i, f := range files {
		group.Go(func() (err error) {
			result[i], err = u.put(inner, f)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		u.remove(ctx, u.keys)
		return nil, err
	}
	if len(files) == 0 {
		return nil, nil
	}
	return result, nil
}

// put puts one file. Names are new each time: a put whose reply was lost may land late and must not be met again.
func (u *uploader) put(ctx context.Context, f written) (table.WrittenFile, error) {
	body, err := objectstore.OpenFile(f.path)
	if err != nil {
		return table.WrittenFile{}, err
	}
	defer func() { _ = body.Close() }()
	folder := u.write.Prefix + u.write.Folder(f.partition)
	for attempt := 1; ; attempt++ {
		key := folder + cmp.Or(u.write.NamePrefix, "part-") + clock.NewUUID(u.engine.options.Rand) + ".parquet"
		u.mu.Lock()
		u.keys = append(u.keys, key)
		u.mu.Unlock()
		info, err := u.write.Store.Put(ctx, key, body, objectstore.CreateOnly)
		if err == nil {
			return table.WrittenFile{
				Store: u.write.Store, Key: key, Size: body.Size(), ETag: info.ETag, Rows: f.rows,
				Partition: f.partition, Stats: f.stats,
			}, nil
		}
		if ctx.Err() != nil {
			return table.WrittenFile{}, context.Cause(ctx)
		}
		if attempt == putAttempts || !objectstore.Retryable(err) {
			return table.WrittenFile{}, fmt.Errorf("put data file: %w", err)
		}
		u.remove(ctx, []string{key})
		if err := u.engine.options.Clock.Sleep(ctx, retryPause<<attempt); err != nil {
			return table.WrittenFile{}, err
		}
	}
}

// remove deletes what was put, best effort, also after ctx is done.
func (u *uploader) remove(ctx context.Context, keys []string) {
	if len(keys) == 0 {
		return
	}
	ctx = context.WithoutCancel(ctx)
	if err := u.write.Store.Delete(ctx, keys...); err != nil && !errors.Is(err, objectstore.ErrNotFound) {
		u.engine.options.Logger.Warn("staged data files stay until vacuum", "files", len(keys), "error", err)
	}
}
