package duckdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// group is the part of a relation that one read_parquet covers. Files of one group share how deleted rows are taken
// out and how timestamps are stored; everything else that differs between files comes from a small table.
type group struct {
	files []int // indexes into Relation.Files
	rows  rowFilter
	traits
	stored []txlog.Field // partition columns that these files hold themselves

	prefix string // of the names of its columns, unique in the session
	lookup string // quoted table of what differs between the files; "" when nothing does
	gone   string // quoted table of the rows of rowFilter
	wanted []bool // by number of column: those that may be read; nil: all
}

// column is the name of a column of read_parquet. Its number is the index in reader.fields, and goes on in stored.
func (g *group) column(number int) string { return g.prefix + strconv.Itoa(number) }

// reads tells whether a column may be read.
func (g *group) reads(number int) bool { return g.wanted == nil || g.wanted[number] }

// traits are what the footer of a file tells about how it is read.
type traits struct {
	legacy    bool   // timestamps without a zone mark (INT96), which mean UTC
	converted []bool // by column of reader.fields: values get another type while they are read, see opaque
}

func (t traits) equal(o traits) bool {
	return t.legacy == o.legacy && slices.Equal(t.converted, o.converted)
}

// rowFilter says which rows of a file count.
type rowFilter uint8

const (
	allRows rowFilter = iota
	someRowsDeleted
	someRowsKept
)

// reader builds the SQL of one relation.
type reader struct {
	session  *session
	relation table.Relation
	paths    []string // of Relation.Files, on this machine
	name     string   // unique in the session: prefix of helper tables
	parts    []partitionColumn
	fields   []txlog.Field // read from files, in this order
	hidden   []txlog.Field // columns of row tracking; after all others, and their constants end parts
	split    []group
}

// partitionColumn holds the constants of one partition column as SQL, by index into Relation.Files.
type partitionColumn struct {
	name   string
	sql    string // its type
	values []string
}

// helperSchema holds the tables that we make beside the views of a call.
const helperSchema = "_lakectl"

// relationSQL is the SELECT that stands for a relation. paths are the places of its files on this machine. The reader
// can write it again with fewer columns; it is nil for files outside tables.
func (s *session) relationSQL(ctx context.Context, name string, rel table.Relation, paths []string) (string, *reader, error) {
	if rel.External != nil {
		sql, err := s.externalSQL(ctx, rel, paths)
		return sql, nil, err
	}
	if rel.Schema == nil {
		return "", nil, fmt.Errorf("relation %s: no schema", name)
	}
	r := &reader{session: s, relation: rel, paths: paths, name: name}
	if err := r.columns(); err != nil {
		return "", nil, fmt.Errorf("relation %s: %w", name, err)
	}
	err := r.prepare(ctx)
	if errors.Is(err, table.ErrDataFile) || errors.Is(err, txlog.ErrFileGone) {
		return "", nil, err // it names the file
	}
	if err != nil {
		return "", nil, fmt.Errorf("relation %s: %w", name, err)
	}
	sql, err := r.sql()
	if err != nil {
		return "", nil, fmt.Errorf("relation %s: %w", name, err)
	}
	return sql, r, nil
}

// prepare looks at the files and makes the helper tables of each group.
func (r *reader) prepare(ctx context.Context) (err error) {
	if r.split, err = r.groups(ctx); err != nil {
		return err
	}
	for i := range r.split {
		g := &r.split[i]
		r.session.groupsMade++
		g.prefix = fmt.Sprintf("t%dc", r.session.groupsMade)
		if g.lookup, err = r.lookupTable(ctx, i, *g); err != nil {
			return err
		}
		if g.rows != allRows {
			if g.gone, err = r.rowTable(ctx, i, *g); err != nil {
				return err
			}
		}
	}
	return nil
}

// sql is the SELECT over all groups.
func (r *reader) sql() (string, error) {
	if len(r.split) == 0 {
		return r.nothing()
	}
	selects := make([]string, len(r.split))
	for i, g := range r.split {
		var err error
		if selects[i], err = r.read(g); err != nil {
			return "", err
		}
	}
	return strings.Join(selects, "\nUNION ALL\n"), nil
}

