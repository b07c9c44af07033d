package table_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// widen changes types, given as "column" and "type" in turns.
func widen(t *testing.T, pairs ...string) table.Alter {
	t.Helper()
	var a table.Alter
	for i := 0; i < len(pairs); i += 2 {
		a.ChangeColumns = append(a.ChangeColumns, table.ChangeColumn{Column: pairs[i], Type: typeOf(t, pairs[i+1])})
	}
	return a
}

// TestWideningKeepsOldFiles: every allowed widening, at every depth; old files read as before through every operation.
func TestWideningKeepsOldFiles(t *testing.T) {
	const columns = "id int, b tinyint, s smallint, i int, j int, k int, l bigint, f float, d date, dc decimal(6,2), " +
		"st struct<x:int,m:map<string,array<int>>,z:date>, a array<struct<y:smallint>>"
	const row = "SELECT %s AS id, 7::TINYINT AS b, 8::SMALLINT AS s, 9 AS i, 2147483647 AS j, 11 AS k, 9223372036854775807 AS l, 0.1::FLOAT AS f, " +
		"DATE '2020-02-03' AS d, 1234.56 AS dc, {'x': 12, 'm': MAP {'k': [13]}, 'z': DATE '2020-02-03'} AS st, [{'y': 14::SMALLINT}] AS a"
	for name, properties := range map[string]map[string]string{
		"vectors": nil, "copies": {"delta.enableDeletionVectors": "false"}, "mapped": {"delta.columnMapping.mode": "id"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLake(t)
			tab := l.create(columns, table.Create{Properties: properties})
			source := func(id string) table.Query { return table.Query{SQL: fmt.Sprintf(row, id)} }
			l.append(tab, source("1"))
			l.append(tab, source("2"))
			request := widen(
				t, "b", "smallint", "s", "bigint", "i", "double", "j", "decimal(10,0)", "k", "decimal(14,3)", "l", "decimal(21,1)", "f", "double",
				"d", "timestamp_ntz", "dc", "decimal(9,4)", "st.x", "bigint", "st.z", "timestamp_ntz", "st.m.value.element", "bigint", "a.element.y", "int",
			)
			if _, err := tab.Alter(t.Context(), l.eng, request); !errors.Is(err, table.ErrInvalidRequest) || !strings.Contains(err.Error(), "delta.enableTypeWidening = true") {
				t.Fatalf("without the property: %v", err)
			}
			request.SetProperties = map[string]string{"delta.enableTypeWidening": "true"}
			res := l.alter(tab, request)
			if !strings.Contains(fmt.Sprint(res.FeaturesAdded), txlog.FeatureTypeWidening) {
				t.Fatalf("%+v", res)
			}
			schema := tab.Snapshot().Metadata().SchemaString
			for _, entry := range []string{
				`"delta.typeChanges":[{"fromType":"byte","toType":"short"}]`, `"delta.typeChanges":[{"fromType":"decimal(6,2)","toType":"decimal(9,4)"}]`,
				`"delta.typeChanges":[{"fromType":"integer","toType":"long","fieldPath":"value.element"}]`, `[{"fromType":"short","toType":"integer"}]`,
			} {
				if !strings.Contains(schema, entry) {
					t.Errorf("%s is not in %s", entry, schema)
				}
			}
			shown := []string{"id", "b", "s", "i", "j::VARCHAR", "k::VARCHAR", "l::VARCHAR", "f = 0.1::FLOAT::DOUBLE", "d::VARCHAR", "dc::VARCHAR", "st.x", "st.m", "st.z::VARCHAR", "a"}
			old := " 7 8 9 2147483647 11.000 9223372036854775807.0 true 2020-02-03 00:00:00 1234.5600 12 [{k [13]}] 2020-02-03 00:00:00 [[14]]"
			want(t, l.rows(tab, shown...), "1"+old, "2"+old)
			l.append(tab, table.Query{SQL: "SELECT 3 AS id, 1000::SMALLINT AS b, 9223372036854775806 AS s, 0.5::DOUBLE AS i, 4294967296 AS j, 1.125 AS k, " +
				"99999999999999999999.5::DECIMAL(21,1) AS l, 0.1::DOUBLE AS f, TIMESTAMP '2020-02-03 04:05:06.789' AS d, 99999.1234 AS dc, " +
				"{'x': 4294967296, 'm': MAP {'k': [4294967296]}, 'z': NULL} AS st, [{'y': 100000}] AS a"})
			fresh := "3 1000 9223372036854775806 0.5 4294967296 1.125 99999999999999999999.5 false 2020-02-03 04:05:06.789 99999.1234 4294967296 [{k [4294967296]}] ∅ [[100000]]"
			want(t, l.rows(tab, shown...), "1"+old, "2"+old, fresh)
			for predicate, ids := range map[string]string{
				"b = 7": "1 2", "b > 500": "3", "s >= 9223372036854775806": "3", "s < 9": "1 2", "i = 9.0": "1 2", "i < 1": "3",
				"j = 2147483647": "1 2", "j > 2147483647": "3", "k = 11": "1 2", "k < 1.126": "3", "l = 9223372036854775807": "1 2", "l > 9223372036854775807": "3",
				"f = 0.1::FLOAT::DOUBLE": "1 2", "f = 0.1::DOUBLE": "3", "d = TIMESTAMP '2020-02-03 00:00:00'": "1 2",
				"d > TIMESTAMP '2020-02-03 00:00:00'": "3", "d < TIMESTAMP '2020-02-03 00:00:01'": "1 2", "dc = 1234.56": "1 2", "dc > 9999.99": "3",
				"st.x = 12": "1 2", "st.x > 12": "3", "st.z < TIMESTAMP '2020-02-03 12:00:00'": "1 2",
				"i > 8.6": "1 2", "i < 9.4 AND i > 1": "1 2", "k > 10.6 AND k < 11.4": "1 2", "dc < 1234.564": "1 2", "dc > 1234.556 AND dc < 2000": "1 2",
				"i > (SELECT 8.6)": "1 2", "d < (SELECT TIMESTAMP '2020-02-03 04:00:00')": "1 2",
			} {
				if got := strings.Join(l.found(tab, predicate), " "); got != ids {
					t.Errorf("%s: rows %s, want %s", predicate, got, ids)
				}
			}
			if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "l > 9223372036854775807"}); err != nil {
				t.Fatal(err)
			}
			merge := table.Merge{
				Source: source("2"), On: "t.id = s.id AND t.d = s.d", Clauses: []table.Clause{{Set: []table.Assignment{{Column: "j", Value: "t.j + 1"}}}},
			}
			if _, err := tab.Merge(t.Context(), l.eng, merge); err != nil {
				t.Fatal(err)
			}
			changed := strings.Replace(old, "2147483647", "2147483648", 1)
			want(t, l.rows(tab, shown...), "1"+old, "2"+changed)
			if _, err := tab.Optimize(t.Context(), l.eng, table.Optimize{}); err != nil {
				t.Fatal(err)
			}
			want(t, l.rows(tab, shown...), "1"+old, "2"+changed)
			before, err := tab.At(t.Context(), 2)
			if err != nil {
				t.Fatal(err)
			}
			want(t, l.rows(before, "id", "typeof(j)", "typeof(d)"), "1 INTEGER DATE", "2 INTEGER DATE")
		})
	}
}

