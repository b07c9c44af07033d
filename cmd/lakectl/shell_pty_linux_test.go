package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// terminal is lakectl on a pseudo-terminal, and somebody who types.
type terminal struct {
	t       *testing.T
	dir     string
	process *exec.Cmd
	keys    *os.File // the person's side
	line    *os.File // the program's side

	mu     sync.Mutex // guards screen; a leaf lock
	screen bytes.Buffer
	seen   int // how much of it was expected
	gone   chan struct{}
}

// onTerminal starts lakectl in dir on a terminal of 24 lines and 80 columns.
func onTerminal(t *testing.T, dir string, env []string, args ...string) *terminal {
	t.Helper()
	x := &terminal{t: t, dir: dir, gone: make(chan struct{})}
	x.keys, x.line = openPty(t)
	lakectl, err := exec.LookPath("lakectl")
	if err != nil {
		t.Fatal(err)
	}
	x.process = exec.Command(lakectl, args...)
	x.process.Dir = dir
	x.process.Env = append([]string{
		"TERM=xterm-256color", "PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LAKE_TEMP_DIR=" + dir, "LAKE_FILE_CACHE=" + filepath.Join(dir, ".files"), "LAKE_PAGER=off",
	}, env...)
	x.process.Stdin, x.process.Stdout, x.process.Stderr = x.line, x.line, x.line
	x.process.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := x.process.Start(); err != nil {
		t.Fatal(err)
	}
	go x.read()
	t.Cleanup(func() {
		_ = x.process.Process.Kill() // it has ended, where the test went well
		_ = x.keys.Close()
		<-x.gone
		_ = x.line.Close()
	})
	return x
}

func openPty(t *testing.T) (keys, line *os.File) {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := keys.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if cerr := raw.Control(func(fd uintptr) {
		size := unix.Winsize{Row: 24, Col: 80}
		err = errors.Join(unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0), unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &size))
		if err == nil {
			n, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); errors.Join(cerr, err) != nil {
		t.Fatal(cerr, err)
	}
	line, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return keys, line
}

func (x *terminal) read() {
	defer close(x.gone)
	buf := make([]byte, 4096)
	for {
		n, err := x.keys.Read(buf)
		x.mu.Lock()
		x.screen.Write(buf[:n])
		x.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// text is what was written since the last thing that was expected, without the sequences that move the cursor.
func (x *terminal) text() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	raw := x.screen.String()[x.seen:]
	return strings.ReplaceAll(regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`).ReplaceAllString(raw, ""), "\r", "")
}

// expect waits until all of the texts have come, and forgets what came so far.
func (x *terminal) expect(texts ...string) string {
	x.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for {
		got := x.text()
		missing := ""
		for _, want := range texts {
			if !strings.Contains(got, want) {
				missing = want
			}
		}
		if missing == "" {
			x.mu.Lock()
			x.seen = x.screen.Len()
			x.mu.Unlock()
			return got
		}
		if time.Now().After(deadline) {
			x.t.Fatalf("no %q on the screen after a minute:\n%s", missing, got)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// press types keys. Enter is \r.
func (x *terminal) press(keys string) {
	x.t.Helper()
	if _, err := x.keys.WriteString(keys); err != nil {
		x.t.Fatal(err)
	}
}

// ask types a line and waits for the answer and the next prompt.
func (x *terminal) ask(line string, texts ...string) string {
	x.t.Helper()
	x.press(line + "\r")
	return x.expect(append(texts, "\n"+promptNew)...)
}

// leave waits for the end and wants an exit code, and a terminal that echoes again.
func (x *terminal) leave(code int) {
	x.t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = x.process.Wait() // the exit code is looked at below
	}()
	select {
	case <-done:
	case <-time.After(time.Minute):
		x.t.Fatalf("still running:\n%s", x.text())
	}
	if got := x.process.ProcessState.ExitCode(); got != code {
		x.t.Errorf("exit code %d, want %d:\n%s", got, code, x.text())
	}
	mode, err := unix.IoctlGetTermios(int(x.line.Fd()), unix.TCGETS)
	if err != nil || mode.Lflag&unix.ECHO == 0 || mode.Lflag&unix.ISIG == 0 || mode.Lflag&unix.ICANON == 0 {
		x.t.Errorf("the terminal was not restored: %+v, %v", mode, err)
	}
}

// run runs lakectl in dir without a terminal.
func run(t *testing.T, dir string, args ...string) {
	t.Helper()
	c := exec.Command("lakectl", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "HOME="+dir, "LAKE_TEMP_DIR="+dir)
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("lakectl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

const enoughToInterrupt = "SELECT count(*) AS n FROM range(1000000000000) r(i) WHERE i % 7 = 3;"

func TestShellRunsStatementsAndRemembersThem(t *testing.T) {
	dir := t.TempDir()
	x := onTerminal(t, dir, nil, "query")
	x.expect("Statements end with ;", promptNew)
	x.press("SELECT 40\r")
	x.expect("\n" + promptMore)
	x.ask("  + 2 AS answer; -- done", "answer\n     42\n", "1 row\n")
	x.ask("SELECT 1 AS one; SELECT 'a;b' AS two;", "one\n   1\n", "two\n a;b\n")
	x.press("SELECT 'it\r")
	x.expect("\n   '> ")
	x.ask("is' AS text;", `it\nis`)
	x.ask(`\timing on`, "timing is on")
	x.ask("SELECT 5 AS five;", "1 row   ", " ms\n")
	x.ask("SELECT 7 AS kept_out_of_the_file, 'token';", "not kept in the history")
	x.ask(" SELECT 8 AS blank_before;", "blank_before\n")
	x.ask(`\mode json`, "printed as json")
	x.ask("SELECT 6 AS six;", `{"six":6}`)
	x.press("\x04")
	x.leave(0)

	text, err := os.ReadFile(filepath.Join(dir, ".local/state/lakectl/history"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"SELECT 40\n  + 2 AS answer;"`, `"SELECT 1 AS one;"`, `"SELECT 'it\nis' AS text;"`, `"\\mode json"`} {
		if !strings.Contains(string(text), want+"\n") {
			t.Errorf("the history lacks %s:\n%s", want, text)
		}
	}
	for _, secret := range []string{"kept_out", "blank_before"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("the history holds %s:\n%s", secret, text)
		}
	}

	x = onTerminal(t, dir, nil, "query")
	x.expect(promptNew)
	x.press("\x1b[A\x1bOA\x1b[A\x1b[A\x1b[A\x1b[A") // up, over the statement that cannot be one line
	x.expect("SELECT 1 AS one;")
	x.press("\x1b[A")
	x.expect("SELECT 40   + 2 AS answer;")
	x.ask("", "answer\n     42\n")
	x.press("two\x12") // Ctrl-R
	x.expect("SELECT 'a;b' AS two;")
	x.ask("", "two\n a;b\n")
	x.press("\\q\r")
	x.leave(0)
}

