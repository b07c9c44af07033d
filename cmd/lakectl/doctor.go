package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/examine"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/objectstore/s3"
	"github.com/lakectl/lakectl/pipeline"
	"github.com/lakectl/lakectl/table"
)

// checkup is what doctor found. JSON names are stable.
type checkup struct {
	Target  string          `json:"target"`  // the folder or bucket that was examined
	Verdict examine.Verdict `json:"verdict"` // "" where the store could not be examined
	Healthy bool            `json:"healthy"` // nothing failed; warnings do not count
	Checks  []checked       `json:"checks"`
	// ClockOffset is how far the clock of the store is ahead of ours; null where it does not tell.
	ClockOffset  *int64 `json:"clock_offset_milliseconds"`
	Milliseconds int64  `json:"milliseconds"`
}

// checked is one thing that was looked at.
type checked struct {
	Area   string         `json:"area"` // config, engine, disk, credentials, store
	Name   string         `json:"name"`
	Status examine.Status `json:"status"`
	Detail string         `json:"detail"`
	Hint   string         `json:"hint,omitempty"`
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor [ADDRESS]",
		Short: "Check the store, the credentials, the clock, the disk, the engine and lake.yml",
		Long: `doctor tries what the promises of lakectl rest on. ADDRESS is a folder or s3://bucket/prefix; without it, the warehouse of
lake.yml, or this folder.

Below a random prefix of the store, which it removes again, it lets 32 writers race for one object through two clients, reads and
lists what it has just written, and says: safe for many writers, one writer only, or not safe. A try can refute a store, it cannot
prove one. Exit code 3 says that something failed.`,
		Example: `  lakectl doctor
  lakectl doctor ./orders --output json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactly("ADDRESS")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.oneValue(); err != nil {
				return err
			}
			return a.doctor(cmd.Context(), strings.Join(args, ""))
		},
	}
}

func (a *app) doctor(ctx context.Context, address string) error {
	defer a.term.Progress(ctx, a.clock, "examining", nil)()
	took := a.watch()
	c := &checkup{Checks: []checked{}}
	a.checkConfig(ctx, c)
	if address == "" {
		address = "."
		if p := a.wiring.project; p != nil {
			address = p.Env.Warehouse
		}
	}
	c.Target = address
	a.checkEngine(ctx, c)
	a.checkDisk(c)
	a.wiring.looked = true // a broken lake.yml has its finding; the store is examined without it
	a.checkStore(ctx, address, c)
	if err := ctx.Err(); err != nil {
		return err
	}
	c.Healthy, c.Milliseconds = true, took()
	for _, k := range c.Checks {
		c.Healthy = c.Healthy && k.Status != examine.Failed
	}
	if a.term.Machine() {
		if err := a.term.Object(c); err != nil {
			return err
		}
	} else {
		a.printCheckup(c)
	}
	if !c.Healthy {
		return &codeError{exitCheck}
	}
	return nil
}

func (c *checkup) add(area, name string, status examine.Status, detail, hint string) {
	c.Checks = append(c.Checks, checked{Area: area, Name: name, Status: status, Detail: detail, Hint: hint})
}

// failed adds what an error says, in the words that the command has for it.
func (a *app) failed(c *checkup, area, name string, err error) {
	p := a.problem(err)
	detail := p.Message
	if p.Why != "" && p.Why != p.Message {
		detail += ": " + p.Why
	}
	c.add(area, name, examine.Failed, detail, p.Hint)
}

// checkConfig reads the whole project. Without one there is nothing to be wrong.
func (a *app) checkConfig(ctx context.Context, c *checkup) {
	dir, err := a.findProject()
	if err == nil && dir == "" {
		c.add("config", projectFile, examine.Passed, "there is none here or above: defaults and the environment count", "")
		return
	}
	var p *pipeline.Project
	if err == nil {
		if p, err = a.fullProject(ctx); err == nil {
			c.add("config", projectFile, examine.Passed, ui.Plural(int64(len(p.Pipelines)), "pipeline")+", "+ui.Plural(int64(len(p.Models)), "model")+
				", environment "+p.Env.Name, "")
			return
		}
	}
	a.failed(c, "config", projectFile, err)
}

// checkEngine opens DuckDB and asks it for a number, and for a file that it must not read.
func (a *app) checkEngine(ctx context.Context, c *checkup) {
	engine, err := a.sqlEngine(ctx)
	if err != nil {
		a.failed(c, "engine", "duckdb", err)
		return
	}
	answer := func(sql string) (value any, err error) {
		rows, err := engine.Query(ctx, table.Query{SQL: sql})
		if err != nil {
			return nil, err
		}
		for row, err := range rows.All {
			if err != nil {
				return nil, errors.Join(err, rows.Close())
			}
			value = row[0]
		}
		return value, rows.Close()
	}
	got, err := answer("SELECT version() || CASE WHEN sum(i) = 4950 THEN '' ELSE ' cannot add' END FROM range(100) AS r(i)")
	if text, ok := got.(string); err != nil || !ok || strings.HasSuffix(text, "cannot add") {
		a.failed(c, "engine", "duckdb", errors.Join(err, errors.New("the engine gives wrong answers")))
	} else {
		c.add("engine", "duckdb", examine.Passed, text+" answers", "")
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	if _, err := answer("SELECT count(*) FROM read_blob('" + strings.ReplaceAll(self, "'", "''") + "')"); err == nil {
		c.add("engine", "confinement", examine.Failed, "SQL can read files of this machine that nobody named", "this is a bug of lakectl: please report it")
	} else {
		c.add("engine", "confinement", examine.Passed, "SQL reads no file that a command has not named", "")
	}
}

// Free space below which doctor warns, and below which a merge of any size is likely to fail.
const (
	spaceLow  = 5 << 30
	spaceNone = 200 << 20
)

// checkDisk looks at the folders for temporary and for cached files.
func (a *app) checkDisk(c *checkup) {
	scratch, err := a.scratchDir()
	if err != nil {
		a.failed(c, "disk", "temporary files", err)
		return
	}
	a.checkFolder(c, "temporary files", filepath.Dir(scratch), "LAKE_TEMP_DIR or engines.duckdb.temp_dir names another folder")
	if k := a.wiring.cache; k != nil {
		a.checkFolder(c, "cache", k.Dir(), "LAKE_FILE_CACHE or cache.dir names another folder")
	}
}

func (a *app) checkFolder(c *checkup, name, dir, hint string) {
	free, known := freeSpace(dir)
	switch {
	case !known:
		c.add("disk", name, examine.Skipped, "free space is not known on this system: "+dir, "")
	case free < spaceNone:
		c.add("disk", name, examine.Failed, ui.Bytes(free)+" free in "+dir, "make room; "+hint)
	case free < spaceLow:
		c.add("disk", name, examine.Warned, ui.Bytes(free)+" free in "+dir+": large sorts and merges may not fit", hint)
	default:
		c.add("disk", name, examine.Passed, ui.Bytes(free)+" free in "+dir, "")
	}
}

// checkStore examines the store through two clients of its own.
func (a *app) checkStore(ctx context.Context, address string, c *checkup) {
	a.subject = address
	o := examine.Options{Clock: a.clock, Rand: a.rand}
	var clients [2]objectstore.Store
	var err error
	remote := strings.HasPrefix(address, "s3://")
	folder, left := "", func() {}
	if !remote {
		c.Target, folder, left, err = probeFolder(address)
	}
	defer left()
	for i := 0; i < len(clients) && err == nil; i++ {
		if remote {
			o.LargeBytes = s3.PartSizeMin + 1<<10
			clients[i], err = a.plainS3(ctx, strings.TrimSuffix(address, "/"), s3.PartSizeMin)
		} else {
			clients[i], err = a.plainFolder(folder)
		}
	}
	var r *examine.Report
	if err == nil {
		r, err = examine.Run(ctx, clients[0], clients[1], o)
	}
	a.checkCredentials(c, remote, err)
	if err != nil {
		if !errors.Is(err, objectstore.ErrDenied) {
			a.failed(c, "store", "reach", err)
		}
		return
	}
	c.Verdict, c.ClockOffset = r.Verdict, r.ClockOffset
	for _, t := range r.Trials {
		hint := ""
		if t.Status == examine.Failed && r.Verdict == examine.OneWriter {
			hint = "use a store with conditional writes (S3, MinIO, R2, …); lakectl writes to no store that ignores them"
		}
		c.add("store", t.Name, t.Status, t.Detail, hint)
	}
}

// checkCredentials says where the credentials come from, never what they are.
func (a *app) checkCredentials(c *checkup, remote bool, err error) {
	name, from := "folder", "the rights of this user"
	if remote {
		name = "s3"
		profile := a.env("AWS_PROFILE")
		if p := a.wiring.project; p != nil && p.Storage.Profile != "" {
			profile = p.Storage.Profile
		}
		switch {
		case profile != "":
			from = "profile " + profile
		case a.env("AWS_ACCESS_KEY_ID") != "":
			from = "AWS_ACCESS_KEY_ID of the environment"
		default:
			from = "a profile file or a role of this machine"
		}
	}
	switch {
	case errors.Is(err, objectstore.ErrDenied):
		a.failed(c, "credentials", name, err)
	case err != nil:
		c.add("credentials", name, examine.Skipped, "the store did not say what it thinks of "+from, "")
	default:
		c.add("credentials", name, examine.Passed, from+": may write, read, list and delete", "")
	}
}

// probeFolder makes a folder to try things in, inside the one that address names or the nearest one above it: what is
// not built yet is examined where it will be. left removes it.
func probeFolder(address string) (target, folder string, left func(), err error) {
	left = func() {}
	dir, err := localPath(address)
	if err != nil {
		return address, "", left, err
	}
	for {
		st, err := os.Stat(dir)
		if up := filepath.Dir(dir); errors.Is(err, os.ErrNotExist) && up != dir {
			dir = up
			continue
		}
		if err == nil && !st.IsDir() {
			return dir, "", left, usagef("%s is a file: doctor examines folders and buckets", address)
		}
		break
	}
	folder, err = os.MkdirTemp(dir, ".lakectl-doctor-")
	if errors.Is(err, os.ErrPermission) {
		err = errors.Join(objectstore.ErrDenied, err)
	}
	if err != nil {
		return dir, "", left, err
	}
	return dir, folder, func() { _ = os.RemoveAll(folder) }, nil
}

func (a *app) plainFolder(dir string) (objectstore.Store, error) {
	s, err := file.Open(dir, file.WithClock(a.clock))
	if err != nil {
		return nil, err
	}
	a.wiring.closers = append(a.wiring.closers, s.Close)
	return s, nil
}

func (a *app) printCheckup(c *checkup) {
	verdict := a.term.Red("could not be examined")
	switch c.Verdict {
	case examine.ManyWriters:
		verdict = a.term.Green("is " + string(c.Verdict))
	case examine.OneWriter, examine.NotSafe:
		verdict = a.term.Red("is " + string(c.Verdict))
	}
	a.term.Printf("%s %s   %s\n", a.term.Bold(ui.Clean(c.Target)), strings.Replace(verdict, "is one", "is for one", 1),
		ui.Seconds(time.Duration(c.Milliseconds)*time.Millisecond))
	for _, k := range c.Checks {
		status := string(k.Status)
		switch k.Status {
		case examine.Passed:
			status = a.term.Green("ok     ")
		case examine.Warned:
			status = a.term.Yellow("warning")
		case examine.Failed:
			status = a.term.Red("failed ")
		case examine.Skipped:
			status = a.term.Dim("skipped")
		}
		a.term.Printf("  %s  %-11s  %-17s  %s\n", status, k.Area, k.Name, ui.Clean(k.Detail))
		if k.Hint != "" {
			a.term.Printf("           hint: %s\n", ui.Clean(k.Hint))
		}
	}
}
