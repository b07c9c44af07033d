// Package schemaedit changes the columns of a schema: it adds, drops, renames, moves and retypes them at any depth.
//
// Everything here is a pure function from schema to schema. What a table allows (column mapping for a rename, rows
// that satisfy NOT NULL) is decided by the caller, package table.
package schemaedit

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/txlog"
)

// Path leads to a column, outermost name first. The words element, key and value lead into arrays and maps.
type Path []string

// Words of a path that lead into arrays and maps.
const (
	Element = "element"
	Key     = "key"
	Value   = "value"
)

// ParsePath reads a path as people write it: "total", "address.city", "tags.element.`odd name`". Names with other
// characters than letters, digits and _ may stand in backticks or double quotes, doubled inside.
func ParsePath(text string) (Path, error) {
	var path Path
	rest := text
	for {
		name, after, err := cutName(rest)
		if err != nil {
			return nil, fmt.Errorf("column %q: %w", text, err)
		}
		path = append(path, name)
		if after == "" {
			return path, nil
		}
		rest = after[1:]
	}
}

// cutName reads the first name of a path; after begins with a dot or is empty.
func cutName(text string) (name, after string, err error) {
	if text == "" {
		return "", "", errors.New("a name is missing")
	}
	q := text[:1]
	if q != "`" && q != `"` {
		end := strings.IndexByte(text, '.')
		if end < 0 {
			end = len(text)
		}
		if end == 0 {
			return "", "", errors.New("a name is missing")
		}
		return text[:end], text[end:], nil
	}
	var b strings.Builder
	for i := 1; i < len(text); i++ {
		switch {
		case text[i] != q[0]:
			b.WriteByte(text[i])
		case i+1 < len(text) && text[i+1] == q[0]:
			b.WriteByte(q[0])
			i++
		default:
			if after = text[i+1:]; after != "" && after[0] != '.' || b.Len() == 0 {
				return "", "", errors.New("expected a dot behind the quoted name")
			}
			return b.String(), after, nil
		}
	}
	return "", "", errors.New("a quoted name does not end")
}

// Resolve reads a path and spells it as the schema does. A top-level column whose whole name is the text comes first,
// so that dots in names need no quotes.
func Resolve(s *txlog.Schema, text string) (Path, error) {
	if f, err := s.Lookup(text); err == nil {
		return Path{f.Name}, nil
	}
	path, err := ParsePath(text)
	if err != nil {
		return nil, err
	}
	spelled := make(Path, 0, len(path))
	_, err = edit(s.Fields, path, func(level []txlog.Field, i int) ([]txlog.Field, error) { return level, nil },
		func(t *txlog.DataType) (*txlog.DataType, error) { return t, nil }, &spelled)
	if err != nil {
		return nil, err
	}
	return spelled, nil
}

// String writes the path so that [ParsePath] reads it back.
func (p Path) String() string {
	names := make([]string, len(p))
	for i, n := range p {
		names[i] = quote(n)
	}
	return strings.Join(names, ".")
}

func quote(name string) string {
	plain := name != "" && strings.IndexFunc(name, func(c rune) bool {
		return c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z')
	}) < 0
	if plain {
		return name
	}
	return "`" + strings.ReplaceAll(name, "`", "``") + "`"
}
