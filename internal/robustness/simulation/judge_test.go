package simulation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/robustness/history"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// judge collects everything that is wrong with a lake at rest.
type judge struct {
	t     *testing.T
	l     *lake
	wrong []string
}

func (j *judge) bad(format string, args ...any) {
	j.wrong = append(j.wrong, fmt.Sprintf(format, args...))
}

// verdict is nil, or what was found.
func (l *lake) verdict(t *testing.T) error {
	t.Helper()
	j := &judge{t: t, l: l}
	last, err := l.aftermath(t.Context())
	if err != nil {
		j.bad("one more scheduler: %v", err)
	}
	for _, p := range l.processes {
		j.wrong = append(j.wrong, p.wrong...)
	}
	for _, name := range slices.Sorted(maps.Keys(l.tables)) {
		j.table(name, last)
	}
	j.pairs()
	if len(j.wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(j.wrong[:min(len(j.wrong), 10)], "\n"))
}

func (j *judge) table(name string, last int64) {
	a := j.l.tables[name]
	j.wrong = append(j.wrong, a.faults...)
	ctx := j.t.Context()
	entries, err := history.ReadLog(ctx, a.store, logops.Path)
	if err != nil {
		j.bad("%s: %v", name, err)
		return
	}
	found, _ := history.Check(j.events(name), entries, 0)
	for _, v := range found {
		j.bad("%s: %s", name, v)
	}
	o, err := logops.ReadOracle(ctx, a.store)
	if err != nil {
		j.bad("%s: %v", name, err)
		return
	}
	j.rows(name, a, o, last)
	j.left(name, a, o)
	if name == mainTable {
		j.readings(a, o)
	}
	j.files(name, a, o)
	j.fsck(name, a)
	j.times(name, a)
}

// events are the histories of one table.
func (j *judge) events(name string) (out []history.Event) {
	for _, p := range j.l.processes {
		for _, e := range p.events {
			if e.Table == name {
				out = append(out, e)
			}
		}
	}
	return append(out, j.l.tables[name].notes()...)
}

// rows replays what each change was to do with the rows.
func (j *judge) rows(name string, a *archive, o *logops.Oracle, last int64) {
	j.l.mu.Lock()
	defer j.l.mu.Unlock()
	was := state{rows: map[string]int{}}
	states := []state{was}
	added := map[string]int{}
	for v := 1; v < len(o.Live); v++ {
		now := j.state(o.Live[v])
		w, ours := j.l.works[o.TxnIDs[v]]
		if !ours && !strings.HasPrefix(info(a.bodies[v]).Operation, "VACUUM") {
			j.bad("%s: version %d has txnId %s, which nobody has", name, v, o.TxnIDs[v])
		}
		if err := was.becomes(now, w, ours, states); err != nil {
			j.bad("%s: version %d (%s): %v", name, v, o.TxnIDs[v], err)
		}
		if ours && (w.kind == adds || w.kind == covers) {
			for _, r := range w.rows {
				if first, twice := added[r]; twice {
					j.bad("%s: row %q was added by version %d and by version %d", name, r, first, v)
				}
				added[r] = v
			}
		}
		was = now
		states = append(states, now)
	}
	if name != mainTable {
		j.slots(name, was, last)
	}
}

// state is the content of one version.
type state struct {
	rows    map[string]int // how often each row is there
	counter int
	census  int
}

func (j *judge) state(live map[string]bool) state {
	s := state{rows: map[string]int{}}
	for f := range live {
		rows := j.l.rows[f]
		switch {
		case strings.HasPrefix(f, counterFile):
			s.counter, _ = strconv.Atoi(rows[0])
		case strings.HasPrefix(f, censusFile):
			s.census, _ = strconv.Atoi(rows[0])
		default:
			for _, r := range rows {
				s.rows[r]++
			}
		}
	}
	return s
}

// becomes compares what a change did with what it was to do.
func (s state) becomes(now state, w work, ours bool, all []state) error {
	want := state{rows: maps.Clone(s.rows), counter: s.counter, census: s.census}
	kind := compacts // leaves the rows as they are, as a note does
	if ours {
		kind = w.kind
	}
	switch kind {
	case adds, covers:
		for _, r := range w.rows {
			want.rows[r]++
		}
	case deletes:
		for _, r := range w.rows {
			if want.rows[r]--; want.rows[r] <= 0 {
				delete(want.rows, r)
			}
		}
	case increases:
		want.counter++
	case counts:
		want.census = len(s.rows)
		if w.base >= len(all) || len(all[w.base].rows) != len(s.rows) {
			return fmt.Errorf("it counted the rows of version %d, and is based on others", w.base)
		}
	case compacts:
	}
	if !maps.Equal(now.rows, want.rows) || now.counter != want.counter || now.census != want.census {
		return fmt.Errorf("the rows are %d, counter %d, census %d; want %d, %d, %d", len(now.rows), now.counter, now.census, len(want.rows), want.counter, want.census)
	}
	for r, n := range now.rows {
		if n != 1 {
			return fmt.Errorf("row %q is there %d times", r, n)
		}
	}
	return nil
}

