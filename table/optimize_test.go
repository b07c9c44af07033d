package table_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/internal/tabletest"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func TestOptimizeCompactsByPartition(t *testing.T) {
	u := newUpkeep(t, "id bigint not null, day date, name string", table.Create{PartitionBy: []string{"day"}})
	for i := range 6 {
		u.append("SELECT i AS id, DATE '2026-01-01' + CAST(i %% 3 AS INTEGER) AS day, 'n' || i AS name FROM range(%d, %d) AS r(i)", i*30, i*30+30)
	}
	u.append("SELECT 1000 AS id, NULL AS day, 'no day' AS name")
	u.append("SELECT 1001 AS id, NULL AS day, NULL AS name")
	u.delete("id IN (3, 4, 5, 33)")
	before, files, version := u.rows(), u.files(), u.tab.Snapshot().Version()
	if files != 20 || u.vectors() == 0 {
		t.Fatalf("%d files, %d vectors: the table is not what this test wants", files, u.vectors())
	}

	plan := u.optimize(table.Optimize{DryRun: true})
	if plan.VersionAfter != version || plan.FilesRemoved != 20 || plan.FilesAdded != 4 || plan.PartitionsOptimized != 4 {
		t.Errorf("dry run %+v", plan)
	}
	if v := u.other().Snapshot().Version(); v != version {
		t.Fatalf("a dry run made version %d of %d", v, version)
	}

	res := u.optimize(table.Optimize{})
	if res.VersionBefore != version || res.VersionAfter != version+1 || res.FilesRemoved != 20 || res.FilesAdded != 4 || u.files() != 4 {
		t.Errorf("result %+v with %d files", res, u.files())
	}
	if u.vectors() != 0 || res.DeletionVectorsRemoved == 0 {
		t.Errorf("%d vectors are left, %d removed", u.vectors(), res.DeletionVectorsRemoved)
	}
	tabletest.Same(t, "rows after optimize", u.rows(), before)
	checkRearranged(t, u.commitOf(res.VersionAfter))

	again := u.optimize(table.Optimize{})
	if again.VersionAfter != res.VersionAfter || again.FilesRemoved != 0 {
		t.Errorf("a second run did something: %+v", again)
	}
}

// checkRearranged demands that a commit says of itself what OPTIMIZE says.
func checkRearranged(t *testing.T, c *txlog.Commit) {
	t.Helper()
	adds, removes := 0, 0
	for _, a := range c.Actions {
		switch a := a.(type) {
		case *txlog.Add:
			adds++
			if a.DataChange {
				t.Errorf("add %s says that data changed", a.Path)
			}
		case *txlog.Remove:
			removes++
			if a.DataChange {
				t.Errorf("remove %s says that data changed", a.Path)
			}
		}
	}
	m := c.Info.OperationMetrics
	if c.Info.Operation != "OPTIMIZE" || c.Info.IsolationLevel != "SnapshotIsolation" {
		t.Errorf("commitInfo %s, %s", c.Info.Operation, c.Info.IsolationLevel)
	}
	if m["numAddedFiles"] != fmt.Sprint(adds) || m["numRemovedFiles"] != fmt.Sprint(removes) {
		t.Errorf("metrics %v for %d adds and %d removes", m, adds, removes)
	}
	if c.Info.OperationParameters["zOrderBy"] == "" || c.Info.OperationParameters["predicate"] == "" {
		t.Errorf("parameters %v", c.Info.OperationParameters)
	}
}

func TestOptimizeZOrderSkipsFiles(t *testing.T) {
	u := newUpkeep(t, "a int, b int, s string, id bigint", table.Create{})
	const rows = 40_000
	for i := range 4 {
		u.append(`SELECT CAST(hash(i) %% 1000 AS INTEGER) AS a, CAST(hash(i * 7) %% 1000 AS INTEGER) AS b,
			'k' || (hash(i * 13) %% 100) AS s, i AS id FROM range(%d, %d) AS r(i)`, i*rows/4, (i+1)*rows/4)
	}
	u.append("SELECT NULL AS a, NULL AS b, NULL AS s, -1 AS id")
	before := u.rows()
	read := func(column string, value int64) *table.ScanReport {
		t.Helper()
		_, report, err := u.tab.Relation(t.Context(), table.ScanOptions{Predicate: &txlog.Predicate{
			Op: txlog.OpEq, Column: []string{column}, Values: []txlog.Literal{{Kind: txlog.KindLong, Int: value}},
		}})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	if r := read("b", 500); r.Read != 4 {
		t.Fatalf("%+v before: the table is not what this test wants", r)
	}

	target := u.tab.Snapshot().SizeBytes() / 16
	res := u.optimize(table.Optimize{ZOrderBy: []string{"A", "b"}, TargetSize: target})
	tabletest.Same(t, "rows after optimize", u.rows(), before)
	checkRearranged(t, u.commitOf(res.VersionAfter))
	if u.files() < 8 {
		t.Fatalf("%d files of %d bytes, want about 16", u.files(), target)
	}
	for _, column := range []string{"a", "b"} {
		r := read(column, 500)
		if r.Read > r.Files/2 || r.SkippedByStats == 0 {
			t.Errorf("%s = 500 reads %d of %d files", column, r.Read, r.Files)
		}
		t.Logf("%s = 500 reads %d of %d files", column, r.Read, r.Files)
	}
	if again := u.optimize(table.Optimize{ZOrderBy: []string{"a", "b"}, TargetSize: target}); again.VersionAfter != res.VersionAfter {
		t.Errorf("a second run did something: %+v", again)
	}
	if full := u.optimize(table.Optimize{ZOrderBy: []string{"s"}, TargetSize: target, Full: true}); full.FilesRemoved != res.FilesAdded {
		t.Errorf("another order: %+v", full)
	}
	tabletest.Same(t, "rows in another order", u.rows(), before)
}

func TestOptimizeZOrderRefuses(t *testing.T) {
	u := newUpkeep(t, "p string, id bigint, late bigint, flag boolean, list array<int>", table.Create{
		PartitionBy: []string{"p"}, Properties: map[string]string{"delta.dataSkippingNumIndexedCols": "1"},
	})
	for _, c := range []struct {
		by   []string
		says string
	}{
		{[]string{"p"}, "partition column"},
		{[]string{"nobody"}, "nobody"},
		{[]string{"id", "ID"}, "twice"},
		{[]string{"late"}, "statistics"},
		{[]string{"flag"}, "statistics"},
		{[]string{"list"}, "statistics"},
		{strings.Split("a,b,c,d,e,f,g,h,i", ","), "at most"},
	} {
		_, err := u.tab.Optimize(t.Context(), u.eng, table.Optimize{ZOrderBy: c.by})
		if !errors.Is(err, table.ErrInvalidRequest) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("Z-order by %v: %v, want ErrInvalidRequest with %q", c.by, err, c.says)
		}
	}
}

