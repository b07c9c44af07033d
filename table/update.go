package table

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/txlog"
)

// Update is rows to change.
type Update struct {
	// Set gives columns new values: expressions over the table. A column of a generated column's expression takes the
	// generated one along.
	Set []Assignment
	// Where is a condition over the table; rows for which it is true change. "" changes every row.
	Where string
	Alias string // what the table is called in Set and Where; "" means t
	// Relations are other tables and files that Set and Where read, as in Delete.
	Relations    map[string]Relation
	TimeZone     string  // as in Query
	RewriteEqual bool    // write rows anew that would not change, too
	RewriteShare float64 // as in Append
	Meta         ChangeMeta
}

// Update changes rows in one commit. Rows that are like that already are left alone and not counted; where there are
// no others, there is no commit.
//
// Protocol: the new images stand in new files; the old ones leave as in Delete. Readers of the change data feed see
// both.
// Errors:   ErrInvalidRequest, ErrSchemaMismatch, *ConstraintError, *ValueError, *SQLError, those of Commit.
// Cost:     one pass over the columns of the condition and of Set, over the files that may hold such rows; one over
// all columns of the rows that change.
func (t *Table) Update(ctx context.Context, eng Engine, u Update) (*Result, error) {
	return t.replan(ctx, func(ctx context.Context) (*Change, error) { return t.PrepareUpdate(ctx, eng, u) })
}

// PrepareUpdate stages an Update.
func (t *Table) PrepareUpdate(ctx context.Context, eng Engine, u Update) (*Change, error) {
	c, err := t.prepareUpdate(ctx, eng, u)
	if err != nil {
		return nil, fmt.Errorf("update %s: %w", t.URL(), err)
	}
	return c, nil
}

func (t *Table) prepareUpdate(ctx context.Context, eng Engine, u Update) (*Change, error) {
	if u.Alias == "" {
		u.Alias = targetAlias
	}
	c, err := t.beginRows("UPDATE", u.Meta)
	if err != nil || c.result.AlreadyDone {
		return c, err
	}
	c.metrics = updateMetrics
	predicate := []string{}
	if strings.TrimSpace(u.Where) != "" {
		predicate = append(predicate, u.Where)
	}
	c.parameter("predicate", jsonText(predicate))
	c.readsFrom(Query{Relations: u.Relations})
	x := &updating{Update: u, c: c, eng: eng, values: map[string]string{}}
	if err := x.run(ctx); err != nil {
		return nil, c.abandon(ctx, err)
	}
	return c, nil
}

// updating is one update under way.
type updating struct {
	Update
	c      *Change
	eng    Engine
	rules  *rules
	values map[string]string // column of the table → cast expression
}

func (x *updating) run(ctx context.Context) error {
	c := x.c
	if err := x.resolve(ctx); err != nil {
		return err
	}
	w := condition{where: x.Where, alias: x.Alias, zone: x.TimeZone, relations: x.Relations}
	if !x.RewriteEqual {
		w.also = x.differs()
	}
	found, err := c.findRows(ctx, x.eng, w)
	if err != nil || len(found) == 0 {
		return err
	}
	if err := c.checkRemovable(); err != nil {
		return err
	}
	files, err := x.writeImages(ctx, found)
	if err != nil {
		return err
	}
	left := c.leaving(found)
	n, err := c.removeRows(ctx, x.eng, found, x.RewriteShare)
	if err != nil {
		return err
	}
	if got := rowsOf(files); got != n {
		return fmt.Errorf("write new rows: engine wrote %d rows for %d that change", got, n)
	}
	c.result.RowsUpdated = n
	if left == nil {
		return nil
	}
	before, err := c.oldImages(txlog.ChangePreimage, left)
	if err != nil {
		return err
	}
	return c.writeFeed(ctx, x.eng, slices.Concat(before, newImages(txlog.ChangePostimage, files)))
}

