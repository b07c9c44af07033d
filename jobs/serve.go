package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/pipeline"
)

// ErrNothingToSchedule says that no pipeline has a cron trigger. Terminal.
var ErrNothingToSchedule = errors.New("no pipeline has a cron trigger")

// Catch-up policies of a pipeline (slots missed while no scheduler ran), and overlap policies (slots that fire while
// a run works).
const (
	catchupAll  = "all"
	catchupNone = "none"
	overlapSkip = "skip"
)

const (
	unfinishedMax = 100  // runs looked at for work that another scheduler left behind
	slotsMax      = 5000 // slots of one look at the clock
)

// Serve schedules until ctx is done.
//
// Any number of schedulers may serve one lake: one has the seat, the others wait for it to expire or to be given back.
// Whoever takes the seat first finishes the runs that were left unfinished, then deals with the slots that were
// missed as each pipeline's catchup says, then waits for slots. When ctx is done no new slot is taken and the seat is
// given back at once; running tasks have Config.Grace to end before they are cancelled. The error is nil then.
// Errors: ErrNothingToSchedule, ErrSchedule.
func Serve(ctx context.Context, cfg Config) error {
	c, err := cfg.filled()
	if err != nil {
		return err
	}
	var lines []*line
	for _, p := range c.Pipelines {
		if p.Trigger.Cron == "" {
			continue
		}
		slots, err := NewSlots(p.Trigger.Cron, p.Location)
		if err != nil {
			return fmt.Errorf("pipeline %s: %w", p.Name, err)
		}
		lines = append(lines, &line{c: c, p: p, slots: slots})
	}
	if len(lines) == 0 {
		return ErrNothingToSchedule
	}
	waiting := false
	for ctx.Err() == nil {
		seat, err := c.acquire(ctx, schedulerKey)
		switch {
		case err == nil:
			waiting = false
			c.Logger.InfoContext(ctx, "scheduling", "holder", c.Holder, "epoch", seat.state.Epoch)
			c.lead(ctx, seat, lines)
		case errors.Is(err, ErrHeld):
			if !waiting {
				c.Logger.InfoContext(ctx, "another scheduler has the seat, waiting", "err", err)
			}
			waiting = true
		case ctx.Err() == nil:
			c.Logger.WarnContext(ctx, "seat not taken", "err", err)
		}
		_ = c.LeaseClock.Sleep(ctx, c.LeaseTTL/3+clock.Jitter(c.Rand, c.LeaseTTL/10))
	}
	return nil
}

// lead schedules while the seat is ours.
func (c *Config) lead(ctx context.Context, seat *lease, lines []*line) {
	seated, lost := context.WithCancelCause(ctx)
	// Runs outlive ctx by the grace. They do not outlive the seat: a scheduler that cannot renew stops.
	working, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	rec := c.record(ctx)
	rec.epoch = seat.state.Epoch

	var lanes, keeper, timer sync.WaitGroup
	for _, l := range lines {
		lanes.Go(func() { l.serve(seated, working, rec) })
	}
	keeper.Go(func() { seat.keep(seated, lost) })
	timer.Go(func() {
		<-seated.Done()
		if ctx.Err() == nil {
			stop(context.Cause(seated))
		} else if c.LeaseClock.Sleep(working, c.Grace) == nil {
			stop(errGrace)
		}
	})

	keeper.Wait()
	<-seated.Done()
	if ctx.Err() == nil {
		c.Logger.WarnContext(ctx, "seat lost", "err", context.Cause(seated))
	} else {
		// Given back before the running tasks have ended: another scheduler can take the next slot.
		ending, cancel := detached(ctx, c.LeaseClock, killDelay)
		if err := seat.release(ending, false, nil); err != nil {
			c.Logger.WarnContext(ctx, "seat not released", "err", err)
		}
		cancel()
	}
	lanes.Wait()
	stop(nil)
	timer.Wait()
	lost(nil)
	rec.flush()
}

var errGrace = errors.New("grace period is over")

// line is the time line of one pipeline.
type line struct {
	c     *Config
	p     *pipeline.Pipeline
	slots *Slots
}

// serve works off the slots of one pipeline, one run at a time, until seated is done. Runs end with working.
func (l *line) serve(seated, working context.Context, rec *recorder) {
	var last time.Time
	var unfinished []time.Time
	for { // until the bucket has answered
		var err error
		if last, unfinished, err = l.resume(seated); err == nil {
			break
		}
		l.c.Logger.WarnContext(seated, "schedule not read", "pipeline", l.p.Name, "err", err)
		if l.c.LeaseClock.Sleep(seated, l.c.LeaseTTL/3) != nil {
			return
		}
	}
	missed := l.c.Clock.Now() // slots up to here were missed, later ones are ours
	for seated.Err() == nil {
		unfinished = l.finish(seated, working, rec, unfinished)
		now := l.c.Clock.Now()
		due := l.slots.Between(last, now, slotsMax)
		if len(due) == 0 {
			l.wait(seated, last, now, len(unfinished) > 0)
			continue
		}
		slot, joins := l.choose(due, missed, rec)
		if slot.IsZero() {
			last = missed
			continue
		}
		held, err := l.fire(seated, working, slot, joins, rec)
		if held {
			unfinished = append(unfinished, slot)
		}
		if err != nil {
			l.c.Logger.WarnContext(seated, "slot not run, trying again", "pipeline", l.p.Name, "slot", slot, "err", err)
			_ = l.c.LeaseClock.Sleep(seated, l.c.LeaseTTL/3)
			continue
		}
		last = slot
		if l.p.Overlap == overlapSkip {
			last = l.skip(slot, rec)
		}
	}
}

