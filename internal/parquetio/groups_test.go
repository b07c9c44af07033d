package parquetio_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/internal/limits"
	"github.com/lakectl/lakectl/internal/parquetio"
)

// groupColumns has what a checkpoint has: structs in structs, maps, and columns that nobody fills.
func groupColumns() []parquetio.Column {
	text := func(name string) *parquetio.Column {
		return &parquetio.Column{Name: name, Kind: parquetio.KindString, Nullable: true}
	}
	long := func(name string) *parquetio.Column {
		return &parquetio.Column{Name: name, Kind: parquetio.KindLong, Nullable: true}
	}
	add := &parquetio.Column{Name: "add", Kind: parquetio.KindStruct, Nullable: true, Fields: []*parquetio.Column{
		text("path"), long("size"),
		{Name: "flag", Kind: parquetio.KindBoolean, Nullable: true},
		{Name: "map", Kind: parquetio.KindMap, Nullable: true, Key: text("key"), Value: text("value")},
		{Name: "inner", Kind: parquetio.KindStruct, Nullable: true, Fields: []*parquetio.Column{text("a"), long("b")}},
		{Name: "float", Kind: parquetio.KindFloat, Nullable: true},
		{Name: "double", Kind: parquetio.KindDouble, Nullable: true},
		{Name: "small", Kind: parquetio.KindDecimal, Precision: 9, Scale: 2, Nullable: true},
		{Name: "wide", Kind: parquetio.KindDecimal, Precision: 30, Scale: 3, Nullable: true},
		{Name: "day", Kind: parquetio.KindDate, Nullable: true},
	}}
	other := &parquetio.Column{Name: "other", Kind: parquetio.KindStruct, Nullable: true, Fields: []*parquetio.Column{
		text("id"), {Name: "list", Kind: parquetio.KindList, Nullable: true, Element: text("element")},
	}}
	return []parquetio.Column{*add, *other}
}

// groupRow is row i of the test: every field is null in some rows, the struct inside too.
func groupRow(i int) []any {
	var path, size, flag, entries, inner any
	if i%5 != 0 {
		path = fmt.Sprintf("file-%d", i)
	}
	if i%3 != 0 {
		size = int64(i)
	}
	if i%7 != 0 {
		flag = i%2 == 0
	}
	switch i % 4 {
	case 0:
		entries = []parquetio.Entry{}
	case 1:
		entries = []parquetio.Entry{{Key: "p", Value: fmt.Sprint(i % 9)}}
	case 2:
		entries = []parquetio.Entry{{Key: "p", Value: nil}, {Key: "q", Value: "x"}}
	}
	switch i % 6 {
	case 0:
		inner = []any{"a", int64(i)}
	case 1:
		inner = []any{nil, int64(i)}
	}
	var float, double, small, wide, day any
	if i%8 != 0 {
		float, double = float64(i)/4, -float64(i)/3
	}
	if i%11 != 0 {
		small, wide = big.NewInt(int64(i-700)), new(big.Int).Lsh(big.NewInt(int64(i-900)), 60)
	}
	if i%13 != 0 {
		day = int64(i - 40)
	}
	return []any{[]any{path, size, flag, entries, inner, float, double, small, wide, day}, nil}
}

// groupFills is the same by columns, from a row on.
func groupFills(from int) map[string]parquetio.Fill {
	field := func(row, n int) any { return groupRow(from + row)[0].([]any)[n] }
	return map[string]parquetio.Fill{
		"add.path": {Text: func(row int) (string, uint8) {
			s, ok := field(row, 0).(string)
			return s, missing(ok)
		}},
		"add.size": {Int: func(row int) (int64, uint8) {
			n, ok := field(row, 1).(int64)
			return n, missing(ok)
		}},
		"add.flag": {Bool: func(row int) (bool, uint8) {
			b, ok := field(row, 2).(bool)
			return b, missing(ok)
		}},
		"add.map": {Map: func(row int) (out [][2]string, absent uint8) {
			entries, ok := field(row, 3).([]parquetio.Entry)
			for _, e := range entries {
				value, _ := e.Value.(string)
				out = append(out, [2]string{e.Key.(string), value})
			}
			return out, missing(ok)
		}},
		"add.inner.a": {Text: func(row int) (string, uint8) {
			inner, ok := field(row, 4).([]any)
			if !ok {
				return "", 2
			}
			s, ok := inner[0].(string)
			return s, missing(ok)
		}},
		"add.inner.b": {Int: func(row int) (int64, uint8) {
			inner, ok := field(row, 4).([]any)
			if !ok {
				return 0, 2
			}
			return inner[1].(int64), 0
		}},
		"add.float":  {Float: func(row int) (float64, uint8) { return groupFloat(field(row, 5)) }},
		"add.double": {Float: func(row int) (float64, uint8) { return groupFloat(field(row, 6)) }},
		"add.small":  {Decimal: func(row int) (*big.Int, uint8) { return groupDecimal(field(row, 7)) }},
		"add.wide":   {Decimal: func(row int) (*big.Int, uint8) { return groupDecimal(field(row, 8)) }},
		"add.day": {Int: func(row int) (int64, uint8) {
			n, ok := field(row, 9).(int64)
			return n, missing(ok)
		}},
	}
}

