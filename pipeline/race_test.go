package pipeline_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/pipeline"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func (l *lake) newRunner() *pipeline.Runner {
	l.t.Helper()
	r, err := l.runner(l.warehouse)
	if err != nil {
		l.t.Fatal(err)
	}
	return r
}

func (l *lake) plan(r *pipeline.Runner, model string) *pipeline.Plan {
	l.t.Helper()
	p, err := r.Plan(l.t.Context(), pipeline.PlanRequest{Run: "p/test", AsOf: asOf, Model: model})
	if err != nil || p == nil {
		l.t.Fatalf("plan %s: %v, %v", model, p, err)
	}
	return p
}

func (l *lake) execute(r *pipeline.Runner, p *pipeline.Plan, want pipeline.Status) *pipeline.TaskReport {
	l.t.Helper()
	rep, err := r.Execute(l.t.Context(), p)
	if rep.Status != want {
		l.t.Errorf("%s ended %s, want %s: %v", p.Ref(), rep.Status, want, err)
	}
	return rep
}

func (l *lake) table(name string) *table.Table {
	l.t.Helper()
	path, _ := pipeline.TablePath(name)
	t, err := table.Open(l.t.Context(), l.warehouse, path)
	if err != nil {
		l.t.Fatal(err)
	}
	return t
}

const oneRow = "date,delay,origin\n2001-02-01 06:00:00,5,LAX\n"

// TestTwoRunnersOneSlot lets several processes run the same pipeline at once: each row arrives once, whoever brings it.
func TestTwoRunnersOneSlot(t *testing.T) {
	l := sweepLake(t)
	r := []*pipeline.Runner{l.newRunner(), l.newRunner(), l.newRunner()}
	var wg sync.WaitGroup
	reports := make([]*pipeline.RunReport, len(r))
	for i := range r {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rep, err := r[i].Run(t.Context(), pipeline.RunRequest{Run: "p/20010301T080000Z", Pipeline: "p", AsOf: asOf})
			if err != nil {
				t.Error(err)
			}
			reports[i] = rep
		}()
	}
	wg.Wait()
	for _, rep := range reports {
		for _, task := range rep.Tasks {
			if task.Status == pipeline.StatusFailed {
				t.Errorf("%s: %s", task.Model, task.Error)
			}
		}
	}
	l.want("bronze.flights", "SELECT count(*), count(DISTINCT (_file, _row)) FROM t", "5|5")
	l.want("bronze.flights__quarantine", "SELECT count(*) FROM t", "1")
	l.want("silver.flights", "SELECT count(*) FROM t", "3")
	l.want("silver.flights__quarantine", "SELECT count(*) FROM t", "1")
	if v := l.table("gold.delay").Snapshot().Version(); v != 0 {
		t.Errorf("gold.delay has version %d after one run id", v)
	}
	l.sound()
}

// TestPausedHolder: a process stages, sleeps, and wakes up after another has landed the plan and the next one.
func TestPausedHolder(t *testing.T) {
	l := newLake(t, map[string]string{"bronze/flights.ingest.yml": flightsIngest})
	l.land("dt=2001-02-01/a.csv", oneRow)
	r := l.newRunner()
	old := l.plan(r, "bronze.flights")
	if again := l.plan(l.newRunner(), "bronze.flights"); again.Ref() != old.Ref() || again.Hash() != old.Hash() || !again.Resumed() {
		t.Errorf("a second process planned %s, not %s", again.Ref(), old.Ref())
	}
	l.execute(r, old, pipeline.StatusOK)
	if rep := l.execute(r, old, pipeline.StatusOK); rep.Reason != "landed before" || rep.RowsAdded != 0 || *rep.TargetVersion != 0 {
		t.Errorf("landed plan reports %+v", rep)
	}
	l.land("dt=2001-02-02/b.csv", oneRow)
	l.execute(r, l.plan(r, "bronze.flights"), pipeline.StatusOK)
	l.execute(r, old, pipeline.StatusSuperseded)
	l.want("bronze.flights", "SELECT count(*) FROM t", "2")
	// The control folder goes while a plan is in flight: the fence is in the table.
	l.land("dt=2001-02-03/c.csv", oneRow)
	p := l.plan(r, "bronze.flights")
	l.forget()
	l.run("bronze.flights ok +1 ~0 -0")
	l.execute(r, p, pipeline.StatusSuperseded)
	l.want("bronze.flights", "SELECT count(*) FROM t", "3")
}

