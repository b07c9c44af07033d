package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
)

// seen is the identity under which each landing file was last loaded: ETag by key.
//
// The table is the truth: its columns _file and _file_etag, and those of rejected rows. Files that left no row are
// known from the plans that landed, as long as their objects are there; without them such a file is read again, and
// again leaves no row.
func (r *Runner) seen(ctx context.Context, s *state) (map[string]string, error) {
	if s.target == nil {
		return map[string]string{}, nil
	}
	seen, err := r.landedFiles(ctx, s)
	if err != nil {
		return nil, err
	}
	if s.quarantine != nil {
		// Rows of plans above the landed one belong to no state of the table.
		sql := "SELECT DISTINCT _row ->> '$._file', _row ->> '$._file_etag' FROM _lake.q WHERE _plan <= " + fmt.Sprint(s.task)
		if err := r.identities(ctx, s.quarantine, sql, seen); err != nil {
			return nil, err
		}
	}
	sql := "SELECT DISTINCT " + columnFile + ", " + columnETag + " FROM _lake.q"
	return seen, r.identities(ctx, s.target, sql, seen)
}

// seenEvery is how many plans are read back before what they say is written down in one object.
const seenEvery = 16

// landedFiles is what the chain of landed plans says. Plans pin the plan before them, so the chain is walked from the
// table's last one; objects seen-<N>.parquet, written as a convenience for later walks, cut it short.
func (r *Runner) landedFiles(ctx context.Context, s *state) (map[string]string, error) {
	cached, err := r.cachedSeen(ctx, s.m)
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	var chain []*Plan
	whole := true
	for n := s.task; n > 0; {
		if key, ok := cached[n]; ok {
			if known, err := r.readSeen(ctx, key); err == nil {
				files = known
				break
			}
			// A damaged object costs a longer walk, nothing else.
		}
		p, err := r.Load(ctx, PlanRef{Model: s.m.Name, N: n})
		if errors.Is(err, ErrPlanNotFound) {
			whole = false
			break
		}
		if err != nil {
			return nil, err
		}
		if p.Target.Task >= n {
			return nil, fmt.Errorf("%w: plan %s follows itself", errConfig, p.Ref())
		}
		chain = append(chain, p)
		n = p.Target.Task
	}
	slices.Reverse(chain) // later plans say more
	for _, p := range chain {
		for _, f := range p.Files {
			files[f.Key] = f.ETag
		}
	}
	if whole && len(chain) >= seenEvery && !s.preview {
		if err := r.writeSeen(ctx, s, files); err != nil {
			r.o.Logger.WarnContext(ctx, "write down what was loaded", "model", s.m.Name, "plan", s.task, "err", err)
		}
	}
	return files, nil
}

func seenPrefix(model string) string { return planPrefix(model) + "seen-" }

// cachedSeen lists the objects that cut the walk short, by plan.
func (r *Runner) cachedSeen(ctx context.Context, m *Model) (map[int64]string, error) {
	out := map[int64]string{}
	for info, err := range r.o.Store.List(ctx, seenPrefix(m.Name), "") {
		if err != nil {
			return nil, fmt.Errorf("list plans: %w", err)
		}
		digits := strings.TrimSuffix(strings.TrimPrefix(info.Key, seenPrefix(m.Name)), ".parquet")
		if n, err := strconv.ParseInt(digits, 10, 64); err == nil {
			out[n] = info.Key
		}
	}
	return out, nil
}

func (r *Runner) readSeen(ctx context.Context, key string) (map[string]string, error) {
	most := r.o.Project.Limits.PlanBytes
	rc, info, err := r.o.Store.Get(ctx, key, objectstore.Range{})
	if err != nil {
		return nil, err
	}
	if info.Size > most {
		return nil, errors.Join(limits.Over("plan_bytes", info.Size, most), rc.Close())
	}
	body, err := io.ReadAll(rc)
	if err := errors.Join(err, rc.Close()); err != nil {
		return nil, err
	}
	f, err := parquetio.Open(bytes.NewReader(body), int64(len(body)), r.o.Project.Limits)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for row, err := range f.All() {
		if err != nil {
			return nil, err
		}
		if len(row) != 2 {
			return nil, fmt.Errorf("%w: %d columns", parquetio.ErrMalformed, len(row))
		}
		key, ok1 := row[0].(string)
		etag, ok2 := row[1].(string)
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("%w: not text", parquetio.ErrMalformed)
		}
		out[key] = etag
	}
	return out, nil
}

func (r *Runner) writeSeen(ctx context.Context, s *state, files map[string]string) error {
	var b bytes.Buffer
	columns := []parquetio.Column{{Name: "key", Kind: parquetio.KindString}, {Name: "etag", Kind: parquetio.KindString}}
	w, err := parquetio.NewWriter(&b, columns, parquetio.Options{})
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(files)) {
		if err := w.WriteRow([]any{key, files[key]}); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	key := fmt.Sprintf("%s%020d.parquet", seenPrefix(s.m.Name), s.task)
	_, err = r.o.Store.Put(ctx, key, objectstore.Bytes(b.Bytes()), objectstore.CreateOnly)
	if errors.Is(err, objectstore.ErrExists) {
		return nil
	}
	return err
}
