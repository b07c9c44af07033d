package txlog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
)

// A writer that was stopped for long may come back to a log whose old commits were cleaned up. The version that it
// would take is free again: its PUT succeeds and nobody ever reads it, or it did so before and the commit of another
// such writer, an orphan, is now found in its place. Clean-up never removes a commit younger than an hour, so a writer
// who has seen the log less than freshFor ago, by the store's clock, cannot be in that place.
//
// Where more time has passed before a PUT, the log is listed again and checked against what was seen. Where only the
// answer shows how late it is, the answer is believed if the log as it is now allows no other: version v is there, no
// gap follows, and every later commit is younger (an orphan is younger than what was there when room was made for it).
// Anything else is Unknown, never a failure: the commit may have been visible, and have been cleaned up since.

// freshFor is half the least age at which clean-up removes commits.
const freshFor = 30 * time.Minute

// sighting is when a log was last seen, before its objects were listed.
type sighting struct {
	loaded time.Time // our clock
	asOf   time.Time // the store's clock; zero where no reply told
}

// seenAt is when a snapshot was read; nil is never.
func (s *Snapshot) seenAt() sighting {
	if s == nil {
		return sighting{}
	}
	return sighting{s.loaded, s.asOf}
}

// stale tells whether our clock says that what was seen may have been cleaned up since.
func (l *Log) stale(seen sighting) bool { return clock.Since(l.options.Clock, seen.loaded) > freshFor }

// late tells whether a reply of the store's date comes so late that what was seen may have been cleaned up before it.
// Where the store does not tell its time, our clock decides.
func (l *Log) late(seen sighting, date time.Time) bool { return l.lateBy(freshFor, seen, date) }

// lateBy tells whether a reply comes more than d after what was seen.
func (l *Log) lateBy(d time.Duration, seen sighting, date time.Time) bool {
	if date.IsZero() || seen.asOf.IsZero() {
		return clock.Since(l.options.Clock, seen.loaded) > d
	}
	return date.Sub(seen.asOf) > d
}

// refresh lists the log again for a snapshot that is old, before anything is sent. It returns the newest snapshot, which
// is now itself where nobody came between, checked and rebased as after a lost race; and when that was.
//
// Errors: [ErrExpired] where clean-up has removed what the change would have to be checked against; those of a rebase.
func (t *Transaction) refresh(ctx context.Context, now *Snapshot, done *Committed) (*Snapshot, sighting, error) {
	head, err := t.log.store.Head(ctx, t.log.commitKey(now.version)) // for the store's clock
	if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
		return nil, sighting{}, fmt.Errorf("read the clock of the store: %w", err)
	}
	g, err := t.log.list(ctx, now.version)
	if err != nil {
		return nil, sighting{}, err
	}
	seen := sighting{loaded: g.began, asOf: head.Date}
	if g.newest < now.version {
		return nil, seen, fmt.Errorf("%w: %w", ErrExpired, &gapError{missing: now.version})
	}
	if g.newest == now.version {
		return now, seen, nil
	}
	if !g.continues(now) {
		if err := g.surely(now.version + 1); err != nil {
			return nil, seen, fmt.Errorf("%w: %w", ErrExpired, err)
		}
	}
	next, _, err := t.rebase(ctx, now, g, heard{seen, true}, done) // nothing was sent yet, so none of the winners is ours
	return next, seen, err
}

// heard is how far a listing of what follows a base can be trusted.
type heard struct {
	base   sighting // of the base: what follows it was created later
	proved bool     // that nothing which follows was cleaned up before the listing is known
}

// checkWinner demands that a commit is the one that was there when the version was taken: listed and read in time, or
// listed in a log that allows no other, and read as it was listed.
func (l *Log) checkWinner(c *Commit, g *listing, from Version, h *heard) error {
	if !h.proved && !l.late(h.base, c.date) {
		return nil
	}
	if !h.proved {
		if err := g.surely(from); err != nil {
			return fmt.Errorf("%w: %w", ErrExpired, err)
		}
		h.proved = true
	}
	if g.commits[c.Version].ETag != c.etag {
		return fmt.Errorf("%w: commit %d is not the one that was listed", ErrExpired, c.Version)
	}
	return nil
}

// continues tells whether the commit of s is the one that was read. Clean-up goes oldest first: then what follows it in
// the same listing is as it was. Another commit in its place would be younger by the hour that clean-up spares; when ours
// was created is known to the second, or from a reply that was not late.
func (g *listing) continues(s *Snapshot) bool {
	info, there := g.commits[s.version]
	return there && info.Modified.Before(s.created.Add(freshFor))
}

// believe turns what a late answer has said about version v into doubt, unless the log, listed from v on, bears it out.
// err is that of the listing.
func (g *listing) believe(v Version, err error) error {
	if err == nil {
		err = g.surely(v)
	}
	if err != nil {
		return fmt.Errorf("%w: the answer about version %d came long after the log was read: %w", ErrUnknown, v, err)
	}
	return nil
}

// surely demands that version v is the one that readers come to, or came to before clean-up: it is there, no gap
// follows, and every later commit was created later. Equal times prove nothing: stores have whole seconds.
func (g *listing) surely(v Version) error {
	first, ok := g.commits[v]
	if !ok {
		return &gapError{missing: v}
	}
	for u := v + 1; u <= g.newest; u++ {
		later, ok := g.commits[u]
		if !ok {
			return &gapError{missing: u}
		}
		if !later.Modified.After(first.Modified) {
			return fmt.Errorf("%w: version %d is not older than version %d", errRefilled, v, u)
		}
	}
	return nil
}

// errRefilled says that a commit may be an orphan in room that clean-up made.
//
// Terminal.
var errRefilled = errors.New("commits are not in the order of their times")
