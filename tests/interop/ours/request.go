package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// request is one operation on one table.
type request struct {
	Table string `json:"table"` // folder
	Do    string `json:"do"`    // create, append, overwrite, delete, merge, optimize, restore, alter, read, changes, times, fsck

	Columns     string            `json:"columns"` // create: "id bigint not null, s string"
	PartitionBy []string          `json:"partition_by"`
	ClusterBy   []string          `json:"cluster_by"`
	Properties  map[string]string `json:"properties"`
	// Metadata of columns, by name: generation expressions, defaults and the like.
	Metadata map[string]map[string]json.RawMessage `json:"metadata"`

	SQL     string            `json:"sql"`   // append, overwrite, merge: the rows
	Where   string            `json:"where"` // overwrite, delete, update, optimize
	On      string            `json:"condition"`
	Clauses []clause          `json:"clauses"`
	Set     map[string]string `json:"set"` // update: expressions by column
	ZOrder  []string          `json:"zorder"`
	// MergeSchema and OverwriteSchema as in table.Append and table.Overwrite; Partitions too.
	MergeSchema     bool `json:"merge_schema"`
	OverwriteSchema bool `json:"overwrite_schema"`
	Partitions      bool `json:"partitions"`

	Version *txlog.Version `json:"version"` // read, restore; changes: the first one
	alteration
}

// clause is one WHEN of a merge.
type clause struct {
	When string            `json:"when"` // matched, not matched, not matched by source
	If   string            `json:"if"`
	Do   string            `json:"do"` // update, delete, insert
	Set  map[string]string `json:"set"`
}

func (r request) do(ctx context.Context, eng table.Engine) (reply, error) {
	store, err := file.Open(r.Table)
	if err != nil {
		return reply{}, err
	}
	if r.Do == "create" {
		return r.create(ctx, eng, store)
	}
	if r.Do == "fsck" {
		report, err := table.Check(ctx, store, "", table.Fsck{Deep: true, Engine: eng})
		if err != nil {
			return reply{}, err
		}
		out := reply{Version: report.Version}
		for _, f := range report.Findings {
			out.Findings = append(out.Findings, string(f.Level)+" "+f.String())
		}
		return out, nil
	}
	t, err := table.Open(ctx, store, "")
	if err != nil {
		return reply{}, err
	}
	switch r.Do {
	case "read":
		return r.read(ctx, eng, t)
	case "changes":
		return r.changes(ctx, eng, t)
	case "times":
		return times(ctx, t)
	}
	if err := r.write(ctx, eng, t); err != nil {
		return reply{}, err
	}
	return reply{Version: t.Snapshot().Version()}, nil
}

func (r request) create(ctx context.Context, eng table.Engine, store *file.Store) (reply, error) {
	c := table.Create{PartitionBy: r.PartitionBy, ClusterBy: r.ClusterBy, Properties: r.Properties}
	if r.Columns == "" {
		ch, err := table.PrepareCreateAppend(ctx, store, "", c, eng, table.Append{Source: table.Query{SQL: r.SQL}})
		if err == nil {
			_, err = ch.Commit(ctx)
		}
		return reply{}, err
	}
	var err error
	if c.Schema, err = txlog.ParseColumns(r.Columns); err != nil {
		return reply{}, err
	}
	for name, metadata := range r.Metadata {
		f, err := c.Schema.Lookup(name)
		if err != nil {
			return reply{}, err
		}
		f.Metadata = metadata
	}
	_, err = table.CreateTable(ctx, store, "", c)
	return reply{}, err
}

func (r request) write(ctx context.Context, eng table.Engine, t *table.Table) (err error) {
	rows := table.Query{SQL: r.SQL}
	switch r.Do {
	case "append":
		_, err = t.Append(ctx, eng, table.Append{Source: rows, MergeSchema: r.MergeSchema})
	case "overwrite":
		_, err = t.Overwrite(ctx, eng, table.Overwrite{Source: rows, Where: r.Where, Partitions: r.Partitions, OverwriteSchema: r.OverwriteSchema, MergeSchema: r.MergeSchema})
	case "delete":
		_, err = t.Delete(ctx, eng, table.Delete{Where: r.Where})
	case "update":
		u := table.Update{Where: r.Where}
		for _, name := range slices.Sorted(maps.Keys(r.Set)) {
			u.Set = append(u.Set, table.Assignment{Column: name, Value: r.Set[name]})
		}
		_, err = t.Update(ctx, eng, u)
	case "merge":
		var clauses []table.Clause
		if clauses, err = r.clauses(); err == nil {
			_, err = t.Merge(ctx, eng, table.Merge{Source: rows, On: r.On, Clauses: clauses, MergeSchema: r.MergeSchema})
		}
	case "optimize":
		_, err = t.Optimize(ctx, eng, table.Optimize{Where: r.Where, ZOrderBy: r.ZOrder})
	case "alter":
		var a table.Alter
		if a, err = r.alter(); err == nil {
			_, err = t.Alter(ctx, eng, a)
		}
	case "restore":
		_, err = t.Restore(ctx, table.Restore{Version: r.Version})
	default:
		err = fmt.Errorf("unknown operation %q", r.Do)
	}
	return err
}

func (r request) clauses() ([]table.Clause, error) {
	when := map[string]table.When{"matched": table.Matched, "not matched": table.NotMatched, "not matched by source": table.NotMatchedBySource}
	do := map[string]table.Do{"update": table.DoUpdate, "delete": table.DoDelete, "insert": table.DoInsert}
	var out []table.Clause
	for _, c := range r.Clauses {
		w, known := when[c.When]
		d, knownDo := do[c.Do]
		if !known || !knownDo {
			return nil, errors.New("clause: when or do is not a word of merge")
		}
		one := table.Clause{When: w, If: c.If, Do: d, Star: d != table.DoDelete && len(c.Set) == 0}
		for _, name := range slices.Sorted(maps.Keys(c.Set)) {
			one.Set = append(one.Set, table.Assignment{Column: name, Value: c.Set[name]})
		}
		out = append(out, one)
	}
	return out, nil
}
