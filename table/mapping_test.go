package table_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// mappedStory is a table with every kind of nesting, written by every operation.
type mappedStory struct {
	*lake
	tab *table.Table
}

const mappedColumns = "id bigint not null, `the name` string, part string, s struct<`a b`:int,deep:struct<x:string>>, " +
	"list array<struct<u:int,v:string>>, m map<string,struct<w:int>>, seen timestamp"

func newMappedStory(t *testing.T, properties map[string]string) *mappedStory {
	t.Helper()
	l := newLake(t)
	return &mappedStory{l, l.create(mappedColumns, table.Create{PartitionBy: []string{"part"}, Properties: properties})}
}

// row is one source row.
func mappedRow(id int, name, part string) string {
	return fmt.Sprintf("(%d, '%s', '%s', {'a b': %d, 'deep': {'x': 'x%d'}}, [{'u': %d, 'v': 'v'}, {'u': NULL, 'v': NULL}], "+
		"MAP {'k': {'w': %d}}, TIMESTAMPTZ '2026-01-01 00:00:00+00')", id, name, part, id, id, id, id)
}

func mappedRows(rows ...string) table.Query {
	return values("id, \"the name\", part, s, list, m, seen", rows...)
}

// check reads the rows, and every live file's footer against the schema.
func (s *mappedStory) check(rows ...string) {
	s.t.Helper()
	want(s.t, s.rows(s.tab, `id`, `"the name"`, `part`, `s."a b"`, `s.deep.x`, `list[1].u`, `m['k'].w`), rows...)
	s.checkFooters()
}

func (s *mappedStory) checkFooters() {
	s.t.Helper()
	snap := s.tab.Snapshot()
	schema, err := snap.Schema()
	if err != nil {
		s.t.Fatal(err)
	}
	for i := range snap.Files().Len() {
		key, err := snap.Files().Key(i)
		if err != nil {
			s.t.Fatal(err)
		}
		root := footer(s.t, s.store, key)
		var fields []txlog.Field
		for _, f := range schema.Fields {
			if !slices.Contains(snap.PartitionColumns(), f.Name) {
				fields = append(fields, f)
			}
		}
		checkFooter(s.t, key, root.Fields, fields)
		for physical := range snap.Files().Partition(i) {
			if !strings.HasPrefix(physical, "col-") {
				s.t.Errorf("partition value of %q is not by physical name", physical)
			}
		}
		if stats := snap.Files().Add(i).Stats; strings.Contains(stats, `"id":`) || strings.Contains(stats, `"deep":`) {
			s.t.Errorf("statistics by logical names: %s", stats)
		}
	}
}

// footer is the schema in a Parquet file, as the file has it.
func footer(t *testing.T, store objectstore.Store, key string) *parquetio.Column {
	t.Helper()
	body, _, err := store.Get(t.Context(), key, objectstore.Range{})
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(body)
	if err = errors.Join(err, body.Close()); err != nil {
		t.Fatal(err)
	}
	f, err := parquetio.Open(bytes.NewReader(data), int64(len(data)), limits.Default())
	if err != nil {
		t.Fatal(err)
	}
	return f.Schema()
}

// checkFooter compares names and ids at every level: a column that the file lacks was added later.
func checkFooter(t *testing.T, key string, columns []*parquetio.Column, fields []txlog.Field) {
	t.Helper()
	for _, f := range fields {
		physical := f.PhysicalName(txlog.MappingName)
		if !strings.HasPrefix(physical, "col-") {
			t.Errorf("column %s has the physical name %q", f.Name, physical)
		}
		i := slices.IndexFunc(columns, func(c *parquetio.Column) bool { return c.Name == physical })
		if i < 0 {
			continue
		}
		id, ok := f.FieldID()
		if !ok || columns[i].FieldID != id {
			t.Errorf("%s: column %s has field id %d in the file, want %d", key, f.Name, columns[i].FieldID, id)
		}
		checkFooterType(t, key, columns[i], f.Type)
	}
	known := func(c *parquetio.Column) bool {
		return slices.ContainsFunc(fields, func(f txlog.Field) bool { return f.PhysicalName(txlog.MappingName) == c.Name })
	}
	for _, c := range columns {
		if !known(c) {
			t.Errorf("%s: the file has a column %s, which the table does not", key, c.Name)
		}
	}
}

func checkFooterType(t *testing.T, key string, c *parquetio.Column, typ *txlog.DataType) {
	t.Helper()
	switch typ.Kind {
	case txlog.KindStruct:
		checkFooter(t, key, c.Fields, typ.Fields)
	case txlog.KindArray:
		checkFooterType(t, key, c.Element, typ.Element)
	case txlog.KindMap:
		checkFooterType(t, key, c.Key, typ.Key)
		checkFooterType(t, key, c.Value, typ.Value)
	default:
	}
}

