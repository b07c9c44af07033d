// Package miniotest starts the pinned MinIO server for tests and for `make minio`: built once from source, on loopback,
// with credentials made up at each start. It is never part of the product.
package miniotest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/redact"
	"github.com/lakectl/lakectl/objectstore/s3"
)

// Region is what the server calls itself.
const Region = "us-east-1"

// Server is a running MinIO.
type Server struct {
	Endpoint  string // "http://127.0.0.1:port"
	AccessKey string
	SecretKey string

	data    string
	remove  bool // data goes with the server
	process *os.Process
	output  *tail
	ended   chan struct{} // closed when the process is gone
}

// Config says how to start a server. The zero value is a free port, a folder that goes with the server, and random
// credentials.
type Config struct {
	Address              string // "127.0.0.1:9000"
	Data                 string // folder of the objects, kept afterwards
	AccessKey, SecretKey string
}

// launchTries covers a port that someone else took between our asking for it and the server's.
const launchTries = 3

// Launch builds the server if needed, starts it, and returns when it answers. The server dies with this process,
// however that ends (on Linux).
func Launch(ctx context.Context, c Config) (*Server, error) {
	bin, err := Binary(ctx)
	if err != nil {
		return nil, err
	}
	var failures []error
	for range launchTries {
		s, err := launch(ctx, bin, c)
		if err == nil {
			return s, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil || c.Address != "" {
			break
		}
	}
	return nil, fmt.Errorf("start MinIO: %w", errors.Join(failures...))
}

func launch(ctx context.Context, bin string, c Config) (*Server, error) {
	s := &Server{AccessKey: c.AccessKey, SecretKey: c.SecretKey, data: c.Data, output: &tail{}, ended: make(chan struct{})}
	if s.AccessKey == "" {
		s.AccessKey = "test" + clock.NewToken(clock.SystemRand(), 8)
		s.SecretKey = clock.NewToken(clock.SystemRand(), 20)
	}
	address := c.Address
	if address == "" {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		address = l.Addr().String()
		_ = l.Close()
	}
	s.Endpoint = "http://" + address
	if s.data == "" {
		sweep()
		dir, err := os.MkdirTemp("", dataPrefix+strconv.Itoa(os.Getpid())+"-")
		if err != nil {
			return nil, err
		}
		s.data, s.remove = dir, true
	}
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		return nil, err
	}
	if err := s.run(bin, address); err != nil {
		s.Stop()
		return nil, err
	}
	if err := s.ready(ctx); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

// dataPrefix is followed by the process id of the owner.
const dataPrefix = "lakectl-minio-"

// sweep removes the data of owners that were killed.
func sweep() {
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), dataPrefix+"*"))
	for _, dir := range dirs {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dataPrefix), "-")
		if n, err := strconv.Atoi(pid); err == nil && n > 0 && errors.Is(syscall.Kill(n, 0), syscall.ESRCH) {
			_ = os.RemoveAll(dir)
		}
	}
}

func (s *Server) run(bin, address string) error {
	started := make(chan error, 1)
	go func() {
		// The parent-death signal comes when the *thread* that started the child ends, so this one stays until then.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		cmd := exec.Command(bin, "server", "--quiet", "--address", address, s.data)
		cmd.Env = []string{
			"PATH=" + os.Getenv("PATH"), "HOME=" + s.data, "TMPDIR=" + os.TempDir(),
			"MINIO_ROOT_USER=" + s.AccessKey, "MINIO_ROOT_PASSWORD=" + s.SecretKey, "MINIO_REGION=" + Region,
			"MINIO_BROWSER=off", "MINIO_UPDATE=off", "MINIO_CALLHOME_ENABLE=off",
		}
		cmd.Stdout, cmd.Stderr = s.output, s.output
		cmd.SysProcAttr = dieWithParent()
		err := cmd.Start()
		s.process = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait()
		}
		close(s.ended)
	}()
	return <-started
}

// readyTimeout is how long a server may take to answer, on a machine that is busy building.
const readyTimeout = 90 * time.Second

func (s *Server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	client := &http.Client{Timeout: 2 * time.Second}
	defer client.CloseIdleConnections()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+"/minio/health/ready", nil)
		if err != nil {
			return err
		}
		if res, err := client.Do(req); err == nil {
			_ = res.Body.Close()
			// A foreign server on this port would answer, but not know our credentials.
			if res.StatusCode == http.StatusOK && s.knowsUs(ctx) {
				return nil
			}
		}
		select {
		case <-s.ended:
			return fmt.Errorf("the server ended: %s", s.output)
		case <-ctx.Done():
			return fmt.Errorf("no answer at %s: %w: %s", s.Endpoint, ctx.Err(), s.output)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (s *Server) knowsUs(ctx context.Context) bool {
	c, err := s.client()
	if err != nil {
		return false
	}
	_, err = c.ListBuckets(ctx)
	return err == nil
}

func (s *Server) client() (*minio.Client, error) {
	return minio.New(strings.TrimPrefix(s.Endpoint, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(s.AccessKey, s.SecretKey, ""), Region: Region,
	})
}

// MakeBucket makes a bucket; one that exists is fine.
func (s *Server) MakeBucket(ctx context.Context, name string) error {
	c, err := s.client()
	if err != nil {
		return err
	}
	err = c.MakeBucket(ctx, name, minio.MakeBucketOptions{Region: Region})
	if code := minio.ToErrorResponse(err).Code; code == minio.BucketAlreadyOwnedByYou || code == minio.BucketAlreadyExists {
		return nil
	}
	return err
}

// Options are those with which s3.Open reaches this server.
func (s *Server) Options() s3.Options {
	return s3.Options{
		Endpoint: s.Endpoint, Region: Region, PathStyle: true,
		AccessKey: redact.NewSecret(s.AccessKey), SecretKey: redact.NewSecret(s.SecretKey),
	}
}

// Environ are the variables, "NAME=value", with which any S3 client reaches this server.
func (s *Server) Environ() []string {
	return []string{
		"AWS_ENDPOINT_URL=" + s.Endpoint, "AWS_REGION=" + Region,
		"AWS_ACCESS_KEY_ID=" + s.AccessKey, "AWS_SECRET_ACCESS_KEY=" + s.SecretKey,
	}
}

// Stop ends the server and removes its data, unless Config.Data named the folder. Calling it again does nothing.
func (s *Server) Stop() {
	if s.process != nil {
		_ = s.process.Kill()
		<-s.ended
	}
	if s.remove {
		_ = os.RemoveAll(s.data)
	}
}

// Wait returns when the server has ended by itself.
func (s *Server) Wait() { <-s.ended }

// tail keeps the end of what a process says.
type tail struct {
	mu   sync.Mutex // guards text; a leaf lock
	text []byte
}

const tailBytes = 8 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-tailBytes):]
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.text))
}
