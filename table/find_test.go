package table_test

import (
	"fmt"
	"testing"

	"github.com/lakectl/lakectl/table"
)

// Conditions that find whole files, runs of rows, scattered rows, and rows around those that are gone already.
func TestDeleteFindsRowsHoweverTheyLie(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, p int", table.Create{PartitionBy: []string{"p"}})
	for n, p := range []string{"0", "1", "NULL", "3"} {
		l.append(tab, table.Query{SQL: "SELECT i + 1000 * " + text(n) + " AS id, " + p + " AS p FROM range(1000) r(i) ORDER BY i"})
	}
	if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "id = 1500"}); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		where                        string
		deleted                      int64
		removed, vectors, skippedAll int
	}{
		"a partition by name":        {"p = 1", 999, 1, 0, 3},
		"a partition by expression":  {"p % 2 = 1", 1999, 2, 0, 2},
		"the null partition":         {"p IS NULL", 1000, 1, 0, 3},
		"partitions, none":           {"p > 10", 0, 0, 0, 4},
		"a run at the start":         {"id < 100", 100, 0, 1, 3},
		"a run across files":         {"id >= 900 AND id < 1200", 300, 0, 2, 2},
		"scattered rows":             {"id % 10 = 0", 399, 0, 4, 0},
		"a file by its rows":         {"id >= 1000 AND id < 2000", 999, 1, 0, 3},
		"a file and scattered rows":  {"id >= 1000 AND id < 2000 OR id % 500 = 7", 1005, 1, 3, 0},
		"nothing":                    {"id < 0", 0, 0, 0, 4},
		"the row that is gone":       {"id = 1500", 0, 0, 0, 3},
		"everything, by a condition": {"id >= 0", 3999, 4, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := tab.PrepareDelete(t.Context(), l.eng, table.Delete{Where: tt.where})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Discard(t.Context()) //nolint:errcheck // in memory
			res := c.Result()
			if res.RowsDeleted != tt.deleted || res.FilesRemoved != tt.removed || res.DeletionVectors != tt.vectors {
				t.Errorf("%+v, want %+v", res, tt)
			}
			if skipped := res.FilesSkippedPartition + res.FilesSkippedStats; skipped != tt.skippedAll {
				t.Errorf("skipped %d files, want %d: %+v", skipped, tt.skippedAll, res)
			}
			after, err := c.After(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			left := l.query(table.Query{
				SQL:       "SELECT count(*) FILTER (WHERE " + tt.where + "), count(*) + " + text(int(tt.deleted)) + " FROM t",
				Relations: map[string]table.Relation{"t": after},
			})
			want(t, left, "0 3999")
		})
	}
}

// A condition may be one over partitions alone only after the planner has dropped a part that can never be true. Such a
// delete failed: Values list "t" does not have a column named "name".
func TestDeleteByPartitionNamesDroppedColumns(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, name string, st struct<a:int>, p string", table.Create{PartitionBy: []string{"p"}})
	l.append(tab, values("id, name, st, p", "(1, 'a', {'a': 1}, 'x')", "(2, 'b', {'a': 2}, 'y')", "(3, 'c', NULL, NULL)"))
	for _, c := range []struct {
		where string
		rows  int64
	}{
		{"name <> NULL::VARCHAR OR p = 'x'", 1},
		{"(t.st.a = 1 AND false) OR t.p IS NULL", 1},
		{"t.id = 5 AND t.id = 6 OR t.p = 'z'", 0},
	} {
		res, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: c.where})
		if err != nil {
			t.Fatalf("%s: %v", c.where, err)
		}
		if res.RowsDeleted != c.rows {
			t.Errorf("%s: %d rows, want %d", c.where, res.RowsDeleted, c.rows)
		}
	}
	if rows := l.rows(tab); len(rows) != 1 {
		t.Errorf("rows %v", rows)
	}
}

// A file leaves unread where its statistics prove the condition for every row, and only there.
func TestDeleteReadsNoFileThatTheLogProves(t *testing.T) {
	for _, c := range []struct {
		where   string
		deleted int64
		read    int // files
	}{
		{"id < 200", 198, 0},
		{"id BETWEEN 100 AND 199", 100, 0},
		{"id < 250", 248, 1},
		{"NOT (id >= 100)", 98, 0},
		{"id < 100 AND n < 1000", 83, 1}, // n may be NULL
		{"id < 100 AND n IS DISTINCT FROM 7", 98, 1},
		{"id < 100 OR day > DATE '2026-01-02'", 198, 0},
		{"id < 100 AND d < 1e300", 97, 1}, // NaN is no bound
		{"id < 100 AND s < 'zz'", 98, 0},
		{"id < 200 AND id % 1 = 0", 198, 2},
		{"(id < 100) IS NOT NULL AND id >= 200", 100, 1},
		{"id <> 5", 297, 1},
	} {
		l := newLake(t)
		tab := l.create("id bigint, n int, d double, s string, day date", table.Create{})
		for file := range 3 {
			l.append(tab, table.Query{SQL: fmt.Sprintf("SELECT i AS id, CASE WHEN i %% 7 <> 0 THEN 1 END AS n, CASE WHEN i = 50 THEN 'nan'::DOUBLE ELSE i END AS d, "+
				"'s' || i AS s, DATE '2026-01-0%d' AS day FROM range(%d, %d) r(i)", file+1, 100*file, 100*file+100)})
		}
		if _, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: "id IN (1, 3)"}); err != nil {
			t.Fatal(err)
		}
		res, err := tab.Delete(t.Context(), l.eng, table.Delete{Where: c.where})
		if err != nil {
			t.Fatal(err)
		}
		if res.RowsDeleted != c.deleted || res.FilesScanned != c.read || (res.BytesRead == 0) != (c.read == 0) {
			t.Errorf("%s: %d rows deleted, %d files read; want %+v", c.where, res.RowsDeleted, res.FilesScanned, c)
		}
		if left := l.query(table.Query{SQL: "SELECT count(*) FROM t WHERE " + c.where, Relations: map[string]table.Relation{"t": mustRelation(t, tab)}}); left[0] != "0" {
			t.Errorf("%s: %s rows are left", c.where, left[0])
		}
	}
}
