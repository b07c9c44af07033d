package duckdb

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/table"
)

// externalSQL is the SELECT over files that belong to no table.
func (s *session) externalSQL(ctx context.Context, rel table.Relation, paths []string) (string, error) {
	x := rel.External
	if rel.Position && x.Format != "parquet" {
		return "", fmt.Errorf("%s files have no row numbers", x.Format)
	}
	if len(paths) == 0 {
		return "", fmt.Errorf("no %s files", x.Format)
	}
	options, err := externalOptions(x)
	if err != nil {
		return "", err
	}
	if x.Format != "parquet" {
		if err := s.whole(ctx, rel, paths); err != nil {
			return "", err
		}
	}
	groups, err := s.groups(rel, paths)
	if err != nil {
		return "", err
	}
	if x.Format == "parquet" {
		footers, err := s.footers(ctx, paths)
		if err != nil {
			return "", err
		}
		if err := s.checkVariants(ctx, paths, footers); err != nil {
			return "", err
		}
	}
	function := map[string]string{"csv": "read_csv", "json": "read_json", "ndjson": "read_json", "parquet": "read_parquet"}[x.Format]
	var selects []string
	for g, files := range groups {
		sql := "SELECT * FROM " + function + "(" + s.fileList(files) + ", hive_partitioning = false" + options
		if g.packing != "" {
			sql += ", compression = " + table.QuoteString(g.packing)
		}
		if g.delimiter != "" {
			sql += ", delim = " + table.QuoteString(g.delimiter)
		}
		selects = append(selects, sql+")")
	}
	slices.Sort(selects)
	sql := strings.Join(selects, "\nUNION ALL BY NAME\n")
	if rel.Position {
		sql = strings.Replace(sql, "SELECT *", "SELECT *, CAST(file_index AS INTEGER) AS "+table.FileColumn+
			", file_row_number AS "+table.RowColumn, 1)
	}
	if rel.Schema == nil {
		return sql, nil
	}
	var items []string
	for _, f := range rel.Schema.Fields {
		t, err := typeSQL(f.Type)
		if err != nil {
			return "", fmt.Errorf("column %s: %w", f.Name, err)
		}
		items = append(items, "CAST("+table.QuoteIdent(f.Name)+" AS "+t+") AS "+table.QuoteIdent(f.Name))
	}
	if rel.Position {
		items = append(items, table.FileColumn, table.RowColumn)
	}
	return "SELECT " + strings.Join(items, ", ") + " FROM (" + sql + ")", nil
}

// textGroup is what files of one call of a reader have in common.
type textGroup struct{ packing, delimiter string }

// groups splits text files by how they are compressed, and CSV files by what divides their fields.
func (s *session) groups(rel table.Relation, paths []string) (map[textGroup][]string, error) {
	split := map[textGroup][]string{}
	for i, p := range paths {
		var g textGroup
		if rel.External.Format != "parquet" {
			g.packing = packing(rel.Files[i].Key)
		}
		if _, given := rel.External.Options["delimiter"]; rel.External.Format == "csv" && !given {
			var err error
			if g.delimiter, err = delimiter(p, g.packing, quoteOf(rel.External)); err != nil {
				return nil, fmt.Errorf("read the first line of %s: %w", s.names[p], err)
			}
		}
		_, quoted := rel.External.Options["quote"]
		_, escaped := rel.External.Options["escape"]
		s.source(p, sourceFile{name: s.names[p], packing: g.packing, delimiter: g.delimiter, plain: g.delimiter != "" && !quoted && !escaped})
		split[g] = append(split[g], p)
	}
	return split, nil
}

// quoteOf is what stands around a quoted field; "" when there are none.
func quoteOf(x *table.External) string {
	if q, given := x.Options["quote"]; given {
		return q
	}
	return `"`
}

// externalOptions writes the options of the reader. Unknown formats and options are errors.
func externalOptions(x *table.External) (string, error) {
	known := map[string]func(string) (string, error){}
	sql := ""
	switch x.Format {
	case "csv":
		known = csvOptions()
		if x.AllText {
			sql = ", all_varchar = true"
		}
		sql += csvForm(x)
	case "json":
		sql = ", format = 'auto'"
	case "ndjson":
		sql = ", format = 'newline_delimited'"
	case "parquet":
		sql = ", union_by_name = true"
	default:
		return "", fmt.Errorf("unknown format %q: csv, json, ndjson and parquet are known", x.Format)
	}
	if x.AllText && x.Format != "csv" {
		return "", fmt.Errorf("all columns as text: not for %s files", x.Format)
	}
	for _, key := range slices.Sorted(maps.Keys(x.Options)) {
		write, ok := known[key]
		if !ok {
			return "", fmt.Errorf("unknown option %q of %s files", key, x.Format)
		}
		option, err := write(x.Options[key])
		if err != nil {
			return "", fmt.Errorf("option %s: %w", key, err)
		}
		sql += ", " + option
	}
	return sql, nil
}

// csvForm fixes what DuckDB would otherwise search for, and find without quotes, without the first lines or with
// comments in it when a broken file fits better then.
func csvForm(x *table.External) string {
	form := ", skip = 0, comment = ''"
	if _, given := x.Options["quote"]; !given {
		form += ", quote = '\"'"
	}
	if _, given := x.Options["escape"]; !given {
		form += ", escape = " + table.QuoteString(quoteOf(x))
	}
	return form
}

func csvOptions() map[string]func(string) (string, error) {
	text := func(name string) func(string) (string, error) {
		return func(v string) (string, error) { return name + " = " + table.QuoteString(v), nil }
	}
	return map[string]func(string) (string, error){
		"header": func(v string) (string, error) {
			b, err := strconv.ParseBool(v)
			return "header = " + strconv.FormatBool(b), err
		},
		"delimiter":        text("delim"),
		"quote":            text("quote"),
		"escape":           text("escape"),
		"date_format":      text("dateformat"),
		"timestamp_format": text("timestampformat"),
		"null_strings": func(v string) (string, error) {
			list := strings.Split(v, ",")
			if strings.HasPrefix(strings.TrimSpace(v), "[") {
				list = nil
				if err := json.Unmarshal([]byte(v), &list); err != nil {
					return "", fmt.Errorf("not a list of strings: %w", err)
				}
			}
			return "nullstr = " + textList(list), nil
		},
	}
}
