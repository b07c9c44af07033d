package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCutStatements(t *testing.T) {
	for name, tt := range map[string]struct {
		text  string
		whole []string
		rest  string
	}{
		"nothing":                     {"", nil, ""},
		"blanks and empty statements": {" ;\n; ", nil, ""},
		"one and a half":              {"SELECT 1; SELECT\n", []string{"SELECT 1"}, " SELECT\n"},
		"quoted semicolons":           {`SELECT ';', ";" /* ; */ -- ;` + "\n;", []string{`SELECT ';', ";" /* ; */ -- ;`}, ""},
		"doubled quote":               {"SELECT 'it''s;';", []string{"SELECT 'it''s;'"}, ""},
		"open quote":                  {"SELECT 'a;\nb;\n", nil, "SELECT 'a;\nb;\n"},
		"open comment":                {"/* a;\n", nil, "/* a;\n"},
		"a comment alone":             {"SELECT 1; -- done\n", []string{"SELECT 1"}, ""},
		"a comment before":            {"-- why\nSELECT 1;", []string{"-- why\nSELECT 1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			whole, rest := cutStatements(tt.text)
			if d := cmp.Diff(tt.whole, whole); d != "" || rest != tt.rest {
				t.Errorf("%s\nrest %q, want %q", d, rest, tt.rest)
			}
		})
	}
}

func TestOneLine(t *testing.T) {
	for sql, want := range map[string]string{
		"SELECT 1":                         "SELECT 1",
		"SELECT 1,\r\n  2":                 "SELECT 1,   2",
		"SELECT 1 -- a */ b\n, 2 -- c":     "SELECT 1 /* a * / b */ , 2 -- c",
		"/* a\nb */ SELECT 'x' -- y\n\n":   "/* a b */ SELECT 'x' -- y",
		"SELECT 'a\nb'":                    "",
		"SELECT \"a\nb\"":                  "",
		"SELECT '\x1b[2J'":                 "",
		"SELECT\t1":                        "SELECT 1",
		"SELECT '--' -- x\nFROM './a--b'":  "SELECT '--' /* x */ FROM './a--b'",
		"-- only a comment":                "-- only a comment",
		"SELECT 1 -- a\n-- b\n+ 2":         "SELECT 1 /* a */ /* b */ + 2",
		"SELECT 1 /* open and never ended": "SELECT 1 /* open and never ended",
	} {
		got, ok := oneLine(sql)
		if got != want || ok != (want != "") {
			t.Errorf("oneLine(%q) = %q, %v, want %q", sql, got, ok, want)
		}
	}
}

