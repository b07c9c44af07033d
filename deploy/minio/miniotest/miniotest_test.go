package miniotest_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/objectstore"
)

// childVar makes this test binary start a server, say where, and wait to be killed.
const childVar = "MINIOTEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVar) != "" {
		s, err := miniotest.Launch(context.Background(), miniotest.Config{})
		if err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		fmt.Println(strings.TrimPrefix(s.Endpoint, "http://"))
		s.Wait()
		os.Exit(1)
	}
	os.Exit(miniotest.Main(m))
}

func TestTestsShareOneServerAndNoObjects(t *testing.T) {
	a, b := miniotest.Start(t), miniotest.Start(t)
	if a != b {
		t.Error("two servers in one process")
	}
	if !strings.HasPrefix(a.Endpoint, "http://127.0.0.1:") {
		t.Errorf("listens at %s", a.Endpoint)
	}
	s, other := a.Store(t), a.Store(t)
	if s.URL() == other.URL() {
		t.Errorf("two tests in one bucket, %s", s.URL())
	}
	if _, err := s.Put(t.Context(), "a", objectstore.Bytes([]byte("x")), objectstore.CreateOnly); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Head(t.Context(), "a"); !errors.Is(err, objectstore.ErrNotFound) {
		t.Errorf("%v", err)
	}
}

func TestServerDiesWithAKilledTest(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux sends a signal at the death of the parent")
	}
	if testing.Short() {
		t.Skip("needs a MinIO server, which -short does not build")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVar+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	address := strings.TrimSpace(line)
	if err != nil || strings.HasPrefix(address, "error") {
		t.Fatalf("%q, %v", line, err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		c, err := net.Dial("tcp", address)
		if err != nil {
			break
		}
		_ = c.Close()
		if time.Now().After(deadline) {
			t.Fatalf("the server at %s outlived its test by 10 s", address)
		}
	}
	left := func() []string {
		dirs, err := os.ReadDir(os.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		var out []string
		for _, d := range dirs {
			if strings.HasPrefix(d.Name(), fmt.Sprintf("lakectl-minio-%d-", cmd.Process.Pid)) {
				out = append(out, d.Name())
			}
		}
		return out
	}
	if len(left()) != 1 {
		t.Errorf("a killed test left %v", left())
	}
	s, err := miniotest.Launch(t.Context(), miniotest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	s.Stop()
	if len(left()) != 0 {
		t.Errorf("the next start left %v", left())
	}
}
