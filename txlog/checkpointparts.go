package txlog

import (
	"bytes"
	"context"
	"errors"
	"math"
	"runtime"
	"time"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
)

// checkpointPart is one object of a checkpoint: the whole of a classic one, a part of several, the head of a V2
// checkpoint, or a sidecar.
type checkpointPart struct {
	name    string // for errors
	object  objectstore.Info
	sidecar *Sidecar // nil: no sidecar. Otherwise the object is still to be looked up
	json    bool
}

// partPiece is what comes out of a part: first that it was opened, then its actions.
type partPiece struct {
	opened  *openedPart
	group   *checkpointGroup
	actions []Action // of a checkpoint in JSON
}

type openedPart struct {
	date  time.Time // the store's clock in its reply; zero where none told
	room  int       // files to make room for
	rows  int64
	stats *statsPart // nil: statistics are read with everything else
}

const (
	checkpointInMemory = 32 << 20 // size up to which a part is fetched with one request
	checkpointAtOnce   = 96 << 20 // of parts that are held so side by side
)

func newCheckpointReader(ctx context.Context, r *replay, v Version) *checkpointReader {
	return &checkpointReader{
		replay: r, version: v,
		unread: &unreadStats{ctx: context.WithoutCancel(ctx), log: r.log, version: v, turn: make(chan struct{}, 1)},
	}
}

// parts takes in the actions of some parts, in their order; they are fetched and decoded side by side.
func (in *checkpointReader) parts(ctx context.Context, parts []checkpointPart) error {
	most := runtime.GOMAXPROCS(0)
	largest := int64(1)
	for _, p := range parts {
		largest = max(largest, min(p.object.Size, checkpointInMemory))
	}
	ahead := int(min(int64(most), int64(len(parts)), checkpointAtOnce/largest))
	if ahead < 2 {
		for _, p := range parts {
			if err := in.part(ctx, p, most, in.piece); err != nil {
				return in.damaged(p.name, err)
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return inOrder(ahead, len(parts), cancel, func(k int, give func(partPiece, bool, error) bool) {
		for n := k; n < len(parts); n += ahead {
			err := in.part(ctx, parts[n], max(1, most/ahead), func(p partPiece) error {
				if !give(p, false, nil) {
					return context.Canceled
				}
				return nil
			})
			if err != nil {
				err = in.damaged(parts[n].name, err)
			}
			if !give(partPiece{}, true, err) {
				return
			}
		}
	}, in.piece)
}

// part fetches and decodes one part. It leaves the reader as it is: several do so at the same time.
func (in *checkpointReader) part(ctx context.Context, p checkpointPart, groups int, take func(partPiece) error) error {
	if p.json {
		actions, err := in.log.readJSONCheckpoint(ctx, p.object)
		if err != nil {
			return err
		}
		return take(partPiece{actions: actions})
	}
	if p.sidecar != nil {
		key, err := in.log.sidecarKey(p.sidecar)
		if err != nil {
			return err
		}
		if p.object, err = in.log.store.Head(ctx, key); err != nil {
			return err
		}
		if p.object.Size != p.sidecar.SizeInBytes {
			return corrupt("sidecar of %d bytes, its checkpoint says %d", p.object.Size, p.sidecar.SizeInBytes)
		}
	}
	return in.log.readParquetCheckpoint(ctx, p.object, groups, take)
}

// readJSONCheckpoint reads a V2 checkpoint in JSON.
func (l *Log) readJSONCheckpoint(ctx context.Context, object objectstore.Info) ([]Action, error) {
	bound := l.options.Limits
	bound.ActionsPerCommit, bound.CommitBytes = bound.CheckpointRows, bound.CheckpointBytes
	if err := bound.Check("checkpoint_bytes", object.Size); err != nil {
		return nil, err
	}
	body, _, err := l.store.Get(ctx, object.Key, objectstore.Range{})
	if err != nil {
		return nil, err
	}
	_, actions, err := decodeCommit(body, bound)
	return actions, errors.Join(err, body.Close())
}

// readParquetCheckpoint reads one Parquet file of actions, so many row groups at a time.
func (l *Log) readParquetCheckpoint(ctx context.Context, object objectstore.Info, groups int, take func(partPiece) error) error {
	bound, size := l.options.Limits, object.Size
	if err := bound.Check("checkpoint_bytes", size); err != nil {
		return err
	}
	var opened openedPart
	source := objectstore.ReaderAt(ctx, l.store, object.Key, size)
	if size <= l.inMemory {
		b, info, err := l.readObject(ctx, object.Key, "checkpoint_bytes")
		if err != nil {
			return err
		}
		if int64(len(b)) != size {
			return corrupt("object of %d bytes was listed with %d", len(b), size)
		}
		object.ETag, opened.date = info.ETag, info.Date
		source = bytes.NewReader(b)
	}
	end := &tailKeeper{base: source, size: size}
	f, err := parquetio.Open(end, size, bound)
	if err != nil {
		return err
	}
	end.done = true
	if f.Rows() > bound.CheckpointRows {
		return limits.Over("checkpoint_rows", f.Rows(), bound.CheckpointRows)
	}
	opened.rows, opened.room = f.Rows(), int(min(f.Rows(), size/16)) // a file of sixteen bytes in the checkpoint is none
	if statsBytes(f) > l.statsAtOnce {
		opened.stats = &statsPart{object: object, tail: end.tail}
	}
	if err := take(partPiece{opened: &opened}); err != nil {
		return err
	}
	r := &groupReader{
		file: f, open: func() (*parquetio.File, error) { return parquetio.Open(end, size, bound) },
		leaveStats: opened.stats != nil, ahead: groups,
	}
	return r.all(func(g *checkpointGroup) error { return take(partPiece{group: g}) })
}

// piece takes in what comes out of a part.
func (in *checkpointReader) piece(p partPiece) error {
	if o := p.opened; o != nil {
		in.seenAt(o.date)
		in.live.grow(o.room)
		if in.rows+o.rows >= math.MaxUint32 {
			return limits.Over("checkpoint_rows", in.rows+o.rows, math.MaxUint32)
		}
		if o.stats != nil {
			o.stats.first = in.rows
			in.unread.parts = append(in.unread.parts, *o.stats)
		}
	}
	if p.group != nil {
		return in.taken(p.group)
	}
	for _, a := range p.actions {
		if err := in.take(a); err != nil {
			return err
		}
	}
	return nil
}

// taken takes in the actions of one row group.
func (in *checkpointReader) taken(g *checkpointGroup) error {
	n := g.adds.files.Len()
	if have := int64(in.live.files.Len() + n); have > in.log.options.Limits.CheckpointRows {
		return limits.Over("checkpoint_rows", have, in.log.options.Limits.CheckpointRows)
	}
	in.live.grow(n)
	for i := range n {
		if in.seen.has(g.adds.key(i)) {
			continue
		}
		if g.adds.rows != nil {
			in.live.leave(in.unread, uint32(in.rows)+g.adds.rows[i]+1, g.adds.files, i) //nolint:gosec // see piece
		}
		in.live.copyFrom(g.adds.files, i)
	}
	in.rows += int64(g.rows)
	for _, a := range g.others {
		if err := in.take(a); err != nil {
			return err
		}
	}
	return nil
}
