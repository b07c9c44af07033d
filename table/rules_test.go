package table_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// ruled makes a table whose columns carry rules.
func (l *lake) ruled(columns string, c table.Create, marks map[string]func(txlog.Field) txlog.Field, o ...table.Options) *table.Table {
	l.t.Helper()
	schema, err := txlog.ParseColumns(columns)
	if err != nil {
		l.t.Fatal(err)
	}
	for path, mark := range marks {
		f, err := schema.LookupPath(strings.Split(path, "."))
		if err != nil {
			l.t.Fatal(err)
		}
		*f = mark(*f)
	}
	c.Schema = schema
	tab, err := table.CreateTable(l.t.Context(), l.store, l.path, c, o...)
	if err != nil {
		l.t.Fatal(err)
	}
	return tab
}

func generated(expression string) func(txlog.Field) txlog.Field {
	return func(f txlog.Field) txlog.Field { return f.WithGeneration(expression) }
}

func byDefault(expression string) func(txlog.Field) txlog.Field {
	return func(f txlog.Field) txlog.Field { return f.WithDefault(expression) }
}

func invariant(expression string) func(txlog.Field) txlog.Field {
	return func(f txlog.Field) txlog.Field { return f.WithInvariant(expression) }
}

// breaks demands an error about a rule and that nothing was left behind.
func (l *lake) breaks(tab *table.Table, kind string, rows int64, parts []string, write func() error) {
	l.t.Helper()
	version, before := tab.Snapshot().Version(), l.objects()
	err := write()
	var broken *table.ConstraintError
	if !errors.As(err, &broken) || !errors.Is(err, table.ErrConstraint) {
		l.t.Errorf("error %v, want a broken rule", err)
		return
	}
	if broken.Kind != kind || broken.Rows != rows || len(broken.Examples) != int(min(rows, table.ConstraintExamplesMax)) {
		l.t.Errorf("%+v, want %s and %d rows", broken, kind, rows)
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			l.t.Errorf("%q is not in %q", part, err)
		}
	}
	if err := tab.Refresh(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
	if tab.Snapshot().Version() != version || !slices.Equal(l.objects(), before) {
		l.t.Errorf("version %d after %d, objects %v after %v", tab.Snapshot().Version(), version, l.objects(), before)
	}
}

// redefine gives a table rules behind the back of its rows, as another writer might.
func (l *lake) redefine(tab *table.Table, properties map[string]string, marks map[string]func(txlog.Field) txlog.Field) {
	l.t.Helper()
	ctx := l.t.Context()
	old, err := tab.Schema()
	if err != nil {
		l.t.Fatal(err)
	}
	schema := &txlog.Schema{Fields: slices.Clone(old.Fields)}
	for column, mark := range marks {
		f, err := schema.Lookup(column)
		if err != nil {
			l.t.Fatal(err)
		}
		*f = mark(*f)
	}
	meta := *tab.Snapshot().Metadata()
	meta.SchemaString, meta.Configuration = schema.JSON(), maps.Clone(meta.Configuration)
	maps.Copy(meta.Configuration, properties)
	protocol, err := txlog.Design{Schema: schema, Properties: meta.Configuration}.Upgrade(tab.Snapshot().Protocol())
	if err != nil {
		l.t.Fatal(err)
	}
	tx := tab.Log().Begin(tab.Snapshot(), txlog.Operation{Name: "SET TBLPROPERTIES"})
	tx.Stage(&meta, protocol)
	if _, err := tx.Commit(ctx); err != nil {
		l.t.Fatal(err)
	}
	if err := tab.Refresh(ctx); err != nil {
		l.t.Fatal(err)
	}
}

func upsert(src table.Query) table.Merge {
	return table.Merge{Source: src, On: "t.id = s.id", Clauses: []table.Clause{
		{When: table.Matched, Do: table.DoUpdate, Star: true}, {When: table.NotMatched, Do: table.DoInsert, Star: true},
	}}
}

