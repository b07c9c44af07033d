package duckdb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/table"
)

// interruptEvery is how often a running query is told again to stop: an interrupt that arrives between two
// statements is forgotten by DuckDB.
const interruptEvery = 5 * time.Millisecond

// sessionOptions is what one database may see and how it behaves.
type sessionOptions struct {
	timeZone string
	ordered  bool              // keep the order of rows where SQL does not ask for one
	files    map[string]string // local path → name for people, of every file that may be read
	folders  []string          // folders whose files may be read and written
	unlocked bool              // leave the configuration open: lock ends that
	settings map[string]string // further settings, before the lock
	threads  int               // 0: as configured
}

// session is one database of one call, with one connection. It is used by one goroutine at a time.
type session struct {
	engine  *Engine
	db      bindings.Database
	conn    bindings.Connection
	dir     string // of this session: spill and staging; "" until needed
	zone    string
	names   map[string]string     // local path → name for people
	sources map[string]sourceFile // local path → file outside tables
	release []func()
}

// open makes a database. Unless o.unlocked is set it is locked when open returns.
func (e *Engine) open(ctx context.Context, o sessionOptions) (*session, error) {
	s := &session{engine: e, names: map[string]string{}}
	s.dir = filepath.Join(e.dir, clock.NewUUID(e.options.Rand))
	if err := os.MkdirAll(filepath.Join(s.dir, "spill"), 0o700); err != nil {
		return nil, fmt.Errorf("create folder for temporary files: %w", err)
	}
	if err := s.start(ctx, o); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) start(ctx context.Context, o sessionOptions) error {
	if err := s.connect(o); err != nil {
		return err
	}
	for _, sql := range []string{
		"SET errors_as_json = true",
		// as a setting of the configuration it would have no effect
		"SET max_temp_directory_size = '" + strconv.FormatInt(s.engine.options.MaxTempBytes, 10) + "B'",
	} {
		if err := s.exec(ctx, sql); err != nil {
			return err
		}
	}
	if s.zone = o.timeZone; s.zone == "" {
		s.zone = "UTC"
	}
	if err := s.exec(ctx, "SET TimeZone = "+table.QuoteString(s.zone)); err != nil {
		if e := ctx.Err(); e != nil {
			return e
		}
		return &table.SQLError{Message: fmt.Sprintf("unknown time zone %q", o.timeZone), Offset: -1}
	}
	for name, value := range o.settings {
		if err := s.exec(ctx, "SET "+table.QuoteIdent(name)+" = "+table.QuoteString(value)); err != nil {
			return err
		}
	}
	for path, name := range o.files {
		s.names[path] = name
	}
	if o.unlocked {
		return nil
	}
	return s.lock(ctx, o.files, o.folders)
}

// connect opens the database with the settings that cannot change afterwards.
func (s *session) connect(o sessionOptions) error {
	options := s.engine.options
	var config bindings.Config
	if bindings.CreateConfig(&config) == bindings.StateError {
		return errors.New("create database configuration: refused")
	}
	defer bindings.DestroyConfig(&config)
	threads := o.threads
	if threads <= 0 {
		threads = options.Threads
	}
	memory := max(int64(float64(options.MemoryBytes)*memoryShare), memoryFloor)
	for name, value := range map[string]string{
		"threads":                          strconv.Itoa(threads),
		"memory_limit":                     strconv.FormatInt(memory, 10) + "B",
		"temp_directory":                   filepath.Join(s.dir, "spill"),
		"autoinstall_known_extensions":     "false",
		"autoload_known_extensions":        "false",
		"allow_community_extensions":       "false",
		"allow_persistent_secrets":         "false",
		"enable_external_file_cache":       "false",
		"preserve_insertion_order":         strconv.FormatBool(o.ordered),
		"partitioned_write_max_open_files": "100",
	} {
		if bindings.SetConfig(config, name, value) == bindings.StateError {
			return fmt.Errorf("set %s = %s: refused", name, value)
		}
	}
	var message string
	if bindings.OpenExt(":memory:", &s.db, config, &message) == bindings.StateError {
		return fmt.Errorf("open database: %s", s.readable(message))
	}
	if bindings.Connect(s.db, &s.conn) == bindings.StateError {
		return errors.New("connect to database: refused")
	}
	return nil
}

// lock makes files and folders all that can be reached from now on, and the settings final.
func (s *session) lock(ctx context.Context, files map[string]string, folders []string) error {
	paths := make([]string, 0, len(files))
	for path, name := range files {
		s.names[path] = name
		paths = append(paths, path)
		if escaped := escapeGlob(path); escaped != path {
			paths = append(paths, escaped)
		}
	}
	slices.Sort(paths)
	for _, sql := range []string{
		"SET allowed_paths = " + textList(paths),
		"SET allowed_directories = " + textList(folders),
		"SET enable_external_access = false",
		"SET lock_configuration = true",
	} {
		if err := s.exec(ctx, sql); err != nil {
			return fmt.Errorf("lock database: %w", err)
		}
	}
	return nil
}

