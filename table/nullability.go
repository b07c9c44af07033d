package table

import (
	"fmt"

	"github.com/lakectl/lakectl/txlog"
)

// notNullRules are the rules that columns which may not be null have a value, in the order of the schema. A field of a
// struct that is NULL itself needs none.
//
// Errors: ErrUnsupported for a not null field below an array or a map.
func notNullRules(schema *txlog.Schema) ([]rowRule, error) {
	var rules []rowRule
	for _, f := range schema.Fields {
		if err := notNullInside(&rules, f, qualified(rowAlias, f.Name), f.Name, ""); err != nil {
			return nil, err
		}
	}
	return rules, nil
}

// notNullInside adds the rules of a field and of what is inside it. expr is its SQL, parent a condition that its
// struct is there.
func notNullInside(rules *[]rowRule, f txlog.Field, expr, path, parent string) error {
	add := func(broken, path string) {
		*rules = append(*rules, rowRule{broken: parent + broken, err: &ConstraintError{Kind: kindNotNull, Column: path}})
	}
	if !f.Nullable {
		add(expr+" IS NULL", path)
	}
	switch f.Type.Kind {
	case txlog.KindStruct:
		for _, g := range f.Type.Fields {
			if err := notNullInside(rules, g, expr+"."+QuoteIdent(g.Name), path+"."+g.Name, expr+" IS NOT NULL AND "); err != nil {
				return err
			}
		}
	case txlog.KindArray:
		if !f.Type.ContainsNull {
			add("len("+expr+") <> list_count("+expr+")", path+".element")
		}
		return noNestedNotNull(f.Type.Element, path+".element")
	case txlog.KindMap:
		if !f.Type.ValueContainsNull {
			v := "map_values(" + expr + ")"
			add("len("+v+") <> list_count("+v+")", path+".value")
		}
		return noNestedNotNull(f.Type.Value, path+".value")
	default:
	}
	return nil
}

// noNestedNotNull refuses what a filter over whole columns cannot check.
func noNestedNotNull(t *txlog.DataType, path string) error {
	refuse := fmt.Errorf("%w: not null below %s", ErrUnsupported, path)
	switch t.Kind {
	case txlog.KindStruct:
		for _, f := range t.Fields {
			if !f.Nullable {
				return refuse
			}
			if err := noNestedNotNull(f.Type, path+"."+f.Name); err != nil {
				return err
			}
		}
	case txlog.KindArray:
		if !t.ContainsNull {
			return refuse
		}
		return noNestedNotNull(t.Element, path+".element")
	case txlog.KindMap:
		if !t.ValueContainsNull {
			return refuse
		}
		return noNestedNotNull(t.Value, path+".value")
	default:
	}
	return nil
}
