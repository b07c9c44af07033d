package table_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func TestAppendAndReadBack(t *testing.T) {
	onStores(t, func(t *testing.T, l *lake) {
		t.Helper()
		tab := l.create("id bigint not null, name string, seen timestamp_ntz, part date", table.Create{PartitionBy: []string{"part"}})
		res := l.append(tab, values("ID, part, name", "(1, DATE '2001-02-15', 'a')", "(2, DATE '2001-02-16', 'it''s')", "(3, NULL, NULL)"))
		if res.VersionBefore != 0 || res.VersionAfter != 1 || res.RowsInserted != 3 || res.FilesAdded != 3 {
			t.Fatalf("result %+v", res)
		}
		again, err := table.Open(t.Context(), l.store, l.path)
		if err != nil {
			t.Fatal(err)
		}
		want(t, l.rows(again, "id", "name", "seen", "CAST(part AS VARCHAR)"),
			"1 a ∅ 2001-02-15", "2 it's ∅ 2001-02-16", "3 ∅ ∅ ∅")
		if n, ok := again.Snapshot().NumRows(); !ok || n != 3 {
			t.Fatalf("snapshot has %d rows, %v", n, ok)
		}
	})
}

func TestAppendMatchesColumnsByName(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint not null, name string, n int", table.Create{})
	for name, tt := range map[string]struct {
		src  table.Query
		want error
		text string
	}{
		"extra column":      {values("id, nme", "(1, 'a')"), table.ErrSchemaMismatch, `"nme"`},
		"missing not null":  {values("name", "('a')"), table.ErrSchemaMismatch, `"id"`},
		"null in not null":  {values("id, name", "(1, 'a')", "(NULL, 'b')"), table.ErrConstraint, `"id"`},
		"value too large":   {values("id, n", "(1, 3000000000)"), nil, "3000000000"},
		"text that is none": {values("id, n", "(1, 'x')"), nil, "'x'"},
		"no select":         {table.Query{}, table.ErrInvalidRequest, "SELECT"},
		"sql error":         {table.Query{SQL: "SELECT nothing"}, nil, "nothing"},
		"two spellings":     {table.Query{SQL: `SELECT * FROM (SELECT 1 AS id) a, (SELECT 2 AS "ID") b`}, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tab.Append(t.Context(), l.eng, table.Append{Source: tt.src})
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Fatalf("error %v, want %v with %q", err, tt.want, tt.text)
			}
		})
	}
	if err := tab.Refresh(t.Context()); err != nil || tab.Snapshot().Version() != 0 {
		t.Fatalf("version %d after refused appends, %v", tab.Snapshot().Version(), err)
	}
	if left := l.objects(); len(left) != 0 {
		t.Fatalf("refused appends left %v", left)
	}
}

