package txlog

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/lakectl/lakectl/internal/limits"
)

// liveFiles are the files and the tombstones of a snapshot. A writer that loses races meets a new version every few
// milliseconds and asks each for a few paths and sums only. So a snapshot that is a few commits on from another shares
// the columns of that one and keeps the commits beside them, until somebody asks for all of its files.
type liveFiles struct {
	once  sync.Once
	from  atomic.Pointer[pendingFiles] // nil once built is set
	built atomic.Pointer[builtFiles]
}

// pendingFiles are columns and the commits since, the newest first; nil for none.
type pendingFiles struct {
	*builtFiles
	newest *pendingCommit
}

// builtFiles are columns, and the removes that came before.
type builtFiles struct {
	files      *Files
	tombstones []*Remove

	once sync.Once
	sum  fileSums
}

// pendingCommit is the part of a commit that is about files.
type pendingCommit struct {
	older   *pendingCommit
	actions []Action // adds and removes, in the order of the commit
	keys    []string // of actions; see fileKey
	paths   map[string][]int
	count   int // actions of this one and of all older ones
}

// pendingMost bounds what is kept beside the columns: asking for a path looks at each pending commit.
const pendingMost = 512

func newLiveFiles(files *Files, tombstones []*Remove) *liveFiles {
	l := &liveFiles{}
	l.built.Store(&builtFiles{files: files, tombstones: tombstones})
	return l
}

// after is the files as they are after more commits, ascending by version. Nothing is copied unless the commits are
// large or many.
//
// Errors: [ErrPathEscape], [ErrCorruptLog], *limits.Error.
func (l *liveFiles) after(commits []*Commit, log *Log) (*liveFiles, error) {
	next := l.parts()
	for _, c := range commits {
		p := &pendingCommit{older: next.newest, paths: map[string][]int{}}
		for _, a := range c.Actions {
			path, vector, ok := fileOf(a)
			if !ok {
				continue
			}
			decoded, err := DecodePath(path)
			if err != nil {
				return nil, err
			}
			canonical := decoded.Canonical()
			p.paths[canonical] = append(p.paths[canonical], len(p.actions))
			p.actions, p.keys = append(p.actions, a), append(p.keys, keyOf(canonical, vector))
		}
		if len(p.actions) == 0 {
			continue
		}
		p.count = len(p.actions)
		if p.older != nil {
			p.count += p.older.count
		}
		next.newest = p
	}
	out := &liveFiles{}
	out.from.Store(&next)
	if n, most := next.pending(), log.options.Limits.CheckpointRows; n > pendingMost || int64(next.files.Len()+n) > most {
		if n := int64(out.all().files.Len()); n > most {
			return nil, limits.Over("checkpoint_rows", n, most)
		}
	}
	return out, nil
}

// parts are the columns, and the commits beside them.
func (l *liveFiles) parts() pendingFiles {
	f := l.from.Load()
	if b := l.built.Load(); b != nil {
		return pendingFiles{builtFiles: b}
	}
	return *f // it was there before built was not
}

// pending counts the actions beside the columns.
func (f *pendingFiles) pending() int {
	if f.newest == nil {
		return 0
	}
	return f.newest.count
}

// fileOf is the file that an action is about.
func fileOf(a Action) (path string, d *DeletionVectorDescriptor, ok bool) {
	switch a := a.(type) {
	case *Add:
		return a.Path, a.DeletionVector, true
	case *Remove:
		return a.Path, a.DeletionVector, true
	}
	return "", nil, false
}

// all builds the columns, once.
func (l *liveFiles) all() *builtFiles {
	l.once.Do(func() {
		if f := l.from.Load(); f != nil {
			l.built.Store(f.build())
			l.from.Store(nil)
		}
	})
	return l.built.Load()
}

// build is the action reconciliation of the pending commits with the columns: the newest sight of a file wins.
func (f *pendingFiles) build() *builtFiles {
	old := f.files
	live := newFilesBuilder(old.log, old.Len()+f.pending())
	var tombstones []*Remove
	seen := map[string]bool{}
	for p := f.newest; p != nil; p = p.older {
		for i := len(p.actions) - 1; i >= 0; i-- {
			if seen[p.keys[i]] {
				continue
			}
			seen[p.keys[i]] = true
			switch a := p.actions[i].(type) {
			case *Add:
				live.add(a)
			case *Remove:
				tombstones = append(tombstones, a)
			}
		}
	}
	for i := range old.Len() {
		if !seen[keyOf(canonicalPath(old.Path(i)), old.DeletionVector(i))] {
			live.copyFrom(old, i)
		}
	}
	for _, r := range f.tombstones {
		if !seen[keyOf(canonicalPath(r.Path), r.DeletionVector)] {
			tombstones = append(tombstones, r)
		}
	}
	return &builtFiles{files: live.build(), tombstones: tombstones}
}

// liveFile is what the log itself asks of a file.
type liveFile struct {
	key    string
	size   int64
	vector *DeletionVectorDescriptor
}

// at finds the files of a path, in any spelling. A correct log has at most one.
func (l *liveFiles) at(path string) (found []liveFile) {
	from := l.parts()
	columns := from.files
	canonical := canonicalPath(path)
	var seen []string
	for p := from.newest; p != nil; p = p.older {
		for _, i := range slices.Backward(p.paths[canonical]) {
			if slices.Contains(seen, p.keys[i]) {
				continue
			}
			seen = append(seen, p.keys[i])
			if a, ok := p.actions[i].(*Add); ok {
				found = append(found, liveFile{p.keys[i], a.Size, a.DeletionVector})
			}
		}
	}
	for _, i := range columns.byPath(path) {
		d := columns.DeletionVector(int(i))
		if key := keyOf(canonical, d); !slices.Contains(seen, key) {
			found = append(found, liveFile{key, columns.Size(int(i)), d})
		}
	}
	return found
}

// fileSums are sums over live files.
type fileSums struct {
	files, bytes, vectors, deleted int64
}

// add counts a file in, or out with sign -1.
func (s *fileSums) add(sign, size int64, d *DeletionVectorDescriptor) {
	s.files += sign
	s.bytes += sign * size
	if d != nil {
		s.vectors += sign
		s.deleted += sign * d.Cardinality
	}
}

func (b *builtFiles) summed() fileSums {
	b.once.Do(func() {
		b.sum.files, b.sum.vectors = int64(b.files.Len()), int64(len(b.files.vectors))
		for _, size := range b.files.sizes {
			b.sum.bytes += size
		}
		for _, d := range b.files.vectors {
			b.sum.deleted += d.Cardinality
		}
	})
	return b.sum
}

// sums adds up the files without building them.
func (l *liveFiles) sums() fileSums {
	from := l.parts()
	out := from.summed()
	seen := map[string]bool{}
	for p := from.newest; p != nil; p = p.older {
		for i := len(p.actions) - 1; i >= 0; i-- {
			key := p.keys[i]
			if seen[key] {
				continue
			}
			seen[key] = true
			if a, ok := p.actions[i].(*Add); ok {
				out.add(1, a.Size, a.DeletionVector)
			}
			path, _, _ := fileOf(p.actions[i])
			for _, j := range from.files.byPath(path) {
				if d := from.files.DeletionVector(int(j)); keyOf(canonicalPath(path), d) == key {
					out.add(-1, from.files.Size(int(j)), d)
				}
			}
		}
	}
	return out
}
