package refmodel

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/tabletest"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// state is what a version of the table must hold.
type state struct {
	rows []row
	wide bool  // has column x
	txn  int64 // progress of application "app"; -1 is none
	at   time.Time
}

// world is a real table and its model.
type world struct {
	options options
	eng     table.Engine
	store   objectstore.Store
	clock   *clock.Manual // nil: the store has the clock of this machine
	seed    uint64
	tab     *table.Table
	history []state // by version
	floor   int     // the oldest version that vacuum had to leave readable
	waits   int

	predicates *predicates
	parts      []part // to be read
	readTo     int    // the newest version that was queued
	same       int    // reads whose condition left out no file
	tally      *tally
}

// tally counts what worlds have done. Each world has its own.
type tally struct {
	steps            int
	kinds            map[string]int
	states           map[uint64]bool
	spent            map[string]time.Duration // by kind of step, and for reads
	skipped          int                      // files that reads left out
	readsOld, vacuum int
	refused          int // steps that had to fail, and did
	fed              int // changes that feeds told
}

func newTally() *tally {
	return &tally{kinds: map[string]int{}, states: map[uint64]bool{}, spent: map[string]time.Duration{}}
}

const tablePath = "lake/t"

func newWorld(ctx context.Context, o options, p *predicates, dir string) (*world, error) {
	w := &world{options: o, eng: p.eng, predicates: p, tally: newTally()}
	if o.file {
		s, err := file.Open(dir)
		if err != nil {
			return nil, err
		}
		w.store = s
	} else {
		w.clock = clock.NewStepping(tabletest.Start())
		w.store = mem.New("r5", mem.WithClock(w.clock))
	}
	schema, err := txlog.ParseColumns(ddl(colX))
	if err != nil {
		return nil, err
	}
	w.tab, err = table.CreateTable(ctx, w.store, tablePath, table.Create{
		Schema: schema, PartitionBy: o.partition, Properties: o.properties(), Constraints: o.constraints(),
	}, w.tableOptions())
	if err != nil {
		return nil, err
	}
	w.history = []state{{txn: -1, at: w.now()}}
	return w, nil
}

// tableOptions are those of a new process.
func (w *world) tableOptions() table.Options {
	w.seed++
	o := table.Options{Log: txlog.Options{Rand: clock.SeededRand(w.seed)}}
	if w.clock != nil {
		o.Log.Clock = w.clock
	}
	return o
}

func (w *world) now() time.Time {
	if w.clock != nil {
		return w.clock.Now()
	}
	return clock.System().Now()
}

func (w *world) current() state { return w.history[len(w.history)-1] }

// expectation is what a step must lead to.
type expectation struct {
	next    state
	err     error // a sentinel that the step must fail with
	mayFail error // a sentinel that it may fail with
	got     error
	commits int // the most it may make
}