func groupFloat(v any) (float64, uint8) {
	f, ok := v.(float64)
	return f, missing(ok)
}

func groupDecimal(v any) (*big.Int, uint8) {
	d, ok := v.(*big.Int)
	return d, missing(ok)
}

func missing(ok bool) uint8 {
	if ok {
		return 0
	}
	return 1
}

// TestGroupsAreRows: column by column gives the rows that row by row gives, behind rows that were written before.
func TestGroupsAreRows(t *testing.T) {
	const perGroup, groups = 3000, 4
	head := []any{nil, []any{"first", []any{"x", nil}}}
	write := func(fill func(w *parquetio.Writer) error) [][]any {
		t.Helper()
		var buf bytes.Buffer
		w, err := parquetio.NewWriter(&buf, groupColumns(), parquetio.Options{Codec: "snappy"})
		if err == nil {
			err = errors.Join(w.WriteRow(head), fill(w), w.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
		f, err := parquetio.Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()), limits.Default())
		if err != nil {
			t.Fatal(err)
		}
		var rows [][]any
		for row, err := range f.All() {
			if err != nil {
				t.Fatal(err)
			}
			rows = append(rows, slices.Clone(row))
		}
		if w.Rows() != int64(len(rows)) {
			t.Errorf("%d rows were counted, %d are there", w.Rows(), len(rows))
		}
		return rows
	}
	byRow := write(func(w *parquetio.Writer) error {
		for i := range groups*perGroup - 1 {
			if err := w.WriteRow(groupRow(i)); err != nil {
				return err
			}
		}
		return nil
	})
	byColumn := write(func(w *parquetio.Writer) error {
		return w.WriteGroups(groups, func(g int) parquetio.Group {
			return parquetio.Group{Rows: min(perGroup, groups*perGroup-1-g*perGroup), Fills: groupFills(g * perGroup)}
		})
	})
	if d := cmp.Diff(byRow, byColumn, cmp.Comparer(func(a, b *big.Int) bool { return a.Cmp(b) == 0 })); d != "" {
		t.Error(d)
	}
}

// TestGroupsRefuse: a column that is not there, or of another kind, is an error and no file.
func TestGroupsRefuse(t *testing.T) {
	text := parquetio.Fill{Text: func(int) (string, uint8) { return "x", 0 }}
	for name, fills := range map[string]map[string]parquetio.Fill{
		"unknown column":  {"add.nothing": text},
		"another kind":    {"add.size": text},
		"whole as float":  {"add.double": {Int: func(int) (int64, uint8) { return 1, 0 }}},
		"too many digits": {"add.small": {Decimal: func(int) (*big.Int, uint8) { return big.NewInt(1_000_000_000), 0 }}},
		"a struct":        {"add.inner": text},
		"too much absent": {"add.path": {Text: func(int) (string, uint8) { return "", 3 }}},
	} {
		t.Run(name, func(t *testing.T) {
			w, err := parquetio.NewWriter(&bytes.Buffer{}, groupColumns(), parquetio.Options{})
			if err != nil {
				t.Fatal(err)
			}
			err = w.WriteGroups(2, func(int) parquetio.Group { return parquetio.Group{Rows: 5, Fills: fills} })
			if !errors.Is(err, parquetio.ErrValue) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestVectorsAreRows: pages that are taken in at once give what rows give, with dictionaries (of a repeated text) or
// without.
func TestVectorsAreRows(t *testing.T) {
	var buf bytes.Buffer
	w, err := parquetio.NewWriter(&buf, groupColumns(), parquetio.Options{RowGroupRows: 2500})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6000 {
		if err := w.WriteRow(groupRow(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	f, err := parquetio.Open(bytes.NewReader(buf.Bytes()), int64(buf.Len()), limits.Default())
	if err != nil {
		t.Fatal(err)
	}
	from := 0
	for g := range f.Groups() {
		path, err := f.ReadVector(g, f.Lookup("add", "path"))
		if err != nil {
			t.Fatal(err)
		}
		size, err := f.ReadVector(g, f.Lookup("add", "size"))
		if err != nil {
			t.Fatal(err)
		}
		value, err := f.ReadVector(g, f.Lookup("add", "map").Value)
		if err != nil {
			t.Fatal(err)
		}
		for row := range int(f.GroupRows(g)) {
			want := groupRow(from + row)[0].([]any)
			var values []any
			for i, to := value.Span(row); i < to; i++ {
				values = append(values, value.Value(i))
			}
			var wantValues []any
			entries, _ := want[3].([]parquetio.Entry)
			for _, e := range entries {
				wantValues = append(wantValues, e.Value)
			}
			if len(wantValues) == 0 {
				wantValues = []any{nil}
			}
			if d := cmp.Diff([]any{want[0], want[1], wantValues}, []any{path.Value(row), size.Value(row), values}); d != "" {
				t.Fatalf("row %d: %s", from+row, d)
			}
		}
		from += int(f.GroupRows(g))
	}
}
