package parquetio_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/parquet-go/parquet-go"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
)

// vectorRow is a row as other writers have it: dictionaries, structs that may be missing, long runs of nulls and of equal
// texts.
type vectorRow struct {
	Words  *string      `parquet:"words,optional,dict"`
	Text   *string      `parquet:"text,optional"`
	Late   *int64       `parquet:"late,optional"`
	Never  *int64       `parquet:"never,optional"`
	Inside *vectorInner `parquet:"inside,optional"`
	Plain  string       `parquet:"plain"`
}

type vectorInner struct {
	Never *string  `parquet:"never,optional"`
	Late  *float64 `parquet:"late,optional"`
}

func vectorRows(n int) []vectorRow {
	rows := make([]vectorRow, n)
	for i := range rows {
		r := &rows[i]
		word, text := fmt.Sprintf("word %d", i%7), fmt.Sprintf("text %d", i/50)
		if i > n/3 && i%5 != 0 {
			r.Words = &word
		}
		if i%9 != 0 {
			r.Text = &text
		}
		if i > n*2/3 {
			late := int64(i)
			r.Late = &late
		}
		if i%2 == 0 {
			r.Inside = &vectorInner{}
			if i > n/2 {
				late := float64(i) / 4
				r.Inside.Late = &late
			}
		}
		if i%100 > 2 {
			r.Plain = "the same"
		}
	}
	return rows
}

// TestVectorsOfManyPages reads back what the library wrote in many small pages, the first of them without any value.
func TestVectorsOfManyPages(t *testing.T) {
	const rows = 5000
	want := vectorRows(rows)
	var buf bytes.Buffer
	w := parquet.NewGenericWriter[vectorRow](&buf, parquet.PageBufferSize(512), parquet.MaxRowsPerRowGroup(2100))
	if _, err := w.Write(want); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := parquetio.Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()), limits.Default())
	if err != nil {
		t.Fatal(err)
	}
	value := map[string]func(r *vectorRow) any{
		"words": func(r *vectorRow) any { return valueOf(r.Words) },
		"text":  func(r *vectorRow) any { return valueOf(r.Text) },
		"late":  func(r *vectorRow) any { return valueOf(r.Late) },
		"never": func(r *vectorRow) any { return valueOf(r.Never) },
		"plain": func(r *vectorRow) any { return r.Plain },
		"inside.never": func(r *vectorRow) any {
			if r.Inside == nil {
				return nil
			}
			return valueOf(r.Inside.Never)
		},
		"inside.late": func(r *vectorRow) any {
			if r.Inside == nil {
				return nil
			}
			return valueOf(r.Inside.Late)
		},
	}
	for name, of := range value {
		path := []string{name}
		if inner, ok := bytes.CutPrefix([]byte(name), []byte("inside.")); ok {
			path = []string{"inside", string(inner)}
		}
		row := 0
		for g := range f.Groups() {
			v, err := f.ReadVector(g, f.Lookup(path...))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if v.Len() != int(f.GroupRows(g)) {
				t.Fatalf("%s: %d slots in a row group of %d rows", name, v.Len(), f.GroupRows(g))
			}
			for i := range v.Len() {
				if d := cmp.Diff(of(&want[row]), v.Value(i)); d != "" {
					t.Fatalf("%s, row %d: %s", name, row, d)
				}
				row++
			}
			if name == "plain" && len(v.Text) > rows {
				t.Errorf("%d bytes are kept of texts that are equal in runs", len(v.Text))
			}
			if name == "never" && (v.Def != nil || v.Ints != nil) {
				t.Error("memory is kept for a column without values")
			}
		}
	}
}

func valueOf[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}
