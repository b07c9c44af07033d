package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Columns that a merge adds to its judged candidates.
const (
	colRank = "_lake_rank" // 1: the newest accepted row of its key
	colTwin = "_lake_peer" // accepted rows with the same key and sequence
	colOp   = "_lake_op"   // upsert, delete

	relGone = "_lake.gone" // keys that the source lost rows of
)

// mergeSpec is the front matter of a merge, with names as the SELECT spells them.
type mergeSpec struct {
	fields   []txlog.Field
	names    []string
	key      []string
	sequence []string
	stored   []string // columns of the table
	compare  []string // leading columns of sequence that the table has too
}

// merge runs a model that keeps the newest row of each key.
func (t *task) merge(ctx context.Context) error {
	changes, gone, err := t.mergeSources(ctx)
	if err != nil {
		return err
	}
	sql, err := t.sql()
	if err != nil {
		return err
	}
	fields, err := t.output(ctx, sql)
	if err != nil {
		return err
	}
	spec := t.mergeSpec(fields)
	recompute, err := t.goneKeys(ctx, spec, sql, changes, gone)
	if err != nil {
		return err
	}
	candidates := sql
	if recompute {
		if candidates, err = t.recomputed(ctx, spec, sql, changes); err != nil {
			return err
		}
	}
	conditions, err := t.conditions(ctx, fields, candidates)
	if err != nil {
		return err
	}
	if err := t.keep(ctx, relCandidates, rankedSQL(judgedSQL(spec.keyed(candidates), conditions), spec)); err != nil {
		return err
	}
	judged := "SELECT * FROM " + relCandidates
	v, err := t.count(ctx, judged, "count(*) FILTER (WHERE "+colRank+" = 1)", "count(*) FILTER (WHERE "+colRank+" = 1 AND "+colTwin+" > 1)")
	if err != nil {
		return err
	}
	if err := t.verdict(v); err != nil {
		return err
	}
	winners, tied := v.extra[0], v.extra[1]
	if tied > 0 {
		if err := t.ties(ctx, spec); err != nil {
			return err
		}
	}
	t.rep.RowsSuperseded = v.accepted - winners
	return t.mergeRows(ctx, spec, v, conditions, winners, recompute)
}

// mergeSources opens the pinned sources and gives the changes source as the SELECT sees it: the rows that came. gone
// are the rows that left it.
func (t *task) mergeSources(ctx context.Context) (changes PlanSource, gone table.Relation, err error) {
	pinned := *t.p
	pinned.Sources = nil
	for _, src := range t.p.Sources {
		if src.Mode == modeChanges {
			changes = src
			continue
		}
		pinned.Sources = append(pinned.Sources, src)
	}
	if t.relations, err = t.r.relations(ctx, &pinned); err != nil {
		return changes, gone, err
	}
	source, err := t.r.pinnedTable(ctx, changes)
	if err != nil {
		return changes, gone, err
	}
	if changes.After != nil && *changes.After == changes.pinned() {
		schema, err := source.Schema()
		t.relations[changes.Table] = table.Relation{Schema: schema} // nothing came since
		return changes, gone, err
	}
	if changes.After == nil {
		t.relations[changes.Table], _, err = source.Relation(ctx, table.ScanOptions{})
		return changes, gone, err
	}
	feed, err := source.ChangesRelation(ctx, *changes.After, changes.pinned())
	if errors.Is(err, txlog.ErrHistoryGone) || errors.Is(err, txlog.ErrFileGone) {
		err = fmt.Errorf("%w: the changes of %s after version %d are gone: %w", ErrSourceRewound, changes.Table, *changes.After, err)
	}
	if err != nil {
		return changes, gone, err
	}
	came, left := splitFeed(feed)
	t.relations[changes.Table] = came
	return changes, left, nil
}

// splitFeed takes a relation of changes apart by the type of its files, without the columns that a feed adds. Each
// file holds changes of one type: that is how changes are derived.
func splitFeed(feed table.Relation) (came, left table.Relation) {
	added := []string{table.ChangeTypeColumn, table.CommitVersionColumn, table.CommitTimestampColumn}
	base := table.Relation{Schema: &txlog.Schema{}, Mapping: feed.Mapping}
	for _, f := range feed.Schema.Fields {
		if !slices.Contains(added, f.Name) {
			base.Schema.Fields = append(base.Schema.Fields, f)
		}
	}
	for _, c := range feed.PartitionColumns {
		if !slices.Contains(added, c) {
			base.PartitionColumns = append(base.PartitionColumns, c)
		}
	}
	came, left = base, base
	for _, f := range feed.Files {
		if f.Partition[table.ChangeTypeColumn] == "delete" {
			left.Files = append(left.Files, f)
		} else {
			came.Files = append(came.Files, f)
		}
	}
	came.Files = stayed(came.Files, left.Files)
	return came, left
}

