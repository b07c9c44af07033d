package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Errors of planning and executing. A *TaskError carries the class that they stand for.
var (
	// ErrSuperseded says that another process landed this or a later plan of the model. Terminal; the work is done.
	ErrSuperseded = errors.New("superseded by another plan")
	// ErrNotOwner says that the table carries progress of another project or model, or would forget progress. Terminal.
	ErrNotOwner = errors.New("table is not ours")
	// ErrSourceRewound says that a source was recreated, restored or vacuumed past what was consumed. Terminal.
	ErrSourceRewound = errors.New("source_rewound")
	// ErrPlanNotFound says that no such plan object exists. Terminal.
	ErrPlanNotFound = errors.New("plan not found")
	// ErrCheckFailed says that a check, a breaker or a rule with on_fail: fail refused the rows. Terminal.
	ErrCheckFailed = errors.New("check failed")
	// ErrContract says that a landing file broke the contract of its ingest. Terminal.
	ErrContract = errors.New("contract broken")
	// ErrNotBuilt says that a source table does not exist yet. Terminal until something builds it.
	ErrNotBuilt = errors.New("source table does not exist yet")
)

// Options of a Runner. Project, Store, Engine, OpenStore and Scratch are needed.
type Options struct {
	Project *Project // loaded with a Parser
	// Store is the warehouse of the environment in use (Project.Env.Warehouse): tables and the folder _lake.
	Store  objectstore.Store
	Engine table.Engine
	// EngineName is what plans and history call Engine; "duckdb" when empty.
	EngineName string
	// OpenStore opens the folder or bucket prefix that url names ("s3://bucket/prefix/", "file:///abs/folder/") as
	// a store: keys are relative to it. It is called once for each distinct url.
	OpenStore func(ctx context.Context, url string) (objectstore.Store, error)
	// Scratch takes decoded landing files while a task works, and is emptied of them at its end: a file store on
	// local disk. The engine must be able to read it.
	Scratch objectstore.Store
	Clock   clock.Clock // clock.System() when nil
	Rand    clock.Rand  // clock.SystemRand() when nil
	Logger  *slog.Logger
	// Epoch is the lease epoch that goes into commitInfo.lake; 0 without a lease.
	Epoch int64
	// EngineInfo goes into commitInfo.engineInfo, "lakectl/0.1.0".
	EngineInfo string
}

// Runner plans and executes the models of one project on one warehouse. It holds no state of the lake: two runners,
// in one process or in two, may work on the same model at once, and one of them is superseded. Safe for concurrent use.
type Runner struct {
	o Options

	mu      sync.Mutex // guards stores; held for no store call
	stores  map[string]objectstore.Store
	scratch string // prefix of this runner's objects in o.Scratch
}

