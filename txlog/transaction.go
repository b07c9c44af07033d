package txlog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/objectstore"
)

// Operation is what commitInfo says about a change.
type Operation struct {
	Name         string            // "WRITE", "MERGE", …
	Parameters   map[string]string // values are JSON texts, as Spark writes them
	Metrics      map[string]string // numbers as texts
	UserMetadata string
	Tags         map[string]string
	Extra        map[string]json.RawMessage // further fields of commitInfo, "lake" for example
	// BlindAppend says that the change depends on nothing in the table. It is recorded only where the staged
	// actions and the reads agree.
	BlindAppend bool
}

// Transaction is one change of a table: what it read, what it writes, and the commit that makes it visible.
// It is not safe for concurrent use, and it ends with Commit, whatever comes of it.
type Transaction struct {
	log     *Log
	base    *Snapshot // nil: the table is created
	op      Operation
	txnID   string
	actions []Action
	reads   readSet
	fences  []func(*Snapshot) error
	ended   bool
	sent    attempt // what the last PUT was made of
}

// attempt is a commit as it was put: on top of what, and with which actions.
type attempt struct {
	base    *Snapshot // nil: the table is created
	info    *CommitInfo
	actions []Action
}

// readSet is what a change depends on.
type readSet struct {
	whole      bool
	predicates []*Predicate
	files      map[string]bool // canonical paths
	appIDs     map[string]bool
}

// Committed is a change that is visible.
type Committed struct {
	Version  Version
	TxnID    string
	Attempts int       // versions that were tried
	Winners  []Version // commits of others that were found harmless on the way
	Snapshot *Snapshot // the table as of Version where that is known without reading the log again, else nil
	Warnings []error   // what went wrong after the commit point, a checkpoint for example; the change stands
}

// Begin starts a change on top of a snapshot; nil creates the table at version 0.
func (l *Log) Begin(s *Snapshot, op Operation) *Transaction {
	return &Transaction{
		log: l, base: s, op: op, txnID: clock.NewUUID(l.options.Rand),
		reads: readSet{files: map[string]bool{}, appIDs: map[string]bool{}},
	}
}

// TxnID identifies the work in the log: it is the same in every attempt.
func (t *Transaction) TxnID() string { return t.txnID }

// ReadWhole says that the change depends on every file.
func (t *Transaction) ReadWhole() { t.reads.whole = true }

// ReadPredicate says that the change depends on the rows that match p, found in the files with these indexes.
// A nil p matches every row.
func (t *Transaction) ReadPredicate(p *Predicate, files ...int) {
	if p == nil {
		p = &Predicate{Op: OpTrue}
	}
	t.reads.predicates = append(t.reads.predicates, p)
	t.ReadFiles(files...)
}

// ReadFiles says that the change depends on files of the snapshot.
func (t *Transaction) ReadFiles(idx ...int) {
	for _, i := range idx {
		t.reads.files[canonicalPath(t.base.Files().Path(i))] = true
	}
}

// ReadAppID says that the change depends on the progress of an application. Writing it says so as well.
func (t *Transaction) ReadAppID(id string) { t.reads.appIDs[id] = true }

// Stage adds actions to the change. CommitInfo is made by Commit. The actions belong to the transaction from now on.
func (t *Transaction) Stage(a ...Action) { t.actions = append(t.actions, a...) }

// SetMetrics replaces the operation's metrics.
func (t *Transaction) SetMetrics(m map[string]string) { t.op.Metrics = m }

// Fence adds a condition that must hold on every newer snapshot that a rebase lands on. Its error ends the commit
// before the next PUT. The function may be called several times, on the goroutine of Commit.
func (t *Transaction) Fence(f func(*Snapshot) error) { t.fences = append(t.fences, f) }

