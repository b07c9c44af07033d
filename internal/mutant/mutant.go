// Package mutant plants bugs in the product on purpose, one at a time, to learn whether the checks of the reliability
// programme notice them (R16 of docs/reliability.md).
//
// A place where a bug can be planted asks [On] for it by name. Without the build tag mutants the answer is false at
// compile time, and the compiler drops the bug together with its condition: no product holds one. With the tag the
// environment variable LAKE_MUTANT names the bug that is there; no name, no bug. Which check must notice which bug
// stands in internal/robustness/mutants.
package mutant

// Variable names the environment variable that says which bug is planted; only binaries with the build tag mutants
// look at it.
const Variable = "LAKE_MUTANT"

// Name is the name of a bug, as it stands in the environment variable.
type Name string

// Bugs of the commit: what a client without the settle rule makes of a failed PUT.
const (
	// TakenIsSuccess takes "the version is taken" for our own work.
	TakenIsSuccess Name = "mutant:taken-is-success"
	// TakenIsLost takes "the version is taken" for another's work, unread.
	TakenIsLost Name = "mutant:taken-is-lost"
	// NextAfterLost goes on with the next version after any failure that is not a refusal, and does not know its own
	// work when it meets it there.
	NextAfterLost Name = "mutant:next-after-lost"
	// AbsentIsFailure takes the absence of the version after a failed PUT for proof that nothing landed.
	AbsentIsFailure Name = "mutant:absent-is-failure"
	// SettleOff has no settle rule: taken is lost, every other failure is a failure, and own work is not known again.
	SettleOff Name = "mutant:settle-off"
	// SettleRetry has a retry in place of the settle rule: the same PUT again until it succeeds or the version is
	// taken, which is lost, and own work is not known again.
	SettleRetry Name = "mutant:settle-retry"
	// ErrorAfterCommit makes an error of what goes wrong after the commit point.
	ErrorAfterCommit Name = "mutant:error-after-commit"
	// TxnLeftOut leaves the progress of applications out of the commit.
	TxnLeftOut Name = "mutant:txn-left-out"
)

// Bugs of the conflict rules.
const (
	// ConflictUnchecked lets every commit of others pass.
	ConflictUnchecked Name = "mutant:conflict-unchecked"
	// DeleteDeleteAllowed lets two writers remove the same file.
	DeleteDeleteAllowed Name = "mutant:delete-delete"
)

// Bugs of checkpoints.
const (
	// RemovesDropped leaves the tombstones out of a checkpoint.
	RemovesDropped Name = "mutant:removes-dropped"
	// HintTrusted believes _last_checkpoint: what it leaves out is not looked for.
	HintTrusted Name = "mutant:hint-trusted"
	// HoleRead reads a checkpoint of several parts without the part that is missing.
	HoleRead Name = "mutant:hole-read"
)

// Bugs of the rows.
const (
	// VectorOffByOne takes the row behind each deleted row for the deleted one.
	VectorOffByOne Name = "mutant:vector-off-by-one"
	// CardinalityUnchecked believes a deletion vector that holds another number of rows than the log says.
	CardinalityUnchecked Name = "mutant:cardinality-unchecked"
	// DoubleMatchAllowed lets a merge take any of two source rows for one target row.
	DoubleMatchAllowed Name = "mutant:double-match"
	// BoundInward cuts an upper bound to a prefix, which is below what it was cut from.
	BoundInward Name = "mutant:bound-inward"
	// FeedWithoutInserts leaves inserted rows out of change data files: readers, it is thought, see them in the adds.
	FeedWithoutInserts Name = "mutant:feed-without-inserts"
	// CacheServesHole keeps a file of the right size, whatever came of it.
	CacheServesHole Name = "mutant:cache-hole"
)

// Bugs of vacuum.
const (
	// VacuumIgnoresAge deletes files that no version names, however young.
	VacuumIgnoresAge Name = "mutant:vacuum-ignores-age"
	// VacuumIgnoresVectors deletes deletion vectors as if no version needed them.
	VacuumIgnoresVectors Name = "mutant:vacuum-ignores-vectors"
)

// Bugs of scheduling.
const (
	// LeaseAsFence lets a commit pass another one of the same task: a lease, it is thought, has kept that one away.
	LeaseAsFence Name = "mutant:lease-as-fence"
	// SlotTwice evaluates cron expressions in their zone: an hour that exists twice fires twice, one that does not
	// exist never.
	SlotTwice Name = "mutant:slot-twice"
)
