package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// logObjects are the objects of _delta_log by what their names say. It is read apart from package txlog on purpose:
// a second reading finds what the first one overlooks.
type logObjects struct {
	commits   []txlog.Version                    // ascending
	complete  map[txlog.Version]bool             // versions with a checkpoint that has all its parts
	keys      map[txlog.Version][]string         // all objects of checkpoints, by version
	parts     map[txlog.Version]map[int]int      // multi-part checkpoints: parts wanted, parts there
	compacted []struct{ from, to txlog.Version } //
	hint      string                             // key, "" when there is none
	infos     map[txlog.Version]objectstore.Info // of commits
}

func (o *logObjects) add(name string, info objectstore.Info) {
	if name == "_last_checkpoint" {
		o.hint = info.Key
		return
	}
	if len(name) <= 20 {
		return
	}
	n, err := strconv.ParseUint(name[:20], 10, 63)
	if err != nil {
		return
	}
	v, rest := txlog.Version(n), name[20:]
	switch {
	case rest == ".json":
		o.commits = append(o.commits, v)
		o.infos[v] = info
	case strings.HasPrefix(rest, ".checkpoint."):
		o.keys[v] = append(o.keys[v], info.Key)
		of, part := partsOf(name)
		switch {
		case !part:
			o.complete[v] = true
		case of > 0:
			if o.parts[v] == nil {
				o.parts[v] = map[int]int{}
			}
			o.parts[v][of]++
		}
	case strings.HasSuffix(rest, ".compacted.json") && len(rest) == 36:
		if to, err := strconv.ParseUint(rest[1:21], 10, 63); err == nil {
			o.compacted = append(o.compacted, struct{ from, to txlog.Version }{v, txlog.Version(to)})
		}
	}
}

// partsOf tells whether a name is that of a part of a checkpoint, and of how many; 0 where that cannot be read.
func partsOf(name string) (of int, part bool) {
	_, rest, _ := strings.Cut(name, ".checkpoint.")
	middle := strings.Split(rest, ".")
	if len(middle) != 3 || len(middle[1]) != 10 {
		return 0, false
	}
	of, err := strconv.Atoi(middle[1])
	if err != nil {
		of = 0
	}
	return of, true
}

// covered tells whether a compaction stands for a version whose commit is gone.
func (o *logObjects) covered(v txlog.Version) bool {
	for _, c := range o.compacted {
		if c.from <= v && v <= c.to {
			return true
		}
	}
	return false
}

// listLog reads the names in _delta_log and judges what they say alone.
func (c *checking) listLog(ctx context.Context) error {
	o := &c.found
	*o = logObjects{
		complete: map[txlog.Version]bool{}, keys: map[txlog.Version][]string{}, parts: map[txlog.Version]map[int]int{},
		infos: map[txlog.Version]objectstore.Info{},
	}
	prefix := c.log.Key("_delta_log/")
	n, bound := int64(0), c.options.limits()
	for info, err := range c.log.Store().List(ctx, prefix, "") {
		if err != nil {
			return fmt.Errorf("list log: %w", err)
		}
		n++
		if err := bound.Check("log_objects", n); err != nil {
			return err
		}
		o.add(strings.TrimPrefix(info.Key, prefix), info)
	}
	for v, sets := range o.parts {
		for of, have := range sets {
			if have == of {
				o.complete[v] = true
			} else {
				c.find(CheckpointPartGone, at(v), "%d of %d parts are there", have, of)
			}
		}
	}
	if len(o.commits) == 0 && len(o.complete) == 0 {
		return txlog.ErrNotATable
	}
	slices.Sort(o.commits)
	c.gaps()
	return nil
}

// gaps finds versions that should be there. Log clean-up takes the oldest first, so below the newest gap only a whole
// beginning of the log can be right; what is left of one was written too late.
func (c *checking) gaps() {
	o := &c.found
	oldestComplete := txlog.Version(-1)
	for v := range o.complete {
		if oldestComplete < 0 || v < oldestComplete {
			oldestComplete = v
		}
	}
	start := len(o.commits) - 1 // of the newest run without a gap
	for start > 0 && (o.commits[start-1] == o.commits[start]-1 || o.covered(o.commits[start]-1)) {
		start--
	}
	if start < 0 {
		return
	}
	first := o.commits[start]
	rooted := first == 0 || o.covered(0) && o.covered(first-1)
	for v := range o.complete {
		rooted = rooted || v >= first-1
	}
	switch {
	case start > 0 && o.commits[0] == 0:
		c.missing(o.commits[start-1]+1, first-1)
	case start > 0:
		for _, v := range o.commits[:start] {
			c.find(OrphanCommit, at(v), "older versions than %d were cleaned up, this one came back", first)
		}
		if !rooted {
			c.missing(o.commits[start-1]+1, first-1)
		}
	case !rooted:
		c.missing(max(oldestComplete+1, 0), first-1)
	}
}

func (c *checking) missing(from, to txlog.Version) {
	if from == to {
		c.find(VersionMissing, at(from), "the commit is not there")
		return
	}
	c.find(VersionMissing, at(from), "the commits %d to %d are not there", from, to)
}

// commitReaders bounds the commits that are read at a time.
const commitReaders = 8