// stayed takes out of the rows that came those that left again: they are no candidates. Rows that another writer moved
// to another file in between cannot be told by their place; their keys are computed again anyway.
func stayed(came, left []table.RelationFile) []table.RelationFile {
	var out []table.RelationFile
next:
	for _, f := range came {
		for _, g := range left {
			if g.Key != f.Key {
				continue
			}
			if g.Only == nil {
				continue next
			}
			gone := g.Only.Clone()
			if f.Deleted != nil {
				gone.Or(f.Deleted)
			}
			f.Deleted = gone
		}
		out = append(out, f)
	}
	return out
}

func (t *task) mergeSpec(fields []txlog.Field) mergeSpec {
	q := t.s.m.query
	schema := &txlog.Schema{Fields: fields}
	spell := func(names []string) []string {
		out := make([]string, 0, len(names))
		for _, n := range names {
			if f, err := schema.Lookup(n); err == nil { // output has looked already
				out = append(out, f.Name)
			}
		}
		return out
	}
	spec := mergeSpec{fields: fields, names: namesOf(fields), key: spell(q.key), sequence: spell(q.sequence)}
	hidden := spell(q.notStored)
	for _, n := range spec.names {
		if !slices.Contains(hidden, n) {
			spec.stored = append(spec.stored, n)
		}
	}
	for _, n := range spec.sequence {
		if slices.Contains(hidden, n) {
			break
		}
		spec.compare = append(spec.compare, n)
	}
	return spec
}

// keyed adds to candidate rows why they cannot be merged: a NULL in the key or in the sequence.
func (s mergeSpec) keyed(candidates string) string {
	null := func(names []string) string {
		if len(names) == 0 {
			return "FALSE"
		}
		return strings.Join(quoteIdents("", names), " IS NULL OR ") + " IS NULL"
	}
	which := func(names []string) string {
		parts := make([]string, len(names))
		for i, n := range names {
			parts[i] = "CASE WHEN " + quoteIdent(n) + " IS NULL THEN " + quoteString(n+"=NULL") + " END"
		}
		if len(parts) == 0 {
			return "NULL"
		}
		return "concat_ws(', ', " + strings.Join(parts, ", ") + ")"
	}
	return "SELECT *, CASE WHEN " + null(s.key) + " THEN '" + reasonNullKey + "' WHEN " + null(s.sequence) + " THEN '" + reasonNullSequence + "' END AS " + colReason +
		", CASE WHEN " + null(s.key) + " THEN " + which(s.key) + " WHEN " + null(s.sequence) + " THEN " + which(s.sequence) + " END AS " + colInfo +
		", CAST(NULL AS VARCHAR) AS " + colRaw + " FROM " + bodyOf(candidates) + " AS c"
}

// rankedSQL numbers the accepted rows of each key, newest first.
func rankedSQL(judged string, s mergeSpec) string {
	ok := "CASE WHEN " + accepted + " THEN TRUE ELSE FALSE END"
	by := append([]string{"_lake_ok"}, quoteIdents("", s.key)...)
	order := ""
	if len(s.sequence) > 0 {
		order = " ORDER BY " + strings.Join(quoteIdents("", s.sequence), " DESC, ") + " DESC"
	}
	partition := "PARTITION BY " + strings.Join(by, ", ")
	peers := "PARTITION BY " + strings.Join(append(slices.Clone(by), quoteIdents("", s.sequence)...), ", ")
	return "SELECT * EXCLUDE (_lake_ok), CASE WHEN _lake_ok THEN row_number() OVER (" + partition + order + ") END AS " + colRank +
		", CASE WHEN _lake_ok THEN count(*) OVER (" + peers + ") END AS " + colTwin +
		" FROM (SELECT *, " + ok + " AS _lake_ok FROM " + bodyOf(judged) + " AS j) AS k"
}

