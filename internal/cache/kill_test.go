package cache_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/cache"
	"github.com/lakectl/lakectl/internal/clock"
)

// childFolder is the variable that makes a process of this test fill the cache in a folder until it is killed.
const childFolder = "LAKE_CACHE_TEST_FOLDER"

const killedSize = 6*mib + 777

// fillForEver fills parts of files in an order of its own.
func fillForEver() {
	m := newMade(killedSize)
	c, err := cache.Open(os.Getenv(childFolder), 1<<30)
	if err != nil {
		panic(err)
	}
	r := clock.SystemRand()
	for {
		f, err := c.Take(context.Background(), m, fmt.Sprint("k", clock.Int64N(r, 3)), m.size, "")
		if err != nil {
			panic(err)
		}
		from := clock.Int64N(r, m.size)
		if err := f.Fill(context.Background(), cache.Span{From: from, To: from + clock.Int64N(r, 2*mib)}); err != nil {
			panic(err)
		}
		f.Release()
		if clock.Int64N(r, 4) == 0 { // so that there is always something to fill
			for _, folder := range []string{"data", "sums"} {
				paths, _ := filepath.Glob(filepath.Join(os.Getenv(childFolder), folder, "*"))
				if len(paths) > 0 {
					_ = os.Remove(paths[0])
				}
			}
		}
	}
}

// Processes that share a folder are killed while they fill it, and remove files under each other: what the others and
// those who come later read is right, or is fetched.
func TestKilledWhileFilling(t *testing.T) {
	dir := t.TempDir()
	m := newMade(killedSize)
	whole := cache.Span{From: 0, To: m.size}
	for round := range 8 {
		var children []*exec.Cmd
		for range 2 {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
			child.Env = append(os.Environ(), childFolder+"="+dir)
			child.Stderr = os.Stderr
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			children = append(children, child)
		}
		c := open(t, dir, 1<<30)
		for range 5 { // beside them
			checkAll(t, c, m, whole)
			if err := clock.System().Sleep(t.Context(), time.Duration(5+round*3)*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		for _, child := range children {
			if err := child.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := child.Wait(); err == nil {
				t.Error("the child ended by itself")
			}
		}
		checkAll(t, c, m, whole)
	}
	open(t, dir, 1<<30)
	if left, err := filepath.Glob(filepath.Join(dir, "use", "*", "k*")); err != nil || len(left) > 0 {
		t.Errorf("links of dead processes: %v, %v", left, err)
	}
	if n, total := m.asked(); n == 0 {
		t.Errorf("%d requests for %d bytes", n, total)
	}
}

func checkAll(t *testing.T, c *cache.Cache, m *made, s cache.Span) {
	t.Helper()
	for i := range 3 {
		key := fmt.Sprint("k", i)
		f, err := c.Take(t.Context(), m, key, m.size, "")
		if err != nil {
			t.Fatal(err)
		}
		fill(t, f, s)
		holds(t, f, key, "first", s)
		f.Release()
	}
}
