package sim_test

import (
	"slices"
	"testing"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/internal/sim"
)

// alterBudget is that of the pairs with what changes or needs table features: rebases matter there, and every one of the
// operations has a pair with all faults in TestR2Pairs or TestR2Alter.
func alterBudget() sim.Budget {
	return sim.Budget{Lost: 1, Late: ledger.At(0, 0, 1), Crash: ledger.At(0, 0, 1)}
}

// TestR2Alter runs changes of what a table is like beside every other change, and beside each other: whoever comes
// second does not commit over what it has not seen.
func TestR2Alter(t *testing.T) {
	tally := tallied(t, "R2 alter", ledger.At(1_500, 4_000, 10_000))
	alterations, all := logops.Alterations(), slices.Concat(logops.Alterations(), logops.Operations())
	for i, a := range alterations {
		for _, b := range all[i:] {
			t.Run(a.Name+" and "+b.Name, func(t *testing.T) {
				t.Parallel()
				from := logops.TwoFiles
				switch b.Name {
				case "create":
					from = logops.EmptyFolder
				case "restore":
					from = logops.WithHistory
				case "checkpoint":
					from = logops.WithCheckpoint
				}
				tally.Add(sim.Must(t, together(build(t, from), alterBudget(), a, b), pairLimits()))
			})
		}
	}
}

// TestR2Featured runs the changes of a table with row ids, in-commit timestamps, clustering and V2 checkpoints beside each
// other: no row id is given out twice, times rise, and domains are never changed unseen, whoever has to rebase.
func TestR2Featured(t *testing.T) {
	tally := tallied(t, "R2 features", ledger.At(1_600, 5_000, 10_000))
	from, err := logops.Featured(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ops := logops.FeaturedOperations()
	for _, op := range logops.Alterations() {
		if op.Name == "alter column" || op.Name == "alter clustering" {
			ops = append(ops, op)
		}
	}
	for i, a := range ops {
		for _, b := range ops[i:] {
			t.Run(a.Name+" and "+b.Name, func(t *testing.T) {
				t.Parallel()
				tally.Add(sim.Must(t, together(from, alterBudget(), a, b), pairLimits()))
			})
		}
	}
}

// TestR2AlterUpkeep runs changes of what a table is like beside vacuum and log clean-up, which commit notes or read
// properties: neither takes what the other needs.
func TestR2AlterUpkeep(t *testing.T) {
	tally := tallied(t, "R2 alter and upkeep", ledger.At(80, 1_000, 1_000))
	old, long := aged(t), longLog(t)
	budget := ledger.At(sim.Budget{}, sim.Budget{Lost: 1}, sim.Budget{Lost: 1, Crash: 1})
	for _, op := range logops.Alterations() {
		t.Run("vacuum and "+op.Name, func(t *testing.T) {
			t.Parallel()
			tally.Add(sim.Must(t, beside(old, budget, vacuum(), op), pairLimits()))
		})
		t.Run("clean-up and "+op.Name, func(t *testing.T) {
			t.Parallel()
			tally.Add(sim.Must(t, cleaning(long, budget, cleanUp(), op), pairLimits()))
		})
	}
}