// found are the ids of rows that satisfy a condition, read as a query does: without files that cannot have one. The
// answer must be that of all files.
func (l *lake) found(tab *table.Table, where string) []string {
	l.t.Helper()
	schema, err := tab.Snapshot().Schema()
	if err != nil {
		l.t.Fatal(err)
	}
	q := table.Query{SQL: "SELECT id FROM r WHERE " + where}
	st, err := l.eng.Parse(l.t.Context(), table.Parse{SQL: q.SQL, Schemas: func(table.TableRef) (*txlog.Schema, error) { return schema, nil }})
	if err != nil {
		l.t.Fatal(err)
	}
	rel, _, err := tab.Relation(l.t.Context(), table.ScanOptions{Predicate: st.Tables[0].Predicate})
	if err != nil {
		l.t.Fatal(err)
	}
	q.Relations = map[string]table.Relation{"r": rel}
	return l.query(q)
}

// TestWideningOfPartitions: the text of a partition value stays, and means the same in the wider type.
func TestWideningOfPartitions(t *testing.T) {
	l := newLake(t)
	tab := l.create("id int, p int, d date", table.Create{PartitionBy: []string{"p", "d"}, Properties: map[string]string{"delta.enableTypeWidening": "true"}})
	l.append(tab, values("id, p, d", "(1, 1, DATE '2020-01-02')", "(2, NULL, NULL)"))
	l.alter(tab, widen(t, "p", "decimal(12,2)", "d", "timestamp_ntz"))
	l.append(tab, values("id, p, d", "(3, 1.25, TIMESTAMP '2020-01-02 03:04:05')", "(4, 1, TIMESTAMP '2020-01-02 00:00:00')"))
	want(t, l.rows(tab, "id", "p::VARCHAR", "d::VARCHAR"),
		"1 1.00 2020-01-02 00:00:00", "2 ∅ ∅", "3 1.25 2020-01-02 03:04:05", "4 1.00 2020-01-02 00:00:00")
	if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "p = 1 AND d = TIMESTAMP '2020-01-02 00:00:00'"}); err != nil {
		t.Fatal(err)
	}
	want(t, l.rows(tab, "id"), "2", "3")
}

func TestWideningRefuses(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, n int, d date, s struct<x:int>, a array<int>", table.Create{Properties: map[string]string{"delta.enableTypeWidening": "true"}})
	for name, tc := range map[string]struct {
		column, to, text string
	}{
		"narrower": {"id", "int", "bigint cannot become int"}, "not exact": {"id", "double", "bigint cannot become double"},
		"a zone": {"d", "timestamp", "date cannot become timestamp"}, "text": {"n", "string", "int cannot become string"},
		"a whole struct": {"s", "struct<x:bigint>", "cannot become"}, "a whole array": {"a", "array<bigint>", "cannot become"},
		"too few digits": {"n", "decimal(9,0)", "cannot become"},
	} {
		if _, err := tab.Alter(t.Context(), l.eng, widen(t, tc.column, tc.to)); !errors.Is(err, table.ErrUnsupported) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A wider source does not widen the table by itself.
	if _, err := tab.Append(t.Context(), l.eng, table.Append{Source: values("id, n", "(1, 4294967296)"), MergeSchema: true}); err == nil {
		t.Error("a number beyond the type was appended")
	}
	if got := tab.Snapshot().Version(); got != 0 {
		t.Errorf("version %d", got)
	}
}
