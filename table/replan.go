package table

import (
	"context"
	"errors"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/txlog"
)

// replan prepares and commits a change; see [Change.CommitOrReplan].
func (t *Table) replan(ctx context.Context, prepare func(context.Context) (*Change, error)) (*Result, error) {
	c, err := prepare(ctx)
	if err != nil {
		return nil, err
	}
	return c.CommitOrReplan(ctx, prepare)
}

// CommitOrReplan commits a change. While another writer makes its plan untrue, what it staged is discarded, and prepare
// makes the change anew on the newest snapshot, at most limits.CommitAttempts times. Result says how often, and why.
//
// A source that reads the table itself is pinned to the version that its caller saw, so that planning again would mix
// two versions: then the conflict is the answer. A nil prepare plans nothing again.
//
// Errors: those of Commit and of prepare.
func (c *Change) CommitOrReplan(ctx context.Context, prepare func(context.Context) (*Change, error)) (*Result, error) {
	t := c.t
	attempts := 0
	var reasons []string
	for {
		res, err := c.Commit(ctx)
		attempts += max(1, c.attempts)
		if err == nil {
			res.Attempts, res.Replanned = attempts, reasons
			return res, nil
		}
		if derr := c.Discard(ctx); derr != nil {
			t.opts.Log.Logger.WarnContext(ctx, "discard staged files", "table", t.URL(), "err", derr)
		}
		if !errors.Is(err, txlog.ErrConflict) || prepare == nil || c.readsItself || int64(attempts) >= t.opts.limits().CommitAttempts {
			return nil, err
		}
		reasons = append(reasons, reasonOf(err))
		// Losers of one race must not meet again in the next: they wait a random time, longer each round.
		wait := replanWait << min(attempts-1, replanDoublings)
		if err := t.opts.Log.Clock.Sleep(ctx, clock.Jitter(t.opts.Log.Rand, wait)); err != nil {
			return nil, err
		}
		if err := t.Refresh(ctx); err != nil {
			return nil, err
		}
		if c, err = prepare(ctx); err != nil {
			return nil, err
		}
	}
}

// readsFrom notes what a source reads of the table itself.
func (c *Change) readsFrom(source Query) {
	c.readsItself = readsTable(c.t, source)
	c.reads.whole = c.reads.whole || c.readsItself
}

// reasonOf is the conflict itself, without what was being done.
func reasonOf(err error) string {
	var conflict *txlog.ConflictError
	if errors.As(err, &conflict) {
		return conflict.Error()
	}
	return err.Error()
}

// A plan made again waits up to replanWait, doubled up to replanDoublings times.
const (
	replanWait      = 50 * time.Millisecond
	replanDoublings = 5
)
