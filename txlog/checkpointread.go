package txlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
)

// A checkpoint is a Parquet file, or several, with one row per action and one struct column per kind of action. It is
// read column by column, and only the columns that we know: one that is missing means null, others are ignored.
//
// Protocol: "Checkpoints", "V2 Spec".

// checkpoint takes in the actions of one checkpoint, which is older than everything replayed so far.
func (r *replay) checkpoint(ctx context.Context, c checkpointFiles) error {
	if err := r.log.options.Limits.Check("checkpoint_parts", int64(len(c.objects))); err != nil {
		return err
	}
	in := &checkpointReader{replay: r, version: c.version}
	if err := in.own(ctx, &c); err != nil {
		return err
	}
	if err := r.log.options.Limits.Check("checkpoint_parts", int64(len(in.sidecars))); err != nil {
		return err
	}
	for _, s := range in.sidecars {
		if err := in.sidecar(ctx, s); err != nil {
			return in.damaged(s.Path, err)
		}
	}
	return nil
}

// own takes in the actions that stand in the checkpoint itself.
func (in *checkpointReader) own(ctx context.Context, c *checkpointFiles) error {
	for _, object := range c.objects {
		var err error
		if c.kind == checkpointUUIDJSON {
			err = in.json(ctx, object)
		} else {
			err = in.parquet(ctx, object.Key, object.Size)
		}
		if err != nil {
			return in.damaged(object.Key, err)
		}
	}
	return nil
}

type checkpointReader struct {
	*replay
	version  Version
	sidecars []*Sidecar
	inside   bool // reading a sidecar
	single   map[string]Action
}

// damaged marks errors of the bytes as damage of this checkpoint, so that an older base may be tried. Failures of
// the store and limits stay what they are.
func (in *checkpointReader) damaged(name string, err error) error {
	err = fmt.Errorf("read checkpoint %s: %w", name[strings.LastIndexByte(name, '/')+1:], err)
	for _, mark := range []error{parquetio.ErrMalformed, ErrCorruptLog, objectstore.ErrNotFound} {
		if errors.Is(err, mark) {
			return &checkpointError{version: in.version, err: err}
		}
	}
	return err
}

// sidecarKey is the object of a sidecar, which lies in the folder of sidecars and nowhere else.
func (l *Log) sidecarKey(s *Sidecar) (string, error) {
	p, err := DecodePath(s.Path)
	if err != nil {
		return "", err
	}
	folder := l.Key(logFolder + "_sidecars/")
	key := folder + p.Key
	if p.Absolute != "" {
		if key, err = l.pathKey(p); err != nil {
			return "", err
		}
	}
	if name, inside := strings.CutPrefix(key, folder); !inside || p.Absolute == "" && strings.Contains(name, "/") {
		return "", fmt.Errorf("%w: sidecar outside _sidecars", ErrPathEscape)
	}
	return key, nil
}

