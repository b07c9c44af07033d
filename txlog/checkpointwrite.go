package txlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
)

// Checkpoint writes a checkpoint of the snapshot and points the hint to it. Statistics go into it as JSON and as a
// struct, as delta.checkpoint.writeStatsAsJson and delta.checkpoint.writeStatsAsStruct say: both where they say nothing.
// A table whose policy is v2 gets a V2 checkpoint, see checkpointWriter.writeV2.
//
// Protocol: "Checkpoints". Writing the same version again is harmless: the content is equal.
// Cost: one PUT, then a GET and a PUT for the hint; a V2 checkpoint has one PUT more for each sidecar.
func (l *Log) Checkpoint(ctx context.Context, s *Snapshot) error {
	if err := s.CheckWritable(); err != nil {
		return err
	}
	if err := s.LoadStats(ctx); err != nil {
		return err
	}
	w := newCheckpointWriter(s)
	h := hintOf{version: s.version, files: s.live.sums().files}
	var err error
	if w.v2 {
		err = w.writeV2(ctx, &h)
	} else {
		err = w.writeClassic(ctx, &h)
	}
	if err != nil {
		return fmt.Errorf("write checkpoint %d: %w", s.version, err)
	}
	return l.writeHint(ctx, h)
}

func (w *checkpointWriter) writeClassic(ctx context.Context, h *hintOf) error {
	body, err := w.write()
	if err != nil {
		return err
	}
	h.rows, h.bytes = w.rows, int64(len(body))
	return w.putClassic(ctx, body)
}

// putClassic creates the object with the classic name.
func (w *checkpointWriter) putClassic(ctx context.Context, body []byte) error {
	l := w.s.log
	_, err := l.store.Put(ctx, l.classicKey(w.s.version), objectstore.Bytes(body), objectstore.CreateOnly)
	if errors.Is(err, objectstore.ErrExists) {
		return nil // another writer's, of the same version and so with equal content
	}
	return err
}

// classicKey is the object of a checkpoint in one file whose name says nothing but its version.
func (l *Log) classicKey(v Version) string {
	return l.Key(fmt.Sprintf(logFolder+"%020d.checkpoint.parquet", v))
}

type checkpointWriter struct {
	s          *Snapshot
	v2         bool
	json       jsonStats
	parsed     *statsStruct     // nil: not written
	partitions *partitionStruct // nil: not written
	rows       int64            // actions so far, in all files

	sidecarMost int // actions of one sidecar
}

func newCheckpointWriter(s *Snapshot) *checkpointWriter {
	w := &checkpointWriter{s: s, sidecarMost: sidecarActions}
	w.design()
	return w
}

// checkpointFile is one Parquet file of actions.
type checkpointFile struct {
	w     *checkpointWriter
	out   *parquetio.Writer
	width int
	index map[string]int // kind of action to its column
}

