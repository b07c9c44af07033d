package table

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/txlog"
)

// Columns of a match: which target row (NULL for an insert), which source row, which clause applies, and whether the
// row is known to change.
const (
	matchFile    = "_lake_match_file"
	matchRow     = "_lake_match_row"
	matchSource  = "_lake_match_source"
	matchClause  = "_lake_match_clause"
	matchChanges = "_lake_match_changes"
)

func matchSchema() *txlog.Schema {
	long := &txlog.DataType{Kind: txlog.KindLong, Name: "long"}
	return &txlog.Schema{Fields: []txlog.Field{
		{Name: matchFile, Type: long, Nullable: true},
		{Name: matchRow, Type: long, Nullable: true},
		{Name: matchSource, Type: long, Nullable: true},
		{Name: matchClause, Type: long, Nullable: true},
		{Name: matchChanges, Type: &txlog.DataType{Kind: txlog.KindBoolean, Name: "boolean"}, Nullable: true},
	}}
}

// findMatches decides which clause applies to which pair and returns the target rows that change, by file.
//
// The match reads the columns of the condition, of the clauses' conditions, and for each update one column more: the
// row changes if that column does. Only pairs that it leaves in doubt have their other columns compared.
func (r *merging) findMatches(ctx context.Context) (map[int]*roaring64.Bitmap, error) {
	if err := r.checkSides(ctx); err != nil {
		return nil, err
	}
	rel, err := r.target(ctx, r.files)
	if err != nil {
		return nil, err
	}
	if r.match, err = keep(ctx, r.eng, Query{
		SQL: r.matchSQL(), Relations: r.relations(&rel), TimeZone: r.Source.TimeZone,
	}, matchSchema()); err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	p, err := r.readPairs(ctx)
	if err != nil {
		return nil, fmt.Errorf("match: %w", err)
	}
	if p.twice && !r.deletesOnly() && !mutant.On(mutant.DoubleMatchAllowed) {
		return nil, r.ambiguous(ctx)
	}
	if err := r.settleDoubt(ctx, p); err != nil {
		return nil, fmt.Errorf("compare: %w", err)
	}
	res := &r.c.result
	res.RowsInserted = rowsOf(r.match.files) - p.pairs
	res.RowsUpdated, res.RowsDeleted, res.RowsUnchanged = p.updated, p.deleted, p.doubtful
	return p.rows, nil
}

// target describes target files with their rows numbered, under the schema that the merge leaves behind.
func (r *merging) target(ctx context.Context, files []int) (Relation, error) {
	rel, err := r.c.t.relation(ctx, r.c.base, files, true)
	rel.Schema = r.c.shape.schema
	return rel, err
}

// checkSides refuses inserts that name the target and changes of rows without a source that name the source: there
// is no row to take a value from, and a NULL would go unnoticed.
func (r *merging) checkSides(ctx context.Context) error {
	empty := r.c.shape.relation()
	for _, side := range []struct {
		when            When
		relation, alias string
	}{{NotMatched, sourceRelation, r.SourceAlias}, {NotMatchedBySource, targetRelation, r.TargetAlias}} {
		var exprs []string
		for _, cl := range r.clauses {
			if cl.When != side.when {
				continue
			}
			if strings.TrimSpace(cl.If) != "" {
				exprs = append(exprs, enclosed(cl.If))
			}
			for _, a := range cl.Set {
				exprs = append(exprs, enclosed(a.Value))
			}
		}
		if exprs == nil {
			continue
		}
		rows, err := r.eng.Query(ctx, Query{
			SQL:       "SELECT " + strings.Join(exprs, ", ") + " FROM " + QuoteIdent(side.relation) + " AS " + QuoteIdent(side.alias) + " LIMIT 0",
			Relations: r.relations(&empty), TimeZone: r.Source.TimeZone, Unordered: true,
		})
		if err != nil {
			return err
		}
		if err := rows.Close(); err != nil {
			return err
		}
	}
	return nil
}

