package typed_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/internal/tabletest"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/typed"
	"github.com/lakectl/lakectl/txlog"
)

func engine(t *testing.T) table.Engine {
	t.Helper()
	eng, err := duckdb.Open(duckdb.Options{TempDir: t.TempDir(), Threads: 2, MemoryBytes: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close() })
	return eng
}

func create(t *testing.T, columns string, c table.Create) *table.Table {
	t.Helper()
	schema, err := txlog.ParseColumns(columns)
	if err != nil {
		t.Fatal(err)
	}
	c.Schema = schema
	tab, err := table.CreateTable(t.Context(), mem.New(strings.ReplaceAll(t.Name(), "/", "-")), "t", c)
	if err != nil {
		t.Fatal(err)
	}
	return tab
}

func add[T any](t *testing.T, tab *table.Table, rows ...T) {
	t.Helper()
	res, err := typed.Append(t.Context(), tab, slices.Values(rows), typed.Options{})
	if err != nil || res.RowsInserted != int64(len(rows)) {
		t.Fatalf("%+v, %v", res, err)
	}
}

func all[T any](t *testing.T, tab *table.Table) []T {
	t.Helper()
	var out []T
	for row, err := range typed.Rows[T](t.Context(), tab, nil) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, row)
	}
	return out
}

type inner struct {
	X *int32
	Y []string
}

type everything struct {
	Flag  *bool
	Tiny  *int8 `lake:"b"`
	Small *int16
	Whole *int32
	Long  *int64
	F     *float32
	D     *float64
	Price *txlog.Decimal
	Text  *string
	Raw   []byte
	Day   *txlog.Date
	Seen  *time.Time
	Wall  *time.Time
	List  []*int64
	Tags  map[string]*float64
	In    *inner
}

const everyColumn = "flag boolean, b tinyint, small smallint, whole int, long bigint, f float, d double, price decimal(20,3), text string, raw binary, " +
	"day date, seen timestamp, wall timestamp_ntz, list array<bigint>, tags map<string,double>, `in` struct<x: int, y: array<string>>"

func p[T any](v T) *T { return &v }

func rowsOfEverything() []everything {
	when := time.Date(2026, 3, 29, 1, 30, 0, 123456000, time.UTC)
	return []everything{
		{},
		{
			p(true), p(int8(-128)), p(int16(32767)), p(int32(-5)), p(int64(math.MinInt64)), p(float32(0.1)), p(0.1),
			&txlog.Decimal{Unscaled: big.NewInt(-12345), Scale: 3}, p("ünï\n"),
			[]byte{0, 97},
			p(txlog.Date(-1)), &when, &when,
			[]*int64{p(int64(1)), nil},
			map[string]*float64{"a": p(1.5), "b": nil},
			&inner{p(int32(7)), []string{"q", ""}},
		},
		{Text: p(""), Raw: []byte{}, List: []*int64{}, Tags: map[string]*float64{}, In: &inner{}, D: p(math.Inf(1)), Price: &txlog.Decimal{}},
	}
}

// expected is the same rows in SQL.
const expected = `SELECT * FROM (VALUES
	(NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
	(true, -128, 32767, -5, -9223372036854775808, 0.1::FLOAT, 0.1::DOUBLE, -12.345::DECIMAL(20,3), 'ünï' || chr(10), '\x00a'::BLOB,
	 DATE '1969-12-31', TIMESTAMPTZ '2026-03-29 01:30:00.123456+00', TIMESTAMP '2026-03-29 01:30:00.123456', [1, NULL], MAP {'a': 1.5::DOUBLE, 'b': NULL}, {'x': 7, 'y': ['q', '']}),
	(NULL, NULL, NULL, NULL, NULL, NULL, 'inf'::DOUBLE, 0::DECIMAL(20,3), '', ''::BLOB, NULL, NULL, NULL, [], MAP {}, {'x': NULL, 'y': NULL}))`

