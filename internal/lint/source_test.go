package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// source is one Go file of this module.
type source struct {
	path string // below the root, with slashes
	pkg  string // its folder: "table", "cmd/lakectl"
	test bool
	tree *ast.File
	set  *token.FileSet
}

func (s source) position(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.set.Position(n.Pos()).Line)
}

const root = "../.."

// sources parses every Go file of the module. Folders with a go.mod of their own are other modules; folders that
// begin with a dot hold no source.
func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	set := token.NewFileSet()
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path == root {
				return nil
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata" {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		tree, err := parser.ParseFile(set, path, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		out = append(out, source{
			path: rel, pkg: strings.TrimSuffix(rel[:strings.LastIndex(rel, "/")+1], "/"),
			test: strings.HasSuffix(rel, "_test.go"), tree: tree, set: set,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}
