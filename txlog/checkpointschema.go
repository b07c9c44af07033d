package txlog

import (
	"strings"

	"github.com/lakectl/lakectl/internal/parquetio"
)

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

// schema lists the columns in the order of the protocol's table; of a V2 checkpoint also its own two.
func (w *checkpointWriter) schema() []parquetio.Column {
	kinds := []*parquetio.Column{
		structColumn("txn", textColumn("appId"), longColumn("version"), longColumn("lastUpdated")),
		w.addColumn(), removeColumn(),
		structColumn("metaData", textColumn("id"), textColumn("name"), textColumn("description"),
			structColumn("format", textColumn("provider"), textMapColumn("options")), textColumn("schemaString"),
			textListColumn("partitionColumns"), textMapColumn("configuration"), longColumn("createdTime")),
		structColumn("protocol", intColumn("minReaderVersion"), intColumn("minWriterVersion"),
			textListColumn("readerFeatures"), textListColumn("writerFeatures")),
		structColumn("domainMetadata", textColumn("domain"), textColumn("configuration"), flagColumn("removed")),
	}
	if w.v2 {
		kinds = append(kinds, structColumn("checkpointMetadata", longColumn("version"), textMapColumn("tags")),
			structColumn("sidecar", textColumn("path"), longColumn("sizeInBytes"), longColumn("modificationTime"), textMapColumn("tags")))
	}
	return columnsOf(kinds...)
}

// sidecarSchema lists the columns of a sidecar.
func (w *checkpointWriter) sidecarSchema() []parquetio.Column {
	return columnsOf(w.addColumn(), removeColumn())
}

func columnsOf(kinds ...*parquetio.Column) []parquetio.Column {
	out := make([]parquetio.Column, len(kinds))
	for i, c := range kinds {
		out[i] = *c
	}
	return out
}

func (w *checkpointWriter) addColumn() *parquetio.Column {
	add := structColumn("add", textColumn("path"), textMapColumn("partitionValues"), longColumn("size"),
		longColumn("modificationTime"), flagColumn("dataChange"), textMapColumn("tags"), vectorColumn(),
		longColumn("baseRowId"), longColumn("defaultRowCommitVersion"), textColumn("clusteringProvider"))
	if w.json != noStats {
		add.Fields = append(add.Fields, textColumn("stats"))
	}
	if w.partitions != nil {
		add.Fields = append(add.Fields, w.partitions.column)
	}
	if w.parsed != nil {
		add.Fields = append(add.Fields, w.parsed.column)
	}
	return add
}

func removeColumn() *parquetio.Column {
	return structColumn("remove", textColumn("path"), longColumn("deletionTimestamp"), flagColumn("dataChange"),
		flagColumn("extendedFileMetadata"), textMapColumn("partitionValues"), longColumn("size"), vectorColumn(),
		longColumn("baseRowId"), longColumn("defaultRowCommitVersion"))
}

// jsonStats says what add.stats has.
type jsonStats uint8

const (
	allStats  jsonStats = iota
	rowCounts           // a deletion vector cannot do without them
	noStats             // the struct has everything
)

// leavesOfActions is how many leaves the columns of the actions have, statistics as a struct left out.
const leavesOfActions = 64

// design decides in which forms statistics and partition values are written: as the properties say, and as a struct
// where they say nothing, unless that would be more columns than readers of ours take.
func (w *checkpointWriter) design() {
	s, c := w.s, w.s.metadata.Configuration
	w.v2 = strings.EqualFold(c["delta.checkpointPolicy"], "v2") && s.protocol.Supports(FeatureV2Checkpoint)
	wanted, set := c["delta.checkpoint.writeStatsAsStruct"]
	if s.schema != nil && (!set || strings.EqualFold(wanted, "true")) {
		w.parsed = newStatsStruct(s.schema, s.mapping, s.StatsColumns().WithClustering(s.domains["delta.clustering"].Configuration))
		w.partitions = newPartitionStruct(s, s.Files())
	}
	if w.parsed != nil && int64(len(w.parsed.leaves)+leavesOfActions) > s.log.options.Limits.Columns {
		w.parsed = nil
	}
	if strings.EqualFold(c["delta.checkpoint.writeStatsAsJson"], "false") {
		w.json = rowCounts
		if w.parsed != nil {
			w.json = noStats
		}
	}
}
