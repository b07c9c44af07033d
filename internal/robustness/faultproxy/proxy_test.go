package faultproxy_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/robustness/faultproxy"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/s3"
	"github.com/lakectl/lakectl/objectstore/storetest"
)

func TestMain(m *testing.M) { os.Exit(miniotest.Main(m)) }

// start puts a proxy before the server.
func start(t *testing.T, srv *miniotest.Server, log io.Writer, rules ...faultproxy.Rule) *faultproxy.Proxy {
	t.Helper()
	p, err := faultproxy.Start(faultproxy.Options{Upstream: srv.Endpoint, Rules: rules, Seed: 1, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// through opens a store by way of the proxy.
func through(t *testing.T, srv *miniotest.Server, p *faultproxy.Proxy, bucket string) objectstore.Store {
	t.Helper()
	o := srv.Options()
	o.Endpoint = p.URL()
	s, err := s3.Open(t.Context(), "s3://"+bucket, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// The whole contract of a store holds through a proxy without rules, so it changes nothing.
func TestContractThroughTheProxy(t *testing.T) {
	srv := miniotest.Start(t)
	p := start(t, srv, nil)
	storetest.RunClients(t, func(t *testing.T) (a, b objectstore.Store) {
		t.Helper()
		bucket := srv.Bucket(t)
		return through(t, srv, p, bucket), through(t, srv, p, bucket)
	})
	if p.Requests() < 500 {
		t.Errorf("%d requests came by", p.Requests())
	}
}

// rig is a bucket with a way past the proxy and one through it.
type rig struct {
	*testing.T
	proxy          *faultproxy.Proxy
	direct, faulty objectstore.Store
}

func newRig(t *testing.T, rules ...faultproxy.Rule) *rig {
	t.Helper()
	srv := miniotest.Start(t)
	bucket := srv.Bucket(t)
	p := start(t, srv, nil, rules...)
	return &rig{t, p, srv.Open(t, "s3://"+bucket), through(t, srv, p, bucket)}
}

func create(ctx context.Context, s objectstore.Store, text string) error {
	_, err := s.Put(ctx, "x", objectstore.Bytes([]byte(text)), objectstore.CreateOnly)
	return err
}

// holds reads past the proxy.
func (r *rig) holds(want string) {
	r.Helper()
	if got, err := read(r.Context(), r.direct); got != want || err != nil && want != "" {
		r.Errorf("the object is %q, %v; want %q", got, err, want)
	}
}

func read(ctx context.Context, s objectstore.Store) (string, error) {
	body, _, err := s.Get(ctx, "x", objectstore.Range{})
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(body)
	return string(b), errors.Join(err, body.Close())
}

func nthPut(a faultproxy.Action) faultproxy.Rule {
	return faultproxy.Rule{Name: string(a), Method: "PUT", Key: "/x$", Header: "If-None-Match", Nth: 1, Action: a, Delay: 300 * time.Millisecond}
}

func TestTwiceEndsIn412OnOurOwnObject(t *testing.T) {
	r := newRig(t, nthPut(faultproxy.Twice))
	if err := create(t.Context(), r.faulty, "ours"); !errors.Is(err, objectstore.ErrExists) {
		t.Errorf("the client was told %v, want 412", err)
	}
	r.holds("ours")
	if n := r.proxy.Fired()[faultproxy.Twice]; n != 1 {
		t.Errorf("fired %d times", n)
	}
}

// An SDK with its default retries meets its own object: what the settle rule is for.
func TestDropReplyUnderSDKRetriesEndsIn412OnOurOwnObject(t *testing.T) {
	srv := miniotest.Start(t)
	bucket := srv.Bucket(t)
	p := start(t, srv, nil, nthPut(faultproxy.DropReply))
	client, err := minio.New(strings.TrimPrefix(p.URL(), "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(srv.AccessKey, srv.SecretKey, ""), Region: miniotest.Region,
	})
	if err != nil {
		t.Fatal(err)
	}
	opts := minio.PutObjectOptions{}
	opts.SetMatchETagExcept("*")
	_, err = client.PutObject(t.Context(), bucket, "x", strings.NewReader("ours"), 4, opts)
	if code := minio.ToErrorResponse(err).StatusCode; code != http.StatusPreconditionFailed {
		t.Errorf("the client was told %v, want 412", err)
	}
	r := &rig{t, p, srv.Open(t, "s3://"+bucket), nil}
	r.holds("ours")
}

// Our own store sends one request, and says that it does not know.
func TestDropReplyLeavesDoubt(t *testing.T) {
	r := newRig(t, nthPut(faultproxy.DropReply))
	err := create(t.Context(), r.faulty, "ours")
	if err == nil || objectstore.Refused(err) || errors.Is(err, objectstore.ErrExists) {
		t.Errorf("the client was told %v, want doubt", err)
	}
	r.holds("ours")
}

func TestLateShowsResetAbsentThenPresent(t *testing.T) {
	r := newRig(t, nthPut(faultproxy.Late))
	err := create(t.Context(), r.faulty, "ours")
	if err == nil || objectstore.Refused(err) {
		t.Errorf("the client was told %v, want doubt", err)
	}
	r.holds("")
	r.proxy.Settle()
	r.holds("ours")
}

func TestCutBodyLandsNothing(t *testing.T) {
	r := newRig(t, nthPut(faultproxy.CutBody))
	if err := create(t.Context(), r.faulty, strings.Repeat("ours", 10_000)); err == nil || objectstore.Refused(err) {
		t.Errorf("the client was told %v, want doubt", err)
	}
	r.holds("")
}

func TestStatusIsUnseenByTheStore(t *testing.T) {
	for status, want := range map[int]error{
		503: objectstore.ErrThrottled, 429: objectstore.ErrThrottled, 500: objectstore.ErrUnavailable, 409: objectstore.ErrUnavailable,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			rule := nthPut(faultproxy.Status)
			rule.Status = status
			r := newRig(t, rule)
			if err := create(t.Context(), r.faulty, "ours"); !errors.Is(err, want) || objectstore.Refused(err) {
				t.Errorf("the client was told %v, want %v", err, want)
			}
			r.holds("")
			if err := create(t.Context(), r.faulty, "ours"); err != nil {
				t.Error(err)
			}
			r.holds("ours")
		})
	}
}

func TestTruncatedReplyIsNotAShortObject(t *testing.T) {
	text := strings.Repeat("0123456789", 5000)
	r := newRig(t, faultproxy.Rule{Name: "cut", Method: "GET", Key: "/x$", Nth: 1, Action: faultproxy.Truncate})
	if err := create(t.Context(), r.direct, text); err != nil {
		t.Fatal(err)
	}
	if got, err := read(t.Context(), r.faulty); err == nil {
		t.Errorf("%d of %d bytes and no error", len(got), len(text))
	}
	if got, err := read(t.Context(), r.faulty); err != nil || got != text {
		t.Errorf("the second read: %d bytes, %v", len(got), err)
	}
}

func TestDelayAndStall(t *testing.T) {
	for action, landed := range map[faultproxy.Action]string{faultproxy.Delay: "ours", faultproxy.Stall: ""} {
		t.Run(string(action), func(t *testing.T) {
			r := newRig(t, nthPut(action))
			began := time.Now()
			err := create(t.Context(), r.faulty, "ours")
			if (err == nil) != (action == faultproxy.Delay) || time.Since(began) < 300*time.Millisecond {
				t.Errorf("%v after %v", err, time.Since(began))
			}
			r.holds(landed)
		})
	}
}

// A store behind the retry decorator works through a network that breaks a tenth of everything that may be repeated.
func TestRetryCarriesReadsThrough(t *testing.T) {
	r := newRig(t,
		faultproxy.Rule{Name: "slow down", Method: "GET", Probability: 0.1, Action: faultproxy.Status, Status: 503},
		faultproxy.Rule{Name: "drop", Method: "GET", Probability: 0.1, Action: faultproxy.DropReply},
		faultproxy.Rule{Name: "cut", Method: "GET", Probability: 0.1, Action: faultproxy.Truncate},
	)
	text := strings.Repeat("0123456789", 20_000)
	if err := create(t.Context(), r.direct, text); err != nil {
		t.Fatal(err)
	}
	s := objectstore.Retry(r.faulty, objectstore.Policy{Attempts: 20, Base: time.Millisecond, Cap: 5 * time.Millisecond}, clock.System(), clock.SystemRand())
	for range 60 {
		if got, err := read(t.Context(), s); err != nil || got != text {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	for _, a := range []faultproxy.Action{faultproxy.Status, faultproxy.DropReply, faultproxy.Truncate} {
		if r.proxy.Fired()[a] == 0 {
			t.Errorf("%s never fired", a)
		}
	}
}

// The proxy sends what it got, byte for byte, and nothing else.
func TestForwardsByteForByte(t *testing.T) {
	var mu sync.Mutex // guards got
	got := map[string]string{}
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		got["uri"], got["host"], got["body"], got["via"] = r.RequestURI, r.Host, string(b), r.Header.Get("Via")+r.Header.Get("X-Forwarded-For")
		mu.Unlock()
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "not gzip at all")
	}))
	defer up.Close()
	p, err := faultproxy.Start(faultproxy.Options{Upstream: up.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	for name, body := range map[string]io.Reader{"sized": strings.NewReader("hello"), "chunked": io.MultiReader(strings.NewReader("hel"), strings.NewReader("lo"))} {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, p.URL()+"/b/a%2Fb%20c?x=1&y", body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Expect", "100-continue")
			req.Header.Set("Accept-Encoding", "identity")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if err != nil || string(b) != "not gzip at all" {
				t.Errorf("%q, %v", b, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if got["uri"] != "/b/a%2Fb%20c?x=1&y" || got["host"] != strings.TrimPrefix(p.URL(), "http://") || got["body"] != "hello" || got["via"] != "" {
				t.Errorf("the store got %v", got)
			}
		})
	}
}

// Rules count as they say, and each firing is one line without headers or query.
func TestRulesAndTheirLog(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer up.Close()
	var log bytes.Buffer
	p, err := faultproxy.Start(faultproxy.Options{Upstream: up.URL, Log: &log, Seed: 7, Rules: []faultproxy.Rule{
		{Name: "third", Method: "GET", Key: "^/b/k", Nth: 3, Action: faultproxy.Status, Status: 503},
		{Name: "every other, twice", Header: "X-Mark", Every: 2, Max: 2, Action: faultproxy.Status, Status: 429},
	}})
	if err != nil {
		t.Fatal(err)
	}
	get := func(path, mark string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.URL()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if mark != "" {
			req.Header.Set("X-Mark", mark)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		return res.StatusCode
	}
	var codes []int
	for range 4 {
		codes = append(codes, get("/b/k?secret=1", ""))
	}
	for range 7 {
		codes = append(codes, get("/other", "sesame"))
	}
	if want := "[200 200 503 200 200 429 200 429 200 200 200]"; fmt.Sprint(codes) != want {
		t.Errorf("%v, want %s", codes, want)
	}
	_ = p.Close()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	var first map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &first); err != nil || len(lines) != 3 || first["path"] != "/b/k" || first["rule"] != "third" {
		t.Errorf("%d lines, the first %v, %v", len(lines), first, err)
	}
	if strings.Contains(log.String(), "secret") || strings.Contains(log.String(), "sesame") {
		t.Errorf("the log tells too much: %s", &log)
	}
}

func TestControlFromAnotherProcess(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer up.Close()
	p, err := faultproxy.Start(faultproxy.Options{Upstream: up.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	control := httptest.NewServer(p.Control())
	defer control.Close()
	call := func(method, path, body string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, control.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, string(b)
	}
	if code, text := call("PUT", "/rules", `[{"name":"all","every":1,"action":"status","status":500}]`); code != 200 {
		t.Fatal(code, text)
	}
	res, err := http.Get(p.URL())
	if err != nil || res.StatusCode != 500 {
		t.Fatalf("%+v, %v", res, err)
	}
	_ = res.Body.Close()
	if _, text := call("GET", "/fired", ""); strings.TrimSpace(text) != `{"status":1}` {
		t.Errorf("fired %s", text)
	}
	if code, _ := call("POST", "/settle", ""); code != 200 {
		t.Errorf("settle: %d", code)
	}
	for _, bad := range []string{`[{"action":"status","status":500}]`, `[{"every":1,"action":"explode"}]`, `[{"every":1,"action":"late"}]`, `[{"every":1,"key":"(","action":"twice"}]`, `[{"surprise":1}]`, `{`} {
		if code, _ := call("PUT", "/rules", bad); code != 400 {
			t.Errorf("%s: %d", bad, code)
		}
	}
}