// Commit makes the change visible, exactly once, or not at all.
//
// Errors: [ErrInvalidCommit], [ErrUnsupportedFeature], [ErrPathEscape] and *limits.Error before anything is sent;
// *ConflictError; the error of a fence; [ErrConcurrentWrite]; [ErrUnknown]; the errors of the store.
// Cost: one PUT; after a lost race a GET for each winner and one more, and the next PUT. Where races are lost again, a
// wait of random length comes before, of two seconds at most.
// Nothing after the commit point is an error: see Committed.Warnings.
func (t *Transaction) Commit(ctx context.Context) (*Committed, error) {
	if t.ended {
		return nil, fmt.Errorf("%w: the transaction has ended", ErrInvalidCommit)
	}
	t.ended = true
	done, err := t.commit(ctx)
	if err != nil {
		return nil, t.log.named(err)
	}
	done.Warnings = append(done.Warnings, t.log.afterCommit(ctx, t.sent, done)...)
	if len(done.Warnings) > 0 && mutant.On(mutant.ErrorAfterCommit) {
		return nil, done.Warnings[0]
	}
	return done, nil
}

func (t *Transaction) commit(ctx context.Context) (*Committed, error) {
	if err := t.base.statsLost(); err != nil {
		return nil, err
	}
	for _, a := range t.actions {
		if txn, ok := a.(*Txn); ok {
			t.reads.appIDs[txn.AppID] = true
		}
	}
	if err := t.validate(); err != nil {
		return nil, err
	}
	now, seen := t.base, t.base.seenAt()
	if now == nil {
		seen.loaded = t.log.options.Clock.Now()
		if err := t.checkAbsent(ctx); err != nil {
			return nil, err
		}
	}
	done := &Committed{TxnID: t.txnID}
	for done.Attempts < int(t.log.options.Limits.CommitRaces) {
		done.Attempts++
		if now != nil && t.log.stale(seen) {
			var err error
			if now, seen, err = t.refresh(ctx, now, done); err != nil {
				return nil, err
			}
		}
		done.Version = 0
		if now != nil {
			done.Version = now.version + 1
		}
		body, err := t.body(now)
		if err != nil {
			return nil, err
		}
		began := t.log.options.Clock.Now()
		c := t.log.settle(ctx, done.Version, t.txnID, body)
		if c.err != nil {
			return nil, c.err
		}
		late := t.log.late(seen, c.date)
		if c.outcome == OutcomeCommitted && !late {
			done.Snapshot = t.after(ctx, now, c, began)
			return done, nil
		}
		if c.outcome == OutcomeConflict {
			if err := t.yield(ctx, done.Attempts); err != nil {
				return nil, err
			}
		}
		if c.winner != nil && now != nil {
			next, err := t.catchUp(ctx, now, c.winner, seen, began, done)
			if err != nil {
				return nil, err
			}
			if next != nil {
				now, seen = next, sighting{loaded: began, asOf: c.winner.date}
				continue
			}
		}
		g, err := t.log.list(ctx, done.Version)
		if late {
			err = g.believe(done.Version, err)
		}
		if err != nil {
			return nil, err
		}
		if c.outcome == OutcomeCommitted {
			return done, nil
		}
		next, ours, err := t.rebase(ctx, now, g, heard{seen, late}, done)
		if err != nil {
			return nil, err
		}
		if ours >= 0 { // a late copy of our own PUT
			done.Version = ours
			return done, nil
		}
		now, seen = next, sighting{loaded: g.began, asOf: c.date}
	}
	return nil, fmt.Errorf("%w: %d of them", ErrConcurrentWrite, done.Attempts)
}

// checkAbsent refuses to create a table where one is, even one whose first commits were cleaned up.
func (t *Transaction) checkAbsent(ctx context.Context) error {
	g, err := t.log.list(ctx, 0)
	if err != nil {
		return err
	}
	if g.newest >= 0 {
		return &ConflictError{Err: ErrProtocolChanged, Version: g.newest}
	}
	return nil
}

