package conformance

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/internal/tabletest"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// otherZone is a zone with a half-hour offset and no daylight saving: a reader that uses the local zone is off by
// an amount that no case explains away.
const otherZone = "Asia/Kolkata"

// results counts the cases for the line that ends a run.
type results struct {
	mu             sync.Mutex // guards all fields
	passed, failed int
	refused        []string
	skipped        map[string][]string // by reason
}

var summary = &results{skipped: map[string][]string{}}

func (r *results) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	skipped := 0
	var reasons []string
	for _, why := range slices.Sorted(maps.Keys(r.skipped)) {
		names := r.skipped[why]
		sort.Strings(names)
		skipped += len(names)
		reasons = append(reasons, why+": "+strings.Join(names, ", "))
	}
	why := ""
	if skipped > 0 {
		why = " (" + strings.Join(reasons, "; ") + ")"
	}
	return fmt.Sprintf("conformance: %d passed, %d refused as expected, %d skipped%s, %d failed", r.passed, len(r.refused), skipped, why, r.failed)
}

func TestMain(m *testing.M) {
	code := m.Run()
	zone := os.Getenv("TZ")
	if zone == "" {
		zone = "local"
	}
	fmt.Printf("%s   [TZ %s]\n", summary, zone)
	os.Exit(code)
}

// verdict is how a case is counted when its test ends.
type verdict struct {
	refusal bool
}

// run runs one case as a subtest and counts it.
func run(t *testing.T, name string, v verdict, body func(t *testing.T)) {
	t.Helper()
	t.Run(name, func(t *testing.T) {
		t.Cleanup(func() {
			summary.mu.Lock()
			defer summary.mu.Unlock()
			switch {
			case t.Failed():
				summary.failed++
			case t.Skipped():
			case v.refusal:
				summary.refused = append(summary.refused, name)
			default:
				summary.passed++
			}
		})
		body(t)
	})
}

// skip leaves a case out, visibly: the last line of the run names it with its reason.
func skip(t *testing.T, name, why string) {
	t.Helper()
	summary.mu.Lock()
	summary.skipped[why] = append(summary.skipped[why], name)
	summary.mu.Unlock()
	t.Skip(why)
}

func openEngine(t *testing.T) table.Engine {
	t.Helper()
	eng, err := duckdb.Open(duckdb.Options{MemoryBytes: 1 << 30, Threads: 2, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close() })
	return eng
}

func openTable(t *testing.T, dir string) (*table.Table, error) {
	t.Helper()
	store, err := file.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return table.Open(t.Context(), store, "")
}

// malformed is the DAT case whose protocol action breaks the rules; every careful reader refuses it.
const malformed = "iceberg_compat_v1"

func TestDAT(t *testing.T) {
	dir, eng := corpus(t), openEngine(t)
	versions := 0
	for _, name := range datCases() {
		at := filepath.Join(dir, "dat", name)
		if name == malformed {
			run(t, "dat/"+name, verdict{refusal: true}, func(t *testing.T) {
				t.Helper()
				_, err := openTable(t, filepath.Join(at, "delta"))
				if !errors.Is(err, txlog.ErrInvalidProtocol) || !strings.Contains(err.Error(), "columnMapping") {
					t.Errorf("open: %v, want ErrInvalidProtocol that names columnMapping", err)
				}
			})
			versions++
			continue
		}
		run(t, "dat/"+name, verdict{}, func(t *testing.T) {
			t.Helper()
			for _, x := range datExpectations(t, at) {
				versions++
				checkVersion(t, eng, filepath.Join(at, "delta"), x)
			}
			checkWithoutCheckpoint(t, eng, filepath.Join(at, "delta"))
			checkSound(t, eng, filepath.Join(at, "delta"))
			checkAppend(t, eng, filepath.Join(at, "delta"))
		})
	}
	if !t.Failed() && versions != 29 {
		t.Errorf("met %d expected versions, want 29: the corpus is not the one that this test knows", versions)
	}
}

func TestGolden(t *testing.T) {
	dir, eng := corpus(t), openEngine(t)
	for _, name := range goldenCases() {
		at := filepath.Join(dir, "golden", name)
		run(t, "golden/"+name, verdict{}, func(t *testing.T) {
			t.Helper()
			if large := name == "parquet-decimal-dictionaries" || name == "parquet-decimal-type"; large && testing.Short() {
				skip(t, name, "large, left out with -short")
			}
			checkVersion(t, eng, filepath.Join(at, "delta"), expectation{files: parquetFiles(t, filepath.Join(at, "expected"))})
			checkWithoutCheckpoint(t, eng, filepath.Join(at, "delta"))
			checkSound(t, eng, filepath.Join(at, "delta"))
			checkAppend(t, eng, filepath.Join(at, "delta"))
		})
	}
}