func TestShellKeepsNoHistoryWhenAskedNotTo(t *testing.T) {
	for name, tt := range map[string]struct{ env, args []string }{
		"by flag":        {nil, []string{"query", "--no-history"}},
		"by environment": {[]string{"LAKE_HISTORY=off"}, []string{"query"}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			x := onTerminal(t, dir, tt.env, tt.args...)
			x.expect(promptNew)
			x.ask("SELECT 3 AS three;", "three\n")
			x.press("\x1b[A")
			x.expect("SELECT 3 AS three;") // of this shell
			x.press("\x03\x04")
			x.leave(0)
			if _, err := os.Stat(filepath.Join(dir, ".local")); !os.IsNotExist(err) {
				t.Errorf("something was kept: %v", err)
			}
		})
	}
}

func TestShellCompletes(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lake.yml"), []byte("version: 1\nproject: p\ndefault_environment: dev\nenvironments:\n  dev: {warehouse: \"file://./lake\"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, dir, "create", "silver.orders", "--schema", "id bigint, status string, amount double, amount_net double")
	run(t, dir, "create", "./orders_by_path", "--schema", "some_id bigint")
	x := onTerminal(t, dir, nil, "query")
	x.expect("on file://", promptNew)
	x.press("sel\t* fr\tsil\t")
	x.expect("select * from silver.orders")
	x.press(" o where o.am\t\t")
	x.expect("amount      amount_net")
	x.press("_n\t")
	x.expect("o.amount_net")
	x.ask(" > 0 and stat\t = 'x';", "status = 'x'", "id  status  amount  amount_net\n", "\n0 rows\n")
	x.press("SELECT som FROM './orders_\t")
	x.expect("FROM './orders_by_path'")
	x.ask("\x01\x1bf\x1b[C\x1b[C\x1b[C\t\x05;", "some_id", "0 rows\n") // the cursor stands behind som
	x.press(`\de` + "\t")
	x.expect(`\describe`)
	x.ask(" silver.o\t", "amount_net", "double")
	x.ask(`\dt`, "silver.orders")
	x.press("SELECT 1 FROM \t")
	x.expect("silver.orders  '")
	x.press("\x03")
	x.expect("^C\n" + promptNew)
	x.press("\x04")
	x.leave(0)
}

func TestShellStopsAStatementAndGoesOn(t *testing.T) {
	dir := t.TempDir()
	x := onTerminal(t, dir, nil, "query")
	x.expect(promptNew)
	for range 2 {
		x.press(enoughToInterrupt + "\r")
		x.expect("running the query   1.")
		x.press("\x03")
		x.expect("interrupted\n" + promptNew)
	}
	x.ask("SELECT 1 AS one;", "one\n")
	x.press("SELECT 2\r")
	x.expect(promptMore)
	x.press("  AS two\x03") // drops the statement
	x.expect("^C\n" + promptNew)
	x.press("\x03")
	x.expect("Ctrl-C again, or Ctrl-D, leaves\n" + promptNew)
	x.ask("SELECT 3 AS three;", "three\n")
	x.press("\x03")
	x.expect("Ctrl-C again, or Ctrl-D, leaves\n" + promptNew)
	x.press("\x03")
	x.leave(0)
}

func TestShellEndsOnSigterm(t *testing.T) {
	for name, busy := range map[string]bool{"at the prompt": false, "in a statement": true} {
		t.Run(name, func(t *testing.T) {
			x := onTerminal(t, t.TempDir(), nil, "query")
			x.expect(promptNew)
			if busy {
				x.press(enoughToInterrupt + "\r")
				x.expect("running the query   1.")
			}
			if err := x.process.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			x.leave(exitInterrupted)
		})
	}
}

func TestShellBadInput(t *testing.T) {
	dir := t.TempDir()
	run(t, dir, "create", "./t", "--schema", "id bigint")
	x := onTerminal(t, dir, nil, "query")
	x.expect(promptNew)
	x.ask("SELECT id FORM './t';", "error: the SQL is wrong\n", "line 1: SELECT id FORM './t'\n                       ^\n")
	x.press("SELECT id,\r")
	x.expect(promptMore)
	x.ask("  nam FROM './t';", "line 2:   nam FROM './t'\n          ^\n")
	x.ask("SELECT * FROM './nosuch';", "is not a Delta table")
	x.ask("SELECT nosuch; SELECT 1;", "1 statement after it not run")
	x.ask(`\nosuch`, `there is no command \nosuch`)
	x.ask(`\mode yaml`, `\mode: "yaml" is not an output form`)
	x.ask(`\i nosuch.sql`, "cannot read nosuch.sql")
	x.ask(`\d ./nosuch`, "is not a Delta table")
	x.ask(`\help me`, `\help takes no argument`)
	x.ask(";;  ;")
	x.ask("\x1b[200~SELECT 1\n\tAS one;\x1b]0;title\a\x1b[201~", "one\n   1\n") // a paste with a tab and a sequence in it
	x.press("exit;\r")
	x.leave(0)
}

func TestShellPagesWhatDoesNotFit(t *testing.T) {
	dir := t.TempDir()
	x := onTerminal(t, dir, []string{"LAKE_PAGER=sed 's/^/paged: /'"}, "query")
	x.expect(promptNew)
	if got := x.ask("SELECT i FROM range(5) r(i);", "5 rows"); strings.Contains(got, "paged:") {
		t.Errorf("five rows were paged:\n%s", got)
	}
	x.ask("SELECT i FROM range(100) r(i);", "paged:  99\n100 rows\n")
	x.ask("SELECT repeat('x', 100) AS wide;", "paged:  xxx", "1 row\n")
	x.ask(`\pager head -2`, "is shown by head -2")
	x.ask("SELECT i FROM range(1000000000) r(i);", "0\n"+promptNew) // the rest is not computed
	x.ask(`\pager nosuchprogram`)
	x.ask("SELECT i FROM range(100) r(i);", "nosuchprogram")
	x.ask(`\pager off`, "not paged")
	if got := x.ask("SELECT i FROM range(100) r(i);", "100 rows"); strings.Contains(got, "paged:") {
		t.Errorf("paged after all:\n%s", got)
	}
	x.press("\x04")
	x.leave(0)
}

func TestShellEditsAndIncludes(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "q.sql"), []byte("SELECT 11 AS eleven;\nSELECT 12\n AS twelve"), 0o600); err != nil {
		t.Fatal(err)
	}
	x := onTerminal(t, dir, []string{"EDITOR=sed -i s/21/22/"}, "query")
	x.expect(promptNew)
	x.ask(`\i q.sql`, "eleven\n     11\n", "twelve\n     12\n")
	x.ask("SELECT 21 AS n;", "n\n 21\n")
	x.ask(`\e`, "n\n 22\n")
	got := x.ask(`\history`, `\i q.sql`, "SELECT 22 AS n;")
	if strings.Contains(got, "eleven") {
		t.Errorf("the history holds what a file says:\n%s", got)
	}
	x.press("\x04")
	x.leave(0)
}

