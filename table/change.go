package table

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/txlog"
)

// Change is a write that is staged and planned, and not yet visible.
//
// Shape: files that the engine put under the table, deletion vectors beside them, and the actions that name them. A
// Change is made by a Prepare… method, looked at, and then either committed or discarded, once. A process that dies
// in between leaves files that no version names; vacuum removes them.
// Not safe for concurrent use.
type Change struct {
	t     *Table
	base  *txlog.Snapshot // nil: the change creates the table
	shape shape
	start time.Time

	op       txlog.Operation
	first    []txlog.Action // protocol and metaData, when the change writes them
	drop     []int          // base files that leave, ascending
	mask     []maskedFile   // base files that keep their data and get a new deletion vector, ascending
	fresh    []WrittenFile  // files of new rows
	copied   []WrittenFile  // files of rows that only moved
	feed     []WrittenFile  // change data files
	renumber []int          // base files that stay as they are and get row ids, ascending
	txns     []txlog.Txn
	fences   []func(*txlog.Snapshot) error
	reads    readSet
	// readsItself: the source reads the table, at the version that the caller saw
	readsItself bool
	metrics     func(*Change) map[string]string
	result      Result
	altered     *AlterResult // of an Alter: what the result does not say
	attempts    int
	state       changeState
}

type changeState uint8

const (
	changeOpen changeState = iota
	changeCommitted
	changeInDoubt // the commit may have landed: staged files must stay
	changeDiscarded
)

// maskedFile is a live file with more rows deleted than before.
type maskedFile struct {
	file       int // index in the base's files
	vector     *roaring64.Bitmap
	descriptor *txlog.DeletionVectorDescriptor
}

// readSet is what a change saw of its base, for the conflict rules.
type readSet struct {
	whole     bool
	predicate []readPredicate
	files     []int
}

type readPredicate struct {
	p     *txlog.Predicate
	files []int
}

// begin starts a change on base. It tells whether the txn entries of meta say that the work is done already.
func (t *Table) begin(base *txlog.Snapshot, sh shape, name string, meta ChangeMeta) (*Change, error) {
	c := &Change{
		t: t, base: base, shape: sh, start: t.opts.Log.Clock.Now(),
		op: txlog.Operation{
			Name: name, Parameters: map[string]string{}, UserMetadata: meta.UserMetadata, Tags: meta.Tags,
			Extra: maps.Clone(meta.Extra),
		},
	}
	if meta.Operation != "" {
		c.op.Name = meta.Operation
	}
	maps.Copy(c.op.Parameters, meta.Parameters)
	if meta.Fence != nil {
		c.fences = append(c.fences, meta.Fence)
	}
	c.result = Result{Table: t.URL(), Operation: c.op.Name, VersionBefore: -1, VersionAfter: -1}
	if base != nil {
		c.result.VersionBefore, c.result.VersionAfter = base.Version(), base.Version()
		c.result.FilesTotal = base.Files().Len()
	}
	done, err := alreadyDone(base, meta.Txns)
	if err != nil {
		return nil, fmt.Errorf("write table %s: %w", t.URL(), err)
	}
	c.result.AlreadyDone = done
	if !done {
		for _, txn := range meta.Txns {
			c.AddTxn(txn)
		}
	}
	return c, nil
}

// alreadyDone tells whether base has every one of txns, or greater versions of them.
func alreadyDone(base *txlog.Snapshot, txns []txlog.Txn) (bool, error) {
	if base == nil || len(txns) == 0 {
		return false, nil
	}
	have := 0
	for _, want := range txns {
		if got, ok := base.Txn(want.AppID); ok && got.Version >= want.Version {
			have++
		}
	}
	if have != 0 && have != len(txns) {
		return false, fmt.Errorf("%w: %d of %d", ErrPartlyDone, have, len(txns))
	}
	return have != 0, nil
}

// Table is the handle that the change was prepared through.
func (c *Change) Table() *Table { return c.t }

// Base is the snapshot that the change starts from; nil when it creates the table.
func (c *Change) Base() *txlog.Snapshot { return c.base }

// Result says what the change does; VersionAfter is filled in by Commit.
func (c *Change) Result() *Result {
	r := c.result
	r.Milliseconds = clock.Since(c.t.opts.Log.Clock, c.start).Milliseconds()
	return &r
}

// Empty tells whether the change holds nothing to commit, txn entries included.
func (c *Change) Empty() bool { return len(c.actions()) == 0 }

