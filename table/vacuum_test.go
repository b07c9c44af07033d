package table_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/tabletest"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

const week = 7 * 24 * time.Hour

func TestVacuumGuardsRetention(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{Properties: map[string]string{"delta.deletedFileRetentionDuration": "interval 3 days"}})
	u.append("SELECT 1 AS id")
	u.delete("id = 1")
	u.put("part-orphan.parquet", "x")
	u.clock.Advance(2 * 24 * time.Hour)
	span := func(d time.Duration) *time.Duration { return &d }
	cases := []struct {
		name    string
		vacuum  table.Vacuum
		want    error
		deleted int
	}{
		{"the property decides", table.Vacuum{}, nil, 0},
		{"shorter is refused", table.Vacuum{Retain: span(time.Hour)}, table.ErrRetention, 0},
		{"negative is an error even with force", table.Vacuum{Retain: span(-time.Hour), Force: true}, table.ErrInvalidRequest, 0},
		{"longer is fine", table.Vacuum{Retain: span(4 * 24 * time.Hour)}, nil, 0},
		{"dry run", table.Vacuum{Retain: span(time.Hour), Force: true, DryRun: true}, nil, 2},
		{"force", table.Vacuum{Retain: span(time.Hour), Force: true}, nil, 2},
	}
	for _, c := range cases {
		keys := len(u.keys())
		res, err := u.tab.Vacuum(t.Context(), c.vacuum)
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
			continue
		}
		if err == nil && res.FilesDeleted != c.deleted {
			t.Errorf("%s: %d files, want %d", c.name, res.FilesDeleted, c.deleted)
		}
		if gone := keys - len(u.keys()); err != nil && gone != 0 || c.vacuum.DryRun && gone != 0 {
			t.Errorf("%s: %d objects went", c.name, gone)
		}
	}
	if keys := u.keys(); len(keys) != 0 {
		t.Errorf("left over: %v", keys)
	}
}

func TestVacuumFramesItselfByCommits(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{})
	u.append("SELECT 1 AS id")
	u.put("part-orphan.parquet", "12345")
	u.put("deep/er/part-orphan.parquet", "12345")
	if res, err := u.tab.Vacuum(t.Context(), table.Vacuum{}); err != nil || res.VersionAfter != 1 || res.FilesDeleted != 0 {
		t.Fatalf("young files: %+v, %v", res, err)
	}
	u.clock.Advance(week + time.Second)
	res, err := u.tab.Vacuum(t.Context(), table.Vacuum{})
	if err != nil {
		t.Fatal(err)
	}
	if res.VersionBefore != 1 || res.VersionAfter != 3 || res.FilesDeleted != 2 || res.BytesDeleted != 10 {
		t.Errorf("result %+v", res)
	}
	start, end := u.commitOf(2), u.commitOf(3)
	if start.Info.Operation != "VACUUM START" || start.Info.OperationMetrics["numFilesToDelete"] != "2" || len(start.Actions) != 0 {
		t.Errorf("start %+v with %d actions", start.Info, len(start.Actions))
	}
	if end.Info.Operation != "VACUUM END" || end.Info.OperationMetrics["numDeletedFiles"] != "2" ||
		end.Info.OperationMetrics["numVacuumedDirectories"] != "2" || end.Info.OperationParameters["status"] != "COMPLETED" {
		t.Errorf("end %+v", end.Info)
	}
	if u.rows().Len() != 1 {
		t.Error("the row is gone")
	}
}

func TestVacuumStaysInside(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{})
	u.append("SELECT 1 AS id")
	outside := []string{"silver/t2/part-1.parquet", "silver/t.parquet", "silver/part-1.parquet", "part-1.parquet"}
	for _, key := range outside {
		if _, err := u.store.Put(t.Context(), key, objectstore.Bytes([]byte("x")), objectstore.Condition{}); err != nil {
			t.Fatal(err)
		}
	}
	u.put("part-orphan.parquet", "x")
	u.clock.Advance(2 * week)
	if res, err := u.tab.Vacuum(t.Context(), table.Vacuum{}); err != nil || res.FilesDeleted != 1 {
		t.Fatalf("vacuum: %+v, %v", res, err)
	}
	for _, key := range outside {
		if _, err := u.store.Head(t.Context(), key); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
}

