package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/statement"
)

// lakeNames finds what the names of SQL statements stand for, as the words of the command line do.
type lakeNames struct{ *app }

var _ statement.Lake = lakeNames{}

// Reference implements [statement.Lake].
func (l lakeNames) Reference(ctx context.Context, ref table.TableRef) (*table.Table, table.Relation, error) {
	return l.reference(ctx, ref)
}

// Place implements [statement.Lake].
func (l lakeNames) Place(ctx context.Context, name string, create bool) (objectstore.Store, string, error) {
	w, err := l.tableWord(name)
	if err != nil {
		return nil, "", err
	}
	if w.version != nil || w.time != nil {
		return nil, "", usagef("%s names an old version, which cannot be written: leave the @… out", name)
	}
	at, err := l.locate(ctx, w, create)
	return at.store, at.path, err
}

// Tables implements [statement.Lake].
func (l lakeNames) Tables(ctx context.Context, layer string) ([]string, error) {
	p, err := l.lake(ctx)
	if err != nil {
		return nil, err
	}
	if p == nil {
		return nil, noProject("SHOW TABLES")
	}
	store, err := l.openStore(ctx, p.Env.Warehouse, false)
	if errors.Is(err, objectstore.ErrNoBucket) && strings.HasPrefix(p.Env.Warehouse, "file://") {
		return nil, nil // nothing was built yet
	}
	if err != nil {
		return nil, err
	}
	return statement.TableFolders(ctx, store, "", layer)
}

// statementFlags are those of the statements of a script that change something.
type statementFlags struct {
	zone, txn, message string
	dryRun, yes        bool
}

func (f *statementFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.zone, "timezone", "UTC", "time zone of the session, such as America/Chicago")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what statements would change, and change nothing")
	flags.BoolVar(&f.yes, "yes", false, "do not ask before DROP TABLE and VACUUM")
	flags.StringVar(&f.txn, "txn", "", "APP:VERSION makes a statement repeatable: a version that is in the table is not applied again")
	flags.StringVar(&f.message, "message", "", "a note that history keeps (userMetadata)")
}

// check refuses flags that no statement of the script heeds.
func (f *statementFlags) check(all []statement.Statement) error {
	writes, asks := 0, false
	for _, st := range all {
		switch st.(type) {
		case *statement.Select, *statement.Describe, *statement.ShowTables:
		case *statement.Drop, *statement.Vacuum:
			writes++
			asks = true
		default:
			writes++
		}
	}
	switch {
	case f.dryRun && writes == 0:
		return usagef("--dry-run has no effect on a query")
	case f.message != "" && writes == 0:
		return usagef("--message has no effect on a query")
	case f.yes && !asks:
		return usagef("--yes has no effect without DROP TABLE or VACUUM")
	case f.txn != "" && (len(all) != 1 || writes == 0 || asks):
		return usagef("--txn makes one statement repeatable: give one that changes rows")
	}
	return nil
}

// checkedScript is script for one call of the command: a flag that no statement heeds is an error.
func (a *app) checkedScript(ctx context.Context, sql string, f statementFlags) error {
	all, err := statement.Parse(sql)
	if err != nil {
		return err
	}
	if err := f.check(all); err != nil {
		return err
	}
	return a.script(ctx, sql, f)
}

// script runs the statements of a text and prints what comes of each.
func (a *app) script(ctx context.Context, sql string, f statementFlags) error {
	all, err := statement.Parse(sql)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		return usagef("the SQL is empty")
	}
	txns, err := a.parseTxn(f.txn)
	if err != nil {
		return err
	}
	engine, err := a.sqlEngine(ctx)
	if err != nil {
		return err
	}
	reader := &statement.Session{Engine: engine}
	if err := reader.Check(ctx, all); err != nil {
		return err
	}
	for i, st := range all {
		a.subject = ""
		if q, ok := st.(*statement.Select); ok {
			if err = a.query(ctx, q.SQL, f.zone); err != nil {
				err = reader.Placed(ctx, q, err)
			}
		} else {
			err = a.runStatement(ctx, st, f, a.meta(txns, f.message))
		}
		if err != nil {
			if i > 0 {
				a.term.Notef("statement %d of %d failed; those before it are done\n", i+1, len(all))
			}
			return err
		}
	}
	return nil
}

