package table

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	"github.com/lakectl/lakectl/txlog"
)

// keysMax is how many different values of a key column, or ranges of them, are listed when files are dropped.
const keysMax = 1000

// prune chooses the target files that may hold a match: those that the condition's own limits on the target, and the
// keys of the source, cannot rule out by partition values and statistics.
func (r *merging) prune(ctx context.Context) error {
	ref, err := r.limits(ctx)
	if err != nil {
		return fmt.Errorf("read the merge condition: %w", err)
	}
	parts := []*txlog.Predicate{}
	if ref.Predicate != nil {
		parts = append(parts, ref.Predicate)
	}
	keys, err := r.keyPredicates(ctx)
	if err != nil {
		return fmt.Errorf("read the keys of the source: %w", err)
	}
	parts = append(parts, keys...)
	var predicate *txlog.Predicate
	if len(parts) > 0 {
		predicate = txlog.And(parts...)
	}
	if r.has(NotMatchedBySource) {
		if predicate, err = r.orOrphans(ctx, predicate); err != nil {
			return fmt.Errorf("read the conditions on rows without a source: %w", err)
		}
	}
	files, report, err := planScan(ctx, r.c.base, predicate)
	if err != nil {
		return err
	}
	r.files = files
	r.c.result.scanned(report)
	r.c.readPredicate(predicate, files)
	return nil
}

// limits is what the condition of the merge says about the target alone. Where it is equalities with the source and
// nothing else, nobody need be asked.
func (r *merging) limits(ctx context.Context) (TableRef, error) {
	if all := equalities(r.On, r.TargetAlias, r.SourceAlias); len(all) == len(r.equal) && len(all) == conjunctsOf(r.On) {
		return TableRef{}, nil
	}
	on := "SELECT 1 FROM " + QuoteIdent(sourceRelation) + " AS " + QuoteIdent(r.SourceAlias) +
		" JOIN " + QuoteIdent(targetRelation) + " AS " + QuoteIdent(r.TargetAlias) + " ON " + enclosed(r.On)
	return r.c.targetRef(ctx, r.eng, on, r.Source.TimeZone, map[string]*txlog.Schema{sourceRelation: r.source.schema})
}

// orOrphans widens the predicate of matching rows by the rows that clauses on rows without a source may change.
func (r *merging) orOrphans(ctx context.Context, match *txlog.Predicate) (*txlog.Predicate, error) {
	if match == nil {
		return nil, nil //nolint:nilnil // every row counts
	}
	or := &txlog.Predicate{Op: txlog.OpOr, Args: []*txlog.Predicate{match}}
	for _, cl := range r.clauses {
		if cl.When != NotMatchedBySource {
			continue
		}
		if strings.TrimSpace(cl.If) == "" {
			return nil, nil //nolint:nilnil // every row counts
		}
		ref, err := r.c.targetRef(ctx, r.eng, "SELECT 1 FROM "+QuoteIdent(targetRelation)+" AS "+QuoteIdent(r.TargetAlias)+
			" WHERE "+enclosed(cl.If), r.Source.TimeZone, nil)
		if err != nil || ref.Predicate == nil {
			return nil, err
		}
		or.Args = append(or.Args, ref.Predicate)
	}
	return or, nil
}

