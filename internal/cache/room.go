package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/lakectl/lakectl/internal/limits"
)

// room is the count of bytes between two listings of the folder.
type room struct {
	free   int64 // may be taken without a listing
	coming int64 // of the requests under way
}

const (
	// slackShare is the part of the free room that a process takes before it looks again what others have taken.
	slackShare = 4
	// spareShare is the part of the bound that stays free for what other processes have under way. Once it is used as
	// much again is freed, so that not every request lists the folder.
	spareShare = 16
	// entryBytes is what an object costs beside its data: a block of the file system for checksums and one for the ETag.
	entryBytes = 8 << 10
)

// reserve makes room for so many bytes, which count as coming until release is called.
func (c *Cache) reserve(size int64) (release func(), err error) {
	size += entryBytes
	c.mu.Lock()
	defer c.mu.Unlock()
	if size > c.room.free {
		if err := c.makeRoom(size); err != nil {
			return nil, err
		}
	}
	c.room.free -= size
	c.room.coming += size
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.room.coming -= size
	}, nil
}

// makeRoom removes the files used longest ago until size more bytes fit. The caller holds c.mu.
func (c *Cache) makeRoom(size int64) error {
	files, total, err := c.list()
	if err != nil {
		return err
	}
	total += c.room.coming + size
	spare := c.max / spareShare
	aim := c.max - spare
	if total > aim {
		aim -= spare
	}
	for _, f := range files {
		if total <= aim {
			break
		}
		if c.using[f.name] != nil {
			continue
		}
		if err := f.remove(); err != nil {
			return fmt.Errorf("make room in the cache: %w", err)
		}
		total -= f.size
	}
	if total > c.max {
		return &limits.Error{Limit: "cache_bytes", Value: total, Max: c.max, Setting: Setting}
	}
	c.room.free = size + max(0, c.max-spare-total)/slackShare
	return nil
}

// kept is what stands in the folders for one object.
type kept struct {
	name  string
	size  int64 // bytes that the disk spends
	used  time.Time
	paths []string
}

func (k *kept) remove() error {
	for _, path := range k.paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// list reads what is kept, what was used longest ago first. Remains of a removal that a crash cut short count as kept.
func (c *Cache) list() (files []*kept, total int64, err error) {
	byName := map[string]*kept{}
	aliases := map[string]string{}
	for _, folder := range []string{dataFolder, sumsFolder, etagsFolder} {
		dir := filepath.Join(c.dir, folder)
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, 0, fmt.Errorf("list the cache: %w", err)
		}
		for _, e := range entries {
			st, err := e.Info()
			if err != nil {
				continue // another process removed it
			}
			name := e.Name()
			if folder != etagsFolder {
				aliases[aliasOf(name)] = name
			} else if full, ok := aliases[name]; ok {
				name = full
			}
			k := byName[name]
			if k == nil {
				k = &kept{name: name, used: st.ModTime()}
				byName[name] = k
				files = append(files, k)
			}
			if folder == sumsFolder { // its time is that of the last use
				k.used = st.ModTime()
			}
			k.paths = append(k.paths, filepath.Join(dir, e.Name()))
			k.size += allocated(st)
			total += allocated(st)
		}
	}
	slices.SortFunc(files, func(a, b *kept) int { return a.used.Compare(b.used) })
	return files, total, nil
}

// remove forgets an object, best effort. Whoever uses its files keeps them.
func (c *Cache) remove(name string) {
	k := &kept{paths: []string{
		filepath.Join(c.dir, etagsFolder, aliasOf(name)), filepath.Join(c.dir, dataFolder, name), filepath.Join(c.dir, sumsFolder, name),
	}}
	if err := k.remove(); err != nil {
		c.options.Logger.Warn("cache file stays", "file", name, "error", err)
	}
}
