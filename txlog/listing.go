package txlog

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/objectstore"
)

// listing is what one pass over _delta_log found. Only names that match a pattern of the protocol exactly count.
type listing struct {
	from        Version                      // the pass began here; older objects were not looked at
	commits     map[Version]objectstore.Info // NNN.json
	checkpoints []checkpointFiles            // complete ones, ascending by version
	compactions []compaction
	leftovers   []leftover // of clean-up's interest alone
	newest      Version    // newest version that a commit, a compaction or a checkpoint reaches; -1 for none
	began       time.Time  // our clock before the pass
	date        time.Time  // the store's clock before the pass; zero where no reply told
}

// checkpointFiles are the objects of one complete checkpoint.
type checkpointFiles struct {
	version Version
	kind    checkpointKind
	objects []objectstore.Info // one, or all parts in order
}

type checkpointKind uint8

// The later kind is preferred among checkpoints of one version: least work for the reader first wins ties.
const (
	checkpointParts checkpointKind = iota
	checkpointClassic
	checkpointUUIDJSON
	checkpointUUIDParquet
)

// compaction is a log compaction file that covers the commits from..to.
type compaction struct {
	from, to Version
	info     objectstore.Info
}

// leftover is an object of a version that builds nothing: its checksum, or a part of an incomplete checkpoint.
type leftover struct {
	version Version
	info    objectstore.Info
}

const versionDigits = 20

// list lists _delta_log from version from on.
func (l *Log) list(ctx context.Context, from Version) (*listing, error) {
	out := &listing{from: from, commits: map[Version]objectstore.Info{}, newest: -1, began: l.options.Clock.Now()}
	prefix := l.Key(logFolder)
	after := ""
	if from > 0 {
		after = fmt.Sprintf("%s%020d", prefix, from)
	}
	parts := map[Version]map[int]map[int]objectstore.Info{} // version, number of parts, part
	var seen int64
	for info, err := range l.store.List(ctx, prefix, after) {
		if err != nil {
			return nil, fmt.Errorf("list log: %w", err)
		}
		seen++
		if err := l.options.Limits.Check("log_objects", seen); err != nil {
			return nil, err
		}
		name := info.Key[len(prefix):]
		if name > ":" { // behind all names that begin with a digit
			break
		}
		v, rest, ok := cutVersion(name)
		if !ok {
			continue
		}
		out.classify(v, rest, info, parts)
	}
	for v, sets := range parts {
		for of, have := range sets {
			if len(have) != of && !mutant.On(mutant.HoleRead) {
				for _, info := range have {
					out.leftovers = append(out.leftovers, leftover{v, info})
				}
				continue
			}
			c := checkpointFiles{version: v, kind: checkpointParts}
			for _, p := range slices.Sorted(maps.Keys(have)) {
				c.objects = append(c.objects, have[p])
			}
			out.checkpoints = append(out.checkpoints, c)
		}
	}
	slices.SortFunc(out.checkpoints, func(a, b checkpointFiles) int {
		switch {
		case a.version != b.version:
			return int(min(max(a.version-b.version, -1), 1))
		case a.kind != b.kind:
			return int(a.kind) - int(b.kind)
		}
		return strings.Compare(a.objects[0].Key, b.objects[0].Key)
	})
	for v := range out.commits {
		out.newest = max(out.newest, v)
	}
	for _, c := range out.compactions {
		out.newest = max(out.newest, c.to)
	}
	if n := len(out.checkpoints); n > 0 {
		out.newest = max(out.newest, out.checkpoints[n-1].version)
	}
	return out, nil
}

// classify files one name away; rest is what follows the version.
func (g *listing) classify(v Version, rest string, info objectstore.Info, parts map[Version]map[int]map[int]objectstore.Info) {
	switch rest {
	case ".json":
		g.commits[v] = info
		return
	case ".checkpoint.parquet":
		g.checkpoints = append(g.checkpoints, checkpointFiles{v, checkpointClassic, []objectstore.Info{info}})
		return
	case ".crc":
		g.leftovers = append(g.leftovers, leftover{v, info})
		return
	}
	if to, tail, ok := cutVersion(strings.TrimPrefix(rest, ".")); ok && tail == ".compacted.json" && rest[0] == '.' && to > v {
		g.compactions = append(g.compactions, compaction{v, to, info})
		return
	}
	middle, ok := strings.CutPrefix(rest, ".checkpoint.")
	if !ok {
		return
	}
	if name, ok := strings.CutSuffix(middle, ".parquet"); ok {
		if p, of, ok := partOf(name); ok {
			if parts[v] == nil {
				parts[v] = map[int]map[int]objectstore.Info{}
			}
			if parts[v][of] == nil {
				parts[v][of] = map[int]objectstore.Info{}
			}
			parts[v][of][p] = info
		} else if uuidName(name) {
			g.checkpoints = append(g.checkpoints, checkpointFiles{v, checkpointUUIDParquet, []objectstore.Info{info}})
		}
	} else if name, ok := strings.CutSuffix(middle, ".json"); ok && uuidName(name) {
		g.checkpoints = append(g.checkpoints, checkpointFiles{v, checkpointUUIDJSON, []objectstore.Info{info}})
	}
}

