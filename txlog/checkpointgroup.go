package txlog

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/lakectl/lakectl/internal/parquetio"
)

// checkpointGroup is one row group of a checkpoint, decoded: adds in columns, and everything else as actions.
type checkpointGroup struct {
	rows   int
	adds   addColumns
	others []Action
}

// addColumns are adds in the order of their file.
type addColumns struct {
	files *Files
	keys  map[int32]string // see fileKey; only where it is not the path itself
	rows  []uint32         // of the row group, where their statistics are left; otherwise nil
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
	file       *parquetio.File
	open       func() (*parquetio.File, error) // once more: a File serves one goroutine
	leaveStats bool
	ahead      int // row groups that are decoded at a time
}

// all hands out the row groups in their order.
func (r *groupReader) all(take func(*checkpointGroup) error) error {
	ahead := min(r.ahead, r.file.Groups())
	if ahead < 2 {
		for n := range r.file.Groups() {
			g, err := decodeGroup(r.file, n, r.leaveStats)
			if err == nil {
				err = take(g)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return inOrder(ahead, r.file.Groups(), func() {}, func(k int, give func(*checkpointGroup, bool, error) bool) {
		f, err := r.open()
		for n := k; n < r.file.Groups(); n += ahead {
			var g *checkpointGroup
			if err == nil {
				g, err = decodeGroup(f, n, r.leaveStats)
			}
			if !give(g, true, err) {
				return
			}
		}
	}, take)
}

func decodeGroup(f *parquetio.File, n int, leaveStats bool) (*checkpointGroup, error) {
	g := &actionGroup{file: f, group: n, rows: int(f.GroupRows(n))}
	out := &checkpointGroup{rows: g.rows}
	out.adds = g.adds(leaveStats)
	out.others = append(g.removes(), g.otherActions()...)
	return out, g.err
}

// adds reads the adds, with their statistics or without. Those of the usual form never become a struct.
func (g *actionGroup) adds(leaveStats bool) (out addColumns) {
	build := newFilesBuilder(nil, 0)
	out.files = build.files
	path := g.text("add", "path")
	size, modified := g.int("add", "size"), g.int("add", "modificationTime")
	if path == nil && size == nil {
		return out
	}
	partition := g.textMap("add", "partitionValues")
	tags, provider := g.textMap("add", "tags"), g.text("add", "clusteringProvider")
	vector := g.descriptor("add")
	rowID, rowVersion := g.int("add", "baseRowId"), g.int("add", "defaultRowCommitVersion")
	build.grow(min(g.rows, path.len()))
	plain := tags == nil && provider == nil && vector == nil && rowID == nil && rowVersion == nil
	partitions := partitionIndex{column: partition, build: build}
	take := func(row int) { out.rows = append(out.rows, uint32(row)) } //nolint:gosec // an index
	if leaveStats {
		out.rows = make([]uint32, 0, path.len())
	} else {
		texts := newStatsTexts(g, path, &out.files.stats)
		defer texts.done()
		take = func(row int) { texts.take(row, out.files.Len()) }
	}
	paths := out.files.paths.block(path.allText())
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
		take(row)
		if plain && size.int(row) >= 0 && plainPath(own) {
			f := out.files
			f.paths.set(f.Len(), paths, path.v.Spans[row])
			f.partition = append(f.partition, partitions.at(row))
			f.sizes, f.modified = append(f.sizes, size.int(row)), append(f.modified, modified.int(row))
			continue
		}
		a := &Add{
			Path: path.text(row), PartitionValues: partition.at(row), Size: size.int(row),
			ModificationTime: modified.int(row), Tags: tags.at(row),
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

// statsTexts takes over the statistics of the rows of a group, as JSON: parts of the column that has them so, or of one
// text that is made from typed columns.
type statsTexts struct {
	out         *fileTexts
	stats       *flatColumn
	parsed      *parsedStats
	json, typed uint32 // blocks
	made        strings.Builder
}

// newStatsTexts reads the columns; path has a value in each row that is an add.
func newStatsTexts(g *actionGroup, path *flatColumn, out *fileTexts) *statsTexts {
	t := &statsTexts{out: out, stats: g.text("add", "stats")}
	if t.stats != nil {
		t.json = out.block(t.stats.v.Text)
	}
	if t.parsed = newParsedStats(g, path, t.stats); t.parsed != nil {
		t.typed = out.block("")
	}
	out.grow(path.len())
	return t
}

// take takes over the statistics of a row as text i.
func (t *statsTexts) take(row, i int) {
	switch {
	case t.stats.has(row):
		t.out.set(i, t.json, t.stats.v.Spans[row])
	case t.parsed != nil:
		from := t.made.Len()
		t.made.WriteString(t.parsed.json(row))
		if int64(t.made.Len()) <= math.MaxUint32 { // more than 4 GiB of a row group prove nothing
			t.out.set(i, t.typed, spanOf(from, t.made.Len()))
		}
	}
}

// done ends the text that was made.
func (t *statsTexts) done() {
	if t.parsed != nil {
		t.out.blocks[t.typed] = t.made.String()
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
