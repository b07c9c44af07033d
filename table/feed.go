package table

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// ErrNoChangeFeed says that a version of a range was written without delta.enableChangeDataFeed: nobody recorded its
// changes. Terminal: ask for versions since it is on.
var ErrNoChangeFeed = errors.New("no change data feed")

// ChangeRange is the versions of a change feed, both ends included.
type ChangeRange struct {
	// From or FromTime, exactly one: the first version, or the first one that was committed at or after a time.
	From     *txlog.Version
	FromTime time.Time
	// To or ToTime, not both: the last version, or the last one that was committed at or before a time. Neither, or
	// one after the newest version, stands for the newest.
	To     *txlog.Version
	ToTime time.Time
}

// ChangeFeed gives the change data feed of a range of versions: the rows that each commit inserted, deleted and
// updated, with the schema of the last version and the columns ChangeTypeColumn (insert, delete, update_preimage,
// update_postimage), CommitVersionColumn and CommitTimestampColumn.
//
// Protocol: "Reader Requirements for AddCDCFile": the change data files of a commit where it has any, else its adds
// and removes; of a file that only got another deletion vector the rows between the two.
// Errors:   ErrInvalidRequest for an empty range; txlog.ErrVersionNotFound where it starts after the newest version;
// ErrNoChangeFeed; txlog.ErrHistoryGone; those of time travel; ErrSchemaMismatch where columns were renamed, dropped,
// retyped or became NOT NULL within the range. A vacuumed file is txlog.ErrFileGone, here or when the rows are read.
// Cost:     one listing, a GET for each commit of the range and for each deletion vector in it.
func (t *Table) ChangeFeed(ctx context.Context, r ChangeRange) (Relation, error) {
	rel, err := t.changeFeed(ctx, r)
	if err != nil {
		return Relation{}, fmt.Errorf("changes of %s: %w", t.URL(), err)
	}
	return rel, nil
}

func (t *Table) changeFeed(ctx context.Context, r ChangeRange) (Relation, error) {
	from, to, err := t.changeRange(ctx, r)
	if err != nil {
		return Relation{}, err
	}
	bound := t.opts.limits()
	if err := bound.Check("commits_per_replay", int64(to-from)+1); err != nil {
		return Relation{}, err
	}
	end := t.Snapshot()
	if to != end.Version() {
		if end, err = t.log.At(ctx, to); err != nil {
			return Relation{}, err
		}
	}
	if err := end.CheckReadable(); err != nil {
		return Relation{}, err
	}
	schema, err := end.Schema()
	if err != nil {
		return Relation{}, err
	}
	f := &feed{t: t, schema: schema, mapping: end.Mapping(), partitionBy: end.PartitionColumns()}
	return f.between(ctx, from, to, end)
}

// changeRange finds the versions that a range means.
func (t *Table) changeRange(ctx context.Context, r ChangeRange) (from, to txlog.Version, err error) {
	newest := t.Snapshot().Version()
	switch {
	case (r.From == nil) == r.FromTime.IsZero():
		return 0, 0, fmt.Errorf("%w: a range starts at a version or at a time, and not both", ErrInvalidRequest)
	case r.To != nil && !r.ToTime.IsZero():
		return 0, 0, fmt.Errorf("%w: a range ends at a version or at a time, and not both", ErrInvalidRequest)
	}
	if r.From != nil {
		from = *r.From
	} else if from, err = t.versionSince(ctx, r.FromTime); err != nil {
		return 0, 0, err
	}
	to = newest
	switch {
	case r.To != nil:
		to = min(*r.To, newest)
	case !r.ToTime.IsZero():
		s, err := t.log.AtTime(ctx, r.ToTime)
		if err != nil && !errors.Is(err, txlog.ErrTimestampTooLate) {
			return 0, 0, err
		}
		if err == nil {
			to = min(s.Version(), newest)
		}
	}
	switch {
	case from < 0 || to < 0:
		return 0, 0, fmt.Errorf("%w: versions count from 0", ErrInvalidRequest)
	case r.To != nil && from > *r.To:
		return 0, 0, fmt.Errorf("%w: version %d comes after version %d", ErrInvalidRequest, from, *r.To)
	case from > newest:
		return 0, 0, fmt.Errorf("%w: version %d; the newest is %d", txlog.ErrVersionNotFound, from, newest)
	case from > to:
		return 0, 0, fmt.Errorf("%w: no version was committed in that time: version %d is the first after its start, version %d the last before its end",
			ErrInvalidRequest, from, to)
	}
	return from, to, nil
}

// versionSince is the first version that was committed at or after a time.
func (t *Table) versionSince(ctx context.Context, at time.Time) (txlog.Version, error) {
	s, err := t.log.AtTime(ctx, at)
	switch {
	case errors.Is(err, txlog.ErrTimestampTooEarly):
		var first txlog.Version
		for c, err := range t.log.History(ctx, txlog.HistoryOptions{}) {
			if err != nil {
				return 0, err
			}
			first = c.Version
		}
		return first, nil
	case err != nil:
		return 0, err
	}
	limit := s.Version()
	for c, err := range t.log.History(ctx, txlog.HistoryOptions{From: &limit, To: &limit}) {
		if err != nil {
			return 0, err
		}
		if !c.Timestamp.Before(at.Truncate(time.Millisecond)) {
			return limit, nil
		}
	}
	return limit + 1, nil
}