// do takes a step on the table and on the model, and compares what it says of itself.
func (w *world) do(ctx context.Context, s step) error {
	began := time.Now()
	defer func() { w.tally.spent[s.kind] += time.Since(began) }()
	if s.kind == "vacuum" { // it may remove what is still to be read
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	w.tally.steps++
	w.tally.kinds[s.kind]++
	if w.clock != nil {
		w.clock.Advance(time.Minute)
	}
	if w.options.reopen || s.kind == "reopen" {
		var err error
		if w.tab, err = table.Open(ctx, w.store, tablePath, w.tableOptions()); err != nil {
			return fmt.Errorf("reopen: %w", err)
		}
	}
	before := w.current()
	e := expectation{next: before, commits: 1}
	if err := w.take(ctx, s, &e); err != nil {
		return err
	}
	switch {
	case e.err != nil:
		if !errors.Is(e.got, e.err) {
			return fmt.Errorf("%s: got error %w, want %w", s.kind, e.got, e.err)
		}
		w.tally.refused++
		e.next = before
	case e.got != nil && e.mayFail != nil && errors.Is(e.got, e.mayFail):
		w.tally.refused++
		e.next = before
	case e.got != nil:
		return fmt.Errorf("%s: %w", s.kind, e.got)
	}
	newest := int(w.tab.Snapshot().Version())
	if newest < len(w.history)-1 || newest > len(w.history)-1+e.commits {
		return fmt.Errorf("%s: version %d after %d, at most %d commits", s.kind, newest, len(w.history)-1, e.commits)
	}
	if newest == len(w.history)-1 && (e.next.wide != before.wide || e.next.txn != before.txn || counted(e.next.rows).Diff(counted(before.rows)) != "") {
		return fmt.Errorf("%s: no commit, and the rows must change:\n%s", s.kind, counted(before.rows).Diff(counted(e.next.rows)))
	}
	for len(w.history) <= newest {
		e.next.at = w.now()
		if least := w.current().at.Add(time.Millisecond); e.next.at.Before(least) {
			e.next.at = least // Protocol: the timestamps of commits are made to rise
		}
		w.history = append(w.history, e.next)
	}
	return nil
}

// counted is the rows as tabletest counts them.
func counted(rows []row) tabletest.Multiset {
	out := tabletest.Multiset{}
	for _, r := range rows {
		out[`"" | `+r.text()]++
	}
	return out
}

// hash tells states apart.
func (w *world) hash() uint64 {
	texts := make([]string, 0, len(w.current().rows))
	for _, r := range w.current().rows {
		texts = append(texts, r.text())
	}
	slices.Sort(texts)
	h := fnv.New64a()
	_, _ = fmt.Fprintln(h, w.options, w.current().wide, w.tab.Snapshot().Files().Len(), strings.Join(texts, "\n"))
	return h.Sum64()
}

// read asks for the version that the step made, and for an older one, with skipping and without. The rows come with the
// next flush: versions never change, and a database for each read would be most of the work.
func (w *world) read(ctx context.Context, s step) error {
	began := time.Now()
	defer func() { w.tally.spent["reads"] += time.Since(began) }()
	w.tally.states[w.hash()] = true
	if newest := len(w.history) - 1; newest > w.readTo || s.kind == "read" || s.kind == "reopen" {
		for v := w.readTo + 1; v <= newest && w.options.feed; v++ {
			if err := w.queueFeed(ctx, v, s.kind); err != nil {
				return err
			}
		}
		w.readTo = newest
		if err := w.queue(ctx, w.tab, newest, s.where); err != nil {
			return err
		}
	}
	old := w.floor + s.pick%(len(w.history)-w.floor)
	switch {
	case s.kind == "read" && s.odd:
		return w.readAny(ctx, s)
	case s.kind == "read" || s.pick%3 == 0:
		at, err := w.open(ctx, old, s.odd)
		if err != nil {
			return fmt.Errorf("version %d: %w", old, err)
		}
		w.tally.readsOld++
		if err := w.queue(ctx, at, old, s.where); err != nil {
			return err
		}
	}
	if len(w.parts) < flushAt {
		return nil
	}
	return w.flush(ctx)
}

// readAny reads any version at once: one that vacuum was free to break may be gone, and must not be wrong.
func (w *world) readAny(ctx context.Context, s step) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	v := s.pick % len(w.history)
	at, err := w.tab.At(ctx, txlog.Version(v))
	if err != nil {
		return fmt.Errorf("version %d: %w", v, err)
	}
	w.tally.readsOld++
	if err = w.queue(ctx, at, v, s.where); err == nil {
		err = w.flush(ctx)
	}
	if v < w.floor && (errors.Is(err, txlog.ErrFileGone) || errors.Is(err, objectstore.ErrNotFound)) {
		w.parts = nil
		return nil
	}
	return err
}

// open opens an older version by its number, or by its time.
func (w *world) open(ctx context.Context, v int, byTime bool) (*table.Table, error) {
	if !byTime || w.clock == nil {
		return w.tab.At(ctx, txlog.Version(v))
	}
	at, err := table.OpenAtTime(ctx, w.store, tablePath, w.history[v].at, w.tableOptions())
	if err == nil && int(at.Snapshot().Version()) != v {
		err = fmt.Errorf("the table at %s is version %d, want %d", w.history[v].at, at.Snapshot().Version(), v)
	}
	return at, err
}

// flushAt bounds the parts of one query.
const flushAt = 8

// part is one SELECT of the query that reads: of all rows, each with whether the condition is true, or of the rows for
// which it is true in the files that it cannot rule out.
type part struct {
	tag   string
	from  string // name of rel in the query
	rel   table.Relation
	state state
	where cond
	skip  bool
	feed  int // the version of which it reads the change data feed; 0 the rows
}

func (w *world) queue(ctx context.Context, tab *table.Table, v int, where cond) error {
	st := w.history[v]
	schema, err := tab.Snapshot().Schema()
	if err != nil {
		return err
	}
	if n := len(schema.Fields); n != width(st.wide) {
		return fmt.Errorf("version %d has %d columns, want %d", v, n, width(st.wide))
	}
	if got, ok := tab.Snapshot().Txn("app"); ok && got.Version != st.txn || !ok && st.txn != -1 {
		return fmt.Errorf("version %d has txn %v, want %d", v, got, st.txn)
	}
	all, _, err := tab.Relation(ctx, table.ScanOptions{})
	if err != nil {
		return err
	}
	p, err := w.predicates.of(ctx, where.sql(st.wide), schema)
	if err != nil {
		return err
	}
	some, report, err := tab.Relation(ctx, table.ScanOptions{Predicate: p})
	if err != nil {
		return err
	}
	w.tally.skipped += report.SkippedByPartition + report.SkippedByStats
	tag := fmt.Sprintf("q%d_v%d", len(w.parts), v)
	w.parts = append(w.parts, part{tag: tag, from: tag, rel: all, state: st, where: where})
	skip := part{tag: tag + "_skip", from: tag + "_skip", rel: some, state: st, where: where, skip: true}
	if len(some.Files) == len(all.Files) {
		// The same files: one view will do, and only the engine's own filter is left to try, which one read in three does.
		if w.same++; w.same%3 != 0 {
			return nil
		}
		skip.from, skip.rel = tag, all
	}
	w.parts = append(w.parts, skip)
	return nil
}

