package txlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
)

// scripted is a store whose puts of commits, and gets of them, answer by a script; what the script does not name
// goes through.
type scripted struct {
	objectstore.Store
	puts, gets []fault
	late       func() // the put that has not landed yet
	sent       int
}

type fault uint8

const (
	through   fault = iota
	lostReply       // effect, then an error
	lateLand        // an error now, the effect when the test says so
	refused         // no effect, 403
	exists          // no effect, 412 though nothing is there
	throttled       // no effect, 503
	noAnswer        // gets: an error
	landFirst       // gets: the late put lands, then the answer
	rivalWins       // puts: a rival takes the version first
)

func (s *scripted) Put(ctx context.Context, key string, body objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
	if !strings.HasSuffix(key, ".json") {
		return s.Store.Put(ctx, key, body, c)
	}
	if err := ctx.Err(); err != nil {
		return objectstore.Info{}, err
	}
	s.sent++
	var f fault
	if len(s.puts) > 0 {
		f, s.puts = s.puts[0], s.puts[1:]
	}
	switch f {
	case lostReply:
		_, _ = s.Store.Put(ctx, key, body, c)
		return objectstore.Info{}, fmt.Errorf("reset: %w", objectstore.ErrUnavailable)
	case lateLand:
		b, _ := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
		s.late = func() { _, _ = s.Store.Put(context.Background(), key, objectstore.Bytes(b), c) }
		return objectstore.Info{}, errors.New("connection reset")
	case refused:
		return objectstore.Info{}, objectstore.ErrDenied
	case exists:
		return objectstore.Info{}, objectstore.ErrExists
	case throttled:
		return objectstore.Info{}, objectstore.ErrThrottled
	case rivalWins:
		_, _ = s.Store.Put(ctx, key, objectstore.Bytes([]byte(`{"commitInfo":{"txnId":"rival"}}`)), c)
	case through, noAnswer, landFirst:
	}
	return s.Store.Put(ctx, key, body, c)
}

func (s *scripted) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	if strings.HasSuffix(key, ".json") {
		var f fault
		if len(s.gets) > 0 {
			f, s.gets = s.gets[0], s.gets[1:]
		}
		if f == noAnswer {
			return nil, objectstore.Info{}, objectstore.ErrUnavailable
		}
		if f == landFirst {
			s.late()
		}
	}
	return s.Store.Get(ctx, key, r)
}

func repeat(f fault, n int) []fault {
	out := make([]fault, n)
	for i := range out {
		out[i] = f
	}
	return out
}

func TestSettleRule(t *testing.T) {
	const attempts = 4
	for _, tc := range []struct {
		name       string
		puts, gets []fault
		want       Outcome
		err        error
		sent       int
		there      string // txnId of the object afterwards
	}{
		{name: "plain", want: OutcomeCommitted, sent: 1, there: "T"},
		{name: "reply lost", puts: []fault{lostReply}, want: OutcomeCommitted, sent: 1, there: "T"},
		{name: "reply lost, no answer for a while", puts: []fault{lostReply}, gets: repeat(noAnswer, 3), want: OutcomeCommitted, sent: 1, there: "T"},
		{name: "late, absent, put again", puts: []fault{lateLand}, want: OutcomeCommitted, sent: 2, there: "T"},
		{name: "late, lands before the look", puts: []fault{lateLand}, gets: []fault{landFirst}, want: OutcomeCommitted, sent: 1, there: "T"},
		{name: "412 from our own object", puts: []fault{lostReply, through}, gets: repeat(noAnswer, attempts), want: OutcomeCommitted, sent: 2, there: "T"},
		{name: "rival", puts: []fault{rivalWins}, want: OutcomeConflict, sent: 1, there: "rival"},
		{name: "rival after a late put", puts: []fault{lateLand, rivalWins}, want: OutcomeConflict, sent: 2, there: "rival"},
		{name: "refused", puts: []fault{refused}, want: OutcomeNone, err: objectstore.ErrDenied, sent: 1},
		{name: "refused while in doubt", puts: []fault{lateLand, refused, refused, refused}, want: OutcomeUnknown, err: ErrUnknown, sent: 4},
		{name: "refused while in doubt, then landed", puts: []fault{lateLand, refused}, gets: []fault{through}, want: OutcomeCommitted, sent: 3, there: "T"},
		{name: "store lies about 412", puts: repeat(exists, attempts), want: OutcomeUnknown, err: ErrUnknown, sent: attempts},
		{name: "throttled throughout", puts: repeat(throttled, attempts), want: OutcomeUnknown, err: ErrUnknown, sent: attempts},
		{name: "throttled, then through", puts: repeat(throttled, attempts-1), want: OutcomeCommitted, sent: attempts, there: "T"},
		{
			name: "last look finds it", puts: append(repeat(throttled, attempts-1), lostReply), gets: append(repeat(through, attempts-1), repeat(noAnswer, attempts)...),
			want: OutcomeCommitted, sent: attempts, there: "T",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			store := &scripted{Store: mem.New(t.Name()), puts: tc.puts, gets: tc.gets}
			l := New(store, "t", Options{Clock: clock.NewStepping(testStart()), Rand: clock.SeededRand(1), Limits: limits.Limits{CommitAttempts: attempts}})
			body := []byte(`{"commitInfo":{"txnId":"T"}}` + "\n")
			got, err := l.Commit(t.Context(), 3, "T", body)
			if got != tc.want || !errors.Is(err, tc.err) {
				t.Fatalf("got %v, %v; want %v, %v", got, err, tc.want, tc.err)
			}
			if store.sent != tc.sent {
				t.Errorf("%d puts, want %d", store.sent, tc.sent)
			}
			there := ""
			if c, err := l.ReadCommit(t.Context(), 3); err == nil {
				there = c.Info.TxnID
			}
			if there != tc.there {
				t.Errorf("object of %q, want %q", there, tc.there)
			}
		})
	}
}

