package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// relCandidates is the name of the judged rows of a model of SQL.
const relCandidates = "_lake.candidates"

// sql is the SELECT of the model with macros in place.
func (t *task) sql() (string, error) {
	text, _, err := expandSQL(t.s.m.query.sql, moment{run: t.p.Run, asOf: t.p.AsOf}.lookup(t.r.o.Project.vars))
	if err != nil {
		return "", fmt.Errorf("%w: %s: %w", errConfig, t.s.m.File, err)
	}
	return text, nil
}

// output checks the columns of the SELECT against what the front matter says of them.
func (t *task) output(ctx context.Context, sql string) ([]txlog.Field, error) {
	fields, err := t.columns(ctx, sql)
	if err != nil {
		return nil, err
	}
	schema, err := txlog.NewSchema(fields...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", table.ErrSchemaMismatch, err)
	}
	var wrong []string
	for _, f := range fields {
		if !isColumnName(f.Name) {
			wrong = append(wrong, fmt.Sprintf("%q is not a column name; give it an alias", f.Name))
		}
	}
	for name, c := range t.s.m.table.columns {
		f, err := schema.Lookup(name)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("columns.%s: the SELECT gives no such column", name))
			continue
		}
		if want, err := txlog.ParseType(c.Type); c.Type != "" && err == nil && want.SQL() != f.Type.SQL() {
			wrong = append(wrong, fmt.Sprintf("columns.%s: declared %s, the SELECT gives %s", name, want.SQL(), f.Type.SQL()))
		}
	}
	need := func(key string, names []string) {
		for _, name := range names {
			if _, err := schema.Lookup(name); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s: the SELECT gives no column %q", key, name))
			}
		}
	}
	need("key", t.s.m.query.key)
	need("sequence_by", t.s.m.query.sequence)
	need("not_stored", t.s.m.query.notStored)
	need("partition_by", t.s.m.table.partitionBy)
	if len(wrong) > 0 {
		slices.Sort(wrong)
		return nil, fmt.Errorf("%w: %s: %s", errConfig, t.s.m.File, strings.Join(wrong, "; "))
	}
	return fields, nil
}

// full runs a model that replaces all rows.
func (t *task) full(ctx context.Context) error {
	var err error
	if t.relations, err = t.r.relations(ctx, t.p); err != nil {
		return err
	}
	select1, err := t.sql()
	if err != nil {
		return err
	}
	fields, err := t.output(ctx, select1)
	if err != nil {
		return err
	}
	names := namesOf(fields)
	source := select1
	reject := rejects{all: true}
	if len(t.s.m.table.rules) > 0 {
		conditions, err := t.conditions(ctx, fields, select1)
		if err != nil {
			return err
		}
		base := "SELECT *, CAST(NULL AS VARCHAR) AS " + colReason + ", CAST(NULL AS VARCHAR) AS " + colInfo + ", CAST(NULL AS VARCHAR) AS " + colRaw + " FROM " + bodyOf(select1) + " AS c"
		if err := t.keep(ctx, relCandidates, judgedSQL(base, conditions)); err != nil {
			return err
		}
		judged := "SELECT * FROM " + relCandidates
		v, err := t.count(ctx, judged)
		if err != nil {
			return err
		}
		if err := t.verdict(v); err != nil {
			return err
		}
		source = "SELECT " + strings.Join(quoteIdents("", names), ", ") + " FROM " + relCandidates + " WHERE " + accepted
		reject = rejects{
			judged: judged, fields: names, conditions: conditions, count: v.rejected,
			source: quoteString(t.p.sourceNames()), position: t.ownPosition(fields), all: true,
		}
	}
	res, err := t.land(ctx, landingSteps{
		create: func(ctx context.Context) (*table.Change, error) {
			return table.PrepareCreateAppend(ctx, t.r.o.Store, t.s.m.Path(), t.createOf(nil), t.r.o.Engine, table.Append{Source: t.query(source)}, t.r.tableOptions())
		},
		change: func(ctx context.Context, target *table.Table) (*table.Change, error) {
			return target.PrepareOverwrite(ctx, t.r.o.Engine, table.Overwrite{Source: t.query(source), OverwriteSchema: true})
		},
		judge:    t.notEmpty,
		rejected: func(ctx context.Context) error { return t.quarantine(ctx, reject) },
	})
	if err != nil {
		return err
	}
	t.rep.RowsAdded, t.rep.RowsDeleted = res.RowsInserted, max(res.RowsDeleted, 0)
	if t.rep.RowsIn == 0 {
		t.rep.RowsIn = res.RowsSource
	}
	return nil
}

// notEmpty refuses to replace rows by none.
func (t *task) notEmpty(_ context.Context, c *table.Change) error {
	if c.Result().RowsInserted > 0 || t.s.m.query.allowEmpty || c.Base() == nil {
		return nil
	}
	if n, ok := c.Base().NumRows(); ok && n == 0 {
		return nil
	}
	return fmt.Errorf("%w: empty_result: the SELECT gives no row and the table has some; set allow_empty if that is right", ErrCheckFailed)
}

// sourceNames lists the tables that the plan reads.
func (p *Plan) sourceNames() string {
	names := make([]string, len(p.Sources))
	for i, s := range p.Sources {
		names[i] = s.Table
	}
	return strings.Join(names, ",")
}

// ownPosition is SQL for the place of a row in its landing file, "" when the SELECT does not carry it along.
func (t *task) ownPosition(fields []txlog.Field) string {
	schema := &txlog.Schema{Fields: fields}
	file, err1 := schema.Lookup(columnFile)
	row, err2 := schema.Lookup(columnRow)
	if err1 != nil || err2 != nil {
		return ""
	}
	return "coalesce(CAST(" + quoteIdent(file.Name) + " AS VARCHAR), '') || ':' || coalesce(CAST(" + quoteIdent(row.Name) + " AS VARCHAR), '')"
}

func namesOf(fields []txlog.Field) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.Name
	}
	return names
}