// Every statement runs, and one that deletes asks first, through the same editor.
func TestShellChangesTablesAndAsks(t *testing.T) {
	for _, kind := range []string{"xterm", "dumb"} {
		t.Run(kind, func(t *testing.T) {
			dir := t.TempDir()
			x := onTerminal(t, dir, []string{"TERM=" + kind}, "query")
			x.expect(promptNew)
			x.ask("CREATE TABLE './t' (id bigint, name string);", "version 0")
			x.ask("INSERT INTO './t' VALUES (1, 'a'), (2, 'b'); UPDATE './t' SET name = 'c' WHERE id = 2;", "inserted 2", "updated 1")
			x.ask("SELECT name FROM './t' ORDER BY id;", " a\n c\n")
			for _, no := range []string{"n\r", "\r", "\x03"} {
				x.press("DROP TABLE './t';\r")
				x.expect("[y/N] ")
				x.press(no)
				x.expect("\n" + promptNew)
			}
			x.ask("SELECT count(*) AS still FROM './t';", "still\n     2\n")
			x.press("DROP TABLE './t';\r")
			x.expect("[y/N] ")
			x.press("y\r")
			x.expect("dropped ./t", "\n"+promptNew)
			x.ask("SELECT count(*) FROM './t';", "is not a Delta table")
			x.press("\x04")
			x.leave(0)
		})
	}
}

