package duckdb

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/table"
)

// sourceFile is a file outside tables that a session reads.
type sourceFile struct {
	name      string // for people
	packing   string
	delimiter string // of CSV; "" when the caller gave one
	plain     bool   // CSV in the form that encoding/csv knows
}

// source remembers a file outside tables, for errors.
func (s *session) source(path string, f sourceFile) {
	if s.sources == nil {
		s.sources = map[string]sourceFile{}
	}
	s.sources[path] = f
}

// sourceIn finds the source file that a message of DuckDB names.
func (s *session) sourceIn(message string) (path string, f sourceFile, ok bool) {
	for p, candidate := range s.sources {
		if len(p) > len(path) && strings.Contains(message, p) {
			path, f, ok = p, candidate, true
		}
	}
	return path, f, ok
}

// sourceFailure is what DuckDB says of a source file, without its advice on settings that nobody can reach here.
func (s *session) sourceFailure(path string, f sourceFile, message string) error {
	e := &table.SourceFileError{File: f.name}
	if strings.Contains(message, "Error when sniffing file") {
		if f.plain {
			if broken := firstBroken(path, f.name, f.packing, f.delimiter); broken != nil {
				return broken
			}
		}
		e.Reason = "its lines do not have the same number of fields, or a quote is never closed"
		return e
	}
	if at := regexp.MustCompile(`(?i)\bline:? (\d+)`).FindStringSubmatch(message); at != nil {
		if n, err := strconv.ParseInt(at[1], 10, 64); err == nil {
			e.Line = n
		}
	}
	e.Reason = csvReason(message)
	if e.Reason == "" {
		e.Reason = firstLine(message)
		for _, named := range []string{` in file "` + path + `",`, ` of file '` + path + `'`, `'` + path + `'`, `"` + path + `"`, ": " + path} {
			e.Reason = strings.Replace(e.Reason, named, "", 1)
		}
		e.Reason = s.readable(e.Reason)
	}
	return e
}

// csvReason is the sentence of a CSV error that says what is wrong; "" for other errors. Before it stand the lines of
// the file, after it advice and settings.
func csvReason(message string) string {
	start := strings.Index(message, "CSV Error on Line")
	if start < 0 {
		return ""
	}
	head, _, _ := strings.Cut(message[start:], "\nPossible")
	head, _, _ = strings.Cut(head, "\n  file = ")
	lines := strings.Split(strings.TrimSpace(head), "\n")
	for _, line := range lines {
		for _, known := range []string{"Expected Number of Columns", "Error when converting column", "Value with unterminated quote", "Invalid unicode", "Maximum line size"} {
			if strings.HasPrefix(line, known) {
				return strings.TrimSpace(line)
			}
		}
	}
	return strings.TrimSpace(lines[len(lines)-1])
}

// noSpace tells whether a message says that a disk is full.
func noSpace(message string) bool { return strings.Contains(message, "No space left") }