func TestOptimizeWhere(t *testing.T) {
	u := newUpkeep(t, "id bigint, region string, day date", table.Create{PartitionBy: []string{"region", "day"}})
	for range 2 {
		u.append(`SELECT i AS id, r AS region, DATE '2026-01-01' + CAST(i AS INTEGER) AS day
			FROM range(3) AS n(i), (VALUES ('north'), ('it''s'), (NULL)) AS v(r)`)
	}
	before := u.rows()
	if u.files() != 18 {
		t.Fatalf("%d files: the table is not what this test wants", u.files())
	}
	res := u.optimize(table.Optimize{Where: "t.region = 'it''s' OR region IS NULL AND day > DATE '2026-01-01' -- comment"})
	if res.PartitionsOptimized != 5 || res.FilesRemoved != 10 || u.files() != 13 {
		t.Errorf("%d partitions, %d files removed, %d left, want 5, 10, 13", res.PartitionsOptimized, res.FilesRemoved, u.files())
	}
	tabletest.Same(t, "rows after optimize", u.rows(), before)

	for _, c := range []struct {
		where string
		says  string
	}{
		{"id = 1", "id"},
		{"region = ", ""},
		{"region IN (SELECT x FROM other)", ""},
	} {
		if _, err := u.tab.Optimize(t.Context(), u.eng, table.Optimize{Where: c.where}); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("where %q: %v, want an error with %q", c.where, err, c.says)
		}
	}
}

// Another writer deletes a row of a file that is being rewritten: the deletion must win, and what was written for the
// other partition must not be written again.
func TestOptimizePlansAgainAfterConflict(t *testing.T) {
	u := newUpkeep(t, "id bigint, p string", table.Create{PartitionBy: []string{"p"}})
	for i := range 3 {
		u.append("SELECT i AS id, CASE WHEN i %% 2 = 0 THEN 'a' ELSE 'b' END AS p FROM range(%d, %d) AS r(i)", i*10, i*10+10)
	}
	other := u.other()
	eng := &meddler{Engine: u.eng, before: func(write int) {
		if write == 2 {
			if _, err := other.Delete(t.Context(), u.eng, table.Delete{Where: "id = 5"}); err != nil {
				t.Errorf("delete: %v", err)
			}
		}
	}}
	res, err := u.tab.Optimize(t.Context(), eng, table.Optimize{})
	if err != nil {
		t.Fatal(err)
	}
	if res.Attempts != 2 || eng.writes != 3 {
		t.Errorf("%d attempts with %d files written, want 2 with 3: one partition was not touched", res.Attempts, eng.writes)
	}
	if n := u.rows().Len(); n != 29 || u.files() != 2 {
		t.Errorf("%d rows in %d files, want 29 in 2", n, u.files())
	}
	live := map[string]bool{}
	for i := range u.files() {
		key, err := u.tab.Snapshot().Files().Key(i)
		if err != nil {
			t.Fatal(err)
		}
		live[strings.TrimPrefix(key, upkeepPath+"/")] = true
	}
	for _, c := range u.keys() {
		delete(live, c)
	}
	if len(live) != 0 {
		t.Errorf("live files are not there: %v", live)
	}
}

func TestOptimizeGivesUp(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{})
	for i := range 30 {
		u.append("SELECT i AS id FROM range(%d, %d) AS r(i)", i*10, i*10+10)
	}
	other, n := u.other(), 0
	eng := &meddler{Engine: u.eng, before: func(int) {
		n++
		if _, err := other.Delete(t.Context(), u.eng, table.Delete{Where: fmt.Sprintf("id = %d", n*10)}); err != nil {
			t.Errorf("delete: %v", err)
		}
	}}
	before := len(u.keys())
	_, err := u.tab.Optimize(t.Context(), eng, table.Optimize{})
	if !errors.Is(err, txlog.ErrConflict) {
		t.Fatalf("optimize: %v, want ErrConflict", err)
	}
	var parquet int
	for _, k := range u.keys()[:] {
		if strings.HasSuffix(k, ".parquet") {
			parquet++
		}
	}
	if parquet != before {
		t.Errorf("%d data files, want %d: what was staged must go", parquet, before)
	}
}

func TestOptimizeReadOnly(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{})
	u.append("SELECT 1 AS id")
	old, err := u.tab.At(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := old.Optimize(t.Context(), u.eng, table.Optimize{}); !errors.Is(err, table.ErrReadOnly) {
		t.Errorf("optimize of an old version: %v, want ErrReadOnly", err)
	}
}
