package table

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
	"golang.org/x/sync/errgroup"

	"github.com/lakectl/lakectl/txlog"
)

// ScanOptions says which part of a table is wanted.
type ScanOptions struct {
	// Predicate drops files that cannot hold a matching row. It does not filter rows: the SQL does.
	Predicate *txlog.Predicate
	// Columns are the columns to keep, in the table's order; nil keeps all. Names match without regard to case.
	Columns []string
	// Position adds the columns FileColumn and RowColumn.
	Position bool
	// RowIDs adds the columns RowIDColumn and RowVersionColumn; the table must have row tracking.
	RowIDs bool
}

// ScanReport says what a scan leaves out and why.
type ScanReport struct {
	Files              int   `json:"files"` // live files of the version
	Read               int   `json:"read"`
	SkippedByPartition int   `json:"skipped_by_partition"`
	SkippedByStats     int   `json:"skipped_by_stats"`
	Bytes              int64 `json:"bytes"` // of all live files
	BytesRead          int64 `json:"bytes_read"`
}

// Relation gives the files of the table at its version, as an engine reads them.
//
// Protocol: "Per-file Statistics", "Deletion Vectors": a file is left out only with proof.
// Errors:   txlog.ErrUnsupportedFeature, txlog.ErrDeletionVector, those of the store.
// Cost:     no request, except one for each deletion vector of the files that are kept.
func (t *Table) Relation(ctx context.Context, o ScanOptions) (Relation, *ScanReport, error) {
	s := t.Snapshot()
	idx, report, err := planScan(ctx, s, o.Predicate)
	if err != nil {
		return Relation{}, nil, fmt.Errorf("scan table %s: %w", t.URL(), err)
	}
	rel, err := t.relation(ctx, s, idx, o.Position)
	if err != nil {
		return Relation{}, nil, fmt.Errorf("scan table %s: %w", t.URL(), err)
	}
	if o.RowIDs {
		sh, err := shapeOf(s)
		if err != nil {
			return Relation{}, nil, fmt.Errorf("scan table %s: %w", t.URL(), err)
		}
		if rel.RowIDs = sh.rowIDs(); rel.RowIDs == nil {
			return Relation{}, nil, fmt.Errorf("scan table %s: %w: rows have no ids without %s", t.URL(), ErrInvalidRequest, txlog.RowTrackingKey)
		}
		rel.RowIDs.ID, rel.RowIDs.Version = RowIDColumn, RowVersionColumn
	}
	if o.Columns != nil {
		if rel.Schema, err = project(rel.Schema, o.Columns); err != nil {
			return Relation{}, nil, fmt.Errorf("scan table %s: %w", t.URL(), err)
		}
		rel.PartitionColumns = kept(rel.Schema, rel.PartitionColumns)
	}
	return rel, report, nil
}

// planScan returns the indexes of the files that may hold a row for which p is true. Nil p keeps all.
func planScan(ctx context.Context, s *txlog.Snapshot, p *txlog.Predicate) ([]int, *ScanReport, error) {
	if err := s.CheckReadable(); err != nil {
		return nil, nil, err
	}
	pruned, err := s.Prune(ctx, p)
	if err != nil {
		return nil, nil, err
	}
	files := s.Files()
	report := &ScanReport{
		Files: files.Len(), Read: len(pruned.Kept), SkippedByPartition: pruned.ByPartition, SkippedByStats: pruned.ByStats,
		Bytes: s.SizeBytes(),
	}
	for _, i := range pruned.Kept {
		report.BytesRead += files.Size(i)
	}
	return pruned.Kept, report, nil
}

// relation describes the files idx of s.
func (t *Table) relation(ctx context.Context, s *txlog.Snapshot, idx []int, position bool) (Relation, error) {
	schema, err := s.Schema()
	if err != nil {
		return Relation{}, err
	}
	rel := Relation{
		Schema: schema, PartitionColumns: partitionNames(schema, s.PartitionColumns()), Mapping: s.Mapping(),
		Files: make([]RelationFile, len(idx)), Position: position,
	}
	vectors, err := t.vectors(ctx, s, idx)
	if err != nil {
		return Relation{}, err
	}
	for n, i := range idx {
		if rel.Files[n], err = t.relationFile(s, i, schema); err != nil {
			return Relation{}, err
		}
		rel.Files[n].Deleted = vectors[i]
	}
	return rel, nil
}

