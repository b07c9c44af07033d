package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/template"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
)

// What is said besides the counts: promises, fault model, rows that do not exist yet.
//
//go:embed page.md.tmpl
var pageText string

// The bugs that the checks have found.
//
//go:embed trackrecord.json
var trackRecord []byte

// bug is a line of the track record.
type bug struct {
	Symptom string `json:"symptom"`
	Cause   string `json:"cause"`
	Check   string `json:"check"`
	Repeat  string `json:"repeat"`
	Mended  string `json:"mended"` // the commit; "" is open
}

// pageData is what the template sees.
type pageData struct {
	Pull, Long runData
	Bugs       []bug
}

// runData is what was counted at one commit.
type runData struct {
	Commit, Date, Machine string
	Rows                  []ledger.Row
	Seconds               float64
	Failed                int
}

// writePage writes the page from the newest runs that are in the file.
func writePage(path, out string) error {
	rows, err := ledger.Read(out)
	if err != nil {
		return err
	}
	data := pageData{Pull: newest(rows, ledger.Pull), Long: newest(rows, ledger.Long)}
	if data.Pull.Commit == "" {
		return fmt.Errorf("%s has no run of `make reliability`", out)
	}
	if err := json.Unmarshal(trackRecord, &data.Bugs); err != nil {
		return fmt.Errorf("read the track record: %w", err)
	}
	t, err := template.New("page").Funcs(template.FuncMap{"group": group, "cell": cell, "seed": seed}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("read the template of the page: %w", err)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, data); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o644); err != nil {
		return fmt.Errorf("write the page: %w", err)
	}
	return nil
}

// newest is the run of this size that ended last.
func newest(rows []ledger.Row, scale ledger.Scale) runData {
	var d runData
	for _, r := range slices.Backward(rows) {
		if r.Scale == scale && r.By != "" {
			d.Commit = r.Commit
			break
		}
	}
	for _, r := range sums(rows, d.Commit, scale) {
		if d.Commit == "" {
			break
		}
		d.Rows = append(d.Rows, r)
		d.Seconds += r.Seconds
		d.Failed += r.Failed
		d.Machine = r.Machine
		d.Date = max(d.Date, r.Date[:min(len(r.Date), len("2026-01-02"))])
	}
	slices.SortStableFunc(d.Rows, func(a, b ledger.Row) int { return number(a.ID) - number(b.ID) })
	return d
}

// number of a check: 17 of "R17".
func number(id string) (n int) {
	if _, err := fmt.Sscanf(id, "R%d", &n); err != nil {
		return 0
	}
	return n
}

// cell makes text safe within a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func seed(n uint64) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprint(n)
}
