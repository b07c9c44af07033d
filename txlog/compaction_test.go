package txlog

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/objectstore/mem"
)

// TestCompactionStandsForItsCommits: with the commits of any span gone, the table reads as before at its end and after it.
func TestCompactionStandsForItsCommits(t *testing.T) {
	for from := Version(0); from < 3; from++ {
		for to := from + 1; to <= 3; to++ {
			l, c := testLog(t)
			s := v2Table(t, l, c) // versions 0 to 3
			want, err := l.At(t.Context(), to)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // again is no error
				if err := l.Compact(t.Context(), from, to); err != nil {
					t.Fatal(err)
				}
			}
			for v := from; v <= to; v++ {
				if err := l.store.Delete(t.Context(), l.commitKey(v)); err != nil {
					t.Fatal(err)
				}
			}
			if from == 0 { // it needs a base: a compaction is none
				if _, err := l.At(t.Context(), to); !errors.Is(err, ErrHistoryGone) {
					t.Errorf("%d to %d: %v", from, to, err)
				}
				continue
			}
			got, err := l.At(t.Context(), to)
			if err != nil {
				t.Fatalf("%d to %d: %v", from, to, err)
			}
			sameState(t, want, got)
			sameState(t, s, latest(t, l))
		}
	}
}

func TestCompactionOfNothing(t *testing.T) {
	l, c := testLog(t)
	busyTable(t, l, c)
	for _, span := range [][2]Version{{1, 1}, {2, 1}, {-1, 1}} {
		if err := l.Compact(t.Context(), span[0], span[1]); !errors.Is(err, ErrInvalidCommit) {
			t.Errorf("%v: %v", span, err)
		}
	}
	if err := l.Compact(t.Context(), 1, 9); !errors.Is(err, ErrHistoryGone) {
		t.Errorf("beyond the newest version: %v", err)
	}
}

// TestCompactEvery: the option writes spans side by side, and none is the default.
func TestCompactEvery(t *testing.T) {
	for every, want := range map[int][]string{0: nil, 3: {"0 2", "3 5"}} {
		_, c := testLog(t)
		l := New(mem.New(t.Name(), mem.WithClock(c)), "t", Options{Clock: c, CompactEvery: every})
		createTable(t, l, "id bigint", nil, map[string]string{"delta.checkpointInterval": "1000"})
		for range 7 {
			appendOne(t, l)
		}
		var got []string
		for _, name := range logNames(t, l) {
			if span, ok := strings.CutSuffix(name, ".compacted.json"); ok {
				var from, to int
				if _, err := fmt.Sscanf(strings.ReplaceAll(span, ".", " "), "%d %d", &from, &to); err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprint(from, " ", to))
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("every %d: %v, want %v", every, got, want)
		}
		if s := latest(t, l); s.Files().Len() != 7 {
			t.Errorf("%d files", s.Files().Len())
		}
	}
}
