package pipeline_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/internal/clock"
)

// TestOrderDoesNotShow lands the same changes in random order, cut into plans at random: the table always holds, for
// each key, the row with the greatest sequence.
func TestOrderDoesNotShow(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			rnd := clock.SeededRand(seed)
			l := newLake(t, map[string]string{
				"bronze/c.ingest.yml": "source: {path: \"file:///landing\", format: csv, min_age: 0s}\nschema:\n  columns: {id: bigint, seq: bigint, v: string}\n  contract: {columns: rescue}\n",
				"silver/c.sql":        "/* @lake\nkind: merge\nkey: [id]\nsequence_by: [seq]\n@lake */\nSELECT id, seq, v FROM bronze.c",
			})
			newest := map[int64]int64{}
			var lines []string
			for seq := range int64(24) {
				id := clock.Int64N(rnd, 6)
				newest[id] = max(newest[id], seq)
				lines = append(lines, fmt.Sprintf("%d,%d,v%d\n", id, seq, seq))
			}
			files := 0
			for len(lines) > 0 {
				text := "id,seq,v\n"
				for range 1 + clock.Int64N(rnd, 12) {
					if len(lines) == 0 {
						break
					}
					i := int(clock.Int64N(rnd, int64(len(lines))))
					text += lines[i]
					if clock.Int64N(rnd, 5) > 0 { // some lines come again
						lines = slices.Delete(lines, i, i+1)
					}
				}
				files++
				l.land(fmt.Sprintf("%03d.csv", files), text)
				if rep, err := l.try(l.warehouse); err != nil || rep.ExitCode() != 0 {
					t.Fatalf("%v %+v", err, rep)
				}
			}
			var want []string
			for id, seq := range newest {
				want = append(want, fmt.Sprintf("%d|%d|v%d", id, seq, seq))
			}
			slices.Sort(want)
			if got := l.rows("silver.c", "SELECT id, seq, v FROM t ORDER BY id"); strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("seed %d: got %v, want %v", seed, got, want)
			}
		})
	}
}
