package table

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Errors of a request, found before anything is written.
var (
	// ErrReadOnly says that a table pinned to a version or a time cannot be written. Terminal.
	ErrReadOnly = errors.New("table is pinned to a version and read only")
	// ErrTableExists says that a create met a table. Terminal.
	ErrTableExists = errors.New("table exists")
	// ErrInvalidRequest says that the fields of a request contradict each other or name what is not there. Terminal.
	ErrInvalidRequest = errors.New("invalid request")
	// ErrSchemaMismatch says that columns of the source and of the table do not fit. Terminal.
	ErrSchemaMismatch = errors.New("columns do not fit the table")
	// ErrProperty says that a table property is unknown, has a bad value, or may not be set. Terminal.
	ErrProperty = errors.New("invalid table property")
	// ErrUnsupported says that a request needs something that this release does not do. Terminal.
	ErrUnsupported = errors.New("not supported yet")
	// ErrPartlyDone says that some but not all txn entries of a request are already in the table. Terminal: look at
	// what was written under those application ids.
	ErrPartlyDone = errors.New("some txn entries are already in the table, others are not")
)

// Errors of the rows of a request. Nothing was committed.
var (
	// ErrConstraint says that a row breaks a rule of the table; see [ConstraintError]. Terminal.
	ErrConstraint = errors.New("constraint violated")
	// ErrAmbiguousMatch says that two source rows would change one target row; see [AmbiguousMatchError]. Terminal.
	ErrAmbiguousMatch = errors.New("several source rows match one target row")
)

// Errors of reading.
var (
	// ErrDataFile says that a data file of a table cannot be read as what it should be. Terminal.
	ErrDataFile = errors.New("damaged data file")
	// ErrSourceFile says that a file outside tables, which a statement reads, cannot be read as what it should be; see
	// [SourceFileError]. Terminal.
	ErrSourceFile = errors.New("damaged source file")
	// ErrValue says that a value cannot be what its column holds, or only with a loss; see [ValueError] and [SQLError].
	// Terminal.
	ErrValue = errors.New("value does not fit its column")
)

// Errors of a change.
var (
	// ErrChangeDone says that a change was committed or discarded before. Terminal.
	ErrChangeDone = errors.New("change is committed or discarded already")
)

// ConstraintError names a rule of the table, or of the request, that rows break. It matches [ErrConstraint]. Terminal.
type ConstraintError struct {
	Kind   string // "not null", "check", "invariant", "generated", "identity" or "where"
	Name   string // of a CHECK constraint
	Column string // the column, or the path of the nested field, that the rule belongs to; "" for "check" and "where"
	Rule   string // the expression; "" for "not null" and "identity"

	Rows     int64    // how many rows break it; 0 where they were not counted
	Examples []string // up to ConstraintExamplesMax of them, as "column = value, …"
}

// ConstraintExamplesMax is how many rows a [ConstraintError] shows.
const ConstraintExamplesMax = 3

// Error names the rule, and shows the rows that the user must repair.
func (e *ConstraintError) Error() string {
	var b strings.Builder
	b.WriteString("constraint violated: ")
	switch column := strconv.Quote(e.Column); e.Kind {
	case kindNotNull:
		b.WriteString("column " + column + " is not null, a row has no value for it")
	case kindCheck:
		b.WriteString("a row does not satisfy CHECK constraint " + e.Name + ": " + e.Rule)
	case kindInvariant:
		b.WriteString("a row does not satisfy the invariant of column " + column + ": " + e.Rule)
	case kindGenerated:
		b.WriteString("a row has another value in column " + column + " than the one that it is generated as: " + e.Rule)
	case kindIdentity:
		b.WriteString("no number is left for identity column " + column)
	default:
		b.WriteString("a row does not satisfy " + e.Rule)
	}
	if e.Rows > 0 {
		b.WriteString(" (" + strconv.FormatInt(e.Rows, 10) + " rows: " + strings.Join(e.Examples, "; "))
		if e.Rows > int64(len(e.Examples)) {
			b.WriteString("; …")
		}
		b.WriteString(")")
	}
	return b.String()
}

// Is matches ErrConstraint.
func (e *ConstraintError) Is(target error) bool { return target == ErrConstraint }

const (
	kindNotNull   = "not null"
	kindCheck     = "check"
	kindInvariant = "invariant"
	kindGenerated = "generated"
	kindIdentity  = "identity"
	kindWhere     = "where"
)

// SourceFileError says what is wrong with a file outside tables. It matches [ErrSourceFile]. Terminal.
type SourceFileError struct {
	File   string // its address
	Line   int64  // counted from 1; 0 when unknown
	Reason string
}

// Error names the file and the line.
func (e *SourceFileError) Error() string {
	at := e.File
	if e.Line > 0 {
		at += ", line " + strconv.FormatInt(e.Line, 10)
	}
	return at + ": " + e.Reason
}

// Is matches ErrSourceFile.
func (e *SourceFileError) Is(target error) bool { return target == ErrSourceFile }

// ValueError names a value that a column of the table cannot hold, or only with a loss. It matches [ErrValue]. Terminal.
type ValueError struct {
	Column string
	Type   string // of the column, as SQL spells it
	Value  string // the beginning of it

	cause error // of the engine
}

// Error names the value and the column.
func (e *ValueError) Error() string {
	return fmt.Sprintf("the value %q does not fit column %q (%s) without a loss", clip(e.Value), e.Column, e.Type)
}

// Is matches ErrValue.
func (e *ValueError) Is(target error) bool { return target == ErrValue }

// Unwrap returns the engine's error, a *SQLError.
func (e *ValueError) Unwrap() error { return e.cause }

// AmbiguousMatchError lists target rows that several source rows would change. It matches [ErrAmbiguousMatch].
// Terminal: make the source unique by its key.
type AmbiguousMatchError struct {
	Columns []string // source columns of the merge condition, or all source columns when it has no equality
	Keys    [][]any  // up to AmbiguousKeysMax of them, values as in Rows
	More    bool     // there are more
}

// AmbiguousKeysMax is how many keys an [AmbiguousMatchError] lists.
const AmbiguousKeysMax = 10

// Error lists the keys: they are what the user must repair.
func (e *AmbiguousMatchError) Error() string {
	var b strings.Builder
	b.WriteString("several source rows match one target row: (")
	b.WriteString(strings.Join(e.Columns, ", "))
	b.WriteString(") =")
	for i, key := range e.Keys {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(" (")
		for j, v := range key {
			if j > 0 {
				b.WriteString(", ")
			}
			b.WriteString(clip(fmt.Sprint(v)))
		}
		b.WriteByte(')')
	}
	if e.More {
		b.WriteString(" and more")
	}
	return b.String()
}

// Is matches ErrAmbiguousMatch.
func (e *AmbiguousMatchError) Is(target error) bool { return target == ErrAmbiguousMatch }

// clip keeps an error readable whatever the value.
func clip(s string) string {
	const most = 80
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}
