package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/pipeline"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/parquetfolder"
	"github.com/lakectl/lakectl/table/statement"
	"github.com/lakectl/lakectl/txlog"
)

// Exit codes. They are part of the interface: scripts branch on them.
const (
	exitDone        = 0
	exitError       = 1
	exitPartial     = 2
	exitCheck       = 3
	exitHeld        = 4
	exitPlan        = 5
	exitFeature     = 6
	exitNotFound    = 7
	exitUnknown     = 8
	exitUsage       = 64
	exitInterrupted = 130
)

// exitCodesTopic is `lakectl help exit-codes`.
func exitCodesTopic() *cobra.Command {
	return &cobra.Command{
		Use:   "exit-codes",
		Short: "What each exit code means, and whether to run again",
		Long: fmt.Sprintf(`code  meaning                                                        run it again?
%4d  done, or nothing to do                                         -
%4d  error: configuration, SQL, storage; nothing was committed      when the cause is fixed
%4d  partial success: some tasks committed, others did not          yes, it resumes
%4d  a check or contract failed, or fsck found damage               no, look
%4d  held by another run, or other writers won every attempt        yes, safe
%4d  the plan has changes                                           -
%4d  unsupported table feature                                      no
%4d  table, version or file not found                               no
%4d  outcome unknown: says version, txnId and how to settle it      settle first
%4d  wrong flags or arguments; nothing was tried                    when fixed
%4d  interrupted, nothing in doubt                                  yes, it resumes`,
			exitDone, exitError, exitPartial, exitCheck, exitHeld, exitPlan, exitFeature, exitNotFound, exitUnknown, exitUsage, exitInterrupted),
	}
}

// codeError ends the command with a code of its own, after what it had to say was already printed.
type codeError struct{ code int }