func TestAppendMergeSchemaAddsColumns(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint not null, name string", table.Create{})
	l.append(tab, values("id, name", "(1, 'a')"))
	res, err := tab.Append(t.Context(), l.eng, table.Append{
		Source: values("id, price, tags", "(2, 1.50, ['x'])"), MergeSchema: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	if res.VersionAfter != 2 {
		t.Fatalf("version %d", res.VersionAfter)
	}
	want(t, l.rows(tab), "1 a ∅ ∅", "2 ∅ 1.50 [x]")
	schema, err := tab.Schema()
	if err != nil {
		t.Fatal(err)
	}
	f, err := schema.Lookup("price")
	if err != nil || f.Type.SQL() != "decimal(3,2)" || !f.Nullable {
		t.Fatalf("column %+v, %v", f, err)
	}
}

func TestAppendTwiceWithOneTxnIsDoneOnce(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint", table.Create{})
	a := table.Append{Source: values("id", "(1)"), Meta: table.ChangeMeta{Txns: []txlog.Txn{{AppID: "nightly", Version: 7}}}}
	first, err := tab.Append(t.Context(), l.eng, a)
	if err != nil || first.AlreadyDone {
		t.Fatalf("%+v %v", first, err)
	}
	again, err := tab.Append(t.Context(), l.eng, a)
	if err != nil || !again.AlreadyDone || again.VersionAfter != first.VersionAfter || again.RowsInserted != 0 {
		t.Fatalf("%+v %v", again, err)
	}
	a.Meta.Txns = append(a.Meta.Txns, txlog.Txn{AppID: "other", Version: 1})
	if _, err := tab.Append(t.Context(), l.eng, a); !errors.Is(err, table.ErrPartlyDone) {
		t.Fatalf("half done: %v", err)
	}
	want(t, l.rows(tab), "1")
}

// A stale handle, as another process has it: the commit that it lost to carries its txn.
func TestAppendFindsItsWorkDoneByAnother(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint", table.Create{})
	stale, err := table.Open(t.Context(), l.store, l.path)
	if err != nil {
		t.Fatal(err)
	}
	a := table.Append{Source: values("id", "(1)"), Meta: table.ChangeMeta{Txns: []txlog.Txn{{AppID: "nightly", Version: 7}}}}
	if _, err := tab.Append(t.Context(), l.eng, a); err != nil {
		t.Fatal(err)
	}
	res, err := stale.Append(t.Context(), l.eng, a)
	if err != nil || !res.AlreadyDone {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(stale), "1")
	if n := len(l.objects()); n != 1 {
		t.Fatalf("%d data files, want the loser's to be discarded", n)
	}
}

func TestAppendsFromStaleHandlesRebase(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint", table.Create{})
	stale, err := table.Open(t.Context(), l.store, l.path)
	if err != nil {
		t.Fatal(err)
	}
	l.append(tab, values("id", "(1)"))
	l.append(tab, values("id", "(2)"))
	res := l.append(stale, values("id", "(3)"))
	if res.VersionAfter != 3 || res.Attempts < 2 {
		t.Fatalf("%+v", res)
	}
	want(t, l.rows(stale), "1", "2", "3")
}

func TestAppendOfNothingCommitsOnlyProgress(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint", table.Create{})
	res := l.append(tab, values("id"))
	if res.VersionAfter != 0 {
		t.Fatalf("an empty append made version %d", res.VersionAfter)
	}
	res, err := tab.Append(t.Context(), l.eng, table.Append{Source: values("id"), Meta: table.ChangeMeta{Txns: []txlog.Txn{{AppID: "a", Version: 1}}}})
	if err != nil || res.VersionAfter != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	if got, ok := tab.Snapshot().Txn("a"); !ok || got.Version != 1 {
		t.Fatalf("txn %+v", got)
	}
}

func TestAppendDeleteWhereReplacesAFile(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, _file string", table.Create{})
	l.append(tab, values("id, _file", "(1, 'a.csv')", "(2, 'a.csv')", "(3, 'b.csv')", "(4, 'b.csv')", "(5, 'b.csv')"))
	c, err := tab.PrepareAppend(t.Context(), l.eng, table.Append{
		Source: values("id, _file", "(10, 'a.csv')", "(11, 'c.csv')"), DeleteWhere: "_file = 'a.csv'",
	})
	if err != nil {
		t.Fatal(err)
	}
	after, err := c.After(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	rows := []string{"10 a.csv", "11 c.csv", "3 b.csv", "4 b.csv", "5 b.csv"}
	want(t, l.read(after), rows...)
	want(t, l.read(c.Staged()), "10 a.csv", "11 c.csv")
	want(t, l.rows(tab), "1 a.csv", "2 a.csv", "3 b.csv", "4 b.csv", "5 b.csv")
	res, err := c.Commit(t.Context())
	if err != nil || res.RowsInserted != 2 || res.RowsDeleted != 2 || res.DeletionVectors != 1 {
		t.Fatalf("%+v %v", res, err)
	}
	want(t, l.rows(tab), rows...)
}

func TestDiscardLeavesNothing(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint", table.Create{})
	l.append(tab, values("id", "(1)", "(2)", "(3)"))
	before := l.objects()
	c, err := tab.PrepareAppend(t.Context(), l.eng, table.Append{Source: values("id", "(4)"), DeleteWhere: "id = 1"})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.objects()) != len(before)+2 {
		t.Fatalf("staged %v", l.objects())
	}
	if err := c.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := l.objects(); !slices.Equal(got, before) {
		t.Fatalf("left %v", got)
	}
	if _, err := c.Commit(t.Context()); !errors.Is(err, table.ErrChangeDone) {
		t.Fatalf("commit after discard: %v", err)
	}
}

func TestCreateRefusals(t *testing.T) {
	schema, err := txlog.ParseColumns("id bigint, name string")
	if err != nil {
		t.Fatal(err)
	}
	odd, err := txlog.NewSchema(txlog.Field{Name: "a b", Type: &txlog.DataType{Kind: txlog.KindLong, Name: "long"}, Nullable: true})
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		c    table.Create
		want error
	}{
		"no columns":              {table.Create{}, table.ErrInvalidRequest},
		"unknown partition":       {table.Create{Schema: schema, PartitionBy: []string{"x"}}, table.ErrInvalidRequest},
		"partition by everything": {table.Create{Schema: schema, PartitionBy: []string{"id", "name"}}, table.ErrInvalidRequest},
		"partition twice":         {table.Create{Schema: schema, PartitionBy: []string{"id", "ID"}}, table.ErrInvalidRequest},
		"unknown property":        {table.Create{Schema: schema, Properties: map[string]string{"delta.typo": "1"}}, table.ErrProperty},
		"bad value":               {table.Create{Schema: schema, Properties: map[string]string{"delta.appendOnly": "yes"}}, table.ErrProperty},
		"bad interval":            {table.Create{Schema: schema, Properties: map[string]string{"delta.logRetentionDuration": "1 month"}}, table.ErrProperty},
		"odd name":                {table.Create{Schema: odd, Properties: map[string]string{"delta.columnMapping.mode": "none"}}, table.ErrProperty},
	} {
		t.Run(name, func(t *testing.T) {
			store := mem.New(name)
			if _, err := table.CreateTable(t.Context(), store, "x", tt.c); !errors.Is(err, tt.want) {
				t.Fatalf("%v, want %v", err, tt.want)
			}
			if _, err := table.Open(t.Context(), store, "x"); !errors.Is(err, txlog.ErrNotATable) {
				t.Fatalf("after a refused create: %v", err)
			}
		})
	}
}

func TestCreateTwice(t *testing.T) {
	l := newLake(t)
	l.create("id bigint", table.Create{})
	schema, err := txlog.ParseColumns("id bigint")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.CreateTable(t.Context(), l.store, l.path, table.Create{Schema: schema}); !errors.Is(err, table.ErrTableExists) {
		t.Fatalf("%v", err)
	}
	if _, err := table.CreateTable(t.Context(), l.store, l.path, table.Create{Schema: schema, IfNotExists: true}); err != nil {
		t.Fatal(err)
	}
}

func TestCreateDefaultsAreThoseOfTheDesign(t *testing.T) {
	l := newLake(t)
	p := l.create("id bigint", table.Create{}).Snapshot().Protocol()
	if p.MinReaderVersion != 3 || p.MinWriterVersion != 7 ||
		!slices.Equal(p.ReaderFeatures, []string{"deletionVectors"}) ||
		!slices.Equal(slices.Sorted(slices.Values(p.WriterFeatures)), []string{"appendOnly", "deletionVectors", "invariants"}) {
		t.Fatalf("protocol %+v", p)
	}
	l.path = "silver/plain"
	p = l.create("id bigint", table.Create{Properties: map[string]string{"delta.EnableDeletionVectors": "false"}}).Snapshot().Protocol()
	if p.MinReaderVersion != 1 || p.MinWriterVersion != 2 {
		t.Fatalf("protocol %+v", p)
	}
}

func TestPrepareCreateAppendIsOneCommit(t *testing.T) {
	onStores(t, func(t *testing.T, l *lake) {
		t.Helper()
		c, err := table.PrepareCreateAppend(t.Context(), l.store, l.path, table.Create{PartitionBy: []string{"part"}}, l.eng,
			table.Append{Source: values("id, part", "(1, 'x')", "(2, 'y')"), Meta: table.ChangeMeta{Txns: []txlog.Txn{{AppID: "task", Version: 1}}}})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := table.Open(t.Context(), l.store, l.path); !errors.Is(err, txlog.ErrNotATable) {
			t.Fatalf("visible before the commit: %v", err)
		}
		after, err := c.After(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want(t, l.read(after), "1 x", "2 y")
		res, err := c.Commit(t.Context())
		if err != nil || res.VersionBefore != -1 || res.VersionAfter != 0 {
			t.Fatalf("%+v %v", res, err)
		}
		want(t, l.rows(c.Table()), "1 x", "2 y")
		if _, ok := c.Table().Snapshot().Txn("task"); !ok {
			t.Fatal("no txn")
		}
	})
}

func TestPrepareCreateAppendLosesARace(t *testing.T) {
	l := newLake(t)
	a := table.Append{Source: values("id", "(1)")}
	c, err := table.PrepareCreateAppend(t.Context(), l.store, l.path, table.Create{}, l.eng, a)
	if err != nil {
		t.Fatal(err)
	}
	tab := l.create("id bigint", table.Create{})
	if _, err := c.Commit(t.Context()); !errors.Is(err, txlog.ErrConflict) {
		t.Fatalf("%v", err)
	}
	if err := c.Discard(t.Context()); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab))
}

