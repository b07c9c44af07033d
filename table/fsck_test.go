package table_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/tabletest"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// wreck is a table that a test breaks: the objects of its store by name, relative to the table.
type wreck struct {
	t     *testing.T
	store objectstore.Store
	tab   *table.Table
}

func (w *wreck) key(name string) string { return w.tab.Path() + "/" + name }

func (w *wreck) read(name string) []byte {
	w.t.Helper()
	body, _, err := w.store.Get(w.t.Context(), w.key(name), objectstore.Range{})
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	b, err := io.ReadAll(body)
	if err != nil {
		w.t.Fatal(err)
	}
	return b
}

func (w *wreck) write(name string, b []byte) {
	w.t.Helper()
	if _, err := w.store.Put(w.t.Context(), w.key(name), objectstore.Bytes(b), objectstore.Condition{}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *wreck) remove(name string) {
	w.t.Helper()
	if err := w.store.Delete(w.t.Context(), w.key(name)); err != nil {
		w.t.Fatal(err)
	}
}

// edit changes an object; the change must change something.
func (w *wreck) edit(name string, change func([]byte) []byte) {
	w.t.Helper()
	old := w.read(name)
	b := change(bytes.Clone(old))
	if bytes.Equal(old, b) {
		w.t.Fatalf("%s did not change", name)
	}
	w.write(name, b)
}

func (w *wreck) replace(name, from, to string) {
	w.t.Helper()
	w.edit(name, func(b []byte) []byte { return []byte(strings.Replace(string(b), from, to, 1)) })
}

// file is a live data file, vector the file of a vector.
func (w *wreck) file() string { return w.tab.Snapshot().Files().Path(0) }

func (w *wreck) vector() string {
	w.t.Helper()
	files := w.tab.Snapshot().Files()
	for i := range files.Len() {
		if p, ok, err := files.DeletionVector(i).Path(); err == nil && ok {
			return p.Key
		}
	}
	w.t.Fatal("the table has no vector")
	return ""
}

func commitName(v int) string { return fmt.Sprintf("_delta_log/%020d.json", v) }

// checkpoint3 is the checkpoint of the table that most plants damage.
const checkpoint3 = "_delta_log/00000000000000000003.checkpoint.parquet"

// The plants: each damages one thing, fsck must find it and nothing worse.
func TestFsckFindsPlants(t *testing.T) {
	// Versions: 0 create, 1-2 rows, 3 checkpoint at 3 after more rows, 4 vector, 5 rows with a txn.
	plain := func(b *tabletest.Builder) *tabletest.Builder {
		return b.Rows(10).Commit().Rows(10).Commit().Rows(10).Commit().Checkpoint().DeleteRows(3, 7).Rows(5).Txn("lake/p/m/task", 4).Commit()
	}
	cases := []struct {
		name  string
		build func(*tabletest.Builder) *tabletest.Builder
		plant func(*wreck)
		deep  bool
		want  table.FindingClass
		also  []table.FindingClass // may come with it
	}{
		{"missing version", nil, func(w *wreck) { w.remove(commitName(4)) }, false, table.VersionMissing, nil},
		{"missing old version", nil, func(w *wreck) { w.remove(commitName(2)) }, false, table.VersionMissing, nil},
		{"missing beginning without a checkpoint", nil, func(w *wreck) {
			w.remove(commitName(0))
			w.remove(checkpoint3)
		}, false, table.VersionMissing, []table.FindingClass{table.LogUnreadable, table.HintAstray}},
		{"commit cut short", nil, func(w *wreck) { w.edit(commitName(5), func(b []byte) []byte { return b[:len(b)/2] }) }, false, table.CommitDamaged, []table.FindingClass{table.LogUnreadable}},
		{"commit not JSON", nil, func(w *wreck) { w.edit(commitName(2), func([]byte) []byte { return []byte("\x1f\x8b gzip") }) }, false, table.CommitDamaged, nil},
		{"compaction lacks a file", nil, func(w *wreck) {
			if err := w.tab.Log().Compact(w.t.Context(), 4, 5); err != nil {
				w.t.Fatal(err)
			}
			w.edit("_delta_log/00000000000000000004.00000000000000000005.compacted.json", func(b []byte) []byte {
				lines := strings.SplitAfter(string(b), "\n")
				last := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, `{"add"`) })
				return []byte(strings.Join(slices.Delete(lines, last, last+1), ""))
			})
		}, false, table.CompactionDiffers, nil},
		{"no protocol", nil, func(w *wreck) {
			w.remove(checkpoint3)
			w.replace(commitName(0), `{"protocol":`, `{"was":`)
		}, false, table.StateIncomplete, []table.FindingClass{table.HintAstray}},
		{"no metadata", nil, func(w *wreck) {
			w.remove(checkpoint3)
			w.replace(commitName(0), `{"metaData":`, `{"was":`)
		}, false, table.StateIncomplete, []table.FindingClass{table.HintAstray}},
		{"file live twice", nil, func(w *wreck) {
			lines := strings.Split(string(w.read(commitName(4))), "\n")
			lines = slices.DeleteFunc(lines, func(l string) bool { return strings.HasPrefix(l, `{"remove"`) })
			w.write(commitName(4), []byte(strings.Join(lines, "\n")))
		}, false, table.FileLiveTwice, []table.FindingClass{table.ChecksumDiffers}},
		{"one txnId in two versions", nil, func(w *wreck) {
			id := w.tab.Snapshot().Version()
			first, err := w.tab.Log().ReadCommit(w.t.Context(), 2)
			second, err2 := w.tab.Log().ReadCommit(w.t.Context(), id)
			if err != nil || err2 != nil {
				w.t.Fatal(err, err2)
			}
			w.replace(commitName(int(id)), second.Info.TxnID, first.Info.TxnID)
		}, false, table.TxnIDTwice, nil},
		{"task number going back", func(b *tabletest.Builder) *tabletest.Builder { return plain(b).Txn("lake/p/m/task", 3).Commit() }, func(*wreck) {}, false, table.TaskWentBack, nil},
		{"feature in use, not in the protocol", func(b *tabletest.Builder) *tabletest.Builder { return b.Rows(5).Commit().DeleteRows(1) }, func(w *wreck) {
			w.edit(commitName(0), func(b []byte) []byte {
				lines := strings.Split(string(b), "\n")
				for i, l := range lines {
					if strings.HasPrefix(l, `{"protocol"`) {
						lines[i] = `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}`
					}
				}
				return []byte(strings.Join(lines, "\n"))
			})
		}, false, table.FeatureUndeclared, []table.FindingClass{table.ChecksumDiffers}},
		{"orphan commit below the log's start", nil, func(w *wreck) {
			w.remove(commitName(0))
			w.remove(commitName(2))
		}, false, table.OrphanCommit, nil},
		{"checkpoint lacks a live file", nil, func(w *wreck) {
			w.edit(commitName(1), func(b []byte) []byte { return []byte(extraAdd(string(b))) })
		}, false, table.CheckpointLacksFile, nil},
		{"checkpoint keeps a removed file", nil, func(w *wreck) {
			w.edit(commitName(3), func(b []byte) []byte {
				first, err := w.tab.Log().ReadCommit(w.t.Context(), 1)
				if err != nil {
					w.t.Fatal(err)
				}
				for _, a := range first.Actions {
					if add, ok := a.(*txlog.Add); ok {
						line := fmt.Sprintf(`{"remove":{"path":%q,"deletionTimestamp":1,"dataChange":true}}`, add.Path)
						return []byte(strings.TrimRight(string(b), "\n") + "\n" + line + "\n")
					}
				}
				return b
			})
		}, false, table.CheckpointKeepsFile, nil},
		{"checkpoint forgets a remove", func(b *tabletest.Builder) *tabletest.Builder {
			return b.Property("delta.deletedFileRetentionDuration", "interval 5000 weeks").Rows(10).Commit().DeleteRows(3).Rows(5).Commit().Checkpoint()
		}, func(w *wreck) {
			w.edit(commitName(2), func(b []byte) []byte {
				line := fmt.Sprintf(`{"remove":{"path":"part-forgotten.parquet","deletionTimestamp":%d,"dataChange":true}}`, tabletest.Start().UnixMilli())
				return append(b, line+"\n"...)
			})
		}, false, table.CheckpointDiffers, nil},
		{"part of a checkpoint missing", nil, func(w *wreck) {
			w.write("_delta_log/00000000000000000002.checkpoint.0000000001.0000000002.parquet", w.read(checkpoint3))
		}, false, table.CheckpointPartGone, nil},
		{"checkpoint damaged", nil, func(w *wreck) {
			w.edit(checkpoint3, func(b []byte) []byte { return b[:len(b)-20] })
		}, false, table.CheckpointDamaged, nil},
		{"second checkpoint of a version damaged", nil, func(w *wreck) {
			b := w.read(checkpoint3)
			w.write("_delta_log/00000000000000000003.checkpoint.0000000001.0000000001.parquet", b[:len(b)-20])
		}, false, table.CheckpointDamaged, nil},
		{"hint to a checkpoint that is not there", nil, func(w *wreck) { w.remove(checkpoint3) }, false, table.HintAstray, nil},
		{"checksum file cannot be read", nil, func(w *wreck) {
			w.write("_delta_log/00000000000000000005.crc", []byte(`{"tableSizeBytes":1,"numFiles":2,"numMetadata":1,"numProtocol":1}`))
		}, false, table.ChecksumUnreadable, nil},
		{"checksum file disagrees", nil, func(w *wreck) {
			w.replace("_delta_log/00000000000000000005.crc", `"tableSizeBytes":`, `"tableSizeBytes":1`)
		}, false, table.ChecksumDiffers, nil},
		{"data file missing", nil, func(w *wreck) { w.remove(w.file()) }, false, table.FileMissing, nil},
		{"data file of another size", nil, func(w *wreck) { w.edit(w.file(), func(b []byte) []byte { return append(b, 0) }) }, false, table.FileSizeDiffers, nil},
		{"footer unreadable", nil, func(w *wreck) {
			w.edit(w.file(), func(b []byte) []byte { b[len(b)-6] ^= 0xff; return b })
		}, false, table.FooterUnreadable, nil},
		{"rows differ from numRecords", nil, func(w *wreck) { w.replace(commitName(5), `\"numRecords\":5`, `\"numRecords\":6`) }, false, table.RowCountDiffers, nil},
		{"bound excludes a value", nil, func(w *wreck) { w.replace(commitName(5), `n000000034`, `n000000033`) }, true, table.BoundExcludes, nil},
		{"null count wrong", nil, func(w *wreck) { w.replace(commitName(5), `\"value\":0`, `\"value\":5`) }, true, table.NullCountDiffers, []table.FindingClass{table.BoundExcludes}},
		{"null count too large by one", nil, func(w *wreck) { w.replace(commitName(5), `\"value\":0`, `\"value\":1`) }, true, table.NullCountDiffers, nil},
		{"vector missing", nil, func(w *wreck) { w.remove(w.vector()) }, false, table.VectorMissing, nil},
		{"vector with a wrong checksum", nil, func(w *wreck) {
			w.edit(w.vector(), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		}, false, table.VectorDamaged, nil},
		{"vector with a wrong cardinality", nil, func(w *wreck) { w.replace(commitName(4), `"cardinality":2`, `"cardinality":3`) }, false, table.VectorDamaged, []table.FindingClass{table.ChecksumDiffers}},
		{"row beyond the file", func(b *tabletest.Builder) *tabletest.Builder {
			return b.Rows(4).Commit().Rows(10).Commit().DeleteRows(13)
		}, func(w *wreck) {
			files := w.tab.Snapshot().Files()
			small, large := 0, 1
			if n, _ := files.NumRecords(0); n != 4 {
				small, large = 1, 0
			}
			// The vector of the large file is given to the small one.
			w.edit(commitName(3), func(b []byte) []byte {
				s := strings.ReplaceAll(string(b), files.Path(large), files.Path(small))
				s = strings.ReplaceAll(s, fmt.Sprintf(`"size":%d`, files.Size(large)), fmt.Sprintf(`"size":%d`, files.Size(small)))
				return []byte(strings.ReplaceAll(s, `\"numRecords\":10`, `\"numRecords\":4`))
			})
		}, false, table.VectorDamaged, nil},
		{"not null broken", func(b *tabletest.Builder) *tabletest.Builder {
			return b.Columns("id bigint, data binary").Rows(5).Commit()
		}, func(w *wreck) {
			w.edit(commitName(0), func(b []byte) []byte {
				return []byte(strings.Replace(string(b), `\"name\":\"data\",\"type\":\"binary\",\"nullable\":true`, `\"name\":\"data\",\"type\":\"binary\",\"nullable\":false`, 1))
			})
		}, true, table.NotNullBroken, []table.FindingClass{table.ChecksumDiffers}},
		{"damaged page under a sound footer", nil, func(w *wreck) {
			w.edit(w.file(), func(b []byte) []byte {
				for i := 4; i < 60; i++ {
					b[i] ^= 0x5a
				}
				return b
			})
		}, true, table.RowsUnreadable, nil},
		{"path that leaves the table", nil, func(w *wreck) {
			w.replace(commitName(5), w.file(), "/etc/passwd")
		}, false, table.PathUnusable, nil},
		{"partition value of another type", func(b *tabletest.Builder) *tabletest.Builder {
			return b.Columns("id bigint, day date").PartitionBy("day").Rows(3).Commit()
		}, func(w *wreck) { w.replace(commitName(1), "1970-01-02", "yesterday!") }, false, table.PartitionValueBad, nil},
	}
	eng, err := duckdb.Open(duckdb.Options{MemoryBytes: 256 << 20, Threads: 2, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close() })
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			build := c.build
			if build == nil {
				build = plain
			}
			b := build(tabletest.New(t))
			w := &wreck{t: t, store: b.Store(), tab: b.OpenDamaged()}
			if c.name != "task number going back" {
				tabletest.CheckSound(t, w.tab, table.Fsck{Deep: c.deep, Engine: eng})
			}
			c.plant(w)
			report, err := table.Check(t.Context(), w.store, w.tab.Path(), table.Fsck{Deep: c.deep, Engine: eng})
			if err != nil {
				t.Fatalf("fsck: %v", err)
			}
			found := false
			for _, f := range report.Findings {
				switch {
				case f.Class == c.want:
					found = true
				case !slices.Contains(c.also, f.Class):
					t.Errorf("found too: %v", f)
				}
				if f.Advice == "" || f.Object == "" || f.Detail == "" {
					t.Errorf("a finding says too little: %+v", f)
				}
			}
			if !found {
				t.Errorf("%s was not found:\n%v", c.want, report)
			}
			t.Log(report)
		})
	}
}