// columns splits the schema into columns read from files and constants of each file.
func (r *reader) columns() error {
	constant := map[string]bool{}
	for _, name := range r.relation.PartitionColumns {
		f, err := r.relation.Schema.Lookup(name)
		if err != nil {
			return fmt.Errorf("partition column %s: %w", name, err)
		}
		constant[f.Name] = true
		p, err := r.constants(f, name)
		if err != nil {
			return err
		}
		r.parts = append(r.parts, p)
	}
	if ids := r.relation.RowIDs; ids != nil {
		long := &txlog.DataType{Kind: txlog.KindLong, Name: "long"}
		r.hidden = []txlog.Field{{Name: ids.StoredID, Type: long}, {Name: ids.StoredVersion, Type: long}}
		r.parts = append(r.parts, r.numbers(func(f table.RelationFile) *int64 { return f.FirstRowID }),
			r.numbers(func(f table.RelationFile) *int64 { return f.RowVersion }))
	}
	for _, f := range r.relation.Schema.Fields {
		if !constant[f.Name] && f.Type.Kind != txlog.KindVoid && unreadable(f.Type) == nil {
			r.fields = append(r.fields, f)
		}
	}
	return nil
}

// numbers makes a nameless constant of each file.
func (r *reader) numbers(of func(table.RelationFile) *int64) partitionColumn {
	p := partitionColumn{sql: "BIGINT", values: make([]string, len(r.relation.Files))}
	for i, f := range r.relation.Files {
		p.values[i] = "NULL"
		if n := of(f); n != nil {
			p.values[i] = strconv.FormatInt(*n, 10)
		}
	}
	return p
}

func (r *reader) constants(f *txlog.Field, name string) (partitionColumn, error) {
	p := partitionColumn{name: f.Name, values: make([]string, len(r.relation.Files))}
	var err error
	if p.sql, err = typeSQL(f.Type); err != nil {
		return p, fmt.Errorf("partition column %s: %w", name, err)
	}
	known := map[string]string{}
	for i, file := range r.relation.Files {
		text := file.Partition[name]
		if text == "" && name != f.Name {
			text = file.Partition[f.Name]
		}
		sql, ok := known[text]
		if !ok {
			if sql, err = partitionSQL(f.Type, text); err != nil {
				return p, fmt.Errorf("partition column %s of %s: %w", name, objectName(file.Store, file.Key), err)
			}
			known[text] = sql
		}
		p.values[i] = sql
	}
	return p, nil
}

// partitionSQL writes the text of a partition value as a constant.
func partitionSQL(t *txlog.DataType, text string) (string, error) {
	if text == "" {
		return "NULL", nil
	}
	v, err := txlog.ParsePartition(t, text)
	if err != nil {
		return "", err
	}
	return literalSQL(t, v)
}

// groups splits the files. The common case is one group.
func (r *reader) groups(ctx context.Context) ([]group, error) {
	known, err := r.inspect(ctx)
	if err != nil {
		return nil, err
	}
	var groups []group
	for i, f := range r.relation.Files {
		g := group{rows: allRows, traits: known[r.paths[i]]}
		for _, name := range f.Stored {
			column, err := r.relation.Schema.Lookup(name)
			if err != nil {
				return nil, fmt.Errorf("column %s: %w", name, err)
			}
			g.stored = append(g.stored, *column)
		}
		g.stored = append(g.stored, r.hidden...)
		if f.Only != nil {
			g.rows = someRowsKept
		} else if f.Deleted != nil && !f.Deleted.IsEmpty() {
			g.rows = someRowsDeleted
		}
		at := slices.IndexFunc(groups, func(o group) bool {
			return o.rows == g.rows && o.equal(g.traits) &&
				slices.EqualFunc(o.stored, g.stored, func(a, b txlog.Field) bool { return a.Name == b.Name })
		})
		if at < 0 {
			at = len(groups)
			groups = append(groups, g)
		}
		groups[at].files = append(groups[at].files, i)
	}
	return groups, nil
}

