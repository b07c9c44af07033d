package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"golang.org/x/term"

	"github.com/lakectl/lakectl/internal/ui"
)

// errAborted says that a line was ended by Ctrl-C. Retryable: the next line may be another.
var errAborted = errors.New("line ended by Ctrl-C")

// lineEditor asks a person for lines. Errors: errAborted together with what was typed, io.EOF at the end of the input,
// that of a done ctx.
type lineEditor interface {
	line(ctx context.Context, prompt string) (string, error)
	close() error
}

// completer offers what may stand at the cursor: the byte at which the begun word starts, and the words that it may
// become. A word that is whole ends in the blank, quote or bracket that follows it.
type completer func(before, after string) (start int, words []string)

// recall gives lines that were entered before: the nth, the newest is 0.
type recall interface {
	Len() int
	At(n int) string
}

// termEditor edits lines on a terminal in raw mode. Between lines the terminal is as it was found, so that Ctrl-C is a
// signal and programs that we start can use it.
type termEditor struct {
	fd       int
	screen   *term.Terminal
	keys     *keyReader
	complete completer
	past     recall

	resized  chan os.Signal
	watching chan struct{} // closed when nobody listens to resized any more

	needle string // what Ctrl-R looks for
	found  string // the line that it has brought last
	at     int    // the place of that line in past
}

// newTermEditor edits on the terminal that in reads from and out writes to.
func newTermEditor(in, out *os.File, complete completer, past recall) *termEditor {
	e := &termEditor{fd: int(in.Fd()), keys: newKeyReader(in, out), complete: complete, past: past, resized: make(chan os.Signal, 1), watching: make(chan struct{})}
	e.screen = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{e.keys, out}, "")
	e.screen.History = terminalHistory{past}
	e.screen.AutoCompleteCallback = e.key
	signal.Notify(e.resized, syscall.SIGWINCH)
	go func() {
		defer close(e.watching)
		for range e.resized {
			e.resize()
		}
	}()
	return e
}

func (e *termEditor) resize() {
	if width, height, err := term.GetSize(e.fd); err == nil && width > 0 && height > 0 {
		_ = e.screen.SetSize(width, height) // a terminal that is gone is met by the next read
	}
}

func (e *termEditor) line(ctx context.Context, prompt string) (string, error) {
	before, err := term.MakeRaw(e.fd)
	if err != nil {
		return "", fmt.Errorf("prepare terminal: %w", err)
	}
	e.resize()
	e.screen.SetPrompt(prompt)
	e.screen.SetBracketedPasteMode(true)
	type answer struct {
		text string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		text, err := e.screen.ReadLine()
		answers <- answer{text, err}
	}()
	var a answer
	select {
	case <-ctx.Done(): // the process ends, and the reader with it
		a.err = context.Cause(ctx)
		fmt.Fprint(e.keys.echo, "\r\n")
	case a = <-answers:
	}
	fmt.Fprint(e.keys.echo, "\x1b[?2004l")
	if err := term.Restore(e.fd, before); err != nil {
		return "", fmt.Errorf("restore terminal: %w", err)
	}
	if errors.Is(a.err, term.ErrPasteIndicator) {
		a.err = nil
	}
	if errors.Is(a.err, io.EOF) {
		fmt.Fprintln(e.keys.echo)
	}
	if a.err == nil && e.keys.aborted {
		e.keys.aborted = false
		a.err = errAborted
	}
	return a.text, a.err
}

func (e *termEditor) close() error {
	signal.Stop(e.resized)
	close(e.resized)
	<-e.watching
	return nil
}

// key is asked about every key that is not one for editing.
func (e *termEditor) key(line string, pos int, key rune) (string, int, bool) {
	switch key {
	case keyTab:
		line, pos = e.tab(line, pos)
		return line, pos, true
	case keySearch:
		line = e.search(line)
		return line, len(line), true
	}
	return "", 0, false
}

