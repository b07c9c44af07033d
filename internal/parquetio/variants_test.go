package parquetio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/variant"

	"github.com/lakectl/lakectl/internal/limits"
)

// halves is a variant as two byte strings; nil is NULL.
type halves struct {
	Metadata []byte `parquet:"metadata"`
	Value    []byte `parquet:"value"`
}

type plainRow struct {
	ID int64   `parquet:"id"`
	V  *halves `parquet:"v,optional"`
}

// variantFile writes rows, whose variants are annotated or not.
func variantFile(t *testing.T, annotated bool, rows ...plainRow) []byte {
	t.Helper()
	var v parquet.Node = parquet.Group{variantMetadata: parquet.Leaf(parquet.ByteArrayType), variantValue: parquet.Leaf(parquet.ByteArrayType)}
	if annotated {
		v = parquet.Variant()
	}
	schema := parquet.NewSchema("schema", parquet.Group{"id": parquet.Int(64), "v": parquet.Optional(v)})
	var out bytes.Buffer
	w := parquet.NewGenericWriter[plainRow](&out, schema)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// plain runs PlainVariants over the column v.
func plain(t *testing.T, file []byte) (copied bool, out []byte, err error) {
	t.Helper()
	footer, err := ReadFooter(bytes.NewReader(file), int64(len(file)), limits.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var nodes []int
	for i, n := range footer.Nodes {
		if n.Name == "v" {
			nodes = append(nodes, i)
		}
	}
	var buf bytes.Buffer
	copied, err = PlainVariants(bytes.NewReader(file), int64(len(file)), nodes, limits.Limits{}, func() (io.Writer, error) { return &buf, nil })
	return copied, buf.Bytes(), err
}

func TestPlainVariants(t *testing.T) {
	empty := []byte{1, 0, 0}
	rows := []plainRow{{1, &halves{empty, []byte{12, 5}}}, {2, nil}, {3, &halves{empty, []byte{0}}}}
	if copied, _, err := plain(t, variantFile(t, false, rows...)); err != nil || copied {
		t.Errorf("a plain file: copied %v, %v", copied, err)
	}
	copied, out, err := plain(t, variantFile(t, true, rows...))
	if err != nil || !copied {
		t.Fatalf("an annotated file: copied %v, %v", copied, err)
	}
	footer, err := ReadFooter(bytes.NewReader(out), int64(len(out)), limits.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if footer.Rows != 3 || len(footer.Nodes) != 4 || footer.Nodes[1].Variant || footer.Nodes[1].Next != 4 || footer.Nodes[1].Leaf {
		t.Errorf("%+v", footer)
	}
	f, err := Open(bytes.NewReader(out), int64(len(out)), limits.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var got []any
	for row, err := range f.All() {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, row[1])
	}
	if len(got) != 3 || got[1] != nil || string(got[0].([]any)[1].([]byte)) != "\x0c\x05" || string(got[2].([]any)[1].([]byte)) != "\x00" {
		t.Errorf("%v", got)
	}
}

func TestPlainVariantsRefuses(t *testing.T) {
	empty := []byte{1, 0, 0}
	for name, v := range map[string]*halves{
		"metadata": {[]byte{9}, []byte{0}}, "value": {empty, []byte{24, 1}}, "field": {empty, []byte{2, 1, 0, 0, 1, 0}}, "nothing": {empty, nil},
	} {
		for _, annotated := range []bool{false, true} {
			if _, _, err := plain(t, variantFile(t, annotated, plainRow{1, v})); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	var out bytes.Buffer
	w := parquet.NewGenericWriter[struct {
		V struct {
			A int64 `parquet:"a"`
		} `parquet:"v"`
	}](&out)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := plain(t, out.Bytes()); !errors.Is(err, ErrMalformed) {
		t.Errorf("a group that is no variant: %v", err)
	}
}

// shreddedFile is a variant spread over a typed column.
func shreddedFile(tb testing.TB) []byte {
	tb.Helper()
	node, err := parquet.ShreddedVariant(parquet.Group{"a": parquet.Int(64)})
	if err != nil {
		tb.Fatal(err)
	}
	schema := parquet.NewSchema("schema", parquet.Group{"v": parquet.Optional(node), "w": parquet.List(parquet.Int(64))})
	var out bytes.Buffer
	w := parquet.NewGenericWriter[any](&out, schema)
	for _, v := range []any{map[string]any{"a": int64(1)}, nil, map[string]any{"a": "x", "b": true}, "text"} {
		if _, err := w.Write([]any{map[string]any{"v": v, "w": []any{int64(7)}}}); err != nil { // one NULL, three values
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func TestShreddedVariantsArePutTogether(t *testing.T) {
	copied, out, err := plain(t, shreddedFile(t))
	if err != nil || !copied {
		t.Fatalf("copied %v, %v", copied, err)
	}
	f, err := Open(bytes.NewReader(out), int64(len(out)), limits.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for row, err := range f.All() {
		if err != nil {
			t.Fatal(err)
		}
		if len(row) != 2 || fmt.Sprint(row[1]) != "[7]" {
			t.Errorf("the column beside it holds %v", row[1:])
		}
		if row[0] == nil {
			got = append(got, "NULL")
			continue
		}
		v, err := variant.Unmarshal(row[0].([]any)[0].([]byte), row[0].([]any)[1].([]byte))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprint(v))
	}
	if want := []string{"map[a:1]", "NULL", "map[a:x b:true]", "text"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// FuzzPlainVariants: whatever the bytes, there is an error or a file with as many rows.
func FuzzPlainVariants(f *testing.F) {
	file := shreddedFile(f)
	f.Add(file, uint16(0), byte(0))
	f.Fuzz(func(t *testing.T, file []byte, at uint16, with byte) {
		if int(at) < len(file) {
			file = bytes.Clone(file)
			file[at] ^= with
		}
		bound := limits.Limits{ParquetPageBytes: 1 << 20, ParquetPageValues: 1 << 16}
		footer, err := ReadFooter(bytes.NewReader(file), int64(len(file)), bound)
		if err != nil {
			return
		}
		var out bytes.Buffer
		copied, err := PlainVariants(bytes.NewReader(file), int64(len(file)), []int{0}, bound, func() (io.Writer, error) { return &out, nil })
		if err != nil || !copied {
			return
		}
		plain, err := ReadFooter(bytes.NewReader(out.Bytes()), int64(out.Len()), bound)
		if err != nil || plain.Rows != footer.Rows {
			t.Fatalf("%v of %d rows, %v", plain, footer.Rows, err)
		}
	})
}
