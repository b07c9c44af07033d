package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
)

// The systems of the merge benchmark.
const (
	systemOurs    = "lakectl"
	systemDeltaRS = "delta-rs"
	systemSpark   = "Spark"
)

// mergeRun is the merge benchmark under way. It goes on where an earlier run with the same folder ended.
type mergeRun struct {
	*bench
	tables  mergeTables
	python  string // with delta-rs
	sparkPy string // with Spark
	jars    string
	systems []string
	only    string // cases whose name has this text
	again   bool   // measure ours anew
	page    string // file whose table is replaced

	spark   *sparkPeer
	results []mergeResult
	file    *os.File
}

// mergeWork is what a child does to a table: ours as Go, delta-rs as Python, Spark as one process for all.
type mergeWork struct {
	Do    string    `json:"do"` // merge, sums, scan
	Table string    `json:"table"`
	Case  mergeCase `json:"case"`
	SQL   string    `json:"sql"` // of sums, over t
	Dir   string    `json:"dir"` // for temporary files
}

// mergeResult is one line of the file of results.
type mergeResult struct {
	Case   string            `json:"case"` // with its target
	System string            `json:"system"`
	Round  int               `json:"round"`
	Figure figure            `json:"figure"`
	Sums   map[string]string `json:"sums,omitempty"` // of the table after the merge, by who read it; last round
	Scan   float64           `json:"scan,omitempty"` // seconds of a full scan after the merge, ours
	Fresh  float64           `json:"fresh,omitempty"`
}

// run measures every case in every system that has not been measured yet, and prints the table.
func (m *mergeRun) run(ctx context.Context) (err error) {
	for _, s := range m.systems {
		if s != systemOurs && s != systemDeltaRS && s != systemSpark {
			return fmt.Errorf("-systems: %q is not %s, %s or %s", s, systemOurs, systemDeltaRS, systemSpark)
		}
	}
	generate := m.at("merge")
	generate.MergeTables = &m.tables
	if _, err := spawn(ctx, generate); err != nil {
		return err
	}
	if err := m.resume(); err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, m.file.Close())
		if m.spark != nil {
			err = errors.Join(err, m.spark.close())
		}
	}()
	for _, c := range m.tables.cases() {
		if !strings.Contains(c.title(), m.only) {
			continue
		}
		if err := m.measure(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.title(), err)
		}
	}
	return m.report()
}

func (c mergeCase) title() string { return c.Target + ": " + c.Name }

// resume reads what was measured before.
func (m *mergeRun) resume() error {
	path := filepath.Join(m.tables.Dir, "results.jsonl")
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("read earlier results: %w", err)
	}
	var kept []byte
	for line := range strings.Lines(string(b)) {
		var r mergeResult
		if json.Unmarshal([]byte(line), &r) != nil {
			continue // cut off
		}
		if m.again && r.System == systemOurs && strings.Contains(r.Case, m.only) {
			continue
		}
		m.results = append(m.results, r)
		kept = append(kept, line...)
	}
	if err := os.WriteFile(path, kept, 0o600); err != nil {
		return fmt.Errorf("keep earlier results: %w", err)
	}
	m.file, err = os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("open the results: %w", err)
	}
	return nil
}

func (m *mergeRun) find(c mergeCase, system string, round int) *mergeResult {
	for i, r := range m.results {
		if r.Case == c.title() && r.System == system && r.Round == round {
			return &m.results[i]
		}
	}
	return nil
}

// measure takes turns between the systems, and compares the tables that the last round leaves.
func (m *mergeRun) measure(ctx context.Context, c mergeCase) error {
	for round := range m.Rounds {
		for _, system := range m.systems {
			if c.only != "" && !strings.Contains(c.only, system) || m.find(c, system, round) != nil {
				continue
			}
			r, err := m.once(ctx, c, system, round)
			if err != nil {
				return fmt.Errorf("%s: %w", system, err)
			}
			line, err := json.Marshal(r)
			if err != nil {
				return fmt.Errorf("write a result: %w", err)
			}
			if _, err := m.file.Write(append(line, '\n')); err != nil {
				return fmt.Errorf("write a result: %w", err)
			}
			m.results = append(m.results, r)
			fmt.Fprintf(os.Stderr, "%-50s %-8s %8.2f s %8.2f s of processors %6d MiB  %s\n", c.title(), system, r.Figure.Seconds, r.Figure.CPU, r.Figure.RSS>>20, r.Figure.Note)
		}
	}
	return m.same(c)
}

