package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// logWork is one measurement of the log: ours in a child of this program, the peer's in Python with delta-rs.
type logWork struct {
	Name  string `json:"-"`
	Aim   string `json:"-"` // of ours
	Work  string `json:"work"`
	Table string `json:"table"`
	Store string `json:"store"`
	Low   int    `json:"low"` // of the predicate: low <= id <= high
	High  int    `json:"high"`
}

// logs measures reading and writing logs beside delta-rs. The floor is delta-rs itself: a ratio of one.
func (b *bench) logs(ctx context.Context, d logTables, python string, minio bool) error {
	// In a process of its own: children begin with the peak memory of their parent.
	generate := b.at("log")
	generate.Generate = &d
	if _, err := spawn(ctx, generate); err != nil {
		return err
	}
	folder := "file://" + d.Dir
	// Five neighbours out of all files: nothing else has ids in between.
	low := d.Plan / 2 * rowsPerFile
	works := []logWork{
		{Name: "open 1 commit of " + count(d.Adds) + " files", Aim: "0.8 s", Work: "open", Table: bigTable, Store: folder},
		{Name: "open a checkpoint of " + count(d.Adds) + ", no statistics", Aim: "0.5 s, 300 MiB", Work: "open", Table: lightTable, Store: folder},
		{Name: "open a checkpoint of " + count(d.Adds) + ", with statistics", Aim: "0.5 s, 300 MiB", Work: "open", Table: fullTable, Store: folder},
		{Name: "plan on " + count(d.Plan) + " files, 5 match", Aim: "0.3 s", Work: "plan", Table: planTable, Store: folder, Low: low, High: low + 5*rowsPerFile - 1},
		{Name: "open and plan a checkpoint of " + count(d.Plan) + ", 5 match", Aim: "–", Work: "openplan", Table: pickTable, Store: folder, Low: low, High: low + 5*rowsPerFile - 1},
		{Name: "open " + count(d.Commits) + " commits", Aim: "2 s", Work: "open", Table: manyTable, Store: folder},
		{Name: "write a checkpoint of " + count(d.Adds), Aim: "3 s", Work: "checkpoint", Table: bigTable, Store: folder},
	}
	if minio {
		address, stop, err := startMinIO(ctx)
		if err != nil {
			return err
		}
		defer stop()
		if err := upload(ctx, d, address); err != nil {
			return err
		}
		works = append(works, logWork{Name: "open " + count(d.Commits) + " commits, MinIO", Aim: "4 s", Work: "open", Table: manyTable, Store: address})
	}
	b.line("log\tlakectl s\tdelta-rs s\tratio\taim\tlakectl CPU s\tdelta-rs CPU s\tfiles\tlakectl peak MiB\tdelta-rs peak MiB\t\n")
	for _, w := range works {
		if err := b.besideDeltaRS(ctx, w, python); err != nil {
			return fmt.Errorf("%s: %w", w.Name, err)
		}
	}
	return nil
}

// besideDeltaRS takes turns between us and delta-rs, demands the same files of both, and prints the medians.
func (b *bench) besideDeltaRS(ctx context.Context, w logWork, python string) error {
	text, err := json.Marshal(w)
	if err != nil {
		return fmt.Errorf("write the settings of the child: %w", err)
	}
	script := filepath.Join("bench", "deltars.py")
	var o, p []figure
	for range b.Rounds {
		if err := removeCheckpoints(w); err != nil {
			return err
		}
		ours := b.at("log")
		ours.Log = &w
		f, err := spawn(ctx, ours)
		if err != nil {
			return err
		}
		o = append(o, f)
		if err := removeCheckpoints(w); err != nil {
			return err
		}
		if f, err = figureOf(exec.CommandContext(ctx, python, script, w.Work, string(text))); err != nil {
			return err
		}
		p = append(p, f)
	}
	if err := removeCheckpoints(w); err != nil {
		return err
	}
	om, pm := median(o), median(p)
	if om.Count != pm.Count {
		return fmt.Errorf("we count %d files, delta-rs %d", om.Count, pm.Count)
	}
	b.line("%s\t%.2f\t%.2f\t%.2f\t%s\t%.2f\t%.2f\t%d\t%d\t%d\t\n", w.Name, om.Seconds, pm.Seconds, om.Seconds/pm.Seconds, w.Aim, om.CPU, pm.CPU,
		om.Count, om.RSS>>20, pm.RSS>>20)
	return nil
}

