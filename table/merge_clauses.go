package table

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// resolve reads the columns of the source and gives each clause its values.
func (r *merging) resolve(ctx context.Context) error {
	var err error
	if r.fields, err = outputOf(ctx, r.eng, r.Source); err != nil {
		return err
	}
	star := slices.ContainsFunc(r.Clauses, func(cl Clause) bool { return cl.Star })
	from, extra, err := matchColumns(r.c.shape.schema, r.fields)
	if err != nil {
		return err
	}
	switch {
	case star && r.MergeSchema:
		if err := r.c.evolve(ctx, r.eng, r.Source, r.fields, extra, from); err != nil {
			return err
		}
	case star && len(extra) > 0:
		return fmt.Errorf("%w: the table has no column %s", ErrSchemaMismatch, names(extra))
	}
	if r.rules, err = rulesOf(r.c.shape, r.c.start); err != nil {
		return err
	}
	r.equal = r.spell(equalities(r.On, r.TargetAlias, r.SourceAlias))
	for i, cl := range r.Clauses {
		mc, err := r.resolveClause(ctx, cl, from)
		if err != nil {
			return fmt.Errorf("clause %d: %w", i+1, err)
		}
		r.clauses = append(r.clauses, mc)
	}
	return nil
}

// spell gives the columns of equalities the spelling of their schemas and leaves out those that are not columns.
func (r *merging) spell(eq []equality) []equality {
	source := &txlog.Schema{Fields: r.fields}
	var out []equality
	for _, e := range eq {
		t, terr := r.c.shape.schema.Lookup(e.target)
		s, serr := source.Lookup(e.source)
		if terr == nil && serr == nil {
			out = append(out, equality{target: t.Name, source: s.Name, nullSafe: e.nullSafe})
		}
	}
	return out
}

func (r *merging) resolveClause(ctx context.Context, cl Clause, from map[string]string) (mergeClause, error) {
	mc := mergeClause{Clause: cl, values: map[string]string{}}
	var err error
	switch {
	case cl.Do == DoDelete:
		return mc, nil
	case cl.Star:
		err = r.assignAll(&mc, from)
	default:
		err = r.assign(ctx, &mc)
	}
	if err != nil {
		return mergeClause{}, err
	}
	if cl.Do == DoInsert {
		return mc, r.checkInsert(mc)
	}
	if err := r.checkUpdate(mc); err != nil {
		return mergeClause{}, err
	}
	if len(mc.values) < len(r.c.shape.schema.Fields) || mc.When == NotMatchedBySource || r.c.shape.rowIDs() != nil {
		mc.target = true
	}
	mc.compare = r.compared(mc)
	return mc, nil
}

// assignAll gives every column the source column of its name.
func (r *merging) assignAll(mc *mergeClause, from map[string]string) error {
	if err := checkNested(r.c.shape.schema, r.fields, from); err != nil {
		return err
	}
	var missing []txlog.Field
	for _, f := range r.c.shape.schema.Fields {
		name, ok := from[f.Name]
		if !ok {
			if !r.rules.gives(f.Name) {
				missing = append(missing, f)
			}
			continue
		}
		value, t := qualified(r.SourceAlias, name), typeOf(r.fields, name)
		if lack := lostFields(f.Type, t, f.Name); mc.Do == DoUpdate && len(lack) > 0 {
			if !r.MergeSchema {
				return fmt.Errorf("%w: the source has no field %s; list the columns to set, or merge schemas", ErrSchemaMismatch, strings.Join(lack, ", "))
			}
			value, t = keepFields(value, qualified(r.TargetAlias, f.Name), t, f.Type)
			mc.target = true
		}
		mc.values[f.Name] = CastSQL(value, t, f.Type, f.Name)
	}
	if missing != nil && !r.MergeSchema {
		return fmt.Errorf("%w: the source has no column %s; list the columns to set, or merge schemas", ErrSchemaMismatch, names(missing))
	}
	return nil
}

// keepFields is expr, a struct of type from, with the fields that only the struct old of type to has, at any depth outside
// arrays and maps. A struct that is NULL stays NULL.
func keepFields(expr, old string, from, to *txlog.DataType) (string, *txlog.DataType) {
	if from.Kind != txlog.KindStruct || to.Kind != txlog.KindStruct {
		return expr, from
	}
	part := func(of, name string) string { return "struct_extract(" + of + ", " + QuoteString(name) + ")" }
	whole := *from
	whole.Fields = nil
	var items []string
	for _, f := range to.Fields {
		value, t := part(old, f.Name), f.Type
		if at := slices.IndexFunc(from.Fields, func(s txlog.Field) bool { return strings.EqualFold(s.Name, f.Name) }); at >= 0 {
			value, t = keepFields(part(expr, from.Fields[at].Name), value, from.Fields[at].Type, f.Type)
		}
		whole.Fields = append(whole.Fields, txlog.Field{Name: f.Name, Type: t, Nullable: true})
		items = append(items, QuoteIdent(f.Name)+" := "+value)
	}
	return "CASE WHEN " + expr + " IS NOT NULL THEN struct_pack(" + strings.Join(items, ", ") + ") END", &whole
}

