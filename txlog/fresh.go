package txlog

import (
	"context"
	"fmt"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
)

// A writer that was stopped for long may come back to a log whose old commits were cleaned up. The version that it
// would take is free again, its PUT succeeds, and nobody ever reads it. Clean-up never removes a commit younger than an
// hour, so a writer whose snapshot is younger than freshFor, by the store's clock, cannot be in that place. An older
// one lists the log again before it PUTs; and where only the reply shows how late it is, it looks whether the commit
// has its predecessor.

// freshFor is half the least age at which clean-up removes commits.
const freshFor = 30 * time.Minute

// stale tells whether so much time has passed since the snapshot was read that its successor may have been removed.
func (l *Log) stale(s *Snapshot) bool {
	return s != nil && clock.Since(l.options.Clock, s.loaded) > freshFor
}

// late tells whether a reply with the store's date shows that a snapshot was too old for its PUT.
func late(s *Snapshot, date time.Time) bool {
	if date.IsZero() || s == nil || s.asOf.IsZero() {
		return false
	}
	return date.Sub(s.asOf) > freshFor
}

// checkVisible demands that readers of the log reach version v: what it builds on is there, and no gap follows.
func (l *Log) checkVisible(ctx context.Context, v Version) error {
	if v == 0 {
		return nil // a table is created only where the log was seen to be empty just before
	}
	g, err := l.list(ctx, v-1)
	if err != nil {
		return fmt.Errorf("%w: version %d has landed late and the log cannot be listed: %w", ErrUnknown, v, err)
	}
	_, rooted := g.commits[v-1]
	for _, c := range g.checkpoints {
		rooted = rooted || c.version == v-1
	}
	if _, err := g.steps(v, g.newest); err != nil || !rooted {
		return fmt.Errorf("%w: version %d", ErrExpired, v)
	}
	return nil
}
