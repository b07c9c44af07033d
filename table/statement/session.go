package statement

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"strings"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Session runs statements. Lake and Engine are required, everything else may be zero. Safe for concurrent use as far as
// its parts are.
type Session struct {
	Lake     Lake
	Engine   table.Engine
	Options  table.Options    // of the tables that it makes
	TimeZone string           // IANA name; "" is UTC
	DryRun   bool             // what would change is planned and said, and nothing is changed
	Meta     table.ChangeMeta // of every commit
	// Confirm is asked before files are deleted for good: DROP, and VACUUM. Its error ends the statement; nil lets
	// everything pass.
	Confirm func(what string) error
	// Scratch is where a dry run stages the rows of a new table whose place does not exist yet; nil: nowhere.
	Scratch func(ctx context.Context) (objectstore.Store, string, error)
}

// Outcome is what came of a statement. One of the fields behind DryRun is set.
type Outcome struct {
	Statement Statement
	Table     string // as the statement names it; "" without one
	Verb      string // "merged into", "updated", …
	DryRun    bool

	Rows      *table.Rows // of a query; the caller reads and closes them
	Reading   *Reading    // what they are read from
	Change    *table.Result
	Altered   *table.AlterResult
	Described *table.Description
	History   iter.Seq2[*table.HistoryEntry, error]
	Tables    []string // of SHOW TABLES; never nil then
	Optimized *table.OptimizeResult
	Vacuumed  *table.VacuumResult
	Restored  *table.RestoreResult
	Dropped   *table.DropResult

	Schema *txlog.Schema    // of the table that was made
	Lost   []txlog.PeerLoss // who cannot work with it
}

