// Package workload is what the processes of R6 do: writers and readers of one table that note what they were told, while
// others kill them and spoil their requests.
package workload

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/robustness/history"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// Worker is one process.
type Worker struct {
	Name    string // unique among all processes of a run: files are named after it
	Slot    string // application id; one process at a time has it
	Store   objectstore.Store
	History *history.Recorder
	Rand    clock.Rand
	Logger  *slog.Logger
}

func (w *Worker) log() *txlog.Log {
	return txlog.New(w.Store, logops.Path, txlog.Options{Clock: clock.System(), Rand: w.Rand, Logger: w.Logger})
}

// Write changes the table until ctx is done. Errors of single changes are part of the history; the error returned is
// one of the history itself.
func (w *Worker) Write(ctx context.Context) error {
	l := w.log()
	for n := 0; ctx.Err() == nil; n++ {
		s, err := l.Latest(ctx)
		if err != nil {
			w.note(ctx, "read before a change", err)
			continue
		}
		x, app, number := w.plan(l, s, n)
		call, err := w.History.Invoke(history.Event{Kind: history.Commit, TxnID: x.TxnID(), App: app, N: number})
		if err != nil {
			return err
		}
		done, err := x.Commit(ctx)
		e := history.Event{Kind: history.Commit, TxnID: x.TxnID(), App: app, N: number, Outcome: outcome(err)}
		if err == nil {
			e.Version = int64(done.Version)
		} else {
			w.note(ctx, "change", err)
		}
		if err := w.History.Return(call, e); err != nil {
			return err
		}
	}
	return nil
}

func outcome(err error) history.Outcome {
	switch {
	case err == nil:
		return history.Committed
	case errors.Is(err, txlog.ErrUnknown):
		return history.Unknown
	case errors.Is(err, txlog.ErrConflict):
		return history.Conflict
	}
	return history.Refused
}

// mostFiles keeps the table small: beyond it the next change is an overwrite.
const mostFiles = 60

// plan stages the next change: mostly appends, a third of them with progress; sometimes a file is replaced, sometimes
// everything.
func (w *Worker) plan(l *txlog.Log, s *txlog.Snapshot, n int) (x *txlog.Transaction, app string, number int64) {
	kind := clock.Int64N(w.Rand, 10)
	files := s.Files().Len()
	name := fmt.Sprintf("%s-%d", w.Name, n)
	switch {
	case files > mostFiles || kind == 0:
		x = l.Begin(s, txlog.Operation{Name: "WRITE"})
		x.ReadWhole()
		for i := range files {
			x.Stage(logops.Remove(s, i, true))
		}
	case kind < 3 && files > 0:
		i := int(clock.Int64N(w.Rand, int64(files)))
		x = l.Begin(s, txlog.Operation{Name: "UPDATE"})
		x.ReadFiles(i)
		x.Stage(logops.Remove(s, i, true))
	default:
		x = l.Begin(s, txlog.Operation{Name: "WRITE", BlindAppend: true})
	}
	if kind%3 == 0 {
		t, _ := s.Txn(w.Slot)
		app, number = w.Slot, t.Version+1
		x.Stage(&txlog.Txn{AppID: app, Version: number})
	}
	x.Stage(logops.Add(name, true))
	return x, app, number
}

// Read reads the newest version again and again until ctx is done.
func (w *Worker) Read(ctx context.Context) error {
	l := w.log()
	for ctx.Err() == nil {
		call, err := w.History.Invoke(history.Event{Kind: history.Read})
		if err != nil {
			return err
		}
		e := history.Event{Kind: history.Read, Outcome: history.Failed}
		s, err := l.Latest(ctx)
		var c *txlog.Commit
		if err == nil {
			c, err = l.ReadCommit(ctx, s.Version())
		}
		if err == nil {
			e.Outcome, e.Version, e.TxnID = history.Seen, int64(s.Version()), c.Info.TxnID
		} else {
			w.note(ctx, "read", err)
		}
		if err := w.History.Return(call, e); err != nil {
			return err
		}
		// Readers shall not starve writers of the machine.
		if err := clock.System().Sleep(ctx, 20*time.Millisecond); err != nil {
			return nil //nolint:nilerr // the end of the run
		}
	}
	return nil
}

func (w *Worker) note(ctx context.Context, what string, err error) {
	if ctx.Err() == nil {
		w.Logger.InfoContext(ctx, what, "process", w.Name, "error", err)
	}
}