// tab completes the word before the cursor as far as it is certain, or lists what it may become.
func (e *termEditor) tab(line string, pos int) (string, int) {
	start, words := e.complete(line[:pos], line[pos:])
	words = slices.DeleteFunc(words, func(w string) bool { return ui.Clean(w) != w }) // names from outside reach the screen
	if len(words) == 0 || start < 0 || start > pos {
		return line, pos
	}
	begun, common := line[start:pos], commonPrefix(words)
	if len(words) > 1 && (common == begun || !strings.HasPrefix(strings.ToLower(common), strings.ToLower(begun))) {
		width, _, err := term.GetSize(e.fd)
		if err != nil {
			width = 80
		}
		_, _ = e.screen.Write([]byte(inColumns(words, width))) // a terminal that is gone is met by the next read
		return line, pos
	}
	return line[:start] + common + line[pos:], start + len(common)
}

// search brings the newest line that holds what was typed; again, the one before that.
func (e *termEditor) search(line string) string {
	from := e.at + 1
	if line != e.found || line == "" {
		e.needle, from = line, 0
	}
	for i := from; i < e.past.Len(); i++ {
		if old := e.past.At(i); strings.Contains(strings.ToLower(old), strings.ToLower(e.needle)) && old != line {
			e.found, e.at = old, i
			return old
		}
	}
	return line
}

func commonPrefix(words []string) string {
	common := words[0]
	for _, w := range words[1:] {
		for !strings.HasPrefix(w, common) {
			_, size := utf8.DecodeLastRuneInString(common)
			common = common[:len(common)-size]
		}
	}
	return common
}

// inColumnsMax bounds a list of words on the screen.
const inColumnsMax = 200

// inColumns lays words out in columns for a width.
func inColumns(words []string, width int) string {
	more := max(0, len(words)-inColumnsMax)
	words = words[:len(words)-more]
	longest := 1
	for _, w := range words {
		longest = max(longest, utf8.RuneCountInString(w))
	}
	columns := max(1, (width+1)/(longest+2))
	rows := (len(words) + columns - 1) / columns
	var b strings.Builder
	for r := range rows {
		var line strings.Builder
		for i := r; i < len(words); i += rows {
			fmt.Fprintf(&line, "%s%s", words[i], strings.Repeat(" ", longest+2-utf8.RuneCountInString(words[i])))
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
	if more > 0 {
		fmt.Fprintf(&b, "… and %d more\n", more)
	}
	return b.String()
}

// terminalHistory is what the arrow keys walk through. What is added to it is the shell's decision.
type terminalHistory struct{ recall }

func (terminalHistory) Add(string) {}

// plainEditor asks for lines where they cannot be edited: on a dumb terminal, or when the output goes elsewhere.
type plainEditor struct {
	in          io.Reader
	out         io.Writer
	lines       chan string // nil: nothing was asked yet
	interrupted chan struct{}
	failed      error // why lines was closed
}

func newPlainEditor(in io.Reader, out io.Writer) *plainEditor {
	return &plainEditor{in: in, out: out, interrupted: make(chan struct{}, 1)}
}

// interrupt ends the line that is being asked for.
func (e *plainEditor) interrupt() {
	select {
	case e.interrupted <- struct{}{}:
	default:
	}
}

func (e *plainEditor) line(ctx context.Context, prompt string) (string, error) {
	if e.lines == nil {
		e.lines = make(chan string)
		go func() { // it reads until the process ends
			in := bufio.NewScanner(e.in)
			in.Buffer(nil, maxSQL)
			for in.Scan() {
				e.lines <- in.Text()
			}
			e.failed = in.Err()
			close(e.lines)
		}()
	}
	select { // one that came while a statement ran was that statement's
	case <-e.interrupted:
	default:
	}
	fmt.Fprint(e.out, prompt)
	select {
	case text, ok := <-e.lines:
		if !ok {
			fmt.Fprintln(e.out)
			if e.failed != nil {
				return "", fmt.Errorf("read from terminal: %w", e.failed)
			}
			return "", io.EOF
		}
		return text, nil
	case <-e.interrupted:
		fmt.Fprintln(e.out)
		return "", errAborted
	case <-ctx.Done():
		fmt.Fprintln(e.out)
		return "", context.Cause(ctx)
	}
}

func (e *plainEditor) close() error { return nil }
