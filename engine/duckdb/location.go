package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/lakectl/lakectl/internal/cache"
	"github.com/lakectl/lakectl/internal/redact"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
)

// fetchParallel bounds the files that one call brings to this machine at a time.
const fetchParallel = 8

// locate finds each file on this machine, in place or in the cache, and keeps it there until the session closes.
func (s *session) locate(ctx context.Context, files []table.RelationFile) ([]string, error) {
	paths := make([]string, len(files))
	var mu sync.Mutex // guards s.names and s.release; a leaf lock
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchParallel)
	for i, f := range files {
		group.Go(func() error {
			path, release, err := s.engine.place(ctx, f)
			if err != nil {
				return err
			}
			paths[i] = path
			mu.Lock()
			defer mu.Unlock()
			s.names[path] = objectName(f.Store, f.Key)
			if release != nil {
				s.release = append(s.release, release)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return paths, nil
}

// place finds one file on this machine. release is nil for files that are read in place.
func (e *Engine) place(ctx context.Context, f table.RelationFile) (path string, release func(), err error) {
	if ctx.Err() != nil {
		return "", nil, context.Cause(ctx)
	}
	local, ok := f.Store.(objectstore.Local)
	if !ok {
		path, release, err = e.cache.Path(ctx, f.Store, f.Key, f.Size, f.ETag)
		if errors.Is(err, cache.ErrDamaged) {
			err = fmt.Errorf("%w: %w", table.ErrDataFile, err)
		}
		return path, release, err
	}
	if path, err = local.LocalPath(f.Key); err != nil {
		return "", nil, fmt.Errorf("read %s: %w", objectName(f.Store, f.Key), err)
	}
	st, err := os.Stat(path)
	switch {
	case os.IsNotExist(err):
		return "", nil, fmt.Errorf("read %s: %w", objectName(f.Store, f.Key), objectstore.ErrNotFound)
	case err != nil:
		return "", nil, fmt.Errorf("read %s: %w", objectName(f.Store, f.Key), err)
	case f.Size > 0 && st.Size() != f.Size:
		return "", nil, fmt.Errorf("read %s: %w: it has %d bytes, not %d", objectName(f.Store, f.Key),
			objectstore.ErrPrecondition, st.Size(), f.Size)
	}
	return path, nil, nil
}

// objectName names an object for people.
func objectName(s objectstore.Store, key string) string {
	return strings.TrimSuffix(redact.URL(s.URL()), "/") + "/" + key
}

// escapeGlob writes a path so that DuckDB, which expands patterns even inside a list of files, finds exactly it.
func escapeGlob(path string) string {
	if !strings.ContainsAny(path, "*?[") {
		return path // then DuckDB takes it as it is, backslashes included
	}
	return strings.NewReplacer("*", "[*]", "?", "[?]", "[", "[[]", `\`, `\\`).Replace(path)
}
