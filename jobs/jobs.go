// Package jobs decides when: it turns cron schedules into slots, slots into runs, and runs the tasks of a run in child
// processes, with retries.
//
// What a task does is decided by package pipeline, and whether it is done is said by its table. So everything here
// may be lost, repeated or doubled without harm: run objects are created once, leases and claims save work, events
// tell people. [Serve] is the scheduler, [RunNow] one run by hand, [Task] the child's side of one task.
package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/pipeline"
)

// Runner is what jobs needs of *pipeline.Runner.
type Runner interface {
	// Run plans and executes the models of one run in the order of their graph. Its error means that the request
	// itself cannot be served; failures of tasks are in the report.
	Run(ctx context.Context, req pipeline.RunRequest) (*pipeline.RunReport, error)
	// Load reads a plan that an earlier Run, here or in another process, has written.
	Load(ctx context.Context, ref pipeline.PlanRef) (*pipeline.Plan, error)
	// Execute runs one plan. The report is never nil. Running a landed plan again does nothing.
	Execute(ctx context.Context, p *pipeline.Plan) (*pipeline.TaskReport, error)
}

var _ Runner = (*pipeline.Runner)(nil)

// Defaults of a Config.
const (
	DefaultLeaseTTL = 60 * time.Second
	DefaultGrace    = 60 * time.Second
	killDelay       = 10 * time.Second // between asking a child to end and ending it
)

// Config is what Serve and RunNow work with. Store, Runner and Pipelines are needed; the rest has defaults.
type Config struct {
	Store     objectstore.Store // the warehouse of the environment in use
	Runner    Runner
	Project   string
	Env       string
	Pipelines []*pipeline.Pipeline

	// Clock gives slots, as_of and back-off. Tests let it run fast.
	Clock clock.Clock
	// LeaseClock measures leases, claims, task timeouts and the grace of a shutdown: real time, because the store's
	// clock is real. Default: clock.System().
	LeaseClock clock.Clock
	LeaseTTL   time.Duration // default DefaultLeaseTTL; a third of it is the renewal period
	Rand       clock.Rand
	Limits     limits.Limits
	Logger     *slog.Logger
	Holder     string // who works here, for people: "host/pid"

	// Child is the argument vector of a task process; the plan is appended ("silver.flights/182", and flags of
	// `lakectl task`). Empty: tasks run in this process.
	Child       []string
	ChildMemory int64         // GOMEMLIMIT of a child, bytes; 0: none
	ChildStderr io.Writer     // what children write on stderr; nil: discarded
	Grace       time.Duration // what running tasks get after ctx is done, before they are cancelled; default DefaultGrace

	// Observe is told of each step of each run, never from two goroutines at once. It must not block. May be nil.
	Observe func(Run, pipeline.Event)

	observing *sync.Mutex // held while Observe is called, so that it is never called twice at once
	identity  string      // Holder and a nonce: tells our own lease, met after a lost reply, from another's
}

// Request asks for one run by hand.
type Request struct {
	Pipeline string
	Select   []string  // models, as in pipeline.RunRequest; empty: all
	AsOf     time.Time // zero: now
	Key      string    // idempotency key: a second run with it answers what the first did
	Restart  pipeline.Restart
}

// filled returns c with its defaults, or what is missing.
func (c Config) filled() (*Config, error) {
	if c.Store == nil || c.Runner == nil {
		return nil, errors.New("jobs need a store and a runner")
	}
	if c.Clock == nil {
		c.Clock = clock.System()
	}
	if c.LeaseClock == nil {
		c.LeaseClock = clock.System()
	}
	if c.Rand == nil {
		c.Rand = clock.SystemRand()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.LeaseTTL <= 0 {
		c.LeaseTTL = DefaultLeaseTTL
	}
	if c.Grace <= 0 {
		c.Grace = DefaultGrace
	}
	if c.Holder == "" {
		c.Holder = "lakectl"
	}
	c.Limits = c.Limits.Filled()
	c.observing = &sync.Mutex{}
	c.identity = c.Holder + " " + clock.NewToken(c.Rand, 6)
	return &c, nil
}

func (c *Config) pipeline(name string) (*pipeline.Pipeline, error) {
	for _, p := range c.Pipelines {
		if p.Name == name {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: %q", ErrUnknownPipeline, name)
}
