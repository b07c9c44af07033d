package txlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
)

// dated is a store whose commits have the times that a test sets, in seconds after its start.
type dated struct {
	objectstore.Store
	seconds map[Version]int
}

func (d *dated) date(info objectstore.Info) objectstore.Info {
	if name := info.Key[strings.LastIndexByte(info.Key, '/')+1:]; strings.HasSuffix(name, ".json") {
		if v, _, ok := cutVersion(name); ok {
			info.Modified = testStart().Add(time.Duration(d.seconds[v]) * time.Second)
		}
	}
	return info
}

func (d *dated) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		for info, err := range d.Store.List(ctx, prefix, after) {
			if !yield(d.date(info), err) {
				return
			}
		}
	}
}

func (d *dated) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	body, info, err := d.Store.Get(ctx, key, r)
	if err == nil {
		info = d.date(info)
	}
	return body, info, err
}

// history commits n versions after the first and dates them.
func datedTable(t *testing.T, seconds []int, properties map[string]string) *Log {
	t.Helper()
	d := &dated{Store: mem.New(t.Name()), seconds: map[Version]int{}}
	c := clock.NewStepping(testStart())
	l := New(d, "t", Options{Clock: c, Rand: clock.SeededRand(3)})
	s := createTable(t, l, "id bigint", nil, properties)
	d.seconds[0] = seconds[0]
	for i, at := range seconds[1:] {
		d.seconds[Version(i+1)] = at
		c.Advance(time.Minute)
		x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
		x.Stage(&Add{Path: fmt.Sprintf("f%d", i+1), Size: 1, DataChange: true})
		mustCommit(t, x)
		s = latest(t, l)
	}
	return l
}

func TestAtTime(t *testing.T) {
	// Version 2 has an earlier object than version 1: it counts as one millisecond after it.
	l := datedTable(t, []int{0, 20, 10, 40}, nil)
	for _, tc := range []struct {
		at   time.Duration
		want Version
		err  error
	}{
		{-time.Millisecond, 0, ErrTimestampTooEarly},
		{0, 0, nil},
		{19 * time.Second, 0, nil},
		{20 * time.Second, 1, nil},
		{20*time.Second + time.Millisecond, 2, nil},
		{39 * time.Second, 2, nil},
		{40 * time.Second, 3, nil},
		{41 * time.Second, 0, ErrTimestampTooLate},
	} {
		s, err := l.AtTime(t.Context(), testStart().Add(tc.at))
		if !errors.Is(err, tc.err) || tc.err == nil && (err != nil || s.Version() != tc.want) {
			t.Errorf("%v: %v, want %d", tc.at, err, tc.want)
		}
		if s != nil && s.Files().Len() != int(tc.want) {
			t.Errorf("%v: %d files", tc.at, s.Files().Len())
		}
	}
}

func TestInCommitTimestamps(t *testing.T) {
	// The objects' times say nothing here.
	l := datedTable(t, []int{90_000, 5, 90_000, 1}, map[string]string{"delta.enableInCommitTimestamps": "true"})
	s := latest(t, l)
	start := testStart()
	if want := start.Add(3 * time.Minute); !s.Timestamp().Equal(want) {
		t.Fatalf("version 3 of %v, want %v", s.Timestamp(), want)
	}
	for at, want := range map[time.Duration]Version{0: 0, 59 * time.Second: 0, time.Minute: 1, 150 * time.Second: 2, 3 * time.Minute: 3} {
		got, err := l.AtTime(t.Context(), start.Add(at))
		if err != nil || got.Version() != want {
			t.Errorf("%v: %v, want %d", at, err, want)
		}
	}
	if _, err := l.AtTime(t.Context(), start.Add(-time.Second)); !errors.Is(err, ErrTimestampTooEarly) {
		t.Errorf("got %v", err)
	}
	if _, err := l.AtTime(t.Context(), start.Add(time.Hour)); !errors.Is(err, ErrTimestampTooLate) {
		t.Errorf("got %v", err)
	}
	// A clock set back does not turn the times back.
	l.options.Clock = clock.NewStepping(start.Add(-time.Hour))
	x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(&Add{Path: "late", Size: 1, DataChange: true})
	mustCommit(t, x)
	if got, want := latest(t, l).Timestamp(), s.Timestamp().Add(time.Millisecond); !got.Equal(want) {
		t.Errorf("version 4 of %v, want %v", got, want)
	}
	// With commits covered by a checkpoint the time is still that of the commit.
	if err := l.Checkpoint(t.Context(), latest(t, l)); err != nil {
		t.Fatal(err)
	}
	if got, want := latest(t, l).Timestamp(), s.Timestamp().Add(time.Millisecond); !got.Equal(want) {
		t.Errorf("from the checkpoint: %v, want %v", got, want)
	}
}

