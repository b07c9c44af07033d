package statement

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func (s *Session) create(ctx context.Context, st *Create, out *Outcome) error {
	elapsed := s.since()
	out.Table, out.Verb = st.Target.Text, "created"
	r := st.Request
	r.Meta = s.Meta
	if st.Like != nil {
		if err := s.like(ctx, *st.Like, &r); err != nil {
			return err
		}
	}
	existing, store, path, err := s.existing(ctx, st)
	nowhere := errors.Is(err, objectstore.ErrNoBucket) // what a dry run must not make
	switch {
	case err != nil && (!nowhere || !s.DryRun):
		return err
	case existing != nil && r.IfNotExists:
		v := existing.Snapshot().Version()
		out.Verb = "exists:"
		out.Change = &table.Result{Table: existing.URL(), Operation: "CREATE TABLE", VersionBefore: v, VersionAfter: v, AlreadyDone: true}
		return nil
	case existing != nil && !st.OrReplace:
		return fmt.Errorf("%s: %w", st.Target.Text, table.ErrTableExists)
	case existing == nil && st.MustReplace:
		return unknown(ctx, s.Lake, st.Target.Text, fmt.Errorf("%s: %w", st.Target.Text, txlog.ErrNotATable))
	}
	var source table.Query
	if st.SQL != "" {
		if source, err = s.source(ctx, Source{SQL: st.SQL}, nil); err != nil {
			return err
		}
	}
	out.Schema = r.Schema
	if existing != nil {
		return s.commit(ctx, out, "replaced", func(ctx context.Context) (*table.Change, error) {
			return existing.PrepareReplace(ctx, s.Engine, r, source)
		})
	}
	if s.DryRun && st.SQL == "" {
		out.Change = &table.Result{Table: st.Target.Text, Operation: "CREATE TABLE", VersionBefore: -1, VersionAfter: -1, Milliseconds: elapsed()}
		return nil
	}
	if nowhere {
		if s.Scratch == nil {
			return fmt.Errorf("%s: %w", st.Target.Text, objectstore.ErrNoBucket)
		}
		if store, path, err = s.Scratch(ctx); err != nil {
			return err
		}
	}
	if st.SQL == "" {
		t, err := table.CreateTable(ctx, store, path, r, s.Options)
		if err != nil {
			return err
		}
		out.Change = &table.Result{
			Table: t.URL(), Operation: "CREATE TABLE", VersionBefore: -1, VersionAfter: t.Snapshot().Version(), Milliseconds: elapsed(),
		}
		out.Lost = txlog.PeersLost(nil, t.Snapshot().Protocol())
		return nil
	}
	c, err := table.PrepareCreateAppend(ctx, store, path, r, s.Engine, table.Append{Source: source, Meta: s.Meta}, s.Options)
	if err != nil {
		return err
	}
	if out.Change = c.Result(); s.DryRun {
		return c.Discard(ctx)
	}
	if out.Change, err = c.CommitOrReplan(ctx, nil); errors.Is(err, txlog.ErrConflict) {
		return errors.Join(table.ErrTableExists, err)
	}
	return err
}

// existing opens what is at the place of a new table; nil when there is none.
func (s *Session) existing(ctx context.Context, st *Create) (*table.Table, objectstore.Store, string, error) {
	store, path, err := s.Lake.Place(ctx, st.Target.Text, !s.DryRun)
	if err != nil {
		return nil, nil, "", err
	}
	t, err := table.Open(ctx, store, path, s.Options)
	if errors.Is(err, txlog.ErrNotATable) {
		return nil, store, path, nil
	}
	return t, store, path, err
}

// like takes columns, partitioning, properties and rules of another table.
func (s *Session) like(ctx context.Context, n Name, r *table.Create) error {
	t, _, err := reference(ctx, s.Lake, table.TableRef{Name: n.Text})
	if err == nil && t == nil {
		err = fmt.Errorf("%s: %w", n.Text, txlog.ErrNotATable)
	}
	if err != nil {
		return err
	}
	like, err := table.Like(t.Snapshot())
	if err != nil {
		return err
	}
	r.Schema, r.Constraints = like.Schema, append(like.Constraints, r.Constraints...)
	if r.PartitionBy == nil {
		r.PartitionBy = like.PartitionBy
	}
	for key, value := range r.Properties {
		like.Properties[key] = value
	}
	r.Properties = like.Properties
	return nil
}

