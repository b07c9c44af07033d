package duckdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/lakectl/lakectl/internal/cache"
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/table"
)

// interruptEvery is how often a running query is told again to stop: an interrupt that arrives between two
// statements is forgotten by DuckDB.
const interruptEvery = 5 * time.Millisecond

// session is one call on one instance, with a connection of its own. It is used by one goroutine at a time.
type session struct {
	engine     *Engine
	in         *instance
	conn       bindings.Connection
	names      map[string]string      // local path → name for people
	sources    map[string]sourceFile  // local path → file outside tables
	links      map[string]string      // local path → the link under which the call reads the file
	sparse     map[string]*cache.File // local path → the file of a table in the cache, which has holes
	zone       string
	began      time.Time
	made       []string // statements that take away what the call has made in the instance
	release    []func()
	groupsMade int         // groups of all relations
	helped     bool        // there is a schema for helpers
	staged     bool        // there may be files in the folder for staging
	spent      atomic.Bool // the instance ends with the call
	closed     bool
}

// open begins a call on an instance that may have served others. It can read what link brings, and write below stage.
func (e *Engine) open(ctx context.Context, k kind) (*session, error) {
	k = k.filled()
	in := e.pool.take(ctx, k)
	if in == nil {
		var err error
		if in, err = e.newInstance(ctx, k); err != nil {
			e.pool.put(nil)
			return nil, err
		}
		in.shared = true
		if err := in.lock(ctx, nil, nil); err != nil {
			in.end()
			return nil, err
		}
	}
	return e.session(in)
}

// openAlone begins a call on an instance of its own, which can also read files (local path → name for people) in their
// places, and read and write in folders.
func (e *Engine) openAlone(ctx context.Context, k kind, files map[string]string, folders []string) (*session, error) {
	in, err := e.newInstance(ctx, k.filled())
	if err != nil {
		return nil, err
	}
	if err := in.lock(ctx, files, folders); err != nil {
		in.end()
		return nil, err
	}
	s, err := e.session(in)
	if err == nil {
		maps.Copy(s.names, files)
	}
	return s, err
}

// session connects to a locked instance.
func (e *Engine) session(in *instance) (*session, error) {
	s := &session{engine: e, in: in, zone: in.kind.timeZone, names: map[string]string{}, began: e.options.Clock.Now()}
	if err := in.connect(&s.conn); err != nil {
		in.end()
		return nil, err
	}
	return s, nil
}

// stage is a folder for files that the call writes. They go with the session.
func (s *session) stage() string {
	s.staged = true
	return s.in.stage()
}

// link makes the files that were located readable by the call, under names of our own. Nothing else of the folders that
// they are in can be reached. Errors: those of the file system, which may not allow links from there.
func (s *session) link() error {
	if len(s.names) == 0 {
		return nil
	}
	s.links = make(map[string]string, len(s.names))
	for path := range s.names {
		// Never the same name again, since DuckDB might remember what it has seen under one, and none that begins
		// another, since names are searched for in messages.
		link := filepath.Join(s.in.files(), fmt.Sprintf("%012d", s.in.linked))
		s.in.linked++
		if err := os.Link(path, link); err != nil {
			return err
		}
		s.links[path] = link
	}
	return nil
}

// fileList writes paths as a list that DuckDB does not expand, with links where there are some.
func (s *session) fileList(paths []string) string {
	escaped := make([]string, len(paths))
	for i, p := range paths {
		if link, ok := s.links[p]; ok {
			p = link
		}
		escaped[i] = escapeGlob(p)
	}
	return textList(escaped)
}

// close ends everything that the session holds, and its instance unless that can serve other calls as if new.
func (s *session) close() {
	if s.closed {
		return
	}
	s.closed = true
	reusable := s.in.shared && !s.spent.Load() && clock.Since(s.engine.options.Clock, s.began) < longCall && s.clear()
	bindings.Disconnect(&s.conn)
	for _, f := range s.release {
		f()
	}
	s.release = nil
	if reusable {
		s.engine.pool.put(s.in)
	} else {
		s.in.end()
	}
}

// clear takes away what the call has made, and tells whether that succeeded.
func (s *session) clear() bool {
	if len(s.made) > 0 {
		var r bindings.Result
		state := bindings.Query(s.conn, strings.Join(s.made, "; "), &r)
		bindings.DestroyResult(&r)
		if state == bindings.StateError {
			return false
		}
	}
	for _, link := range s.links {
		if err := os.Remove(link); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	if !s.staged {
		return true
	}
	entries, err := os.ReadDir(s.in.stage())
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(s.in.stage(), e.Name())))
	}
	return err == nil
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

// one runs a statement that we wrote and returns the text that it gives.
func (s *session) one(ctx context.Context, sql string) (string, error) {
	rows, err := s.all(ctx, sql)
	if err != nil {
		return "", err
	}
	text, _ := rows[0][0].(string)
	return text, nil
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
			s.spent.Store(true)
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
