package txlog

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
)

// small are limits that a fuzz target reaches with a few bytes.
func small() limits.Limits {
	l := limits.Default()
	l.ParquetPageBytes, l.ParquetPageValues, l.CheckpointRows, l.DeletionVectorBits = 4<<20, 1<<20, 1<<20, 1<<20
	return l
}

// fuzzLog is an empty log whose time stands still.
func fuzzLog() *Log {
	c := clock.NewManual(time.UnixMilli(1_700_000_000_000))
	return New(mem.New("fuzz", mem.WithClock(c)), "t", Options{Clock: c, Rand: clock.SeededRand(7), Limits: small()})
}

func lay(t *testing.T, l *Log, name string, b []byte) {
	t.Helper()
	if _, err := l.store.Put(t.Context(), l.Key(name), objectstore.Bytes(b), objectstore.CreateOnly); err != nil {
		t.Fatal(err)
	}
}

// typed demands a sentinel of opening a table.
func typed(t *testing.T, err error) {
	t.Helper()
	var over *limits.Error
	if errors.As(err, &over) {
		return
	}
	for _, known := range []error{
		ErrCorruptLog, ErrInvalidProtocol, ErrUnsupportedFeature, ErrPathEscape, ErrDeletionVector, ErrHistoryGone, ErrUnsupportedType,
	} {
		if errors.Is(err, known) {
			return
		}
	}
	t.Fatalf("untyped error %v", err)
}

// quoted is a text as JSON has it.
func quoted(s string) string { return `"` + strings.ReplaceAll(s, `"`, `\"`) + `"` }

const fuzzSchema = `{"type":"struct","fields":[{"name":"x","type":"long","nullable":true,"metadata":{}}]}`

// seedCheckpoint is the checkpoint of a table with one action of most kinds.
func seedCheckpoint(f *testing.F) []byte {
	f.Helper()
	l := fuzzLog()
	commit := `{"protocol":{"minReaderVersion":1,"minWriterVersion":2}}
{"metaData":{"id":"m","format":{"provider":"parquet","options":{}},"schemaString":` + quoted(fuzzSchema) + `,"partitionColumns":[],"configuration":{}}}
{"add":{"path":"a.parquet","partitionValues":{},"size":10,"modificationTime":1,"dataChange":true,"stats":"{\"numRecords\":2}"}}
{"remove":{"path":"old.parquet","deletionTimestamp":1700000000000,"dataChange":true}}
{"txn":{"appId":"a","version":3}}
`
	_, err := l.store.Put(f.Context(), l.commitKey(0), objectstore.Bytes([]byte(commit)), objectstore.CreateOnly)
	if err != nil {
		f.Fatal(err)
	}
	s, err := l.Latest(f.Context())
	if err != nil {
		f.Fatal(err)
	}
	b, err := newCheckpointWriter(s).write()
	if err != nil {
		f.Fatal(err)
	}
	return b
}

// FuzzCheckpoint reads any bytes as a checkpoint that nothing stands behind. What can be read comes back the same after
// it was written again.
func FuzzCheckpoint(f *testing.F) {
	f.Add(seedCheckpoint(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := fuzzLog()
		name := fmt.Sprintf(logFolder+"%020d.checkpoint.parquet", 1)
		lay(t, l, name, b)
		s, err := l.Latest(t.Context())
		if err != nil {
			typed(t, err)
			return
		}
		if s.CheckWritable() != nil {
			return
		}
		again, err := newCheckpointWriter(s).write()
		if err != nil {
			t.Fatal(err)
		}
		l = fuzzLog()
		lay(t, l, name, again)
		back, err := l.Latest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		paths := func(s *Snapshot) (out []string) {
			for i := range s.Files().Len() {
				out = append(out, s.Files().Path(i))
			}
			return out
		}
		if d := cmp.Diff(
			[]any{paths(s), s.Metadata(), s.Protocol(), s.txns}, []any{paths(back), back.Metadata(), back.Protocol(), back.txns}, cmpopts.EquateEmpty(),
		); d != "" {
			t.Fatalf("comes back as another table: %s", d)
		}
	})
}

