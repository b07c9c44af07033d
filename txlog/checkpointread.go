package txlog

import (
	"context"
	"errors"
	"fmt"
	"strings"

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
	in := newCheckpointReader(ctx, r, c.version)
	if err := in.own(ctx, &c); err != nil {
		return err
	}
	if err := r.log.options.Limits.Check("checkpoint_parts", int64(len(in.sidecars))); err != nil {
		return err
	}
	in.inside = true
	parts := make([]checkpointPart, len(in.sidecars))
	for i, s := range in.sidecars {
		parts[i] = checkpointPart{name: s.Path, sidecar: s, object: objectstore.Info{Size: s.SizeInBytes}}
	}
	return in.parts(ctx, parts)
}

// own takes in the actions that stand in the checkpoint itself.
func (in *checkpointReader) own(ctx context.Context, c *checkpointFiles) error {
	parts := make([]checkpointPart, len(c.objects))
	for i, object := range c.objects {
		parts[i] = checkpointPart{name: object.Key, object: object, json: c.kind == checkpointUUIDJSON}
	}
	return in.parts(ctx, parts)
}

type checkpointReader struct {
	*replay
	version  Version
	sidecars []*Sidecar
	inside   bool // reading sidecars
	single   map[string]Action
	rows     int64        // taken in so far
	unread   *unreadStats // nil: all statistics were read
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
	in := newCheckpointReader(ctx, l.newReplay(&segment{version: c.version}), c.version)
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
