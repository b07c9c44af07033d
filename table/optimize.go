package table

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/txlog"
)

// Optimize rewrites many small files as few large ones, drops the rows that deletion vectors hide, and with ZOrderBy
// lays rows that are near each other in several columns next to each other, so that predicates on any of those
// columns leave more files out.
//
// No row changes: every action has dataChange false, so readers of changes see nothing and blind appends never
// conflict with it.
//
// A clustered table is laid out by its clustering columns, along the same curve.
type Optimize struct {
	// Where is a SQL condition over partition columns; partitions for which it is not true stay as they are.
	Where string
	// ZOrderBy names up to ZOrderColumnsMax columns, or fields inside of structs as a.b. Partition columns and columns
	// without statistics are an error: ordering by them could never leave a file out.
	ZOrderBy []string
	// Full also lays out again the partitions that an earlier run has put in the same Z-order.
	Full bool
	// TargetSize is the size in bytes that files should have. 0 is the property delta.targetFileSize, else
	// DefaultTargetFileSize.
	TargetSize int64
	// MaxFiles bounds the files that one run rewrites; 0 is no bound. A partition is Z-ordered whole, so a run that
	// meets the bound with its first partition goes over it.
	MaxFiles int
	// DryRun plans and changes nothing. Sizes and numbers of new files are estimates then.
	DryRun bool
	// Meta: with Txns a run that finds nothing else to do commits them alone.
	Meta ChangeMeta
}

// OptimizeResult says what an Optimize did, or would do. JSON names are stable; sizes in bytes, time in milliseconds.
type OptimizeResult struct {
	Table         string        `json:"table"`
	Operation     string        `json:"operation"` // OPTIMIZE
	VersionBefore txlog.Version `json:"version_before"`
	VersionAfter  txlog.Version `json:"version_after"` // VersionBefore when nothing was to do
	DryRun        bool          `json:"dry_run"`
	// AlreadyDone: every txn entry of the request was in the table, nothing was planned.
	AlreadyDone bool `json:"already_done"`

	FilesConsidered        int   `json:"files_considered"` // live files in the partitions that Where keeps
	FilesRemoved           int   `json:"files_removed"`
	FilesAdded             int   `json:"files_added"`
	BytesRemoved           int64 `json:"bytes_removed"`
	BytesAdded             int64 `json:"bytes_added"`
	DeletionVectorsRemoved int   `json:"deletion_vectors_removed"`
	RowsRewritten          int64 `json:"rows_rewritten"`
	PartitionsOptimized    int   `json:"partitions_optimized"`
	// MoreToDo is set when MaxFiles left work for another run.
	MoreToDo bool `json:"more_to_do"`

	ZOrderBy []string        `json:"z_order_by,omitempty"`
	Groups   []OptimizeGroup `json:"groups"` // one for each group of files that becomes new files together

	Milliseconds int64    `json:"milliseconds"`
	TxnID        string   `json:"txn_id,omitempty"`
	Attempts     int      `json:"attempts"`
	Warnings     []string `json:"warnings,omitempty"`
}

// OptimizeGroup is a group of files of one partition that are rewritten together.
type OptimizeGroup struct {
	Partition    map[string]string `json:"partition,omitempty"` // by logical column name; "" is null
	FilesRemoved int               `json:"files_removed"`
	BytesRemoved int64             `json:"bytes_removed"`
	FilesAdded   int               `json:"files_added"`
	BytesAdded   int64             `json:"bytes_added"`
}

// Optimize plans, writes the new files, and commits once. With nothing to do it commits nothing. When another writer
// changed one of its files first, it plans again on the newest snapshot and keeps what it wrote for the partitions
// that nobody touched, at most limits.CommitAttempts times.
//
// Protocol: "Add File and Remove File" (dataChange); commitInfo as Spark writes it for OPTIMIZE.
// Errors:   ErrReadOnly, ErrInvalidRequest, *SQLError for Where, txlog.ErrUnsupportedFeature, txlog.ErrConflict when
// the attempts are used up, txlog.ErrUnknown.
func (t *Table) Optimize(ctx context.Context, eng Engine, o Optimize) (*OptimizeResult, error) {
	begin := t.opts.Log.Clock.Now()
	run := &optimizing{t: t, eng: eng, o: o, staged: map[string]*stagedGroup{}}
	res, err := run.loop(ctx)
	if err != nil {
		return nil, fmt.Errorf("optimize %s: %w", t.URL(), err)
	}
	res.Milliseconds = clock.Since(t.opts.Log.Clock, begin).Milliseconds()
	return res, nil
}

// optimizing is one call of Optimize.
type optimizing struct {
	t   *Table
	eng Engine
	o   Optimize

	target int64 // bytes
	// by are the columns that rows are laid out by: those of the request, or those that the table is clustered by.
	by        []orderColumn
	clustered bool
	// staged holds finished groups by signature, so that a second plan can use those whose sources did not change.
	staged map[string]*stagedGroup
}

