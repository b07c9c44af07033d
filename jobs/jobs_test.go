package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/pipeline"
)

func TestMain(m *testing.M) {
	if mode := os.Getenv("LAKE_JOBS_TEST_CHILD"); mode != "" {
		os.Exit(beChild(mode))
	}
	goleak.VerifyTestMain(m)
}

// scripted is a pipeline of models in a row. Each plan does what its model's script says, once per attempt; a plan
// that has landed does nothing when it is run again, as in package pipeline.
type scripted struct {
	models []string
	task   func(ctx context.Context, p *pipeline.Plan) (*pipeline.TaskReport, error)

	mu    sync.Mutex // guards the fields below
	plans int64
	ran   []string // run ids, in the order in which their runs were begun
	done  map[string][]string
}

func (s *scripted) Run(ctx context.Context, req pipeline.RunRequest) (*pipeline.RunReport, error) {
	s.mu.Lock()
	s.ran = append(s.ran, req.Run)
	s.mu.Unlock()
	report := &pipeline.RunReport{Run: req.Run, Pipeline: req.Pipeline, AsOf: req.AsOf}
	for _, model := range s.models {
		s.mu.Lock()
		s.plans++
		plan := &pipeline.Plan{N: s.plans, Model: model, Run: req.Run}
		s.mu.Unlock()
		task, err := req.Execute(ctx, plan)
		report.Tasks = append(report.Tasks, task)
		req.Observe(pipeline.Event{Type: pipeline.EventDone, Model: model, Task: task})
		if err != nil {
			return report, nil //nolint:nilerr // a failed task is in the report
		}
		s.mu.Lock()
		if s.done == nil {
			s.done = map[string][]string{}
		}
		s.done[model] = append(s.done[model], req.Run)
		s.mu.Unlock()
	}
	return report, nil
}

func (s *scripted) Execute(ctx context.Context, p *pipeline.Plan) (*pipeline.TaskReport, error) {
	if s.task != nil {
		return s.task(ctx, p)
	}
	return &pipeline.TaskReport{Model: p.Model, Plan: p.N, Status: pipeline.StatusOK}, nil
}

func (s *scripted) Load(_ context.Context, ref pipeline.PlanRef) (*pipeline.Plan, error) {
	return &pipeline.Plan{N: ref.N, Model: ref.Model}, nil
}

func (s *scripted) runs() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ran)
}

func failed(p *pipeline.Plan, class pipeline.Class) (*pipeline.TaskReport, error) {
	return &pipeline.TaskReport{Model: p.Model, Plan: p.N, Status: pipeline.StatusFailed, ErrorClass: class},
		fmt.Errorf("scripted failure of class %s", class)
}

func flights(cron string) *pipeline.Pipeline {
	return &pipeline.Pipeline{
		Name: "flights", TimeZone: "UTC", Location: time.UTC, Trigger: pipeline.Trigger{Cron: cron}, Catchup: "latest", Overlap: "queue",
		Retries: pipeline.Retries{
			Max: 3, Initial: 30 * time.Second, MaxWait: 10 * time.Minute,
			Classes: []pipeline.Class{pipeline.ClassIO, pipeline.ClassThrottled, pipeline.ClassConflict, pipeline.ClassTimeout, pipeline.ClassOOM},
		},
		TaskTimeout: 2 * time.Hour,
	}
}

func config(store objectstore.Store, r Runner, p *pipeline.Pipeline) Config {
	return Config{Store: store, Runner: r, Project: "flights", Env: "test", Pipelines: []*pipeline.Pipeline{p}, Rand: clock.SeededRand(1)}
}

func fill(t *testing.T, c Config) *Config {
	t.Helper()
	filled, err := c.filled()
	if err != nil {
		t.Fatal(err)
	}
	return filled
}

// forgetful loses the reply of every put whose number is in lost, after the put was done.
type forgetful struct {
	objectstore.Store
	mu   sync.Mutex // guards puts
	puts int
	lose func(n int, key string) bool
}

func (f *forgetful) Put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (objectstore.Info, error) {
	info, err := f.Store.Put(ctx, key, body, cond)
	f.mu.Lock()
	f.puts++
	n := f.puts
	f.mu.Unlock()
	if f.lose(n, key) {
		return objectstore.Info{}, fmt.Errorf("put %s: %w", key, objectstore.ErrUnavailable)
	}
	return info, err
}

