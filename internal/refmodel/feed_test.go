package refmodel

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lakectl/lakectl/internal/tabletest"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// feedMark begins the tags of rows of a change data feed; the version follows, then the type of change.
const feedMark = `"feed `

// queueFeed asks for what the change data feed says of one version.
func (w *world) queueFeed(ctx context.Context, v int, kind string) error {
	version := txlog.Version(v)
	rel, err := w.tab.ChangeFeed(ctx, table.ChangeRange{From: &version, To: &version})
	if errors.Is(err, table.ErrSchemaMismatch) && (kind == "restore" || kind == "overwrite schema") {
		return nil // it replaced columns by others of their names
	}
	if err != nil {
		return err
	}
	name := fmt.Sprintf("feed%d", v)
	w.parts = append(w.parts, part{tag: fmt.Sprintf("feed %d ", v), from: name, rel: rel, state: w.history[v], feed: v})
	return nil
}

// takeFeeds takes the rows of feeds out of what was read, by version.
func takeFeeds(got tabletest.Multiset) map[int]tabletest.Multiset {
	out := map[int]tabletest.Multiset{}
	for key, n := range got {
		text, is := strings.CutPrefix(key, feedMark)
		if !is {
			continue
		}
		delete(got, key)
		var v int
		var kind string
		if _, err := fmt.Sscanf(text, "%d %s", &v, &kind); err != nil {
			continue
		}
		if out[v] == nil {
			out[v] = tabletest.Multiset{}
		}
		_, text, _ = strings.Cut(text, `" | `)
		out[v][strings.TrimSuffix(kind, `"`)+" "+text] += n
	}
	return out
}

// checkFeed demands that the changes of a version, applied to the rows before it, give those after it, and that each
// old image has a new one.
func (w *world) checkFeed(v int, feed tabletest.Multiset) error {
	before := w.history[v-1].rows
	if !w.history[v].wide {
		before = narrowed(before) // a feed has the columns of its last version
	}
	rows := tabletest.Multiset{}
	for _, r := range before {
		rows[r.text()+" | true"]++
	}
	images := 0
	for key, n := range feed {
		kind, text, _ := strings.Cut(key, " ")
		switch kind {
		case txlog.ChangePreimage:
			images -= n
			rows[text] -= n
		case txlog.ChangePostimage:
			images += n
			rows[text] += n
		case txlog.ChangeDelete:
			rows[text] -= n
		case txlog.ChangeInsert:
			rows[text] += n
		default:
			return fmt.Errorf("feed of version %d: change type %q", v, kind)
		}
		w.tally.fed += n
	}
	want := tabletest.Multiset{}
	for _, r := range w.history[v].rows {
		want[r.text()+" | true"]++
	}
	for text, n := range rows {
		if n == 0 {
			delete(rows, text)
		}
	}
	if d := rows.Diff(want); d != "" {
		return fmt.Errorf("feed of version %d: applied to the rows before it:\n%s\nthe feed: %v", v, d, feed)
	}
	if images != 0 {
		return fmt.Errorf("feed of version %d: %d more new images than old ones: %v", v, images, feed)
	}
	return nil
}
