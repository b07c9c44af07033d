package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lakectl/lakectl/txlog"
)

// reading is a snapshot that somebody has read, or was refused.
type reading struct {
	who      string
	snapshot *txlog.Snapshot // nil where err is set
	err      error
	asked    *time.Time    // time travel by time
	version  txlog.Version // time travel by version
	from, to moment        // when it was asked for and answered
}

// pinnedFor is how long a reader may work on a snapshot; its pauses come on top.
const pinnedFor = 22 * time.Hour

// read is the job of a reader.
func (p *process) read(ctx context.Context) {
	var pinned *txlog.Snapshot
	var since time.Time
	p.turns(ctx, func() {
		switch d := p.n(100); {
		case d < 50:
			if s, err := p.newest(ctx); err == nil {
				pinned, since = s, time.Now()
			}
		case d < 70 && p.seen >= 0:
			p.travel(ctx, txlog.Version(p.n(int(p.seen)+1)), nil)
		case d < 80:
			at := time.Now().Add(-time.Duration(p.n(int(12 * time.Hour))))
			p.travel(ctx, 0, &at)
		case pinned != nil && time.Since(since) < pinnedFor:
			p.scan(ctx, pinned, since)
		}
	})
}

// saw keeps what the process has read of the newest version.
func (p *process) saw(s *txlog.Snapshot) {
	p.seen = max(p.seen, s.Version())
	now := moment{p.lake.world.Steps(), time.Now()}
	p.reads = append(p.reads, reading{who: p.name, snapshot: s, version: s.Version(), from: now, to: now})
}

// travel reads an old version, by its number or by time.
func (p *process) travel(ctx context.Context, v txlog.Version, at *time.Time) {
	r := reading{who: p.name, version: v, asked: at, from: moment{p.lake.world.Steps(), time.Now()}}
	if at == nil {
		r.snapshot, r.err = p.log(mainTable).At(ctx, v)
	} else {
		r.snapshot, r.err = p.log(mainTable).AtTime(ctx, *at)
	}
	if !p.door.Alive() {
		return
	}
	r.to = moment{p.lake.world.Steps(), time.Now()}
	gone := errors.Is(r.err, txlog.ErrHistoryGone) || errors.Is(r.err, txlog.ErrTimestampTooEarly) || errors.Is(r.err, txlog.ErrTimestampTooLate)
	if r.err != nil && !gone {
		p.excuse("travel in time", r.err)
		return
	}
	p.reads = append(p.reads, r)
}

// scan looks for the data files of a snapshot that was read a while ago.
func (p *process) scan(ctx context.Context, s *txlog.Snapshot, since time.Time) {
	for i := range s.Files().Len() {
		path := s.Files().Path(i)
		if _, err := p.store.Head(ctx, s.Log().Key(path)); err != nil && time.Since(since) < pinnedFor && p.door.Alive() {
			p.wrong = append(p.wrong, fmt.Sprintf("%s: file %s of version %d, read %v ago: %v", p.name, path, s.Version(), time.Since(since), err))
		}
	}
}
