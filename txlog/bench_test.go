package txlog

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/lakectl/lakectl/objectstore/mem"
)

// BenchmarkCheckpoint writes and reads a checkpoint of many files with statistics.
func BenchmarkCheckpoint(b *testing.B) {
	const files = 200_000
	l := New(mem.New("bench"), "t", Options{})
	schema, err := ParseColumns("id bigint, name string, part string")
	if err != nil {
		b.Fatal(err)
	}
	build := newFilesBuilder(l, files)
	for i := range files {
		build.add(&Add{
			Path:            fmt.Sprintf("part=%03d/part-%05d-4c5a3c3e-7f3c-4c5e-9f3e-3f3a3c3e7f3c.c000.zstd.parquet", i%365, i),
			PartitionValues: map[string]string{"part": fmt.Sprint(i % 365)}, Size: int64(i), ModificationTime: int64(i),
			Stats: fmt.Sprintf(`{"numRecords":1000,"minValues":{"id":%d,"name":"aaaa"},"maxValues":{"id":%d,"name":"zzzz"},"nullCount":{"id":0,"name":3}}`, i, i+1000),
		})
	}
	s := &Snapshot{
		log: l, version: 1, protocol: &Protocol{MinReaderVersion: 1, MinWriterVersion: 2},
		metadata: &Metadata{ID: "x", Provider: "parquet", SchemaString: schema.JSON(), PartitionColumns: []string{"part"}}, live: newLiveFiles(build.build(), nil),
	}
	if err := s.finish(); err != nil {
		b.Fatal(err)
	}
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			if err := l.store.Delete(b.Context(), l.Key(logFolder+"00000000000000000001.checkpoint.parquet")); err != nil {
				b.Fatal(err)
			}
			if err := l.Checkpoint(b.Context(), s); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(files)*float64(b.N)/b.Elapsed().Seconds(), "files/s")
	})
	b.Run("read", func(b *testing.B) {
		var before, after runtime.MemStats
		var got *Snapshot
		runtime.GC()
		runtime.ReadMemStats(&before)
		start := time.Now()
		for b.Loop() {
			if got, err = l.Latest(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(files)*float64(b.N)/time.Since(start).Seconds(), "files/s")
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/files, "heap-B/file")
		runtime.KeepAlive(got)
	})
}
