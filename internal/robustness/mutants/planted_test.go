package mutants_test

import (
	"bytes"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/internal/mutant"
	"github.com/lakectl/lakectl/internal/robustness/mutants"
)

// bugs are the names that internal/mutant declares: identifier and text.
func bugs(t *testing.T, root string) map[string]mutant.Name {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, "internal", "mutant", "mutant.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]mutant.Name{}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "Name" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out[spec.Names[0].Name] = mutant.Name(text)
		}
		return true
	})
	return out
}

// A bug that nothing plants is noticed by nobody, and one without a check by chance.
func TestEveryBugHasAPlaceAndACheck(t *testing.T) {
	root := root(t)
	used := map[string]bool{}
	reference := regexp.MustCompile(`mutant\.On\(mutant\.(\w+)\)`)
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != root && strings.HasPrefix(d.Name(), ".") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range reference.FindAllSubmatch(text, -1) {
			used[string(m[1])] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	declared := bugs(t, root)
	for name, text := range declared {
		if !used[name] {
			t.Errorf("%s is planted nowhere", name)
		}
		if !slices.ContainsFunc(mutants.All(), func(m mutants.Planted) bool { return m.Bug == text }) {
			t.Errorf("%s has no check", name)
		}
	}
	for _, m := range mutants.All() {
		if m.Check == "" || m.Budget <= 0 || m.Says == "" || regexp.MustCompile(m.Says).MatchString("") {
			t.Errorf("%s by %s says too little of the failure", m.Bug, m.Check)
		}
	}
	if len(declared) < 22 {
		t.Errorf("%d bugs: some are lost", len(declared))
	}
}

// The settle rule as a whole is too dear to be guarded by one check.
func TestTheSettleRuleIsGuardedThreeTimes(t *testing.T) {
	for _, bug := range []mutant.Name{mutant.SettleOff, mutant.SettleRetry} {
		for _, check := range []string{"R2", "R4", "R6"} {
			if !slices.ContainsFunc(mutants.All(), func(m mutants.Planted) bool { return m.Bug == bug && m.Check == check }) {
				t.Errorf("%s is not caught by %s", bug, check)
			}
		}
	}
}

// Without the tag the compiler drops the bugs: not even their names are left.
func TestNoBugIsCompiledWithoutTheTag(t *testing.T) {
	root := root(t)
	for _, c := range []struct {
		tags string
		want bool
	}{{"", false}, {"mutants", true}} {
		bin := filepath.Join(t.TempDir(), "txlog.test")
		cmd := exec.Command("go", "test", "-c", "-tags", c.tags, "-o", bin, "./txlog")
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		b, err := os.ReadFile(bin)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []mutant.Name{mutant.SettleOff, mutant.HintTrusted} {
			if got := bytes.Contains(b, []byte(name)); got != c.want {
				t.Errorf("tags %q: %s is in the binary: %v", c.tags, name, got)
			}
		}
		if got := bytes.Contains(b, []byte("txlog.misjudged")); got != c.want {
			t.Errorf("tags %q: misjudged is in the binary: %v", c.tags, got)
		}
	}
}
