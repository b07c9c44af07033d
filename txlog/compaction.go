package txlog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/lakectl/lakectl/objectstore"
)

// Compact writes a log compaction of versions from..to: what they leave behind once the newest action about each thing
// has won, removes and domains that were dropped included, since older commits and checkpoints may hold what they end.
// Readers may take it in place of the commits; lakectl does where commits are missing. It runs by itself where
// [Options] have CompactEvery.
//
// Protocol: "Log Compaction Files".
// Errors:   [ErrInvalidCommit] for a span of less than two versions; [ErrHistoryGone] where a commit is gone; *limits.Error;
// the errors of the store. An object that is there already is no error: its content is equal.
// Cost:     a GET for each version, one PUT.
func (l *Log) Compact(ctx context.Context, from, to Version) error {
	err := l.compact(ctx, from, to)
	if err != nil {
		return l.named(fmt.Errorf("compact versions %d to %d: %w", from, to, err))
	}
	return nil
}

func (l *Log) compact(ctx context.Context, from, to Version) error {
	if from < 0 || to <= from {
		return fmt.Errorf("%w: a compaction spans two versions at least", ErrInvalidCommit)
	}
	if err := l.options.Limits.Check("commits_per_replay", int64(to-from)+1); err != nil {
		return err
	}
	r := &compacting{seen: map[string]bool{}}
	for v := to; v >= from; v-- {
		c, err := l.ReadCommit(ctx, v)
		if err != nil {
			return err
		}
		for _, a := range slices.Backward(c.Actions) {
			if err := r.take(a); err != nil {
				return err
			}
		}
		if err := l.options.Limits.Check("actions_per_commit", int64(len(r.actions))); err != nil {
			return err
		}
	}
	var body []byte
	for _, a := range slices.Backward(r.actions) { // as the commits had them: the oldest first
		line, err := EncodeAction(a)
		if err != nil {
			return err
		}
		body = append(append(body, line...), '\n')
		if err := l.options.Limits.Check("commit_bytes", int64(len(body))); err != nil {
			return err
		}
	}
	key := l.Key(fmt.Sprintf(logFolder+"%020d.%020d.compacted.json", from, to))
	_, err := l.store.Put(ctx, key, objectstore.Bytes(body), objectstore.CreateOnly)
	if errors.Is(err, objectstore.ErrExists) {
		return nil
	}
	return err
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
