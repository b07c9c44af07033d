package ui

import (
	"encoding/json"
	"math"
	"os"
	"testing"
	"time"

	"github.com/lakectl/lakectl/txlog"
)

func written(t *testing.T, f Format, columns []Column, rows ...[]any) string {
	t.Helper()
	term, out, _ := terminal(f)
	r := term.NewRows(columns...)
	for _, row := range rows {
		if err := r.Write(row); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// NULL and an empty text were the same.
func TestCSVTellsNullFromEmptyText(t *testing.T) {
	got := written(t, CSV, []Column{{Name: "s"}, {Name: "k"}}, []any{nil, "a"}, []any{"", `b "c"`}, []any{" x", "1,2"})
	if want := "s,k\n,a\n\"\",\"b \"\"c\"\"\"\n\" x\",\"1,2\"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// An object had one key twice, of which readers keep one.
func TestJSONKeepsColumnsOfOneName(t *testing.T) {
	got := written(t, NDJSON, []Column{{Name: "a"}, {Name: "a"}, {Name: "a_1"}, {Name: "a"}}, []any{int64(1), int64(2), int64(3), int64(4)})
	var row map[string]int
	if err := json.Unmarshal([]byte(got), &row); err != nil || len(row) != 4 || row["a"] != 1 || row["a_1"] != 3 {
		t.Errorf("got %s, %v", got, err)
	}
}

// Infinity was printed as the last day of DuckDB's calendar.
func TestInfinityIsNamed(t *testing.T) {
	for want, v := range map[string]any{
		"infinity":  txlog.Date(math.MaxInt32),
		"-infinity": txlog.Date(-math.MaxInt32),
	} {
		if got := Text(v); got != want || jsonValue(v) != want {
			t.Errorf("got %q and %v, want %q", got, jsonValue(v), want)
		}
	}
	for want, micros := range map[string]int64{"infinity": math.MaxInt64, "-infinity": -math.MaxInt64} {
		for _, v := range []any{time.UnixMicro(micros), WallClock(time.UnixMicro(micros))} {
			if got := Text(v); got != want || jsonValue(v) != want {
				t.Errorf("got %q and %v, want %q", got, jsonValue(v), want)
			}
		}
	}
}

// Several problems stood on one line with \n between; still nobody can forge a line that begins with hint.
func TestReportGivesEachProblemItsLine(t *testing.T) {
	term, _, errOut := terminal(Table)
	term.Report(Problem{Message: "2 problems", Why: "a.yml:1: x\nhint: y\x1b", Hint: "z"})
	if want := "error: 2 problems\nwhy: a.yml:1: x\n     hint: y\\x1b\nhint: z\n"; errOut.String() != want {
		t.Errorf("got %q, want %q", errOut, want)
	}
}

// With its input from the null device, a query showed a prompt.
func TestNullDeviceIsNoTerminal(t *testing.T) {
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // read only
	if IsTerminal(os.NewFile(f.Fd(), "/dev/stdin")) {
		t.Error("the null device is taken for a terminal")
	}
}