// same demands that every reader found the same rows after the merge of every system.
func (m *mergeRun) same(c mergeCase) error {
	want, whose := "", ""
	for _, r := range m.results {
		if r.Case != c.title() {
			continue
		}
		for reader, sums := range r.Sums {
			if want == "" {
				want, whose = sums, r.System+" read by "+reader
			}
			if sums != want {
				return fmt.Errorf("%s read by %s has rows %s, %s has %s", r.System, reader, sums, whose, want)
			}
		}
	}
	return nil
}

// once merges in one system into a copy of the table.
func (m *mergeRun) once(ctx context.Context, c mergeCase, system string, round int) (mergeResult, error) {
	r := mergeResult{Case: c.title(), System: system, Round: round}
	path, err := m.tables.fresh(system, c.Target)
	if err != nil {
		return r, err
	}
	w := mergeWork{Do: "merge", Table: path, Case: c, Dir: filepath.Join(m.tables.Dir, "tmp")}
	if r.Figure, err = m.ask(ctx, system, w); err != nil {
		return r, err
	}
	if round != m.Rounds-1 {
		return r, nil
	}
	readers := []string{system}
	if system == systemOurs { // others must read what we leave
		readers = m.readers(c)
	}
	r.Sums = map[string]string{}
	for _, reader := range readers {
		w := mergeWork{Do: "sums", Table: path, SQL: m.tables.target(c.Target).sums(reader, "t"), Dir: w.Dir}
		f, err := m.ask(ctx, reader, w)
		if err != nil {
			return r, fmt.Errorf("read by %s: %w", reader, err)
		}
		r.Sums[reader] = f.Note
	}
	if system != systemOurs {
		return r, nil
	}
	w.Do, w.SQL = "scan", m.tables.target(c.Target).sums(systemOurs, "t")
	after, err := m.ask(ctx, systemOurs, w)
	if err != nil {
		return r, err
	}
	w.Table = filepath.Join(m.tables.Dir, c.Target)
	before, err := m.ask(ctx, systemOurs, w)
	r.Scan, r.Fresh = after.Seconds, before.Seconds
	return r, err
}

func (m *mergeRun) readers(c mergeCase) []string {
	return slices.DeleteFunc(slices.Clone(m.systems), func(s string) bool { return c.only != "" && !strings.Contains(c.only, s) })
}

// ask lets a system do some work in a process of its own, or in that of Spark.
func (m *mergeRun) ask(ctx context.Context, system string, w mergeWork) (figure, error) {
	switch system {
	case systemOurs:
		s := m.at("merge")
		s.MergeWork = &w
		return spawn(ctx, s)
	case systemDeltaRS:
		text, err := json.Marshal(w)
		if err != nil {
			return figure{}, fmt.Errorf("write the settings of the child: %w", err)
		}
		return figureOf(exec.CommandContext(ctx, m.python, filepath.Join("bench", "deltars.py"), w.Do, string(text)))
	}
	if m.spark == nil {
		p, err := startSpark(ctx, m.sparkPy, m.jars, m.tables.Dir)
		if err != nil {
			return figure{}, err
		}
		m.spark = p
		if err := m.warm(w); err != nil {
			return figure{}, err
		}
	}
	return m.spark.ask(w)
}

// warm lets Spark do a merge that does not count, so that its code is compiled.
func (m *mergeRun) warm(w mergeWork) error {
	all := m.tables.cases()
	c := all[slices.IndexFunc(all, func(c mergeCase) bool { return strings.HasPrefix(c.Name, "upsert f 0.05 m 0.1 n 0.01") })]
	path, err := m.tables.fresh("warm", c.Target)
	if err != nil {
		return err
	}
	for _, w := range []mergeWork{{Do: "merge", Table: path, Case: c, Dir: w.Dir}, {Do: "sums", Table: path, SQL: m.tables.target(c.Target).sums(systemSpark, "t"), Dir: w.Dir}} {
		if _, err := m.spark.ask(w); err != nil {
			return fmt.Errorf("warm up: %w", err)
		}
	}
	return nil
}

// sparkPeer is a Spark that takes one line of JSON for each piece of work.
type sparkPeer struct {
	cmd *exec.Cmd
	in  *json.Encoder
	out *bufio.Scanner
	end func() error
}

