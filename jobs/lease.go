package jobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
)

// lease is an object that says who works on something: the scheduler's seat (`_lake/lease/scheduler.json`) or one run
// (`_lake/claims/runs/<id>.json`).
//
// It saves work and never guards: two holders at once cost time, and the tables refuse the second (architecture,
// law 6). It expires by the store's clock, when Date − LastModified of one reply exceeds the ttl in the object, so
// the clocks of the contenders play no part. It is renewed at a third of the ttl by a swap against its ETag; taking
// over an expired or released one is the same swap with epoch + 1.
type lease struct {
	c     *Config
	key   string
	state leaseState
	etag  string
}

// leaseState is the object. Names are stable.
type leaseState struct {
	Holder   string          `json:"holder"`
	Epoch    int64           `json:"epoch"`
	TTL      string          `json:"ttl"`
	Beat     int64           `json:"beat"` // so that no two renewals have one ETag
	Released bool            `json:"released,omitempty"`
	Finished bool            `json:"finished,omitempty"` // runs: nothing is left to do
	Report   json.RawMessage `json:"report,omitempty"`   // runs: what was done
}

const schedulerKey = "_lake/lease/scheduler.json"

func claimKey(runID string) string { return "_lake/claims/runs/" + runID + ".json" }

// acquire takes the lease, or says who has it: [ErrHeld]. A finished one is returned as it is, not taken; ask
// lease.state.Finished.
func (c *Config) acquire(ctx context.Context, key string) (*lease, error) {
	l := &lease{c: c, key: key, state: leaseState{Holder: c.identity, Epoch: 1, TTL: c.LeaseTTL.String()}}
	for range settleRounds {
		old, info, err := l.read(ctx)
		switch {
		case errors.Is(err, objectstore.ErrNotFound):
			err = l.put(ctx, l.state, objectstore.CreateOnly)
		case err != nil:
			return nil, fmt.Errorf("read lease %s: %w", key, err)
		case old.Finished:
			l.state, l.etag = old, info.ETag
			return l, nil
		case !old.Released && !expired(old, info):
			return nil, fmt.Errorf("%w: %s by %s", ErrHeld, key, old.Holder)
		default:
			next := l.state
			next.Epoch = old.Epoch + 1
			err = l.put(ctx, next, objectstore.Condition{IfMatch: info.ETag})
		}
		if err == nil {
			return l, nil
		}
		if objectstore.Refused(err) || ctx.Err() != nil {
			return nil, fmt.Errorf("take lease %s: %w", key, err)
		}
		// Someone was faster, or the reply was lost: look again.
		if now, info, rerr := l.read(ctx); rerr == nil && now.Holder == c.identity && !now.Released {
			l.state, l.etag = now, info.ETag
			return l, nil
		}
	}
	return nil, fmt.Errorf("%w: %s: lost every race", ErrHeld, key)
}

// keep renews the lease until ctx is done, and cancels work with the error once the lease is lost.
func (l *lease) keep(ctx context.Context, lost context.CancelCauseFunc) {
	good := l.c.LeaseClock.Now()
	for l.c.LeaseClock.Sleep(ctx, l.c.LeaseTTL/3) == nil {
		next := l.state
		next.Beat++
		err := l.put(ctx, next, objectstore.Condition{IfMatch: l.etag})
		if err != nil && ctx.Err() == nil {
			now, info, rerr := l.read(ctx)
			ours := now.Holder == l.c.identity && now.Epoch == l.state.Epoch
			switch {
			case rerr == nil && ours && now.Beat == next.Beat:
				l.state, l.etag, err = now, info.ETag, nil // the reply was lost, not the renewal
			case rerr == nil && ours: // not renewed, and not taken over
			case rerr == nil || errors.Is(rerr, objectstore.ErrNotFound):
				lost(fmt.Errorf("%w: %s was taken over", ErrHeld, l.key))
				return
			}
		}
		switch {
		case err == nil:
			good = l.c.LeaseClock.Now()
		case clock.Since(l.c.LeaseClock, good) > l.c.LeaseTTL:
			lost(fmt.Errorf("renew lease %s: %w", l.key, err))
			return
		}
	}
}

// release gives the lease back, marked finished or not. It is best effort: a lease that is not released expires.
func (l *lease) release(ctx context.Context, finished bool, report json.RawMessage) error {
	next := l.state
	next.Beat++
	next.Released, next.Finished, next.Report = true, finished, report
	if err := l.put(ctx, next, objectstore.Condition{IfMatch: l.etag}); err != nil {
		return fmt.Errorf("release lease %s: %w", l.key, err)
	}
	return nil
}

func (l *lease) put(ctx context.Context, state leaseState, cond objectstore.Condition) error {
	body, err := json.Marshal(state)
	if err != nil {
		return err
	}
	info, err := l.c.Store.Put(ctx, l.key, objectstore.Bytes(body), cond)
	if err != nil {
		return err
	}
	l.state, l.etag = state, info.ETag
	return nil
}

func (l *lease) read(ctx context.Context) (leaseState, objectstore.Info, error) {
	var state leaseState
	body, info, err := readObject(ctx, l.c.Store, l.key)
	if err != nil {
		return state, info, err
	}
	if err := json.Unmarshal(body, &state); err != nil {
		return state, info, fmt.Errorf("lease object not readable: %w", err)
	}
	return state, info, nil
}

// expired decides by the store's clock alone. An object without a usable ttl counts as expired: it is not ours.
func expired(state leaseState, info objectstore.Info) bool {
	ttl, err := time.ParseDuration(state.TTL)
	return err != nil || ttl <= 0 || info.Date.Sub(info.Modified) > ttl
}

// readBounded reads all of r, and refuses more than most bytes.
func readBounded(r io.Reader, most int64) ([]byte, error) {
	var b bytes.Buffer
	n, err := io.Copy(&b, io.LimitReader(r, most+1))
	if err == nil && n > most {
		err = fmt.Errorf("more than %d bytes", most)
	}
	return b.Bytes(), err
}
