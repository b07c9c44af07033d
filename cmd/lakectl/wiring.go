package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/internal/cache"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/objectstore/s3"
	"github.com/lakectl/lakectl/pipeline"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// wiring is what a call has opened: each part once, when it is first needed.
type wiring struct {
	looked  bool              // lake.yml was searched
	project *pipeline.Project // nil: there is none
	stores  map[string]objectstore.Store
	engine  *duckdb.Engine
	cache   *cache.Cache
	scratch string // folder of this process; removed at the end
	closers []func() error
}

// close ends what was opened, newest first.
func (w *wiring) close() error {
	var errs []error
	for i := len(w.closers) - 1; i >= 0; i-- {
		errs = append(errs, w.closers[i]())
	}
	w.closers = nil
	return errors.Join(errs...)
}

// projectFile is the file that makes a folder a project.
const projectFile = "lake.yml"

// findProject returns the folder of lake.yml: --project, or the nearest one upward from here; "" when there is none.
func (a *app) findProject() (string, error) {
	if a.projectDir != "" {
		dir, err := filepath.Abs(a.projectDir)
		if err != nil {
			return "", fmt.Errorf("find project: %w", err)
		}
		if _, err := os.Stat(filepath.Join(dir, projectFile)); err != nil {
			return "", &toldError{code: exitNotFound, message: "there is no " + projectFile + " in " + a.projectDir, why: err.Error(), hint: "lakectl init " + a.projectDir}
		}
		return dir, nil
	}
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find project: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, projectFile)); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", nil
		}
		dir = up
	}
}

// lakeOnly shows lake.yml and no pipelines: enough to find tables, and a broken model does not keep anybody from
// looking at them.
type lakeOnly struct{ fs.FS }

func (l lakeOnly) Open(name string) (fs.File, error) {
	if name != "." && name != projectFile {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return l.FS.Open(name)
}

// lake reads lake.yml alone. It is nil, without error, when there is none.
func (a *app) lake(ctx context.Context) (*pipeline.Project, error) {
	if a.wiring.looked {
		return a.wiring.project, nil
	}
	dir, err := a.findProject()
	if err != nil {
		return nil, err
	}
	a.wiring.looked = true
	if dir == "" {
		return nil, nil
	}
	a.wiring.project, err = a.loadProject(ctx, dir, lakeOnly{os.DirFS(dir)}, nil)
	return a.wiring.project, err
}

// fullProject reads and checks the whole project. It is an error when there is none.
func (a *app) fullProject(ctx context.Context) (*pipeline.Project, error) {
	dir, err := a.findProject()
	if err != nil {
		return nil, err
	}
	if dir == "" {
		return nil, noProject("this command")
	}
	var problems *pipeline.Problems
	if _, err := a.lake(ctx); err != nil && !errors.As(err, &problems) { // the engine's bounds stand in lake.yml
		return nil, err
	}
	// What is wrong with lake.yml comes again, together with what is wrong elsewhere.
	engine, err := a.sqlEngine(ctx)
	if err != nil {
		return nil, err
	}
	p, err := a.loadProject(ctx, dir, os.DirFS(dir), engine)
	if err != nil {
		return nil, err
	}
	a.wiring.project = p
	return p, nil
}

func noProject(what string) error {
	return &toldError{
		code: exitNotFound, message: what + " needs a " + projectFile + ", and there is none here or above",
		why: "names of tables and pipelines are looked up in the project's " + projectFile, hint: "lakectl init   # writes an example; or --project DIR; or name a table by its path: ./t",
	}
}

func (a *app) loadProject(ctx context.Context, dir string, fsys fs.FS, parser pipeline.Parser) (*pipeline.Project, error) {
	vars := map[string]string{}
	for _, v := range a.vars {
		name, value, ok := strings.Cut(v, "=")
		if !ok || name == "" {
			return nil, usagef("--var: %q is not name=value", v)
		}
		vars[name] = value
	}
	return pipeline.Load(ctx, fsys, pipeline.LoadOptions{
		Dir: dir, Env: a.environment, Vars: vars, Getenv: a.env, User: loginName(a.env), Parser: parser,
	})
}

func loginName(env func(string) string) string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return env("USER")
}

// limits are those of lake.yml, else the defaults.
func (a *app) limits() limits.Limits {
	if p := a.wiring.project; p != nil {
		return p.Limits.Filled()
	}
	return limits.Default()
}

func (a *app) engineInfo() string { return "lakectl/" + version }

func (a *app) logOptions() txlog.Options {
	return txlog.Options{Clock: a.clock, Rand: a.rand, Limits: a.limits(), EngineInfo: a.engineInfo(), Logger: a.logger()}
}

func (a *app) tableOptions() table.Options { return table.Options{Log: a.logOptions()} }

// openStore opens the folder or bucket prefix that address names: "s3://bucket/prefix", "file:///folder" or a path.
// Keys of the store are relative to it. With create, a missing folder is made.
func (a *app) openStore(ctx context.Context, address string, create bool) (objectstore.Store, error) {
	address = strings.TrimSuffix(address, "/")
	if s, ok := a.wiring.stores[address]; ok {
		return s, nil
	}
	store, err := a.newStore(ctx, address, create)
	if err != nil {
		return nil, err
	}
	if a.wiring.stores == nil {
		a.wiring.stores = map[string]objectstore.Store{}
	}
	a.wiring.stores[address] = store
	return store, nil
}

func (a *app) newStore(ctx context.Context, address string, create bool) (objectstore.Store, error) {
	if strings.HasPrefix(address, "s3://") {
		return a.openS3(ctx, address)
	}
	dir, err := localPath(address)
	if err != nil {
		return nil, err
	}
	opts := []file.Option{file.WithClock(a.clock)}
	if create {
		opts = append(opts, file.Create)
	}
	s, err := file.Open(dir, opts...)
	if err != nil {
		return nil, err
	}
	a.wiring.closers = append(a.wiring.closers, s.Close)
	return s, nil
}