func (s *Session) alter(ctx context.Context, st *Alter, out *Outcome) error {
	t, err := s.open(ctx, st.Target, out)
	if err != nil {
		return err
	}
	r := st.Request
	r.DryRun, r.Meta = s.DryRun, s.Meta
	schema, err := t.Schema()
	if err != nil {
		return err
	}
	there := func(path string) bool { _, err := schema.Lookup(plainColumn(path)); return err == nil }
	properties := t.Snapshot().Metadata().Configuration
	if st.IfExists {
		r.DropColumns = slices.DeleteFunc(slices.Clone(r.DropColumns), func(c string) bool { return !strings.Contains(c, ".") && !there(c) })
		r.DropConstraints = slices.DeleteFunc(slices.Clone(r.DropConstraints), func(name string) bool {
			_, has := properties["delta.constraints."+strings.ToLower(name)]
			return !has
		})
		r.UnsetProperties = slices.DeleteFunc(slices.Clone(r.UnsetProperties), func(key string) bool { _, has := properties[key]; return !has })
	}
	if st.IfNotExists {
		r.AddColumns = slices.DeleteFunc(slices.Clone(r.AddColumns), func(c table.AddColumn) bool { return !strings.Contains(c.Column, ".") && there(c.Column) })
	}
	out.Verb = "altered"
	out.Altered, err = t.Alter(ctx, s.Engine, r)
	return err
}

func (s *Session) confirm(what string) error {
	if s.Confirm == nil || s.DryRun {
		return nil
	}
	return s.Confirm(what)
}

func (s *Session) drop(ctx context.Context, st *Drop, out *Outcome) error {
	out.Table, out.Verb = st.Target.Text, "dropped"
	store, path, err := s.Lake.Place(ctx, st.Target.Text, false)
	if err == nil {
		out.Dropped, err = table.Drop(ctx, store, path, true, s.Options)
	}
	missing := errors.Is(err, txlog.ErrNotATable) || errors.Is(err, objectstore.ErrNoBucket)
	switch {
	case missing && st.IfExists:
		out.Dropped = &table.DropResult{Table: st.Target.Text, Operation: "DROP TABLE", VersionBefore: -1, DryRun: s.DryRun}
		return nil
	case err != nil:
		return unknown(ctx, s.Lake, st.Target.Text, err)
	case s.DryRun:
		return nil
	}
	if err := s.confirm(fmt.Sprintf("delete %s with all its versions: %d objects", st.Target.Text, out.Dropped.Objects)); err != nil {
		return err
	}
	out.Dropped, err = table.Drop(ctx, store, path, false, s.Options)
	return err
}

func (s *Session) describe(ctx context.Context, st *Describe, out *Outcome) error {
	out.Table = st.Target.Text
	t, _, err := reference(ctx, s.Lake, table.TableRef{Name: st.Target.Text, At: st.At})
	if err == nil && t == nil {
		err = fmt.Errorf("%s: %w", st.Target.Text, txlog.ErrNotATable)
	}
	if err != nil {
		return err
	}
	if st.History {
		out.History = t.History(ctx, txlog.HistoryOptions{Limit: st.Limit})
		return nil
	}
	out.Described, err = t.Describe(ctx, table.Describe{})
	return err
}

func (s *Session) optimize(ctx context.Context, st *Optimize, out *Outcome) error {
	t, err := s.open(ctx, st.Target, out)
	if err != nil {
		return err
	}
	r := st.Request
	if r.Full && len(r.ZOrderBy) == 0 && !t.Clustered() {
		return fmt.Errorf("%w: FULL has no effect without ZORDER BY on a table that is not clustered", table.ErrInvalidRequest)
	}
	r.DryRun, r.Meta = s.DryRun, s.Meta
	out.Verb = "optimized"
	out.Optimized, err = t.Optimize(ctx, s.Engine, r)
	return err
}

func (s *Session) vacuum(ctx context.Context, st *Vacuum, out *Outcome) error {
	t, err := s.open(ctx, st.Target, out)
	if err != nil {
		return err
	}
	v := st.Request
	if s.DryRun {
		v.DryRun = true
	}
	v.Meta = s.Meta
	if !v.DryRun {
		if err := s.confirm("delete files of " + st.Target.Text + " that no retained version needs"); err != nil {
			return err
		}
	}
	out.Verb, out.DryRun = "vacuumed", v.DryRun
	out.Vacuumed, err = t.Vacuum(ctx, v)
	return err
}

func (s *Session) restore(ctx context.Context, st *Restore, out *Outcome) error {
	t, err := s.open(ctx, st.Target, out)
	if err != nil {
		return err
	}
	r := table.Restore{Version: st.Version, DryRun: s.DryRun, Meta: s.Meta}
	if st.Version == nil {
		if r.Time, err = ParseTime(st.Time); err != nil {
			return fmt.Errorf("%w: %w", table.ErrInvalidRequest, err)
		}
	}
	out.Verb = "restored"
	out.Restored, err = t.Restore(ctx, r)
	return err
}
