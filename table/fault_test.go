package table_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// faulty fails its call number at: before the call takes effect, or after it did.
type faulty struct {
	objectstore.Store
	at    int64
	lost  bool // the effect happens, the reply is lost
	calls atomic.Int64
}

var errFault = fmt.Errorf("%w: a planted fault", objectstore.ErrUnavailable)

// fault tells whether this call fails.
func (f *faulty) fault() bool { return f.calls.Add(1)-1 == f.at }

func (f *faulty) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	if f.fault() {
		return nil, objectstore.Info{}, errFault
	}
	return f.Store.Get(ctx, key, r)
}

func (f *faulty) Head(ctx context.Context, key string) (objectstore.Info, error) {
	if f.fault() {
		return objectstore.Info{}, errFault
	}
	return f.Store.Head(ctx, key)
}

func (f *faulty) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	if f.fault() {
		return func(yield func(objectstore.Info, error) bool) { yield(objectstore.Info{}, errFault) }
	}
	return f.Store.List(ctx, prefix, after)
}

func (f *faulty) Put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (objectstore.Info, error) {
	if !f.fault() {
		return f.Store.Put(ctx, key, body, cond)
	}
	if f.lost {
		if _, err := f.Store.Put(ctx, key, body, cond); err != nil {
			return objectstore.Info{}, err
		}
	}
	return objectstore.Info{}, errFault
}

func (f *faulty) Delete(ctx context.Context, keys ...string) error {
	if !f.fault() {
		return f.Store.Delete(ctx, keys...)
	}
	if f.lost {
		if err := f.Store.Delete(ctx, keys...); err != nil {
			return err
		}
	}
	return errFault
}

