package table

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// ScanExplanation says which files a scan reads and which it leaves out, and why. JSON names are stable.
type ScanExplanation struct {
	ScanReport
	Predicate  string          `json:"predicate"`  // SQL; "true": no condition reached the table
	Conditions []ConditionSkip `json:"conditions"` // what the predicate joins by AND
	// FilesRead and FilesSkipped name the first files of each kind; ScanReport counts all of them.
	FilesRead    []ExplainedFile `json:"files_read"`
	FilesSkipped []ExplainedFile `json:"files_skipped"`
}

// ConditionSkip says what one condition would skip if it stood alone. Two conditions may skip the same file.
type ConditionSkip struct {
	Condition          string `json:"condition"` // SQL
	SkippedByPartition int    `json:"skipped_by_partition"`
	SkippedByStats     int    `json:"skipped_by_stats"`
}

// ExplainedFile is one live file with what the log knows of the columns in the predicate.
type ExplainedFile struct {
	Path      string `json:"path"` // decoded, relative to the table
	Bytes     int64  `json:"bytes"`
	SkippedBy string `json:"skipped_by,omitempty"` // partition, statistics
	Known     string `json:"known,omitempty"`      // "day = 2026-01-02", "id from 1 to 100"
}

// Explain tells what a scan with the predicate reads of the table at its version. At most filesMax files of each kind are named.
//
// Protocol: "Per-file Statistics".
// Errors:   txlog.ErrUnsupportedFeature, those of the store.
// Cost:     no request, except for statistics that opening the table has left in its checkpoint.
func (t *Table) Explain(ctx context.Context, p *txlog.Predicate, filesMax int) (*ScanExplanation, error) {
	s := t.Snapshot()
	kept, report, err := planScan(ctx, s, p)
	if err != nil {
		return nil, fmt.Errorf("explain scan of %s: %w", t.URL(), err)
	}
	schema, err := s.Schema()
	if err != nil {
		return nil, fmt.Errorf("explain scan of %s: %w", t.URL(), err)
	}
	out := &ScanExplanation{ScanReport: *report, Predicate: p.String(), Conditions: []ConditionSkip{}, FilesRead: []ExplainedFile{}, FilesSkipped: []ExplainedFile{}}
	for _, c := range conditions(p) {
		one, err := s.Prune(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("explain scan of %s: %w", t.URL(), err)
		}
		out.Conditions = append(out.Conditions, ConditionSkip{c.String(), one.ByPartition, one.ByStats})
	}
	x := explaining{snapshot: s, schema: schema, predicate: p, columns: columnsOf(p, schema)}
	for i := range s.Files().Len() {
		_, read := slices.BinarySearch(kept, i)
		list := &out.FilesSkipped
		if read {
			list = &out.FilesRead
		}
		if len(*list) < filesMax {
			*list = append(*list, x.file(i, read))
		}
		if len(out.FilesRead) == filesMax && len(out.FilesSkipped) == filesMax {
			break
		}
	}
	return out, nil
}

// conditions are what a predicate joins by AND; none for no predicate.
func conditions(p *txlog.Predicate) []*txlog.Predicate {
	switch {
	case p == nil:
		return nil
	case p.Op == txlog.OpAnd:
		return p.Args
	}
	return []*txlog.Predicate{p}
}

// columnsOf lists the top-level columns that a predicate names, in its order.
func columnsOf(p *txlog.Predicate, schema *txlog.Schema) []txlog.Field {
	var out []txlog.Field
	var walk func(*txlog.Predicate)
	walk = func(p *txlog.Predicate) {
		if p == nil {
			return
		}
		for _, a := range p.Args {
			walk(a)
		}
		if len(p.Column) == 0 {
			return
		}
		f, err := schema.Lookup(p.Column[0])
		if err == nil && !slices.ContainsFunc(out, func(o txlog.Field) bool { return o.Name == f.Name }) {
			out = append(out, *f)
		}
	}
	walk(p)
	return out
}

// explaining is what the explanations of all files share.
type explaining struct {
	snapshot  *txlog.Snapshot
	schema    *txlog.Schema
	predicate *txlog.Predicate
	columns   []txlog.Field // of the predicate
}

func (x explaining) file(i int, read bool) ExplainedFile {
	files, mapping, columns := x.snapshot.Files(), x.snapshot.Mapping(), x.snapshot.PartitionColumns()
	out := ExplainedFile{Path: files.Path(i), Bytes: files.Size(i)}
	if !read {
		out.SkippedBy = "statistics"
		if !txlog.MayMatch(x.predicate, x.schema, mapping, columns, files.Partition(i), nil, files.DeletionVector(i) != nil) {
			out.SkippedBy = "partition"
		}
	}
	stats, err := files.Stats(i)
	if err != nil { // what cannot be read proves nothing, and nothing was skipped by it
		stats = nil
	}
	values := logicalPartition(x.schema, mapping, columns, files.Partition(i))
	var known []string
	for _, f := range x.columns {
		v, partition := values[f.Name]
		switch {
		case partition && v == "":
			v = "NULL"
			fallthrough
		case partition:
			known = append(known, f.Name+" = "+v)
		case out.SkippedBy == "partition": // its partition was enough
		default:
			if text := bounds(stats, f.PhysicalName(mapping)); text != "" {
				known = append(known, f.Name+" "+text)
			}
		}
	}
	out.Known = strings.Join(known, ", ")
	return out
}

// bounds writes the smallest and the largest value of a column in a file, or that all are NULL; "" when unknown.
func bounds(stats *txlog.Stats, physical string) string {
	if stats == nil {
		return ""
	}
	low, high := stats.Min[physical], stats.Max[physical]
	_, nested := low.(map[string]any)
	if low == nil || high == nil || nested {
		if n, ok := nullCount(stats, physical); ok && stats.NumRecords != nil && n == *stats.NumRecords {
			return "is NULL"
		}
		return ""
	}
	return fmt.Sprintf("from %v to %v", low, high)
}
