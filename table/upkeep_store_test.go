package table_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/tabletest"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// The whole life of a table on every kind of store: it is written, compacted, ordered, cleaned and turned back, and
// its rows are never other than they must be.
func TestUpkeepOnStores(t *testing.T) {
	onStores(t, func(t *testing.T, l *lake) {
		t.Helper()
		schema, err := txlog.ParseColumns("id bigint not null, day date, v double")
		if err != nil {
			t.Fatal(err)
		}
		tab, err := table.CreateTable(t.Context(), l.store, l.path, table.Create{Schema: schema, PartitionBy: []string{"day"}})
		if err != nil {
			t.Fatal(err)
		}
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		for i := range 4 {
			_, err := tab.Append(t.Context(), l.eng, table.Append{Source: table.Query{SQL: fmt.Sprintf(
				"SELECT i AS id, DATE '2026-01-01' + CAST(i %% 2 AS INTEGER) AS day, i / 2.0 AS v FROM range(%d, %d) AS r(i)", i*50, i*50+50)}})
			must(err)
		}
		_, err = tab.Delete(t.Context(), l.eng, table.Delete{Where: "id % 10 = 3"})
		must(err)
		want := tabletest.Rows(t, l.eng, tab)
		before := tab.Snapshot().Version()

		res, err := tab.Optimize(t.Context(), l.eng, table.Optimize{ZOrderBy: []string{"v", "id"}})
		must(err)
		if res.FilesRemoved != 8 || res.FilesAdded != 2 {
			t.Errorf("optimize: %+v", res)
		}
		tabletest.Same(t, "rows after optimize", tabletest.Rows(t, l.eng, tab), want)

		_, err = tab.Restore(t.Context(), table.Restore{Version: &before})
		must(err)
		tabletest.Same(t, "rows after restore", tabletest.Rows(t, l.eng, tab), want)

		// By the clock of the store nothing is older than now; what is needed stays in any case.
		_, err = tab.Vacuum(t.Context(), table.Vacuum{Retain: new(time.Duration), Force: true})
		must(err)
		tabletest.Same(t, "rows after vacuum", tabletest.Rows(t, l.eng, tab), want)
		d, err := tab.Describe(t.Context(), table.Describe{})
		must(err)
		if d.Files != 8 || *d.Rows != int64(want.Len()) || d.DeletedRows != 20 {
			t.Errorf("describe: %+v", d)
		}
	})
}
