package txlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/objectstore"
)

// conflictCase is one row of the table of cases in the design of the log. Files are a letter and the digits of their
// partition: A1 in part=1, A12 in a=1/b=2, a without partition. A winner is a blind append only if it begins with b.
type conflictCase struct {
	n             int
	start         string // live files
	reads         string // scans, separated by semicolons: all, whole, a predicate, txn x, metadata
	winner        string // commits of others, separated by semicolons
	commit        string // our actions
	want          string // ok, ok: live files, or the conflict
	wantWriteSer  string // under WriteSerializable, where it differs
	noDataChange  bool   // of our files
	winnerNoData  bool   // of the winner's files
	naming        Version
	rowTracking   bool
	secondaryRead string
}

func conflictCases() []conflictCase {
	return []conflictCase{
		{n: 1, winner: "metaData", commit: "+a", want: "MetadataChanged"},
		{n: 2, reads: "all", winner: "b +a", commit: "+b", want: "Append", wantWriteSer: "ok"},
		{n: 3, start: "a", winner: "-a +b", commit: "+c", want: "ok: b c"},
		{n: 4, start: "a", reads: "all", winner: "", commit: "-a +b", want: "ok: b"},
		{n: 5, start: "A1 E3", reads: "part=3", winner: "+B1", commit: "+C2 -E3", want: "ok: A1 B1 C2"},
		{n: 6, start: "A1 D2", reads: "part in (1)", winner: "+C2 -D2", commit: "+E3 +F3", want: "ok"},
		{n: 7, start: "A1 D2 E3", reads: "part=1", winner: "+B1", commit: "+C2 +E4", want: "Append"},
		{n: 8, start: "A1 D2", reads: "all; part=1", winner: "+C2 -D2", commit: "+E3 +F3", want: "Append"},
		{n: 9, start: "A11", reads: "a=1 and b=1", winner: "+B12", commit: "+C21", want: "ok"},
		{n: 10, start: "A11", reads: "a=1 and b=1", winner: "+B12", commit: "+X12", want: "ok"},
		{n: 11, start: "A11 B12", reads: "a=1", winner: "+C21", commit: "+D31", want: "ok"},
		{n: 12, start: "A11 B12", reads: "a=1", winner: "-A11", commit: "+D31", want: "DeleteRead"},
		{n: 13, start: "A11", reads: "all", winner: "+B12", commit: "+C21", want: "Append"},
		{n: 14, start: "A11", reads: "a>=1 or b>1", winner: "+B12", commit: "+D31", want: "Append"},
		{n: 15, start: "B12", reads: "a=2", winner: "-B12", commit: "-B12", want: "DeleteDelete"},
		{n: 16, start: "B12", reads: "a=2", winner: "-B12{}", commit: "-B12", want: "DeleteDelete"},
		{n: 17, start: "B12", reads: "all", winner: "-B12{}", commit: "+A11", want: "DeleteRead"},
		{n: 18, start: "A1 C2", reads: "all", winner: "-C2 +B1", commit: "+D2", want: "Append"},
		{n: 19, start: "A1 C2", reads: "all", winner: "-A1", commit: "-B1", want: "DeleteRead"},
		{n: 20, start: "A1", reads: "part>=2", winner: "+E3", commit: "+C2", want: "Append"},
		{n: 21, start: "A1", reads: "part>3", winner: "+C2", commit: "+G4", want: "ok"},
		{n: 22, start: "A1 G4", reads: "part>=2", winner: "-A1 +C2", commit: "-G4 +E3", want: "Append"},
		{n: 23, start: "A1", reads: "part=1", winner: "+B1", commit: "+E3", want: "Append"},
		{n: 24, start: "A1 B1", reads: "part=1", winner: "-A1", commit: "+E3", want: "DeleteRead"},
		{n: 25, start: "A1", reads: "part=1", winner: "-A1 +B1", commit: "-A1 +C1", want: "Append"},
		{n: 26, start: "A1 C2 E3", reads: "part=3 or part=2", winner: "-A1 -E3 +B1", commit: "-C2 -E3 +D2", want: "DeleteRead"},
		{n: 27, start: "A1 E3", reads: "part=1", secondaryRead: "all", winner: "+C2", commit: "-A1", want: "Append"},
		{n: 28, start: "A1 E3", reads: "part=1 or year>2019", winner: "+C2", commit: "-A1", want: "Append"},
		{n: 29, start: "A1 E3", reads: "part=1; part>1 and part<3", winner: "+C2", commit: "-A1", want: "Append"},
		{n: 30, start: "A1 B1", reads: "all", winner: "+E3", commit: "-A1 -B1 +C1", noDataChange: true, want: "ok: C1 E3"},
		{n: 31, start: "A1 B1", reads: "all", winner: "-A1", commit: "-A1 -B1 +C1", noDataChange: true, want: "DeleteRead"},
		{n: 32, start: "A1", reads: "whole", winner: "-A1", commit: "+B1", want: "DeleteRead"},
		{n: 132, start: "a", reads: "whole", winner: "-a", commit: "+b", want: "DeleteRead"},
		{n: 33, reads: "txn t1", winner: "txn t2", commit: "", want: "ok"},
		{n: 34, reads: "txn t1", winner: "txn t1", commit: "", want: "Transaction"},
		{n: 35, reads: "metadata", winner: "b +a", commit: "+b", want: "ok"},
		{n: 36, start: "A2", reads: "part=1", winner: "-A2", commit: "", want: "ok"},
		{n: 37, reads: "part=1", winner: "b +A2", commit: "", want: "ok"},
		{n: 38, start: "a", winner: "-a", commit: "-a", want: "DeleteDelete"},
		{n: 39, reads: "part=1", winner: "b +A1", commit: "+B1", want: "Append", wantWriteSer: "ok"},
		{n: 40, reads: "part=1", winner: "b +A1", commit: "", want: "ok"},
		{n: 41, reads: "part=1; part=2", winner: "b +A1", commit: "+B2", want: "Append", wantWriteSer: "ok"},
		{n: 42, start: "A1", reads: "part=1", winner: "-A1", commit: "", want: "DeleteRead"},
		{n: 43, reads: "metadata", winner: "metaData", commit: "", want: "MetadataChanged"},
		{n: 44, reads: "metadata", winner: "protocol", commit: "protocol", want: "ProtocolChanged"},
		{n: 45, start: "A2", reads: "part=1; whole", winner: "b +B3", commit: "+C4", want: "Append", wantWriteSer: "ok"},
		{n: 46, winner: "protocol", commit: "+a", want: "ProtocolChanged"},
		{n: 47, winner: "domain x", commit: "domain x", want: "Transaction"},
		{n: 48, winner: "domain delta.rowTracking", commit: "+a", rowTracking: true, want: "ok"},
		{n: 49, start: "f", reads: "all", winner: "-f +f(dv1)", commit: "-f +f(dv2)", want: "Append"},
		{n: 50, reads: "all", winner: "b +a", commit: "metaData +b", want: "Append"},
		{n: 51, start: "A1", reads: "part=1", winner: "b +B2; -A1", commit: "-A1 +C1", want: "DeleteRead", naming: 3},
		{n: 53, reads: "txn t1", winner: "txn t1", commit: "txn t1 +a", want: "Transaction"},
		{n: 54, start: "a", reads: "all", winner: "-a +b", winnerNoData: true, commit: "-a +c", want: "Append"},
	}
}

