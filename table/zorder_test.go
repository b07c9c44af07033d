package table_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/table"
)

// morton is the slow and obvious interleaving: bit by bit, the first column first.
func morton(ranks []uint64, bits int) int64 {
	var code uint64
	for b := bits - 1; b >= 0; b-- {
		for _, r := range ranks {
			code = code<<1 | r>>b&1
		}
	}
	return int64(code)
}

func TestMorton(t *testing.T) {
	for _, c := range []struct {
		ranks []uint64
		bits  int
		want  int64
	}{
		{[]uint64{0, 0}, 2, 0},
		{[]uint64{1, 0}, 2, 2},
		{[]uint64{0, 1}, 2, 1},
		{[]uint64{3, 0}, 2, 10},
		{[]uint64{2, 3}, 2, 13},
		{[]uint64{1, 1, 1}, 1, 7},
		{[]uint64{1023, 1023}, 10, 1<<20 - 1},
	} {
		if got := morton(c.ranks, c.bits); got != c.want {
			t.Errorf("morton of %v is %d, want %d", c.ranks, got, c.want)
		}
	}
}

func TestMortonSQLAgrees(t *testing.T) {
	eng, err := duckdb.Open(duckdb.Options{Threads: 1, TempDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = eng.Close() }()
	r := rand.New(rand.NewPCG(1, 2))
	for columns := 2; columns <= table.ZOrderColumnsMax; columns++ {
		bits := table.RankBits(columns)
		if columns*bits > 60 {
			t.Fatalf("%d columns of %d bits", columns, bits)
		}
		var rows, names []string
		var want []int64
		for i := range columns {
			names = append(names, fmt.Sprintf("_lake_r%d", i))
		}
		for n := range 50 {
			ranks, texts := make([]uint64, columns), []string{fmt.Sprint(n)}
			for i := range ranks {
				ranks[i] = r.Uint64N(1 << bits)
				if n == 0 {
					ranks[i] = 1<<bits - 1
				}
				texts = append(texts, fmt.Sprintf("%d::BIGINT", ranks[i]))
			}
			want = append(want, morton(ranks, bits))
			rows = append(rows, "("+strings.Join(texts, ", ")+")")
		}
		got, err := eng.Query(t.Context(), table.Query{SQL: "SELECT " + table.MortonSQL(columns, bits) + " FROM (VALUES " +
			strings.Join(rows, ", ") + ") AS q(n, " + strings.Join(names, ", ") + ") ORDER BY n"})
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for row, err := range got.All {
			if err != nil {
				t.Fatal(err)
			}
			if row[0] != want[n] {
				t.Errorf("%d columns, row %d: %v, want %d", columns, n, row[0], want[n])
			}
			n++
		}
		if err := got.Close(); err != nil || n != len(want) {
			t.Errorf("%d rows, want %d, %v", n, len(want), err)
		}
	}
}
