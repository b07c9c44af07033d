package nearest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/internal/nearest"
)

func TestOf(t *testing.T) {
	for word, want := range map[string][]string{
		"statsu":                 {"state", "status"},
		"STATUS":                 {"status", "state"},
		"zzzzzz":                 nil,
		"":                       nil,
		strings.Repeat("x", 999): nil,
	} {
		if got := nearest.Of(word, []string{"state", "status", "total_amount", "station"}, 2); !slices.Equal(got, want) {
			t.Errorf("%q: %v, want %v", word, got, want)
		}
	}
}