func TestConflictCases(t *testing.T) {
	for _, tc := range conflictCases() {
		t.Run(fmt.Sprintf("%d Serializable", tc.n), func(t *testing.T) { tc.run(t, "Serializable", tc.want) })
		want := tc.want
		if tc.wantWriteSer != "" {
			want = tc.wantWriteSer
		}
		if tc.noDataChange || tc.commit == "" {
			continue // the level depends on the operation there
		}
		t.Run(fmt.Sprintf("%d WriteSerializable", tc.n), func(t *testing.T) { tc.run(t, "WriteSerializable", want) })
	}
}

func (tc conflictCase) run(t *testing.T, level, want string) {
	t.Helper()
	l, _ := testLog(t)
	s := tc.table(t, l, level)
	x := l.Begin(s, Operation{Name: "TEST"})
	tc.read(t, x, s, tc.reads)
	x.Stage(tc.actions(t, tc.commit, !tc.noDataChange)...)
	for i, winner := range strings.Split(tc.winner, ";") {
		tc.win(t, l, s.version+1+Version(i), strings.TrimSpace(winner))
	}
	tc.read(t, x, s, tc.secondaryRead)
	done, err := x.Commit(t.Context())
	if verdict, live, isOK := strings.Cut(want, ": "); verdict == "ok" {
		if err != nil {
			t.Fatal(err)
		}
		if got := names(latest(t, l)); isOK && got != live {
			t.Errorf("live files %s, want %s", got, live)
		}
		if done.Version != s.version+2 || done.Attempts != 2 || !slices.Equal(done.Winners, []Version{s.version + 1}) {
			t.Errorf("%+v", done)
		}
		if tc.rowTracking {
			checkRowIDs(t, l)
		}
		return
	}
	sentinels := map[string]error{
		"ProtocolChanged": ErrProtocolChanged, "MetadataChanged": ErrMetadataChanged, "Transaction": ErrConcurrentTransaction,
		"Append": ErrConcurrentAppend, "DeleteRead": ErrConcurrentDeleteRead, "DeleteDelete": ErrConcurrentDeleteDelete,
	}
	var conflict *ConflictError
	if !errors.As(err, &conflict) || !errors.Is(err, ErrConflict) || !errors.Is(err, sentinels[want]) {
		t.Fatalf("got %v, want %s", err, want)
	}
	naming := s.version + 1
	if tc.naming != 0 {
		naming = tc.naming
	}
	if conflict.Version != naming || conflict.Operation != "RIVAL" {
		t.Errorf("names version %d by %s, want %d", conflict.Version, conflict.Operation, naming)
	}
	if after := latest(t, l); after.version != s.version+Version(len(strings.Split(tc.winner, ";"))) {
		t.Errorf("refused, but the table is at %d", after.version)
	}
}

