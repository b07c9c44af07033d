package schemaedit

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// Place says where among its neighbours a column stands. The zero value is the end for a new column.
type Place struct {
	First bool
	After string // a neighbour; "" with First false: the end
}

// Add puts a field into the schema: into the struct, or the struct inside an array or a map, that parent leads to; an
// empty parent is the table itself.
func Add(s *txlog.Schema, parent Path, f txlog.Field, at Place) (*txlog.Schema, error) {
	put := func(level []txlog.Field) ([]txlog.Field, error) {
		i, err := at.index(level)
		if err != nil {
			return nil, err
		}
		return slices.Insert(slices.Clone(level), i, f), nil
	}
	if len(parent) == 0 {
		return build(put(s.Fields))
	}
	return build(edit(s.Fields, parent, func(level []txlog.Field, i int) ([]txlog.Field, error) {
		t, err := addInto(level[i].Type, put)
		level[i].Type = t
		return level, err
	}, func(t *txlog.DataType) (*txlog.DataType, error) { return addInto(t, put) }, nil))
}

func addInto(t *txlog.DataType, put func([]txlog.Field) ([]txlog.Field, error)) (*txlog.DataType, error) {
	if t.Kind != txlog.KindStruct {
		return nil, fmt.Errorf("%s is no struct, it has no fields", t.SQL())
	}
	out := *t
	var err error
	out.Fields, err = put(t.Fields)
	return &out, err
}

// Drop takes a field out of the schema. The last one of a struct or of the table stays: it is an error.
func Drop(s *txlog.Schema, path Path) (*txlog.Schema, error) {
	return build(edit(s.Fields, path, func(level []txlog.Field, i int) ([]txlog.Field, error) {
		if len(level) == 1 {
			return nil, fmt.Errorf("%s is the only column there", path)
		}
		return slices.Delete(level, i, i+1), nil
	}, nil, nil))
}

// Rename gives a field another name.
func Rename(s *txlog.Schema, path Path, to string) (*txlog.Schema, error) {
	return Update(s, path, func(f *txlog.Field) error {
		f.Name = to
		return nil
	})
}

// Move puts a field at another place among its neighbours.
func Move(s *txlog.Schema, path Path, to Place) (*txlog.Schema, error) {
	return build(edit(s.Fields, path, func(level []txlog.Field, i int) ([]txlog.Field, error) {
		f := level[i]
		if strings.EqualFold(to.After, f.Name) {
			return level, nil
		}
		rest := slices.Delete(level, i, i+1)
		at, err := to.index(rest)
		if err != nil {
			return nil, err
		}
		return slices.Insert(rest, at, f), nil
	}, nil, nil))
}

// Update changes a field by a function, which gets a copy whose metadata is its own and never nil.
func Update(s *txlog.Schema, path Path, change func(f *txlog.Field) error) (*txlog.Schema, error) {
	return build(edit(s.Fields, path, func(level []txlog.Field, i int) ([]txlog.Field, error) {
		level[i].Metadata = maps.Clone(level[i].Metadata)
		if level[i].Metadata == nil {
			level[i].Metadata = map[string]json.RawMessage{}
		}
		return level, change(&level[i])
	}, nil, nil))
}

// Retype gives a field, or an element, key or value, the type that change makes of its own.
func Retype(s *txlog.Schema, path Path, change func(*txlog.DataType) (*txlog.DataType, error)) (*txlog.Schema, error) {
	return build(edit(s.Fields, path, func(level []txlog.Field, i int) ([]txlog.Field, error) {
		t, err := change(level[i].Type)
		level[i].Type = t
		return level, err
	}, change, nil))
}

// Field is the field that a path leads to.
func Field(s *txlog.Schema, path Path) (txlog.Field, error) {
	var found txlog.Field
	_, err := edit(s.Fields, path, func(level []txlog.Field, i int) ([]txlog.Field, error) {
		found = level[i]
		return level, nil
	}, nil, nil)
	return found, err
}

// build checks names: unique without regard to case at each level.
func build(fields []txlog.Field, err error) (*txlog.Schema, error) {
	if err != nil {
		return nil, err
	}
	return txlog.NewSchema(fields...)
}

// index is where a new neighbour belongs.
func (p Place) index(level []txlog.Field) (int, error) {
	switch {
	case p.First && p.After != "":
		return 0, fmt.Errorf("first and after %s exclude each other", quote(p.After))
	case p.First:
		return 0, nil
	case p.After == "":
		return len(level), nil
	}
	i := find(level, p.After)
	if i < 0 {
		return 0, fmt.Errorf("no column %s to stand behind", quote(p.After))
	}
	return i + 1, nil
}

// find is the exact name, else the same without regard to case; names are unique so.
func find(level []txlog.Field, name string) int {
	if i := slices.IndexFunc(level, func(f txlog.Field) bool { return f.Name == name }); i >= 0 {
		return i
	}
	return slices.IndexFunc(level, func(f txlog.Field) bool { return strings.EqualFold(f.Name, name) })
}

// edit changes the level of fields where a path ends, by a function that gets a copy of it and the index of the
// field. Where the path ends at an element, key or value, inner changes its type; nil refuses that. spelled gets the
// names of the path as the schema has them.
func edit(level []txlog.Field, path Path, do func([]txlog.Field, int) ([]txlog.Field, error),
	inner func(*txlog.DataType) (*txlog.DataType, error), spelled *Path,
) ([]txlog.Field, error) {
	if len(path) == 0 {
		return nil, fmt.Errorf("no column is named")
	}
	i := find(level, path[0])
	if i < 0 {
		return nil, fmt.Errorf("no column %s", quote(path[0]))
	}
	note(spelled, level[i].Name)
	level = slices.Clone(level)
	if len(path) == 1 {
		return do(level, i)
	}
	t, err := editType(level[i].Type, path[0], path[1:], do, inner, spelled)
	if err != nil {
		return nil, err
	}
	level[i].Type = t
	return level, nil
}

func editType(t *txlog.DataType, name string, path Path, do func([]txlog.Field, int) ([]txlog.Field, error),
	inner func(*txlog.DataType) (*txlog.DataType, error), spelled *Path,
) (*txlog.DataType, error) {
	out := *t
	below := func(word string, part **txlog.DataType) (*txlog.DataType, error) {
		note(spelled, word)
		changed, err := *part, error(nil)
		switch {
		case len(path) > 1:
			changed, err = editType(*part, word, path[1:], do, inner, spelled)
		case inner == nil:
			err = fmt.Errorf("%s of %s is no column of its own", word, quote(name))
		default:
			changed, err = inner(*part)
		}
		*part = changed
		return &out, err
	}
	switch {
	case t.Kind == txlog.KindStruct:
		fields, err := edit(t.Fields, path, do, inner, spelled)
		out.Fields = fields
		return &out, err
	case t.Kind == txlog.KindArray && strings.EqualFold(path[0], Element):
		return below(Element, &out.Element)
	case t.Kind == txlog.KindMap && strings.EqualFold(path[0], Key):
		return below(Key, &out.Key)
	case t.Kind == txlog.KindMap && strings.EqualFold(path[0], Value):
		return below(Value, &out.Value)
	}
	return nil, fmt.Errorf("%s (%s) has no field %s", quote(name), t.SQL(), quote(path[0]))
}

func note(spelled *Path, name string) {
	if spelled != nil {
		*spelled = append(*spelled, name)
	}
}
