package txlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
)

// getCounter counts what is fetched.
type getCounter struct {
	objectstore.Store
	mu   sync.Mutex
	gets []string
}

// Get implements [objectstore.Store].
func (s *getCounter) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	s.mu.Lock()
	s.gets = append(s.gets, key[strings.LastIndexByte(key, '/')+1:])
	s.mu.Unlock()
	return s.Store.Get(ctx, key, r)
}

// lateTable is a checkpoint of files of all kinds, with commits on top that add, remove and mark rows. Its logs read
// the statistics of the checkpoint late, and at once; the first one counts what it fetches.
type lateTable struct {
	world       *skipWorld
	late, eager *Log
	counter     *getCounter
	version     Version // of the checkpoint
}

func newLateTable(t *testing.T, seed uint64, properties map[string]string) *lateTable {
	t.Helper()
	l, _ := testLog(t)
	s := createTable(t, l, skipColumns, []string{"p", "pi", "pd"}, properties)
	w := &skipWorld{rand.New(rand.NewPCG(seed, 5)), s.schema}
	add := func(n int) *Add {
		f := w.file(t)
		a := &Add{Path: fmt.Sprintf("file-%d", n), Size: int64(n), PartitionValues: f.partition, Stats: f.stats, DataChange: true}
		if f.hasDV {
			a.DeletionVector = &DeletionVectorDescriptor{StorageType: "i", PathOrInlineDv: fmt.Sprintf("%020d", n), SizeInBytes: 40, Cardinality: 1}
		}
		return a
	}
	var all []*Add
	for n := range 6 {
		x := l.Begin(latest(t, l), Operation{Name: "WRITE"})
		for k := range 25 {
			a := add(n*25 + k)
			if a.DeletionVector != nil && !strings.Contains(a.Stats, "numRecords") {
				a.DeletionVector = nil
			}
			all = append(all, a)
			x.Stage(a)
		}
		for k := range n { // tombstones stand between the adds
			x.Stage(&Remove{Path: all[n*20-k-1].Path, DeletionVector: all[n*20-k-1].DeletionVector, DataChange: true, DeletionTimestamp: math.MaxInt64})
		}
		mustCommit(t, x)
	}
	s = latest(t, l)
	cw := newCheckpointWriter(s)
	cw.sidecarMost = 40
	h := hintOf{version: s.version}
	var err error
	if cw.v2 {
		err = cw.writeV2(t.Context(), &h)
	} else {
		err = cw.writeClassic(t.Context(), &h)
	}
	if err != nil {
		t.Fatal(err)
	}
	out := &lateTable{world: w, version: s.version}
	for round := range 3 {
		s = latest(t, l)
		x := l.Begin(s, Operation{Name: "WRITE"})
		x.Stage(add(1000+round), s.Files().Remove(round*7, 1, true))
		old := s.Files().Add(round*7 + 3)
		marked := *old
		marked.DataChange = true
		marked.DeletionVector = &DeletionVectorDescriptor{StorageType: "i", PathOrInlineDv: fmt.Sprintf("%020d", 5000+round), SizeInBytes: 40, Cardinality: 1}
		if strings.Contains(old.Stats, "numRecords") {
			x.Stage(&Remove{Path: old.Path, DeletionVector: old.DeletionVector, DataChange: true}, &marked)
		}
		mustCommit(t, x)
	}
	out.counter = &getCounter{Store: l.store}
	out.late, out.eager = New(out.counter, l.root, l.options), New(l.store, l.root, l.options)
	out.late.statsAtOnce, out.eager.statsAtOnce = 0, math.MaxInt64
	return out
}

// statsForms are the forms that a checkpoint may keep statistics in, and itself.
func statsForms() map[string]map[string]string {
	return map[string]map[string]string{
		"json":      {"delta.checkpoint.writeStatsAsStruct": "false", "delta.enableDeletionVectors": "true"},
		"struct":    {"delta.checkpoint.writeStatsAsJson": "false", "delta.enableDeletionVectors": "true"},
		"both":      {"delta.enableDeletionVectors": "true"},
		"v2":        {"delta.checkpointPolicy": "v2", "delta.enableDeletionVectors": "true"},
		"v2 struct": {"delta.checkpoint.writeStatsAsJson": "false", "delta.checkpointPolicy": "v2", "delta.enableDeletionVectors": "true"},
	}
}

