package ui

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// Format is a form of output.
type Format string

// The forms of --output. Table is for people; piped, it is the same without colour.
const (
	Table    Format = "table"
	JSON     Format = "json"
	NDJSON   Format = "ndjson"
	CSV      Format = "csv"
	Markdown Format = "markdown"
)

// ParseFormat reads the value of --output.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case Table, JSON, NDJSON, CSV, Markdown:
		return f, nil
	}
	return "", fmt.Errorf("%q is not an output form: table, json, ndjson, csv or markdown", s)
}

// Terminal is where a command writes, and for whom.
type Terminal struct {
	Out, Err io.Writer
	Format   Format
	Quiet    bool // no notes and no progress; errors still
	Person   bool // Out is a terminal
	ErrTTY   bool // Err is a terminal: progress may redraw a line
	Colour   bool
	LastRows int64 // rows of the row set that was closed last
}

// NewTerminal looks at where out and err lead. Colour needs a terminal and no NO_COLOR in env.
func NewTerminal(out, err io.Writer, env func(string) string) *Terminal {
	t := &Terminal{Out: out, Err: err, Format: Table, Person: IsTerminal(out), ErrTTY: IsTerminal(err)}
	t.Colour = t.Person && env("NO_COLOR") == "" && env("TERM") != "dumb"
	return t
}

// IsTerminal tells whether a person is at the other end of a reader or writer.
func IsTerminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	if null, err := os.Stat(os.DevNull); err == nil && os.SameFile(info, null) {
		return false
	}
	return info.Mode()&os.ModeCharDevice != 0
}

// Machine tells whether a program reads the output.
func (t *Terminal) Machine() bool { return t.Format != Table }

// Printf writes data for people to Out.
func (t *Terminal) Printf(format string, a ...any) { fmt.Fprintf(t.Out, format, a...) }

// Notef writes a remark to Err, unless quiet or unless a program reads.
func (t *Terminal) Notef(format string, a ...any) {
	if !t.Quiet && !t.Machine() {
		fmt.Fprintf(t.Err, format, a...)
	}
}

// Warnf writes a warning to Err, whatever the form: data never carries it.
func (t *Terminal) Warnf(format string, a ...any) {
	if !t.Quiet {
		fmt.Fprintf(t.Err, "warning: "+format+"\n", a...)
	}
}

// Bold is for what the eye shall find first. Like its fellows it changes nothing where no colour is wanted.
func (t *Terminal) Bold(s string) string { return t.dress("1", s) }

// Dim is for what may be overlooked.
func (t *Terminal) Dim(s string) string { return t.dress("2", s) }

// Red is for failure.
func (t *Terminal) Red(s string) string { return t.dress("31", s) }

// Green is for success.
func (t *Terminal) Green(s string) string { return t.dress("32", s) }

// Yellow is for warnings.
func (t *Terminal) Yellow(s string) string { return t.dress("33", s) }

func (t *Terminal) dress(code, s string) string {
	if !t.Colour || s == "" {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// Clean makes text from outside safe to print: control characters, the escape sequences of terminals and line
// breaks among them, become visible escapes.
func Clean(s string) string {
	if !strings.ContainsFunc(s, control) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case control(r):
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// control takes in C0, DEL, C1 and the bidirectional overrides, which can make text read as something else.
func control(r rune) bool {
	return r < 0x20 || r >= 0x7f && r < 0xa0 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
