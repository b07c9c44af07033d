package pipeline

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func (t *task) overColumns(n int64) error {
	return limits.Over("columns", n, t.r.o.Project.Limits.Columns)
}

// ingest loads the landing files of the plan: decode to text, type and judge in the engine, one commit.
func (t *task) ingest(ctx context.Context) error {
	spec := t.s.m.ingest
	store, err := t.r.landing(ctx, spec.url)
	if err != nil {
		return err
	}
	columns, err := t.knownColumns(ctx, store)
	if err != nil {
		return err
	}
	known := make([]string, len(columns))
	for i, c := range columns {
		known[i] = c.name
	}
	d, err := t.decode(ctx, store, known)
	if err != nil {
		return err
	}
	t.rep.FilesIn, t.rep.BytesIn, t.rep.FilesPoison = int64(len(t.p.Files)), d.bytes, int64(len(d.poison))
	if columns, err = t.evolved(ctx, placed(columns)); err != nil {
		return err
	}
	if err := t.infer(ctx, columns); err != nil {
		return err
	}
	for i, h := range spec.pathColumns {
		kind, err := txlog.ParseType(h.Type)
		if err != nil {
			return fmt.Errorf("%w: %w", errConfig, err)
		}
		columns = append(columns, ingestColumn{name: h.Name, kind: kind, text: fmt.Sprintf("f.p%d", i), path: true})
	}
	schema, err := t.ingestTable(columns)
	if err != nil {
		return err
	}
	base, err := t.typedSQL(columns, d)
	if err != nil {
		return err
	}
	return t.load(ctx, schema, base, d)
}

// ingestTable is the columns of the table: those of the files, of their paths, the rescue column, the metadata.
func (t *task) ingestTable(columns []ingestColumn) (*txlog.Schema, error) {
	var fields []txlog.Field
	for _, c := range columns {
		fields = append(fields, txlog.Field{Name: c.name, Type: c.kind, Nullable: true})
	}
	hints := metadataColumns()
	if t.s.m.ingest.rescued != "" {
		hints = append([]columnHint{{t.s.m.ingest.rescued, "string"}}, hints...)
	}
	for _, h := range hints {
		kind, err := txlog.ParseType(h.Type)
		if err != nil {
			return nil, err
		}
		fields = append(fields, txlog.Field{Name: h.Name, Type: kind, Nullable: true})
	}
	schema, err := txlog.NewSchema(fields...)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", table.ErrSchemaMismatch, err)
	}
	for name, c := range t.s.m.table.columns {
		f, err := schema.Lookup(name)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: columns.%s: there is no such column", errConfig, t.s.m.File, name)
		}
		if want, err := txlog.ParseType(c.Type); c.Type != "" && err == nil && want.SQL() != f.Type.SQL() {
			return nil, fmt.Errorf("%w: %s: columns.%s: declared %s, the column is %s", errConfig, t.s.m.File, name, want.SQL(), f.Type.SQL())
		}
	}
	return schema, nil
}

