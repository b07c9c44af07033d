package jobs

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/oklog/ulid/v2"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/pipeline"
	"github.com/lakectl/lakectl/txlog"
)

// Errors of runs.
var (
	// ErrHeld says that another process works on the run, and its claim has not expired. Retryable later.
	ErrHeld = errors.New("held by another process")
	// ErrUnknownPipeline says that the project has no pipeline of that name. Terminal.
	ErrUnknownPipeline = errors.New("no such pipeline")
	// ErrRunObject says that a run object is not what we write. Terminal.
	ErrRunObject = errors.New("run object not readable")
)

// What started a run.
const (
	TriggerSlot   = "slot"
	TriggerManual = "manual"
	TriggerKey    = "key"
)

// Run is one run of a pipeline: the object `_lake/runs/<id>.json`, created once and never changed.
//
// Ids are deterministic where the cause is: a slot of a cron schedule gives `flights/20010702T073000Z`, an
// idempotency key `flights/key-<hash>`; a run by hand is `flights/manual-<ulid>`. Whoever creates the object owns the
// run; who meets it reads it and answers the same.
type Run struct {
	ID        string     `json:"run"`
	Project   string     `json:"project"`
	Pipeline  string     `json:"pipeline"`
	Trigger   string     `json:"trigger"`
	Slot      *time.Time `json:"slot,omitempty"`
	AsOf      time.Time  `json:"as_of"` // fixed for the whole run: the slot, or when it was asked for
	Select    []string   `json:"select,omitempty"`
	Refresh   bool       `json:"full_refresh,omitempty"`
	ResumeAt  *int64     `json:"resume_at,omitempty"` // version of the source
	Joined    string     `json:"joined,omitempty"`    // the run that did the work of this slot, too
	Holder    string     `json:"holder"`
	CreatedAt time.Time  `json:"created_at"`
	Nonce     string     `json:"nonce"` // tells our own object, met after a lost reply, from another's
}

const (
	runsPrefix   = "_lake/runs/"
	slotForm     = "20060102T150405Z"
	objectBytes  = 1 << 20 // more than any object of this package
	settleRounds = 6       // attempts to settle a put in doubt
)

// Key is where the run object is.
func (r Run) Key() string { return runsPrefix + r.ID + ".json" }

// slotRun is the run of a slot. The slot is in UTC.
func (c *Config) slotRun(pipeline string, slot time.Time) Run {
	slot = slot.UTC()
	return c.newRun(pipeline, slot.Format(slotForm), TriggerSlot, &slot, slot)
}

// manualRun is a run asked for by a person or a script.
func (c *Config) manualRun(req Request) Run {
	asOf := req.AsOf
	if asOf.IsZero() {
		asOf = c.Clock.Now()
	}
	name, trigger := "manual-"+c.ulid(), TriggerManual
	if req.Key != "" {
		sum := sha256.Sum256([]byte(req.Key))
		name, trigger = "key-"+hex.EncodeToString(sum[:16]), TriggerKey
	}
	r := c.newRun(req.Pipeline, name, trigger, nil, asOf.UTC().Truncate(time.Millisecond))
	r.Select, r.Refresh = req.Select, req.Restart.FullRefresh
	if v := req.Restart.ResumeAt; v != nil {
		n := int64(*v)
		r.ResumeAt = &n
	}
	return r
}

// restart is where the merges of the run begin.
func (r Run) restart() pipeline.Restart {
	out := pipeline.Restart{FullRefresh: r.Refresh}
	if r.ResumeAt != nil {
		v := txlog.Version(*r.ResumeAt)
		out.ResumeAt = &v
	}
	return out
}

func (c *Config) newRun(pipeline, name, trigger string, slot *time.Time, asOf time.Time) Run {
	return Run{
		ID: pipeline + "/" + name, Project: c.Project, Pipeline: pipeline, Trigger: trigger, Slot: slot, AsOf: asOf,
		Holder: c.Holder, CreatedAt: c.Clock.Now().Truncate(time.Millisecond), Nonce: clock.NewUUID(c.Rand),
	}
}

