package pipeline

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// recordReader cuts a CSV file into records so that a broken line costs that line and no other: an open quote that is
// never closed cannot swallow the good lines after it. Quoted records go through encoding/csv, one at a time; the
// others are split at the delimiter.
type recordReader struct {
	in      *bufio.Reader
	comma   byte
	lineMax int64
	end     byte     // what ends a line; 0: not known yet
	pending [][]byte // lines that were read ahead for a quoted record and given back
	fields  []string
	eof     bool
	nothing bool // no byte was read yet
}

// record is one record or one broken line.
type record struct {
	fields []string // valid until the next call; nil when why is set
	raw    []byte   // the line, without its end; valid until the next call
	why    string   // why it is broken
}

const (
	whyQuote    = "a quoted value is broken"
	whyEncoding = "is not UTF-8"
	whyLong     = "is longer than limits.line_bytes"
)

func newRecordReader(in io.Reader, comma byte, lineMax int64) *recordReader {
	return &recordReader{in: bufio.NewReaderSize(in, 1<<18), comma: comma, lineMax: lineMax, nothing: true}
}

// next returns the next record that is not an empty line. io.EOF ends the file; other errors are those of the
// stream, a broken gzip for example.
func (r *recordReader) next() (record, error) {
	for {
		line, long, err := r.line()
		if err != nil {
			return record{}, err
		}
		switch {
		case long:
			return record{raw: line, why: whyLong}, nil
		case len(line) == 0:
			continue
		case !utf8.Valid(line):
			return record{raw: line, why: whyEncoding}, nil
		case bytes.IndexByte(line, '"') < 0:
			return record{fields: r.split(string(line)), raw: line}, nil
		}
		return r.quoted(line)
	}
}

// split cuts a line without quotes.
func (r *recordReader) split(line string) []string {
	r.fields = r.fields[:0]
	for {
		i := strings.IndexByte(line, r.comma)
		if i < 0 {
			r.fields = append(r.fields, line)
			return r.fields
		}
		r.fields = append(r.fields, line[:i])
		line = line[i+1:]
	}
}

// quoted parses a record that may go over several lines. When no continuation makes it a record, its first line is
// broken and the others are given back.
func (r *recordReader) quoted(first []byte) (record, error) {
	text := bytes.Clone(first)
	var ahead [][]byte
	for {
		// Quotes come in pairs inside a complete record; an odd number means that a value is still open.
		if bytes.Count(text, []byte{'"'})%2 == 0 {
			if fields, ok := r.parse(text); ok {
				return record{fields: fields, raw: text}, nil
			}
			break
		}
		line, long, err := r.line()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return record{}, err
		}
		line = bytes.Clone(line)
		ahead = append(ahead, line)
		if long || !utf8.Valid(line) || int64(len(text)+len(line)) > r.lineMax || len(ahead) > continuationLinesMax {
			break
		}
		text = append(append(text, r.end), line...)
	}
	r.pending = append(ahead, r.pending...)
	return record{raw: text[:len(first)], why: whyQuote}, nil
}

// continuationLinesMax bounds how far a quoted value may reach.
const continuationLinesMax = 1000

// parse reads exactly one record with encoding/csv.
func (r *recordReader) parse(text []byte) ([]string, bool) {
	c := csv.NewReader(bytes.NewReader(text))
	c.Comma = rune(r.comma)
	c.FieldsPerRecord = -1
	fields, err := c.Read()
	if err != nil {
		return nil, false
	}
	if _, err := c.Read(); !errors.Is(err, io.EOF) {
		return nil, false
	}
	return fields, true
}

// line returns the next line without its end. A line over the limit is cut, and long is true.
func (r *recordReader) line() (line []byte, long bool, err error) {
	if len(r.pending) > 0 {
		line = r.pending[0]
		r.pending = r.pending[1:]
		return line, int64(len(line)) > r.lineMax, nil
	}
	if r.eof {
		return nil, false, io.EOF
	}
	if r.end == 0 {
		r.end = r.lineEnd()
	}
	var whole []byte
	for {
		part, err := r.in.ReadSlice(r.end)
		if r.nothing {
			part, r.nothing = bytes.TrimPrefix(part, []byte("\ufeff")), false
		}
		if line := r.trim(part); err == nil && whole == nil && int64(len(line)) <= r.lineMax {
			return line, false, nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
			return nil, false, fmt.Errorf("read line: %w", err)
		}
		if int64(len(whole)) <= r.lineMax+2 { // enough to see that it is too long, whatever its end
			whole = append(whole, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF):
			r.eof = true
			if len(whole) == 0 {
				return nil, false, io.EOF
			}
		}
		if whole = r.trim(whole); int64(len(whole)) > r.lineMax {
			return whole[:r.lineMax], true, nil
		}
		return whole, false, nil
	}
}

// sniffBytes is how far lineEnd looks.
const sniffBytes = 1 << 16

// lineEnd is '\n', or '\r' for a file that begins with lines that end so: otherwise its first line would be all of it.
func (r *recordReader) lineEnd() byte {
	head, _ := r.in.Peek(sniffBytes) // an error comes again with the read that meets it
	if bytes.IndexByte(head, '\n') >= 0 {
		return '\n'
	}
	if len(head) == sniffBytes {
		head = head[:sniffBytes-1] // the other half of a \r\n may come next
	}
	if bytes.IndexByte(head, '\r') >= 0 {
		return '\r'
	}
	return '\n'
}

// trim takes the end of a line away, in a file of \r also what a stray \r\n leaves before the next one.
func (r *recordReader) trim(line []byte) []byte {
	if r.end == '\r' {
		return bytes.TrimPrefix(bytes.TrimSuffix(line, []byte("\r")), []byte("\n"))
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}
