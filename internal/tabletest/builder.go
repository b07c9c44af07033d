// Package tabletest builds tables in chosen states for tests, compares rows, and checks that what a test leaves
// behind is sound.
//
//	tab := tabletest.New(t).Rows(10).Commit().Checkpoint().DeleteRows(3, 7).Open()
package tabletest

import (
	"bytes"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/parquetio"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

// Builder builds one table, without an engine: its files are written from Go, so that it works in any bubble. Every
// step that cannot be done fails the test.
//
// The first column numbers the rows from 0; the values of the others follow from that number and their type. Unless
// Columns says otherwise there are "id bigint not null, name string, value double".
type Builder struct {
	tb          testing.TB
	store       objectstore.Store
	path        string
	clock       clock.Clock
	options     table.Options
	columns     string
	partitionBy []string
	properties  map[string]string

	log     *txlog.Log
	snap    *txlog.Snapshot
	schema  *txlog.Schema
	next    int64 // id of the next row
	pending []txlog.Action
	where   map[int64]place // of the rows that are committed or pending
}

// place is where a row lies.
type place struct {
	path string
	row  uint64
}

// Start is what the clock of a Builder shows at first. Each Commit moves it by a minute.
func Start() time.Time { return time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC) }

// New starts a table called "t" in a store in memory with a clock of its own and seeded randomness.
func New(tb testing.TB) *Builder {
	tb.Helper()
	c := clock.NewStepping(Start())
	return On(tb, mem.New(tb.Name(), mem.WithClock(c)), "t", c)
}

// On starts a table at a path of a store.
func On(tb testing.TB, store objectstore.Store, path string, c clock.Clock) *Builder {
	tb.Helper()
	return &Builder{
		tb: tb, store: store, path: path, clock: c, columns: "id bigint not null, name string, value double",
		options: table.Options{Log: txlog.Options{Clock: c, Rand: clock.SeededRand(1)}},
		where:   map[int64]place{},
	}
}

// Columns sets the schema, in SQL. The first column must be a bigint: it numbers the rows.
func (b *Builder) Columns(sql string) *Builder { b.columns = sql; return b }

// PartitionBy sets the partition columns; rows have three different values of each.
func (b *Builder) PartitionBy(columns ...string) *Builder { b.partitionBy = columns; return b }

// Property sets a table property.
func (b *Builder) Property(key, value string) *Builder {
	if b.properties == nil {
		b.properties = map[string]string{}
	}
	b.properties[key] = value
	return b
}

// Store is where the table lies.
func (b *Builder) Store() objectstore.Store { return b.store }

// Clock is the table's clock; nil when On was given one that is no [clock.Manual].
func (b *Builder) Clock() *clock.Manual {
	m, _ := b.clock.(*clock.Manual)
	return m
}

// Log is the table's log. It creates the table where there is none yet.
func (b *Builder) Log() *txlog.Log { b.tb.Helper(); b.create(); return b.log }

// create commits version 0.
func (b *Builder) create() {
	b.tb.Helper()
	if b.log != nil {
		return
	}
	var err error
	if b.schema, err = txlog.ParseColumns(b.columns); err != nil {
		b.tb.Fatalf("columns %q: %v", b.columns, err)
	}
	tab, err := table.CreateTable(b.tb.Context(), b.store, b.path, table.Create{
		Schema: b.schema, PartitionBy: b.partitionBy, Properties: b.properties,
	}, b.options)
	if err != nil {
		b.tb.Fatalf("create: %v", err)
	}
	b.log, b.snap = tab.Log(), tab.Snapshot()
	if b.schema, err = b.snap.Schema(); err != nil {
		b.tb.Fatal(err)
	}
}

// Rows adds n rows to the next commit: one file, or one for each partition.
func (b *Builder) Rows(n int) *Builder {
	b.tb.Helper()
	b.create()
	parts := map[string][]int64{}
	for range n {
		key := fmt.Sprint(b.next % 3)
		if len(b.partitionBy) == 0 {
			key = ""
		}
		parts[key] = append(parts[key], b.next)
		b.next++
	}
	for _, key := range slices.Sorted(maps.Keys(parts)) {
		b.file(parts[key])
	}
	return b
}