func startSpark(ctx context.Context, python, jars, dir string) (*sparkPeer, error) {
	cmd := exec.CommandContext(ctx, python, filepath.Join("bench", "spark.py"), jars, filepath.Join(dir, "spark"))
	cmd.Stderr = os.Stderr
	cmd.Env = append(os.Environ(), "SPARK_LOCAL_IP=127.0.0.1", "TZ=UTC", "PYTHONDONTWRITEBYTECODE=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start Spark: %w", err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start Spark: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start Spark: %w", err)
	}
	p := &sparkPeer{cmd: cmd, in: json.NewEncoder(in), out: bufio.NewScanner(out), end: in.Close}
	p.out.Buffer(nil, 1<<20)
	return p, nil
}

func (p *sparkPeer) ask(w mergeWork) (f figure, err error) {
	if err := p.in.Encode(w); err != nil {
		return f, fmt.Errorf("ask Spark: %w", err)
	}
	for p.out.Scan() {
		if line := p.out.Text(); strings.HasPrefix(line, "{") { // Spark says other things too
			err := json.Unmarshal([]byte(line), &f)
			return f, err
		}
	}
	return f, errors.Join(errors.New("no answer: Spark ended"), p.out.Err())
}

func (p *sparkPeer) close() error {
	if err := p.end(); err != nil {
		return fmt.Errorf("end Spark: %w", err)
	}
	return p.cmd.Wait()
}

// measureMergeWork is ours. The time of a merge begins before the table and the engine are opened.
func measureMergeWork(ctx context.Context, s settings) error {
	w := *s.MergeWork
	store, err := file.Open(filepath.Dir(w.Table))
	if err != nil {
		return err
	}
	sources, err := file.Open(filepath.Dir(w.Table))
	if w.Do == "merge" {
		sources, err = file.Open(filepath.Dir(w.Case.Source))
	}
	if err != nil {
		return err
	}
	worked, err := processorSeconds()
	if err != nil {
		return err
	}
	start := time.Now()
	eng, err := duckdb.Open(duckdb.Options{MemoryBytes: s.Memory, Threads: s.Threads, TempDir: w.Dir})
	if err != nil {
		return err
	}
	defer func() { _ = eng.Close() }()
	if w.Do != "merge" {
		return measureSums(ctx, w, store, eng)
	}
	t, err := table.Open(ctx, store, filepath.Base(w.Table))
	if err != nil {
		return err
	}
	st, err := os.Stat(w.Case.Source)
	if err != nil {
		return fmt.Errorf("find the source: %w", err)
	}
	rel := table.Relation{External: &table.External{Format: "parquet"}, Files: []table.RelationFile{
		{Store: sources, Key: filepath.Base(w.Case.Source), Size: st.Size()},
	}}
	r, err := t.Merge(ctx, eng, table.Merge{
		Source: table.Query{SQL: "SELECT * FROM updates", Relations: map[string]table.Relation{"updates": rel}},
		On:     w.Case.On, Clauses: w.Case.clauses(),
	})
	if err != nil {
		return err
	}
	note := fmt.Sprintf("updated %d, inserted %d, deleted %d; files scanned %d, matched %d of %d; vectors %d, added %d, removed %d, written %d KiB",
		r.RowsUpdated, r.RowsInserted, r.RowsDeleted, r.FilesScanned, r.FilesMatched, r.FilesTotal, r.DeletionVectors, r.FilesAdded, r.FilesRemoved, r.BytesWritten>>10)
	seconds := time.Since(start).Seconds()
	now, err := processorSeconds()
	if err != nil {
		return err
	}
	return reportFigure(figure{Seconds: seconds, CPU: now - worked, Note: note})
}

// measureSums reads a table whole; a scan does so twice, and the second time counts.
func measureSums(ctx context.Context, w mergeWork, store *file.Store, eng table.Engine) error {
	rounds := 1
	if w.Do == "scan" {
		rounds = 2
	}
	var f figure
	for range rounds {
		start := time.Now()
		t, err := table.Open(ctx, store, filepath.Base(w.Table))
		if err != nil {
			return err
		}
		rel, _, err := t.Relation(ctx, table.ScanOptions{})
		if err != nil {
			return err
		}
		rows, err := eng.Query(ctx, table.Query{SQL: w.SQL, Relations: map[string]table.Relation{"t": rel}})
		if err != nil {
			return err
		}
		for row, err := range rows.All {
			if err != nil {
				return errors.Join(err, rows.Close())
			}
			texts := make([]string, len(row))
			for i, v := range row {
				n, _ := v.(int64)
				texts[i] = strconv.FormatInt(n, 10)
			}
			f.Note = strings.Join(texts, " ")
		}
		if err := rows.Close(); err != nil {
			return err
		}
		f.Seconds = time.Since(start).Seconds()
	}
	return reportFigure(f)
}
