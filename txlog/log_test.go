package txlog

import (
	"context"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
)

// testStart is when every test begins.
func testStart() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// testLog returns a log on a store of its own, with a clock that only moves when it is slept on.
func testLog(t *testing.T) (*Log, *clock.Manual) {
	t.Helper()
	c := clock.NewStepping(testStart())
	return New(mem.New(t.Name(), mem.WithClock(c)), "silver/orders", Options{Clock: c, Rand: clock.SeededRand(7)}), c
}

// createTable commits version 0.
func createTable(t *testing.T, l *Log, columns string, partitionBy []string, properties map[string]string) *Snapshot {
	t.Helper()
	schema, err := ParseColumns(columns)
	if err != nil {
		t.Fatal(err)
	}
	p, err := DefaultProtocol(schema, partitionBy, properties)
	if err != nil {
		t.Fatal(err)
	}
	created := testStart().UnixMilli()
	x := l.Begin(nil, Operation{Name: "CREATE TABLE"})
	x.Stage(p, &Metadata{
		ID: "5fba94ed-9794-4965-ba6e-6ee3c0d22af9", Provider: "parquet", SchemaString: schema.JSON(),
		PartitionColumns: partitionBy, Configuration: properties, CreatedTime: &created,
	})
	mustCommit(t, x)
	return latest(t, l)
}

func mustCommit(t *testing.T, x *Transaction) *Committed {
	t.Helper()
	done, err := x.Commit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range done.Warnings {
		t.Fatalf("warning: %v", w)
	}
	return done
}

func latest(t *testing.T, l *Log) *Snapshot {
	t.Helper()
	s, err := l.Latest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// put writes an object as a foreign writer would.
func put(t *testing.T, l *Log, key, body string) {
	t.Helper()
	if _, err := l.store.Put(context.Background(), l.Key(key), objectstore.Bytes([]byte(body)), objectstore.Condition{}); err != nil {
		t.Fatal(err)
	}
}

func TestCreateAppendReopen(t *testing.T) {
	l, _ := testLog(t)
	s := createTable(t, l, "id bigint, part string", []string{"part"}, nil)
	if s.Version() != 0 || s.Files().Len() != 0 {
		t.Fatalf("version %d, %d files", s.Version(), s.Files().Len())
	}
	for i := range 25 {
		x := l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
		x.Stage(
			&Add{
				Path: EncodePath("part=a b/f" + string(rune('a'+i)) + ".parquet"), PartitionValues: map[string]string{"part": "a b"},
				Size: 10, ModificationTime: 1, DataChange: true, Stats: `{"numRecords":2}`,
			},
			&Txn{AppID: "loader", Version: int64(i)},
		)
		if done := mustCommit(t, x); done.Version != Version(i+1) {
			t.Fatalf("committed as %d", done.Version)
		}
		var err error
		if s, err = l.Update(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	again := latest(t, New(l.Store(), "silver/orders", Options{}))
	for _, s := range []*Snapshot{s, again} {
		if s.Version() != 25 || s.Files().Len() != 25 || s.SizeBytes() != 250 {
			t.Fatalf("version %d, %d files, %d bytes", s.Version(), s.Files().Len(), s.SizeBytes())
		}
		if n, ok := s.NumRows(); n != 50 || !ok {
			t.Fatalf("%d rows", n)
		}
		if x, ok := s.Txn("loader"); !ok || x.Version != 24 {
			t.Fatalf("txn %+v", x)
		}
		i, ok := s.FileByPath("part=a%20b/fa.parquet")
		if !ok {
			t.Fatal("file not found by its path")
		}
		if key, err := s.Files().Key(i); err != nil || key != "silver/orders/part=a b/fa.parquet" {
			t.Fatalf("key %q, %v", key, err)
		}
	}
}
