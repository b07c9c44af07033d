package pipeline

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Class is the family of a failure. It decides about retries and exit codes.
type Class string

// The classes. ClassIO, ClassThrottled, ClassConflict, ClassTimeout and ClassOOM may go away by themselves; the
// others need a person.
const (
	ClassIO        Class = "io"        // storage or network did not answer; a landing file changed while it was read
	ClassThrottled Class = "throttled" // the store asks for fewer requests
	ClassConflict  Class = "conflict"  // other writers won every attempt
	ClassTimeout   Class = "timeout"   // a deadline passed
	ClassOOM       Class = "oom"       // the engine ran out of memory or temporary disk
	ClassAuth      Class = "auth"      // credentials missing, wrong or expired
	ClassSQL       Class = "sql"       // the SQL of a model is wrong for its sources
	ClassConfig    Class = "config"    // project files, foreign-owned tables, rewound sources
	ClassCheck     Class = "check"     // a check, a breaker, a rule with on_fail: fail, sequence_tie, empty_result
	ClassContract  Class = "contract"  // a landing file broke the contract of its ingest
	ClassUnknown   Class = "unknown"   // a commit whose outcome could not be settled
)

// TaskError is the failure of a task with its class.
type TaskError struct {
	Class Class
	Err   error
}

// Error is the text of the failure.
func (e *TaskError) Error() string { return e.Err.Error() }

// Unwrap is the failure.
func (e *TaskError) Unwrap() error { return e.Err }

// failed gives err its class.
func failed(err error) error {
	var known *TaskError
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &TaskError{Class: ClassOf(err), Err: err}
}

// ClassOf is the class of any error that planning or executing returned; "" for nil. What is not known is ClassIO: it
// may go away.
func ClassOf(err error) Class {
	var known *TaskError
	var limit *limits.Error
	var sql *table.SQLError
	var problems *Problems
	switch {
	case err == nil:
		return ""
	case errors.As(err, &known):
		return known.Class
	case errors.Is(err, txlog.ErrUnknown):
		return ClassUnknown
	case errors.Is(err, context.DeadlineExceeded):
		return ClassTimeout
	case errors.Is(err, ErrCheckFailed):
		return ClassCheck
	case errors.Is(err, ErrContract):
		return ClassContract
	case errors.As(err, &problems), errors.Is(err, ErrNotOwner), errors.Is(err, ErrSourceRewound), errors.Is(err, ErrNotBuilt),
		errors.Is(err, ErrPlanNotFound), errors.Is(err, errConfig), errors.Is(err, objectstore.ErrNoBucket),
		errors.Is(err, objectstore.ErrUnsupported), errors.Is(err, txlog.ErrUnsupportedFeature), errors.Is(err, txlog.ErrUnsupportedType), errors.Is(err, txlog.ErrCorruptLog),
		errors.Is(err, txlog.ErrVersionGap), errors.Is(err, table.ErrInvalidRequest), errors.Is(err, table.ErrProperty), errors.Is(err, table.ErrUnsupported):
		return ClassConfig
	case errors.Is(err, objectstore.ErrDenied):
		return ClassAuth
	case errors.As(err, &limit):
		if strings.Contains(limit.Limit, "memory") || strings.Contains(limit.Limit, "temp") {
			return ClassOOM
		}
		return ClassConfig
	case errors.As(err, &sql), errors.Is(err, table.ErrSchemaMismatch):
		return ClassSQL
	case errors.Is(err, table.ErrConstraint):
		return ClassCheck
	case errors.Is(err, txlog.ErrConflict), errors.Is(err, txlog.ErrConcurrentWrite):
		return ClassConflict
	case errors.Is(err, objectstore.ErrThrottled):
		return ClassThrottled
	case errors.Is(err, objectstore.ErrUnavailable), errors.Is(err, objectstore.ErrPrecondition), errors.Is(err, objectstore.ErrNoSpace), errors.Is(err, io.ErrUnexpectedEOF):
		return ClassIO
	}
	return ClassIO
}

// errConfig marks what only a change of the project can mend. Terminal.
var errConfig = errors.New("configuration")
