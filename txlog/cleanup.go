package txlog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lakectl/lakectl/objectstore"
)

// Log clean-up gives up the history before a checkpoint: versions that were replaced longer ago than
// delta.logRetentionDuration can no longer be read afterwards, the newest state and everything since can.
//
// What is deleted lies below one complete checkpoint that was read just before, goes oldest first, and is never younger
// than an hour by the clock of the store: writers count on it (see freshFor). Two clean-ups side by side, or one that
// was stopped half-way, leave a log that begins a little later or earlier, and nothing else.

const (
	cleanUpAge        = time.Hour      // nothing younger is deleted, whatever the properties say
	sidecarAge        = 24 * time.Hour // a sidecar is older than its checkpoint, which may be about to be written
	cleanUpPause      = time.Hour      // between two looks of one Log that find nothing due
	cleanUpBatch      = 1000           // keys of one delete
	cleanUpObjectsMax = 10_000         // of one clean-up; the next checkpoint goes on
)

// CleanedUp says what a log clean-up did.
type CleanedUp struct {
	Start   Version // the checkpoint below which everything old enough goes; -1: nothing is due
	Removed int     // objects
}

// CleanUp deletes what the log retention allows; s is the newest version. It runs by itself after each checkpoint,
// unless delta.enableExpiredLogCleanup says otherwise.
//
// Protocol: "Metadata Cleanup". Rules: delta.md §4.
// Errors: those of CheckWritable: a table that we may not write is not cleaned; a property that cannot be read;
// [ErrCorruptLog] when the checkpoint that is to carry the log cannot be read: then nothing is deleted; the errors of the
// store. After an error some of the objects may be gone, the oldest first.
// Cost: a listing; where something is due a GET of a checkpoint, and one delete for each 1000 objects.
func (l *Log) CleanUp(ctx context.Context, s *Snapshot) (*CleanedUp, error) {
	done, err := l.cleanUp(ctx, s)
	if err != nil {
		return done, l.named(fmt.Errorf("clean up the log: %w", err))
	}
	return done, nil
}

// cleanUpSometimes is CleanUp, unless one of the last hour by this Log found nothing that is due: history ends at
// midnight, a listing of the whole log is dear, and a busy table has a checkpoint every second.
func (l *Log) cleanUpSometimes(ctx context.Context, s *Snapshot) error {
	now := l.options.Clock.Now()
	if now.UnixMilli() < l.nothingDue.Load() {
		return nil
	}
	done, err := l.CleanUp(ctx, s)
	if err == nil && done.Start < 0 {
		l.nothingDue.Store(now.Add(cleanUpPause).UnixMilli())
	}
	return err
}

func (l *Log) cleanUp(ctx context.Context, s *Snapshot) (*CleanedUp, error) {
	done := &CleanedUp{Start: -1}
	if err := s.CheckWritable(); err != nil {
		return done, err
	}
	wanted, has := s.Property("delta.enableExpiredLogCleanup")
	if has && !strings.EqualFold(wanted, "true") {
		return done, nil
	}
	retention := DefaultLogRetention
	if text, has := s.Property("delta.logRetentionDuration"); has {
		var err error
		if retention, err = ParseInterval(text); err != nil { // nobody knows what was promised
			return done, fmt.Errorf("delta.logRetentionDuration: %w", err)
		}
	}
	tl, err := l.timeline(ctx)
	if err != nil {
		return done, err
	}
	now, err := l.storeNow(ctx, tl.listing)
	if err != nil {
		return done, err
	}
	keep, err := l.cleanUpStart(ctx, s, tl, now.Add(-retention).Truncate(24*time.Hour))
	if err != nil || keep == nil {
		return done, err
	}
	done.Start = keep.version
	old := now.Add(-cleanUpAge)
	if doomed := tl.listing.below(keep.version, old); len(doomed) > 0 {
		first, err := l.checkCarries(ctx, tl.listing, keep)
		if err != nil && l.overtaken(ctx, keep) {
			return done, nil
		}
		if err == nil && first.protocol.Supports(FeatureV2Checkpoint) {
			err = l.keepClassic(ctx, tl.listing, first)
		}
		if err == nil {
			err = l.deleteOldest(ctx, doomed, done)
		}
		if err != nil {
			return done, err
		}
		tl.listing.forget(doomed)
	}
	if s.protocol.Supports(FeatureV2Checkpoint) {
		return done, l.cleanUpSidecars(ctx, tl.listing, now.Add(-sidecarAge), done)
	}
	return done, nil
}

