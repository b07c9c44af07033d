package refmodel

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// take takes a step on the real table, and says what must come of it.
func (w *world) take(ctx context.Context, s step, e *expectation) error {
	wide := e.next.wide
	fresh := s.rows
	if !wide {
		fresh = narrowed(fresh)
	}
	source := table.Query{SQL: values(fresh, wide)}
	switch s.kind {
	case "read", "reopen":
	case "append":
		return w.append(ctx, table.Append{Source: source}, fresh, e)
	case "append again":
		e.next.txn = max(0, e.next.txn+int64(s.pick%3)-1)
		a := table.Append{Source: source}
		a.Meta.Txns = []txlog.Txn{{AppID: "app", Version: e.next.txn}}
		if e.next.txn <= w.current().txn {
			e.next.txn, fresh = w.current().txn, nil // done already
		}
		return w.append(ctx, a, fresh, e)
	case "evolve":
		e.next.wide = true
		return w.append(ctx, table.Append{Source: table.Query{SQL: values(s.rows, true)}, MergeSchema: true}, s.rows, e)
	case "replace":
		e.next.rows = rest(e.next.rows, s.cond, wide)
		return w.append(ctx, table.Append{Source: source, DeleteWhere: s.cond.sql(wide), RewriteShare: share(s)}, fresh, e)
	case "overwrite", "overwrite schema", "overwrite where", "overwrite partitions":
		return w.overwrite(ctx, s, e, fresh)
	case "merge":
		return w.merge(ctx, s, e)
	case "update":
		return w.update(ctx, s, e)
	case "delete", "delete all":
		d := table.Delete{Where: s.cond.sql(wide), RewriteShare: share(s)}
		if s.kind == "delete all" {
			d.Where = ""
		}
		e.next.rows = rest(e.next.rows, s.cond, wide)
		res, err := w.tab.Delete(ctx, w.eng, d)
		if e.got = err; err == nil {
			return number("rows deleted", res.RowsDeleted, len(w.current().rows)-len(e.next.rows))
		}
	case "optimize", "zorder":
		return w.optimize(ctx, s, e)
	case "vacuum":
		return w.vacuum(ctx, s, e)
	case "restore":
		return w.restore(ctx, s, e)
	case "alter":
		w.alter(ctx, s, e)
	case "checkpoint":
		e.got = w.tab.Log().Checkpoint(ctx, w.tab.Snapshot())
	case "wait": // tombstones expire, logs do not
		if w.clock != nil && w.waits < 2 {
			w.waits++
			w.clock.Advance(8 * 24 * time.Hour)
		}
	default:
		return fmt.Errorf("no step %q", s.kind)
	}
	return nil
}

// alter changes what the table is like, and no row.
func (w *world) alter(ctx context.Context, s step, e *expectation) {
	mapping := w.tab.Snapshot().Mapping()
	var a table.Alter
	switch s.pick % 6 {
	case 0:
		text := fmt.Sprint("step ", s.pick)
		a.Comment = &text
	case 1:
		a.SetProperties = map[string]string{"delta.columnMapping.mode": "name"}
		if mapping == txlog.MappingID {
			e.err = table.ErrProperty
		}
	case 2: // away and back in one commit
		a.RenameColumns = []table.RenameColumn{{Column: "s", To: "other"}, {Column: "other", To: "s"}}
		if mapping == txlog.MappingNone {
			e.err = table.ErrInvalidRequest
		}
	case 3:
		a.SetProperties = map[string]string{"delta.enableInCommitTimestamps": "true"}
	case 4:
		a.SetProperties = map[string]string{"delta.enableRowTracking": "true"}
	case 5: // what it holds stays the same
		a.SetProperties = map[string]string{"delta.enableTypeWidening": "true"}
		a.ChangeColumns = []table.ChangeColumn{
			{Column: "k", Type: &txlog.DataType{Kind: txlog.KindLong, Name: "long"}},
			{Column: "n", Type: &txlog.DataType{Kind: txlog.KindDecimal, Name: "decimal(20,2)", Precision: 20, Scale: 2}},
		}
	}
	_, e.got = w.tab.Alter(ctx, w.eng, a)
}

// share decides between deletion vectors and rewritten files.
func share(s step) float64 { return []float64{0, 0.01, 0.3, 2}[s.pick%4] }

func number(what string, got int64, want int) error {
	if got >= 0 && got != int64(want) {
		return fmt.Errorf("%s: %d, want %d", what, got, want)
	}
	return nil
}

func (w *world) append(ctx context.Context, a table.Append, fresh []row, e *expectation) error {
	e.next.rows = append(slices.Clone(e.next.rows), fresh...)
	res, err := w.tab.Append(ctx, w.eng, a)
	if e.got = err; err != nil {
		return nil //nolint:nilerr // the step judges e.got
	}
	return number("rows inserted", res.RowsInserted, len(fresh))
}

