package txlog

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/lakectl/lakectl/objectstore"
)

// A version's time is its in-commit timestamp where the table has them, else the time of its object, made
// increasing: t(n) = max(time(n), t(n-1) + 1 ms). What commitInfo.timestamp says is never used.
//
// Protocol: "In-Commit Timestamps".

// timeline is the versions that can still be built, with their times.
type timeline struct {
	listing  *listing
	versions []Version // of existing commits, ascending, without a gap
	times    []int64   // milliseconds since 1970, increasing
}

// timeline lists the log and settles the time of each commit. Only the newest run of commits without a gap counts.
func (l *Log) timeline(ctx context.Context) (*timeline, error) {
	g, err := l.list(ctx, 0)
	if err != nil {
		return nil, err
	}
	if g.newest < 0 {
		return nil, ErrNotATable
	}
	tl := &timeline{listing: g}
	all := slices.Sorted(maps.Keys(g.commits))
	from := len(all)
	for from > 0 && (from == len(all) || all[from-1] == all[from]-1) {
		from--
	}
	tl.versions = all[from:]
	last := int64(-1 << 62)
	for _, v := range tl.versions {
		last = max(g.commits[v].Modified.UnixMilli(), last+1)
		tl.times = append(tl.times, last)
	}
	return tl, nil
}

// inCommitTime reads the time that a commit carries.
func (l *Log) inCommitTime(ctx context.Context, v Version) (int64, error) {
	c, err := l.ReadCommit(ctx, v)
	if err != nil {
		return 0, err
	}
	if t := c.inCommit(); t != nil {
		return *t, nil
	}
	return 0, corrupt("version %d has no inCommitTimestamp", v)
}

// AtTime returns the newest version that was committed at t or before.
//
// Errors: [ErrTimestampTooEarly]; [ErrTimestampTooLate] when t is after the newest version; those of At.
// Cost: a listing of the whole log; with in-commit timestamps also a GET for each step of a binary search.
func (l *Log) AtTime(ctx context.Context, t time.Time) (*Snapshot, error) {
	s, err := l.atTime(ctx, t)
	return s, l.named(err)
}

func (l *Log) atTime(ctx context.Context, t time.Time) (*Snapshot, error) {
	tl, err := l.timeline(ctx)
	if err != nil {
		return nil, err
	}
	if len(tl.versions) == 0 {
		return nil, fmt.Errorf("%w: no commit is left", ErrHistoryGone)
	}
	// The newest version of this very listing: one that lands meanwhile is not part of the answer.
	newest, err := l.at(ctx, tl.versions[len(tl.versions)-1])
	if err != nil {
		return nil, err
	}
	want := t.UnixMilli()
	v, err := l.versionAt(ctx, newest, tl, want)
	if err != nil {
		return nil, err
	}
	if v == newest.version {
		if at := max(newest.timestamp.UnixMilli(), tl.timeOf(v, newest)); want > at {
			return nil, fmt.Errorf("%w: %s; version %d of %s is the newest", ErrTimestampTooLate, t.UTC().Format(time.RFC3339Nano),
				v, time.UnixMilli(at).UTC().Format(time.RFC3339Nano))
		}
		return newest, nil
	}
	return l.At(ctx, v)
}

// timeOf is the time of a version by its object, or its own where the table has in-commit timestamps.
func (tl *timeline) timeOf(v Version, newest *Snapshot) int64 {
	if newest.inCommitTimestamps() {
		return newest.timestamp.UnixMilli()
	}
	if i, ok := slices.BinarySearch(tl.versions, v); ok {
		return tl.times[i]
	}
	return newest.timestamp.UnixMilli()
}

func (l *Log) versionAt(ctx context.Context, newest *Snapshot, tl *timeline, want int64) (Version, error) {
	first, byObject := tl.enablement(newest)
	if byObject || want < first.time {
		versions := tl.versions
		if !byObject {
			n, _ := slices.BinarySearch(versions, first.version)
			versions = versions[:n]
		}
		n, _ := slices.BinarySearch(tl.times[:len(versions)], want+1)
		if n == 0 {
			return 0, tl.tooEarly(want)
		}
		return versions[n-1], nil
	}
	n, _ := slices.BinarySearch(tl.versions, first.version)
	versions := tl.versions[n:]
	low, high := 0, len(versions) // versions[:low] are at or before want
	for low < high {
		middle := (low + high) / 2
		at, err := l.inCommitTime(ctx, versions[middle])
		if err != nil {
			return 0, err
		}
		if at <= want {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low == 0 {
		return 0, tl.tooEarly(want)
	}
	return versions[low-1], nil
}

func (tl *timeline) tooEarly(want int64) error {
	return fmt.Errorf("%w: %s; the oldest version that is left is %d", ErrTimestampTooEarly,
		time.UnixMilli(want).UTC().Format(time.RFC3339Nano), max(tl.versions[0], tl.listing.oldest()))
}

type enablement struct {
	version Version
	time    int64
}

// enablement says from which version and time on commits carry their own time; byObject when none do.
func (tl *timeline) enablement(newest *Snapshot) (first enablement, byObject bool) {
	if !newest.inCommitTimestamps() {
		return enablement{}, true
	}
	c := newest.metadata.Configuration
	v, err1 := strconv.ParseInt(c[inCommitSinceVersion], 10, 64)
	t, err2 := strconv.ParseInt(c[inCommitSinceTime], 10, 64)
	if err1 != nil || err2 != nil {
		return enablement{0, -1 << 62}, false // from the first version on
	}
	return enablement{Version(v), t}, false
}

// HistoryOptions select commits. The zero value selects all.
type HistoryOptions struct {
	Limit    int       // 0 means all
	Since    time.Time // commits before it are left out; zero means all
	From, To *Version  // inclusive
}

// History yields the commits that are left, newest first. Commits that log clean-up removed are silently absent;
// what the sequence starts with is the newest version, or To.
//
// Errors end the sequence. Cost: one listing, and a GET for each commit yielded.
func (l *Log) History(ctx context.Context, o HistoryOptions) iter.Seq2[*Commit, error] {
	return func(yield func(*Commit, error) bool) {
		tl, err := l.timeline(ctx)
		if err != nil {
			yield(nil, l.named(err))
			return
		}
		n := 0
		for i := len(tl.versions) - 1; i >= 0; i-- {
			v := tl.versions[i]
			if o.To != nil && v > *o.To {
				continue
			}
			if o.From != nil && v < *o.From || o.Limit > 0 && n >= o.Limit {
				return
			}
			c, err := l.ReadCommit(ctx, v)
			if errors.Is(err, objectstore.ErrNotFound) && i < len(tl.versions)-1 {
				return // cleaned up while we read
			}
			if err != nil {
				yield(nil, l.named(err))
				return
			}
			if c.inCommit() == nil {
				c.Timestamp = time.UnixMilli(tl.times[i]).UTC()
			}
			if !o.Since.IsZero() && c.Timestamp.Before(o.Since) {
				return
			}
			n++
			if !yield(c, nil) {
				return
			}
		}
	}
}
