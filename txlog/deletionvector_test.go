package txlog

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/RoaringBitmap/roaring/v2/roaring64"

	"github.com/lakectl/lakectl/internal/limits"
)

const sparkVectorFile = "01" + "00000028" + "d1d33964" + "0100000000000000" + "00000000" + "3a300000" + "01000000" + "00000300" +
	"10000000" + "0000020003000400" + "81794007"

func vectorFile(t *testing.T) []byte {
	t.Helper()
	b, err := hex.DecodeString(sparkVectorFile)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// onDisk puts a vector file under the name that its descriptor leads to.
func onDisk(t *testing.T, l *Log, b []byte) *DeletionVectorDescriptor {
	t.Helper()
	offset := int32(1)
	d := &DeletionVectorDescriptor{StorageType: "u", PathOrInlineDv: "ab^-aqEH.-t@S}K{vb[*k^", Offset: &offset, SizeInBytes: 40, Cardinality: 4}
	p, ok, err := d.Path()
	if err != nil || !ok || p.Key != "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin" {
		t.Fatalf("%+v, %v", p, err)
	}
	put(t, l, p.Key, string(b))
	return d
}

func TestReadDeletionVector(t *testing.T) {
	l, _ := testLog(t)
	inline := &DeletionVectorDescriptor{StorageType: "i", PathOrInlineDv: "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L", SizeInBytes: 44, Cardinality: 6}
	for _, tc := range []struct {
		name string
		d    *DeletionVectorDescriptor
		want []uint64
	}{
		{"inline", inline, []uint64{3, 4, 7, 11, 18, 29}},
		{"file of Spark", onDisk(t, l, vectorFile(t)), []uint64{0, 2, 3, 4}},
		{"none", nil, []uint64{}},
	} {
		b, err := l.ReadDeletionVector(t.Context(), tc.d, 30)
		if err != nil || !slices.Equal(b.ToArray(), tc.want) {
			t.Errorf("%s: %v, %v", tc.name, b, err)
		}
	}
	b, err := l.ReadDeletionVector(t.Context(), onDisk(t, l, vectorFile(t)), -1)
	if err != nil {
		t.Fatal(err)
	}
	blob, err := encodeVector(b)
	if err != nil || hex.EncodeToString(blob) != sparkVectorFile[10:len(sparkVectorFile)-8] {
		t.Errorf("written again as %x, %v", blob, err)
	}
}

// TestNativeVector reads the older layout that the Java readers accept.
func TestNativeVector(t *testing.T) {
	portable := vectorFile(t)[5:45]
	bitmap := portable[16:]
	old := binary.LittleEndian.AppendUint32(nil, vectorMagicNative)
	old = binary.LittleEndian.AppendUint32(old, 1)
	old = binary.LittleEndian.AppendUint32(old, uint32(len(bitmap)))
	old = append(old, bitmap...)
	b, err := decodeVector(old, limits.Default())
	if err != nil || !slices.Equal(b.ToArray(), []uint64{0, 2, 3, 4}) {
		t.Fatalf("%v, %v", b, err)
	}
	// The sample that the protocol prints has big-endian numbers: nobody writes that.
	sample, err := decodeZ85("wi5b=000010000siXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L")
	if err != nil || len(sample) != 40 {
		t.Fatalf("%d bytes, %v", len(sample), err)
	}
	if _, err := decodeVector(sample, limits.Default()); !errors.Is(err, ErrDeletionVector) {
		t.Errorf("got %v", err)
	}
}

func TestWrittenVectorsComeBack(t *testing.T) {
	l, _ := testLog(t)
	var sets []*roaring64.Bitmap
	a, b, c := roaring64.New(), roaring64.New(), roaring64.New()
	a.Add(0)
	b.AddRange(5, 100_000)
	b.Add(1 << 40)
	for i := range uint64(10_000) {
		c.Add(i * 7)
	}
	sets = append(sets, a, b, c)
	out, err := l.WriteDeletionVectors(t.Context(), sets)
	if err != nil || len(out) != 3 {
		t.Fatal(err)
	}
	for i, d := range out {
		if d.PathOrInlineDv != out[0].PathOrInlineDv || d.StorageType != "u" {
			t.Errorf("%+v", d)
		}
		got, err := l.ReadDeletionVector(t.Context(), d, -1)
		if err != nil || !got.Equals(sets[i]) {
			t.Errorf("vector %d: %v", i, err)
		}
	}
	if _, err := l.WriteDeletionVectors(t.Context(), []*roaring64.Bitmap{roaring64.New()}); !errors.Is(err, ErrDeletionVector) {
		t.Errorf("an empty vector: %v", err)
	}
	if out, err := l.WriteDeletionVectors(t.Context(), nil); out != nil || err != nil {
		t.Errorf("no vectors: %v, %v", out, err)
	}
}

func TestHostileVectors(t *testing.T) {
	change := func(f func(b []byte, d *DeletionVectorDescriptor)) func(*testing.T, *Log) *DeletionVectorDescriptor {
		return func(t *testing.T, l *Log) *DeletionVectorDescriptor {
			t.Helper()
			b := vectorFile(t)
			d := onDisk(t, l, b)
			f(b, d)
			put(t, l, "ab/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin", string(b))
			return d
		}
	}
	for _, tc := range []struct {
		name string
		make func(*testing.T, *Log) *DeletionVectorDescriptor
		rows int64
	}{
		{"version", change(func(b []byte, _ *DeletionVectorDescriptor) { b[0] = 2 }), 10},
		{"size", change(func(b []byte, _ *DeletionVectorDescriptor) { b[4]++ }), 10},
		{"magic", change(func(b []byte, _ *DeletionVectorDescriptor) { b[5]++ }), 10},
		{"checksum", change(func(b []byte, _ *DeletionVectorDescriptor) { b[len(b)-1]++ }), 10},
		{"cardinality", change(func(_ []byte, d *DeletionVectorDescriptor) { d.Cardinality = 5 }), 10},
		{"row beyond the file", change(func(_ []byte, _ *DeletionVectorDescriptor) {}), 4},
		{"offset beyond the file", change(func(_ []byte, d *DeletionVectorDescriptor) { *d.Offset = 1 << 30 }), 10},
		{"size beyond the file", change(func(_ []byte, d *DeletionVectorDescriptor) { d.SizeInBytes = 1 << 20 }), 10},
		{"negative offset", change(func(_ []byte, d *DeletionVectorDescriptor) { *d.Offset = -1 }), 10},
		{"bad Z85", change(func(_ []byte, d *DeletionVectorDescriptor) { d.PathOrInlineDv = strings.Repeat("~", 20) }), 10},
		{"prefix that escapes", change(func(_ []byte, d *DeletionVectorDescriptor) { d.PathOrInlineDv = "../" + d.PathOrInlineDv[2:] }), 10},
		{"another place", change(func(_ []byte, d *DeletionVectorDescriptor) { d.StorageType, d.PathOrInlineDv = "p", "/etc/passwd" }), 10},
		{"another type", change(func(_ []byte, d *DeletionVectorDescriptor) { d.StorageType = "x" }), 10},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, _ := testLog(t)
			d := tc.make(t, l)
			if b, err := l.ReadDeletionVector(t.Context(), d, tc.rows); err == nil {
				t.Errorf("read as %v", b)
			} else if !errors.Is(err, ErrDeletionVector) && !errors.Is(err, ErrPathEscape) {
				t.Errorf("got %v", err)
			}
		})
	}
	l, _ := testLog(t)
	var over *limits.Error
	huge := &DeletionVectorDescriptor{StorageType: "i", PathOrInlineDv: "", Cardinality: 1 << 60}
	if _, err := l.ReadDeletionVector(t.Context(), huge, -1); !errors.As(err, &over) || over.Limit != "deletion_vector_bits" {
		t.Errorf("got %v", err)
	}
}

