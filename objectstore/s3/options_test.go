package s3_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lakectl/lakectl/internal/redact"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/s3"
)

// noEnvironment hides the credentials and settings of whoever runs the tests.
func noEnvironment(t *testing.T) {
	t.Helper()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("HOME", t.TempDir())
}

func TestOpenRefuses(t *testing.T) {
	noEnvironment(t)
	keys := s3.Options{AccessKey: redact.NewSecret(access), SecretKey: redact.NewSecret(secret)}
	with := func(change func(o *s3.Options)) s3.Options {
		o := keys
		change(&o)
		return o
	}
	endpoint := func(e string) s3.Options { return with(func(o *s3.Options) { o.Endpoint = e }) }
	tests := []struct {
		name, address string
		o             s3.Options
		want          error
	}{
		{"other scheme", "http://bucket/x", keys, objectstore.ErrBadRequest},
		{"no bucket", "s3:///x", keys, objectstore.ErrBadRequest},
		{"bucket in capitals", "s3://Bucket", keys, objectstore.ErrBadRequest},
		{"bucket of two letters", "s3://ab", keys, objectstore.ErrBadRequest},
		{"bucket with a port", "s3://bucket:80/x", keys, objectstore.ErrBadRequest},
		{"credentials in the address", "s3://k:" + secret + "@bucket/x", keys, objectstore.ErrBadRequest},
		{"query", "s3://bucket/x?token=" + secret, keys, objectstore.ErrBadRequest},
		{"prefix that climbs", "s3://bucket/a/../b", keys, objectstore.ErrInvalidKey},
		{"prefix with a hole", "s3://bucket/a//b", keys, objectstore.ErrInvalidKey},
		{"plain http elsewhere", "s3://bucket", endpoint("http://store.example"), objectstore.ErrBadRequest},
		{"plain http to a private address", "s3://bucket", endpoint("http://10.0.0.1:9000"), objectstore.ErrBadRequest},
		{"credentials in the endpoint", "s3://bucket", endpoint("https://k:" + secret + "@h"), objectstore.ErrBadRequest},
		{"endpoint with a bucket", "s3://bucket", endpoint("https://h/bucket"), objectstore.ErrBadRequest},
		{"endpoint with a query", "s3://bucket", endpoint("https://h?X-Amz-Signature=" + secret), objectstore.ErrBadRequest},
		{"endpoint of another scheme", "s3://bucket", endpoint("ftp://h"), objectstore.ErrBadRequest},
		{"endpoint without a host", "s3://bucket", endpoint("https://"), objectstore.ErrBadRequest},
		{"half a key pair", "s3://bucket", s3.Options{AccessKey: redact.NewSecret(access)}, objectstore.ErrBadRequest},
		{"anonymous with a key", "s3://bucket", with(func(o *s3.Options) { o.Anonymous = true }), objectstore.ErrBadRequest},
		{"parts too small", "s3://bucket", with(func(o *s3.Options) { o.PartSize = 1 }), objectstore.ErrBadRequest},
		{"too many uploads", "s3://bucket", with(func(o *s3.Options) { o.Uploads = 1000 }), objectstore.ErrBadRequest},
		{"no credentials", "s3://bucket", s3.Options{Endpoint: "https://h"}, objectstore.ErrDenied},
		{"profile that is not there", "s3://bucket", s3.Options{Endpoint: "https://h", Profile: "none"}, objectstore.ErrDenied},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := s3.Open(t.Context(), tt.address, tt.o)
			if !errors.Is(err, tt.want) {
				t.Fatalf("%v, %v; want %v", s, err, tt.want)
			}
			clean(t, fmt.Errorf("%w", err))
		})
	}
}

func TestOpenNamesEveryProblem(t *testing.T) {
	noEnvironment(t)
	_, err := s3.Open(t.Context(), "s3://bucket", s3.Options{Endpoint: "http://store.example", PartSize: 1, Uploads: 1000})
	for _, word := range []string{"plain HTTP", "part size", "parallel uploads"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not speak of %q", err, word)
		}
	}
}

