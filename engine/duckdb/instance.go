package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/table"
)

// kind is what instances differ in: settings that are final once an instance is locked. The zero value has the order
// of rows open, time zone UTC and the threads of the engine.
type kind struct {
	timeZone string
	ordered  bool // keep the order of rows where SQL does not ask for one
	analysis bool // optimise for the reading of plans, not for speed
	threads  int
}

func (k kind) filled() kind {
	if k.timeZone == "" {
		k.timeZone = "UTC"
	}
	return k
}

// instance is one database in memory. It serves one call at a time.
type instance struct {
	engine *Engine
	kind   kind
	db     bindings.Database
	dir    string    // of its own, below that of the engine
	shared bool      // may serve one call after the other
	calls  int       // that it has served
	linked int64     // files that it has been given
	since  time.Time // when it began to wait for a call
}

// files is the folder whose files the calls of a shared instance can read.
func (in *instance) files() string { return filepath.Join(in.dir, "files") }

// stage is the folder in which the calls of a shared instance can write.
func (in *instance) stage() string { return filepath.Join(in.dir, "stage") }

func (in *instance) spill() string { return filepath.Join(in.dir, "spill") }

// newInstance makes a database whose settings lock makes final.
func (e *Engine) newInstance(ctx context.Context, k kind) (*instance, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	in := &instance{engine: e, kind: k, dir: filepath.Join(e.dir, "calls", clock.NewUUID(e.options.Rand))}
	for _, dir := range []string{in.spill(), in.files(), in.stage()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("create folder for temporary files: %w", errors.Join(err, os.RemoveAll(in.dir)))
		}
	}
	if err := in.start(ctx); err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

// start opens the database.
func (in *instance) start(ctx context.Context) error {
	if err := in.configure(); err != nil {
		return err
	}
	s := &session{engine: in.engine, in: in}
	if err := in.connect(&s.conn); err != nil {
		return err
	}
	defer bindings.Disconnect(&s.conn)
	settings := []string{
		"SET GLOBAL errors_as_json = true",
		// as a setting of the configuration it would have no effect
		"SET GLOBAL max_temp_directory_size = '" + strconv.FormatInt(in.engine.options.MaxTempBytes, 10) + "B'",
	}
	if in.kind.analysis {
		settings = append(settings, "SET GLOBAL disabled_optimizers = "+table.QuoteString(disabledOptimizers))
	}
	for _, sql := range settings {
		if err := s.exec(ctx, sql); err != nil {
			return err
		}
	}
	if err := s.exec(ctx, "SET GLOBAL TimeZone = "+table.QuoteString(in.kind.timeZone)); err != nil {
		if e := ctx.Err(); e != nil {
			return e
		}
		return &table.SQLError{Message: fmt.Sprintf("unknown time zone %q", in.kind.timeZone), Offset: -1}
	}
	return nil
}

// configure opens the database with the settings that cannot change afterwards.
func (in *instance) configure() error {
	options := in.engine.options
	var config bindings.Config
	if bindings.CreateConfig(&config) == bindings.StateError {
		return errors.New("create database configuration: refused")
	}
	defer bindings.DestroyConfig(&config)
	threads := in.kind.threads
	if threads <= 0 {
		threads = options.Threads
	}
	memory := max(int64(float64(options.MemoryBytes)*memoryShare), memoryFloor)
	for name, value := range map[string]string{
		"threads":                          strconv.Itoa(threads),
		"memory_limit":                     strconv.FormatInt(memory, 10) + "B",
		"temp_directory":                   in.spill(),
		"autoinstall_known_extensions":     "false",
		"autoload_known_extensions":        "false",
		"allow_community_extensions":       "false",
		"allow_persistent_secrets":         "false",
		"enable_external_file_cache":       "false",
		"preserve_insertion_order":         strconv.FormatBool(in.kind.ordered),
		"partitioned_write_max_open_files": "100",
	} {
		if bindings.SetConfig(config, name, value) == bindings.StateError {
			return fmt.Errorf("set %s = %s: refused", name, value)
		}
	}
	var message string
	if bindings.OpenExt(":memory:", &in.db, config, &message) == bindings.StateError {
		return fmt.Errorf("open database: %s", (&session{engine: in.engine, in: in}).readable(message))
	}
	return nil
}

// lock makes files (local path → name for people), folders and the instance's own ones all that can be reached from
// now on, and the settings final.
func (in *instance) lock(ctx context.Context, files map[string]string, folders []string) error {
	s := &session{engine: in.engine, in: in, names: files}
	if err := in.connect(&s.conn); err != nil {
		return err
	}
	defer bindings.Disconnect(&s.conn)
	paths := make([]string, 0, len(files))
	for path := range files {
		paths = append(paths, path)
		if escaped := escapeGlob(path); escaped != path {
			paths = append(paths, escaped)
		}
	}
	slices.Sort(paths)
	folders = append([]string{in.files(), in.stage()}, folders...)
	for _, f := range folders {
		if escaped := escapeGlob(f); escaped != f {
			folders = append(folders, escaped)
		}
	}
	for _, sql := range []string{
		"SET GLOBAL allowed_paths = " + textList(paths),
		"SET GLOBAL allowed_directories = " + textList(folders),
		"SET GLOBAL enable_external_access = false",
		"SET GLOBAL lock_configuration = true",
	} {
		if err := s.exec(ctx, sql); err != nil {
			return fmt.Errorf("lock database: %w", err)
		}
	}
	return nil
}

func (in *instance) connect(c *bindings.Connection) error {
	if bindings.Connect(in.db, c) == bindings.StateError {
		return errors.New("connect to database: refused")
	}
	return nil
}

// end is close for an instance that a call has taken.
func (in *instance) end() {
	in.close()
	if in.shared {
		in.engine.pool.put(nil)
	}
}

// close ends the database and removes its files.
func (in *instance) close() {
	if in.db.Ptr != nil {
		bindings.Close(&in.db)
	}
	if err := os.RemoveAll(in.dir); err != nil {
		in.engine.options.Logger.Warn("temporary files stay", "folder", in.dir, "error", err)
	}
}
