package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/statement"
	"github.com/lakectl/lakectl/txlog"
)

// sourceName is how a source of files, or a single table, is called in the SELECT that we write over it.
const sourceName = statement.FilesRelation

// logFolder makes a folder a table.
const logFolder = "_delta_log/"

// fileOptions say how files outside tables are read.
type fileOptions struct {
	format  string            // "" is by suffix
	options map[string]string // of csv
	allText bool              // csv columns stay text: whoever writes casts them
}

// reading is a SELECT with everything that it reads.
type reading struct {
	query   table.Query
	reports []*table.ScanReport // one for each table that is scanned
	scanned []scanned           // the same tables
	tables  []*table.Table      // and those whose change feeds are read
}

// scanned is a table of a SELECT with what the SELECT wants of it.
type scanned struct {
	table *table.Table
	ref   table.TableRef
}

// gone adds to an error about a vacuumed file which version was read, and how long removed files are kept.
func (r *reading) gone(err error) error {
	if !errors.Is(err, txlog.ErrFileGone) || len(r.tables) == 0 {
		return err
	}
	read := make([]string, len(r.tables))
	for i, t := range r.tables {
		kept, set := t.Snapshot().Property("delta.deletedFileRetentionDuration")
		if !set {
			kept = "7 days"
		}
		read[i] = fmt.Sprintf("version %d of %s, which keeps removed files for %s", t.Snapshot().Version(), t.URL(), kept)
	}
	return fmt.Errorf("read %s: %w", strings.Join(read, "; "), err)
}

// files turns paths, globs and folders into one external relation. All have one format.
func (a *app) files(ctx context.Context, words []string, o fileOptions) (table.Relation, error) {
	var out []table.RelationFile
	format := o.format
	for _, w := range words {
		found, err := a.findFiles(ctx, w)
		if err != nil {
			return table.Relation{}, err
		}
		for _, f := range found {
			its := o.format
			if its == "" {
				its = fileFormat(f.Key)
			}
			if its == "" {
				return table.Relation{}, usagef("the name %q does not tell its format: add --format csv, json, ndjson or parquet", f.Key)
			}
			if format != "" && its != format {
				return table.Relation{}, usagef("%s is %s, the files before it are %s: give files of one format at a time", f.Key, its, format)
			}
			format = its
		}
		out = append(out, found...)
	}
	e := &table.External{Format: format}
	if format == "csv" {
		e.Options, e.AllText = o.options, o.allText
	} else if len(o.options) > 0 {
		return table.Relation{}, usagef("--csv-option has no effect on %s files", format)
	}
	return table.Relation{Files: out, External: e}, nil
}

// findFiles lists the files that a path, URL, glob or folder names: at least one.
func (a *app) findFiles(ctx context.Context, w string) ([]table.RelationFile, error) {
	missing := &toldError{code: exitNotFound, message: "there is no file " + w, why: "no object of that name, pattern or folder exists", hint: "check the path; patterns stand in quotes: 'landing/*.csv'", table: a.subject}
	folder, name := splitFile(w)
	store, err := a.openStore(ctx, folder, false)
	if errors.Is(err, objectstore.ErrNoBucket) {
		return nil, missing
	}
	if err != nil {
		return nil, err
	}
	if name != "" { // an exact name wins over the same text as a pattern
		info, err := store.Head(ctx, name)
		if err == nil {
			return []table.RelationFile{{Store: store, Key: name, Size: info.Size, ETag: info.ETag}}, nil
		}
		if !errors.Is(err, objectstore.ErrNotFound) && !errors.Is(err, objectstore.ErrInvalidKey) {
			return nil, fmt.Errorf("read %s: %w", w, err)
		}
		if !strings.ContainsAny(name, "*?[") {
			name += "/"
		}
	}
	prefix, pattern := name, ""
	if strings.ContainsAny(name, "*?[") {
		prefix, pattern = "", name
	}
	var out []table.RelationFile
	roots := map[string]bool{} // of tables
	for info, err := range store.List(ctx, strings.TrimPrefix(prefix, "/"), "") {
		if err != nil {
			return nil, fmt.Errorf("list %s: %w", w, err)
		}
		if log := strings.Index("/"+info.Key, "/"+logFolder); log >= 0 {
			root := info.Key[:log]
			if pattern == "" {
				return nil, tableInside(w, folder, root)
			}
			roots[root] = true
			continue
		}
		match := fileFormat(info.Key) != "" && !hidden(info.Key)
		if pattern != "" {
			if match, err = path.Match(pattern, info.Key); err != nil {
				return nil, usagef("%q is not a pattern: %v", w, err)
			}
		}
		if !match {
			continue
		}
		if int64(len(out)) >= a.limits().FilesPerPlan {
			l := a.limits()
			return nil, l.Check("files_per_plan", int64(len(out))+1)
		}
		out = append(out, table.RelationFile{Store: store, Key: info.Key, Size: info.Size, ETag: info.ETag})
	}
	if len(out) == 0 {
		return nil, missing
	}
	for _, f := range out {
		for root := range roots {
			if strings.HasPrefix(f.Key, root) {
				return nil, tableInside(w, folder, root)
			}
		}
	}
	return out, nil
}