// file makes one file.
func (w *checkpointWriter) file(columns []parquetio.Column, fill func(f *checkpointFile) error) ([]byte, error) {
	var buf bytes.Buffer
	// Snappy: other codecs start goroutines that the interleaving tests cannot follow.
	out, err := parquetio.NewWriter(&buf, columns, parquetio.Options{Codec: "snappy"})
	if err != nil {
		return nil, err
	}
	f := &checkpointFile{w: w, out: out, width: len(columns), index: map[string]int{}}
	for i, c := range columns {
		f.index[c.Name] = i
	}
	if err := fill(f); err != nil {
		return nil, err
	}
	if err := out.Close(); err != nil {
		return nil, err
	}
	if err := w.s.log.options.Limits.Check("checkpoint_bytes", int64(buf.Len())); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// write makes a checkpoint of one file, which holds everything.
func (w *checkpointWriter) write() ([]byte, error) {
	return w.file(w.schema(), func(f *checkpointFile) error {
		return firstError(f.table(), f.removes(w.tombstones()), f.adds(0, w.s.Files().Len()))
	})
}

// stats is the text of a file's statistics.
func (w *checkpointWriter) stats(i int) string {
	if w.json == allStats {
		return w.s.Files().StatsText(i)
	}
	rows, known := w.s.Files().NumRecords(i)
	if !known {
		return ""
	}
	return fmt.Sprintf(`{"numRecords":%d}`, rows)
}

// row writes one action.
func (f *checkpointFile) row(kind string, fields ...any) error {
	row := make([]any, f.width)
	row[f.index[kind]] = fields
	f.w.rows++
	return f.out.WriteRow(row)
}

// Values that may be absent.
func optionalText(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func optionalLong(n *int64) any {
	if n == nil {
		return nil
	}
	return *n
}

func texts(list []string) any {
	if list == nil {
		return nil
	}
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

func textMap(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// partitionEntries writes "" as null, as the commits do.
func partitionEntries(m map[string]string) any {
	entries := []parquetio.Entry{}
	for _, e := range sortedPairs(m) {
		entries = append(entries, parquetio.Entry{Key: e[0], Value: optionalText(e[1])})
	}
	return entries
}

func vectorFields(d *DeletionVectorDescriptor) any {
	if d == nil {
		return nil
	}
	var offset any
	if d.Offset != nil {
		offset = int64(*d.Offset)
	}
	return []any{d.StorageType, d.PathOrInlineDv, offset, int64(d.SizeInBytes), d.Cardinality}
}

// table writes everything that is not a file.
func (f *checkpointFile) table() error {
	s := f.w.s
	if f.w.v2 {
		if err := f.row("checkpointMetadata", int64(s.version), nil); err != nil {
			return err
		}
	}
	p, m := s.protocol, s.metadata
	err := f.row("protocol", int64(p.MinReaderVersion), int64(p.MinWriterVersion), texts(p.ReaderFeatures), texts(p.WriterFeatures))
	if err != nil {
		return err
	}
	partitionColumns := m.PartitionColumns
	if partitionColumns == nil {
		partitionColumns = []string{}
	}
	err = f.row("metaData", m.ID, optionalText(m.Name), optionalText(m.Description), []any{m.Provider, textMap(m.FormatOptions)},
		m.SchemaString, texts(partitionColumns), textMap(m.Configuration), optionalLong(m.CreatedTime))
	if err != nil {
		return err
	}
	for id, t := range s.Txns() {
		if err := f.row("txn", id, t.Version, optionalLong(t.LastUpdated)); err != nil {
			return err
		}
	}
	for _, d := range sortedDomains(s.domains) {
		if err := f.row("domainMetadata", d.Domain, d.Configuration, false); err != nil {
			return err
		}
	}
	return nil
}

// adds writes files from..to, column by column: a table of a million files has three values in each row and forty
// columns.
func (f *checkpointFile) adds(from, to int) error {
	files, most := f.w.s.Files(), f.w.groupRows()
	partitions := make([][][2]string, len(files.partitions))
	for i, values := range files.partitions {
		partitions[i] = sortedPairs(values)
	}
	f.w.rows += int64(to - from)
	return f.out.WriteGroups((to-from+most-1)/most, func(g int) parquetio.Group {
		first := from + g*most
		rows := min(to-first, most)
		fills := f.w.addFills(files, first, partitions)
		if f.w.partitions != nil {
			f.w.partitions.fills(files, first, fills)
		}
		if f.w.parsed != nil {
			f.w.parsed.fills(files, first, rows, fills)
		}
		return parquetio.Group{Rows: rows, Fills: fills}
	})
}

// Values of statistics that are held at once for a row group, and how many rows one has at least.
const (
	groupValues  = 2 << 20
	groupRowsMin = 8192
)

// groupRows is how many adds a row group has.
func (w *checkpointWriter) groupRows() int {
	if w.parsed == nil {
		return parquetio.DefaultRowGroupRows
	}
	return min(parquetio.DefaultRowGroupRows, max(groupRowsMin, groupValues/len(w.parsed.leaves)))
}

// addFills are the columns of the adds from a file on.
func (w *checkpointWriter) addFills(f *Files, from int, partitions [][][2]string) map[string]parquetio.Fill {
	const inAdd, inVector = 1, 2 // levels that are missing where the add has no such field, and where it has no vector
	long := func(get func(i int) *int64, missing uint8) parquetio.Fill {
		return parquetio.Fill{Int: func(row int) (int64, uint8) {
			if n := get(from + row); n != nil {
				return *n, 0
			}
			return 0, missing
		}}
	}
	text := func(get func(i int) string) parquetio.Fill {
		return parquetio.Fill{Text: func(row int) (string, uint8) {
			s := get(from + row)
			if s == "" {
				return "", inAdd
			}
			return s, 0
		}}
	}
	rare := func(i int) rareFields {
		if r := f.rare[int32(i)]; r != nil { //nolint:gosec // an index
			return *r
		}
		return rareFields{}
	}
	vectorText := func(get func(d *DeletionVectorDescriptor) string) parquetio.Fill {
		return parquetio.Fill{Text: func(row int) (string, uint8) {
			if d := f.DeletionVector(from + row); d != nil {
				return get(d), 0
			}
			return "", inVector
		}}
	}
	vectorLong := func(get func(d *DeletionVectorDescriptor) int64) parquetio.Fill {
		return parquetio.Fill{Int: func(row int) (int64, uint8) {
			if d := f.DeletionVector(from + row); d != nil {
				return get(d), 0
			}
			return 0, inVector
		}}
	}
	fills := map[string]parquetio.Fill{
		"add.path":             text(f.Path),
		"add.partitionValues":  {Map: func(row int) ([][2]string, uint8) { return partitions[f.partition[from+row]], 0 }},
		"add.size":             {Int: func(row int) (int64, uint8) { return f.sizes[from+row], 0 }},
		"add.modificationTime": {Int: func(row int) (int64, uint8) { return f.modified[from+row], 0 }},
		"add.dataChange":       {Bool: func(int) (bool, uint8) { return false, 0 }},
		"add.tags": {Map: func(row int) ([][2]string, uint8) {
			if tags := rare(from + row).tags; len(tags) > 0 {
				return sortedPairs(tags), 0
			}
			return nil, inAdd
		}},
		"add.deletionVector.storageType":    vectorText(func(d *DeletionVectorDescriptor) string { return d.StorageType }),
		"add.deletionVector.pathOrInlineDv": vectorText(func(d *DeletionVectorDescriptor) string { return d.PathOrInlineDv }),
		"add.deletionVector.offset": {Int: func(row int) (int64, uint8) {
			d := f.DeletionVector(from + row)
			switch {
			case d == nil:
				return 0, inVector
			case d.Offset == nil:
				return 0, inAdd
			}
			return int64(*d.Offset), 0
		}},
		"add.deletionVector.sizeInBytes": vectorLong(func(d *DeletionVectorDescriptor) int64 { return int64(d.SizeInBytes) }),
		"add.deletionVector.cardinality": vectorLong(func(d *DeletionVectorDescriptor) int64 { return d.Cardinality }),
		"add.baseRowId":                  long(func(i int) *int64 { return rare(i).baseRowID }, inAdd),
		"add.defaultRowCommitVersion":    long(func(i int) *int64 { return rare(i).defaultRowCommitVersion }, inAdd),
		"add.clusteringProvider":         text(func(i int) string { return rare(i).clusteringProvider }),
	}
	if w.json != noStats {
		fills["add.stats"] = text(w.stats)
	}
	return fills
}

// tombstones are the removes that vacuum still has to respect, by the clock that vacuum goes by: that of the store. Where
// the store has not told its time all of them stay.
func (w *checkpointWriter) tombstones() (kept []*Remove) {
	keep := intervalProperty(w.s.metadata.Configuration, "delta.deletedFileRetentionDuration", DefaultDeletedFileRetention)
	cutOff := int64(math.MinInt64)
	if now := w.s.storeTime(); !now.IsZero() {
		cutOff = now.Add(-keep).UnixMilli()
	}
	for _, r := range w.s.Tombstones() {
		if r.DeletionTimestamp >= cutOff && !mutant.On(mutant.RemovesDropped) {
			kept = append(kept, r)
		}
	}
	return kept
}

// removes writes tombstones.
func (f *checkpointFile) removes(all []*Remove) error {
	for _, r := range all {
		var partition any
		if r.PartitionValues != nil {
			partition = partitionEntries(r.PartitionValues)
		}
		err := f.row("remove", r.Path, r.DeletionTimestamp, false, r.ExtendedFileMetadata, partition, optionalLong(r.Size),
			vectorFields(r.DeletionVector), optionalLong(r.BaseRowID), optionalLong(r.DefaultRowCommitVersion))
		if err != nil {
			return err
		}
	}
	return nil
}
