// Package duckdb is the SQL engine of this machine: an embedded DuckDB behind [table.Engine].
//
// Every call has a database in memory for itself, locked, in whose folder stand exactly the files that the call may
// read, as links. So the time zone and the memory bound are those of the call, nothing is remembered between calls, and
// SQL text cannot reach any other file, the network, an extension or a setting. After a call that ended well its
// database is emptied and serves another call: see pool.go. Where files cannot be linked the call gets a database of
// its own that may read them in their places.
//
// How a call runs:
//
//   - relation.go turns each relation into a view over read_parquet, whose `schema` option finds columns by name or
//     field id, supplies missing ones and widens narrow ones; vectors.go takes out deleted rows.
//   - tree.go reads the syntax tree of the statement, plan.go its optimised plan: tables, columns, predicates.
//   - result.go streams rows out of DuckDB's vectors; write.go runs COPY into a staging folder, statistics.go turns
//     what COPY returns into Delta statistics, upload.go puts the files.
//
// DuckDB is used through its C interface: database/sql would hold the whole result of a query in memory, outside
// DuckDB's own memory bound.
package duckdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/lakectl/lakectl/internal/cache"
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
)

// Defaults of [Options].
const (
	DefaultMemoryBytes  = 2 << 30
	DefaultMaxTempBytes = 64 << 30
	// memoryShare is the part of the configured memory that DuckDB is told: a sort limited to 400 MB was seen to
	// reach 573 MB of resident memory.
	memoryShare = 0.65
	// memoryFloor is the least that DuckDB is told; below it even small queries fail.
	memoryFloor = 32 << 20
)

// Options of an [Engine]. The zero value works.
type Options struct {
	MemoryBytes  int64  // of one call; DuckDB gets 0.65 of it. 0 is DefaultMemoryBytes
	Threads      int    // of one call; 0 is the number of processors
	TempDir      string // spilled and staged files; "" is the machine's folder for temporary files
	MaxTempBytes int64  // spilled bytes of one call; 0 is DefaultMaxTempBytes
	// Cache keeps files of stores that are not on this machine. Nil: one under TempDir, of MaxTempBytes.
	Cache  *cache.Cache
	Limits limits.Limits // of the footers of files; fields of zero mean the default
	Clock  clock.Clock
	Rand   clock.Rand
	Logger *slog.Logger
}

// Engine runs SQL in this process. It is safe for concurrent use; calls do not share memory bounds.
type Engine struct {
	options Options
	claim   *cache.Claim
	dir     string // that of claim, without symlinks
	cache   *cache.Cache
	pool    *pool

	scratch func() (objectstore.Store, error)

	trees parsedTexts // of statements, as JSON
	texts parsedTexts // of trees

	mu         sync.Mutex      // guards the following; a leaf lock
	aggregates map[string]bool // nil until asked for
	wholeFiles map[string]bool // compressed files that were read to their ends
}

var _ table.Engine = (*Engine)(nil)

// Open prepares an engine and its folder for temporary files. The caller closes it.
func Open(o Options) (*Engine, error) {
	o = o.filled()
	if err := os.MkdirAll(o.TempDir, 0o700); err != nil {
		return nil, fmt.Errorf("create folder for temporary files: %w", err)
	}
	base, err := filepath.EvalSymlinks(o.TempDir) // DuckDB refuses paths with symlinks once it is locked
	if err == nil {
		base, err = filepath.Abs(base)
	}
	if err != nil {
		return nil, fmt.Errorf("resolve folder for temporary files: %w", err)
	}
	claim, err := cache.NewClaim(base, "lakectl-duckdb-", o.Rand)
	if err != nil {
		return nil, err
	}
	e := &Engine{options: o, claim: claim, dir: claim.Dir, cache: o.Cache, pool: &pool{clock: o.Clock}}
	if e.cache == nil {
		if e.cache, err = cache.Open(filepath.Join(e.dir, "cache"), o.MaxTempBytes); err != nil {
			return nil, errors.Join(err, claim.Close())
		}
	}
	e.scratch = sync.OnceValues(func() (objectstore.Store, error) {
		return file.Open(filepath.Join(e.dir, "scratch"), file.Create)
	})
	return e, nil
}

// Close removes the folder for temporary files, scratch files included. No call may be running.
func (e *Engine) Close() error {
	e.pool.close()
	var err error
	if e.options.Cache == nil {
		err = e.cache.Close()
	}
	return errors.Join(err, e.claim.Close())
}

func (o Options) filled() Options {
	if o.MemoryBytes <= 0 {
		o.MemoryBytes = DefaultMemoryBytes
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.TempDir == "" {
		o.TempDir = os.TempDir()
	}
	if o.MaxTempBytes <= 0 {
		o.MaxTempBytes = DefaultMaxTempBytes
	}
	o.Limits = o.Limits.Filled()
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	if o.Rand == nil {
		o.Rand = clock.SystemRand()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// aggregateNames lists the functions of DuckDB that fold many rows into one, lower case.
func (e *Engine) aggregateNames(ctx context.Context) (map[string]bool, error) {
	e.mu.Lock()
	names := e.aggregates
	e.mu.Unlock()
	if names != nil {
		return names, nil
	}
	s, err := e.open(ctx, kind{analysis: true})
	if err != nil {
		return nil, err
	}
	defer s.close()
	rows, err := s.all(ctx, `SELECT DISTINCT lower(function_name) FROM duckdb_functions() WHERE function_type = 'aggregate'`)
	if err != nil {
		return nil, fmt.Errorf("list aggregate functions: %w", err)
	}
	names = make(map[string]bool, len(rows))
	for _, r := range rows {
		if name, ok := r[0].(string); ok {
			names[name] = true
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.aggregates = names
	return names, nil
}
