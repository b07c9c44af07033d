package sim_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/internal/sim"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// build makes a table to begin with.
func build(t *testing.T, s logops.State) logops.Fixture {
	t.Helper()
	f, err := logops.Build(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func fill(t *testing.T, w *sim.World, f logops.Fixture) {
	t.Helper()
	if err := f.Fill(t.Context(), w.Objects()); err != nil {
		t.Fatal(err)
	}
}

// together runs operations side by side, each by an actor of its own, against the oracle.
func together(from logops.Fixture, b sim.Budget, ops ...logops.Operation) sim.Case {
	return togetherIn(from, b, func(_ *testing.T, w *sim.World) (objectstore.Store, error) { return w.Objects(), nil }, ops...)
}

// togetherIn is together where history is what the oracle reads: every commit that there ever was.
func togetherIn(from logops.Fixture, b sim.Budget, history func(*testing.T, *sim.World) (objectstore.Store, error), ops ...logops.Operation) sim.Case {
	var reports []*logops.Report
	var acting []logops.Operation // ops, and those that were begun again
	known := logops.Oracles{}
	return sim.Case{
		Budget: b, Fixed: sim.CommitFile,
		Start: func(t *testing.T, w *sim.World) {
			t.Helper()
			fill(t, w, from)
			reports, acting = reports[:0], acting[:0]
			begin := func(op logops.Operation, seed uint64, who string) func(context.Context, objectstore.Store) {
				r := &logops.Report{Base: -1}
				reports, acting = append(reports, r), append(acting, op)
				return func(ctx context.Context, s objectstore.Store) {
					op.Run(ctx, logops.Open(s, seed), who, r)
					r.Returned = true
				}
			}
			for i, op := range ops {
				who, seed := string(rune('a'+i)), uint64(i+1)
				again := func() { w.Go(who+"2", begin(op, seed+100, who+"2")) }
				if !op.Restarts {
					again = nil
				}
				w.GoAgain(who, begin(op, seed, who), again)
			}
		},
		Check: func(t *testing.T, w *sim.World) error {
			t.Helper()
			all, err := history(t, w)
			if err != nil {
				return err
			}
			o, err := known.Read(t.Context(), all)
			if err != nil {
				return err
			}
			for i, r := range reports {
				if err := o.Judge(r); err != nil {
					return fmt.Errorf("actor %d (%s): %w", i, acting[i].Name, err)
				}
				if err := excuse(w, acting, i, reports); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

// excuse refuses a failure that nothing explains: neither a fault nor what the others committed.
func excuse(w *sim.World, ops []logops.Operation, i int, reports []*logops.Report) error {
	r := reports[i]
	faulty := slices.ContainsFunc(w.Trace(), func(s sim.Step) bool { return s.How != "" })
	others := slices.ContainsFunc(reports, func(o *logops.Report) bool { return o != r && o.Tried && o.Err == nil })
	switch {
	case r.Err == nil, faulty && !errors.Is(r.Err, txlog.ErrConflict):
		return nil
	case errors.Is(r.Err, txlog.ErrConflict) && (others || faulty) && !ops[i].Blind:
		return nil
	case (errors.Is(r.Err, txlog.ErrMetadataChanged) || errors.Is(r.Err, txlog.ErrProtocolChanged)) && altering(ops):
		return nil
	case errors.Is(r.Err, txlog.ErrNotATable) && among(ops, "create"):
		return nil
	case errors.Is(r.Err, txlog.ErrHistoryGone) && (ops[i].Name == "restore" || ops[i].Name == "compact") && among(ops, "clean-up"):
		return nil
	}
	return fmt.Errorf("actor %d (%s) failed without a reason: %w", i, ops[i].Name, r.Err)
}

// altering tells whether one of the operations changes what the table is like.
func altering(ops []logops.Operation) bool {
	return slices.ContainsFunc(ops, func(o logops.Operation) bool { return strings.HasPrefix(o.Name, "alter ") })
}

// among tells whether an operation of this name is there.
func among(ops []logops.Operation, name string) bool {
	return slices.ContainsFunc(ops, func(o logops.Operation) bool { return o.Name == name })
}
