package txlog

import (
	"context"
	"errors"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
)

// After a lost race a writer has read the commit that won. Where many writers race, others have followed by then, and a
// listing would cost more than all of them: its price grows with the log. So the writer reads on, version by version,
// checks each winner, and stops at the first version that is not there; that one it tries next.
//
// That is sound only while clean-up cannot have been at work between the base and the last look: every winner was
// created after the base was seen, and none is removed within its first hour. Half of the time that others get leaves
// room for clocks of whole seconds. Where more has passed the log is listed; see fresh.go.

const catchUpFor = freshFor / 2

// catchUp checks the change against first, which took the version after now, and against every commit that follows it.
// It returns the newest snapshot; nil where too much time has passed since now was seen, and a listing has to tell. began
// is our clock before first was looked for.
func (t *Transaction) catchUp(ctx context.Context, now *Snapshot, first *Commit, seen sighting, began time.Time, done *Committed) (*Snapshot, error) {
	var winners []*Commit
	for c := first; ; {
		if t.log.lateBy(catchUpFor, seen, c.date) || c.Info != nil && c.Info.TxnID == t.txnID {
			return nil, nil // our own work in a version that was another's a moment ago is for the listing to explain
		}
		if err := t.check(c); err != nil {
			return nil, err
		}
		winners = append(winners, c)
		if err := t.log.options.Limits.Check("commits_per_replay", int64(len(winners))); err != nil {
			return nil, err
		}
		v := c.Version + 1
		var err error
		c, err = t.log.readCommit(ctx, v, t.log.commitKey(v))
		if errors.Is(err, objectstore.ErrNotFound) {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if clock.Since(t.log.options.Clock, seen.loaded) > catchUpFor {
		return nil, nil
	}
	newest := winners[len(winners)-1]
	next, err := t.log.replayCommits(ctx, now, winners, &segment{
		version: newest.Version, began: began, date: first.date, last: objectstore.Info{Modified: newest.modified},
	})
	if err != nil {
		return nil, err
	}
	for _, c := range winners {
		done.Winners = append(done.Winners, c.Version)
	}
	return next, t.fence(next)
}

// lostTo decides what a commit that came first means for the change: nothing, the error of a conflict, or that it is
// the change itself, a late copy of our own PUT.
func (t *Transaction) lostTo(winner *Commit, done *Committed) (own bool, err error) {
	if winner.Info != nil && winner.Info.TxnID == t.txnID && !ownUnknown() {
		return true, nil
	}
	if err := t.check(winner); err != nil {
		return false, err
	}
	done.Winners = append(done.Winners, winner.Version)
	return false, nil
}

// fence asks the conditions of the change about a newer snapshot.
func (t *Transaction) fence(next *Snapshot) error {
	for _, fence := range t.fences {
		if err := fence(next); err != nil {
			return err
		}
	}
	return nil
}

// yield steps back from a race that was lost more than once, longer each time: who reads the winners while more of them
// come only adds to the load, and every loser has to read every winner.
func (t *Transaction) yield(ctx context.Context, lost int) error {
	if lost < 2 {
		return nil
	}
	most := raceBackoffMost
	if lost < 10 {
		most = min(most, raceBackoffFirst<<(lost-2))
	}
	return t.log.options.Clock.Sleep(ctx, clock.Jitter(t.log.options.Rand, most))
}
