package txlog

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/internal/limits"
)

// bulkLines are lines of commits in many spellings.
func bulkLines() []string {
	return []string{
		`{"commitInfo":{"txnId":"a","operation":"WRITE"}}`,
		`{"add":{"path":"a","partitionValues":{},"size":1,"modificationTime":2,"dataChange":true}}`,
		`{"add":{"path":"p=1/a","partitionValues":{"p":"1"},"size":0,"modificationTime":-2,"dataChange":false,"stats":"{\"numRecords\":3}"}}`,
		`{"add":{"path":"p=1/b","partitionValues":{"p":null},"size":10,"modificationTime":2,"dataChange":true,"stats":"{\"maxValues\":{\"s\":\"ä\\\\\"}}","tags":null}}`,
		`{"add":{"stats":"{}","path":"late","partitionValues":{"p":"x"},"size":10,"dataChange":true}}`,
		`{"add":{"path":"sp%20ace","partitionValues":{"p":"\u0041"},"size":10,"dataChange":true}}`,
		` {"add": {"path":"b","partitionValues":{"q":"","p":"1"},"size":7,"dataChange":true} } `,
		`{"add":{"path":"v","partitionValues":{},"size":7,"dataChange":true,"deletionVector":{"storageType":"u","pathOrInlineDv":"ab^-aqEH.-t@S}K{vb[*k^","offset":4,"sizeInBytes":40,"cardinality":6}}}`,
		`{"add":{"path":"t","partitionValues":{},"size":7,"dataChange":true,"tags":{"a":"b"},"baseRowId":5}}`,
		`{"add":{"path":"a","path":"twice","partitionValues":{},"size":7,"dataChange":true}}`,
		`{"remove":{"path":"p=1/a","deletionTimestamp":5,"dataChange":true}}`,
		`{"remove":{"path":"v","dataChange":true}}`,
		`{"txn":{"appId":"x","version":1}}`,
		`{"unknown":{}}`,
		``,
		"\t",
		`{"add":{"path":"../x","partitionValues":{},"size":7,"dataChange":true}}`,
		`{"add":{"path":"","partitionValues":{},"size":7,"dataChange":true}}`,
		`{"add":{"path":"n","partitionValues":{},"size":-7,"dataChange":true}}`,
		`{"add":{"path":"n","partitionValues":{},"size":007,"dataChange":true}}`,
		`{"add":{"path":"n","partitionValues":{},"size":7.5,"dataChange":true}}`,
		`{"add":{"path":"n","partitionValues":{},"size":99999999999999999999,"dataChange":true}}`,
		`{"add":{"path":"n","partitionValues":{},"size":7,"dataChange":true}} x`,
		`{"add":{"path":"n`,
	}
}

// both decodes text in the two ways and compares what a replay makes of it.
func both(t *testing.T, text string) {
	t.Helper()
	bound := limits.Default()
	plain, bulked := replayOf(t, text, bound, false), replayOf(t, text, bound, true)
	if d := cmp.Diff(plain, bulked); d != "" {
		t.Errorf("bulk differs (-plain +bulk):\n%s\nof:\n%s", d, text)
	}
}

// replayed is what a replay knows after one commit.
type replayed struct {
	Err        string
	Corrupt    bool
	Info       *CommitInfo
	Adds       []*Add
	Tombstones []*Remove
	Txns       map[string]Txn
}

func replayOf(t *testing.T, text string, bound limits.Limits, inBulk bool) replayed {
	t.Helper()
	l := New(nil, "t", Options{Limits: bound})
	c := &Commit{Version: 1}
	var err error
	if inBulk {
		if c.bulk, err = decodeBulk(strings.NewReader(text), bound); err == nil {
			c.bulk.told(c)
		}
	} else {
		c.Info, c.Actions, err = decodeCommit(strings.NewReader(text), bound)
	}
	r := l.newReplay(&segment{version: 1})
	if err == nil {
		err = r.commit(c)
	}
	if err != nil {
		return replayed{Err: err.Error(), Corrupt: errors.Is(err, ErrCorruptLog)}
	}
	out := replayed{Info: c.Info, Tombstones: r.tombstones, Txns: r.s.txns}
	for i := range r.live.files.Len() {
		out.Adds = append(out.Adds, r.live.files.Add(i))
	}
	return out
}

// TestBulkReadsAsLineByLine: the order, the winners, the errors and their lines are the same in both ways.
func TestBulkReadsAsLineByLine(t *testing.T) {
	lines := bulkLines()
	for _, line := range lines {
		both(t, line)
		both(t, line+"\n")
	}
	sound := lines[:slices.Index(lines, "\t")+1]
	r := rand.New(rand.NewPCG(1, 2))
	for range 500 {
		var text strings.Builder
		for range r.IntN(40) {
			from := sound
			if r.IntN(100) == 0 {
				from = lines
			}
			text.WriteString(from[r.IntN(len(from))] + "\n")
		}
		both(t, text.String())
	}
}

// TestBulkInPieces: pieces end with lines, wherever the reader stops, and the numbers of lines go on.
func TestBulkInPieces(t *testing.T) {
	var text bytes.Buffer
	for i := 0; text.Len() < 2*bulkChunk+bulkChunk/2; i++ {
		fmt.Fprintf(&text, `{"add":{"path":"f%d","partitionValues":{"p":"%d"},"size":%d,"modificationTime":1,"dataChange":true,"stats":"{\"numRecords\":%d}"}}`+"\n", i, i%3, i, i)
	}
	both(t, text.String())
	both(t, text.String()+"{\n")
	if b, err := decodeBulk(&text, limits.Default()); err != nil || len(b.pieces) != 3 {
		t.Fatalf("%d pieces, %v", len(b.pieces), err)
	}
}

// TestBulkLimits: a line, a commit and its actions are bounded as they are line by line.
func TestBulkLimits(t *testing.T) {
	text := strings.Repeat(bulkLines()[1]+"\n", 10)
	for _, bound := range []limits.Limits{{ActionsPerCommit: 9}, {LogLineBytes: 20}} {
		bound = bound.Filled()
		if d := cmp.Diff(replayOf(t, text, bound, false), replayOf(t, text, bound, true)); d != "" {
			t.Error(d)
		}
	}
}

func FuzzBulk(f *testing.F) {
	for _, line := range bulkLines() {
		f.Add(line)
	}
	f.Add(strings.Join(bulkLines()[:14], "\n"))
	f.Fuzz(both)
}
