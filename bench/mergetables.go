package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// mergeTables makes the tables and sources of the merge benchmark once, and copies of the tables for each merge.
type mergeTables struct {
	Dir    string  `json:"dir"`
	Scale  float64 `json:"scale"`
	Memory int64   `json:"memory"`
}

// generate writes every table and source that an earlier run did not leave. A table stands there twice over the same
// data files: with deletion vectors, and as "-plain" without, since delta-rs does not write to tables that have them.
func (d mergeTables) generate(ctx context.Context) error {
	p, err := openPeer(2, fmt.Sprintf("%dMB", d.Memory>>20))
	if err != nil {
		return err
	}
	defer func() { _ = p.db.Close() }()
	if err := p.exec(ctx, "SET TimeZone = 'UTC'"); err != nil {
		return err
	}
	for _, t := range targets(d.Scale) {
		done := filepath.Join(d.Dir, t.name+".complete")
		if _, err := os.Stat(done); err == nil {
			continue
		}
		fmt.Fprintf(os.Stderr, "writing %s: %s\n", t.name, t.title)
		if err := d.write(ctx, t); err != nil {
			return fmt.Errorf("write table %s: %w", t.name, err)
		}
		for i, c := range casesOf(t) {
			if err := os.MkdirAll(filepath.Dir(d.source(t, i)), 0o755); err != nil {
				return err
			}
			sql := fmt.Sprintf("COPY (%s) TO '%s' (FORMAT parquet, COMPRESSION zstd)", t.sourceSQL(c), d.source(t, i))
			if err := p.exec(ctx, sql); err != nil {
				return fmt.Errorf("write the source of %s: %w", c.Name, err)
			}
		}
		if err := os.WriteFile(done, nil, 0o600); err != nil {
			return err
		}
	}
	return nil
}

func (d mergeTables) source(t mergeTarget, i int) string {
	return filepath.Join(d.Dir, "source", fmt.Sprintf("%s-%02d.parquet", t.name, i))
}

// cases are all merges, with their sources.
func (d mergeTables) cases() []mergeCase {
	var out []mergeCase
	for _, t := range targets(d.Scale) {
		for i, c := range casesOf(t) {
			c.Source = d.source(t, i)
			out = append(out, c)
		}
	}
	return out
}

func (d mergeTables) target(name string) mergeTarget {
	for _, t := range targets(d.Scale) {
		if t.name == name {
			return t
		}
	}
	return mergeTarget{}
}

// write makes a table with a file for each run of rows, whatever size that has.
func (d mergeTables) write(ctx context.Context, t mergeTarget) error {
	for _, name := range []string{t.name, t.name + "-plain"} {
		if err := os.RemoveAll(filepath.Join(d.Dir, name)); err != nil {
			return err
		}
	}
	store, err := file.Open(d.Dir, file.Create)
	if err != nil {
		return err
	}
	eng, err := duckdb.Open(duckdb.Options{MemoryBytes: d.Memory, Threads: 2, TempDir: filepath.Join(d.Dir, "tmp")})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close() }()
	schema, err := txlog.ParseColumns(t.deltaColumns())
	if err != nil {
		return err
	}
	tab, err := table.CreateTable(ctx, store, t.name, table.Create{Schema: schema})
	if err != nil {
		return err
	}
	var adds []txlog.Action
	for i := range t.files {
		from, to := i*t.per(), min((i+1)*t.per(), t.rows)
		if from >= to {
			continue
		}
		files, err := eng.Write(ctx, table.Query{SQL: t.rowsSQL(fmt.Sprintf("range(%d, %d)", from, to), 0)}, table.Write{
			Store: store, Prefix: t.name + "/", Schema: schema, Stats: tab.Snapshot().StatsColumns(), Ordered: true, TargetFileSize: 1 << 32,
		})
		if err != nil {
			return err
		}
		for _, f := range files {
			adds = append(adds, &txlog.Add{
				Path: txlog.EncodePath(strings.TrimPrefix(f.Key, t.name+"/")), PartitionValues: map[string]string{}, Size: f.Size,
				ModificationTime: 1_767_225_600_000, DataChange: true, Stats: f.Stats,
			})
		}
	}
	plain, err := table.CreateTable(ctx, store, t.name+"-plain", table.Create{
		Schema: schema, Properties: map[string]string{"delta.enableDeletionVectors": "false"},
	})
	if err != nil {
		return err
	}
	if err := linkTable(filepath.Join(d.Dir, t.name), filepath.Join(d.Dir, t.name+"-plain"), false); err != nil {
		return err
	}
	for _, to := range []*table.Table{tab, plain} {
		tx := to.Log().Begin(to.Snapshot(), txlog.Operation{Name: "WRITE", BlindAppend: true})
		tx.Stage(adds...)
		if _, err := tx.Commit(ctx); err != nil {
			return err
		}
	}
	return nil
}

// fresh makes the working copy of a system: data files, which nobody changes, as links, the log as a copy.
func (d mergeTables) fresh(system, target string) (string, error) {
	to := filepath.Join(d.Dir, "work", system)
	if err := os.RemoveAll(to); err != nil {
		return "", fmt.Errorf("clear the copy: %w", err)
	}
	if system == systemDeltaRS {
		target += "-plain"
	}
	if err := linkTable(filepath.Join(d.Dir, target), to, true); err != nil {
		return "", fmt.Errorf("copy table %s: %w", target, err)
	}
	return to, nil
}

// linkTable links the data files of a table into another folder, and copies the log if asked to.
func linkTable(from, to string, log bool) error {
	return filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		inLog := strings.HasPrefix(rel, "_delta_log")
		switch target := filepath.Join(to, rel); {
		case inLog && !log:
			return nil
		case e.IsDir():
			return os.MkdirAll(target, 0o755)
		case inLog:
			b, err := os.ReadFile(path)
			return errors.Join(err, os.WriteFile(target, b, 0o644))
		default:
			return os.Link(path, target)
		}
	})
}
