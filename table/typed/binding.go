package typed

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// member is a field of a Go struct and the column, or field of a column, that it belongs to.
type member struct {
	index []int // as of reflect.Value.FieldByIndex
	at    int   // of the field in the schema or struct type
	codec *codec
}

// bind finds the field of a struct type for each of its members.
//
// Errors: table.ErrSchemaMismatch.
func bind(t reflect.Type, fields []txlog.Field, within string, m mode) ([]member, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%w: %s is no struct", table.ErrSchemaMismatch, t)
	}
	var out []member
	for _, f := range reflect.VisibleFields(t) {
		tag := f.Tag.Get("lake")
		if !f.IsExported() || f.Anonymous && tag == "" || tag == "-" || throughPointer(t, f.Index) {
			continue
		}
		at := slices.IndexFunc(fields, func(c txlog.Field) bool { return strings.EqualFold(c.Name, tag) })
		if tag == "" {
			at = slices.IndexFunc(fields, func(c txlog.Field) bool { return folded(c.Name) == folded(f.Name) })
		}
		if at < 0 {
			return nil, fmt.Errorf("%w: no column %s%s for field %s of %s", table.ErrSchemaMismatch, within, nameOf(tag, f.Name), f.Name, t)
		}
		if slices.ContainsFunc(out, func(o member) bool { return o.at == at }) {
			return nil, fmt.Errorf("%w: two fields of %s for column %s%s", table.ErrSchemaMismatch, t, within, fields[at].Name)
		}
		c, err := codecOf(f.Type, fields[at].Type, within+fields[at].Name, m)
		if err != nil {
			return nil, err
		}
		c.required = !fields[at].Nullable
		out = append(out, member{index: f.Index, at: at, codec: c})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s has no field for a column", table.ErrSchemaMismatch, t)
	}
	return out, nil
}

// throughPointer tells whether a promoted field lies behind an embedded pointer, which may be nil.
func throughPointer(t reflect.Type, index []int) bool {
	for _, i := range index[:len(index)-1] {
		if t = t.Field(i).Type; t.Kind() == reflect.Pointer {
			return true
		}
	}
	return false
}

func folded(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }

func nameOf(tag, field string) string {
	if tag != "" {
		return tag
	}
	return field
}
