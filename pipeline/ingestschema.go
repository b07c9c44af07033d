package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// ingestColumn is a column that comes out of the files or their paths.
type ingestColumn struct {
	name string
	kind *txlog.DataType // nil: not known yet
	text string          // SQL for its text in a row of relText joined with the files
	path bool            // from the key
}

// metadataColumns are the columns that every ingested table ends with.
func metadataColumns() []columnHint {
	return []columnHint{
		{columnFile, "string"},
		{columnETag, "string"},
		{columnModified, "timestamp"},
		{columnRow, "bigint"},
		{columnPlan, "bigint"},
		{columnIngested, "timestamp"},
	}
}

// knownColumns are the columns of the files before any value is read: those of the table, else the hints and, where
// the contract leaves the schema open, the headers of the sample.
func (t *task) knownColumns(ctx context.Context, store objectstore.Store) ([]ingestColumn, error) {
	spec := t.s.m.ingest
	var out []ingestColumn
	has := func(name string) bool {
		return slices.ContainsFunc(out, func(c ingestColumn) bool { return strings.EqualFold(c.name, name) })
	}
	if t.s.target != nil {
		schema, err := t.s.target.Schema()
		if err != nil {
			return nil, err
		}
		for _, f := range schema.Fields {
			if !t.ownColumn(f.Name) {
				out = append(out, ingestColumn{name: f.Name, kind: f.Type})
			}
		}
		return out, t.hinted(schema, &out)
	}
	for _, h := range spec.hints {
		kind, err := txlog.ParseType(h.Type)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errConfig, err)
		}
		out = append(out, ingestColumn{name: h.Name, kind: kind})
	}
	if len(spec.hints) > 0 && spec.columns != contractEvolve {
		return out, nil // the schema is closed: every other column meets the contract
	}
	names, err := t.sampleHeaders(ctx, store)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if !has(name) && !t.ownColumn(name) {
			out = append(out, ingestColumn{name: name})
		}
	}
	return out, nil
}

// ownColumn tells whether a name is one that ingest itself gives.
func (t *task) ownColumn(name string) bool {
	spec := t.s.m.ingest
	if spec.rescued != "" && strings.EqualFold(name, spec.rescued) {
		return true
	}
	same := func(h columnHint) bool { return strings.EqualFold(h.Name, name) }
	return slices.ContainsFunc(metadataColumns(), same) || slices.ContainsFunc(spec.pathColumns, same)
}

// hinted checks the hints against a table that is there, and adds columns that it lacks.
func (t *task) hinted(schema *txlog.Schema, out *[]ingestColumn) error {
	for _, h := range t.s.m.ingest.hints {
		kind, err := txlog.ParseType(h.Type)
		if err != nil {
			return fmt.Errorf("%w: %w", errConfig, err)
		}
		f, err := schema.Lookup(h.Name)
		if err != nil {
			*out = append(*out, ingestColumn{name: h.Name, kind: kind})
			continue
		}
		if f.Type.SQL() != kind.SQL() {
			return fmt.Errorf("%w: %s: schema.columns.%s: declared %s, the table has %s", errConfig, t.s.m.File, h.Name, kind.SQL(), f.Type.SQL())
		}
	}
	return nil
}

// sampleHeaders lists the columns of the first files. Where the contract does not add columns, only those that more
// than half of the files have make the schema: a stray column of one file meets the contract instead.
func (t *task) sampleHeaders(ctx context.Context, store objectstore.Store) ([]string, error) {
	spec := t.s.m.ingest
	var names []string
	counts := map[string]int{}
	files := 0
	for _, f := range t.p.Files[:min(len(t.p.Files), spec.sampleFiles)] {
		l, err := t.r.openLanded(ctx, store, spec, f)
		if errors.Is(err, errPoison) {
			continue
		}
		if err != nil {
			return nil, err
		}
		files++
		for _, name := range l.header {
			lower := strings.ToLower(name)
			if counts[lower] == 0 {
				names = append(names, name)
			}
			counts[lower]++
		}
		if err := l.close(); err != nil {
			return nil, fmt.Errorf("read %s: %w", f.Key, err)
		}
	}
	if spec.columns == contractEvolve {
		return names, nil
	}
	return slices.DeleteFunc(names, func(n string) bool { return 2*counts[strings.ToLower(n)] <= files }), nil
}

// placed gives each column its text in relText.
func placed(columns []ingestColumn) []ingestColumn {
	for i := range columns {
		columns[i].text = "x." + textColumn(i)
	}
	return columns
}