// removeCheckpoints takes away what a measurement of writing one has left.
func removeCheckpoints(w logWork) error {
	if w.Work != "checkpoint" {
		return nil
	}
	dir := filepath.Join(strings.TrimPrefix(w.Store, "file://"), w.Table, "_delta_log")
	left, err := filepath.Glob(filepath.Join(dir, "*.parquet"))
	if err != nil {
		return fmt.Errorf("find checkpoints: %w", err)
	}
	for _, name := range append(left, filepath.Join(dir, "_last_checkpoint")) {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove a checkpoint: %w", err)
		}
	}
	return nil
}

// measureLog is ours.
func measureLog(ctx context.Context, w logWork) error {
	store, err := openStore(ctx, w.Store)
	if err != nil {
		return err
	}
	if strings.HasPrefix(w.Store, "s3://") { // as cmd opens it
		store = objectstore.Retry(store, objectstore.Policy{}, clock.System(), clock.SystemRand())
	}
	start, used := time.Now(), 0.0
	begin := func() (err error) {
		start = time.Now()
		used, err = processorSeconds()
		return err
	}
	if err := begin(); err != nil {
		return err
	}
	t, err := table.Open(ctx, store, w.Table)
	if err != nil {
		return err
	}
	s := t.Snapshot()
	files := s.Files().Len()
	switch w.Work {
	case "plan", "openplan":
		value := func(n int) []txlog.Literal { return []txlog.Literal{{Kind: txlog.KindLong, Int: int64(n)}} }
		if w.Work == "plan" {
			if err := begin(); err != nil {
				return err
			}
		}
		_, report, err := t.Relation(ctx, table.ScanOptions{Predicate: &txlog.Predicate{Op: txlog.OpAnd, Args: []*txlog.Predicate{
			{Op: txlog.OpGe, Column: []string{"id"}, Values: value(w.Low)}, {Op: txlog.OpLe, Column: []string{"id"}, Values: value(w.High)},
		}}})
		if err != nil {
			return err
		}
		files = report.Read
	case "checkpoint":
		if err := begin(); err != nil {
			return err
		}
		if err := s.Log().Checkpoint(ctx, s); err != nil {
			return err
		}
	}
	seconds := time.Since(start).Seconds()
	now, err := processorSeconds()
	if err != nil {
		return err
	}
	return reportFigure(figure{Seconds: seconds, CPU: now - used, Count: files})
}

// uploads is how many objects are put side by side.
const uploads = 8

// upload copies the table of many commits to a store.
func upload(ctx context.Context, d logTables, address string) error {
	to, err := openStore(ctx, address)
	if err != nil {
		return err
	}
	from, err := file.Open(d.Dir)
	if err != nil {
		return err
	}
	keys := make(chan objectstore.Info)
	errs := make([]error, uploads)
	var wg sync.WaitGroup
	for i := range uploads {
		wg.Go(func() {
			for o := range keys {
				if errs[i] == nil {
					errs[i] = putCopy(ctx, from, o, to, o.Key)
				}
			}
		})
	}
	for o, err := range from.List(ctx, manyTable+"/", "") {
		if err != nil {
			errs = append(errs, err)
			break
		}
		keys <- o
	}
	close(keys)
	wg.Wait()
	return errors.Join(errs...)
}

// count writes 1000000 as 1,000,000.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
