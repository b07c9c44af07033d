package table_test

import (
	"errors"
	"testing"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// TestLogUpkeepOnDemand: a checkpoint and a compaction are written when asked for, once, and not in a dry run; the table
// stays what it was.
func TestLogUpkeepOnDemand(t *testing.T) {
	for _, policy := range []string{"classic", "v2"} {
		t.Run(policy, func(t *testing.T) {
			l := newLake(t)
			tab := l.create("id bigint", table.Create{Properties: map[string]string{"delta.checkpointPolicy": policy, "delta.checkpointInterval": "100"}})
			for _, v := range []string{"(1)", "(2)", "(3)"} {
				l.append(tab, values("id", v))
			}
			ctx := t.Context()
			if r, err := tab.CompactLog(ctx, table.CompactLog{DryRun: true}); err != nil || r.AlreadyDone || r.From != 0 || r.To != 3 || r.Commits != 4 || r.Actions != 5 {
				t.Fatalf("%+v, %v", r, err)
			}
			for _, done := range []bool{false, true} {
				if r, err := tab.CompactLog(ctx, table.CompactLog{}); err != nil || r.AlreadyDone != done || r.Bytes == 0 {
					t.Fatalf("%+v, %v", r, err)
				}
			}
			if r, err := tab.CompactLog(ctx, table.CompactLog{DryRun: true}); err != nil || !r.AlreadyDone {
				t.Fatalf("%+v, %v", r, err)
			}
			for _, span := range [][2]txlog.Version{{1, 1}, {2, 1}, {1, 4}} {
				if r, err := tab.CompactLog(ctx, table.CompactLog{From: &span[0], To: &span[1]}); !errors.Is(err, table.ErrInvalidRequest) {
					t.Errorf("versions %v: %+v, %v", span, r, err)
				}
			}
			if r, err := tab.WriteCheckpoint(ctx, table.Checkpoint{DryRun: true}); err != nil || r.AlreadyDone || r.Previous != -1 || r.Files != 3 || r.Form != policy {
				t.Fatalf("%+v, %v", r, err)
			}
			for _, done := range []bool{false, true} {
				if r, err := tab.WriteCheckpoint(ctx, table.Checkpoint{}); err != nil || r.AlreadyDone != done || r.Version != 3 {
					t.Fatalf("%+v, %v", r, err)
				}
			}
			if r, err := tab.CompactLog(ctx, table.CompactLog{}); err != nil || !r.AlreadyDone || r.Object != "" {
				t.Fatalf("%+v, %v", r, err)
			}
			again, err := table.Open(ctx, l.store, l.path)
			if err != nil {
				t.Fatal(err)
			}
			want(t, l.rows(again), "1", "2", "3")
			l.fsck()
		})
	}
}

// TestLogUpkeepSurvivesAFaultAtEveryCall: whatever call fails, before or after its effect, the table is what it was, and
// the same work again ends well.
func TestLogUpkeepSurvivesAFaultAtEveryCall(t *testing.T) {
	works := map[string]func(tab *table.Table) (*table.Result, error){
		"checkpoint": func(tab *table.Table) (*table.Result, error) {
			_, err := tab.WriteCheckpoint(t.Context(), table.Checkpoint{})
			return nil, err
		},
		"compact log": func(tab *table.Table) (*table.Result, error) {
			_, err := tab.CompactLog(t.Context(), table.CompactLog{})
			return nil, err
		},
	}
	for name, do := range works {
		for _, policy := range []string{"classic", "v2"} {
			for _, lost := range []bool{false, true} {
				for at := int64(0); ; at++ {
					l := newLake(t)
					tab := l.create("id bigint", table.Create{Properties: map[string]string{"delta.checkpointPolicy": policy}})
					l.append(tab, values("id", "(1)"))
					l.append(tab, values("id", "(2)"))
					f := &faulty{Store: l.store, at: at, lost: lost}
					_, _ = open(t, f, l.path, table.Options{}, do) // whether it is told or retried is for others
					again, err := table.Open(t.Context(), l.store, l.path)
					if err != nil {
						t.Fatalf("%s, call %d: %v", name, at, err)
					}
					want(t, l.rows(again), "1", "2")
					if _, err := do(again); err != nil {
						t.Fatalf("%s, call %d: again: %v", name, at, err)
					}
					l.fsck()
					if f.calls.Load() <= at {
						if at < 3 {
							t.Fatalf("only %d calls: the sweep saw nothing", at)
						}
						break
					}
				}
			}
		}
	}
}
