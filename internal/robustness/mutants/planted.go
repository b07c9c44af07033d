// Package mutants holds R16 of the reliability programme: which check must notice which planted bug (internal/mutant).
//
// A check that finds nothing may be a good sign or a bad one. Here each bug is planted in turn, and the check that is
// named for it must fail, with a message that fits, within its budget; and it must pass where no bug is planted.
package mutants

import (
	"time"

	"github.com/lakectl/lakectl/internal/mutant"
)

// Planted is a bug with one check that must notice it. A bug may have several.
type Planted struct {
	Bug     mutant.Name
	Check   string        // row of the programme, "R2", or ofTable
	Package string        // of the test, below the module
	Run     string        // -run
	Says    string        // a regular expression that the failure must match
	Budget  time.Duration // for the run alone, several times what a quiet machine needs
	Slow    bool          // in the long run only
	Sized   string        // environment of the test, "" for its short form: "LAKE_R5=8,40,3"
}

// Budgets. Those of R2 are for finding the bug, not for the whole check.
const (
	soon   = 20 * time.Second
	aWhile = 60 * time.Second
	long   = 5 * time.Minute
)

// ofTable are the random tests of package table against a slow reading: R5 reaches these bugs too, but not in minutes.
const ofTable = "table"

// Packages of the checks.
const (
	interleavings = "internal/sim"
	sweeps        = "internal/faultstore"
	processes     = "internal/robustness/workload"
	tables        = "table"
	engines       = "internal/robustness/tables"
	model         = "internal/refmodel"
)

// All lists every bug with its checks, in the order of design: first the settle rule as a whole, which R2, R4 and R6
// must each notice alone.
func All() []Planted {
	const (
		appends = `^TestR2Pairs$/^append_and_append$`
		sweep   = `^TestR4Log$/^append_from_state_1$`
	)
	return []Planted{
		{mutant.SettleOff, "R2", interleavings, appends, `was refused, and version \d+ has it`, soon, false, ""},
		{mutant.SettleOff, "R4", sweeps, sweep, `reported a failure, and the change is visible`, soon, false, ""},
		{mutant.SettleOff, "R6", processes, `^TestR6$`, `L4: \S+ was told refused, and version \d+ is its`, long, false, ""},
		{mutant.SettleRetry, "R2", interleavings, appends, `adds \S+, which is live`, soon, false, ""},
		{mutant.SettleRetry, "R4", sweeps, sweep, `neither the old nor the new state|cannot be read: .* which is live`, soon, false, ""},
		{mutant.SettleRetry, "R6", processes, `^TestR6$`, `L2: txnId \S+ is in versions \d+ and \d+`, long, true, ""},

		{mutant.TakenIsSuccess, "R2", interleavings, appends, `was told version \d+, and the work is in version -1`, soon, false, ""},
		{mutant.TakenIsSuccess, "R6", processes, `^TestR6$`, `L3: \S+ was told version \d+, which holds`, long, true, ""},
		{mutant.TakenIsLost, "R2", interleavings, `^TestR2Settle$`, `was told conflict, .* and the log is`, soon, false, ""},
		{mutant.NextAfterLost, "R2", interleavings, appends, `adds \S+, which is live`, soon, false, ""},
		{mutant.NextAfterLost, "R4", sweeps, sweep, `neither the old nor the new state|cannot be read: .* which is live`, soon, false, ""},
		{mutant.NextAfterLost, "R6", processes, `^TestR6$`, `L2: txnId \S+ is in versions \d+ and \d+`, long, true, ""},
		{mutant.AbsentIsFailure, "R2", interleavings, appends, `was refused, and version \d+ has it`, soon, false, ""},
		{mutant.AbsentIsFailure, "R4", sweeps, sweep, `reported a failure, and the change is visible`, soon, false, ""},
		{mutant.ErrorAfterCommit, "R4", sweeps, sweep, `reported a failure, and the change is visible`, soon, false, ""},
		{mutant.TxnLeftOut, "R2", interleavings, `^TestR2RepeatedTask$`, `the rows of the task are there 2 times`, soon, false, ""},
		{mutant.TxnLeftOut, "R6", processes, `^TestR6$`, `L7: \S+ was invoked with \S+ at \d+, and version \d+ holds 0`, long, true, ""},

		{mutant.ConflictUnchecked, "R2", interleavings, `^TestR2Pairs$/^overwrite_and_overwrite$`, `removes \S+, which is not live`, soon, false, ""},
		{mutant.DeleteDeleteAllowed, "R2", interleavings, `^TestR2UnreadRemoves$`, `removes \S+, which is not live`, soon, false, ""},

		{mutant.RemovesDropped, "R15", tables, `^TestFsckFindsPlants$/^checkpoint_forgets_a_remove$`, `the table is not sound`, aWhile, true, ""},
		{mutant.HintTrusted, "R4", sweeps, `^TestR4Astray$/^hint_beyond_the_log$`, `not a Delta table`, soon, false, ""},
		{mutant.HoleRead, "R4", sweeps, `^TestR4Astray$/hole`, `version 3 (reads as|has app at 0)`, soon, false, ""},

		{mutant.VectorOffByOne, "R5", model, `^TestR5$`, `rows deleted: \d+, want \d+|got 1 want 0 of "q\d+_v\d+`, long, true, ""},
		{mutant.CardinalityUnchecked, "R15", tables, `^TestFsckFindsPlants$/^vector_with_a_wrong_cardinality$`, `vector-damaged was not found`, aWhile, true, ""},
		{mutant.DoubleMatchAllowed, ofTable, tables, `^TestRandomMerges$/^seed_1$`, `was not ambiguous`, aWhile, true, ""},
		{mutant.FeedWithoutInserts, ofTable, tables, `^TestFeedIsTheDifference$/^vectors_partitioned_true$`, `the feed is not the difference`, aWhile, true, ""},
		{mutant.BoundInward, "R5", model, `^TestR5$`, `bound-excludes-value`, long, true, "LAKE_R5=8,40,3"},
		{mutant.CacheServesHole, "R4", engines, `^TestR4Tables$/^delete$`, `short read at call .*left a table that cannot be read`, long, true, "LAKE_SCALE=pr"},
		{mutant.VacuumIgnoresAge, "R2", interleavings, `^TestR2Vacuum$/^vacuum_and_append$`, `the live file \S+: head \S+: object not found`, soon, false, ""},
		{mutant.LeaseAsFence, "R2", interleavings, `^TestR2RepeatedTask$`, `the rows of the task are there 2 times`, soon, false, ""},
		{mutant.SlotTwice, "R12", "jobs", `^TestSlotsOnOrdinaryAndOddDays$`, `got  \[\S*2001-10-28T06:30:00Z 2001-10-28T07:30:00Z`, soon, true, ""},
		{mutant.VacuumIgnoresVectors, ofTable, tables, `^TestVacuumSparesWhatIsRetained$/^seed_1$`, `read deletion vector of part-`, aWhile, true, ""},
	}
}
