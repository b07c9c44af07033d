// Package logops is small work on a Delta log, told in actions: the changes that a table may meet, tables to begin
// with, and an oracle that reads a log in the slowest and most obvious way. The interleavings and the fault sweep share
// it.
package logops

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// Path is where the table lies in its store.
const Path = "t"

// Start is what every clock shows at first.
func Start() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) }

// Open is a process's view of the table: a clock on which backoff takes no time, and ids of its own.
func Open(s objectstore.Store, seed uint64) *txlog.Log {
	return txlog.New(s, Path, txlog.Options{
		Clock: clock.NewStepping(Start()), Rand: clock.SeededRand(seed), Limits: limits.Limits{CommitAttempts: 6},
	})
}

// Report is what an actor knows of its work.
type Report struct {
	TxnID    string
	User     string        // the userMetadata that tells the work where TxnID is not known
	Domain   string        // it depends on this metadata domain; "" is none
	Base     txlog.Version // what it read; -1 for a create
	Whole    bool          // it depends on every file of the base
	Version  txlog.Version // what it became, where Err is nil
	Err      error
	Returned bool // false where a crash cut it off
	Tried    bool // it began a commit
}

// Operation is one of the changes that a table may meet, told in actions. Files are named after their writer.
type Operation struct {
	Name string
	// Blind says that no other change of the rows can stand in its way.
	Blind bool
	// Restarts says that after a crash another process does it again, as upkeep does.
	Restarts bool
	// Run does it and fills r.
	Run func(ctx context.Context, l *txlog.Log, who string, r *Report)
}

// Add is a file of one row that exists in the log alone.
func Add(path string, dataChange bool) *txlog.Add {
	a := AddRows(path, 1)
	a.DataChange = dataChange
	return a
}

// AddRows is a file of several rows that exists in the log alone.
func AddRows(path string, rows int) *txlog.Add {
	return &txlog.Add{
		Path: path, PartitionValues: map[string]string{}, Size: 10, ModificationTime: Start().UnixMilli(),
		DataChange: true, Stats: fmt.Sprintf(`{"numRecords":%d}`, rows),
	}
}

// Remove takes file i of the snapshot out of the table.
func Remove(s *txlog.Snapshot, i int, dataChange bool) *txlog.Remove {
	return s.Files().Remove(i, Start().UnixMilli(), dataChange)
}

// changes is a change data file that exists in the log alone: no version holds it.
func changes(who string) *txlog.CDC {
	return &txlog.CDC{Path: "_change_data/" + who, PartitionValues: map[string]string{}, Size: 10}
}

// change wraps what most operations share: read the newest snapshot, stage, commit, note the outcome.
func change(name string, blind bool, stage func(s *txlog.Snapshot, x *txlog.Transaction, who string) (whole, nothing bool)) Operation {
	return Operation{Name: name, Blind: blind, Run: func(ctx context.Context, l *txlog.Log, who string, r *Report) {
		s, err := l.Latest(ctx)
		if err != nil {
			r.Err = err
			return
		}
		x := l.Begin(s, txlog.Operation{Name: "WRITE", BlindAppend: blind})
		var nothing bool
		if r.Whole, nothing = stage(s, x, who); nothing {
			return
		}
		r.Tried, r.TxnID, r.Base = true, x.TxnID(), s.Version()
		r.commit(x.Commit(ctx))
	}}
}

// commit notes the outcome.
func (r *Report) commit(c *txlog.Committed, err error) {
	r.Err = err
	if err == nil {
		r.Version = c.Version
	}
}

// firstFile is where operations that change one file meet: the file that comes first.
func firstFile(s *txlog.Snapshot) (i int, ok bool) {
	ok = s.Files().Len() > 0
	for j := range s.Files().Len() {
		if s.Files().Path(j) < s.Files().Path(i) {
			i = j
		}
	}
	return i, ok
}

