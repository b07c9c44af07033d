package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/lakectl/lakectl/internal/robustness/ledger"
)

// check is one row of the programme: a go test of one package that counts what it did. Most tests write their counts
// themselves (internal/robustness/ledger); of the others the output is counted.
type check struct {
	id      string
	what    string
	pkg     string // "./internal/sim"
	run     string // -run, or the fuzz target where fuzz is set
	fuzz    string // -fuzztime
	pull    []string
	long    []string // environment of the long run; nil: there is no long form
	counted *counted // nil: the test writes its own rows
	always  bool     // the long run repeats it with other seeds; otherwise once for each commit
	alone   bool     // it judges rates or times: nothing runs beside it
	weight  int      // processor seconds, about: the heaviest begin first
}

// counted is how the output of a test that writes no rows is counted.
type counted struct {
	id     string
	floor  int
	adds   bool
	number *regexp.Regexp // with a group: the number that comes last; without: its matches
}

// checks lists what exists today, in the order of design.
func checks(root string) ([]check, error) {
	fixed := []check{
		{id: "R1", what: "store contract and create races, memory, folder and MinIO", pkg: "./internal/robustness/contract", run: "^TestR1$", long: []string{}, always: true, weight: 25},
		{
			id: "R1", what: "store contract through the fault proxy; the proxy's own tests", pkg: "./internal/robustness/faultproxy", run: ".",
			counted: &counted{id: "R1 proxy", floor: 70, number: regexp.MustCompile(`(?m)^ *--- PASS: `)},
		},
		{id: "R2", what: "interleavings of pairs, ≤ 1 lost, late, crash", pkg: "./internal/sim", run: "^TestR2Pairs$", long: []string{}, weight: 120},
		{id: "R2", what: "interleavings with vacuum, log clean-up, ALTER, table features, sidecars", pkg: "./internal/sim", run: "^TestR2(Vacuum|CleanUp|Alter|Featured|Sidecars)", long: []string{}, weight: 110},
		{id: "R2", what: "interleavings of threes, of one task twice, of unread removes, and the settle rule", pkg: "./internal/sim", run: "^TestR2(Three|Repeated|Unread|Settle)", long: []string{}, weight: 10},
		{
			id: "R2", what: "exact counts of the scheduler on a known model", pkg: "./internal/sim", run: "Exact",
			counted: &counted{id: "R2 exact counts", floor: 6, number: regexp.MustCompile(`(?m)^    --- PASS: `)}, long: []string{},
		},
		{id: "R3", what: "lakes from seeds: writers, readers, upkeep, 2 schedulers, wrong clocks", pkg: "./internal/robustness/simulation", run: "^TestR3$", long: []string{}, always: true, weight: 25},
		{id: "R4", what: "8 faults at every store call, operations of the log", pkg: "./internal/faultstore", run: "R4", weight: 40},
		{id: "R4", what: "8 faults at every store call, operations of a table", pkg: "./internal/robustness/tables", run: "R4", weight: 40},
		{
			id: "R5", what: "rows in memory against the table, several option sets", pkg: "./internal/refmodel", run: "^TestR5$",
			pull: []string{"LAKE_R5=100,50,3"}, long: []string{"LAKE_R5=100,100,4"}, always: true, weight: 250,
		},
		{id: "R6", what: "processes on MinIO, killed, behind the fault proxy", pkg: "./internal/robustness/workload", run: "^TestR6$", long: []string{}, always: true, alone: true},
		{id: "R6", what: "many processes append to one table on MinIO", pkg: "./internal/robustness/appenders", run: "^TestAppenders$", long: []string{}, always: true, alone: true},
		{id: "R6", what: "the judge of R6: forged histories, porcupine agrees", pkg: "./internal/robustness/history", run: ".", long: []string{}},
		{id: "R8", what: "hostile tables: names, JSON, Parquet, vectors, protocol, checkpoints", pkg: "./tests/hostile", run: "^TestR8$", long: []string{}, alone: true},
		{
			id: "R14", what: "tables of other engines, row by row (DAT, golden)", pkg: "./tests/conformance", run: ".",
			counted: &counted{id: "R14", floor: 55, number: regexp.MustCompile(`conformance: (\d+) passed`)},
		},
		{
			id: "R15", what: "fsck finds planted damage, and no other", pkg: "./table", run: "^TestFsckFindsPlants$",
			counted: &counted{id: "R15", floor: 30, number: regexp.MustCompile(`(?m)^    --- PASS: `)},
		},
		{id: "R16", what: "planted bugs, each caught by the check that is named for it", pkg: "./internal/robustness/mutants", run: "^TestR16$", long: []string{}, weight: 30},
		{id: "R17", what: "states of the protocol: commit, clean-up, vacuum, lease", pkg: "./internal/refmodel/protocolmodel", run: "R17", long: []string{}},
	}
	targets, err := fuzzTargets(root)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(fixed, func(c check) bool { return c.id == "R8" })
	return slices.Insert(fixed, at, targets...), nil
}

