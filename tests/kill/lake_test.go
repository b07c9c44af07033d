// Package kill runs the command as people do, kills it at random moments, runs it again, and compares every table with
// a run that nobody disturbed.
package kill

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/objectstore"
)

// binary is the command, built once for all tests of this package.
var binary string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lakectl-kill-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "lakectl")
	return miniotest.Main(m)
}

// environment is that of the command: this process's, and how to reach the server.
func environment(server *miniotest.Server, more ...string) []string {
	return slices.Concat(os.Environ(), server.Environ(), []string{"LAKE_S3_ENDPOINT=" + server.Endpoint}, more)
}

// build makes the command on first use: tests that are skipped need none.
func build(t *testing.T) {
	t.Helper()
	if _, err := os.Stat(binary); err == nil {
		return
	}
	out, err := exec.Command("go", "build", "-o", binary, "../../cmd/lakectl").CombinedOutput()
	if err != nil {
		t.Fatalf("build the command: %v\n%s", err, out)
	}
}

// lake is a project folder and its warehouse in a bucket.
type lake struct {
	dir       string
	warehouse string   // s3://bucket/prefix
	env       []string // of the command
}

// command is lakectl in the project folder, with scratch and cache of its own: a killed process tidies nothing up.
func (l *lake) command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.Command(binary, args...)
	c.Dir = l.dir
	c.Env = append(slices.Clone(l.env), "TMPDIR="+t.TempDir())
	return c
}

