package ui

import (
	"bytes"
	"encoding/json"
	"math"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lakectl/lakectl/table"
	"github.com/lakectl/lakectl/txlog"
)

func terminal(f Format) (*Terminal, *bytes.Buffer, *bytes.Buffer) {
	var out, errOut bytes.Buffer
	t := NewTerminal(&out, &errOut, func(string) string { return "" })
	t.Format = f
	return t, &out, &errOut
}

func TestNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 4812: "4 812", -1234567: "-1 234 567", math.MinInt64: "-9 223 372 036 854 775 808"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d): got %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.0 kB", 4_100_000: "4.1 MB", 999_999: "1.0 MB", 120_000_000_000: "120.0 GB", math.MaxInt64: "9.2 EB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d): got %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{0: "0.0 s", 1240 * time.Millisecond: "1.2 s", 185 * time.Second: "3 min 05 s", 59_990 * time.Millisecond: "1 min 00 s", 130 * time.Minute: "2 h 10 min"} {
		if got := Seconds(d); got != want {
			t.Errorf("Seconds(%v): got %q, want %q", d, got, want)
		}
	}
	for d, want := range map[time.Duration]string{-time.Second: "0 s", 3 * time.Second: "3 s", 90 * time.Second: "1 min", 26 * time.Hour: "26 h", 50 * time.Hour: "2 d"} {
		if got := Age(d); got != want {
			t.Errorf("Age(%v): got %q, want %q", d, got, want)
		}
	}
}

func sample() ([]Column, [][]any) {
	wall := time.Date(2001, 2, 15, 6, 0, 0, 0, time.UTC)
	fields := []txlog.Field{
		{Name: "id", Type: &txlog.DataType{Kind: txlog.KindLong}},
		{Name: "na|me", Type: &txlog.DataType{Kind: txlog.KindString}},
		{Name: "d", Type: &txlog.DataType{Kind: txlog.KindDecimal}},
		{Name: "wall", Type: &txlog.DataType{Kind: txlog.KindTimestampNTZ}},
		{Name: "s", Type: &txlog.DataType{Kind: txlog.KindStruct, Fields: []txlog.Field{
			{Name: "b", Type: &txlog.DataType{Kind: txlog.KindTimestampNTZ}}, {Name: "a", Type: &txlog.DataType{Kind: txlog.KindDouble}},
		}}},
		{Name: "m", Type: &txlog.DataType{Kind: txlog.KindMap, Key: &txlog.DataType{Kind: txlog.KindString}, Value: &txlog.DataType{Kind: txlog.KindLong}}},
	}
	rows := [][]any{
		{int64(1), "a|b\n\x1b[31m", txlog.Decimal{Unscaled: big.NewInt(110), Scale: 2}, wall, []any{wall, math.NaN()}, []table.MapEntry{{Key: "k", Value: int64(2)}}},
		{nil, nil, nil, nil, nil, nil},
	}
	shape := Shaper(fields)
	columns := make([]Column, len(fields))
	for i, f := range fields {
		columns[i] = Column{f.Name, Numeric(f.Type)}
	}
	for i := range rows {
		rows[i] = shape(rows[i])
	}
	return columns, rows
}