// AddTxn commits t with the change, whatever value the table has for its AppID. Setting an AppID twice keeps the
// later value. The commit counts as reading the AppID.
func (c *Change) AddTxn(t txlog.Txn) {
	if t.LastUpdated == nil {
		now := c.t.opts.Log.Clock.Now().UnixMilli()
		t.LastUpdated = &now
	}
	for i := range c.txns {
		if c.txns[i].AppID == t.AppID {
			c.txns[i] = t
			return
		}
	}
	c.txns = append(c.txns, t)
}

// Fence adds a question about the snapshot that the commit lands on; see ChangeMeta.Fence.
func (c *Change) Fence(f func(*txlog.Snapshot) error) { c.fences = append(c.fences, f) }

// SetExtra adds a key to commitInfo. The value is JSON.
func (c *Change) SetExtra(key string, value json.RawMessage) {
	if c.op.Extra == nil {
		c.op.Extra = map[string]json.RawMessage{}
	}
	c.op.Extra[key] = value
}

// Staged is the rows that the change brings: inserted rows and new images of updated ones. It can be read until the
// change is discarded.
func (c *Change) Staged() Relation {
	rel := c.shape.relation()
	for _, w := range c.fresh {
		rel.Files = append(rel.Files, w.relationFile())
	}
	return rel
}

// After is the table as it would be. It can be read until the change is discarded.
//
// Cost: a request for each deletion vector of the files that stay.
func (c *Change) After(ctx context.Context) (Relation, error) {
	rel := c.shape.relation()
	if c.base != nil {
		gone := map[int]bool{}
		for _, i := range c.drop {
			gone[i] = true
		}
		stay := make([]int, 0, c.base.Files().Len())
		for i := range c.base.Files().Len() {
			if !gone[i] {
				stay = append(stay, i)
			}
		}
		old, err := c.baseRelation(ctx, stay)
		if err != nil {
			return Relation{}, fmt.Errorf("read table %s after the change: %w", c.t.URL(), err)
		}
		at := map[int]int{}
		for n, i := range stay {
			at[i] = n
		}
		for _, m := range c.mask {
			old.Files[at[m.file]].Deleted = m.vector
		}
		rel.Files = old.Files
	}
	for _, w := range slices.Concat(c.fresh, c.copied) {
		rel.Files = append(rel.Files, w.relationFile())
	}
	return rel, nil
}

// baseRelation is files of the base as they are read once the change is committed: under the names that columns have
// then.
func (c *Change) baseRelation(ctx context.Context, idx []int) (Relation, error) {
	old, err := c.t.relation(ctx, c.base, idx, false)
	if err != nil {
		return Relation{}, err
	}
	rel := c.shape.relation()
	rel.Files = old.Files
	for n, i := range idx {
		rel.Files[n].Partition = logicalPartition(c.shape.schema, c.shape.mapping, c.shape.partitionBy, c.base.Files().Partition(i))
	}
	return rel, nil
}

// Commit makes the change visible as one version, or not at all. A change without actions commits nothing and says
// so by VersionAfter = VersionBefore.
//
// Errors: txlog.ErrConflict: another writer made the plan untrue, prepare again; txlog.ErrUnknown: the outcome could
// not be settled, the staged files stay; what a fence returned. After any other error nothing is visible.
// Cost:   one PUT, more after lost races.
func (c *Change) Commit(ctx context.Context) (*Result, error) {
	if c.state != changeOpen {
		return nil, fmt.Errorf("commit to %s: %w", c.t.URL(), ErrChangeDone)
	}
	actions := c.actions()
	if len(actions) == 0 {
		c.state = changeCommitted
		return c.Result(), nil
	}
	if c.base != nil {
		for _, f := range c.fences {
			if err := f(c.base); err != nil {
				return nil, fmt.Errorf("commit to %s: %w", c.t.URL(), err)
			}
		}
	}
	tx := c.transaction(actions)
	done, err := tx.Commit(ctx)
	if err != nil {
		if errors.Is(err, txlog.ErrUnknown) {
			c.state = changeInDoubt
		}
		return nil, fmt.Errorf("commit to %s: %w", c.t.URL(), err)
	}
	c.state = changeCommitted
	return c.finish(ctx, done), nil
}