// Exec runs the statements of a script in order and hands over what came of each. The first error ends it: what was
// committed before stays.
//
// Errors: *SyntaxError before anything is run; those of Run; those of each.
func (s *Session) Exec(ctx context.Context, script string, each func(*Outcome) error) error {
	statements, err := Parse(script)
	if err == nil {
		err = s.Check(ctx, statements)
	}
	if err != nil {
		return err
	}
	for i, st := range statements {
		out, err := s.Run(ctx, st)
		if err == nil {
			err = each(out)
		}
		if err != nil && len(statements) > 1 {
			return fmt.Errorf("statement %d: %w", i+1, err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Run runs one statement.
//
// Errors: *SyntaxError with the place in the script where the engine names it, else *table.SQLError;
// *UnknownTableError; those of package table.
func (s *Session) Run(ctx context.Context, st Statement) (*Outcome, error) {
	out := &Outcome{Statement: st, DryRun: s.DryRun}
	err := s.run(ctx, st, out)
	if err != nil {
		return nil, s.Placed(ctx, st, err)
	}
	return out, nil
}

func (s *Session) run(ctx context.Context, st Statement, out *Outcome) error {
	switch st := st.(type) {
	case *Select:
		return s.query(ctx, st, out)
	case *Merge:
		return s.merge(ctx, st, out)
	case *Update:
		return s.update(ctx, st, out)
	case *Delete:
		return s.delete(ctx, st, out)
	case *Insert:
		return s.insert(ctx, st, out)
	case *Create:
		return s.create(ctx, st, out)
	case *Alter:
		return s.alter(ctx, st, out)
	case *Drop:
		return s.drop(ctx, st, out)
	case *Describe:
		return s.describe(ctx, st, out)
	case *ShowTables:
		names, err := s.Lake.Tables(ctx, st.Layer)
		out.Tables = append([]string{}, names...)
		return err
	case *Optimize:
		return s.optimize(ctx, st, out)
	case *Vacuum:
		return s.vacuum(ctx, st, out)
	case *Restore:
		return s.restore(ctx, st, out)
	}
	return fmt.Errorf("%w: no statement %T", table.ErrInvalidRequest, st)
}

func (s *Session) query(ctx context.Context, st *Select, out *Outcome) error {
	r, err := Bind(ctx, s.Engine, s.Lake, st.SQL)
	if err != nil {
		return err
	}
	r.Query.TimeZone = s.TimeZone
	out.Reading = r
	out.Rows, err = s.Engine.Query(ctx, r.Query)
	return err
}

// open opens the table that a statement changes, at its newest version.
func (s *Session) open(ctx context.Context, n Name, out *Outcome) (*table.Table, error) {
	out.Table = n.Text
	store, path, err := s.Lake.Place(ctx, n.Text, false)
	if err != nil {
		return nil, unknown(ctx, s.Lake, n.Text, err)
	}
	t, err := table.Open(ctx, store, path, s.Options)
	if err != nil {
		return nil, unknown(ctx, s.Lake, n.Text, err)
	}
	return t, nil
}

// commit makes a change, or says what it would do. prepare is called again where another writer was faster.
func (s *Session) commit(ctx context.Context, out *Outcome, verb string, prepare func(context.Context) (*table.Change, error)) error {
	c, err := prepare(ctx)
	if err != nil {
		return err
	}
	out.Verb = verb
	if s.DryRun {
		out.Change = c.Result()
		return c.Discard(ctx)
	}
	out.Change, err = c.CommitOrReplan(ctx, prepare)
	return err
}

// since is how long a statement has been running, in milliseconds.
func (s *Session) since() func() int64 {
	c := s.Options.Log.Clock
	if c == nil {
		return func() int64 { return 0 }
	}
	start := c.Now()
	return func() int64 { return clock.Since(c, start).Milliseconds() }
}

// Check reads the expressions and queries of statements, so that a script which is no SQL is refused before any of it is
// run. It looks nothing up.
//
// Errors: *SyntaxError.
func (s *Session) Check(ctx context.Context, statements []Statement) error {
	for _, st := range statements {
		for _, p := range st.origin().pieces {
			if q := (&parser{sql: p.text, tokens: scan(p.text)}); p.query && q.is("EXPLAIN") {
				continue // it is for the caller
			}
			if err := s.syntax(ctx, st.origin(), p); err != nil {
				return err
			}
		}
	}
	return nil
}

// syntax reads a piece. What it reports has its place in the script.
func (s *Session) syntax(ctx context.Context, o *located, p piece) error {
	r, err := rewrite(p.text)
	if err != nil {
		var ours *SyntaxError
		if errors.As(err, &ours) {
			return &SyntaxError{SQL: o.script, Offset: p.offset + ours.Offset, Reason: ours.Reason, Hint: ours.Hint}
		}
		return err
	}
	before, after := "SELECT (", "\n)"
	if p.query {
		before, after = "", ""
	}
	_, err = s.Engine.Parse(ctx, table.Parse{SQL: before + r.sql + after})
	var wrong *table.SQLError
	if !errors.As(err, &wrong) {
		return err
	}
	at := min(max(wrong.Offset-len(before), 0), len(p.text))
	if r.sql != p.text { // the words of ours before the place are longer or shorter: the place is where its word is
		at = max(0, findName(p.text, regexp.MustCompile(`near "(\w+)"`).FindStringSubmatch(wrong.Message)))
	}
	return &SyntaxError{SQL: o.script, Offset: p.offset + at, Reason: wrong.Message, Hint: o.hint, cause: err}
}

// Placed is err as a *SyntaxError where it is the engine's, about SQL whose place in the script can be found; else err.
func (s *Session) Placed(ctx context.Context, st Statement, err error) error {
	var wrong *table.SQLError
	var syntax *SyntaxError
	o := st.origin()
	if !errors.As(err, &wrong) || wrong.Data || errors.As(err, &syntax) || ctx.Err() != nil {
		return err
	}
	if serr := s.Check(ctx, []Statement{st}); serr != nil {
		return serr
	}
	// It can be read, so it names something that is not there.
	message, _, _ := strings.Cut(wrong.Message, "Did you mean")
	message, _, _ = strings.Cut(message, "Candidate bindings")
	var name []string
	for _, pattern := range []string{`named "([^"]+)"`, `(?i)with name "?(\w+)`, `"([^"]+)"`} {
		if name = regexp.MustCompile(pattern).FindStringSubmatch(message); name != nil {
			break
		}
	}
	for _, p := range o.pieces {
		if offset := findName(p.text, name); offset >= 0 {
			return &SyntaxError{SQL: o.script, Offset: p.offset + offset, Reason: wrong.Message, cause: err}
		}
	}
	return err
}

// findName is where the name of a match stands in SQL, -1 nowhere.
func findName(sql string, match []string) int {
	if match == nil {
		return -1
	}
	p := &parser{sql: sql, tokens: scan(sql)}
	for i, t := range p.tokens {
		switch {
		case t.kind == tokenWord && p.isAt(i, match[1]):
			return t.start
		case t.kind == tokenQuoted && unquoted(p.textOf(i)) == match[1]:
			return t.start
		}
	}
	return -1
}