// file writes the rows ids as one data file.
func (b *Builder) file(ids []int64) {
	b.tb.Helper()
	var fields []txlog.Field
	partition := map[string]string{}
	for _, f := range b.schema.Fields {
		if !slices.Contains(b.partitionBy, f.Name) {
			fields = append(fields, f)
			continue
		}
		text, err := txlog.PartitionText(f.Type, partitionValue(b.tb, f.Type, ids[0]%3))
		if err != nil {
			b.tb.Fatalf("partition value of %s: %v", f.Name, err)
		}
		partition[f.PhysicalName(b.snap.Mapping())] = text
	}
	var out bytes.Buffer
	columns := make([]parquetio.Column, len(fields))
	for i, f := range fields {
		columns[i] = column(b.tb, f, b.snap.Mapping())
	}
	w, err := parquetio.NewWriter(&out, columns, parquetio.Options{Codec: "snappy"})
	if err != nil {
		b.tb.Fatal(err)
	}
	name := "part-" + clock.NewUUID(b.options.Log.Rand) + ".parquet"
	for n, id := range ids {
		row := make([]any, len(fields))
		for i, f := range fields {
			row[i] = value(f, id)
		}
		if err := w.WriteRow(row); err != nil {
			b.tb.Fatal(err)
		}
		b.where[id] = place{name, uint64(n)}
	}
	if err := w.Close(); err != nil {
		b.tb.Fatal(err)
	}
	if _, err := b.store.Put(b.tb.Context(), b.log.Key(name), objectstore.Bytes(out.Bytes()), objectstore.CreateOnly); err != nil {
		b.tb.Fatal(err)
	}
	b.pending = append(b.pending, &txlog.Add{
		Path: name, PartitionValues: partition, Size: int64(out.Len()), ModificationTime: b.clock.Now().UnixMilli(),
		DataChange: true, Stats: b.stats(fields, ids),
	})
}

// stats are exact: values rise with the id, or there is no order at all.
func (b *Builder) stats(fields []txlog.Field, ids []int64) string {
	b.tb.Helper()
	wanted := b.snap.StatsColumns()
	var leaves []txlog.LeafStats
	for _, f := range fields {
		path := []string{f.PhysicalName(b.snap.Mapping())}
		if !wanted.Has(path) {
			continue
		}
		nulls := int64(0)
		if value(f, ids[0]) == nil {
			nulls = int64(len(ids))
		}
		leaf := txlog.LeafStats{Path: path, Type: f.Type, NullCount: &nulls, Exact: true}
		if first, last := literal(f, ids[0]), literal(f, ids[len(ids)-1]); first != nil && last != nil {
			leaf.Min, leaf.Max = first, last
		}
		leaves = append(leaves, leaf)
	}
	text, err := txlog.BuildStats(int64(len(ids)), leaves, true)
	if err != nil {
		b.tb.Fatal(err)
	}
	return text
}

// Txn adds the progress of an application to the next commit.
func (b *Builder) Txn(appID string, version int64) *Builder {
	b.pending = append(b.pending, &txlog.Txn{AppID: appID, Version: version})
	return b
}

// Action adds any action to the next commit.
func (b *Builder) Action(a ...txlog.Action) *Builder { b.pending = append(b.pending, a...); return b }

// Commit makes what was added visible as one version; without anything it commits an empty one.
func (b *Builder) Commit() *Builder {
	b.tb.Helper()
	b.create()
	return b.commit("WRITE")
}

func (b *Builder) commit(operation string) *Builder {
	b.tb.Helper()
	if m := b.Clock(); m != nil {
		m.Advance(time.Minute)
	}
	tx := b.log.Begin(b.snap, txlog.Operation{Name: operation, Parameters: map[string]string{}})
	tx.Stage(b.pending...)
	if _, err := tx.Commit(b.tb.Context()); err != nil {
		b.tb.Fatalf("commit: %v", err)
	}
	b.pending = nil
	return b.refresh()
}

func (b *Builder) refresh() *Builder {
	b.tb.Helper()
	var err error
	if b.snap, err = b.log.Update(b.tb.Context(), b.snap); err != nil {
		b.tb.Fatalf("read back: %v", err)
	}
	return b
}

// DeleteRows deletes rows by their number, with deletion vectors, in a commit of its own.
func (b *Builder) DeleteRows(ids ...int64) *Builder {
	b.tb.Helper()
	b.create()
	byFile := map[string]*roaring64.Bitmap{}
	for _, id := range ids {
		at, ok := b.where[id]
		if !ok {
			b.tb.Fatalf("row %d was never written", id)
		}
		if byFile[at.path] == nil {
			byFile[at.path] = roaring64.New()
		}
		byFile[at.path].Add(at.row)
	}
	paths := slices.Sorted(maps.Keys(byFile))
	var gone []int
	var bitmaps []*roaring64.Bitmap
	for _, p := range paths {
		i, ok := b.snap.FileByPath(p)
		if !ok {
			b.tb.Fatalf("file %s is not live", p)
		}
		if d := b.snap.Files().DeletionVector(i); d != nil {
			old, err := b.log.ReadDeletionVector(b.tb.Context(), d, -1)
			if err != nil {
				b.tb.Fatal(err)
			}
			byFile[p].Or(old)
		}
		gone = append(gone, i)
		bitmaps = append(bitmaps, byFile[p])
	}
	vectors, err := b.log.WriteDeletionVectors(b.tb.Context(), bitmaps)
	if err != nil {
		b.tb.Fatalf("write deletion vectors: %v", err)
	}
	now := b.clock.Now().UnixMilli()
	for n, i := range gone {
		add := b.snap.Files().Add(i)
		add.DataChange, add.DeletionVector = true, vectors[n]
		if add.Stats, err = txlog.WidenStats(add.Stats); err != nil {
			b.tb.Fatal(err)
		}
		b.pending = append(b.pending, b.snap.Files().Remove(i, now, true), add)
	}
	return b.commit("DELETE")
}

