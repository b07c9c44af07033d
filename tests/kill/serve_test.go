package kill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/jobs"
	"github.com/lakectl/lakectl/objectstore"
)

const (
	slotsWanted = 20
	slotPeriod  = time.Minute // of the schedule
)

// TestTwoSchedulersOneLake serves one lake from two processes while their clock runs fast. One of them is killed in the
// middle, a third joins, and later whichever has the seat is stopped for longer than its lease and goes on.
//
// Each slot brings a file. Afterwards every slot has one run and every run is finished, each run has committed the full
// model exactly once, no plan has landed twice in any table, and every file's rows are there once.
func TestTwoSchedulersOneLake(t *testing.T) {
	server := miniotest.Start(t)
	build(t)
	bucket := server.Bucket(t)
	l := &lake{dir: t.TempDir(), warehouse: "s3://" + bucket + "/warehouse"}
	copyTree(t, os.DirFS("testdata/slots"), l.dir)
	store, landing := server.Open(t, l.warehouse), server.Open(t, "s3://"+bucket+"/landing")

	tc := jobs.TestClock{
		Epoch: time.Now().UTC(), Start: time.Date(2001, 2, 15, 0, 0, 30, 0, time.UTC), TTL: 4 * time.Second,
		Rate: int(number(t, "LAKE_SLOT_RATE", 20)), // a slot every 3 s
	}
	fast := tc.Clock(clock.System())
	l.env = environment(server, "LAKE_TEST_CLOCK="+tc.String(), "LAKE_TEST_WAREHOUSE="+l.warehouse, "LAKE_TEST_LANDING=s3://"+bucket+"/landing")

	schedulers := []*served{serve(t, l, "one"), serve(t, l, "two")}
	firstSlot := tc.Start.Truncate(slotPeriod).Add(slotPeriod)
	for i := range slotsWanted {
		slot := firstSlot.Add(time.Duration(i) * slotPeriod)
		if err := fast.Sleep(t.Context(), slot.Add(-slotPeriod/3).Sub(fast.Now())); err != nil {
			t.Fatal(err)
		}
		put(t, landing, fmt.Sprintf("readings/%02d.csv", i), fmt.Sprintf("slot,reading\n%d,1\n%d,2\n%d,3\n", i, i, i))
		switch i {
		case 5:
			holder(t, store, schedulers).kill(t)
		case 8:
			schedulers = append(schedulers, serve(t, l, "three"))
		case 12:
			// Paused beyond its lease, it wakes up and believes that it still has the seat.
			paused := holder(t, store, schedulers)
			paused.signal(t, syscall.SIGSTOP)
			time.AfterFunc(3*tc.TTL, func() { _ = paused.cmd.Process.Signal(syscall.SIGCONT) })
		}
	}

	var want []string
	for i := range slotsWanted {
		want = append(want, "slots/"+firstSlot.Add(time.Duration(i)*slotPeriod).Format("20060102T150405Z"))
	}
	wait(t, 5*time.Minute, func() string { return unfinished(t, store, want) })
	for _, s := range schedulers {
		if !s.dead {
			s.stop(t)
		}
	}

	if there := runs(t, store, "slots"); len(there) < slotsWanted || !slices.Equal(there[:slotsWanted], want) {
		t.Errorf("run objects %v, want %v", there, want)
	}
	var seat struct {
		Epoch int64 `json:"epoch"`
	}
	if err := json.Unmarshal(read(t, store, "_lake/lease/scheduler.json"), &seat); err != nil || seat.Epoch < 3 {
		t.Errorf("the seat was taken %d times, want at least 3: kill and pause must each have moved it (%v)", seat.Epoch, err)
	}
	for _, table := range []string{"bronze.readings", "silver.readings", "gold.totals"} {
		committed := l.history(t, store, table)
		t.Logf("%s: %d commits, the seat changed hands %d times", table, len(committed), seat.Epoch-1)
		for i, c := range committed[1:] {
			if c.Plan <= committed[i].Plan {
				t.Errorf("%s: plan %d of run %s landed after plan %d", table, c.Plan, c.Run, committed[i].Plan)
			}
		}
		if table == "gold.totals" { // a full model commits once in every run
			if got := runsOf(committed); !slices.Equal(got[:min(len(got), slotsWanted)], want) {
				t.Errorf("%s: commits by %v, want %v", table, got, want)
			}
		}
		l.fsck(t, table)
	}
	for _, table := range []string{"bronze.readings", "silver.readings"} {
		n := l.numbers(t, "SELECT count(*), count(DISTINCT (slot, reading)), count(DISTINCT slot) FROM "+table)
		if n[0] != 3*slotsWanted || n[1] != n[0] || n[2] != slotsWanted {
			t.Errorf("%s has %v rows, distinct rows and slots; want %d, %d, %d", table, n, 3*slotsWanted, 3*slotsWanted, slotsWanted)
		}
	}
	if n := l.numbers(t, "SELECT count(*), CAST(min(readings) AS BIGINT), CAST(max(readings) AS BIGINT), CAST(sum(total) AS BIGINT) FROM gold.totals"); !slices.Equal(n, []int64{slotsWanted, 3, 3, 6 * slotsWanted}) {
		t.Errorf("gold.totals: %v", n)
	}
}