// extraAdd puts an add of a new name into a commit: the file of another add under a second name.
func extraAdd(commit string) string {
	for _, line := range strings.Split(commit, "\n") {
		if at := strings.Index(line, `"path":"part-`); strings.HasPrefix(line, `{"add"`) && at > 0 {
			more := line[:at] + `"path":"moved-` + line[at+len(`"path":"part-`):]
			return strings.TrimRight(commit, "\n") + "\n" + more + "\n"
		}
	}
	return commit
}

func TestFsckRefuses(t *testing.T) {
	if _, err := table.Check(t.Context(), mem.New(t.Name()), "nothing", table.Fsck{}); !errors.Is(err, txlog.ErrNotATable) {
		t.Errorf("an empty folder: %v, want ErrNotATable", err)
	}
	b := tabletest.New(t).Rows(1).Commit()
	if _, err := b.Open().Fsck(t.Context(), table.Fsck{Deep: true}); !errors.Is(err, table.ErrInvalidRequest) {
		t.Errorf("deep without an engine: %v, want ErrInvalidRequest", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.OpenDamaged().Fsck(ctx, table.Fsck{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a done context: %v, want that and no findings", err)
	}
}

// A commit over a limit was called damaged, with the advice to bring it back from a copy. Nobody has looked at it: that is
// what has to be said.
func TestFsckRefusesWhatIsOverALimit(t *testing.T) {
	b := tabletest.New(t).Rows(10).Commit().Rows(10).Commit().Checkpoint().Rows(3).Commit()
	path := b.Open().Path()
	var over *limits.Error
	for name, bound := range map[string]limits.Limits{
		"log_line_bytes": {LogLineBytes: 100}, "commit_bytes": {CommitBytes: 200}, "actions_per_commit": {ActionsPerCommit: 1},
		"checkpoint_bytes": {CheckpointBytes: 10},
	} {
		report, err := table.Check(t.Context(), b.Store(), path, table.Fsck{}, table.Options{Log: txlog.Options{Limits: bound}})
		if !errors.As(err, &over) || over.Limit != name {
			t.Errorf("%s: %v, %v", name, report, err)
		}
	}
}

// Every checkpoint of a version is compared: a reader may take any.
func TestFsckComparesEachCheckpoint(t *testing.T) {
	b := tabletest.New(t).Rows(10).Commit().Rows(10).Commit().Checkpoint()
	w := &wreck{t: t, store: b.Store(), tab: b.Open()}
	w.write("_delta_log/00000000000000000002.checkpoint.0000000001.0000000001.parquet", w.read("_delta_log/00000000000000000002.checkpoint.parquet"))
	r, err := w.tab.Fsck(t.Context(), table.Fsck{})
	if err != nil || !r.Sound() || r.Checkpoints != 2 {
		t.Errorf("%+v, %v: want two checkpoints compared, and both sound", r, err)
	}
}

func TestFsckKnowsCleanedLogs(t *testing.T) {
	b := tabletest.New(t).Rows(3).Commit().Rows(3).Commit().Checkpoint().Rows(3).Commit()
	tab := b.Open()
	for v := range 2 {
		if err := b.Store().Delete(t.Context(), tab.Path()+"/"+commitName(v)); err != nil {
			t.Fatal(err)
		}
	}
	tabletest.CheckSound(t, tab)
}