// createRun writes the run object, exactly once among all who try. It returns the run that is there and whether it
// is ours.
func (c *Config) createRun(ctx context.Context, r Run) (Run, bool, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return Run{}, false, fmt.Errorf("encode run %s: %w", r.ID, err)
	}
	there, err := c.create(ctx, r.Key(), body)
	if err != nil {
		return Run{}, false, fmt.Errorf("create run %s: %w", r.ID, err)
	}
	got, err := decodeRun(there)
	if err != nil {
		return Run{}, false, fmt.Errorf("create run %s: %w", r.ID, err)
	}
	return got, got.Nonce == r.Nonce, nil
}

// readRun reads a run object. Errors: objectstore.ErrNotFound, ErrRunObject.
func (c *Config) readRun(ctx context.Context, id string) (Run, error) {
	body, _, err := readObject(ctx, c.Store, runsPrefix+id+".json")
	if err != nil {
		return Run{}, fmt.Errorf("read run %s: %w", id, err)
	}
	r, err := decodeRun(body)
	if err != nil {
		return Run{}, fmt.Errorf("read run %s: %w", id, err)
	}
	return r, nil
}

func decodeRun(body []byte) (Run, error) {
	var r Run
	if err := json.Unmarshal(body, &r); err != nil || r.ID == "" || r.Pipeline == "" || r.AsOf.IsZero() {
		return Run{}, ErrRunObject
	}
	return r, nil
}

// create puts an object that must not exist and returns the bytes that are there afterwards: ours or another's. A
// reply that leaves doubt is settled by reading back, and by the same put again while the object is absent.
func (c *Config) create(ctx context.Context, key string, body []byte) ([]byte, error) {
	var last error
	for round := range settleRounds {
		if round > 0 {
			if err := c.Clock.Sleep(ctx, clock.Jitter(c.Rand, 100*time.Millisecond<<round)); err != nil {
				return nil, err
			}
		}
		_, err := c.Store.Put(ctx, key, objectstore.Bytes(body), objectstore.CreateOnly)
		if err == nil {
			return body, nil
		}
		if objectstore.Refused(err) || ctx.Err() != nil {
			return nil, err
		}
		last = err
		there, _, err := readObject(ctx, c.Store, key)
		if err == nil {
			return there, nil
		}
		if !errors.Is(err, objectstore.ErrNotFound) {
			last = err
		}
	}
	return nil, last
}

// readObject reads a small object of the control folder.
func readObject(ctx context.Context, s objectstore.Store, key string) ([]byte, objectstore.Info, error) {
	body, info, err := s.Get(ctx, key, objectstore.Range{})
	if err != nil {
		return nil, info, err
	}
	b, err := readBounded(body, objectBytes)
	if cerr := body.Close(); err == nil {
		err = cerr
	}
	return b, info, err
}

// slotsSeen lists the slots of a pipeline that have a run object, from the newest backwards, at most most of them.
// It looks further and further back, so that a busy schedule is not read to its beginning.
func (c *Config) slotsSeen(ctx context.Context, pipeline string, now time.Time, most int) ([]time.Time, error) {
	for _, back := range []time.Duration{2 * time.Hour, 3 * 24 * time.Hour, 62 * 24 * time.Hour, 2 * 366 * 24 * time.Hour} {
		prefix := runsPrefix + pipeline + "/"
		var found []time.Time
		for info, err := range c.Store.List(ctx, prefix, prefix+now.Add(-back).UTC().Format(slotForm)) {
			if err != nil {
				return nil, fmt.Errorf("list runs of %s: %w", pipeline, err)
			}
			at, ok := slotOf(strings.TrimPrefix(info.Key, prefix))
			if !ok {
				continue
			}
			if found = append(found, at); len(found) > most {
				found = found[1:]
			}
		}
		if len(found) > 0 {
			return found, nil
		}
	}
	return nil, nil
}

var slotName = regexp.MustCompile(`^\d{8}T\d{6}Z\.json$`)

func slotOf(name string) (time.Time, bool) {
	if !slotName.MatchString(name) {
		return time.Time{}, false
	}
	at, err := time.Parse(slotForm, strings.TrimSuffix(name, ".json"))
	return at, err == nil
}

func (c *Config) ulid() string {
	var entropy [10]byte
	binary.BigEndian.PutUint64(entropy[:8], c.Rand.Uint64())
	binary.BigEndian.PutUint16(entropy[8:], uint16(c.Rand.Uint64()>>48))
	var id ulid.ULID
	_ = id.SetTime(ulid.Timestamp(c.Clock.Now())) // fails after the year 10889 only
	_ = id.SetEntropy(entropy[:])                 // fails for another length only
	return id.String()
}
