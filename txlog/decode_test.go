package txlog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/internal/limits"
)

func ptr[T any](v T) *T { return &v }

func TestActionsComeBackAsWritten(t *testing.T) {
	for _, a := range []Action{
		&Metadata{
			ID: "1", Name: "a<b>&c", Description: "d", Provider: "parquet", FormatOptions: map[string]string{"x": "y"},
			SchemaString: `{"type":"struct","fields":[]}`, PartitionColumns: []string{"p"}, CreatedTime: ptr(int64(1 << 60)), Configuration: map[string]string{"k": "v"},
		},
		&Protocol{MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{}, WriterFeatures: []string{"x"}},
		&Protocol{MinReaderVersion: 1, MinWriterVersion: 2},
		&Add{
			Path: "a%20b", PartitionValues: map[string]string{"p": "", "q": "\u2028é\""}, Size: 9007199254740993, ModificationTime: 1, DataChange: true,
			Stats: `{"numRecords":1}`, Tags: map[string]string{"t": "u"}, DeletionVector: &DeletionVectorDescriptor{StorageType: "u", PathOrInlineDv: "ab^-aqEH.-t@S}K{vb[*k^", Offset: ptr(int32(1)), SizeInBytes: 40, Cardinality: 4},
			BaseRowID: ptr(int64(0)), DefaultRowCommitVersion: ptr(int64(3)), ClusteringProvider: "liquid",
		},
		&Remove{
			Path: "x", DeletionTimestamp: 5, DataChange: true, ExtendedFileMetadata: true, PartitionValues: map[string]string{"p": "1"}, Size: ptr(int64(0)),
			Stats: "{}", Tags: map[string]string{"t": ""}, BaseRowID: ptr(int64(1)), DefaultRowCommitVersion: ptr(int64(2)),
		},
		&CDC{Path: "_change_data/x", PartitionValues: map[string]string{}, Size: 3, Tags: map[string]string{"a": "b"}},
		&Txn{AppID: "a", Version: -1, LastUpdated: ptr(int64(0))},
		&DomainMetadata{Domain: "d", Configuration: "{\"a\":1}", Removed: true},
		&CheckpointMetadata{Version: 4, Tags: map[string]string{"a": "b"}},
		&Sidecar{Path: "x.parquet", SizeInBytes: 1, ModificationTime: 2, Tags: map[string]string{"a": "b"}},
		&CommitInfo{
			Timestamp: 1, InCommitTimestamp: ptr(int64(2)), Operation: "WRITE", OperationParameters: map[string]string{"mode": "\"Append\""},
			ReadVersion: ptr(Version(0)), IsolationLevel: "Serializable", IsBlindAppend: ptr(false), OperationMetrics: map[string]string{"numFiles": "1"},
			EngineInfo: "e", TxnID: "t", UserMetadata: "u", Tags: map[string]string{"a": "b"}, Extra: map[string]json.RawMessage{"lake": json.RawMessage(`{"run":12345678901234567890}`)},
		},
	} {
		t.Run(fmt.Sprintf("%T", a), func(t *testing.T) {
			line, err := EncodeAction(a)
			if err != nil {
				t.Fatal(err)
			}
			if !json.Valid(line) || bytes.ContainsAny(line, "\n\r") || bytes.Contains(line, []byte(`\u003c`)) {
				t.Fatalf("wrote %s", line)
			}
			got, err := DecodeLine(line)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(a, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestDecodeLine(t *testing.T) {
	for _, tc := range []struct {
		name, line string
		want       Action
		bad        bool
	}{
		{name: "unknown action", line: `{"futureThing":{"add":{"path":"x"}}}`},
		{name: "unknown field", line: `{"txn":{"appId":"a","version":1,"new":[{"x":null}]}}`, want: &Txn{AppID: "a", Version: 1}},
		{name: "keys match exactly", line: `{"txn":{"appId":"a","version":1,"Version":7,"APPID":"b"}}`, want: &Txn{AppID: "a", Version: 1}},
		{name: "action keys match exactly", line: `{"Txn":{"appId":"a","version":1}}`},
		{
			name: "nulls", line: `{"add":{"path":"a","partitionValues":{"p":null},"size":1,"modificationTime":2,"dataChange":true,"tags":null,"stats":null,"deletionVector":null,"baseRowId":null},"txn":null}`,
			want: &Add{Path: "a", PartitionValues: map[string]string{"p": ""}, Size: 1, ModificationTime: 2, DataChange: true},
		},
		{name: "large number", line: `{"txn":{"appId":"a","version":9007199254740993}}`, want: &Txn{AppID: "a", Version: 9007199254740993}},
		{name: "escapes", line: `{"txn":{"appId":"\ud83d\ude08\u00e9\n\/","version":1}}`, want: &Txn{AppID: "😈é\n/", Version: 1}},
		{name: "half a pair", line: `{"txn":{"appId":"\ud83d","version":1}}`, want: &Txn{AppID: "\uFFFD", Version: 1}},
		{name: "empty object", line: `{}`},
		{name: "two actions", line: `{"txn":{"appId":"a","version":1},"add":{"path":"a"}}`, bad: true},
		{name: "fraction", line: `{"txn":{"appId":"a","version":1.5}}`, bad: true},
		{name: "exponent", line: `{"txn":{"appId":"a","version":1e3}}`, bad: true},
		{name: "too large", line: `{"txn":{"appId":"a","version":9223372036854775808}}`, bad: true},
		{name: "text for number", line: `{"txn":{"appId":"a","version":"1"}}`, bad: true},
		{name: "number for text", line: `{"txn":{"appId":1,"version":1}}`, bad: true},
		{name: "list for object", line: `{"txn":[]}`, bad: true},
		{name: "no path", line: `{"add":{"size":1}}`, bad: true},
		{name: "negative size", line: `{"add":{"path":"a","size":-1}}`, bad: true},
		{name: "bare text", line: `"add"`, bad: true},
		{name: "null", line: `null`, bad: true},
		{name: "empty", line: ``, bad: true},
		{name: "after the end", line: `{} {}`, bad: true},
		{name: "cut", line: `{"txn":{"appId":"a"`, bad: true},
		{name: "not UTF-8", line: "{\"txn\":{\"appId\":\"\xff\",\"version\":1}}", bad: true},
		{name: "not UTF-8 in what is skipped", line: "{\"txn\":{\"appId\":\"a\",\"x\":\"\xff\",\"version\":1}}", bad: true},
		{name: "NUL", line: "{\"txn\":{\"appId\":\"a\x00\",\"version\":1}}", bad: true},
		{name: "byte order mark", line: "\ufeff{}", bad: true},
		{name: "gzip", line: "\x1f\x8b\x08\x00", bad: true},
		{name: "deep", line: `{"x":` + strings.Repeat("[", 1_000_000), bad: true},
		{name: "deep objects", line: strings.Repeat(`{"x":`, 1_000_000), bad: true},
		{name: "leading zero", line: `{"txn":{"appId":"a","version":01}}`, bad: true},
		{name: "trailing comma", line: `{"txn":{"appId":"a","version":1,}}`, bad: true},
		{name: "vector of unknown type", line: `{"add":{"path":"a","size":1,"deletionVector":{"storageType":"q"}}}`, bad: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := DecodeLine([]byte(tc.line))
			if tc.bad {
				if !errors.Is(err, ErrCorruptLog) {
					t.Fatalf("got %+v, %v", got, err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestCommitInfoKeepsWhatItDoesNotKnow(t *testing.T) {
	line := `{"commitInfo":{"timestamp":1.5,"operation":{"odd":1},"job":{"jobId":"7","n":1e400},"tags":["x"],"isBlindAppend":"yes","operationParameters":{"a":1,"b":"c"},"userMetadata":"foo"}}`
	a, err := DecodeLine([]byte(line))
	if err != nil {
		t.Fatal(err)
	}
	c, _ := a.(*CommitInfo)
	want := &CommitInfo{UserMetadata: "foo", OperationParameters: map[string]string{"a": "1", "b": "c"}, Extra: map[string]json.RawMessage{
		"timestamp": json.RawMessage("1.5"), "operation": json.RawMessage(`{"odd":1}`), "job": json.RawMessage(`{"jobId":"7","n":1e400}`),
		"tags": json.RawMessage(`["x"]`), "isBlindAppend": json.RawMessage(`"yes"`),
	}}
	if d := cmp.Diff(want, c); d != "" {
		t.Error(d)
	}
	again, err := EncodeAction(c)
	if err != nil || !json.Valid(again) || !bytes.Contains(again, []byte(`"job":{"jobId":"7","n":1e400}`)) {
		t.Errorf("%s, %v", again, err)
	}
	if _, err := EncodeAction(&CommitInfo{Extra: map[string]json.RawMessage{"x": json.RawMessage("{")}}); err == nil {
		t.Error("broken extra was written")
	}
}

func TestDecodeCommitLimits(t *testing.T) {
	bound := limits.Default()
	bound.LogLineBytes, bound.ActionsPerCommit = 100, 3
	line := `{"txn":{"appId":"a","version":1}}` + "\n"
	for _, tc := range []struct {
		name, body, limit string
	}{
		{"fits", line + "\n \r\n" + strings.Repeat(line, 2), ""},
		{"long line", `{"x":"` + strings.Repeat("y", 200) + `"}`, "log_line_bytes"},
		{"endless line", strings.Repeat("y", 1<<20), "log_line_bytes"},
		{"many actions", strings.Repeat(line, 4), "actions_per_commit"},
	} {
		_, _, err := decodeCommit(strings.NewReader(tc.body), bound)
		var over *limits.Error
		if errors.As(err, &over) != (tc.limit != "") || over != nil && over.Limit != tc.limit || over == nil && err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func FuzzDecodeLine(f *testing.F) {
	for _, s := range []string{
		`{"txn":{"appId":"a","version":1}}`, `{"add":{"path":"a","partitionValues":{"p":null},"size":1,"modificationTime":2,"dataChange":true,"stats":"{}"}}`,
		`{"commitInfo":{"timestamp":1,"operationParameters":{"a":1},"x":[1,{"y":null}]}}`, `{"metaData":{"id":"x","format":{"provider":"parquet"},"schemaString":"{}"}}`,
		`{"remove":{"path":"x","size":null}}`, `{"protocol":{"minReaderVersion":3,"readerFeatures":[]}}`, `{"sidecar":{"path":"x"}}`, `{"a":"\ud83d\ude08"}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := DecodeLine(b)
		if err != nil {
			if !errors.Is(err, ErrCorruptLog) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if !json.Valid(b) {
			t.Fatalf("accepted what is not JSON: %q", b)
		}
		if a == nil {
			return
		}
		line, err := EncodeAction(a)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeLine(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		line2, err := EncodeAction(again)
		if err != nil || !bytes.Equal(line, line2) {
			t.Fatalf("not stable:\n%s\n%s\n%v", line, line2, err)
		}
	})
}

func FuzzDecodeCommit(f *testing.F) {
	f.Add([]byte("{\"commitInfo\":{\"txnId\":\"x\"}}\n{\"txn\":{\"appId\":\"a\",\"version\":1}}\n"))
	bound := limits.Default()
	bound.LogLineBytes, bound.ActionsPerCommit = 4096, 100
	f.Fuzz(func(t *testing.T, b []byte) {
		_, _, err := decodeCommit(bytes.NewReader(b), bound)
		var over *limits.Error
		if err != nil && !errors.Is(err, ErrCorruptLog) && !errors.As(err, &over) {
			t.Fatalf("untyped error %v", err)
		}
	})
}

func FuzzDecodeHint(f *testing.F) {
	f.Add([]byte(`{"version":1,"size":2,"checksum":"00"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := decodeHint(b); err == nil && h.version < 0 {
			t.Fatal("negative version")
		}
	})
}

func FuzzParseStats(f *testing.F) {
	f.Add(`{"numRecords":10,"minValues":{"id":5},"maxValues":{"id":9},"nullCount":{"id":0},"tightBounds":true}`)
	schema, err := ParseColumns(skipColumns)
	if err != nil {
		f.Fatal(err)
	}
	p := &Predicate{Op: OpGt, Column: []string{"i"}, Values: []Literal{{Kind: KindLong, Int: 3}}}
	f.Fuzz(func(t *testing.T, s string) {
		stats, err := ParseStats(s)
		if err != nil {
			return
		}
		MayMatch(p, schema, MappingNone, nil, nil, stats, true)
		wide, err := WidenStats(s)
		if err != nil {
			t.Fatal(err)
		}
		if s != "" {
			again, err := ParseStats(wide)
			if err != nil || again.TightBounds == nil || *again.TightBounds {
				t.Fatalf("%s widened to %s: %v", s, wide, err)
			}
		}
	})
}
