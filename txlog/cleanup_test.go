package txlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
)

// agedLog is a log with one commit a day, all by one clock.
func agedLog(t *testing.T, properties map[string]string, days int) (*Log, *clock.Manual) {
	t.Helper()
	c := clock.NewStepping(testStart())
	l := New(mem.New(t.Name(), mem.WithClock(c)), "silver/orders", Options{Clock: c, Rand: clock.SeededRand(7)})
	createTable(t, l, "id bigint", nil, properties)
	for range days {
		c.Advance(24 * time.Hour)
		appendOne(t, l)
	}
	return l, c
}

func appendOne(t *testing.T, l *Log) {
	t.Helper()
	s := latest(t, l)
	x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(&Add{Path: fmt.Sprintf("f%d", s.version+1), Size: 1, DataChange: true})
	mustCommit(t, x)
}

// logNames lists _delta_log.
func logNames(t *testing.T, l *Log) []string {
	t.Helper()
	var out []string
	for info, err := range l.store.List(t.Context(), l.Key(logFolder), "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.TrimPrefix(info.Key, l.Key(logFolder)))
	}
	return out
}

// commitsLeft are the versions whose commits are there.
func commitsLeft(t *testing.T, l *Log) (from, to Version) {
	t.Helper()
	g, err := l.list(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	from = g.newest
	for v := range g.commits {
		from = min(from, v)
	}
	if int(g.newest-from)+1 != len(g.commits) {
		t.Fatalf("%d commits from %d to %d", len(g.commits), from, g.newest)
	}
	return from, g.newest
}

func TestCleanUpKeepsWhatTheRetentionPromises(t *testing.T) {
	l, c := agedLog(t, nil, 45)
	// The checkpoint of version 40, on day 40, had the midnight of day 10 as its cut-off: commit 9 is before it, and no
	// checkpoint is at or below that. The one of version 50 will have that of day 20, and so begin at version 10.
	if from, _ := commitsLeft(t, l); from != 0 {
		t.Fatalf("the log begins at %d", from)
	}
	for range 5 {
		c.Advance(24 * time.Hour)
		appendOne(t, l)
	}
	if from, to := commitsLeft(t, l); from != 10 || to != 50 {
		t.Fatalf("the log goes from %d to %d", from, to)
	}
	for _, name := range logNames(t, l) {
		if v, _, ok := cutVersion(name); ok && v < 10 {
			t.Errorf("%s is left", name)
		}
	}
	for v := Version(10); v <= 50; v++ {
		if s, err := l.At(t.Context(), v); err != nil || s.Files().Len() != int(v) {
			t.Errorf("version %d: %v", v, err)
		}
	}
	for v := range Version(10) {
		if _, err := l.At(t.Context(), v); !errors.Is(err, ErrHistoryGone) || !strings.Contains(err.Error(), "oldest that is left is 10") {
			t.Errorf("version %d: %v", v, err)
		}
	}
	if _, err := l.AtTime(t.Context(), testStart().Add(36*time.Hour)); !errors.Is(err, ErrTimestampTooEarly) || !strings.Contains(err.Error(), "left is 10") {
		t.Errorf("by time: %v", err)
	}
	if s, err := l.AtTime(t.Context(), testStart().Add(12*24*time.Hour+time.Hour)); err != nil || s.Version() != 12 {
		t.Errorf("by time: %v", err)
	}
	n := 0
	for _, err := range l.History(t.Context(), HistoryOptions{}) {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if n != 41 {
		t.Errorf("history has %d versions", n)
	}
	if done, err := l.CleanUp(t.Context(), latest(t, l)); err != nil || done.Start != 10 || done.Removed != 0 {
		t.Errorf("again: %+v, %v", done, err)
	}
}

func TestCleanUpLeavesAloneWhatItMust(t *testing.T) {
	cases := []struct {
		name       string
		properties map[string]string
		protocol   *Protocol
		want       error
	}{
		{"switched off", map[string]string{"delta.enableExpiredLogCleanup": "false"}, nil, nil},
		{"a word that nobody knows", map[string]string{"delta.enableExpiredLogCleanup": "perhaps"}, nil, nil},
		{"a retention that nobody can read", map[string]string{"delta.logRetentionDuration": "two moons"}, nil, errors.ErrUnsupported},
		{"a long retention", map[string]string{"delta.logRetentionDuration": "interval 90 days"}, nil, nil},
		{"a feature that we do not write", nil, &Protocol{MinReaderVersion: 1, MinWriterVersion: 7, WriterFeatures: []string{"checkpointProtection"}}, ErrUnsupportedFeature},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l, _ := agedLog(t, map[string]string{"delta.enableExpiredLogCleanup": "false"}, 50)
			s := latest(t, l)
			m := *s.metadata
			m.Configuration = c.properties
			s.metadata = &m
			if c.protocol != nil {
				s.protocol = c.protocol
			}
			before := logNames(t, l)
			done, err := l.CleanUp(t.Context(), s)
			if (err == nil) != (c.want == nil) || done.Removed != 0 {
				t.Errorf("%+v, %v", done, err)
			}
			if c.want != nil && c.want != errors.ErrUnsupported && !errors.Is(err, c.want) { //nolint:errorlint // a mark of this test: any error
				t.Errorf("%v, want %v", err, c.want)
			}
			if after := logNames(t, l); !slices.Equal(before, after) {
				t.Errorf("the log went from %v to %v", before, after)
			}
		})
	}
}

