package table_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/tabletest"
	"github.com/lakectl/lakectl/objectstore"
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

// A fsck on a machine whose clock is ahead took tombstones that vacuum still needs for expired, and one whose clock is
// behind missed those that a checkpoint had rightly dropped: what counts is the clock of the store.
func TestFsckOfAnotherClock(t *testing.T) {
	for _, skew := range []time.Duration{2 * week, -2 * week} {
		u := newUpkeep(t, "id bigint", table.Create{Properties: map[string]string{"delta.enableDeletionVectors": "false"}})
		u.append("SELECT i AS id FROM range(10) AS r(i)")
		u.delete("id < 9")
		u.clock.Advance(week / 2)
		if skew < 0 {
			u.clock.Advance(week)
		}
		u.append("SELECT 1 AS id")
		v := u.tab.Snapshot().Version()
		forgetful := u.options()
		forgetful.Log.Clock = u.clock
		log := txlog.New(u.store, upkeepPath, forgetful.Log)
		s, err := log.Latest(t.Context())
		if err == nil {
			err = log.Checkpoint(t.Context(), s)
		}
		if err != nil {
			t.Fatal(err)
		}
		if skew > 0 { // an older remove than the checkpoint knows of
			key := fmt.Sprintf("%s/_delta_log/%020d.json", upkeepPath, v-1)
			body, _, err := u.store.Get(t.Context(), key, objectstore.Range{})
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(body)
			if err != nil {
				t.Fatal(err)
			}
			line := fmt.Sprintf(`{"remove":{"path":"forgotten","deletionTimestamp":%d,"dataChange":true}}`+"\n", u.clock.Now().UnixMilli())
			if _, err := u.store.Put(t.Context(), key, objectstore.Bytes(append(b, line...)), objectstore.Condition{}); err != nil {
				t.Fatal(err)
			}
		}
		skewed := u.options()
		skewed.Log.Clock = clock.Skewed(u.clock, skew)
		r, err := table.Check(t.Context(), u.store, upkeepPath, table.Fsck{}, skewed)
		if err != nil {
			t.Fatal(err)
		}
		found := slices.ContainsFunc(r.Findings, func(f table.Finding) bool { return f.Class == table.CheckpointDiffers })
		if found != (skew > 0) {
			t.Errorf("clock %v off: %v", skew, r.Findings)
		}
		if err := u.store.Delete(t.Context(), fmt.Sprintf("%s/_delta_log/%020d.checkpoint.parquet", upkeepPath, v), upkeepPath+"/_delta_log/_last_checkpoint"); err != nil {
			t.Fatal(err)
		}
	}
}
