package duckdb

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/table"
)

// externalSQL is the SELECT over files that belong to no table.
func externalSQL(rel table.Relation, paths []string) (string, error) {
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
	function := map[string]string{"csv": "read_csv", "json": "read_json", "ndjson": "read_json", "parquet": "read_parquet"}[x.Format]
	var selects []string
	for packing, files := range byPacking(rel, paths, x.Format) {
		sql := "SELECT * FROM " + function + "(" + fileList(files) + ", hive_partitioning = false" + options
		if packing != "" {
			sql += ", compression = " + table.QuoteString(packing)
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

// byPacking splits text files by how they are compressed, which their names say. In the cache names are lost, so
// that DuckDB cannot tell.
func byPacking(rel table.Relation, paths []string, format string) map[string][]string {
	split := map[string][]string{}
	for i, p := range paths {
		packing := ""
		if format != "parquet" {
			key := strings.ToLower(rel.Files[i].Key)
			switch {
			case strings.HasSuffix(key, ".gz"):
				packing = "gzip"
			case strings.HasSuffix(key, ".zst"):
				packing = "zstd"
			default:
				packing = "uncompressed"
			}
		}
		split[packing] = append(split[packing], p)
	}
	return split
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
