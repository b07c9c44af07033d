package table_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/tabletest"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func (u *upkeep) restore(r table.Restore) *table.RestoreResult {
	u.t.Helper()
	res, err := u.tab.Restore(u.t.Context(), r)
	if err != nil {
		u.t.Fatalf("restore: %v", err)
	}
	return res
}

func version(v txlog.Version) *txlog.Version { return &v }

func TestRestoreGoesBackAndForth(t *testing.T) {
	u := newUpkeep(t, "id bigint, v bigint", table.Create{})
	u.append("SELECT i AS id, 0 AS v FROM range(10) AS r(i)")     // 1
	u.append("SELECT i AS id, 0 AS v FROM range(10, 15) AS r(i)") // 2
	u.delete("id IN (2, 3)")                                      // 3: a vector
	u.delete("id = 4")                                            // 4: a larger vector
	u.append("SELECT i AS id, 0 AS v FROM range(20, 30) AS r(i)") // 5
	u.delete("id >= 20")                                          // 6: a whole file
	u.optimize(table.Optimize{})                                  // 7
	rows := map[txlog.Version]tabletest.Multiset{}
	for v := txlog.Version(0); v <= 7; v++ {
		rows[v] = u.rowsAt(v)
	}
	for i, v := range []txlog.Version{3, 2, 4, 0, 7, 5, 6, 1} {
		before := u.tab.Snapshot().Version()
		dry := u.restore(table.Restore{Version: version(v), DryRun: true})
		if dry.VersionAfter != before || u.tab.Snapshot().Version() != before {
			t.Fatalf("a dry run committed: %+v", dry)
		}
		res := u.restore(table.Restore{Version: version(v)})
		if res.VersionAfter != before+1 || res.FilesRestored != dry.FilesRestored || res.FilesRemoved != dry.FilesRemoved {
			t.Errorf("restore %d: %+v, the dry run said %+v", v, res, dry)
		}
		tabletest.Same(t, fmt.Sprintf("step %d, rows of version %d", i, v), u.rows(), rows[v])
		c := u.commitOf(res.VersionAfter)
		if c.Info.Operation != "RESTORE" || c.Info.OperationParameters["version"] != fmt.Sprint(v) ||
			c.Info.OperationMetrics["numOfFilesAfterRestore"] != fmt.Sprint(u.files()) {
			t.Errorf("commitInfo %+v", c.Info)
		}
	}
	now := u.tab.Snapshot().Version()
	if res := u.restore(table.Restore{Version: version(now)}); res.VersionAfter != now {
		t.Errorf("restoring the newest version committed: %+v", res)
	}
}

func TestRestoreChangesOnlyVectors(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{})
	u.append("SELECT i AS id FROM range(10) AS r(i)")
	u.delete("id = 1")
	u.delete("id = 2")
	res := u.restore(table.Restore{Version: version(2)})
	if res.DeletionVectors != 1 || res.FilesRestored != 0 || res.FilesRemoved != 0 || u.rows().Len() != 9 {
		t.Errorf("%+v with %d rows", res, u.rows().Len())
	}
	var adds, removes []string
	for _, a := range u.commitOf(res.VersionAfter).Actions {
		switch a := a.(type) {
		case *txlog.Add:
			adds = append(adds, a.Path)
		case *txlog.Remove:
			removes = append(removes, a.Path)
		}
	}
	if len(adds) != 1 || !slices.Equal(adds, removes) {
		t.Errorf("adds %v, removes %v: want one pair of one path", adds, removes)
	}
}

func TestRestoreByTime(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{})
	for i := range 3 {
		u.clock.Advance(time.Hour)
		u.append("SELECT %d AS id", i)
	}
	res := u.restore(table.Restore{Time: u.clock.Now().Add(-30 * time.Minute)})
	if res.RestoredVersion != 2 || u.rows().Len() != 2 {
		t.Errorf("%+v with %d rows", res, u.rows().Len())
	}
	if p := u.commitOf(res.VersionAfter).Info.OperationParameters; p["timestamp"] == "" {
		t.Errorf("parameters %v", p)
	}
	for _, c := range []struct {
		r    table.Restore
		want error
	}{
		{table.Restore{}, table.ErrInvalidRequest},
		{table.Restore{Version: version(1), Time: u.clock.Now()}, table.ErrInvalidRequest},
		{table.Restore{Version: version(99)}, txlog.ErrVersionNotFound},
		{table.Restore{Time: time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)}, txlog.ErrTimestampTooEarly},
	} {
		if _, err := u.tab.Restore(t.Context(), c.r); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.r, err, c.want)
		}
	}
}

