package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/lakectl/lakectl/internal/redact"
	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table/statement"
)

// shell is the prompt of `lakectl query` on a terminal: it collects statements and runs one after the other. An error is
// reported, and the shell goes on.
type shell struct {
	app     *app
	flags   statementFlags
	editor  lineEditor
	history *history
	lake    *lakeCatalog

	out    io.Writer // the terminal's own writers, while a statement has others
	notes  io.Writer
	screen *os.File // out, when it is a terminal
	pager  string   // command; "": none
	timing bool

	typed  string  // of a statement that has no end yet
	next   []input // to be run as if it had been typed
	aborts int     // Ctrl-C on an empty line, one after the other
	left   bool
}

// input is text that is run.
type input struct {
	text string
	file bool // from a file: commands are not looked for, and the history does not keep it
}

const (
	promptNew      = "lake> "
	promptMore     = "  ... "
	completionTime = 3 * time.Second // after which Tab has nothing to offer
)

// shell asks for statements until the person leaves.
func (a *app) shell(ctx context.Context, f statementFlags, keepHistory bool) (err error) {
	s := &shell{app: a, flags: f, out: a.term.Out, notes: a.term.Err, pager: pagerCommand(a.env)}
	if f, ok := a.term.Out.(*os.File); ok && a.term.Person {
		s.screen = f
	}
	path := ""
	if keepHistory {
		path = historyPath(a.env)
	}
	if s.history, err = openHistory(path); err != nil {
		a.term.Warnf("%v", err)
	}
	s.lake = &lakeCatalog{ctx: ctx, app: a}
	s.editor = s.newEditor()
	defer func() { err = errorsFirst(err, s.editor.close()) }()
	a.interrupts.take(s.interrupted)
	defer a.interrupts.take(nil)
	s.greet(ctx)
	for !s.left {
		if err := s.ask(ctx); err != nil {
			return err
		}
	}
	return nil
}

// newEditor edits lines where that is possible: on a terminal that is not dumb.
func (s *shell) newEditor() lineEditor {
	in, fromFile := s.app.in.(*os.File)
	out := s.screen
	if f, ok := s.notes.(*os.File); ok && s.app.term.ErrTTY { // prompts are not data
		out = f
	}
	if kind := s.app.env("TERM"); !fromFile || out == nil || kind == "" || kind == "dumb" || !term.IsTerminal(int(in.Fd())) {
		return newPlainEditor(s.app.in, s.notes)
	}
	return newTermEditor(in, out, s.complete, s.history)
}

// interrupted is Ctrl-C while no line is edited in raw mode.
func (s *shell) interrupted() {
	if p, ok := s.editor.(*plainEditor); ok {
		p.interrupt()
	}
}

func (s *shell) greet(ctx context.Context) {
	where := ""
	if p, err := s.app.lake(ctx); err != nil {
		s.app.wiring.looked = false // whoever needs a name of it is told again
		s.app.term.Warnf("lake.yml cannot be used; tables are reached by path only: %v", ui.Clean(err.Error()))
	} else if p != nil {
		where = " on " + redact.URL(p.Env.Warehouse)
	}
	s.say("lakectl %s%s\nStatements end with ;   \\help lists commands   Ctrl-D leaves", version, ui.Clean(where))
}

// ask takes one line and runs what it completes.
func (s *shell) ask(ctx context.Context) error {
	line, err := s.editor.line(ctx, s.prompt())
	switch {
	case errors.Is(err, errAborted):
		s.aborts++
		if line != "" || s.typed != "" {
			s.aborts = 0
		}
		s.typed = ""
		switch s.aborts {
		case 1:
			s.say("Ctrl-C again, or Ctrl-D, leaves")
		case 2:
			s.left = true
		}
		return nil
	case errors.Is(err, io.EOF):
		s.left = true
		return nil
	case err != nil:
		return err
	}
	s.aborts = 0
	s.enter(ctx, input{text: line})
	for len(s.next) > 0 && !s.left {
		in := s.next[0]
		s.next = s.next[1:]
		s.enter(ctx, in)
	}
	return nil
}

func (s *shell) prompt() string {
	if s.typed == "" {
		return promptNew
	}
	if sign := statement.OpenSign(s.typed); sign != "" {
		return strings.Repeat(" ", len(promptMore)-len(sign)-2) + sign + "> "
	}
	return promptMore
}

