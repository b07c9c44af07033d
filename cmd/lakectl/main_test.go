package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/s3"
)

var update = flag.Bool("update", false, "write what the commands print into the transcripts; review it like code")

// withServer stops the MinIO of this process after the tests.
type withServer struct{ m *testing.M }

func (w withServer) Run() int { return miniotest.Main(w.m) }

func TestMain(m *testing.M) {
	testscript.Main(withServer{m}, map[string]func(){"lakectl": main})
}

// TestScripts runs the transcripts on a folder: $LAKE is ./lake.
func TestScripts(t *testing.T) {
	files := scripts(t, func(text string) bool { return !strings.Contains(text, "[minio]") })
	testscript.Run(t, params(files, func(e *testscript.Env) error {
		e.Setenv("LAKE", "./lake")
		return nil
	}))
}

// TestScriptsMinIO runs those that name $LAKE once more with $LAKE in a bucket, and those that are about S3.
func TestScriptsMinIO(t *testing.T) {
	server := miniotest.Start(t)
	files := scripts(t, func(text string) bool {
		return strings.Contains(text, "$LAKE/") || strings.Contains(text, "[minio]")
	})
	careless := carelessStore(t, server)
	testscript.Run(t, params(files, func(e *testscript.Env) error {
		for _, pair := range server.Environ() {
			name, value, _ := strings.Cut(pair, "=")
			e.Setenv(name, value)
		}
		bucket := server.Bucket(t)
		e.Setenv("BUCKET", bucket)
		e.Setenv("LAKE", "s3://"+bucket+"/lake")
		e.Setenv("CARELESS", careless)
		return nil
	}))
}

// scripts returns the transcripts whose text is wanted.
func scripts(t *testing.T, want func(text string) bool) []string {
	t.Helper()
	all, err := filepath.Glob("testdata/script/*.txtar")
	if err != nil || len(all) == 0 {
		t.Fatalf("no transcripts: %v", err)
	}
	var out []string
	for _, f := range all {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if want(string(text)) {
			out = append(out, f)
		}
	}
	return out
}

func params(files []string, setup func(*testscript.Env) error) testscript.Params {
	return testscript.Params{
		Files:         files,
		UpdateScripts: *update,
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("LAKE_TEMP_DIR", e.WorkDir)
			e.Setenv("LAKE_FILE_CACHE", filepath.Join(e.WorkDir, ".files"))
			return setup(e)
		},
		Condition: func(cond string) (bool, error) {
			if cond == "minio" { // chooses where a script runs; see TestScripts
				return true, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"damage":   damage,
			"truncate": truncate,
			"code":     code,
			"rename":   rename,
		},
	}
}

// damage FILE [OFFSET] turns over every bit of 64 bytes, from the middle or from an offset (negative: from the end).
func damage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: damage FILE [OFFSET]")
	}
	path := glob(ts, args[0])
	text := []byte(ts.ReadFile(path))
	at := len(text) / 2
	if len(args) == 2 {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		if at = n; n < 0 {
			at = len(text) + n
		}
	}
	for i := at; i < min(at+64, len(text)); i++ {
		text[i] ^= 0xff
	}
	ts.Check(os.WriteFile(ts.MkAbs(path), text, 0o644))
}

// truncate FILE cuts a file to half its size.
func truncate(ts *testscript.TestScript, _ bool, args []string) {
	path := glob(ts, args[0])
	text := ts.ReadFile(path)
	ts.Check(os.WriteFile(ts.MkAbs(path), []byte(text[:len(text)/2]), 0o644))
}

// rename FROM TO, where FROM may be a pattern of one file.
func rename(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(os.Rename(ts.MkAbs(glob(ts, args[0])), ts.MkAbs(args[1])))
}

// code N COMMAND … runs a command and wants that exit code; its output is there for stdout and stderr.
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N COMMAND …")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	got := 0
	if err != nil {
		exit, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// glob finds the one file that a pattern names.
func glob(ts *testscript.TestScript, pattern string) string {
	found, err := filepath.Glob(ts.MkAbs(pattern))
	ts.Check(err)
	slices.Sort(found)
	if len(found) != 1 {
		ts.Fatalf("%s names %d files, want 1: %v", pattern, len(found), found)
	}
	return found[0]
}

// carelessStore is the endpoint of a real MinIO that behaves like a store without conditional writes: whatever a
// conditional put would meet is removed just before it arrives.
func carelessStore(t *testing.T, server *miniotest.Server) string {
	t.Helper()
	up, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(up)
		r.Out.Host = r.In.Host // it is signed
	}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if bucket, key, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); ok && r.Method == http.MethodPut && r.Header.Get("If-None-Match") != "" {
			body, err := io.ReadAll(r.Body)
			if err == nil {
				err = remove(r.Context(), server, bucket, key)
			}
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
			r.Body = io.NopCloser(bytes.NewReader(body))
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	return proxy.URL
}

func remove(ctx context.Context, server *miniotest.Server, bucket, key string) error {
	store, err := s3.Open(ctx, "s3://"+bucket, server.Options())
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // nothing was written through it
	return objectstore.Store(store).Delete(ctx, key)
}