// relationFile describes file i of s without its deletion vector.
func (t *Table) relationFile(s *txlog.Snapshot, i int, schema *txlog.Schema) (RelationFile, error) {
	files := s.Files()
	key, err := files.Key(i)
	if err != nil {
		return RelationFile{}, err
	}
	first, version := files.RowIDs(i)
	return RelationFile{
		Store: t.Store(), Key: key, Size: files.Size(i), FirstRowID: first, RowVersion: version,
		Partition: logicalPartition(schema, s.Mapping(), s.PartitionColumns(), files.Partition(i)),
	}, nil
}

// vectorReaders bounds the deletion vectors that one scan reads at a time.
const vectorReaders = 8

// vectors reads the deletion vectors of the files idx; files without one are not in the map.
func (t *Table) vectors(ctx context.Context, s *txlog.Snapshot, idx []int) (map[int]*roaring64.Bitmap, error) {
	files := s.Files()
	with := make([]int, 0, len(idx))
	for _, i := range idx {
		if files.DeletionVector(i) != nil {
			with = append(with, i)
		}
	}
	read := make([]*roaring64.Bitmap, len(with))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(vectorReaders)
	for n, i := range with {
		g.Go(func() error {
			rows, known := files.NumRecords(i)
			if !known {
				rows = -1
			}
			b, err := t.log.ReadDeletionVector(gctx, files.DeletionVector(i), rows)
			if err != nil {
				return fmt.Errorf("read deletion vector of %s: %w", files.Path(i), err)
			}
			read[n] = b
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	out := make(map[int]*roaring64.Bitmap, len(with))
	for n, i := range with {
		out[i] = read[n]
	}
	return out, nil
}

// vectorKey is the object that holds a deletion vector; false for an inline one, and for one outside the table.
func vectorKey(l *txlog.Log, d *txlog.DeletionVectorDescriptor) (string, bool) {
	p, ok, err := d.Path()
	if err != nil || !ok || p.Key == "" {
		return "", false
	}
	return l.Key(p.Key), true
}

// partitionNames spells the partition columns as the schema does.
func partitionNames(schema *txlog.Schema, columns []string) []string {
	out := make([]string, 0, len(columns))
	for _, c := range columns {
		if f, err := schema.Lookup(c); err == nil {
			c = f.Name
		}
		out = append(out, c)
	}
	return out
}

// logicalPartition turns the partition values of an add, which are keyed by physical name, into those of a relation.
func logicalPartition(schema *txlog.Schema, m txlog.ColumnMapping, columns []string, values map[string]string) map[string]string {
	if len(columns) == 0 {
		return nil
	}
	out := make(map[string]string, len(columns))
	for _, c := range columns {
		physical := c
		if f, err := schema.Lookup(c); err == nil {
			c, physical = f.Name, f.PhysicalName(m)
		}
		v, ok := values[physical]
		if !ok { // some writers differ in case
			for k, w := range values {
				if strings.EqualFold(k, physical) {
					v = w
				}
			}
		}
		out[c] = v
	}
	return out
}

// physicalPartition is the reverse, for an add.
func physicalPartition(schema *txlog.Schema, m txlog.ColumnMapping, columns []string, values map[string]string) map[string]string {
	out := make(map[string]string, len(columns))
	for _, c := range columns {
		physical := c
		if f, err := schema.Lookup(c); err == nil {
			c, physical = f.Name, f.PhysicalName(m)
		}
		out[physical] = values[c]
	}
	return out
}

// project keeps the named columns, in the order of the schema.
func project(schema *txlog.Schema, columns []string) (*txlog.Schema, error) {
	want := make(map[string]bool, len(columns))
	for _, c := range columns {
		f, err := schema.Lookup(c)
		if err != nil {
			return nil, err
		}
		want[f.Name] = true
	}
	out := &txlog.Schema{}
	for _, f := range schema.Fields {
		if want[f.Name] {
			out.Fields = append(out.Fields, f)
		}
	}
	return out, nil
}

// kept returns the names that schema has.
func kept(schema *txlog.Schema, names []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(n string) bool {
		_, err := schema.Lookup(n)
		return err != nil
	})
}
