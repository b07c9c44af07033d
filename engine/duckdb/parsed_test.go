package duckdb

import (
	"errors"
	"strconv"
	"strings"
	"testing"
)

func TestParsedTextsAreAskedForOnce(t *testing.T) {
	var p parsedTexts
	asked := 0
	ask := func(text string) string {
		t.Helper()
		got, err := p.of(text, func() (string, error) { asked++; return "of " + text, nil })
		if err != nil || got != "of "+text {
			t.Fatalf("%.20q is %.20q, %v", text, got, err)
		}
		return got
	}
	for range 3 {
		ask("a")
		ask("b")
	}
	if asked != 2 {
		t.Errorf("2 texts were asked for %d times", asked)
	}
	// What is asked for again and again stays, whatever else comes and goes; what comes and goes is forgotten.
	asked = 0
	large := strings.Repeat("x", parsedTextsMax/4)
	for i := range 1000 {
		ask("a")
		ask(large + strconv.Itoa(i))
	}
	if asked != 1000 {
		t.Errorf("asked %d times, want 1000: what is in use was forgotten", asked)
	}
	if n := p.bytes; n > parsedBytes {
		t.Errorf("%d bytes are remembered", n)
	}
	held := 0
	for _, m := range []map[string]string{p.young, p.old} {
		for k, v := range m {
			held += len(k) + len(v)
		}
	}
	if held > 2*parsedBytes {
		t.Errorf("%d bytes are held", held)
	}
}

func TestParsedTextsForgetErrorsAndWhatIsLarge(t *testing.T) {
	var p parsedTexts
	bad, asked := errors.New("bad"), 0
	for range 2 {
		if _, err := p.of("a", func() (string, error) { asked++; return "", bad }); !errors.Is(err, bad) {
			t.Fatal(err)
		}
		if _, err := p.of("b", func() (string, error) { asked++; return strings.Repeat("x", parsedTextsMax), nil }); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 4 || len(p.young) > 0 {
		t.Errorf("asked %d times, want 4; %d remembered", asked, len(p.young))
	}
}
