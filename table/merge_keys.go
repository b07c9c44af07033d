package table

import (
	"context"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/lakectl/lakectl/txlog"
)

// keysMax is how many different values of a key column are listed when files are dropped; above it the range of the
// values has to do.
const keysMax = 1000

// prune chooses the target files that may hold a match: those that the condition's own limits on the target, and the
// keys of the source, cannot rule out by partition values and statistics.
func (r *merging) prune(ctx context.Context) error {
	on := "SELECT 1 FROM " + QuoteIdent(sourceRelation) + " AS " + QuoteIdent(r.SourceAlias) +
		" JOIN " + QuoteIdent(targetRelation) + " AS " + QuoteIdent(r.TargetAlias) + " ON " + enclosed(r.On)
	ref, err := r.c.targetRef(ctx, r.eng, on, r.Source.TimeZone, map[string]*txlog.Schema{sourceRelation: r.source.schema})
	if err != nil {
		return fmt.Errorf("read the merge condition: %w", err)
	}
	parts := []*txlog.Predicate{}
	if ref.Predicate != nil {
		parts = append(parts, ref.Predicate)
	}
	for _, e := range r.equal {
		p, err := r.keyPredicate(ctx, e)
		if err != nil {
			return err
		}
		if p != nil {
			parts = append(parts, p)
		}
	}
	var predicate *txlog.Predicate
	if len(parts) > 0 {
		predicate = txlog.And(parts...)
	}
	files, report, err := planScan(r.c.base, predicate)
	if err != nil {
		return err
	}
	r.files = files
	r.c.result.scanned(report)
	r.c.readPredicate(predicate, files)
	return nil
}

// keyPredicate is what the source's values of one key column say about target rows that match; nil: nothing.
func (r *merging) keyPredicate(ctx context.Context, e equality) (*txlog.Predicate, error) {
	target, err := r.c.shape.schema.Lookup(e.target)
	if err != nil {
		return nil, err
	}
	source, err := r.source.schema.Lookup(e.source)
	if err != nil {
		return nil, err
	}
	if !sameOrder(target.Type.Kind, source.Type.Kind) {
		return nil, nil //nolint:nilnil // nothing is known
	}
	column := qualified("s", e.source)
	from := " FROM " + QuoteIdent(sourceRelation) + " AS s"
	values, err := r.literals(ctx, "SELECT DISTINCT "+column+from+" LIMIT "+metric(keysMax+2))
	if err != nil {
		return nil, fmt.Errorf("read the keys of the source: %w", err)
	}
	if len(values) <= keysMax {
		return keyList(e, values), nil
	}
	bounds, err := r.literals(ctx, "SELECT unnest([min("+column+"), max("+column+")])"+from)
	if err != nil || len(bounds) != 2 {
		return nil, err
	}
	between := txlog.And(
		&txlog.Predicate{Op: txlog.OpGe, Column: []string{e.target}, Values: bounds[:1]},
		&txlog.Predicate{Op: txlog.OpLe, Column: []string{e.target}, Values: bounds[1:]},
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

// literals runs a query of one column and returns its values as constants of a predicate.
func (r *merging) literals(ctx context.Context, sql string) (out []txlog.Literal, err error) {
	rows, err := r.eng.Query(ctx, Query{SQL: sql, Relations: r.relations(nil), TimeZone: r.Source.TimeZone})
	if err != nil {
		return nil, err
	}
	defer func() { err = joinErrors(err, rows.Close()) }()
	for row, err := range rows.All {
		if err != nil {
			return nil, err
		}
		l, ok := literal(row[0], rows.Columns[0].Type)
		if !ok {
			return nil, fmt.Errorf("engine answered with a %T", row[0])
		}
		out = append(out, l)
	}
	return out, nil
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
