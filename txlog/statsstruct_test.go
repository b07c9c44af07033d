package txlog

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/internal/parquetio"
)

// TestSkippingAfterACheckpoint: whatever form a checkpoint keeps statistics in, no file is left out that has a matching
// row, as a scan of all rows says, and typed statistics leave out as much as JSON does.
func TestSkippingAfterACheckpoint(t *testing.T) {
	skipped := map[string]int{}
	for name, properties := range map[string]map[string]string{
		"json":   {"delta.checkpoint.writeStatsAsStruct": "false"},
		"struct": {"delta.checkpoint.writeStatsAsJson": "false"},
		"both":   {},
		"none":   {"delta.checkpoint.writeStatsAsStruct": "false", "delta.checkpoint.writeStatsAsJson": "false"},
		"v2":     {"delta.checkpoint.writeStatsAsJson": "false", "delta.checkpointPolicy": "v2"},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(6) {
				skipped[name] += skipAfterCheckpoint(t, seed, properties)
			}
		})
	}
	if skipped["struct"] != skipped["json"] || skipped["both"] != skipped["json"] || skipped["v2"] != skipped["json"] || skipped["none"] >= skipped["json"] || skipped["json"] < 10_000 {
		t.Errorf("files left out: %v", skipped)
	}
}

func skipAfterCheckpoint(t *testing.T, seed uint64, properties map[string]string) (skipped int) {
	t.Helper()
	l, _ := testLog(t)
	s := createTable(t, l, skipColumns, []string{"p", "pi", "pd"}, properties)
	w := &skipWorld{rand.New(rand.NewPCG(seed, 2)), s.schema}
	files := make([]skipFile, 150)
	build := newFilesBuilder(l, len(files))
	for i := range files {
		files[i] = w.file(t)
		a := &Add{Path: fmt.Sprint(i), Size: 1, PartitionValues: files[i].partition, Stats: files[i].stats}
		if files[i].hasDV {
			offset := int32(1)
			a.DeletionVector = &DeletionVectorDescriptor{StorageType: "u", PathOrInlineDv: "ab^-aqEH.-t@S}K{vb[*k^", Offset: &offset, SizeInBytes: 40, Cardinality: 1}
		}
		build.add(a)
	}
	full := *s
	full.live = newLiveFiles(build.build(), nil)
	if err := l.Checkpoint(t.Context(), &full); err != nil {
		t.Fatal(err)
	}
	forget(t, l, 0)
	got := latest(t, l)
	for range 200 {
		p := w.predicate(3)
		pruned, err := got.Prune(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		left := make([]bool, len(files))
		for _, i := range pruned.Kept {
			var n int
			if _, err := fmt.Sscan(got.Files().Path(i), &n); err != nil {
				t.Fatal(err)
			}
			left[n] = true
		}
		for n, f := range files {
			if left[n] {
				continue
			}
			skipped++
			for _, row := range f.rows {
				if mayBeTrue(p, row) {
					t.Fatalf("seed %d: %s leaves out a file with row %v\nstatistics %s\npartition %v", seed, p, printRow(row, p), f.stats, f.partition)
				}
			}
		}
	}
	return skipped
}

// structTable has one file with statistics and partition values of each type.
func structTable(t *testing.T, l *Log, columns, stats string, partition map[string]string, properties map[string]string) *Snapshot {
	t.Helper()
	var by []string
	for _, name := range []string{"p", "q"} {
		if _, ok := partition[name]; ok {
			by = append(by, name)
		}
	}
	s := createTable(t, l, columns, by, properties)
	x := l.Begin(s, Operation{Name: "WRITE"})
	x.Stage(&Add{Path: "a", PartitionValues: partition, Size: 1, DataChange: true, Stats: stats}, &Add{Path: "b", PartitionValues: partition, Size: 1, DataChange: true})
	mustCommit(t, x)
	return latest(t, l)
}

// checkpointed writes a checkpoint and reads one struct of the add of the first file, by the names of its leaves.
func checkpointed(t *testing.T, l *Log, s *Snapshot, name string) map[string]any {
	t.Helper()
	if err := l.Checkpoint(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	f := openParquet(t, l, fmt.Sprintf("%020d.checkpoint.parquet", s.version))
	c := f.Lookup("add", name)
	if c == nil {
		return nil
	}
	out := map[string]any{}
	for g := range f.Groups() {
		paths, err := f.ReadVector(g, f.Lookup("add", "path"))
		if err != nil {
			t.Fatal(err)
		}
		var walk func(c *parquetio.Column, at string)
		walk = func(c *parquetio.Column, at string) {
			if c.Kind == parquetio.KindStruct {
				for _, inner := range c.Fields {
					walk(inner, at+"."+inner.Name)
				}
				return
			}
			v, err := f.ReadVector(g, c)
			if err != nil {
				t.Fatal(err)
			}
			for row := range v.Len() {
				if !paths.Valid(row) {
					continue
				}
				switch {
				case paths.TextAt(row) == "b" && name == "stats_parsed" && v.Valid(row):
					t.Errorf("%s of a file without statistics is %v", at, v.Value(row))
				case paths.TextAt(row) == "a":
					value := v.Value(row)
					if d, ok := value.(*big.Int); ok {
						value = d.String()
					}
					out[at] = fmt.Sprint(c.Kind, " ", value)
				}
			}
		}
		for _, inner := range c.Fields {
			walk(inner, inner.Name)
		}
	}
	return out
}

func TestStatsStructIsTyped(t *testing.T) {
	l, _ := testLog(t)
	s := structTable(t, l,
		"b tinyint, n bigint, f float, dec decimal(20,3), `s` string, day date, ts timestamp, ntz timestamp_ntz, ok boolean, list array<int>, st struct<x:int,y:string>, over int, wide decimal(5,2), odd double, unread bigint",
		`{"numRecords":3,"minValues":{"b":-1,"n":5,"f":0.1,"dec":-7.125,"s":"a\"b","day":"1969-12-31","ts":"2020-01-01T00:00:00.123-08:00","ntz":"2020-01-01T00:00:00.5","st":{"x":1},"over":4294967296,"wide":1.005,"odd":"NaN"},`+
			`"maxValues":{"s":"z","st":{"x":2,"y":"q"},"unknown":4,"odd":1e400},"nullCount":{"n":0,"list":3,"st":{"x":1},"ok":2},"tightBounds":false,"more":[1]}`,
		nil, nil)
	want := map[string]any{
		"numRecords": "long 3", "tightBounds": "boolean false",
		"minValues.b": "byte -1", "minValues.n": "long 5", "minValues.f": "float 0.10000000149011612", "minValues.dec": "decimal -7125",
		"minValues.s": `string a"b`, "minValues.day": "date -1", "minValues.ts": "timestamp 1577865600123000",
		"minValues.ntz": "timestamp_ntz 1577836800500000", "minValues.st.x": "integer 1", "minValues.st.y": "string <nil>",
		"minValues.over": "integer <nil>", "minValues.wide": "decimal <nil>", "minValues.odd": "double <nil>", "minValues.unread": "long <nil>",
		"maxValues.s": "string z", "maxValues.st.x": "integer 2", "maxValues.st.y": "string q",
		"nullCount.n": "long 0", "nullCount.list": "long 3", "nullCount.st.x": "long 1", "nullCount.ok": "long 2",
	}
	got := checkpointed(t, l, s, "stats_parsed")
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
	for _, none := range []string{"minValues.ok", "minValues.list", "maxValues.unknown"} {
		if value, ok := got[none]; ok {
			t.Errorf("%s is %v", none, value)
		}
	}
}

// TestStatsStructHasPhysicalNames: and those of the columns that have statistics alone.
func TestStatsStructHasPhysicalNames(t *testing.T) {
	l, _ := testLog(t)
	s := structTable(t, l, "id bigint, other bigint", `{"numRecords":1,"minValues":{"col-1":4,"col-2":9}}`, nil,
		map[string]string{"delta.dataSkippingNumIndexedCols": "1"})
	mapped := *s
	mapped.mapping = MappingName
	mapped.schema = &Schema{Fields: []Field{
		{Name: "id", Type: s.schema.Fields[0].Type, Nullable: true, Metadata: map[string]json.RawMessage{PhysicalNameKey: json.RawMessage(`"col-1"`)}},
		{Name: "other", Type: s.schema.Fields[1].Type, Nullable: true, Metadata: map[string]json.RawMessage{PhysicalNameKey: json.RawMessage(`"col-2"`)}},
	}}
	want := map[string]any{
		"numRecords": "long 1", "tightBounds": "boolean <nil>", "minValues.col-1": "long 4", "maxValues.col-1": "long <nil>", "nullCount.col-1": "long <nil>",
	}
	if d := cmp.Diff(want, checkpointed(t, l, &mapped, "stats_parsed")); d != "" {
		t.Error(d)
	}
}

// TestStatsStructMayBeLeftOut: by the property, and where it would have more columns than a reader takes.
func TestStatsStructMayBeLeftOut(t *testing.T) {
	for name, tc := range map[string]struct {
		properties map[string]string
		columns    int64
	}{
		"not wanted": {map[string]string{"delta.checkpoint.writeStatsAsStruct": "false"}, 0},
		"too wide":   {map[string]string{"delta.checkpoint.writeStatsAsJson": "false"}, leavesOfActions + 7},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := testLog(t)
			stats := `{"numRecords":3,"minValues":{"id":1,"a":2},"maxValues":{"id":1,"a":2},"nullCount":{"id":0,"a":0}}`
			s := structTable(t, l, "id bigint, a bigint", stats, nil, tc.properties)
			if tc.columns > 0 {
				l.options.Limits.Columns = tc.columns
			}
			if got := checkpointed(t, l, s, "stats_parsed"); got != nil {
				t.Errorf("got %v", got)
			}
			forget(t, l, 1)
			i, _ := latest(t, l).FileByPath("a")
			if n, ok := latest(t, l).Files().NumRecords(i); !ok || n != 3 {
				t.Errorf("%d rows, %t", n, ok)
			}
		})
	}
}

