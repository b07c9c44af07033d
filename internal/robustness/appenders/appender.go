// Package appenders lets many processes append to one table at once and sets their rate beside what the store can do at
// most: the same processes putting the consecutive keys of a log without a log, one winner for each key.
package appenders

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/robustness/history"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// Tally is what one process did while the clock ran.
type Tally struct {
	Won       int             `json:"won"`      // commits that were acknowledged, or keys that were created
	Attempts  int             `json:"attempts"` // versions or keys that were tried
	Warnings  int             `json:"warnings"` // of work after commits
	Latencies []time.Duration `json:"latencies"`
	CPU       time.Duration   `json:"cpu"` // of the process, user and system
	Failures  []string        `json:"failures,omitempty"`
}

// failuresKept bounds what a process tells about its failures.
const failuresKept = 5

func (t *Tally) fail(err error) {
	if len(t.Failures) < failuresKept {
		t.Failures = append(t.Failures, err.Error())
	}
}

// Appender is one process that appends one file after the other, as fast as it can.
type Appender struct {
	Name    string // unique in the run: files are named after it
	Store   objectstore.Store
	History *history.Recorder
	Rand    clock.Rand

	log  *txlog.Log
	base *txlog.Snapshot
}

// Open reads the table, so that Append begins with a commit.
func (a *Appender) Open(ctx context.Context) (err error) {
	a.log = txlog.New(a.Store, logops.Path, txlog.Options{Clock: clock.System(), Rand: a.Rand})
	a.base, err = a.log.Latest(ctx)
	return err
}

// Append commits until ctx is done. The error is one of the history; what commits end with is part of the tally.
func (a *Appender) Append(ctx context.Context) (*Tally, error) {
	l, s := a.log, a.base
	t := &Tally{}
	for n := 0; ctx.Err() == nil; n++ {
		x := l.Begin(s, txlog.Operation{Name: "WRITE", BlindAppend: true})
		x.Stage(logops.Add(fmt.Sprintf("%s-%06d.parquet", a.Name, n), true))
		call, err := a.History.Invoke(history.Event{Kind: history.Commit, TxnID: x.TxnID()})
		if err != nil {
			return nil, err
		}
		began := clock.System().Now()
		done, err := x.Commit(ctx)
		e := history.Event{Kind: history.Commit, TxnID: x.TxnID(), Outcome: outcome(err)}
		switch {
		case err == nil:
			e.Version = int64(done.Version)
			t.Won++
			t.Attempts += done.Attempts
			t.Warnings += len(done.Warnings)
			t.Latencies = append(t.Latencies, clock.Since(clock.System(), began))
		case ctx.Err() == nil:
			t.fail(err)
		}
		if err := a.History.Return(call, e); err != nil {
			return nil, err
		}
		if done == nil {
			continue
		}
		if done.Snapshot != nil {
			s = done.Snapshot
		}
	}
	return t, nil
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

// Racer is one process that creates the consecutive keys of a folder, each only where nobody has created it: the least
// that any log with one winner for each version asks of the store. It reads nothing.
type Racer struct {
	Folder string
	Body   []byte // about as long as a commit
	Store  objectstore.Store
}

// Race puts until ctx is done.
func (r *Racer) Race(ctx context.Context) *Tally {
	t := &Tally{}
	began := clock.System().Now()
	for n := 0; ctx.Err() == nil; n++ {
		_, err := r.Store.Put(ctx, fmt.Sprintf("%s/%020d.json", r.Folder, n), objectstore.Bytes(r.Body), objectstore.CreateOnly)
		t.Attempts++
		switch {
		case err == nil:
			now := clock.System().Now()
			t.Won++
			t.Latencies = append(t.Latencies, now.Sub(began))
			began = now
		case errors.Is(err, objectstore.ErrExists) || ctx.Err() != nil:
		default:
			t.fail(err)
			n-- // nobody knows whose it is: the next answer tells
		}
	}
	return t
}
