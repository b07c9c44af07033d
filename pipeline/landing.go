package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/table"
)

// landingScan is one listing of the landing folder, against what was loaded before.
type landingScan struct {
	there   map[string]objectstore.Info // every object that matches, by key
	files   []PlanFile                  // eligible, in (modified, key) order
	changed []string                    // keys with a new identity that changed_file says to ignore
	gone    int                         // keys that were loaded and are no longer there
	empty   int                         // files without a byte
	young   int                         // files that rest less than min_age
}

// scanLanding lists the landing folder and leaves out what was loaded, is empty, too young or too old.
//
// Ages are measured on the store's clock, so a wrong clock here loads no file early.
func (r *Runner) scanLanding(ctx context.Context, s *state) (*landingScan, error) {
	spec := s.m.ingest
	store, err := r.landing(ctx, spec.url)
	if err != nil {
		return nil, err
	}
	seen, err := r.seen(ctx, s)
	if err != nil {
		return nil, err
	}
	scan := &landingScan{there: map[string]objectstore.Info{}}
	for info, err := range store.List(ctx, staticPrefix(spec.globText), "") {
		if err != nil {
			return nil, fmt.Errorf("list landing folder: %w", err)
		}
		if spec.glob.MatchString(info.Key) {
			scan.there[info.Key] = info
		}
	}
	now, err := r.storeTime(ctx, store, scan.there, spec.minAge)
	if err != nil {
		return nil, err
	}
	var refused []string
	for _, key := range slices.Sorted(maps.Keys(scan.there)) {
		info := scan.there[key]
		etag, loaded := seen[key]
		switch {
		case info.Size == 0:
			scan.empty++
			continue
		case loaded && etag == info.ETag, info.Modified.Before(spec.since):
			continue
		case spec.minAge > 0 && now.Sub(info.Modified) < spec.minAge:
			scan.young++
			continue
		case loaded && spec.changed == changedIgnore:
			scan.changed = append(scan.changed, key)
			continue
		case loaded && spec.changed == changedFail:
			refused = append(refused, key)
			continue
		}
		scan.files = append(scan.files, PlanFile{Key: key, ETag: info.ETag, Size: info.Size, Modified: info.Modified.UTC(), Reload: loaded})
	}
	if len(refused) > 0 {
		return nil, fmt.Errorf("%w: %d landed files have changed, the first is %s", ErrContract, len(refused), refused[0])
	}
	for key := range seen {
		if _, ok := scan.there[key]; !ok {
			scan.gone++
		}
	}
	slices.SortFunc(scan.files, func(a, b PlanFile) int {
		return cmp.Or(a.Modified.Compare(b.Modified), cmp.Compare(a.Key, b.Key))
	})
	return scan, nil
}

// notes says what people should know of the landing folder.
func (s *landingScan) notes() []string {
	var out []string
	say := func(n int, text string) {
		if n > 0 {
			out = append(out, fmt.Sprintf("landing files that %s: %d", text, n))
		}
	}
	say(s.gone, "are gone (their rows stay)")
	say(s.empty, "are empty (left alone)")
	say(s.young, "are younger than min_age (they wait)")
	say(len(s.changed), "have changed (ignored)")
	return out
}

// storeTime is the store's clock. Only a Head tells it; any object will do.
func (r *Runner) storeTime(ctx context.Context, store objectstore.Store, there map[string]objectstore.Info, minAge time.Duration) (time.Time, error) {
	if minAge == 0 {
		return time.Time{}, nil
	}
	for key := range there {
		info, err := store.Head(ctx, key)
		if errors.Is(err, objectstore.ErrNotFound) {
			continue
		}
		if err != nil {
			return time.Time{}, fmt.Errorf("ask the landing store for its time: %w", err)
		}
		if !info.Date.IsZero() {
			return info.Date, nil
		}
	}
	return r.o.Clock.Now(), nil
}

// staticPrefix is the part of a glob before its first special character: what a listing can be limited to.
func staticPrefix(glob string) string {
	if i := strings.IndexAny(glob, "*?[{"); i >= 0 {
		return glob[:i]
	}
	return glob
}

// readable tells whether the files of a plan are still there as they were.
func (s *landingScan) readable(files []PlanFile) bool {
	for _, f := range files {
		if info, ok := s.there[f.Key]; !ok || info.ETag != f.ETag {
			return false
		}
	}
	return len(files) > 0
}

// planIngest takes the next files, oldest first, up to the bounds of one batch. A file above them is a plan of its own.
func (r *Runner) planIngest(s *state, p *Plan, scan *landingScan) bool {
	most := min(int64(s.m.ingest.maxFiles), r.o.Project.Limits.FilesPerPlan)
	var size int64
	for _, f := range scan.files {
		if int64(len(p.Files)) == most || len(p.Files) > 0 && size+f.Size > s.m.ingest.maxBytes {
			break
		}
		size += f.Size
		p.Files = append(p.Files, f)
	}
	return len(p.Files) > 0
}

// identities adds the (key, ETag) pairs of a query over t.
func (r *Runner) identities(ctx context.Context, t *table.Table, sql string, into map[string]string) (err error) {
	rel, _, err := t.Relation(ctx, table.ScanOptions{})
	if err != nil {
		return err
	}
	if len(rel.Files) == 0 {
		return nil
	}
	return r.eachRow(ctx, table.Query{SQL: sql, Relations: map[string]table.Relation{"_lake.q": rel}}, func(row []any) error {
		key, ok1 := row[0].(string)
		etag, ok2 := row[1].(string)
		if ok1 && ok2 {
			into[key] = etag
		}
		return nil
	})
}

// eachRow runs q and calls f with each row; the slice is reused.
func (r *Runner) eachRow(ctx context.Context, q table.Query, f func(row []any) error) (err error) {
	rows, err := r.o.Engine.Query(ctx, q)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for row, err := range rows.All {
		if err != nil {
			return err
		}
		if err := f(row); err != nil {
			return err
		}
	}
	return nil
}
