package table

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// shape is what a version of a table looks like to those who write its files.
type shape struct {
	schema      *txlog.Schema
	mapping     txlog.ColumnMapping
	partitionBy []string // spelled as in schema
	properties  map[string]string
	stats       txlog.StatsColumns
}

// shapeOf reads the shape of s.
func shapeOf(s *txlog.Snapshot) (shape, error) {
	schema, err := s.Schema()
	if err != nil {
		return shape{}, err
	}
	by, _ := s.Domain(clusteringDomain)
	return shape{
		schema: schema, mapping: s.Mapping(), partitionBy: partitionNames(schema, s.PartitionColumns()),
		properties: s.Metadata().Configuration, stats: s.StatsColumns().WithClustering(by.Configuration),
	}, nil
}

// relation is an empty relation of this shape.
func (sh shape) relation() Relation {
	return Relation{Schema: sh.schema, PartitionColumns: sh.partitionBy, Mapping: sh.mapping}
}

// partitioned tells whether column is a partition column.
func (sh shape) partitioned(column string) bool {
	for _, p := range sh.partitionBy {
		if strings.EqualFold(p, column) {
			return true
		}
	}
	return false
}

// write says how the engine puts files of this shape into t.
func (sh shape) write(t *Table) (Write, error) {
	w := Write{
		Store: t.Store(), Prefix: t.prefix(), Schema: sh.schema, Mapping: sh.mapping, PartitionBy: sh.partitionBy,
		Codec: sh.properties[propCodec], Stats: sh.stats,
		KeepPartitionColumns: sh.iceberg(),
	}
	if text := sh.properties[propTargetFileSize]; text != "" {
		size, err := parseSize(text)
		if err != nil {
			return Write{}, fmt.Errorf("property %s: %w", propTargetFileSize, err)
		}
		w.TargetFileSize = size
	}
	return w, nil
}

// iceberg tells whether data files must make sense to readers of Iceberg tables.
func (sh shape) iceberg() bool {
	return boolProperty(sh.properties, propIcebergV1) || boolProperty(sh.properties, propIcebergV2)
}

// prefix is the folder of the table's objects, with its slash.
func (t *Table) prefix() string {
	if t.path == "" {
		return ""
	}
	return t.path + "/"
}

// add names a written file in the log.
func (sh shape) add(t *Table, w WrittenFile, now int64) *txlog.Add {
	return &txlog.Add{
		Path:             txlog.EncodePath(strings.TrimPrefix(w.Key, t.prefix())),
		PartitionValues:  physicalPartition(sh.schema, sh.mapping, sh.partitionBy, w.Partition),
		Size:             w.Size,
		ModificationTime: now,
		DataChange:       true,
		Stats:            w.Stats,
	}
}

// parseSize reads a size in bytes: "134217728", "100mb", "1 GiB"; units are powers of 1024.
func parseSize(text string) (int64, error) {
	s := strings.ToLower(strings.TrimSpace(text))
	factor := int64(1)
	for _, u := range []struct {
		suffix string
		factor int64
	}{
		{"kib", 1 << 10},
		{"mib", 1 << 20},
		{"gib", 1 << 30},
		{"kb", 1 << 10},
		{"mb", 1 << 20},
		{"gb", 1 << 30},
		{"k", 1 << 10},
		{"m", 1 << 20},
		{"g", 1 << 30},
		{"b", 1 << 0},
	} {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			s, factor = strings.TrimSpace(rest), u.factor
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > (1<<50)/factor {
		return 0, fmt.Errorf("%q is not a size such as 134217728 or 100mb", clip(text))
	}
	return n * factor, nil
}

// rowsOf sums the rows of files.
func rowsOf(files []WrittenFile) int64 {
	var n int64
	for _, f := range files {
		n += f.Rows
	}
	return n
}

// bytesOf sums the sizes of files.
func bytesOf(files []WrittenFile) int64 {
	var n int64
	for _, f := range files {
		n += f.Size
	}
	return n
}

// metric prints a metric: the values of operationMetrics are strings.
func metric(n int64) string { return strconv.FormatInt(n, 10) }