// runs lists the run objects of a pipeline, oldest slot first.
func runs(t *testing.T, store objectstore.Store, pipeline string) []string {
	t.Helper()
	var ids []string
	for info, err := range store.List(t.Context(), "_lake/runs/"+pipeline+"/", "") {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, strings.TrimSuffix(strings.TrimPrefix(info.Key, "_lake/runs/"), ".json"))
	}
	return ids
}

// unfinished names the first slot whose run is not there or not finished; "" when there is none.
func unfinished(t *testing.T, store objectstore.Store, runs []string) string {
	t.Helper()
	for _, run := range runs {
		found := false
		for info, err := range store.List(t.Context(), "_lake/claims/runs/"+run+".json", "") {
			if err != nil {
				t.Fatal(err)
			}
			var claim struct {
				Finished bool `json:"finished"`
			}
			if err := json.Unmarshal(read(t, store, info.Key), &claim); err != nil {
				t.Fatal(err)
			}
			found = claim.Finished
		}
		if !found {
			return run
		}
	}
	return ""
}

// served is one `lakectl serve`.
type served struct {
	name string
	cmd  *exec.Cmd
	out  *bytes.Buffer
	dead bool // killed by the test
}

func serve(t *testing.T, l *lake, name string) *served {
	t.Helper()
	s := &served{name: name, cmd: l.command(t, "serve", "--grace", "20s"), out: &bytes.Buffer{}}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGCONT)
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		if t.Failed() {
			t.Logf("scheduler %s said:\n%s", s.name, s.out.String())
		}
	})
	return s
}

func (s *served) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("scheduler %s: %v", s.name, err)
	}
}

func (s *served) kill(t *testing.T) {
	t.Helper()
	s.signal(t, os.Kill)
	_ = s.cmd.Wait()
	s.dead = true
}

// stop ends a scheduler as a service manager does, and expects it to end well.
func (s *served) stop(t *testing.T) {
	t.Helper()
	s.signal(t, syscall.SIGTERM)
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("scheduler %s: %v", s.name, err)
	}
}

// holder is the scheduler that has the seat.
func holder(t *testing.T, store objectstore.Store, all []*served) *served {
	t.Helper()
	var seat struct {
		Holder string `json:"holder"`
	}
	if err := json.Unmarshal(read(t, store, "_lake/lease/scheduler.json"), &seat); err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if !s.dead && strings.Contains(seat.Holder, fmt.Sprintf("/%d ", s.cmd.Process.Pid)) {
			return s
		}
	}
	t.Fatalf("none of the schedulers has the seat: %s", seat.Holder)
	return nil
}

func put(t *testing.T, store objectstore.Store, key, text string) {
	t.Helper()
	if _, err := store.Put(t.Context(), key, objectstore.Bytes([]byte(text)), objectstore.CreateOnly); err != nil {
		t.Fatal(err)
	}
}

// wait asks until the answer is "", which stands for nothing missing.
func wait(t *testing.T, most time.Duration, missing func() string) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(250 * time.Millisecond) {
		what := missing()
		if what == "" {
			return
		}
		if time.Since(began) > most {
			t.Fatalf("still missing after %v: %s", most, what)
		}
	}
}
