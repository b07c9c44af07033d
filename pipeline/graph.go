package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/table"
)

// graph parses all SQL, finds who reads whom, and puts models in order.
func (l *loader) graph(ctx context.Context) error {
	for _, m := range l.project.Models {
		if m.query != nil {
			if err := l.statement(ctx, m); err != nil {
				return err
			}
		}
		if err := l.expectations(ctx, m); err != nil {
			return err
		}
	}
	for _, p := range l.project.Pipelines {
		l.order(p)
	}
	return nil
}

// sqlProblem reports an error in the SQL of m. Offsets are exact where nothing before them was expanded.
func (l *loader) sqlProblem(m *Model, code string, offset int, format string, args ...any) {
	p := Problem{File: m.File, Line: m.query.line, Column: 1, Code: code, Message: fmt.Sprintf(format, args...)}
	if offset >= 0 && offset <= len(m.query.sql) {
		before := m.query.sql[:offset]
		p.Line += strings.Count(before, "\n")
		p.Column = offset - strings.LastIndexByte(before, '\n')
	}
	l.problems.add(p)
}

// statement parses the SELECT of m. Only errors of ctx and of the engine itself are returned.
func (l *loader) statement(ctx context.Context, m *Model) error {
	lookup := canonicalMoment().lookup(l.project.vars)
	sql, offset, err := expandSQL(m.query.sql, func(name string) (string, error) {
		m.query.timed = m.query.timed || strings.HasPrefix(name, "@")
		return lookup(name)
	})
	if err != nil {
		if !l.broken { // else a variable may lack its value because of that
			l.sqlProblem(m, CodeBadValue, offset, "%s", err)
		}
		return nil // it became a problem
	}
	s, err := l.o.Parser.Parse(ctx, table.Parse{SQL: sql, TimeZone: l.zoneOf(m)})
	var bad *table.SQLError
	switch {
	case errors.As(err, &bad):
		if sql != m.query.sql {
			bad.Offset = -1
		}
		l.sqlProblem(m, CodeBadValue, bad.Offset, "%s", bad.Message)
		return nil
	case err != nil:
		return fmt.Errorf("parse %s: %w", m.File, err)
	}
	m.query.canonical = s.Canonical
	if word, at := bareWord(m.query.sql, sessionWords()); word != "" {
		l.sqlProblem(m, CodeBadValue, at, "%s %s", word, forbidden(word))
	}
	for _, f := range s.Functions {
		if why := forbidden(f); why != "" {
			l.sqlProblem(m, CodeBadValue, strings.Index(strings.ToLower(m.query.sql), f), "%s() %s", f, why)
		}
	}
	l.references(m, s)
	if m.Kind == KindMerge {
		l.sources(m, s)
	}
	return nil
}

// references sorts the tables of a statement into upstream and pinned.
func (l *loader) references(m *Model, s *table.Statement) {
	for _, t := range s.Tables {
		at := strings.Index(m.query.sql, t.Name)
		if t.At != "" {
			l.sqlProblem(m, CodeBadValue, at, "time travel in a model would not move with the data: %s", t.Key())
			continue
		}
		name := strings.ToLower(t.Name)
		switch {
		case name == m.Name:
			l.sqlProblem(m, CodeBadRef, at, "a model cannot read its own table")
			continue
		case !isTableName(name):
			l.sqlProblem(m, CodeBadRef, at, "%q is not a table of the lake such as silver.flights", t.Name)
			continue
		}
		if slices.Contains(m.query.tables, name) {
			continue
		}
		m.query.tables = append(m.query.tables, name)
		other, ok := l.project.Model(strings.TrimSuffix(name, quarantineSuffix))
		switch {
		case !ok:
			l.sqlProblem(m, CodeBadRef, at, "no model makes %s%s", name, l.near(name))
		case other.Pipeline == m.Pipeline && other.Name != m.Name && other.Enabled:
			if !slices.Contains(m.Upstream, other.Name) {
				m.Upstream = append(m.Upstream, other.Name)
			}
		default:
			m.Pinned = append(m.Pinned, name)
		}
	}
	slices.Sort(m.query.tables)
	slices.Sort(m.Upstream)
	slices.Sort(m.Pinned)
}

func (l *loader) near(name string) string {
	names := make([]string, len(l.project.Models))
	for i, m := range l.project.Models {
		names[i] = m.Name
	}
	if n := meant(name, names); n != "" {
		return fmt.Sprintf("; did you mean %s?", n)
	}
	return ""
}

// sources finds the one source that a merge reads by its changes.
func (l *loader) sources(m *Model, s *table.Statement) {
	q := m.query
	for t := range q.from {
		if !slices.Contains(q.tables, t) {
			l.problems.add(Problem{File: m.File, Line: 1, Column: 1, Key: "from." + t, Code: CodeBadRef, Message: "the SELECT does not read " + t})
		}
	}
	if len(q.tables) == 0 {
		l.sqlProblem(m, CodeBadRef, -1, "kind merge needs a source table")
		return
	}
	if q.changesOf() == "" {
		l.problems.add(Problem{
			File: m.File, Line: 1, Column: 1, Key: "from", Code: CodeMissingKey,
			Message: "the SELECT reads several tables: say which one is read by its changes",
		})
	} else if !s.RowWise {
		l.sqlProblem(m, CodeBadValue, -1,
			"a SELECT over changes must be row-wise: no GROUP BY, aggregate, DISTINCT, window, LIMIT or set operation, else the rows would depend on where plans are cut")
	}
}

