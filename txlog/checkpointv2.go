package txlog

import (
	"context"
	"fmt"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
)

// sidecarActions is how many adds and removes one sidecar has at most: some tens of megabytes, which is what a reader
// fetches with one request.
const sidecarActions = 100_000

// writeV2 writes a V2 checkpoint: adds and removes in sidecars of bounded size, the rest and the names of the sidecars in
// an object with a unique name. Sidecars come first, and the object that names them last: whoever finds it finds them.
//
// Clients that do not know V2 look for classic names alone. The first checkpoint of a table has a copy under such a name,
// and log clean-up writes one, with everything inline, before it takes the commits away (see Log.keepClassic), so that they
// find a protocol that they refuse.
//
// Protocol: "V2 Spec", "Sidecar Files".
func (w *checkpointWriter) writeV2(ctx context.Context, h *hintOf) error {
	l := w.s.log
	sidecars, err := w.sidecars(ctx, h)
	if err != nil {
		return err
	}
	body, err := w.file(w.schema(), func(f *checkpointFile) error {
		if err := f.table(); err != nil {
			return err
		}
		for _, s := range sidecars {
			if err := f.row("sidecar", s.Path, s.SizeInBytes, s.ModificationTime, nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if w.s.base < 0 {
		if err := w.putClassic(ctx, body); err != nil {
			return err
		}
	}
	name := fmt.Sprintf("%020d.checkpoint.%s.parquet", w.s.version, clock.NewUUID(l.options.Rand))
	modified, err := l.putUnique(ctx, l.Key(logFolder+name), body)
	if err != nil {
		return err
	}
	h.rows, h.bytes = w.rows, h.bytes+int64(len(body))
	h.v2 = &v2Hint{name: name, bytes: int64(len(body)), modifiedMilli: modified, sidecars: sidecars}
	return nil
}

// sidecars writes the adds and the removes.
func (w *checkpointWriter) sidecars(ctx context.Context, h *hintOf) (all []*Sidecar, err error) {
	removes, adds := w.tombstones(), w.s.Files().Len()
	for from := 0; from < len(removes)+adds; from += w.sidecarMost {
		to := min(from+w.sidecarMost, len(removes)+adds)
		body, err := w.file(w.sidecarSchema(), func(f *checkpointFile) error {
			gone := len(removes)
			return firstError(f.removes(removes[min(from, gone):min(to, gone)]), f.adds(max(from-gone, 0), max(to-gone, 0)))
		})
		if err != nil {
			return nil, err
		}
		name := clock.NewUUID(w.s.log.options.Rand) + ".parquet"
		modified, err := w.s.log.putUnique(ctx, w.s.log.Key(logFolder+"_sidecars/"+name), body)
		if err != nil {
			return nil, err
		}
		h.bytes += int64(len(body))
		all = append(all, &Sidecar{Path: name, SizeInBytes: int64(len(body)), ModificationTime: modified})
	}
	return all, w.s.log.options.Limits.Check("checkpoint_parts", int64(len(all)))
}

// putUnique creates an object whose name nobody else uses, and tells when, in milliseconds since 1970.
func (l *Log) putUnique(ctx context.Context, key string, body []byte) (modified int64, err error) {
	info, err := l.store.Put(ctx, key, objectstore.Bytes(body), objectstore.CreateOnly)
	if err != nil {
		err = l.settleUnique(ctx, key, int64(len(body)), err)
	}
	if info.Modified.IsZero() {
		info.Modified = l.options.Clock.Now()
	}
	return info.Modified.UnixMilli(), err
}

// keepClassic makes sure that the checkpoint with which the log will begin has a classic name as well. s is that version,
// as it was read: bytes that were copied unread could be damaged, and nobody would look before they are needed.
func (l *Log) keepClassic(ctx context.Context, g *listing, s *Snapshot) error {
	for _, c := range g.checkpoints {
		if c.version == s.version && (c.kind == checkpointClassic || c.kind == checkpointParts) {
			return nil
		}
	}
	err := s.LoadStats(ctx)
	var body []byte
	w := newCheckpointWriter(s)
	if err == nil {
		body, err = w.write()
	}
	if err == nil {
		err = w.putClassic(ctx, body)
	}
	if err != nil {
		return fmt.Errorf("write checkpoint %d under its classic name: %w", s.version, err)
	}
	return nil
}