// NewRunner checks o and returns a Runner.
func NewRunner(o Options) (*Runner, error) {
	if o.Project == nil || o.Store == nil || o.Engine == nil || o.OpenStore == nil || o.Scratch == nil {
		return nil, fmt.Errorf("new runner: %w: Project, Store, Engine, OpenStore and Scratch are needed", errConfig)
	}
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	if o.Rand == nil {
		o.Rand = clock.SystemRand()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.EngineName == "" {
		o.EngineName = "duckdb"
	}
	return &Runner{o: o, stores: map[string]objectstore.Store{}, scratch: "pipeline-" + clock.NewToken(o.Rand, 8) + "/"}, nil
}

// model finds an enabled model.
func (r *Runner) model(name string) (*Model, *Pipeline, error) {
	m, ok := r.o.Project.Model(name)
	if !ok {
		return nil, nil, fmt.Errorf("%w: no model makes %s", errConfig, name)
	}
	p, ok := r.o.Project.Pipeline(m.Pipeline)
	if !ok {
		return nil, nil, fmt.Errorf("%w: %s belongs to no pipeline", errConfig, name)
	}
	if !m.Enabled {
		return nil, nil, fmt.Errorf("%w: %s is not enabled", errConfig, name)
	}
	return m, p, nil
}

// landing opens the folder of an ingest.
func (r *Runner) landing(ctx context.Context, url string) (objectstore.Store, error) {
	r.mu.Lock()
	s := r.stores[url]
	r.mu.Unlock()
	if s != nil {
		return s, nil
	}
	s, err := r.o.OpenStore(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("open landing folder: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if other := r.stores[url]; other != nil {
		return other, nil
	}
	r.stores[url] = s
	return s, nil
}

func (r *Runner) tableOptions() table.Options {
	return table.Options{Log: txlog.Options{Clock: r.o.Clock, Rand: r.o.Rand, Limits: r.o.Project.Limits, Logger: r.o.Logger, EngineInfo: r.o.EngineInfo}}
}

// openTable opens a table of the warehouse by name; nil when it does not exist.
func (r *Runner) openTable(ctx context.Context, name string) (*table.Table, error) {
	path, ok := TablePath(name)
	if !ok {
		return nil, fmt.Errorf("%w: %q is not a table of the lake", errConfig, name)
	}
	t, err := table.Open(ctx, r.o.Store, path, r.tableOptions())
	if errors.Is(err, txlog.ErrNotATable) {
		return nil, nil //nolint:nilnil // no table is an answer
	}
	return t, err
}

// appID is the name under which the model records name in txn actions.
func (r *Runner) appID(m *Model, name string) string {
	return "lake/" + r.o.Project.Name + "/" + m.Name + "/" + name
}

func (r *Runner) taskID(m *Model) string { return r.appID(m, "task") }

// sourceID is the appId of the version consumed of a source table.
func (r *Runner) sourceID(m *Model, tableID string) string { return r.appID(m, "src/"+tableID) }

// checkOwner refuses a table that carries progress of others, or that would forget progress.
func (r *Runner) checkOwner(m *Model, s *txlog.Snapshot) error {
	if v, ok := s.Property("delta.setTransactionRetentionDuration"); ok {
		return fmt.Errorf("%w: delta.setTransactionRetentionDuration = %s would forget what was loaded", ErrNotOwner, v)
	}
	mine := r.appID(m, "")
	for id := range s.Txns() {
		if strings.HasPrefix(id, "lake/") && !strings.HasPrefix(id, mine) {
			return fmt.Errorf("%w: it carries the progress of %s", ErrNotOwner, strings.TrimPrefix(id, "lake/"))
		}
	}
	return nil
}

// task is the number of the last plan of m that landed in s; 0 for none.
func (r *Runner) task(m *Model, s *txlog.Snapshot) int64 {
	if s == nil {
		return 0
	}
	t, _ := s.Txn(r.taskID(m))
	return t.Version
}

// PlanRequest asks for the next plan of a model.
type PlanRequest struct {
	Run   string    // run id, "flights/20010702T073000Z"
	AsOf  time.Time // fixed for the run
	Model string
	// Landed is the last plan of the model that this run has landed, 0 for none. A full model that resumed a plan of
	// an earlier run is not run again when nothing has changed since.
	Landed int64
	Restart

	preview bool // nothing is written
}

// RunRequest asks for one run of a pipeline.
type RunRequest struct {
	Run      string // run id; needed
	Pipeline string
	// Select limits the run to these models (selectors of this version: name globs, "+name", "name+"); empty: all
	// enabled models.
	Select []string
	AsOf   time.Time // zero: the clock's now
	Restart
	// Execute runs one plan; nil: Runner.Execute in this process. jobs gives one that starts a child or retries.
	// It may be called from several goroutines at once, for different models.
	Execute func(ctx context.Context, p *Plan) (*TaskReport, error)
	// Observe is told of each step as it happens, never from two goroutines at once. It must not block.
	Observe func(Event)
}

// Event is one step of a run. Task is set from EventDone on.
type Event struct {
	Type  EventType
	Model string
	Plan  *Plan       // EventPlanned
	Task  *TaskReport // EventDone
}

// EventType is what happened.
type EventType string

// The steps of a task.
const (
	EventPlanning EventType = "planning"
	EventPlanned  EventType = "planned"
	EventDone     EventType = "done"
)

// tokenOf is a word that no other object of the scratch store has.
func tokenOf(r *Runner) string { return clock.NewToken(r.o.Rand, 6) }
