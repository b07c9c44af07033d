package duckdb_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// A killed process cannot clean up; the next engine does, and leaves alone what belongs to the living.
func TestFoldersOfDeadEnginesAreRemoved(t *testing.T) {
	temp := t.TempDir()
	living, err := duckdb.Open(duckdb.Options{TempDir: temp})
	if err != nil {
		t.Fatal(err)
	}
	dead := filepath.Join(temp, "lakectl-duckdb-dead")
	if err := os.MkdirAll(filepath.Join(dead, "spill"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dead, "lock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	second, err := duckdb.Open(duckdb.Options{TempDir: temp})
	if err != nil {
		t.Fatal(err)
	}
	entries, err := os.ReadDir(temp)
	if err != nil || len(entries) != 2 {
		t.Errorf("folders %v, %v; want those of two engines", entries, err)
	}
	for _, e := range []*duckdb.Engine{living, second} {
		rows, err := e.Query(t.Context(), table.Query{SQL: "SELECT 1"})
		if err != nil {
			t.Fatal(err)
		}
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	}
	if entries, err := os.ReadDir(temp); err != nil || len(entries) != 0 {
		t.Errorf("after Close: %v, %v", entries, err)
	}
}

// Nothing but the engine's own folder stays between calls, and nothing at all in the store beside its objects.
func TestCallsLeaveNothingBehind(t *testing.T) {
	temp, root := t.TempDir(), t.TempDir()
	e, err := duckdb.Open(duckdb.Options{TempDir: temp})
	if err != nil {
		t.Fatal(err)
	}
	store, err := file.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = store.Close() }()
	schema, err := txlog.ParseColumns("a int, p int")
	if err != nil {
		t.Fatal(err)
	}
	w := table.Write{Store: store, Prefix: "t/", Schema: schema, PartitionBy: []string{"p"}}
	if _, err := e.Write(t.Context(), table.Query{SQL: "SELECT 1 a, i::INT p FROM range(3) r(i)"}, w); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Write(t.Context(), table.Query{SQL: "SELECT 1 a, error('no') p"}, w); err == nil {
		t.Error("no error")
	}
	if _, err := e.Parse(t.Context(), table.Parse{SQL: "SELECT 1"}); err != nil {
		t.Error(err)
	}
	err = filepath.WalkDir(temp, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "lock" {
			t.Errorf("%s stays in the engine's folder", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	staged, err := filepath.Glob(filepath.Join(root, file.TempFolder, "*"))
	if err != nil || len(staged) > 0 {
		t.Errorf("staged files stay: %v, %v", staged, err)
	}
	if err := e.Close(); err != nil {
		t.Error(err)
	}
}
