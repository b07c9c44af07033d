package faultstore_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/faultstore"
	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// fromFixture prepares a table that was built before.
func fromFixture(t *testing.T, s logops.State) func(context.Context, objectstore.Store) error {
	t.Helper()
	f, err := logops.Build(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return f.Fill
}

// visible tells every version of the table: its files, their vectors, and the progress of applications. The slow oracle
// and txlog must agree on it.
func visible(ctx context.Context, s objectstore.Store) (string, error) {
	o, err := logops.ReadOracle(ctx, s)
	if err != nil {
		return "", err
	}
	if err := o.Agrees(ctx, s); err != nil {
		return "", err
	}
	var b strings.Builder
	for v := range o.Live {
		fmt.Fprintf(&b, "%d: %v %v\n", v, slices.Sorted(maps.Keys(o.Live[v])), o.Apps[v])
	}
	if len(o.Live) == 0 {
		return b.String(), nil
	}
	l := logops.Open(s, 500)
	snap, err := l.Latest(ctx)
	if err != nil {
		return "", err
	}
	like, err := logops.Describe(snap)
	if err != nil {
		return "", err
	}
	fmt.Fprintln(&b, like)
	for i := range snap.Files().Len() {
		d := snap.Files().DeletionVector(i)
		if d == nil || strings.HasPrefix(d.PathOrInlineDv, "of-") { // the second has no bits, see logops
			continue
		}
		bits, err := l.ReadDeletionVector(ctx, d, 100)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%s: rows %v deleted\n", snap.Files().Path(i), bits.ToArray())
	}
	return b.String(), nil
}

func unknown(err error) bool { return errors.Is(err, txlog.ErrUnknown) }

// ofLog makes a subject of an operation of the log.
func ofLog(t *testing.T, from logops.State, name string, run func(ctx context.Context, l *txlog.Log, r *logops.Report)) faultstore.Subject {
	t.Helper()
	process := func(seed uint64) func(context.Context, objectstore.Store) error {
		return func(ctx context.Context, s objectstore.Store) error {
			r := &logops.Report{}
			run(ctx, logops.Open(s, seed), r)
			return r.Err
		}
	}
	return faultstore.Subject{
		Name: name, Prepare: fromFixture(t, from), Do: process(1), Again: process(2), State: visible, Unknown: unknown,
	}
}

// TestR4Log sweeps every operation of the log: eight faults at every call.
func TestR4Log(t *testing.T) {
	check := ledger.Open(t, "R4 txlog", 700)
	var all faultstore.Counts
	sweep := func(s faultstore.Subject) {
		t.Run(s.Name, func(t *testing.T) {
			c := faultstore.Sweep(t, s)
			all.Add(c)
		})
	}
	for _, op := range logops.Operations() {
		froms := []logops.State{logops.TwoFiles, logops.WithCheckpoint}
		switch op.Name {
		case "create":
			froms = []logops.State{logops.EmptyFolder}
		case "restore":
			froms = []logops.State{logops.WithHistory, logops.WithCheckpoint}
		}
		for _, from := range froms {
			s := ofLog(t, from, fmt.Sprintf("%s from state %d", op.Name, from), func(ctx context.Context, l *txlog.Log, r *logops.Report) {
				op.Run(ctx, l, "w", r)
			})
			s.Harmless = op.Name == "checkpoint"
			sweep(s)
		}
	}
	s := ofLog(t, logops.WithHistory, "append once", func(ctx context.Context, l *txlog.Log, r *logops.Report) {
		r.Err = logops.AppendOnce(ctx, l, "w", 2)
	})
	s.Once = true
	sweep(s)
	sweep(ofLog(t, logops.WithHistory, "append to an old snapshot", appendLate))
	sweep(dueCheckpoint(t, nil))
	sweep(dueCheckpoint(t, v2Policy()))
	sweep(vectors(t))
	check.Count, check.Failed = all.Runs, all.Failed
	t.Logf("R4: %v", all)
}

// TestR4Features sweeps the changes of what a table is like, and those of a table with row ids, in-commit timestamps,
// clustering and checkpoints with sidecars, whose writing is swept as well, like that of log compactions.
func TestR4Features(t *testing.T) {
	check := ledger.Open(t, "R4 features", 700)
	featured, err := logops.Featured(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all faultstore.Counts
	sweep := func(op logops.Operation, prepare func(context.Context, objectstore.Store) error, harmless bool) {
		t.Run(op.Name, func(t *testing.T) {
			s := ofLog(t, logops.TwoFiles, op.Name, func(ctx context.Context, l *txlog.Log, r *logops.Report) { op.Run(ctx, l, "w", r) })
			s.Harmless = harmless
			if prepare != nil {
				s.Prepare = prepare
			}
			all.Add(faultstore.Sweep(t, s))
		})
	}
	for _, op := range logops.Alterations() {
		sweep(op, nil, false)
	}
	for _, op := range logops.FeaturedOperations() {
		harmless := op.Name == "checkpoint"
		op.Name += " with features"
		sweep(op, featured.Fill, harmless)
	}
	sweep(logops.Operation{Name: "compact", Run: func(ctx context.Context, l *txlog.Log, _ string, r *logops.Report) {
		r.Err = l.Compact(ctx, 0, 2)
	}}, featured.Fill, true)
	sweep(dueCompaction(), featured.Fill, false)
	check.Count, check.Failed = all.Runs, all.Failed
	t.Logf("R4 features: %v", all)
}

// dueCompaction appends the version after which the log is compacted: nothing after the commit point may turn the append
// into an error.
func dueCompaction() logops.Operation {
	return logops.Operation{Name: "append with the compaction that is due", Run: func(ctx context.Context, l *txlog.Log, who string, r *logops.Report) {
		l = txlog.New(l.Store(), logops.Path, txlog.Options{
			Clock: clock.NewStepping(logops.Start()), Rand: clock.SeededRand(5 + uint64(who[0])), CompactEvery: 4,
		})
		logops.Operations()[1].Run(ctx, l, who, r)
	}}
}

// appendLate commits on top of version 1, so that it meets the two after it and rebases.
func appendLate(ctx context.Context, l *txlog.Log, r *logops.Report) {
	s, err := l.At(ctx, 1)
	if err != nil {
		r.Err = err
		return
	}
	x := l.Begin(s, txlog.Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(logops.Add("late", true))
	_, r.Err = x.Commit(ctx)
}

// dueCheckpoint appends the version at which the table wants a checkpoint: nothing after the commit point may turn the
// append into an error.
func dueCheckpoint(t *testing.T, properties map[string]string) faultstore.Subject {
	t.Helper()
	s := ofLog(t, logops.EmptyFolder, fmt.Sprintf("append with the checkpoint that is due %v", properties), func(ctx context.Context, l *txlog.Log, r *logops.Report) {
		r.Err = logops.AppendOnce(ctx, l, "w", 2)
	})
	s.Once = true
	s.Prepare = func(ctx context.Context, store objectstore.Store) error {
		l := logops.Open(store, 99)
		x, err := logops.CreateWith(l, everySecond(properties))
		if err != nil {
			return err
		}
		if _, err := x.Commit(ctx); err != nil {
			return err
		}
		return logops.AppendOnce(ctx, l, "w", 1)
	}
	return s
}

// v2Policy asks for checkpoints with sidecars.
func v2Policy() map[string]string { return map[string]string{"delta.checkpointPolicy": "v2"} }

// everySecond asks for a checkpoint at every second version.
func everySecond(properties map[string]string) map[string]string {
	out := map[string]string{"delta.checkpointInterval": "2"}
	maps.Copy(out, properties)
	return out
}

// vectors deletes rows by a deletion vector: a file beside the log, then a commit that names it.
func vectors(t *testing.T) faultstore.Subject {
	t.Helper()
	do := func(seed uint64) func(context.Context, objectstore.Store) error {
		return func(ctx context.Context, s objectstore.Store) error {
			l := logops.Open(s, seed)
			snap, err := l.Latest(ctx)
			if err != nil {
				return err
			}
			bits := roaring64.BitmapOf(3, 5)
			d, err := l.WriteDeletionVectors(ctx, []*roaring64.Bitmap{bits})
			if err != nil {
				return err
			}
			old, after := snap.Files().Add(0), snap.Files().Add(0)
			after.DeletionVector, after.DataChange = d[0], true
			x := l.Begin(snap, txlog.Operation{Name: "DELETE"})
			x.ReadFiles(0)
			x.Stage(&txlog.Remove{
				Path: old.Path, DeletionTimestamp: logops.Start().UnixMilli(), DataChange: true,
				ExtendedFileMetadata: true, PartitionValues: old.PartitionValues, Size: &old.Size,
			}, after)
			_, err = x.Commit(ctx)
			return err
		}
	}
	return faultstore.Subject{
		Name: "delete by vector", Do: do(1), Again: do(2), State: visible, Unknown: unknown,
		Prepare: func(ctx context.Context, s objectstore.Store) error {
			l := logops.Open(s, 99)
			x, err := logops.CreateWith(l, map[string]string{"delta.enableDeletionVectors": "true"})
			if err != nil {
				return err
			}
			x.Stage(logops.AddRows("f0", 100))
			_, err = x.Commit(ctx)
			return err
		},
	}
}

// TestR4Readers sweeps what only reads: the answer is the true one, or an error.
func TestR4Readers(t *testing.T) {
	check := ledger.Open(t, "R4 readers", 150)
	var all faultstore.Counts
	for _, from := range []logops.State{logops.WithHistory, logops.WithCheckpoint} {
		for _, r := range []struct {
			name string
			read func(ctx context.Context, l *txlog.Log) (string, error)
		}{
			{"latest", func(ctx context.Context, l *txlog.Log) (string, error) { return tell(l.Latest(ctx)) }},
			{"at", func(ctx context.Context, l *txlog.Log) (string, error) { return tell(l.At(ctx, 2)) }},
			{"at time", func(ctx context.Context, l *txlog.Log) (string, error) {
				return tell(l.AtTime(ctx, logops.Start().Add(time.Millisecond)))
			}},
			{"update", func(ctx context.Context, l *txlog.Log) (string, error) {
				s, err := l.At(ctx, 1)
				if err != nil {
					return "", err
				}
				return tell(l.Update(ctx, s))
			}},
			{"history", func(ctx context.Context, l *txlog.Log) (string, error) {
				var b strings.Builder
				for c, err := range l.History(ctx, txlog.HistoryOptions{}) {
					if err != nil {
						return "", err
					}
					fmt.Fprintln(&b, c.Version, c.Info.TxnID, len(c.Actions))
				}
				return b.String(), nil
			}},
		} {
			t.Run(fmt.Sprintf("%s from state %d", r.name, from), func(t *testing.T) {
				var want string
				s := ofLog(t, from, r.name, func(ctx context.Context, l *txlog.Log, rep *logops.Report) {
					got, err := r.read(ctx, l)
					switch rep.Err = err; {
					case err != nil:
					case want == "":
						want = got
					case got != want:
						t.Errorf("read\n%s\nwant\n%s", got, want)
					}
				})
				s.Harmless = true
				all.Add(faultstore.Sweep(t, s))
			})
		}
	}
	check.Count, check.Failed = all.Runs, all.Failed
	t.Logf("R4 readers: %v", all)
}

// tell says what a snapshot holds.
func tell(s *txlog.Snapshot, err error) (string, error) {
	if err != nil {
		return "", err
	}
	var b strings.Builder
	fmt.Fprintln(&b, s.Version(), s.Metadata().ID, s.Protocol().MinWriterVersion)
	for i := range s.Files().Len() {
		n, _ := s.Files().NumRecords(i)
		fmt.Fprintln(&b, s.Files().Path(i), s.Files().Size(i), n)
	}
	for app, x := range s.Txns() {
		fmt.Fprintln(&b, app, x.Version)
	}
	return b.String(), nil
}