// Every way to bring new rows into a table meets its constraints and invariants; rows that only move do not.
func TestConstraints(t *testing.T) {
	for name, create := range map[string]func(l *lake) *table.Table{
		"check": func(l *lake) *table.Table {
			return l.ruled("id bigint, amount int, part string", table.Create{
				PartitionBy: []string{"part"}, Constraints: []table.AddConstraint{{Name: "Positive", Expression: "Amount > 0"}},
			}, nil)
		},
		"invariant": func(l *lake) *table.Table {
			return l.ruled("id bigint, amount int, part string", table.Create{PartitionBy: []string{"part"}},
				map[string]func(txlog.Field) txlog.Field{"amount": invariant("Amount > 0")})
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			tab := create(l)
			ctx := t.Context()
			l.append(tab, values("id, amount, part", "(1, 10, 'a')", "(2, 20, 'a')", "(3, 30, 'b')"))
			bad := values("id, amount, part", "(4, 1, 'a')", "(2, -5, 'b')", "(6, NULL, 'b')")
			parts := []string{"Amount > 0", "2 rows", "amount = -5", "amount = NULL"}
			l.breaks(tab, name, 2, parts, func() error {
				_, err := tab.Append(ctx, l.eng, table.Append{Source: bad})
				return err
			})
			l.breaks(tab, name, 2, parts, func() error {
				_, err := tab.Overwrite(ctx, l.eng, table.Overwrite{Source: bad})
				return err
			})
			l.breaks(tab, name, 2, parts, func() error {
				_, err := tab.Overwrite(ctx, l.eng, table.Overwrite{Source: bad, Partitions: true})
				return err
			})
			l.breaks(tab, name, 2, parts, func() error {
				_, err := tab.Merge(ctx, l.eng, upsert(bad))
				return err
			})
			l.breaks(tab, name, 1, []string{"amount = -10"}, func() error {
				_, err := tab.Merge(ctx, l.eng, table.Merge{Source: values("id", "(1)"), On: "t.id = s.id", Clauses: []table.Clause{
					{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "amount", Value: "-t.amount"}}},
				}})
				return err
			})
			l.breaks(tab, name, 5, []string{"…"}, func() error {
				_, err := tab.Append(ctx, l.eng, table.Append{Source: values("id, part", "(1, 'a')", "(2, 'a')", "(3, 'a')", "(4, 'a')", "(5, 'a')")})
				return err
			})
			if _, err := tab.Merge(ctx, l.eng, upsert(values("id, amount, part", "(1, 11, 'a')", "(7, 70, 'b')"))); err != nil {
				t.Fatal(err)
			}
			if _, err := tab.Delete(ctx, l.eng, table.Delete{Where: "id = 2", RewriteShare: 0.01}); err != nil {
				t.Fatal(err)
			}
			if _, err := tab.Optimize(ctx, l.eng, table.Optimize{}); err != nil {
				t.Fatal(err)
			}
			want(t, l.rows(tab, "id", "amount"), "1 11", "3 30", "7 70")
			first := txlog.Version(1)
			if _, err := tab.Restore(ctx, table.Restore{Version: &first}); err != nil {
				t.Fatal(err)
			}
			want(t, l.rows(tab, "id", "amount"), "1 10", "2 20", "3 30")
			l.breaks(tab, name, 2, parts, func() error {
				_, err := tab.Append(ctx, l.eng, table.Append{Source: bad})
				return err
			})
		})
	}
}

