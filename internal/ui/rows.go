package ui

import (
	"bufio"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Column is one column of a row set.
type Column struct {
	Name  string
	Right bool // numbers stand at the right in the forms of people
}

// Rows writes a row set in one of the forms, without holding more of it than alignment needs.
type Rows struct {
	form    Format
	person  *Terminal
	out     *bufio.Writer
	columns []Column
	count   int64
	held    [][]string // table, markdown: rows that wait for widths
	widths  []int
}

// alignedRows is how many rows are looked at for the widths of a table; later ones may stand out.
const alignedRows = 1000

// NewRows begins a row set on the terminal.
func (t *Terminal) NewRows(columns ...Column) *Rows {
	r := &Rows{form: t.Format, person: t, out: bufio.NewWriter(t.Out), columns: columns}
	switch r.form {
	case JSON:
		r.columns = distinct(columns)
		r.out.WriteByte('[')
	case CSV:
		names := make([]any, len(columns))
		for i, c := range columns {
			names[i] = c.Name
		}
		_ = r.writeCSV(names) // the bufio.Writer remembers the error until Close
	case NDJSON:
		r.columns = distinct(columns)
	case Table, Markdown:
	}
	return r
}

// distinct numbers columns whose name stands before them already: an object has one value for a key.
func distinct(columns []Column) []Column {
	seen := map[string]bool{}
	for _, c := range columns {
		seen[c.Name] = true
	}
	out, used := slices.Clone(columns), map[string]bool{}
	for i, c := range out {
		name := c.Name
		for n := 1; used[name]; n++ {
			if next := c.Name + "_" + strconv.Itoa(n); !seen[next] {
				name = next
				seen[next] = true
			}
		}
		used[name] = true
		out[i].Name = name
	}
	return out
}

// Write adds one row: a value per column, of the types that table.Rows yields, or of any type that JSON knows.
func (r *Rows) Write(row []any) error {
	r.count++
	switch r.form {
	case JSON, NDJSON:
		return r.writeJSON(row)
	case CSV:
		return r.writeCSV(row)
	case Table, Markdown:
	}
	cells := make([]string, len(row))
	for i, v := range row {
		cells[i] = Text(v)
		if r.form == Markdown {
			cells[i] = strings.ReplaceAll(cells[i], "|", `\|`)
		}
	}
	if r.widths != nil {
		return r.line(cells)
	}
	if r.held = append(r.held, cells); len(r.held) == alignedRows {
		return r.align()
	}
	return nil
}

// writeCSV writes one line. NULL is nothing at all, an empty text is a pair of quotes.
func (r *Rows) writeCSV(row []any) error {
	for i, v := range row {
		if i > 0 {
			r.out.WriteByte(',')
		}
		if v == nil {
			continue
		}
		text := rawText(v)
		if text == "" || text[0] == ' ' || text[0] == '\t' || strings.ContainsAny(text, ",\"\r\n") {
			text = `"` + strings.ReplaceAll(text, `"`, `""`) + `"`
		}
		r.out.WriteString(text)
	}
	return r.out.WriteByte('\n')
}

func (r *Rows) writeJSON(row []any) error {
	if r.form == JSON {
		if r.count > 1 {
			r.out.WriteByte(',')
		}
		r.out.WriteByte('\n')
	}
	r.out.WriteByte('{')
	for i, v := range row {
		if i > 0 {
			r.out.WriteByte(',')
		}
		name, err := json.Marshal(r.columns[i].Name)
		if err != nil {
			return fmt.Errorf("write column name: %w", err)
		}
		value, err := json.Marshal(jsonValue(v))
		if err != nil {
			return fmt.Errorf("write column %s: %w", r.columns[i].Name, err)
		}
		r.out.Write(name)
		r.out.WriteByte(':')
		r.out.Write(value)
	}
	r.out.WriteByte('}')
	if r.form == NDJSON {
		return r.out.WriteByte('\n')
	}
	return nil
}

func (r *Rows) align() error {
	r.widths = make([]int, len(r.columns))
	head := make([]string, len(r.columns))
	for i, c := range r.columns {
		head[i] = Clean(c.Name)
		r.widths[i] = utf8.RuneCountInString(head[i])
		for _, cells := range r.held {
			r.widths[i] = max(r.widths[i], utf8.RuneCountInString(cells[i]))
		}
	}
	if err := r.header(head); err != nil {
		return err
	}
	for _, cells := range r.held {
		if err := r.line(cells); err != nil {
			return err
		}
	}
	r.held = nil
	return nil
}

func (r *Rows) header(names []string) error {
	if r.form == Markdown {
		if err := r.line(names); err != nil {
			return err
		}
		rule := make([]string, len(names))
		for i, w := range r.widths {
			rule[i] = strings.Repeat("-", max(w, 3))
			if r.columns[i].Right {
				rule[i] = rule[i][1:] + ":"
			}
		}
		_, err := fmt.Fprintf(r.out, "| %s |\n", strings.Join(rule, " | "))
		return err
	}
	return r.plain(names, r.person.Bold)
}

func (r *Rows) line(cells []string) error {
	if r.form == Markdown {
		padded := make([]string, len(cells))
		for i, c := range cells {
			padded[i] = pad(c, max(r.widths[i], 3), r.columns[i].Right)
		}
		_, err := fmt.Fprintf(r.out, "| %s |\n", strings.Join(padded, " | "))
		return err
	}
	return r.plain(cells, nil)
}

// plain writes one line of a table, without blanks at its end.
func (r *Rows) plain(cells []string, dress func(string) string) error {
	last := len(cells) - 1
	for last >= 0 && cells[last] == "" {
		last--
	}
	for i := range last + 1 {
		text := pad(cells[i], r.widths[i], r.columns[i].Right)
		if i == last && !r.columns[i].Right {
			text = cells[i]
		}
		if dress != nil {
			text = dress(text)
		}
		lead := "  "
		if i == 0 {
			lead = " "
		}
		if _, err := r.out.WriteString(lead + text); err != nil {
			return err
		}
	}
	return r.out.WriteByte('\n')
}

func pad(s string, width int, right bool) string {
	fill := strings.Repeat(" ", max(0, width-utf8.RuneCountInString(s)))
	if right {
		return fill + s
	}
	return s + fill
}

// Count is the number of rows so far.
func (r *Rows) Count() int64 { return r.count }

// Close ends the row set and reports the first error of writing.
func (r *Rows) Close() error {
	r.person.LastRows = r.count
	switch r.form {
	case JSON:
		if r.count > 0 {
			r.out.WriteByte('\n')
		}
		r.out.WriteString("]\n")
	case Table, Markdown:
		if r.widths == nil && len(r.columns) > 0 {
			if err := r.align(); err != nil {
				return err
			}
		}
	case CSV, NDJSON:
	}
	return r.out.Flush()
}

// Object writes one value as JSON to Out, with a line break at its end.
func (t *Terminal) Object(v any) error {
	e := json.NewEncoder(t.Out)
	e.SetEscapeHTML(false)
	if t.Format == JSON {
		e.SetIndent("", "  ")
	}
	return e.Encode(v)
}

// List writes objects one after the other: a JSON array, or lines of NDJSON.
type List struct {
	t     *Terminal
	out   *bufio.Writer
	count int
}

// NewList begins a list. Only the forms JSON and NDJSON have one.
func (t *Terminal) NewList() *List { return &List{t: t, out: bufio.NewWriter(t.Out)} }

// Write adds one object.
func (l *List) Write(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("write list: %w", err)
	}
	before := ""
	if l.t.Format == JSON {
		before = ",\n"
		if l.count == 0 {
			before = "[\n"
		}
	}
	l.count++
	l.out.WriteString(before)
	l.out.Write(text)
	if l.t.Format == NDJSON {
		l.out.WriteByte('\n')
	}
	return nil
}

// Close ends the list and reports the first error of writing.
func (l *List) Close() error {
	if l.t.Format == JSON {
		if l.count == 0 {
			l.out.WriteByte('[')
		}
		l.out.WriteString("\n]\n")
	}
	return l.out.Flush()
}
