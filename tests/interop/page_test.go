package interop

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// story is what the page says of a case.
type story struct {
	Name     string            `yaml:"name"`
	Features []string          `yaml:"features"`
	Except   map[string]string `yaml:"except"`
	Spark    any               `yaml:"spark"`
	Lakectl  any               `yaml:"lakectl"`
	DeltaRs  any               `yaml:"delta-rs"`
}

// TestPageMatchesCases is the part of `make interop-peers` that needs no peers: the committed page has exactly the cases that
// exist, with their features, a reason where a case has one, and a dash where an engine does not write it.
func TestPageMatchesCases(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "format-coverage.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, byCase, found := strings.Cut(string(text), "## By case\n")
	if !found {
		t.Fatal("the page has no section for cases; run make interop-page")
	}
	byCase, _, _ = strings.Cut(byCase, "\n## ")
	rows := map[string][]string{}
	for _, line := range strings.Split(byCase, "\n") {
		if cells := strings.Split(line, " | "); len(cells) == 8 && !strings.HasPrefix(line, "| case") {
			rows[strings.TrimPrefix(cells[0], "| ")] = cells[1:]
		}
	}
	var all map[string]struct {
		Because string `yaml:"because"`
	}
	load(t, "reasons.yaml", &all)
	pairs := []string{"spark>lakectl", "lakectl>Spark", "lakectl>delta-rs", "lakectl>Polars", "lakectl>DuckDB", "delta-rs>lakectl"}
	used := map[string]bool{}
	cases := allCases(t)
	for _, c := range cases {
		cells, on := rows[c.Name]
		if !on {
			t.Errorf("case %q is not on the page; run make interop-page", c.Name)
			continue
		}
		if got, want := cells[0], strings.Join(c.Features, " "); got != want {
			t.Errorf("case %q: features %q on the page, the case has %q", c.Name, got, want)
		}
		writers := map[string]any{"spark": c.Spark, "lakectl": c.Lakectl, "delta-rs": c.DeltaRs}
		for i, pair := range pairs {
			writer, _, _ := strings.Cut(pair, ">")
			cell := strings.TrimSuffix(cells[i+1], " |")
			excepted := c.Except[pair] != "" || c.Except[writer] != ""
			number := strings.Trim(cell, "0123456789") == ""
			switch {
			case writers[writer] == nil && cell != "–", writers[writer] != nil && excepted == number:
				t.Errorf("case %q, %s: the page says %q, the case something else", c.Name, pair, cell)
			}
		}
		for pair, reason := range c.Except {
			used[reason] = true
			if because := all[reason].Because; because == "" || !strings.Contains(string(text), because) {
				t.Errorf("case %q, %s: reason %q is not on the page", c.Name, pair, reason)
			}
		}
	}
	if len(rows) != len(cases) {
		t.Errorf("the page has %d cases, there are %d", len(rows), len(cases))
	}
	for name := range all {
		if !used[name] {
			t.Errorf("reason %q belongs to no case", name)
		}
	}
}

func allCases(t *testing.T) []story {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("cases", "*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	var out []story
	for _, f := range files {
		var some []story
		load(t, f, &some)
		out = append(out, some...)
	}
	if len(out) < 40 {
		t.Errorf("there are %d cases, want 40 at least", len(out))
	}
	return out
}

func load(t *testing.T, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(b, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