// Rules of one table add up, the first one that a row breaks is reported, and NOT NULL counts its rows too.
func TestSeveralRules(t *testing.T) {
	l := newLake(t)
	tab := l.ruled("id bigint not null, s struct<x:int,deep:struct<y:string>>, day date", table.Create{Constraints: []table.AddConstraint{
		{Name: "recent", Expression: "day >= '2020-01-01'"}, {Name: "known", Expression: "s.deep.y IN ('a', 'b') OR s IS NULL"},
	}}, map[string]func(txlog.Field) txlog.Field{"s.x": invariant("s.x BETWEEN 1 AND 9 OR s IS NULL")})
	ctx := t.Context()
	p := tab.Snapshot().Protocol()
	if !p.Supports(txlog.FeatureCheckConstraints) || !p.Supports(txlog.FeatureInvariants) {
		t.Errorf("protocol %+v", p)
	}
	add := func(row string) func() error {
		return func() error {
			_, err := tab.Append(ctx, l.eng, table.Append{Source: values("id, s, day", row)})
			return err
		}
	}
	if err := add("(1, {'x': 3, 'deep': {'y': 'a'}}, DATE '2020-01-01'), (2, NULL, DATE '2021-01-01')")(); err != nil {
		t.Fatal(err)
	}
	l.breaks(tab, "not null", 2, []string{`"id"`, "day = 2020"}, add("(NULL, NULL, DATE '2020-01-01'), (NULL, NULL, DATE '2019-01-01')"))
	l.breaks(tab, "check", 1, []string{"recent", "day >= '2020-01-01'"}, add("(3, NULL, DATE '2019-12-31')"))
	l.breaks(tab, "check", 1, []string{"known"}, add("(3, {'x': 3, 'deep': {'y': 'z'}}, DATE '2020-12-31')"))
	l.breaks(tab, "invariant", 1, []string{`"s.x"`}, add("(3, {'x': 10, 'deep': {'y': 'a'}}, DATE '2020-12-31')"))
	if _, err := tab.Alter(ctx, l.eng, table.Alter{DropConstraints: []string{"RECENT"}, AddConstraints: []table.AddConstraint{{Name: "Few", Expression: "id < 100"}}}); err != nil {
		t.Fatal(err)
	}
	if err := add("(3, NULL, DATE '2019-12-31')")(); err != nil {
		t.Fatal(err)
	}
	l.breaks(tab, "check", 1, []string{"few: id < 100", "id = 100"}, add("(100, NULL, NULL)"))
	l.breaks(tab, "check", 2, []string{"id < 3", "id = 3"}, func() error {
		_, err := tab.Alter(ctx, l.eng, table.Alter{AddConstraints: []table.AddConstraint{{Name: "fewer", Expression: "id < 3 AND day > '2020-06-01'"}}})
		return err
	})
}

// Generated columns are computed where rows do not bring them, and demanded where they do.
func TestGeneratedColumns(t *testing.T) {
	l := newLake(t)
	tab := l.ruled("id bigint, ts timestamp, day date, twice decimal(20,0), tag string not null", table.Create{PartitionBy: []string{"day"}},
		map[string]func(txlog.Field) txlog.Field{"day": generated("CAST(ts AS DATE)"), "twice": generated("ID * 2"), "tag": generated("concat('#', coalesce(id, -1))")})
	ctx := t.Context()
	if p := tab.Snapshot().Protocol(); !p.Supports(txlog.FeatureGeneratedColumns) {
		t.Errorf("protocol %+v", p)
	}
	l.append(tab, values("id, ts", "(1, TIMESTAMP '2024-01-01 10:00:00')", "(NULL, NULL)"))
	l.append(tab, values("id, ts, day, twice", "(2, TIMESTAMP '2024-01-02 10:00:00', DATE '2024-01-02', 4)", "(NULL, NULL, NULL, NULL)"))
	want(t, l.rows(tab, "id", "CAST(day AS VARCHAR)", "CAST(twice AS VARCHAR)", "tag"),
		"1 2024-01-01 2 #1", "2 2024-01-02 4 #2", "∅ ∅ ∅ #-1", "∅ ∅ ∅ #-1")
	l.breaks(tab, "generated", 2, []string{`"twice"`, "ID * 2", "twice = 5", "twice = NULL"}, func() error {
		_, err := tab.Append(ctx, l.eng, table.Append{Source: values("id, twice", "(2, 5)", "(3, NULL)", "(4, 8)")})
		return err
	})
	if _, err := tab.Merge(ctx, l.eng, upsert(values("id, ts", "(1, TIMESTAMP '2025-01-01 10:00:00')", "(3, TIMESTAMP '2025-01-03 10:00:00')"))); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Merge(ctx, l.eng, table.Merge{Source: values("k", "(2)"), On: "t.id = s.k", Clauses: []table.Clause{
		{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "id", Value: "t.id + 10"}}},
		{When: table.NotMatchedBySource, If: "t.id IS NULL", Do: table.DoUpdate, Set: []table.Assignment{{Column: "id", Value: "7"}, {Column: "twice", Value: "14"}}},
	}}); err != nil {
		t.Fatal(err)
	}
	all := []string{"1 2025-01-01 2 #1", "12 2024-01-02 24 #12", "3 2025-01-03 6 #3", "7 ∅ 14 #7", "7 ∅ 14 #7"}
	want(t, l.rows(tab, "id", "CAST(day AS VARCHAR)", "CAST(twice AS VARCHAR)", "tag"), all...)
	l.breaks(tab, "generated", 1, []string{"twice = 1"}, func() error {
		_, err := tab.Merge(ctx, l.eng, table.Merge{Source: values("id", "(1)"), On: "t.id = s.id", Clauses: []table.Clause{
			{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "twice", Value: "1"}}},
		}})
		return err
	})
	if _, err := tab.Optimize(ctx, l.eng, table.Optimize{}); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab, "id", "CAST(day AS VARCHAR)", "CAST(twice AS VARCHAR)", "tag"), all...)
	if _, err := tab.Overwrite(ctx, l.eng, table.Overwrite{Partitions: true, Source: values("id, ts", "(9, TIMESTAMP '2025-01-03 11:00:00')")}); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab, "id", "CAST(day AS VARCHAR)"), "1 2025-01-01", "12 2024-01-02", "9 2025-01-03", "7 ∅", "7 ∅")
}