func TestPartitionStructIsTyped(t *testing.T) {
	for _, tc := range []struct{ columns, p, q, wantP, wantQ string }{
		{"id bigint, p int, q string", "7", "", "integer 7", "string <nil>"},
		{"id bigint, p date, q decimal(10,2)", "2020-01-02", "1.5", "date 18263", "decimal 150"},
		{"id bigint, p timestamp, q boolean", "2020-01-01T00:00:00.000000Z", "true", "timestamp 1577836800000000", "boolean true"},
		{"id bigint, p timestamp_ntz, q double", "2020-01-01 00:00:00", "0.5", "timestamp_ntz 1577836800000000", "double 0.5"},
	} {
		l, _ := testLog(t)
		s := structTable(t, l, tc.columns, "", map[string]string{"p": tc.p, "q": tc.q}, nil)
		if d := cmp.Diff(map[string]any{"p": tc.wantP, "q": tc.wantQ}, checkpointed(t, l, s, "partitionValues_parsed")); d != "" {
			t.Errorf("%s: %s", tc.columns, d)
		}
	}
}

// TestPartitionStructClaimsNothingUnsure: one value that cannot be told for sure, and there is no struct: a null in it
// would be another value.
func TestPartitionStructClaimsNothingUnsure(t *testing.T) {
	for columns, p := range map[string]string{
		"id bigint, p int": "x", "id bigint, p timestamp": "2020-01-01 00:00:00", "id bigint, p decimal(4,2)": "1.005", "id bigint, p tinyint": "300",
	} {
		l, _ := testLog(t)
		s := *createTable(t, l, columns, []string{"p"}, nil)
		build := newFilesBuilder(l, 1) // as another writer may have left it
		build.add(&Add{Path: "a", PartitionValues: map[string]string{"p": p}, Size: 1})
		s.live = newLiveFiles(build.build(), nil)
		if got := checkpointed(t, l, &s, "partitionValues_parsed"); got != nil {
			t.Errorf("%s %q: %v", columns, p, got)
		}
	}
}