func TestCommandOf(t *testing.T) {
	for line, want := range map[string][]string{
		`\d silver.orders;`: {"d", "silver.orders"}, `.tables`: {"tables", ""}, `\d './a b'`: {"d", "./a b"}, " exit ; ": {"exit", ""}, "HELP": {"help", ""}, `\?`: {"?", ""},
		"SELECT 1": nil, ".5": nil, "": nil, "help me": nil, ".": nil, `\`: {"", ""},
	} {
		name, arg, ok := commandOf(line)
		if ok != (want != nil) || ok && (name != want[0] || arg != want[1]) {
			t.Errorf("commandOf(%q) = %q, %q, %v, want %q", line, name, arg, ok, want)
		}
	}
}

func TestSecretsAreKnown(t *testing.T) {
	for _, secret := range []string{
		"SELECT 'password'", "CREATE SECRET s", "SELECT * FROM 'https://me:pw@h/p.csv'", "SELECT * FROM 'https://h/p?X-Amz-Signature=1'",
		"SELECT 'AKIAIOSFODNN7EXAMPLE'", "SELECT 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY'", "SET api_key = 1", "SELECT 'eyJhbGciOiJIUzI1NiJ9.e30.x'",
		"select PassWd", "SELECT '-----BEGIN X'", "SELECT \"access_key\" FROM t",
	} {
		if !secretive(secret) {
			t.Errorf("%s would be stored", secret)
		}
	}
	for _, plain := range []string{"SELECT * FROM 's3://lake/orders@v1' WHERE day = DATE '2026-01-01'", "SELECT passengers, keynote FROM silver.flights", `\dt`} {
		if secretive(plain) {
			t.Errorf("%s would not be stored", plain)
		}
	}
}

func TestHistoryIsShortenedAndSurvivesDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "history")
	h, err := openHistory(path)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 2*historyEntries + 1 {
		if stored, err := h.add(fmt.Sprintf("SELECT %d;", i)); err != nil || !stored {
			t.Fatal(stored, err)
		}
	}
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("\x00garbage\n\"cut off"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Chmod(0o644), f.Close()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second reads what the first has shortened
		if h, err = openHistory(path); err != nil {
			t.Fatal(err)
		}
		if h.Len() != historyEntries || h.At(0) != fmt.Sprintf("SELECT %d;", 2*historyEntries) {
			t.Fatalf("%d entries, the newest %q", h.Len(), h.At(0))
		}
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 || info.Size() > 20*historyEntries {
			t.Fatalf("%v, %v: want a short file of one user", info, err)
		}
	}
	if stored, err := h.add(strings.Repeat("x", historyEntryBytes+1)); stored || err != nil || len(h.At(0)) <= historyEntryBytes {
		t.Errorf("stored %v, %v: a long entry is for this shell alone", stored, err)
	}
	if _, err := openHistory(filepath.Dir(path)); err == nil {
		t.Error("a folder was taken for a history")
	}
}

func TestHistoryOfManyShells(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	var wg sync.WaitGroup
	for s := range 8 {
		h, err := openHistory(path)
		if err != nil {
			t.Fatal(err)
		}
		wg.Go(func() {
			for i := range 50 {
				if _, err := h.add(fmt.Sprintf("SELECT %d, %d;", s, i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if h, err := openHistory(path); err != nil || h.Len() != 400 {
		t.Errorf("%d entries of 400, %v", h.Len(), err)
	}
}

func TestHistoryPath(t *testing.T) {
	for name, tt := range map[string]struct {
		env  map[string]string
		want string
	}{
		"state":       {map[string]string{"XDG_STATE_HOME": "/s", "HOME": "/h"}, "/s/lakectl/history"},
		"home":        {map[string]string{"HOME": "/h"}, "/h/.local/state/lakectl/history"},
		"own":         {map[string]string{"HOME": "/h", "LAKE_HISTORY": "/x"}, "/x"},
		"off":         {map[string]string{"HOME": "/h", "LAKE_HISTORY": "off"}, ""},
		"nobody":      {nil, ""},
		"not a place": {map[string]string{"XDG_STATE_HOME": "relative"}, ""},
	} {
		if got := historyPath(func(k string) string { return tt.env[k] }); got != tt.want {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// fixedLake is a lake of two tables.
type fixedLake struct{}

func (fixedLake) tables() []string { return []string{"silver.flights", "silver.orders", "gold.days"} }

func (fixedLake) columns(name string) []string {
	return map[string][]string{
		"silver.orders": {"id", "status", "amount", "My Col", "order"}, "silver.flights": {"origin", "day"}, "./p": {"place"},
	}[name]
}

func TestCompleteSQL(t *testing.T) {
	for name, tt := range map[string]struct {
		text  string // | is the cursor
		words string
	}{
		"keyword":                     {"SEL|", "SELECT "},
		"keyword, lower case":         {"sel|", "select "},
		"table":                       {"SELECT * FROM silver.|", "silver.flights silver.orders"},
		"table, nothing begun":        {"SELECT * FROM |", "silver.flights silver.orders gold.days '"},
		"table after a comma":         {"SELECT * FROM silver.orders o, gol|", "gold.days"},
		"no table after a comma":      {"SELECT * FROM silver.orders ORDER BY a, gol|", ""},
		"table of a join":             {"SELECT * FROM silver.orders JOIN gol|", "gold.days"},
		"table of an update":          {"UPDATE silver.o|", "silver.orders"},
		"column, FROM after it":       {"SELECT stat| FROM silver.orders", "status"},
		"column by alias":             {"SELECT o.st| FROM silver.flights f JOIN silver.orders AS o USING (id)", "status"},
		"column by name of its table": {"SELECT orders.am| FROM silver.orders", "amount"},
		"all columns of an alias":     {"SELECT f.| FROM silver.flights f", "origin day"},
		"columns, nothing begun":      {"SELECT * FROM silver.flights f WHERE |", "origin day f."},
		"column that needs quotes":    {"SELECT My| FROM silver.orders", `"My Col"`},
		"column like a keyword":       {"SELECT ord| FROM silver.orders", `"order" orders. order `},
		"column of a path":            {"SELECT pl| FROM './p'", "place"},
		"function":                    {"SELECT date_t|", "date_trunc("},
		"nothing at all":              {"|", ""},
		"in a text":                   {"SELECT 'sel|", ""},
		"in a comment":                {"SELECT /* sel|", ""},
		"over lines":                  {"SELECT *\nFROM -- here\n silver.fl|", "silver.flights"},
	} {
		t.Run(name, func(t *testing.T) {
			before, after, _ := strings.Cut(tt.text, "|")
			start, words := completeSQL(before, after, fixedLake{})
			if got := strings.Join(words, " "); got != tt.words {
				t.Errorf("got %q, want %q", got, tt.words)
			}
			if start < 0 || start > len(before) {
				t.Errorf("start %d of %q", start, before)
			}
		})
	}
}

func TestCompletePath(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"orders/_delta_log", "orphans", "sub", ".hidden"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"new.csv", "notes.txt"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for begun, want := range map[string]string{
		"or": "orders' orphans/", "n": "new.csv'", "": "new.csv' orders' orphans/ sub/", "nosuch/": "", "s3://b/": "",
	} {
		path := dir + "/" + begun
		if strings.Contains(begun, "://") {
			path = begun
		}
		if _, words := completePath(path, false, dataFile); strings.Join(words, " ") != want {
			t.Errorf("%q: %q, want %q", begun, words, want)
		}
	}
}

// keys decodes what a terminal sends, in pieces of the given size.
func keys(t *testing.T, raw string, piece int) (lines []string, aborted []bool) {
	t.Helper()
	k := newKeyReader(&pieces{raw: []byte(raw), size: piece}, io.Discard)
	var line []byte
	buf := make([]byte, 256)
	for {
		n, err := k.Read(buf)
		line = append(line, buf[:n]...)
		if n > 0 && line[len(line)-1] == '\r' {
			lines, aborted = append(lines, string(line)), append(aborted, k.aborted)
			line, k.aborted = nil, false
		}
		if err != nil {
			return append(lines, string(line)), append(aborted, false)
		}
	}
}

type pieces struct {
	raw  []byte
	size int
}

func (p *pieces) Read(b []byte) (int, error) {
	if len(p.raw) == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.raw[:min(p.size, len(p.raw))])
	p.raw = p.raw[n:]
	return n, nil
}

func TestKeysAreSpeltForTheEditor(t *testing.T) {
	for name, tt := range map[string]struct {
		raw     string
		lines   []string
		aborted int // number of the line that Ctrl-C ended; -1: none
	}{
		"letters":          {"aé\rb", []string{"aé\r", "b"}, -1},
		"arrows":           {"\x1bOA\x1b[B", []string{"\x1b[A\x1b[B"}, -1},
		"home and end":     {"\x1b[1~\x1bOF", []string{"\x1b[H\x1b[F"}, -1},
		"words":            {"\x1b[1;5C\x1bb\x1b\x7f", []string{wordRight + wordLeft + eraseWord}, -1},
		"unknown keys":     {"a\x1b[15~\x1bOPb\x1b[?1;2c", []string{"ab"}, -1},
		"Ctrl-C":           {"ab\x03c\r", []string{"ab" + endOfLine + "\r", "c\r"}, 0},
		"paste":            {"\x1b[200~a\tb\r\nc\x1b[A\x03\x1b[201~d\r", []string{pasteBegin + "a b\r", "c[A" + pasteEnd + "d\r"}, -1},
		"paste, unended":   {"x\x1b[200~a\r", []string{"x"}, -1},
		"endless sequence": {"\x1b[" + strings.Repeat("1", 40) + "a\r", []string{"111111111a\r"}, -1},
	} {
		for _, piece := range []int{1, 7, 4096} {
			t.Run(fmt.Sprintf("%s in pieces of %d", name, piece), func(t *testing.T) {
				lines, aborted := keys(t, tt.raw, piece)
				if lines[len(lines)-1] == "" {
					lines = lines[:len(lines)-1]
				}
				if d := cmp.Diff(tt.lines, lines); d != "" {
					t.Error(d)
				}
				for i, a := range aborted {
					if a != (i == tt.aborted) {
						t.Errorf("line %d: aborted %v", i, a)
					}
				}
			})
		}
	}
}

// Whatever a terminal sends, decoding it ends, and nothing comes out that moves the cursor by more than a key.
func FuzzKeysDecode(f *testing.F) {
	f.Add("a\x1b[200~b\x1b[201~\x03\r", 3)
	f.Add("\x1b[1;5C\x1b\x1b[\x1b", 1)
	known := map[string]bool{pasteBegin: true, pasteEnd: true}
	for _, s := range sequences() {
		known[s] = true
	}
	f.Fuzz(func(t *testing.T, raw string, piece int) {
		lines, _ := keys(t, raw, max(1, min(piece, 4096)))
		for _, l := range lines {
			b := []byte(l)
			for i := bytes.IndexByte(b, keyEscape); i >= 0; i = bytes.IndexByte(b, keyEscape) {
				end := i + 2
				for end <= len(b) && !known[string(b[i:end])] {
					end++
				}
				if end > len(b) {
					t.Fatalf("%q holds a sequence that the editor does not know", l)
				}
				b = b[end:]
			}
		}
	})
}
