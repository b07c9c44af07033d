package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/lakectl/lakectl/internal/redact"
	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table/statement"
)

// Bounds of the history.
const (
	historyEntries    = 2000     // that are kept
	historyEntryBytes = 64 << 10 // of one that is kept in the file
	historyFileBytes  = 16 << 20 // that are read
)

// history holds what was entered, in a file of the user or, without a path, for this process alone. Each line of the
// file is one statement as a JSON string.
type history struct {
	path    string
	entries []string // oldest first
	lines   []string // the same, as one line each, for the arrow keys; those that cannot be one are left out
}

// historyPath is where the history is kept: LAKE_HISTORY, or lakectl/history in the user's folder for state; "" when it
// shall not be kept.
func historyPath(env func(string) string) string {
	switch path := env("LAKE_HISTORY"); path {
	case "":
	case "off", "none", "0":
		return ""
	default:
		return path
	}
	state := env("XDG_STATE_HOME")
	if state == "" && env("HOME") != "" {
		state = filepath.Join(env("HOME"), ".local", "state")
	}
	if !filepath.IsAbs(state) {
		return ""
	}
	return filepath.Join(state, "lakectl", "history")
}

// openHistory reads the history. A file that cannot be read is an error, and an empty history.
func openHistory(path string) (*history, error) {
	h := &history{path: path}
	if path == "" {
		return h, nil
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return h, nil
	}
	if err != nil {
		return h, fmt.Errorf("read history: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	stored := 0
	in := bufio.NewScanner(io.LimitReader(f, historyFileBytes))
	in.Buffer(nil, historyFileBytes)
	for in.Scan() {
		var entry string
		if json.Unmarshal(in.Bytes(), &entry) != nil || entry == "" {
			continue // a line that was cut off
		}
		stored++
		h.keep(entry)
	}
	if err := in.Err(); err != nil {
		return h, fmt.Errorf("read history: %w", err)
	}
	if stored > 2*historyEntries {
		return h, h.rewrite()
	}
	return h, nil
}

// add remembers an entry, and writes it to the file unless it may hold a secret or begins with a blank. stored tells
// whether it may be there now.
func (h *history) add(entry string) (stored bool, err error) {
	h.keep(strings.TrimSpace(entry))
	if h.path == "" || strings.HasPrefix(entry, " ") || len(entry) > historyEntryBytes || secretive(entry) {
		return false, nil
	}
	if err := os.MkdirAll(filepath.Dir(h.path), 0o700); err != nil {
		return false, fmt.Errorf("write history: %w", err)
	}
	f, err := os.OpenFile(h.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return false, fmt.Errorf("write history: %w", err)
	}
	err = errors.Join(f.Chmod(0o600), writeEntry(f, strings.TrimSpace(entry)), f.Close())
	if err != nil {
		return false, fmt.Errorf("write history: %w", err)
	}
	return true, nil
}

// writeEntry writes one line in one piece: other shells append, too.
func writeEntry(w io.Writer, entry string) error {
	text, err := json.Marshal(entry)
	if err != nil {
		return err
	}
	_, err = w.Write(append(text, '\n'))
	return err
}

// rewrite replaces the file by one with the newest entries.
func (h *history) rewrite() error {
	f, err := os.CreateTemp(filepath.Dir(h.path), ".history-*")
	if err != nil {
		return fmt.Errorf("shorten history: %w", err)
	}
	out := bufio.NewWriter(f)
	for _, e := range h.entries {
		err = errors.Join(err, writeEntry(out, e))
	}
	err = errors.Join(err, out.Flush(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), h.path)
	}
	if err != nil {
		return fmt.Errorf("shorten history: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}

func (h *history) keep(entry string) {
	if entry == "" || len(h.entries) > 0 && h.entries[len(h.entries)-1] == entry {
		return
	}
	h.entries = newest(append(h.entries, entry))
	if line, ok := oneLine(entry); ok {
		h.lines = newest(append(h.lines, line))
	}
}

func newest(list []string) []string { return list[max(0, len(list)-historyEntries):] }

// Len is the number of lines.
func (h *history) Len() int { return len(h.lines) }

// At is the nth line, the newest is 0.
func (h *history) At(n int) string { return h.lines[len(h.lines)-1-n] }

// secretive tells whether text may hold a secret. It would rather be wrong than sorry: a column called token counts.
func secretive(text string) bool {
	words := regexp.MustCompile(`(?i)passw(or)?d|passphrase|\bpwd\b|secret|credential|token|api_?key|access_?key|account_?key|private_?key|\bbearer\b|-----BEGIN|\beyJ[\w-]{8,}\.|\b(AKIA|ASIA)[0-9A-Z]{16}\b|['"][A-Za-z0-9/+=]{40}['"]`)
	if words.MatchString(text) {
		return true
	}
	for _, u := range regexp.MustCompile(`[A-Za-z][A-Za-z0-9+.-]*://[^\s'"]+`).FindAllString(text, -1) {
		if redact.URL(u) != u {
			return true
		}
	}
	return false
}

// oneLine writes a statement as one line that means the same; false where a quoted text holds a line break or another
// control character.
func oneLine(sql string) (string, bool) {
	parts := statement.Pieces(sql)
	for i, p := range parts {
		switch {
		case i%2 == 0 || strings.HasPrefix(p, "/*"):
			parts[i] = strings.NewReplacer("\r", "", "\n", " ", "\t", " ").Replace(p)
		case strings.HasPrefix(p, "--") && i+1 < len(parts) && strings.TrimSpace(strings.Join(parts[i+1:], "")) != "":
			parts[i] = "/*" + strings.ReplaceAll(p[2:], "*/", "* /") + " */"
		}
	}
	line := strings.TrimSpace(strings.Join(parts, ""))
	if ui.Clean(line) != line {
		return "", false
	}
	return line, true
}
