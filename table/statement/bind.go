package statement

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Lake says where the names of statements lead. Names come as they are written, without quotes; a lake that knows
// "t@v3" as a version of t reads the tail itself. Safe for concurrent use. Nothing is retried.
type Lake interface {
	// Reference finds what stands in FROM: a table, at the version that ref travels to, or files outside of tables; then
	// the table is nil. Errors: txlog.ErrNotATable when there is neither.
	Reference(ctx context.Context, ref table.TableRef) (*table.Table, table.Relation, error)
	// Place is where a table of the name is or shall be: below a store. With create, what the store needs to take it is
	// made. An old version is an error: it cannot be written.
	Place(ctx context.Context, name string, create bool) (objectstore.Store, string, error)
	// Tables lists the names of tables, those of a layer or all, sorted. A lake without names has none.
	Tables(ctx context.Context, layer string) ([]string, error)
}

// Reading is a query with everything that it reads, pinned.
type Reading struct {
	Query   table.Query
	Reports []*table.ScanReport // one for each table that is scanned
	Scanned []Scanned           // the same tables
	Tables  []*table.Table      // and those whose change feeds are read
}

// Scanned is a table of a query with what the query wants of it.
type Scanned struct {
	Table *table.Table
	Ref   table.TableRef
}

// FunctionError says that a query calls a function that would read files past the lake. Terminal.
type FunctionError struct{ Function string }

func (e *FunctionError) Error() string {
	return e.Function + " cannot be called: the engine sees only the tables and files that are named in FROM"
}

// Bind resolves a query: every table and file in it is found and pinned, and files that cannot matter are left out.
//
// Errors: *SyntaxError, *table.SQLError, *FunctionError, *UnknownTableError, those of the lake.
func Bind(ctx context.Context, eng table.Engine, lake Lake, sql string) (*Reading, error) {
	r, err := rewrite(sql)
	if err != nil {
		return nil, err
	}
	first, err := eng.Parse(ctx, table.Parse{SQL: r.sql})
	if err != nil {
		return nil, err
	}
	if f := fileFunction(first.Functions); f != "" {
		return nil, &FunctionError{f}
	}
	b := &binding{lake: lake, eng: eng, tables: map[string]*table.Table{}, schemas: map[string]*txlog.Schema{}}
	b.out.Query = table.Query{SQL: r.sql, Relations: map[string]table.Relation{}}
	for _, ref := range first.Tables {
		if call, is := r.feeds[ref.Name]; is {
			err = b.feed(ctx, ref, call)
		} else {
			err = b.reference(ctx, ref)
		}
		if err != nil {
			return nil, err
		}
	}
	return &b.out, b.scan(ctx)
}

type binding struct {
	lake    Lake
	eng     table.Engine
	out     Reading
	tables  map[string]*table.Table
	schemas map[string]*txlog.Schema
}

// feed opens what a call of table_changes reads.
func (b *binding) feed(ctx context.Context, ref table.TableRef, call feed) error {
	t, _, err := reference(ctx, b.lake, table.TableRef{Name: call.table})
	if err != nil {
		return err
	}
	if t == nil {
		return fmt.Errorf("table_changes: %s: %w", call.table, txlog.ErrNotATable)
	}
	rel, err := t.ChangeFeed(ctx, call.ends)
	b.out.Query.Relations[ref.Key()], b.schemas[ref.Key()] = rel, rel.Schema
	b.out.Tables = append(b.out.Tables, t)
	return err
}

func (b *binding) reference(ctx context.Context, ref table.TableRef) error {
	t, rel, err := reference(ctx, b.lake, ref)
	if err != nil {
		return err
	}
	key := ref.Key()
	if t != nil {
		b.tables[key] = t
		b.schemas[key], err = t.Schema()
		return err
	}
	b.out.Query.Relations[key] = rel
	fields, err := table.OutputOf(ctx, b.eng, table.Query{SQL: "SELECT * FROM source LIMIT 0", Relations: map[string]table.Relation{"source": rel}})
	if err != nil {
		return err
	}
	b.schemas[key], err = txlog.NewSchema(fields...)
	return err
}

// scan plans which files of each table are read.
func (b *binding) scan(ctx context.Context) error {
	// A Delta table holds fewer types than a screen can show (sum gives HUGEINT): as a subquery the statement keeps its
	// tables and predicates, and only a text comes out.
	const before = "SELECT CAST(hash(q) AS varchar) AS h FROM ("
	sql := b.out.Query.SQL
	wrapped := before + strings.TrimRight(sql, "; \t\r\n") + "\n) AS q"
	st, err := b.eng.Parse(ctx, table.Parse{SQL: wrapped, Schemas: func(r table.TableRef) (*txlog.Schema, error) {
		for key, s := range b.schemas {
			if strings.EqualFold(key, r.Key()) {
				return s, nil
			}
		}
		return nil, fmt.Errorf("table %s was not found", r.Name)
	}})
	if err != nil {
		return unwrapped(err, sql, len(before))
	}
	for _, ref := range st.Tables {
		t, ok := b.tables[ref.Key()]
		if !ok {
			continue
		}
		// All columns stay: the statement is bound by name once more, and may name a column that its plan drops.
		rel, report, err := t.Relation(ctx, table.ScanOptions{Predicate: ref.Predicate})
		if err != nil {
			return err
		}
		b.out.Query.Relations[ref.Key()] = rel
		b.out.Reports = append(b.out.Reports, report)
		b.out.Scanned = append(b.out.Scanned, Scanned{t, ref})
		b.out.Tables = append(b.out.Tables, t)
	}
	return nil
}

// unwrapped moves the place of an error from a statement that was wrapped around sql back into it.
func unwrapped(err error, sql string, prefix int) error {
	var e *table.SQLError
	if !errors.As(err, &e) || e.Offset < 0 || e.SQL == sql {
		return err
	}
	moved := *e
	moved.SQL = sql
	if moved.Offset -= prefix; moved.Offset < 0 || moved.Offset > len(sql) {
		moved.Offset = -1
	}
	return &moved
}

// fileFunction returns the first of the functions that would read files past us, or "".
func fileFunction(functions []string) string {
	for _, f := range functions {
		if strings.HasPrefix(f, "read_") || strings.HasSuffix(f, "_scan") || slices.Contains([]string{"glob", "sniff_csv", "parquet_metadata", "parquet_schema", "getenv"}, f) {
			return f
		}
	}
	return ""
}