// sameStats demands that two snapshots plan alike, and have the same statistics file by file.
func (w *skipWorld) sameStats(t *testing.T, late, eager *Snapshot) {
	t.Helper()
	if late.Files().unread == nil || eager.Files().unread != nil {
		t.Fatal("statistics were read at once, or left where they must not be")
	}
	for range 100 {
		p := w.predicate(3)
		got, err := late.Prune(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		want, err := eager.Prune(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Fatalf("plans of %s differ: %s", p, d)
		}
	}
	for i := range eager.Files().Len() {
		if d := cmp.Diff(eager.Files().Add(i), late.Files().Add(i)); d != "" {
			t.Fatalf("file %d: %s", i, d)
		}
	}
}

// TestUnreadStats: whether statistics are read with the checkpoint or when a plan needs them is not to be told apart, in
// whatever form they are kept, with commits on top and in snapshots that follow. They cost one GET for each part that has
// any, once.
func TestUnreadStats(t *testing.T) {
	for name, properties := range statsForms() {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				k := newLateTable(t, seed, properties)
				base, err := k.late.At(t.Context(), k.version+1)
				if err != nil {
					t.Fatal(err)
				}
				late, err := k.late.Update(t.Context(), base)
				if err != nil {
					t.Fatal(err)
				}
				{
					p := partitionPredicate()
					before := len(k.counter.gets)
					if _, err := late.Prune(t.Context(), p); err != nil || len(k.counter.gets) != before {
						t.Fatalf("a plan by partition read statistics: %v", err)
					}
				}
				before := len(k.counter.gets)
				parts := len(late.Files().unread.parts)
				k.world.sameStats(t, late, latest(t, k.eager))
				baseEager, err := k.eager.At(t.Context(), k.version+1)
				if err != nil {
					t.Fatal(err)
				}
				k.world.sameStats(t, base, baseEager)
				if got := k.counter.gets[before:]; len(got) != parts || parts == 0 || len(slices.Compact(slices.Sorted(slices.Values(got)))) != parts {
					t.Errorf("%d parts were read with %v", parts, got)
				}
			}
		})
	}
}

// TestUnreadStatsOfALargeCheckpoint: of an object whose end is not all of it, in several row groups, only spans are read.
func TestUnreadStatsOfALargeCheckpoint(t *testing.T) {
	for _, memory := range []int64{0, checkpointInMemory} {
		l, _ := testLog(t)
		s := createTable(t, l, "id bigint, name string", nil, map[string]string{"delta.checkpoint.writeStatsAsJson": "false"})
		const files = 2*parquetio.DefaultRowGroupRows + 1000
		build := newFilesBuilder(l, files)
		for i := range files {
			build.add(&Add{
				Path: fmt.Sprintf("file-%d", i), Size: int64(i),
				Stats: fmt.Sprintf(`{"numRecords":10,"minValues":{"id":%d,"name":"n%d"},"maxValues":{"id":%d,"name":"n%d"},"nullCount":{"id":0,"name":0}}`, i, i, i+9, i),
			})
		}
		full := *s
		full.live = newLiveFiles(build.build(), nil)
		if err := l.Checkpoint(t.Context(), &full); err != nil {
			t.Fatal(err)
		}
		counter := &getCounter{Store: l.store}
		late := New(counter, l.root, l.options)
		late.inMemory = memory
		got := latest(t, late)
		before := len(counter.gets)
		at := func(op Op, n int64) *Predicate {
			return &Predicate{Op: op, Column: []string{"id"}, Values: []Literal{{Kind: KindLong, Int: n}}}
		}
		plan, err := got.Prune(t.Context(), And(at(OpGe, files/2), at(OpLe, files/2)))
		if err != nil {
			t.Fatal(err)
		}
		if len(plan.Kept) != 10 || plan.ByStats != files-10 || len(counter.gets) != before+1 {
			t.Errorf("%d files are left of %d, after %d requests", len(plan.Kept), files, len(counter.gets)-before)
		}
		for _, i := range []int{0, parquetio.DefaultRowGroupRows - 1, parquetio.DefaultRowGroupRows, files - 1} {
			if want := fmt.Sprintf(`{"numRecords":10,"minValues":{"id":%d,"name":"n%d"},"maxValues":{"id":%d,"name":"n%d"},"nullCount":{"id":0,"name":0}}`, i, i, i+9, i); got.Files().StatsText(i) != want {
				t.Errorf("file %d has %s, want %s", i, got.Files().StatsText(i), want)
			}
		}
	}
}

// partitionPredicate asks for nothing that statistics know.
func partitionPredicate() *Predicate {
	return &Predicate{Op: OpEq, Column: []string{"pi"}, Values: []Literal{{Kind: KindLong, Int: 1}}}
}