// runStatement runs one statement that is not a SELECT.
func (a *app) runStatement(ctx context.Context, st statement.Statement, f statementFlags, meta table.ChangeMeta) (err error) {
	if _, rows := st.(*statement.ShowTables); !rows {
		if d, is := st.(*statement.Describe); !is || !d.History {
			if err := a.oneValue(); err != nil {
				return err
			}
		}
	}
	engine, err := a.sqlEngine(ctx)
	if err != nil {
		return err
	}
	stop := a.term.Progress(ctx, a.clock, "running the statement", nil)
	defer func() { stop() }()
	s := &statement.Session{
		Lake: lakeNames{a}, Engine: engine, Options: a.tableOptions(), TimeZone: f.zone, DryRun: f.dryRun, Meta: meta,
		Scratch: func(ctx context.Context) (objectstore.Store, string, error) {
			at, err := a.scratchPlace(ctx)
			return at.store, at.path, err
		},
		Confirm: func(what string) error {
			stop()
			stop = func() {}
			return a.confirm(f.yes, what)
		},
	}
	if c, ok := st.(*statement.Create); ok {
		if w, werr := parseWord(c.Target.Text); werr == nil && !f.dryRun {
			defer emptied(newFolder(w), &err)
		}
	}
	o, err := s.Run(ctx, st)
	if err != nil {
		return err
	}
	stop()
	stop = func() {}
	return a.showOutcome(o)
}

// emptied takes the folder that a failed create has made away again; "" is none.
func emptied(made string, err *error) {
	if made != "" && *err != nil { // only what is empty goes
		_ = os.Remove(filepath.Join(made, file.TempFolder))
		_ = os.Remove(made)
	}
}

// showOutcome prints what came of a statement in the form of the verb that does the same.
func (a *app) showOutcome(o *statement.Outcome) error {
	w := word{text: o.Table}
	switch {
	case o.Tables != nil:
		rows := a.term.NewRows(ui.Column{Name: "table"})
		for _, name := range o.Tables {
			if err := rows.Write([]any{name}); err != nil {
				return err
			}
		}
		return rows.Close()
	case o.History != nil:
		return a.history(o.History, false)
	case o.Described != nil && a.term.Machine():
		return a.term.Object(o.Described)
	case o.Described != nil:
		return a.describe(o.Described)
	case o.Altered != nil:
		return a.showAltered(w, o.Altered)
	case o.Optimized != nil:
		return a.showOptimized(w, o.Optimized)
	case o.Vacuumed != nil:
		return a.showVacuumed(w, o.Vacuumed)
	case o.Restored != nil:
		return a.showRestored(w, o.Restored)
	case o.Dropped != nil:
		if !o.DryRun {
			a.removeFolders(o.Dropped.Table)
		}
		return a.showDropped(w, o.Dropped)
	case o.Schema != nil && !o.Change.AlreadyDone && o.Change.Operation == "CREATE TABLE":
		c, _ := o.Statement.(*statement.Create)
		if err := a.created(w, o.Schema, c.Request.PartitionBy, o.Change, o.DryRun); err != nil || a.term.Machine() {
			return err
		}
		a.peersLost(o.Lost)
		return nil
	}
	verb := o.Verb
	if o.DryRun {
		verb = "would be " + verb
	}
	return a.term.Changed(verb, w.text, o.Change, o.DryRun)
}

func (a *app) showDropped(w word, r *table.DropResult) error {
	if a.term.Machine() {
		return a.term.Object(r)
	}
	if r.Objects == 0 {
		a.term.Printf("nothing to do: there is no %s\n", w.text)
		return nil
	}
	if r.DryRun {
		a.term.Printf("dry run: would be dropped: %s   version %d\n", w.text, r.VersionBefore)
	} else {
		a.term.Printf("dropped %s   version %d   %s\n", w.text, r.VersionBefore, strconv.FormatInt(r.Milliseconds, 10)+" ms")
	}
	a.term.Fact("files", "deleted "+ui.Count(int64(r.Objects)), ui.Bytes(r.Bytes))
	return nil
}

// removeFolders removes the empty folders that a table on this machine leaves when it was dropped.
func (a *app) removeFolders(url string) {
	if dir, local := strings.CutPrefix(url, "file://"); local && filepath.IsAbs(dir) {
		removeEmpty(dir)
	}
}

// removeEmpty removes a folder and those in it, unless there is something else in one of them.
func removeEmpty(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.IsDir() {
			removeEmpty(filepath.Join(dir, e.Name()))
		}
	}
	_ = os.Remove(dir) // refuses what is not empty
}
