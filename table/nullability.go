package table

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// Rows that break NOT NULL stop the statement that would write them: the check is a WHERE clause that raises an
// error, so it costs no pass of its own and nothing has been uploaded for a row that was not checked.

// notNullMark opens the message that such a check raises; the path of the column follows.
const notNullMark = "lake: no value for not null column "

// notNullFilter is a WHERE condition over the columns of alias that is true for rows that have all their values and
// raises an error for others; "" when every column may be null.
//
// Errors: ErrUnsupported for a not null field below an array or a map.
func notNullFilter(schema *txlog.Schema, alias string) (string, error) {
	var b strings.Builder
	for _, f := range schema.Fields {
		if err := notNullCases(&b, f, qualified(alias, f.Name), f.Name, "true"); err != nil {
			return "", err
		}
	}
	if b.Len() == 0 {
		return "", nil
	}
	return "CASE" + b.String() + " ELSE true END", nil
}

func notNullCases(b *strings.Builder, f txlog.Field, expr, path, parent string) error {
	if !f.Nullable {
		b.WriteString(" WHEN " + parent + " AND " + expr + " IS NULL THEN error(" + QuoteString(notNullMark+path) + ")")
	}
	switch f.Type.Kind {
	case txlog.KindStruct:
		for _, g := range f.Type.Fields {
			err := notNullCases(b, g, expr+"."+QuoteIdent(g.Name), path+"."+g.Name, expr+" IS NOT NULL")
			if err != nil {
				return err
			}
		}
	case txlog.KindArray:
		if !f.Type.ContainsNull {
			b.WriteString(" WHEN len(" + expr + ") <> list_count(" + expr + ") THEN error(" +
				QuoteString(notNullMark+path+".element") + ")")
		}
		return noNestedNotNull(f.Type.Element, path+".element")
	case txlog.KindMap:
		if !f.Type.ValueContainsNull {
			v := "map_values(" + expr + ")"
			b.WriteString(" WHEN len(" + v + ") <> list_count(" + v + ") THEN error(" + QuoteString(notNullMark+path+".value") + ")")
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

// constraintOf turns the error that a check raised back into what it means.
func constraintOf(err error) error {
	var s *SQLError
	if !errors.As(err, &s) {
		return err
	}
	if _, path, ok := strings.Cut(s.Message, notNullMark); ok {
		path, _, _ = strings.Cut(path, "\n")
		return &ConstraintError{Kind: kindNotNull, Column: strings.TrimSpace(path)}
	}
	if loss, ok := lossOf(s); ok {
		return loss
	}
	return err
}
