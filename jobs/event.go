package jobs

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/pipeline"
)

// event is one object `_lake/events/<day>/<ulid>.json`: what happened, for people and for the history tables. Events
// are best effort. What is true stands in the tables, and a lost event is rebuilt from commitInfo.
type event struct {
	ID       string               `json:"id"`
	Type     string               `json:"type"`
	At       time.Time            `json:"at"`
	Project  string               `json:"project"`
	Run      string               `json:"run,omitempty"`
	Pipeline string               `json:"pipeline,omitempty"`
	Status   pipeline.Status      `json:"status,omitempty"`
	Slots    []time.Time          `json:"slots,omitempty"`
	Holder   string               `json:"holder"`
	Epoch    int64                `json:"epoch,omitempty"`
	Task     *pipeline.TaskReport `json:"task,omitempty"`
}

// The types of events.
const (
	eventRunStarted   = "run_started"
	eventRunFinished  = "run_finished"
	eventTaskFinished = "task_finished"
	eventSlotsSkipped = "slots_skipped"
)

// recorder writes events one after the other, beside the work. Its queue is bounded: an event that does not fit is
// lost, and counted.
type recorder struct {
	c     *Config
	epoch int64
	queue chan event
	ended chan struct{}

	mu   sync.Mutex // guards lost; a leaf lock
	lost int
}

// record starts a recorder. Whoever starts it calls flush.
func (c *Config) record(ctx context.Context) *recorder {
	r := &recorder{c: c, queue: make(chan event, c.Limits.EventQueue), ended: make(chan struct{})}
	go r.write(context.WithoutCancel(ctx))
	return r
}

func (r *recorder) add(e event) {
	e.ID, e.At, e.Project, e.Holder, e.Epoch = r.c.ulid(), r.c.Clock.Now(), r.c.Project, r.c.Holder, r.epoch
	select {
	case r.queue <- e:
	default:
		r.mu.Lock()
		r.lost++
		r.mu.Unlock()
	}
}

// flush ends the recorder: events that wait are written, within a few seconds.
func (r *recorder) flush() {
	close(r.queue)
	<-r.ended
	if r.lost > 0 {
		r.c.Logger.Warn("events lost", "count", r.lost)
	}
}

func (r *recorder) write(ctx context.Context) {
	defer close(r.ended)
	for e := range r.queue {
		body, err := json.Marshal(e)
		if err == nil {
			err = r.put(ctx, e, body)
		}
		if err != nil {
			r.c.Logger.Warn("event not written", "type", e.Type, "run", e.Run, "err", err)
			r.mu.Lock()
			r.lost++
			r.mu.Unlock()
		}
	}
}

// put does not follow anybody's cancel: the end of an interrupted run is an event, too.
func (r *recorder) put(ctx context.Context, e event, body []byte) error {
	ctx, cancel := withTimeout(ctx, r.c.LeaseClock, killDelay)
	defer cancel()
	key := "_lake/events/" + e.At.UTC().Format(time.DateOnly) + "/" + e.ID + ".json"
	_, err := r.c.Store.Put(ctx, key, objectstore.Bytes(body), objectstore.CreateOnly)
	return err
}