// TestSettleAfterCancel: a done context stops puts; one last look decides.
func TestSettleAfterCancel(t *testing.T) {
	for _, tc := range []struct {
		name string
		put  fault
		want Outcome
		err  error
	}{
		{"landed", lostReply, OutcomeCommitted, nil},
		{"still open", lateLand, OutcomeUnknown, ErrUnknown},
	} {
		t.Run(tc.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			store := &scripted{Store: mem.New(t.Name()), puts: []fault{tc.put}}
			l := New(&cancelling{store, cancel}, "t", Options{Clock: clock.NewStepping(testStart()), Rand: clock.SeededRand(1)})
			got, err := l.Commit(ctx, 0, "T", []byte(`{"commitInfo":{"txnId":"T"}}`))
			if got != tc.want || !errors.Is(err, tc.err) || store.sent != 1 {
				t.Fatalf("got %v, %v, %d puts", got, err, store.sent)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	store := &scripted{Store: mem.New(t.Name())}
	got, err := New(store, "t", Options{}).Commit(ctx, 0, "T", []byte("{}"))
	if got != OutcomeNone || !errors.Is(err, context.Canceled) || store.sent != 0 {
		t.Fatalf("got %v, %v, %d puts", got, err, store.sent)
	}
}

// cancelling ends the context as soon as the put was sent.
type cancelling struct {
	*scripted
	cancel context.CancelFunc
}

func (c *cancelling) Put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (objectstore.Info, error) {
	info, err := c.scripted.Put(ctx, key, body, cond)
	c.cancel()
	return info, err
}

// TestCommitLostReplyNotTwice: an append whose reply is lost is in the table once, however often it is settled.
func TestCommitLostReplyNotTwice(t *testing.T) {
	store := &scripted{Store: mem.New(t.Name())}
	l := New(store, "t", Options{Clock: clock.NewStepping(testStart()), Rand: clock.SeededRand(1)})
	s := createTable(t, l, "id bigint", nil, nil)
	store.puts = []fault{lateLand, exists, lostReply}
	store.gets = []fault{noAnswer, through, landFirst}
	x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(&Add{Path: "a", Size: 1, DataChange: true})
	if done := mustCommit(t, x); done.Version != 1 {
		t.Errorf("%+v", done)
	}
	if s := latest(t, l); s.version != 1 || names(s) != "a" {
		t.Errorf("version %d, files %s", s.version, names(s))
	}
}

// TestCommitFailureAfterwardsIsAWarning: a checkpoint that cannot be written does not undo a commit.
func TestCommitFailureAfterwardsIsAWarning(t *testing.T) {
	store := &noCheckpoints{Store: mem.New(t.Name())}
	l := New(store, "t", Options{Clock: clock.NewStepping(testStart()), Rand: clock.SeededRand(1)})
	s := createTable(t, l, "id bigint", nil, map[string]string{"delta.checkpointInterval": "1"})
	x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(&Add{Path: "a", Size: 1, DataChange: true})
	done, err := x.Commit(t.Context())
	if err != nil || done.Version != 1 || len(done.Warnings) != 1 || !errors.Is(done.Warnings[0], objectstore.ErrDenied) {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, err := x.Commit(t.Context()); !errors.Is(err, ErrInvalidCommit) {
		t.Errorf("second commit: %v", err)
	}
}

type noCheckpoints struct{ objectstore.Store }

func (s *noCheckpoints) Put(ctx context.Context, key string, body objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
	if strings.HasSuffix(key, ".parquet") {
		return objectstore.Info{}, objectstore.ErrDenied
	}
	return s.Store.Put(ctx, key, body, c)
}

func TestCommitGivesUpAfterItsAttempts(t *testing.T) {
	store := &scripted{Store: mem.New(t.Name())}
	l := New(store, "t", Options{Clock: clock.NewStepping(testStart()), Rand: clock.SeededRand(1), Limits: limits.Limits{CommitRaces: 3}})
	s := createTable(t, l, "id bigint", nil, nil)
	store.puts = repeat(rivalWins, 3)
	x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(&Add{Path: "a", Size: 1, DataChange: true})
	if _, err := x.Commit(t.Context()); !errors.Is(err, ErrConcurrentWrite) {
		t.Fatalf("got %v", err)
	}
	if s := latest(t, l); s.version != 3 || names(s) != "" {
		t.Errorf("version %d, files %s", s.version, names(s))
	}
}

// TestFenceEndsARebase: the condition is asked on each newer snapshot, before the next put.
func TestFenceEndsARebase(t *testing.T) {
	store := &scripted{Store: mem.New(t.Name())}
	l := New(store, "t", Options{Clock: clock.NewStepping(testStart()), Rand: clock.SeededRand(1)})
	s := createTable(t, l, "id bigint", nil, nil)
	fenced := errors.New("lease lost")
	var asked []Version
	store.puts = []fault{rivalWins}
	x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(&Add{Path: "a", Size: 1, DataChange: true})
	x.Fence(func(s *Snapshot) error {
		asked = append(asked, s.Version())
		return fenced
	})
	if _, err := x.Commit(t.Context()); !errors.Is(err, fenced) || len(asked) != 1 || asked[0] != 1 || store.sent != 2 {
		t.Fatalf("got %v, asked %v, %d puts", err, asked, store.sent)
	}
}

// TestEveryPutIsByteIdentical: at one version the body never changes.
func TestEveryPutIsByteIdentical(t *testing.T) {
	store := &recording{Store: mem.New(t.Name())}
	l := New(store, "t", Options{Clock: clock.NewStepping(testStart()), Rand: clock.SeededRand(1), Limits: limits.Limits{CommitAttempts: 5}})
	x := l.Begin(nil, Operation{Name: "CREATE TABLE"})
	x.Stage(&Protocol{MinReaderVersion: 1, MinWriterVersion: 2}, &Metadata{
		ID: "t", Provider: "parquet",
		SchemaString: `{"type":"struct","fields":[{"name":"id","type":"long","nullable":true,"metadata":{}}]}`,
	})
	if _, err := x.Commit(t.Context()); !errors.Is(err, ErrUnknown) || !strings.Contains(err.Error(), x.TxnID()) {
		t.Fatalf("got %v", err)
	}
	if len(store.bodies) != 5 {
		t.Fatalf("%d puts", len(store.bodies))
	}
	for _, b := range store.bodies {
		if !bytes.Equal(b, store.bodies[0]) {
			t.Fatal("bodies differ")
		}
	}
}

// recording answers every put of a commit with 503 and keeps its body.
type recording struct {
	objectstore.Store
	bodies [][]byte
}

func (s *recording) Put(_ context.Context, _ string, body objectstore.Body, _ objectstore.Condition) (objectstore.Info, error) {
	b, err := io.ReadAll(io.NewSectionReader(body, 0, body.Size()))
	s.bodies = append(s.bodies, b)
	return objectstore.Info{}, errors.Join(err, objectstore.ErrUnavailable)
}
