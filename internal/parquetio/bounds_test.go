package parquetio

import (
	"bytes"
	"fmt"
	"math"
	"math/big"
	"testing"

	"github.com/lakectl/lakectl/internal/limits"
)

func TestBounds(t *testing.T) {
	columns := []Column{
		{Name: "n", Kind: KindLong, Nullable: true},
		{Name: "b", Kind: KindByte},
		{Name: "day", Kind: KindDate},
		{Name: "t", Kind: KindTimestamp},
		{Name: "dec", Kind: KindDecimal, Precision: 9, Scale: 2},
		{Name: "wide", Kind: KindDecimal, Precision: 38},
		{Name: "f", Kind: KindDouble},
		{Name: "s", Kind: KindString},
		{Name: "flag", Kind: KindBoolean},
		{Name: "none", Kind: KindLong, Nullable: true},
	}
	var out bytes.Buffer
	w, err := NewWriter(&out, columns, Options{RowGroupRows: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range [][]any{
		{int64(5), 1, 10, 100, big.NewInt(150), big.NewInt(1), 1.5, "b", true, nil},
		{nil, -3, 11, -7, big.NewInt(-1), big.NewInt(2), math.NaN(), "a", false, nil},
		{int64(-9), 7, -12, 3, big.NewInt(0), big.NewInt(3), 0.0, "c", true, nil},
	} {
		if err := w.WriteRow(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := Open(bytes.NewReader(out.Bytes()), int64(out.Len()), limits.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"n": "-9 5 true", "b": "-3 7 true", "day": "-12 11 true", "t": "-7 100 true", "dec": "-1 150 true", "s": "a <nil> true",
		"wide": "<nil> <nil> false", "f": "<nil> <nil> false", "flag": "<nil> <nil> false", "none": "<nil> <nil> false",
	} {
		low, high, ok := f.Bounds(f.Lookup(name))
		if got := fmt.Sprint(low, " ", high, " ", ok); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	if _, _, ok := f.Bounds(nil); ok {
		t.Error("no column has bounds")
	}
}