// localPath turns file:///folder, file://./folder or a plain path into a path of this machine.
func localPath(address string) (string, error) {
	if !strings.Contains(address, "://") {
		return filepath.Abs(address)
	}
	rest, ok := strings.CutPrefix(address, "file://")
	if !ok {
		return "", usagef("%q: addresses begin with s3:// or file://", address)
	}
	if plain, err := url.PathUnescape(rest); err == nil {
		rest = plain
	}
	return filepath.Abs(rest)
}

// openS3 opens a bucket prefix with the settings of lake.yml, or without one of the environment. A store that
// ignores conditional writes is found by the first write, and refused.
func (a *app) openS3(ctx context.Context, address string) (objectstore.Store, error) {
	s, err := a.plainS3(ctx, address, 0)
	if err != nil {
		return nil, err
	}
	return objectstore.Probed(objectstore.Retry(s, objectstore.Policy{}, a.clock, a.rand), "", a.rand), nil
}

// plainS3 is openS3 without patience and without the look at conditional writes. A partSize of 0 is the usual one.
func (a *app) plainS3(ctx context.Context, address string, partSize int64) (objectstore.Store, error) {
	p, err := a.lake(ctx)
	if err != nil {
		return nil, err
	}
	o := s3.Options{Clock: a.clock, Logger: a.logger(), PartSize: partSize}
	if p != nil {
		o.Endpoint, o.Region, o.PathStyle, o.Profile = p.Storage.Endpoint, p.Storage.Region, p.Storage.PathStyle, p.Storage.Profile
	}
	for _, name := range []string{"LAKE_S3_ENDPOINT", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"} {
		if o.Endpoint == "" && a.env(name) != "" {
			o.Endpoint, o.PathStyle = a.env(name), true // a store of one's own seldom has a host name per bucket
		}
	}
	for _, name := range []string{"AWS_REGION", "AWS_DEFAULT_REGION"} {
		if o.Region == "" {
			o.Region = a.env(name)
		}
	}
	s, err := s3.Open(ctx, address, o)
	if err != nil {
		return nil, err
	}
	a.wiring.closers = append(a.wiring.closers, s.Close)
	return s, nil
}

// sqlEngine opens DuckDB within the bounds of lake.yml.
func (a *app) sqlEngine(ctx context.Context) (*duckdb.Engine, error) {
	if a.wiring.engine != nil {
		return a.wiring.engine, nil
	}
	p, err := a.lake(ctx)
	var problems *pipeline.Problems
	if errors.As(err, &problems) { // paths need no lake.yml; whoever needs a name of it asks again, and is told
		a.wiring.looked = false
		a.term.Warnf("lake.yml has problems; the SQL engine runs with its default bounds")
	} else if err != nil {
		return nil, err
	}
	scratch, err := a.scratchDir()
	if err != nil {
		return nil, err
	}
	c, err := a.rangeCache(scratch)
	if err != nil {
		return nil, err
	}
	o := duckdb.Options{Cache: c, TempDir: filepath.Join(scratch, "duckdb"), Limits: a.limits(), Clock: a.clock, Rand: a.rand, Logger: a.logger()}
	if p != nil {
		o.MemoryBytes, o.Threads, o.MaxTempBytes = p.DuckDB.MemoryBytes, p.DuckDB.Threads, p.DuckDB.MaxTempBytes
	}
	if a.halfThreads {
		if o.Threads <= 0 {
			o.Threads = runtime.GOMAXPROCS(0)
		}
		o.Threads = max(1, o.Threads/2)
	}
	engine, err := duckdb.Open(o)
	if err != nil {
		return nil, err
	}
	a.wiring.engine = engine
	a.wiring.closers = append(a.wiring.closers, engine.Close)
	return engine, nil
}

// rangeCache opens the cache of remote data files: the folder of lake.yml, LAKE_FILE_CACHE or the user's cache folder.
func (a *app) rangeCache(scratch string) (*cache.Cache, error) {
	if a.wiring.cache != nil {
		return a.wiring.cache, nil
	}
	dir, most := a.env("LAKE_FILE_CACHE"), int64(defaultCacheBytes)
	if p := a.wiring.project; p != nil {
		if p.Cache.Dir != "" {
			dir = p.Cache.Dir
		}
		if p.Cache.MaxBytes > 0 {
			most = p.Cache.MaxBytes
		}
	}
	if dir == "" {
		if users, err := os.UserCacheDir(); err == nil {
			dir = filepath.Join(users, "lakectl", "files")
		} else {
			dir = filepath.Join(scratch, "cache")
		}
	}
	c, err := cache.Open(dir, most)
	if err != nil {
		return nil, err
	}
	a.wiring.cache = c
	return c, nil
}

const defaultCacheBytes = 10_000_000_000

// logger writes to stderr: text for people, JSON for log collectors. LAKE_LOG sets the level.
func (a *app) logger() *slog.Logger {
	level := slog.LevelWarn
	if text := a.env("LAKE_LOG"); text != "" {
		if err := level.UnmarshalText([]byte(text)); err != nil {
			level = slog.LevelWarn
		}
	} else if a.serving {
		level = slog.LevelInfo
	}
	o := &slog.HandlerOptions{Level: level}
	if a.term.ErrTTY || !a.serving {
		return slog.New(slog.NewTextHandler(a.term.Err, o))
	}
	return slog.New(slog.NewJSONHandler(a.term.Err, o))
}
