package table

import (
	"context"
	"fmt"

	"github.com/lakectl/lakectl/txlog"
)

// compactions compares the newest log compaction whose commits are all there with them: a reader may take either. Both
// are replayed on top of what came before.
func (c *checking) compactions(ctx context.Context) error {
	var span struct{ from, to txlog.Version }
	for _, s := range c.found.compacted {
		if s.to >= span.to && s.from > 0 && s.to > s.from && c.commitsThere(s.from-1, s.to) {
			span = s
		}
	}
	if c.snapshot == nil || span.to == 0 {
		return nil
	}
	object := fmt.Sprintf("_delta_log/%020d.%020d.compacted.json", span.from, span.to)
	newer := map[string]bool{c.found.hint: true}
	for v, keys := range c.found.keys {
		for _, key := range keys {
			newer[key] = v >= span.from && v <= span.to
		}
	}
	replayed, err := c.logWithout(newer).At(ctx, span.to)
	if err != nil { // no base is left below it: nobody can use it either
		if refused(err) {
			return err
		}
		return nil
	}
	for v := span.from; v <= span.to; v++ {
		newer[c.found.infos[v].Key] = true
	}
	compacted, err := c.logWithout(newer).At(ctx, span.to)
	if refused(err) {
		return err
	}
	if err != nil {
		c.find(CompactionDiffers, object, "%v", err)
		return nil
	}
	found := &checking{log: c.log, snapshot: c.snapshot, options: c.options, report: &FsckReport{}}
	found.compare(object, compacted, replayed)
	if err := found.tombstones(ctx, object, compacted, replayed); err != nil {
		return err
	}
	for _, f := range found.report.Findings {
		c.find(CompactionDiffers, object, "%s", f.Detail)
	}
	return nil
}

// commitsThere tells whether the commits from..to are all there.
func (c *checking) commitsThere(from, to txlog.Version) bool {
	for v := from; v <= to; v++ {
		if _, ok := c.found.infos[v]; !ok {
			return false
		}
	}
	return true
}