// Every store call of every write fails once, before or after its effect: the table is as it was or as it should be,
// what was acknowledged is there, and the same work again ends in the same rows, once.
func TestWritesSurviveAFaultAtEveryCall(t *testing.T) {
	progress := table.ChangeMeta{Txns: []txlog.Txn{{AppID: "work", Version: 1}}}
	src := values("id, v, p", "(2, 'B', 'x')", "(7, 'g', 'y')")
	writes := map[string]struct {
		do    func(ctx context.Context, l *lake, tab *table.Table) (*table.Result, error)
		after []string
	}{
		"append": {
			func(ctx context.Context, l *lake, tab *table.Table) (*table.Result, error) {
				return tab.Append(ctx, l.eng, table.Append{Source: src, Meta: progress})
			},
			[]string{"1 a x", "2 b x", "3 c y", "2 B x", "7 g y"},
		},
		"overwrite": {
			func(ctx context.Context, l *lake, tab *table.Table) (*table.Result, error) {
				return tab.Overwrite(ctx, l.eng, table.Overwrite{Source: src, Where: "id = 2 OR p = 'y'", Meta: progress})
			},
			[]string{"1 a x", "2 B x", "7 g y"},
		},
		"delete": {
			func(ctx context.Context, l *lake, tab *table.Table) (*table.Result, error) {
				return tab.Delete(ctx, l.eng, table.Delete{Where: "id = 2", Meta: progress})
			},
			[]string{"1 a x", "3 c y"},
		},
		"update": {
			func(ctx context.Context, l *lake, tab *table.Table) (*table.Result, error) {
				return tab.Update(ctx, l.eng, table.Update{Set: []table.Assignment{set("v", "upper(v)")}, Where: "id = 2", Meta: progress})
			},
			[]string{"1 a x", "2 B x", "3 c y"},
		},
		"merge": {
			func(ctx context.Context, l *lake, tab *table.Table) (*table.Result, error) {
				return tab.Merge(ctx, l.eng, table.Merge{
					Source: src, On: "t.id = s.id", Clauses: []table.Clause{updateAll(""), insertAll("")}, Meta: progress,
				})
			},
			[]string{"1 a x", "2 B x", "3 c y", "7 g y"},
		},
	}
	writes["replace"] = struct {
		do    func(ctx context.Context, l *lake, tab *table.Table) (*table.Result, error)
		after []string
	}{
		func(ctx context.Context, l *lake, tab *table.Table) (*table.Result, error) {
			return tab.Replace(ctx, l.eng, table.Create{Meta: progress}, values("id, v, p", "(9, 'n', 'z')"))
		},
		[]string{"9 n z"},
	}
	writes["alter"] = struct {
		do    func(ctx context.Context, l *lake, tab *table.Table) (*table.Result, error)
		after []string
	}{
		func(ctx context.Context, l *lake, tab *table.Table) (*table.Result, error) {
			res, err := tab.Alter(ctx, l.eng, table.Alter{
				SetProperties: map[string]string{"delta.columnMapping.mode": "name"},
				RenameColumns: []table.RenameColumn{{Column: "v", To: "value"}},
				ChangeColumns: []table.ChangeColumn{{Column: "value", Nullable: pointer(false)}}, Meta: progress,
			})
			if err != nil {
				return nil, err
			}
			return &table.Result{VersionAfter: res.VersionAfter, AlreadyDone: res.AlreadyDone}, nil
		},
		[]string{"1 a x", "2 b x", "3 c y"},
	}
	writes["feed merge"], writes["feed delete"], writes["feed update"] = writes["merge"], writes["delete"], writes["update"] // with change data files
	before := []string{"1 a x", "2 b x", "3 c y"}
	for name, w := range writes {
		slices.Sort(w.after)
		for _, lost := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/lost=%v", name, lost), func(t *testing.T) {
				eng := openEngine(t)
				stride := int64(1)
				if testing.Short() {
					stride = 3
				}
				for at := int64(0); ; at += stride {
					l := &lake{t: t, store: mem.New(fmt.Sprint(t.Name(), at)), eng: eng, path: "silver/orders"}
					tab := l.create("id bigint, v string, p string", table.Create{PartitionBy: []string{"p"}, Properties: map[string]string{
						"delta.enableChangeDataFeed": strconv.FormatBool(strings.HasPrefix(name, "feed")),
					}})
					l.append(tab, values("id, v, p", "(1, 'a', 'x')", "(2, 'b', 'x')", "(3, 'c', 'y')"))
					f := &faulty{Store: l.store, at: at, lost: lost}
					o := table.Options{Log: txlog.Options{Clock: clock.NewStepping(time.Unix(1_000_000_000, 0))}}
					res, err := open(t, f, l.path, o, func(tab *table.Table) (*table.Result, error) { return w.do(t.Context(), l, tab) })
					again, aerr := table.Open(t.Context(), l.store, l.path)
					if aerr != nil {
						t.Fatal(aerr)
					}
					got := l.rows(again)
					switch {
					case err == nil && !slices.Equal(got, w.after), err != nil && !errors.Is(err, txlog.ErrUnknown) && !slices.Equal(got, before):
						t.Fatalf("call %d: result %+v, error %v, rows %v", at, res, err, got)
					}
					if res, err := w.do(t.Context(), l, again); err != nil || !res.AlreadyDone && !slices.Equal(got, before) {
						t.Fatalf("call %d: again: %+v %v", at, res, err)
					}
					want(t, l.rows(again), w.after...)
					if v := again.Snapshot().Version(); strings.HasPrefix(name, "feed") {
						l.differs(again, v, "id, v, p")
						if l.cdcFiles(again, v) == 0 {
							t.Fatalf("call %d: no change data file", at)
						}
					}
					l.fsck()
					if f.calls.Load() <= at {
						if at < 3 {
							t.Fatalf("only %d calls: the sweep saw nothing", at)
						}
						return
					}
				}
			})
		}
	}
}

// open opens a table over a store that may fail, and does something with it.
func open(t *testing.T, store objectstore.Store, path string, o table.Options, do func(*table.Table) (*table.Result, error)) (*table.Result, error) {
	t.Helper()
	tab, err := table.Open(t.Context(), store, path, o)
	if err != nil {
		return nil, err
	}
	return do(tab)
}