func (w *world) overwrite(ctx context.Context, s step, e *expectation, fresh []row) error {
	wide := e.next.wide
	o := table.Overwrite{RewriteShare: 0}
	switch {
	case s.kind == "overwrite partitions" && len(w.options.partition) == 0:
		o.Partitions, e.err = true, table.ErrInvalidRequest
	case s.kind == "overwrite partitions":
		o.Partitions = true
		e.next.rows = w.otherPartitions(e.next.rows, fresh)
	case s.kind == "overwrite where":
		o.Where, o.RewriteShare = s.cond.sql(wide), share(s)
		if good := matching(fresh, s.cond, wide); !s.odd {
			fresh = good
		} else if len(good) < len(fresh) {
			e.err = table.ErrConstraint
		}
		e.next.rows = rest(e.next.rows, s.cond, wide)
	case s.kind == "overwrite schema":
		o.OverwriteSchema, e.next.rows = true, nil
		wide = s.odd
		e.next.wide = wide
		if fresh = s.rows; !wide {
			fresh = narrowed(fresh)
		}
	default:
		e.next.rows = nil
	}
	o.Source.SQL = values(fresh, wide)
	e.next.rows = append(slices.Clone(e.next.rows), fresh...)
	_, e.got = w.tab.Overwrite(ctx, w.eng, o)
	return nil
}

// otherPartitions are the rows whose partition has no row among fresh.
func (w *world) otherPartitions(rows, fresh []row) []row {
	key := func(r row) string {
		var b strings.Builder
		for i, c := range columns() {
			if slices.Contains(w.options.partition, c.name) {
				b.WriteString(r[i].text() + "|")
			}
		}
		return b.String()
	}
	replaced := map[string]bool{}
	for _, r := range fresh {
		replaced[key(r)] = true
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return replaced[key(r)] })
}

func (w *world) merge(ctx context.Context, s step, e *expectation) error {
	want := s.merge.apply(e.next.rows, e.next.wide)
	res, err := w.tab.Merge(ctx, w.eng, s.merge.request(e.next.wide))
	if e.got = err; want.ambiguous {
		e.err = table.ErrAmbiguousMatch
		return nil
	}
	e.next.rows = want.rows
	if err != nil {
		return nil //nolint:nilerr // the step judges e.got
	}
	got := [4]int64{res.RowsInserted, res.RowsUpdated, res.RowsDeleted, res.RowsUnchanged}
	if must := [4]int64{want.inserted, want.updated, want.deleted, want.unchanged}; got != must {
		return fmt.Errorf("merge: rows inserted, updated, deleted, unchanged: %v, want %v", got, must)
	}
	return nil
}

func (w *world) optimize(ctx context.Context, s step, e *expectation) error {
	o := table.Optimize{Full: s.odd, MaxFiles: []int{0, 0, 3}[s.pick%3]}
	if s.kind == "zorder" {
		o.ZOrderBy = [][]string{{"id"}, {"id", "s"}, {"n", "id"}}[s.pick%3]
		if w.options.stats == 0 || w.options.stats == 3 && s.pick%3 == 2 {
			e.err = table.ErrInvalidRequest
		}
	} else {
		o.Full = false
	}
	_, e.got = w.tab.Optimize(ctx, w.eng, o)
	return nil
}

func (w *world) vacuum(ctx context.Context, s step, e *expectation) error {
	v, retain := table.Vacuum{}, txlog.DefaultDeletedFileRetention
	switch s.pick % 3 {
	case 0:
		retain = 0
	case 1:
		if w.clock != nil { // versions of the machine's clock are milliseconds apart
			retain = 5 * time.Minute
		}
	}
	if retain < txlog.DefaultDeletedFileRetention {
		v.Retain, v.Force = &retain, true
	}
	e.commits = 2
	last := len(w.history) - 1
	if w.clock != nil || retain == 0 {
		cutoff := w.now().Add(-retain)
		floor := 0
		for floor < last && w.history[floor+1].at.Before(cutoff) {
			floor++
		}
		w.floor = max(w.floor, floor)
	}
	res, err := w.tab.Vacuum(ctx, v)
	if e.got = err; err != nil {
		return nil //nolint:nilerr // the step judges e.got
	}
	w.tally.vacuum += res.FilesDeleted
	if w.clock == nil || retain > 0 {
		return nil
	}
	return w.onlyLive(ctx)
}

// onlyLive demands that the data files under the table are those of its newest version.
func (w *world) onlyLive(ctx context.Context) error {
	files := w.tab.Snapshot().Files()
	live := map[string]bool{}
	for i := range files.Len() {
		key, err := files.Key(i)
		if err != nil {
			return err
		}
		live[key] = true
	}
	for o, err := range w.store.List(ctx, tablePath+"/", "") {
		if err != nil {
			return err
		}
		if strings.Contains(o.Key, "/_delta_log/") || !strings.HasSuffix(o.Key, ".parquet") {
			continue
		}
		if !live[o.Key] {
			return fmt.Errorf("vacuum left %s, which no version of its retention needs", o.Key)
		}
		delete(live, o.Key)
	}
	if len(live) > 0 {
		return fmt.Errorf("vacuum removed live files: %v", live)
	}
	return nil
}

func (w *world) restore(ctx context.Context, s step, e *expectation) error {
	v := w.floor + s.pick%(len(w.history)-w.floor)
	if s.odd {
		v = s.pick % len(w.history)
	}
	if v < w.floor {
		e.mayFail = txlog.ErrFileGone
	}
	target := w.history[v]
	e.next.rows, e.next.wide, e.next.txn = target.rows, target.wide, target.txn
	version := txlog.Version(v)
	_, e.got = w.tab.Restore(ctx, table.Restore{Version: &version})
	return nil
}
