package table

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"
)

// writeImages stages the inserted rows and the new images of updated rows, in one statement. Target columns are read
// only where an update keeps or uses them, and only of files with a row that changes.
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
	var parts []string
	for i, cl := range r.clauses {
		if cl.Do == DoDelete || cl.Do == DoUpdate && r.c.result.RowsUpdated == 0 || cl.Do == DoInsert && r.c.result.RowsInserted == 0 {
			continue
		}
		from := r.sourceSQL(" JOIN ")
		if cl.Do == DoUpdate && cl.target {
			from = pair
		}
		parts = append(parts, "SELECT "+r.image(cl)+from+" WHERE m."+matchClause+" = "+metric(int64(i))+" AND m."+matchChanges)
	}
	sql, err := checked(r.c.shape.schema, strings.Join(parts, " UNION ALL "))
	if err != nil {
		return err
	}
	files, err := r.c.stage(ctx, r.eng, Query{SQL: sql, Relations: r.relations(&rel), TimeZone: r.Source.TimeZone})
	if err != nil {
		return fmt.Errorf("write new rows: %w", err)
	}
	r.c.addFresh(files)
	if got, want := rowsOf(files), r.c.result.RowsInserted+r.c.result.RowsUpdated; got != want {
		return fmt.Errorf("write new rows: engine wrote %d rows for %d matches", got, want)
	}
	return nil
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

// image lists the columns of a new row.
func (r *merging) image(cl mergeClause) string {
	columns := make([]string, len(r.c.shape.schema.Fields))
	for i, f := range r.c.shape.schema.Fields {
		expr, set := cl.values[f.Name]
		switch {
		case set:
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