// Operations lists the changes that exist at the level of the log.
func Operations() []Operation {
	return []Operation{
		{Name: "create", Run: func(ctx context.Context, l *txlog.Log, _ string, r *Report) {
			x, err := Create(l)
			if err != nil {
				r.Err = err
				return
			}
			r.Tried, r.TxnID, r.Base = true, x.TxnID(), -1
			r.commit(x.Commit(ctx))
		}},
		change("append", true, func(_ *txlog.Snapshot, x *txlog.Transaction, who string) (bool, bool) {
			x.Stage(AddRows(who+"-new", 3))
			return false, false
		}),
		change("overwrite", false, func(s *txlog.Snapshot, x *txlog.Transaction, who string) (bool, bool) {
			x.ReadWhole()
			for i := range s.Files().Len() {
				x.Stage(Remove(s, i, true))
			}
			x.Stage(Add(who+"-new", true))
			return true, false
		}),
		change("delete", false, func(s *txlog.Snapshot, x *txlog.Transaction, _ string) (bool, bool) {
			i, ok := firstFile(s)
			if !ok {
				return false, true
			}
			x.ReadFiles(i)
			x.Stage(Remove(s, i, true))
			return false, false
		}),
		change("update", false, func(s *txlog.Snapshot, x *txlog.Transaction, who string) (bool, bool) {
			i, ok := firstFile(s)
			if !ok {
				return false, true
			}
			x.ReadFiles(i)
			x.Stage(Remove(s, i, true), AddRows(who+"-changed", 2), changes(who))
			return false, false
		}),
		change("merge", false, func(s *txlog.Snapshot, x *txlog.Transaction, who string) (bool, bool) {
			all := make([]int, s.Files().Len())
			for i := range all {
				all[i] = i
			}
			x.ReadPredicate(nil, all...)
			if i, ok := firstFile(s); ok {
				x.Stage(Remove(s, i, true), AddRows(who+"-changed", 2), changes(who))
			}
			x.Stage(Add(who+"-inserted", true))
			return true, false
		}),
		change("optimize", false, func(s *txlog.Snapshot, x *txlog.Transaction, who string) (bool, bool) {
			if s.Files().Len() < 2 {
				return false, true
			}
			for i := range s.Files().Len() {
				x.ReadFiles(i)
				x.Stage(Remove(s, i, false))
			}
			x.Stage(Add(who+"-compacted", false))
			return false, false
		}),
		{Name: "restore", Run: restoreOldest},
		{Name: "checkpoint", Run: func(ctx context.Context, l *txlog.Log, _ string, r *Report) {
			s, err := l.Latest(ctx)
			if err == nil {
				err = l.Checkpoint(ctx, s)
			}
			r.Err = err
		}},
	}
}

// RemoveUnread takes the first file out without having read it, as retention by partition does: only that the file is
// still there matters.
func RemoveUnread() Operation {
	return change("remove", false, func(s *txlog.Snapshot, x *txlog.Transaction, _ string) (bool, bool) {
		i, ok := firstFile(s)
		if ok {
			x.Stage(Remove(s, i, true))
		}
		return false, !ok
	})
}

// restoreOldest brings the files of version 1 back.
func restoreOldest(ctx context.Context, l *txlog.Log, _ string, r *Report) {
	s, err := l.Latest(ctx)
	if err != nil {
		r.Err = err
		return
	}
	old := s
	if s.Version() > 1 {
		if old, err = l.At(ctx, 1); err != nil {
			r.Err = err
			return
		}
	}
	x := l.Begin(s, txlog.Operation{Name: "RESTORE"})
	x.ReadWhole()
	staged := false
	for i := range s.Files().Len() {
		if _, keep := old.FileByPath(s.Files().Path(i)); !keep {
			x.Stage(Remove(s, i, true))
			staged = true
		}
	}
	for i := range old.Files().Len() {
		if _, there := s.FileByPath(old.Files().Path(i)); !there {
			a := old.Files().Add(i)
			a.DataChange = true
			x.Stage(a)
			staged = true
		}
	}
	if !staged {
		x.Stage(&txlog.Txn{AppID: "restore", Version: int64(s.Version())})
	}
	r.Tried, r.TxnID, r.Base, r.Whole = true, x.TxnID(), s.Version(), true
	r.commit(x.Commit(ctx))
}

// Create begins the creation of the table.
func Create(l *txlog.Log) (*txlog.Transaction, error) { return CreateWith(l, nil) }

// CreateWith begins the creation of the table with these properties.
func CreateWith(l *txlog.Log, properties map[string]string) (*txlog.Transaction, error) {
	schema, err := txlog.ParseColumns("id bigint")
	if err != nil {
		return nil, err
	}
	p, err := txlog.DefaultProtocol(schema, nil, properties)
	if err != nil {
		return nil, err
	}
	x := l.Begin(nil, txlog.Operation{Name: "CREATE TABLE"})
	x.Stage(p, &txlog.Metadata{
		ID: "5fba94ed-9794-4965-ba6e-6ee3c0d22af9", Provider: "parquet", SchemaString: schema.JSON(),
		PartitionColumns: []string{}, Configuration: properties,
	})
	return x, nil
}

// AppendOnce appends under an application id: what a pipeline does, so that the repeat of a task whose process died, or
// that ended unknown, cannot double it.
func AppendOnce(ctx context.Context, l *txlog.Log, who string, n int64) error {
	for {
		s, err := l.Latest(ctx)
		if err != nil {
			return err
		}
		if x, ok := s.Txn("app"); ok && x.Version >= n {
			return nil
		}
		x := l.Begin(s, txlog.Operation{Name: "WRITE", BlindAppend: true})
		x.Stage(Add(fmt.Sprintf("task-%d-by-%s", n, who), true), &txlog.Txn{AppID: "app", Version: n})
		_, err = x.Commit(ctx)
		if errors.Is(err, txlog.ErrConcurrentTransaction) {
			continue
		}
		if !errors.Is(err, txlog.ErrUnknown) {
			return err
		}
	}
}
