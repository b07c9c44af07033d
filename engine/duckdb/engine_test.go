package duckdb_test

import (
	"testing"

	"github.com/lakectl/lakectl/engine/duckdb"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/table/enginetest"
)

func open(t *testing.T, o duckdb.Options) *duckdb.Engine {
	t.Helper()
	o.TempDir = t.TempDir()
	e, err := duckdb.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestContract(t *testing.T) {
	enginetest.Run(t, func(t *testing.T) table.Engine {
		t.Helper()
		return open(t, duckdb.Options{Threads: 2})
	})
}

func TestBounds(t *testing.T) {
	enginetest.RunBounded(t, func(t *testing.T, memory, temp int64) table.Engine {
		t.Helper()
		return open(t, duckdb.Options{Threads: 2, MemoryBytes: memory, MaxTempBytes: temp})
	})
}