// sidecarsOf lists the objects of the sidecars that a checkpoint names. It reads its own actions, not theirs.
func (l *Log) sidecarsOf(ctx context.Context, c *checkpointFiles) ([]string, error) {
	in := &checkpointReader{replay: l.newReplay(&segment{version: c.version}), version: c.version}
	if err := in.own(ctx, c); err != nil {
		return nil, err
	}
	keys := make([]string, 0, len(in.sidecars))
	for _, s := range in.sidecars {
		key, err := l.sidecarKey(s)
		if err != nil {
			return nil, in.damaged(s.Path, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// sidecar reads one file of adds and removes.
func (in *checkpointReader) sidecar(ctx context.Context, s *Sidecar) error {
	key, err := in.log.sidecarKey(s)
	if err != nil {
		return err
	}
	info, err := in.log.store.Head(ctx, key)
	if err != nil {
		return err
	}
	if info.Size != s.SizeInBytes {
		return corrupt("sidecar of %d bytes, its checkpoint says %d", info.Size, s.SizeInBytes)
	}
	in.inside = true
	return in.parquet(ctx, key, info.Size)
}

// json reads a V2 checkpoint in JSON.
func (in *checkpointReader) json(ctx context.Context, object objectstore.Info) error {
	bound := in.log.options.Limits
	bound.ActionsPerCommit, bound.CommitBytes = bound.CheckpointRows, bound.CheckpointBytes
	if err := bound.Check("checkpoint_bytes", object.Size); err != nil {
		return err
	}
	body, _, err := in.log.store.Get(ctx, object.Key, objectstore.Range{})
	if err != nil {
		return err
	}
	_, actions, err := decodeCommit(body, bound)
	if err = errors.Join(err, body.Close()); err != nil {
		return err
	}
	for _, a := range actions {
		if err := in.take(a); err != nil {
			return err
		}
	}
	return nil
}

// take handles one action of a checkpoint.
func (in *checkpointReader) take(a Action) error {
	switch a := a.(type) {
	case *Sidecar:
		if in.inside {
			return corrupt("sidecar names a sidecar")
		}
		in.sidecars = append(in.sidecars, a)
		return nil
	case *CDC, *CommitInfo:
		return nil
	}
	if err := onlyOne(a, &in.single); err != nil {
		return err
	}
	if err := checkAction(a); err != nil {
		return corrupt("%w", err)
	}
	return in.action(a, false)
}

// checkpointInMemory is the size up to which a checkpoint is fetched with one request.
const checkpointInMemory = 32 << 20

// parquet reads one Parquet file of actions.
func (in *checkpointReader) parquet(ctx context.Context, key string, size int64) error {
	bound := in.log.options.Limits
	if err := bound.Check("checkpoint_bytes", size); err != nil {
		return err
	}
	var source io.ReaderAt = &objectReader{ctx: ctx, store: in.log.store, key: key, size: size}
	if size <= checkpointInMemory {
		b, info, err := in.log.readObject(ctx, key, "checkpoint_bytes")
		if err != nil {
			return err
		}
		if int64(len(b)) != size {
			return corrupt("object of %d bytes was listed with %d", len(b), size)
		}
		in.seenAt(info.Date)
		source = bytes.NewReader(b)
	}
	f, err := parquetio.Open(source, size, bound)
	if err != nil {
		return err
	}
	if f.Rows() > bound.CheckpointRows {
		return limits.Over("checkpoint_rows", f.Rows(), bound.CheckpointRows)
	}
	in.live.grow(int(min(f.Rows(), size/16))) // a file of sixteen bytes in the checkpoint is none
	groups := &groupReader{file: f, open: func() (*parquetio.File, error) { return parquetio.Open(source, size, bound) }}
	return groups.all(in.taken)
}

// objectReader reads ranges of one object. It lives no longer than the call that made it, hence the context.
type objectReader struct {
	ctx   context.Context //nolint:containedctx // io.ReaderAt has no room for one
	store objectstore.Store
	key   string
	size  int64
}

// ReadAt implements io.ReaderAt.
func (o *objectReader) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 || at >= o.size {
		return 0, io.EOF
	}
	short := int64(len(p)) > o.size-at
	if short {
		p = p[:o.size-at]
	}
	if _, err := readRange(o.ctx, o.store, o.key, at, p); err != nil {
		return 0, err
	}
	if short {
		return len(p), io.EOF
	}
	return len(p), nil
}

// taken takes in the actions of one row group.
func (in *checkpointReader) taken(g *checkpointGroup) error {
	n := g.adds.files.Len()
	if have := int64(in.live.files.Len() + n); have > in.log.options.Limits.CheckpointRows {
		return limits.Over("checkpoint_rows", have, in.log.options.Limits.CheckpointRows)
	}
	in.live.grow(n)
	for i := range n {
		if !in.seen.has(g.adds.key(i)) {
			in.live.copyFrom(g.adds.files, i)
		}
	}
	for _, a := range g.others {
		if err := in.take(a); err != nil {
			return err
		}
	}
	return nil
}

// otherActions reads everything that is no file.
func (g *actionGroup) otherActions() (actions []Action) {
	g.each("txn", "appId", "version", func(row int, at columns) {
		actions = append(actions, &Txn{
			AppID: at.text("appId").text(row), Version: at.int("version").int(row),
			LastUpdated: at.int("lastUpdated").optional(row),
		})
	})
	g.each("domainMetadata", "domain", "", func(row int, at columns) {
		actions = append(actions, &DomainMetadata{
			Domain: at.text("domain").text(row), Configuration: at.text("configuration").text(row),
			Removed: at.bool("removed").bool(row),
		})
	})
	g.each("protocol", "minReaderVersion", "minWriterVersion", func(row int, at columns) {
		actions = append(actions, &Protocol{
			MinReaderVersion: int(at.int("minReaderVersion").int(row)), MinWriterVersion: int(at.int("minWriterVersion").int(row)),
			ReaderFeatures: at.list("readerFeatures").at(row), WriterFeatures: at.list("writerFeatures").at(row),
		})
	})
	g.each("metaData", "id", "", func(row int, at columns) {
		actions = append(actions, &Metadata{
			ID: at.text("id").text(row), Name: at.text("name").text(row), Description: at.text("description").text(row),
			Provider: at.text("format", "provider").text(row), FormatOptions: at.textMap("format", "options").at(row),
			SchemaString: at.text("schemaString").text(row), PartitionColumns: at.list("partitionColumns").at(row),
			CreatedTime: at.int("createdTime").optional(row), Configuration: at.textMap("configuration").at(row),
		})
	})
	g.each("sidecar", "path", "sizeInBytes", func(row int, at columns) {
		actions = append(actions, &Sidecar{
			Path: at.text("path").text(row), SizeInBytes: at.int("sizeInBytes").int(row),
			ModificationTime: at.int("modificationTime").int(row),
		})
	})
	return actions
}
