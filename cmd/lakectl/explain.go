package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/internal/ui"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/statement"
	"github.com/lakectl/lakectl/txlog"
)

// explained is the answer to EXPLAIN. JSON names are stable.
type explained struct {
	Tables []explainedTable `json:"tables"`
	Plan   string           `json:"plan"` // DuckDB's
}

type explainedTable struct {
	Table        string        `json:"table"` // as the SELECT names it
	Version      txlog.Version `json:"version"`
	Columns      []string      `json:"columns"` // that are read
	ColumnsTotal int           `json:"columns_total"`
	*table.ScanExplanation
}

// Files that an explanation names, of each kind, for programs and for people.
const (
	explainFilesMax   = 1000
	explainFilesShown = 5
)

// explainOf cuts EXPLAIN and ANALYZE off a statement; ok tells whether it begins with EXPLAIN.
func explainOf(sql string) (rest string, analyze, ok bool) {
	rest, ok = cutWord(sql, "EXPLAIN")
	if !ok {
		return sql, false, false
	}
	rest, analyze = cutWord(rest, "ANALYZE")
	return rest, analyze, true
}

// cutWord cuts a word off the begin of a statement, with the blanks and comments before it.
func cutWord(sql, word string) (rest string, ok bool) {
	at := 0
	for i, p := range statement.Pieces(sql) {
		text := strings.TrimLeft(p, " \t\r\n")
		if comment := strings.HasPrefix(p, "--") || strings.HasPrefix(p, "/*"); i%2 == 0 && text != "" || i%2 == 1 && !comment {
			at += len(p) - len(text)
			break
		}
		at += len(p)
	}
	if at == len(sql) || !isWordAt(sql, at, word) {
		return sql, false
	}
	return sql[at+len(word):], true
}

// explain prints what a SELECT would read, and its plan. With analyze it runs.
func (a *app) explain(ctx context.Context, sql, zone string, analyze bool) error {
	if err := a.oneValue(); err != nil {
		return err
	}
	if strings.TrimSpace(sql) == "" {
		return usageHint("EXPLAIN of nothing", `lakectl query "EXPLAIN SELECT …"`)
	}
	if err := onlySelect(sql); err != nil {
		return err
	}
	stop := a.term.Progress(ctx, a.clock, "explaining the query", nil)
	defer func() { stop() }()
	r, err := a.read(ctx, sql)
	if err != nil {
		return err
	}
	out := explained{Tables: []explainedTable{}}
	for _, s := range r.scanned {
		x, err := s.table.Explain(ctx, s.ref.Predicate, explainFilesMax)
		if err != nil {
			return err
		}
		schema, err := s.table.Schema()
		if err != nil {
			return err
		}
		out.Tables = append(out.Tables, explainedTable{
			Table: s.ref.Key(), Version: s.table.Snapshot().Version(), Columns: s.ref.Columns, ColumnsTotal: len(schema.Fields), ScanExplanation: x,
		})
	}
	engine, err := a.sqlEngine(ctx)
	if err != nil {
		return err
	}
	r.query.TimeZone = zone
	if out.Plan, err = engine.Explain(ctx, r.query, analyze); err != nil {
		return r.gone(err)
	}
	stop()
	stop = func() {}
	if a.term.Machine() {
		return a.term.Object(out)
	}
	for _, t := range out.Tables {
		a.showExplained(t)
	}
	a.term.Printf("%s\n", a.term.Bold("plan of DuckDB"))
	for line := range strings.SplitSeq(out.Plan, "\n") {
		a.term.Printf("%s\n", ui.Clean(line)) // it may hold values of the data
	}
	return nil
}

func (a *app) showExplained(t explainedTable) {
	a.term.Printf("%s   version %d\n", a.term.Bold(ui.Clean(t.Table)), t.Version)
	columns := "none"
	if len(t.Columns) > 0 {
		columns = strings.Join(t.Columns, ", ")
	}
	fact := func(name, text string) { a.term.Printf("  %-10s %s\n", name, ui.Clean(text)) }
	fact("columns", fmt.Sprintf("%s   (%d of %d)", columns, len(t.Columns), t.ColumnsTotal))
	predicate := t.Predicate
	if len(t.Conditions) == 0 {
		predicate = "no condition reaches the table: every file is read"
	}
	fact("predicate", predicate)
	fact("files", fmt.Sprintf("read %s of %s, skipped %s", ui.Count(int64(t.Read)), ui.Count(int64(t.Files)), ui.Skipped(t.SkippedByPartition, t.SkippedByStats)))
	fact("bytes", fmt.Sprintf("%s of %s", ui.Bytes(t.BytesRead), ui.Bytes(t.Bytes)))
	if len(t.Conditions) > 1 {
		for _, c := range t.Conditions {
			fact("alone", fmt.Sprintf("%s would skip %s", c.Condition, ui.Skipped(c.SkippedByPartition, c.SkippedByStats)))
		}
	}
	a.explainedFiles("read", t.FilesRead, t.Read)
	a.explainedFiles("skipped", t.FilesSkipped, t.Files-t.Read)
	a.term.Printf("\n")
}

func (a *app) explainedFiles(name string, files []table.ExplainedFile, total int) {
	for _, f := range files[:min(len(files), explainFilesShown)] {
		text := f.Path + "   " + ui.Bytes(f.Bytes)
		if f.SkippedBy != "" {
			text += "   by " + f.SkippedBy
		}
		if f.Known != "" {
			text += ": " + f.Known
		}
		a.term.Printf("  %-10s %s\n", name, ui.Clean(text))
	}
	if more := total - min(len(files), explainFilesShown); more > 0 {
		a.term.Printf("  %-10s … and %s more\n", name, ui.Count(int64(more)))
	}
}
