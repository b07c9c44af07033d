package txlog

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
)

// Commit is one version as the log has it.
type Commit struct {
	Version   Version
	Timestamp time.Time   // see Snapshot.Timestamp; UTC
	Info      *CommitInfo // nil where the writer left none
	Actions   []Action    // all others, in the order of the file
	date      time.Time   // the store's clock when it was read
	bulk      *bulk       // instead of Actions; for replay alone
	etag      string      // of the object
	modified  time.Time   // of the object
}

// inCommit is the commit's own time, nil where it has none.
func (c *Commit) inCommit() *int64 {
	if c.Info == nil {
		return nil
	}
	return c.Info.InCommitTimestamp
}

// ReadCommit reads the actions of one version. The Timestamp is the in-commit timestamp if there is one, else the
// time of the object, not adjusted to its neighbours.
//
// Errors: [ErrHistoryGone] when the object is not there; [ErrCorruptLog]; *limits.Error; the errors of the store.
// Cost: one GET.
func (l *Log) ReadCommit(ctx context.Context, v Version) (*Commit, error) {
	c, err := l.readCommit(ctx, v, l.commitKey(v))
	if errors.Is(err, objectstore.ErrNotFound) {
		return nil, fmt.Errorf("read version %d: %w: %w", v, ErrHistoryGone, err)
	}
	return c, err
}

// readCommit reads the actions of a commit or of a compaction.
func (l *Log) readCommit(ctx context.Context, v Version, key string) (*Commit, error) {
	return l.readDecoded(ctx, v, key, math.MaxInt64)
}

// readReplay reads a commit for replay: a large one comes in bulk.
func (l *Log) readReplay(ctx context.Context, v Version, key string) (*Commit, error) {
	return l.readDecoded(ctx, v, key, bulkLeast)
}

func (l *Log) readDecoded(ctx context.Context, v Version, key string, bulkFrom int64) (*Commit, error) {
	body, info, err := l.store.Get(ctx, key, objectstore.Range{})
	if err != nil {
		return nil, fmt.Errorf("read version %d: %w", v, err)
	}
	defer func() { _ = body.Close() }() // read only: nothing is lost
	if err := l.options.Limits.Check("commit_bytes", info.Size); err != nil {
		return nil, fmt.Errorf("read version %d: %w", v, err)
	}
	c, err := l.commitOf(v, body, info, key != l.commitKey(v), info.Size >= bulkFrom)
	if err != nil {
		return nil, fmt.Errorf("read version %d: %w", v, err)
	}
	return c, nil
}

// commitOf decodes a commit, or a compaction, which alone may be empty.
func (l *Log) commitOf(v Version, body io.Reader, info objectstore.Info, compaction, inBulk bool) (*Commit, error) {
	c := &Commit{Version: v, Timestamp: info.Modified.UTC(), date: info.Date, etag: info.ETag, modified: info.Modified}
	var err error
	if !inBulk && info.Size >= bulkLeast {
		if body, err = countedText(body, l.options.Limits); err != nil {
			return nil, err
		}
	}
	text := &blank{in: body, written: inBulk}
	if inBulk {
		c.bulk, err = decodeBulk(text, l.options.Limits)
	} else {
		c.Info, c.Actions, err = decodeCommit(text, l.options.Limits)
	}
	if err != nil {
		return nil, err
	}
	if inBulk {
		text.written = c.bulk.told(c)
	}
	if !text.written && !compaction {
		return nil, fmt.Errorf("%w: the commit holds nothing, as after a crash that lost its bytes", ErrCorruptLog)
	}
	if t := c.inCommit(); t != nil {
		c.Timestamp = time.UnixMilli(*t).UTC()
	}
	return c, nil
}

// blank reads and notes whether there was anything but space: no writer makes a commit without a line.
type blank struct {
	in      io.Reader
	written bool
}

// Read implements io.Reader.
func (b *blank) Read(p []byte) (int, error) {
	n, err := b.in.Read(p)
	if !b.written {
		b.written = len(bytes.TrimSpace(p[:n])) > 0
	}
	return n, err
}

// decodeCommit reads a whole commit line by line, each bounded before it is parsed.
func decodeCommit(body io.Reader, bound limits.Limits) (info *CommitInfo, actions []Action, err error) {
	lines := bufio.NewScanner(io.LimitReader(body, bound.CommitBytes))
	lines.Buffer(nil, int(min(bound.LogLineBytes, 1<<30)))
	var n int64
	for lines.Scan() {
		n++
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		a, err := DecodeLine(line)
		if err != nil {
			if cut := lines.Err(); cut != nil { // the store broke off within this line: nothing is wrong with the log
				return nil, nil, cut
			}
			return nil, nil, fmt.Errorf("line %d: %w", n, err)
		}
		switch a := a.(type) {
		case nil:
			continue
		case *CommitInfo:
			if info == nil {
				info = a
			}
			continue
		}
		actions = append(actions, a)
		if err := bound.Check("actions_per_commit", int64(len(actions))); err != nil {
			return nil, nil, err
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, nil, fmt.Errorf("line %d: %w", n+1, limits.Over("log_line_bytes", bound.LogLineBytes+1, bound.LogLineBytes))
	} else if err != nil {
		return nil, nil, err
	}
	return info, actions, nil
}
