package table_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/tabletest"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func TestHistoryTellsWhatHappened(t *testing.T) {
	u := newUpkeep(t, "id bigint, name string", table.Create{})
	u.append("SELECT i AS id, 'n' AS name FROM range(10) AS r(i)")
	u.append("SELECT i AS id, 'n' AS name FROM range(10, 20) AS r(i)")
	u.delete("id = 3")
	_, err := u.tab.Merge(t.Context(), u.eng, table.Merge{
		Source: table.Query{SQL: "SELECT i AS id, 'new' AS name FROM range(19, 22) AS r(i)"}, On: "t.id = s.id",
		Clauses: []table.Clause{
			{When: table.Matched, Do: table.DoUpdate, Star: true}, {When: table.NotMatched, Do: table.DoInsert, Star: true},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	u.optimize(table.Optimize{ZOrderBy: []string{"id", "name"}})

	number := func(n int64) *int64 { return &n }
	want := []struct {
		operation                  string
		inserted, updated, deleted *int64
		added, removed, vectors    int
		details                    string
	}{
		{"OPTIMIZE", nil, nil, nil, 1, 3, 0, "zorder by id, name"},
		{"MERGE", number(2), number(1), number(0), 1, 0, 1, "on t.id = s.id"},
		{"DELETE", nil, nil, number(1), 0, 0, 1, "where id = 3"},
		{"WRITE", number(10), nil, nil, 1, 0, 0, "append"},
		{"WRITE", number(10), nil, nil, 1, 0, 0, "append"},
		{"CREATE TABLE", nil, nil, nil, 0, 0, 0, ""},
	}
	n := 0
	for e, err := range u.tab.History(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n == len(want) {
			t.Fatalf("one more: %+v", e)
		}
		w := want[n]
		if e.Operation != w.operation || e.FilesAdded != w.added || e.FilesRemoved != w.removed || e.DeletionVectors != w.vectors {
			t.Errorf("version %d: %s +%d -%d ±%d, want %+v", e.Version, e.Operation, e.FilesAdded, e.FilesRemoved, e.DeletionVectors, w)
		}
		if !strings.Contains(e.Details, w.details) || e.By != "lakectl" || e.TxnID == "" {
			t.Errorf("version %d: details %q by %q, want %q", e.Version, e.Details, e.By, w.details)
		}
		for _, c := range []struct {
			name      string
			got, want *int64
		}{{"inserted", e.RowsInserted, w.inserted}, {"updated", e.RowsUpdated, w.updated}, {"deleted", e.RowsDeleted, w.deleted}} {
			if c.want != nil && (c.got == nil || *c.got != *c.want) || w.inserted == nil && w.deleted == nil && c.got != nil && *c.got != 0 {
				t.Errorf("version %d %s: rows %s %v, want %v", e.Version, e.Operation, c.name, shown(c.got), shown(c.want))
			}
		}
		n++
	}
	if n != len(want) {
		t.Errorf("%d versions, want %d", n, len(want))
	}
	limited := 0
	for _, err := range u.tab.History(t.Context(), txlog.HistoryOptions{Limit: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		limited++
	}
	old, err := u.tab.At(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	pinned := 0
	for _, err := range old.History(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		pinned++
	}
	if limited != 2 || pinned != 2 {
		t.Errorf("%d versions with a limit of 2, %d of version 1", limited, pinned)
	}
}

func shown(n *int64) any {
	if n == nil {
		return "unknown"
	}
	return *n
}

func TestHistoryOfPipelines(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{})
	_, err := u.tab.Append(t.Context(), u.eng, table.Append{Source: table.Query{SQL: "SELECT 1 AS id"}, Meta: table.ChangeMeta{
		Txns: []txlog.Txn{{AppID: "x", Version: 3}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	for e, err := range u.tab.History(t.Context(), txlog.HistoryOptions{Limit: 1}) {
		if err != nil || e.Txns["x"] != 3 {
			t.Errorf("%+v, %v", e, err)
		}
	}
}

func TestDescribe(t *testing.T) {
	b := tabletest.New(t).Columns("id bigint not null comment 'number', day date, name string").PartitionBy("day").
		Property("delta.logRetentionDuration", "interval 60 days").Rows(9).Commit().Rows(3).Txn("app", 5).Commit().DeleteRows(0, 3)
	tab := b.Open()
	d, err := tab.Describe(t.Context(), table.Describe{Files: true})
	if err != nil {
		t.Fatal(err)
	}
	if d.Version != 3 || d.Files != 6 || d.Rows == nil || *d.Rows != 10 || d.DeletedRows != 2 || d.DeletionVectors != 1 || d.Partitions != 3 {
		t.Errorf("%+v", d)
	}
	if d.NotReadable != "" || d.NotWritable != "" || d.MinReaderVersion != 3 || d.ColumnMapping != "none" {
		t.Errorf("protocol: %+v", d)
	}
	if len(d.Columns) != 3 || d.Columns[0].Comment != "number" || d.Columns[0].Nullable || d.Columns[0].Type != "bigint" || !d.Columns[1].Partition {
		t.Errorf("columns: %+v", d.Columns)
	}
	if d.Properties["delta.logRetentionDuration"] != "interval 60 days" || d.Txns["app"] != 5 || len(d.FileList) != 6 {
		t.Errorf("properties %v, txns %v, %d files", d.Properties, d.Txns, len(d.FileList))
	}
	if d.Bytes != tab.Snapshot().SizeBytes() || d.SmallestFile > d.MedianFile || d.MedianFile > d.LargestFile || d.LargestFile == 0 {
		t.Errorf("sizes: %+v", d)
	}
	if !d.Timestamp.Equal(tabletest.Start().Add(3 * time.Minute)) {
		t.Errorf("time %v", d.Timestamp)
	}
}
