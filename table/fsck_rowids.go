package table

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/lakectl/lakectl/txlog"
)

// rowIDs looks at the ids that files give their rows: no two files may give the same one, none may lie above the mark
// from which the next are taken, and where the table keeps ids each file must have them.
//
// Protocol: "Row IDs".
func (c *checking) rowIDs() {
	s := c.snapshot
	if !s.Protocol().Supports(txlog.FeatureRowTracking) {
		return
	}
	mark := struct {
		Highest int64 `json:"rowIdHighWaterMark"`
	}{-1}
	if d, has := s.Domain(domainRowTracking); has {
		if err := json.Unmarshal([]byte(d.Configuration), &mark); err != nil {
			c.find(RowIDsClash, "domain "+domainRowTracking, "%v", err)
			return
		}
	}
	type span struct {
		path        string
		first, last int64
	}
	var spans []span
	files, missing := s.Files(), 0
	for i := range files.Len() {
		first, _ := files.RowIDs(i)
		n, known := files.NumRecords(i)
		switch {
		case first == nil:
			missing++
		case known && n > 0:
			spans = append(spans, span{objectName(files.Path(i)), *first, *first + n - 1})
		}
	}
	if missing > 0 && boolProperty(s.Metadata().Configuration, txlog.RowTrackingKey) {
		c.find(RowIDsClash, "metaData", "%d files have no row ids, though %s is true", missing, txlog.RowTrackingKey)
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	for i, f := range spans {
		if f.last > mark.Highest {
			c.find(RowIDsClash, f.path, "its rows have ids up to %d, the table has given out %d", f.last, mark.Highest)
		}
		if i > 0 && f.first <= spans[i-1].last {
			c.find(RowIDsClash, f.path, "its rows have ids that rows of %s have, from %d on", spans[i-1].path, f.first)
		}
	}
}
