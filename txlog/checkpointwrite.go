package txlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
)

// Checkpoint writes a checkpoint of the snapshot and points the hint to it. A table whose policy is v2 gets the V2
// content under the classic name, with all file actions inline. Statistics are written as JSON; the typed form of
// delta.checkpoint.writeStatsAsStruct is not written yet, which readers see as a checkpoint without it.
//
// Protocol: "Checkpoints". Writing the same version again is harmless: the content is equal.
// Cost: one PUT, then a GET and a PUT for the hint.
func (l *Log) Checkpoint(ctx context.Context, s *Snapshot) error {
	if err := s.CheckWritable(); err != nil {
		return err
	}
	w := &checkpointWriter{s: s}
	body, err := w.write()
	if err != nil {
		return fmt.Errorf("write checkpoint %d: %w", s.version, err)
	}
	key := l.Key(fmt.Sprintf(logFolder+"%020d.checkpoint.parquet", s.version))
	_, err = l.store.Put(ctx, key, objectstore.Bytes(body), objectstore.CreateOnly)
	if errors.Is(err, objectstore.ErrExists) {
		err = nil // another writer's, of the same version and so with equal content
	}
	if err != nil {
		return fmt.Errorf("write checkpoint %d: %w", s.version, err)
	}
	return l.writeHint(ctx, s.version, w.rows, int64(len(body)), s.live.sums().files)
}

type checkpointWriter struct {
	s       *Snapshot
	columns []parquetio.Column
	index   map[string]int // kind of action to its column
	out     *parquetio.Writer
	rows    int64
	v2      bool

	rowCounts bool // of the statistics nothing else is kept
}

// Parts of the schema.
func textColumn(name string) *parquetio.Column {
	return &parquetio.Column{Name: name, Kind: parquetio.KindString, Nullable: true}
}

func longColumn(name string) *parquetio.Column {
	return &parquetio.Column{Name: name, Kind: parquetio.KindLong, Nullable: true}
}

func intColumn(name string) *parquetio.Column {
	return &parquetio.Column{Name: name, Kind: parquetio.KindInteger, Nullable: true}
}

func flagColumn(name string) *parquetio.Column {
	return &parquetio.Column{Name: name, Kind: parquetio.KindBoolean, Nullable: true}
}

func textMapColumn(name string) *parquetio.Column {
	return &parquetio.Column{
		Name: name, Kind: parquetio.KindMap, Nullable: true,
		Key: textColumn("key"), Value: textColumn("value"),
	}
}

func textListColumn(name string) *parquetio.Column {
	return &parquetio.Column{Name: name, Kind: parquetio.KindList, Nullable: true, Element: textColumn("element")}
}

func structColumn(name string, fields ...*parquetio.Column) *parquetio.Column {
	return &parquetio.Column{Name: name, Kind: parquetio.KindStruct, Nullable: true, Fields: fields}
}

func vectorColumn() *parquetio.Column {
	return structColumn("deletionVector", textColumn("storageType"), textColumn("pathOrInlineDv"), intColumn("offset"),
		intColumn("sizeInBytes"), longColumn("cardinality"))
}

// schema lists the columns in the order of the protocol's table.
func (w *checkpointWriter) schema() {
	add := structColumn("add", textColumn("path"), textMapColumn("partitionValues"), longColumn("size"),
		longColumn("modificationTime"), flagColumn("dataChange"), textMapColumn("tags"), vectorColumn(),
		longColumn("baseRowId"), longColumn("defaultRowCommitVersion"), textColumn("clusteringProvider"), textColumn("stats"))
	kinds := []*parquetio.Column{
		structColumn("txn", textColumn("appId"), longColumn("version"), longColumn("lastUpdated")),
		add,
		structColumn("remove", textColumn("path"), longColumn("deletionTimestamp"), flagColumn("dataChange"),
			flagColumn("extendedFileMetadata"), textMapColumn("partitionValues"), longColumn("size"), vectorColumn(),
			longColumn("baseRowId"), longColumn("defaultRowCommitVersion")),
		structColumn("metaData", textColumn("id"), textColumn("name"), textColumn("description"),
			structColumn("format", textColumn("provider"), textMapColumn("options")), textColumn("schemaString"),
			textListColumn("partitionColumns"), textMapColumn("configuration"), longColumn("createdTime")),
		structColumn("protocol", intColumn("minReaderVersion"), intColumn("minWriterVersion"),
			textListColumn("readerFeatures"), textListColumn("writerFeatures")),
		structColumn("domainMetadata", textColumn("domain"), textColumn("configuration"), flagColumn("removed")),
	}
	w.v2 = strings.EqualFold(w.s.metadata.Configuration["delta.checkpointPolicy"], "v2") && w.s.protocol.Supports(FeatureV2Checkpoint)
	if w.v2 {
		kinds = append(kinds, structColumn("checkpointMetadata", longColumn("version"), textMapColumn("tags")))
	}
	w.index = map[string]int{}
	for i, c := range kinds {
		w.index[c.Name] = i
		w.columns = append(w.columns, *c)
	}
}

