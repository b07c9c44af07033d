package table

import (
	"fmt"

	"github.com/lakectl/lakectl/table/schemaedit"
	"github.com/lakectl/lakectl/txlog"
)

// retype gives a column, or an element, key or value, a wider type. Old files stay as they are: readers widen their
// values, and delta.typeChanges says so.
//
// Protocol: "Type Widening"; "Schema Serialization Format": a column of type void may become any type.
func (x *alteration) retype(p schemaedit.Path, ch ChangeColumn) error {
	if ch.Type == nil {
		return nil
	}
	var was *txlog.DataType
	s, err := schemaedit.Retype(x.schema, p, func(t *txlog.DataType) (*txlog.DataType, error) {
		if was = t; t.SQL() == ch.Type.SQL() {
			return t, nil
		}
		return ch.Type, x.mayWiden(t, ch.Type)
	})
	if err != nil {
		return fmt.Errorf("change %s: %w", p, err)
	}
	if was.SQL() == ch.Type.SQL() {
		return nil
	}
	if was.Kind != txlog.KindVoid {
		if err := x.unused("change the type of", p); err != nil {
			return err
		}
		if s, err = widened(s, p, was, ch.Type); err != nil {
			return fmt.Errorf("change %s: %w", p, err)
		}
	}
	x.schema = s
	x.changed("column %s: %s is now %s", p, was.SQL(), ch.Type.SQL())
	return nil
}

// mayWiden tells whether this table may turn one type into another one.
func (x *alteration) mayWiden(from, to *txlog.DataType) error {
	iceberg := x.shape().iceberg()
	switch {
	case from.Kind == txlog.KindVoid:
		return nil
	case !txlog.Widens(from, to):
		return fmt.Errorf("%w: type %s cannot become %s", ErrUnsupported, from.SQL(), to.SQL())
	case iceberg && !txlog.WidensForIceberg(from, to):
		return fmt.Errorf("%w: type %s cannot become %s in a table that is compatible with Iceberg", ErrUnsupported, from.SQL(), to.SQL())
	case !boolProperty(x.meta.Configuration, propTypeWidening):
		return fmt.Errorf("%w: type %s cannot become %s without %s = true", ErrInvalidRequest, from.SQL(), to.SQL(), propTypeWidening)
	}
	return nil
}

// widened records a wider type at the field that is nearest to the path.
func widened(s *txlog.Schema, p schemaedit.Path, from, to *txlog.DataType) (*txlog.Schema, error) {
	nearest := len(p)
	for ; nearest > 1; nearest-- {
		if _, err := schemaedit.Field(s, p[:nearest]); err == nil {
			break
		}
	}
	return schemaedit.Update(s, p[:nearest], func(f *txlog.Field) error {
		if _, has := f.Metadata["delta.identity.start"]; has {
			return fmt.Errorf("%w: the values of the column are given out by the table", ErrInvalidRequest)
		}
		return txlog.RecordTypeChange(f, p[nearest:], from, to)
	})
}
