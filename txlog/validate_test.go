package txlog

import (
	"errors"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore/mem"
)

// TestCommitIsCheckedBeforeItIsSent: what the log would not read it does not write, and the table stays as it was.
func TestCommitIsCheckedBeforeItIsSent(t *testing.T) {
	l, _ := testLog(t)
	s := createTable(t, l, "id bigint, part int not null", []string{"part"}, nil)
	add := func(path string) *Add {
		return &Add{Path: path, PartitionValues: map[string]string{"part": "1"}, Size: 1, DataChange: true, Stats: `{"numRecords":3}`}
	}
	vector := func(a *Add, id string, cardinality int64) *Add {
		a.DeletionVector = &DeletionVectorDescriptor{StorageType: "i", PathOrInlineDv: id, Cardinality: cardinality}
		return a
	}
	remove := func(path string) *Remove { return &Remove{Path: path, DataChange: true, DeletionTimestamp: 1} }
	x := l.Begin(s, Operation{Name: "WRITE"})
	x.Stage(add("live"), vector(add("marked"), "v1", 1))
	mustCommit(t, x)
	s = latest(t, l)
	change := func(f func(*Add)) *Add { a := add("x"); f(a); return a }
	for _, tc := range []struct {
		name    string
		actions []Action
		want    error
		text    string
	}{
		{"two protocols", []Action{s.Protocol(), s.Protocol()}, ErrInvalidCommit, "protocol occurs twice"},
		{"two metadata", []Action{s.Metadata(), s.Metadata()}, ErrInvalidCommit, "metaData occurs twice"},
		{"two txns", []Action{&Txn{AppID: "a"}, &Txn{AppID: "a", Version: 2}}, ErrInvalidCommit, "txn a"},
		{"two adds", []Action{add("x"), add("x")}, ErrInvalidCommit, "twice"},
		{"two adds, spelled apart", []Action{add("x y"), add("x%20y")}, ErrInvalidCommit, "twice"},
		{"two removes", []Action{remove("live"), remove("live")}, ErrInvalidCommit, "twice"},
		{"add and remove", []Action{add("live"), remove("live")}, ErrInvalidCommit, "same deletion vector"},
		{"live with another vector", []Action{vector(add("marked"), "v2", 2)}, ErrInvalidCommit, "not removed"},
		{"vector without rows", []Action{vector(change(func(a *Add) { a.Stats = "" }), "v", 1)}, ErrInvalidCommit, "numRecords"},
		{"more deleted than there is", []Action{vector(add("x"), "v", 4)}, ErrInvalidCommit, "numRecords"},
		{"mixed changes", []Action{add("x"), change(func(a *Add) { a.Path, a.DataChange = "y", false })}, ErrInvalidCommit, "dataChange"},
		{"no partition value", []Action{change(func(a *Add) { a.PartitionValues = nil })}, ErrInvalidCommit, "part"},
		{"bad partition value", []Action{change(func(a *Add) { a.PartitionValues = map[string]string{"part": "x"} })}, ErrInvalidCommit, "is no int"},
		{"null partition value", []Action{change(func(a *Add) { a.PartitionValues = map[string]string{"part": ""} })}, ErrInvalidCommit, "NOT NULL"},
		{"escape", []Action{add("../x")}, ErrPathEscape, ""},
		{"absolute", []Action{add("/x")}, ErrPathEscape, ""},
		{"no path", []Action{add("")}, ErrInvalidCommit, "path is missing"},
		{"negative size", []Action{change(func(a *Add) { a.Size = -1 })}, ErrInvalidCommit, "size"},
		{"domain of the protocol", []Action{&DomainMetadata{Domain: "delta.x"}}, ErrInvalidCommit, "belongs to the protocol"},
		{"domain without the feature", []Action{&DomainMetadata{Domain: "x"}}, ErrInvalidCommit, "domainMetadata"},
		{"commitInfo", []Action{&CommitInfo{}}, ErrInvalidCommit, "cannot be staged"},
		{"nil", []Action{nil}, ErrInvalidCommit, "cannot be staged"},
		{"unreadable schema", []Action{&Metadata{ID: "x", Provider: "parquet", SchemaString: "{"}}, ErrCorruptLog, ""},
		{"lost partition column", []Action{&Metadata{ID: "x", Provider: "parquet", PartitionColumns: []string{"nope"}, SchemaString: s.Metadata().SchemaString}}, ErrCorruptLog, "nope"},
		{"unsupported protocol", []Action{&Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{"catalogManaged"}, WriterFeatures: []string{"catalogManaged", "inCommitTimestamp"}}}, ErrUnsupportedFeature, "catalogManaged"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			x := l.Begin(s, Operation{Name: "WRITE"})
			x.Stage(tc.actions...)
			_, err := x.Commit(t.Context())
			if !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v", err)
			}
			if now := latest(t, l); now.Version() != 1 {
				t.Fatalf("the table is at %d", now.Version())
			}
		})
	}
	x = l.Begin(s, Operation{Name: "WRITE"})
	marked, _ := s.FileByPath("marked")
	x.Stage(s.Files().Remove(marked, 1, true), vector(add("marked"), "v2", 2), add("live"))
	mustCommit(t, x)
	if got := names(latest(t, l)); got != "live marked" {
		t.Errorf("live files %s", got)
	}
}

