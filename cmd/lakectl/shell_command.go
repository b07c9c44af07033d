package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table"
)

// shellCommand is one of the shell's own commands: \name or .name.
type shellCommand struct {
	names []string // the first is shown
	args  string
	help  string
	run   func(s *shell, ctx context.Context, arg string) error
}

func shellCommands() []shellCommand {
	return []shellCommand{
		{[]string{"help", "?", "h"}, "", "this list", (*shell).help},
		{[]string{"dt", "tables", "l"}, "[LAYER]", "the tables of the lake", (*shell).listTables},
		{[]string{"d", "describe", "schema"}, "TABLE", "columns and properties of a table, by name or path", (*shell).describeTable},
		{[]string{"e", "edit"}, "", "edit the statement, or the last one, in $VISUAL or $EDITOR, then run it", (*shell).edit},
		{[]string{"i", "read", "include"}, "FILE", "run the statements of a file", (*shell).include},
		{[]string{"history", "s"}, "[N]", "the last N statements (20)", (*shell).showHistory},
		{[]string{"mode", "format"}, "[FORM]", "form of results: table, csv, json, ndjson, markdown", (*shell).mode},
		{[]string{"pager"}, "[on|off|COMMAND]", "page what does not fit the screen", (*shell).setPager},
		{[]string{"timing", "timer"}, "[on|off]", "say how long each statement took", (*shell).setTiming},
		{[]string{"q", "quit", "exit"}, "", "leave; so do Ctrl-D, and Ctrl-C twice", (*shell).quit},
	}
}

