package table_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/tabletest"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// upkeep is a table in memory with the real engine and a clock of its own: what the tests of optimize, vacuum,
// restore and fsck start from.
type upkeep struct {
	t     *testing.T
	store *mem.Store
	clock *clock.Manual
	eng   table.Engine
	tab   *table.Table
}

const upkeepPath = "silver/t"

func newUpkeep(t *testing.T, columns string, c table.Create) *upkeep {
	t.Helper()
	u := &upkeep{t: t, clock: clock.NewStepping(time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC))}
	u.store = mem.New(t.Name(), mem.WithClock(u.clock))
	eng, err := duckdb.Open(duckdb.Options{MemoryBytes: 512 << 20, Threads: 2, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = eng.Close() })
	u.eng = eng
	if c.Schema, err = txlog.ParseColumns(columns); err != nil {
		t.Fatal(err)
	}
	if u.tab, err = table.CreateTable(t.Context(), u.store, upkeepPath, c, u.options()); err != nil {
		t.Fatal(err)
	}
	tabletest.Sound(t, u.tab, table.Fsck{Deep: true, Engine: eng})
	return u
}

func (u *upkeep) options() table.Options {
	return table.Options{Log: txlog.Options{Clock: u.clock, Rand: clock.SeededRand(7)}}
}

// other is a second handle of the table, as another process would have it.
func (u *upkeep) other() *table.Table {
	u.t.Helper()
	tab, err := table.Open(u.t.Context(), u.store, upkeepPath, table.Options{Log: txlog.Options{Clock: u.clock, Rand: clock.SeededRand(8)}})
	if err != nil {
		u.t.Fatal(err)
	}
	return tab
}

func (u *upkeep) append(sql string, args ...any) {
	u.t.Helper()
	if _, err := u.tab.Append(u.t.Context(), u.eng, table.Append{Source: table.Query{SQL: fmt.Sprintf(sql, args...)}}); err != nil {
		u.t.Fatalf("append: %v", err)
	}
}

func (u *upkeep) delete(where string, args ...any) {
	u.t.Helper()
	if _, err := u.tab.Delete(u.t.Context(), u.eng, table.Delete{Where: fmt.Sprintf(where, args...)}); err != nil {
		u.t.Fatalf("delete: %v", err)
	}
}

func (u *upkeep) optimize(o table.Optimize) *table.OptimizeResult {
	u.t.Helper()
	res, err := u.tab.Optimize(u.t.Context(), u.eng, o)
	if err != nil {
		u.t.Fatalf("optimize: %v", err)
	}
	return res
}

func (u *upkeep) rows() tabletest.Multiset {
	u.t.Helper()
	return tabletest.Rows(u.t, u.eng, u.tab)
}

// rowsAt reads the table as of a version.
func (u *upkeep) rowsAt(v txlog.Version) tabletest.Multiset {
	u.t.Helper()
	tab, err := u.tab.At(u.t.Context(), v)
	if err != nil {
		u.t.Fatalf("version %d: %v", v, err)
	}
	return tabletest.Rows(u.t, u.eng, tab)
}

func (u *upkeep) files() int { return u.tab.Snapshot().Files().Len() }

func (u *upkeep) vectors() int {
	n := 0
	for i := range u.files() {
		if u.tab.Snapshot().Files().DeletionVector(i) != nil {
			n++
		}
	}
	return n
}

// keys lists the objects below the table that are not of its log.
func (u *upkeep) keys() []string {
	u.t.Helper()
	var out []string
	for info, err := range u.store.List(u.t.Context(), upkeepPath+"/", "") {
		if err != nil {
			u.t.Fatal(err)
		}
		if name := strings.TrimPrefix(info.Key, upkeepPath+"/"); !strings.HasPrefix(name, "_delta_log/") {
			out = append(out, name)
		}
	}
	return out
}