// Whatever the properties say, writers may count on an hour.
func TestCleanUpSparesTheLastHour(t *testing.T) {
	c := clock.NewStepping(time.Date(2026, 3, 1, 23, 0, 0, 0, time.UTC))
	l := New(mem.New(t.Name(), mem.WithClock(c)), "t", Options{Clock: c, Rand: clock.SeededRand(7)})
	createTable(t, l, "id bigint", nil, map[string]string{"delta.logRetentionDuration": "interval 0 days", "delta.checkpointInterval": "2"})
	for range 8 { // version 4 at 23:40, version 8 at 00:20
		c.Advance(10 * time.Minute)
		appendOne(t, l)
	}
	if from, _ := commitsLeft(t, l); from != 2 {
		t.Errorf("at 00:20 the log begins at %d", from) // versions 0 and 1 are older than an hour
	}
	c.Advance(20 * time.Minute) // 00:40; version 6 is of midnight
	if done, err := l.CleanUp(t.Context(), latest(t, l)); err != nil || done.Start != 6 {
		t.Errorf("%+v, %v", done, err)
	}
	if from, _ := commitsLeft(t, l); from != 4 {
		t.Errorf("at 00:40 the log begins at %d", from)
	}
}

// The checkpoint that is to carry the log is read before anything goes.
func TestCleanUpDoesNotTrustACheckpointByItsName(t *testing.T) {
	l, _ := agedLog(t, map[string]string{"delta.enableExpiredLogCleanup": "false"}, 50)
	s := latest(t, l)
	s.metadata.Configuration["delta.enableExpiredLogCleanup"] = "true"
	put(t, l, "_delta_log/00000000000000000010.checkpoint.parquet", "PAR1 is all that it has PAR1")
	if done, err := l.CleanUp(t.Context(), s); !errors.Is(err, ErrCorruptLog) || done.Removed != 0 {
		t.Errorf("%+v, %v", done, err)
	}
	if from, _ := commitsLeft(t, l); from != 0 {
		t.Errorf("the log begins at %d", from)
	}
}

// cutShort deletes a few keys of the first batch and fails.
type cutShort struct {
	objectstore.Store
	left int
}

func (s *cutShort) Delete(ctx context.Context, keys ...string) error {
	n := min(s.left, len(keys))
	s.left -= n
	if err := s.Store.Delete(ctx, keys[:n]...); err != nil || n == len(keys) {
		return err
	}
	return objectstore.ErrUnavailable
}

