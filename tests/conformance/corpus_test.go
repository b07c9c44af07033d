package conformance

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The cases of dat/, Delta Acceptance Tests 0.0.3: all of them.
func datCases() []string {
	return []string{
		"all_primitive_types", "basic_append", "basic_partitioned", "cdf", "check_constraints", "column_mapping",
		"deletion_vectors", "generated_columns", "iceberg_compat_v1", "multi_partitioned", "multi_partitioned_2",
		"nested_types", "no_replay", "no_stats", "partitioned_with_null", "stats_as_struct", "timestamp_ntz",
		"with_checkpoint", "with_schema_change",
	}
}

// The cases of golden/ whose rows are known.
func goldenCases() []string {
	return []string{
		"124-decimal-decode-bug", "basic-decimal-table", "basic-with-inserts-deletes-checkpoint",
		"basic-with-inserts-overwrite-restore", "basic-with-vacuum-protocol-check-feature",
		"corrupted-last-checkpoint-kernel", "data-reader-array-complex-objects", "data-reader-date-types-America",
		"data-reader-date-types-Etc", "data-reader-date-types-Jst", "data-reader-date-types-utc", "data-reader-map",
		"data-reader-nullable-field-invalid-schema-key", "data-reader-primitives",
		"data-reader-timestamp_ntz-id-mode", "data-skipping-basic-stats-all-types",
		"data-skipping-basic-stats-all-types-columnmapping-id",
		"data-skipping-change-stats-collected-across-versions", "decimal-various-scale-precision",
		"dv-with-columnmapping", "kernel-timestamp-int96", "kernel-timestamp-timestamp_micros",
		"log-replay-dv-key-cases", "log-replay-special-characters", "parquet-all-types",
		"parquet-decimal-dictionaries", "parquet-decimal-type", "snapshot-data1", "snapshot-data2-deleted",
		"snapshot-repartitioned", "table-with-columnmapping-mode-id", "time-travel-partition-changes-a",
		"time-travel-schema-changes-a", "time-travel-start", "time-travel-start-start20-start40", "v2-checkpoint-json",
	}
}

// corpus is the folder with dat/ and golden/: LAKE_CONFORMANCE_DIR, or ../shared/conformance seen from the root of
// the project. Without it the test is skipped; with it, a missing case is a failure.
func corpus(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("LAKE_CONFORMANCE_DIR")
	if dir == "" {
		root, err := projectRoot()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(root, "..", "shared", "conformance")
	}
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		t.Skipf("conformance tables not found at %s: set LAKE_CONFORMANCE_DIR", dir)
	}
	return dir
}

// projectRoot is the nearest folder above the test that holds go.mod.
func projectRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			return "", errors.New("no go.mod above the test")
		}
		dir = up
	}
}

// expectation is one folder below expected/: a version of a table and its rows.
type expectation struct {
	name     string // "latest", "v0"; "" where golden cases know only one
	files    []string
	metadata *tableVersion
}

// tableVersion is table_version_metadata.json of a DAT case.
type tableVersion struct {
	Version          int64             `json:"version"`
	Properties       map[string]string `json:"properties"`
	MinReaderVersion int               `json:"min_reader_version"`
	MinWriterVersion int               `json:"min_writer_version"`
}

// datExpectations reads what a DAT case says of its versions.
func datExpectations(t *testing.T, dir string) []expectation {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "expected"))
	if err != nil {
		t.Fatal(err)
	}
	var out []expectation
	for _, e := range entries {
		base := filepath.Join(dir, "expected", e.Name())
		text, err := os.ReadFile(filepath.Join(base, "table_version_metadata.json"))
		if err != nil {
			t.Fatal(err)
		}
		x := expectation{name: e.Name(), files: parquetFiles(t, filepath.Join(base, "table_content")), metadata: new(tableVersion)}
		if err := json.Unmarshal(text, x.metadata); err != nil {
			t.Fatal(err)
		}
		out = append(out, x)
	}
	return out
}

// parquetFiles lists the row files of an expected/ folder, without the debris that Hadoop leaves.
func parquetFiles(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !strings.HasPrefix(d.Name(), ".") && d.Name() != "_SUCCESS" {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

// copyTable copies a table to a folder of the test, so that it may be written.
func copyTable(t *testing.T, dir string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "delta")
	if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	// The corpus is read-only; a copy that is written must not be.
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.Chmod(path, 0o755)
		}
		return os.Chmod(path, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// dropCheckpoints removes every checkpoint of a copied table, and tells whether the log still says it all: it must
// reach back to version 0. Sidecars stay; nothing names them any more.
func dropCheckpoints(t *testing.T, dir string) bool {
	t.Helper()
	log := filepath.Join(dir, "_delta_log")
	entries, err := os.ReadDir(log)
	if err != nil {
		t.Fatal(err)
	}
	found := false
	for _, e := range entries {
		if strings.Contains(e.Name(), ".checkpoint.") || e.Name() == "_last_checkpoint" {
			found = found || strings.Contains(e.Name(), ".checkpoint.")
			if err := os.Remove(filepath.Join(log, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	_, err = os.Stat(filepath.Join(log, "00000000000000000000.json"))
	return found && err == nil
}
