package lint

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A name that says nothing collects everything.
func TestNoFileIsNamedAfterNothing(t *testing.T) {
	forbidden := []string{"util", "utils", "common", "helpers", "types", "misc"}
	for _, f := range sources(t) {
		name := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.path), ".go"), "_test")
		for _, part := range append(strings.Split(f.pkg, "/"), name) {
			if slices.Contains(forbidden, part) {
				t.Errorf("%s: name it after its noun; %q does not say where a thing is", f.path, part)
			}
		}
	}
}

// A newcomer reads the package comments in order; a package without one is a hole in that text.
func TestEveryPackageHasOneComment(t *testing.T) {
	where := map[string][]string{}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		if f.tree.Doc != nil {
			where[f.pkg] = append(where[f.pkg], f.path)
		} else if _, ok := where[f.pkg]; !ok {
			where[f.pkg] = nil
		}
	}
	for pkg, files := range where {
		if len(files) != 1 {
			t.Errorf("%s: %d package comments %v, want one: the first screen that a reader sees", pkg, len(files), files)
		}
	}
}

// Callers branch on meaning: whoever reads a sentinel must learn whether trying again can help.
func TestSentinelsSayRetryableOrTerminal(t *testing.T) {
	says := regexp.MustCompile(`(?i)\b(retryable|terminal)\b`)
	found := 0
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		for _, decl := range f.tree.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok || group.Tok != token.VAR {
				continue
			}
			for _, spec := range group.Specs {
				v, ok := spec.(*ast.ValueSpec)
				if !ok || !strings.HasPrefix(v.Names[0].Name, "Err") || !v.Names[0].IsExported() {
					continue
				}
				found++
				text := v.Doc.Text() + v.Comment.Text()
				if len(group.Specs) == 1 {
					text += group.Doc.Text()
				}
				if !says.MatchString(text) {
					t.Errorf("%s: the comment of %s says neither Retryable nor Terminal", f.position(v), v.Names[0].Name)
				}
			}
		}
	}
	if found < 10 {
		t.Errorf("met %d sentinels only: the walk is broken", found)
	}
}

// Input never makes us panic; what we believe is checked by internal/invariant in test builds.
func TestNoPanicOutsideInvariant(t *testing.T) {
	for _, f := range sources(t) {
		if f.test || isSuite(f.pkg) || f.pkg == "internal/invariant" {
			continue
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			if call, ok := n.(*ast.CallExpr); ok {
				if id, ok := call.Fun.(*ast.Ident); ok && id.Name == "panic" {
					t.Errorf("%s: return an error; a bad input must not take the process down", f.position(call))
				}
			}
			return true
		})
	}
}

// Time and chance are injected, or no schedule of events can be repeated.
func TestTimeAndChanceAreInjected(t *testing.T) {
	owners := []string{"internal/clock", "bench/", "tests/", "examples/", "deploy/"}
	names := []string{"Now", "Since", "Until", "After", "Tick", "NewTimer", "NewTicker", "AfterFunc", "Sleep"}
	for _, f := range sources(t) {
		if f.test || isSuite(f.pkg) || slices.ContainsFunc(owners, func(o string) bool { return covers(o, f.pkg) }) {
			continue
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			if sel, ok := n.(*ast.SelectorExpr); ok {
				if id, ok := sel.X.(*ast.Ident); ok && id.Name == "time" && slices.Contains(names, sel.Sel.Name) {
					t.Errorf("%s: time.%s; take a clock.Clock, so that tests own the time", f.position(sel), sel.Sel.Name)
				}
			}
			return true
		})
	}
}

// A replace works on the machine that has the folder, and nowhere else.
func TestNoReplaceInGoMod(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if regexp.MustCompile(`(?m)^\s*replace\b`).Match(text) {
		t.Error("go.mod has a replace: `go install` ignores it, so users would build something else")
	}
}

// A verb that nobody ran is not done.
func TestEveryVerbHasATranscript(t *testing.T) {
	scripts, err := filepath.Glob(filepath.Join(root, "cmd/lakectl/testdata/script/*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, s := range scripts {
		text, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	verb := regexp.MustCompile(`^\s*"?([a-z-]+)`)
	seen := 0
	for _, f := range sources(t) {
		if f.pkg != "cmd/lakectl" || f.test {
			continue
		}
		ast.Inspect(f.tree, func(n ast.Node) bool {
			kv, ok := n.(*ast.KeyValueExpr)
			if !ok {
				return true
			}
			key, ok := kv.Key.(*ast.Ident)
			lit, isLit := kv.Value.(*ast.BasicLit)
			if !ok || !isLit || key.Name != "Use" {
				return true
			}
			name := verb.FindStringSubmatch(lit.Value)
			if name == nil || name[1] == "lakectl" {
				return true
			}
			seen++
			if !regexp.MustCompile(`\blakectl (help )?` + name[1] + `\b`).MatchString(all.String()) {
				t.Errorf("%s: no transcript under cmd/lakectl/testdata/script runs `lakectl %s`", f.position(kv), name[1])
			}
			return true
		})
	}
	if seen == 0 {
		t.Error("met no verb: the walk is broken")
	}
}