// close ends everything that the session holds and removes its files.
func (s *session) close() {
	if s.conn.Ptr != nil {
		bindings.Disconnect(&s.conn)
	}
	if s.db.Ptr != nil {
		bindings.Close(&s.db)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.engine.options.Logger.Warn("temporary files stay", "folder", s.dir, "error", err)
	}
	for _, f := range s.release {
		f()
	}
	s.release = nil
}

// exec runs a statement whose rows do not matter.
func (s *session) exec(ctx context.Context, sql string) error {
	r, err := s.query(ctx, sql)
	if err != nil {
		return err
	}
	r.close()
	return nil
}

// all runs a statement that we wrote and returns its rows.
func (s *session) all(ctx context.Context, sql string) ([][]any, error) {
	r, err := s.query(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer r.close()
	var rows [][]any
	for row, err := range r.rows(ctx) {
		if err != nil {
			return nil, err
		}
		rows = append(rows, slices.Clone(row))
	}
	return rows, nil
}

// query prepares and runs one statement. Its rows are held in memory.
func (s *session) query(ctx context.Context, sql string) (*result, error) {
	p, err := s.prepare(ctx, sql)
	if err != nil {
		return nil, err
	}
	defer p.close()
	return p.run(ctx, false)
}

// prepared is a statement that has been bound: its columns are known.
type prepared struct {
	session *session
	sql     string
	stmt    bindings.PreparedStatement
}

// prepare binds one statement. Errors: *table.SQLError with an offset into sql, and those of the files it names.
func (s *session) prepare(ctx context.Context, sql string) (*prepared, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if i := strings.IndexByte(sql, 0); i >= 0 {
		return nil, &table.SQLError{SQL: sql, Message: "NUL character in SQL text", Offset: i}
	}
	p := &prepared{session: s, sql: sql}
	defer s.watch(ctx)()
	if bindings.Prepare(s.conn, sql, &p.stmt) == bindings.StateError {
		message := bindings.PrepareError(p.stmt)
		p.close()
		return nil, s.failure(ctx, sql, message)
	}
	return p, nil
}

// columns are the names and types of the rows.
func (p *prepared) columns() ([]string, []*duckType) {
	n := bindings.PreparedStatementColumnCount(p.stmt)
	names, types := make([]string, n), make([]*duckType, n)
	for i := range n {
		names[i] = bindings.PreparedStatementColumnName(p.stmt, i)
		t := bindings.PreparedStatementColumnLogicalType(p.stmt, i)
		types[i] = newDuckType(t)
		bindings.DestroyLogicalType(&t)
	}
	return names, types
}

// run starts the statement. Rows that stream are computed as they are read. The prepared statement may be closed
// while the result is read.
func (p *prepared) run(ctx context.Context, stream bool) (*result, error) {
	s := p.session
	defer s.watch(ctx)()
	var pending bindings.PendingResult
	defer bindings.DestroyPending(&pending)
	start := bindings.PendingPrepared
	if stream {
		start = bindings.PendingPreparedStreaming
	}
	if start(p.stmt, &pending) == bindings.StateError {
		return nil, s.failure(ctx, p.sql, bindings.PendingError(pending))
	}
	r := &result{session: s, sql: p.sql}
	if bindings.ExecutePending(pending, &r.res) == bindings.StateError {
		err := s.failure(ctx, p.sql, bindings.ResultError(&r.res))
		bindings.DestroyResult(&r.res)
		return nil, err
	}
	r.init()
	return r, nil
}

func (p *prepared) close() {
	bindings.DestroyPrepare(&p.stmt)
}

// watch interrupts what runs on the connection once ctx is done, until the returned function is called.
func (s *session) watch(ctx context.Context) (stop func()) {
	if ctx.Done() == nil {
		return func() {}
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		select {
		case <-running.Done():
			return
		case <-ctx.Done():
		}
		for running.Err() == nil {
			bindings.Interrupt(s.conn)
			if s.engine.options.Clock.Sleep(running, interruptEvery) != nil {
				return
			}
		}
	}()
	return func() { cancel(); <-finished }
}

// textList writes a list of strings as an SQL expression of type VARCHAR[].
func textList(items []string) string {
	if len(items) == 0 {
		return "CAST([] AS VARCHAR[])"
	}
	quoted := make([]string, len(items))
	for i, s := range items {
		quoted[i] = table.QuoteString(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}