// TestForeignCommit puts commits of another writer before each of ours: plans keep their number, nothing is lost.
func TestForeignCommit(t *testing.T) {
	l := sweepLake(t)
	l.run("bronze.flights ok +5 ~0 -0 quarantine 1", "silver.flights warned +3 ~0 -0 superseded 1 quarantine 1", "gold.delay ok +2 ~0 -0")
	l.sweepChange()
	r := l.newRunner()
	foreign := map[string][2]string{
		"bronze.flights": {"77 AS delay, DATE '1999-01-01' AS dt", "delay = 77"},
		"silver.flights": {"77 AS delay_min, DATE '1999-01-01' AS day", "delay_min = 77"},
		"gold.delay":     {"DATE '1999-01-01' AS day", "day = DATE '1999-01-01'"},
	}
	var reports []string
	for _, model := range []string{"bronze.flights", "silver.flights", "gold.delay"} {
		p := l.plan(r, model)
		l.disturb(model, foreign[model][0], foreign[model][1])
		rep := l.execute(r, p, pipeline.StatusOK)
		reports = append(reports, fmt.Sprintf("%s +%d ~%d -%d", rep.Model, rep.RowsAdded, rep.RowsUpdated, rep.RowsDeleted))
	}
	want := []string{"bronze.flights +3 ~0 -2", "silver.flights +1 ~2 -0", "gold.delay +3 ~0 -2"}
	if !slices.Equal(reports, want) {
		t.Errorf("got %q, want %q", reports, want)
	}
	// What a run without the other writer gives.
	calm := sweepLake(t)
	calm.run("bronze.flights ok +5 ~0 -0 quarantine 1", "silver.flights warned +3 ~0 -0 superseded 1 quarantine 1", "gold.delay ok +2 ~0 -0")
	calm.sweepChange()
	if _, err := calm.try(calm.warehouse); err != nil {
		t.Fatal(err)
	}
	a, b := l.everything(l.warehouse), calm.everything(calm.warehouse)
	for name := range a {
		if !slices.Equal(a[name], b[name]) {
			t.Errorf("%s: with a foreign commit\n%s\nwithout\n%s", name, strings.Join(a[name], "\n"), strings.Join(b[name], "\n"))
		}
	}
	l.sound()
	// Compaction is no change: nothing to merge, and the rows are the same.
	l.land("dt=2001-02-01/z.csv", "date,delay,origin\n2001-02-01 23:00:00,5,LAX\n")
	l.run("bronze.flights ok +1 ~0 -0", "silver.flights ok +1 ~0 -0", "gold.delay ok +3 ~0 -3")
	before := l.table("silver.flights").Snapshot().Version()
	if res, err := l.table("bronze.flights").Optimize(t.Context(), l.engine, table.Optimize{}); err != nil || res.VersionAfter == res.VersionBefore {
		t.Fatalf("optimize: %+v, %v", res, err)
	}
	l.run("bronze.flights nothing", "silver.flights ok +0 ~0 -0", "gold.delay ok +3 ~0 -3")
	if after := l.table("silver.flights"); after.Snapshot().Version() != before+1 {
		t.Errorf("silver.flights went from version %d to %d", before, after.Snapshot().Version())
	}
	l.run("bronze.flights nothing", "silver.flights nothing", "gold.delay ok +3 ~0 -3")
}

// disturb commits as another writer does: a row comes and goes.
func (l *lake) disturb(name, row, where string) {
	l.t.Helper()
	tab := l.table(name)
	before := tab.Snapshot().Version()
	if _, err := tab.Append(l.t.Context(), l.engine, table.Append{Source: table.Query{SQL: "SELECT " + row}}); err != nil {
		l.t.Fatal(err)
	}
	if _, err := tab.Delete(l.t.Context(), l.engine, table.Delete{Where: where}); err != nil {
		l.t.Fatal(err)
	}
	if after := l.table(name).Snapshot().Version(); after != before+2 {
		l.t.Fatalf("%s went from version %d to %d", name, before, after)
	}
}

func TestTableOfAnother(t *testing.T) {
	l := newLake(t, map[string]string{"bronze/flights.ingest.yml": flightsIngest})
	l.land("dt=2001-02-01/a.csv", oneRow)
	schema, err := txlog.ParseColumns("x bigint")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := table.CreateTable(t.Context(), l.warehouse, "bronze/flights", table.Create{
		Schema: schema, Meta: table.ChangeMeta{Txns: []txlog.Txn{{AppID: "lake/other/bronze.flights/task", Version: 1}}},
	}); err != nil {
		t.Fatal(err)
	}
	l.run("bronze.flights failed config")
	_, err = l.newRunner().Plan(t.Context(), pipeline.PlanRequest{Run: "x", AsOf: asOf, Model: "bronze.flights"})
	if !errors.Is(err, pipeline.ErrNotOwner) {
		t.Errorf("got %v", err)
	}
}