func (e *codeError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// rule says how an error that matches a sentinel ends the command. %s in message and hint is what the verb was about.
type rule struct {
	sentinel error
	code     int
	message  string
	hint     string
}

// rules are asked in order; the first match counts, so what decides stands before what it wraps.
func rules() []rule {
	return []rule{
		// A commit in doubt comes first: whatever else went wrong, the user must know.
		{txlog.ErrUnknown, exitUnknown, "it is not known whether the change to %s was committed", "lakectl history %s --limit 5 --full   # the txnId tells: listed = committed; if not, run the same command again"},
		{context.Canceled, exitInterrupted, "interrupted; %s is as it was", "run the same command again"},

		{txlog.ErrUnsupportedFeature, exitFeature, "%s needs a table feature that this release does not have", "an engine that has the feature can use the table; lakectl left it as it is"},
		{txlog.ErrUnsupportedType, exitFeature, "%s has a column of a type that this release does not read", "name the other columns in the SELECT, or use an engine that has the type"},
		{txlog.ErrNotATable, exitNotFound, "%s is not a Delta table", "lakectl create %s --schema 'id bigint, name string'   # or check the path"},
		{txlog.ErrHistoryGone, exitNotFound, "that version of %s can no longer be read", "lakectl history %s   # lists the versions that are left"},
		{txlog.ErrVersionNotFound, exitNotFound, "%s has no such version", "lakectl history %s   # lists them"},
		{txlog.ErrTimestampTooEarly, exitNotFound, "%s has no version that old", "lakectl history %s   # shows the times of the versions that are left"},
		{txlog.ErrTimestampTooLate, exitNotFound, "%s has no version that new", "leave the time out to read the newest version"},
		{txlog.ErrFileGone, exitNotFound, "a data file that %s needs is gone", "lakectl fsck %s   # tells whether the newest version is whole; what a vacuum removed cannot be brought back"},
		{txlog.ErrVersionGap, exitError, "the log of %s has a gap", "lakectl fsck %s   # a missing commit cannot be rebuilt: restore the object from a backup"},
		{txlog.ErrInvalidProtocol, exitError, "%s has an invalid protocol action", "the table was written wrongly; ask whoever wrote it"},
		{txlog.ErrDeletionVector, exitError, "a deletion vector of %s is damaged", "lakectl fsck %s   # and `lakectl restore %s --to VERSION` to go back before it"},
		{txlog.ErrPathEscape, exitError, "a path in the log of %s leads outside the table", "the table is damaged or hostile: do not use it; `lakectl fsck %s` names the entry"},
		{txlog.ErrCorruptLog, exitError, "the log of %s is damaged", "lakectl fsck %s   # says which object; older versions may still be read with @vN"},
		{txlog.ErrExpired, exitError, "log clean-up of %s has overtaken this change; nothing was committed", "run the same command again; it starts from the newest version"},
		{txlog.ErrInvalidCommit, exitError, "the change would have damaged %s and was refused", ""},
		{txlog.ErrConcurrentWrite, exitHeld, "other writers won every attempt to commit to %s", "run the same command again"},
		{table.ErrVacuumRunning, exitHeld, "a vacuum of %s may be deleting files that come back; nothing was changed", "lakectl history %s --limit 5   # when its VACUUM END is there, or after the time above, run the same command again"},
		{txlog.ErrConflict, exitHeld, "another writer changed what this change to %s was based on", "run the same command again; it starts from the newest version"},

		{table.ErrNoChangeFeed, exitError, "the changes of %s were not recorded in every version of that range", "lakectl alter %s --set delta.enableChangeDataFeed=true   # records them from then on; `lakectl history %s --full` shows since when"},
		{table.ErrRetention, exitError, "that would remove what versions of %s within its retention need", "a longer --retain; or --force, where no reader or writer is older than that"},
		{table.ErrDataFile, exitError, "a file of %s cannot be read", "lakectl fsck %s --deep   # says which; `lakectl restore` goes back to a version without it"},
		{table.ErrSourceFile, exitError, "a source file cannot be read; nothing was changed", "mend the file or leave it out; how a CSV file is written is said with --csv-option: lakectl append --help"},
		{table.ErrValue, exitError, "a value does not fit its column; nothing was changed", "mend it in the source, or say in a query what becomes of it: SELECT round(x) AS x, TRY_CAST(d AS date) AS d FROM 'file.csv'"},
		{table.ErrTableExists, exitError, "%s exists already", "lakectl describe %s   # or --if-not-exists"},
		{parquetfolder.ErrFolder, exitError, "the files of %s are not one table; nothing was changed", "move what does not belong to it away, or behind a name that begins with _"},
		{table.ErrReadOnly, exitUsage, "%s names an old version, which cannot be written", "leave the @… out"},
		{table.ErrAmbiguousMatch, exitError, "two source rows would change one row of %s; nothing was changed", "make the source unique by its key, for example with QUALIFY row_number() OVER (PARTITION BY key ORDER BY …) = 1"},
		{table.ErrConstraint, exitCheck, "a row breaks a rule of %s; nothing was changed", "lakectl describe %s   # lists the rules"},
		{table.ErrSchemaMismatch, exitError, "the columns do not fit %s", "lakectl describe %s   # lists its columns; --merge-schema adds new ones"},
		{table.ErrPartlyDone, exitError, "part of this work is already in %s", "lakectl history %s --full   # look at what was written under that --txn"},
		{table.ErrUnsupported, exitError, "that is not possible on %s yet", ""},
		{table.ErrProperty, exitError, "a table property of %s is wrong", ""},
		{table.ErrInvalidRequest, exitError, "that cannot be done to %s", ""},

		{pipeline.ErrCheckFailed, exitCheck, "a check of %s failed; nothing was committed", ""},
		{pipeline.ErrContract, exitCheck, "a landing file broke the contract of %s", ""},
		{pipeline.ErrNotBuilt, exitNotFound, "a table that %s reads does not exist yet", "lakectl run"},
		{pipeline.ErrPlanNotFound, exitNotFound, "no such plan: %s", ""},
		{pipeline.ErrNotOwner, exitError, "%s belongs to another project or model", ""},
		{pipeline.ErrSourceRewound, exitError, "a source of %s was recreated or restored", ""},
		{pipeline.ErrSuperseded, exitDone, "", ""},

		{objectstore.ErrDenied, exitError, "the store refused the credentials for %s", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN), or the rights of the folder"},
		{fs.ErrPermission, exitError, "", ""}, // see local
		{syscall.EROFS, exitError, "", ""},
		{syscall.ENOSPC, exitError, "the disk is full: there is no space left for %s or for temporary files", "make room, then run the same command again"},
		{objectstore.ErrNoBucket, exitNotFound, "the bucket or folder of %s does not exist", "create the bucket, or check the name and LAKE_S3_ENDPOINT"},
		{objectstore.ErrUnsafeStore, exitError, "the store of %s ignores conditional writes: two writers would overwrite each other, so nothing is written", "use a store that honours If-None-Match (S3, MinIO, R2, …)"},
		{objectstore.ErrUnsupported, exitError, "the store of %s cannot put an object only where none exists, which a Delta log needs", "use a store with conditional writes (S3, MinIO, R2, …); nothing was written"},
		{objectstore.ErrUnavailable, exitError, "the store of %s does not answer", "check LAKE_S3_ENDPOINT and the network, then run the same command again"},
		{objectstore.ErrThrottled, exitError, "the store of %s asks to slow down", "run the same command again in a while"},
		{objectstore.ErrNoSpace, exitError, "the disk is full: there is no space left for %s or for temporary files", "make room, then run the same command again"},
		{objectstore.ErrTooLarge, exitError, "an object of %s is too large for the store", "a smaller --target-size"},
		{objectstore.ErrBadRequest, exitError, "the store of %s refused the request", "check LAKE_S3_ENDPOINT and the region"},
		{objectstore.ErrInvalidKey, exitError, "%s has a name that stores do not take", ""},
		{objectstore.ErrNotFound, exitNotFound, "something that %s needs does not exist", "lakectl fsck %s   # says what is missing"},
		{objectstore.ErrPrecondition, exitError, "a file of %s is not what it was", "a source that is still being written: run the command again; a data file of a table never changes: lakectl fsck %s"},
		{objectstore.ErrExists, exitHeld, "an object of %s exists already", ""},
		{context.DeadlineExceeded, exitError, "a request for %s took too long", "check LAKE_S3_ENDPOINT and the network, then run the same command again"},
	}
}

// fail reports an error and returns its exit code.
func (a *app) fail(ctx context.Context, err error) int {
	var code *codeError
	if errors.As(err, &code) {
		return code.code
	}
	p := a.problem(err)
	if p.Code == exitDone {
		return exitDone
	}
	if ctx.Err() != nil && p.Code != exitUnknown { // a signal makes calls fail in many ways; all mean the same
		p.Code, p.Message, p.Hint = exitInterrupted, "interrupted; nothing is in doubt", "run the same command again"
	}
	a.term.Report(p)
	return p.Code
}

// problem puts an error into the words of the command.
func (a *app) problem(err error) ui.Problem {
	subject := a.subject
	if subject == "" {
		subject = "the table"
	}
	p := ui.Problem{Code: exitError, Message: err.Error(), Table: a.subject}
	var usage *usageError
	var told *toldError
	var limit *limits.Error
	var sql *table.SQLError
	var problems *pipeline.Problems
	var syntax *statement.SyntaxError
	var function *statement.FunctionError
	switch {
	case errors.As(err, &usage):
		p.Code, p.Hint, p.Table = exitUsage, usage.hint, ""
		if p.Hint == "" {
			p.Hint = "lakectl help"
		}
		return p
	case errors.As(err, &told):
		return ui.Problem{Code: told.code, Message: told.message, Why: told.why, Hint: told.hint, Table: told.table}
	case errors.As(err, &syntax):
		return syntaxProblem(syntax)
	case errors.As(err, &function):
		return ui.Problem{
			Code: exitError, Message: function.Function + " cannot be called", Why: "the engine is locked: it sees only the tables and files that are named in FROM",
			Hint: "write FROM 'file.csv' instead; a table stands there by name or path",
		}
	case errors.As(err, &problems):
		p.Message = ui.Plural(int64(len(problems.List)), "problem") + " in the project; nothing was run"
		p.Why = problems.Error()
		p.Hint = "mend the files named above; `lakectl init DIR` writes an example that uses most keys"
		return p
	}
	for _, r := range rules() {
		if !errors.Is(err, r.sentinel) {
			continue
		}
		p.Code, p.Why = r.code, err.Error()
		p.Message = strings.ReplaceAll(r.message, "%s", subject)
		p.Hint = strings.ReplaceAll(r.hint, "%s", subject)
		if local(err) && p.Code == exitError {
			p.Message = "this user may not do that with the files of " + subject
			p.Hint = "look at owner and rights of the folder (ls -ld), and whether its file system is mounted read-only"
		}
		if r.sentinel == txlog.ErrUnknown && a.txn != "" { //nolint:errorlint // the rule's own sentinel, not an error that came
			p.Hint = "run the same command again: --txn " + a.txn + " keeps it from being applied twice"
		}
		return p
	}
	switch {
	case errors.As(err, &sql):
		p.Message, p.Why = "the SQL is wrong", sql.Message
		if m := strings.TrimSuffix(err.Error(), sql.Error()); m != "" {
			p.Message += " (" + strings.TrimSuffix(strings.TrimSpace(m), ":") + ")"
		}
		p.Hint = sqlHint(sql.Message)
		p.Place = ui.PlaceAt(sql.SQL, sql.Offset)
	case errors.As(err, &limit):
		p.Message, p.Why = "a limit was reached; nothing was changed", err.Error()
		p.Hint = "raise " + limit.Setting + " in lake.yml, or make the piece smaller"
	}
	return p
}

// syntaxProblem shows where SQL is wrong. What our own reader refuses is a mistake in the arguments: nothing was tried.
func syntaxProblem(e *statement.SyntaxError) ui.Problem {
	p := ui.Problem{Code: exitUsage, Message: "the SQL is wrong", Why: e.Reason, Hint: e.Hint, Place: ui.PlaceAt(e.SQL, e.Offset)}
	var sql *table.SQLError
	if errors.As(e, &sql) {
		p.Code = exitError
		if p.Hint == "" {
			p.Hint = sqlHint(sql.Message)
		}
	}
	if p.Hint == "" {
		p.Hint = "lakectl query --help"
	}
	return p
}

// local tells whether a file system refused, rather than a store: no credentials help.
func local(err error) bool { return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) }

func sqlHint(message string) string {
	if strings.Contains(message, "not found") || strings.Contains(message, "does not exist") {
		return "lakectl describe TABLE lists its columns; a path stands in quotes: FROM './t'"
	}
	return "a path stands in quotes: FROM './t@v1'; names are those of lake.yml"
}

// toldError is an error whose words the verb chose itself.
type toldError struct {
	code               int
	message, why, hint string
	table              string
}

func (e *toldError) Error() string { return e.message }
