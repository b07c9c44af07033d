package txlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
)

// stalledPut holds up one PUT on its way to the store, and its reply on the way back.
type stalledPut struct {
	objectstore.Store
	key, next     string // of the commit, and of the one that follows
	before, after func()
	reply         error  // instead of the store's answer
	look          func() // before the first look at what follows: a listing, or a GET of the next commit
}

func (s *stalledPut) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	s.looks()
	return s.Store.List(ctx, prefix, after)
}

func (s *stalledPut) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	if key == s.next {
		s.looks()
	}
	return s.Store.Get(ctx, key, r)
}

func (s *stalledPut) looks() {
	if look := s.look; look != nil && s.key == "" {
		s.look = nil
		look()
	}
}

func (s *stalledPut) Put(ctx context.Context, key string, body objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
	if key != s.key {
		return s.Store.Put(ctx, key, body, c)
	}
	s.key = ""
	if s.before != nil {
		s.before()
	}
	info, err := s.Store.Put(ctx, key, body, c)
	if s.after != nil {
		s.after()
	}
	if s.reply != nil {
		return objectstore.Info{}, s.reply
	}
	return info, err
}

// lake is a store with a clock of its own, and a process that goes on while others sleep.
type lake struct {
	store *mem.Store
	clock *clock.Manual
	log   *Log
}

// newLake has a table at version 0, whose log may be cleaned after an hour.
func newLake(t *testing.T) *lake {
	t.Helper()
	c := clock.NewStepping(testStart())
	k := &lake{store: mem.New(t.Name(), mem.WithClock(c)), clock: c}
	k.log = New(k.store, "t", Options{Clock: c, Rand: clock.SeededRand(1)})
	createTable(t, k.log, "id bigint", nil, map[string]string{
		"delta.logRetentionDuration": "interval 1 hour", "delta.enableExpiredLogCleanup": "true",
	})
	return k
}

// sleeper is a process whose machine is suspended while it waits for its PUT of version v: its own clock stands still.
func (k *lake) sleeper(v Version, seed uint64) (*Log, *stalledPut) {
	s := &stalledPut{Store: k.store, key: k.log.commitKey(v), next: k.log.commitKey(v + 1)}
	return New(s, "t", Options{Clock: clock.NewStepping(testStart()), Rand: clock.SeededRand(seed)}), s
}

