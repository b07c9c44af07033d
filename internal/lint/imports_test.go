package lint

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/lakectl/lakectl"

// room is a package, or a tree of packages, with what it may import of ours and why no more than that.
type room struct {
	name   string   // path below the module; a trailing slash takes in everything under it
	may    []string // rooms, spelled like name
	reason string
}

// The rooms from the ground up. A package belongs to the longest name that fits it.
var (
	leaves   = []string{"internal/clock", "internal/config", "internal/invariant", "internal/limits", "internal/mutant", "internal/nearest", "internal/redact", "internal/variant"}
	stores   = []string{"objectstore", "objectstore/file", "objectstore/mem"}
	suites   = []string{"internal/faultstore", "internal/lint", "internal/refmodel", "internal/robustness/", "internal/sim", "internal/tabletest", "deploy/minio/", "objectstore/storetest", "table/enginetest"}
	programs = []string{"bench/", "tests/", "examples/"} // for developers: they start servers and build tables, too
	belowTx  = join(leaves, []string{"objectstore", "internal/parquetio"})
	belowPi  = join(leaves, stores, []string{"internal/parquetio", "internal/cache", "txlog", "table"})
)

func rooms() []room {
	anything := []string{"/"}
	rs := []room{
		{"objectstore", leaves, "the store knows bytes and keys; whoever knows tables stands above it"},
		{"objectstore/", join(leaves, []string{"objectstore"}), "a store implements the interface and nothing else; stores do not know each other"},
		{"internal/parquetio", join(leaves, []string{"objectstore"}), "Parquet codecs know columns, not tables: txlog stands above them"},
		{"internal/cache", join(leaves, []string{"objectstore"}), "the cache knows objects, not tables"},
		{"txlog", belowTx, "the log is pure Go without SQL: it never learns of tables, pipelines or engines (architecture, law 1)"},
		{"table", join(belowTx, []string{"txlog", "table/schemaedit", "table/sparksql", "table/parquetfolder"}), "a table declares the Engine it needs and never learns which one it got"},
		{"table/schemaedit", []string{"txlog"}, "edits of a schema are pure functions: what a table allows is decided in table"},
		{"table/sparksql", []string{"txlog"}, "translating an expression is a pure function: what a table's rules mean is decided in table"},
		{"table/parquetfolder", join(belowTx, []string{"txlog"}), "reading a folder of files changes nothing: what becomes of it is decided in table"},
		{"table/typed", []string{"objectstore", "internal/parquetio", "txlog", "table"}, "rows as Go values need no engine and no cgo"},
		{"table/statement", join(leaves, []string{"objectstore", "txlog", "table", "table/schemaedit"}), "statements are words for what table does: where names lead and what engine computes, their caller says"},
		{"engine/", join(leaves, stores, []string{"internal/parquetio", "internal/cache", "txlog", "table"}), "engines compute and never commit or schedule (architecture, law 1)"},
		{"pipeline", belowPi, "pipelines run on any engine and any store: both are wired in cmd"},
		{"jobs", join(belowPi, []string{"pipeline"}), "jobs decide when, pipelines decide what: never the other way, and no engine"},
		{"internal/web", join(belowPi, []string{"pipeline", "jobs"}), "the dashboard changes things through jobs only"},
		{"cmd/lakectl", anything, ""},
		{"internal/ui", anything, ""},
		{"bench/", anything, ""},
		{"tests/", anything, ""},
		{"examples/", anything, ""},
	}
	for _, l := range leaves {
		rs = append(rs, room{l, leaves, "a leaf room is used everywhere, so it must stand on nothing of ours but other leaves"})
	}
	for _, s := range suites {
		rs = append(rs, room{s, anything, ""})
	}
	return rs
}

// guarded lists what only some rooms may import, ours or not, and why.
var guarded = []struct {
	path, reason string
	only         []string
}{
	{"github.com/duckdb/", "DuckDB and cgo live in one room, so that everything else builds and tests without them", []string{"engine/duckdb", "bench/"}},
	{"C", "engine/duckdb is the only cgo (architecture, rooms)", []string{"engine/duckdb"}},
	{"github.com/minio/minio-go/", "one package knows the S3 SDK and its retries, or the settle rule cannot be trusted", []string{"objectstore/s3", "deploy/minio/"}},
	{"github.com/parquet-go/", "Parquet codecs meet bytes from outside under one recover, in one room", []string{"internal/parquetio"}},
	{"golang.org/x/term", "terminals are the command's business", []string{"cmd/lakectl", "internal/ui"}},
	{"github.com/spf13/", "flags are the command's business", []string{"cmd/lakectl"}},
	{"math/rand", "randomness comes from internal/clock, so that a run can be repeated from its seed", []string{"internal/clock", "bench/"}},
	{module + "/engine/duckdb", "engines are wired in cmd; everyone else takes a table.Engine", []string{"cmd/lakectl", "engine/duckdb", "internal/ui", "bench/", "tests/", "examples/"}},
	{module + "/objectstore/s3", "stores are chosen in cmd; everyone else takes an objectstore.Store", []string{"cmd/lakectl", "objectstore/s3", "internal/ui", "bench/", "tests/", "examples/"}},
	{module + "/internal/ui", "only the command renders for people", []string{"cmd/lakectl", "internal/ui"}},
	{module + "/cmd/", "nothing stands above the command", nil},
}