// executionsOf is how often a fuzz target runs in the size of a pull request: a whole checkpoint takes milliseconds.
func executionsOf(target string) int {
	switch target {
	case "FuzzCheckpoint", "FuzzSidecar":
		return 2_000
	}
	return 20_000
}

// fuzzTargets finds the fuzz tests in the sources, so that none is forgotten.
func fuzzTargets(root string) ([]check, error) {
	var out []check
	declared := regexp.MustCompile(`(?m)^func (Fuzz\w+)\(`)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && strings.HasPrefix(d.Name(), ".") && path != root {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		for _, m := range declared.FindAllSubmatch(text, -1) {
			name := string(m[1])
			out = append(out, check{
				id: "R7", what: name + " in " + filepath.ToSlash(rel), pkg: "./" + filepath.ToSlash(rel), run: "^" + name + "$",
				fuzz: fmt.Sprintf("%dx", executionsOf(name)), long: []string{}, always: true,
				counted: &counted{id: "R7 " + name, floor: executionsOf(name), adds: true, number: regexp.MustCompile(`execs: (\d+)`)},
			})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("find the fuzz targets: %w", err)
	}
	return out, nil
}

// arguments of go.
func (c check) arguments(scale ledger.Scale) []string {
	args := []string{"test", "-count=1", "-v", "-timeout", "60m"}
	if c.fuzz == "" {
		return append(args, c.pkg, "-run", c.run)
	}
	// Left alone, go spends a minute on making each new input small before it tries the next. A second was still most of
	// the time: there are a hundred of them.
	fuzz, small := c.fuzz, "20x"
	if scale == ledger.Long {
		fuzz, small = "2m", "1s"
	}
	return append(args, c.pkg, "-run", "^$", "-fuzz", c.run, "-fuzztime", fuzz, "-fuzzminimizetime", small)
}

// direct are the arguments of the test binary that does the same; cache is where it keeps what fuzzing found.
func (c check) direct(scale ledger.Scale, cache string) []string {
	var args []string
	for _, a := range c.arguments(scale)[1:] {
		switch {
		case a == c.pkg:
		case strings.HasPrefix(a, "-"):
			args = append(args, "-test."+a[1:])
		default:
			args = append(args, a)
		}
	}
	if c.fuzz != "" {
		args = append(args, "-test.fuzzcachedir="+filepath.Join(cache, filepath.FromSlash(c.pkg)))
	}
	return args
}

// name tells checks apart in the rows.
func (c check) name() string { return c.pkg + " " + c.run }

// environment beside the scale.
func (c check) environment(scale ledger.Scale) []string {
	if scale == ledger.Long {
		return c.long
	}
	return c.pull
}

// repeat is what a person types to run it alone.
func (c check) repeat(scale ledger.Scale, seed uint64) string {
	words := []string{ledger.ScaleVariable + "=" + string(scale)}
	words = append(words, c.environment(scale)...)
	if seed != 0 {
		words = append(words, fmt.Sprintf("LAKE_SEED=%d", seed))
	}
	words = append(words, "go")
	for _, a := range c.arguments(scale) {
		switch {
		case a == "-timeout" || a == "60m" || a == "-count=1" || a == "-v":
			continue
		case strings.ContainsAny(a, "^$|"):
			a = "'" + a + "'"
		}
		words = append(words, a)
	}
	return strings.Join(words, " ")
}