func TestPinnedTableIsReadOnly(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint", table.Create{})
	l.append(tab, values("id", "(1)"))
	old, err := tab.At(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(old))
	if _, err := old.Append(t.Context(), l.eng, table.Append{Source: values("id", "(1)")}); !errors.Is(err, table.ErrReadOnly) {
		t.Fatalf("%v", err)
	}
}

// What a SELECT gives and Delta has no type for is refused by name, or gets the nearest type, never a silent surprise.
func TestCreateFromOddTypes(t *testing.T) {
	for name, tt := range map[string]struct {
		expr, sqlType string // sqlType "" is an error that names the column
	}{
		"huge integer":  {"sum(1::BIGINT)", ""},
		"unsigned":      {"1::UINTEGER", "bigint"},
		"enum":          {"'a'::ENUM('a', 'b')", "string"},
		"uuid":          {"'5f0c0000-0000-4000-8000-000000000000'::UUID", ""},
		"time":          {"TIME '10:00:00'", ""},
		"interval":      {"INTERVAL 1 DAY", ""},
		"nanoseconds":   {"'2001-01-01 00:00:00'::TIMESTAMP_NS", ""},
		"fixed array":   {"[1, 2]::INTEGER[2]", ""},
		"null":          {"NULL", "int"},
		"json":          {"'{}'::JSON", "string"},
		"boolean":       {"true", "boolean"},
		"small decimal": {"1.5", "decimal(2,1)"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			c, err := table.PrepareCreateAppend(t.Context(), l.store, l.path, table.Create{}, l.eng,
				table.Append{Source: table.Query{SQL: "SELECT " + tt.expr + " AS odd"}})
			if tt.sqlType == "" {
				if err == nil || !strings.Contains(err.Error(), "odd") {
					t.Fatalf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.Commit(t.Context()); err != nil {
				t.Fatal(err)
			}
			schema, err := c.Table().Schema()
			if err != nil || schema.Fields[0].Type.SQL() != tt.sqlType {
				t.Fatalf("%s, %v", schema.Fields[0].Type.SQL(), err)
			}
		})
	}
}
