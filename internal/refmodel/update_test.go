package refmodel

import (
	"context"
	"fmt"

	"pgregory.net/rapid"

	"github.com/lakectl/lakectl/table"
)

// drawUpdate draws an UPDATE: in memory it is a merge with no source and one clause.
func drawUpdate(t *rapid.T) merge {
	c := drawCond(t, "t")
	return merge{
		clauses: []clause{{when: table.NotMatchedBySource, do: table.DoUpdate, cond: &c, set: drawSet(t, "tc")}},
		share:   rapid.SampledFrom([]float64{0, 0.01, 0.3, 2}).Draw(t, "share"),
	}
}

// update is the request of an UPDATE as the table takes it.
func (m merge) update(wide bool) table.Update {
	c := m.request(wide).Clauses[0]
	return table.Update{Set: c.Set, Where: c.If, RewriteShare: m.share}
}

func (w *world) update(ctx context.Context, s step, e *expectation) error {
	want := s.merge.apply(e.next.rows, e.next.wide)
	e.next.rows = want.rows
	before := w.tab.Snapshot().Version()
	res, err := w.tab.Update(ctx, w.eng, s.merge.update(e.next.wide))
	if e.got = err; err != nil {
		return nil //nolint:nilerr // the step judges e.got
	}
	if (res.VersionAfter == before) != (want.updated == 0) {
		return fmt.Errorf("update of %d rows: version %d, before %d", want.updated, res.VersionAfter, before)
	}
	return number("rows updated", res.RowsUpdated, int(want.updated))
}