// TestMappedTableThroughEveryOperation: what a table with column mapping holds does not depend on the mapping, and
// every file has physical names and field ids.
func TestMappedTableThroughEveryOperation(t *testing.T) {
	for name, properties := range map[string]map[string]string{
		"name":         {"delta.columnMapping.mode": "NAME", "delta.targetFileSize": "1mb"},
		"id":           {"delta.columnMapping.mode": "id"},
		"by itself":    {},
		"no vectors":   {"delta.columnMapping.mode": "name", "delta.enableDeletionVectors": "false"},
		"checkpointed": {"delta.columnMapping.mode": "name", "delta.checkpointInterval": "1"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newMappedStory(t, properties)
			if got := s.tab.Snapshot().Mapping(); got == txlog.MappingNone {
				t.Fatal("no column mapping")
			}
			if p := s.tab.Snapshot().Protocol(); !p.Supports(txlog.FeatureColumnMapping) ||
				name == "no vectors" && (p.MinReaderVersion != 2 || p.MinWriterVersion != 5) {
				t.Fatalf("protocol %+v", *p)
			}
			s.append(s.tab, mappedRows(mappedRow(1, "a", "p"), mappedRow(2, "b", "q")))
			s.append(s.tab, mappedRows(mappedRow(3, "c", "p"), mappedRow(4, "d", "q"), mappedRow(5, "e", "p")))
			s.check("1 a p 1 x1 1 1", "2 b q 2 x2 2 2", "3 c p 3 x3 3 3", "4 d q 4 x4 4 4", "5 e p 5 x5 5 5")
			before := s.tab.Snapshot().Version()

			source := values(`id, "the name", part`, "(2, 'B', 'q')", "(3, NULL, 'gone')", "(9, 'n', 'r')")
			if _, err := s.tab.Merge(t.Context(), s.eng, table.Merge{
				Source: source, On: "t.id = s.id",
				Clauses: []table.Clause{
					deleteIf("s.part = 'gone'"),
					{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "the name", Value: `s."the name"`}}},
					{When: table.NotMatched, Do: table.DoInsert, Set: []table.Assignment{
						{Column: "id", Value: "s.id"}, {Column: "part", Value: "s.part"}, {Column: "the name", Value: `s."the name"`},
					}},
				},
			}); err != nil {
				t.Fatal(err)
			}
			s.check("1 a p 1 x1 1 1", "2 B q 2 x2 2 2", "4 d q 4 x4 4 4", "5 e p 5 x5 5 5", "9 n r ∅ ∅ ∅ ∅")

			if _, err := s.tab.Delete(t.Context(), s.eng, table.Delete{Where: `"the name" = 'e' OR part = 'r'`}); err != nil {
				t.Fatal(err)
			}
			s.check("1 a p 1 x1 1 1", "2 B q 2 x2 2 2", "4 d q 4 x4 4 4")

			if _, err := s.tab.Overwrite(t.Context(), s.eng, table.Overwrite{
				Source: mappedRows(mappedRow(7, "g", "q")), Partitions: true,
			}); err != nil {
				t.Fatal(err)
			}
			s.check("1 a p 1 x1 1 1", "7 g q 7 x7 7 7")
			if _, err := s.tab.Overwrite(t.Context(), s.eng, table.Overwrite{
				Source: mappedRows(mappedRow(8, "h", "q")), Where: `"the name" = 'g' OR id = 8`, Unchecked: false,
			}); err != nil {
				t.Fatal(err)
			}
			s.check("1 a p 1 x1 1 1", "8 h q 8 x8 8 8")

			s.append(s.tab, mappedRows(mappedRow(10, "i", "q")))
			if res, err := s.tab.Optimize(t.Context(), s.eng, table.Optimize{}); err != nil || res.FilesRemoved == 0 {
				t.Fatalf("%+v, %v", res, err)
			}
			s.check("1 a p 1 x1 1 1", "8 h q 8 x8 8 8", "10 i q 10 x10 10 10")
			s.append(s.tab, mappedRows(mappedRow(13, "j", "q")))
			if res, err := s.tab.Optimize(t.Context(), s.eng, table.Optimize{ZOrderBy: []string{"id", "the name"}}); err != nil || res.FilesAdded == 0 {
				t.Fatalf("%+v, %v", res, err)
			}
			s.check("1 a p 1 x1 1 1", "8 h q 8 x8 8 8", "10 i q 10 x10 10 10", "13 j q 13 x13 13 13")

			if _, err := s.tab.Append(t.Context(), s.eng, table.Append{
				Source: values("id, extra, more", "(11, 'z', {'n n': 1})"), MergeSchema: true,
			}); err != nil {
				t.Fatal(err)
			}
			s.check("1 a p 1 x1 1 1", "8 h q 8 x8 8 8", "10 i q 10 x10 10 10", "13 j q 13 x13 13 13", "11 ∅ ∅ ∅ ∅ ∅ ∅")
			want(t, s.rows(s.tab, "extra", `more."n n"`), "z 1", "∅ ∅", "∅ ∅", "∅ ∅", "∅ ∅")
			s.checkIDs(mappedLeaves + 3)

			if res, err := s.tab.Restore(t.Context(), table.Restore{Version: version(before)}); err != nil || res.FilesRestored == 0 {
				t.Fatalf("%+v, %v", res, err)
			}
			s.check("1 a p 1 x1 1 1", "2 b q 2 x2 2 2", "3 c p 3 x3 3 3", "4 d q 4 x4 4 4", "5 e p 5 x5 5 5")
			s.checkIDs(mappedLeaves + 3) // ids are never given out twice, whatever was restored
			if _, err := s.tab.Append(t.Context(), s.eng, table.Append{Source: values("id, extra", "(12, 'y')"), MergeSchema: true}); err != nil {
				t.Fatal(err)
			}
			s.checkIDs(mappedLeaves + 4)

			if _, err := s.tab.Vacuum(t.Context(), table.Vacuum{Retain: new(time.Duration), Force: true}); err != nil {
				t.Fatal(err)
			}
			want(t, s.rows(s.tab, "id", "extra"), "1 ∅", "2 ∅", "3 ∅", "4 ∅", "5 ∅", "12 y")
			s.checkFooters()
		})
	}
}