// A clean-up that dies leaves a log that reads like before, from some version on; the next one ends its work.
func TestCleanUpMayDieAnywhere(t *testing.T) {
	l, _ := agedLog(t, map[string]string{"delta.enableExpiredLogCleanup": "false"}, 60)
	s := latest(t, l)
	s.metadata.Configuration["delta.enableExpiredLogCleanup"] = "true"
	cut := &cutShort{Store: l.store}
	dying := New(cut, l.root, l.options)
	for round := range 70 {
		cut.left = 1
		_, err := dying.CleanUp(t.Context(), s)
		if now := latest(t, l); now.Version() != 60 || now.Files().Len() != 60 {
			t.Fatalf("round %d: version %d with %d files", round, now.Version(), now.Files().Len())
		}
		oldest := Version(-1)
		for v := range Version(61) {
			switch at, err := l.At(t.Context(), v); {
			case err == nil:
				if at.Files().Len() != int(v) {
					t.Fatalf("round %d, version %d: %d files", round, v, at.Files().Len())
				}
				if oldest < 0 {
					oldest = v
				}
			case !errors.Is(err, ErrHistoryGone) || v >= 20:
				t.Fatalf("round %d, version %d: %v", round, v, err)
			}
		}
		if err == nil {
			if from, _ := commitsLeft(t, l); from != 20 || oldest != 20 {
				t.Errorf("in the end the log begins at %d, and %d is the oldest", from, oldest)
			}
			return
		}
	}
	t.Error("it never ended")
}

func TestCleanUpTakesWhatBelongsToOldVersions(t *testing.T) {
	l, c := agedLog(t, map[string]string{"delta.enableExpiredLogCleanup": "false"}, 30)
	gone := []string{
		"00000000000000000003.checkpoint.0000000001.0000000002.parquet", // its other part never came
		"00000000000000000003.00000000000000000005.compacted.json",
		"00000000000000000010.00000000000000000011.compacted.json", // begins where the log begins
		"00000000000000000004.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.parquet",
	}
	stay := []string{
		"00000000000000000011.00000000000000000012.compacted.json", "00000000000000000003.txt", "notes.json", "_commits/00000000000000000001.json",
		"_staged_commits/00000000000000000001.80a083e8-7026-4e79-81be-64bd76c43a11.json", "_sidecars/a.parquet", ".00000000000000000001.json.crc",
		"0000000000000000001.json", "00000000000000000010.crc",
	}
	for _, name := range slices.Concat(gone, stay) {
		put(t, l, "_delta_log/"+name, "x")
	}
	c.Advance(20 * 24 * time.Hour)
	s := latest(t, l)
	s.metadata.Configuration["delta.enableExpiredLogCleanup"] = "true"
	if done, err := l.CleanUp(t.Context(), s); err != nil || done.Start != 10 {
		t.Fatalf("%+v, %v", done, err)
	}
	left := logNames(t, l)
	for _, name := range gone {
		if slices.Contains(left, name) {
			t.Errorf("%s is left", name)
		}
	}
	for _, name := range stay {
		if !slices.Contains(left, name) {
			t.Errorf("%s is gone", name)
		}
	}
}

// Sidecars go when no checkpoint names them any more and they are older than a day.
func TestCleanUpOfSidecars(t *testing.T) {
	l, c := agedLog(t, map[string]string{"delta.enableExpiredLogCleanup": "false"}, 50)
	s := latest(t, l)
	s.metadata.Configuration["delta.enableExpiredLogCleanup"] = "true"
	s.protocol = &Protocol{
		MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{FeatureV2Checkpoint}, WriterFeatures: []string{FeatureV2Checkpoint},
	}
	for _, name := range []string{"named.parquet", "forgotten.parquet", "deeper/forgotten.parquet", "notes.txt"} {
		put(t, l, "_delta_log/_sidecars/"+name, "x")
	}
	v2 := `{"checkpointMetadata":{"version":30}}` + "\n" + `{"sidecar":{"path":"named.parquet","sizeInBytes":1,"modificationTime":1}}` + "\n"
	put(t, l, "_delta_log/00000000000000000030.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json", v2)
	c.Advance(25 * time.Hour)
	put(t, l, "_delta_log/_sidecars/young.parquet", "x")
	if _, err := l.CleanUp(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, name := range logNames(t, l) {
		if rest, ok := strings.CutPrefix(name, "_sidecars/"); ok {
			left = append(left, rest)
		}
	}
	if want := []string{"deeper/forgotten.parquet", "named.parquet", "notes.txt", "young.parquet"}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
}
