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
	var parts []string
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
	for i, cl := range r.clauses {
		if !slices.Contains(kind, cl.Do) || rows[cl.Do] == 0 {
			continue
		}
		from := r.sourceSQL(" JOIN ")
		if cl.Do == DoUpdate && cl.target {
			from = pair
		}
		parts = append(parts, "SELECT "+r.image(cl, schema)+from+" WHERE m."+matchClause+" = "+metric(int64(i))+" AND m."+matchChanges)
	}
	sql, err := checked(schema, strings.Join(parts, " UNION ALL "))
	if err != nil {
		return err
	}
	files, err := r.c.stageAs(ctx, r.eng, Query{SQL: sql, Relations: r.relations(&rel), TimeZone: r.Source.TimeZone}, schema)
	if err != nil {
		return fmt.Errorf("write new rows: %w", err)
	}
	r.c.addFresh(files)
	if got := rowsOf(files); got != all {
		return fmt.Errorf("write new rows: engine wrote %d rows for %d matches", got, all)
	}
	if len(kind) == 1 {
		r.images = append(r.images, newImages(changeOf(kind[0]), files)...)
	}
	return nil
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

// image lists the columns of a new row, hidden ones included: an updated row keeps its id and is new in this version.
func (r *merging) image(cl mergeClause, schema *txlog.Schema) string {
	columns := make([]string, len(schema.Fields))
	ids := r.c.shape.rowIDs()
	for i, f := range schema.Fields {
		expr, set := cl.values[f.Name]
		switch {
		case set:
		case ids != nil && f.Name == ids.Version:
			expr = castTo("NULL", f.Type)
		case cl.Do == DoUpdate:
			expr = qualified(r.TargetAlias, f.Name)
		default:
			expr = castTo("NULL", f.Type)
		}
		columns[i] = expr + " AS " + QuoteIdent(f.Name)
	}
	return strings.Join(columns, ", ")
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