// G8: whatever happened to a table, after a vacuum every version that was the newest at some moment within the
// retention reads the same rows as when it was written.
func TestVacuumSparesWhatIsRetained(t *testing.T) {
	seeds := []uint64{1, 2, 3}
	if text := os.Getenv("LAKE_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seeds = []uint64{seed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Logf("repeat with LAKE_SEED=%d go test ./table -run TestVacuumSparesWhatIsRetained", seed)
			u := newUpkeep(t, "id bigint, v bigint", table.Create{Properties: map[string]string{"delta.checkpointInterval": "5"}})
			h := newHistory(u, seed)
			deleted := 0
			for range 3 {
				for range 10 {
					h.step()
				}
				retain := time.Duration(h.rand.IntN(300)) * time.Hour
				res, err := u.tab.Vacuum(t.Context(), table.Vacuum{Retain: &retain, Force: true})
				if err != nil {
					t.Fatal(err)
				}
				deleted += res.FilesDeleted
				h.note()
				h.checkRetained(res.Cutoff)
			}
			u.clock.Advance(time.Second)
			if _, err := u.tab.Vacuum(t.Context(), table.Vacuum{Retain: new(time.Duration), Force: true}); err != nil {
				t.Fatal(err)
			}
			if got, want := u.keys(), u.needed(); !slices.Equal(got, want) {
				t.Errorf("with no retention %v are left, want %v", got, want)
			}
			if deleted == 0 {
				t.Error("nothing was ever deleted: this history tests nothing")
			}
		})
	}
}

// checkRetained reads every version that was the newest at or after the cut-off.
func (h *history) checkRetained(cutoff time.Time) {
	h.t.Helper()
	newest := h.tab.Snapshot().Version()
	for v := txlog.Version(0); v <= newest; v++ {
		until := h.clock.Now() // or when the next version that this history knows was committed
		for next := v + 1; next <= newest; next++ {
			if when, ok := h.when[next]; ok {
				until = when
				break
			}
		}
		want, known := h.rows[v]
		if !known || until.Before(cutoff) {
			continue
		}
		tabletest.Same(h.t, fmt.Sprintf("version %d of %d", v, newest), h.rowsAt(v), want)
	}
}

func TestVacuumRetainsLongerThanTheTable(t *testing.T) {
	u := newUpkeep(t, "id bigint, v bigint", table.Create{Properties: map[string]string{
		"delta.deletedFileRetentionDuration": "interval 1 hours", "delta.checkpointInterval": "2",
	}})
	h := newHistory(u, 1)
	u.append("SELECT i AS id, i AS v FROM range(10) AS r(i)")
	h.note()
	u.clock.Advance(time.Hour)
	u.delete("id < 9") // most of the file: it is rewritten
	h.note()
	for i := range 4 { // checkpoints forget the tombstone
		u.clock.Advance(6 * time.Hour)
		u.append("SELECT %d AS id, 0 AS v", 100+i)
		h.note()
	}
	retain := 48 * time.Hour
	res, err := u.tab.Vacuum(t.Context(), table.Vacuum{Retain: &retain})
	if err != nil {
		t.Fatal(err)
	}
	h.checkRetained(res.Cutoff)
	if res, err = u.tab.Vacuum(t.Context(), table.Vacuum{}); err != nil || res.FilesDeleted == 0 {
		t.Errorf("by the property: %+v, %v", res, err)
	}
	if slices.ContainsFunc(u.keys(), func(k string) bool { return strings.HasPrefix(k, "_") }) {
		t.Errorf("odd objects %v", u.keys())
	}
}

// A machine whose clock was ahead of the store's took an ordinary vacuum for one that keeps longer than the table
// promises, looked for tombstones in the commits, and refused where log clean-up had been.
func TestVacuumOfAClockThatIsAhead(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{Properties: map[string]string{
		"delta.logRetentionDuration": "interval 1 days", "delta.checkpointInterval": "2",
	}})
	for i := range 4 {
		u.append("SELECT %d AS id", i)
		u.clock.Advance(3 * 24 * time.Hour)
	}
	u.put("part-orphan.parquet", "12345")
	u.clock.Advance(week + time.Second)
	ahead := u.options()
	ahead.Log.Clock = clock.Skewed(u.clock, time.Second)
	tab, err := table.Open(t.Context(), u.store, upkeepPath, ahead)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tab.Log().At(t.Context(), 0); !errors.Is(err, txlog.ErrHistoryGone) {
		t.Fatalf("the log still begins at version 0: %v", err)
	}
	if res, err := tab.Vacuum(t.Context(), table.Vacuum{}); err != nil || res.FilesDeleted != 1 {
		t.Errorf("vacuum: %+v, %v", res, err)
	}
}