func TestEveryTypeThereAndBack(t *testing.T) {
	eng := engine(t)
	for name, c := range map[string]table.Create{
		"plain": {}, "by name": {Properties: map[string]string{"delta.columnMapping.mode": "name"}},
		"by id":       {Properties: map[string]string{"delta.columnMapping.mode": "id"}},
		"row ids":     {Properties: map[string]string{"delta.enableRowTracking": "true"}},
		"partitioned": {PartitionBy: []string{"flag", "b", "price", "text", "raw", "day", "seen", "wall", "d"}},
	} {
		t.Run(name, func(t *testing.T) {
			tab := create(t, everyColumn, c)
			tabletest.Sound(t, tab, table.Fsck{Engine: eng})
			rows := rowsOfEverything()
			if name == "partitioned" { // the log has one form for NULL and nothing
				rows[2].Text, rows[2].Raw = nil, nil
			}
			add(t, tab, rows...)
			want, err := tabletest.Query(t.Context(), eng, table.Query{SQL: map[bool]string{
				true:  strings.Replace(expected, "''::BLOB", "NULL", 1),
				false: expected,
			}[name == "partitioned"]})
			if err != nil {
				t.Fatal(err)
			}
			if name != "partitioned" {
				tabletest.Same(t, "by the engine", tabletest.Rows(t, eng, tab), want)
			}
			back := all[everything](t, tab)
			if name == "partitioned" {
				order := func(a, b everything) int {
					return strings.Compare(fmt.Sprint(a.Price == nil, a.Flag == nil), fmt.Sprint(b.Price == nil, b.Flag == nil))
				}
				slices.SortFunc(back, order)
				slices.SortFunc(rows, order)
			}
			if len(back) != len(rows) {
				t.Fatalf("%d rows", len(back))
			}
			for i := range rows {
				if !same(rows[i], back[i]) {
					t.Errorf("row %d:\n%s\nwant\n%s", i, show(back[i]), show(rows[i]))
				}
			}
		})
	}
}

func same(a, b everything) bool { return show(a) == show(b) }

// show follows pointers, so that equal values have equal text.
func show(v any) string { return showValue(reflect.ValueOf(v)) }

func showValue(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case txlog.Decimal:
		if x.Unscaled == nil {
			x = txlog.Decimal{Unscaled: new(big.Int), Scale: 3}
		}
		return x.String()
	case time.Time:
		return x.String()
	}
	var parts []string
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "NULL"
		}
		return showValue(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			parts = append(parts, showValue(v.Field(i)))
		}
	case reflect.Slice:
		if v.IsNil() {
			return "NULL"
		}
		for i := range v.Len() {
			parts = append(parts, showValue(v.Index(i)))
		}
	case reflect.Map:
		if v.IsNil() {
			return "NULL"
		}
		for _, k := range v.MapKeys() {
			parts = append(parts, k.String()+":"+showValue(v.MapIndex(k)))
		}
		slices.Sort(parts)
	default:
		return fmt.Sprintf("%#v", v.Interface())
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

