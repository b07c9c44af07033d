package txlog

import (
	"fmt"
	"testing"

	"github.com/lakectl/lakectl/internal/parquetio"
)

// TestFileTexts sets, copies and leaves out texts of all kinds; empty ones stand anywhere.
func TestFileTexts(t *testing.T) {
	var c fileTexts
	want := []string{"", "one", "", "", "two", "three", ""}
	shared := c.block("two" + "three")
	for i, text := range want {
		switch text {
		case "two":
			c.set(i, shared, parquetio.Span{From: 0, To: 3})
		case "three":
			c.set(i, shared, parquetio.Span{From: 3, To: 8})
		default:
			c.setText(i, text)
		}
	}
	for i, text := range want {
		if got := c.at(i); got != text {
			t.Errorf("text %d is %q, want %q", i, got, text)
		}
	}
	var turned fileTexts
	x := textCopier{from: &c}
	for i := range want {
		turned.copyFrom(&x, len(want)-1-i, i)
	}
	for i, text := range want {
		if got := turned.at(len(want) - 1 - i); got != text {
			t.Errorf("text %d was copied as %q, want %q", i, got, text)
		}
	}
	if got := (&fileTexts{}).at(3); got != "" {
		t.Errorf("a column without texts has %q", got)
	}
}

// TestFileTextsLeaveDeadBlocksBehind: a table whose files are replaced for years keeps the texts of the live ones.
func TestFileTextsLeaveDeadBlocksBehind(t *testing.T) {
	b := newFilesBuilder(nil, 0)
	for i := range 10 {
		b.add(&Add{Path: fmt.Sprintf("first-%d", i), Stats: `{"numRecords":1}`})
	}
	for round := range 100 {
		next := newFilesBuilder(nil, 0)
		next.add(&Add{Path: fmt.Sprintf("later-%d", round), Stats: `{"numRecords":2}`})
		for i := range b.files.Len() - 1 { // the last one is removed
			next.copyFrom(b.build(), i)
		}
		b = next
	}
	if f := b.build(); f.Len() != 10 || f.Path(9) != "later-90" || f.StatsText(0) != `{"numRecords":2}` {
		t.Fatalf("%d files, the last one %s", f.Len(), f.Path(f.Len()-1))
	}
	if n := len(b.files.paths.blocks); n > 11 {
		t.Errorf("%d blocks are kept for ten paths", n)
	}
}
