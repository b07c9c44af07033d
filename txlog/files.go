package txlog

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Files are the live data files of a snapshot, held in columns: a million of them cost little more than their paths
// and statistics. Equal partition values are one map. Files is immutable; what its methods return is shared and must
// not be changed. The order is that of the log, newest first, and stays the same for one snapshot.
type Files struct {
	log        *Log
	paths      fileTexts
	sizes      []int64
	modified   []int64
	partition  []int32 // index into partitions
	partitions []map[string]string
	stats      fileTexts
	unread     *unreadStats                        // statistics that are still in the checkpoint; nil: none
	rows       []uint32                            // of unread that file i has its statistics in, plus one; 0, or none: they are in stats
	vectors    map[int32]*DeletionVectorDescriptor // few files have one
	rare       map[int32]*rareFields               // fewer still

	indexOnce sync.Once
	index     map[string][]int32 // canonical path to files; built on the first question
}

// rareFields are those of an add that most tables do not use.
type rareFields struct {
	tags                    map[string]string
	baseRowID               *int64
	defaultRowCommitVersion *int64
	clusteringProvider      string
}

// Len is the number of files.
func (f *Files) Len() int { return len(f.sizes) }

// Path is the path as the log spells it; see [DecodePath].
func (f *Files) Path(i int) string { return f.paths.at(i) }

// Key is the object key in the table's store. Errors: [ErrPathEscape] when the file lies outside the store.
func (f *Files) Key(i int) (string, error) {
	p, err := DecodePath(f.Path(i))
	if err != nil {
		return "", err
	}
	return f.log.pathKey(p)
}

// Size is the file's size in bytes.
func (f *Files) Size(i int) int64 { return f.sizes[i] }

// ModificationTime is in milliseconds since 1970 UTC.
func (f *Files) ModificationTime(i int) int64 { return f.modified[i] }

// Partition gives the partition values by physical name; "" is null.
func (f *Files) Partition(i int) map[string]string { return f.partitions[f.partition[i]] }

// DeletionVector describes the deleted rows of the file, nil for none.
func (f *Files) DeletionVector(i int) *DeletionVectorDescriptor {
	return f.vectors[int32(i)] //nolint:gosec // an index
}

// StatsText is the JSON of the file's statistics, "" for none, and where they cannot be read any more: see
// [Snapshot.LoadStats].
func (f *Files) StatsText(i int) string {
	if i < len(f.rows) && f.rows[i] != 0 {
		return f.unread.text(f, i)
	}
	return f.stats.at(i)
}

// Stats parses the file's statistics; nil for none. An error means that they say nothing.
func (f *Files) Stats(i int) (*Stats, error) {
	return ParseStats(f.StatsText(i))
}

// NumRecords is the number of physical rows, deleted ones included; ok is false where the statistics do not tell.
func (f *Files) NumRecords(i int) (n int64, ok bool) { return numRecords(f.StatsText(i)) }

// numRecords reads one number of the statistics and skips the rest.
func numRecords(stats string) (n int64, ok bool) {
	if stats == "" {
		return 0, false
	}
	r := newJSONReader([]byte(stats))
	var found *int64
	r.object(func(key string) {
		if key == "numRecords" {
			found = r.optionalInt64()
			return
		}
		r.skip()
	})
	if r.end() != nil || found == nil || *found < 0 {
		return 0, false
	}
	return *found, true
}

// Add materialises the action of a file as a copy that the caller may change, except for what its pointers point to.
func (f *Files) Add(i int) *Add {
	a := f.withoutStats(i)
	a.Stats = f.StatsText(i)
	return a
}

func (f *Files) withoutStats(i int) *Add {
	a := &Add{Path: f.Path(i), PartitionValues: maps.Clone(f.Partition(i)), Size: f.sizes[i], ModificationTime: f.modified[i]}
	if d := f.DeletionVector(i); d != nil {
		c := *d
		a.DeletionVector = &c
	}
	if r := f.rare[int32(i)]; r != nil { //nolint:gosec // an index
		a.Tags, a.BaseRowID, a.DefaultRowCommitVersion = maps.Clone(r.tags), r.baseRowID, r.defaultRowCommitVersion
		a.ClusteringProvider = r.clusteringProvider
	}
	return a
}

// Remove is the action that takes file i out of the table, with all that a reader of the log may want of it.
func (f *Files) Remove(i int, deletionTimestamp int64, dataChange bool) *Remove {
	a := f.withoutStats(i)
	size := a.Size
	return &Remove{
		Path: a.Path, DeletionTimestamp: deletionTimestamp, DataChange: dataChange, ExtendedFileMetadata: true,
		PartitionValues: a.PartitionValues, Size: &size, Tags: a.Tags, DeletionVector: a.DeletionVector,
		BaseRowID: a.BaseRowID, DefaultRowCommitVersion: a.DefaultRowCommitVersion,
	}
}

// byPath finds the files of a path, in any spelling. A correct log has at most one.
func (f *Files) byPath(path string) []int32 {
	f.indexOnce.Do(func() {
		f.index = make(map[string][]int32, f.Len())
		for i := range f.Len() {
			p := canonicalPath(f.Path(i))
			f.index[p] = append(f.index[p], int32(i))
		}
	})
	return f.index[canonicalPath(path)]
}

// canonicalPath is the decoded path; one that cannot be decoded, which replay refuses, stands for itself.
func canonicalPath(path string) string {
	p, err := DecodePath(path)
	if err != nil {
		return path
	}
	return p.Canonical()
}

