package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
)

func TestOutputIsCounted(t *testing.T) {
	output := "=== RUN   TestX\n    --- PASS: TestX/a (0.00s)\n    --- PASS: TestX/b (0.00s)\nfuzz: execs: 12 (4/sec)\nfuzz: execs: 20004 (10421/sec)\n"
	for _, c := range []struct {
		number string
		want   int
	}{{`(?m)^    --- PASS: `, 2}, {`execs: (\d+)`, 20004}, {`passed (\d+)`, 0}} {
		if got := (&counted{number: regexp.MustCompile(c.number)}).of(output); got != c.want {
			t.Errorf("%s counts %d, want %d", c.number, got, c.want)
		}
	}
}

// tests are run without doing anything: a check that names a test which is not there would be idle for ever.
func TestEveryCheckNamesATestThatExists(t *testing.T) {
	root := top(t)
	all, err := checks(root)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	for _, c := range all {
		ids[c.id]++
		declared := regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
		files, err := filepath.Glob(filepath.Join(root, c.pkg, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, f := range files {
			text, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range declared.FindAllSubmatch(text, -1) {
				found = found || regexp.MustCompile(c.run).Match(m[1])
			}
		}
		if !found {
			t.Errorf("%s: %s has no test like %s", c.id, c.pkg, c.run)
		}
	}
	if ids["R7"] < 14 || len(ids) < 8 {
		t.Errorf("checks %v: some are lost", ids)
	}
}

// Every test of the sources that a check means is run by it, and by no other.
func TestEveryR2TestBelongsToOneCheck(t *testing.T) {
	root := top(t)
	all, err := checks(root)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(root, "internal/sim/*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`(?m)^func (TestR2\w+)\(`).FindAllSubmatch(text, -1) {
			found++
			var by []string
			for _, c := range all {
				if c.pkg == "./internal/sim" && regexp.MustCompile(c.run).Match(m[1]) {
					by = append(by, c.run)
				}
			}
			if len(by) != 1 {
				t.Errorf("%s is run by %v", m[1], by)
			}
		}
	}
	if found < 10 {
		t.Errorf("%d tests: some are lost", found)
	}
}

func TestHeavyChecksComeFirstAndSomeAlone(t *testing.T) {
	shared, alone := order([]check{{id: "light", weight: 1}, {id: "alone", alone: true, weight: 9}, {id: "heavy", weight: 5}, {id: "as light", weight: 1}})
	if !slices.Equal(shared, []int{2, 0, 3}) || !slices.Equal(alone, []int{1}) {
		t.Errorf("shared %v, alone %v", shared, alone)
	}
}

func TestBinaryGetsTheArgumentsOfGoTest(t *testing.T) {
	c := check{pkg: "./a/b", run: "^FuzzX$", fuzz: "20x"}
	got := strings.Join(c.direct(ledger.Pull, "cache"), " ")
	want := "-test.count=1 -test.v -test.timeout 60m -test.run ^$ -test.fuzz ^FuzzX$ -test.fuzztime 20x -test.fuzzminimizetime 20x -test.fuzzcachedir=" +
		filepath.Join("cache", "a", "b")
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

func TestSlicesGoOn(t *testing.T) {
	once, random, other := check{pkg: "a", long: []string{}}, check{pkg: "b", always: true}, check{pkg: "c", always: true}
	all := []check{random, once, other}
	row := func(c check, seconds float64, seed uint64) ledger.Row {
		return ledger.Row{By: c.name(), Scale: ledger.Long, Commit: "now", Seconds: seconds, Seed: seed}
	}
	old := row(once, 5, 0)
	old.Commit = "before"
	for _, c := range []struct {
		name string
		rows []ledger.Row
		want int
		cut  map[string]bool
		seed uint64 // of the check that is next
	}{
		{"what is done once comes first", []ledger.Row{old}, 1, nil, 0},
		{"then who had least time", []ledger.Row{row(once, 5, 0), row(random, 9, 1), row(other, 3, 4)}, 2, nil, 5},
		{"again and again", []ledger.Row{row(once, 5, 0), row(random, 9, 2), row(other, 13, 1)}, 0, nil, 3},
		{"all of it", []ledger.Row{row(once, 5, 0)}, -1, map[string]bool{random.name(): true, other.name(): true}, 0},
	} {
		got := next(all, c.rows, "now", c.cut)
		if got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
			continue
		}
		if got >= 0 && seedOf(all[got], c.rows, "now") != c.seed {
			t.Errorf("%s: seed %d, want %d", c.name, seedOf(all[got], c.rows, "now"), c.seed)
		}
	}
}

func TestPageTellsCountsAndBugs(t *testing.T) {
	dir := t.TempDir()
	out, page := filepath.Join(dir, "reliability.jsonl"), filepath.Join(dir, "page.md")
	if err := writePage(page, out); err == nil {
		t.Error("a page without a run")
	}
	for _, r := range []ledger.Row{
		{ID: "R17", Count: 100_000, Floor: 100_000, Commit: "abc", Scale: ledger.Pull, By: "x"},
		{ID: "R5", Count: 700, Seed: 3, Commit: "abc", Scale: ledger.Pull, By: "y", Adds: true},
		{ID: "R2", Count: 60_000, Commit: "older", Scale: ledger.Long, By: "z"},
	} {
		if err := r.Append(out); err != nil {
			t.Fatal(err)
		}
	}
	if err := writePage(page, out); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var bugs []bug
	if err := json.Unmarshal(trackRecord, &bugs); err != nil || len(bugs) == 0 {
		t.Fatalf("track record: %v", err)
	}
	for _, want := range []string{"| R17 | 100,000 |", "| R5 | 700 | 0 | 0 | 3 |", "`abc`", "| R2 | 60,000 |", "| G10 |", bugs[0].Symptom} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Index(string(text), "| R5 |") > strings.Index(string(text), "| R17 |") {
		t.Error("R17 stands before R5")
	}
}

func top(t *testing.T) string {
	t.Helper()
	b, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}