func TestRowsInEveryForm(t *testing.T) {
	want := map[Format]string{
		Table: "",
		CSV:   "id,na|me,d,wall,s,m\n1,\"a|b\n\x1b[31m\",1.10,2001-02-15 06:00:00,\"{\"\"b\"\":\"\"2001-02-15T06:00:00\"\",\"\"a\"\":\"\"NaN\"\"}\",\"[{\"\"key\"\":\"\"k\"\",\"\"value\"\":2}]\"\n,,,,,\n",
		NDJSON: `{"id":1,"na|me":"a|b\n\u001b[31m","d":1.10,"wall":"2001-02-15T06:00:00","s":{"b":"2001-02-15T06:00:00","a":"NaN"},"m":[{"key":"k","value":2}]}
{"id":null,"na|me":null,"d":null,"wall":null,"s":null,"m":null}
`,
	}
	for f, text := range want {
		term, out, _ := terminal(f)
		columns, rows := sample()
		r := term.NewRows(columns...)
		for _, row := range rows {
			if err := r.Write(row); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if f == Table { // widths have their own test; here: nothing of the cell drives the terminal
			if strings.ContainsAny(out.String(), "\x1b") || strings.Count(out.String(), "\n") != 3 {
				t.Errorf("table: %q", out.String())
			}
			continue
		}
		if d := cmp.Diff(text, out.String()); d != "" {
			t.Errorf("%s: %s", f, d)
		}
	}
}

func TestTableAligns(t *testing.T) {
	term, out, _ := terminal(Table)
	r := term.NewRows(Column{"n", true}, Column{"name", false}, Column{"notes", false})
	for _, row := range [][]any{{int64(7), "über", ""}, {int64(1234), "x", "last"}} {
		if err := r.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	want := "    n  name  notes\n    7  über\n 1234  x     last\n"
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
}

// More rows than are held for their widths come out all the same, in order.
func TestLongTableStreams(t *testing.T) {
	term, out, _ := terminal(Table)
	r := term.NewRows(Column{"n", true})
	for i := range 3*alignedRows + 1 {
		if err := r.Write([]any{int64(i)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3*alignedRows+2 || strings.TrimSpace(lines[len(lines)-1]) != "3000" {
		t.Errorf("%d lines, last %q", len(lines), lines[len(lines)-1])
	}
}

func TestJSONIsOneValue(t *testing.T) {
	for _, n := range []int{0, 1, 3} {
		term, out, _ := terminal(JSON)
		r := term.NewRows(Column{"n", true})
		for i := range n {
			if err := r.Write([]any{int64(i)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		var got []map[string]int
		if err := json.Unmarshal(out.Bytes(), &got); err != nil || len(got) != n {
			t.Errorf("%d rows: %q: %v", n, out.String(), err)
		}
	}
}

// The sample of the design, line by line.
func TestChangedLooksLikeTheDesign(t *testing.T) {
	term, out, _ := terminal(Table)
	r := &table.Result{
		Operation: "MERGE", VersionBefore: 14, VersionAfter: 15, RowsUpdated: 4812, RowsInserted: 1203, RowsSource: 6015, FilesTotal: 182,
		FilesScanned: 3, FilesMatched: 3, FilesSkippedPartition: 177, FilesSkippedStats: 2, FilesAdded: 2, DeletionVectors: 3,
		BytesRead: 4_100_000, BytesWritten: 1_600_000, Milliseconds: 1200,
	}
	if err := term.Changed("merged into", "silver.flights", r, false); err != nil {
		t.Fatal(err)
	}
	want := `merged into silver.flights   version 14 → 15   1.2 s
  rows     updated 4 812   inserted 1 203   deleted 0   (source 6 015)
  files    matched 3 of 182   skipped 179 (177 by partition, 2 by min/max)   written 2   deletion vectors 3
  bytes    read 4.1 MB   written 1.6 MB
`
	if d := cmp.Diff(want, out.String()); d != "" {
		t.Error(d)
	}
}

func TestScannedNote(t *testing.T) {
	term, out, errOut := terminal(Table)
	term.Scanned([]*table.ScanReport{{Files: 182, Read: 3, SkippedByPartition: 177, SkippedByStats: 2, BytesRead: 4_100_000, Bytes: 120_000_000}}, 900_000, 200)
	term.Scanned([]*table.ScanReport{{Files: 1, Read: 1, BytesRead: 500, Bytes: 500}}, -1, 200)
	term.Scanned(nil, 0, 300)
	term.Scanned(nil, -1, 300)
	want := "files 3 of 182 read, 179 skipped (177 by partition, 2 by min/max)   bytes 4.1 MB of 120.0 MB   fetched 900.0 kB   0.2 s\n" +
		"files 1 of 1 read   bytes 500 B of 500 B   0.2 s\n" + "fetched 0 B   0.3 s\n"
	if got := errOut.String(); got != want || out.Len() > 0 {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, quiet := range []func(*Terminal){func(t *Terminal) { t.Quiet = true }, func(t *Terminal) { t.Format = JSON }} {
		term, _, errOut := terminal(Table)
		quiet(term)
		term.Scanned([]*table.ScanReport{{Files: 1}}, -1, 1)
		if errOut.Len() > 0 {
			t.Errorf("said %q where nobody wants it", errOut.String())
		}
	}
}

func TestReport(t *testing.T) {
	term, _, errOut := terminal(Table)
	term.Report(Problem{Code: 7, Message: "no\x1b[2Jtable", Why: "gone", Hint: "look"})
	if want := "error: no\\x1b[2Jtable\nwhy: gone\nhint: look\n"; errOut.String() != want {
		t.Errorf("got %q, want %q", errOut.String(), want)
	}
	term, _, errOut = terminal(JSON)
	term.Report(Problem{Code: 7, Message: "no table", Table: "./t"})
	if want := `{"code":7,"message":"no table","table":"./t"}` + "\n"; errOut.String() != want {
		t.Errorf("got %q, want %q", errOut.String(), want)
	}
}