// matchSQL is the one statement over source and target.
func (r *merging) matchSQL() string {
	t, s := QuoteIdent(r.TargetAlias), QuoteIdent(r.SourceAlias)
	join := " JOIN "
	switch inserts, orphans := r.has(NotMatched), r.has(NotMatchedBySource); {
	case inserts && orphans:
		join = " FULL JOIN "
	case inserts:
		join = " LEFT JOIN "
	case orphans:
		join = " RIGHT JOIN "
	}
	var b strings.Builder
	b.WriteString("SELECT CAST(" + t + "." + FileColumn + " AS BIGINT) AS " + matchFile)
	b.WriteString(", " + t + "." + RowColumn + " AS " + matchRow)
	b.WriteString(", " + r.source.row(r.SourceAlias) + " AS " + matchSource)
	b.WriteString(", CAST(CASE")
	for i, cl := range r.clauses {
		b.WriteString(" WHEN " + r.applies(cl) + " THEN " + metric(int64(i)))
	}
	b.WriteString(" END AS BIGINT) AS " + matchClause)
	b.WriteString(", CASE")
	for _, cl := range r.clauses {
		b.WriteString(" WHEN " + r.applies(cl) + " THEN " + r.probe(cl))
	}
	b.WriteString(" END AS " + matchChanges)
	b.WriteString(" FROM " + QuoteIdent(sourceRelation) + " AS " + s + join + QuoteIdent(targetRelation) + " AS " + t)
	b.WriteString(" ON " + enclosed(r.On))
	return "SELECT * FROM (" + b.String() + ") AS m WHERE " + matchClause + " IS NOT NULL"
}

// applies is true for the rows of the join to which a clause applies if no earlier one does.
func (r *merging) applies(cl mergeClause) string {
	target, source := qualified(r.TargetAlias, RowColumn), r.source.there(r.SourceAlias)
	cond := target + " IS NOT NULL AND " + source + " IS NOT NULL"
	switch cl.When {
	case NotMatched:
		cond = target + " IS NULL"
	case NotMatchedBySource:
		cond = source + " IS NULL"
	case Matched:
	}
	if strings.TrimSpace(cl.If) != "" {
		cond += " AND " + enclosed(cl.If)
	}
	return cond
}

// probe is true for pairs that are known to change under a clause.
func (r *merging) probe(cl mergeClause) string {
	if cl.Do != DoUpdate || r.RewriteEqual {
		return "true"
	}
	if len(cl.compare) == 0 {
		return "false"
	}
	return r.differs(cl, cl.compare[:1])
}

// differs is true for pairs with another new value in one of the columns.
func (r *merging) differs(cl mergeClause, columns []string) string {
	parts := make([]string, len(columns))
	for i, c := range columns {
		parts[i] = changedSQL(qualified(r.TargetAlias, c), cl.values[c], typeOf(r.c.shape.schema.Fields, c))
	}
	return "(" + strings.Join(parts, " OR ") + ")"
}

// has tells whether there is a clause of a kind.
func (r *merging) has(w When) bool {
	return slices.ContainsFunc(r.clauses, func(cl mergeClause) bool { return cl.When == w })
}

// deletesOnly tells whether it does not matter how many source rows match one target row.
func (r *merging) deletesOnly() bool {
	n := 0
	for _, cl := range r.clauses {
		if cl.When == Matched {
			n++
			if cl.Do != DoDelete || strings.TrimSpace(cl.If) != "" {
				return false
			}
		}
	}
	return n == 1
}

// pairs is what a match found.
type pairs struct {
	pairs                      int64 // pairs of source and target rows to which a clause applies
	twice                      bool  // a target row is in two of them
	updated, deleted, doubtful int64
	rows                       map[int]*roaring64.Bitmap // target rows that change, by file of the base
	doubt                      map[int]*roaring64.Bitmap // target rows that may change, by number in r.files
}

