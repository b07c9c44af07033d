package table

import (
	"fmt"

	"github.com/lakectl/lakectl/table/schemaedit"
	"github.com/lakectl/lakectl/txlog"
)

// retype gives a column, or an element, key or value, another type.
//
// Protocol: "Schema Serialization Format": a column of type void may become any type. Everything else would need the
// values in old files to be widened.
func (x *alteration) retype(p schemaedit.Path, ch ChangeColumn) error {
	if ch.Type == nil {
		return nil
	}
	same := false
	var was string
	s, err := schemaedit.Retype(x.schema, p, func(t *txlog.DataType) (*txlog.DataType, error) {
		was, same = t.SQL(), t.SQL() == ch.Type.SQL()
		if same {
			return t, nil
		}
		return ch.Type, widening(t, ch.Type)
	})
	if err != nil {
		return fmt.Errorf("change %s: %w", p, err)
	}
	if same {
		return nil
	}
	x.schema = s
	x.changed("column %s: %s is now %s", p, was, ch.Type.SQL())
	return nil
}

// widening tells whether values of one type can be read as another one.
func widening(from, to *txlog.DataType) error {
	if from.Kind == txlog.KindVoid {
		return nil
	}
	return fmt.Errorf("%w: type %s cannot become %s", ErrUnsupported, from.SQL(), to.SQL())
}