// tableInside refuses to read the files of a table as if all of them were its rows.
func tableInside(w, folder, name string) error {
	at := strings.TrimSuffix(folder+"/"+name, "/")
	if !strings.Contains(at, "/") {
		at = "./" + at
	}
	return &toldError{
		code: exitUsage, message: at + " is a Delta table: its files are not read as plain files", why: "some of them are of old versions, some of their rows are deleted; " + w + " was to be read as files",
		hint: "name the table alone: " + at,
	}
}

// isUsage tells whether err says that files were there and cannot be taken as they were asked for.
func isUsage(err error) bool {
	var told *toldError
	return errors.As(err, &told) && told.code == exitUsage
}

// isTable tells whether a path is a folder with a log, whatever its name ends in.
func (a *app) isTable(ctx context.Context, path string) (bool, error) {
	if strings.ContainsAny(path, "*?[") {
		return false, nil
	}
	folder, name := splitFile(path)
	store, err := a.openStore(ctx, folder, false)
	if errors.Is(err, objectstore.ErrNoBucket) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	for _, err := range store.List(ctx, strings.TrimPrefix(name+"/"+logFolder, "/"), "") {
		if errors.Is(err, objectstore.ErrInvalidKey) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("look for a table at %s: %w", path, err)
		}
		return true, nil
	}
	return false, nil
}

// hidden tells whether a segment of key begins with a dot or an underscore: notes of writers, not data.
func hidden(key string) bool {
	return slices.ContainsFunc(strings.Split(key, "/"), func(s string) bool { return strings.HasPrefix(s, ".") || strings.HasPrefix(s, "_") })
}

// splitFile cuts a path or URL into the folder that is opened as a store and the key below it. A pattern may reach
// over several segments, so the cut is before the first of its signs.
func splitFile(w string) (folder, name string) {
	if !strings.Contains(w, "://") {
		w = filepath.ToSlash(filepath.Clean(w))
	}
	if w == "/" {
		return w, ""
	}
	w = strings.TrimSuffix(w, "/")
	end := len(w)
	if i := strings.IndexAny(w, "*?["); i >= 0 {
		end = i
	}
	cut := strings.LastIndexByte(w[:end], '/')
	switch {
	case cut < 0:
		return ".", w
	case cut == 0:
		return "/", w[1:]
	case strings.HasSuffix(w[:cut], ":/"): // s3://bucket
		return w, ""
	}
	return w[:cut], w[cut+1:]
}

// stdin spools the standard input into the scratch folder as one file of the format.
func (a *app) stdin(format string) (table.RelationFile, error) {
	if format == "" {
		return table.RelationFile{}, usagef("- reads the standard input: say its form with --format csv, json, ndjson or parquet")
	}
	dir, err := a.scratchDir()
	if err != nil {
		return table.RelationFile{}, err
	}
	folder := filepath.Join(dir, "stdin")
	store, err := file.Open(folder, file.Create, file.WithClock(a.clock))
	if err != nil {
		return table.RelationFile{}, err
	}
	a.wiring.closers = append(a.wiring.closers, store.Close)
	name := "stdin." + format
	f, err := os.OpenFile(filepath.Join(folder, name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return table.RelationFile{}, fmt.Errorf("spool standard input: %w", err)
	}
	size, err := io.Copy(f, a.in)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return table.RelationFile{}, fmt.Errorf("spool standard input: %w", err)
	}
	return table.RelationFile{Store: store, Key: name, Size: size}, nil
}

// read resolves a SELECT: every table and file in it is found and pinned, and files that cannot matter are left out.
func (a *app) read(ctx context.Context, sql string) (*reading, error) {
	engine, err := a.sqlEngine(ctx)
	if err != nil {
		return nil, err
	}
	r, err := statement.Bind(ctx, engine, lakeNames{app: a}, sql)
	if err != nil {
		return nil, err
	}
	out := &reading{query: r.Query, reports: r.Reports, tables: r.Tables}
	for _, s := range r.Scanned {
		out.scanned = append(out.scanned, scanned{s.Table, s.Ref})
	}
	return out, nil
}

