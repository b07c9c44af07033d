package table

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/txlog"
)

// writeImages stages the inserted rows and the new images of updated rows: in one statement, or in one for each kind
// where a change data feed must tell them apart. Target columns are read only where an update keeps or uses them, and
// only of files with a row that changes.
func (r *merging) writeImages(ctx context.Context, found map[int]*roaring64.Bitmap) error {
	if r.c.result.RowsInserted+r.c.result.RowsUpdated == 0 {
		return nil
	}
	var rel Relation
	withTarget := slices.ContainsFunc(r.clauses, func(cl mergeClause) bool { return cl.Do == DoUpdate && cl.target })
	pair := ""
	if withTarget {
		var err error
		if rel, pair, err = r.changing(found); err != nil {
			return err
		}
	}
	kinds := [][]Do{{DoUpdate, DoInsert}}
	if r.c.recordsChanges() {
		kinds = [][]Do{{DoUpdate}, {DoInsert}}
	}
	for _, kind := range kinds {
		if err := r.writeKind(ctx, kind, rel, pair); err != nil {
			return err
		}
	}
	return nil
}

// writeKind stages the new rows of clauses that do one of these. pair is FROM match JOIN target, where an update needs
// the target, and rel the target in it.
func (r *merging) writeKind(ctx context.Context, kind []Do, rel Relation, pair string) error {
	rows := map[Do]int64{DoUpdate: r.c.result.RowsUpdated, DoInsert: r.c.result.RowsInserted}
	var all int64
	for _, do := range kind {
		all += rows[do]
	}
	if all == 0 {
		return nil
	}
	schema := r.c.shape.schema
	if slices.Contains(kind, DoUpdate) && rows[DoUpdate] > 0 {
		schema = r.c.shape.moved()
	}
	news := r.rules.newRows(schema)
	news.packed = true
	inserts, err := r.insertsByClause(ctx)
	if err != nil {
		return err
	}
	for i, cl := range r.clauses {
		if !slices.Contains(kind, cl.Do) || rows[cl.Do] == 0 {
			continue
		}
		from := r.sourceSQL(" JOIN ")
		if cl.Do == DoUpdate && cl.target {
			from = pair
		}
		news.add(r.image(cl, schema), from+" WHERE m."+matchClause+" = "+metric(int64(i))+" AND m."+matchChanges, cl.Do == DoInsert, inserts[i])
	}
	files, err := r.c.stageNew(ctx, r.eng, news, Query{Relations: r.relations(&rel), TimeZone: r.Source.TimeZone})
	if err != nil {
		return fmt.Errorf("write new rows: %w", err)
	}
	if got := rowsOf(files); got != all {
		return fmt.Errorf("write new rows: engine wrote %d rows for %d matches", got, all)
	}
	if len(kind) == 1 {
		r.images = append(r.images, newImages(changeOf(kind[0]), files)...)
	}
	return nil
}

// insertsByClause counts the rows that each clause inserts. Only numbers that the table gives out need it.
func (r *merging) insertsByClause(ctx context.Context) (map[int]int64, error) {
	out := map[int]int64{}
	if len(r.rules.identity) == 0 || r.c.result.RowsInserted == 0 {
		return out, nil
	}
	items := make([]string, len(r.clauses))
	for i := range r.clauses {
		items[i] = "count(*) FILTER (WHERE " + matchClause + " = " + metric(int64(i)) + ")"
	}
	row, _, err := r.one(ctx, "SELECT "+strings.Join(items, ", ")+" FROM "+matchRelation+" WHERE "+matchFile+" IS NULL")
	if err != nil {
		return nil, fmt.Errorf("count new rows: %w", err)
	}
	for i, v := range row {
		n, ok := v.(int64)
		if !ok {
			return nil, fmt.Errorf("count new rows: engine answered with %v", v)
		}
		out[i] = n
	}
	return out, nil
}

// changeOf is what the change data feed calls the new rows of a clause.
func changeOf(do Do) string {
	if do == DoUpdate {
		return txlog.ChangePostimage
	}
	return txlog.ChangeInsert
}

// recordChanges stages the change data files of a merge. left are the rows of the target that leave it. A merge that
// only inserts, or only takes whole files away besides, needs none.
func (r *merging) recordChanges(ctx context.Context, left map[int]*roaring64.Bitmap) error {
	if left == nil || r.c.result.RowsUpdated == 0 && !r.c.partial() {
		return nil
	}
	deleted, err := r.c.oldImages(txlog.ChangeDelete, r.deletes)
	if err != nil {
		return err
	}
	for i, rows := range r.deletes {
		left[i].AndNot(rows)
	}
	updated, err := r.c.oldImages(txlog.ChangePreimage, left)
	if err != nil {
		return err
	}
	return r.c.writeFeed(ctx, r.eng, slices.Concat(deleted, updated, r.images))
}

// changing is the pairs of the match with the target files that have a row in found.
func (r *merging) changing(found map[int]*roaring64.Bitmap) (Relation, string, error) {
	number := make(map[int]int, len(r.files))
	for n, i := range r.files {
		number[i] = n
	}
	numbers := make([]int, 0, len(found))
	for i := range found {
		numbers = append(numbers, number[i])
	}
	slices.Sort(numbers)
	return r.pairSQL(numbers)
}

// image is the values that the new rows of a clause bring, those of hidden columns included. An update keeps what it does
// not set, except what follows from other columns; an updated row keeps its id and is new in this version.
func (r *merging) image(cl mergeClause, schema *txlog.Schema) map[string]string {
	values, ids := packedValues(cl.values, schema), r.c.shape.rowIDs()
	for _, f := range schema.Fields {
		_, set := values[f.Name]
		follows := r.rules.computes(f.Name) || ids != nil && f.Name == ids.Version
		if !set && !follows && cl.Do == DoUpdate {
			values[f.Name] = keptOf(r.TargetAlias, f)
		}
	}
	return values
}

// droppedVectors counts the deletion vectors of files that leave.
func (c *Change) droppedVectors() int64 {
	var n int64
	for _, i := range c.drop {
		if c.base.Files().DeletionVector(i) != nil {
			n++
		}
	}
	return n
}

// updatedVectors counts the files whose deletion vector is replaced by a larger one.
func (c *Change) updatedVectors() int64 {
	var n int64
	for _, m := range c.mask {
		if c.base.Files().DeletionVector(m.file) != nil {
			n++
		}
	}
	return n
}