func TestRunOfASlotIsCreatedOnce(t *testing.T) {
	store := &forgetful{Store: mem.New(t.Name()), lose: func(n int, _ string) bool { return n%3 != 0 }}
	slot := moment(t, "2001-07-02T07:30:00Z")
	var wg sync.WaitGroup
	var mu sync.Mutex
	ours, nonces := 0, map[string]bool{}
	for i := range 64 {
		cfg := config(store, &scripted{}, flights("30 2 * * *"))
		cfg.Rand = clock.SeededRand(uint64(i))
		cfg.Clock = clock.NewStepping(slot)
		c := fill(t, cfg)
		wg.Go(func() {
			run, mine, err := c.createRun(t.Context(), c.slotRun("flights", slot))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			if mine {
				ours++
			}
			nonces[run.Nonce] = true
			if run.ID != "flights/20010702T073000Z" || !run.AsOf.Equal(slot) || run.Trigger != TriggerSlot {
				t.Errorf("got %+v", run)
			}
		})
	}
	wg.Wait()
	if ours != 1 || len(nonces) != 1 {
		t.Errorf("%d winners, %d runs seen; want one of each", ours, len(nonces))
	}
}

func TestRunNowWithAKeyAnswersTheSame(t *testing.T) {
	store, r := mem.New(t.Name()), &scripted{models: []string{"bronze.flights", "silver.flights"}}
	first, err := RunNow(t.Context(), config(store, r, flights("")), Request{Pipeline: "flights", Key: "2001-02-15"})
	if err != nil {
		t.Fatal(err)
	}
	second, err := RunNow(t.Context(), config(store, r, flights("")), Request{Pipeline: "flights", Key: "2001-02-15"})
	if err != nil {
		t.Fatal(err)
	}
	if first.Run != second.Run || len(second.Tasks) != 2 || len(r.runs()) != 1 {
		t.Errorf("first %+v, second %+v, %d runs", first, second, len(r.runs()))
	}
	third, err := RunNow(t.Context(), config(store, r, flights("")), Request{Pipeline: "flights"})
	if err != nil || !strings.HasPrefix(third.Run, "flights/manual-") || len(r.runs()) != 2 {
		t.Errorf("third %+v, %v", third, err)
	}
	if _, err := RunNow(t.Context(), config(store, r, flights("")), Request{Pipeline: "planes"}); !errors.Is(err, ErrUnknownPipeline) {
		t.Errorf("unknown pipeline: %v", err)
	}
}

func TestInterruptedRunIsTakenUpUnderItsKey(t *testing.T) {
	store := mem.New(t.Name())
	ctx, cancel := context.WithCancel(t.Context())
	r := &scripted{models: []string{"bronze.flights"}, task: func(ctx context.Context, p *pipeline.Plan) (*pipeline.TaskReport, error) {
		cancel()
		<-ctx.Done()
		return &pipeline.TaskReport{Model: p.Model, Status: pipeline.StatusCancelled}, ctx.Err()
	}}
	report, err := RunNow(ctx, config(store, r, flights("")), Request{Pipeline: "flights", Key: "k"})
	if err != nil || report.ExitCode() != pipeline.ExitInterrupted {
		t.Fatalf("got %+v, %v", report, err)
	}
	r.task = nil
	report, err = RunNow(t.Context(), config(store, r, flights("")), Request{Pipeline: "flights", Key: "k"})
	if err != nil || report.ExitCode() != pipeline.ExitDone || len(r.runs()) != 2 || r.ran[0] != r.ran[1] {
		t.Fatalf("got %+v, %v, runs %v", report, err, r.ran)
	}
}

func TestRetriesFollowTheClass(t *testing.T) {
	for _, c := range []struct {
		name     string
		failures []pipeline.Class
		attempts int
		status   pipeline.Status
	}{
		{"nothing fails", nil, 1, pipeline.StatusOK},
		{"io twice", []pipeline.Class{pipeline.ClassIO, pipeline.ClassThrottled}, 3, pipeline.StatusOK},
		{"io for ever", slices.Repeat([]pipeline.Class{pipeline.ClassIO}, 9), 4, pipeline.StatusFailed},
		{"oom once", []pipeline.Class{pipeline.ClassOOM}, 2, pipeline.StatusOK},
		{"oom twice", []pipeline.Class{pipeline.ClassOOM, pipeline.ClassOOM}, 2, pipeline.StatusFailed},
		{"a check", []pipeline.Class{pipeline.ClassCheck}, 1, pipeline.StatusFailed},
		{"sql", []pipeline.Class{pipeline.ClassSQL}, 1, pipeline.StatusFailed},
	} {
		t.Run(c.name, func(t *testing.T) {
			var refs []pipeline.PlanRef
			r := &scripted{models: []string{"bronze.flights"}, task: func(_ context.Context, p *pipeline.Plan) (*pipeline.TaskReport, error) {
				refs = append(refs, p.Ref())
				if n := len(refs) - 1; n < len(c.failures) {
					return failed(p, c.failures[n])
				}
				return &pipeline.TaskReport{Model: p.Model, Status: pipeline.StatusOK}, nil
			}}
			cfg := config(mem.New(t.Name()), r, flights(""))
			cfg.Clock = clock.NewStepping(moment(t, "2001-02-15T08:00:00Z"))
			report, err := RunNow(t.Context(), cfg, Request{Pipeline: "flights"})
			if err != nil {
				t.Fatal(err)
			}
			task := report.Tasks[0]
			if len(refs) != c.attempts || task.Attempt != c.attempts || task.Status != c.status {
				t.Errorf("%d attempts, report %+v; want %d, %s", len(refs), task, c.attempts, c.status)
			}
			for _, ref := range refs {
				if ref != refs[0] {
					t.Errorf("attempts of different plans: %v", refs)
				}
			}
		})
	}
}

