package txlog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
)

// Log is the transaction log of one table. It holds no state of the table: snapshots do. Safe for concurrent use.
type Log struct {
	store      objectstore.Store
	root       string
	options    Options
	nothingDue atomic.Int64 // until when no clean-up is tried; milliseconds since 1970

	statsAtOnce int64 // bytes of statistics that are read from a part of a checkpoint with everything else
	inMemory    int64 // bytes up to which a part of a checkpoint is fetched with one request
}

// Options are what a Log needs besides its store. The zero value works.
type Options struct {
	Clock      clock.Clock   // nil: the clock of this machine
	Rand       clock.Rand    // nil: the randomness of this machine
	Limits     limits.Limits // fields of zero mean the default
	Logger     *slog.Logger  // nil: silent
	EngineInfo string        // for commitInfo; "" is "lakectl"

	// CompactEvery n writes a log compaction after each n commits, for readers of others that use them, in
	// tables that do not say otherwise: see CompactionIntervalKey. 0 and 1 write none.
	CompactEvery int
}

// New returns the log of the table at root, a key prefix of the store: "silver/orders", "" for the store's root.
// It does no I/O; whether a table is there shows when a snapshot is taken.
func New(store objectstore.Store, root string, o Options) *Log {
	if o.Clock == nil {
		o.Clock = clock.System()
	}
	if o.Rand == nil {
		o.Rand = clock.SystemRand()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.EngineInfo == "" {
		o.EngineInfo = "lakectl"
	}
	o.Limits = o.Limits.Filled()
	return &Log{store: store, root: strings.Trim(root, "/"), options: o, statsAtOnce: statsAtOnce, inMemory: checkpointInMemory}
}

// Store is the store that holds the table.
func (l *Log) Store() objectstore.Store { return l.store }

// Root is the table's key prefix, without slashes at its ends.
func (l *Log) Root() string { return l.root }

// Key is the full object key of a path below the table root.
func (l *Log) Key(rel string) string {
	if l.root == "" {
		return rel
	}
	return l.root + "/" + rel
}

const logFolder = "_delta_log/"

// commitKey is the object of version v.
func (l *Log) commitKey(v Version) string { return l.Key(fmt.Sprintf(logFolder+"%020d.json", v)) }

func (l *Log) hintKey() string { return l.Key(logFolder + "_last_checkpoint") }

// pathKey is the full object key of a path of the log. An absolute path is reachable when it lies in this store.
func (l *Log) pathKey(p Path) (string, error) {
	if p.Absolute == "" {
		if err := checkKey(p.Key); err != nil {
			return "", err
		}
		return l.Key(p.Key), nil
	}
	base, err := DecodePath(strings.TrimRight(l.store.URL(), "/") + "/")
	if err != nil || base.Absolute == "" {
		return "", fmt.Errorf("%w: %s is absolute", ErrPathEscape, clip(p.Absolute))
	}
	rel, inside := strings.CutPrefix(sameScheme(p.Absolute), strings.TrimRight(sameScheme(base.Absolute), "/")+"/")
	if !inside || checkKey(rel) != nil {
		return "", fmt.Errorf("%w: %s is outside the store", ErrPathEscape, clip(p.Absolute))
	}
	return rel, nil
}

// sameScheme spells the schemes of Hadoop's S3 clients like ours.
func sameScheme(address string) string {
	for _, s := range []string{"s3a://", "s3n://"} {
		if rest, ok := strings.CutPrefix(address, s); ok {
			return "s3://" + rest
		}
	}
	return address
}

// readRange fills buf from the object's bytes at offset and describes the object. A shorter object is
// io.ErrUnexpectedEOF.
func readRange(ctx context.Context, store objectstore.Store, key string, offset int64, buf []byte) (objectstore.Info, error) {
	if len(buf) == 0 {
		return objectstore.Info{}, nil
	}
	body, info, err := store.Get(ctx, key, objectstore.Range{Offset: offset, Length: int64(len(buf))})
	if err != nil {
		return info, err
	}
	_, err = io.ReadFull(body, buf)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return info, errors.Join(err, body.Close())
}

// readObject reads a whole object of at most most bytes; name is the limit that a larger one is over.
func (l *Log) readObject(ctx context.Context, key, name string) ([]byte, objectstore.Info, error) {
	most, _ := l.options.Limits.Value(name)
	body, info, err := l.store.Get(ctx, key, objectstore.Range{})
	if err != nil {
		return nil, info, err
	}
	if info.Size > most {
		_ = body.Close()
		return nil, info, limits.Over(name, info.Size, most)
	}
	b, err := io.ReadAll(io.LimitReader(body, most+1))
	if err = errors.Join(err, body.Close()); err != nil {
		return nil, info, err
	}
	if int64(len(b)) > most {
		return nil, info, limits.Over(name, int64(len(b)), most)
	}
	return b, info, nil
}

// settleUnique decides how a create of a uniquely named object ended when the reply was lost: nobody else uses the
// name, so an object of the right size is ours.
func (l *Log) settleUnique(ctx context.Context, key string, size int64, put error) error {
	if objectstore.Refused(put) {
		return put
	}
	info, err := l.store.Head(ctx, key)
	if err == nil && info.Size == size {
		return nil
	}
	return put
}