// storeNow is the time by the clock that stamps the objects; where the store does not tell, the newest stamp, which is
// no later.
func (l *Log) storeNow(ctx context.Context, g *listing) (time.Time, error) {
	var newest objectstore.Info
	for _, info := range g.commits {
		if c := info.Modified.Compare(newest.Modified); c > 0 || c == 0 && info.Key > newest.Key {
			newest = info
		}
	}
	if newest.Key == "" {
		return time.Time{}, nil
	}
	info, err := l.store.Head(ctx, newest.Key)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the clock of the store: %w", err)
	}
	if info.Date.IsZero() {
		return newest.Modified, nil
	}
	return info.Date, nil
}

// StoreTime is the time by the clock that stamps the objects of a table at snapshot s; zero where the store does not
// tell. It reads no object: the commit of the version is asked for, or where that is gone what the log begins with.
//
// Cost: one HEAD; a listing and another where the commit is gone.
func (l *Log) StoreTime(ctx context.Context, s *Snapshot) (time.Time, error) {
	info, err := l.store.Head(ctx, l.commitKey(s.version))
	if !errors.Is(err, objectstore.ErrNotFound) {
		return info.Date, l.noClock(err)
	}
	for object, listing := range l.store.List(ctx, l.Key(logFolder), fmt.Sprintf("%s%020d", l.Key(logFolder), s.version)) {
		if listing != nil {
			return time.Time{}, l.noClock(listing)
		}
		if info, err = l.store.Head(ctx, object.Key); !errors.Is(err, objectstore.ErrNotFound) {
			return info.Date, l.noClock(err)
		}
	}
	return time.Time{}, l.noClock(err)
}

func (l *Log) noClock(err error) error {
	if err == nil {
		return nil
	}
	return l.named(fmt.Errorf("read the clock of the store: %w", err))
}

// cleanUpStart is the newest complete checkpoint at or below the newest commit that is not newer than the cut-off; nil
// where there is none, or where the commits after it are not all there.
func (l *Log) cleanUpStart(ctx context.Context, s *Snapshot, tl *timeline, cutoff time.Time) (*checkpointFiles, error) {
	if len(tl.versions) == 0 {
		return nil, nil
	}
	last, err := l.versionAt(ctx, s, tl, cutoff.UnixMilli())
	if errors.Is(err, ErrTimestampTooEarly) || errors.Is(err, ErrHistoryGone) {
		return nil, nil // in the second case another clean-up was faster
	}
	if err != nil {
		return nil, err
	}
	all := tl.listing.checkpoints
	for i := len(all) - 1; i >= 0; i-- {
		if c := &all[i]; c.version <= last && c.version >= tl.versions[0] {
			return c, nil
		}
	}
	return nil, nil
}

// below lists what goes when the log is to begin at version keep: commits, checkpoints and leftovers below it, and
// compactions that start no later. Oldest first, and nothing from the first object on that is not older than before.
func (g *listing) below(keep Version, before time.Time) []leftover {
	var all []leftover
	for v, info := range g.commits {
		if v < keep {
			all = append(all, leftover{v, info})
		}
	}
	for _, c := range g.checkpoints {
		for _, info := range c.objects {
			if c.version < keep {
				all = append(all, leftover{c.version, info})
			}
		}
	}
	for _, o := range g.leftovers {
		if o.version < keep {
			all = append(all, o)
		}
	}
	for _, c := range g.compactions {
		if c.from <= keep {
			all = append(all, leftover{c.from, c.info})
		}
	}
	// Of one version the commit goes before the checkpoint: what is left in between can still be read.
	slices.SortFunc(all, func(a, b leftover) int {
		return cmp.Or(cmp.Compare(a.version, b.version), cmp.Compare(rank(a.info.Key), rank(b.info.Key)), strings.Compare(a.info.Key, b.info.Key))
	})
	for i, o := range all {
		if !o.info.Modified.Before(before) {
			all = all[:i]
			break
		}
	}
	return all[:min(len(all), cleanUpObjectsMax)]
}