func TestTimeoutEndsATask(t *testing.T) {
	p := flights("")
	p.Retries.Max = 0
	p.TaskTimeout = time.Hour
	r := &scripted{models: []string{"bronze.flights"}, task: func(ctx context.Context, p *pipeline.Plan) (*pipeline.TaskReport, error) {
		<-ctx.Done()
		return &pipeline.TaskReport{Model: p.Model, Status: pipeline.StatusCancelled}, ctx.Err()
	}}
	cfg := config(mem.New(t.Name()), r, p)
	cfg.LeaseClock = clock.Fast(clock.System(), time.Now(), time.Now(), 36000)
	cfg.LeaseTTL = 100 * time.Hour
	report, err := RunNow(t.Context(), cfg, Request{Pipeline: "flights"})
	if err != nil {
		t.Fatal(err)
	}
	if task := report.Tasks[0]; task.Status != pipeline.StatusFailed || task.ErrorClass != pipeline.ClassTimeout {
		t.Errorf("got %+v", task)
	}
}

func TestEventsTellTheStory(t *testing.T) {
	store, r := mem.New(t.Name()), &scripted{models: []string{"bronze.flights"}}
	cfg := config(store, r, flights(""))
	cfg.Clock = clock.NewManual(moment(t, "2001-02-15T08:00:00Z"))
	report, err := RunNow(t.Context(), cfg, Request{Pipeline: "flights"})
	if err != nil {
		t.Fatal(err)
	}
	types := map[string]int{}
	for info, err := range store.List(t.Context(), "_lake/events/2001-02-15/", "") {
		if err != nil {
			t.Fatal(err)
		}
		body, _, err := readObject(t.Context(), store, info.Key)
		var e event
		if err == nil {
			err = json.Unmarshal(body, &e)
		}
		if err != nil || e.Run != report.Run || e.Project != "flights" {
			t.Errorf("%s: %s, %v", info.Key, body, err)
		}
		types[e.Type]++
	}
	if types[eventRunStarted] != 1 || types[eventTaskFinished] != 1 || types[eventRunFinished] != 1 || len(types) != 3 {
		t.Errorf("got %v", types)
	}
}

// Nothing that people read later may stop work now.
func TestLostEventsAreNotErrors(t *testing.T) {
	store := &refusing{Store: mem.New(t.Name()), prefix: "_lake/events/"}
	report, err := RunNow(t.Context(), config(store, &scripted{models: []string{"bronze.flights"}}, flights("")), Request{Pipeline: "flights"})
	if err != nil || report.ExitCode() != 0 {
		t.Errorf("got %+v, %v", report, err)
	}
}

type refusing struct {
	objectstore.Store
	prefix string
}

func (r *refusing) Put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (objectstore.Info, error) {
	if strings.HasPrefix(key, r.prefix) {
		return objectstore.Info{}, objectstore.ErrDenied
	}
	return r.Store.Put(ctx, key, body, cond)
}

func TestTestClockReadsWhatItWrites(t *testing.T) {
	want := TestClock{Epoch: moment(t, "2026-11-20T12:00:00Z"), Start: moment(t, "2001-02-15T08:00:00Z"), Rate: 60, TTL: 3 * time.Second}
	got, err := ParseTestClock(want.String())
	if err != nil || got != want {
		t.Fatalf("got %v, %v", got, err)
	}
	base := clock.NewManual(want.Epoch.Add(time.Second))
	if now := got.Clock(base).Now(); !now.Equal(want.Start.Add(time.Minute)) {
		t.Errorf("clock at %v", now)
	}
	for _, text := range []string{"", "epoch=x", "rate=60", "start=2001-02-15T08:00:00Z,epoch=2026-11-20T12:00:00Z,rate=0", "speed=1"} {
		if _, err := ParseTestClock(text); !errors.Is(err, ErrTestClock) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