// A column that a row does not mention gets its default; one that is NULL stays NULL.
func TestColumnDefaults(t *testing.T) {
	l := newLake(t)
	now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	tab := l.ruled("id bigint, state string not null, n smallint, since timestamp, none int", table.Create{}, map[string]func(txlog.Field) txlog.Field{
		"state": byDefault("'new'"), "n": byDefault("6 * 7"), "since": byDefault("current_timestamp()"), "none": byDefault("NULL"),
	}, table.Options{Log: txlog.Options{Clock: clock.Skewed(clock.System(), time.Until(now))}})
	ctx := t.Context()
	if p := tab.Snapshot().Protocol(); !p.Supports(txlog.FeatureColumnDefaults) {
		t.Errorf("protocol %+v", p)
	}
	l.append(tab, values("id", "(1)"))
	l.append(tab, values("id, n, since", "(2, NULL, NULL)"))
	if _, err := tab.Merge(ctx, l.eng, upsert(values("id, n", "(1, 5)", "(3, NULL)"))); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Merge(ctx, l.eng, table.Merge{Source: values("id", "(4)"), On: "t.id = s.id", Clauses: []table.Clause{
		{When: table.NotMatched, Do: table.DoInsert, Set: []table.Assignment{{Column: "id", Value: "s.id"}, {Column: "since", Value: "NULL"}}},
	}}); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab, "id", "state", "n", "year(since)", "none"), "1 new 5 2026 ∅", "2 new ∅ ∅ ∅", "3 new ∅ 2026 ∅", "4 new 42 ∅ ∅")
	l.breaks(tab, "not null", 1, []string{`"state"`}, func() error {
		_, err := tab.Append(ctx, l.eng, table.Append{Source: values("id, state", "(5, NULL)")})
		return err
	})
	if _, err := tab.Overwrite(ctx, l.eng, table.Overwrite{Source: values("n", "(1)")}); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab, "id", "state", "n"), "∅ new 1")
	// Columns that come later leave the rules of the others alone.
	if _, err := tab.Append(ctx, l.eng, table.Append{Source: values("id, more", "(1, 'x')"), MergeSchema: true}); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab, "id", "state", "n", "more"), "1 new 42 x", "∅ new 1 ∅")
}

