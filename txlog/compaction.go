package txlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/lakectl/lakectl/objectstore"
)

// CompactionIntervalKey is the table property that has a log compaction written after each n commits; below 2, none is.
// Delta has no property for it, so that this one is ours.
const CompactionIntervalKey = "lake.logCompactionInterval"

// compactionInterval is how many commits a compaction spans that is written by itself; 0 for none.
func (l *Log) compactionInterval(base *Snapshot) Version {
	if base != nil {
		if text, set := base.Property(CompactionIntervalKey); set {
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil || n < 2 {
				return 0
			}
			return Version(n)
		}
	}
	return Version(max(0, l.options.CompactEvery))
}

// Compact writes a log compaction of versions from..to: what they leave behind once the newest action about each thing
// has won, removes and domains that were dropped included, since older commits and checkpoints may hold what they end.
// Readers may take it in place of the commits; lakectl does where commits are missing. It runs by itself where the table
// has the property [CompactionIntervalKey], or [Options] have CompactEvery.
//
// Protocol: "Log Compaction Files".
// Errors:   those of [Log.Compaction] and [Compaction.Write].
// Cost:     a GET for each version, one PUT.
func (l *Log) Compact(ctx context.Context, from, to Version) error {
	c, err := l.Compaction(ctx, from, to)
	if err != nil {
		return err
	}
	_, err = c.Write(ctx)
	return err
}

// Compaction is a log compaction that is ready to be written.
type Compaction struct {
	From, To Version
	Object   string // its name below the table root
	Actions  int
	Bytes    int64

	log  *Log
	body []byte
}

// Compaction makes a log compaction and writes nothing.
//
// Errors: [ErrInvalidCommit] for a span of less than two versions; [ErrHistoryGone] where a commit is gone; *limits.Error;
// the errors of the store.
// Cost:   a GET for each version.
func (l *Log) Compaction(ctx context.Context, from, to Version) (*Compaction, error) {
	c, err := l.compact(ctx, from, to)
	if err != nil {
		return nil, l.named(fmt.Errorf("compact versions %d to %d: %w", from, to, err))
	}
	return c, nil
}

// Write creates the object. One that is there already is no error: its content is equal. Errors: those of the store.
func (c *Compaction) Write(ctx context.Context) (there bool, err error) {
	_, err = c.log.store.Put(ctx, c.log.Key(c.Object), objectstore.Bytes(c.body), objectstore.CreateOnly)
	if errors.Is(err, objectstore.ErrExists) {
		return true, nil
	}
	if err != nil {
		return false, c.log.named(fmt.Errorf("write the compaction of versions %d to %d: %w", c.From, c.To, err))
	}
	return false, nil
}

// There tells whether the object exists. Errors: those of the store.
func (c *Compaction) There(ctx context.Context) (bool, error) {
	_, err := c.log.store.Head(ctx, c.log.Key(c.Object))
	if errors.Is(err, objectstore.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, c.log.named(fmt.Errorf("look for the compaction of versions %d to %d: %w", c.From, c.To, err))
	}
	return true, nil
}

func (l *Log) compact(ctx context.Context, from, to Version) (*Compaction, error) {
	if from < 0 || to <= from {
		return nil, fmt.Errorf("%w: a compaction spans two versions at least", ErrInvalidCommit)
	}
	if err := l.options.Limits.Check("commits_per_replay", int64(to-from)+1); err != nil {
		return nil, err
	}
	r := &compacting{seen: map[string]bool{}}
	for v := to; v >= from; v-- {
		c, err := l.ReadCommit(ctx, v)
		if err != nil {
			return nil, err
		}
		for _, a := range slices.Backward(c.Actions) {
			if err := r.take(a); err != nil {
				return nil, err
			}
		}
		if err := l.options.Limits.Check("actions_per_commit", int64(len(r.actions))); err != nil {
			return nil, err
		}
	}
	out := &Compaction{From: from, To: to, Object: fmt.Sprintf(logFolder+"%020d.%020d.compacted.json", from, to), Actions: len(r.actions), log: l}
	for _, a := range slices.Backward(r.actions) { // as the commits had them: the oldest first
		line, err := EncodeAction(a)
		if err != nil {
			return nil, err
		}
		out.body = append(append(out.body, line...), '\n')
		if err := l.options.Limits.Check("commit_bytes", int64(len(out.body))); err != nil {
			return nil, err
		}
	}
	out.Bytes = int64(len(out.body))
	return out, nil
}

// compacting keeps the newest action about each thing; it takes them from the newest to the oldest.
type compacting struct {
	seen    map[string]bool
	actions []Action
}

func (r *compacting) take(a Action) error {
	key := ""
	switch a := a.(type) {
	case *Protocol:
		key = "protocol"
	case *Metadata:
		key = "metaData"
	case *Txn:
		key = "txn " + a.AppID
	case *DomainMetadata:
		key = "domain " + a.Domain
	default:
		path, vector, ok := fileOf(a)
		if !ok {
			return nil // commitInfo and cdc belong to their commit
		}
		file, err := fileKey(path, vector)
		if err != nil {
			return err
		}
		key = "file " + file
	}
	if !r.seen[key] {
		r.seen[key] = true
		r.actions = append(r.actions, a)
	}
	return nil
}
