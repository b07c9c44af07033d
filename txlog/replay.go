package txlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/objectstore"
)

// Latest returns the newest version of the table.
//
// Errors: [ErrNotATable], [ErrVersionGap], [ErrHistoryGone], [ErrCorruptLog], [ErrInvalidProtocol],
// [ErrUnsupportedFeature], [ErrPathEscape], *limits.Error, and the errors of the store.
// Cost: one GET of the hint, one listing, and a GET for each checkpoint file and each commit after it.
func (l *Log) Latest(ctx context.Context) (*Snapshot, error) { return l.at(ctx, -1) }

// At returns the table at version v. Errors as in Latest, and [ErrVersionNotFound].
//
// Protocol: "Action Reconciliation"; the data files of an old version may be gone all the same.
func (l *Log) At(ctx context.Context, v Version) (*Snapshot, error) {
	if v < 0 {
		return nil, fmt.Errorf("%w: %d", ErrVersionNotFound, v)
	}
	return l.at(ctx, v)
}

// listAgainMax is how often a read lists anew because objects of its listing were gone. A second clean-up at the same
// moment is rare; a store that goes on listing what it does not have is another matter.
const listAgainMax = 2

func (l *Log) at(ctx context.Context, want Version) (*Snapshot, error) {
	bad := map[Version]bool{}
	again := 0
	g, err := l.listFromHint(ctx, want)
	for {
		if err != nil {
			return nil, l.named(err)
		}
		var seg *segment
		if seg, err = g.segmentFor(want, bad); err != nil {
			var gap *gapError
			switch {
			case g.from > 0 && !mutant.On(mutant.HintTrusted):
				// The hint left out what would have been needed.
				g, err = l.list(ctx, 0)
				continue
			case errors.As(err, &gap):
				// A listing can race with commits.
				if g, err = l.list(ctx, 0); err == nil {
					seg, err = g.segmentFor(want, bad)
				}
			}
			if err != nil {
				return nil, l.named(err)
			}
		}
		s, readErr := l.replay(ctx, seg)
		if errors.Is(readErr, objectstore.ErrNotFound) && again < listAgainMax {
			again++ // clean-up took what was listed: what is left says whether the version can still be built
			g, err = l.list(ctx, 0)
			continue
		}
		var damage *checkpointError
		if !errors.As(readErr, &damage) {
			return s, l.named(readErr)
		}
		// An older base serves as long as all commits since then are there.
		bad[damage.version] = true
		if g.from > 0 {
			if g, err = l.list(ctx, 0); err != nil {
				return nil, l.named(err)
			}
		}
		if _, retry := g.segmentFor(want, bad); retry != nil {
			return nil, l.named(readErr)
		}
		l.options.Logger.WarnContext(ctx, "checkpoint cannot be read, using an older base", "table", l.root,
			"version", damage.version, "error", damage.err)
	}
}

// named puts the table in front of an error, once.
func (l *Log) named(err error) error {
	var already *tableError
	if err == nil || errors.As(err, &already) {
		return err
	}
	name := l.root
	if name == "" {
		name = "."
	}
	return &tableError{name, err}
}

// tableError says which table an error is about.
type tableError struct {
	table string
	err   error
}

func (e *tableError) Error() string { return "table " + e.table + ": " + e.err.Error() }
func (e *tableError) Unwrap() error { return e.err }

// listFromHint lists the log from the hinted checkpoint on, or all of it where the hint does not help.
func (l *Log) listFromHint(ctx context.Context, want Version) (*listing, error) {
	h, err := l.readHint(ctx)
	if err != nil {
		return nil, err
	}
	if h == nil || h.version == 0 || (want >= 0 && h.version > want) {
		return l.list(ctx, 0)
	}
	g, err := l.list(ctx, h.version)
	if err != nil {
		return nil, err
	}
	g.date = h.date
	if mutant.On(mutant.HintTrusted) {
		return g, nil
	}
	for _, c := range g.checkpoints {
		if want < 0 || c.version <= want {
			return g, nil
		}
	}
	return l.list(ctx, 0)
}

