package duckdb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
)

// Settings of lake.yml that raise the bounds of a call.
const (
	memorySetting   = "engines.duckdb.memory"
	tempDiskSetting = "engines.duckdb.max_temp"
)

// errEngine is what DuckDB says of itself rather than of the SQL or the files. Terminal.
var errEngine = errors.New("duckdb")

// errInterrupted is what DuckDB says, now and then, of a thread that it stopped because another one has failed: the
// error that matters is lost. Retryable: the statement fails again, with its own error.
var errInterrupted = fmt.Errorf("%w: interrupted", errEngine)

// duckError is DuckDB's error text with errors_as_json.
type duckError struct {
	Type     string `json:"exception_type"`
	Message  string `json:"exception_message"`
	Position string `json:"position"`
}

// failure turns the text of a DuckDB error into the error of the call. sql is the statement that DuckDB was given.
func (s *session) failure(ctx context.Context, sql, text string) error {
	s.spent.Store(true)
	var d duckError
	if json.Unmarshal([]byte(text), &d) != nil {
		d = duckError{Message: text}
		if kind, rest, ok := strings.Cut(text, " Error: "); ok && len(kind) < 40 {
			d.Type, d.Message = kind, rest
		}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if strings.EqualFold(d.Type, "interrupt") {
		return errInterrupted
	}
	d.Message = s.named(d.Message)
	message := s.readable(d.Message)
	if path, f, ok := s.sourceIn(d.Message); ok && d.Type != "Permission" {
		return s.sourceFailure(path, f, d.Message)
	}
	switch d.Type {
	case "Out of Memory":
		return s.overLimit(d.Message)
	case "IO", "HTTP", "Network", "Serialization":
		if overTemp(d.Message) {
			return s.overLimit(d.Message)
		}
		if noSpace(d.Message) {
			return fmt.Errorf("%w: %s", objectstore.ErrNoSpace, firstLine(message))
		}
	}
	if message != d.Message && slices.Contains([]string{"Invalid Input", "IO", "HTTP", "Network", "Serialization"}, d.Type) {
		return fmt.Errorf("%w: %s", table.ErrDataFile, firstLine(message)) // it names a file: the SQL is not to blame
	}
	// Of its Thrift reader, or of making room for a page: bytes of a Parquet file that make no sense.
	if d.Type == "Invalid" || strings.Contains(d.Message, "next power of 2") {
		return fmt.Errorf("%w: %s", table.ErrDataFile, firstLine(message))
	}
	switch d.Type {
	case "IO", "HTTP", "Network", "Serialization":
		return fmt.Errorf("read or write data files: %s", message)
	case "Fatal", "INTERNAL", "Internal", "TransactionContext", "Connection", "":
		return fmt.Errorf("%w: %s", errEngine, message)
	}
	e := &table.SQLError{SQL: sql, Message: firstLine(message), Offset: -1}
	e.Data = d.Type == "Conversion" || d.Type == "Out of Range"
	if n, err := strconv.Atoi(d.Position); err == nil && n >= 0 && n <= len(sql) {
		e.Offset = n
	}
	return e
}

func overTemp(message string) bool {
	return strings.Contains(message, "max_temp_directory_size")
}

// overLimit says which bound of the call was too low.
func (s *session) overLimit(message string) error {
	o := s.engine.options
	if overTemp(message) {
		return &limits.Error{Limit: "temp_disk", Value: o.MaxTempBytes + 1, Max: o.MaxTempBytes, Setting: tempDiskSetting}
	}
	return &limits.Error{Limit: "memory", Value: o.MemoryBytes + 1, Max: o.MemoryBytes, Setting: memorySetting}
}

// named replaces the links of the call by the paths that they lead to.
func (s *session) named(message string) string {
	for path, link := range s.links {
		message = strings.ReplaceAll(message, link, path)
	}
	return message
}

// readable replaces paths of this machine by the names of what they hold.
func (s *session) readable(message string) string {
	// Longest first: one path may begin another.
	paths := slices.SortedFunc(maps.Keys(s.names), func(a, b string) int { return len(b) - len(a) })
	for _, p := range paths {
		if strings.Contains(message, p) {
			message = strings.ReplaceAll(message, p, s.names[p])
		}
	}
	message = strings.ReplaceAll(message, s.in.dir, "<temporary>")
	return strings.ReplaceAll(message, s.engine.dir, "<temporary>")
}

// firstLine keeps what the user asked about and drops DuckDB's advice on its own settings.
func firstLine(message string) string {
	line, rest, _ := strings.Cut(strings.TrimSpace(message), "\n")
	// "Did you mean" and "Candidate bindings" are worth a sentence more.
	for hint := range strings.Lines(rest) {
		hint = strings.TrimSpace(hint)
		if strings.HasPrefix(hint, "Did you mean") || strings.HasPrefix(hint, "Candidate bindings") {
			return line + " " + hint
		}
	}
	return line
}

// shift moves the offset of an SQL error from a statement that we wrapped around sql back into sql.
func shift(err error, sql string, prefix int) error {
	var e *table.SQLError
	if !errors.As(err, &e) {
		return err
	}
	moved := *e
	moved.SQL = sql
	if moved.Offset -= prefix; moved.Offset < 0 || moved.Offset > len(sql) {
		moved.Offset = -1
	}
	return &moved
}
