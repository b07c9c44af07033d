package txlog

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
)

// sparkChecksum is a version checksum in the form that Spark writes, with fields that we do not know.
const sparkChecksum = `{"txnId":"a5c5","tableSizeBytes":1234,"numFiles":2,"numDeletedRecordsOpt":6,"numDeletionVectorsOpt":1,` +
	`"numMetadata":1,"numProtocol":1,"inCommitTimestampOpt":1750000000000,` +
	`"setTransactions":[{"appId":"b","version":7,"lastUpdated":5},{"appId":"a","version":1}],` +
	`"domainMetadata":[{"domain":"delta.clustering","configuration":"{\"clusteringColumns\":[[\"id\"]]}","removed":false}],` +
	`"metadata":{"id":"m","format":{"provider":"parquet","options":{}},"schemaString":"{\"type\":\"struct\",\"fields\":[]}","partitionColumns":[],"configuration":{},"createdTime":3},` +
	`"protocol":{"minReaderVersion":3,"minWriterVersion":7,"readerFeatures":["deletionVectors"],"writerFeatures":["deletionVectors"]},` +
	`"histogramOpt":{"sortedBinBoundaries":[0,8192],"fileCounts":[2,0],"totalBytes":[1234,0]},` +
	`"deletedRecordCountsHistogramOpt":{"deletedRecordCounts":[1,1,0,0,0,0,0,0,0,0]},"allFiles":[]}`

