package txlog

import (
	"encoding/binary"
	"runtime"
	"sync"

	"github.com/lakectl/lakectl/internal/parquetio"
)

// checkpointGroup is one row group of a checkpoint, decoded: adds in columns, and everything else as actions.
type checkpointGroup struct {
	adds   addColumns
	others []Action
}

// addColumns are adds in the order of their file.
type addColumns struct {
	files *Files
	keys  map[int32]string // see fileKey; only where it is not the path itself
}

// key is what the log knows add i by.
func (a *addColumns) key(i int) string {
	if key, ok := a.keys[int32(i)]; ok { //nolint:gosec // an index
		return key
	}
	return a.files.Path(i)
}

// setKey notes the key of add i where it is not its path.
func (a *addColumns) setKey(i int, key, path string) {
	if key == path {
		return
	}
	if a.keys == nil {
		a.keys = map[int32]string{}
	}
	a.keys[int32(i)] = key //nolint:gosec // an index
}

// groupReader decodes row groups side by side.
type groupReader struct {
	file *parquetio.File
	open func() (*parquetio.File, error) // once more: a File serves one goroutine
}

// all hands out the row groups in their order. No more of them are decoded ahead than there are processors.
func (r *groupReader) all(take func(*checkpointGroup) error) error {
	ahead := min(runtime.GOMAXPROCS(0), r.file.Groups())
	if ahead < 2 {
		for n := range r.file.Groups() {
			g, err := decodeGroup(r.file, n)
			if err == nil {
				err = take(g)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	type result struct {
		group *checkpointGroup
		err   error
	}
	results := make([]chan result, ahead) // of group n: n modulo ahead
	var wg sync.WaitGroup
	defer wg.Wait()
	stop := make(chan struct{})
	defer close(stop)
	for k := range ahead {
		results[k] = make(chan result)
		wg.Go(func() {
			f, err := r.open()
			for n := k; n < r.file.Groups(); n += ahead {
				var g *checkpointGroup
				if err == nil {
					g, err = decodeGroup(f, n)
				}
				select {
				case results[k] <- result{g, err}:
				case <-stop:
					return
				}
			}
		})
	}
	for n := range r.file.Groups() {
		got := <-results[n%ahead]
		if got.err == nil {
			got.err = take(got.group)
		}
		if got.err != nil {
			return got.err
		}
	}
	return nil
}

func decodeGroup(f *parquetio.File, n int) (*checkpointGroup, error) {
	g := &actionGroup{file: f, group: n, rows: int(f.GroupRows(n))}
	out := &checkpointGroup{}
	out.adds = g.adds()
	out.others = append(g.removes(), g.otherActions()...)
	return out, g.err
}

// adds reads the adds. Those of the usual form never become a struct.
func (g *actionGroup) adds() (out addColumns) {
	build := newFilesBuilder(nil, 0)
	out.files = build.files
	path := g.text("add", "path")
	size, modified := g.int("add", "size"), g.int("add", "modificationTime")
	if path == nil && size == nil {
		return out
	}
	partition := g.textMap("add", "partitionValues")
	stats := g.text("add", "stats")
	parsed := newParsedStats(g, path, stats)
	tags, provider := g.textMap("add", "tags"), g.text("add", "clusteringProvider")
	vector := g.descriptor("add")
	rowID, rowVersion := g.int("add", "baseRowId"), g.int("add", "defaultRowCommitVersion")
	build.grow(min(g.rows, path.len()))
	plain := tags == nil && provider == nil && vector == nil && rowID == nil && rowVersion == nil
	partitions := partitionIndex{column: partition, build: build}
	statsOf := func(row int) string {
		if stats.has(row) {
			return stats.text(row)
		}
		return parsed.json(row)
	}
	texts := newGroupTexts(out.files, path, stats)
	var own []byte
	for row := range g.rows {
		if g.err != nil {
			return out
		}
		if !path.has(row) {
			if size.has(row) {
				g.err = corrupt("action add: path is missing")
			}
			continue
		}
		own = append(own[:0], path.text(row)...)
		if plain && size.int(row) >= 0 && plainPath(own) {
			f := out.files
			texts.take(row)
			if !stats.has(row) {
				f.stats.setText(f.Len(), parsed.json(row))
			}
			f.partition = append(f.partition, partitions.at(row))
			f.sizes, f.modified = append(f.sizes, size.int(row)), append(f.modified, modified.int(row))
			continue
		}
		a := &Add{
			Path: path.text(row), PartitionValues: partition.at(row), Size: size.int(row),
			ModificationTime: modified.int(row), Stats: statsOf(row), Tags: tags.at(row),
			DeletionVector: vector.at(row), BaseRowID: rowID.optional(row),
			DefaultRowCommitVersion: rowVersion.optional(row), ClusteringProvider: provider.text(row),
		}
		if err := checkAction(a); err != nil && g.err == nil {
			g.err = corrupt("%w", err)
		}
		key, err := fileKey(a.Path, a.DeletionVector)
		if err != nil && g.err == nil {
			g.err = err
		}
		out.setKey(out.files.Len(), key, a.Path)
		build.add(a)
	}
	return out
}

// groupTexts takes over texts of a row group as parts of it.
type groupTexts struct {
	files                 *Files
	path, stats           *flatColumn
	pathBlock, statsBlock uint32
}

func newGroupTexts(f *Files, path, stats *flatColumn) *groupTexts {
	t := &groupTexts{files: f, path: path, stats: stats}
	if path != nil {
		t.pathBlock = f.paths.block(path.v.Text)
	}
	if stats != nil {
		t.statsBlock = f.stats.block(stats.v.Text)
	}
	return t
}

// take takes over the texts of a row for the file that comes next.
func (t *groupTexts) take(row int) {
	n := t.files.Len()
	t.files.paths.set(n, t.pathBlock, t.path.v.Spans[row])
	if t.stats.has(row) {
		t.files.stats.set(n, t.statsBlock, t.stats.v.Spans[row])
	}
}

// partitionIndex finds the number of the partition values of a row without building the map for each.
type partitionIndex struct {
	column *mapColumn
	build  *filesBuilder
	known  map[string]int32
	text   []byte
}

func (x *partitionIndex) at(row int) int32 {
	if x.column == nil {
		return x.build.partitionOf(nil)
	}
	x.text = x.text[:0]
	from, to := x.column.keys.Span(row)
	for i := from; i < to; i++ {
		if !x.column.keys.Valid(i) {
			continue
		}
		value := ""
		if x.column.values != nil && x.column.values.Valid(i) {
			value = x.column.values.TextAt(i)
		}
		x.append(x.column.keys.TextAt(i))
		x.append(value)
	}
	n, ok := x.known[string(x.text)]
	if !ok {
		n = x.build.partitionOf(x.column.at(row))
		if x.known == nil {
			x.known = map[string]int32{}
		}
		x.known[string(x.text)] = n
	}
	return n
}

// append adds a text with its length, so that no two rows look alike that are not.
func (x *partitionIndex) append(s string) {
	x.text = append(binary.AppendUvarint(x.text, uint64(len(s))), s...)
}

// removes reads the tombstones.
func (g *actionGroup) removes() (out []Action) {
	path, at := g.text("remove", "path"), g.int("remove", "deletionTimestamp")
	if path == nil && at == nil {
		return nil
	}
	partition := g.textMap("remove", "partitionValues")
	size := g.int("remove", "size")
	extended := g.bool("remove", "extendedFileMetadata")
	tags, vector := g.textMap("remove", "tags"), g.descriptor("remove")
	rowID, rowVersion := g.int("remove", "baseRowId"), g.int("remove", "defaultRowCommitVersion")
	for row := range g.rows {
		if g.err != nil {
			return nil
		}
		if !path.has(row) {
			if at.has(row) {
				g.err = corrupt("action remove: path is missing")
			}
			continue
		}
		out = append(out, &Remove{
			Path: path.text(row), DeletionTimestamp: at.int(row), ExtendedFileMetadata: extended.bool(row),
			PartitionValues: partition.at(row), Size: size.optional(row), Tags: tags.at(row),
			DeletionVector: vector.at(row), BaseRowID: rowID.optional(row), DefaultRowCommitVersion: rowVersion.optional(row),
		})
	}
	return out
}
