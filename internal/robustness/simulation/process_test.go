package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/robustness/history"
	"github.com/lakectl/lakectl/internal/sim"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// process is one life of one actor: what a crash ends.
type process struct {
	lake  *lake
	job   string // goes on after a crash
	name  string // does not
	rand  clock.Rand
	skew  time.Duration
	lags  bool // its clock stands still while it is stopped, as that of a suspended machine does, until its next work
	door  *sim.Store
	store objectstore.Store // with the retries of a real process
	awake time.Duration     // how long it had been stopped when its work began

	snap   *txlog.Snapshot // of the main table, the newest that it has seen
	seen   txlog.Version
	files  int
	events []history.Event
	reads  []reading
	wrong  []string
	tally
}

// tally counts what processes have done, against idle runs.
type tally struct {
	committed, conflicts, unknown, expired, refused int
	checkpoints, cleanUps, removed, vacuumed        int
	slots, fenced                                   int
}

// be gives the process its store.
func (p *process) be(s objectstore.Store) {
	p.door = s.(*sim.Store)
	p.store = objectstore.Retry(s, objectstore.Policy{}, clock.System(), p.rand)
	p.awake = p.door.Frozen()
}

// Now is the process's clock: wrong by up to an hour.
func (p *process) Now() time.Time {
	now := time.Now().UTC().Add(p.skew)
	if p.lags {
		now = now.Add(p.awake - p.door.Frozen())
	}
	return now
}

// Sleep is a [clock.Clock]'s.
func (p *process) Sleep(ctx context.Context, d time.Duration) error {
	return clock.System().Sleep(ctx, d)
}

func (p *process) n(n int) int { return int(clock.Int64N(p.rand, int64(n))) }

// log opens a table.
func (p *process) log(table string) *txlog.Log {
	return txlog.New(p.store, table, txlog.Options{Clock: p, Rand: p.rand})
}

// turns works in bursts: a few pieces of work, then nothing until everybody comes back. It is over when the lake comes
// to rest, or the process is no more.
func (p *process) turns(ctx context.Context, do func()) {
	for {
		for range 1 + p.n(4) {
			if !p.pause(ctx, sim.Spread(p.rand, 10*time.Millisecond, 4*time.Second)) {
				return
			}
			p.awake = p.door.Frozen()
			do()
		}
		since := time.Since(p.lake.began)
		if !p.pause(ctx, burstEvery-since%burstEvery+sim.Spread(p.rand, 10*time.Millisecond, 5*time.Second)) {
			return
		}
	}
}

// pause is false when there is nothing more to do.
func (p *process) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.lake.working.Done():
	case <-ctx.Done():
	}
	return p.lake.working.Err() == nil && ctx.Err() == nil
}

// newest reads the newest version of the main table: from what is known, or now and then from nothing.
func (p *process) newest(ctx context.Context) (*txlog.Snapshot, error) {
	call := p.invoke(history.Event{Kind: history.Read, Table: mainTable})
	s, err := p.look(ctx)
	if !p.door.Alive() {
		return nil, context.Canceled
	}
	if err != nil {
		p.excuse("read the newest version", err)
		p.ended(call, history.Event{Kind: history.Read, Table: mainTable, Outcome: history.Failed})
		return nil, err
	}
	p.snap = s
	p.saw(s)
	p.ended(call, history.Event{Kind: history.Read, Table: mainTable, Version: int64(s.Version()), Outcome: history.Seen})
	return s, nil
}

func (p *process) look(ctx context.Context) (*txlog.Snapshot, error) {
	if p.snap == nil || p.n(4) == 0 {
		return p.log(mainTable).Latest(ctx)
	}
	return p.snap.Log().Update(ctx, p.snap)
}

// commit makes a change visible and notes what it was told.
func (p *process) commit(ctx context.Context, table string, x *txlog.Transaction, w work) error {
	p.lake.declare(x.TxnID(), w)
	e := history.Event{Kind: history.Commit, Table: table, TxnID: x.TxnID()}
	call := p.invoke(e)
	c, err := x.Commit(ctx)
	if !p.door.Alive() {
		return context.Canceled
	}
	switch {
	case err == nil:
		e.Outcome, e.Version = history.Committed, int64(c.Version)
		p.committed++
	case errors.Is(err, txlog.ErrUnknown):
		e.Outcome = history.Unknown
		p.unknown++
	case errors.Is(err, txlog.ErrConflict), errors.Is(err, txlog.ErrConcurrentWrite):
		e.Outcome = history.Conflict
		p.conflicts++
	case errors.Is(err, txlog.ErrExpired):
		e.Outcome = history.Refused
		p.expired++
	default:
		e.Outcome = history.Refused
		p.refused++
		p.excuse("commit", err)
	}
	p.ended(call, e)
	return err
}

func (p *process) invoke(e history.Event) int {
	call := len(p.events)
	e.Call, e.Process, e.At = call, p.name, int64(p.lake.world.Steps())
	p.events = append(p.events, e)
	return call
}

func (p *process) ended(call int, e history.Event) {
	e.Call, e.Process, e.At, e.Return = call, p.name, int64(p.lake.world.Steps()), true
	p.events = append(p.events, e)
}

// excuse refuses an error that nothing in the weather explains.
func (p *process) excuse(doing string, err error) {
	for _, fine := range []error{objectstore.ErrUnavailable, objectstore.ErrThrottled, objectstore.ErrDenied, txlog.ErrUnknown, context.Canceled} {
		if errors.Is(err, fine) {
			return
		}
	}
	// Who sleeps for over an hour in the middle of the work may find that clean-up was faster.
	if p.door.Frozen()-p.awake > time.Hour && (errors.Is(err, txlog.ErrHistoryGone) || errors.Is(err, txlog.ErrExpired) || errors.Is(err, txlog.ErrVersionGap) || errors.Is(err, objectstore.ErrNotFound)) {
		return
	}
	p.wrong = append(p.wrong, fmt.Sprintf("%s: %s: %v", p.name, doing, err))
}
