package txlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/objectstore"
)

// Outcome is how an attempt to create a version ended.
//
// A PUT whose reply was lost may have landed, and may still land later. So an attempt ends only when the version is
// seen to be occupied, by us or by another, or when it is certain that nothing was sent or all that was sent was
// refused. Anything else is Unknown and says so: never a failure, never a success.
type Outcome uint8

// The outcomes.
const (
	OutcomeNone      Outcome = iota // nothing landed and nothing will; the error says why
	OutcomeCommitted                // the version is ours
	OutcomeConflict                 // the version is another's
	OutcomeUnknown                  // it may be ours, now or later; the error matches ErrUnknown
)

// String names the outcome.
func (o Outcome) String() string {
	switch o {
	case OutcomeCommitted:
		return "committed"
	case OutcomeConflict:
		return "conflict"
	case OutcomeUnknown:
		return "unknown"
	case OutcomeNone:
	}
	return "none"
}

// Waiting times of the settle rule, and of lost races.
const (
	backoffFirst = 50 * time.Millisecond
	backoffMost  = 5 * time.Second
	settleGrace  = 5 * time.Second // for the last look after ctx is done

	raceBackoffFirst = 20 * time.Millisecond
	raceBackoffMost  = 2 * time.Second
)

// Commit creates version v with body, exactly once, and settles what happened. body must carry txnID in its
// commitInfo, and every call for one piece of work passes the same txnID.
//
// Protocol: "Delta Log Entries": the object is created once and never overwritten.
// Errors: with OutcomeNone the refusal of the store, or the cause of ctx; with OutcomeUnknown one that matches
// [ErrUnknown]; nil otherwise.
// Cost: one PUT; one GET more whenever the reply leaves doubt, repeated up to the limit commit_attempts.
// Safe for concurrent use. After ctx is done it sends no PUT, at most one GET.
func (l *Log) Commit(ctx context.Context, v Version, txnID string, body []byte) (Outcome, error) {
	if txnID == "" {
		return OutcomeNone, fmt.Errorf("commit version %d: %w: no txnId", v, ErrInvalidCommit)
	}
	c := l.settle(ctx, v, txnID, body)
	return c.outcome, c.err
}

// settle is Commit, with what else came to light.
func (l *Log) settle(ctx context.Context, v Version, txnID string, body []byte) *settling {
	c := &settling{log: l, version: v, key: l.commitKey(v), txnID: txnID, body: body}
	if c.outcome, c.err = c.run(ctx); c.err != nil {
		c.err = fmt.Errorf("commit version %d: %w", v, c.err)
	}
	return c
}

type settling struct {
	log     *Log
	version Version
	key     string
	txnID   string
	body    []byte
	last    error     // what the store said last
	date    time.Time // the store's clock in its last answer; zero where it did not tell
	outcome Outcome
	err     error
	winner  *Commit          // another's commit of the version, where it was read
	put     objectstore.Info // of our object, where the first PUT was acknowledged
}

func (c *settling) run(ctx context.Context) (Outcome, error) {
	doubt := false // some PUT may have landed, or may still land
	attempts := c.log.options.Limits.CommitAttempts
	for n := int64(0); n < attempts && ctx.Err() == nil; n++ {
		if n > 0 && c.pause(ctx, n) != nil {
			break
		}
		info, err := c.log.store.Put(ctx, c.key, objectstore.Bytes(c.body), objectstore.CreateOnly)
		if err == nil {
			c.date = info.Date
			if n == 0 {
				c.put = info
			}
			return OutcomeCommitted, nil
		}
		c.last = err
		if mutant.Possible {
			if outcome, err, planted := misjudged(err); planted {
				return outcome, err
			}
		}
		if objectstore.Refused(err) {
			if !doubt {
				return OutcomeNone, err
			}
			continue // an earlier PUT is still open
		}
		if mutant.On(mutant.SettleRetry) {
			continue
		}
		doubt = true
		if outcome := c.look(ctx, attempts); outcome != OutcomeUnknown {
			return outcome, nil
		}
		if mutant.On(mutant.AbsentIsFailure) {
			return OutcomeNone, err
		}
		// Absence proves nothing: a PUT may be in flight. Same version, same body, again.
	}
	if !doubt {
		return OutcomeNone, errors.Join(context.Cause(ctx), c.last)
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleGrace)
	defer cancel()
	if outcome, _ := c.get(grace); outcome != OutcomeUnknown {
		return outcome, nil
	}
	return OutcomeUnknown, fmt.Errorf("%w: txnId %s: %w", ErrUnknown, c.txnID, errors.Join(c.last, context.Cause(ctx)))
}

// look asks who has the version until the store answers. OutcomeUnknown means nobody yet, or no answer in time.
func (c *settling) look(ctx context.Context, attempts int64) Outcome {
	for n := int64(0); n < attempts && ctx.Err() == nil; n++ {
		if n > 0 && c.pause(ctx, n) != nil {
			break
		}
		if outcome, answered := c.get(ctx); answered {
			return outcome
		}
	}
	return OutcomeUnknown
}

// get looks once. answered is false where the store did not say.
func (c *settling) get(ctx context.Context) (outcome Outcome, answered bool) {
	b, read, err := c.log.readObject(ctx, c.key, "commit_bytes")
	c.date = read.Date
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return OutcomeUnknown, true
	case err != nil:
		c.last = err
		return OutcomeUnknown, false
	case bytes.Equal(b, c.body):
		return OutcomeCommitted, true
	}
	w, err := c.log.commitOf(c.version, bytes.NewReader(b), read, false, false)
	switch {
	case err != nil: // whoever reads the winner will say what is wrong with it
	case w.Info != nil && w.Info.TxnID == c.txnID:
		return OutcomeCommitted, true
	default:
		c.winner = w
	}
	return OutcomeConflict, true
}

// pause waits longer each time, with full jitter.
func (c *settling) pause(ctx context.Context, n int64) error {
	most := backoffMost
	if n < 8 {
		most = min(backoffMost, backoffFirst<<n)
	}
	return c.log.options.Clock.Sleep(ctx, clock.Jitter(c.log.options.Rand, most))
}