// changesOf is the source that is read by its changes, "" when the file does not say which.
func (q *querySpec) changesOf() string {
	for t, mode := range q.from {
		if mode == modeChanges {
			return t
		}
	}
	if len(q.tables) == 1 && q.from[q.tables[0]] != modePinned {
		return q.tables[0]
	}
	return ""
}

// expectations parses each SQL rule of m as a condition over one row.
func (l *loader) expectations(ctx context.Context, m *Model) error {
	for _, r := range m.table.rules {
		if r.sql == "" {
			continue
		}
		bad := func(format string, args ...any) {
			l.problems.add(Problem{File: m.File, Line: r.at.line, Column: r.at.column, Key: r.where, Code: CodeBadValue, Message: fmt.Sprintf(format, args...)})
		}
		condition, _, err := expandSQL(r.sql, canonicalMoment().lookup(l.project.vars))
		if err != nil {
			if !l.broken {
				bad("%s", err)
			}
			continue
		}
		s, err := l.o.Parser.Parse(ctx, table.Parse{SQL: "SELECT 1 FROM _lake.candidate WHERE (" + condition + "\n)", TimeZone: l.zoneOf(m)})
		var wrong *table.SQLError
		switch {
		case errors.As(err, &wrong):
			bad("%s", wrong.Message)
			continue
		case err != nil:
			return fmt.Errorf("parse %s: %w", m.File, err)
		}
		if word, _ := bareWord(condition, sessionWords()); word != "" {
			bad("%s %s", word, forbidden(word))
		}
		if len(s.Tables) != 1 || !s.RowWise {
			bad("a rule judges one row: no subquery, aggregate or window")
		}
		for _, f := range s.Functions {
			if why := forbidden(f); why != "" {
				bad("%s() %s", f, why)
			}
		}
	}
	return nil
}

func (l *loader) zoneOf(m *Model) string {
	if l.broken { // the zone may be what is wrong
		return "UTC"
	}
	p, _ := l.project.Pipeline(m.Pipeline)
	return p.TimeZone
}

// order sorts the models of p so that each follows its upstream, and reports cycles.
func (l *loader) order(p *Pipeline) {
	const (
		open = 1
		done = 2
	)
	state := map[string]int{}
	var sorted []*Model
	var trail []string
	var visit func(m *Model)
	visit = func(m *Model) {
		switch state[m.Name] {
		case done:
			return
		case open:
			i := slices.Index(trail, m.Name)
			cycle := append(slices.Clone(trail[i:]), m.Name)
			l.problems.add(Problem{File: m.File, Line: 1, Column: 1, Code: CodeConflict, Message: "models read each other in a circle: " + strings.Join(cycle, " → ")})
			return
		}
		state[m.Name] = open
		trail = append(trail, m.Name)
		for _, name := range m.Upstream {
			if u, ok := l.project.Model(name); ok {
				visit(u)
			}
		}
		trail = trail[:len(trail)-1]
		state[m.Name] = done
		sorted = append(sorted, m)
	}
	for _, m := range p.Models {
		visit(m)
	}
	p.Models = sorted
}

// sessionWords are functions that SQL lets people call without parentheses: they look like columns.
func sessionWords() []string {
	return []string{"current_date", "current_time", "current_timestamp", "localtime", "localtimestamp", "current_user", "session_user", "current_role", "current_catalog", "current_schema"}
}

// forbidden says why a model must not call f, "" when it may: a plan that is run twice must give the same rows, and
// sees nothing but its sources.
func forbidden(f string) string {
	switch f {
	case "random", "setseed", "uuid", "gen_random_uuid", "uuidv4", "uuidv7", "now", "current_timestamp", "current_date", "current_time", "get_current_time",
		"get_current_timestamp", "transaction_timestamp", "localtime", "localtimestamp", "current_localtime", "current_localtimestamp", "today",
		"nextval", "currval", "txid_current", "unix_now", "epoch_now", "statement_timestamp", "clock_timestamp":
		return "gives another answer each time; use @as_of or @run_id"
	case "version", "pg_backend_pid", "current_user", "session_user", "user", "current_role", "current_setting", "current_query", "current_database", "current_catalog",
		"current_schema", "current_schemas", "current_connection_id", "current_query_id", "current_transaction_id", "getenv", "getvariable", "write_log", "sleep_ms":
		return "depends on the session"
	case "glob", "query", "query_table", "sniff_csv", "read_text", "read_blob", "parquet_scan", "json_execute_serialized_sql", "pragma_version", "which_secret":
		return "reads something that is not a table of the lake"
	}
	for _, prefix := range []string{"read_", "parquet_", "duckdb_", "pragma_", "sqlite_", "postgres_", "mysql_", "iceberg_", "delta_", "pg_", "arrow_scan"} {
		if strings.HasPrefix(f, prefix) && f != "pg_typeof" {
			return "reads something that is not a table of the lake"
		}
	}
	return ""
}