// staged is an append of one file on top of what the process sees now.
func staged(t *testing.T, l *Log, file string) *Transaction {
	t.Helper()
	x := l.Begin(latest(t, l), Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(&Add{Path: file, Size: 1, DataChange: true})
	return x
}

// upkeep lets days pass, writes a checkpoint of the newest version and cleans up all commits below it.
func (k *lake) upkeep(t *testing.T) {
	t.Helper()
	s := latest(t, k.log)
	if err := k.log.Checkpoint(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	k.clock.Advance(72 * time.Hour)
	done, err := k.log.CleanUp(t.Context(), s)
	if err != nil || done.Start != s.version {
		t.Fatalf("%+v, %v", done, err)
	}
}

// live are the files of the newest version, read anew.
func (k *lake) live(t *testing.T) map[string]bool {
	t.Helper()
	s, out := latest(t, k.log), map[string]bool{}
	for i := range s.Files().Len() {
		out[s.Files().Path(i)] = true
	}
	return out
}

// TestStalledPutBetweenAnOrphanAndACheckpointIsNotCommitted: two PUTs, of versions 1 and 2, arrive in room that clean-up
// has made, below the checkpoint of 3. The second one sees a predecessor and no gap, and yet nobody reads it.
func TestStalledPutBetweenAnOrphanAndACheckpointIsNotCommitted(t *testing.T) {
	k := newLake(t)
	first, put1 := k.sleeper(1, 2)
	x1 := staged(t, first, "x1")
	put1.before = func() {
		appendOne(t, k.log)
		second, put2 := k.sleeper(2, 3)
		x2 := staged(t, second, "x2")
		put2.before = func() {
			appendOne(t, k.log)
			appendOne(t, k.log)
			k.upkeep(t)
			// The first PUT arrives now; its own answer is judged below.
			orphan, _ := k.sleeper(-1, 4)
			if outcome, err := orphan.Commit(t.Context(), 1, "orphan", []byte(`{"commitInfo":{"txnId":"orphan"}}`+"\n")); outcome != OutcomeCommitted {
				t.Fatalf("%v, %v", outcome, err)
			}
		}
		if done, err := x2.Commit(t.Context()); !errors.Is(err, ErrUnknown) {
			t.Errorf("nobody reads it, and it was told %+v, %v", done, err)
		}
	}
	if done, err := x1.Commit(t.Context()); !errors.Is(err, ErrUnknown) {
		t.Errorf("version 1 is taken by an orphan below a checkpoint, and it was told %+v, %v", done, err)
	}
	if live := k.live(t); live["x1"] || live["x2"] {
		t.Errorf("%v", live)
	}
}

// TestStalledPutThatLandsInItsPlaceIsCommitted: the PUT arrives late, but nobody came between. A checkpoint of it lets
// clean-up remove its predecessor before the writer looks.
func TestStalledPutThatLandsInItsPlaceIsCommitted(t *testing.T) {
	k := newLake(t)
	asleep, put := k.sleeper(1, 2)
	x := staged(t, asleep, "x")
	put.before = func() { k.clock.Advance(40 * time.Minute) }
	put.after = func() { k.upkeep(t) }
	if done, err := x.Commit(t.Context()); err != nil || done.Version != 1 {
		t.Errorf("everybody reads it, and it was told %+v, %v", done, err)
	}
	if !k.live(t)["x"] {
		t.Error("it is not there")
	}
}

// TestStalledPutCleanedUpBeforeItsAnswerIsUnknown: the commit was visible, and is below the log's start when its writer
// wakes up, or stands there a second time. Saying that it failed would let it be applied again.
func TestStalledPutCleanedUpBeforeItsAnswerIsUnknown(t *testing.T) {
	for _, reply := range []error{nil, objectstore.ErrUnavailable} {
		t.Run(fmt.Sprint(reply), func(t *testing.T) {
			k := newLake(t)
			asleep, put := k.sleeper(1, 2)
			put.reply = reply // after which the writer looks, finds nothing, and sends it again
			x := staged(t, asleep, "x")
			put.before = func() { k.clock.Advance(40 * time.Minute) }
			put.after = func() { appendOne(t, k.log); k.upkeep(t) }
			if done, err := x.Commit(t.Context()); !errors.Is(err, ErrUnknown) {
				t.Errorf("it is in the table, and was told %+v, %v", done, err)
			}
			if !k.live(t)["x"] {
				t.Error("it is not there")
			}
		})
	}
}

// TestStalledWriterWhoseVersionAnotherRefilledIsNotTwice: its commit landed, was cleaned up, and the PUT of another
// stalled writer took the room. What it finds is another's commit, and still its own is in the table: it must neither
// call it refused nor commit it again.
func TestStalledWriterWhoseVersionAnotherRefilledIsNotTwice(t *testing.T) {
	for _, after := range []int{1, 2} { // commits up to the checkpoint: without and with a gap behind the orphan
		t.Run(fmt.Sprintf("checkpoint at %d", 1+after), func(t *testing.T) {
			k := newLake(t)
			asleep, put := k.sleeper(1, 2)
			put.reply = objectstore.ErrUnavailable
			x := staged(t, asleep, "x")
			put.after = func() {
				for range after {
					appendOne(t, k.log)
				}
				k.upkeep(t)
				if outcome, err := k.log.Commit(t.Context(), 1, "orphan", []byte(`{"commitInfo":{"txnId":"orphan"}}`+"\n")); outcome != OutcomeCommitted {
					t.Fatalf("%v, %v", outcome, err)
				}
			}
			if done, err := x.Commit(t.Context()); !errors.Is(err, ErrUnknown) {
				t.Errorf("it is in version 1, and was told %+v, %v", done, err)
			}
			if s := latest(t, k.log); s.version != Version(1+after) || !k.live(t)["x"] {
				t.Errorf("version %d holds %v", s.version, k.live(t))
			}
		})
	}
}

// TestStalledLoserDoesNotTakeItsOrphanForItsCommit: the version was another's when it looked. Before it lists what it lost
// against, clean-up removes that, and a late copy of its own PUT lands there.
func TestStalledLoserDoesNotTakeItsOrphanForItsCommit(t *testing.T) {
	k := newLake(t)
	asleep, put := k.sleeper(1, 2)
	x := staged(t, asleep, "x")
	put.before = func() { appendOne(t, k.log) }
	put.look = func() {
		appendOne(t, k.log)
		k.upkeep(t)
		body, err := x.body(x.base)
		if err != nil {
			t.Fatal(err)
		}
		if outcome, err := k.log.Commit(t.Context(), 1, x.txnID, body); outcome != OutcomeCommitted {
			t.Fatalf("%v, %v", outcome, err)
		}
	}
	if done, err := x.Commit(t.Context()); !errors.Is(err, ErrExpired) {
		t.Errorf("it is in no version, and was told %+v, %v", done, err)
	}
	if k.live(t)["x"] {
		t.Error("it is there")
	}
}

// refilled is a log whose commits 0 and 1 were cleaned up, whose checkpoint is of version 2, and where an orphan took the
// room of version 1: from version 0 on it seems to have no gap. It returns a process that knows version 0.
func refilled(t *testing.T) (*lake, *Log, *Snapshot) {
	t.Helper()
	k := newLake(t)
	old, _ := k.sleeper(-1, 2)
	s := latest(t, old)
	appendOne(t, k.log)
	appendOne(t, k.log)
	k.upkeep(t)
	body := []byte(`{"commitInfo":{"txnId":"orphan"}}` + "\n" + `{"add":{"path":"orphan","partitionValues":{},"size":1,"modificationTime":1,"dataChange":true}}` + "\n")
	if outcome, err := k.log.Commit(t.Context(), 1, "orphan", body); outcome != OutcomeCommitted {
		t.Fatalf("%v, %v", outcome, err)
	}
	return k, old, s
}

// TestOldSnapshotIsNotBroughtUpToDateWithAnOrphan: readers must not see what no reader of the whole log sees.
func TestOldSnapshotIsNotBroughtUpToDateWithAnOrphan(t *testing.T) {
	_, old, s := refilled(t)
	next, err := old.Update(t.Context(), s)
	if err != nil || next.version != 2 {
		t.Fatalf("%+v, %v", next, err)
	}
	if _, there := next.FileByPath("orphan"); there || next.Files().Len() != 2 {
		t.Errorf("%d files, orphan %t", next.Files().Len(), there)
	}
}

// TestOldWriterIsNotCheckedAgainstAnOrphan: the commits that its change must be checked against are gone.
func TestOldWriterIsNotCheckedAgainstAnOrphan(t *testing.T) {
	k, _, s := refilled(t)
	woken := New(k.store, "t", Options{Clock: k.clock, Rand: clock.SeededRand(3)}) // its clock went on
	x := woken.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(&Add{Path: "x", Size: 1, DataChange: true})
	if done, err := x.Commit(t.Context()); !errors.Is(err, ErrExpired) {
		t.Errorf("%+v, %v", done, err)
	}
	if got := latest(t, k.log); got.version != 2 {
		t.Errorf("the table is at %d", got.version)
	}
}

// TestStalledCreateIntoCleanedRoomIsNotCommitted: others created the table and cleaned version 0 up.
func TestStalledCreateIntoCleanedRoomIsNotCommitted(t *testing.T) {
	c := clock.NewStepping(testStart())
	store := mem.New(t.Name(), mem.WithClock(c))
	k := &lake{store: store, clock: c, log: New(store, "t", Options{Clock: c, Rand: clock.SeededRand(1)})}
	put := &stalledPut{Store: store, key: k.log.commitKey(0), before: func() {
		createTable(t, k.log, "id bigint", nil, map[string]string{"delta.logRetentionDuration": "interval 1 hour"})
		appendOne(t, k.log)
		k.upkeep(t)
	}}
	x := New(put, "t", Options{Clock: c, Rand: clock.SeededRand(2)}).Begin(nil, Operation{Name: "CREATE TABLE"})
	x.Stage(mustActions(t, k.log)...)
	if done, err := x.Commit(t.Context()); !errors.Is(err, ErrUnknown) {
		t.Errorf("%+v, %v", done, err)
	}
	if !k.live(t)["f1"] {
		t.Errorf("%v", k.live(t))
	}
}

// mustActions are protocol and metadata of a table.
func mustActions(t *testing.T, l *Log) []Action {
	t.Helper()
	schema, err := ParseColumns("id bigint")
	if err != nil {
		t.Fatal(err)
	}
	p, err := DefaultProtocol(schema, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return []Action{p, &Metadata{ID: clock.NewUUID(l.options.Rand), Provider: "parquet", SchemaString: schema.JSON(), PartitionColumns: []string{}}}
}

// TestLongWorkCommitsBesideABusyTable: an old snapshot is listed again before the PUT, so others that commit in the
// same second cast no doubt on it.
func TestLongWorkCommitsBesideABusyTable(t *testing.T) {
	k := newLake(t)
	s := &stalledPut{Store: k.store, key: k.log.commitKey(2)}
	long := New(s, "t", Options{Clock: k.clock, Rand: clock.SeededRand(2)})
	x := staged(t, long, "x")
	appendOne(t, k.log)
	k.clock.Advance(2 * time.Hour)
	s.after = func() { appendOne(t, k.log) } // at the same time by the store's clock
	if done, err := x.Commit(t.Context()); err != nil || done.Version != 2 {
		t.Errorf("%+v, %v", done, err)
	}
}

// TestUpdateAfterARaceReadsWhatFollows: a snapshot that a commit or a lost race has left knows its commit, so bringing it
// up to date reads the commits since and not the whole table again.
func TestUpdateAfterARaceReadsWhatFollows(t *testing.T) {
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprintf("lost %t", lost), func(t *testing.T) {
			k := newLake(t)
			counts := &countedReads{Store: k.store}
			l := New(counts, "t", Options{Clock: k.clock, Rand: clock.SeededRand(2)})
			x := staged(t, l, "x")
			if lost {
				appendOne(t, k.log)
			}
			done := mustCommit(t, x)
			if done.Snapshot == nil {
				t.Fatal("no snapshot")
			}
			appendOne(t, k.log)
			counts.gets = 0
			next, err := l.Update(t.Context(), done.Snapshot)
			if err != nil || next.version != done.Version+1 || counts.gets != 1 {
				t.Errorf("%+v after %d reads, %v", next, counts.gets, err)
			}
		})
	}
}

// countedReads counts GETs.
type countedReads struct {
	objectstore.Store
	gets int
}

func (c *countedReads) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	c.gets++
	return c.Store.Get(ctx, key, r)
}

func (c *countedReads) Put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (objectstore.Info, error) {
	info, err := c.Store.Put(ctx, key, body, cond)
	info.Modified = time.Time{} // as S3 answers
	return info, err
}