// run runs lakectl to its end and returns what it wrote to stdout.
func (l *lake) run(t *testing.T, args ...string) string {
	t.Helper()
	c := l.command(t, args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		t.Fatalf("lakectl %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

// killed runs lakectl and kills it with -9 after a while. It tells whether it had ended before, and well.
func (l *lake) killed(t *testing.T, after time.Duration, args ...string) (ended bool) {
	t.Helper()
	c := l.command(t, args...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() { _ = c.Process.Kill() })
	err := c.Wait()
	if timer.Stop() && err != nil {
		t.Fatalf("lakectl %s: %v\n%s", strings.Join(args, " "), err, out.String())
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return err == nil
}

// rows runs a query that gives whole numbers only.
func (l *lake) rows(t *testing.T, sql string) [][]int64 {
	t.Helper()
	out := strings.Split(strings.TrimSpace(l.run(t, "query", "--output", "csv", sql)), "\n")
	var all [][]int64
	for _, line := range out[1:] {
		var row []int64
		for field := range strings.SplitSeq(strings.TrimSpace(line), ",") {
			n, err := strconv.ParseInt(field, 10, 64)
			if err != nil {
				t.Fatalf("%s: %q", sql, out)
			}
			row = append(row, n)
		}
		all = append(all, row)
	}
	return all
}

// numbers runs a query that gives one row of whole numbers.
func (l *lake) numbers(t *testing.T, sql string) []int64 {
	t.Helper()
	all := l.rows(t, sql)
	if len(all) != 1 {
		t.Fatalf("%s: %d rows, want one", sql, len(all))
	}
	return all[0]
}

// difference is a query of one row about a table of two lakes, compared row by row as multisets, without the columns
// that say when and by which run a row came: rows wanted, rows found, rows missing, rows too many.
func (l *lake) difference(clean *lake, table string, without []string) string {
	columns := "*"
	if len(without) > 0 {
		columns = "* EXCLUDE (" + strings.Join(without, ", ") + ")"
	}
	path := strings.ReplaceAll(table, ".", "/")
	want := fmt.Sprintf("SELECT %s FROM '%s/%s'", columns, clean.warehouse, path)
	got := fmt.Sprintf("SELECT %s FROM '%s/%s'", columns, l.warehouse, path)
	return fmt.Sprintf("SELECT (SELECT count(*) FROM (%[1]s)) AS want, (SELECT count(*) FROM (%[2]s)) AS got, "+
		"(SELECT count(*) FROM (%[1]s EXCEPT ALL %[2]s)) AS missing, (SELECT count(*) FROM (%[2]s EXCEPT ALL %[1]s)) AS extra", want, got)
}

// compare compares every table with a clean lake's.
func (l *lake) compare(t *testing.T, clean *lake, tables []string, without func(table string) []string) {
	t.Helper()
	var parts []string
	for i, table := range tables {
		parts = append(parts, fmt.Sprintf("SELECT %d AS i, * FROM (%s)", i, l.difference(clean, table, without(table))))
	}
	for i, n := range l.rows(t, strings.Join(parts, " UNION ALL ")+" ORDER BY i") {
		if n[1] != n[2] || n[3] != 0 || n[4] != 0 {
			t.Errorf("%s: %d rows, a clean run gives %d: %d missing, %d extra", tables[i], n[2], n[1], n[3], n[4])
		}
	}
}

// fsck verifies a table.
func (l *lake) fsck(t *testing.T, tables ...string) {
	t.Helper()
	for _, table := range tables {
		l.run(t, "fsck", table)
	}
}

// commit is what commitInfo.lake says of one version of a table.
type commit struct {
	Run  string `json:"run"`
	Plan int64  `json:"plan"`
}

func runsOf(commits []commit) []string {
	var runs []string
	for _, c := range commits {
		runs = append(runs, c.Run)
	}
	return runs
}

// history lists the commits of a table, oldest first.
func (l *lake) history(t *testing.T, store objectstore.Store, table string) []commit {
	t.Helper()
	var commits []commit
	prefix := strings.ReplaceAll(table, ".", "/") + "/_delta_log/"
	for info, err := range store.List(t.Context(), prefix, "") {
		if err != nil {
			t.Fatal(err)
		}
		if name := strings.TrimPrefix(info.Key, prefix); len(name) != len("00000000000000000000.json") || !strings.HasSuffix(name, ".json") {
			continue
		}
		for line := range strings.Lines(string(read(t, store, info.Key))) {
			var action struct {
				CommitInfo *struct {
					Lake commit `json:"lake"`
				} `json:"commitInfo"`
			}
			if err := json.Unmarshal([]byte(line), &action); err != nil {
				t.Fatalf("%s: %v", info.Key, err)
			}
			if action.CommitInfo != nil {
				commits = append(commits, action.CommitInfo.Lake)
			}
		}
	}
	if len(commits) == 0 {
		t.Fatalf("%s has no commit", table)
	}
	return commits
}

// progress counts what a killed run has left behind.
func (l *lake) progress(t *testing.T, store objectstore.Store) (plans, commits int) {
	t.Helper()
	for info, err := range store.List(t.Context(), "", "") {
		switch {
		case err != nil:
			t.Fatal(err)
		case strings.HasPrefix(info.Key, "_lake/plans/"):
			plans++
		case strings.Contains(info.Key, "/_delta_log/") && strings.HasSuffix(info.Key, ".json"):
			commits++
		}
	}
	return plans, commits
}

func read(t *testing.T, store objectstore.Store, key string) []byte {
	t.Helper()
	body, _, err := store.Get(t.Context(), key, objectstore.Range{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	var b bytes.Buffer
	if _, err := b.ReadFrom(body); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// copyTree writes a tree of files into a folder.
func copyTree(t *testing.T, from fs.FS, to string) {
	t.Helper()
	if err := os.CopyFS(to, from); err != nil {
		t.Fatal(err)
	}
}

// upload puts the files of a tree below a prefix of a store, in the order of their names.
func upload(t *testing.T, store objectstore.Store, from fs.FS, prefix string) {
	t.Helper()
	err := fs.WalkDir(from, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(from, path)
		if err != nil {
			return err
		}
		_, err = store.Put(t.Context(), prefix+path, objectstore.Bytes(b), objectstore.CreateOnly)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// number is a whole number from the environment.
func number(t *testing.T, name string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
