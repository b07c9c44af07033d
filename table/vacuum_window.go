package table

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/txlog"
)

// A RESTORE may bring back a file that was removed longer ago than the retention, and a vacuum may be about to delete
// that very file. No action of the log makes the two conflict, so they find each other through VACUUM START:
//
//   - vacuum decides from a snapshot at or after its START what goes: a restore committed before it is spared;
//   - a restore that lands after a START sees it, in the history or among the commits that it rebases over, and refuses
//     while that vacuum may still delete something that comes back.
//
// What a START may delete is what was removed before its cut-off, which it carries. It stands open until the VACUUM END
// that names it says COMPLETED, or until VacuumWindow has passed by the clock of the store: a vacuum that died. Vacuum
// itself deletes nothing once half of the window is over.
//
// Vacuums of other engines are respected as far as they write START and END; those that log nothing cannot be seen.

// VacuumWindow is how long a VACUUM START without its end keeps a RESTORE away from the files that it may delete.
const VacuumWindow = time.Hour

// ErrVacuumRunning says that a vacuum may be deleting a file that a restore would bring back. It matches
// txlog.ErrConflict. Retryable once the vacuum has ended, at the latest after [VacuumWindow].
var ErrVacuumRunning = errors.New("a vacuum is running")

// VacuumRunningError says which vacuum stands in the way of a restore. It matches [ErrVacuumRunning] and
// txlog.ErrConflict.
type VacuumRunningError struct {
	Start txlog.Version // its VACUUM START
	Until time.Time     // when it stops mattering, by the clock of the store
	Path  string        // the first file in danger, decoded
	Count int           // files in danger
}

// Error names the vacuum and the time.
func (e *VacuumRunningError) Error() string {
	return fmt.Sprintf("%v: version %d (VACUUM START) has no end yet and may delete %d files that come back, %s for example; if it died, it counts until %s",
		ErrVacuumRunning, e.Start, e.Count, e.Path, e.Until.UTC().Format(time.RFC3339))
}

// Unwrap makes the error match ErrVacuumRunning and txlog.ErrConflict.
func (e *VacuumRunningError) Unwrap() []error { return []error{ErrVacuumRunning, txlog.ErrConflict} }

// Parameters of our VACUUM START and VACUUM END beside those of Spark.
const (
	vacuumCutoff       = "cutoffMillis" // START: what was removed before it may be deleted
	vacuumStartVersion = "startVersion" // END: the START that it ends
)

// openVacuum is a VACUUM START whose end was not seen.
type openVacuum struct {
	start  txlog.Version
	cutoff int64 // milliseconds since 1970
	ours   bool  // it is ended by name
	until  time.Time
}

// vacuumWatch follows the vacuums of a table for one restore.
type vacuumWatch struct {
	t     *Table
	seen  txlog.Version // commits up to here were looked at
	begun bool
	open  []openVacuum
}

// lookBack is how far the history is searched for STARTs: the window, and as much again as clocks may be wrong, since
// commits of some tables carry the time of their writer.
const lookBack = 3 * VacuumWindow

// follow looks at the commits up to s: at first those of the last hours, then what came since.
func (w *vacuumWatch) follow(ctx context.Context, s *txlog.Snapshot) error {
	to := s.Version()
	var commits []*txlog.Commit
	if !w.begun {
		now, err := w.t.storeTime(ctx, s)
		if err != nil {
			return err
		}
		for c, err := range w.t.log.History(ctx, txlog.HistoryOptions{To: &to, Since: now.Add(-lookBack)}) {
			if err != nil {
				return err
			}
			commits = append([]*txlog.Commit{c}, commits...)
		}
	} else {
		for v := w.seen + 1; v <= to; v++ {
			c, err := w.t.log.ReadCommit(ctx, v)
			if err != nil {
				return err
			}
			commits = append(commits, c)
		}
	}
	for _, c := range commits {
		if err := w.take(ctx, c); err != nil {
			return err
		}
	}
	w.begun, w.seen = true, max(w.seen, to)
	return nil
}