// Statistics decide what later reads skip: they must be those that the engine writes.
func TestStatisticsAreTheEngines(t *testing.T) {
	eng := engine(t)
	ours, theirs := create(t, everyColumn, table.Create{}), create(t, everyColumn, table.Create{})
	add(t, ours, rowsOfEverything()...)
	rel, _, err := ours.Relation(t.Context(), table.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := theirs.Append(t.Context(), eng, table.Append{Source: table.Query{SQL: "SELECT * FROM r", Relations: map[string]table.Relation{"r": rel}}}); err != nil {
		t.Fatal(err)
	}
	stats := func(tab *table.Table) *txlog.Stats {
		s, err := txlog.ParseStats(tab.Snapshot().Files().Add(0).Stats)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b := stats(ours), stats(theirs)
	for _, column := range []string{"list", "tags"} { // DuckDB counts the NULLs of elements, not of the list
		delete(a.NullCount, column)
	}
	if in, ok := a.NullCount["in"].(map[string]any); ok {
		delete(in, "y")
	}
	delete(a.Min, "d") // DuckDB's has no bounds beside an infinite one
	if fmt.Sprint(a.Min, a.Max, a.NullCount, *a.NumRecords) != fmt.Sprint(b.Min, b.Max, b.NullCount, *b.NumRecords) {
		t.Errorf("ours   %v\n%v\n%v\ntheirs %v\n%v\n%v", a.Min, a.Max, a.NullCount, b.Min, b.Max, b.NullCount)
	}
}

type order struct {
	ID    int64
	Total *int32
}

// What others wrote: files without a column, narrower ones, deleted rows, renamed columns.
func TestRowsOfATableThatChanged(t *testing.T) {
	eng := engine(t)
	tab := create(t, "id int, total smallint, gone int", table.Create{Properties: map[string]string{"delta.columnMapping.mode": "name", "delta.enableTypeWidening": "true"}})
	sql := func(sql string) {
		t.Helper()
		if _, err := tab.Append(t.Context(), eng, table.Append{Source: table.Query{SQL: sql}}); err != nil {
			t.Fatal(err)
		}
	}
	sql("SELECT i AS id, i AS total, 0 AS gone FROM range(10) r(i)")
	if _, err := tab.Alter(t.Context(), eng, table.Alter{
		DropColumns:   []string{"gone"},
		ChangeColumns: []table.ChangeColumn{{Column: "id", Type: kind(t, "bigint")}, {Column: "sum", Type: kind(t, "int")}},
		RenameColumns: []table.RenameColumn{{Column: "total", To: "sum"}},
	}); err != nil {
		t.Fatal(err)
	}
	sql("SELECT 5000000000 AS id, NULL::INT AS sum")
	if _, err := tab.Delete(t.Context(), eng, table.Delete{Where: "id BETWEEN 2 AND 8"}); err != nil {
		t.Fatal(err)
	}
	type row struct {
		ID  int64
		Sum *int32
	}
	var got []string
	for _, r := range all[row](t, tab) {
		got = append(got, show(r))
	}
	slices.Sort(got)
	if want := []string{"(0, 0)", "(1, 1)", "(5000000000, NULL)", "(9, 9)"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	for _, err := range typed.Rows[row](t.Context(), tab, nil) {
		if err != nil {
			t.Fatal(err)
		}
		break // nobody wants more
	}
	n := 0
	for _, err := range typed.Rows[row](t.Context(), tab, &txlog.Predicate{Op: txlog.OpGt, Column: []string{"id"}, Values: []txlog.Literal{{Kind: txlog.KindLong, Int: 100}}}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 1 {
		t.Errorf("%d rows of the file that may match, want 1", n)
	}
}

func TestManyFilesAndPartitions(t *testing.T) {
	eng := engine(t)
	tab := create(t, "id bigint, p int, text string", table.Create{PartitionBy: []string{"p"}})
	tabletest.Sound(t, tab, table.Fsck{Engine: eng})
	type row struct {
		ID   int64
		P    int
		Text string
	}
	rows := func(yield func(row) bool) {
		for i := range int64(100_000) {
			if !yield(row{i, int(i % 100), fmt.Sprint(i * i)}) {
				return
			}
		}
	}
	res, err := typed.Append(t.Context(), tab, rows, typed.Options{FileSize: 1, Memory: 1 << 20})
	if err != nil || res.RowsInserted != 100_000 || res.FilesAdded < 101 || res.FilesAdded > 1000 {
		t.Fatalf("%+v, %v", res, err)
	}
	seen := map[int64]bool{}
	for _, r := range all[row](t, tab) {
		if seen[r.ID] || int64(r.P) != r.ID%100 || r.Text != fmt.Sprint(r.ID*r.ID) {
			t.Fatalf("%+v", r)
		}
		seen[r.ID] = true
	}
	if len(seen) != 100_000 {
		t.Errorf("%d rows", len(seen))
	}
}

func TestDoneBefore(t *testing.T) {
	tab := create(t, "id bigint, total int", table.Create{})
	o := typed.Options{Meta: table.ChangeMeta{Txns: []txlog.Txn{{AppID: "job", Version: 7}}}}
	for _, again := range []bool{false, true} {
		res, err := typed.Append(t.Context(), tab, slices.Values([]order{{ID: 1}}), o)
		if err != nil || res.AlreadyDone != again {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	if n := len(all[order](t, tab)); n != 1 {
		t.Errorf("%d rows", n)
	}
}

func TestRefusals(t *testing.T) {
	type (
		short struct{ ID int16 }
		odd   struct{ Missing int }
		twice struct {
			ID int64
			Id int64 `lake:"id"`
		}
		text  struct{ ID string }
		total struct{ Total int64 }
	)
	try := func(columns string, c table.Create, write func(*table.Table) error) error {
		tab := create(t, columns, c)
		err := write(tab)
		for info, err := range tab.Store().List(t.Context(), "", "") {
			if err != nil || strings.HasSuffix(info.Key, ".parquet") {
				t.Errorf("left behind: %s, %v", info.Key, err)
			}
		}
		return err
	}
	into := func(rows ...order) func(*table.Table) error {
		return func(tab *table.Table) error {
			_, err := typed.Append(t.Context(), tab, slices.Values(rows), typed.Options{})
			return err
		}
	}
	for name, c := range map[string]struct {
		err  error
		want error
		says string
	}{
		"no column":                {try("id bigint", table.Create{}, into(order{})), table.ErrSchemaMismatch, "Total"},
		"too large":                {try("id tinyint, total int", table.Create{}, into(order{ID: 1}, order{ID: 128})), table.ErrValue, "column id: 128"},
		"not null":                 {try("id bigint, total int not null", table.Create{}, into(order{Total: p(int32(1))}, order{})), table.ErrConstraint, "total"},
		"not null without a field": {try("id bigint, total int, more int not null", table.Create{}, into(order{})), table.ErrConstraint, "more"},
		"check":                    {try("id bigint, total int", table.Create{Constraints: []table.AddConstraint{{Name: "c", Expression: "id > 0"}}}, into(order{ID: 1})), table.ErrUnsupported, "id > 0"},
		"append only reads": {try("id bigint, total int", table.Create{}, func(tab *table.Table) error {
			return firstError(typed.Rows[short](t.Context(), tab, nil))
		}), table.ErrSchemaMismatch, "int16"},
		"missing":   {try("id bigint", table.Create{}, func(tab *table.Table) error { return firstError(typed.Rows[odd](t.Context(), tab, nil)) }), table.ErrSchemaMismatch, "Missing"},
		"twice":     {try("id bigint", table.Create{}, func(tab *table.Table) error { return firstError(typed.Rows[twice](t.Context(), tab, nil)) }), table.ErrSchemaMismatch, "two fields"},
		"text":      {try("id bigint", table.Create{}, func(tab *table.Table) error { return firstError(typed.Rows[text](t.Context(), tab, nil)) }), table.ErrSchemaMismatch, "bigint"},
		"no struct": {try("id bigint", table.Create{}, func(tab *table.Table) error { return firstError(typed.Rows[int](t.Context(), tab, nil)) }), table.ErrSchemaMismatch, "int"},
		"cancelled": {try("id bigint, total int", table.Create{}, func(tab *table.Table) error {
			ctx, cancel := context.WithCancel(t.Context())
			_, err := typed.Append(ctx, tab, func(yield func(order) bool) {
				for i := range int64(40_000) {
					if i == 39_000 {
						cancel()
					}
					if !yield(order{ID: i}) {
						return
					}
				}
			}, typed.Options{FileSize: 1})
			return err
		}), context.Canceled, ""},
	} {
		if !errors.Is(c.err, c.want) || !strings.Contains(fmt.Sprint(c.err), c.says) {
			t.Errorf("%s: %v, want %v with %q", name, c.err, c.want, c.says)
		}
	}
	tab := create(t, "id bigint, total int", table.Create{})
	add(t, tab, order{ID: 1})
	if err := firstError(typed.Rows[total](t.Context(), tab, nil)); !errors.Is(err, table.ErrValue) || !strings.Contains(err.Error(), "pointer") {
		t.Errorf("NULL: %v", err)
	}
	if _, err := typed.Append(t.Context(), create(t, "day date, text string", table.Create{}), slices.Values([]struct{ Text string }{{"\xff"}}), typed.Options{}); !errors.Is(err, table.ErrValue) {
		t.Errorf("not UTF-8: %v", err)
	}
	if err := tab.Store().Delete(t.Context(), "t/"+tab.Snapshot().Files().Path(0)); err != nil {
		t.Fatal(err)
	}
	if err := firstError(typed.Rows[order](t.Context(), tab, nil)); !errors.Is(err, txlog.ErrFileGone) {
		t.Errorf("a file is gone: %v", err)
	}
}

func firstError[T any](rows iter.Seq2[T, error]) error {
	for _, err := range rows {
		if err != nil {
			return err
		}
	}
	return nil
}

func kind(t *testing.T, sql string) *txlog.DataType {
	t.Helper()
	d, err := txlog.ParseType(sql)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