// evolved finds the unknown columns of the files when the contract adds them.
func (t *task) evolved(ctx context.Context, columns []ingestColumn) ([]ingestColumn, error) {
	if t.s.m.ingest.columns != contractEvolve {
		return columns, nil
	}
	var names []string
	err := t.r.eachRow(ctx, t.query("SELECT DISTINCT unnest(json_keys("+textExtra+")) AS k FROM "+relText+" WHERE "+textExtra+" IS NOT NULL ORDER BY k"), func(row []any) error {
		if s, ok := row[0].(string); ok {
			names = append(names, s)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if slices.ContainsFunc(columns, func(c ingestColumn) bool { return strings.EqualFold(c.name, name) }) || t.ownColumn(name) {
			continue
		}
		columns = append(columns, ingestColumn{name: name, text: "json_extract_string(x." + textExtra + ", " + quoteString(jsonPointer(name)) + ")"})
	}
	for _, c := range columns {
		if !isColumnName(c.name) {
			return nil, fmt.Errorf("%w: the column name %q cannot be stored; set schema.contract.columns to rescue", ErrContract, clipText(c.name, 80))
		}
	}
	if n := int64(len(columns)); n > t.r.o.Project.Limits.Columns {
		return nil, t.overColumns(n)
	}
	return columns, nil
}

// jsonPointer names a key of an object (RFC 6901).
func jsonPointer(name string) string {
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// infer gives a type to each column that has none: the first of boolean, bigint, double, date, timestamp_ntz, timestamp
// that every value of the sample fits, else string.
func (t *task) infer(ctx context.Context, columns []ingestColumn) error {
	spec := t.s.m.ingest
	var open []int
	for i, c := range columns {
		if c.kind == nil {
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return nil
	}
	order := []string{"boolean", "bigint", "double", "date", "timestamp_ntz", "timestamp"}
	var parts []string
	for _, i := range open {
		text := columns[i].text
		for _, name := range order {
			kind, err := txlog.ParseType(name)
			if err != nil {
				return err
			}
			cast, err := castText(kind, text, spec.csv)
			if err != nil {
				return err
			}
			fits := "(" + cast + ") IS NOT NULL"
			if shape := inferShape(name); shape != "" {
				fits += " AND regexp_full_match(trim(" + text + "), '" + shape + "')"
			}
			parts = append(parts, "coalesce(bool_and("+fits+") FILTER (WHERE "+text+" IS NOT NULL), FALSE)")
		}
	}
	sql := fmt.Sprintf("SELECT %s FROM (SELECT * FROM %s WHERE %s IS NULL ORDER BY %s, %s LIMIT %d) AS x",
		strings.Join(parts, ", "), relText, textWhy, textFile, textRow, spec.sampleRows)
	row, err := t.one(ctx, sql)
	if err != nil {
		return err
	}
	for at, i := range open {
		name := "string"
		for j, candidate := range order {
			if ok, _ := row[at*len(order)+j].(bool); ok {
				name = candidate
				break
			}
		}
		if columns[i].kind, err = txlog.ParseType(name); err != nil {
			return err
		}
	}
	return nil
}

// inferShape is what a text must look like before its column is given a type by itself: 1 is not TRUE and 00742 is not
// a number unless somebody says so.
func inferShape(name string) string {
	switch name {
	case "boolean":
		return "(?i)true|false"
	case "bigint":
		return "[+-]?(0|[1-9][0-9]*)"
	case "double":
		return `(?i)[+-]?(0|[1-9][0-9]*)?(\.[0-9]+)?(e[+-]?[0-9]+)?`
	case "timestamp":
		return `.*(Z|[+-][0-9]{2}(:?[0-9]{2})?)`
	}
	return ""
}

// castText is SQL for the value of a text as type t, NULL where it does not fit. Nothing is rounded or guessed: 1.5 is
// no bigint, 1.239 no decimal(10,2), and a timestamp with a zone no timestamp_ntz.
func castText(t *txlog.DataType, text string, o csvOptions) (string, error) {
	name, err := table.TypeText{}.SQL(t)
	if err != nil {
		return "", fmt.Errorf("%w: %w", errConfig, err)
	}
	trimmed := "trim(" + text + ")"
	shaped := func(shape, value string) string {
		return "CASE WHEN regexp_full_match(" + trimmed + ", '" + shape + "') THEN " + value + " END"
	}
	try := "TRY_CAST(" + trimmed + " AS " + name + ")"
	const day = `[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}`
	const clock = `([ T][0-9]{1,2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6})?)?)?`
	switch t.Kind { // the loader refuses the others
	case txlog.KindString:
		return text, nil
	case txlog.KindLong, txlog.KindInteger, txlog.KindShort, txlog.KindByte:
		return shaped("[+-]?[0-9]+", try), nil
	case txlog.KindDouble, txlog.KindFloat:
		return shaped(`(?i)[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)(e[+-]?[0-9]+)?|[+-]?(nan|inf|infinity)`, try), nil
	case txlog.KindDecimal:
		return shaped(fmt.Sprintf(`[+-]?([0-9]+([.][0-9]{0,%d}0*)?|[.][0-9]{1,%d}0*)`, t.Scale, max(1, t.Scale)), try), nil
	case txlog.KindBoolean:
		return "CASE lower(" + trimmed + ") WHEN 'true' THEN TRUE WHEN 't' THEN TRUE WHEN 'yes' THEN TRUE WHEN 'y' THEN TRUE WHEN '1' THEN TRUE " +
			"WHEN 'false' THEN FALSE WHEN 'f' THEN FALSE WHEN 'no' THEN FALSE WHEN 'n' THEN FALSE WHEN '0' THEN FALSE END", nil
	case txlog.KindDate:
		if o.DateFormat != "" {
			return "CAST(try_strptime(" + trimmed + ", " + quoteString(o.DateFormat) + ") AS DATE)", nil
		}
		return shaped(day, try), nil
	case txlog.KindTimestampNTZ:
		if o.TimestampFormat != "" {
			return "CAST(try_strptime(" + trimmed + ", " + quoteString(o.TimestampFormat) + ") AS TIMESTAMP)", nil
		}
		return shaped(day+clock, try), nil
	case txlog.KindTimestamp:
		if o.TimestampFormat != "" {
			return "CAST(try_strptime(" + trimmed + ", " + quoteString(o.TimestampFormat) + ") AS TIMESTAMP WITH TIME ZONE)", nil
		}
		return shaped(day+clock+`(Z|[+-][0-9]{2}(:?[0-9]{2})?)?`, try), nil
	}
	return "", fmt.Errorf("%w: text cannot become %s", errConfig, t.SQL())
}