// assign resolves a list of assignments.
func (r *merging) assign(ctx context.Context, mc *mergeClause) error {
	computed := r.computed(ctx, mc.Clause)
	for i, a := range mc.Set {
		f, err := r.c.shape.schema.Lookup(a.Column)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalidRequest, err)
		}
		if _, twice := mc.values[f.Name]; twice {
			return fmt.Errorf("%w: column %q is set twice", ErrInvalidRequest, f.Name)
		}
		if strings.TrimSpace(a.Value) == "" {
			return fmt.Errorf("%w: column %q is set to nothing", ErrInvalidRequest, f.Name)
		}
		column, plain := onlyColumnOf(a.Value, r.SourceAlias)
		var from *txlog.DataType
		switch s, err := (&txlog.Schema{Fields: r.fields}).Lookup(column); {
		case plain && err == nil:
			from = s.Type
		case computed != nil:
			from = computed[i].Type
		}
		if from != nil {
			value := []txlog.Field{{Name: f.Name, Type: from}}
			if err := checkNested(&txlog.Schema{Fields: []txlog.Field{*f}}, value, map[string]string{f.Name: f.Name}); err != nil {
				return err
			}
		}
		mc.values[f.Name] = CastSQL(enclosed(a.Value), from, f.Type, f.Name)
		if !plain {
			mc.target = true // it may name columns of the target
		}
	}
	return nil
}

// computed asks the engine for the types of a clause's values. It is nil where all are source columns, and where the
// engine refuses them: the statement that computes them says why.
func (r *merging) computed(ctx context.Context, cl Clause) []txlog.Field {
	items, all := make([]string, len(cl.Set)), true
	for i, a := range cl.Set {
		_, plain := onlyColumnOf(a.Value, r.SourceAlias)
		items[i], all = enclosed(a.Value)+" AS v"+strconv.Itoa(i), all && plain
	}
	if all {
		return nil
	}
	var from []string
	relations := map[string]Relation{}
	if cl.When != NotMatched {
		relations[targetRelation] = r.c.shape.relation()
		from = append(from, QuoteIdent(targetRelation)+" AS "+QuoteIdent(r.TargetAlias))
	}
	if cl.When != NotMatchedBySource {
		relations[sourceRelation] = Relation{Schema: &txlog.Schema{Fields: r.fields}}
		from = append(from, QuoteIdent(sourceRelation)+" AS "+QuoteIdent(r.SourceAlias))
	}
	fields, err := outputOf(ctx, r.eng, Query{
		SQL: "SELECT " + strings.Join(items, ", ") + " FROM " + strings.Join(from, ", "), Relations: relations, TimeZone: r.Source.TimeZone,
	})
	if err != nil || len(fields) != len(items) {
		return nil
	}
	return fields
}

// checkInsert refuses an insert that leaves out a not null column, and one that numbers what the table numbers.
func (r *merging) checkInsert(mc mergeClause) error {
	given := func(column string) bool { _, set := mc.values[column]; return set }
	if missing := r.rules.missing(given); len(missing) > 0 {
		return fmt.Errorf("%w: the insert has no value for the not null columns %s", ErrSchemaMismatch, names(missing))
	}
	return r.rules.checkInserted(given)
}

// checkUpdate refuses to change the number of a row. One that the condition of the merge compares with the very column
// that it is set to does not change.
func (r *merging) checkUpdate(mc mergeClause) error {
	for _, id := range r.rules.identity {
		if _, set := mc.values[id.column]; !set {
			continue
		}
		kept := slices.ContainsFunc(r.equal, func(e equality) bool { return e.target == id.column && r.setFrom(mc, e) })
		if !kept {
			return fmt.Errorf("%w: column %q is numbered by the table, its values do not change", ErrSchemaMismatch, id.column)
		}
		delete(mc.values, id.column)
	}
	return nil
}

// compared lists the assigned columns whose values may differ between the rows of a pair: not those that On makes
// equal. The first is the one most likely to tell changed rows at the least cost.
func (r *merging) compared(mc mergeClause) []string {
	var out []string
	for _, f := range r.c.shape.schema.Fields {
		if _, set := mc.values[f.Name]; set && !r.provedEqual(mc, f) {
			out = append(out, f.Name)
		}
	}
	slices.SortStableFunc(out, func(a, b string) int { return cmp.Compare(r.probeRank(a), r.probeRank(b)) })
	return out
}

// provedEqual tells whether On makes the new value of f equal to the old one: f is set to the very source column
// that On compares it with, and both have one type.
func (r *merging) provedEqual(mc mergeClause, f txlog.Field) bool {
	source := &txlog.Schema{Fields: r.fields}
	for _, e := range r.equal {
		s, err := source.Lookup(e.source)
		if e.target != f.Name || err != nil || !s.Type.Equal(f.Type) {
			continue
		}
		// Equal floats can differ in sign of zero.
		if f.Type.Kind == txlog.KindFloat || f.Type.Kind == txlog.KindDouble || f.Type.Nested() {
			continue
		}
		return r.setFrom(mc, e)
	}
	return false
}

// setFrom tells whether a clause sets the target column of an equality in On to its very source column.
func (r *merging) setFrom(mc mergeClause, e equality) bool {
	if mc.Star {
		return strings.EqualFold(e.source, e.target)
	}
	for _, a := range mc.Set {
		if column, plain := onlyColumnOf(a.Value, r.SourceAlias); strings.EqualFold(a.Column, e.target) && plain {
			return strings.EqualFold(column, e.source)
		}
	}
	return false
}

// probeRank orders columns by how soon they tell that a row changed: change times first, then numbers, long or
// two-valued columns last.
func (r *merging) probeRank(column string) int {
	f, err := r.c.shape.schema.Lookup(column)
	if err != nil {
		return 9
	}
	if r.c.shape.partitioned(column) {
		return 8
	}
	switch f.Type.Kind {
	case txlog.KindTimestamp, txlog.KindTimestampNTZ:
		return 0
	case txlog.KindDouble, txlog.KindFloat, txlog.KindDecimal, txlog.KindLong:
		return 1
	case txlog.KindInteger, txlog.KindShort:
		return 2
	case txlog.KindDate, txlog.KindByte:
		return 3
	case txlog.KindString, txlog.KindBinary:
		return 4
	case txlog.KindBoolean:
		return 5
	default:
		return 6
	}
}
