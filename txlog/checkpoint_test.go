package txlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
)

// busyTable has a bit of everything: partitions with null, tags, vectors, tombstones, txns, a domain.
func busyTable(t *testing.T, l *Log, c interface{ Now() time.Time }) *Snapshot {
	t.Helper()
	schema, err := ParseColumns("id bigint not null, part string, name string comment 'x'")
	if err != nil {
		t.Fatal(err)
	}
	created, used := int64(5), int64(77)
	x := l.Begin(nil, Operation{Name: "CREATE TABLE"})
	x.Stage(&Protocol{
		MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{FeatureDeletionVectors},
		WriterFeatures: []string{FeatureDeletionVectors, FeatureDomainMetadata},
	},
		&Metadata{
			ID: "m", Name: "orders", Description: "all <orders>", Provider: "parquet", SchemaString: schema.JSON(),
			PartitionColumns: []string{"part"}, CreatedTime: &created,
			Configuration: map[string]string{"delta.checkpointInterval": "1000", "x": "<&>"},
		})
	mustCommit(t, x)
	s := latest(t, l)
	add := func(name, part string) *Add {
		return &Add{
			Path: name, PartitionValues: map[string]string{"part": part}, Size: 5, ModificationTime: 9, DataChange: true,
			Stats: `{"numRecords":10,"minValues":{"id":1},"maxValues":{"id":9},"nullCount":{"id":0}}`,
		}
	}
	x = l.Begin(s, Operation{Name: "WRITE"})
	tagged := add("tagged.parquet", "b/c")
	tagged.Tags = map[string]string{"k": "v"}
	x.Stage(add("a%20b.parquet", ""), tagged, add("gone.parquet", "x"), add("marked.parquet", "x"),
		&Txn{AppID: "app", Version: 3, LastUpdated: &used}, &Txn{AppID: "old", Version: 9},
		&DomainMetadata{Domain: "ours", Configuration: `{"n":1}`}, &DomainMetadata{Domain: "dropped", Configuration: "{}"})
	mustCommit(t, x)
	s = latest(t, l)
	x = l.Begin(s, Operation{Name: "DELETE"})
	gone, _ := s.FileByPath("gone.parquet")
	marked, _ := s.FileByPath("marked.parquet")
	again, offset := s.Files().Add(marked), int32(1)
	again.DataChange = true
	again.DeletionVector = &DeletionVectorDescriptor{StorageType: "u", PathOrInlineDv: "ab^-aqEH.-t@S}K{vb[*k^", Offset: &offset, SizeInBytes: 40, Cardinality: 4}
	now := c.Now().UnixMilli()
	x.Stage(s.Files().Remove(gone, now, true), s.Files().Remove(marked, now, true), again,
		&DomainMetadata{Domain: "dropped", Removed: true})
	mustCommit(t, x)
	return latest(t, l)
}

// sameState compares everything that a checkpoint must keep.
func sameState(t *testing.T, want, got *Snapshot) {
	t.Helper()
	if d := cmp.Diff(adds(want, false), adds(got, false)); d != "" {
		t.Errorf("files: %s", d)
	}
	if d := cmp.Diff(want.Metadata(), got.Metadata(), cmpopts.EquateEmpty()); d != "" {
		t.Errorf("metadata: %s", d)
	}
	if d := cmp.Diff(want.Protocol(), got.Protocol()); d != "" {
		t.Errorf("protocol: %s", d)
	}
	if d := cmp.Diff(want.txns, got.txns); d != "" {
		t.Errorf("txns: %s", d)
	}
	if d := cmp.Diff(want.domains, got.domains, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("domains: %s", d)
	}
	key := func(r *Remove) string { return r.Path + r.DeletionVector.uniqueID() }
	sorted := func(s *Snapshot) []Remove {
		var out []Remove
		for _, r := range s.Tombstones() {
			c := *r
			c.Tags, c.Stats, c.DataChange = nil, "", false
			out = append(out, c)
		}
		slices.SortFunc(out, func(a, b Remove) int { return strings.Compare(key(&a), key(&b)) })
		return out
	}
	if d := cmp.Diff(sorted(want), sorted(got)); d != "" {
		t.Errorf("tombstones: %s", d)
	}
	if want.version != got.version {
		t.Errorf("version %d, want %d", got.version, want.version)
	}
}

