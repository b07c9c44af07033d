package main

import (
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/table/statement"
	"github.com/lakectl/lakectl/txlog"
)

// A word of the command line, or of SQL, that stands for data: see wordKind.
type word struct {
	text    string // as written, without what travels in time
	kind    wordKind
	version *txlog.Version // @v12
	time    *time.Time     // @2026-01-31T00:00:00Z
}

type wordKind uint8

const (
	wordName  wordKind = iota // a table of lake.yml
	wordPath                  // a path or URL: a table where it has a _delta_log, otherwise files
	wordQuery                 // a SELECT
)

// parseWord tells what a word stands for. Text that starts with SELECT, WITH, FROM or ( is a query; text with /, ://,
// the signs of a pattern or a known suffix is a path or URL; anything else is a name in lake.yml.
func parseWord(s string) (word, error) {
	text := strings.TrimSpace(s)
	if isQuery(text) {
		return word{text: text, kind: wordQuery}, nil
	}
	text, version, at, err := splitTravel(text)
	if err != nil {
		return word{}, err
	}
	if rest, s3 := strings.CutPrefix(text, "s3:"); s3 && strings.Trim(rest, "/") == "" {
		return word{}, usageHint(fmt.Sprintf("%q names no bucket", text), "s3://BUCKET/PATH")
	}
	if text != "" && strings.Trim(text, "/") == "" {
		return word{}, usageHint(text+" is the whole machine", "name the folder or the file below it")
	}
	w := word{text: text, version: version, time: at}
	if strings.ContainsAny(text, `/\*?[`) || text == "." || text == ".." || fileFormat(text) != "" {
		w.kind = wordPath
		return w, nil
	}
	if !tableName(text) {
		return word{}, usagef("%q is neither a table name (layer.name), nor a path (./%s), nor a URL", text, text)
	}
	return w, nil
}

func isQuery(s string) bool {
	if strings.HasPrefix(s, "(") {
		return true
	}
	end := strings.IndexFunc(s, func(r rune) bool {
		return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '(' || r == '*' || r == '\'' || r == '"'
	})
	if end < 0 {
		return false
	}
	switch strings.ToUpper(s[:end]) {
	case "SELECT", "WITH", "FROM", "VALUES":
		return true
	}
	return false
}

func tableName(s string) bool {
	return regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)?$`).MatchString(s)
}

// splitTravel cuts @v12 or @2026-01-31T00:00:00Z off the end. An @ before anything else belongs to the name.
func splitTravel(s string) (string, *txlog.Version, *time.Time, error) {
	at := strings.LastIndexByte(s, '@')
	if at < 0 {
		return s, nil, nil, nil
	}
	base, tail := s[:at], s[at+1:]
	if digits, ok := strings.CutPrefix(tail, "v"); ok && digits != "" && strings.Trim(digits, "0123456789") == "" {
		v, err := strconv.ParseInt(digits, 10, 64)
		if err != nil {
			return "", nil, nil, usagef("%q: version %s is out of range", s, digits)
		}
		version := txlog.Version(v)
		return base, &version, nil, nil
	}
	if !regexp.MustCompile(`^\d{4}-\d{2}-\d{2}`).MatchString(tail) {
		return s, nil, nil, nil
	}
	t, err := parseTime(tail)
	if err != nil {
		return "", nil, nil, err
	}
	return base, nil, &t, nil
}

// parseTime reads an instant: RFC 3339, or a date or a date and time, then in UTC.
func parseTime(s string) (time.Time, error) {
	t, err := statement.ParseTime(s)
	if err != nil {
		return t, usagef("%v", err)
	}
	return t, nil
}

// fileFormat tells the format of a data file by its name: csv, json, ndjson, parquet, or "" when the suffix says
// nothing. A compression suffix is looked through.
func fileFormat(name string) string {
	name = strings.ToLower(name)
	for _, packed := range []string{".gz", ".zst"} {
		if inner, ok := strings.CutSuffix(name, packed); ok {
			if f := fileFormat(inner); f != "" {
				return f
			}
			return "csv"
		}
	}
	switch path.Ext(filepath.ToSlash(name)) {
	case ".csv", ".tsv":
		return "csv"
	case ".json":
		return "json"
	case ".ndjson", ".jsonl":
		return "ndjson"
	case ".parquet":
		return "parquet"
	}
	return ""
}
