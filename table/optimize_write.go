package table

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/txlog"
)

// stagedGroup is a group whose new files are written and not yet committed.
type stagedGroup struct {
	removes []txlog.Action
	adds    []*txlog.Add
	keys    []string // of the new files
	rows    int64
}

// stage writes the new files of every group of the plan that is not written yet, and removes what earlier plans
// wrote and this one does not want.
func (r *optimizing) stage(ctx context.Context, s *txlog.Snapshot, p *optimizePlan) error {
	wanted := map[string]bool{}
	for _, g := range p.groups {
		wanted[r.signature(s, g)] = true
	}
	if err := r.discard(ctx, wanted); err != nil {
		return err
	}
	for _, g := range p.groups {
		sig := r.signature(s, g)
		if r.staged[sig] != nil {
			continue
		}
		done, err := r.rewrite(ctx, s, g)
		if err != nil {
			return err
		}
		r.staged[sig] = done
	}
	return nil
}

// signature names everything that the new files of a group depend on.
func (r *optimizing) signature(s *txlog.Snapshot, g planGroup) string {
	m := s.Metadata()
	var b strings.Builder
	b.WriteString(m.SchemaString + "\n" + partitionKey(m.Configuration) + "\n" + g.partition + "\n")
	for _, f := range g.files {
		b.WriteString(f.path + "\n" + f.vector + "\n")
	}
	return b.String()
}

// rewrite writes the rows of one group to new files in the folder of its first file.
func (r *optimizing) rewrite(ctx context.Context, s *txlog.Snapshot, g planGroup) (*stagedGroup, error) {
	idx := make([]int, len(g.files))
	for i, f := range g.files {
		idx[i] = f.index
	}
	rel, err := r.t.relation(ctx, s, idx, false)
	if err != nil {
		return nil, err
	}
	w, err := r.t.rewriteInto(s, g)
	if err != nil {
		return nil, err
	}
	sh, err := shapeOf(s)
	if err != nil {
		return nil, err
	}
	rel.RowIDs, rel.PackedVariants, w.PackedVariants = sh.rowIDs(), true, true
	written, err := r.write(ctx, g, Query{Relations: map[string]Relation{"t": rel}}, w)
	if err != nil {
		return nil, err
	}
	out := &stagedGroup{}
	for _, f := range written {
		out.keys = append(out.keys, f.Key)
		out.rows += f.Rows
	}
	if want := g.liveRows(); want >= 0 && want != out.rows {
		err := fmt.Errorf("%w: %d files hold %d rows by the log, %d were read", txlog.ErrCorruptLog, len(g.files), want, out.rows)
		return nil, errors.Join(err, r.t.deleteStaged(ctx, out.keys))
	}
	r.actions(s, idx, written, out)
	return out, nil
}

// write writes the rows of a group, compacted or along the curve.
func (r *optimizing) write(ctx context.Context, g planGroup, q Query, w Write) ([]WrittenFile, error) {
	if len(r.by) > 0 {
		return r.writeOrdered(ctx, g, q, w)
	}
	// The group was packed to fit one file; new encodings must not cut a small tail off it.
	w.TargetFileSize = 2 * r.target
	q.SQL = "SELECT " + selectList(w.Schema) + " FROM t"
	return r.eng.Write(ctx, q, w)
}

// actions turns a rewritten group into removes and adds.
func (r *optimizing) actions(s *txlog.Snapshot, idx []int, written []WrittenFile, out *stagedGroup) {
	now := r.t.opts.Log.Clock.Now().UnixMilli()
	for _, i := range idx {
		out.removes = append(out.removes, removeOf(s.Files().Add(i), now, false))
	}
	var tags map[string]string
	if len(r.by) > 0 {
		tags = cubeTags(orderNames(r.by), clock.NewUUID(r.t.opts.Log.Rand))
	}
	provider := ""
	if r.clustered {
		provider = clusteringProvider
	}
	values := s.Files().Add(idx[0]).PartitionValues
	for _, f := range written {
		out.adds = append(out.adds, &txlog.Add{
			Path: txlog.EncodePath(strings.TrimPrefix(f.Key, r.t.prefix())), PartitionValues: values,
			Size: f.Size, ModificationTime: now, Stats: f.Stats, Tags: tags, ClusteringProvider: provider,
		})
	}
}

