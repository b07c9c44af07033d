// Package examine finds out whether a store can carry a Delta log: it believes no store by its name.
//
// Everything that lakectl promises rests on a few properties of the store: an object is created once among many who
// try, is replaced only by who knows its ETag, and is seen by everybody as soon as it is written. Run tries each of
// them under a random prefix and removes what it has written. A try can refute a store, it cannot prove one.
package examine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
)

// Verdict is what a store may be used for. Texts are stable.
type Verdict string

// The verdicts, from the best to the worst.
const (
	ManyWriters Verdict = "safe for many writers"
	OneWriter   Verdict = "one writer only" // two writers would overwrite each other's commits
	NotSafe     Verdict = "not safe"        // even one writer may not find again what it wrote
)

// Status is how a trial ended. Texts are stable.
type Status string

// The ends of a trial.
const (
	Passed  Status = "ok"
	Warned  Status = "warning" // nothing is lost; somebody should look
	Failed  Status = "failed"
	Skipped Status = "skipped"
)

// Trial is one property and how the store did. JSON names are stable.
type Trial struct {
	Name         string `json:"name"`
	Status       Status `json:"status"`
	Detail       string `json:"detail"`
	Milliseconds int64  `json:"milliseconds"`
}

// Report is what an examination found. JSON names are stable.
type Report struct {
	Store   string  `json:"store"` // its URL
	Verdict Verdict `json:"verdict"`
	Trials  []Trial `json:"trials"`
	// ClockOffset is how far the clock of the store is ahead of ours, in milliseconds; nil where the store does not tell.
	ClockOffset  *int64 `json:"clock_offset_milliseconds"`
	Milliseconds int64  `json:"milliseconds"`
}

// Options say how hard to try. The zero value works.
type Options struct {
	Prefix     string      // where to write; DefaultPrefix if empty
	Contenders int         // of a race; DefaultContenders if zero
	Rounds     int         // of each race; DefaultRounds if zero
	LargeBytes int64       // of the object that is sent in parts; 0 leaves that trial out
	Clock      clock.Clock // the system's if nil
	Rand       clock.Rand  // the system's if nil
}

// Defaults of [Options].
const (
	DefaultPrefix     = objectstore.DefaultProbePrefix
	DefaultContenders = 32
	DefaultRounds     = 8
)

// cleanUpTime bounds the removal of what was written, also after ctx is done.
const cleanUpTime = 30 * time.Second