// rebase checks the change against everything that was committed since now, as g lists it, and returns the newest
// snapshot. ours is the version that turned out to be this very change, -1 for none.
func (t *Transaction) rebase(ctx context.Context, now *Snapshot, g *listing, h heard, done *Committed) (next *Snapshot, ours Version, err error) {
	from := Version(0)
	if now != nil {
		from = now.version + 1
	}
	steps, err := g.steps(from, g.newest)
	if err != nil {
		return nil, -1, err
	}
	if len(steps) == 0 {
		return nil, -1, fmt.Errorf("%w: version %d was taken and is not listed", ErrVersionGap, from)
	}
	winners := make([]*Commit, 0, len(steps))
	for _, st := range steps {
		if st.from != st.to {
			return nil, -1, fmt.Errorf("%w: commit %d", ErrHistoryGone, st.from)
		}
		winner, err := t.log.readCommit(ctx, st.to, st.key)
		if err != nil {
			return nil, -1, err
		}
		if err := t.log.checkWinner(winner, g, from, &h); err != nil {
			return nil, -1, err
		}
		if own, err := t.lostTo(winner, done); own || err != nil {
			return nil, st.to, err
		}
		winners = append(winners, winner)
	}
	newest := winners[len(winners)-1].Version
	// The next snapshot ends with the last winner that was checked. A fresh listing might already know a later one,
	// and the change would slip past it unchecked.
	next, err = t.log.replayCommits(ctx, now, winners, &segment{version: newest, last: g.commits[newest], began: g.began})
	if err != nil {
		return nil, -1, err
	}
	return next, -1, t.fence(next)
}

// after is the table as the commit has left it, without another look at the log; nil where that would take long, or
// where doubt was settled and nobody knows since when the commit has been there.
func (t *Transaction) after(ctx context.Context, now *Snapshot, c *settling, began time.Time) *Snapshot {
	info := c.put
	if info.Modified.IsZero() {
		info.Modified = c.put.Date
	}
	if info.Modified.IsZero() || len(t.sent.actions) > pendingMost {
		return nil
	}
	own, err := t.log.commitOf(c.version, bytes.NewReader(c.body), info, false, false)
	if err != nil {
		return nil
	}
	seg := &segment{version: c.version, began: began, date: info.Date, last: objectstore.Info{Modified: info.Modified}}
	s, err := t.log.replayCommits(ctx, now, []*Commit{own}, seg)
	if err != nil { // nothing after the commit point is an error: whoever needs the snapshot reads it
		return nil
	}
	return s
}

// body is the text of the commit on top of now; commitInfo comes first.
func (t *Transaction) body(now *Snapshot) ([]byte, error) {
	info := t.info(now)
	actions, err := t.numbered(now)
	if err != nil {
		return nil, err
	}
	actions = t.timed(now, info, actions)
	t.sent = attempt{now, info, actions}
	bound := t.log.options.Limits
	var body []byte
	for _, a := range slices.Concat([]Action{info}, actions) {
		if _, isTxn := a.(*Txn); isTxn && mutant.On(mutant.TxnLeftOut) {
			continue
		}
		line, err := EncodeAction(a)
		if err != nil {
			return nil, err
		}
		if err := bound.Check("log_line_bytes", int64(len(line))); err != nil {
			return nil, err
		}
		body = append(append(body, line...), '\n')
		if err := bound.Check("commit_bytes", int64(len(body))); err != nil {
			return nil, err
		}
	}
	return body, nil
}