// typedSQL turns decoded text into candidate rows: typed columns, rescued values, metadata, and why a row is broken.
func (t *task) typedSQL(columns []ingestColumn, d *decoded) (string, error) {
	spec := t.s.m.ingest
	var typed, out, bad, rescue []string
	for i, c := range columns {
		cast, err := castText(c.kind, c.text, spec.csv)
		if err != nil {
			return "", err
		}
		typed = append(typed, c.text+" AS _lake_t"+strconv.Itoa(i), cast+" AS _lake_v"+strconv.Itoa(i))
		misfit := fmt.Sprintf("_lake_t%d IS NOT NULL AND _lake_v%d IS NULL", i, i)
		if spec.types == contractDiscardRow || spec.types == contractFreeze {
			bad = append(bad, "CASE WHEN "+misfit+" THEN "+quoteString(c.name+"=")+" || left(_lake_t"+strconv.Itoa(i)+", 100) END")
		}
		rescue = append(rescue, quoteString(c.name)+", CASE WHEN "+misfit+" THEN _lake_t"+strconv.Itoa(i)+" END")
		out = append(out, "_lake_v"+strconv.Itoa(i)+" AS "+quoteIdent(c.name))
	}
	extra := "_lake_extra"
	if spec.columns == contractEvolve {
		extra = "CAST(NULL AS VARCHAR)" // every column of the files has a place of its own
	}
	if spec.columns == contractDiscardRow || spec.columns == contractFreeze {
		bad = append(bad, "CASE WHEN _lake_extra IS NOT NULL THEN 'unknown columns ' || array_to_string(json_keys(_lake_extra), ', ') END")
	}
	if spec.rescued != "" {
		out = append(out, t.rescuedSQL(extra, rescue)+" AS "+quoteIdent(spec.rescued))
	}
	at, err := moment{asOf: t.p.AsOf}.lookup(nil)("@as_of")
	if err != nil {
		return "", err
	}
	out = append(out, "_lake_key AS "+columnFile, "_lake_etag AS "+columnETag, "_lake_modified AS "+columnModified, "_lake_number AS "+columnRow,
		"CAST("+strconv.FormatInt(t.p.N, 10)+" AS BIGINT) AS "+columnPlan, at+" AS "+columnIngested)
	contract := "CAST(NULL AS VARCHAR)"
	if len(bad) > 0 {
		contract = "nullif(concat_ws(', ', " + strings.Join(bad, ", ") + "), '')"
	}
	out = append(out, "CASE WHEN _lake_why IS NOT NULL THEN '"+reasonParse+"' WHEN _lake_contract IS NOT NULL THEN '"+reasonContract+"' END AS "+colReason,
		"coalesce(_lake_why, _lake_contract) AS "+colInfo, "_lake_text AS "+colRaw)
	inner := "SELECT " + strings.Join(append(typed, "x."+textWhy+" AS _lake_why", "x."+textRaw+" AS _lake_text", "x."+textExtra+" AS _lake_extra",
		"x."+textRow+" AS _lake_number", "f.key AS _lake_key", "f.etag AS _lake_etag", "f.modified AS _lake_modified"), ", ") +
		" FROM " + relText + " AS x JOIN (" + t.filesSQL() + ") AS f ON x." + textFile + " = f.n" + skip(d.skipped)
	return "SELECT " + strings.Join(out, ", ") + " FROM (SELECT *, " + contract + " AS _lake_contract FROM (" + inner + ") AS i) AS j", nil
}

// rescuedSQL is the JSON of what the contract rescues in a row, NULL when there is nothing.
func (t *task) rescuedSQL(extra string, misfits []string) string {
	spec := t.s.m.ingest
	if spec.columns != contractRescue {
		extra = "CAST(NULL AS VARCHAR)"
	}
	if spec.types != contractRescue {
		misfits = nil
	}
	// json_merge_patch leaves out what is NULL: columns that fit.
	merged := "json_merge_patch(coalesce(" + extra + ", '{}'), json_object(" + strings.Join(misfits, ", ") + "))"
	text := "CAST(" + merged + " AS VARCHAR)"
	return "CASE WHEN " + text + " = '{}' THEN NULL ELSE CAST(json_merge_patch(" + merged + ", json_object('_file', _lake_key)) AS VARCHAR) END"
}

// skip leaves out the records of files that turned out to be broken.
func skip(files []int) string {
	if len(files) == 0 {
		return ""
	}
	text := make([]string, len(files))
	for i, n := range files {
		text[i] = strconv.Itoa(n)
	}
	return " WHERE x." + textFile + " NOT IN (" + strings.Join(text, ", ") + ")"
}

// filesSQL is the files of the plan as rows: n, key, etag, modified and the path columns p0, p1, ….
func (t *task) filesSQL() string {
	var b strings.Builder
	b.WriteString("SELECT * FROM (VALUES ")
	for n, f := range t.p.Files {
		if n > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "(%d, %s, %s, TIMESTAMP WITH TIME ZONE '%s+00'", n, quoteString(f.Key), quoteString(f.ETag), f.Modified.UTC().Format("2006-01-02 15:04:05.999999"))
		for _, h := range t.s.m.ingest.pathColumns {
			if v, ok := pathValue(f.Key, h.Name); ok {
				b.WriteString(", " + quoteString(v))
			} else {
				b.WriteString(", CAST(NULL AS VARCHAR)")
			}
		}
		b.WriteString(")")
	}
	b.WriteString(") AS v(n, key, etag, modified")
	for i := range t.s.m.ingest.pathColumns {
		fmt.Fprintf(&b, ", p%d", i)
	}
	b.WriteString(")")
	return b.String()
}

