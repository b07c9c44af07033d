package table

import (
	"context"
	"fmt"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/txlog"
)

// Merge brings a source into a table: rows of the table that match a source row are updated or deleted, source rows
// that match none are inserted, and rows of the table that match none are updated or deleted too, if wanted.
//
// Protocol of the operation (SQL MERGE as Spark has it):
//   - A pair matches when On is true. NULL is not true: a row with a NULL key matches nothing and counts as not
//     matched, unless On says IS NOT DISTINCT FROM.
//   - For each pair the first clause of its kind whose condition is true applies; none: nothing happens.
//   - Two source rows to which a clause applies for one target row are an [AmbiguousMatchError]. The exception, as in
//     Spark: a single matched clause that deletes without condition may meet a row any number of times.
//   - A matched row whose new image equals the old one (IS NOT DISTINCT FROM, column by column) is not rewritten and
//     not counted as updated; Result.RowsUnchanged counts it. RewriteEqual turns that off.
//   - Nothing changed: nothing is committed but what Meta carries.
type Merge struct {
	// Source gives the source rows. It runs once; its rows are kept until the change is prepared. A source that selects
	// everything of one table, or of Parquet files, is read in place instead.
	Source Query
	// On is the condition of a match over the aliases of target and source. An equality of two plain columns in its
	// top-level ANDs lets the merge skip files.
	On string
	// Clauses apply in order. Only the last clause of a kind may have no condition.
	Clauses []Clause
	// TargetAlias and SourceAlias are the names in On and Clauses; "" means t and s.
	TargetAlias, SourceAlias string
	// MergeSchema adds the columns, and fields of structs, of the source that the table lacks, for clauses with Star; and
	// lets Star leave out those that the source lacks (an update keeps them, an insert gives NULL; so does an update
	// inside arrays and maps). Without it both are errors.
	MergeSchema  bool
	RewriteEqual bool    // rewrite matched rows that would not change too
	RewriteShare float64 // as in Append
	Meta         ChangeMeta
}

// When says which rows a clause is about.
type When uint8

// The kinds of clauses.
const (
	Matched            When = iota // pairs of a target and a source row
	NotMatched                     // source rows without a target row
	NotMatchedBySource             // target rows without a source row; then every file may have to be read
)

// Do says what a clause does.
type Do uint8

// The actions of clauses: insert belongs to NotMatched, update and delete to the others.
const (
	DoUpdate Do = iota
	DoDelete
	DoInsert
)

// Clause is one WHEN of a merge.
type Clause struct {
	When When
	If   string // condition; "" applies always
	Do   Do
	Star bool         // every column of the table from the source column of its name
	Set  []Assignment // columns and values, instead of Star
}

// Assignment gives a column of the table a value: an expression over the source in inserts, over the target in updates
// of rows without a source, over both in other updates.
type Assignment struct {
	Column, Value string
}

// Merge applies m in one commit.
//
// Errors: ErrInvalidRequest, ErrSchemaMismatch, *AmbiguousMatchError, *ConstraintError, *SQLError, those of Commit.
// Cost:   one pass over the key and condition columns of the files that may match, one over the other columns of
// files with a row whose change is in doubt; writes new rows only, and one file of deletion vectors.
func (t *Table) Merge(ctx context.Context, eng Engine, m Merge) (*Result, error) {
	return t.replan(ctx, func(ctx context.Context) (*Change, error) { return t.PrepareMerge(ctx, eng, m) })
}

// PrepareMerge stages a Merge.
func (t *Table) PrepareMerge(ctx context.Context, eng Engine, m Merge) (*Change, error) {
	c, err := t.prepareMerge(ctx, eng, m)
	if err != nil {
		return nil, fmt.Errorf("merge into %s: %w", t.URL(), err)
	}
	return c, nil
}