// ties refuses two different rows of one key and one sequence: nothing says which of them is newer. Equal rows fold.
func (t *task) ties(ctx context.Context, s mergeSpec) error {
	keys := strings.Join(quoteIdents("", s.key), ", ")
	same := strings.Join(quoteIdents("c.", append(slices.Clone(s.key), s.sequence...)), ", ")
	match := make([]string, 0, len(s.key)+len(s.sequence))
	for _, n := range append(slices.Clone(s.key), s.sequence...) {
		match = append(match, "c."+quoteIdent(n)+" = w."+quoteIdent(n))
	}
	sql := "SELECT count(*) OVER (), " + keys + " FROM (SELECT DISTINCT " + strings.Join(quoteIdents("c.", s.names), ", ") + " FROM " + relCandidates + " AS c SEMI JOIN (SELECT * FROM " +
		relCandidates + " WHERE " + colRank + " = 1 AND " + colTwin + " > 1) AS w ON " + strings.Join(match, " AND ") + " WHERE c." + colRank + " IS NOT NULL) AS c GROUP BY " +
		same + " HAVING count(*) > 1 ORDER BY " + keys + " LIMIT 1"
	var found []any
	err := t.r.eachRow(ctx, t.query(sql), func(row []any) error {
		found = slices.Clone(row)
		return nil
	})
	if err != nil || found == nil {
		return err
	}
	hint := "add a column to sequence_by that tells them apart, or to key"
	if len(s.sequence) == 0 {
		hint = "say with sequence_by which row of a key is the newest"
	}
	return fmt.Errorf("%w: sequence_tie: %v keys have two different rows of one sequence (%s); %s", ErrCheckFailed, found[0], strings.Join(s.key, ", "), hint)
}

// goneKeys looks at the rows that the source lost. It tells whether keys must be recomputed, and then keeps them as
// relGone.
func (t *task) goneKeys(ctx context.Context, s mergeSpec, sql string, changes PlanSource, gone table.Relation) (bool, error) {
	if len(gone.Files) == 0 || t.s.m.query.onSourceDelete == deleteIgnore {
		return false, nil
	}
	came := t.relations[changes.Table]
	t.relations[changes.Table] = gone
	defer func() { t.relations[changes.Table] = came }()
	if err := t.keep(ctx, relGone, "SELECT DISTINCT "+strings.Join(quoteIdents("", s.key), ", ")+" FROM "+bodyOf(sql)+" AS c WHERE "+
		strings.Join(quoteIdents("", s.key), " IS NOT NULL AND ")+" IS NOT NULL"); err != nil {
		return false, err
	}
	if len(t.relations[relGone].Files) == 0 {
		return false, nil
	}
	if t.s.m.query.onSourceDelete == deleteFail {
		return false, fmt.Errorf("%w: %s updated or lost rows, and on_source_delete is fail", ErrCheckFailed, changes.Table)
	}
	return true, nil
}

// recomputed is the candidates of a plan whose source lost rows: the rows that came, and for the keys that lost rows all
// rows of the source as it is now. Both are kept, because one statement cannot read the source in two states.
func (t *task) recomputed(ctx context.Context, s mergeSpec, sql string, changes PlanSource) (string, error) {
	on := make([]string, len(s.key))
	for i, n := range s.key {
		on[i] = "c." + quoteIdent(n) + " = g." + quoteIdent(n)
	}
	join := " JOIN " + relGone + " AS g ON " + strings.Join(on, " AND ")
	if err := t.keep(ctx, "_lake.came", "SELECT c.* FROM "+bodyOf(sql)+" AS c ANTI"+join); err != nil {
		return "", err
	}
	source, err := t.r.pinnedTable(ctx, changes)
	if err != nil {
		return "", err
	}
	came := t.relations[changes.Table]
	defer func() { t.relations[changes.Table] = came }()
	if t.relations[changes.Table], _, err = source.Relation(ctx, table.ScanOptions{}); err != nil {
		return "", err
	}
	if err := t.keep(ctx, "_lake.again", "SELECT c.* FROM "+bodyOf(sql)+" AS c SEMI"+join); err != nil {
		return "", err
	}
	return "SELECT * FROM _lake.came UNION ALL SELECT * FROM _lake.again", nil
}