// reference finds what a table of a SELECT stands for: a table, or files.
func (a *app) reference(ctx context.Context, ref table.TableRef) (*table.Table, table.Relation, error) {
	w, err := parseWord(ref.Name)
	if err != nil {
		return nil, table.Relation{}, err
	}
	if a.subject == "" {
		a.subject = w.text
	}
	if ref.At != "" {
		if w.version != nil || w.time != nil {
			return nil, table.Relation{}, usagef("%s travels in time twice: @… and AT (%s)", ref.Name, ref.At)
		}
		if w.version, w.time, err = statement.ParseAt(ref.At); err != nil {
			return nil, table.Relation{}, err
		}
	}
	pinned := w.version != nil || w.time != nil
	if w.kind == wordPath && !pinned && fileFormat(w.text) != "" {
		is, err := a.isTable(ctx, w.text)
		if err == nil && !is {
			rel, err := a.files(ctx, []string{w.text}, fileOptions{})
			return nil, rel, err
		}
		if err != nil {
			return nil, table.Relation{}, err
		}
	}
	t, err := a.openTable(ctx, w)
	if err != nil && w.kind == wordPath && !pinned && notATable(err) {
		rel, fileErr := a.files(ctx, []string{w.text}, fileOptions{})
		if fileErr == nil || isUsage(fileErr) {
			return nil, rel, fileErr
		}
	}
	return t, table.Relation{}, err
}

// externalSchema asks the engine for the columns of files.
func (a *app) externalSchema(ctx context.Context, rel table.Relation) (*txlog.Schema, error) {
	fields, err := a.columnsOf(ctx, table.Query{SQL: "SELECT * FROM " + sourceName + " LIMIT 0", Relations: map[string]table.Relation{sourceName: rel}})
	if err != nil {
		return nil, err
	}
	return txlog.NewSchema(fields...)
}

// columnsOf runs a SELECT for the names and types of its columns.
func (a *app) columnsOf(ctx context.Context, q table.Query) ([]txlog.Field, error) {
	engine, err := a.sqlEngine(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := engine.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	return rows.Columns, rows.Close()
}

// source reads FILE, TABLE or QUERY of --source: a SELECT that a merge or an append can run. CSV columns that the
// target has get its types; others stay text, so that nothing is guessed from the digits of a file.
func (a *app) source(ctx context.Context, arg string, target *txlog.Schema, o fileOptions) (table.Query, error) {
	w, err := parseWord(arg)
	if err != nil {
		return table.Query{}, err
	}
	subject := a.subject
	defer func() { a.subject = subject }()
	switch {
	case w.kind == wordQuery:
		r, err := a.read(ctx, w.text)
		if err != nil {
			return table.Query{}, err
		}
		return r.query, nil
	case w.kind == wordPath && w.version == nil && w.time == nil && (fileFormat(w.text) != "" || o.format != ""):
		if is, err := a.isTable(ctx, w.text); err != nil {
			return table.Query{}, err
		} else if is {
			break
		}
		rel, err := a.files(ctx, []string{w.text}, o)
		if err != nil {
			return table.Query{}, err
		}
		return a.typedFiles(ctx, rel, target)
	}
	t, err := a.openTable(ctx, w)
	if err == nil {
		rel, _, err := t.Relation(ctx, table.ScanOptions{})
		return table.Query{SQL: "SELECT * FROM " + sourceName, Relations: map[string]table.Relation{sourceName: rel}}, err
	}
	if w.kind == wordPath && notATable(err) {
		rel, fileErr := a.files(ctx, []string{w.text}, o)
		if isUsage(fileErr) {
			return table.Query{}, fileErr
		}
		if fileErr == nil {
			return a.typedFiles(ctx, rel, target)
		}
	}
	a.subject = w.text
	subject = w.text
	return table.Query{}, err
}

// typedFiles is the SELECT over files: text columns are cast to the types of the target's columns of that name.
func (a *app) typedFiles(ctx context.Context, rel table.Relation, target *txlog.Schema) (table.Query, error) {
	engine, err := a.sqlEngine(ctx)
	if err != nil {
		return table.Query{}, err
	}
	return statement.CastFiles(ctx, engine, rel, target)
}