// between gathers the changes of the versions from from to to, newest first, and puts them in order.
func (f *feed) between(ctx context.Context, from, to txlog.Version, end *txlog.Snapshot) (Relation, error) {
	if err := f.records(to, end.Metadata()); err != nil {
		return Relation{}, err
	}
	var since *txlog.Metadata // of the oldest commit of the range that changed it
	defined := false          // the first commit of the range says what holds there
	next := to
	for c, err := range f.t.log.History(ctx, txlog.HistoryOptions{From: &from, To: &to}) {
		if err != nil {
			return Relation{}, err
		}
		if c.Version != next {
			break
		}
		next--
		for _, a := range c.Actions {
			m, ok := a.(*txlog.Metadata)
			if !ok {
				continue
			}
			since, defined = m, c.Version == from
			if err := errors.Join(f.records(c.Version, m), f.fits(m)); err != nil {
				return Relation{}, fmt.Errorf("version %d: %w", c.Version, err)
			}
		}
		if err := f.commit(ctx, c); err != nil {
			return Relation{}, fmt.Errorf("version %d: %w", c.Version, err)
		}
		if defined && from > 0 {
			if err := f.fitsRemoved(ctx, from-1); err != nil {
				return Relation{}, fmt.Errorf("version %d: %w", from, err)
			}
		}
	}
	if next >= from {
		return Relation{}, fmt.Errorf("%w: version %d", txlog.ErrHistoryGone, next)
	}
	if since != nil && !defined {
		start, err := f.t.log.At(ctx, from)
		if err != nil {
			return Relation{}, err
		}
		if err := errors.Join(f.records(from, start.Metadata()), f.fits(start.Metadata())); err != nil {
			return Relation{}, fmt.Errorf("version %d: %w", from, err)
		}
	}
	slices.SortStableFunc(f.files, func(a, b RelationFile) int {
		va, vb := a.Partition[CommitVersionColumn], b.Partition[CommitVersionColumn]
		return cmp.Or(len(va)-len(vb), cmp.Compare(va, vb))
	})
	return f.relation()
}

// fitsRemoved demands of the version before the range, where its first commit changed the columns, that the rows which
// that commit took away can be read with the columns of the end: those that are gone are left out.
func (f *feed) fitsRemoved(ctx context.Context, before txlog.Version) error {
	if !slices.ContainsFunc(f.files, func(file RelationFile) bool {
		return file.Partition[ChangeTypeColumn] == txlog.ChangeDelete && file.Partition[CommitVersionColumn] == metric(int64(before)+1)
	}) {
		return nil
	}
	s, err := f.t.log.At(ctx, before)
	if errors.Is(err, txlog.ErrHistoryGone) {
		return nil // the files themselves will tell
	}
	if err != nil {
		return err
	}
	old, err := s.Schema()
	if err != nil {
		return err
	}
	for _, n := range f.schema.Fields {
		for _, o := range old.Fields {
			same := o.PhysicalName(s.Mapping()) == n.PhysicalName(f.mapping)
			switch {
			case same && !n.Type.Equal(o.Type):
				return fmt.Errorf("%w: it removed rows in which column %q was %s, and is %s now", ErrSchemaMismatch, n.Name, o.Type.SQL(), n.Type.SQL())
			case !same && strings.EqualFold(o.Name, n.Name):
				return fmt.Errorf("%w: it removed rows of another column %q", ErrSchemaMismatch, n.Name)
			}
		}
	}
	return nil
}

// records demands the property that makes writers record changes.
func (f *feed) records(v txlog.Version, m *txlog.Metadata) error {
	if txlog.RecordsChanges(m.Configuration) {
		return nil
	}
	return fmt.Errorf("%w: delta.enableChangeDataFeed is not true in version %d", ErrNoChangeFeed, v)
}

// recorded adds the change data files of a commit; false when it has none.
func (f *feed) recorded(ctx context.Context, c *txlog.Commit) (bool, error) {
	found := false
	for _, a := range c.Actions {
		cdc, ok := a.(*txlog.CDC)
		if !ok {
			continue
		}
		found = true
		file, err := f.describe(ctx, c, "", cdc.Path, cdc.Size, cdc.PartitionValues)
		if err != nil {
			return false, err
		}
		delete(file.Partition, ChangeTypeColumn)
		file.Stored = []string{ChangeTypeColumn}
		f.files = append(f.files, file)
	}
	return found, nil
}

// gone says of an object that is not there that it is a file of the table which vacuum took.
func gone(err error) error {
	if errors.Is(err, objectstore.ErrNotFound) {
		return fmt.Errorf("%w: %w", txlog.ErrFileGone, err)
	}
	return err
}