// readPairs reads the pairs of the match.
func (r *merging) readPairs(ctx context.Context) (p *pairs, err error) {
	p = &pairs{rows: map[int]*roaring64.Bitmap{}, doubt: map[int]*roaring64.Bitmap{}}
	rows, err := r.eng.Query(ctx, Query{
		SQL: "SELECT " + strings.Join([]string{matchFile, matchRow, matchClause, matchChanges}, ", ") +
			" FROM " + matchRelation + " WHERE " + matchFile + " IS NOT NULL",
		Relations: map[string]Relation{matchRelation: r.match.relation()}, Unordered: true,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = joinErrors(err, rows.Close()) }()
	for row, err := range rows.All {
		if err != nil {
			return nil, err
		}
		file, fok := row[0].(int64)
		pos, pok := row[1].(int64)
		clause, cok := row[2].(int64)
		changes, bok := row[3].(bool)
		if !fok || !pok || !cok || !bok || file < 0 || file >= int64(len(r.files)) || pos < 0 || clause < 0 || clause >= int64(len(r.clauses)) {
			return nil, fmt.Errorf("engine answered with (%v, %v, %v, %v)", row[0], row[1], row[2], row[3])
		}
		p.pairs++
		if !bitmap(p.rows, r.files[file]).CheckedAdd(uint64(pos)) {
			p.twice = true
			continue
		}
		switch {
		case !changes:
			p.doubtful++
			bitmap(p.doubt, int(file)).Add(uint64(pos))
		case r.clauses[clause].Do == DoDelete:
			p.deleted++
			bitmap(r.deletes, r.files[file]).Add(uint64(pos))
			r.orphans.deleted += r.orphan(clause)
		default:
			p.updated++
			r.orphans.updated += r.orphan(clause)
		}
	}
	return p, nil
}

// orphan is 1 for clauses on rows without a source, else 0.
func (r *merging) orphan(clause int64) int64 {
	if r.clauses[clause].When == NotMatchedBySource {
		return 1
	}
	return 0
}

// settleDoubt compares the remaining columns of pairs that the match left in doubt, keeps those that change in
// r.changed, and takes the others out of p.rows.
func (r *merging) settleDoubt(ctx context.Context, p *pairs) error {
	if p.doubtful == 0 {
		return nil
	}
	cases := ""
	for i, cl := range r.clauses {
		if len(cl.compare) > 1 {
			cases += " WHEN " + metric(int64(i)) + " THEN " + r.differs(cl, cl.compare[1:])
		}
	}
	changed := map[int]*roaring64.Bitmap{}
	if cases != "" {
		numbers := slices.Sorted(maps.Keys(p.doubt))
		rel, join, err := r.pairSQL(numbers)
		if err != nil {
			return err
		}
		if r.changed, err = keep(ctx, r.eng, Query{
			SQL: "SELECT " + strings.Join([]string{"m." + matchFile, "m." + matchRow, "m." + matchSource, "m." + matchClause}, ", ") +
				", true AS " + matchChanges + join + " WHERE NOT m." + matchChanges + " AND CASE m." + matchClause + cases + " ELSE false END",
			Relations: r.relations(&rel), TimeZone: r.Source.TimeZone,
		}, matchSchema()); err != nil {
			return err
		}
		if changed, err = r.readChanged(ctx); err != nil {
			return err
		}
	}
	for number, doubt := range p.doubt {
		i := r.files[number]
		if b := changed[i]; b != nil {
			n := cardinality(b)
			p.updated, p.doubtful = p.updated+n, p.doubtful-n
			doubt.AndNot(b)
		}
		p.rows[i].AndNot(doubt)
		if p.rows[i].IsEmpty() {
			delete(p.rows, i)
		}
	}
	return nil
}

// readChanged reads the rows that were in doubt and do change.
func (r *merging) readChanged(ctx context.Context) (found map[int]*roaring64.Bitmap, err error) {
	rows, err := r.eng.Query(ctx, Query{
		SQL:       "SELECT " + strings.Join([]string{matchFile, matchRow, matchClause}, ", ") + " FROM " + changedRelation,
		Relations: map[string]Relation{changedRelation: r.changed.relation()}, Unordered: true,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = joinErrors(err, rows.Close()) }()
	found = map[int]*roaring64.Bitmap{}
	for row, err := range rows.All {
		if err != nil {
			return nil, err
		}
		file, fok := row[0].(int64)
		pos, pok := row[1].(int64)
		clause, cok := row[2].(int64)
		if !fok || !pok || !cok || file < 0 || file >= int64(len(r.files)) || pos < 0 || clause < 0 || clause >= int64(len(r.clauses)) {
			return nil, fmt.Errorf("engine answered with (%v, %v, %v)", row[0], row[1], row[2])
		}
		bitmap(found, r.files[file]).Add(uint64(pos))
		r.orphans.updated += r.orphan(clause)
	}
	return found, nil
}

// pairSQL is FROM match LEFT JOIN source JOIN target, with only the target files of these numbers in r.files. Deletion
// vectors are left out: rows of a match are live, and the join takes no others.
func (r *merging) pairSQL(numbers []int) (Relation, string, error) {
	rel := r.c.shape.relation()
	rel.Position, rel.RowIDs, rel.KeepVariants = true, r.c.shape.rowIDs(), true
	values := make([]string, len(numbers))
	for k, number := range numbers {
		f, err := r.c.t.relationFile(r.c.base, r.files[number], r.c.shape.schema)
		if err != nil {
			return Relation{}, "", err
		}
		rel.Files = append(rel.Files, f)
		values[k] = "(" + metric(int64(k)) + ", " + metric(int64(number)) + ")"
	}
	t := QuoteIdent(r.TargetAlias)
	return rel, r.sourceSQL(" LEFT JOIN ") +
		" JOIN (VALUES " + strings.Join(values, ", ") + ") AS k(lake_k, lake_number) ON k.lake_number = m." + matchFile +
		" JOIN " + QuoteIdent(targetRelation) + " AS " + t + " ON " + t + "." + FileColumn + " = k.lake_k AND " +
		t + "." + RowColumn + " = m." + matchRow, nil
}

// sourceSQL is FROM match JOIN source, with this kind of join: the rows of orphans have no source row.
func (r *merging) sourceSQL(join string) string {
	s := QuoteIdent(r.SourceAlias)
	return " FROM " + matchRelation + " AS m" + join + QuoteIdent(sourceRelation) + " AS " + s +
		" ON " + r.source.row(r.SourceAlias) + " = m." + matchSource
}

// ambiguous names the keys of source rows that meet in one target row.
func (r *merging) ambiguous(ctx context.Context) (err error) {
	out := &AmbiguousMatchError{}
	for _, e := range r.equal {
		out.Columns = append(out.Columns, e.source)
	}
	if len(out.Columns) == 0 {
		for _, f := range r.fields {
			out.Columns = append(out.Columns, f.Name)
		}
	}
	columns := make([]string, len(out.Columns))
	for i, c := range out.Columns {
		columns[i] = qualified(r.SourceAlias, c)
	}
	pair := matchFile + ", " + matchRow
	rows, err := r.eng.Query(ctx, Query{
		SQL: "SELECT DISTINCT " + strings.Join(columns, ", ") + r.sourceSQL(" JOIN ") + " WHERE (m." + matchFile + ", m." + matchRow +
			") IN (SELECT (" + pair + ") FROM " + matchRelation + " WHERE " + matchFile + " IS NOT NULL GROUP BY " + pair +
			" HAVING count(*) > 1) ORDER BY ALL LIMIT " + metric(AmbiguousKeysMax+1),
		Relations: r.relations(nil), TimeZone: r.Source.TimeZone,
	})
	if err != nil {
		return joinErrors(out, err)
	}
	defer func() { err = joinErrors(err, rows.Close()) }()
	for row, err := range rows.All {
		if err != nil {
			return joinErrors(out, err)
		}
		if len(out.Keys) == AmbiguousKeysMax {
			out.More = true
			break
		}
		out.Keys = append(out.Keys, slices.Clone(row))
	}
	return out
}
