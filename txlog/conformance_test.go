package txlog

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore/file"
)

// conformanceDir is the folder of tables that other engines wrote; tests skip where it is not.
func conformanceDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("LAKE_CONFORMANCE_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "conformance")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("conformance tables not found at %s: set LAKE_CONFORMANCE_DIR", dir)
	}
	return dir
}

func openFolder(t *testing.T, dir string) *Log {
	t.Helper()
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	store, err := file.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return New(store, "delta", Options{})
}

// TestConformanceDAT opens every expected version and compares version, protocol and properties.
func TestConformanceDAT(t *testing.T) {
	dir := filepath.Join(conformanceDir(t), "dat")
	expected, err := filepath.Glob(filepath.Join(dir, "*", "expected", "*", "table_version_metadata.json"))
	if err != nil || len(expected) != 29 {
		t.Fatalf("%d expected versions, want 29 (%v)", len(expected), err)
	}
	for _, path := range expected {
		version := filepath.Base(filepath.Dir(path))
		table := filepath.Dir(filepath.Dir(filepath.Dir(path)))
		t.Run(filepath.Base(table)+"/"+version, func(t *testing.T) {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			var want struct {
				Version          Version           `json:"version"`
				Properties       map[string]string `json:"properties"`
				MinReaderVersion int               `json:"min_reader_version"`
				MinWriterVersion int               `json:"min_writer_version"`
			}
			if err := json.Unmarshal(b, &want); err != nil {
				t.Fatal(err)
			}
			l := openFolder(t, table)
			s, err := l.Latest(t.Context())
			if version != "latest" {
				s, err = l.At(t.Context(), want.Version)
			}
			if filepath.Base(table) == "iceberg_compat_v1" {
				if !errors.Is(err, ErrInvalidProtocol) || !strings.Contains(err.Error(), "columnMapping") {
					t.Fatalf("got %v, want an invalid protocol that names columnMapping", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := s.CheckReadable(); err != nil {
				t.Fatal(err)
			}
			if s.Version() != want.Version || s.Protocol().MinReaderVersion != want.MinReaderVersion ||
				s.Protocol().MinWriterVersion != want.MinWriterVersion {
				t.Errorf("version %d, protocol (%d,%d)", s.Version(), s.Protocol().MinReaderVersion, s.Protocol().MinWriterVersion)
			}
			if d := cmp.Diff(want.Properties, s.Metadata().Configuration, cmpopts.EquateEmpty()); d != "" {
				t.Error(d)
			}
			checkFiles(t, s)
			if version == "latest" && filepath.Base(table) != "no_replay" {
				checkWithoutCheckpoint(t, table, s)
			}
		})
	}
}

// checkFiles opens every live file: it is there, as large as the log says, its rows are as many, and what the
// statistics say of it parses.
func checkFiles(t *testing.T, s *Snapshot) {
	t.Helper()
	l := s.Log()
	for i := range s.Files().Len() {
		key, err := s.Files().Key(i)
		if err != nil {
			t.Fatal(err)
		}
		b, info, err := l.readObject(t.Context(), key, "checkpoint_bytes")
		if err != nil {
			t.Fatal(err)
		}
		if info.Size != s.Files().Size(i) {
			t.Errorf("%s: %d bytes, the log says %d", key, info.Size, s.Files().Size(i))
		}
		f, err := parquetio.Open(strings.NewReader(string(b)), int64(len(b)), limits.Default())
		if err != nil {
			t.Fatal(err)
		}
		stats, err := s.Files().Stats(i)
		if err != nil {
			t.Fatal(err)
		}
		if stats != nil && stats.NumRecords != nil && *stats.NumRecords != f.Rows() {
			t.Errorf("%s: %d rows, the log says %d", key, f.Rows(), *stats.NumRecords)
		}
		if d := s.Files().DeletionVector(i); d != nil {
			if _, err := l.ReadDeletionVector(t.Context(), d, f.Rows()); err != nil {
				t.Error(err)
			}
		}
		schema, err := s.Schema()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range s.PartitionColumns() {
			field, err := schema.Lookup(name)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := ParsePartition(field.Type, s.Files().Partition(i)[field.PhysicalName(s.Mapping())]); err != nil {
				t.Error(err)
			}
		}
	}
}

// checkWithoutCheckpoint replays the commits alone: the same state must come of it.
func checkWithoutCheckpoint(t *testing.T, table string, want *Snapshot) {
	t.Helper()
	l := openFolder(t, table)
	g, err := l.list(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, has := g.commits[0]; !has || len(g.checkpoints) == 0 {
		return
	}
	g.checkpoints = nil
	seg, err := g.segmentFor(-1, nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.replay(t.Context(), seg)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(adds(want, true), adds(s, true)); d != "" {
		t.Errorf("with and without the checkpoint: %s", d)
	}
	if d := cmp.Diff(want.Metadata(), s.Metadata(), cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want.Protocol(), s.Protocol()); d != "" {
		t.Error(d)
	}
}

// adds is the live files by key, without what checkpoints may leave out.
func adds(s *Snapshot, lean bool) map[string]Add {
	out := map[string]Add{}
	for i := range s.Files().Len() {
		a := s.Files().Add(i)
		if lean {
			a.Stats, a.Tags = "", nil
		}
		if len(a.PartitionValues) == 0 {
			a.PartitionValues = nil
		}
		key, _ := fileKey(a.Path, a.DeletionVector)
		out[key] = *a
	}
	return out
}

func TestConformanceGolden(t *testing.T) {
	dir := filepath.Join(conformanceDir(t), "golden")
	cases, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(cases) != 45 {
		t.Fatalf("%d cases, want 45 (%v)", len(cases), err)
	}
	special := map[string]func(t *testing.T, l *Log, s *Snapshot, err error){
		"deltalog-invalid-protocol-version":                              wantError(ErrUnsupportedFeature, "99"),
		"deltalog-state-reconstruction-without-protocol":                 wantError(ErrCorruptLog, "protocol"),
		"deltalog-state-reconstruction-from-checkpoint-missing-protocol": wantError(ErrCorruptLog, "protocol"),
		"no-delta-log-folder":                                            wantError(ErrNotATable, ""),
		"versions-not-contiguous":                                        wantError(ErrVersionGap, "version 1 "),
		"canonicalized-paths-normal-b":                                   wantNoFiles(1),
		"canonicalized-paths-special-b":                                  wantNoFiles(1),
		"log-replay-special-characters-b": func(t *testing.T, _ *Log, s *Snapshot, err error) {
			t.Helper()
			if err != nil || s.Files().Len() != 1 {
				t.Fatalf("%v", err)
			}
			if p, err := DecodePath(s.Files().Path(0)); err != nil || p.Key != "special p@#h" {
				t.Errorf("%+v, %v", p, err)
			}
		},
		"deltalog-commit-info": func(t *testing.T, l *Log, s *Snapshot, err error) {
			t.Helper()
			if err != nil || s.Version() != 0 || s.Files().Len() != 1 || s.Files().Path(0) != "abc" {
				t.Fatalf("%v", err)
			}
			if _, err := s.Schema(); !errors.Is(err, ErrCorruptLog) {
				t.Errorf("schema: %v", err)
			}
			c, err := l.ReadCommit(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			if c.Info.UserMetadata != "foo" || !strings.Contains(string(c.Info.Extra["job"]), `"jobId"`) ||
				!strings.Contains(string(c.Info.Extra["notebook"]), `"notebookId"`) {
				t.Errorf("%+v", c.Info)
			}
		},
	}
	for _, path := range cases {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			l := openFolder(t, path)
			s, err := l.Latest(t.Context())
			if check := special[name]; check != nil {
				check(t, l, s, err)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := s.CheckReadable(); err != nil {
				t.Fatal(err)
			}
			if testing.Short() && strings.HasPrefix(name, "parquet-decimal-") {
				t.Skip("large files")
			}
			checkFiles(t, s)
			checkWithoutCheckpoint(t, path, s)
			for v := range s.Version() {
				if _, err := l.At(t.Context(), v); err != nil && !errors.Is(err, ErrHistoryGone) {
					t.Errorf("version %d: %v", v, err)
				}
			}
		})
	}
}

func wantError(sentinel error, text string) func(*testing.T, *Log, *Snapshot, error) {
	return func(t *testing.T, _ *Log, _ *Snapshot, err error) {
		t.Helper()
		if !errors.Is(err, sentinel) || !strings.Contains(err.Error(), text) {
			t.Errorf("got %v, want %v with %q", err, sentinel, text)
		}
	}
}

func wantNoFiles(v Version) func(*testing.T, *Log, *Snapshot, error) {
	return func(t *testing.T, _ *Log, s *Snapshot, err error) {
		t.Helper()
		if err != nil || s.Version() != v || s.Files().Len() != 0 {
			t.Errorf("%v", err)
		}
	}
}