// commandOf cuts a line into a command of the shell and its argument; false when the line is SQL.
func commandOf(line string) (name, arg string, ok bool) {
	line = strings.TrimSpace(line)
	bare := strings.ToLower(strings.TrimRight(line, "; "))
	if slices.Contains([]string{"help", "exit", "quit"}, bare) {
		return bare, "", true
	}
	rest, slash := strings.CutPrefix(line, `\`)
	if !slash {
		var dot bool
		rest, dot = strings.CutPrefix(line, ".")
		if word := strings.TrimLeft(rest, "abcdefghijklmnopqrstuvwxyz?"); !dot || word == rest { // .5 is a number
			return "", "", false
		}
	}
	name, arg, _ = strings.Cut(rest, " ")
	arg = strings.TrimSpace(strings.TrimRight(strings.TrimSpace(arg), ";"))
	if len(arg) > 1 && (arg[0] == '\'' || arg[0] == '"') && arg[len(arg)-1] == arg[0] {
		arg = arg[1 : len(arg)-1]
	}
	return strings.TrimRight(name, ";"), arg, true
}

// command runs one of the shell's own commands.
func (s *shell) command(ctx context.Context, name, arg string) error {
	var all []string
	for _, c := range shellCommands() {
		if slices.Contains(c.names, name) {
			if arg != "" && c.args == "" {
				return usageHint(fmt.Sprintf(`\%s takes no argument, not %q`, name, arg), `\help`)
			}
			return c.run(s, ctx, arg)
		}
		all = append(all, c.names[0])
	}
	return usageHint(fmt.Sprintf(`there is no command \%s; there are \%s`, name, strings.Join(all, ` \`)), `\help`)
}

func (s *shell) help(context.Context, string) error {
	t := s.app.term
	t.Printf("A statement may take several lines and ends with a semicolon.\n\n")
	for _, c := range shellCommands() {
		t.Printf("  %-24s %s\n", strings.TrimSpace(`\`+c.names[0]+" "+c.args), c.help)
	}
	t.Printf("\n" + `  EXPLAIN SELECT …         which files are read and skipped, and why; the plan
  FROM silver.flights      a table of lake.yml; './orders', 's3://lake/orders', 'new.csv': a path or URL
  FROM './orders@v1'       time travel; VERSION AS OF 1, TIMESTAMP AS OF '…' after a name

Tab completes; up and down walk through the history, Ctrl-R searches it for what is typed. Ctrl-C stops a statement.
A line that begins with a blank is not kept in the history, nor is one that may hold a secret.
`)
	return nil
}

func (s *shell) listTables(ctx context.Context, layer string) error { return s.app.ls(ctx, layer) }

func (s *shell) describeTable(ctx context.Context, name string) error {
	if name == "" {
		return s.listTables(ctx, "")
	}
	t, err := s.app.readTable(ctx, name)
	if err != nil {
		return err
	}
	d, err := t.Describe(ctx, table.Describe{})
	if err != nil {
		return err
	}
	if f := s.app.term.Format; f == ui.JSON || f == ui.NDJSON {
		return s.app.term.Object(d)
	}
	return s.app.describe(d)
}

// edit opens the statement that is being typed, or the last one, in the person's editor. What it leaves is run.
func (s *shell) edit(ctx context.Context, _ string) error {
	editor := "vi"
	for _, name := range []string{"EDITOR", "VISUAL"} {
		if e := s.app.env(name); e != "" {
			editor = e
		}
	}
	text := s.typed
	for i := len(s.history.entries) - 1; text == "" && i >= 0; i-- {
		if _, _, isCommand := commandOf(s.history.entries[i]); !isCommand {
			text = s.history.entries[i] + "\n"
		}
	}
	dir, err := s.app.scratchDir()
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "edit-*.sql")
	if err != nil {
		return fmt.Errorf("edit statement: %w", err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // the folder goes with the process
	_, err = f.WriteString(text)
	if err = errorsFirst(err, f.Close()); err != nil {
		return fmt.Errorf("edit statement: %w", err)
	}
	c := exec.CommandContext(ctx, "sh", "-c", editor+` "$1"`, "sh", f.Name()) //nolint:gosec // the person's own choice of an editor
	c.Stdin, c.Stdout, c.Stderr = s.app.in, s.out, s.notes
	if err := c.Run(); err != nil {
		return fmt.Errorf("edit statement with %s: %w", editor, err)
	}
	edited, err := os.ReadFile(f.Name())
	if err != nil {
		return fmt.Errorf("edit statement: %w", err)
	}
	s.typed = ""
	fmt.Fprint(s.notes, ui.Clean(strings.TrimSpace(strings.ReplaceAll(string(edited), "\n", " ")))+"\n")
	s.next = append(s.next, input{text: string(edited)})
	return nil
}

func (s *shell) include(_ context.Context, path string) error {
	if path == "" {
		return usageHint(`\i takes a file`, `\i queries.sql`)
	}
	text, err := readSQL(path)
	if err != nil {
		return err
	}
	s.next = append(s.next, input{text: text + "\n;", file: true})
	return nil
}

// readSQL reads a file of SQL.
func readSQL(path string) (string, error) {
	info, err := os.Stat(path)
	if err == nil && info.Size() > maxSQL {
		return "", usagef("%s is longer than %s", path, ui.Bytes(maxSQL))
	}
	text, readErr := os.ReadFile(path)
	if err = errorsFirst(err, readErr); err != nil {
		return "", &toldError{code: exitNotFound, message: "cannot read " + path, why: err.Error(), hint: "check the path"}
	}
	return string(text), nil
}

func (s *shell) showHistory(_ context.Context, arg string) error {
	n := 20
	if arg != "" {
		var err error
		if n, err = strconv.Atoi(arg); err != nil || n < 1 {
			return usagef(`\history: %q is not a number of statements`, arg)
		}
	}
	for _, e := range s.history.entries[max(0, len(s.history.entries)-n):] {
		s.app.term.Printf("%s\n", strings.ReplaceAll(ui.Clean(strings.ReplaceAll(e, "\n", "\x00")), `\x00`, "\n"))
	}
	return nil
}

func (s *shell) mode(_ context.Context, arg string) error {
	if arg != "" {
		f, err := ui.ParseFormat(arg)
		if err != nil {
			return usagef(`\mode: %v`, err)
		}
		s.app.term.Format = f
	}
	s.say("results are printed as %s", s.app.term.Format)
	return nil
}

func (s *shell) setPager(_ context.Context, arg string) error {
	switch arg {
	case "":
	case "off":
		s.pager = ""
	case "on":
		if s.pager = pagerCommand(s.app.env); s.pager == "" {
			s.pager = "less"
		}
	default:
		s.pager = arg
	}
	if s.pager == "" {
		s.say("results are not paged")
	} else {
		s.say("what does not fit the screen is shown by %s", s.pager)
	}
	return nil
}

func (s *shell) setTiming(_ context.Context, arg string) error {
	switch arg {
	case "":
		s.timing = !s.timing
	case "on", "off":
		s.timing = arg == "on"
	default:
		return usagef(`\timing: %q is neither on nor off`, arg)
	}
	s.say("timing is %s", map[bool]string{true: "on", false: "off"}[s.timing])
	return nil
}

func (s *shell) quit(context.Context, string) error {
	s.left = true
	return nil
}