// mergeRows merges the newest rows into the table.
func (t *task) mergeRows(ctx context.Context, s mergeSpec, v *verdicts, conditions []condition, winners int64, recompute bool) error {
	stored := strings.Join(quoteIdents("", s.stored), ", ")
	won := " FROM " + relCandidates + " WHERE " + colRank + " = 1"
	upto := int64(t.changesVersion())
	reject := rejects{
		judged: "SELECT * FROM " + relCandidates, fields: s.names, conditions: conditions, count: v.rejected,
		source: quoteString(t.s.m.query.changesOf()), position: t.ownPosition(s.fields), version: &upto, all: t.p.Restart == RestartFull,
	}
	source := "SELECT " + stored + ", 'upsert' AS " + colOp + won
	if recompute {
		keys := strings.Join(quoteIdents("", s.key), ", ")
		nulls := make([]string, len(s.stored))
		for i, n := range s.stored {
			nulls[i] = "NULL AS " + quoteIdent(n)
			if slices.Contains(s.key, n) {
				nulls[i] = quoteIdent(n)
			}
		}
		source += " UNION ALL BY NAME SELECT " + strings.Join(nulls, ", ") + ", 'delete' AS " + colOp +
			" FROM (SELECT " + keys + " FROM " + relGone + " EXCEPT SELECT " + keys + won + ") AS g"
	}
	res, err := t.land(ctx, landingSteps{
		create: func(ctx context.Context) (*table.Change, error) {
			return table.PrepareCreateAppend(ctx, t.r.o.Store, t.s.m.Path(), t.createOf(nil), t.r.o.Engine,
				table.Append{Source: t.query("SELECT " + stored + won)}, t.r.tableOptions())
		},
		change: func(ctx context.Context, target *table.Table) (*table.Change, error) {
			if t.p.Restart == RestartFull {
				return target.PrepareOverwrite(ctx, t.r.o.Engine, table.Overwrite{Source: t.query("SELECT " + stored + won), OverwriteSchema: true})
			}
			return t.prepareMerge(ctx, s, target, source, recompute)
		},
		rejected: func(ctx context.Context) error { return t.quarantine(ctx, reject) },
	})
	if err != nil {
		return err
	}
	t.rep.RowsAdded, t.rep.RowsUpdated, t.rep.RowsDeleted = res.RowsInserted, res.RowsUpdated, max(res.RowsDeleted, 0)
	if res.VersionBefore >= 0 && !recompute {
		t.rep.RowsLate = max(0, winners-res.RowsInserted-res.RowsUpdated-res.RowsUnchanged)
	}
	return nil
}

func (t *task) changesVersion() txlog.Version {
	for _, src := range t.p.Sources {
		if src.Mode == modeChanges {
			return src.pinned()
		}
	}
	return 0
}

// prepareMerge stages the merge proper.
func (t *task) prepareMerge(ctx context.Context, s mergeSpec, target *table.Table, source string, recompute bool) (*table.Change, error) {
	have, err := target.Schema()
	if err != nil {
		return nil, err
	}
	if err := t.drift(s, have); err != nil {
		return nil, err
	}
	set := make([]table.Assignment, len(s.stored))
	for i, n := range s.stored {
		set[i] = table.Assignment{Column: n, Value: "s." + quoteIdent(n)}
	}
	newer := "s." + colOp + " = 'upsert'"
	if len(s.compare) > 0 {
		// A row that is older than the stored one is ignored. Rows of keys that the source lost rows of are what the
		// source says now, older or not.
		older := "(" + strings.Join(quoteIdents("s.", s.compare), ", ") + ") >= (" + strings.Join(quoteIdents("t.", s.compare), ", ") + ")"
		if len(s.compare) == 1 {
			older = "s." + quoteIdent(s.compare[0]) + " >= t." + quoteIdent(s.compare[0])
		}
		if !recompute {
			newer += " AND " + older
		}
	}
	on := make([]string, len(s.key))
	for i, n := range s.key {
		on[i] = "t." + quoteIdent(n) + " = s." + quoteIdent(n)
	}
	clauses := []table.Clause{{When: table.Matched, If: newer, Do: table.DoUpdate, Set: set}}
	if recompute {
		clauses = append(clauses, table.Clause{When: table.Matched, If: "s." + colOp + " = 'delete'", Do: table.DoDelete})
	}
	clauses = append(clauses, table.Clause{When: table.NotMatched, If: "s." + colOp + " = 'upsert'", Do: table.DoInsert, Set: set})
	return target.PrepareMerge(ctx, t.r.o.Engine, table.Merge{Source: t.query(source), On: strings.Join(on, " AND "), Clauses: clauses})
}

// drift compares the columns of the SELECT with those of the table.
func (t *task) drift(s mergeSpec, have *txlog.Schema) error {
	var wrong []string
	schema := &txlog.Schema{Fields: s.fields}
	for _, n := range s.stored {
		want, _ := schema.Lookup(n)
		f, err := have.Lookup(n)
		switch {
		case err != nil:
			wrong = append(wrong, fmt.Sprintf("the SELECT gained the column %q", n))
		case f.Type.SQL() != want.Type.SQL():
			wrong = append(wrong, fmt.Sprintf("column %q is %s in the table and %s in the SELECT", n, f.Type.SQL(), want.Type.SQL()))
		}
	}
	for _, f := range have.Fields {
		if !slices.ContainsFunc(s.stored, func(n string) bool { return strings.EqualFold(n, f.Name) }) {
			wrong = append(wrong, fmt.Sprintf("the SELECT lost the column %q", f.Name))
		}
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%w: %s: %s", errConfig, t.s.m.File, strings.Join(wrong, "; "))
	}
	return nil
}
