package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want int
		say  string
	}{
		{usagef("no"), exitUsage, "no"},
		{txlog.ErrNotATable, exitNotFound, "is not a Delta table"},
		{&txlog.FeatureError{Features: []string{"warpDrive"}}, exitFeature, "warpDrive"},
		{&txlog.ConflictError{Err: txlog.ErrConcurrentAppend, Version: 3}, exitHeld, "run the same command again"},
		{txlog.ErrConcurrentWrite, exitHeld, "other writers won"},
		{txlog.ErrUnknown, exitUnknown, "lakectl history"},
		{errors.Join(txlog.ErrUnknown, context.Canceled), exitUnknown, "not known"},
		{context.Canceled, exitInterrupted, "interrupted"},
		{txlog.ErrCorruptLog, exitError, "fsck"},
		{table.ErrAmbiguousMatch, exitError, "nothing was changed"},
		{&table.ConstraintError{Kind: "not null", Column: "id"}, exitCheck, "nothing was changed"},
		{objectstore.ErrDenied, exitError, "credentials"},
		{objectstore.ErrNoBucket, exitNotFound, "does not exist"},
		{fmt.Errorf("%w: %w", objectstore.ErrDenied, syscall.EACCES), exitError, "hint: look at owner and rights"},
		{fmt.Errorf("%w: %w", objectstore.ErrDenied, syscall.EROFS), exitError, "mounted read-only"},
		{&fs.PathError{Op: "mkdir", Path: "x", Err: syscall.EACCES}, exitError, "hint: look at owner and rights"},
		{&fs.PathError{Op: "mkdir", Path: "x", Err: syscall.ENOSPC}, exitError, "the disk is full"},
		{objectstore.ErrNoSpace, exitError, "the disk is full"},
		{fmt.Errorf("%w: %w", txlog.ErrFileGone, objectstore.ErrNotFound), exitNotFound, "is gone"},
		{&table.SourceFileError{File: "a.csv", Line: 2, Reason: "a quote is never closed"}, exitError, "why: merge into ./t: a.csv, line 2: a quote"},
		{&table.SQLError{Message: "date field value out of range", Data: true}, exitError, "error: a value does not fit its column"},
		{&table.ValueError{Column: "id", Type: "int", Value: "3.7"}, exitError, `"3.7" does not fit column "id" (int)`},
		{limits.Over("log_line_bytes", 2, 1), exitError, "limits.log_line_bytes"},
		{&table.SQLError{Message: `column "x" not found`}, exitError, "the SQL is wrong"},
		{errors.New("anything else"), exitError, "anything else"},
	} {
		var out, errOut bytes.Buffer
		a := newApp(nil, &out, &errOut, func(string) string { return "" }, clock.System(), clock.SystemRand())
		a.subject = "./t"
		if got := a.fail(t.Context(), fmt.Errorf("merge into ./t: %w", c.err)); got != c.want {
			t.Errorf("%v: exit code %d, want %d", c.err, got, c.want)
		}
		if !strings.Contains(errOut.String(), c.say) || !strings.HasPrefix(errOut.String(), "error: ") {
			t.Errorf("%v: said %q, want %q in it", c.err, errOut.String(), c.say)
		}
		if out.Len() > 0 {
			t.Errorf("%v: wrote to stdout: %q", c.err, out.String())
		}
	}
}

// A commit in doubt names what settles it; with --txn that is simply running it again.
func TestUnknownOutcomeSaysHowToSettle(t *testing.T) {
	var errOut bytes.Buffer
	a := newApp(nil, &errOut, &errOut, func(string) string { return "" }, clock.System(), clock.SystemRand())
	a.subject, a.txn = "./t", "nightly:7"
	if got := a.fail(t.Context(), fmt.Errorf("commit version 3 as 5f0c: %w", txlog.ErrUnknown)); got != exitUnknown {
		t.Errorf("exit code %d, want %d", got, exitUnknown)
	}
	for _, want := range []string{"version 3 as 5f0c", "--txn nightly:7"} {
		if !strings.Contains(errOut.String(), want) {
			t.Errorf("said %q, want %q in it", errOut.String(), want)
		}
	}
}
