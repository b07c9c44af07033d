package table

import (
	"cmp"
	"slices"
)

// Which files a compaction takes. A file is small when packing it with others is worth reading it again; rows that a
// deletion vector hides are dropped when there are enough of them, or when the file is small anyway.
const (
	smallShare   = 0.75 // of the target size: files below it are small
	deletedShare = 0.05 // of its rows: files above it are rewritten, whatever their size
)

// planFile is what a plan wants to know of a live file.
type planFile struct {
	index     int // into Snapshot.Files
	path      string
	vector    string // id of its deletion vector, "" is none
	partition string
	size      int64 // bytes
	modified  int64 // milliseconds since 1970
	rows      int64 // physical; -1 unknown
	deleted   int64
	cube      string // the run that put it in the wanted Z-order, "" is none
}

// liveSize estimates the bytes of the rows that a deletion vector leaves.
func (f planFile) liveSize() int64 {
	if f.rows <= 0 || f.deleted <= 0 {
		return f.size
	}
	return int64(float64(f.size) * float64(max(f.rows-f.deleted, 0)) / float64(f.rows))
}

// purge tells whether the deleted rows alone are reason to rewrite the file.
func (f planFile) purge(target int64) bool {
	if f.vector == "" {
		return false
	}
	return f.small(target) || f.rows <= 0 || float64(f.deleted) >= deletedShare*float64(f.rows)
}

func (f planFile) small(target int64) bool { return float64(f.liveSize()) < smallShare*float64(target) }

// planGroup is files of one partition that become new files together.
type planGroup struct {
	partition string
	files     []planFile
}

// liveRows is what the new files must hold; -1 where the log does not tell.
func (g planGroup) liveRows() int64 {
	n := int64(0)
	for _, f := range g.files {
		if f.rows < 0 {
			return -1
		}
		n += f.rows - f.deleted
	}
	return n
}

type optimizePlan struct {
	groups     []planGroup
	considered int
	more       bool // maxFiles left groups out
}

type planRules struct {
	target   int64 // bytes
	zorder   []string
	full     bool
	maxFiles int // 0 is no bound
}

// planOptimize chooses the groups. The same files give the same groups in the same order, whatever happened to files
// of other partitions: a second plan finds the work of the first.
func planOptimize(files []planFile, rules planRules) *optimizePlan {
	p := &optimizePlan{considered: len(files)}
	byPartition := map[string][]planFile{}
	var names []string
	for _, f := range files {
		if byPartition[f.partition] == nil {
			names = append(names, f.partition)
		}
		byPartition[f.partition] = append(byPartition[f.partition], f)
	}
	slices.Sort(names)
	taken := 0
	for _, name := range names {
		part := byPartition[name]
		// In order of age: files that arrived together stay together, and keep what order in time there is.
		slices.SortFunc(part, func(a, b planFile) int {
			return cmp.Or(cmp.Compare(a.modified, b.modified), cmp.Compare(a.path, b.path), cmp.Compare(a.vector, b.vector))
		})
		groups := packFiles(part, rules.target)
		if len(rules.zorder) > 0 {
			groups = zOrderGroup(part, rules)
		}
		for _, g := range groups {
			if rules.maxFiles > 0 && taken > 0 && taken+len(g) > rules.maxFiles {
				p.more = true
				continue
			}
			taken += len(g)
			p.groups = append(p.groups, planGroup{partition: name, files: g})
		}
	}
	return p
}

// packFiles puts the small files, and those worth purging, into groups of up to target bytes: each into the first
// group with room. A group of one is kept only if it drops deleted rows.
func packFiles(part []planFile, target int64) [][]planFile {
	type bin struct {
		files []planFile
		size  int64
	}
	var bins []*bin
	open := 0 // bins before it are full
	for _, f := range part {
		if !f.small(target) && !f.purge(target) {
			continue
		}
		size := f.liveSize()
		var into *bin
		for _, b := range bins[open:] {
			if b.size+size <= target {
				into = b
				break
			}
		}
		if into == nil {
			into = &bin{}
			bins = append(bins, into)
		}
		into.files = append(into.files, f)
		into.size += size
		for open < len(bins) && bins[open].size >= target-target/64 {
			open++
		}
	}
	var out [][]planFile
	for _, b := range bins {
		if len(b.files) > 1 || b.files[0].purge(target) {
			out = append(out, b.files)
		}
	}
	return out
}

// zOrderGroup takes the whole partition, unless it is in this order already: all files from one earlier run, with few
// deleted rows. One file of about the target size has no neighbours to be sorted against.
func zOrderGroup(part []planFile, rules planRules) [][]planFile {
	var rows, deleted int64
	cubes := map[string]bool{}
	for _, f := range part {
		rows += f.rows
		deleted += f.deleted
		cubes[f.cube] = true
	}
	purge := deleted > 0 && float64(deleted) >= deletedShare*float64(rows)
	if len(part) == 1 && !purge && part[0].liveSize() <= rules.target+rules.target/2 {
		return nil
	}
	if !rules.full && !purge && len(cubes) == 1 && !cubes[""] {
		return nil
	}
	return [][]planFile{part}
}