func TestDecodeChecksum(t *testing.T) {
	c, err := decodeChecksum([]byte(sparkChecksum))
	if err != nil {
		t.Fatal(err)
	}
	if c.TxnID != "a5c5" || c.TableSizeBytes != 1234 || c.NumFiles != 2 || *c.NumDeletedRecords != 6 || *c.NumDeletionVectors != 1 ||
		*c.InCommitTimestamp != 1750000000000 || len(c.Txns) != 2 || c.Txns[0].AppID != "a" || c.Txns[1].Version != 7 ||
		len(c.Domains) != 1 || c.Metadata.ID != "m" || c.Protocol.MinWriterVersion != 7 {
		t.Errorf("%+v", c)
	}
	again, err := decodeChecksum(c.encode())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(c, again, cmpopts.EquateEmpty()); d != "" {
		t.Errorf("written and read: %s", d)
	}
	for name, text := range map[string]string{
		"empty":            "",
		"not an object":    "[]",
		"null":             "null",
		"cut":              sparkChecksum[:200],
		"text after":       sparkChecksum + "{}",
		"a field missing":  strings.Replace(sparkChecksum, `"numFiles":2,`, "", 1),
		"no metadata":      strings.Replace(sparkChecksum, `"metadata":`, `"metaData":`, 1),
		"twice":            strings.Replace(sparkChecksum, `"numFiles":2,`, `"numFiles":2,"numFiles":2,`, 1),
		"negative":         strings.Replace(sparkChecksum, `"numFiles":2,`, `"numFiles":-2,`, 1),
		"a number as text": strings.Replace(sparkChecksum, `"numFiles":2,`, `"numFiles":"2",`, 1),
	} {
		if c, err := decodeChecksum([]byte(text)); !errors.Is(err, ErrCorruptLog) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
}

// Every version's checksum, derived commit by commit, is that of the version as it is read.
func TestChecksumFollowsEveryCommit(t *testing.T) {
	l, c := testLog(t)
	s := busyTable(t, l, c)
	x := l.Begin(s, Operation{Name: "WRITE"}) // statistics of a live file are refreshed, and nothing else
	again := s.Files().Add(0)
	again.Size++
	again.DataChange = true
	x.Stage(again, &Txn{AppID: "app", Version: 2})
	mustCommit(t, x)
	s = latest(t, l)
	// Two writers from one snapshot: the second is rebased.
	for _, name := range []string{"first", "second"} {
		x = l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
		x.Stage(&Add{Path: name, PartitionValues: map[string]string{"part": "y"}, Size: 100, DataChange: true})
		mustCommit(t, x)
	}
	s = latest(t, l)
	m := *s.Metadata()
	m.Configuration = map[string]string{"delta.setTransactionRetentionDuration": "interval 1 days"}
	x = l.Begin(s, Operation{Name: "SET TBLPROPERTIES"})
	x.Stage(&m)
	mustCommit(t, x)
	newest := latest(t, l).Version()
	for v := Version(0); v <= newest; v++ {
		s, err := l.At(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		sum, err := l.ReadChecksum(t.Context(), v)
		if err != nil || sum == nil {
			t.Fatalf("version %d: %+v, %v", v, sum, err)
		}
		if d := sum.Differences(s); len(d) > 0 {
			t.Errorf("version %d: %v", v, d)
		}
		commit, err := l.ReadCommit(t.Context(), v)
		if err != nil || commit.Info.TxnID != sum.TxnID {
			t.Errorf("version %d: txnId %s, the commit has %s (%v)", v, sum.TxnID, commit.Info.TxnID, err)
		}
		want := s.Checksum()
		want.TxnID = sum.TxnID
		if d := cmp.Diff(want, sum, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("version %d: %s", v, d)
		}
	}
	if sum, _ := l.ReadChecksum(t.Context(), newest); sum.Txns != nil {
		t.Errorf("txns that expire are listed: %v", sum.Txns)
	}
	if sum, err := l.ReadChecksum(t.Context(), newest+1); sum != nil || err != nil {
		t.Errorf("no checksum: %+v, %v", sum, err)
	}
}

func TestChecksumDifferences(t *testing.T) {
	l, c := testLog(t)
	s := busyTable(t, l, c)
	six := int64(6)
	for name, change := range map[string]func(*Checksum){
		"numFiles": func(c *Checksum) { c.NumFiles++ }, "tableSizeBytes": func(c *Checksum) { c.TableSizeBytes-- },
		"numMetadata": func(c *Checksum) { c.NumMetadata = 2 }, "numProtocol": func(c *Checksum) { c.NumProtocol = 0 },
		"numDeletedRecordsOpt": func(c *Checksum) { c.NumDeletedRecords = &six }, "numDeletionVectorsOpt": func(c *Checksum) { c.NumDeletionVectors = &six },
		"protocol":        func(c *Checksum) { c.Protocol = &Protocol{MinReaderVersion: 1, MinWriterVersion: 2} },
		"metadata":        func(c *Checksum) { m := *c.Metadata; m.SchemaString = "{}"; c.Metadata = &m },
		"setTransactions": func(c *Checksum) { c.Txns = c.Txns[1:] }, "domainMetadata": func(c *Checksum) { c.Domains[0].Configuration = "" },
	} {
		sum := s.Checksum()
		change(sum)
		if d := sum.Differences(s); len(d) != 1 || !strings.HasPrefix(d[0], name+" ") {
			t.Errorf("%s: %v", name, d)
		}
	}
}

// noChecksums refuses version checksums.
type noChecksums struct{ objectstore.Store }

func (s *noChecksums) Put(ctx context.Context, key string, body objectstore.Body, c objectstore.Condition) (objectstore.Info, error) {
	if strings.HasSuffix(key, ".crc") {
		return objectstore.Info{}, objectstore.ErrDenied
	}
	return s.Store.Put(ctx, key, body, c)
}

// A checksum that cannot be written is a warning, one that is broken stops no reader, and one that is there stays.
func TestChecksumNeverStopsAnybody(t *testing.T) {
	inner := mem.New(t.Name())
	l := New(&noChecksums{inner}, "t", Options{Clock: clock.NewStepping(testStart()), Rand: clock.SeededRand(1)})
	x := l.Begin(nil, Operation{Name: "CREATE TABLE"})
	x.Stage(&Protocol{MinReaderVersion: 1, MinWriterVersion: 2}, &Metadata{ID: "m", Provider: "parquet", SchemaString: `{"type":"struct","fields":[]}`})
	done, err := x.Commit(t.Context())
	if err != nil || len(done.Warnings) != 1 || !errors.Is(done.Warnings[0], objectstore.ErrDenied) {
		t.Fatalf("%+v, %v", done, err)
	}
	l = New(inner, "t", Options{Clock: clock.NewStepping(testStart()), Rand: clock.SeededRand(2)})
	put(t, l, "_delta_log/00000000000000000000.crc", "broken")
	put(t, l, "_delta_log/00000000000000000001.crc", "broken, too")
	s := latest(t, l)
	x = l.Begin(s, Operation{Name: "WRITE", BlindAppend: true})
	x.Stage(&Add{Path: "a", Size: 1, DataChange: true})
	mustCommit(t, x)
	if s := latest(t, l); s.Version() != 1 || s.Files().Len() != 1 {
		t.Errorf("version %d with %d files", s.Version(), s.Files().Len())
	}
	b, _, err := l.readObject(t.Context(), l.checksumKey(1), "hint_bytes")
	if err != nil || string(b) != "broken, too" {
		t.Errorf("a checksum was overwritten: %s, %v", b, err)
	}
	if _, err := l.ReadChecksum(t.Context(), 1); !errors.Is(err, ErrCorruptLog) {
		t.Errorf("broken: %v", err)
	}
}

func FuzzDecodeChecksum(f *testing.F) {
	f.Add([]byte(sparkChecksum))
	f.Add([]byte(`{"tableSizeBytes":0,"numFiles":0,"numMetadata":1,"numProtocol":1,"metadata":null,"protocol":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := decodeChecksum(b)
		if err != nil {
			if !errors.Is(err, ErrCorruptLog) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		text := c.encode()
		again, err := decodeChecksum(text)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if !bytes.Equal(text, again.encode()) {
			t.Fatalf("not stable:\n%s\n%s", text, again.encode())
		}
	})
}
