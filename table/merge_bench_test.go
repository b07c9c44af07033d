package table_test

import (
	"fmt"
	"runtime"
	"strconv"
	"testing"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// BenchmarkMerge brings 100,000 rows, half updates and half inserts, into a table of ten million rows of eight
// columns in 20 files, with and without a change data feed.
func BenchmarkMerge(b *testing.B) {
	for _, feed := range []bool{false, true} {
		b.Run(fmt.Sprintf("feed=%t", feed), func(b *testing.B) { mergeMillions(b, feed) })
	}
}

func mergeMillions(b *testing.B, feed bool) {
	b.Helper()
	eng, err := duckdb.Open(duckdb.Options{TempDir: b.TempDir(), Threads: runtime.GOMAXPROCS(0), MemoryBytes: 1 << 30})
	if err != nil {
		b.Fatal(err)
	}
	defer eng.Close() //nolint:errcheck // a benchmark
	store, err := file.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	schema, err := txlog.ParseColumns("id bigint, name string, a int, x double, d date, m decimal(12,2), ts timestamp_ntz, flag boolean")
	if err != nil {
		b.Fatal(err)
	}
	tab, err := table.CreateTable(b.Context(), store, "t", table.Create{
		Schema: schema, Properties: map[string]string{"delta.enableChangeDataFeed": strconv.FormatBool(feed)},
	})
	if err != nil {
		b.Fatal(err)
	}
	for i := range 20 {
		if _, err := tab.Append(b.Context(), eng, table.Append{Source: table.Query{SQL: fmt.Sprintf(`SELECT %d * 500000 + i AS id,
			'name-' || (hash(i + %d) %% 100000) AS name, (random() * 1000)::INTEGER AS a, random() AS x,
			DATE '2020-01-01' + (i %% 1000)::INTEGER AS d, (random() * 100000)::DECIMAL(12,2) AS m,
			TIMESTAMP '2020-01-01' + to_seconds(i) AS ts, (i %% 7 = 0) AS flag FROM range(500000) r(i)`, i, i)}}); err != nil {
			b.Fatal(err)
		}
	}
	for n := 0; b.Loop(); n++ {
		res, err := tab.Merge(b.Context(), eng, table.Merge{
			Source: table.Query{SQL: fmt.Sprintf(`SELECT CASE WHEN i %% 2 = 0 THEN i * 100 ELSE 10000000 + %d * 100000 + i END AS id,
				'new-' || i AS name, i::INTEGER AS a, random() AS x, DATE '2021-01-01' AS d, 5.25::DECIMAL(12,2) AS m,
				TIMESTAMP '2021-01-01' + to_seconds(%d) AS ts, true AS flag FROM range(100000) r(i)`, n, n)},
			On: "t.id = s.id", Clauses: []table.Clause{updateAll(""), insertAll("")},
		})
		if err != nil {
			b.Fatal(err)
		}
		if res.RowsUpdated != 50_000 || res.RowsInserted != 50_000 {
			b.Fatalf("%+v", res)
		}
	}
}