// slots demands that the slots up to last are there, each once.
func (j *judge) slots(name string, now state, last int64) {
	type span struct{ from, to int64 }
	var all []span
	for r := range now.rows {
		var s span
		if _, err := fmt.Sscanf(r, "%d-%d", &s.from, &s.to); err != nil || s.to <= s.from {
			j.bad("%s: row %q is no span of slots", name, r)
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b span) int { return int(a.to - b.to) })
	at := int64(0)
	for _, s := range all {
		if s.from != at {
			j.bad("%s: slots %d to %d follow slot %d", name, s.from, s.to, at)
		}
		at = s.to
	}
	if at != last {
		j.bad("%s: the last slot is %d, want %d: schedulers no longer get on", name, at, last)
	}
}

// pairs demands that no slot is in the target before the side table has it.
func (j *judge) pairs() {
	number := func(a *archive) map[int64]int {
		out := map[int64]int{}
		for v, body := range a.bodies {
			for _, r := range bytes.Split(body, []byte("\n")) {
				var n int64
				if i := bytes.Index(r, []byte(`"appId":"`+taskApp+`","version":`)); i >= 0 {
					_, _ = fmt.Sscanf(string(r[i+len(`"appId":"`+taskApp+`","version":`):]), "%d", &n)
					out[n] = a.landed[v].step
				}
			}
		}
		return out
	}
	side, target := number(j.l.tables[sideTable]), number(j.l.tables[slotTable])
	for n, step := range target {
		at, there := side[n]
		for m, s := range side { // a later slot brings the earlier ones
			if m > n && (!there || s < at) {
				at, there = s, true
			}
		}
		if !there || at > step {
			j.bad("slot %d is in the table and was not in its side table then", n)
		}
	}
}

// left compares what is left in the store: all that must be readable is, and is the same.
func (j *judge) left(name string, a *archive, o *logops.Oracle) {
	ctx := j.t.Context()
	objects := j.l.world.Objects()
	log := txlog.New(objects, name, txlog.Options{Rand: clock.SeededRand(1)})
	newest, err := log.Latest(ctx)
	if err != nil || int(newest.Version()) != len(o.Live)-1 {
		j.bad("%s: the newest version reads as %v, %v; want %d", name, newest, err, len(o.Live)-1)
		return
	}
	for v := range o.Live {
		s, err := log.At(ctx, txlog.Version(v))
		switch {
		case errors.Is(err, txlog.ErrHistoryGone) && !j.protected(a, v):
		case err != nil:
			j.bad("%s: version %d of %d cannot be read: %v", name, v, len(o.Live)-1, err)
		default:
			if err := o.Same(s); err != nil {
				j.bad("%s: %v", name, err)
			}
		}
	}
	for info, err := range objects.List(ctx, name+"/_delta_log/", "") {
		if err != nil {
			j.bad("%s: %v", name, err)
			return
		}
		if _, v, ok := version(info.Key); ok {
			body := read(j.t, objects, info.Key)
			if _, known := a.orphans[idOf(body)]; !bytes.Equal(body, a.bodies[v]) && !known {
				j.bad("%s: version %d is not what was created", name, v)
			}
		}
	}
}

func idOf(body []byte) string { return info(body).TxnID }

// protected tells whether a version was replaced within the retention, so that no clean-up so far may have taken it.
// In-commit timestamps come from clocks that are off.
func (j *judge) protected(a *archive, v int) bool {
	if v+1 >= len(a.landed) {
		return true
	}
	least := logRetention - time.Minute
	if j.l.ict {
		least -= 2 * maxSkew
	}
	return time.Since(a.landed[v+1].at) < least
}

// readings demands that each read saw exactly one version, and that old ones were there as promised.
func (j *judge) readings(a *archive, o *logops.Oracle) {
	for _, p := range j.l.processes {
		for _, r := range p.reads {
			if r.snapshot != nil {
				if err := o.Same(r.snapshot); err != nil {
					j.bad("%s: %v", r.who, err)
				}
			}
			switch {
			case r.asked != nil && !j.l.ict:
				j.travelled(a, r)
			case r.asked != nil:
			case r.err != nil && int(r.version)+1 >= len(a.landed), r.err != nil && r.to.at.Sub(a.landed[r.version+1].at) < logRetention-time.Minute && !j.l.ict:
				j.bad("%s: version %d: %v", r.who, r.version, r.err)
			case r.snapshot != nil && r.snapshot.Version() != r.version:
				j.bad("%s asked for version %d and got %d", r.who, r.version, r.snapshot.Version())
			}
		}
	}
}