// Checkpoint writes a checkpoint of the newest version.
func (b *Builder) Checkpoint() *Builder {
	b.tb.Helper()
	b.create()
	if err := b.log.Checkpoint(b.tb.Context(), b.snap); err != nil {
		b.tb.Fatalf("checkpoint: %v", err)
	}
	return b
}

// Open opens the table. At the end of the test fsck must find nothing.
func (b *Builder) Open() *table.Table {
	b.tb.Helper()
	tab := b.OpenDamaged()
	Sound(b.tb, tab)
	return tab
}

// OpenDamaged opens the table without the fsck at the end: for tests that break it on purpose.
func (b *Builder) OpenDamaged() *table.Table {
	b.tb.Helper()
	b.create()
	tab, err := table.Open(b.tb.Context(), b.store, b.path, b.options)
	if err != nil {
		b.tb.Fatalf("open: %v", err)
	}
	return tab
}

// value is the value of a row in a column, as parquetio wants it.
func value(f txlog.Field, id int64) any {
	switch f.Type.Kind {
	case txlog.KindLong, txlog.KindInteger, txlog.KindShort, txlog.KindByte, txlog.KindDate:
		return id
	case txlog.KindTimestamp, txlog.KindTimestampNTZ:
		return id * int64(time.Second/time.Microsecond)
	case txlog.KindString:
		return fmt.Sprintf("n%09d", id)
	case txlog.KindDouble, txlog.KindFloat:
		return float64(id) + 0.5
	case txlog.KindBoolean:
		return id%2 == 0
	case txlog.KindDecimal:
		return big.NewInt(id)
	default:
		return nil
	}
}

// literal is the same as a bound of statistics, nil where there is none.
func literal(f txlog.Field, id int64) *txlog.Literal {
	switch v := value(f, id).(type) {
	case int64:
		k := f.Type.Kind
		if k != txlog.KindDate && k != txlog.KindTimestamp && k != txlog.KindTimestampNTZ {
			k = txlog.KindLong
		}
		return &txlog.Literal{Kind: k, Int: v}
	case float64:
		return &txlog.Literal{Kind: txlog.KindDouble, Float: v}
	case string:
		return &txlog.Literal{Kind: txlog.KindString, String: v}
	case *big.Int:
		scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(f.Type.Scale)), nil)
		return &txlog.Literal{Kind: txlog.KindDecimal, Rat: new(big.Rat).SetFrac(v, scale)}
	}
	return nil
}

// partitionValue is one of three values of a partition column, as txlog.PartitionText wants it.
func partitionValue(tb testing.TB, typ *txlog.DataType, n int64) any {
	tb.Helper()
	switch typ.Kind {
	case txlog.KindLong, txlog.KindInteger, txlog.KindShort, txlog.KindByte:
		return n
	case txlog.KindString:
		return fmt.Sprintf("p%d", n)
	case txlog.KindDate:
		return txlog.Date(n)
	default:
		tb.Fatalf("no partition values of type %s", typ.SQL())
		return nil
	}
}

// column describes a column for parquetio.
func column(tb testing.TB, f txlog.Field, m txlog.ColumnMapping) parquetio.Column {
	tb.Helper()
	kinds := map[txlog.Kind]parquetio.Kind{
		txlog.KindLong: parquetio.KindLong, txlog.KindInteger: parquetio.KindInteger, txlog.KindShort: parquetio.KindShort,
		txlog.KindByte: parquetio.KindByte, txlog.KindDate: parquetio.KindDate, txlog.KindTimestamp: parquetio.KindTimestamp,
		txlog.KindTimestampNTZ: parquetio.KindTimestampNTZ, txlog.KindString: parquetio.KindString,
		txlog.KindBinary: parquetio.KindBinary, txlog.KindDouble: parquetio.KindDouble, txlog.KindFloat: parquetio.KindFloat,
		txlog.KindBoolean: parquetio.KindBoolean, txlog.KindDecimal: parquetio.KindDecimal,
	}
	k, ok := kinds[f.Type.Kind]
	if !ok {
		tb.Fatalf("column %s: no rows of type %s", f.Name, f.Type.SQL())
	}
	c := parquetio.Column{
		Name: f.PhysicalName(m), Kind: k, Precision: f.Type.Precision, Scale: f.Type.Scale, Nullable: f.Nullable,
	}
	if id, ok := f.FieldID(); ok && m != txlog.MappingNone {
		c.FieldID = id
	}
	return c
}
