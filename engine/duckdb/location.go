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

// locate finds each file of a relation on this machine, in place or in the cache, and keeps it there until the session
// closes. Files of tables in the cache have holes until they are filled; files outside tables, and those with variants,
// whose values are checked before anything is planned, have none.
func (s *session) locate(ctx context.Context, rel table.Relation) ([]string, error) {
	paths := make([]string, len(rel.Files))
	var mu sync.Mutex // guards s.names, s.sparse and s.release; a leaf lock
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchParallel)
	whole := rel.External != nil || holdsVariants(rel)
	for i, f := range rel.Files {
		group.Go(func() error {
			p, err := s.engine.place(ctx, f, whole)
			if err != nil {
				return err
			}
			paths[i] = p.path
			mu.Lock()
			defer mu.Unlock()
			s.names[p.path] = objectName(f.Store, f.Key)
			if p.release != nil {
				s.release = append(s.release, p.release)
			}
			if p.sparse != nil {
				if s.sparse == nil {
					s.sparse = map[string]*cache.File{}
				}
				s.sparse[p.path] = p.sparse
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return paths, nil
}

// located is a file on this machine.
type located struct {
	path    string
	release func()      // nil for files that are read in place
	sparse  *cache.File // nil for files without holes
}

// place finds one file on this machine, without holes if it has to be whole.
func (e *Engine) place(ctx context.Context, f table.RelationFile, whole bool) (located, error) {
	if ctx.Err() != nil {
		return located{}, context.Cause(ctx)
	}
	local, ok := f.Store.(objectstore.Local)
	switch {
	case !ok && whole:
		path, release, err := e.cache.Path(ctx, f.Store, f.Key, f.Size, f.ETag)
		if errors.Is(err, cache.ErrDamaged) {
			err = fmt.Errorf("%w: %w", table.ErrDataFile, err)
		}
		return located{path: path, release: release}, err
	case !ok:
		file, err := e.cache.Take(ctx, f.Store, f.Key, f.Size, f.ETag)
		if err != nil {
			return located{}, err
		}
		return located{path: file.Path(), release: file.Release, sparse: file}, nil
	}
	path, err := local.LocalPath(f.Key)
	if err != nil {
		return located{}, fmt.Errorf("read %s: %w", objectName(f.Store, f.Key), err)
	}
	st, err := os.Stat(path)
	switch {
	case os.IsNotExist(err):
		return located{}, fmt.Errorf("read %s: %w", objectName(f.Store, f.Key), objectstore.ErrNotFound)
	case err != nil:
		return located{}, fmt.Errorf("read %s: %w", objectName(f.Store, f.Key), err)
	case f.Size > 0 && st.Size() != f.Size:
		return located{}, fmt.Errorf("read %s: %w: it has %d bytes, not %d", objectName(f.Store, f.Key),
			objectstore.ErrPrecondition, st.Size(), f.Size)
	}
	return located{path: path}, nil
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