// forget removes the commits up to v, so that only a checkpoint can tell.
func forget(t *testing.T, l *Log, v Version) {
	t.Helper()
	for ; v >= 0; v-- {
		if err := l.store.Delete(t.Context(), l.commitKey(v)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestCheckpointKeepsTheState(t *testing.T) {
	l, c := testLog(t)
	s := busyTable(t, l, c)
	if err := l.Checkpoint(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := l.Checkpoint(t.Context(), s); err != nil {
		t.Fatalf("again: %v", err)
	}
	h, err := l.readHint(t.Context())
	if err != nil || h == nil || h.version != 2 || h.size != 10 {
		t.Fatalf("hint %+v, %v", h, err)
	}
	forget(t, l, 1)
	sameState(t, s, latest(t, l))
	forget(t, l, 2)
	got := latest(t, l)
	sameState(t, s, got)
	if got.Timestamp().IsZero() {
		t.Error("no time")
	}
	if _, err := l.At(t.Context(), 1); !errors.Is(err, ErrHistoryGone) || !strings.Contains(err.Error(), "is 2") {
		t.Errorf("version 1: %v", err)
	}
	if _, err := l.At(t.Context(), 3); !errors.Is(err, ErrVersionNotFound) {
		t.Errorf("version 3: %v", err)
	}
}

func TestCheckpointLeavesOutExpiredTombstones(t *testing.T) {
	l, c := testLog(t)
	busyTable(t, l, c)
	c.Advance(DefaultDeletedFileRetention + time.Hour)
	s := latest(t, l)
	if err := l.Checkpoint(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	forget(t, l, 2)
	if got := latest(t, l); len(got.Tombstones()) != 0 || len(s.Tombstones()) != 2 {
		t.Fatalf("%d of %d tombstones", len(got.Tombstones()), len(s.Tombstones()))
	}
}

// TestCheckpointGoesByTheClockOfTheStore: a machine whose clock is ahead forgets no tombstone before vacuum may take the
// file, nor one whose clock is behind keeps it for ever.
func TestCheckpointGoesByTheClockOfTheStore(t *testing.T) {
	for _, skew := range []time.Duration{2 * time.Hour, -2 * time.Hour} {
		for age, want := range map[time.Duration]int{DefaultDeletedFileRetention - time.Hour: 2, DefaultDeletedFileRetention + time.Hour: 0} {
			l, c := testLog(t)
			busyTable(t, l, c)
			c.Advance(age)
			o := l.options
			o.Clock = clock.NewManual(c.Now().Add(skew))
			skewed := New(l.store, l.root, o)
			if err := skewed.Checkpoint(t.Context(), latest(t, skewed)); err != nil {
				t.Fatal(err)
			}
			forget(t, l, 2)
			if got := latest(t, l); len(got.Tombstones()) != want {
				t.Errorf("%s ahead, %s after the removes: %d tombstones, want %d", skew, age, len(got.Tombstones()), want)
			}
		}
	}
}

// TestCheckpointWithoutAClockKeepsTombstones: a store that does not tell its time gives no reason to forget one.
func TestCheckpointWithoutAClockKeepsTombstones(t *testing.T) {
	l, c := testLog(t)
	s := *busyTable(t, l, c)
	s.asOf, s.created = time.Time{}, time.Time{}
	c.Advance(10 * DefaultDeletedFileRetention)
	if got := newCheckpointWriter(&s).tombstones(); len(got) != 2 {
		t.Errorf("%d tombstones", len(got))
	}
}

func TestDamagedCheckpointFallsBackToCommits(t *testing.T) {
	l, c := testLog(t)
	s := busyTable(t, l, c)
	if err := l.Checkpoint(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf(logFolder+"%020d.checkpoint.parquet", 2)
	for _, damage := range []string{"", "PAR1", "PAR1" + strings.Repeat("x", 5000) + "PAR1", `{"not":"parquet"}`} {
		put(t, l, name, damage)
		sameState(t, s, latest(t, l))
	}
	forget(t, l, 0)
	if _, err := l.Latest(t.Context()); !errors.Is(err, ErrCorruptLog) {
		t.Fatalf("got %v", err)
	}
}

func TestHintMayLie(t *testing.T) {
	l, c := testLog(t)
	s := busyTable(t, l, c)
	if err := l.Checkpoint(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	for _, hint := range []string{
		"", "{", "[]", "null", `{"version":1}`, `{"version":0,"size":1}`, `{"version":500,"size":1}`, `{"version":-3}`, `{"version":2,"checksum":"00"}`,
		`{"version":2,"version":1,"checksum":"x"}`, `{"version":1.5}`, `{"size":4}`, strings.Repeat("[", 100000),
		`{"version":99999999999999999999}`,
	} {
		put(t, l, logFolder+"_last_checkpoint", hint)
		l.options.Limits.HintBytes = 90_000
		sameState(t, s, latest(t, l))
	}
}

// multiPart splits a checkpoint into parts by writing the rows of a classic one twice, each part with its share.
func TestMultiPartCheckpoint(t *testing.T) {
	l, c := testLog(t)
	s := busyTable(t, l, c)
	whole := newCheckpointWriter(s)
	first, err := whole.write()
	if err != nil {
		t.Fatal(err)
	}
	empty := *s
	empty.live, empty.txns, empty.domains = newLiveFiles(newFilesBuilder(l, 0).build(), nil), nil, nil
	second, err := newCheckpointWriter(&empty).write()
	if err != nil {
		t.Fatal(err)
	}
	part := func(p, of int) string { return fmt.Sprintf(logFolder+"%020d.checkpoint.%010d.%010d.parquet", 2, p, of) }
	put(t, l, part(2, 2), string(first))
	forget(t, l, 1)
	if _, err := l.Latest(t.Context()); !errors.Is(err, ErrHistoryGone) {
		t.Fatalf("one part of two: %v", err)
	}
	put(t, l, part(1, 2), string(second))
	sameState(t, s, latest(t, l))
}

// v2Checkpoint writes a V2 checkpoint with one sidecar by hand and returns the sidecar's key.
func v2Checkpoint(t *testing.T, l *Log, s *Snapshot, sidecarPath string) string {
	t.Helper()
	w := newCheckpointWriter(s)
	side, err := w.file(w.schema(), func(f *checkpointFile) error {
		return firstError(f.adds(0, s.Files().Len()), f.removes(w.tombstones()))
	})
	if err != nil {
		t.Fatal(err)
	}
	put(t, l, logFolder+"_sidecars/one two.parquet", string(side))
	lines := []Action{
		&CheckpointMetadata{Version: s.version}, s.protocol, s.metadata,
		&Sidecar{Path: sidecarPath, SizeInBytes: int64(len(side)), ModificationTime: 1},
	}
	for id, x := range s.Txns() {
		lines = append(lines, &Txn{AppID: id, Version: x.Version, LastUpdated: x.LastUpdated})
	}
	for _, d := range sortedDomains(s.domains) {
		lines = append(lines, &d)
	}
	var body strings.Builder
	for _, a := range lines {
		line, err := EncodeAction(a)
		if err != nil {
			t.Fatal(err)
		}
		body.Write(append(line, '\n'))
	}
	name := fmt.Sprintf(logFolder+"%020d.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json", s.version)
	put(t, l, name, body.String())
	return l.Key(logFolder + "_sidecars/one two.parquet")
}

func TestV2Checkpoint(t *testing.T) {
	l, c := testLog(t)
	s := busyTable(t, l, c)
	sidecar := v2Checkpoint(t, l, s, "one%20two.parquet")
	forget(t, l, 1)
	sameState(t, s, latest(t, l))
	if err := l.store.Delete(t.Context(), sidecar); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Latest(t.Context()); !errors.Is(err, ErrCorruptLog) || !errors.Is(err, objectstore.ErrNotFound) {
		t.Fatalf("without its sidecar: %v", err)
	}
}

func TestSidecarStaysInItsFolder(t *testing.T) {
	for _, path := range []string{"../x.parquet", "a/b.parquet", "/etc/passwd", "file:///x.parquet", "%2e%2e/x.parquet", "mem://other/x"} {
		l, c := testLog(t)
		s := busyTable(t, l, c)
		v2Checkpoint(t, l, s, path)
		forget(t, l, 1)
		if _, err := l.Latest(t.Context()); !errors.Is(err, ErrPathEscape) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestV2PolicyWritesItsMark(t *testing.T) {
	l, _ := testLog(t)
	x := l.Begin(nil, Operation{Name: "CREATE TABLE"})
	x.Stage(&Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{FeatureV2Checkpoint}, WriterFeatures: []string{FeatureV2Checkpoint}},
		&Metadata{
			ID: "m", Provider: "parquet", SchemaString: `{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{}}]}`,
			Configuration: map[string]string{"delta.checkpointPolicy": "v2", "delta.checkpoint.writeStatsAsJson": "false"},
		})
	mustCommit(t, x)
	s := latest(t, l)
	if err := l.Checkpoint(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	b, _, err := l.readObject(t.Context(), l.Key(logFolder+"00000000000000000000.checkpoint.parquet"), "checkpoint_bytes")
	if err != nil {
		t.Fatal(err)
	}
	f, err := parquetio.Open(bytes.NewReader(b), int64(len(b)), limits.Default())
	if err != nil {
		t.Fatal(err)
	}
	if f.Lookup("checkpointMetadata", "version") == nil || f.Lookup("add", "stats") != nil || f.Lookup("add", "stats_parsed") == nil || f.Rows() != 3 {
		t.Errorf("%d rows", f.Rows())
	}
	forget(t, l, 0)
	sameState(t, s, latest(t, l))
}

// TestParsedStatistics: a checkpoint with typed statistics only gives the same statistics.
func TestParsedStatistics(t *testing.T) {
	l, c := testLog(t)
	s := busyTable(t, l, c)
	bounds := func(name string) *parquetio.Column {
		return structColumn(name, longColumn("id"), textColumn("name"), &parquetio.Column{Name: "at", Kind: parquetio.KindTimestamp, Nullable: true},
			&parquetio.Column{Name: "d", Kind: parquetio.KindDecimal, Precision: 20, Scale: 2, Nullable: true}, &parquetio.Column{Name: "day", Kind: parquetio.KindDate, Nullable: true},
			&parquetio.Column{Name: "f", Kind: parquetio.KindDouble, Nullable: true}, structColumn("in", longColumn("x")))
	}
	columns := []parquetio.Column{
		*structColumn("add", textColumn("path"), textMapColumn("partitionValues"), longColumn("size"), longColumn("modificationTime"),
			structColumn("stats_parsed", longColumn("numRecords"), flagColumn("tightBounds"), bounds("minValues"), bounds("maxValues"),
				structColumn("nullCount", longColumn("id")))),
		*structColumn("protocol", intColumn("minReaderVersion"), intColumn("minWriterVersion")),
		*structColumn("metaData", textColumn("id"), textColumn("schemaString"), structColumn("format", textColumn("provider"))),
	}
	var out bytes.Buffer
	w, err := parquetio.NewWriter(&out, columns, parquetio.Options{Codec: "snappy"})
	if err != nil {
		t.Fatal(err)
	}
	low := []any{int64(-4), "a\"b", int64(-1), nil, int64(0), 1.5, []any{int64(7)}}
	err = firstError(
		w.WriteRow([]any{[]any{"a", map[string]string{}, int64(1), int64(1), []any{int64(3), true, low, nil, []any{int64(0)}}}, nil, nil}),
		w.WriteRow([]any{[]any{"b", map[string]string{}, int64(1), int64(1), nil}, nil, nil}),
		w.WriteRow([]any{nil, []any{int64(1), int64(2)}, nil}),
		w.WriteRow([]any{nil, nil, []any{"id", s.metadata.SchemaString, []any{"parquet"}}}),
		w.Close())
	if err != nil {
		t.Fatal(err)
	}
	put(t, l, fmt.Sprintf(logFolder+"%020d.checkpoint.parquet", 9), out.String())
	got := latest(t, l)
	want := `{"numRecords":3,"tightBounds":true,"minValues":{"id":-4,"name":"a\"b","at":"1969-12-31T23:59:59.999999Z","day":"1970-01-01","f":1.5,"in":{"x":7}},"nullCount":{"id":0}}`
	i, _ := got.FileByPath("a")
	if text := got.Files().StatsText(i); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	i, _ = got.FileByPath("b")
	if text := got.Files().StatsText(i); text != "" {
		t.Errorf("got %s", text)
	}
}

// TestCheckpointNullWhereRequired: rows that lack what an action needs are damage, not zero values.
func TestCheckpointNullWhereRequired(t *testing.T) {
	for name, row := range map[string][]any{
		"add without a path that another add has": {[]any{"", int64(1)}},
		"negative size": {[]any{"x", int64(-1)}},
		"escape":        {[]any{"../x", int64(1)}},
	} {
		t.Run(name, func(t *testing.T) {
			l, c := testLog(t)
			busyTable(t, l, c)
			var out bytes.Buffer
			w, err := parquetio.NewWriter(&out, []parquetio.Column{*structColumn("add", textColumn("path"), longColumn("size"))}, parquetio.Options{Codec: "snappy"})
			if err != nil {
				t.Fatal(err)
			}
			if err := firstError(w.WriteRow(row), w.Close()); err != nil {
				t.Fatal(err)
			}
			forget(t, l, 1)
			put(t, l, fmt.Sprintf(logFolder+"%020d.checkpoint.parquet", 1), out.String())
			if _, err := l.Latest(t.Context()); !errors.Is(err, ErrCorruptLog) && !errors.Is(err, ErrPathEscape) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestHintChecksum(t *testing.T) {
	// The sample of the protocol, "JSON checksum".
	sample := `{"k0":"'v 0'", "checksum": "adsaskfljadfkjadfkj", "k1":{"k2": 2, "k3": ["v3", [1, 2], {"k4": "v4", "k5": ["v5", "v6", "v7"]}]}}`
	got, err := hintChecksum([]byte(sample))
	if err != nil || got != "6a92d155a59bf2eecbd4b4ec7fd1f875" {
		t.Errorf("got %s, %v", got, err)
	}
}

// TestHintRaceIsNoFailure: who loses the swap looks again, and is content with a hint that is as new as its own.
func TestHintRaceIsNoFailure(t *testing.T) {
	for _, rival := range []Version{1, 2, 7} {
		l, c := testLog(t)
		s := busyTable(t, l, c)
		put(t, l, logFolder+"_last_checkpoint", `{"version":0,"size":1}`)
		store := &hintRace{Store: l.store, rival: fmt.Sprintf(`{"version":%d,"size":1}`, rival)}
		raced := New(store, l.root, l.options)
		if err := raced.Checkpoint(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		h, err := l.readHint(t.Context())
		if want := max(rival, s.version); err != nil || h == nil || h.version != want || store.races != 1 {
			t.Errorf("hint %+v, want version %d: %v", h, want, err)
		}
	}
}

// hintRace lets a rival move the hint between the look and the swap, once.
type hintRace struct {
	objectstore.Store
	rival string
	races int
}

func (s *hintRace) Put(ctx context.Context, key string, body objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
	if strings.HasSuffix(key, "_last_checkpoint") && s.races == 0 {
		s.races++
		if _, err := s.Store.Put(ctx, key, objectstore.Bytes([]byte(s.rival)), objectstore.Condition{}); err != nil {
			return objectstore.Info{}, err
		}
	}
	return s.Store.Put(ctx, key, body, c)
}