// Update returns the newest version, read as the commits since s. It returns s itself when there are none.
//
// Errors as in Latest. Cost: one listing and a GET for each commit.
func (l *Log) Update(ctx context.Context, s *Snapshot) (*Snapshot, error) {
	if s == nil {
		return l.Latest(ctx)
	}
	g, err := l.list(ctx, s.version)
	if err != nil {
		return nil, l.named(err)
	}
	if g.newest < s.version {
		return l.Latest(ctx) // the log was replaced or cleaned up below us
	}
	if g.newest == s.version {
		return s, nil
	}
	steps, err := g.steps(s.version+1, g.newest)
	if err != nil || !g.continues(s) {
		return l.Latest(ctx) // what follows may be orphans in room that clean-up made
	}
	next, err := l.replayOnto(ctx, s, &segment{version: g.newest, steps: steps, last: g.commits[g.newest], began: g.began})
	if errors.Is(err, objectstore.ErrNotFound) {
		return l.Latest(ctx) // clean-up took what was listed
	}
	return next, l.named(err)
}

// replay builds a snapshot from a checkpoint and the commits after it, newest first: the first sight of a key wins.
func (l *Log) replay(ctx context.Context, seg *segment) (*Snapshot, error) {
	r := l.newReplay(seg)
	if err := r.commits(ctx, seg.steps); err != nil {
		return nil, err
	}
	if seg.checkpoint != nil {
		if err := r.checkpoint(ctx, *seg.checkpoint); err != nil {
			return nil, err
		}
	}
	return r.finish(ctx, seg)
}

// replayOnto builds a snapshot from an older one and the commits since.
func (l *Log) replayOnto(ctx context.Context, base *Snapshot, seg *segment) (*Snapshot, error) {
	if len(seg.steps) > commitsAhead { // many: they are not kept side by side
		return l.replayOver(ctx, base, seg)
	}
	commits, err := l.readSteps(ctx, seg.steps)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(commits, func(c *Commit) bool { return c.bulk != nil }) {
		return l.replayOver(ctx, base, seg)
	}
	return l.replayCommits(ctx, base, commits, seg)
}

// replayOver builds the columns anew.
func (l *Log) replayOver(ctx context.Context, base *Snapshot, seg *segment) (*Snapshot, error) {
	r := l.newReplay(seg)
	if err := r.commits(ctx, seg.steps); err != nil {
		return nil, err
	}
	if err := r.files(base); err != nil {
		return nil, err
	}
	r.snapshot(base)
	return r.finish(ctx, seg)
}

// replayCommits builds a snapshot from an older one, nil for none, and some commits since, ascending, that were read
// already. It takes time for what the commits hold, not for what the table holds.
func (l *Log) replayCommits(ctx context.Context, base *Snapshot, commits []*Commit, seg *segment) (*Snapshot, error) {
	r := l.newReplay(seg)
	live := newLiveFiles(newFilesBuilder(r.log, 0).build(), nil)
	if base != nil {
		live = base.live
	}
	var err error
	if r.s.live, err = live.after(commits, r.log); err != nil {
		return nil, err
	}
	for i := len(commits) - 1; i >= 0; i-- {
		r.seenAt(commits[i].date)
		r.dated(commits[i])
		var single map[string]Action
		for _, a := range slices.Backward(commits[i].Actions) {
			if err := onlyOne(a, &single); err != nil {
				return nil, fmt.Errorf("version %d: %w", commits[i].Version, err)
			}
			r.state(a)
		}
	}
	if base != nil {
		r.snapshot(base)
	}
	return r.finish(ctx, seg)
}

// replay collects the state of a table from its newest action to its oldest.
type replay struct {
	log        *Log
	s          *Snapshot
	seen       keySet // file keys of the commits
	live       *filesBuilder
	tombstones []*Remove
}