// pathValue finds name=value among the folders of a key. The usual name of a missing value is no value.
func pathValue(key, name string) (string, bool) {
	for _, part := range strings.Split(key, "/") {
		n, v, ok := strings.Cut(part, "=")
		if !ok || !strings.EqualFold(n, name) || v == "__HIVE_DEFAULT_PARTITION__" {
			continue
		}
		if plain, err := url.PathUnescape(v); err == nil {
			v = plain
		}
		return v, true
	}
	return "", false
}

// load judges the candidates and commits.
func (t *task) load(ctx context.Context, schema *txlog.Schema, base string, d *decoded) error {
	spec := t.s.m.ingest
	conditions, err := t.conditions(ctx, schema.Fields, base)
	if err != nil {
		return err
	}
	judged := judgedSQL(base, conditions)
	extra := []string{"0"}
	if spec.rescued != "" {
		extra[0] = "count(" + quoteIdent(spec.rescued) + ")"
	}
	v, err := t.count(ctx, judged, extra...)
	if err != nil {
		return err
	}
	t.rep.RowsRescued, t.rep.RowsPoison = v.extra[0], v.reasons[reasonParse]
	if n := v.reasons[reasonContract]; n > 0 && (spec.columns == contractFreeze || spec.types == contractFreeze) {
		return t.frozen(ctx, judged, n)
	}
	if err := t.verdict(v); err != nil {
		return err
	}
	names := namesOf(schema.Fields)
	source := "SELECT " + strings.Join(quoteIdents("", names), ", ") + " FROM " + bodyOf(judged) + " AS j WHERE " + accepted
	reload := t.reloaded()
	reject := rejects{
		judged: judged, fields: names, conditions: conditions, count: v.rejected, source: columnFile,
		position: columnFile + " || ':' || CAST(" + columnRow + " AS VARCHAR)", extra: d.poison, replace: reload,
	}
	res, err := t.land(ctx, landingSteps{
		create: func(ctx context.Context) (*table.Change, error) {
			return table.PrepareCreateAppend(ctx, t.r.o.Store, t.s.m.Path(), t.createOf(schema), t.r.o.Engine, table.Append{Source: t.query(source)}, t.r.tableOptions())
		},
		change: func(ctx context.Context, target *table.Table) (*table.Change, error) {
			a := table.Append{Source: t.query(source), MergeSchema: true}
			if len(reload) > 0 {
				a.DeleteWhere = "t." + columnFile + " IN (" + quoteStrings(reload) + ")"
			}
			return target.PrepareAppend(ctx, t.r.o.Engine, a)
		},
		rejected: func(ctx context.Context) error { return t.quarantine(ctx, reject) },
	})
	if err != nil {
		return err
	}
	t.rep.RowsQuarantine += int64(len(d.poison))
	t.rep.RowsAdded, t.rep.RowsDeleted = res.RowsInserted, max(res.RowsDeleted, 0)
	return nil
}

// reloaded lists the keys whose older rows the plan replaces.
func (t *task) reloaded() []string {
	var keys []string
	for _, f := range t.p.Files {
		if f.Reload {
			keys = append(keys, f.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// frozen names the first row that breaks a frozen contract.
func (t *task) frozen(ctx context.Context, judged string, n int64) error {
	row, err := t.one(ctx, "SELECT "+columnFile+", "+columnRow+", "+colInfo+" FROM "+bodyOf(judged)+" AS j WHERE "+colReason+" = '"+reasonContract+"' ORDER BY 1, 2 LIMIT 1")
	if err != nil {
		return err
	}
	return fmt.Errorf("%w: %d rows; the first is %v row %v: %v", ErrContract, n, row[0], row[1], row[2])
}