func (t *Table) prepareMerge(ctx context.Context, eng Engine, m Merge) (*Change, error) {
	if m.TargetAlias == "" {
		m.TargetAlias = "t"
	}
	if m.SourceAlias == "" {
		m.SourceAlias = "s"
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	base, err := t.writable()
	if err != nil {
		return nil, err
	}
	sh, err := shapeOf(base)
	if err != nil {
		return nil, err
	}
	c, err := t.begin(base, sh, "MERGE", m.Meta)
	if err != nil || c.result.AlreadyDone {
		return c, err
	}
	c.readsFrom(m.Source)
	r := &merging{Merge: m, c: c, eng: eng, deletes: map[int]*roaring64.Bitmap{}}
	defer r.close(ctx)
	if err := r.run(ctx); err != nil {
		return nil, c.abandon(ctx, err)
	}
	return c, nil
}

// check finds what is wrong with a merge on its face.
func (m Merge) check() error {
	switch {
	case strings.TrimSpace(m.On) == "":
		return fmt.Errorf("%w: a merge needs a condition", ErrInvalidRequest)
	case len(m.Clauses) == 0:
		return fmt.Errorf("%w: a merge needs a clause", ErrInvalidRequest)
	case strings.EqualFold(m.TargetAlias, m.SourceAlias):
		return fmt.Errorf("%w: target and source are both called %s", ErrInvalidRequest, m.TargetAlias)
	}
	final := map[When]bool{}
	for i, cl := range m.Clauses {
		if err := cl.check(); err != nil {
			return fmt.Errorf("clause %d: %w", i+1, err)
		}
		if final[cl.When] {
			return fmt.Errorf("clause %d: %w: an earlier clause of its kind has no condition", i+1, ErrInvalidRequest)
		}
		final[cl.When] = strings.TrimSpace(cl.If) == ""
	}
	return checkSource(m.Source)
}

func (cl Clause) check() error {
	switch {
	case cl.When > NotMatchedBySource || cl.Do > DoInsert || (cl.When == NotMatched) != (cl.Do == DoInsert):
		return fmt.Errorf("%w: source rows are inserted, target rows updated or deleted", ErrInvalidRequest)
	case cl.When == NotMatchedBySource && cl.Star:
		return fmt.Errorf("%w: a row without a source has no source columns (*)", ErrInvalidRequest)
	case cl.Do == DoDelete && (cl.Star || len(cl.Set) > 0):
		return fmt.Errorf("%w: a delete sets no columns", ErrInvalidRequest)
	case cl.Do != DoDelete && cl.Star == (len(cl.Set) > 0):
		return fmt.Errorf("%w: either every column (*) or a list of them", ErrInvalidRequest)
	}
	return nil
}

// merging is one merge under way.
type merging struct {
	Merge
	c   *Change
	eng Engine

	fields  []txlog.Field             // columns of the source
	source  *mergeSource              // its rows
	equal   []equality                // spelled as in target and source schema
	clauses []mergeClause             // by the number that the match carries
	rules   *rules                    // of the table as the merge leaves it
	files   []int                     // target files that may match
	orphans orphans                   // changed rows without a source
	match   *scratch                  // (file, row, source row, clause, changes); see matchSchema
	changed *scratch                  // rows of match that were in doubt and do change
	deletes map[int]*roaring64.Bitmap // rows that a clause deletes, by file of the base
	images  []RelationFile            // new rows for the change data feed
}

// orphans counts target rows that match no source row and change.
type orphans struct{ updated, deleted int64 }

// mergeClause is a clause with its values resolved against both schemas.
type mergeClause struct {
	Clause
	values  map[string]string // column of the table → cast expression; updates: assigned columns only
	compare []string          // assigned columns whose old and new value may differ, cheapest to compare first
	target  bool              // the new image needs columns of the target
}

func (r *merging) run(ctx context.Context) error {
	c := r.c
	scanStart := c.start
	if err := r.resolve(ctx); err != nil {
		return err
	}
	if err := r.openSource(ctx); err != nil {
		return err
	}
	c.result.RowsSource = r.source.rows
	if c.result.RowsSource > 0 || r.has(NotMatchedBySource) {
		if err := r.prune(ctx); err != nil {
			return err
		}
		found, err := r.findMatches(ctx)
		if err != nil {
			return err
		}
		if err := r.writeImages(ctx, found); err != nil {
			return err
		}
		left := c.leaving(found)
		if _, err := c.removeRows(ctx, r.eng, found, r.RewriteShare); err != nil {
			return err
		}
		if err := r.recordChanges(ctx, left); err != nil {
			return err
		}
	}
	r.describe(clock.Since(c.t.opts.Log.Clock, scanStart).Milliseconds())
	return nil
}

// close drops the scratch rows.
func (r *merging) close(ctx context.Context) {
	r.source.drop(ctx)
	r.match.drop(ctx)
	r.changed.drop(ctx)
}

// relations names what the statements of a merge read.
func (r *merging) relations(target *Relation) map[string]Relation {
	out := map[string]Relation{sourceRelation: r.source.rel}
	if target != nil {
		out[targetRelation] = *target
	}
	if r.match != nil {
		m := r.match.relation()
		if r.changed != nil {
			m.Files = append(m.Files, r.changed.relation().Files...)
		}
		out[matchRelation] = m
	}
	return out
}

// describe fills in operation parameters and metrics.
func (r *merging) describe(milliseconds int64) {
	c := r.c
	kinds := map[When][]map[string]string{Matched: {}, NotMatched: {}, NotMatchedBySource: {}}
	actions := map[Do]string{DoUpdate: "update", DoDelete: "delete", DoInsert: "insert"}
	for _, cl := range r.Clauses {
		p := map[string]string{"actionType": actions[cl.Do]}
		if strings.TrimSpace(cl.If) != "" {
			p["predicate"] = cl.If
		}
		kinds[cl.When] = append(kinds[cl.When], p)
	}
	c.parameter("predicate", jsonText([]string{r.On}))
	c.parameter("matchedPredicates", jsonText(kinds[Matched]))
	c.parameter("notMatchedPredicates", jsonText(kinds[NotMatched]))
	c.parameter("notMatchedBySourcePredicates", jsonText(kinds[NotMatchedBySource]))
	orphans := r.orphans
	c.metrics = func(c *Change) map[string]string { return mergeMetrics(c, orphans, milliseconds) }
}

// mergeMetrics names what a MERGE did the way Spark does.
func mergeMetrics(c *Change, o orphans, milliseconds int64) map[string]string {
	res := c.result
	return map[string]string{
		"numSourceRows":                          metric(res.RowsSource),
		"numTargetRowsInserted":                  metric(res.RowsInserted),
		"numTargetRowsUpdated":                   metric(res.RowsUpdated),
		"numTargetRowsMatchedUpdated":            metric(res.RowsUpdated - o.updated),
		"numTargetRowsNotMatchedBySourceUpdated": metric(o.updated),
		"numTargetRowsDeleted":                   metric(res.RowsDeleted),
		"numTargetRowsMatchedDeleted":            metric(res.RowsDeleted - o.deleted),
		"numTargetRowsNotMatchedBySourceDeleted": metric(o.deleted),
		"numTargetRowsCopied":                    metric(res.RowsCopied),
		"numOutputRows":                          metric(rowsOf(c.fresh) + rowsOf(c.copied)),
		"numTargetFilesAdded":                    metric(int64(len(c.fresh) + len(c.copied))),
		"numTargetFilesRemoved":                  metric(int64(len(c.drop))),
		"numTargetBytesAdded":                    metric(bytesOf(c.fresh) + bytesOf(c.copied)),
		"numTargetBytesRemoved":                  metric(c.droppedBytes()),
		"numTargetDeletionVectorsAdded":          metric(int64(len(c.mask))),
		"numTargetDeletionVectorsRemoved":        metric(c.droppedVectors()),
		"numTargetDeletionVectorsUpdated":        metric(c.updatedVectors()),
		"numTargetChangeFilesAdded":              metric(int64(len(c.feed))),
		"scanTimeMs":                             metric(milliseconds),
	}
}