// stats is what the checkpoint keeps of a file's statistics. Without delta.checkpoint.writeStatsAsJson that is the
// row count alone: a deletion vector cannot do without it.
func (w *checkpointWriter) stats(i int) string {
	if !w.rowCounts {
		return w.s.Files().stats[i]
	}
	rows, known := w.s.Files().NumRecords(i)
	if !known {
		return ""
	}
	return fmt.Sprintf(`{"numRecords":%d}`, rows)
}

func (w *checkpointWriter) write() ([]byte, error) {
	w.schema()
	w.rowCounts = strings.EqualFold(w.s.metadata.Configuration["delta.checkpoint.writeStatsAsJson"], "false")
	var buf bytes.Buffer
	var err error
	// Snappy: other codecs start goroutines that the interleaving tests cannot follow.
	if w.out, err = parquetio.NewWriter(&buf, w.columns, parquetio.Options{Codec: "snappy"}); err != nil {
		return nil, err
	}
	if err := firstError(w.table(), w.tombstones(), w.files()); err != nil {
		return nil, err
	}
	if err := w.out.Close(); err != nil {
		return nil, err
	}
	if err := w.s.log.options.Limits.Check("checkpoint_bytes", int64(buf.Len())); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

// row writes one action.
func (w *checkpointWriter) row(kind string, fields ...any) error {
	row := make([]any, len(w.columns))
	row[w.index[kind]] = fields
	w.rows++
	return w.out.WriteRow(row)
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
func (w *checkpointWriter) table() error {
	s := w.s
	if w.v2 {
		if err := w.row("checkpointMetadata", int64(s.version), nil); err != nil {
			return err
		}
	}
	p, m := s.protocol, s.metadata
	err := w.row("protocol", int64(p.MinReaderVersion), int64(p.MinWriterVersion), texts(p.ReaderFeatures), texts(p.WriterFeatures))
	if err != nil {
		return err
	}
	partitionColumns := m.PartitionColumns
	if partitionColumns == nil {
		partitionColumns = []string{}
	}
	err = w.row("metaData", m.ID, optionalText(m.Name), optionalText(m.Description), []any{m.Provider, textMap(m.FormatOptions)},
		m.SchemaString, texts(partitionColumns), textMap(m.Configuration), optionalLong(m.CreatedTime))
	if err != nil {
		return err
	}
	for id, t := range s.Txns() {
		if err := w.row("txn", id, t.Version, optionalLong(t.LastUpdated)); err != nil {
			return err
		}
	}
	for _, d := range sortedDomains(s.domains) {
		if err := w.row("domainMetadata", d.Domain, d.Configuration, false); err != nil {
			return err
		}
	}
	return nil
}

// files writes the adds, column by column: a table of a million files has three values in each row and forty columns.
func (w *checkpointWriter) files() error {
	f := w.s.Files()
	n := (f.Len() + parquetio.DefaultRowGroupRows - 1) / parquetio.DefaultRowGroupRows
	partitions := make([][][2]string, len(f.partitions))
	for i, values := range f.partitions {
		partitions[i] = sortedPairs(values)
	}
	w.rows += int64(f.Len())
	return w.out.WriteGroups(n, func(g int) parquetio.Group {
		from := g * parquetio.DefaultRowGroupRows
		return parquetio.Group{
			Rows:  min(f.Len()-from, parquetio.DefaultRowGroupRows),
			Fills: w.addFills(f, from, partitions),
		}
	})
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
	return map[string]parquetio.Fill{
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
		"add.stats":                      text(w.stats),
	}
}

// tombstones writes the removes that vacuum still has to respect.
func (w *checkpointWriter) tombstones() error {
	keep := intervalProperty(w.s.metadata.Configuration, "delta.deletedFileRetentionDuration", DefaultDeletedFileRetention)
	cutOff := w.s.log.options.Clock.Now().Add(-keep).UnixMilli()
	for _, r := range w.s.Tombstones() {
		if r.DeletionTimestamp < cutOff || mutant.On(mutant.RemovesDropped) {
			continue
		}
		var partition any
		if r.PartitionValues != nil {
			partition = partitionEntries(r.PartitionValues)
		}
		err := w.row("remove", r.Path, r.DeletionTimestamp, false, r.ExtendedFileMetadata, partition, optionalLong(r.Size),
			vectorFields(r.DeletionVector), optionalLong(r.BaseRowID), optionalLong(r.DefaultRowCommitVersion))
		if err != nil {
			return err
		}
	}
	return nil
}
