package duckdb_test

import (
	"fmt"
	"testing"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/variant"
	"github.com/lakectl/lakectl/table"
)

// TestSoundVariantsDoNotEndTheProcess: what the check lets through, DuckDB shows or refuses. Bytes that it does not let
// through have ended the process here.
func TestSoundVariantsDoNotEndTheProcess(t *testing.T) {
	eng := open(t, duckdb.Options{Threads: 1})
	seeds := [][2]string{
		{"\x11\x02\x00\x01\x02ab", "\x02\x02\x00\x01\x00\x04\x0b\x0dstr\x02\x01\x00\x00\x02\x0c\x01"},
		{"\x11\x00\x00", "\x03\x04\x00\x01\x02\x04\x0a\x04\x00\x05x\x20\x01\x0f\x00\x00\x00"},
		{"\x11\x00\x00", "\x28\x26\x02\x14\x3a\xa0\x90\x16\xdd\x43\x59\x64\x3c\x0a\xd3\x9b\x00\x00"},
		{"\x11\x00\x00", "\x4c\x15\xcd\xe5\xc0\x35\x9a\xe5\x15"},
		{"\x11\x00\x00", "\x2c\x01\x02\x03\x04"},
		{"\x11\x00\x00", "\x3c\x02\x00\x00\x00\x00\xff"},
	}
	r := clock.SeededRand(7)
	tried := 0
	for range 30_000 {
		seed := seeds[r.Uint64()%uint64(len(seeds))]
		metadata, value := []byte(seed[0]), []byte(seed[1])
		for range 1 + r.Uint64()%3 {
			b := value
			if r.Uint64()%4 == 0 {
				b = metadata
			}
			b[r.Uint64()%uint64(len(b))] = byte(r.Uint64())
		}
		if variant.Check(string(metadata), string(value)) != nil {
			continue
		}
		if tried++; tried > 500 {
			break
		}
		rows, err := eng.Query(t.Context(), table.Query{SQL: fmt.Sprintf(
			"SELECT variant_bytes_to_variant(unhex('%x')) AS v", string(metadata)+string(value))})
		if err != nil {
			t.Fatal(err)
		}
		shown := 0
		for _, err := range rows.All {
			if err == nil {
				shown++
			}
		}
		if err := rows.Close(); err != nil || shown > 1 {
			t.Fatalf("%d rows, %v", shown, err)
		}
	}
	if tried < 100 {
		t.Errorf("%d values were tried", tried)
	}
}
