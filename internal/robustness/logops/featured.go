package logops

import (
	"context"
	"fmt"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Featured builds a table whose rows have ids, whose commits have times that rise, whose layout follows a column, and
// whose checkpoints have sidecars: version 0 creates it, versions 1 and 2 add files of several rows.
func Featured(ctx context.Context) (Fixture, error) {
	store := mem.New("featured", mem.WithClock(clock.NewManual(Start())))
	schema, err := txlog.ParseColumns("id bigint, at bigint")
	if err != nil {
		return nil, err
	}
	t, err := table.CreateTable(ctx, store, Path, table.Create{Schema: schema, ClusterBy: []string{"id"}, Properties: map[string]string{
		txlog.RowTrackingKey: "true", "delta.enableInCommitTimestamps": "true", "delta.checkpointPolicy": "v2",
	}}, table.Options{Log: txlog.Options{Clock: clock.NewStepping(Start()), Rand: clock.SeededRand(98)}})
	if err != nil {
		return nil, err
	}
	now := t.Snapshot()
	l := Open(store, 99)
	for v, rows := range []int{5, 7} {
		x := l.Begin(now, txlog.Operation{Name: "WRITE"})
		x.Stage(AddRows(fmt.Sprintf("f%d", v), rows), AddRows(fmt.Sprintf("g%d", v), 1))
		if _, err := x.Commit(ctx); err != nil {
			return nil, err
		}
		if now, err = l.Latest(ctx); err != nil {
			return nil, err
		}
	}
	return Dump(ctx, store)
}

// FeaturedOperations are those of [Operations] and more on a table that [Featured] built.
func FeaturedOperations() []Operation {
	var out []Operation
	for _, op := range Operations() {
		if op.Name != "create" {
			out = append(out, op)
		}
	}
	return append(out, mask(), note())
}

// mask deletes a row of the first file by a vector: the file stays, and its rows keep their ids.
func mask() Operation {
	return change("mask", false, func(s *txlog.Snapshot, x *txlog.Transaction, who string) (bool, bool) {
		i, ok := firstFile(s)
		if !ok {
			return false, true
		}
		after := s.Files().Add(i)
		after.DataChange = true
		after.DeletionVector = &txlog.DeletionVectorDescriptor{StorageType: "i", PathOrInlineDv: "of-" + who, Cardinality: 1}
		x.ReadFiles(i)
		x.Stage(Remove(s, i, true), after)
		return false, false
	})
}

// noteDomain is a metadata domain that applications keep.
const noteDomain = "lakectl.note"

// note changes a metadata domain of an application, which depends on what was there.
func note() Operation {
	op := change("note", false, func(_ *txlog.Snapshot, x *txlog.Transaction, who string) (bool, bool) {
		x.Stage(&txlog.DomainMetadata{Domain: noteDomain, Configuration: who})
		return false, false
	})
	run := op.Run
	op.Run = func(ctx context.Context, l *txlog.Log, who string, r *Report) {
		r.Domain = noteDomain
		run(ctx, l, who, r)
	}
	return op
}