// inspect reads the footers. Besides damage they tell three things: INT96 timestamps are UTC, yet DuckDB would read
// them in the zone of the session; with column mapping by id, a file without ids would read as NULLs; and columns
// whose values get another type have to be kept from DuckDB's own filters.
func (r *reader) inspect(ctx context.Context) (map[string]traits, error) {
	footers, err := r.session.footers(ctx, r.paths)
	if err != nil {
		return nil, err
	}
	known := map[string]traits{}
	zoned := r.session.zone != "UTC" && r.relation.Schema.Uses(txlog.KindTimestamp)
	for i, f := range footers {
		path := r.paths[i]
		if err := r.fits(path, f); err != nil {
			return nil, err
		}
		if r.relation.Mapping == txlog.MappingID && len(r.fields) > 0 && !f.FieldIDs {
			return nil, fmt.Errorf("%s has no field ids, which column mapping by id needs", r.session.names[path])
		}
		legacy := zoned && slices.ContainsFunc(f.Leaves, func(l parquetio.Leaf) bool { return l.Physical == parquetio.PhysicalInt96 })
		known[path] = traits{legacy, r.converted(f)}
	}
	return known, nil
}

// read is the SELECT over one group.
func (r *reader) read(g group) (string, error) {
	source, err := r.source(g)
	if err != nil {
		return "", err
	}
	sql := "SELECT " + strings.Join(r.items(g), ", ") + "\nFROM " + source + " r"
	if g.lookup != "" {
		sql += "\nJOIN " + g.lookup + " f ON f.i = r.file_index"
	}
	switch g.rows {
	case someRowsDeleted:
		sql += "\nANTI JOIN " + g.gone + " d ON d.i = r.file_index AND d.r = r.file_row_number"
	case someRowsKept:
		sql += "\nSEMI JOIN " + g.gone + " d ON d.i = r.file_index AND d.r = r.file_row_number"
	case allRows:
	}
	return sql, nil
}

// source is what the columns of a group are read from: a call of read_parquet, and errors under the names of columns that
// may not be read. They come only where a column is used, and a plan that uses one names it.
func (r *reader) source(g group) (string, error) {
	read, stored, err := r.entries(g)
	if err != nil {
		return "", err
	}
	var lacking []string
	for i, f := range slices.Concat(r.fields, g.stored) {
		if g.reads(i) {
			continue
		}
		sql, err := r.typeOf(g, f)
		if err != nil {
			return "", err
		}
		message := fmt.Sprintf("column %s was not fetched", f.Name)
		lacking = append(lacking, "CAST(error("+table.QuoteString(message)+") AS "+sql+") AS "+g.column(i))
	}
	if r.relation.Mapping == txlog.MappingID && len(stored) > 0 {
		// One call finds columns by id or by name, never both: the columns without an id come from a second one.
		columns := []string{"a.*"}
		for i := range g.stored {
			if g.reads(len(r.fields) + i) {
				columns = append(columns, "b."+g.column(len(r.fields)+i))
			}
		}
		columns = append(append(columns, "a.file_index, a.file_row_number"), lacking...)
		return "(SELECT " + strings.Join(columns, ", ") + " FROM " + r.parquet(g, read) + " a JOIN " + r.parquet(g, stored) +
			" b ON a.file_index = b.file_index AND a.file_row_number = b.file_row_number)", nil
	}
	source := r.parquet(g, slices.Concat(read, stored))
	if len(lacking) > 0 {
		source = "(SELECT *, file_index, file_row_number, " + strings.Join(lacking, ", ") + " FROM " + source + ")"
	}
	return source, nil
}

// entries say where read_parquet finds the columns of a group, those of the schema and those beside it.
func (r *reader) entries(g group) (read, stored []string, err error) {
	for i, f := range slices.Concat(r.fields, g.stored) {
		key, name := table.QuoteString(f.Name), g.column(i)
		if i < len(r.fields) {
			if key, err = r.key(f); err != nil {
				return nil, nil, err
			}
		}
		if !g.reads(i) {
			if i > 0 {
				continue
			}
			name = g.prefix + "_" // one stays: without any, the columns would be those of the first file
		}
		sql, err := r.typeOf(g, f)
		if err != nil {
			return nil, nil, err
		}
		entry := fmt.Sprintf("%s: {name: '%s', type: %s, default_value: NULL}", key, name, table.QuoteString(sql))
		if i < len(r.fields) {
			read = append(read, entry)
		} else {
			stored = append(stored, entry)
		}
	}
	return read, stored, nil
}

