package duckdb

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/lakectl/lakectl/internal/cache"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/txlog"
)

// fill brings what the statement reads of files that have holes: the chunks of the columns that DuckDB's own plan of
// the statement names, over the views as they are. Then the views are made again without the other columns, so that a
// statement which would read a hole all the same fails, whatever stands in it: zeros can pass for values.
//
// A plan may leave out what the statistics in the footers decide, and DuckDB does not write down every condition that
// stands in a scan. Views without a column have neither, and the plan over them names it where it is used. So the
// statement is planned again, until its plan names no column that is not here.
func (b *bound) fill(ctx context.Context, places []*place) error {
	s := b.session
	if len(s.sparse) == 0 {
		return nil
	}
	for known := map[string]bool{}; ; {
		found, err := b.mentioned(ctx)
		if err != nil {
			return err
		}
		before := len(known)
		maps.Copy(known, found)
		if before > 0 && len(known) == before && found != nil {
			return nil
		}
		if found == nil {
			known = nil
		}
		if err := b.bring(ctx, places, known); err != nil {
			return err
		}
		narrow, err := b.narrow(ctx, places)
		if err != nil || !narrow || known == nil {
			return err
		}
		known[""] = true // the first plan may name nothing
	}
}

// bring fetches the columns of the known names from all files; nil is every name.
func (b *bound) bring(ctx context.Context, places []*place, known map[string]bool) error {
	s := b.session
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(fetchParallel)
	for _, p := range places {
		if p.reader == nil {
			continue
		}
		for i := range p.reader.split {
			g := &p.reader.split[i]
			p.reader.want(g, known)
			for _, f := range g.files {
				path := p.paths[f]
				if file := s.sparse[path]; file != nil {
					group.Go(func() error { return s.fillFile(ctx, path, file, p.reader.chosen(*g)) })
				}
			}
		}
	}
	return group.Wait()
}

// mentioned finds the names of columns in the plan of the statement, which is made of names that occur nowhere else;
// nil when DuckDB cannot write its plan down.
func (b *bound) mentioned(ctx context.Context) (map[string]bool, error) {
	rows, err := b.session.all(ctx, "EXPLAIN (FORMAT json) "+b.sql)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	found, name := map[string]bool{}, regexp.MustCompile(`t\d+c\d+`)
	if err != nil {
		p, bad := b.session.prepare(ctx, b.sql)
		if bad == nil {
			p.close()
			return nil, nil
		}
		return found, nil // the statement is wrong, as its caller will find: no need to read for it
	}
	for _, row := range rows {
		for _, cell := range row {
			var plan any
			if text, ok := cell.(string); ok && json.Unmarshal([]byte(text), &plan) == nil {
				mention(plan, name, found)
			}
		}
	}
	return found, nil
}

// mention collects the parts of a plan that look like names of columns.
func mention(plan any, name *regexp.Regexp, found map[string]bool) {
	switch v := plan.(type) {
	case map[string]any:
		for _, inner := range v {
			mention(inner, name, found)
		}
	case []any:
		for _, inner := range v {
			mention(inner, name, found)
		}
	case string:
		for _, column := range name.FindAllString(v, -1) {
			found[column] = true
		}
	}
}

// want marks the columns of a group that are known to be read; nil: all.
func (r *reader) want(g *group, known map[string]bool) {
	if known == nil {
		g.wanted = nil
		return
	}
	g.wanted = make([]bool, len(r.fields)+len(g.stored))
	for i := range g.wanted {
		g.wanted[i] = known[g.column(i)]
	}
}

// chosen tells of a column in a file of a group whether it may be read.
func (r *reader) chosen(g group) func(*parquetio.Leaf) bool {
	return func(leaf *parquetio.Leaf) bool {
		for i, f := range r.fields {
			if !g.reads(i) {
				continue
			}
			if r.relation.Mapping == txlog.MappingID {
				if id, ok := f.FieldID(); ok && int64(id) == leaf.RootID {
					return true
				}
			} else if strings.EqualFold(f.PhysicalName(r.relation.Mapping), leaf.Root) {
				return true
			}
		}
		for i, f := range g.stored {
			if g.reads(len(r.fields)+i) && strings.EqualFold(f.Name, leaf.Root) {
				return true
			}
		}
		return false
	}
}

// fillFile brings the chosen columns of one file.
func (s *session) fillFile(ctx context.Context, path string, file *cache.File, chosen func(*parquetio.Leaf) bool) error {
	chunks, err := parquetio.Chunks(file.Reader(ctx), file.Size(), s.engine.options.Limits, chosen)
	if err != nil {
		return s.footerError(path, err)
	}
	spans := make([]cache.Span, len(chunks))
	for i, c := range chunks {
		spans[i] = cache.Span(c)
	}
	if err := file.Fill(ctx, spans...); err != nil {
		return fmt.Errorf("read %s: %w", s.names[path], gone(err))
	}
	return nil
}

// narrow makes the views again that have columns which were not brought here, or had. narrow tells whether any has.
func (b *bound) narrow(ctx context.Context, places []*place) (narrow bool, err error) {
	for _, p := range places {
		if p.reader == nil {
			continue
		}
		lacks := slices.ContainsFunc(p.reader.split, func(g group) bool { return slices.Contains(g.wanted, false) })
		if !lacks && !p.narrow {
			continue
		}
		p.narrow = lacks
		narrow = narrow || lacks
		sql, err := p.reader.sql()
		if err != nil {
			return false, err
		}
		if err := b.session.exec(ctx, "CREATE OR REPLACE VIEW "+p.view+" AS "+sql); err != nil {
			return false, fmt.Errorf("bind %s: %w", p.ref.key(), err)
		}
	}
	return narrow, nil
}