func TestFirstCommitNeedsProtocolAndMetadata(t *testing.T) {
	l, _ := testLog(t)
	for _, actions := range [][]Action{nil, {&Protocol{MinReaderVersion: 1, MinWriterVersion: 2}}, {&Metadata{ID: "x", Provider: "parquet"}}} {
		x := l.Begin(nil, Operation{Name: "CREATE TABLE"})
		x.Stage(actions...)
		if _, err := x.Commit(t.Context()); !errors.Is(err, ErrInvalidCommit) {
			t.Errorf("got %v", err)
		}
	}
	createTable(t, l, "id bigint", nil, nil)
	x := l.Begin(nil, Operation{Name: "CREATE TABLE"})
	x.Stage(&Protocol{MinReaderVersion: 1, MinWriterVersion: 2}, latest(t, l).Metadata())
	if _, err := x.Commit(t.Context()); !errors.Is(err, ErrConflict) {
		t.Errorf("created twice: %v", err)
	}
}

func TestAppendOnlyTable(t *testing.T) {
	l, _ := testLog(t)
	s := createTable(t, l, "id bigint", nil, map[string]string{"delta.appendOnly": "true"})
	x := l.Begin(s, Operation{Name: "WRITE"})
	x.Stage(&Add{Path: "a", Size: 1, DataChange: true}, &Add{Path: "b", Size: 1, DataChange: true})
	mustCommit(t, x)
	s = latest(t, l)
	x = l.Begin(s, Operation{Name: "DELETE"})
	x.Stage(s.Files().Remove(0, 1, true))
	if _, err := x.Commit(t.Context()); !errors.Is(err, ErrInvalidCommit) || !strings.Contains(err.Error(), "delta.appendOnly") {
		t.Errorf("got %v", err)
	}
	x = l.Begin(s, Operation{Name: "OPTIMIZE"})
	x.Stage(s.Files().Remove(0, 1, false), s.Files().Remove(1, 1, false), &Add{Path: "c", Size: 2})
	mustCommit(t, x)
}

func TestCommitLimits(t *testing.T) {
	for _, tc := range []struct {
		bound limits.Limits
		name  string
	}{
		{limits.Limits{ActionsPerCommit: 3}, "actions_per_commit"},
		{limits.Limits{LogLineBytes: 700}, "log_line_bytes"},
		{limits.Limits{CommitBytes: 2500}, "commit_bytes"},
		{limits.Limits{StatsBytes: 400}, "stats_bytes"},
	} {
		l := New(mem.New(t.Name()+tc.name), "t", Options{Clock: clock.NewStepping(testStart()), Rand: clock.SeededRand(1), Limits: tc.bound})
		s := createTable(t, l, "id bigint", nil, nil)
		x := l.Begin(s, Operation{Name: "WRITE"})
		for _, path := range []string{"a", "b", "c", "d", "e"} {
			x.Stage(&Add{Path: path, Size: 1, DataChange: true, Stats: strings.Repeat(" ", 500) + `{"numRecords":1}`})
		}
		if tc.name == "log_line_bytes" {
			x.Stage(&Add{Path: "f", Size: 1, DataChange: true, Stats: strings.Repeat(" ", 900)})
		}
		_, err := x.Commit(t.Context())
		var over *limits.Error
		if !errors.As(err, &over) || over.Limit != tc.name {
			t.Errorf("%s: %v", tc.name, err)
		}
		if v := latest(t, l).Version(); v != 0 {
			t.Errorf("%s: the table is at %d", tc.name, v)
		}
	}
}

// TestCommitInfoComesFirst and says what the log must say of every change.
func TestCommitInfoComesFirst(t *testing.T) {
	l, _ := testLog(t)
	s := createTable(t, l, "id bigint", nil, nil)
	x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true, UserMetadata: "u", Parameters: map[string]string{"mode": `"Append"`}})
	x.Stage(&Add{Path: "a<b>", Size: 1, DataChange: true})
	x.SetMetrics(map[string]string{"numFiles": "1"})
	done := mustCommit(t, x)
	b, _, err := l.readObject(t.Context(), l.commitKey(done.Version), "commit_bytes")
	if err != nil {
		t.Fatal(err)
	}
	first, rest, _ := strings.Cut(string(b), "\n")
	for _, want := range []string{
		`{"commitInfo":{"timestamp":`, `"operation":"WRITE"`, `"operationParameters":{"mode":"\"Append\""}`, `"readVersion":0`,
		`"isolationLevel":"Serializable"`, `"isBlindAppend":true`, `"operationMetrics":{"numFiles":"1"}`, `"engineInfo":"lakectl"`, `"txnId":"` + done.TxnID + `"`, `"userMetadata":"u"`,
	} {
		if !strings.Contains(first, want) {
			t.Errorf("first line lacks %s: %s", want, first)
		}
	}
	if !strings.Contains(rest, `"path":"a<b>"`) || !strings.HasSuffix(rest, "\n") {
		t.Errorf("rest %s", rest)
	}
	y := l.Begin(latest(t, l), Operation{Name: "WRITE", BlindAppend: true})
	y.ReadWhole()
	y.Stage(&Add{Path: "b", Size: 1, DataChange: true})
	done = mustCommit(t, y)
	if c, err := l.ReadCommit(t.Context(), done.Version); err != nil || *c.Info.IsBlindAppend {
		t.Errorf("a change that read is no blind append: %v", err)
	}
}
