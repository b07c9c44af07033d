package duckdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	bindings "github.com/duckdb/duckdb-go-bindings"
	"golang.org/x/sync/errgroup"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Values of type variant reach DuckDB as the two byte strings of the format, out of files in which they stand as plain
// groups, and become its VARIANT where a statement looks at them. Its own reader of annotated groups is not used: it
// ends the process over bytes that are no variant, and makes one that is null a missing one. Its writer is not used
// either: it spreads values over typed columns, which not every table allows, and has no NULL but that null. COPY gets
// the two byte strings.

// variantParallel bounds the files whose variants are checked at a time: each holds a column of a row group in memory.
const variantParallel = 4

// holdsVariants tells whether the files of a relation may have variants that need the form of plainVariants.
func holdsVariants(rel table.Relation) bool {
	return rel.External == nil && rel.Schema != nil && rel.Schema.Uses(txlog.KindVariant)
}

// plainVariants replaces the paths of files with variants in another form by those of copies, which go with the call.
func (s *session) plainVariants(ctx context.Context, rel table.Relation, paths []string) error {
	if !holdsVariants(rel) {
		return nil
	}
	var mu sync.Mutex // guards s.names, s.release and folder; a leaf lock
	folder := ""
	create := func(path string) (*os.File, error) {
		mu.Lock()
		defer mu.Unlock()
		if folder == "" {
			folder = filepath.Join(s.engine.dir, "variants-"+clock.NewUUID(s.engine.options.Rand))
			made := folder
			s.release = append(s.release, func() { _ = os.RemoveAll(made) }) // the engine's folder goes with it, too
			if err := os.Mkdir(folder, 0o700); err != nil {
				return nil, err
			}
		}
		copied, err := os.OpenFile(filepath.Join(folder, fmt.Sprintf("%012d", len(s.names))), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err == nil {
			s.names[copied.Name()] = s.names[path]
		}
		return copied, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(variantParallel)
	for i, path := range paths {
		group.Go(func() error {
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			plain, err := s.engine.plainFile(rel, path, func() (*os.File, error) { return create(path) })
			if err != nil {
				return s.footerError(path, err)
			}
			paths[i] = plain
			return nil
		})
	}
	return group.Wait()
}

// plainFile is the path of a file with the rows of the one at path and its variants in plain groups: the same, or that
// of a copy in what create makes.
func (e *Engine) plainFile(rel table.Relation, path string, create func() (*os.File, error)) (plain string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // read only
	st, err := f.Stat()
	if err != nil {
		return "", err
	}
	footer, err := parquetio.ReadFooter(f, st.Size(), e.options.Limits)
	if err != nil {
		return "", err
	}
	nodes := variantNodes(footer, rel.Schema.Fields, rel.Mapping)
	id := fmt.Sprintf("variants %v of %s\x00%d\x00%s", nodes, path, st.Size(), st.ModTime())
	if e.seen(id) {
		return path, nil
	}
	var out *os.File
	copied, err := parquetio.PlainVariants(f, st.Size(), nodes, e.options.Limits, func() (io.Writer, error) {
		var err error
		out, err = create()
		return out, err
	})
	if out != nil {
		err = errors.Join(err, out.Close())
	}
	switch {
	case err != nil:
		return "", err
	case copied:
		return out.Name(), nil
	}
	e.saw(id)
	return path, nil
}

// checkVariants looks at the variants of files outside tables, whose annotated groups DuckDB reads by itself.
func (s *session) checkVariants(ctx context.Context, paths []string, footers []*parquetio.Footer) error {
	for i, path := range paths {
		nodes := annotatedNodes(footers[i])
		if len(nodes) == 0 {
			continue
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		st, err := f.Stat()
		if err == nil {
			_, err = parquetio.PlainVariants(f, st.Size(), nodes, s.engine.options.Limits, func() (io.Writer, error) { return io.Discard, nil })
		}
		if err := errors.Join(err, f.Close()); err != nil {
			return s.footerError(path, err)
		}
	}
	return nil
}

// annotatedNodes finds the columns that a file itself calls variants, as indexes in Footer.Nodes.
func annotatedNodes(f *parquetio.Footer) []int {
	var found []int
	for i, n := range f.Nodes {
		if n.Variant {
			found = append(found, i)
		}
	}
	return found
}

// variantNodes finds the columns of type variant in a file, as indexes in Footer.Nodes.
func variantNodes(f *parquetio.Footer, fields []txlog.Field, mapping txlog.ColumnMapping) []int {
	var found []int
	var inside func(t *txlog.DataType, node int)
	within := func(fields []txlog.Field, node int, byID bool) {
		children := f.Children(node)
		for _, field := range fields {
			if !field.Type.Uses(txlog.KindVariant) {
				continue
			}
			if at := childOf(f, children, field, mapping, byID); at >= 0 {
				inside(field.Type, at)
			}
		}
	}
	inside = func(t *txlog.DataType, node int) {
		children := f.Children(node)
		repeated := len(children) == 1 && f.Nodes[children[0]].Repeated
		switch {
		case t.Kind == txlog.KindVariant:
			found = append(found, node)
		case t.Kind == txlog.KindStruct:
			within(t.Fields, node, false)
		case t.Kind == txlog.KindArray && repeated:
			inside(t.Element, elementNode(f, node, children[0]))
		case t.Kind == txlog.KindMap && repeated:
			if pair := f.Children(children[0]); len(pair) == 2 && t.Value.Uses(txlog.KindVariant) {
				inside(t.Value, pair[1])
			}
		}
	}
	within(fields, -1, mapping == txlog.MappingID)
	return found
}

// childOf is the node of a field among children; -1 where there is none.
func childOf(f *parquetio.Footer, children []int, field txlog.Field, mapping txlog.ColumnMapping, byID bool) int {
	name := field.PhysicalName(mapping)
	id, hasID := field.FieldID()
	at := slices.IndexFunc(children, func(c int) bool {
		if byID {
			return hasID && f.Nodes[c].FieldID == int64(id)
		}
		return strings.EqualFold(f.Nodes[c].Name, name)
	})
	if at < 0 {
		return -1
	}
	return children[at]
}

// elementNode is the element of a list whose repeated node that is: in it, or itself in lists of two levels.
func elementNode(f *parquetio.Footer, list, repeated int) int {
	inner := f.Children(repeated)
	if name := f.Nodes[repeated].Name; len(inner) == 1 && name != "array" && name != f.Nodes[list].Name+"_tuple" {
		return inner[0]
	}
	return repeated
}

// unpackVariant is a value of a file as VARIANT.
func unpackVariant(sql string) string {
	return "CASE WHEN " + sql + ` IS NOT NULL THEN variant_bytes_to_variant(struct_extract(` + sql + `, 'metadata') || struct_extract(` + sql + `, 'value')) END`
}

// nearSQL is a value of type d in the type near.
func (d *duckType) nearSQL(sql string, depth int) string {
	x := "s" + strconv.Itoa(depth)
	switch {
	case d.id == bindings.TypeVariant:
		return "CASE WHEN " + sql + " IS NOT NULL THEN CAST(CAST(" + sql + " AS JSON) AS VARCHAR) END"
	case !d.holdsVariants():
		return "CAST(" + sql + " AS " + d.near() + ")"
	case d.id == bindings.TypeStruct:
		fields := make([]string, len(d.names))
		for i, name := range d.names {
			fields[i] = table.QuoteIdent(name) + " := " + d.children[i].nearSQL("struct_extract("+sql+", "+table.QuoteString(name)+")", depth)
		}
		return "CASE WHEN " + sql + " IS NOT NULL THEN struct_pack(" + strings.Join(fields, ", ") + ") END"
	case d.id == bindings.TypeMap:
		entry := "struct_pack(key := " + d.children[0].nearSQL(x+".key", depth+1) + ", value := " + d.children[1].nearSQL(x+".value", depth+1) + ")"
		return "CASE WHEN " + sql + " IS NOT NULL THEN map_from_entries(list_transform(map_entries(" + sql + "), lambda " + x + ": " + entry + ")) END"
	default:
		return "list_transform(" + sql + ", lambda " + x + ": " + d.children[0].nearSQL(x, depth+1) + ")"
	}
}

func (d *duckType) holdsVariants() bool {
	return d.id == bindings.TypeVariant || slices.ContainsFunc(d.children, (*duckType).holdsVariants)
}

// showsVariants marks the texts in d, which nearSQL made of a value of type was, that show variants.
func (d *duckType) showsVariants(was *duckType) {
	d.variant = was.id == bindings.TypeVariant
	for i := range d.children {
		if i < len(was.children) {
			d.children[i].showsVariants(was.children[i])
		}
	}
}
