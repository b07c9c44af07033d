package table_test

import (
	"testing"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// A log compaction that says what its commits say is no finding, wherever it begins.
func TestFsckOfSoundCompactions(t *testing.T) {
	for _, span := range [][2]txlog.Version{{0, 3}, {1, 4}, {2, 5}, {4, 6}} {
		u := newUpkeep(t, "id bigint, v bigint", table.Create{Properties: map[string]string{"delta.checkpointInterval": "3"}})
		for i := range 5 {
			u.append("SELECT i AS id, %d AS v FROM range(10) AS r(i)", i)
		}
		u.delete("id = 3 AND v = 2")
		if err := u.tab.Log().Compact(t.Context(), span[0], span[1]); err != nil {
			t.Fatal(err)
		}
		report, err := table.Check(t.Context(), u.store, upkeepPath, table.Fsck{})
		if err != nil || len(report.Findings) > 0 {
			t.Errorf("%v: %+v, %v", span, report, err)
		}
	}
}