// fileKey is what the log knows a file by: canonical path and deletion vector.
func fileKey(path string, d *DeletionVectorDescriptor) (string, error) {
	p, err := DecodePath(path)
	if err != nil {
		return "", err
	}
	return keyOf(p.Canonical(), d), nil
}

func keyOf(canonical string, d *DeletionVectorDescriptor) string {
	if d == nil {
		return canonical
	}
	return canonical + "\x00" + d.uniqueID()
}

// filesBuilder collects files for a new Files.
type filesBuilder struct {
	files  *Files
	intern map[string]int32
	copied fileCopier // of the Files that was copied from last
}

// fileCopier is what the copies of files of one Files share.
type fileCopier struct {
	from         *Files
	partitions   []int32 // numbers of the partitions here, plus one; 0: not known yet
	paths, stats textCopier
}

func newFilesBuilder(l *Log, capacity int) *filesBuilder {
	return &filesBuilder{intern: map[string]int32{}, files: &Files{
		log: l, sizes: make([]int64, 0, capacity), modified: make([]int64, 0, capacity), partition: make([]int32, 0, capacity),
		vectors: map[int32]*DeletionVectorDescriptor{}, rare: map[int32]*rareFields{},
	}}
}

func (b *filesBuilder) add(a *Add) {
	f := b.files
	i := int32(f.Len()) //nolint:gosec // bounded by checkpoint_rows
	f.paths.setText(int(i), a.Path)
	f.stats.setText(int(i), a.Stats)
	f.sizes = append(f.sizes, a.Size)
	f.modified = append(f.modified, a.ModificationTime)
	f.partition = append(f.partition, b.partitionOf(a.PartitionValues))
	if a.DeletionVector != nil {
		f.vectors[i] = a.DeletionVector
	}
	if a.Tags != nil || a.BaseRowID != nil || a.DefaultRowCommitVersion != nil || a.ClusteringProvider != "" {
		f.rare[i] = &rareFields{a.Tags, a.BaseRowID, a.DefaultRowCommitVersion, a.ClusteringProvider}
	}
}

// grow makes room for n more files.
func (b *filesBuilder) grow(n int) {
	f := b.files
	f.paths.grow(f.Len() + n)
	f.stats.grow(f.Len() + n)
	f.sizes, f.modified, f.partition = slices.Grow(f.sizes, n), slices.Grow(f.modified, n), slices.Grow(f.partition, n)
}

// copyFrom takes over file i of another Files.
func (b *filesBuilder) copyFrom(o *Files, i int) {
	f, x := b.files, &b.copied
	if x.from != o {
		*x = fileCopier{from: o, partitions: make([]int32, len(o.partitions)), paths: textCopier{from: &o.paths}, stats: textCopier{from: &o.stats}}
	}
	n := f.Len()
	f.paths.copyFrom(&x.paths, i, n)
	if i < len(o.rows) && o.rows[i] != 0 {
		b.leave(o.unread, o.rows[i], o, i)
	} else {
		f.stats.copyFrom(&x.stats, i, n)
	}
	f.sizes = append(f.sizes, o.sizes[i])
	f.modified = append(f.modified, o.modified[i])
	p := o.partition[i]
	if x.partitions[p] == 0 {
		x.partitions[p] = b.partitionOf(o.partitions[p]) + 1
	}
	f.partition = append(f.partition, x.partitions[p]-1)
	if len(o.vectors) > 0 {
		if d := o.DeletionVector(i); d != nil {
			f.vectors[int32(n)] = d //nolint:gosec // bounded by checkpoint_rows
		}
	}
	if len(o.rare) > 0 {
		if r := o.rare[int32(i)]; r != nil { //nolint:gosec // an index
			f.rare[int32(n)] = r //nolint:gosec // bounded by checkpoint_rows
		}
	}
}

// leave notes that the statistics of the next file, which is file i of o, are in a row of a checkpoint. Those of a second
// checkpoint are read.
func (b *filesBuilder) leave(unread *unreadStats, row uint32, o *Files, i int) {
	f := b.files
	if f.unread == nil {
		f.unread = unread
	}
	if f.unread != unread {
		f.stats.setText(f.Len(), o.StatsText(i))
		return
	}
	if f.rows == nil {
		f.rows = make([]uint32, 0, cap(f.sizes))
	}
	for len(f.rows) < f.Len() {
		f.rows = append(f.rows, 0)
	}
	f.rows = append(f.rows, row)
}

// partitionOf returns the index of equal partition values, added when new.
func (b *filesBuilder) partitionOf(values map[string]string) int32 {
	var key strings.Builder
	switch len(values) {
	case 0:
	case 1:
		for name, value := range values {
			key.WriteString(name + "\x00" + value)
		}
	default:
		for _, name := range slices.Sorted(maps.Keys(values)) {
			value := values[name]
			key.WriteString(strconv.Itoa(len(name)) + ":" + name + strconv.Itoa(len(value)) + ":" + value)
		}
	}
	if i, ok := b.intern[key.String()]; ok {
		return i
	}
	i := int32(len(b.files.partitions)) //nolint:gosec // bounded by checkpoint_rows
	b.files.partitions = append(b.files.partitions, cloneTexts(values))
	b.intern[key.String()] = i
	return i
}

func (b *filesBuilder) build() *Files { return b.files }