func (l *Log) newReplay(seg *segment) *replay {
	return &replay{
		log:  l,
		live: newFilesBuilder(l, 0),
		s: &Snapshot{
			log: l, version: seg.version, base: seg.base(), loaded: seg.began, asOf: seg.date, created: seg.last.Modified,
			txns: map[string]Txn{}, domains: map[string]DomainMetadata{},
		},
	}
}

// commitsAhead is how many commits are fetched at once.
const commitsAhead = 8

// commits replays steps from the newest to the oldest.
func (r *replay) commits(ctx context.Context, steps []step) error {
	if err := r.log.options.Limits.Check("commits_per_replay", int64(len(steps))); err != nil {
		return err
	}
	for end := len(steps); end > 0; {
		begin := max(0, end-commitsAhead)
		batch, err := r.log.readSteps(ctx, steps[begin:end])
		if err != nil {
			return err
		}
		for i := len(batch) - 1; i >= 0; i-- {
			r.seenAt(batch[i].date)
			if err := r.commit(batch[i]); err != nil {
				return fmt.Errorf("version %d: %w", batch[i].Version, err)
			}
		}
		end = begin
	}
	return nil
}

// seenAt takes note of the store's clock in a reply: the oldest one dates the snapshot.
func (r *replay) seenAt(date time.Time) {
	if !date.IsZero() && (r.s.asOf.IsZero() || date.Before(r.s.asOf)) {
		r.s.asOf = date
	}
}

// readSteps fetches some commits side by side.
func (l *Log) readSteps(ctx context.Context, steps []step) ([]*Commit, error) {
	out, errs := make([]*Commit, len(steps)), make([]error, len(steps))
	var wg sync.WaitGroup
	for i, st := range steps {
		wg.Go(func() { out[i], errs[i] = l.readReplay(ctx, st.to, st.key) })
	}
	wg.Wait()
	return out, firstError(errs...)
}

// commit replays one commit, last line first, so that a later line of a careless writer wins.
func (r *replay) commit(c *Commit) error {
	r.dated(c)
	if c.bulk != nil {
		return r.bulk(c.bulk)
	}
	var single map[string]Action
	for i := len(c.Actions) - 1; i >= 0; i-- {
		if err := onlyOne(c.Actions[i], &single); err != nil {
			return fmt.Errorf("version %d: %w", c.Version, err)
		}
		if err := r.action(c.Actions[i], true); err != nil {
			return err
		}
	}
	return nil
}

// onlyOne refuses a second protocol or metaData in one commit or checkpoint that differs from the first: readers do not
// agree which of them holds, so that one could be shown another table than the next.
func onlyOne(a Action, seen *map[string]Action) error {
	kind := ""
	switch a.(type) {
	case *Protocol:
		kind = "protocol"
	case *Metadata:
		kind = "metaData"
	default:
		return nil
	}
	if first := (*seen)[kind]; first != nil && !reflect.DeepEqual(first, a) {
		return corrupt("two actions %s, which differ", kind)
	}
	if *seen == nil {
		*seen = map[string]Action{}
	}
	(*seen)[kind] = a
	return nil
}

// dated takes the time of the newest version from its commit.
func (r *replay) dated(c *Commit) {
	if c.Version == r.s.version {
		r.s.inCommit = c.inCommit()
		r.s.timestamp = c.Timestamp
	}
}

// state takes in an action that is not about files.
func (r *replay) state(a Action) {
	switch a := a.(type) {
	case *Protocol:
		if r.s.protocol == nil {
			r.s.protocol = a
		}
	case *Metadata:
		if r.s.metadata == nil {
			r.s.metadata = a
		}
	case *Txn:
		if _, seen := r.s.txns[a.AppID]; !seen {
			r.s.txns[a.AppID] = *a
		}
	case *DomainMetadata:
		if _, seen := r.s.domains[a.Domain]; !seen {
			r.s.domains[a.Domain] = *a
		}
	}
}