// checkVersion opens a table at one version and compares all that the corpus says of it.
func checkVersion(t *testing.T, eng table.Engine, dir string, x expectation) {
	t.Helper()
	tab, err := openTable(t, dir)
	if err == nil && x.metadata != nil {
		tab, err = tab.At(t.Context(), txlog.Version(x.metadata.Version))
	}
	if err != nil {
		t.Fatalf("%s: open: %v", x.name, err)
	}
	if x.metadata != nil {
		checkMetadata(t, tab.Snapshot(), x)
	}
	schema, err := tab.Snapshot().Schema()
	if err != nil {
		t.Fatalf("%s: schema: %v", x.name, err)
	}
	rel := expectedRelation(t, x.files, schema)
	if got, want := expectedColumns(t, eng, rel), slices.Sorted(slices.Values(schema.Names())); len(x.files) > 0 && !slices.Equal(got, want) {
		t.Errorf("%s: expected rows have columns %v, the table has %v", x.name, got, want)
	}
	want, err := tabletest.Query(t.Context(), eng, table.Query{SQL: "SELECT * FROM t", Relations: map[string]table.Relation{"t": rel}})
	if err != nil {
		t.Fatalf("%s: read expected rows: %v", x.name, err)
	}
	tabletest.Same(t, "rows "+x.name, tabletest.Rows(t, eng, tab), want)
	if n, known := tab.Snapshot().NumRows(); known && n != int64(want.Len()) {
		t.Errorf("%s: the log counts %d rows, want %d", x.name, n, want.Len())
	}
}

func checkMetadata(t *testing.T, s *txlog.Snapshot, x expectation) {
	t.Helper()
	m := x.metadata
	if got := int64(s.Version()); got != m.Version {
		t.Errorf("%s: version %d, want %d", x.name, got, m.Version)
	}
	if p := s.Protocol(); p.MinReaderVersion != m.MinReaderVersion || p.MinWriterVersion != m.MinWriterVersion {
		t.Errorf("%s: protocol (%d,%d), want (%d,%d)", x.name, p.MinReaderVersion, p.MinWriterVersion, m.MinReaderVersion, m.MinWriterVersion)
	}
	if got := s.Metadata().Configuration; !maps.Equal(got, m.Properties) {
		t.Errorf("%s: properties %v, want %v", x.name, got, m.Properties)
	}
}