func TestHistory(t *testing.T) {
	l := datedTable(t, []int{0, 20, 10, 40, 50}, nil)
	v := func(n Version) *Version { return &n }
	for _, tc := range []struct {
		name string
		o    HistoryOptions
		want string
	}{
		{"all", HistoryOptions{}, "4 3 2 1 0"},
		{"limit", HistoryOptions{Limit: 2}, "4 3"},
		{"range", HistoryOptions{From: v(1), To: v(3)}, "3 2 1"},
		{"since", HistoryOptions{Since: testStart().Add(20 * time.Second)}, "4 3 2 1"},
		{"nothing", HistoryOptions{To: v(-1)}, ""},
	} {
		var got []string
		for c, err := range l.History(t.Context(), tc.o) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprint(c.Version))
			if c.Info == nil || c.Info.TxnID == "" {
				t.Errorf("version %d without commitInfo", c.Version)
			}
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%s: %v, want %s", tc.name, got, tc.want)
		}
	}
	for _, err := range New(mem.New("none"), "t", Options{}).History(t.Context(), HistoryOptions{}) {
		if !errors.Is(err, ErrNotATable) {
			t.Errorf("got %v", err)
		}
	}
	if err := l.store.Delete(t.Context(), l.commitKey(2)); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range l.History(t.Context(), HistoryOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 2 {
		t.Errorf("%d commits above a gap, want 2", n)
	}
}

func TestOpenErrors(t *testing.T) {
	for _, tc := range []struct {
		name  string
		files map[string]string
		want  error
	}{
		{"nothing", nil, ErrNotATable},
		{"debris only", map[string]string{"_delta_log/.00000000000000000000.json.crc": "x", "_delta_log/x.json": "{}", "_delta_log/0.json": "{}"}, ErrNotATable},
		{"first commit gone", map[string]string{"_delta_log/00000000000000000001.json": "{}"}, ErrHistoryGone},
		{"gap", map[string]string{"_delta_log/00000000000000000000.json": "{}", "_delta_log/00000000000000000002.json": "{}"}, ErrVersionGap},
		{"no protocol", map[string]string{"_delta_log/00000000000000000000.json": `{"metaData":{"id":"x"}}`}, ErrCorruptLog},
		{"no metadata", map[string]string{"_delta_log/00000000000000000000.json": `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}`}, ErrCorruptLog},
		{"broken line", map[string]string{"_delta_log/00000000000000000000.json": `{"protocol":`}, ErrCorruptLog},
		{"empty", map[string]string{"_delta_log/00000000000000000000.json": ""}, ErrCorruptLog},
		{"another format", map[string]string{"_delta_log/00000000000000000000.json": `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}` + "\n" + `{"metaData":{"id":"x","format":{"provider":"orc"}}}`}, ErrUnsupportedFeature},
		{"path that escapes", map[string]string{"_delta_log/00000000000000000000.json": `{"add":{"path":"../x","size":1}}`}, ErrPathEscape},
		{"unknown mapping", map[string]string{"_delta_log/00000000000000000000.json": `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}` + "\n" + `{"metaData":{"id":"x","configuration":{"delta.columnMapping.mode":"odd"}}}`}, ErrCorruptLog},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, _ := testLog(t)
			for name, body := range tc.files {
				put(t, l, name, body)
			}
			if _, err := l.Latest(t.Context()); !errors.Is(err, tc.want) || !strings.Contains(err.Error(), "silver/orders") {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

// TestCompactionCoversAGap: commits that a compaction replaces may be gone.
func TestCompactionCoversAGap(t *testing.T) {
	l := datedTable(t, []int{0, 1, 2, 3, 4}, nil)
	put(t, l, logFolder+"00000000000000000001.00000000000000000003.compacted.json",
		`{"add":{"path":"f1","size":1,"modificationTime":0,"dataChange":false}}`+"\n"+`{"add":{"path":"f3","size":1,"modificationTime":0,"dataChange":false}}`)
	if got := names(latest(t, l)); got != "f1 f2 f3 f4" {
		t.Errorf("with all commits: %s", got)
	}
	for _, v := range []Version{1, 2, 3} {
		if err := l.store.Delete(t.Context(), l.commitKey(v)); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(latest(t, l)); got != "f1 f3 f4" {
		t.Errorf("with the compaction: %s", got)
	}
	if s, err := l.At(t.Context(), 3); err != nil || s.Files().Len() != 2 {
		t.Errorf("version 3: %v", err)
	}
	if _, err := l.At(t.Context(), 2); !errors.Is(err, ErrVersionGap) {
		t.Errorf("version 2: %v", err)
	}
}