func (c *Change) transaction(actions []txlog.Action) *txlog.Transaction {
	op := c.op
	if c.metrics != nil {
		op.Metrics = c.metrics(c)
		op.Metrics["executionTimeMs"] = metric(clock.Since(c.t.opts.Log.Clock, c.start).Milliseconds())
	}
	tx := c.t.log.Begin(c.base, op)
	for _, f := range c.fences {
		tx.Fence(f)
	}
	if c.base != nil {
		if c.reads.whole {
			tx.ReadWhole()
		}
		for _, r := range c.reads.predicate {
			tx.ReadPredicate(r.p, r.files...)
		}
		if len(c.reads.files) > 0 {
			tx.ReadFiles(c.reads.files...)
		}
		for _, txn := range c.txns {
			tx.ReadAppID(txn.AppID)
		}
	}
	tx.Stage(actions...)
	return tx
}

// finish fills in what the commit told. Nothing here can fail the change: it is committed.
func (c *Change) finish(ctx context.Context, done *txlog.Committed) *Result {
	c.attempts = done.Attempts
	r := &c.result
	r.VersionAfter, r.TxnID, r.Attempts = done.Version, done.TxnID, done.Attempts
	r.Rebased = done.Winners
	for _, w := range done.Warnings {
		r.Warnings = append(r.Warnings, w.Error())
	}
	var (
		s   *txlog.Snapshot
		err error
	)
	if c.base == nil {
		s, err = c.t.log.Latest(ctx)
	} else {
		s, err = c.t.log.Update(ctx, c.base)
	}
	if err != nil {
		r.Warnings = append(r.Warnings, fmt.Sprintf("read version %d back: %v", done.Version, err))
	} else {
		c.t.advance(s)
	}
	return c.Result()
}

// Discard deletes what the change staged, best effort. A change in doubt keeps its files, and a committed one has
// nothing to discard: both return nil.
func (c *Change) Discard(ctx context.Context) error {
	if c.state != changeOpen {
		return nil
	}
	c.state = changeDiscarded
	keys := make([]string, 0, len(c.fresh)+len(c.copied)+1)
	for _, w := range slices.Concat(c.fresh, c.copied, c.feed) {
		keys = append(keys, w.Key)
	}
	for _, m := range c.mask {
		if key, ok := vectorKey(c.t.log, m.descriptor); ok && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	if err := c.t.Store().Delete(ctx, keys...); err != nil {
		return fmt.Errorf("discard change of %s: %w", c.t.URL(), err)
	}
	return nil
}

// actions lists what the commit holds besides commitInfo: metadata, removes, adds, change data, txns.
func (c *Change) actions() []txlog.Action {
	now := c.t.opts.Log.Clock.Now().UnixMilli()
	out := slices.Clone(c.first)
	for _, i := range c.drop {
		out = append(out, removeOf(c.base.Files().Add(i), now, true))
	}
	for _, m := range c.mask {
		old := c.base.Files().Add(m.file)
		out = append(out, removeOf(old, now, true), readd(old, m.descriptor))
	}
	for _, w := range slices.Concat(c.fresh, c.copied) {
		out = append(out, c.shape.add(c.t, w, now))
	}
	for _, i := range c.renumber { // the log gives out the ids
		add := c.base.Files().Add(i)
		add.DataChange = false
		out = append(out, add)
	}
	for _, w := range c.feed {
		out = append(out, c.shape.cdc(c.t, w))
	}
	for i := range c.txns {
		txn := c.txns[i]
		out = append(out, &txn)
	}
	return out
}

// removeOf takes a out of the table.
//
// Protocol: "Add File and Remove File". The path is that of the add, byte for byte.
func removeOf(a *txlog.Add, now int64, dataChange bool) *txlog.Remove {
	size := a.Size
	return &txlog.Remove{
		Path: a.Path, DeletionTimestamp: now, DataChange: dataChange, ExtendedFileMetadata: true,
		PartitionValues: a.PartitionValues, Size: &size, Tags: a.Tags, DeletionVector: a.DeletionVector,
		BaseRowID: a.BaseRowID, DefaultRowCommitVersion: a.DefaultRowCommitVersion,
	}
}

// readd brings a back with another deletion vector: same bounds, no longer tight.
func readd(a *txlog.Add, d *txlog.DeletionVectorDescriptor) *txlog.Add {
	out := *a
	out.DeletionVector, out.DataChange = d, true
	// Statistics that cannot be widened would be wrong once marked tight: a file without them is only slower.
	if wide, err := txlog.WidenStats(a.Stats); err == nil {
		out.Stats = wide
	}
	return &out
}

// relationFile describes a file that the engine wrote.
func (w WrittenFile) relationFile() RelationFile {
	return RelationFile{Store: w.Store, Key: w.Key, Size: w.Size, ETag: w.ETag, Partition: w.Partition}
}
