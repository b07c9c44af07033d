package table

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lakectl/lakectl/txlog"
)

// Describe says how much a description holds.
type Describe struct {
	Files bool // list every live file
}

// Description is what there is to know of a table at its version. JSON names are stable; sizes in bytes.
type Description struct {
	Table       string        `json:"table"`
	ID          string        `json:"id"`
	Name        string        `json:"name,omitempty"`
	Comment     string        `json:"comment,omitempty"`
	Version     txlog.Version `json:"version"`
	Timestamp   time.Time     `json:"timestamp"` // of the version, UTC
	CreatedTime *time.Time    `json:"created_time,omitempty"`

	Columns           []ColumnDescription `json:"columns"`
	PartitionColumns  []string            `json:"partition_columns"`
	ClusteringColumns []string            `json:"clustering_columns,omitempty"`
	ColumnMapping     string              `json:"column_mapping"` // none, name, id
	Properties        map[string]string   `json:"properties"`

	MinReaderVersion int      `json:"min_reader_version"`
	MinWriterVersion int      `json:"min_writer_version"`
	ReaderFeatures   []string `json:"reader_features,omitempty"`
	WriterFeatures   []string `json:"writer_features,omitempty"`
	NotReadable      string   `json:"not_readable,omitempty"` // why we cannot read it
	NotWritable      string   `json:"not_writable,omitempty"` // why we cannot write it

	Files              int    `json:"files"`
	Bytes              int64  `json:"bytes"`
	Rows               *int64 `json:"rows,omitempty"` // absent when a file has no row count
	DeletedRows        int64  `json:"deleted_rows"`   // hidden by deletion vectors
	DeletionVectors    int    `json:"deletion_vectors"`
	FilesWithoutCounts int    `json:"files_without_counts"`
	SmallestFile       int64  `json:"smallest_file"`
	MedianFile         int64  `json:"median_file"`
	LargestFile        int64  `json:"largest_file"`
	Partitions         int    `json:"partitions"`

	Txns     map[string]int64  `json:"txns,omitempty"`
	Domains  map[string]string `json:"domains,omitempty"`
	FileList []FileDescription `json:"file_list,omitempty"`
}

// ColumnDescription is one top-level column.
type ColumnDescription struct {
	Name      string `json:"name"`
	Type      string `json:"type"` // Delta's SQL name
	Nullable  bool   `json:"nullable"`
	Partition bool   `json:"partition"`
	Comment   string `json:"comment,omitempty"`
	Physical  string `json:"physical_name,omitempty"` // where it differs from Name
}

// FileDescription is one live file.
type FileDescription struct {
	Path      string            `json:"path"` // decoded
	Size      int64             `json:"size"`
	Rows      *int64            `json:"rows,omitempty"` // physical
	Deleted   int64             `json:"deleted_rows"`
	Modified  time.Time         `json:"modified"`
	Partition map[string]string `json:"partition,omitempty"`
}

// Describe looks at the snapshot of the handle, and works for tables that we cannot read. It makes no request, except for
// statistics that opening the table has left in its checkpoint.
func (t *Table) Describe(ctx context.Context, o Describe) (*Description, error) {
	s := t.Snapshot()
	m, p := s.Metadata(), s.Protocol()
	d := &Description{
		Table: t.URL(), ID: m.ID, Name: m.Name, Comment: m.Description, Version: s.Version(), Timestamp: s.Timestamp().UTC(),
		PartitionColumns: slices.Clone(s.PartitionColumns()), ColumnMapping: s.Mapping().String(),
		Properties: maps.Clone(m.Configuration), MinReaderVersion: p.MinReaderVersion, MinWriterVersion: p.MinWriterVersion,
		ReaderFeatures: slices.Sorted(slices.Values(p.ReaderFeatures)), WriterFeatures: slices.Sorted(slices.Values(p.WriterFeatures)),
		Columns: []ColumnDescription{},
	}
	if m.CreatedTime != nil {
		created := time.UnixMilli(*m.CreatedTime).UTC()
		d.CreatedTime = &created
	}
	if err := s.CheckReadable(); err != nil {
		d.NotReadable = err.Error()
	}
	if err := s.CheckWritable(); err != nil {
		d.NotWritable = err.Error()
	}
	schema, err := s.Schema()
	if err != nil && d.NotReadable == "" {
		return nil, fmt.Errorf("describe %s: %w", t.URL(), err)
	}
	if err := s.LoadStats(ctx); err != nil {
		return nil, fmt.Errorf("describe %s: %w", t.URL(), err)
	}
	d.columns(s, schema)
	d.files(s, schema, o.Files)
	d.state(s)
	return d, nil
}

func (d *Description) columns(s *txlog.Snapshot, schema *txlog.Schema) {
	if schema == nil {
		return
	}
	partitioned := partitionNames(schema, s.PartitionColumns())
	for _, f := range schema.Fields {
		c := ColumnDescription{
			Name: f.Name, Type: f.Type.SQL(), Nullable: f.Nullable, Partition: slices.Contains(partitioned, f.Name),
		}
		if raw := f.Metadata["comment"]; raw != nil {
			_ = json.Unmarshal(raw, &c.Comment) // a comment that is no text is no comment
		}
		if physical := f.PhysicalName(s.Mapping()); physical != f.Name {
			c.Physical = physical
		}
		d.Columns = append(d.Columns, c)
	}
	by, _ := clusteringOf(s)
	sh := shape{schema: schema, mapping: s.Mapping()}
	for _, path := range by.Columns {
		if p, there := sh.logical(path); there {
			d.ClusteringColumns = append(d.ClusteringColumns, p.String())
		}
	}
}

func (d *Description) files(s *txlog.Snapshot, schema *txlog.Schema, list bool) {
	files := s.Files()
	d.Files, d.Bytes = files.Len(), s.SizeBytes()
	if rows, ok := s.NumRows(); ok {
		d.Rows = &rows
	}
	sizes := make([]int64, files.Len())
	partitions := map[string]bool{}
	for i := range files.Len() {
		sizes[i] = files.Size(i)
		partitions[partitionKey(files.Partition(i))] = true
		one := FileDescription{Path: objectName(files.Path(i)), Size: sizes[i], Modified: time.UnixMilli(files.ModificationTime(i)).UTC()}
		if n, ok := files.NumRecords(i); ok {
			one.Rows = &n
		} else {
			d.FilesWithoutCounts++
		}
		if dv := files.DeletionVector(i); dv != nil {
			d.DeletionVectors++
			d.DeletedRows += dv.Cardinality
			one.Deleted = dv.Cardinality
		}
		if list {
			if schema != nil {
				one.Partition = logicalPartition(schema, s.Mapping(), s.PartitionColumns(), files.Partition(i))
			}
			d.FileList = append(d.FileList, one)
		}
	}
	if len(s.PartitionColumns()) > 0 {
		d.Partitions = len(partitions)
	}
	if len(sizes) > 0 {
		slices.Sort(sizes)
		d.SmallestFile, d.MedianFile, d.LargestFile = sizes[0], sizes[len(sizes)/2], sizes[len(sizes)-1]
	}
	slices.SortFunc(d.FileList, func(a, b FileDescription) int { return cmp.Compare(a.Path, b.Path) })
}

func (d *Description) state(s *txlog.Snapshot) {
	for id, txn := range s.Txns() {
		if d.Txns == nil {
			d.Txns = map[string]int64{}
		}
		d.Txns[id] = txn.Version
	}
	for domain := range s.Domains() {
		if d.Domains == nil {
			d.Domains = map[string]string{}
		}
		d.Domains[domain.Domain] = domain.Configuration
	}
}
