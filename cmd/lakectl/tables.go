package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/pipeline"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// place is where a table is or shall be.
type place struct {
	store objectstore.Store
	path  string // below the store
}

// locate finds the place of a table word. With create, the folder of a path is made where it is missing.
func (a *app) locate(ctx context.Context, w word, create bool) (place, error) {
	if w.kind == wordPath {
		store, err := a.openStore(ctx, w.text, create)
		return place{store: store}, noFolder(w.text, err)
	}
	p, err := a.lake(ctx)
	if err != nil {
		return place{}, err
	}
	if p == nil {
		return place{}, noProject(fmt.Sprintf("the name %q", w.text))
	}
	path, ok := pipeline.TablePath(w.text)
	if !ok {
		return place{}, usagef("%q is not a table name: write layer.name, or ./%s for a path", w.text, w.text)
	}
	store, err := a.openStore(ctx, p.Env.Warehouse, create)
	return place{store, path}, noFolder(p.Env.Warehouse, err)
}

// noFolder says of a folder that does not exist that it is no table. A missing bucket is something else.
func noFolder(address string, err error) error {
	if errors.Is(err, objectstore.ErrNoBucket) && !strings.HasPrefix(address, "s3://") {
		return fmt.Errorf("%w: %w", txlog.ErrNotATable, err)
	}
	return err
}

// tableWord reads the TABLE of a verb and makes it the subject of error lines.
func (a *app) tableWord(arg string) (word, error) {
	w, err := parseWord(arg)
	if err != nil {
		return word{}, err
	}
	if w.kind == wordQuery {
		return word{}, usagef("%q is a query; this verb takes a table", arg)
	}
	a.subject = w.text
	return w, nil
}

// openTable opens the table that a word names, at the version that it names.
func (a *app) openTable(ctx context.Context, w word) (*table.Table, error) {
	at, err := a.locate(ctx, w, false)
	if err != nil {
		return nil, err
	}
	switch {
	case w.version != nil:
		return table.OpenAt(ctx, at.store, at.path, *w.version, a.tableOptions())
	case w.time != nil:
		return table.OpenAtTime(ctx, at.store, at.path, *w.time, a.tableOptions())
	}
	return table.Open(ctx, at.store, at.path, a.tableOptions())
}

// readTable is tableWord and openTable, for verbs that read.
func (a *app) readTable(ctx context.Context, arg string) (*table.Table, error) {
	w, err := a.tableWord(arg)
	if err != nil {
		return nil, err
	}
	return a.openTable(ctx, w)
}

// writeTable is the same for verbs that write: an old version is refused.
func (a *app) writeTable(ctx context.Context, arg string) (word, *table.Table, error) {
	w, err := a.tableWord(arg)
	if err != nil {
		return word{}, nil, err
	}
	if w.version != nil || w.time != nil {
		return word{}, nil, usagef("%s names an old version, which cannot be written: leave the @… out", arg)
	}
	t, err := a.openTable(ctx, w)
	return w, t, err
}

// parseTxn reads --txn APP:VERSION. The last colon divides: application ids may hold colons.
func (a *app) parseTxn(text string) ([]txlog.Txn, error) {
	if text == "" {
		return nil, nil
	}
	i := strings.LastIndexByte(text, ':')
	var version int64
	if i > 0 {
		if n, err := fmt.Sscanf(text[i+1:]+"\n", "%d\n", &version); err != nil || n != 1 || version < 0 {
			i = -1
		}
	}
	if i <= 0 {
		return nil, usagef("--txn: %q is not APP:VERSION, for example nightly:7", text)
	}
	a.txn = text
	return []txlog.Txn{{AppID: text[:i], Version: version}}, nil
}

// notATable tells whether err says that there is no table, rather than a broken one.
func notATable(err error) bool {
	return errors.Is(err, txlog.ErrNotATable) || errors.Is(err, objectstore.ErrNoBucket)
}
