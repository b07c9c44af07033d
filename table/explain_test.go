package table_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// A file is named with the reason for which it is skipped, and each condition with what it would skip alone.
func TestExplainSaysWhyFilesAreSkipped(t *testing.T) {
	for _, mapping := range []string{"none", "name"} {
		t.Run(mapping, func(t *testing.T) {
			l := newLake(t)
			tab := l.create("id bigint, p int, s struct<a:int>", table.Create{
				PartitionBy: []string{"p"}, Properties: map[string]string{"delta.columnMapping.mode": mapping},
			})
			for _, rows := range []string{
				"SELECT 1 AS id, 1 AS p, {'a': 1} AS s", "SELECT 5, 2, {'a': 2}", "SELECT 9, NULL, {'a': 3}", "SELECT NULL, 2, {'a': NULL}",
			} {
				l.append(tab, table.Query{SQL: "SELECT * FROM (" + rows + ") AS q(id, p, s)"})
			}
			number := func(n int64) []txlog.Literal { return []txlog.Literal{{Kind: txlog.KindLong, Int: n}} }
			p := &txlog.Predicate{Op: txlog.OpAnd, Args: []*txlog.Predicate{
				{Op: txlog.OpEq, Column: []string{"p"}, Values: number(2)}, {Op: txlog.OpLt, Column: []string{"ID"}, Values: number(5)},
			}}
			got, err := tab.Explain(t.Context(), p, 10)
			if err != nil {
				t.Fatal(err)
			}
			want := &table.ScanExplanation{
				ScanReport: table.ScanReport{Files: 4, SkippedByPartition: 2, SkippedByStats: 2, Bytes: got.Bytes},
				Predicate:  "(p = 2 AND ID < 5)",
				Conditions: []table.ConditionSkip{{"p = 2", 2, 0}, {"ID < 5", 0, 3}},
				FilesRead:  []table.ExplainedFile{},
				FilesSkipped: []table.ExplainedFile{
					{SkippedBy: "partition", Known: "p = 1"},
					{SkippedBy: "partition", Known: "p = NULL"},
					{SkippedBy: "statistics", Known: "p = 2, id from 5 to 5"},
					{SkippedBy: "statistics", Known: "p = 2, id is NULL"},
				},
			}
			if d := cmp.Diff(want, got, cmpopts.IgnoreFields(table.ExplainedFile{}, "Path", "Bytes"),
				cmpopts.SortSlices(func(a, b table.ExplainedFile) bool { return a.Known < b.Known })); d != "" {
				t.Error(d)
			}
			if got, err = tab.Explain(t.Context(), nil, 3); err != nil || got.Predicate != "true" || got.Read != 4 || len(got.FilesRead) != 3 || len(got.Conditions) != 0 {
				t.Errorf("%+v, %v: want every file read, three of them named", got, err)
			}
		})
	}
}
