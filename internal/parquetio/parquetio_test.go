package parquetio

import (
	"bytes"
	"errors"
	"math/big"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/internal/limits"
)

// everyKind is a schema with each kind that we write, nested ones included.
func everyKind() []Column {
	return []Column{
		{Name: "flag", Kind: KindBoolean, Nullable: true},
		{Name: "tiny", Kind: KindByte, Nullable: true},
		{Name: "small", Kind: KindShort, Nullable: true},
		{Name: "int", Kind: KindInteger, Nullable: true, FieldID: 7},
		{Name: "id", Kind: KindLong},
		{Name: "f", Kind: KindFloat, Nullable: true},
		{Name: "d", Kind: KindDouble, Nullable: true},
		{Name: "d9", Kind: KindDecimal, Precision: 9, Scale: 2, Nullable: true},
		{Name: "d18", Kind: KindDecimal, Precision: 18, Scale: 4, Nullable: true},
		{Name: "d38", Kind: KindDecimal, Precision: 38, Scale: 10, Nullable: true},
		{Name: "text", Kind: KindString, Nullable: true},
		{Name: "bytes", Kind: KindBinary, Nullable: true},
		{Name: "day", Kind: KindDate, Nullable: true},
		{Name: "at", Kind: KindTimestamp, Nullable: true},
		{Name: "wall", Kind: KindTimestampNTZ, Nullable: true},
		{Name: "pair", Kind: KindStruct, Nullable: true, Fields: []*Column{
			{Name: "b", Kind: KindString, Nullable: true}, {Name: "a", Kind: KindLong, Nullable: true},
		}},
		{Name: "list", Kind: KindList, Nullable: true, Element: &Column{Kind: KindList, Nullable: true, Element: &Column{Kind: KindLong, Nullable: true}}},
		{Name: "map", Kind: KindMap, Nullable: true, Key: &Column{Kind: KindString}, Value: &Column{
			Kind: KindStruct, Nullable: true, Fields: []*Column{{Name: "x", Kind: KindDouble, Nullable: true}},
		}},
	}
}

func everyKindRows() [][]any {
	big38, _ := new(big.Int).SetString("-12345678901234567890123456789012345678", 10)
	return [][]any{
		{
			true, int64(-128), int64(32767), int64(-5), int64(1), 1.5, -2.25, big.NewInt(-123456789), big.NewInt(999999999999999999), big38,
			"žluťoučký",
			[]byte{0, 1, 255},
			int64(-1), int64(1577865550000001), int64(-1),
			[]any{"b", int64(9)},
			[]any{[]any{int64(1), nil}, nil, []any{}, []any{int64(2)}},
			[]Entry{{"k", []any{1.0}}, {"n", nil}, {"m", []any{nil}}},
		},
		{nil, nil, nil, nil, int64(2), nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil},
		{
			false, int64(127), int64(-32768), int64(5), int64(3), 0.0, 0.0, big.NewInt(0), big.NewInt(-1), big.NewInt(-1),
			"",
			[]byte{},
			int64(0), int64(0), int64(0),
			[]any{nil, nil},
			[]any{},
			[]Entry{},
		},
	}
}

