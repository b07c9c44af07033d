package table_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Writers that add one to the same rows, with a handle each: whoever loses plans again, and no step is lost.
func TestConcurrentMergesLoseNothing(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint, n bigint", table.Create{})
	l.append(tab, values("id, n", "(1, 0)", "(2, 0)"))
	const writers, steps = 4, 3
	bounds := limits.Default()
	bounds.CommitAttempts = 200 // the losers of every round, and then some
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			mine, err := table.Open(t.Context(), l.store, l.path, table.Options{Log: txlog.Options{Limits: bounds}})
			if err != nil {
				t.Error(err)
				return
			}
			for range steps {
				_, err := mine.Merge(t.Context(), l.eng, table.Merge{
					Source: values("id, n", "(1, 1)", fmt.Sprintf("(%d, 1)", 10+w)), On: "t.id = s.id",
					Clauses: []table.Clause{
						{When: table.Matched, Do: table.DoUpdate, Set: []table.Assignment{{Column: "n", Value: "t.n + s.n"}}},
						insertAll(""),
					},
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := tab.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	rows := []string{fmt.Sprintf("1 %d", writers*steps), "2 0"}
	for w := range writers {
		rows = append(rows, fmt.Sprintf("%d %d", 10+w, steps))
	}
	want(t, l.rows(tab), rows...)
}

// Appends never conflict, whatever the others do.
func TestConcurrentAppendsAllLand(t *testing.T) {
	l := newLake(t)
	tab := l.create("id bigint", table.Create{})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 3 {
				if _, err := tab.Append(t.Context(), l.eng, table.Append{Source: values("id", fmt.Sprintf("(%d)", 10*w+i))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if n := len(l.rows(tab)); n != 12 {
		t.Fatalf("%d rows", n)
	}
}