// keyPredicates is what the source's values of the key columns say about target rows that match: which values there are,
// or where there are many, in which ranges they lie.
func (r *merging) keyPredicates(ctx context.Context) ([]*txlog.Predicate, error) {
	var keys []equality
	var columns []string
	for _, e := range r.equal {
		target, err := r.c.shape.schema.Lookup(e.target)
		if err != nil {
			return nil, err
		}
		source, err := r.source.schema.Lookup(e.source)
		if err != nil {
			return nil, err
		}
		if !sameOrder(target.Type.Kind, source.Type.Kind) {
			continue
		}
		keys = append(keys, e)
		columns = append(columns, r.keySQL(e.source)...)
	}
	if len(keys) == 0 {
		return nil, nil
	}
	row, types, err := r.one(ctx, "SELECT "+strings.Join(columns, ", "))
	if err != nil {
		return nil, err
	}
	out := make([]*txlog.Predicate, len(keys))
	for i, e := range keys {
		answer, t := row[3*i:3*i+3], types[3*i+1].Type
		if out[i], err = keyPredicate(e, answer, t); err != nil {
			return nil, err
		}
		if list, _ := answer[0].([]any); len(list) > keysMax && inRanges(t.Kind) {
			some, ok := literal(list[len(list)/2], t)
			if helps, err := r.narrows(ctx, e, some, out[i]); err != nil || !ok || !helps {
				if err != nil {
					return nil, err
				}
				continue
			}
			if out[i], err = r.keyRanges(ctx, e, t); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// narrows tells whether ranges of a key can leave out more files than its least and greatest value: not where most of the
// files may hold any one value, as in a table that is not ordered by it.
func (r *merging) narrows(ctx context.Context, e equality, some txlog.Literal, all *txlog.Predicate) (bool, error) {
	if some.Kind == txlog.KindVoid {
		return true, nil
	}
	between, _, err := planScan(ctx, r.c.base, all)
	if err != nil {
		return false, err
	}
	one, _, err := planScan(ctx, r.c.base, &txlog.Predicate{Op: txlog.OpEq, Column: []string{e.target}, Values: []txlog.Literal{some}})
	return len(one)*2 < len(between), err
}

// keySQL asks for the different values of a column of the source, up to one more than are listed, NULL included, and
// for the least and the greatest.
func (r *merging) keySQL(name string) []string {
	column, from := qualified("s", name), " FROM "+QuoteIdent(sourceRelation)+" AS s"
	distinct := "SELECT DISTINCT " + column + " AS v" + from
	if r.c.result.RowsSource > sampledRows {
		// Rarely are all of so many rows needed to see more values than are listed.
		distinct = "SELECT DISTINCT v FROM (SELECT " + column + " AS v" + from + " LIMIT " + metric(sampledRows) + ")"
		distinct = "SELECT v FROM (" + distinct + ") WHERE (SELECT count(*) FROM (" + distinct + ")) > " + metric(keysMax+1) +
			" UNION ALL SELECT DISTINCT " + column + from + " WHERE (SELECT count(*) FROM (" + distinct + ")) <= " + metric(keysMax+1)
	}
	return []string{
		"(SELECT list(v) FROM (SELECT v FROM (" + distinct + ") LIMIT " + metric(keysMax+2) + "))",
		"(SELECT min(" + column + ")" + from + ")", "(SELECT max(" + column + ")" + from + ")",
	}
}

// sampledRows of a source tell whether a column has few values.
const sampledRows = 10 * keysMax

// inRanges tells whether values of a kind have distances, so that they can be gathered in ranges.
func inRanges(k txlog.Kind) bool {
	switch k {
	case txlog.KindLong, txlog.KindInteger, txlog.KindShort, txlog.KindByte, txlog.KindDate, txlog.KindDecimal, txlog.KindTimestamp, txlog.KindTimestampNTZ:
		return true
	default:
		return false
	}
}

// keyBuckets is how many parts the range of a column of the source is cut into to find the gaps in it.
const keyBuckets = 1 << 14

// keyRanges says in which ranges the values of a key lie: keysMax of them, with the widest gaps in between.
func (r *merging) keyRanges(ctx context.Context, e equality, t *txlog.DataType) (p *txlog.Predicate, err error) {
	column, from := qualified("s", e.source), " FROM "+QuoteIdent(sourceRelation)+" AS s"
	number := "CAST(" + column + " AS DOUBLE)"
	switch t.Kind {
	case txlog.KindDate, txlog.KindTimestamp, txlog.KindTimestampNTZ:
		number = "epoch(" + column + ")"
	default:
	}
	rows, err := r.eng.Query(ctx, Query{
		SQL: "SELECT min(" + column + "), max(" + column + "), min(" + number + ") AS n" + from + ", (SELECT min(" + number + ") AS low, max(" + number + ") AS high" + from + ") AS b WHERE " + column +
			" IS NOT NULL GROUP BY floor((" + number + " - b.low) / greatest((b.high - b.low) / " + metric(keyBuckets) + ", 1e-300)) ORDER BY n",
		Relations: r.relations(nil), TimeZone: r.Source.TimeZone, Unordered: true,
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = joinErrors(err, rows.Close()) }()
	var g gaps
	for row, err := range rows.All {
		if err != nil {
			return nil, err
		}
		low, lok := literal(row[0], t)
		high, hok := literal(row[1], t)
		at, ok := row[2].(float64)
		if !lok || !hok || !ok {
			return nil, fmt.Errorf("engine answered with a %T", row[0])
		}
		g.add(low, high, at)
	}
	ranges := txlog.InRanges([]string{e.target}, g.ranges(keysMax))
	if !e.nullSafe {
		return ranges, nil
	}
	return &txlog.Predicate{Op: txlog.OpOr, Args: []*txlog.Predicate{ranges, {Op: txlog.OpIsNull, Column: []string{e.target}}}}, nil
}

// one runs a query that gives one row.
func (r *merging) one(ctx context.Context, sql string) (out []any, types []txlog.Field, err error) {
	rows, err := r.eng.Query(ctx, Query{SQL: sql, Relations: r.relations(nil), TimeZone: r.Source.TimeZone, Unordered: true})
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = joinErrors(err, rows.Close()) }()
	for row, err := range rows.All {
		if err != nil {
			return nil, nil, err
		}
		out = slices.Clone(row)
	}
	if len(out) != len(rows.Columns) || len(out) == 0 {
		return nil, nil, errors.New("engine answered without a row")
	}
	return out, rows.Columns, nil
}

// keyPredicate is what the distinct values of a key, or where there are many their range, say. answer is the list,
// the least and the greatest value; t is their type.
func keyPredicate(e equality, answer []any, t *txlog.DataType) (*txlog.Predicate, error) {
	list, ok := answer[0].([]any)
	if !ok && answer[0] != nil { // NULL: no rows
		return nil, fmt.Errorf("engine answered with a %T", answer[0])
	}
	many := len(list) > keysMax
	if many {
		list = answer[1:]
	}
	values := make([]txlog.Literal, len(list))
	for i, v := range list {
		if values[i], ok = literal(v, t); !ok {
			return nil, fmt.Errorf("engine answered with a %T", v)
		}
	}
	if !many {
		return keyList(e, values), nil
	}
	between := txlog.And(
		&txlog.Predicate{Op: txlog.OpGe, Column: []string{e.target}, Values: values[:1]},
		&txlog.Predicate{Op: txlog.OpLe, Column: []string{e.target}, Values: values[1:]},
	)
	if !e.nullSafe {
		return between, nil
	}
	return &txlog.Predicate{Op: txlog.OpOr, Args: []*txlog.Predicate{
		between, {Op: txlog.OpIsNull, Column: []string{e.target}},
	}}, nil
}

// keyList is the predicate "target is one of values". NULL matches nothing, unless the equality is null-safe.
func keyList(e equality, values []txlog.Literal) *txlog.Predicate {
	in := &txlog.Predicate{Op: txlog.OpIn, Column: []string{e.target}}
	null := false
	for _, v := range values {
		if v.Kind == txlog.KindVoid {
			null = true
			continue
		}
		in.Values = append(in.Values, v)
	}
	var parts []*txlog.Predicate
	if len(in.Values) > 0 {
		parts = append(parts, in)
	}
	if null && e.nullSafe {
		parts = append(parts, &txlog.Predicate{Op: txlog.OpIsNull, Column: []string{e.target}})
	}
	switch len(parts) {
	case 0:
		return &txlog.Predicate{Op: txlog.OpFalse}
	case 1:
		return parts[0]
	}
	return &txlog.Predicate{Op: txlog.OpOr, Args: parts}
}

// sameOrder tells whether equality of the two kinds is equality of their values in one order, without a cast that
// could lose something.
func sameOrder(a, b txlog.Kind) bool {
	whole := func(k txlog.Kind) bool {
		return k == txlog.KindLong || k == txlog.KindInteger || k == txlog.KindShort || k == txlog.KindByte
	}
	switch a {
	case txlog.KindString, txlog.KindDate, txlog.KindTimestamp, txlog.KindTimestampNTZ, txlog.KindDecimal, txlog.KindBoolean:
		return a == b
	default:
		return whole(a) && whole(b)
	}
}

// literal turns a value of an engine's row into a constant.
func literal(v any, t *txlog.DataType) (txlog.Literal, bool) {
	switch v := v.(type) {
	case nil:
		return txlog.Literal{Kind: txlog.KindVoid}, true
	case bool:
		return txlog.Literal{Kind: txlog.KindBoolean, Bool: v}, true
	case int64:
		return txlog.Literal{Kind: txlog.KindLong, Int: v}, true
	case string:
		return txlog.Literal{Kind: txlog.KindString, String: strings.Clone(v)}, true
	case txlog.Date:
		return txlog.Literal{Kind: txlog.KindDate, Int: int64(v)}, true
	case time.Time:
		kind := txlog.KindTimestamp
		if t != nil && t.Kind == txlog.KindTimestampNTZ {
			kind = txlog.KindTimestampNTZ
		}
		return txlog.Literal{Kind: kind, Int: v.UnixMicro()}, true
	case txlog.Decimal:
		if v.Unscaled == nil || v.Scale < 0 {
			return txlog.Literal{}, false
		}
		scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(v.Scale)), nil)
		return txlog.Literal{Kind: txlog.KindDecimal, Rat: new(big.Rat).SetFrac(v.Unscaled, scale)}, true
	}
	return txlog.Literal{}, false
}
