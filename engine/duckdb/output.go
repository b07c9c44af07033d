package duckdb

import (
	"context"
	"crypto/md5" //nolint:gosec // short names, not secrets
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	bindings "github.com/duckdb/duckdb-go-bindings"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// partitionPrefix begins the names of the text columns that COPY partitions by.
const partitionPrefix = "_lakectl_p"

// notNullMark begins the message of error() where a NULL stands in a column that has none; the column follows.
const notNullMark = "lakectl: not null: "

// plan matches the output of the statement with the schema and writes the SELECT lists.
func (c *copier) plan(ctx context.Context) error {
	b := c.bound
	p, err := b.session.prepare(ctx, b.sql)
	if err != nil {
		return b.located(err, 0)
	}
	names, types := p.columns()
	p.close()
	if err := table.CheckTwins(b.source, names); err != nil {
		return err
	}
	c.from = "(" + b.sql + "\n)"
	if strings.Contains(b.sql, ";") { // perhaps at its end
		if err := b.outputView(ctx); err != nil {
			return err
		}
		c.from = outputView
	}
	aliases := make([]string, len(names))
	for i := range names {
		aliases[i] = "c" + strconv.Itoa(i)
	}
	c.from += " AS t(" + strings.Join(aliases, ", ") + ")"
	used := make([]bool, len(names))
	var kept []string
	for _, f := range c.write.Schema.Fields {
		i, err := c.find(names, f, used)
		if err != nil {
			return err
		}
		if i < 0 {
			continue // a void column that the statement does not give
		}
		if err := c.extraFields(types[i], f.Type, f.Name); err != nil {
			return err
		}
		item, err := c.column(i, types[i], f)
		if err != nil {
			return fmt.Errorf("column %s: %w", f.Name, err)
		}
		switch {
		case item == "":
		case !c.partitioned(f.Name):
			c.items = append(c.items, item)
		case c.write.KeepPartitionColumns:
			kept = append(kept, item)
		}
	}
	for i, u := range used {
		if !u {
			return &table.SQLError{SQL: b.source, Message: fmt.Sprintf("column %s is not a column of the table", names[i]), Offset: -1}
		}
	}
	c.items = append(c.items, kept...)
	if len(c.items) == 0 {
		return errors.New("write files: all columns are partition columns, none is left for the files")
	}
	return c.partitions(names)
}

// find is the index of a schema column in the output: by its exact name, else by a unique one without regard to case.
func (c *copier) find(names []string, f txlog.Field, used []bool) (int, error) {
	i := slices.Index(names, f.Name)
	if i < 0 {
		for n, name := range names {
			if strings.EqualFold(name, f.Name) {
				i = n
			}
		}
	}
	if i >= 0 {
		used[i] = true
		return i, nil
	}
	if f.Type.Kind == txlog.KindVoid {
		return -1, nil
	}
	return -1, &table.SQLError{SQL: c.bound.source, Message: fmt.Sprintf("column %s of the table is missing in the output", f.Name), Offset: -1}
}

// extraFields refuses fields of nested values that the table does not have: a cast would drop them silently.
func (c *copier) extraFields(d *duckType, t *txlog.DataType, path string) error {
	switch {
	case d.id == bindings.TypeStruct && t.Kind == txlog.KindStruct:
		for i, name := range d.names {
			at := slices.IndexFunc(t.Fields, func(f txlog.Field) bool { return strings.EqualFold(f.Name, name) })
			if at < 0 {
				return &table.SQLError{
					SQL: c.bound.source, Message: fmt.Sprintf("field %s.%s is not a field of the table", path, name), Offset: -1,
				}
			}
			if err := c.extraFields(d.children[i], t.Fields[at].Type, path+"."+t.Fields[at].Name); err != nil {
				return err
			}
		}
	case d.id == bindings.TypeList && t.Kind == txlog.KindArray:
		return c.extraFields(d.children[0], t.Element, path+".element")
	case d.id == bindings.TypeMap && t.Kind == txlog.KindMap:
		if err := c.extraFields(d.children[0], t.Key, path+".key"); err != nil {
			return err
		}
		return c.extraFields(d.children[1], t.Value, path+".value")
	}
	return nil
}

// column is the SELECT item of one column of the files; "" for a void column, which no file has.
func (c *copier) column(i int, types *duckType, f txlog.Field) (string, error) {
	alias := "c" + strconv.Itoa(i)
	if f.Type.Kind == txlog.KindVoid {
		c.conditions = append(c.conditions, "("+alias+" IS NULL OR CAST(error("+
			table.QuoteString("column "+f.Name+" is void and can hold NULL only")+") AS BOOLEAN))")
		return "", nil
	}
	stored, err := withoutVoid(f.Type)
	if err != nil {
		return "", err
	}
	sql, err := typeSQL(stored)
	if err != nil {
		return "", err
	}
	expr := "CAST(" + alias + " AS " + sql + ")"
	if stored.Uses(txlog.KindVariant) {
		from, _, _ := types.delta() // nil: the engine casts as it can
		if expr = alias; !c.write.PackedVariants {
			expr = table.PackVariants(alias, from, stored)
		}
	}
	bad := nullsIn(expr, stored, 0)
	if !f.Nullable && nestedKind(stored) { // of other columns the statistics tell
		bad = strings.TrimPrefix(bad+" OR "+expr+" IS NULL", " OR ")
	}
	if bad != "" {
		expr = "CASE WHEN " + bad + " THEN error(" + table.QuoteString(notNullMark+f.Name) + ") ELSE " + expr + " END"
	}
	shape := rename{to: c.write.Mapping}
	return shape.apply(expr, stored, 0) + " AS " + table.QuoteIdent(f.PhysicalName(c.write.Mapping)), nil
}

// withoutVoid is the type as it stands in files: void is never written.
func withoutVoid(t *txlog.DataType) (*txlog.DataType, error) {
	switch t.Kind {
	case txlog.KindVoid:
		return nil, fmt.Errorf("%w: void inside an array or map", txlog.ErrUnsupportedType)
	case txlog.KindArray:
		e, err := withoutVoid(t.Element)
		if err != nil {
			return nil, err
		}
		stored := *t
		stored.Element = e
		return &stored, nil
	case txlog.KindMap:
		k, err := withoutVoid(t.Key)
		if err != nil {
			return nil, err
		}
		v, err := withoutVoid(t.Value)
		if err != nil {
			return nil, err
		}
		stored := *t
		stored.Key, stored.Value = k, v
		return &stored, nil
	case txlog.KindStruct:
		stored := *t
		stored.Fields = nil
		for _, f := range t.Fields {
			if f.Type.Kind == txlog.KindVoid {
				continue
			}
			inner, err := withoutVoid(f.Type)
			if err != nil {
				return nil, err
			}
			f.Type = inner
			stored.Fields = append(stored.Fields, f)
		}
		if len(stored.Fields) == 0 {
			return nil, fmt.Errorf("%w: struct without fields other than void", txlog.ErrUnsupportedType)
		}
		return &stored, nil
	}
	return t, nil
}

// nullsIn is a condition that is true where a NULL stands inside of a value whose type has none; "" when the type
// allows all. A NULL of a whole column is found in the statistics.
func nullsIn(sql string, t *txlog.DataType, depth int) string {
	x := fmt.Sprintf("y%d", depth)
	var bad []string
	switch t.Kind {
	case txlog.KindStruct:
		for _, f := range t.Fields {
			inner := "struct_extract(" + sql + ", " + table.QuoteString(f.Name) + ")"
			if !f.Nullable {
				bad = append(bad, inner+" IS NULL")
			}
			if deeper := nullsIn(inner, f.Type, depth); deeper != "" {
				bad = append(bad, deeper)
			}
		}
	case txlog.KindArray:
		bad = anyIn(sql, x, t.ContainsNull, nullsIn(x, t.Element, depth+1))
	case txlog.KindMap:
		bad = append(anyIn("map_keys("+sql+")", x, true, nullsIn(x, t.Key, depth+1)),
			anyIn("map_values("+sql+")", x, t.ValueContainsNull, nullsIn(x, t.Value, depth+1))...)
	}
	if len(bad) == 0 {
		return ""
	}
	return "(" + sql + " IS NOT NULL AND (" + strings.Join(bad, " OR ") + "))"
}

// anyIn is the condition that some element of a list is bad.
func anyIn(list, x string, nullable bool, bad string) []string {
	var either []string
	if !nullable {
		either = append(either, x+" IS NULL")
	}
	if bad != "" {
		either = append(either, bad)
	}
	if len(either) == 0 {
		return nil
	}
	return []string{"len(list_filter(" + list + ", lambda " + x + ": " + strings.Join(either, " OR ") + ")) > 0"}
}

// partitions writes the partition columns as text, from which partitionText makes the text of the protocol.
func (c *copier) partitions(names []string) error {
	for _, name := range c.write.PartitionBy {
		f, err := c.write.Schema.Lookup(name)
		if err != nil {
			return fmt.Errorf("partition column %s: %w", name, err)
		}
		i, err := c.find(names, *f, make([]bool, len(names)))
		if err != nil {
			return err
		}
		sql, err := typeSQL(f.Type)
		if err != nil || f.Type.Nested() {
			return fmt.Errorf("partition column %s: %w: %s", name, txlog.ErrUnsupportedType, f.Type)
		}
		value := "CAST(c" + strconv.Itoa(i) + " AS " + sql + ")"
		switch f.Type.Kind {
		case txlog.KindString:
			value = "NULLIF(" + value + ", '')" // the protocol cannot tell them apart
		case txlog.KindBinary:
			value = "NULLIF(hex(" + value + "), '')"
		case txlog.KindDate:
			value = "CAST(" + value + " - DATE '1970-01-01' AS VARCHAR)"
		case txlog.KindTimestamp, txlog.KindTimestampNTZ:
			value = "CAST(epoch_us(" + value + ") AS VARCHAR)"
		default:
			value = "CAST(" + value + " AS VARCHAR)"
		}
		c.parts = append(c.parts, value)
	}
	return nil
}

func (c *copier) partitioned(name string) bool {
	return slices.ContainsFunc(c.write.PartitionBy, func(p string) bool { return strings.EqualFold(p, name) })
}

// longValue is the length from which a partition value may not fit into the name of a folder of COPY, which writes
// most characters with three; longMark begins what stands there instead.
const (
	longValue = 60
	longMark  = "lakectl-md5-"
	valueMark = "v"
)

// partitionItems is the SELECT list of the partition columns.
func (c *copier) partitionItems() []string {
	items := make([]string, len(c.parts))
	for i, value := range c.parts {
		if c.long != nil {
			value = fmt.Sprintf("CASE WHEN strlen(%[1]s) > %[2]d THEN %[3]s || md5(%[1]s) ELSE %[1]s END",
				value, longValue, table.QuoteString(longMark))
		}
		// Something before each value: in names of folders NULL and the text that stands for it are one.
		items[i] = "'" + valueMark + "' || " + value + " AS " + partitionPrefix + strconv.Itoa(i)
	}
	return items
}

// findLong lists the partition values that are too long for the name of a folder, by what stands for them there. It
// costs a run of the statement, so that it is called only when COPY has failed over such a name.
func (c *copier) findLong(ctx context.Context) error {
	c.long = map[string]string{}
	for _, value := range c.parts {
		rows, err := c.bound.session.all(ctx, fmt.Sprintf("SELECT DISTINCT v FROM (SELECT %s AS v FROM %s) WHERE strlen(v) > %d",
			value, c.from, longValue))
		if err != nil {
			return c.failure(err)
		}
		for _, r := range rows {
			text, _ := r[0].(string)
			sum := md5.Sum([]byte(text)) //nolint:gosec // a short name, not a secret
			c.long[longMark+hex.EncodeToString(sum[:])] = text
		}
	}
	return nil
}

func (c *copier) partitionNames() []string {
	names := make([]string, len(c.parts))
	for i := range names {
		names[i] = partitionPrefix + strconv.Itoa(i)
	}
	return names
}

// codecs are the names that delta.parquet.compression.codec has for writing, and DuckDB's.
func codecs() map[string]string {
	return map[string]string{
		"": "zstd", "zstd": "zstd", "snappy": "snappy", "gzip": "gzip", "lz4_raw": "lz4_raw",
		"none": "uncompressed", "uncompressed": "uncompressed",
	}
}

// format is the options of COPY that all files share.
func (c *copier) format() string {
	sql := "FORMAT parquet, RETURN_STATS, COMPRESSION " + table.QuoteString(codecs()[strings.ToLower(c.write.Codec)])
	if c.write.Mapping == txlog.MappingNone {
		return sql
	}
	if ids := c.fieldIDs(c.write.Schema.Fields, true); ids != "" {
		sql += ", FIELD_IDS {" + ids + "}"
	}
	return sql
}

// fieldIDs lists the ids of columns and of what is inside of them, by their names in files.
func (c *copier) fieldIDs(fields []txlog.Field, top bool) string {
	var entries []string
	for _, f := range fields {
		id, ok := f.FieldID()
		if !ok || f.Type.Kind == txlog.KindVoid || (top && c.partitioned(f.Name) && !c.write.KeepPartitionColumns) {
			continue
		}
		name := f.PhysicalName(c.write.Mapping)
		entries = append(entries, idEntry(table.QuoteIdent(name), id, c.innerIDs(f.Type, name, f.NestedIDs())))
	}
	return strings.Join(entries, ", ")
}

// idEntry is one entry of FIELD_IDS; id 0 is none.
func idEntry(name string, id int, inner string) string {
	switch {
	case inner == "":
		return name + ": " + strconv.Itoa(id)
	case id == 0:
		return name + ": {" + inner + "}"
	}
	return name + ": {__duckdb_field_id: " + strconv.Itoa(id) + ", " + inner + "}"
}

// innerIDs lists the ids below a type. path leads to it from the field around it, whose nested ids those are.
func (c *copier) innerIDs(t *txlog.DataType, path string, nested map[string]int) string {
	var entries []string
	below := func(name string, t *txlog.DataType) {
		path := path + "." + name
		inner := c.innerIDs(t, path, nested)
		if id, has := nested[path]; has || inner != "" {
			entries = append(entries, idEntry(name, id, inner))
		}
	}
	switch t.Kind {
	case txlog.KindStruct:
		return c.fieldIDs(t.Fields, false)
	case txlog.KindArray:
		below("element", t.Element)
	case txlog.KindMap:
		below("key", t.Key)
		below("value", t.Value)
	default:
	}
	return strings.Join(entries, ", ")
}

// failure gives an error of COPY its meaning for the caller.
func (c *copier) failure(err error) error {
	var e *table.SQLError
	if !errors.As(err, &e) {
		return err
	}
	if _, column, ok := strings.Cut(e.Message, notNullMark); ok {
		return &table.ConstraintError{Kind: "not null", Column: column}
	}
	return &table.SQLError{SQL: c.bound.source, Message: e.Message, Offset: -1, Data: e.Data}
}
