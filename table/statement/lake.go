package statement

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/internal/nearest"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Warehouse is a [Lake] below a folder of one store: table layer.name lies at layer/name, a path is one below the folder.
// "@v3" behind a path travels in time. There are no files outside of tables.
type Warehouse struct {
	Store   objectstore.Store
	Folder  string // "" is the root of the store
	Options table.Options
}

var _ Lake = (*Warehouse)(nil)

// path is where a name leads.
func (w *Warehouse) path(name string) string {
	p := strings.TrimPrefix(name, "./")
	if !strings.Contains(name, "/") {
		p = strings.ReplaceAll(name, ".", "/")
	}
	return strings.Trim(strings.Trim(w.Folder, "/")+"/"+strings.Trim(p, "/"), "/")
}

// Reference implements [Lake].
func (w *Warehouse) Reference(ctx context.Context, ref table.TableRef) (*table.Table, table.Relation, error) {
	name := ref.Name
	var version *txlog.Version
	if at := strings.LastIndex(name, "@v"); at >= 0 {
		v, _, err := ParseVersion(name[at+2:])
		if err != nil || v == nil {
			return nil, table.Relation{}, fmt.Errorf("%q is no version of a table: write t@v3", name)
		}
		name, version = name[:at], v
	}
	at := w.path(name)
	if ref.At != "" {
		v, when, err := ParseAt(ref.At)
		switch {
		case err != nil:
			return nil, table.Relation{}, err
		case version != nil:
			return nil, table.Relation{}, fmt.Errorf("%s travels in time twice: @… and AT (%s)", ref.Name, ref.At)
		case when != nil:
			t, err := table.OpenAtTime(ctx, w.Store, at, *when, w.Options)
			return t, table.Relation{}, err
		}
		version = v
	}
	if version != nil {
		t, err := table.OpenAt(ctx, w.Store, at, *version, w.Options)
		return t, table.Relation{}, err
	}
	t, err := table.Open(ctx, w.Store, at, w.Options)
	return t, table.Relation{}, err
}

// Place implements [Lake].
func (w *Warehouse) Place(_ context.Context, name string, _ bool) (objectstore.Store, string, error) {
	if strings.Contains(name, "@v") {
		return nil, "", fmt.Errorf("%s: %w", name, table.ErrReadOnly)
	}
	return w.Store, w.path(name), nil
}

// Tables implements [Lake]: the tables two folders deep.
//
// Cost: a short listing for each folder.
func (w *Warehouse) Tables(ctx context.Context, layer string) ([]string, error) {
	return TableFolders(ctx, w.Store, strings.Trim(w.Folder, "/"), layer)
}

// TableFolders lists the tables layer/name below a folder of a store, as layer.name, sorted. It asks for one key in each
// folder, whatever the number of its files.
func TableFolders(ctx context.Context, store objectstore.Store, folder, layer string) ([]string, error) {
	root := ""
	if folder != "" {
		root = folder + "/"
	}
	prefix := root
	if layer != "" {
		prefix += layer + "/"
	}
	var out []string
	for after := ""; ; {
		key, err := firstKey(ctx, store, prefix, after)
		if err != nil || key == "" {
			return out, err
		}
		parts := strings.SplitN(strings.TrimPrefix(key, root), "/", 3)
		if len(parts) < 3 {
			after = key
			continue
		}
		below := root + parts[0]
		if !hidden(parts[0]) {
			below += "/" + parts[1]
			if log, err := firstKey(ctx, store, below+"/_delta_log/", ""); err != nil {
				return out, err
			} else if log != "" && !hidden(parts[1]) {
				out = append(out, parts[0]+"."+parts[1])
			}
		}
		after = below + "0" // '0' follows '/': everything below the folder is passed over
	}
}

// hidden tells whether a folder holds notes of writers, not tables.
func hidden(folder string) bool {
	return strings.HasPrefix(folder, "_") || strings.HasPrefix(folder, ".")
}

func firstKey(ctx context.Context, store objectstore.Store, prefix, after string) (string, error) {
	for info, err := range store.List(ctx, prefix, after) {
		if err != nil {
			return "", fmt.Errorf("list tables: %w", err)
		}
		return info.Key, nil
	}
	return "", nil
}

// UnknownTableError says which tables may be meant by a name that is none. Terminal.
type UnknownTableError struct {
	Name    string
	Nearest []string

	cause error
}

// Error names them.
func (e *UnknownTableError) Error() string {
	return fmt.Sprintf("there is no table %s; did you mean %s?", e.Name, strings.Join(e.Nearest, " or "))
}

// Unwrap returns the error of the lake: txlog.ErrNotATable.
func (e *UnknownTableError) Unwrap() error { return e.cause }

// nearestMax is how many names an error offers.
const nearestMax = 3

// unknown adds the nearest names to an error about a name that is no table.
func unknown(ctx context.Context, lake Lake, name string, err error) error {
	if !errors.Is(err, txlog.ErrNotATable) || strings.ContainsAny(name, "/:") {
		return err
	}
	names, lerr := lake.Tables(ctx, "")
	if near := nearest.Of(name, names, nearestMax); lerr == nil && near != nil {
		return &UnknownTableError{name, near, err}
	}
	return err
}

// reference finds what stands in FROM.
func reference(ctx context.Context, lake Lake, ref table.TableRef) (*table.Table, table.Relation, error) {
	t, rel, err := lake.Reference(ctx, ref)
	if err != nil {
		return nil, table.Relation{}, unknown(ctx, lake, ref.Name, err)
	}
	return t, rel, nil
}