func TestOpenAccepts(t *testing.T) {
	noEnvironment(t)
	keys := s3.Options{AccessKey: redact.NewSecret(access), SecretKey: redact.NewSecret(secret)}
	for endpoint, insecure := range map[string]bool{
		"": false, "https://store.example:9000": false, "store.example": false, "http://127.0.0.1:9000": false,
		"http://[::1]:9000": false, "http://localhost:9000/": false, "http://store.example": true,
	} {
		o := keys
		var log bytes.Buffer
		o.Endpoint, o.Insecure, o.Logger = endpoint, insecure, slog.New(slog.NewTextHandler(&log, nil))
		s, err := s3.Open(t.Context(), "s3://bucket/a/b/", o)
		if err != nil {
			t.Errorf("%s: %v", endpoint, err)
			continue
		}
		if s.URL() != "s3://bucket/a/b" {
			t.Errorf("URL %s", s.URL())
		}
		if warned := strings.Contains(log.String(), "not encrypted"); warned != insecure {
			t.Errorf("%s: warned %v, want %v", endpoint, warned, insecure)
		}
	}
}

func TestCredentialsAreFoundAsAWSToolsFindThem(t *testing.T) {
	noEnvironment(t)
	dir := t.TempDir()
	file := filepath.Join(dir, "credentials")
	text := "[default]\naws_access_key_id = filekey\naws_secret_access_key = x\n[other]\naws_access_key_id = otherkey\naws_secret_access_key = x\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	// Who signed is written in the request.
	signer := func(o s3.Options) string {
		var got string
		endpoint, _ := server(t, recordSigner(&got))
		o.Endpoint = endpoint
		s, err := s3.Open(t.Context(), "s3://bucket", o)
		if err != nil {
			return err.Error()
		}
		defer func() { _ = s.Close() }()
		_, _ = s.Head(t.Context(), "a")
		return got
	}
	if got := signer(s3.Options{Anonymous: true}); got != "" {
		t.Errorf("anonymous: signed by %q", got)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	if got := signer(s3.Options{}); got != "filekey" {
		t.Errorf("file: signed by %q", got)
	}
	if got := signer(s3.Options{Profile: "other"}); got != "otherkey" {
		t.Errorf("profile: signed by %q", got)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "envkey")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "x")
	if got := signer(s3.Options{}); got != "envkey" {
		t.Errorf("environment: signed by %q", got)
	}
	if got := signer(s3.Options{Profile: "other"}); got != "otherkey" {
		t.Errorf("a profile that was named: signed by %q", got)
	}
	if got := signer(s3.Options{AccessKey: redact.NewSecret("given"), SecretKey: redact.NewSecret("x")}); got != "given" {
		t.Errorf("options: signed by %q", got)
	}
}

func TestCredentialsFileThatOthersReadIsRefused(t *testing.T) {
	noEnvironment(t)
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id = a\naws_secret_access_key = "+secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o640); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", file)
	_, err := s3.Open(t.Context(), "s3://bucket", s3.Options{Endpoint: "https://h"})
	if !errors.Is(err, objectstore.ErrDenied) || !strings.Contains(err.Error(), "chmod 600") {
		t.Fatalf("%v, want ErrDenied and what to do", err)
	}
	clean(t, err)
	o := s3.Options{Endpoint: "https://h", AccessKey: redact.NewSecret("a"), SecretKey: redact.NewSecret("b")}
	if _, err := s3.Open(t.Context(), "s3://bucket", o); err != nil {
		t.Errorf("a file that is not used is in the way: %v", err)
	}
}

func TestStoreAndOptionsPrintNoSecret(t *testing.T) {
	noEnvironment(t)
	o := s3.Options{
		Endpoint: "https://h", AccessKey: redact.NewSecret(access), SecretKey: redact.NewSecret(secret),
		SessionToken: redact.NewSecret(secret + "token"),
	}
	s, err := s3.Open(t.Context(), "s3://bucket", o)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprintf("%v %+v %#v", o, o, o), fmt.Sprintf("%v %+v", s.URL(), o)} {
		if strings.Contains(text, secret) || strings.Contains(text, access) {
			t.Errorf("%s", text)
		}
	}
}