// travelled compares a time travel with the times at which the versions landed.
func (j *judge) travelled(a *archive, r reading) {
	at := func(v int) int64 { return a.landed[v].at.UnixMilli() }
	want := r.asked.UnixMilli()
	switch {
	case r.snapshot != nil:
		v := int(r.snapshot.Version())
		// Two versions of one millisecond are a millisecond apart, so a chain of them may look later than it was.
		if at(v) > want || v+1 < len(a.landed) && at(v+1) <= want-int64(len(a.landed)) && a.landed[v+1].step <= r.from.step {
			j.bad("%s asked for %d and got version %d of %d, the next is of %d", r.who, want, v, at(v), at(min(v+1, len(a.landed)-1)))
		}
	case errors.Is(r.err, txlog.ErrTimestampTooLate):
		if v := a.newestAt(r.to.step); at(v) > want+int64(len(a.landed)) && a.landed[v].step < r.from.step {
			j.bad("%s asked for %d: %v; version %d is of %d", r.who, want, r.err, v, at(v))
		}
	}
}

// files demands that what lives is there, and that nobody deleted what was live then.
func (j *judge) files(name string, a *archive, o *logops.Oracle) {
	for f := range o.Live[len(o.Live)-1] {
		if _, err := j.l.world.Objects().Head(j.t.Context(), name+"/"+f); err != nil {
			j.bad("%s: the live file %s: %v", name, f, err)
		}
	}
	for _, d := range j.l.deleted {
		f, inside := strings.CutPrefix(d.key, name+"/")
		if !inside || strings.Contains(f, "/") {
			continue
		}
		for v := max(0, a.newestAt(d.at.step)); v >= 0; v-- {
			// Version v was the newest until its successor landed.
			replaced := d.at.at
			if v+1 < len(a.landed) && a.landed[v+1].step <= d.at.step {
				replaced = a.landed[v+1].at
			}
			if d.at.at.Sub(replaced) > pinnedFor {
				break
			}
			if o.Live[v][f] {
				j.bad("%s: %s was deleted %v after version %d, which needs it, was the newest", name, f, d.at.at.Sub(replaced), v)
				break
			}
		}
	}
}

// fsck asks the product what it thinks of the log. Data files are stubs, and orphans are known.
func (j *judge) fsck(name string, a *archive) {
	report, err := table.Check(j.t.Context(), j.l.world.Objects(), name, table.Fsck{})
	if err != nil {
		j.bad("%s: fsck: %v", name, err)
		return
	}
	for _, f := range report.Findings {
		if f.Class == table.FooterUnreadable || f.Class == table.OrphanCommit && len(a.orphans) > 0 {
			continue
		}
		if f.Class == table.HintAstray && j.passedBy(name, f.Detail) {
			continue
		}
		j.bad("%s: fsck: %s", name, f)
	}
}

// passedBy tells whether the checkpoint that a hint names went because there is a newer one without a hint: its PUT had
// no answer and landed all the same, and a clean-up went by what is there. Readers list the log then.
func (j *judge) passedBy(name, detail string) bool {
	var named txlog.Version
	if n, err := fmt.Sscanf(detail, "it names a checkpoint of version %d, which is not there", &named); n != 1 || err != nil {
		return false
	}
	for info, err := range j.l.world.Objects().List(j.t.Context(), name+"/_delta_log/", "") {
		if err != nil {
			j.bad("%s: %v", name, err)
			return false
		}
		var v txlog.Version
		file := strings.TrimPrefix(info.Key, name+"/_delta_log/")
		if n, err := fmt.Sscanf(file, "%d.checkpoint.", &v); n == 1 && err == nil && v > named {
			return true
		}
	}
	return false
}

// times demands that in-commit timestamps rise.
func (j *judge) times(name string, a *archive) {
	last := int64(-1)
	for v, body := range a.bodies {
		t := info(body).InCommitTimestamp
		if (t != nil) != j.l.ict {
			j.bad("%s: version %d: in-commit timestamp %v", name, v, t)
		}
		if t != nil && *t <= last {
			j.bad("%s: version %d is of %d, and the one before of %d", name, v, *t, last)
		}
		if t != nil {
			last = *t
		}
	}
}

// read reads an object of a store in memory.
func read(t *testing.T, s objectstore.Store, key string) []byte {
	t.Helper()
	body, _, err := s.Get(context.WithoutCancel(t.Context()), key, objectstore.Range{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