func write(t *testing.T, columns []Column, rows [][]any, o Options) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := NewWriter(&out, columns, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if err := w.WriteRow(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func open(t *testing.T, b []byte) *File {
	t.Helper()
	f, err := Open(bytes.NewReader(b), int64(len(b)), limits.Default())
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func readAll(t *testing.T, f *File) [][]any {
	t.Helper()
	var rows [][]any
	for row, err := range f.All() {
		if err != nil {
			t.Fatal(err)
		}
		rows = append(rows, append([]any(nil), row...))
	}
	return rows
}

func compareBig() cmp.Option {
	return cmp.Comparer(func(a, b *big.Int) bool { return a == b || a != nil && b != nil && a.Cmp(b) == 0 })
}

func TestRowsComeBackAsWritten(t *testing.T) {
	for _, codec := range []string{"", "snappy", "gzip", "lz4_raw", "none"} {
		t.Run("codec "+codec, func(t *testing.T) {
			var rows [][]any
			for range 100 {
				rows = append(rows, everyKindRows()...)
			}
			b := write(t, everyKind(), rows, Options{Codec: codec, RowGroupRows: 70, Metadata: map[string]string{"k": "v"}})
			f := open(t, b)
			if f.Rows() != 300 || f.Groups() != 5 || f.GroupRows(0) != 70 {
				t.Fatalf("%d rows, %d groups", f.Rows(), f.Groups())
			}
			if v, ok := f.Metadata("k"); v != "v" || !ok {
				t.Fatalf("metadata %q", v)
			}
			if d := cmp.Diff(rows, readAll(t, f), compareBig()); d != "" {
				t.Fatal(d)
			}
			for i, c := range f.Schema().Fields {
				want := everyKind()[i]
				if c.Name != want.Name || c.Kind != want.Kind || c.Nullable != want.Nullable || c.Precision != want.Precision || c.FieldID != want.FieldID {
					t.Errorf("column %d: %+v", i, c)
				}
			}
		})
	}
}

func TestVectorsHoldTheSameValues(t *testing.T) {
	f := open(t, write(t, everyKind(), everyKindRows(), Options{Codec: "snappy"}))
	for _, tc := range []struct {
		path []string
		want []any
	}{
		{[]string{"flag"}, []any{true, nil, false}},
		{[]string{"id"}, []any{int64(1), int64(2), int64(3)}},
		{[]string{"text"}, []any{"žluťoučký", nil, ""}},
		{[]string{"bytes"}, []any{[]byte{0, 1, 255}, nil, []byte{}}},
		{[]string{"f"}, []any{1.5, nil, 0.0}},
		{[]string{"d18"}, []any{big.NewInt(999999999999999999), nil, big.NewInt(-1)}},
		{[]string{"pair", "b"}, []any{"b", nil, nil}},
	} {
		v, err := f.ReadVector(0, f.Lookup(tc.path...))
		if err != nil {
			t.Fatal(err)
		}
		var got []any
		for i := range v.Len() {
			got = append(got, v.Value(i))
		}
		if d := cmp.Diff(tc.want, got, compareBig()); d != "" {
			t.Errorf("%v: %s", tc.path, d)
		}
	}
	keys, err := f.ReadVector(0, f.Lookup("map").Key)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff([]int32{0, 3, 4, 5}, keys.Starts); d != "" {
		t.Error(d)
	}
	if f.Lookup("pair", "c") != nil || f.Lookup("no") != nil {
		t.Error("found a column that is not there")
	}
}

func TestWriteRowRefusesWhatDoesNotFit(t *testing.T) {
	for _, tc := range []struct {
		name   string
		column Column
		value  any
	}{
		{"null", Column{Name: "c", Kind: KindLong}, nil},
		{"text for number", Column{Name: "c", Kind: KindLong}, "1"},
		{"byte", Column{Name: "c", Kind: KindByte}, int64(128)},
		{"short", Column{Name: "c", Kind: KindShort}, int64(-32769)},
		{"int", Column{Name: "c", Kind: KindInteger}, int64(1 << 31)},
		{"digits", Column{Name: "c", Kind: KindDecimal, Precision: 3}, big.NewInt(1000)},
		{"list", Column{Name: "c", Kind: KindList, Element: &Column{Kind: KindLong}}, []any{nil}},
		{"struct", Column{Name: "c", Kind: KindStruct, Fields: []*Column{{Name: "x", Kind: KindLong}}}, []any{}},
		{"map", Column{Name: "c", Kind: KindMap, Key: &Column{Kind: KindString}, Value: &Column{Kind: KindLong}}, 3},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			w, err := NewWriter(&out, []Column{tc.column}, Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := w.WriteRow([]any{tc.value}); !errors.Is(err, ErrValue) {
				t.Fatalf("got %v", err)
			}
			if err := w.WriteRow([]any{tc.value, 1}); !errors.Is(err, ErrValue) {
				t.Fatalf("got %v", err)
			}
		})
	}
	for _, c := range []Column{
		{Name: "", Kind: KindLong},
		{Name: "c"},
		{Name: "c", Kind: KindStruct},
		{Name: "c", Kind: KindList},
		{Name: "c", Kind: KindMap},
		{Name: "c", Kind: KindDecimal, Precision: 39},
	} {
		if _, err := NewWriter(&bytes.Buffer{}, []Column{c}, Options{}); err == nil {
			t.Errorf("column %+v was accepted", c)
		}
	}
	if _, err := NewWriter(&bytes.Buffer{}, everyKind(), Options{Codec: "lz4"}); err == nil {
		t.Error("codec lz4 was accepted")
	}
}

func TestEmptyFile(t *testing.T) {
	f := open(t, write(t, everyKind(), nil, Options{}))
	if rows := readAll(t, f); f.Rows() != 0 || len(rows) != 0 {
		t.Fatalf("%d rows", len(rows))
	}
}

// drain reads everything that a file offers, both ways.
func drain(b []byte, bound limits.Limits) error {
	f, err := Open(bytes.NewReader(b), int64(len(b)), bound)
	if err != nil {
		return err
	}
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	for g := range f.Groups() {
		for _, c := range f.leaves {
			_, err := f.ReadVector(g, c)
			keep(err)
		}
	}
	for _, err := range f.All() {
		keep(err)
	}
	return first
}

// hostileLimits keep a fuzzed file small in memory.
func hostileLimits() limits.Limits {
	l := limits.Default()
	l.ParquetPageBytes, l.ParquetPageValues = 4<<20, 1<<20
	return l
}

func TestCutAndFlippedFilesAreErrorsOrRows(t *testing.T) {
	b := write(t, everyKind(), everyKindRows(), Options{Codec: "snappy"})
	for n := range b {
		if err := drain(b[:n], hostileLimits()); err == nil {
			t.Fatalf("file cut to %d bytes was read", n)
		}
	}
	for i := range b {
		for _, bit := range []byte{1, 0x80} {
			c := bytes.Clone(b)
			c[i] ^= bit
			err := drain(c, hostileLimits())
			var over *limits.Error
			if err != nil && !errors.Is(err, ErrMalformed) && !errors.As(err, &over) {
				t.Fatalf("byte %d: %v", i, err)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	var out bytes.Buffer
	w, err := NewWriter(&out, everyKind(), Options{Codec: "snappy"})
	if err != nil {
		f.Fatal(err)
	}
	for _, row := range everyKindRows() {
		if err := w.WriteRow(row); err != nil {
			f.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(out.Bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		err := drain(b, hostileLimits())
		var over *limits.Error
		if err != nil && !errors.Is(err, ErrMalformed) && !errors.As(err, &over) {
			t.Fatalf("untyped error: %v", err)
		}
	})
}

// A footer that is checked alone says the same as one that is decoded.
func TestReadFooter(t *testing.T) {
	b := write(t, everyKind(), everyKindRows(), Options{Codec: "snappy"})
	footer, err := ReadFooter(bytes.NewReader(b), int64(len(b)), limits.Default())
	if err != nil {
		t.Fatal(err)
	}
	f, err := Open(bytes.NewReader(b), int64(len(b)), limits.Default())
	if err != nil {
		t.Fatal(err)
	}
	if footer.Rows != f.Rows() || footer.Groups != f.Groups() || len(footer.Leaves) != len(f.leaves) {
		t.Errorf("%d rows, %d groups, %d leaves; want %d, %d, %d", footer.Rows, footer.Groups, len(footer.Leaves), f.Rows(), f.Groups(), len(f.leaves))
	}
	for i, leaf := range f.leaves {
		if got := footer.Leaves[i]; got.Name != leaf.path[len(leaf.path)-1] || got.Depth != len(leaf.path) || got.FieldID != int64(leaf.FieldID) ||
			got.Decimal != (leaf.Kind == KindDecimal) || got.repeated != (leaf.rep > 0) {
			t.Errorf("leaf %d is %+v, want %+v", i, got, leaf)
		}
	}
	few := limits.Default()
	few.Columns = 2
	var over *limits.Error
	if _, err := ReadFooter(bytes.NewReader(b), int64(len(b)), few); !errors.As(err, &over) || over.Limit != "columns" {
		t.Errorf("with two columns allowed: %v", err)
	}
}