// action takes one action in. Keys of commits are remembered, those of the base need not be.
func (r *replay) action(a Action, remember bool) error {
	switch a := a.(type) {
	case *Add:
		first, err := r.first(a.Path, a.DeletionVector, remember)
		if err != nil || !first {
			return err
		}
		if n := int64(r.live.files.Len()) + 1; n > r.log.options.Limits.CheckpointRows {
			return limits.Over("checkpoint_rows", n, r.log.options.Limits.CheckpointRows)
		}
		r.live.add(a)
	case *Remove:
		first, err := r.first(a.Path, a.DeletionVector, remember)
		if err != nil || !first {
			return err
		}
		r.tombstones = append(r.tombstones, a)
	default:
		r.state(a)
	}
	return nil
}

// first tells whether the file is met for the first time.
func (r *replay) first(path string, d *DeletionVectorDescriptor, remember bool) (bool, error) {
	key, err := fileKey(path, d)
	if err != nil {
		return false, err
	}
	if remember {
		return r.seen.add(key), nil
	}
	return !r.seen.has(key), nil
}

// files takes over the files of an older snapshot that the commits since have not replaced.
func (r *replay) files(base *Snapshot) error {
	old := base.live.all()
	for i := range old.files.Len() {
		first, err := r.first(old.files.Path(i), old.files.DeletionVector(i), false)
		if err != nil {
			return err
		}
		if first {
			r.live.copyFrom(old.files, i)
		}
	}
	for _, t := range old.tombstones {
		if err := r.action(t, false); err != nil {
			return err
		}
	}
	return nil
}

// snapshot takes over from an older snapshot what the commits since have not replaced, except for files.
func (r *replay) snapshot(base *Snapshot) {
	r.s.base = base.base
	if r.s.protocol == nil {
		r.s.protocol = base.protocol
	}
	if r.s.metadata == nil {
		r.s.metadata = base.metadata
	}
	r.s.txns = overlaid(base.txns, r.s.txns)
	r.s.domains = overlaid(base.domains, r.s.domains)
	if r.s.metadata == base.metadata {
		r.s.schema, r.s.schemaErr, r.s.mapping = base.schema, base.schemaErr, base.mapping
	}
}

// overlaid is older with what newer says instead. Both are left as they are.
func overlaid[V any](older, newer map[string]V) map[string]V {
	if len(newer) == 0 {
		return older
	}
	out := make(map[string]V, len(older)+len(newer))
	maps.Copy(out, older)
	maps.Copy(out, newer)
	return out
}

// finish closes the snapshot.
func (r *replay) finish(ctx context.Context, seg *segment) (*Snapshot, error) {
	s := r.s
	maps.DeleteFunc(s.domains, func(_ string, d DomainMetadata) bool { return d.Removed })
	if s.live == nil {
		s.live = newLiveFiles(r.live.build(), r.tombstones)
	}
	if err := s.finish(); err != nil {
		return nil, err
	}
	if !s.timestamp.IsZero() {
		if !s.inCommitTimestamps() && seg.last.Key != "" {
			s.timestamp = seg.last.Modified.UTC()
		}
		return s, nil
	}
	// The version's own commit was not replayed: the checkpoint covers it, or a compaction.
	switch {
	case s.inCommitTimestamps() && seg.last.Key != "":
		c, err := r.log.readCommit(ctx, s.version, seg.last.Key)
		if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
			return nil, err
		}
		if err == nil {
			s.inCommit, s.timestamp = c.inCommit(), c.Timestamp
		}
	case seg.last.Key != "":
		s.timestamp = seg.last.Modified.UTC()
	case seg.checkpoint != nil && seg.checkpoint.version == s.version:
		s.timestamp = seg.checkpoint.objects[0].Modified.UTC()
	}
	if s.timestamp.IsZero() {
		s.timestamp = time.UnixMilli(0).UTC()
	}
	return s, nil
}

// checkpointError marks a checkpoint whose bytes cannot be decoded: an older base may serve.
type checkpointError struct {
	version Version
	err     error
}

func (e *checkpointError) Error() string {
	return fmt.Sprintf("%v: checkpoint %d: %v", ErrCorruptLog, e.version, e.err)
}

func (e *checkpointError) Unwrap() []error { return []error{ErrCorruptLog, e.err} }