// commit makes the plan visible and fills in what the commit said.
func (r *optimizing) commit(ctx context.Context, s *txlog.Snapshot, p *optimizePlan, res *OptimizeResult) error {
	var sizesOut []int64
	var read []int
	var actions []txlog.Action
	res.FilesAdded, res.BytesAdded, res.RowsRewritten = 0, 0, 0
	for i, g := range p.groups {
		done := r.staged[r.signature(s, g)]
		actions = append(actions, done.removes...)
		for _, f := range g.files {
			read = append(read, f.index)
		}
		res.Groups[i].FilesAdded, res.Groups[i].BytesAdded = len(done.adds), 0
		for _, a := range done.adds {
			actions = append(actions, a)
			sizesOut = append(sizesOut, a.Size)
			res.Groups[i].BytesAdded += a.Size
		}
		res.FilesAdded += len(done.adds)
		res.BytesAdded += res.Groups[i].BytesAdded
		res.RowsRewritten += done.rows
	}
	tx := r.t.log.Begin(s, txlog.Operation{
		Name: cmp.Or(r.o.Meta.Operation, "OPTIMIZE"), Parameters: r.parameters(), Metrics: optimizeMetrics(res, sizesOut),
		UserMetadata: r.o.Meta.UserMetadata, Tags: r.o.Meta.Tags, Extra: r.o.Meta.Extra,
	})
	tx.ReadFiles(read...)
	tx.Stage(actions...)
	for i := range r.o.Meta.Txns {
		tx.ReadAppID(r.o.Meta.Txns[i].AppID)
		tx.Stage(&r.o.Meta.Txns[i])
	}
	if r.o.Meta.Fence != nil {
		tx.Fence(r.o.Meta.Fence)
	}
	c, err := tx.Commit(ctx)
	if err != nil {
		return err
	}
	res.VersionAfter, res.TxnID = c.Version, c.TxnID
	res.Attempts += c.Attempts - 1
	for _, w := range c.Warnings {
		res.Warnings = append(res.Warnings, w.Error())
	}
	if err := r.t.Refresh(ctx); err != nil { // the change is committed: nothing after it may be an error
		res.Warnings = append(res.Warnings, err.Error())
	}
	return nil
}

// parameters are operationParameters as Spark writes them: JSON lists in strings.
func (r *optimizing) parameters() map[string]string {
	predicate := []string{}
	if r.o.Where != "" {
		predicate = append(predicate, r.o.Where)
	}
	p := map[string]string{"predicate": jsonText(predicate), "zOrderBy": jsonText(orderNames(r.by))}
	if r.clustered {
		p["zOrderBy"], p["clusterBy"] = "[]", p["zOrderBy"]
	}
	maps.Copy(p, r.o.Meta.Parameters)
	return p
}

// optimizeMetrics are operationMetrics as Spark writes them for OPTIMIZE, and our counts of partitions and rows.
func optimizeMetrics(res *OptimizeResult, added []int64) map[string]string {
	text := func(n int64) string { return strconv.FormatInt(n, 10) }
	slices.Sort(added)
	at := func(percent int) string {
		if len(added) == 0 {
			return "0"
		}
		return text(added[(len(added)-1)*percent/100])
	}
	m := map[string]string{
		"numRemovedFiles": text(int64(res.FilesRemoved)), "numAddedFiles": text(int64(res.FilesAdded)),
		"numRemovedBytes": text(res.BytesRemoved), "numAddedBytes": text(res.BytesAdded),
		"minFileSize": at(0), "p25FileSize": at(25), "p50FileSize": at(50), "p75FileSize": at(75), "maxFileSize": at(100),
		"numDeletionVectorsRemoved": text(int64(res.DeletionVectorsRemoved)),
		"partitionsOptimized":       text(int64(res.PartitionsOptimized)),
		"numCopiedRows":             text(res.RowsRewritten),
	}
	if len(res.ZOrderBy) > 0 {
		m["zOrderStats"] = jsonText(map[string]any{
			"strategyName": "all", "inputOtherFiles": map[string]int64{"num": int64(res.FilesRemoved), "size": res.BytesRemoved},
			"numOutputCubes": res.PartitionsOptimized, "mergedFiles": map[string]int64{"num": int64(res.FilesRemoved), "size": res.BytesRemoved},
		})
	}
	return m
}