// cutVersion reads the twenty digits at the start of a name.
func cutVersion(name string) (v Version, rest string, ok bool) {
	if len(name) <= versionDigits {
		return 0, "", false
	}
	for i := range versionDigits {
		if name[i] < '0' || name[i] > '9' {
			return 0, "", false
		}
	}
	n, err := strconv.ParseInt(name[:versionDigits], 10, 64)
	if err != nil || n > 1<<62 {
		return 0, "", false
	}
	return Version(n), name[versionDigits:], true
}

// partOf reads "0000000001.0000000003".
func partOf(name string) (part, of int, ok bool) {
	a, b, two := strings.Cut(name, ".")
	if !two || len(a) != 10 || len(b) != 10 {
		return 0, 0, false
	}
	p, err1 := strconv.ParseUint(a, 10, 31)
	n, err2 := strconv.ParseUint(b, 10, 31)
	return int(p), int(n), err1 == nil && err2 == nil && p >= 1 && p <= n
}

// uuidName accepts the text form of a UUID.
func uuidName(name string) bool {
	if len(name) != 36 {
		return false
	}
	for i := range len(name) {
		c := name[i]
		hex := c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash && c != '-' || !dash && !hex {
			return false
		}
	}
	return true
}

// segment is the part of the log that builds one version: a base and what follows it.
type segment struct {
	version    Version
	checkpoint *checkpointFiles // nil: from the first commit
	steps      []step           // ascending, without a gap, up to version
	last       objectstore.Info // the JSON of version; zero Key when it is gone
	began      time.Time        // as in listing
	date       time.Time
}

// step is a commit, or a compaction where commits are gone.
type step struct {
	from, to Version
	key      string
}

// base is the version of the checkpoint, -1 without one.
func (s *segment) base() Version {
	if s.checkpoint == nil {
		return -1
	}
	return s.checkpoint.version
}

// gapError says which version is missing.
type gapError struct{ missing Version }

func (e *gapError) Error() string {
	return fmt.Sprintf("%v: version %d is missing", ErrVersionGap, e.missing)
}
func (e *gapError) Unwrap() error { return ErrVersionGap }

// segmentFor picks the newest complete checkpoint not above want and the commits after it. Versions in bad are
// checkpoints that turned out to be unreadable. want < 0 means the newest version.
func (g *listing) segmentFor(want Version, bad map[Version]bool) (*segment, error) {
	if g.newest < 0 {
		return nil, ErrNotATable
	}
	if want < 0 {
		want = g.newest
	}
	if want > g.newest {
		return nil, fmt.Errorf("%w: version %d, the newest is %d", ErrVersionNotFound, want, g.newest)
	}
	s := &segment{version: want, last: g.commits[want], began: g.began, date: g.date}
	for i := len(g.checkpoints) - 1; i >= 0; i-- {
		if c := &g.checkpoints[i]; c.version <= want && !bad[c.version] {
			s.checkpoint = c
			break
		}
	}
	if s.checkpoint == nil && g.from == 0 {
		if _, has := g.commits[0]; !has {
			return nil, g.gone(want)
		}
	}
	steps, err := g.steps(s.base()+1, want)
	var gap *gapError
	if errors.As(err, &gap) && g.from == 0 && g.cleanedUp(gap.missing) {
		err = g.gone(want)
	}
	if err != nil {
		return nil, err
	}
	s.steps = steps
	return s, nil
}

// steps covers from..to with commits, and with compactions where commits are missing.
func (g *listing) steps(from, to Version) ([]step, error) {
	var out []step
	for v := from; v <= to; {
		if info, ok := g.commits[v]; ok {
			out = append(out, step{v, v, info.Key})
			v++
			continue
		}
		best := -1
		for i, c := range g.compactions {
			if c.from == v && c.to <= to && (best < 0 || c.to > g.compactions[best].to) {
				best = i
			}
		}
		if best < 0 {
			return nil, &gapError{missing: v}
		}
		c := g.compactions[best]
		out = append(out, step{c.from, c.to, c.info.Key})
		v = c.to + 1
	}
	return out, nil
}

// cleanedUp tells whether a commit is missing because the log begins after it. A whole log is needed to tell.
func (g *listing) cleanedUp(missing Version) bool {
	for v := range g.commits {
		if v < missing {
			return false
		}
	}
	return true
}

// oldest is the first version from which on every version can be built; -1 where not even the newest can. A whole log
// is needed to tell.
func (g *listing) oldest() Version {
	first := g.newest
	for first > 0 {
		if _, ok := g.commits[first]; !ok {
			break
		}
		first--
	}
	if _, ok := g.commits[0]; ok && first == 0 {
		return 0
	}
	for _, c := range g.checkpoints { // ascending; the commits after version first are all there
		if c.version >= first {
			return c.version
		}
	}
	return -1
}

// gone explains why a version cannot be built and names the oldest one that can.
func (g *listing) gone(want Version) error {
	if v := g.oldest(); v >= 0 {
		return fmt.Errorf("%w: version %d; the oldest that is left is %d", ErrHistoryGone, want, v)
	}
	return fmt.Errorf("%w: version %d: neither the first commit nor a complete checkpoint is left", ErrHistoryGone, want)
}