func (t *Transaction) info(now *Snapshot) *CommitInfo {
	clockNow := t.log.options.Clock.Now().UnixMilli()
	blind := t.blind()
	info := &CommitInfo{
		Timestamp: clockNow, Operation: t.op.Name, OperationParameters: maps.Clone(t.op.Parameters),
		IsolationLevel: t.isolation().String(), IsBlindAppend: &blind, OperationMetrics: maps.Clone(t.op.Metrics),
		EngineInfo: t.log.options.EngineInfo, TxnID: t.txnID, UserMetadata: t.op.UserMetadata,
		Tags: t.op.Tags, Extra: t.op.Extra,
	}
	if info.OperationParameters == nil {
		info.OperationParameters = map[string]string{}
	}
	if info.OperationMetrics == nil {
		info.OperationMetrics = map[string]string{}
	}
	if t.base != nil {
		read := t.base.version
		info.ReadVersion = &read
	}
	p, m := t.inForce(now)
	if p.Supports(FeatureRowTracking) && isTrue(m.Configuration, RowTrackingKey) {
		// Whatever moves rows in a table moves their ids with them.
		info.Tags = maps.Clone(t.op.Tags)
		if info.Tags == nil {
			info.Tags = map[string]string{}
		}
		info.Tags["delta.rowTracking.preserved"] = "true"
	}
	if p.Supports(FeatureInCommitTimestamp) && isTrue(m.Configuration, "delta.enableInCommitTimestamps") {
		own := clockNow
		if now != nil {
			last := now.timestamp.UnixMilli()
			if now.inCommit != nil {
				last = *now.inCommit
			}
			own = max(own, last+1)
		}
		info.InCommitTimestamp = &own
	}
	return info
}

// inForce is the protocol and metadata as they are once the change is committed on top of now.
func (t *Transaction) inForce(now *Snapshot) (*Protocol, *Metadata) {
	p, m := &Protocol{}, &Metadata{}
	if now != nil {
		p, m = now.protocol, now.metadata
	}
	for _, a := range t.actions {
		switch a := a.(type) {
		case *Protocol:
			p = a
		case *Metadata:
			m = a
		}
	}
	return p, m
}

// blind tells whether the change is a blind append: it adds files and read nothing of the table.
func (t *Transaction) blind() bool {
	if !t.op.BlindAppend || t.reads.whole || len(t.reads.predicates) > 0 || len(t.reads.files) > 0 {
		return false
	}
	adds := false
	for _, a := range t.actions {
		switch a.(type) {
		case *Add:
			adds = true
		case *Remove, *CDC:
			return false
		}
	}
	return adds
}

// afterCommit does what follows a commit and may fail without harm: the version checksum, a compaction, the checkpoint that is due,
// and the clean-up after it.
func (l *Log) afterCommit(ctx context.Context, sent attempt, done *Committed) (warnings []error) {
	if ctx.Err() != nil {
		return nil
	}
	v := done.Version
	defer func() {
		for _, w := range warnings {
			l.options.Logger.WarnContext(ctx, "after commit", "table", l.root, "version", v, "error", w)
		}
	}()
	if err := l.writeChecksum(ctx, v, sent.base, sent.info, sent.actions); err != nil {
		warnings = append(warnings, err)
	}
	if n := l.compactionInterval(sent.base); n > 1 && (v+1)%n == 0 {
		if err := l.Compact(ctx, v+1-n, v); err != nil {
			warnings = append(warnings, err)
		}
	}
	if sent.base == nil || v%checkpointInterval(sent.base.metadata.Configuration) != 0 {
		return warnings
	}
	start := l.options.Clock.Now()
	s, err := done.Snapshot, error(nil)
	if s == nil {
		s, err = l.At(ctx, v)
	}
	if err == nil {
		err = l.Checkpoint(ctx, s)
	}
	if err != nil {
		return append(warnings, fmt.Errorf("checkpoint %d: %w", v, err))
	}
	l.options.Logger.DebugContext(ctx, "checkpoint written", "table", l.root, "version", v,
		"took", clock.Since(l.options.Clock, start).Round(time.Millisecond))
	if err := l.cleanUpSometimes(ctx, s); err != nil {
		warnings = append(warnings, err)
	}
	return warnings
}

// operationChangesData tells whether an operation changes rows even when its files say otherwise.
func operationChangesData(name string) bool {
	switch strings.ToUpper(name) {
	case "OPTIMIZE", "REORG", "VACUUM START", "VACUUM END", "COMPUTE STATS", "CLUSTER":
		return false
	}
	return true
}