// rank orders the objects of one version.
func rank(key string) int {
	if strings.Contains(key[strings.LastIndexByte(key, '/')+1:], ".checkpoint.") {
		return 1
	}
	return 0
}

// checkCarries reads the checkpoint that the log will begin with, which gives its version: once the commits are gone,
// nothing else can replace it.
func (l *Log) checkCarries(ctx context.Context, g *listing, keep *checkpointFiles) (*Snapshot, error) {
	s, err := l.replay(ctx, &segment{version: keep.version, checkpoint: keep, last: g.commits[keep.version], began: g.began})
	if err != nil {
		return nil, fmt.Errorf("the log would begin with checkpoint %d: %w", keep.version, err)
	}
	return s, nil
}

// overtaken tells whether an object of a checkpoint that was listed is gone: another clean-up found a newer one, and has
// the rest of the work in hand.
func (l *Log) overtaken(ctx context.Context, c *checkpointFiles) bool {
	for _, o := range c.objects {
		if _, err := l.store.Head(ctx, o.Key); errors.Is(err, objectstore.ErrNotFound) {
			return true
		}
	}
	return false
}

// forget takes checkpoints out of the listing that were deleted, in part or whole.
func (g *listing) forget(deleted []leftover) {
	gone := map[string]bool{}
	for _, o := range deleted {
		gone[o.info.Key] = true
	}
	g.checkpoints = slices.DeleteFunc(g.checkpoints, func(c checkpointFiles) bool {
		return slices.ContainsFunc(c.objects, func(o objectstore.Info) bool { return gone[o.Key] })
	})
}

// deleteOldest deletes in order, batch by batch.
func (l *Log) deleteOldest(ctx context.Context, doomed []leftover, done *CleanedUp) error {
	for from := 0; from < len(doomed); from += cleanUpBatch {
		if err := ctx.Err(); err != nil {
			return err
		}
		var keys []string
		for _, o := range doomed[from:min(from+cleanUpBatch, len(doomed))] {
			keys = append(keys, o.info.Key)
		}
		if err := l.store.Delete(ctx, keys...); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		done.Removed += len(keys)
	}
	return nil
}

// cleanUpSidecars deletes sidecars that are older than before and that no checkpoint of the listing names.
func (l *Log) cleanUpSidecars(ctx context.Context, g *listing, before time.Time, done *CleanedUp) error {
	prefix := l.Key(logFolder + "_sidecars/")
	var doomed []leftover
	for info, err := range l.store.List(ctx, prefix, "") {
		if err != nil {
			return fmt.Errorf("list sidecars: %w", err)
		}
		if name := info.Key[len(prefix):]; strings.HasSuffix(name, ".parquet") && !strings.Contains(name, "/") && info.Modified.Before(before) {
			doomed = append(doomed, leftover{info: info})
		}
		if len(doomed) == cleanUpObjectsMax {
			break
		}
	}
	if len(doomed) == 0 {
		return nil
	}
	named := map[string]bool{}
	for i := range g.checkpoints {
		keys, err := l.sidecarsOf(ctx, &g.checkpoints[i])
		if err != nil && l.overtaken(ctx, &g.checkpoints[i]) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, key := range keys {
			named[key] = true
		}
	}
	return l.deleteOldest(ctx, slices.DeleteFunc(doomed, func(o leftover) bool { return named[o.info.Key] }), done)
}