// resolve gives each column that is set its value, cast to the column's type.
func (x *updating) resolve(ctx context.Context) error {
	schema := x.c.shape.schema
	var err error
	if x.rules, err = rulesOf(x.c.shape, x.c.start); err != nil {
		return err
	}
	if len(x.Set) == 0 {
		return fmt.Errorf("%w: an update sets a column", ErrInvalidRequest)
	}
	columns := make([]*txlog.Field, len(x.Set))
	for i, a := range x.Set {
		f, err := schema.Lookup(a.Column)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalidRequest, err)
		}
		for _, earlier := range columns[:i] {
			if earlier.Name == f.Name {
				return fmt.Errorf("%w: column %q is set twice", ErrInvalidRequest, f.Name)
			}
		}
		switch {
		case strings.TrimSpace(a.Value) == "":
			return fmt.Errorf("%w: column %q is set to nothing", ErrInvalidRequest, f.Name)
		case x.rules.numbers(f.Name) != nil:
			return fmt.Errorf("%w: column %q is numbered by the table, its values do not change", ErrSchemaMismatch, f.Name)
		}
		columns[i] = f
	}
	types, err := x.types(ctx)
	if err != nil {
		return err
	}
	for i, f := range columns {
		value := []txlog.Field{{Name: f.Name, Type: types[i].Type}}
		if err := checkNested(&txlog.Schema{Fields: []txlog.Field{*f}}, value, map[string]string{f.Name: f.Name}); err != nil {
			return err
		}
		x.values[f.Name] = CastSQL(enclosed(x.Set[i].Value), types[i].Type, f.Type, f.Name)
	}
	return nil
}

// types asks the engine for the types of the values.
func (x *updating) types(ctx context.Context) ([]txlog.Field, error) {
	items := make([]string, len(x.Set))
	for i, a := range x.Set {
		items[i] = enclosed(a.Value) + " AS v" + strconv.Itoa(i)
	}
	w := condition{alias: x.Alias, zone: x.TimeZone, relations: x.Relations}
	fields, err := OutputOf(ctx, x.eng, w.query(strings.Join(items, ", "), "", x.c.shape.relation()))
	if err == nil && len(fields) != len(items) {
		err = fmt.Errorf("%w: a value is more than one expression", ErrInvalidRequest)
	}
	return fields, err
}

// differs is true for rows with another new value in a column that is set.
func (x *updating) differs() string {
	parts := make([]string, 0, len(x.values))
	for _, name := range slices.Sorted(maps.Keys(x.values)) {
		parts = append(parts, changedSQL(qualified(x.Alias, name), x.values[name], typeOf(x.c.shape.schema.Fields, name)))
	}
	return strings.Join(parts, " OR ")
}

// writeImages stages the new images of the found rows. What is not set stays, except what follows from other columns;
// a row keeps its id and is new in this version.
func (x *updating) writeImages(ctx context.Context, found map[int]*roaring64.Bitmap) ([]WrittenFile, error) {
	rel, schema := x.c.shape.relation(), x.c.shape.moved()
	rel.RowIDs, rel.KeepVariants = x.c.shape.rowIDs(), true
	for _, i := range slices.Sorted(maps.Keys(found)) {
		f, err := x.c.t.relationFile(x.c.base, i, x.c.shape.schema)
		if err != nil {
			return nil, err
		}
		f.Only = found[i]
		rel.Files = append(rel.Files, f)
	}
	values := packedValues(x.values, schema)
	for _, f := range schema.Fields {
		_, set := values[f.Name]
		follows := x.rules.computes(f.Name) || rel.RowIDs != nil && f.Name == rel.RowIDs.Version
		if !set && !follows {
			values[f.Name] = keptOf(x.Alias, f)
		}
	}
	w := condition{alias: x.Alias, zone: x.TimeZone, relations: x.Relations}
	news := x.rules.newRows(schema)
	news.packed = true
	news.add(values, " FROM "+w.from(), false, allRows)
	files, err := x.c.stageNew(ctx, x.eng, news, w.over(rel))
	if err != nil {
		return nil, fmt.Errorf("write new rows: %w", err)
	}
	return files, nil
}

// updateMetrics names what an UPDATE did the way Spark does.
func updateMetrics(c *Change) map[string]string {
	m := rowMetrics(c)
	m["numUpdatedRows"] = metric(c.result.RowsUpdated)
	return m
}