// table creates the table of a case with its first files at version 1.
func (tc conflictCase) table(t *testing.T, l *Log, level string) *Snapshot {
	t.Helper()
	columns, partitionBy := "id bigint, year int", []string(nil)
	switch tc.shape() {
	case 1:
		columns, partitionBy = columns+", part int", []string{"part"}
	case 2:
		columns, partitionBy = columns+", a int, b int", []string{"a", "b"}
	}
	schema, err := ParseColumns(columns)
	if err != nil {
		t.Fatal(err)
	}
	p := &Protocol{
		MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{FeatureDeletionVectors},
		WriterFeatures: []string{FeatureDeletionVectors, FeatureDomainMetadata, FeatureInvariants},
	}
	if tc.rowTracking {
		p.WriterFeatures = append(p.WriterFeatures, FeatureRowTracking)
	}
	x := l.Begin(nil, Operation{Name: "CREATE TABLE"})
	x.Stage(p, &Metadata{
		ID: "t", Provider: "parquet", SchemaString: schema.JSON(), PartitionColumns: partitionBy,
		Configuration: map[string]string{"delta.isolationLevel": level},
	})
	mustCommit(t, x)
	x = l.Begin(latest(t, l), Operation{Name: "WRITE"})
	for _, name := range strings.Fields(tc.start) {
		x.Stage(tc.file(name, true))
	}
	mustCommit(t, x)
	return latest(t, l)
}

// shape is the number of partition columns, from the longest file name of the case.
func (tc conflictCase) shape() int {
	n := 0
	for _, word := range strings.Fields(tc.start + " " + tc.winner + " " + tc.commit) {
		name, _, _ := strings.Cut(strings.Trim(word, "+-;"), "{")
		if word[0] != '+' && word[0] != '-' && !strings.Contains(tc.start, word) {
			continue
		}
		if len(name) > 1 && name[1] >= '0' && name[1] <= '9' {
			n = max(n, len(name)-1)
		}
	}
	return n
}