// key is how a column of the schema is found in files.
func (r *reader) key(f txlog.Field) (string, error) {
	if r.relation.Mapping != txlog.MappingID {
		return table.QuoteString(f.PhysicalName(r.relation.Mapping)), nil
	}
	id, ok := f.FieldID()
	if !ok {
		return "", fmt.Errorf("column %s has no id in the schema, which column mapping by id needs", f.Name)
	}
	return strconv.Itoa(id), nil
}

// typeOf is the type of a column as it comes out of read_parquet.
func (r *reader) typeOf(g group, f txlog.Field) (string, error) {
	sql, err := table.TypeText{Mapping: r.relation.Mapping, Plain: g.legacy, Packed: true, Void: true}.SQL(f.Type)
	if err != nil {
		return "", fmt.Errorf("column %s: %w", f.Name, err)
	}
	return sql, nil
}

// parquet calls read_parquet over the files of a group, with these entries of its schema.
func (r *reader) parquet(g group, entries []string) string {
	paths := make([]string, len(g.files))
	for i, f := range g.files {
		paths[i] = r.paths[f]
	}
	schema := ""
	if len(entries) > 0 {
		schema = ", schema = MAP {" + strings.Join(entries, ", ") + "}"
	}
	return "read_parquet(" + r.session.fileList(paths) + ", hive_partitioning = false" + schema + ")"
}

// items are the output columns, in the order of the schema.
func (r *reader) items(g group) []string {
	var items, kept []string
	read := 0
	for _, f := range r.relation.Schema.Fields {
		var sql string
		part := slices.IndexFunc(r.parts, func(p partitionColumn) bool { return p.name == f.Name })
		stored := slices.IndexFunc(g.stored, func(s txlog.Field) bool { return s.Name == f.Name })
		switch bad := unreadable(f.Type); {
		case stored >= 0:
			sql = "r." + g.column(len(r.fields)+stored)
		case part >= 0:
			sql = r.constantItem(g, part)
		case f.Type.Kind == txlog.KindVoid:
			sql = "CAST(NULL AS INTEGER)"
		case bad != nil:
			// An error only where the column is used.
			sql = "CAST(error(" + table.QuoteString(fmt.Sprintf("column %s: %v", f.Name, bad)) + ") AS VARCHAR)"
		default:
			shape := rename{from: r.relation.Mapping, legacy: g.legacy, unpack: !r.relation.PackedVariants}
			sql = "r." + g.column(read)
			if g.converted != nil && g.converted[read] {
				sql = opaque(sql)
			}
			if r.keeps(f) {
				packed := rename{from: r.relation.Mapping, legacy: g.legacy}
				kept = append(kept, packed.apply(sql, f.Type, 0)+" AS "+table.QuoteIdent(table.KeptColumn(f.Name)))
			}
			sql = shape.apply(sql, f.Type, 0)
			read++
		}
		items = append(items, sql+" AS "+table.QuoteIdent(f.Name))
	}
	if r.relation.Position {
		file := "CAST(r.file_index AS INTEGER)"
		if g.lookup != "" {
			file = "f.g"
		}
		items = append(items, file+" AS "+table.FileColumn, "r.file_row_number AS "+table.RowColumn)
	}
	if ids := r.relation.RowIDs; ids != nil {
		column, constant := len(r.fields)+len(g.stored)-2, len(r.parts)-2
		items = append(items, fmt.Sprintf("COALESCE(r.%s, %s + r.file_row_number) AS %s", g.column(column), r.constantItem(g, constant), table.QuoteIdent(ids.ID)),
			fmt.Sprintf("COALESCE(r.%s, %s) AS %s", g.column(column+1), r.constantItem(g, constant+1), table.QuoteIdent(ids.Version)))
	}
	return append(items, kept...)
}

// keeps tells whether there is another column with the values of f as files hold them.
func (r *reader) keeps(f txlog.Field) bool {
	return r.relation.KeepVariants && f.Type.Uses(txlog.KindVariant) && unreadable(f.Type) == nil
}

func (r *reader) constantItem(g group, part int) string {
	p := r.parts[part]
	if r.uniform(g, p) {
		return "CAST(" + p.values[g.files[0]] + " AS " + p.sql + ")"
	}
	return "f.p" + strconv.Itoa(part)
}

