package txlog

import (
	"errors"
	"fmt"
	"strings"
)

// Errors of opening a table or a version of it.
var (
	// ErrNotATable says that the folder holds no Delta log. Terminal.
	ErrNotATable = errors.New("not a Delta table")
	// ErrVersionGap says that a commit between two others is missing. Terminal.
	ErrVersionGap = errors.New("version gap in the log")
	// ErrHistoryGone says that the wanted version can no longer be built: log clean-up removed what it needs. Terminal.
	ErrHistoryGone = errors.New("history is gone")
	// ErrVersionNotFound says that the wanted version is newer than the newest one. Terminal.
	ErrVersionNotFound = errors.New("no such version")
	// ErrCorruptLog says that a file of the log cannot be what a correct writer wrote. Terminal.
	ErrCorruptLog = errors.New("corrupt log")
	// ErrUnsupportedFeature says that the table needs something that we do not do; *FeatureError lists all of it. Terminal.
	ErrUnsupportedFeature = errors.New("unsupported table feature")
	// ErrInvalidProtocol says that the protocol action breaks the rules of the protocol. Terminal.
	ErrInvalidProtocol = errors.New("invalid protocol action")
	// ErrTimestampTooEarly says that the time asked for lies before the oldest version that is left. Terminal.
	ErrTimestampTooEarly = errors.New("timestamp before the oldest version")
	// ErrTimestampTooLate says that the time asked for lies after the newest version. Terminal.
	ErrTimestampTooLate = errors.New("timestamp after the newest version")
	// ErrFileGone says that a data file of the version was vacuumed or lost. Terminal.
	ErrFileGone = errors.New("data file is gone")
	// ErrDeletionVector says that a deletion vector is damaged or does not fit its file. Terminal.
	ErrDeletionVector = errors.New("bad deletion vector")
	// ErrUnsupportedType says that a column has a type that we cannot read or write. Terminal.
	ErrUnsupportedType = errors.New("unsupported column type")
	// ErrPathEscape says that a path of the log leads outside the table root where it must not. Terminal.
	ErrPathEscape = errors.New("path leaves the table")
)

// Errors of a commit. All but ErrConcurrentWrite, ErrUnknown and ErrExpired match ErrConflict.
var (
	// ErrConflict says that the rules forbid to rebase on what another writer committed. Retryable with a new plan
	// on the newest snapshot.
	ErrConflict = errors.New("conflicting commit")
	// ErrProtocolChanged is a conflict with a change of the protocol. Retryable with a new plan.
	ErrProtocolChanged = errors.New("protocol changed")
	// ErrMetadataChanged is a conflict with a change of schema or properties. Retryable with a new plan.
	ErrMetadataChanged = errors.New("metadata changed")
	// ErrConcurrentTransaction is a conflict over an application id or a metadata domain. Retryable with a new
	// plan, which often finds its work done.
	ErrConcurrentTransaction = errors.New("concurrent transaction")
	// ErrConcurrentAppend is a conflict with files added where we read. Retryable with a new plan.
	ErrConcurrentAppend = errors.New("files were added where this change read")
	// ErrConcurrentDeleteRead is a conflict over a file that we read and another removed. Retryable with a new plan.
	ErrConcurrentDeleteRead = errors.New("a file that this change read was removed")
	// ErrConcurrentDeleteDelete is a conflict over a file that both remove. Retryable with a new plan.
	ErrConcurrentDeleteDelete = errors.New("a file that this change removes was removed")
	// ErrConcurrentWrite says that other writers won every attempt. Retryable as it is.
	ErrConcurrentWrite = errors.New("other writers won every attempt")
	// ErrUnknown says that a commit may or may not have landed. Retryable only by work that carries a txn.
	ErrUnknown = errors.New("outcome unknown")
	// ErrExpired says that log clean-up has removed what a change would have to be checked against, because its snapshot
	// is old; nothing of it is in the log. Terminal; the whole work may start again.
	ErrExpired = errors.New("log clean-up has overtaken the change")
	// ErrInvalidCommit says that the staged actions would make a table that we would not read. Terminal.
	ErrInvalidCommit = errors.New("invalid commit")
)

// FeatureError lists everything that a table needs and we do not do. It matches [ErrUnsupportedFeature].
type FeatureError struct {
	Write    bool     // the table can be read but not written
	Features []string // names, sorted; a version number reads "minReaderVersion 99"
	Reason   string   // what to do about it; may be empty
}

// Error names all of them.
func (e *FeatureError) Error() string {
	verb := "read"
	if e.Write {
		verb = "write"
	}
	s := fmt.Sprintf("%v: to %s this table needs %s", ErrUnsupportedFeature, verb, strings.Join(e.Features, ", "))
	if e.Reason != "" {
		s += " (" + e.Reason + ")"
	}
	return s
}

// Unwrap makes the error match ErrUnsupportedFeature.
func (e *FeatureError) Unwrap() error { return ErrUnsupportedFeature }

// ConflictError says which commit of another writer stands in the way, and where. It matches [ErrConflict] and the
// sentinel of its check.
type ConflictError struct {
	Err       error   // ErrProtocolChanged … ErrConcurrentDeleteDelete
	Version   Version // of the winner
	Operation string  // of the winner, from its commitInfo
	Path      string  // the file in question, or ""
	Partition map[string]string
	Subject   string // application id or domain, or ""
}

// Error tells the whole story in one line.
func (e *ConflictError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v: %v by version %d", ErrConflict, e.Err, e.Version)
	if e.Operation != "" {
		fmt.Fprintf(&b, " (%s)", e.Operation)
	}
	if e.Subject != "" {
		fmt.Fprintf(&b, ": %q", e.Subject)
	}
	if e.Path != "" {
		fmt.Fprintf(&b, ": file %q", e.Path)
	}
	if len(e.Partition) > 0 {
		fmt.Fprintf(&b, " of partition %s", partitionLabel(e.Partition))
	}
	return b.String()
}

// Unwrap makes the error match ErrConflict and its own sentinel.
func (e *ConflictError) Unwrap() []error { return []error{ErrConflict, e.Err} }

// corrupt marks an error as damage of the log.
func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrCorruptLog, fmt.Errorf(format, args...))
}