// enter takes a line, which is a command of the shell or the next piece of a statement, or a whole text.
func (s *shell) enter(ctx context.Context, in input) {
	if !in.file && statement.OpenSign(s.typed) == "" {
		name, arg, ok := commandOf(in.text)
		if ok && (s.typed == "" || strings.HasPrefix(strings.TrimSpace(in.text), `\`)) {
			s.remember(in.text)
			s.do(ctx, false, func(ctx context.Context) error { return s.command(ctx, name, arg) })
			return
		}
	}
	if len(s.typed)+len(in.text) > maxSQL {
		s.typed = ""
		s.app.fail(ctx, usagef("the statement is longer than %s", ui.Bytes(maxSQL)))
		return
	}
	begun := s.typed + in.text + "\n"
	var whole []string
	if whole, s.typed = cutStatements(begun); len(whole) == 0 {
		return
	}
	blank := ""
	if strings.HasPrefix(begun, " ") { // asks not to be kept
		blank = " "
	}
	for i, sql := range whole {
		if !in.file {
			s.remember(blank + sql + ";")
		}
		if !s.do(ctx, true, func(ctx context.Context) error { return s.statement(ctx, sql) }) {
			if left := len(whole) - i - 1; left > 0 {
				s.say("%s after it not run", ui.Plural(int64(left), "statement"))
			}
			s.typed, s.next = "", nil
			return
		}
	}
}

// remember adds to the history, and says so when a statement is not kept that the person did not ask to leave out.
func (s *shell) remember(entry string) {
	stored, err := s.history.add(entry)
	if err != nil {
		s.app.term.Warnf("%v", err)
		s.history.path = ""
	}
	if !stored && err == nil && s.history.path != "" && !strings.HasPrefix(entry, " ") {
		s.say("not kept in the history: it is too long, or may hold a secret")
	}
}

// statement runs one statement and says how many rows came, and how long it took.
func (s *shell) statement(ctx context.Context, sql string) error {
	t, elapsed := s.app.term, s.app.watch()
	t.LastRows = -1
	if err := s.app.script(ctx, sql, s.flags); err != nil {
		return err
	}
	var parts []string
	if t.LastRows >= 0 {
		parts = append(parts, ui.Plural(t.LastRows, "row"))
	}
	if s.timing {
		parts = append(parts, ui.Count(elapsed())+" ms")
	}
	if len(parts) > 0 {
		s.say("%s", strings.Join(parts, "   "))
	}
	return nil
}

// do runs a statement or a command, and reports its error. Ctrl-C stops it. What it prints is paged when it is too long
// for the screen; rows also when they are too wide. It tells whether it went well.
func (s *shell) do(ctx context.Context, rows bool, work func(ctx context.Context) error) bool {
	a := s.app
	a.subject, a.txn = "", ""
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a.interrupts.take(func() {
		cancel(context.Canceled)
		s.interrupted()
	})
	defer a.interrupts.take(s.interrupted)
	a.ask = func(question string) (string, error) { return s.editor.line(ctx, question) }
	defer func() { a.ask = nil }()
	finish := s.paged(ctx, rows, func() { cancel(errPagerClosed) })
	err := work(ctx)
	stopped := context.Cause(ctx)
	if errors.Is(err, errPagerClosed) || errors.Is(stopped, errPagerClosed) {
		err, stopped = nil, nil
	}
	err = errors.Join(err, finish())
	s.lake.forget()
	if err == nil {
		return true
	}
	if stopped != nil && a.problem(err).Code != exitUnknown {
		s.say("interrupted")
		return false
	}
	a.fail(context.WithoutCancel(ctx), err)
	return false
}

// paged gives the terminal a page to write on, and returns what ends it. closed is called when the person has seen
// enough.
func (s *shell) paged(ctx context.Context, rows bool, closed func()) (finish func() error) {
	t := s.app.term
	if s.screen == nil || s.pager == "" {
		return func() error { return nil }
	}
	width, height, err := term.GetSize(int(s.screen.Fd()))
	if err != nil || width <= 0 || height <= 0 {
		return func() error { return nil }
	}
	if !rows {
		width = pageBytes // lines that are too long are wrapped
	}
	p := &page{
		ctx: ctx, out: s.screen, notes: s.notes, command: s.pager, env: pagerEnviron(os.Environ()),
		width: width, height: height, closed: closed,
	}
	t.Out, t.Err = p, p.note()
	return func() error {
		t.Out, t.Err = s.out, s.notes
		return p.close()
	}
}

// say is a remark. It is made in every form of output, since it is a person who types.
func (s *shell) say(format string, args ...any) {
	t := s.app.term
	if t.Quiet {
		return
	}
	text := fmt.Sprintf(format, args...)
	if t.ErrTTY {
		text = t.Dim(text)
	}
	fmt.Fprintf(t.Err, "%s\n", text)
}

// complete offers words for the cursor in a line that continues the statement.
func (s *shell) complete(before, after string) (start int, words []string) {
	ctx, cancel := context.WithTimeout(s.lake.ctx, completionTime)
	defer cancel()
	lake := *s.lake
	lake.ctx = ctx
	defer func() { s.lake.names, s.lake.known = lake.names, lake.known }()
	if s.typed == "" && (strings.HasPrefix(before, `\`) || strings.HasPrefix(before, ".")) {
		return completeCommand(before, &lake)
	}
	start, words = completeSQL(s.typed+before, after, &lake)
	return start - len(s.typed), words
}

// completeCommand offers the shell's own commands, and what may follow them.
func completeCommand(before string, lake catalog) (start int, words []string) {
	name, arg, begun := strings.Cut(before[1:], " ")
	if !begun {
		for _, c := range shellCommands() {
			words = append(words, withPrefix(c.names, name)...)
		}
		slices.Sort(words)
		return 1, words
	}
	start = len(before) - len(arg)
	switch name {
	case "d", "describe", "schema":
		if quoted := strings.TrimPrefix(arg, "'"); quoted != arg || strings.ContainsAny(arg, "/") {
			at, paths := completePath(quoted, quoted == arg, dataFile)
			return len(before) - len(quoted) + at, paths
		}
		return start, withPrefix(lake.tables(), arg)
	case "i", "read", "include":
		at, paths := completePath(arg, true, func(name string) bool { return strings.HasSuffix(name, ".sql") })
		return start + at, paths
	case "mode", "format":
		return start, withPrefix([]string{"csv", "json", "markdown", "ndjson", "table"}, arg)
	case "pager", "timing", "timer":
		return start, withPrefix([]string{"off", "on"}, arg)
	}
	return len(before), nil
}
