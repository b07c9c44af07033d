package duckdb

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lakectl/lakectl/table"
)

// delimiters are what may stand between the fields of a CSV file when nobody says; where two are equally frequent the
// earlier one counts.
const delimiters = ",;\t|"

// headLength bounds how much of a file is read to find its delimiter, in bytes.
const headLength = 1 << 20

// delimiter finds what divides the first line of a CSV file: of the candidates outside quotes the most frequent one.
// DuckDB's own search is not asked: it drops the quoting, the first line or a column when the file fits better then.
func delimiter(path, packing, quote string) (string, error) {
	u, err := openUnpacked(path, packing)
	if err != nil {
		return "", err
	}
	head, err := io.ReadAll(io.LimitReader(u, headLength))
	if err := errors.Join(err, u.Close()); err != nil {
		return "", err
	}
	return mostFrequent(string(head), quote), nil
}

func mostFrequent(head, quote string) string {
	head = strings.TrimLeft(strings.TrimPrefix(head, "\ufeff"), "\r\n")
	counts := make([]int, len(delimiters))
	quoted := false
	for i := range len(head) {
		c := head[i]
		switch {
		case quote != "" && strings.HasPrefix(head[i:], quote):
			quoted = !quoted
		case quoted:
		case c == '\n' || c == '\r':
			return delimiters[best(counts) : best(counts)+1]
		default:
			if at := strings.IndexByte(delimiters, c); at >= 0 {
				counts[at]++
			}
		}
	}
	return delimiters[best(counts) : best(counts)+1]
}

// best is the index of the first of the greatest counts.
func best(counts []int) int {
	at := 0
	for i, n := range counts {
		if n > counts[at] {
			at = i
		}
	}
	return at
}

// firstBroken names the first line of a CSV file that breaks its form, where DuckDB only says that some do; nil when
// all have the form that we know.
func firstBroken(path, name, packing, comma string) *table.SourceFileError {
	u, err := openUnpacked(path, packing)
	if err != nil {
		return nil
	}
	defer func() { _ = u.Close() }()
	r := csv.NewReader(u)
	r.Comma, r.ReuseRecord = rune(comma[0]), true
	for {
		record, err := r.Read()
		if err == nil {
			continue
		}
		var bad *csv.ParseError
		if !errors.As(err, &bad) {
			return nil
		}
		e := &table.SourceFileError{File: name, Line: int64(bad.StartLine), Reason: bad.Err.Error()}
		switch {
		case errors.Is(err, csv.ErrFieldCount):
			e.Reason = fmt.Sprintf("it has %d fields, the first line has %d", len(record), r.FieldsPerRecord)
		case errors.Is(err, csv.ErrQuote):
			e.Reason = "a quote stands where none may, or is never closed"
		case errors.Is(err, csv.ErrBareQuote):
			e.Reason = "a quote stands inside a field that does not begin with one"
		}
		return e
	}
}