// needed lists the objects that the newest version needs.
func (u *upkeep) needed() []string {
	u.t.Helper()
	var out []string
	files := u.tab.Snapshot().Files()
	for i := range files.Len() {
		key, err := files.Key(i)
		if err != nil {
			u.t.Fatal(err)
		}
		out = append(out, strings.TrimPrefix(key, upkeepPath+"/"))
		if p, ok, err := files.DeletionVector(i).Path(); err != nil {
			u.t.Fatal(err)
		} else if ok {
			out = append(out, p.Key)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (u *upkeep) put(name, text string) {
	u.t.Helper()
	if _, err := u.store.Put(u.t.Context(), upkeepPath+"/"+name, objectstore.Bytes([]byte(text)), objectstore.Condition{}); err != nil {
		u.t.Fatal(err)
	}
}

// commitOf reads the commit of a version.
func (u *upkeep) commitOf(v txlog.Version) *txlog.Commit {
	u.t.Helper()
	c, err := u.tab.Log().ReadCommit(u.t.Context(), v)
	if err != nil {
		u.t.Fatal(err)
	}
	return c
}

// history does random things to a table with the columns (id bigint, v bigint) and remembers the rows of every
// version and the time of its commit.
type history struct {
	*upkeep
	rand *rand.Rand
	next int
	rows map[txlog.Version]tabletest.Multiset
	when map[txlog.Version]time.Time
}

func newHistory(u *upkeep, seed uint64) *history {
	h := &history{upkeep: u, rand: rand.New(rand.NewPCG(seed, 0)), rows: map[txlog.Version]tabletest.Multiset{}, when: map[txlog.Version]time.Time{}}
	h.note()
	return h
}

func (h *history) note() {
	v := h.tab.Snapshot().Version()
	if _, known := h.rows[v]; !known {
		h.rows[v], h.when[v] = h.upkeep.rows(), h.clock.Now()
	}
}

// step does one random thing.
func (h *history) step() {
	h.t.Helper()
	h.clock.Advance(time.Duration(h.rand.IntN(40)+1) * time.Hour)
	switch n := h.rand.IntN(10); {
	case n < 4 || h.files() == 0:
		size := h.rand.IntN(20) + 1
		h.append("SELECT i AS id, i * 10 AS v FROM range(%d, %d) AS r(i)", h.next, h.next+size)
		h.next += size
	case n < 7:
		h.delete("id %% %d = %d", h.rand.IntN(5)+2, h.rand.IntN(2))
	case n < 8:
		h.optimize(table.Optimize{})
	case n < 9:
		versions := make([]txlog.Version, 0, len(h.rows))
		for v := range h.rows {
			versions = append(versions, v)
		}
		slices.Sort(versions)
		v := versions[len(versions)-1-h.rand.IntN(min(3, len(versions)))]
		// A vacuum may have ended what can be restored; what it must spare is checked elsewhere.
		if _, err := h.tab.Restore(h.t.Context(), table.Restore{Version: &v}); err != nil && !errors.Is(err, txlog.ErrFileGone) {
			h.t.Fatalf("restore %d: %v", v, err)
		}
	default:
		h.put(fmt.Sprintf("part-orphan-%d.parquet", h.rand.IntN(1000)), "what a writer left that died")
	}
	h.note()
}

// meddler is an engine that lets somebody else work before the n-th file is written.
type meddler struct {
	table.Engine
	writes int
	before func(write int)
}

func (m *meddler) Write(ctx context.Context, q table.Query, w table.Write) ([]table.WrittenFile, error) {
	m.writes++
	m.before(m.writes)
	return m.Engine.Write(ctx, q, w)
}

// A table that lives for months: its log is cleaned up by itself, and what is left is sound and reads as before.
func TestLogCleanUpByItself(t *testing.T) {
	u := newUpkeep(t, "id bigint, v bigint", table.Create{Properties: map[string]string{"delta.checkpointInterval": "4"}})
	rows := map[txlog.Version]tabletest.Multiset{}
	for i := range 14 {
		u.clock.Advance(4 * 24 * time.Hour)
		u.append("SELECT %d AS id, 0 AS v FROM range(10) AS r(i)", i)
		rows[u.tab.Snapshot().Version()] = u.rows()
		if i%3 == 2 {
			u.delete("id = %d", i-1)
			rows[u.tab.Snapshot().Version()] = u.rows()
		}
	}
	newest := u.tab.Snapshot().Version()
	oldest := txlog.Version(-1)
	for v := txlog.Version(0); v <= newest; v++ {
		switch _, err := u.tab.At(t.Context(), v); {
		case err == nil && oldest < 0:
			oldest = v
		case err != nil && (oldest >= 0 || !errors.Is(err, txlog.ErrHistoryGone)):
			t.Fatalf("version %d: %v", v, err)
		}
	}
	if oldest != 4 {
		t.Errorf("the oldest version is %d", oldest)
	}
	for v := oldest; v <= newest; v++ {
		tabletest.Same(t, fmt.Sprintf("version %d", v), u.rowsAt(v), rows[v])
	}
}