func (r *reader) uniform(g group, p partitionColumn) bool {
	first := p.values[g.files[0]]
	return !slices.ContainsFunc(g.files, func(f int) bool { return p.values[f] != first })
}

// lookupTable makes the table of what differs between the files of a group: i, the place of the file in the group;
// g, its place in the relation; p0, p1, …, its partition values. "" when nothing differs, so that the common case is
// a bare read_parquet.
func (r *reader) lookupTable(ctx context.Context, number int, g group) (string, error) {
	needed := r.relation.Position && len(g.files) != len(r.relation.Files)
	columns, varying := "i, g", []int(nil)
	for i, p := range r.parts {
		if !r.uniform(g, p) {
			varying = append(varying, i)
			columns += ", p" + strconv.Itoa(i)
		}
	}
	if !needed && len(varying) == 0 {
		return "", nil
	}
	name := helperSchema + "." + table.QuoteIdent(fmt.Sprintf("%s files %d", r.name, number))
	definition := "i UBIGINT, g INTEGER"
	for _, v := range varying {
		definition += ", p" + strconv.Itoa(v) + " " + r.parts[v].sql
	}
	if err := r.session.helpers(ctx); err != nil {
		return "", err
	}
	if err := r.session.exec(ctx, "CREATE TABLE "+name+" ("+definition+")"); err != nil {
		return "", err
	}
	const batch = 1000
	for at := 0; at < len(g.files); at += batch {
		var rows []string
		for i, f := range g.files[at:min(at+batch, len(g.files))] {
			row := strconv.Itoa(at+i) + ", " + strconv.Itoa(f)
			for _, v := range varying {
				row += ", " + r.parts[v].values[f]
			}
			rows = append(rows, "("+row+")")
		}
		if err := r.session.exec(ctx, "INSERT INTO "+name+" ("+columns+") VALUES "+strings.Join(rows, ", ")); err != nil {
			return "", err
		}
	}
	return name, nil
}

// rowTable makes the table of the rows that count, or of those that do not: i, the place of the file in the group;
// r, the row.
func (r *reader) rowTable(ctx context.Context, number int, g group) (string, error) {
	name := fmt.Sprintf("%s rows %d", r.name, number)
	maps := make([]*roaring64.Bitmap, len(g.files))
	for i, f := range g.files {
		file := r.relation.Files[f]
		switch {
		case g.rows == someRowsDeleted:
			maps[i] = file.Deleted
		case file.Deleted != nil:
			maps[i] = roaring64.AndNot(file.Only, file.Deleted)
		default:
			maps[i] = file.Only
		}
	}
	return r.session.loadRows(ctx, name, maps)
}

// nothing is the SELECT of a relation without files.
func (r *reader) nothing() (string, error) {
	var items []string
	for _, f := range r.relation.Schema.Fields {
		sql, err := table.TypeText{Packed: r.relation.PackedVariants, Void: true}.SQL(f.Type)
		if err != nil {
			sql = "VARCHAR"
		}
		items = append(items, "CAST(NULL AS "+sql+") AS "+table.QuoteIdent(f.Name))
	}
	if r.relation.Position {
		items = append(items, "CAST(NULL AS INTEGER) AS "+table.FileColumn, "CAST(NULL AS BIGINT) AS "+table.RowColumn)
	}
	if ids := r.relation.RowIDs; ids != nil {
		items = append(items, "CAST(NULL AS BIGINT) AS "+table.QuoteIdent(ids.ID), "CAST(NULL AS BIGINT) AS "+table.QuoteIdent(ids.Version))
	}
	for _, f := range r.relation.Schema.Fields {
		if sql, err := (table.TypeText{Packed: true, Void: true}).SQL(f.Type); err == nil && r.keeps(f) {
			items = append(items, "CAST(NULL AS "+sql+") AS "+table.QuoteIdent(table.KeptColumn(f.Name)))
		}
	}
	if len(items) == 0 {
		return "", fmt.Errorf("relation %s: no columns", r.name)
	}
	return "SELECT " + strings.Join(items, ", ") + " WHERE false", nil
}

// unreadable says why values of a type cannot be read; nil when they can.
func unreadable(t *txlog.DataType) error {
	_, err := typeSQL(t)
	return err
}
