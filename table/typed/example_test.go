package typed_test

import (
	"context"
	"fmt"
	"slices"

	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/typed"
	"github.com/lakectl/lakectl/txlog"
)

type flight struct {
	Carrier string
	Delay   *int32 `lake:"arr_delay"`
	Day     txlog.Date
}

func Example() {
	ctx := context.Background()
	schema, err := txlog.ParseColumns("carrier string, arr_delay int, day date")
	if err != nil {
		panic(err)
	}
	tab, err := table.CreateTable(ctx, mem.New("example"), "silver/flights", table.Create{Schema: schema, PartitionBy: []string{"day"}})
	if err != nil {
		panic(err)
	}
	late := int32(12)
	res, err := typed.Append(ctx, tab, slices.Values([]flight{
		{Carrier: "AA", Delay: &late, Day: 19_723}, {Carrier: "DL", Day: 19_723},
	}), typed.Options{})
	if err != nil {
		panic(err)
	}
	fmt.Println("version", res.VersionAfter, "rows", res.RowsInserted)
	for f, err := range typed.Rows[flight](ctx, tab, nil) {
		if err != nil {
			panic(err)
		}
		fmt.Println(f.Day, f.Carrier, f.Delay != nil)
	}
	// Output:
	// version 1 rows 2
	// 2024-01-01 AA true
	// 2024-01-01 DL false
}
