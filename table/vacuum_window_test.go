package table_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// note commits a commitInfo alone, as vacuums do.
func (u *upkeep) note(name string, parameters map[string]string) txlog.Version {
	u.t.Helper()
	s, err := u.tab.Log().Latest(u.t.Context())
	if err != nil {
		u.t.Fatal(err)
	}
	c, err := u.tab.Log().Begin(s, txlog.Operation{Name: name, Parameters: parameters}).Commit(u.t.Context())
	if err != nil {
		u.t.Fatal(err)
	}
	return c.Version
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// A vacuum that has begun and not ended keeps a restore from what it may delete, and from nothing else, until it ends
// or its window is over.
func TestRestoreRefusesWhatAVacuumMayDelete(t *testing.T) {
	hours := func(n int) string { return strconv.FormatInt((time.Duration(n) * time.Hour).Milliseconds(), 10) }
	old := func(r time.Time) map[string]string {
		return map[string]string{"cutoffMillis": millis(r.Add(time.Minute))}
	}
	young := func(r time.Time) map[string]string {
		return map[string]string{"cutoffMillis": millis(r.Add(-time.Minute))}
	}
	named := func(v txlog.Version) string { return fmt.Sprint(v) }
	cases := []struct {
		name    string
		cutoff  func(removed time.Time) map[string]string // of the START
		end     func(start txlog.Version) map[string]string
		wait    time.Duration
		refused bool
	}{
		{"removed before the cut-off", old, nil, 0, true},
		{"removed after the cut-off", young, nil, 0, false},
		{
			"it has ended", old,
			func(v txlog.Version) map[string]string {
				return map[string]string{"status": "COMPLETED", "startVersion": named(v)}
			}, 0, false,
		},
		{
			"another has ended", old,
			func(v txlog.Version) map[string]string {
				return map[string]string{"status": "COMPLETED", "startVersion": named(v - 1)}
			}, 0, true,
		},
		{
			"a foreign one has ended", old,
			func(txlog.Version) map[string]string { return map[string]string{"status": "COMPLETED"} }, 0, true,
		},
		{
			"it has failed, and its last request may be under way", old,
			func(v txlog.Version) map[string]string {
				return map[string]string{"status": "FAILED", "startVersion": named(v)}
			}, 0, true,
		},
		{"its window is nearly over", old, nil, table.VacuumWindow - time.Minute, true},
		{"its window is over", old, nil, table.VacuumWindow + time.Minute, false},
		{"Spark's, short retention", func(time.Time) map[string]string {
			return map[string]string{"specifiedRetentionMillis": hours(1), "defaultRetentionMillis": hours(168)}
		}, nil, 0, true},
		{"Spark's, default retention", func(time.Time) map[string]string { return map[string]string{"defaultRetentionMillis": hours(168)} }, nil, 0, false},
		{
			"Spark's, ended", func(time.Time) map[string]string { return map[string]string{"specifiedRetentionMillis": hours(1)} },
			func(txlog.Version) map[string]string { return map[string]string{"status": `"COMPLETED"`} }, 0, false,
		},
	}
	u := newUpkeep(t, "id bigint", table.Create{})
	other := u.other()
	for _, c := range cases {
		u.append("SELECT 1 AS id")
		full := u.tab.Snapshot().Version()
		u.delete("id = 1")
		removed := u.clock.Now()
		u.clock.Advance(5 * time.Hour)
		start := u.note("VACUUM START", c.cutoff(removed))
		if c.end != nil {
			u.note("VACUUM END", c.end(start))
		}
		u.clock.Advance(c.wait)
		_, err := other.Restore(t.Context(), table.Restore{Version: &full})
		var running *table.VacuumRunningError
		switch {
		case !c.refused && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.refused && (!errors.Is(err, table.ErrVacuumRunning) || !errors.Is(err, txlog.ErrConflict) ||
			!errors.As(err, &running) || running.Start != start || running.Count != 1):
			t.Errorf("%s: %v (%+v), want version %d in the way", c.name, err, running, start)
		}
		u.clock.Advance(10 * time.Hour) // the next case starts without open vacuums
		if err := u.tab.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if u.rows().Len() > 0 {
			u.delete("true")
		}
	}
}

// stalling is a store whose writers are stopped for a while after each commit.
type stalling struct {
	objectstore.Store
	u *upkeep
}

func (s *stalling) Put(ctx context.Context, key string, body objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
	info, err := s.Store.Put(ctx, key, body, c)
	s.u.clock.Advance(table.VacuumWindow/2 + time.Second)
	return info, err
}

// A vacuum that was stopped for longer than half of its window deletes nothing: a restore may count it as dead.
func TestVacuumStopsDeletingInTime(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{})
	u.append("SELECT 1 AS id")
	u.put("part-orphan.parquet", "12345")
	u.clock.Advance(2 * week)
	tab, err := table.Open(t.Context(), &stalling{Store: u.store, u: u}, upkeepPath, table.Options{
		Log: txlog.Options{Clock: u.clock, Rand: clock.SeededRand(9)},
	})
	if err != nil {
		t.Fatal(err)
	}
	res, err := tab.Vacuum(t.Context(), table.Vacuum{})
	if err != nil || res.FilesDeleted != 0 || res.BytesDeleted != 0 || !res.MoreToDo || len(res.Objects) != 0 {
		t.Fatalf("a late vacuum: %+v, %v", res, err)
	}
	if res, err = u.tab.Vacuum(t.Context(), table.Vacuum{}); err != nil || res.FilesDeleted != 1 || res.MoreToDo {
		t.Errorf("the next one: %+v, %v", res, err)
	}
}
