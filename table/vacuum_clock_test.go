package table_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/tabletest"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// A checkpoint by a machine whose clock was ahead forgot the tombstone of a file that was removed just within the
// retention, and vacuum, which goes by the clock of the store, took the file for one that nobody had removed of late.
func TestVacuumAfterACheckpointOfAClockThatIsAhead(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{Properties: map[string]string{"delta.enableDeletionVectors": "false"}})
	u.append("SELECT i AS id FROM range(10) AS r(i)")
	kept := u.tab.Snapshot().Version()
	u.clock.Advance(2 * week)
	u.delete("id < 9")
	u.clock.Advance(week - 30*time.Minute)
	ahead := u.options()
	ahead.Log.Clock = clock.Skewed(u.clock, time.Hour)
	log := txlog.New(u.store, upkeepPath, ahead.Log)
	s, err := log.Latest(t.Context())
	if err == nil {
		err = log.Checkpoint(t.Context(), s)
	}
	if err != nil {
		t.Fatal(err)
	}
	tab := u.other()
	if res, err := tab.Vacuum(t.Context(), table.Vacuum{}); err != nil || res.FilesDeleted != 0 {
		t.Errorf("within the retention: %+v, %v", res, err)
	}
	if rows := len(u.rowsAt(kept)); rows != 10 {
		t.Errorf("version %d has %d rows", kept, rows)
	}
	u.clock.Advance(time.Hour)
	if res, err := tab.Vacuum(t.Context(), table.Vacuum{}); err != nil || res.FilesDeleted != 1 {
		t.Errorf("after the retention: %+v, %v", res, err)
	}
}

// A vacuum of a table whose newest version is a checkpoint without its commit failed: it asked that commit for the time.
func TestVacuumOfACheckpointAlone(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{})
	u.append("SELECT 1 AS id")
	want := u.rows()
	if err := u.tab.Log().Checkpoint(t.Context(), u.tab.Snapshot()); err != nil {
		t.Fatal(err)
	}
	for v := range u.tab.Snapshot().Version() + 1 {
		for _, kind := range []string{"json", "crc"} {
			if err := u.store.Delete(t.Context(), fmt.Sprintf("%s/_delta_log/%020d.%s", upkeepPath, v, kind)); err != nil {
				t.Fatal(err)
			}
		}
	}
	u.put("part-orphan.parquet", "12345")
	u.clock.Advance(week + time.Hour)
	tab := u.other()
	if res, err := tab.Vacuum(t.Context(), table.Vacuum{}); err != nil || res.FilesDeleted != 1 {
		t.Errorf("vacuum: %+v, %v", res, err)
	}
	if keys := strings.Join(u.keys(), " "); strings.Contains(keys, "orphan") {
		t.Errorf("left are %s", keys)
	}
	tabletest.Same(t, "after it", tabletest.Rows(t, u.eng, tab), want)
}