func TestSourceRewound(t *testing.T) {
	l := newLake(t, map[string]string{
		"bronze/flights.ingest.yml": flightsIngest,
		"silver/flights.sql":        "/* @lake\nkind: merge\nkey: [origin]\nsequence_by: [_file, _row]\n@lake */\nSELECT origin, delay, _file, _row FROM bronze.flights",
	})
	l.land("dt=2001-02-01/a.csv", oneRow)
	l.run("bronze.flights ok +1 ~0 -0", "silver.flights ok +1 ~0 -0")
	for info, err := range l.warehouse.List(t.Context(), "bronze/flights/", "") {
		if err != nil {
			t.Fatal(err)
		}
		if err := l.warehouse.Delete(t.Context(), info.Key); err != nil {
			t.Fatal(err)
		}
	}
	l.run("bronze.flights ok +1 ~0 -0", "silver.flights failed config")
	_, err := l.newRunner().Plan(t.Context(), pipeline.PlanRequest{Run: "x", AsOf: asOf, Model: "silver.flights"})
	if !errors.Is(err, pipeline.ErrSourceRewound) {
		t.Errorf("got %v", err)
	}
}

// rewound is a lake whose bronze table was deleted and made again from other files.
func rewound(t *testing.T) *lake {
	t.Helper()
	l := newLake(t, map[string]string{
		"bronze/flights.ingest.yml": flightsIngest,
		"silver/flights.sql":        "/* @lake\nkind: merge\nkey: [origin]\nsequence_by: [_file, _row]\nexpect: {sane: {sql: \"delay < 100\"}}\nquarantine: {max_ratio: 100%}\n@lake */\nSELECT origin, delay, _file, _row FROM bronze.flights",
	})
	l.land("dt=2001-02-01/a.csv", "date,delay,origin\n2001-02-01 06:00:00,5,LAX\n2001-02-01 06:00:00,500,JFK\n")
	l.run("bronze.flights ok +2 ~0 -0", "silver.flights ok +1 ~0 -0 quarantine 1")
	for info, err := range l.warehouse.List(t.Context(), "bronze/flights/", "") {
		if err != nil {
			t.Fatal(err)
		}
		if err := l.warehouse.Delete(t.Context(), info.Key); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.landing.Delete(t.Context(), "dt=2001-02-01/a.csv"); err != nil {
		t.Fatal(err)
	}
	l.land("dt=2001-02-02/b.csv", "date,delay,origin\n2001-02-01 06:00:00,7,SFO\n")
	rep := l.run("bronze.flights ok +1 ~0 -0", "silver.flights failed config")
	if want := "lakectl run p --select silver.flights --full-refresh "; !strings.HasPrefix(rep.Tasks[1].Hint, want) {
		t.Errorf("hint is %q", rep.Tasks[1].Hint)
	}
	l.land("dt=2001-02-03/c.csv", "date,delay,origin\n2001-02-01 06:00:00,8,DEN\n")
	l.run("bronze.flights ok +1 ~0 -0", "silver.flights failed config")
	return l
}

// TestSourceRewoundHasWaysOut: a merge whose source was made anew failed for ever.
func TestSourceRewoundHasWaysOut(t *testing.T) {
	t.Run("full refresh", func(t *testing.T) {
		l := rewound(t)
		l.restart = pipeline.Restart{FullRefresh: true}
		l.run("bronze.flights nothing", "silver.flights ok +2 ~0 -1")
		l.want("silver.flights", "SELECT origin, delay FROM t ORDER BY 1", "DEN|8", "SFO|7")
		l.want("silver.flights__quarantine", "SELECT count(*) FROM t", "0")
		l.restart = pipeline.Restart{}
		l.run("bronze.flights nothing", "silver.flights nothing")
		l.land("dt=2001-02-04/d.csv", "date,delay,origin\n2001-02-01 06:00:00,9,DEN\n")
		l.run("bronze.flights ok +1 ~0 -0", "silver.flights ok +0 ~1 -0")
		// It is also how a SELECT with other columns gets into its table.
		l.write("pipelines/p/silver/flights.sql", "/* @lake\nkind: merge\nkey: [origin]\nsequence_by: [_file, _row]\n@lake */\nSELECT origin, delay + 1 AS late, _file, _row FROM bronze.flights")
		l.run("bronze.flights skipped (nothing was run: silver.flights cannot)", "silver.flights failed config")
		l.restart = pipeline.Restart{FullRefresh: true}
		l.run("bronze.flights nothing", "silver.flights ok +2 ~0 -2 superseded 1")
		l.want("silver.flights", "SELECT origin, late FROM t ORDER BY 1", "DEN|10", "SFO|8")
		l.sound("bronze.flights", "silver.flights", "silver.flights__quarantine")
	})
	t.Run("resume at", func(t *testing.T) {
		l := rewound(t)
		at := txlog.Version(0)
		l.restart = pipeline.Restart{ResumeAt: &at}
		l.run("bronze.flights nothing", "silver.flights ok +1 ~0 -0")
		l.want("silver.flights", "SELECT origin, delay FROM t ORDER BY 1", "DEN|8", "LAX|5")
		l.restart = pipeline.Restart{}
		l.run("bronze.flights nothing", "silver.flights nothing")
		at = 1 // the newest: nothing came since
		l.restart = pipeline.Restart{ResumeAt: &at}
		l.run("bronze.flights nothing", "silver.flights ok +0 ~0 -0")
		at = 7
		l.run("bronze.flights nothing", "silver.flights failed config")
		l.sound("bronze.flights", "silver.flights", "silver.flights__quarantine")
	})
}

// TestPlanObject: the plan is written once, in the form of the specification, and abandoned when the code changes.
func TestPlanObject(t *testing.T) {
	l := flights(t)
	l.land("dt=2001-02-01/a.csv", oneRow)
	r := l.newRunner()
	p := l.plan(r, "bronze.flights")
	rc, _, err := l.warehouse.Get(t.Context(), "_lake/plans/bronze.flights/00000000000000000001.json", objectstore.Range{})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if _, err := fmt.Fprint(&b, readAll(t, rc)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`{"plan":1,"model":"bronze.flights","kind":"ingest","run":"p/test","as_of":"2001-03-01T08:00:00Z","engine":"duckdb","code":"sha256:`,
		`"target":{"task":0},"files":[{"key":"dt=2001-02-01/a.csv","etag":"`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("plan object %s lacks %s", b.String(), want)
		}
	}
	l.execute(r, p, pipeline.StatusOK)
	one := l.plan(r, "silver.flights")
	if s := one.Sources[0]; s.Table != "bronze.flights" || s.Mode != "changes" || s.After != nil || *s.Upto != 0 {
		t.Errorf("source is %+v", s)
	}
	l.write("pipelines/p/silver/flights.sql", strings.Replace(silverFlights, "CAST(date AS DATE)", "CAST(date + INTERVAL 1 DAY AS DATE)", 1))
	two := l.plan(l.newRunner(), "silver.flights")
	if two.N != 2 || two.Code == one.Code {
		t.Errorf("after a change of the code the plan is %s", two.Ref())
	}
	l.write("pipelines/p/silver/flights.sql", strings.Replace(silverFlights, "CAST(date AS DATE)", "/* the day */ CAST(date + INTERVAL 1 DAY   AS DATE)", 1))
	if three := l.plan(l.newRunner(), "silver.flights"); three.Ref() != two.Ref() {
		t.Errorf("a comment made plan %s", three.Ref())
	}
	l.execute(r, one, pipeline.StatusOK)
	l.execute(l.newRunner(), two, pipeline.StatusSuperseded)
	for _, s := range []string{"", "silver.flights", "silver.flights/x", "silver/1", "a.b/0"} {
		if _, err := pipeline.ParsePlanRef(s); err == nil {
			t.Errorf("%q is a plan", s)
		}
	}
	if ref, err := pipeline.ParsePlanRef("silver.flights/2"); err != nil || ref != two.Ref() {
		t.Errorf("%v %v", ref, err)
	}
}

// TestNoPlanForEver: an executor that refuses a plan which planning keeps finding ends the run.
func TestNoPlanForEver(t *testing.T) {
	l := newLake(t, map[string]string{"bronze/flights.ingest.yml": flightsIngest})
	l.land("dt=2001-02-01/a.csv", oneRow)
	rep, err := l.newRunner().Run(t.Context(), pipeline.RunRequest{
		Run: "p/x", Pipeline: "p", AsOf: asOf,
		Execute: func(_ context.Context, p *pipeline.Plan) (*pipeline.TaskReport, error) {
			return &pipeline.TaskReport{Model: p.Model, Plan: p.N, Status: pipeline.StatusSuperseded, Reason: "no"}, nil
		},
	})
	if err != nil || len(rep.Tasks) != 2 || rep.ExitCode() != pipeline.ExitHeld {
		t.Errorf("%v %+v", err, rep)
	}
}