// mappedLeaves is the number of fields of mappedColumns, nested ones included.
const mappedLeaves = 13

// checkIDs demands the property that keeps the highest id.
func (s *mappedStory) checkIDs(highest int) {
	s.t.Helper()
	if got, _ := s.tab.Snapshot().Property(txlog.MaxColumnIDKey); got != strconv.Itoa(highest) {
		s.t.Errorf("%s is %s, want %d", txlog.MaxColumnIDKey, got, highest)
	}
}

func TestOverwriteSchemaOfAMappedTable(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, name string, part string", table.Create{
		PartitionBy: []string{"part"}, Properties: map[string]string{"delta.columnMapping.mode": "name"},
	})
	l.append(tab, values("id, name, part", "(1, 'a', 'p')"))
	old, err := tab.Schema()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Overwrite(t.Context(), l.eng, table.Overwrite{
		Source: table.Query{SQL: "SELECT 2::BIGINT AS id, 3 AS name, 'q' AS part, 'n' AS \"new one\""}, OverwriteSchema: true,
	}); err != nil {
		t.Fatal(err)
	}
	fresh, err := tab.Schema()
	if err != nil {
		t.Fatal(err)
	}
	same := func(a, b txlog.Field) bool {
		return a.PhysicalName(txlog.MappingName) == b.PhysicalName(txlog.MappingName)
	}
	if !same(old.Fields[0], fresh.Fields[0]) || same(old.Fields[1], fresh.Fields[1]) || !same(old.Fields[2], fresh.Fields[2]) {
		t.Errorf("columns of the same name and type stay, others are new:\n%s\n%s", old.JSON(), fresh.JSON())
	}
	want(t, l.rows(tab), "2 3 q n")
	before, err := tab.At(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(before), "1 a p")
}

// TestMappingOfTheSourceTableMeansNothing: a schema that was read from another table brings no ids along.
func TestMappingOfTheSourceTableMeansNothing(t *testing.T) {
	l := newLake(t)
	field := txlog.Field{Name: "id", Type: &txlog.DataType{Kind: txlog.KindLong}, Nullable: true, Metadata: map[string]json.RawMessage{
		txlog.FieldIDKey: json.RawMessage("7"), txlog.PhysicalNameKey: json.RawMessage(`"theirs"`), "comment": json.RawMessage(`"kept"`),
	}}
	for mode, want := range map[string]int{"none": 0, "name": 1} {
		tab, err := table.CreateTable(t.Context(), l.store, "lake/"+mode, table.Create{
			Schema: &txlog.Schema{Fields: []txlog.Field{field}}, Properties: map[string]string{"delta.columnMapping.mode": mode},
		})
		if err != nil {
			t.Fatal(err)
		}
		schema, err := tab.Schema()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := schema.Fields[0].FieldID()
		if id != want || strings.Contains(schema.JSON(), "theirs") || !strings.Contains(schema.JSON(), "kept") {
			t.Errorf("%s: %s", mode, schema.JSON())
		}
	}
}

func TestMappingRefusals(t *testing.T) {
	l := newLake(t)
	schema, err := txlog.ParseColumns("`a b` int, c struct<`d=e`:int>")
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		set  map[string]string
		want error
		text string
	}{
		"odd name without mapping": {map[string]string{"delta.columnMapping.mode": "none"}, table.ErrProperty, `"a b"`},
		"no such mode":             {map[string]string{"delta.columnMapping.mode": "both"}, table.ErrProperty, "both"},
		"ids are ours":             {map[string]string{"delta.columnMapping.maxColumnId": "9"}, table.ErrProperty, "maxColumnId"},
	} {
		_, err := table.CreateTable(t.Context(), l.store, l.path, table.Create{Schema: schema, Properties: tc.set})
		if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tab := l.create("id bigint", table.Create{})
	if _, err := tab.Append(t.Context(), l.eng, table.Append{Source: values(`id, "a b"`, "(1, 2)"), MergeSchema: true}); !errors.Is(err, table.ErrSchemaMismatch) {
		t.Errorf("an odd name joins a table without column mapping: %v", err)
	}
}