func (tc conflictCase) partition(name string) map[string]string {
	switch {
	case len(name) == 2:
		return map[string]string{"part": name[1:]}
	case len(name) == 3:
		return map[string]string{"a": name[1:2], "b": name[2:]}
	}
	return map[string]string{}
}

func (tc conflictCase) file(name string, change bool) *Add {
	name, vector, has := strings.Cut(strings.TrimSuffix(name, ")"), "(")
	a := &Add{Path: name, PartitionValues: tc.partition(name), Size: 1, DataChange: change}
	if has {
		a.DeletionVector = &DeletionVectorDescriptor{StorageType: "i", PathOrInlineDv: vector, Cardinality: 1}
	}
	if has || tc.rowTracking {
		a.Stats = `{"numRecords":10}`
	}
	return a
}

// actions reads "+A1 -B2 txn t1 domain x metaData protocol".
func (tc conflictCase) actions(t *testing.T, text string, change bool) []Action {
	t.Helper()
	var out []Action
	words := strings.Fields(text)
	for i := 0; i < len(words); i++ {
		word := words[i]
		switch {
		case word[0] == '+':
			out = append(out, tc.file(word[1:], change))
		case word[0] == '-':
			name, bare := strings.CutSuffix(word[1:], "{}")
			partition := tc.partition(name)
			if bare {
				partition = map[string]string{}
			}
			size := int64(1)
			out = append(out, &Remove{
				Path: name, DataChange: change, DeletionTimestamp: 1, ExtendedFileMetadata: true,
				PartitionValues: partition, Size: &size,
			})
		case word == "txn":
			i++
			out = append(out, &Txn{AppID: words[i], Version: 1})
		case word == "domain":
			i++
			d := &DomainMetadata{Domain: words[i], Configuration: "{}"}
			if d.Domain == rowTrackingDomain {
				d.Configuration = `{"rowIdHighWaterMark":41}`
			}
			out = append(out, d)
		case word == "metaData":
			out = append(out, &Metadata{ID: "t", Provider: "parquet", SchemaString: `{"type":"struct","fields":[` +
				`{"name":"id","type":"long","nullable":true,"metadata":{}},{"name":"new","type":"long","nullable":true,"metadata":{}}]}`})
		case word == "protocol":
			out = append(out, &Protocol{
				MinReaderVersion: 3, MinWriterVersion: 7, ReaderFeatures: []string{FeatureDeletionVectors},
				WriterFeatures: []string{FeatureDeletionVectors, FeatureDomainMetadata, FeatureInvariants, FeatureAppendOnly},
			})
		default:
			t.Fatalf("case %d: action %q", tc.n, word)
		}
	}
	return out
}