// Run tries everything on two independent clients of one store, which must not be wrapped in objectstore.Probed. The
// clients should send LargeBytes in parts.
//
// Errors: where not even one object could be written or read: those of the store, objectstore.ErrDenied for example. Whatever
// the store does wrong is no error but a trial that failed.
// Cost: about Rounds × Contenders × 2 conditional PUTs, most of them refused, and some fifty other requests.
func Run(ctx context.Context, a, b objectstore.Store, o Options) (*Report, error) {
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	if o.Rand == nil {
		o.Rand = clock.SystemRand()
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.Contenders <= 0 {
		o.Contenders = DefaultContenders
	}
	if o.Rounds <= 0 {
		o.Rounds = DefaultRounds
	}
	e := &examination{
		a: a, b: b, o: o, prefix: o.Prefix + clock.NewToken(o.Rand, 16) + "/",
		report: &Report{Store: a.URL(), Verdict: ManyWriters, Trials: []Trial{}},
	}
	begin := o.Clock.Now()
	err := e.reach(ctx)
	if err == nil {
		err = e.trials(ctx)
	}
	e.cleanUp(ctx)
	if err != nil {
		return nil, fmt.Errorf("examine %s: %w", a.URL(), err)
	}
	e.report.Milliseconds = clock.Since(o.Clock, begin).Milliseconds()
	return e.report, nil
}

type examination struct {
	a, b   objectstore.Store
	o      Options
	prefix string
	report *Report
}

// reach writes and reads one object, and compares the clocks: without that there is nothing to try.
func (e *examination) reach(ctx context.Context) error {
	key := e.prefix + "reach"
	if _, err := e.a.Put(ctx, key, text("here"), objectstore.Condition{}); err != nil {
		return err
	}
	before := e.o.Clock.Now()
	info, err := e.a.Head(ctx, key)
	if err != nil {
		return err
	}
	after := e.o.Clock.Now()
	if !info.Date.IsZero() {
		middle := before.Add(after.Sub(before) / 2)
		ms := info.Date.Sub(middle).Milliseconds()
		e.report.ClockOffset = &ms
	}
	return nil
}

// flaw is a property that the store lacks; with the best verdict it is a warning.
type flaw struct {
	verdict Verdict
	detail  string
}

func (f *flaw) Error() string { return f.detail }

func oneWriter(format string, args ...any) error {
	return &flaw{OneWriter, fmt.Sprintf(format, args...)}
}

func notSafe(format string, args ...any) error { return &flaw{NotSafe, fmt.Sprintf(format, args...)} }

// trials runs them all. A request that fails ends its own trial alone, unless ctx is done.
func (e *examination) trials(ctx context.Context) error {
	for _, t := range []struct {
		name string
		run  func(context.Context) (detail string, err error)
		// worst is what a request that fails means for the verdict: a property that could not be shown.
		worst Verdict
	}{
		{"create once", e.createTwice, OneWriter},
		{"create race", e.createRace, OneWriter},
		{"swap by ETag", e.swap, OneWriter},
		{"swap race", e.swapRace, OneWriter},
		{"read after write", e.readAfterWrite, NotSafe},
		{"list after write", e.listAfterWrite, NotSafe},
		{"order of listings", e.byteOrder, NotSafe},
		{"ranges", e.ranges, NotSafe},
		{"create in parts", e.createLarge, OneWriter},
		{"clock", e.clock, ManyWriters},
	} {
		begin := e.o.Clock.Now()
		detail, err := t.run(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		trial := Trial{Name: t.name, Status: Passed, Detail: detail, Milliseconds: clock.Since(e.o.Clock, begin).Milliseconds()}
		var bad *flaw
		switch {
		case errors.Is(err, errSkipped):
			trial.Status = Skipped
		case errors.As(err, &bad) && bad.verdict == ManyWriters:
			trial.Status, trial.Detail = Warned, bad.detail
		case errors.As(err, &bad):
			trial.Status, trial.Detail = Failed, bad.detail
			e.worsen(bad.verdict)
		case err != nil:
			trial.Status, trial.Detail = Failed, "could not be tried: "+err.Error()
			e.worsen(t.worst)
		}
		e.report.Trials = append(e.report.Trials, trial)
	}
	return nil
}

// errSkipped says that a trial was not asked for. Terminal; it never leaves the package.
var errSkipped = errors.New("skipped")

// worsen lowers the verdict.
func (e *examination) worsen(v Verdict) {
	order := []Verdict{ManyWriters, OneWriter, NotSafe}
	if slices.Index(order, v) > slices.Index(order, e.report.Verdict) {
		e.report.Verdict = v
	}
}

// clockTolerance is how far clocks may differ before somebody should look. S3 refuses requests from fifteen minutes on.
const clockTolerance = time.Minute

func (e *examination) clock(context.Context) (string, error) {
	if e.report.ClockOffset == nil {
		return "", &flaw{ManyWriters, "the store does not tell its time"}
	}
	offset := time.Duration(*e.report.ClockOffset) * time.Millisecond
	if offset.Abs() > clockTolerance {
		return "", &flaw{ManyWriters, fmt.Sprintf("the clock of the store is %s ahead of this machine's: one of the two is wrong", offset.Round(time.Second))}
	}
	return fmt.Sprintf("the clock of the store is within %s of this machine's", clockTolerance), nil
}

// cleanUp removes what was written, and says so where it cannot.
func (e *examination) cleanUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanUpTime)
	defer cancel()
	keys, err := names(ctx, e.a, e.prefix, "")
	for i := range keys {
		keys[i] = e.prefix + keys[i]
	}
	if err == nil && len(keys) > 0 {
		err = e.a.Delete(ctx, keys...)
	}
	if err == nil {
		if keys, err = names(ctx, e.a, e.prefix, ""); err == nil && len(keys) > 0 {
			err = fmt.Errorf("%d were deleted and are there", len(keys))
		}
	}
	if err != nil {
		e.report.Trials = append(e.report.Trials, Trial{
			Name: "removal", Status: Warned, Detail: fmt.Sprintf("objects are left below %s: %v", e.prefix, err),
		})
	}
}