// checkWithoutCheckpoint reads the newest version once more from the commits alone, where they reach back to the
// beginning: the checkpoint must not say anything else.
func checkWithoutCheckpoint(t *testing.T, eng table.Engine, dir string) {
	t.Helper()
	bare := copyTable(t, dir)
	if !dropCheckpoints(t, bare) {
		return
	}
	full, err := openTable(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	replayed, err := openTable(t, bare)
	if err != nil {
		t.Fatalf("open without checkpoint: %v", err)
	}
	tabletest.Same(t, "rows without the checkpoint", tabletest.Rows(t, eng, replayed), tabletest.Rows(t, eng, full))
}

// checkSound runs a deep fsck: a sound table of another engine is sound.
func checkSound(t *testing.T, eng table.Engine, dir string) {
	t.Helper()
	tab, err := openTable(t, dir)
	if err != nil {
		t.Fatal(err)
	}
	report, err := tab.Fsck(t.Context(), table.Fsck{Deep: true, Engine: eng})
	if err != nil {
		t.Errorf("fsck: %v", err)
		return
	}
	for _, f := range report.Findings {
		if says := beyondUs(dir); f.Class == table.RuleUnchecked && says != "" && strings.Contains(f.String(), says) {
			continue
		}
		t.Errorf("fsck: %v", f)
	}
}

// beyondUs is the rule of a table that cannot be evaluated here, so that its rows are read and not written: Spark
// itself allows no generated column that is another value each time. "" for any other table.
func beyondUs(dir string) string {
	if filepath.Base(filepath.Dir(dir)) == "generated_columns" {
		return "CAST(now() AS DATE)"
	}
	return ""
}

// appendRowsMax is the largest table that checkAppend reads twice more.
const appendRowsMax = 50_000

// checkAppend copies a table that we may write, appends one of its own rows to it and reads it again.
func checkAppend(t *testing.T, eng table.Engine, dir string) {
	t.Helper()
	tab, err := openTable(t, copyTable(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	if err := tab.Snapshot().CheckWritable(); err != nil {
		t.Logf("not appended to: %v", err)
		return
	}
	if n, known := tab.Snapshot().NumRows(); known && n > appendRowsMax {
		t.Logf("not appended to: %d rows say nothing more than a few", n)
		return
	}
	before := tabletest.Rows(t, eng, tab)
	rel, _, err := tab.Relation(t.Context(), table.ScanOptions{})
	if err != nil {
		t.Fatal(err)
	}
	one := table.Query{SQL: "SELECT * FROM t LIMIT 1", Relations: map[string]table.Relation{"t": rel}}
	_, err = tab.Append(t.Context(), eng, table.Append{Source: one})
	if says := beyondUs(dir); says != "" {
		if !errors.Is(err, txlog.ErrUnsupportedFeature) || !strings.Contains(err.Error(), says) {
			t.Errorf("append: %v, want a refusal that names %s", err, says)
		}
		return
	}
	if err != nil {
		t.Errorf("append: %v", err)
		return
	}
	after := tabletest.Rows(t, eng, tab)
	if got, want := after.Len(), before.Len()+min(before.Len(), 1); got != want {
		t.Errorf("%d rows after the append, want %d", got, want)
	}
	for row, n := range before {
		if after[row] < n {
			t.Errorf("after the append a row is missing: %s", row)
		}
	}
}

func TestMustNotOpen(t *testing.T) {
	dir := corpus(t)
	cases := []struct {
		name string
		want error
		says string
	}{
		{"deltalog-invalid-protocol-version", txlog.ErrUnsupportedFeature, "99"},
		{"deltalog-state-reconstruction-without-protocol", txlog.ErrCorruptLog, "protocol"},
		{"deltalog-state-reconstruction-from-checkpoint-missing-protocol", txlog.ErrCorruptLog, "protocol"},
		{"no-delta-log-folder", txlog.ErrNotATable, ""},
		{"versions-not-contiguous", txlog.ErrVersionGap, "1"},
	}
	for _, c := range cases {
		run(t, "golden/"+c.name, verdict{refusal: true}, func(t *testing.T) {
			t.Helper()
			_, err := openTable(t, filepath.Join(dir, "golden", c.name, "delta"))
			if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("open: %v, want %v naming %q", err, c.want, c.says)
			}
		})
	}
}

// The data files of these cases do not exist: only their logs can be read.
func TestLogOnly(t *testing.T) {
	dir := corpus(t)
	snapshot := func(t *testing.T, name string) *txlog.Snapshot {
		t.Helper()
		store, err := file.Open(filepath.Join(dir, "golden", name, "delta"))
		if err != nil {
			t.Fatal(err)
		}
		s, err := txlog.New(store, "", txlog.Options{}).Latest(t.Context())
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		return s
	}
	for _, name := range []string{"canonicalized-paths-normal-b", "canonicalized-paths-special-b"} {
		run(t, "golden/"+name, verdict{}, func(t *testing.T) {
			t.Helper()
			if s := snapshot(t, name); s.Version() != 1 || s.Files().Len() != 0 {
				t.Errorf("version %d with %d live files, want 1 with none: /x and file:///x are one path", s.Version(), s.Files().Len())
			}
		})
	}
	run(t, "golden/log-replay-special-characters-b", verdict{}, func(t *testing.T) {
		t.Helper()
		s := snapshot(t, "log-replay-special-characters-b")
		if s.Files().Len() != 1 {
			t.Fatalf("%d live files, want 1", s.Files().Len())
		}
		p, err := txlog.DecodePath(s.Files().Path(0))
		if err != nil || p.Key != "special p@#h" {
			t.Errorf("path %+v, %v, want the key %q", p, err, "special p@#h")
		}
	})
	run(t, "golden/deltalog-commit-info", verdict{}, func(t *testing.T) {
		t.Helper()
		s := snapshot(t, "deltalog-commit-info")
		if s.Version() != 0 || s.Files().Len() != 1 || s.Files().Path(0) != "abc" {
			t.Errorf("version %d with %d files, want 0 with the file abc", s.Version(), s.Files().Len())
		}
		if _, err := s.Schema(); err == nil {
			t.Error("the metadata has no schema, asking for it must be an error")
		}
		c, err := s.Log().ReadCommit(t.Context(), 0)
		if err != nil || c.Info == nil {
			t.Fatalf("read commit 0: %v", err)
		}
		if c.Info.UserMetadata != "foo" || c.Info.Extra["job"] == nil || c.Info.Extra["notebook"] == nil {
			t.Errorf("commitInfo %+v, want userMetadata foo and the unknown fields job and notebook", c.Info)
		}
	})
}

// Nothing may depend on the zone of the machine: everything runs once more in another one.
func TestOtherZone(t *testing.T) {
	const mark = "LAKE_CONFORMANCE_ZONE"
	if os.Getenv(mark) != "" {
		t.Skip("this is the run in the other zone")
	}
	corpus(t)
	if testing.Short() {
		t.Skip("the second zone is left out with -short")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	zone := otherZone
	if os.Getenv("TZ") == otherZone {
		zone = "UTC"
	}
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^Test(DAT|Golden|LogOnly)$")
	cmd.Env = append(os.Environ(), "TZ="+zone, mark+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("in %s: %v\n%s", zone, err, out)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	for _, l := range lines {
		if strings.HasPrefix(l, "conformance:") {
			t.Log(l)
			return
		}
	}
	t.Errorf("the run in %s printed no summary:\n%s", zone, out)
}
