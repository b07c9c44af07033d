package simulation_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/robustness/logops"
	"github.com/lakectl/lakectl/internal/sim"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// The tables: rows of the writers, and two of the pipeline, rejected rows before accepted ones.
const (
	mainTable = logops.Path
	sideTable = "slots__quarantine"
	slotTable = "slots"
)

// What the tables promise. A change may sleep for twenty hours between its reading and its commit, and a reader for
// twenty more over what it has read, both with clocks an hour off: that is how long removed files must stay.
const (
	logRetention  = 2 * time.Hour
	fileRetention = 45 * time.Hour
	burstEvery    = 9 * time.Hour // everybody works at once, and then not for a while
	maxSkew       = time.Hour
)

// lake is one simulated lake.
type lake struct {
	world   *sim.World
	rand    clock.Rand // of what is decided while all wait
	ict     bool
	tables  map[string]*archive
	working context.Context //nolint:containedctx // of the whole lake: done when all are to come to an end
	rest    context.CancelFunc
	began   time.Time
	catchup string
	deleted []deletion
	cleaned int // commits of the main table that are gone

	mu        sync.Mutex // guards the fields below; a leaf lock
	processes []*process
	rows      map[string][]string // of each data file
	works     map[string]work     // by txnId
}

// deletion is a data file that somebody deleted.
type deletion struct {
	key string
	at  moment
}

// work is what a commit is to do to the rows.
type work struct {
	kind workKind
	rows []string // added, or removed
	base int      // the version that it read
}

// start makes the tables and starts the actors.
func (l *lake) start(t *testing.T, w *sim.World) {
	t.Helper()
	l.world, l.began = w, time.Now()
	l.working, l.rest = context.WithCancel(t.Context())
	l.rows, l.works, l.tables = map[string][]string{}, map[string]work{}, map[string]*archive{}
	l.ict = l.n(2) == 0
	l.catchup = []string{"all", "latest"}[l.n(2)]
	l.create(t, mainTable, map[string]string{
		"delta.checkpointInterval":           fmt.Sprint([]int{2, 5, 10}[l.n(3)]),
		"delta.logRetentionDuration":         "interval 2 hours",
		"delta.deletedFileRetentionDuration": "interval 45 hours",
	})
	l.create(t, sideTable, nil)
	l.create(t, slotTable, map[string]string{"delta.checkpointInterval": "3", "delta.logRetentionDuration": "interval 2 hours"})
	for i := range 3 + l.n(6) {
		l.hire(fmt.Sprint("writer", i), (*process).write)
	}
	for i := range 2 {
		l.hire(fmt.Sprint("reader", i), (*process).read)
	}
	l.hire("keeper", (*process).keep)
	for i := range 2 {
		l.hire(fmt.Sprint("scheduler", i), (*process).schedule)
	}
}

func (l *lake) n(n int) int { return int(clock.Int64N(l.rand, int64(n))) }

// create makes a table before anybody begins.
func (l *lake) create(t *testing.T, path string, properties map[string]string) {
	t.Helper()
	if l.ict {
		if properties == nil {
			properties = map[string]string{}
		}
		properties["delta.enableInCommitTimestamps"] = "true"
	}
	log := txlog.New(l.world.Objects(), path, txlog.Options{Rand: clock.SeededRand(uint64(len(path)))})
	x, err := logops.CreateWith(log, properties)
	if err == nil {
		_, err = x.Commit(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	a := newArchive(path)
	l.tables[path] = a
	if err := a.add(t.Context(), 0, read(t, l.world.Objects(), log.Key("_delta_log/00000000000000000000.json")), moment{0, time.Now()}); err != nil {
		t.Fatal(err)
	}
}

// hire starts a process that does a job, and another in its place each time that it crashes.
func (l *lake) hire(job string, do func(*process, context.Context)) {
	l.incarnate(job, 1, do)
}

func (l *lake) incarnate(job string, life int, do func(*process, context.Context)) {
	p := &process{
		lake: l, job: job, name: fmt.Sprintf("%s.%d", job, life), rand: clock.SeededRand(l.rand.Uint64()),
		skew: time.Duration(clock.Int64N(l.rand, int64(2*maxSkew))) - maxSkew, lags: l.n(10) < 7, seen: -1,
	}
	first := time.Duration(0)
	if life > 1 {
		first = sim.Spread(l.rand, time.Second, 2*time.Hour)
	}
	l.mu.Lock()
	l.processes = append(l.processes, p)
	l.mu.Unlock()
	run := func(ctx context.Context, s objectstore.Store) {
		if clock.System().Sleep(ctx, first) != nil {
			return
		}
		p.be(s)
		do(p, ctx)
	}
	again := func() {
		if l.working.Err() == nil {
			l.incarnate(job, life+1, do)
		}
	}
	if strings.HasPrefix(job, "scheduler") {
		l.world.GoProcess(p.name, run, again)
	} else {
		l.world.GoAgain(p.name, run, again)
	}
}

// declare says what a change is to do, before it is tried.
func (l *lake) declare(txnID string, w work) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.works[txnID] = w
}

// holds notes the rows of a data file.
func (l *lake) holds(file string, rows []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows[file] = rows
}

// rowsOf are the rows of data files.
func (l *lake) rowsOf(files ...string) (out []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range files {
		out = append(out, l.rows[f]...)
	}
	return out
}

// onLanded keeps commits.
func (l *lake) onLanded(key string, body []byte) {
	table, v, ok := version(key)
	if !ok {
		return
	}
	if err := l.tables[table].add(context.Background(), v, body, moment{l.world.Steps(), time.Now()}); err != nil {
		l.tables[table].faults = append(l.tables[table].faults, err.Error())
	}
}

// onGone keeps deletions.
func (l *lake) onGone(keys []string) {
	for _, k := range keys {
		l.deleted = append(l.deleted, deletion{k, moment{l.world.Steps(), time.Now()}})
		if table, _, ok := version(k); ok && table == mainTable {
			l.cleaned++
		}
	}
}

// parks lets most reads of commits and checkpoints pass: a log is read in many calls, and that they see what is there
// when they begin is one of the orders that can happen. One in four waits, for clean-up to come in between.
func parks(op sim.Op, key string) bool {
	if strings.Contains(key, "_lake/events/") {
		return false
	}
	if op == sim.OpGet && (sim.CommitFile(key) || strings.Contains(key, ".checkpoint.")) {
		name := key[strings.LastIndexByte(key, '/')+1:]
		return len(name) > 20 && (name[19]-'0')%4 == 0
	}
	return sim.SharedState(op, key)
}