// flush reads what is queued in one query and compares it with the model. 0 and -0 are one number to it: Parquet
// dictionaries of DuckDB hold one of the two.
func (w *world) flush(ctx context.Context) error {
	if len(w.parts) == 0 {
		return nil
	}
	began := time.Now()
	defer func() { w.tally.spent["flush"] += time.Since(began) }()
	w.tally.kinds["flush"]++
	q := table.Query{Relations: map[string]table.Relation{}}
	want := tabletest.Multiset{}
	var selects []string
	for _, p := range w.parts {
		columns := strings.Replace(strings.Join(names(width(p.state.wide)), ", "), " d,", " d + 0 AS d,", 1)
		if !p.state.wide {
			columns += ", NULL::INT AS x"
		}
		if p.feed > 0 {
			q.Relations[p.from] = p.rel
			selects = append(selects, "SELECT '"+p.tag+"' || _change_type AS tag, "+columns+", true AS m FROM "+p.from)
			continue
		}
		where := p.where.sql(p.state.wide)
		sql := "SELECT '" + p.tag + "' AS tag, " + columns
		if p.skip {
			sql += ", true AS m FROM " + p.from + " AS t WHERE " + where
		} else {
			sql += ", (" + where + ") IS TRUE AS m FROM " + p.from + " AS t"
		}
		q.Relations[p.from] = p.rel
		selects = append(selects, sql)
		for _, r := range p.state.rows {
			if m := p.where.eval(r, row{}, p.state.wide) == isTrue; m || !p.skip {
				want[fmt.Sprintf("%q | %s | %t", p.tag, r.text(), m)]++
			}
		}
	}
	parts := w.parts
	w.parts = nil
	q.SQL = strings.Join(selects, " UNION ALL ")
	got, err := tabletest.Query(ctx, w.eng, q)
	if err != nil {
		return fmt.Errorf("read versions up to %d (readable from %d): %w", len(w.history)-1, w.floor, err)
	}
	feeds := takeFeeds(got)
	for _, p := range parts {
		if p.feed > 0 {
			if err := w.checkFeed(p.feed, feeds[p.feed]); err != nil {
				return fmt.Errorf("%w\n%s", err, q.SQL)
			}
		}
	}
	if d := got.Diff(want); d != "" {
		return fmt.Errorf("read versions up to %d: %d rows, want %d:\n%s\n%s", len(w.history)-1, got.Len(), want.Len(), d, q.SQL)
	}
	return nil
}

// predicates remembers what the engine makes of a condition: worlds and runs ask for the same.
type predicates struct {
	eng  table.Engine
	mu   sync.Mutex // guards seen; held while the engine parses, so that it parses once
	seen map[string]*txlog.Predicate
}

func (p *predicates) of(ctx context.Context, where string, schema *txlog.Schema) (*txlog.Predicate, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key := fmt.Sprint(len(schema.Fields), " ", where)
	if found, ok := p.seen[key]; ok {
		return found, nil
	}
	stmt, err := p.eng.Parse(ctx, table.Parse{
		SQL:     "SELECT * FROM a AS t WHERE " + where,
		Schemas: func(table.TableRef) (*txlog.Schema, error) { return schema, nil },
	})
	if err != nil {
		return nil, err
	}
	p.seen[key] = stmt.Tables[0].Predicate
	return stmt.Tables[0].Predicate, nil
}

// matching are the rows for which the condition is true.
func matching(rows []row, c cond, wide bool) []row {
	var out []row
	for _, r := range rows {
		if c.eval(r, row{}, wide) == isTrue {
			out = append(out, r)
		}
	}
	return out
}

// rest are the others.
func rest(rows []row, c cond, wide bool) []row {
	var out []row
	for _, r := range rows {
		if c.eval(r, row{}, wide) != isTrue {
			out = append(out, r)
		}
	}
	return out
}

// close checks what is left to the last row.
func (w *world) close(ctx context.Context) error {
	if err := w.flush(ctx); err != nil {
		return err
	}
	began := time.Now()
	defer func() { w.tally.spent["fsck"] += time.Since(began) }()
	w.tally.kinds["fsck"]++
	report, err := table.Check(ctx, w.store, tablePath, table.Fsck{Deep: true, Engine: w.eng}, w.tableOptions())
	if err != nil {
		return fmt.Errorf("fsck: %w", err)
	}
	if len(report.Findings) > 0 || report.MoreFindings {
		return fmt.Errorf("fsck: %v", report.Findings)
	}
	return nil
}