// TestUnreadStatsOfAReplacedCheckpoint: another writer's checkpoint of the same version has its rows in another order; a
// damaged one is no better than none. Both times the version is read again.
func TestUnreadStatsOfAReplacedCheckpoint(t *testing.T) {
	for name, replace := range map[string]func(t *testing.T, l *Log, v Version, key string){
		"gone": func(t *testing.T, l *Log, _ Version, key string) {
			t.Helper()
			if err := l.store.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
		},
		"other order": func(t *testing.T, l *Log, v Version, key string) {
			t.Helper()
			s, err := l.At(t.Context(), v)
			if err != nil {
				t.Fatal(err)
			}
			turned := newFilesBuilder(l, 0)
			for i := range s.Files().Len() {
				turned.copyFrom(s.Files(), s.Files().Len()-1-i)
			}
			full := *s
			full.live = newLiveFiles(turned.build(), s.Tombstones())
			body, err := newCheckpointWriter(&full).write()
			if err != nil {
				t.Fatal(err)
			}
			if err := l.store.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if _, err := l.store.Put(t.Context(), key, objectstore.Bytes(body), objectstore.CreateOnly); err != nil {
				t.Fatal(err)
			}
		},
		"damaged": func(t *testing.T, l *Log, _ Version, key string) {
			t.Helper()
			body, _, err := l.readObject(t.Context(), key, "checkpoint_bytes")
			if err != nil {
				t.Fatal(err)
			}
			if err := l.store.Delete(t.Context(), key); err != nil {
				t.Fatal(err)
			}
			if _, err := l.store.Put(t.Context(), key, objectstore.Bytes(body[:len(body)/2]), objectstore.CreateOnly); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newLateTable(t, 1, statsForms()["both"])
			late, err := k.late.At(t.Context(), k.version)
			if err != nil {
				t.Fatal(err)
			}
			eager, err := k.eager.At(t.Context(), k.version)
			if err != nil {
				t.Fatal(err)
			}
			replace(t, k.eager, k.version, k.eager.classicKey(k.version))
			k.world.sameStats(t, late, eager)
		})
	}
}

// TestUnreadStatsThatAreLost: with the checkpoint and the commits before it gone nobody knows the statistics. A plan says
// so, and a change that would write files without theirs is refused.
func TestUnreadStatsThatAreLost(t *testing.T) {
	k := newLateTable(t, 1, statsForms()["both"])
	late := latest(t, k.late)
	if err := k.eager.store.Delete(t.Context(), k.eager.classicKey(k.version), k.eager.commitKey(0)); err != nil {
		t.Fatal(err)
	}
	_, err := late.Prune(t.Context(), &Predicate{Op: OpIsNull, Column: []string{"i"}})
	if !errors.Is(err, ErrHistoryGone) || !errors.Is(err, objectstore.ErrNotFound) {
		t.Fatalf("planned without statistics: %v", err)
	}
	x := k.late.Begin(late, Operation{Name: "DELETE"})
	at := 0
	for late.Files().rows[at] == 0 {
		at++
	}
	add := late.Files().Add(at)
	if add.Stats != "" {
		t.Fatalf("statistics out of nowhere: %s", add.Stats)
	}
	add.DataChange = true
	x.Stage(add)
	if _, err := x.Commit(t.Context()); !errors.Is(err, ErrHistoryGone) {
		t.Errorf("files lost their statistics: %v", err)
	}
}

// TestSidecarsInAnyOrder: the order in which a V2 checkpoint names its sidecars, and how many are read at a time, makes no
// difference.
func TestSidecarsInAnyOrder(t *testing.T) {
	k := newLateTable(t, 2, statsForms()["v2"])
	want, err := k.eager.At(t.Context(), k.version)
	if err != nil {
		t.Fatal(err)
	}
	c := checkpointFiles{version: k.version}
	g, err := k.eager.list(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range g.checkpoints {
		if found.version == k.version && found.kind != checkpointClassic {
			c = found
		}
	}
	r := k.eager.newReplay(&segment{version: k.version})
	head := newCheckpointReader(t.Context(), r, k.version)
	if err := head.own(t.Context(), &c); err != nil {
		t.Fatal(err)
	}
	if len(head.sidecars) < 4 {
		t.Fatalf("%d sidecars", len(head.sidecars))
	}
	for range 5 {
		r := k.eager.newReplay(&segment{version: k.version})
		in := newCheckpointReader(t.Context(), r, k.version)
		var parts []checkpointPart
		for _, n := range k.world.Perm(len(head.sidecars)) {
			parts = append(parts, checkpointPart{sidecar: head.sidecars[n]})
		}
		in.inside = true
		if err := in.parts(t.Context(), parts); err != nil {
			t.Fatal(err)
		}
		got := *want
		got.live = newLiveFiles(r.live.build(), r.tombstones)
		sameState(t, want, &got)
	}
}