func TestRestoreWritesTxnsBack(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{})
	step := func(id int, txns ...txlog.Txn) {
		t.Helper()
		_, err := u.tab.Append(t.Context(), u.eng, table.Append{
			Source: table.Query{SQL: fmt.Sprintf("SELECT %d AS id", id)}, Meta: table.ChangeMeta{Txns: txns},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	step(1, txlog.Txn{AppID: "lake/p/m/task", Version: 4}, txlog.Txn{AppID: "nightly", Version: 7})
	step(2, txlog.Txn{AppID: "lake/p/m/task", Version: 5}, txlog.Txn{AppID: "lake/p/m/src/abc", Version: 12},
		txlog.Txn{AppID: "lake/p/m/done/2001-03", Version: 3}, txlog.Txn{AppID: "spark-query", Version: 40})
	res := u.restore(table.Restore{Version: version(1)})
	want := map[string]int64{
		"lake/p/m/task": 4, "nightly": 7, "lake/p/m/src/abc": -1, "lake/p/m/done/2001-03": 0, "spark-query": -1,
	}
	for id, v := range want {
		if got, ok := u.tab.Snapshot().Txn(id); !ok || got.Version != v {
			t.Errorf("txn %s is %d, want %d", id, got.Version, v)
		}
	}
	if res.Txns != 4 {
		t.Errorf("%d txns went back, want 4: one has its value still", res.Txns)
	}
}

func TestRestoreBringsSchemaBack(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{Comment: "first"})
	u.append("SELECT 1 AS id")
	if _, err := u.tab.Append(t.Context(), u.eng, table.Append{Source: table.Query{SQL: "SELECT 2 AS id, 'x' AS extra"}, MergeSchema: true}); err != nil {
		t.Fatal(err)
	}
	id := u.tab.Snapshot().Metadata().ID
	res := u.restore(table.Restore{Version: version(1)})
	schema, err := u.tab.Schema()
	if err != nil || !res.MetadataChanged || len(schema.Fields) != 1 || u.tab.Snapshot().Metadata().ID != id {
		t.Errorf("%+v, schema %v, %v", res, schema, err)
	}
	u.restore(table.Restore{Version: version(2)})
	if schema, err = u.tab.Schema(); err != nil || len(schema.Fields) != 2 || u.rows().Len() != 2 {
		t.Errorf("schema %v, %v", schema, err)
	}
}

func TestRestoreNamesMissingFiles(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{})
	u.append("SELECT i AS id FROM range(10) AS r(i)")
	u.delete("id >= 0")
	u.clock.Advance(2 * week)
	if _, err := u.tab.Vacuum(t.Context(), table.Vacuum{}); err != nil {
		t.Fatal(err)
	}
	before := u.tab.Snapshot().Version()
	_, err := u.tab.Restore(t.Context(), table.Restore{Version: version(1)})
	var missing *table.MissingFilesError
	if !errors.Is(err, txlog.ErrFileGone) || !errors.As(err, &missing) || missing.Count != 1 || missing.Version != 1 || missing.Retention != week {
		t.Fatalf("restore: %v", err)
	}
	if !strings.Contains(err.Error(), "part-") || u.other().Snapshot().Version() != before {
		t.Errorf("%v, version %d", err, u.other().Snapshot().Version())
	}
}

func TestRestoreRefusesAppendOnly(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{Properties: map[string]string{"delta.appendOnly": "true"}})
	u.append("SELECT 1 AS id")
	u.append("SELECT 2 AS id")
	if _, err := u.tab.Restore(t.Context(), table.Restore{Version: version(1)}); !errors.Is(err, table.ErrInvalidRequest) {
		t.Errorf("restore: %v, want ErrInvalidRequest", err)
	}
}