// commits reads every commit and what they say about each other.
func (c *checking) commits(ctx context.Context) error {
	read := make([]*txlog.Commit, len(c.found.commits))
	problems := make([]error, len(read))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(commitReaders)
	for i, v := range c.found.commits {
		g.Go(func() error {
			var err error
			if read[i], err = c.log.ReadCommit(gctx, v); refused(err) {
				return err
			}
			if read[i] != nil {
				read[i] = skim(read[i])
			}
			problems[i] = err
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	txnIDs, tasks := map[string]txlog.Version{}, map[string]int64{}
	for i, v := range c.found.commits {
		if problems[i] != nil {
			c.find(CommitDamaged, at(v), "%v", problems[i])
			continue
		}
		c.report.Commits++
		c.commit(v, read[i], txnIDs, tasks)
		c.changes.take(read[i])
	}
	return nil
}

// skim keeps what the check of the commits among themselves wants.
func skim(c *txlog.Commit) *txlog.Commit {
	out := &txlog.Commit{Version: c.Version, Timestamp: c.Timestamp, Info: c.Info}
	for _, a := range c.Actions {
		switch a.(type) {
		case *txlog.Txn, *txlog.CDC:
			out.Actions = append(out.Actions, a)
		default:
		}
	}
	return out
}

func (c *checking) commit(v txlog.Version, commit *txlog.Commit, txnIDs map[string]txlog.Version, tasks map[string]int64) {
	restore := false
	if info := commit.Info; info != nil {
		restore = info.Operation == "RESTORE"
		if first, twice := txnIDs[info.TxnID]; twice && info.TxnID != "" {
			c.find(TxnIDTwice, at(v), "txnId %s is that of version %d too", info.TxnID, first)
		}
		txnIDs[info.TxnID] = v
	}
	for _, a := range commit.Actions {
		t, ok := a.(*txlog.Txn)
		if !ok || !strings.HasPrefix(t.AppID, "lake/") || !strings.HasSuffix(t.AppID, "/task") {
			continue
		}
		if before, had := tasks[t.AppID]; had && t.Version < before && !restore {
			c.find(TaskWentBack, at(v), "%s goes from %d to %d", t.AppID, before, t.Version)
		}
		tasks[t.AppID] = t.Version
	}
}

// latest builds the newest version. Whatever stops it is damage, unless we lack the feature or the store the answer.
func (c *checking) latest(ctx context.Context) error {
	s, err := c.log.Latest(ctx)
	switch {
	case err == nil:
		c.snapshot, c.report.Version = s, s.Version()
		return nil
	case refused(err), errors.Is(err, txlog.ErrUnsupportedFeature):
		return err
	case errors.Is(err, txlog.ErrVersionGap):
		if !slices.ContainsFunc(c.report.Findings, func(f Finding) bool { return f.Class == VersionMissing }) {
			c.find(VersionMissing, "_delta_log", "%v", err)
		}
	case errors.Is(err, txlog.ErrInvalidProtocol), errors.Is(err, txlog.ErrCorruptLog) && strings.Contains(err.Error(), " has no "):
		c.find(StateIncomplete, "_delta_log", "%v", err)
	default:
		c.find(LogUnreadable, "_delta_log", "%v", err)
	}
	return nil
}

// state checks the newest snapshot against itself.
func (c *checking) state(context.Context) error {
	s := c.snapshot
	if s == nil {
		return nil
	}
	seen := map[string]int{}
	files := s.Files()
	vectors := false
	for i := range files.Len() {
		vectors = vectors || files.DeletionVector(i) != nil
		p, err := txlog.DecodePath(files.Path(i))
		if err != nil {
			c.find(PathUnusable, clip(files.Path(i)), "%v", err)
			continue
		}
		if seen[p.Canonical()]++; seen[p.Canonical()] == 2 {
			c.find(FileLiveTwice, objectName(files.Path(i)), "it is live with two deletion vectors")
		}
	}
	c.rowIDs()
	schema, err := s.Schema()
	if refused(err) {
		return err
	}
	if err != nil {
		c.find(StateIncomplete, "metaData", "%v", err)
		return nil
	}
	undeclared := map[string]bool{}
	if vectors && !s.Protocol().Supports("deletionVectors") {
		undeclared["deletionVectors"] = true
	}
	if s.Mapping() != txlog.MappingNone && !s.Protocol().Supports("columnMapping") {
		undeclared["columnMapping"] = true
	}
	if hasKind(schema.Fields, txlog.KindTimestampNTZ) && !s.Protocol().Supports("timestampNtz") {
		undeclared["timestampNtz"] = true
	}
	for _, name := range slices.Sorted(maps.Keys(undeclared)) {
		c.find(FeatureUndeclared, "protocol", "the table uses %s, the protocol does not name it", name)
	}
	return nil
}

// hasKind tells whether a column of this kind occurs, at any level.
func hasKind(fields []txlog.Field, k txlog.Kind) bool {
	var inside func(t *txlog.DataType) bool
	inside = func(t *txlog.DataType) bool {
		switch {
		case t == nil:
			return false
		case t.Kind == k:
			return true
		}
		return hasKind(t.Fields, k) || inside(t.Element) || inside(t.Key) || inside(t.Value)
	}
	return slices.ContainsFunc(fields, func(f txlog.Field) bool { return inside(f.Type) })
}
