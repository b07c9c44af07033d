// Package typed reads and writes the rows of a table as values of a Go struct, without an engine and so without cgo.
//
//	type Order struct {
//		ID    int64
//		Total *txlog.Decimal `lake:"total"`
//		Day   txlog.Date
//	}
//
//	res, err := typed.Append(ctx, tab, slices.Values(orders), typed.Options{})
//	for order, err := range typed.Rows[Order](ctx, tab, nil) { … }
//
// A field belongs to the column that its tag names, lake:"name", else to the one with its name, in any case, with or
// without underscores between words; lake:"-" belongs to none, embedded structs are taken apart. Columns and Go types:
//
//	boolean                      bool
//	byte, short, integer, long   int8 … int64, int: reading needs one that is wide enough
//	float, double                float32, float64
//	decimal                      txlog.Decimal
//	string, binary               string, []byte
//	date                         txlog.Date, time.Time
//	timestamp, timestamp_ntz     time.Time, in UTC
//	array, map, struct           a slice, a map, a struct
//
// A pointer holds NULL as nil; so do slices and maps. NULL for any other field is an error.
package typed