// broken returns the rules that an import breaks: none, or sentences with their reason.
func broken(pkg, imported string) []string {
	var out []string
	home := roomOf(pkg)
	if home == nil {
		return []string{fmt.Sprintf("%s has no room: name it in internal/lint and in docs/architecture.md, or move the code", pkg)}
	}
	if isSuite(pkg) {
		return nil
	}
	for _, g := range guarded {
		if covers(g.path, imported) && !slices.ContainsFunc(g.only, func(o string) bool { return covers(o, pkg) }) {
			out = append(out, fmt.Sprintf("%s must not import %s: %s", pkg, imported, g.reason))
		}
	}
	ours, ok := strings.CutPrefix(imported, module+"/")
	if !ok {
		return out
	}
	if isSuite(ours) && !slices.ContainsFunc(programs, func(p string) bool { return covers(p, pkg) }) {
		return append(out, fmt.Sprintf("%s must not import %s outside tests: test suites are not part of the product", pkg, ours))
	}
	if isSuite(ours) || ours == pkg || slices.Contains(home.may, "/") || slices.ContainsFunc(home.may, func(m string) bool { return covers(m, ours) }) {
		return out
	}
	return append(out, fmt.Sprintf("%s must not import %s: %s", pkg, ours, home.reason))
}

func roomOf(pkg string) *room {
	var best *room
	rs := rooms()
	for i := range rs {
		if rs[i].name == pkg {
			return &rs[i]
		}
		if covers(rs[i].name, pkg) && (best == nil || len(rs[i].name) > len(best.name)) {
			best = &rs[i]
		}
	}
	return best
}

// covers: "a/" covers a and all below, "a" covers a alone.
func covers(name, path string) bool {
	tree, isTree := strings.CutSuffix(name, "/")
	return path == tree || isTree && strings.HasPrefix(path, tree+"/") ||
		!isTree && name == "math/rand" && path == "math/rand/v2"
}

func isSuite(pkg string) bool {
	return slices.ContainsFunc(suites, func(s string) bool { return covers(s, pkg) })
}

func join(lists ...[]string) []string { return slices.Concat(lists...) }

func TestImportsPointDown(t *testing.T) {
	seen := 0
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		seen++
		for _, spec := range f.tree.Imports {
			for _, why := range broken(f.pkg, strings.Trim(spec.Path.Value, `"`)) {
				t.Errorf("%s: %s", f.position(spec), why)
			}
		}
	}
	if seen < 20 {
		t.Errorf("looked at %d files only: the walk is broken", seen)
	}
}

// A rule that never fires protects nothing: each of these arrows must be reported, with its reason.
func TestForbiddenArrowsAreReported(t *testing.T) {
	for _, c := range []struct{ pkg, imported, want string }{
		{"txlog", module + "/table", "never learns of tables"},
		{"table", module + "/engine/duckdb", "wired in cmd"},
		{"table", module + "/pipeline", "never learns which one"},
		{"pipeline", module + "/jobs", "any engine and any store"},
		{"pipeline", module + "/objectstore/s3", "stores are chosen in cmd"},
		{"jobs", "github.com/duckdb/duckdb-go/v2", "one room"},
		{"objectstore/file", module + "/objectstore/s3", "do not know each other"},
		{"objectstore", module + "/txlog", "stands above it"},
		{"internal/limits", module + "/objectstore", "leaf room"},
		{"table", "github.com/parquet-go/parquet-go", "one recover"},
		{"table", "math/rand/v2", "repeated from its seed"},
		{"internal/cache", "C", "only cgo"},
		{"pipeline", module + "/internal/ui", "only the command renders"},
		{"jobs", module + "/cmd/lakectl", "nothing stands above"},
		{"table", module + "/objectstore/storetest", "not part of the product"},
		{"util", module + "/table", "has no room"},
	} {
		got := broken(c.pkg, c.imported)
		if !slices.ContainsFunc(got, func(s string) bool { return strings.Contains(s, c.want) }) {
			t.Errorf("%s → %s: got %q, want a sentence with %q", c.pkg, c.imported, got, c.want)
		}
	}
}

func TestAllowedArrowsAreSilent(t *testing.T) {
	for _, c := range [][2]string{
		{"cmd/lakectl", module + "/engine/duckdb"},
		{"jobs", module + "/pipeline"},
		{"table", module + "/txlog"},
		{"engine/duckdb", module + "/internal/cache"},
		{"objectstore/s3", "github.com/minio/minio-go/v7"},
		{"objectstore/storetest", module + "/objectstore/mem"},
	} {
		if got := broken(c[0], c[1]); len(got) > 0 {
			t.Errorf("%s → %s: got %q, want nothing", c[0], c[1], got)
		}
	}
}