// win writes the commit of a rival.
func (tc conflictCase) win(t *testing.T, l *Log, v Version, text string) {
	t.Helper()
	rest, blind := strings.CutPrefix(text, "b ")
	lines := []string{}
	info := &CommitInfo{Timestamp: 1, Operation: "RIVAL", IsBlindAppend: &blind, TxnID: "rival-" + strconv.Itoa(int(v))}
	for _, a := range append([]Action{info}, tc.actions(t, rest, !tc.winnerNoData)...) {
		line, err := EncodeAction(a)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	put(t, l, fmt.Sprintf(logFolder+"%020d.json", v), strings.Join(lines, "\n"))
}

// read records scans and the files that they used.
func (tc conflictCase) read(t *testing.T, x *Transaction, s *Snapshot, text string) {
	t.Helper()
	for scan := range strings.SplitSeq(text, ";") {
		scan = strings.TrimSpace(scan)
		switch {
		case scan == "" || scan == "metadata":
		case scan == "whole":
			x.ReadWhole()
		case strings.HasPrefix(scan, "txn "):
			x.ReadAppID(scan[4:])
		default:
			p := conflictPredicate(t, scan)
			var used []int
			schema, _ := s.Schema()
			for i := range s.Files().Len() {
				if MayMatch(p, schema, MappingNone, s.PartitionColumns(), s.Files().Partition(i), nil, false) {
					used = append(used, i)
				}
			}
			x.ReadPredicate(p, used...)
		}
	}
}

// conflictPredicate reads "a=1 and b=1", "part>=2", "part in (1)".
func conflictPredicate(t *testing.T, text string) *Predicate {
	t.Helper()
	if text == "all" {
		return nil
	}
	for word, op := range map[string]Op{" or ": OpOr, " and ": OpAnd} {
		if left, right, found := strings.Cut(text, word); found {
			return &Predicate{Op: op, Args: []*Predicate{conflictPredicate(t, left), conflictPredicate(t, right)}}
		}
	}
	for _, sign := range []struct {
		text string
		op   Op
	}{{" in (", OpIn}, {">=", OpGe}, {"<=", OpLe}, {"=", OpEq}, {">", OpGt}, {"<", OpLt}} {
		if column, value, found := strings.Cut(text, sign.text); found {
			n, err := strconv.ParseInt(strings.TrimSuffix(value, ")"), 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return &Predicate{Op: sign.op, Column: []string{column}, Values: []Literal{{Kind: KindLong, Int: n}}}
		}
	}
	t.Fatalf("predicate %q", text)
	return nil
}

// checkRowIDs demands that the ids of our file begin above the mark of the winner, which then moves on.
func checkRowIDs(t *testing.T, l *Log) {
	t.Helper()
	s := latest(t, l)
	a := s.Files().Add(0)
	if a.BaseRowID == nil || *a.BaseRowID != 42 || a.DefaultRowCommitVersion == nil || *a.DefaultRowCommitVersion != int64(s.version) {
		t.Errorf("%+v", a)
	}
	if d, _ := s.Domain(rowTrackingDomain); d.Configuration != `{"rowIdHighWaterMark":51}` {
		t.Errorf("mark %s", d.Configuration)
	}
}

func names(s *Snapshot) string {
	var out []string
	for i := range s.Files().Len() {
		out = append(out, s.Files().Path(i))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

// TestConflictOwnCommit is case 52: the version that stands in the way is ours, from a PUT whose reply was lost.
func TestConflictOwnCommit(t *testing.T) {
	l, _ := testLog(t)
	s := createTable(t, l, "id bigint", nil, nil)
	x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(&Add{Path: "a", Size: 1, DataChange: true})
	body, err := x.body(s)
	if err != nil {
		t.Fatal(err)
	}
	put(t, l, fmt.Sprintf(logFolder+"%020d.json", 1), string(body))
	if done := mustCommit(t, x); done.Version != 1 || done.Attempts != 1 {
		t.Errorf("%+v", done)
	}
	if s := latest(t, l); s.version != 1 || names(s) != "a" {
		t.Errorf("version %d, files %s", s.version, names(s))
	}
}

// TestRebaseChecksEveryWinner: a commit that lands between the check of the winners and the next snapshot is checked
// as well. Once, a second listing took it in unseen, and a removed file was removed again.
func TestRebaseChecksEveryWinner(t *testing.T) {
	l, _ := testLog(t)
	tc := conflictCase{n: 1000, start: "a"}
	s := tc.table(t, l, "Serializable")
	tc.win(t, l, 2, "b +b")
	store := &busyEnd{Store: l.store, prefix: l.Key(logFolder), then: func() { tc.win(t, l, 3, "-a +c") }}
	raced := New(store, l.root, l.options)
	x := raced.Begin(s, Operation{Name: "DELETE"})
	x.Stage(tc.actions(t, "-a +d", true)...)
	var conflict *ConflictError
	if _, err := x.Commit(t.Context()); !errors.As(err, &conflict) || conflict.Version != 3 || !errors.Is(err, ErrConcurrentDeleteDelete) {
		t.Fatalf("got %v", err)
	}
}

// busyEnd lets a rival commit right after somebody has found the end of the log.
type busyEnd struct {
	objectstore.Store
	prefix string
	then   func()
}

func (b *busyEnd) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	body, info, err := b.Store.Get(ctx, key, r)
	if then := b.then; then != nil && errors.Is(err, objectstore.ErrNotFound) && strings.HasPrefix(key, b.prefix) {
		b.then = nil
		then()
	}
	return body, info, err
}