// FuzzSidecar reads any bytes as the only sidecar of a V2 checkpoint.
func FuzzSidecar(f *testing.F) {
	f.Add(seedCheckpoint(f))
	f.Fuzz(func(t *testing.T, b []byte) {
		l := fuzzLog()
		lay(t, l, fmt.Sprintf(logFolder+"%020d.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json", 1), []byte(
			`{"checkpointMetadata":{"version":1}}
{"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["v2Checkpoint"],"writerFeatures":["v2Checkpoint"]}}
{"metaData":{"id":"m","format":{"provider":"parquet","options":{}},"schemaString":`+quoted(fuzzSchema)+`,"partitionColumns":[],"configuration":{}}}
`+fmt.Sprintf(`{"sidecar":{"path":"s.parquet","sizeInBytes":%d,"modificationTime":1}}`, len(b))))
		lay(t, l, logFolder+"_sidecars/s.parquet", b)
		s, err := l.Latest(t.Context())
		if err != nil {
			typed(t, err)
			return
		}
		for i := range s.Files().Len() {
			if _, err := s.Files().Key(i); err != nil {
				typed(t, err)
			}
		}
	})
}

// FuzzVectorFile reads any bytes as a file of deletion vectors, at any place that a descriptor may name.
func FuzzVectorFile(f *testing.F) {
	file, err := hex.DecodeString(sparkVectorFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file, int32(1), int32(40), int64(4), int64(30))
	f.Fuzz(func(t *testing.T, b []byte, offset, size int32, cardinality, rows int64) {
		l := fuzzLog()
		d := &DeletionVectorDescriptor{StorageType: "p", PathOrInlineDv: "v.bin", Offset: &offset, SizeInBytes: size, Cardinality: cardinality}
		lay(t, l, "v.bin", b)
		line, err := EncodeAction(&Add{Path: "a.parquet", PartitionValues: map[string]string{}, DeletionVector: d})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeLine(line); err != nil {
			typed(t, err) // no reader gets further
			return
		}
		got, err := l.ReadDeletionVector(t.Context(), d, rows)
		if err != nil && !errors.Is(err, ErrPathEscape) {
			typed(t, err)
		}
		if err == nil && (got.GetCardinality() != uint64(cardinality) || rows >= 0 && !got.IsEmpty() && got.Maximum() >= uint64(rows)) {
			t.Fatalf("%d rows up to %d, the log says %d of %d", got.GetCardinality(), got.Maximum(), cardinality, rows)
		}
	})
}

// tape is a source of randomness that plays bytes. When they are over it goes on by itself: drawing a number below a
// bound would never end on zeros alone.
type tape struct {
	b     []byte
	after rand.PCG
}

func (p *tape) Uint64() uint64 {
	if len(p.b) == 0 {
		return p.after.Uint64()
	}
	var next [8]byte
	p.b = p.b[copy(next[:], p.b):]
	return binary.LittleEndian.Uint64(next[:])
}

// FuzzSkipping makes a file, its statistics and a condition of the bytes: no row that may match is skipped. Statistics
// that are any text at all prove nothing wrong, and crash nobody.
func FuzzSkipping(f *testing.F) {
	schema, err := ParseColumns(skipColumns)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("0123456789abcdef"), `{"numRecords":1,"minValues":{"i":1,"st":{"x":1}},"maxValues":{"i":2},"nullCount":{"i":0}}`)
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		w := &skipWorld{rand.New(&tape{b: b}), schema}
		file := w.file(t)
		p := w.predicate(3)
		stats, err := ParseStats(file.stats)
		if err != nil {
			t.Fatal(err)
		}
		partition := []string{"p", "PI", "pd"}
		if !MayMatch(p, schema, MappingNone, partition, file.partition, stats, file.hasDV) {
			for _, row := range file.rows {
				if mayBeTrue(p, row) {
					t.Fatalf("%s skips a file with row %v\nstatistics %s\npartition %v", p, printRow(row, p), file.stats, file.partition)
				}
			}
		}
		if other, err := ParseStats(text); err == nil {
			MayMatch(p, schema, MappingNone, partition, file.partition, other, file.hasDV)
		}
	})
}