// What a table demands and cannot be evaluated here stops new rows, by name; rows may still leave and move.
func TestRulesBeyondUs(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, name string", table.Create{})
	l.append(tab, values("id, name", "(1, 'a')", "(2, 'b')"))
	l.append(tab, values("id, name", "(3, 'c')"))
	ctx := t.Context()
	l.redefine(tab, map[string]string{"delta.constraints.c": "name RLIKE '^[a-z]$'", "delta.constraints.d": "id > 0"}, map[string]func(txlog.Field) txlog.Field{
		"name": func(f txlog.Field) txlog.Field {
			return f.WithDefault("uuid()").WithInvariant("soundex(name) = 'A000'")
		},
	})
	for what, write := range map[string]func() error{
		"append": func() error {
			_, err := tab.Append(ctx, l.eng, table.Append{Source: values("id", "(4)")})
			return err
		},
		"overwrite": func() error {
			_, err := tab.Overwrite(ctx, l.eng, table.Overwrite{Source: values("id", "(4)")})
			return err
		},
		"merge": func() error { _, err := tab.Merge(ctx, l.eng, upsert(values("id, name", "(1, 'x')"))); return err },
	} {
		err := write()
		var refused *txlog.FeatureError
		if !errors.As(err, &refused) {
			t.Fatalf("%s: %v", what, err)
		}
		for _, part := range []string{"soundex(name) = 'A000'", "soundex", "uuid", "name RLIKE '^[a-z]$'", "RLIKE", "delta.constraints.c"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is not in %q", what, part, err)
			}
		}
	}
	if _, err := tab.Delete(ctx, l.eng, table.Delete{Where: "id = 1", RewriteShare: 0.01}); err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Optimize(ctx, l.eng, table.Optimize{}); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab, "id", "name"), "2 b", "3 c")
	if _, err := tab.Alter(ctx, l.eng, table.Alter{DropConstraints: []string{"c"}}); err != nil {
		t.Fatal(err)
	}
	l.redefine(tab, nil, map[string]func(txlog.Field) txlog.Field{
		"name": func(f txlog.Field) txlog.Field { return f.WithDefault("").WithInvariant("") },
	})
	l.append(tab, values("id", "(4)"))
	want(t, l.rows(tab, "id", "name"), "2 b", "3 c", "4 ∅")
}

