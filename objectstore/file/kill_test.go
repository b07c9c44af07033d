package file_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
)

// writerVar makes this test binary write into the folder that it names until it is killed.
const writerVar = "FILETEST_WRITER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(writerVar); dir != "" {
		fmt.Println(writeForEver(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// pattern is a body that tells by itself whether it is whole: its length, then that many equal bytes.
func pattern(i int) []byte {
	n := i * 7919 % 300_000
	return append(fmt.Appendf(nil, "%08d", n), bytes.Repeat([]byte{byte('a' + i%26)}, n)...)
}

func whole(b []byte) bool {
	var n int
	if len(b) < 8 {
		return false
	}
	if _, err := fmt.Sscanf(string(b[:8]), "%d", &n); err != nil || len(b) != 8+n {
		return false
	}
	return n == 0 || bytes.Equal(b[8:], bytes.Repeat(b[8:9], n))
}

// writeForEver creates new objects, replaces one, and says which were acknowledged.
func writeForEver(dir string) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s, err := file.Open(dir)
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		key := fmt.Sprintf("log/%d/%d-%06d", os.Getpid(), i%3, i)
		if _, err := s.Put(ctx, key, objectstore.Bytes(pattern(i)), objectstore.CreateOnly); err != nil {
			return err
		}
		fmt.Println(key)
		if _, err := s.Put(ctx, "hint", objectstore.Bytes(pattern(i)), objectstore.Condition{}); err != nil {
			return err
		}
	}
}

// Whatever instant a writer is killed at: what it acknowledged is there, what is there is whole.
func TestKilledWriterLeavesWholeObjects(t *testing.T) {
	const seed = 7
	r := clock.SeededRand(seed)
	dir := t.TempDir()
	var acked []string
	for range 8 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), writerVar+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(50*time.Millisecond+clock.Jitter(r, 100*time.Millisecond), func() { _ = cmd.Process.Kill() })
		text, err := io.ReadAll(out)
		_ = cmd.Wait()
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for _, key := range lines[:len(lines)-1] {
			if !strings.HasPrefix(key, "log/") {
				t.Fatalf("the writer says %s", key)
			}
			acked = append(acked, key)
		}
	}
	s := open(t, dir)
	there := map[string]bool{}
	for _, key := range keys(t, s, "", "") {
		there[key] = true
		body, _, err := s.Get(t.Context(), key, objectstore.Range{})
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(body)
		_ = body.Close()
		if err != nil || !whole(b) {
			t.Errorf("seed %d: %s is torn: %d bytes, %v", seed, key, len(b), err)
		}
	}
	for _, key := range acked {
		if !there[key] {
			t.Errorf("seed %d: %s was acknowledged and is gone", seed, key)
		}
	}
	left, err := os.ReadDir(filepath.Join(dir, file.TempFolder))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d objects acknowledged by 8 killed writers, %d temporary files left", len(acked), len(left))
	if len(acked) < 8 {
		t.Errorf("%d objects acknowledged: the writers hardly ran", len(acked))
	}
}

// FuzzLocalPathStaysInside: no key leads out of the root.
func FuzzLocalPathStaysInside(f *testing.F) {
	for _, key := range []string{"a", "../a", "a/../../b", "/etc/passwd", `..\a`, "a//b", "%2e%2e/a", "in/x", "out/x", "a\x00", "."} {
		f.Add(key)
	}
	dir := f.TempDir()
	for link, target := range map[string]string{"out": "..", "abs": "/", "in": "."} {
		if err := os.Symlink(target, filepath.Join(dir, link)); err != nil {
			f.Fatal(err)
		}
	}
	s, err := file.Open(dir)
	if err != nil {
		f.Fatal(err)
	}
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, key string) {
		name, err := s.LocalPath(key)
		if err == nil && !strings.HasPrefix(name, root+"/") {
			t.Errorf("%q leads to %q", key, name)
		}
		if info, err := s.Head(t.Context(), key); err == nil {
			t.Errorf("%q is there: %+v", key, info)
		}
	})
}
