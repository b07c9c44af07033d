package tabletest

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/table"
)

// Multiset counts rows by their canonical text.
type Multiset map[string]int

// Query runs a SELECT over relations and counts its rows. Equal values, and only they, have equal text: map entries
// are sorted, every NaN is one, null is not empty. Types have no mark: compare what was read with the same ones.
func Query(ctx context.Context, eng table.Engine, q table.Query) (Multiset, error) {
	rows, err := eng.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // the rows were read
	out := Multiset{}
	var b strings.Builder
	for row, err := range rows.All {
		if err != nil {
			return nil, err
		}
		b.Reset()
		for i, v := range row {
			if i > 0 {
				b.WriteString(" | ")
			}
			canonical(&b, v)
		}
		out[b.String()]++
	}
	return out, nil
}

// Rows reads all rows of a table at the version of its handle.
func Rows(tb testing.TB, eng table.Engine, tab *table.Table) Multiset {
	tb.Helper()
	rel, _, err := tab.Relation(tb.Context(), table.ScanOptions{})
	if err != nil {
		tb.Fatalf("scan %s: %v", tab.URL(), err)
	}
	rows, err := Query(tb.Context(), eng, table.Query{SQL: "SELECT * FROM t", Relations: map[string]table.Relation{"t": rel}})
	if err != nil {
		tb.Fatalf("read %s: %v", tab.URL(), err)
	}
	return rows
}

// Same fails the test when the rows differ, and shows some of the difference.
func Same(tb testing.TB, what string, got, want Multiset) {
	tb.Helper()
	if d := got.Diff(want); d != "" {
		tb.Errorf("%s: %d rows, want %d:\n%s", what, got.Len(), want.Len(), d)
	}
}

// Len is the number of rows.
func (m Multiset) Len() int {
	n := 0
	for _, c := range m {
		n += c
	}
	return n
}

// Diff lists up to ten rows that the two do not share; "" means that they are equal.
func (m Multiset) Diff(want Multiset) string {
	var out []string
	keys := maps.Clone(m)
	if keys == nil {
		keys = Multiset{}
	}
	maps.Copy(keys, want)
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		if g, w := m[k], want[k]; g != w && len(out) < 10 {
			out = append(out, fmt.Sprintf("got %d want %d of %s", g, w, k))
		}
	}
	return strings.Join(out, "\n")
}

func canonical(b *strings.Builder, v any) {
	switch v := v.(type) {
	case nil:
		b.WriteString("NULL")
	case string:
		b.WriteString(strconv.Quote(v))
	case []byte:
		b.WriteString("x'" + hex.EncodeToString(v) + "'")
	case float32:
		canonicalFloat(b, float64(v), 32)
	case float64:
		canonicalFloat(b, v, 64)
	case time.Time:
		b.WriteString(strconv.FormatInt(v.UnixMicro(), 10) + "us")
	case []table.MapEntry:
		entries := make([]string, len(v))
		for i, e := range v {
			var one strings.Builder
			canonical(&one, e.Key)
			one.WriteString("=")
			canonical(&one, e.Value)
			entries[i] = one.String()
		}
		slices.SortFunc(entries, cmp.Compare)
		b.WriteString("{" + strings.Join(entries, ", ") + "}")
	case []any:
		b.WriteString("[")
		for i, e := range v {
			if i > 0 {
				b.WriteString(", ")
			}
			canonical(b, e)
		}
		b.WriteString("]")
	default:
		fmt.Fprint(b, v)
	}
}

func canonicalFloat(b *strings.Builder, v float64, bits int) {
	if math.IsNaN(v) {
		b.WriteString("NaN")
		return
	}
	b.WriteString(strconv.FormatFloat(v, 'g', -1, bits))
}