// hookStore lets somebody else work before an object is put.
type hookStore struct {
	objectstore.Store
	before func(key string)
}

func (s hookStore) Put(ctx context.Context, key string, body objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
	s.before(key)
	return s.Store.Put(ctx, key, body, c)
}

// A vacuum that deletes what comes back, between the plan of a restore and its commit, must be noticed.
func TestRestoreNoticesVacuum(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{})
	u.append("SELECT i AS id FROM range(10) AS r(i)")
	u.delete("id >= 0")
	u.clock.Advance(time.Hour)
	done := false
	store := hookStore{u.store, func(key string) {
		if done || !strings.HasSuffix(key, "3.json") {
			return
		}
		done = true
		res, err := u.tab.Vacuum(t.Context(), table.Vacuum{Retain: new(time.Duration), Force: true})
		if err != nil || res.FilesDeleted != 1 {
			t.Errorf("vacuum: %+v, %v", res, err)
		}
	}}
	tab, err := table.Open(t.Context(), store, upkeepPath, u.options())
	if err != nil {
		t.Fatal(err)
	}
	_, err = tab.Restore(t.Context(), table.Restore{Version: version(1)})
	if !done || !errors.Is(err, txlog.ErrFileGone) {
		t.Errorf("restore: %v, want ErrFileGone", err)
	}
	if v := u.other().Snapshot(); v.Files().Len() != 0 || v.Version() != 4 {
		t.Errorf("version %d with %d files", v.Version(), v.Files().Len())
	}
}

func TestUpkeepRepeatsWithTxn(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{})
	for i := range 3 {
		u.append("SELECT %d AS id", i)
	}
	meta := func(v int64) table.ChangeMeta {
		return table.ChangeMeta{Txns: []txlog.Txn{{AppID: "upkeep", Version: v}}, UserMetadata: "nightly"}
	}
	first := u.optimize(table.Optimize{Meta: meta(1)})
	again := u.optimize(table.Optimize{Meta: meta(1), Full: true, ZOrderBy: []string{"id"}})
	if first.FilesRemoved != 3 || !again.AlreadyDone || again.VersionAfter != first.VersionAfter {
		t.Errorf("optimize: %+v, then %+v", first, again)
	}
	if idle := u.optimize(table.Optimize{Meta: meta(2)}); idle.VersionAfter != first.VersionAfter+1 || idle.FilesRemoved != 0 {
		t.Errorf("with nothing to do but a txn: %+v", idle)
	}
	back := u.restore(table.Restore{Version: version(3), Meta: meta(3)})
	same := u.restore(table.Restore{Version: version(0), Meta: meta(3)})
	if back.FilesRestored != 3 || !same.AlreadyDone || same.VersionAfter != back.VersionAfter {
		t.Errorf("restore: %+v, then %+v", back, same)
	}
	if txn, _ := u.tab.Snapshot().Txn("upkeep"); txn.Version != 3 || u.commitOf(back.VersionAfter).Info.UserMetadata != "nightly" {
		t.Errorf("txn %+v", txn)
	}
	if _, err := u.tab.Vacuum(t.Context(), table.Vacuum{Meta: meta(4)}); !errors.Is(err, table.ErrInvalidRequest) {
		t.Errorf("vacuum with a txn: %v, want ErrInvalidRequest", err)
	}
}

func TestRestoreVectorAfterCheckpointWithoutJSONStats(t *testing.T) {
	u := newUpkeep(t, "id bigint", table.Create{Properties: map[string]string{"delta.checkpoint.writeStatsAsJson": "false"}})
	u.append("SELECT i AS id FROM range(10) AS r(i)") // 1
	u.delete("id = 1")                                // 2: a vector
	want := u.rowsAt(2)
	if err := u.tab.Log().Checkpoint(t.Context(), u.tab.Snapshot()); err != nil {
		t.Fatal(err)
	}
	u.delete("true") // 3
	u.restore(table.Restore{Version: version(2)})
	tabletest.Same(t, "rows after the restore", u.rows(), want)
}
