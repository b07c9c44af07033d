package table

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// feedCheck is what the commits say about change data files.
type feedCheck struct {
	files    []feedFile
	vacuumed time.Time // what is older may have been deleted on purpose, whatever the table's retention says
}

type feedFile struct {
	version   txlog.Version
	committed time.Time
	path      string
	size      int64
}

// stagedBefore is how much earlier than its commit a file may have been written, for a vacuum that goes by its age.
const stagedBefore = time.Hour

// take notes the change data files of a commit, and what a vacuum may have deleted.
func (f *feedCheck) take(c *txlog.Commit) {
	for _, a := range c.Actions {
		if cdc, ok := a.(*txlog.CDC); ok {
			f.files = append(f.files, feedFile{c.Version, c.Timestamp, cdc.Path, cdc.Size})
		}
	}
	if c.Info == nil || c.Info.Operation != "VACUUM START" {
		return
	}
	cutoff, ours := integer(c.Info.OperationParameters[vacuumCutoff])
	if !ours {
		cutoff = c.Timestamp.UnixMilli()
		if n, ok := integer(c.Info.OperationParameters["specifiedRetentionMillis"]); ok && n >= 0 {
			cutoff -= n
		}
	}
	if at := time.UnixMilli(cutoff).Add(stagedBefore); at.After(f.vacuumed) {
		f.vacuumed = at
	}
}

// feed checks that the change data files of commits within the retention are there, with their size. Older ones go by
// age, and nobody has to miss them.
func (c *checking) feed(ctx context.Context) error {
	if c.snapshot == nil {
		return nil
	}
	retention, err := deletedFileRetention(c.snapshot)
	if err != nil {
		return nil //nolint:nilerr // a broken property; its writers have been told
	}
	since := c.options.Log.Clock.Now().Add(-retention)
	if c.changes.vacuumed.After(since) {
		since = c.changes.vacuumed
	}
	var mu sync.Mutex // guards the report
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(fileReaders)
	for _, f := range c.changes.files {
		if f.committed.Before(since) {
			continue
		}
		c.report.ChangeFiles++
		g.Go(func() error {
			class, detail, err := c.changeFile(gctx, f)
			if err != nil || class == "" {
				return err
			}
			mu.Lock()
			defer mu.Unlock()
			c.find(class, objectName(f.path), "%s", detail)
			return nil
		})
	}
	return g.Wait()
}

// changeFile looks for one change data file. No class: it is as it should be.
func (c *checking) changeFile(ctx context.Context, f feedFile) (FindingClass, string, error) {
	p, err := txlog.DecodePath(f.path)
	if err != nil {
		return PathUnusable, err.Error(), nil //nolint:nilerr // damage is a finding
	}
	if p.Absolute != "" {
		return "", "", nil
	}
	info, err := c.log.Store().Head(ctx, c.log.Key(p.Key))
	switch {
	case errors.Is(err, objectstore.ErrNotFound), errors.Is(err, objectstore.ErrInvalidKey):
		return ChangeFileMissing, fmt.Sprintf("version %d names it, the store does not have it", f.version), nil
	case err != nil:
		return "", "", err
	case info.Size != f.size:
		return ChangeFileDiffers, fmt.Sprintf("%d bytes, version %d says %d", info.Size, f.version, f.size), nil
	}
	return "", "", nil
}