// result describes a plan; numbers of new files are estimates until it is staged.
func (r *optimizing) result(s *txlog.Snapshot, p *optimizePlan) *OptimizeResult {
	res := &OptimizeResult{
		Table: r.t.URL(), Operation: "OPTIMIZE", VersionBefore: s.Version(), VersionAfter: s.Version(),
		DryRun: r.o.DryRun, FilesConsidered: p.considered, ZOrderBy: orderNames(r.by), MoreToDo: p.more,
		Groups: make([]OptimizeGroup, 0, len(p.groups)),
	}
	schema, err := s.Schema()
	partitions := map[string]bool{}
	target := r.target
	for _, g := range p.groups {
		one := OptimizeGroup{FilesRemoved: len(g.files), FilesAdded: 1}
		if err == nil {
			one.Partition = logicalPartition(schema, s.Mapping(), s.PartitionColumns(), s.Files().Partition(g.files[0].index))
		}
		for _, f := range g.files {
			one.BytesRemoved += f.size
			one.BytesAdded += f.liveSize()
			if f.vector != "" {
				res.DeletionVectorsRemoved++
			}
		}
		if len(r.by) > 0 {
			one.FilesAdded = max(1, int((one.BytesAdded+target-1)/target))
		}
		if n := g.liveRows(); n > 0 {
			res.RowsRewritten += n
		}
		partitions[g.partition] = true
		res.FilesRemoved += one.FilesRemoved
		res.BytesRemoved += one.BytesRemoved
		res.FilesAdded += one.FilesAdded
		res.BytesAdded += one.BytesAdded
		res.Groups = append(res.Groups, one)
	}
	res.PartitionsOptimized = len(partitions)
	return res
}

// discard removes the files of staged groups whose signature is not wanted.
func (r *optimizing) discard(ctx context.Context, wanted map[string]bool) error {
	var keys []string
	for sig, g := range r.staged {
		if !wanted[sig] {
			keys = append(keys, g.keys...)
			delete(r.staged, sig)
		}
	}
	slices.Sort(keys)
	return r.t.deleteStaged(ctx, keys)
}

// deleteStaged removes files that no commit names, also when ctx is done. What it leaves is vacuum's.
func (t *Table) deleteStaged(ctx context.Context, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	if err := t.Store().Delete(context.WithoutCancel(ctx), keys...); err != nil {
		return fmt.Errorf("remove staged files: %w", err)
	}
	return nil
}

// rewriteInto says how the new files of a group are written: without partition columns, unless the table wants them
// in the files, in the folder where the first old file lies.
func (t *Table) rewriteInto(s *txlog.Snapshot, g planGroup) (Write, error) {
	sh, err := shapeOf(s)
	if err != nil {
		return Write{}, err
	}
	w, err := sh.write(t)
	if err != nil {
		return Write{}, err
	}
	var data, tail []txlog.Field
	for _, f := range sh.schema.Fields {
		switch {
		case f.Type.Kind == txlog.KindVoid: // never written
		case sh.partitioned(f.Name):
			tail = append(tail, f)
		default:
			data = append(data, f)
		}
	}
	if sh.iceberg() {
		data = append(data, tail...)
	}
	if w.Schema, err = txlog.NewSchema(append(data, sh.rowIDs().columns()...)...); err != nil {
		return Write{}, err
	}
	w.PartitionBy = nil
	if p, err := txlog.DecodePath(g.files[0].path); err == nil && strings.Contains(p.Key, "/") {
		w.Prefix += path.Dir(p.Key) + "/"
	}
	return w, nil
}

// selectList names the columns of a schema, quoted.
func selectList(schema *txlog.Schema) string {
	names := make([]string, len(schema.Fields))
	for i, f := range schema.Fields {
		names[i] = QuoteIdent(f.Name)
	}
	return strings.Join(names, ", ")
}

func jsonText(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(b)
}