// TestSmallVectorOfManyRows: a few bytes of runs may stand for billions of rows; the limit stops them unexpanded.
func TestSmallVectorOfManyRows(t *testing.T) {
	b := roaring64.New()
	b.AddRange(0, 1<<33)
	blob, err := encodeVector(b)
	if err != nil {
		t.Fatal(err)
	}
	var over *limits.Error
	if _, err := decodeVector(blob, limits.Default()); !errors.As(err, &over) {
		t.Errorf("got %v", err)
	}
}

func FuzzDecodeVector(f *testing.F) {
	file, err := hex.DecodeString(sparkVectorFile)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file[5:45])
	inline, err := decodeZ85("^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(inline)
	bound := limits.Default()
	bound.DeletionVectorBits = 1 << 20
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decodeVector(b, bound)
		if err != nil {
			if !errors.Is(err, ErrDeletionVector) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		again, err := encodeVector(v)
		if err != nil {
			t.Fatal(err)
		}
		w, err := decodeVector(again, bound)
		if err != nil || !w.Equals(v) {
			t.Fatalf("does not come back: %v", err)
		}
	})
}

func FuzzZ85(f *testing.F) {
	f.Add("^Bg9^0rr91")
	f.Fuzz(func(t *testing.T, s string) {
		b, err := decodeZ85(s)
		if err == nil && encodeZ85(b) != s {
			t.Fatalf("%q comes back as %q", s, encodeZ85(b))
		}
	})
}
