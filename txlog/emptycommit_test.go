package txlog

import (
	"errors"
	"testing"
)

// A commit file whose bytes a crash has lost was read as a version without changes: its rows were gone, and nothing
// said so.
func TestCommitWithoutActionsIsDamage(t *testing.T) {
	for name, body := range map[string]string{"no bytes": "", "empty lines": "\n\n"} {
		t.Run(name, func(t *testing.T) {
			l, _ := testLog(t)
			createTable(t, l, "id bigint", nil, nil)
			put(t, l, "_delta_log/00000000000000000001.json", body)
			if _, err := l.Latest(t.Context()); !errors.Is(err, ErrCorruptLog) {
				t.Errorf("snapshot: %v, want ErrCorruptLog", err)
			}
			if _, err := l.ReadCommit(t.Context(), 1); !errors.Is(err, ErrCorruptLog) {
				t.Errorf("commit: %v, want ErrCorruptLog", err)
			}
		})
	}
}

// What says nothing of files is a commit all the same.
func TestCommitOfOneActionIsSound(t *testing.T) {
	for name, body := range map[string]string{
		"commit info": `{"commitInfo":{"operation":"X"}}`,
		"txn":         `{"txn":{"appId":"a","version":1}}`,
		"unknown":     `{"futureAction":{}}`,
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := testLog(t)
			createTable(t, l, "id bigint", nil, nil)
			put(t, l, "_delta_log/00000000000000000001.json", body)
			if s := latest(t, l); s.Version() != 1 {
				t.Errorf("version %d", s.Version())
			}
		})
	}
}