func (r *optimizing) loop(ctx context.Context) (*OptimizeResult, error) {
	for attempt := 1; ; attempt++ {
		s, err := r.t.writable()
		if err != nil {
			return nil, err
		}
		done, err := alreadyDone(s, r.o.Meta.Txns)
		if err != nil {
			return nil, errors.Join(err, r.discard(ctx, nil))
		}
		plan := &optimizePlan{}
		if !done {
			if plan, err = r.plan(ctx, s); err != nil {
				return nil, errors.Join(err, r.discard(ctx, nil))
			}
		}
		res := r.result(s, plan)
		res.Attempts, res.AlreadyDone = attempt, done
		if done || r.o.DryRun || len(plan.groups)+len(r.o.Meta.Txns) == 0 {
			return res, r.discard(ctx, nil)
		}
		err = r.stage(ctx, s, plan)
		if err == nil {
			err = r.commit(ctx, s, plan, res)
		}
		if err == nil {
			return res, nil
		}
		if errors.Is(err, txlog.ErrUnknown) || errors.Is(err, txlog.ErrExpired) {
			return nil, err // the commit may be there: its files must stay
		}
		if !errors.Is(err, txlog.ErrConflict) || int64(attempt) >= r.t.opts.limits().CommitAttempts {
			return nil, errors.Join(err, r.discard(ctx, nil))
		}
		if err := r.t.Refresh(ctx); err != nil {
			return nil, errors.Join(err, r.discard(ctx, nil))
		}
	}
}

func (r *optimizing) plan(ctx context.Context, s *txlog.Snapshot) (*optimizePlan, error) {
	if err := r.check(s); err != nil {
		return nil, err
	}
	files, err := r.candidates(ctx, s)
	if err != nil {
		return nil, err
	}
	if r.target, err = r.targetSize(s); err != nil {
		return nil, err
	}
	p := planOptimize(files, planRules{target: r.target, zorder: orderNames(r.by), full: r.o.Full, maxFiles: r.o.MaxFiles})
	return p, nil
}

// check refuses what cannot be done, before anything is read.
func (r *optimizing) check(s *txlog.Snapshot) error {
	if r.o.TargetSize < 0 || r.o.MaxFiles < 0 {
		return fmt.Errorf("%w: negative TargetSize or MaxFiles", ErrInvalidRequest)
	}
	cluster, err := clusterColumns(s)
	if err != nil {
		return err
	}
	r.clustered = len(cluster) > 0
	if by := r.o.ZOrderBy; !r.clustered {
		cluster = by
	} else if len(by) > 0 {
		return fmt.Errorf("%w: Z-order by %s: the table is clustered by %s", ErrInvalidRequest, strings.Join(by, ", "), strings.Join(cluster, ", "))
	}
	r.by, err = zOrderColumns(s, cluster)
	return err
}

func (r *optimizing) targetSize(s *txlog.Snapshot) (int64, error) {
	if r.o.TargetSize > 0 {
		return r.o.TargetSize, nil
	}
	sh, err := shapeOf(s)
	if err != nil {
		return 0, err
	}
	w, err := sh.write(r.t)
	if err != nil || w.TargetFileSize > 0 {
		return w.TargetFileSize, err
	}
	return DefaultTargetFileSize, nil
}

// candidates are the live files of the partitions that Where keeps.
func (r *optimizing) candidates(ctx context.Context, s *txlog.Snapshot) ([]planFile, error) {
	files := s.Files()
	keep, err := r.partitions(ctx, s)
	if err != nil {
		return nil, err
	}
	out := make([]planFile, 0, files.Len())
	for i := range files.Len() {
		values := files.Partition(i)
		key := partitionKey(values)
		if keep != nil && !keep[key] {
			continue
		}
		if r.clustered { // what another one has laid out is not ours to lay out again
			if by := files.Add(i).ClusteringProvider; by != "" && by != clusteringProvider {
				continue
			}
		}
		f := planFile{index: i, path: files.Path(i), size: files.Size(i), modified: files.ModificationTime(i), partition: key}
		if dv := files.DeletionVector(i); dv != nil {
			f.vector, f.deleted = vectorID(dv), dv.Cardinality
		}
		if n, ok := files.NumRecords(i); ok {
			f.rows = n
		} else {
			f.rows = -1
		}
		if len(r.by) > 0 {
			f.cube = cubeOf(files.Add(i).Tags, orderNames(r.by))
		}
		out = append(out, f)
	}
	return out, nil
}

// vectorID tells two vectors of one file apart. Protocol: "Deletion Vector Descriptor Schema", unique id.
func vectorID(d *txlog.DeletionVectorDescriptor) string {
	if d == nil {
		return ""
	}
	id := d.StorageType + d.PathOrInlineDv
	if d.Offset != nil {
		id += "@" + strconv.FormatInt(int64(*d.Offset), 10)
	}
	return id
}

// partitionKey is equal for files of one partition. Two spellings of one value make two groups, which costs nothing
// but a chance.
func partitionKey(values map[string]string) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(values)) {
		b.WriteString(strconv.Quote(k) + "=" + strconv.Quote(values[k]) + ";")
	}
	return b.String()
}