// take opens or closes a window.
func (w *vacuumWatch) take(ctx context.Context, c *txlog.Commit) error {
	if c.Info == nil {
		return nil
	}
	parameters := c.Info.OperationParameters
	switch c.Info.Operation {
	case "VACUUM START":
		info, err := w.t.Store().Head(ctx, w.t.commitKey(c.Version))
		if err != nil {
			return fmt.Errorf("look at version %d: %w", c.Version, err)
		}
		v := openVacuum{start: c.Version, until: info.Modified.Add(VacuumWindow)}
		v.cutoff, v.ours = integer(parameters[vacuumCutoff])
		if !v.ours {
			v.cutoff = info.Modified.UnixMilli() // of an engine that names its retention at best
			for _, name := range []string{"specifiedRetentionMillis", "defaultRetentionMillis"} {
				if n, ok := integer(parameters[name]); ok && n >= 0 {
					v.cutoff -= n
					break
				}
			}
		}
		w.open = append(w.open, v)
	case "VACUUM END":
		if trimQuotes(parameters["status"]) != "COMPLETED" {
			return nil // a request that failed may still be on its way
		}
		start, named := integer(parameters[vacuumStartVersion])
		left := w.open[:0]
		for _, v := range w.open {
			if named && v.start == txlog.Version(start) || !named && !v.ours {
				continue
			}
			left = append(left, v)
		}
		w.open = left
	}
	return nil
}

func integer(s string) (int64, bool) {
	n, err := strconv.ParseInt(trimQuotes(s), 10, 64)
	return n, err == nil
}

// trimQuotes takes off the quotes that Spark puts around parameters that are texts.
func trimQuotes(s string) string {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		return s[1 : len(s)-1]
	}
	return s
}

// check refuses what comes back in s where an open vacuum may delete it.
func (w *vacuumWatch) check(ctx context.Context, s, target *txlog.Snapshot, back []int) error {
	if len(back) == 0 {
		return nil
	}
	if err := w.follow(ctx, s); err != nil {
		return fmt.Errorf("look for running vacuums: %w", err)
	}
	if len(w.open) == 0 {
		return nil
	}
	now, err := w.t.storeTime(ctx, s)
	if err != nil {
		return err
	}
	removed := map[string]int64{} // when, by path and vector
	for _, r := range s.Tombstones() {
		removed[r.Path+"\x00"+vectorID(r.DeletionVector)] = r.DeletionTimestamp
	}
	for _, v := range w.open {
		if now.After(v.until) {
			continue
		}
		danger := &VacuumRunningError{Start: v.start, Until: v.until}
		for _, i := range back {
			path := target.Files().Path(i)
			when, known := removed[path+"\x00"+vectorID(target.Files().DeletionVector(i))]
			if known && when >= v.cutoff {
				continue
			}
			if danger.Count++; danger.Count == 1 {
				danger.Path = objectName(path)
			}
		}
		if danger.Count > 0 {
			return danger
		}
	}
	return nil
}

// commitKey is the object of a version.
func (t *Table) commitKey(v txlog.Version) string {
	return t.prefix() + fmt.Sprintf("_delta_log/%020d.json", v)
}

// vacuumDeadline bounds the deletion that follows a START.
type vacuumDeadline struct {
	t     *Table
	start txlog.Version
	began time.Time // our clock
}

// passed tells whether half of the window is over, by the clock of the store or by ours.
func (d vacuumDeadline) passed(ctx context.Context) (bool, error) {
	info, err := d.t.Store().Head(ctx, d.t.commitKey(d.start))
	if errors.Is(err, objectstore.ErrNotFound) {
		return true, nil // cleaned up: we were away for long
	}
	if err != nil {
		return false, fmt.Errorf("read the clock of the store: %w", err)
	}
	if !info.Date.IsZero() && info.Date.Sub(info.Modified) > VacuumWindow/2 {
		return true, nil
	}
	return clock.Since(d.t.opts.Log.Clock, d.began) > VacuumWindow/2, nil
}