func TestRulesRefusedAtCreate(t *testing.T) {
	l := newLake(t)
	schema := func(columns string, at int, mark func(txlog.Field) txlog.Field) *txlog.Schema {
		s, err := txlog.ParseColumns(columns)
		if err != nil {
			t.Fatal(err)
		}
		s.Fields[at] = mark(s.Fields[at])
		return s
	}
	plain := schema("id bigint, name string, s struct<x:int>", 0, func(f txlog.Field) txlog.Field { return f })
	check := func(name, expression string) []table.AddConstraint {
		return []table.AddConstraint{{Name: name, Expression: expression}}
	}
	for name, c := range map[string]struct {
		create table.Create
		want   error
		part   string
	}{
		"unknown function":       {table.Create{Schema: plain, Constraints: check("c", "rand() > 0.5")}, txlog.ErrUnsupportedFeature, "rand"},
		"unknown column":         {table.Create{Schema: plain, Constraints: check("c", "nosuch > 0")}, txlog.ErrUnsupportedFeature, "nosuch"},
		"no condition":           {table.Create{Schema: plain, Constraints: check("c", "id + 1")}, txlog.ErrUnsupportedFeature, "condition"},
		"no name":                {table.Create{Schema: plain, Constraints: check(" ", "id > 1")}, table.ErrInvalidRequest, "name"},
		"twice":                  {table.Create{Schema: plain, Constraints: append(check("c", "id > 1"), check("C", "id > 2")...)}, table.ErrInvalidRequest, "C"},
		"default of columns":     {table.Create{Schema: schema("id bigint, n int", 1, byDefault("id"))}, txlog.ErrUnsupportedFeature, "id"},
		"generated of generated": {table.Create{Schema: schema("id bigint, n int", 1, generated("n + 1"))}, txlog.ErrUnsupportedFeature, "generated itself"},
		"generated of time":      {table.Create{Schema: schema("id bigint, n timestamp", 1, generated("now()"))}, txlog.ErrUnsupportedFeature, "now"},
		"identity of text": {table.Create{Schema: schema("id string, n int", 0, func(f txlog.Field) txlog.Field {
			return f.WithIdentity(&txlog.Identity{Start: 1, Step: 1})
		})}, txlog.ErrUnsupportedFeature, "bigint"},
		"nested default": {table.Create{Schema: schema("id bigint, s struct<x:int>", 1, func(f txlog.Field) txlog.Field {
			inner := *f.Type
			inner.Fields = []txlog.Field{f.Type.Fields[0].WithDefault("1")}
			f.Type = &inner
			return f
		})}, txlog.ErrUnsupportedFeature, "s.x"},
	} {
		_, err := table.CreateTable(t.Context(), l.store, l.path, c.create)
		if !errors.Is(err, c.want) || !strings.Contains(fmt.Sprint(err), c.part) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// fsck finds rows that another writer has let through, and says which rules it could not look at.
func TestFsckFindsBrokenRules(t *testing.T) {
	l := &lake{t: t, store: mem.New(t.Name()), eng: openEngine(t), path: "silver/orders"}
	tab := l.create("id bigint, part string, s struct<x:int>, twice bigint, day date, ts timestamp", table.Create{PartitionBy: []string{"part"}})
	l.append(tab, values("id, part, s, twice", "(1, 'a', {'x': 1}, 2)", "(2, 'a', {'x': 0}, 4)"))
	l.append(tab, values("id, part, s, twice", "(0, 'b', {'x': NULL}, 1)", "(-4, 'b', NULL, NULL)", "(5, NULL, NULL, 10)"))
	if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "id = 2", RewriteShare: 0.9}); err != nil {
		t.Fatal(err)
	}
	deep := func() []string {
		t.Helper()
		report, err := tab.Fsck(t.Context(), table.Fsck{Deep: true, Engine: l.eng})
		if err != nil {
			t.Fatal(err)
		}
		var found []string
		for _, f := range report.Findings {
			found = append(found, fmt.Sprintf("%s %s %s", f.Level, f.Class, f.Detail))
		}
		return found
	}
	if found := deep(); found != nil {
		t.Fatalf("before: %v", found)
	}
	l.redefine(tab, map[string]string{"delta.constraints.positive": "id > 0", "delta.constraints.share": "10 / id < 20", "delta.constraints.odd": "soundex(part) = 'x'"}, map[string]func(txlog.Field) txlog.Field{
		"s": func(f txlog.Field) txlog.Field {
			inner := *f.Type
			inner.Fields = []txlog.Field{f.Type.Fields[0]}
			inner.Fields[0].Nullable = false
			f.Type = &inner
			return f
		},
		"part":  func(f txlog.Field) txlog.Field { f.Nullable = false; return f },
		"twice": generated("id * 2"), "day": generated("CAST(ts AS DATE)"),
	})
	wants := []string{
		"damage constraint-broken constraint violated: a row does not satisfy CHECK constraint positive: id > 0, in 2 rows",
		"damage constraint-broken constraint violated: a row does not satisfy CHECK constraint share: 10 / id < 20: sql: division by zero",
		"damage constraint-broken constraint violated: a row has another value in column \"twice\" than the one that it is generated as: id * 2, in 2 rows",
		"damage not-null-broken constraint violated: column \"part\" is not null, a row has no value for it, in 1 rows",
		"damage not-null-broken constraint violated: column \"s.x\" is not null, a row has no value for it, in 1 rows",
	}
	found := deep()
	if len(found) != len(wants)+1 || !strings.HasPrefix(found[len(wants)], "warning rule-unchecked") || !strings.Contains(found[len(wants)], "soundex(part) = 'x'") {
		t.Fatalf("found\n  %s", strings.Join(found, "\n  "))
	}
	slices.Sort(found[:len(wants)])
	want(t, found[:len(wants)], wants...)
}