// Without a terminal that can do more, lines are asked for as they come.
func TestShellOnADumbTerminal(t *testing.T) {
	x := onTerminal(t, t.TempDir(), []string{"TERM=dumb"}, "query")
	x.expect(promptNew)
	x.ask("SELECT 1 AS one;", "one\n   1\n")
	x.press(enoughToInterrupt + "\r")
	x.expect("running the query   1.")
	x.press("\x03")
	x.expect("interrupted\n" + promptNew)
	x.press("SELECT 2\r")
	x.expect(promptMore)
	x.press("\x03")
	x.expect(promptNew)
	x.ask("SELECT 3 AS three;", "three\n     3\n")
	x.press("\x04")
	x.leave(0)
}

// The dialogue of docs/shell.md comes out as it is printed there.
func TestShellDialogueOfTheDocumentation(t *testing.T) {
	page, err := os.ReadFile("../../docs/shell.md")
	if err != nil {
		t.Fatal(err)
	}
	_, dialogue, _ := strings.Cut(string(page), "```\n")
	dialogue, _, _ = strings.Cut(dialogue, "```\n")
	dir := t.TempDir()
	var x *terminal
	var want, got strings.Builder
	for line := range strings.Lines(dialogue) {
		want.WriteString(regexp.QuoteMeta(line))
		line = strings.TrimSuffix(line, "\n")
		command, isCommand := strings.CutPrefix(line, "$ lakectl ")
		typed, isTyped := strings.CutPrefix(line, promptNew)
		if !isTyped {
			typed, isTyped = strings.CutPrefix(line, promptMore)
		}
		switch {
		case command == "query" && isCommand:
			want.Reset()
			x = onTerminal(t, dir, nil, "query")
			got.WriteString(x.expect("\n" + promptNew))
		case isCommand:
			shell := exec.Command("sh", "-c", "exec lakectl "+command)
			shell.Dir, shell.Env = dir, append(os.Environ(), "HOME="+dir, "LAKE_TEMP_DIR="+dir)
			if out, err := shell.CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", line, err, out)
			}
		case typed == `\q`:
			x.press(typed + "\r")
		case isTyped:
			prompt := "\n" + promptNew
			if !strings.HasSuffix(typed, ";") && !strings.HasPrefix(typed, `\`) {
				prompt = "\n" + promptMore
			}
			x.press(typed + "\r")
			got.WriteString(x.expect(prompt))
		}
	}
	x.leave(0)
	got.WriteString(x.text())
	pattern := "^" + strings.ReplaceAll(want.String(), "…", "(?s:.*?)")
	if !regexp.MustCompile(pattern).MatchString(got.String()) {
		t.Errorf("the dialogue is printed as\n%s\nand comes out as\n%s", dialogue, got.String())
	}
}