// resume finds where an earlier scheduler stopped: the newest slot that has a run, and the runs that nobody finished.
// Without any run nothing was missed: the line begins now.
func (l *line) resume(ctx context.Context) (last time.Time, unfinished []time.Time, err error) {
	now := l.c.Clock.Now()
	seen, err := l.c.slotsSeen(ctx, l.p.Name, now, unfinishedMax)
	if err != nil || len(seen) == 0 {
		return now, nil, err
	}
	for _, slot := range seen {
		done, _, err := l.c.finished(ctx, l.c.slotRun(l.p.Name, slot).ID)
		if err != nil {
			return now, nil, err
		}
		if !done {
			unfinished = append(unfinished, slot)
		}
	}
	return seen[len(seen)-1], unfinished, nil
}

// finish works on runs that another scheduler left behind, oldest first, and returns those that are still claimed.
func (l *line) finish(seated, working context.Context, rec *recorder, slots []time.Time) []time.Time {
	var left []time.Time
	for _, slot := range slots {
		if seated.Err() != nil {
			return slots
		}
		id := l.c.slotRun(l.p.Name, slot).ID
		run, err := l.c.readRun(seated, id)
		if err == nil && run.Joined != "" {
			continue
		}
		done, held := false, false
		if err == nil {
			done, held, err = l.c.finished(seated, id)
		}
		if err == nil && !done && !held {
			held, err = l.run(seated, working, run, rec)
		}
		if err != nil {
			l.c.Logger.WarnContext(seated, "run not taken up", "run", id, "err", err)
		}
		if held || err != nil {
			left = append(left, slot)
		}
	}
	return left
}

// wait sleeps until the next slot; a while only when runs of others are still to be finished.
func (l *line) wait(ctx context.Context, last, now time.Time, soon bool) {
	next := l.slots.Next(last)
	if next.IsZero() {
		<-ctx.Done()
		return
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	if soon {
		var timed func()
		waiting, timed = withTimeout(ctx, l.c.LeaseClock, l.c.LeaseTTL/3)
		defer timed()
	}
	_ = l.c.Clock.Sleep(waiting, next.Sub(now))
}

// choose picks the slot to run of those that are due, oldest first, and those that join it. For slots that were missed
// catchup decides: all of them in order, the newest, or none (a zero slot). Slots that fired while a run worked are
// queued: the newest runs, and the others join it, unless catchup wants all of them.
func (l *line) choose(due []time.Time, missed time.Time, rec *recorder) (slot time.Time, joins []time.Time) {
	old := 0
	for old < len(due) && !due[old].After(missed) {
		old++
	}
	newest := len(due) - 1
	switch {
	case l.p.Catchup == catchupAll:
		if extra := old - l.p.MaxCatchup; l.p.MaxCatchup > 0 && extra > 0 {
			l.drop(due[:extra], rec, "max_catchup_runs")
			return due[extra], nil
		}
		return due[0], nil
	case old == 0:
		return due[newest], due[:newest]
	case l.p.Catchup == catchupNone:
		l.drop(due[:old], rec, "catchup: none")
		return time.Time{}, nil
	}
	if old > 1 {
		l.drop(due[:old-1], rec, "catchup: latest")
	}
	return due[old-1], nil
}

// drop tells of slots that get no run.
func (l *line) drop(slots []time.Time, rec *recorder, why string) {
	l.c.Logger.Warn("slots not run", "pipeline", l.p.Name, "count", len(slots), "from", slots[0], "to", slots[len(slots)-1], "reason", why)
	rec.add(event{Type: eventSlotsSkipped, Pipeline: l.p.Name, Slots: slots})
}

// skip deals with the slots that fired while a run worked, when overlap is skip: it returns the newest.
func (l *line) skip(ran time.Time, rec *recorder) time.Time {
	due := l.slots.Between(ran, l.c.Clock.Now(), slotsMax)
	if len(due) == 0 {
		return ran
	}
	l.drop(due, rec, "overlap: skip")
	return due[len(due)-1]
}

// fire creates the run of a slot, once among all schedulers, and works it off. The slots that join it get a run
// object that says so. It tells whether somebody else works on the run.
func (l *line) fire(seated, working context.Context, slot time.Time, joins []time.Time, rec *recorder) (held bool, err error) {
	run, _, err := l.c.createRun(working, l.c.slotRun(l.p.Name, slot))
	if err != nil {
		return false, err
	}
	for _, other := range joins {
		joined := l.c.slotRun(l.p.Name, other)
		joined.Joined = run.ID
		if _, _, err := l.c.createRun(working, joined); err != nil {
			return false, err
		}
	}
	return l.run(seated, working, run, rec)
}

// run works off a run object. A run that has failed is not an error: its report tells, and the next slot fills the gap.
func (l *line) run(seated, working context.Context, run Run, rec *recorder) (held bool, err error) {
	if run.Joined != "" {
		return false, nil
	}
	report, err := l.c.work(working, seated, l.p, run, rec)
	switch {
	case errors.Is(err, ErrHeld) && working.Err() == nil:
		l.c.Logger.InfoContext(working, "run is worked on elsewhere", "run", run.ID, "err", err)
		return true, nil
	case report != nil:
		l.c.Logger.InfoContext(working, "run ended", "run", run.ID, "status", report.Status())
		return false, nil
	}
	return false, err
}
