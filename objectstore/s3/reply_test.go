package s3_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/redact"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/s3"
)

const (
	access = "canaryaccess"
	secret = "c4n4ry-secret-key"
)

// server answers every request by handler and counts them.
func server(t *testing.T, handler http.HandlerFunc) (endpoint string, count *atomic.Int64) {
	t.Helper()
	count = &atomic.Int64{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		count.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		handler(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL, count
}

func open(t *testing.T, endpoint string) *s3.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), "s3://bucket/lake", s3.Options{
		Endpoint: endpoint, Region: "us-east-1", AccessKey: redact.NewSecret(access), SecretKey: redact.NewSecret(secret),
		DialTimeout: 500 * time.Millisecond, StallTimeout: 300 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func reply(status int, code string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(status)
		if code != "" && r.Method != http.MethodHead {
			_, _ = fmt.Fprintf(w, "<?xml version=\"1.0\"?><Error><Code>%s</Code><Message>said so</Message></Error>", code)
		}
	}
}

func TestRepliesOfAPut(t *testing.T) {
	tests := []struct {
		status  int
		code    string
		want    error
		refused bool
	}{
		{400, "InvalidRequest", objectstore.ErrBadRequest, true},
		{400, "", objectstore.ErrBadRequest, true},
		{400, "ExpiredToken", objectstore.ErrDenied, true},
		{400, "RequestTimeout", objectstore.ErrUnavailable, false},
		{400, "EntityTooLarge", objectstore.ErrTooLarge, true},
		{401, "", objectstore.ErrDenied, true},
		{403, "AccessDenied", objectstore.ErrDenied, true},
		{403, "SignatureDoesNotMatch", objectstore.ErrDenied, true},
		{403, "InvalidAccessKeyId", objectstore.ErrDenied, true},
		{403, "RequestTimeTooSkewed", objectstore.ErrDenied, true},
		{404, "NoSuchBucket", objectstore.ErrNoBucket, true},
		{404, "NoSuchKey", objectstore.ErrNotFound, false},
		{405, "MethodNotAllowed", objectstore.ErrUnsupported, true},
		{408, "", objectstore.ErrUnavailable, false},
		{409, "ConditionalRequestConflict", objectstore.ErrUnavailable, false},
		{409, "OperationAborted", objectstore.ErrUnavailable, false},
		{409, "", objectstore.ErrUnavailable, false},
		{411, "MissingContentLength", objectstore.ErrBadRequest, true},
		{412, "PreconditionFailed", objectstore.ErrExists, false},
		{412, "", objectstore.ErrExists, false},
		{413, "", objectstore.ErrTooLarge, true},
		{429, "", objectstore.ErrThrottled, false},
		{429, "TooManyRequests", objectstore.ErrThrottled, false},
		{499, "", objectstore.ErrUnavailable, false},
		{500, "InternalError", objectstore.ErrUnavailable, false},
		{501, "NotImplemented", objectstore.ErrUnsupported, true},
		{502, "", objectstore.ErrUnavailable, false},
		{503, "SlowDown", objectstore.ErrThrottled, false},
		{503, "ServiceUnavailable", objectstore.ErrUnavailable, false},
		{504, "", objectstore.ErrUnavailable, false},
		{507, "XMinioStorageFull", objectstore.ErrNoSpace, false},
		{302, "", objectstore.ErrUnavailable, false},
		{204, "", objectstore.ErrUnavailable, false},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprint(tt.status, tt.code), func(t *testing.T) {
			endpoint, count := server(t, reply(tt.status, tt.code))
			_, err := open(t, endpoint).Put(t.Context(), "a", objectstore.Bytes([]byte("x")), objectstore.CreateOnly)
			if !errors.Is(err, tt.want) || objectstore.Refused(err) != tt.refused {
				t.Errorf("%v (refused %v), want %v (refused %v)", err, objectstore.Refused(err), tt.want, tt.refused)
			}
			if n := count.Load(); n != 1 {
				t.Errorf("%d requests, want one: a conditional put is never repeated below the settle rule", n)
			}
			clean(t, err)
		})
	}
}

func TestRepliesOfAnEtagPut(t *testing.T) {
	for status, want := range map[int]error{412: objectstore.ErrPrecondition, 404: objectstore.ErrNotFound} {
		endpoint, count := server(t, reply(status, ""))
		_, err := open(t, endpoint).Put(t.Context(), "a", objectstore.Bytes([]byte("x")), objectstore.Condition{IfMatch: "e"})
		if !errors.Is(err, want) || count.Load() != 1 {
			t.Errorf("%d: %v after %d requests, want %v", status, err, count.Load(), want)
		}
	}
}

// clean checks that an error fits into a ticket.
func clean(t *testing.T, err error) {
	t.Helper()
	text := fmt.Sprintf("%v %+v %#v", err, err, err)
	for _, leak := range []string{access, secret, "\n"} {
		if strings.Contains(err.Error(), leak) || leak != "\n" && strings.Contains(text, leak) {
			t.Errorf("the error holds %q: %s", leak, text)
		}
	}
	if len(err.Error()) > 1000 {
		t.Errorf("an error of %d bytes", len(err.Error()))
	}
}

func TestConditionsTravel(t *testing.T) {
	var got http.Header
	endpoint, _ := server(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		w.Header().Set("ETag", `"e"`)
	})
	s := open(t, endpoint)
	for _, tt := range []struct {
		cond          objectstore.Condition
		match, except string
	}{
		{objectstore.Condition{}, "", ""},
		{objectstore.CreateOnly, "", "*"},
		{objectstore.Condition{IfMatch: "abc-2"}, `"abc-2"`, ""},
	} {
		info, err := s.Put(t.Context(), "a", objectstore.Bytes([]byte("x")), tt.cond)
		if err != nil || info.ETag != "e" || info.Date.IsZero() {
			t.Fatal(info, err)
		}
		if m, e := got.Get("If-Match"), got.Get("If-None-Match"); m != tt.match || e != tt.except {
			t.Errorf("%+v: If-Match %q, If-None-Match %q", tt.cond, m, e)
		}
	}
}

// A store that speaks S3 and takes every PUT, as some gateways and old servers do.
func TestProbedRefusesAServerThatIgnoresIfNoneMatch(t *testing.T) {
	deletes := 0
	endpoint, count := server(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodDelete {
			deletes++
			w.WriteHeader(http.StatusNoContent)
			return
		}
		w.Header().Set("ETag", `"e"`)
	})
	s := objectstore.Probed(open(t, endpoint), "", clock.SystemRand())
	for range 3 {
		_, err := s.Put(t.Context(), "a", objectstore.Bytes([]byte("x")), objectstore.CreateOnly)
		if !errors.Is(err, objectstore.ErrUnsafeStore) || !objectstore.Refused(err) {
			t.Errorf("%v, want ErrUnsafeStore", err)
		}
	}
	if count.Load() != 3 || deletes != 1 {
		t.Errorf("%d requests, want two creates and a delete", count.Load())
	}
}

// The effect happened, the reply did not come: doubt, and no second request.
func TestLostReplyIsDoubtAndNotRepeated(t *testing.T) {
	var s *s3.Store
	lose := false
	endpoint, count := server(t, func(w http.ResponseWriter, _ *http.Request) {
		if lose {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = c.Close()
			}
			return
		}
		w.Header().Set("ETag", `"e"`)
	})
	s = open(t, endpoint)
	body := objectstore.Bytes([]byte("x"))
	if _, err := s.Put(t.Context(), "a", body, objectstore.CreateOnly); err != nil {
		t.Fatal(err) // and leaves a connection that is used again
	}
	lose = true
	for _, cond := range []objectstore.Condition{objectstore.CreateOnly, {IfMatch: "e"}, {}} {
		before := count.Load()
		_, err := s.Put(t.Context(), "a", body, cond)
		if !errors.Is(err, objectstore.ErrUnavailable) || objectstore.Refused(err) {
			t.Errorf("%+v: %v, want ErrUnavailable", cond, err)
		}
		if n := count.Load() - before; n != 1 {
			t.Errorf("%+v: %d requests, want one", cond, n)
		}
		clean(t, err)
	}
}

func TestEndpointDownFailsSoonAndNamesIt(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	_ = l.Close()
	s := open(t, "http://"+address)
	start := time.Now()
	_, err = s.Head(t.Context(), "a")
	if !errors.Is(err, objectstore.ErrUnavailable) || !strings.Contains(err.Error(), address) {
		t.Errorf("%v, want ErrUnavailable with %s", err, address)
	}
	for _, err := range s.List(t.Context(), "", "") {
		if !errors.Is(err, objectstore.ErrUnavailable) {
			t.Errorf("list: %v", err)
		}
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
	clean(t, err)
}

func TestStalledServerFailsInBoundedTime(t *testing.T) {
	release := make(chan struct{})
	for name, handler := range map[string]http.HandlerFunc{
		"before the reply": func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-release:
			case <-r.Context().Done():
			}
		},
		"inside the body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			w.Header().Set("ETag", `"e"`)
			w.Header().Set("Last-Modified", "Thu, 15 Feb 2001 00:00:00 GMT")
			_, _ = w.Write([]byte("some"))
			w.(http.Flusher).Flush()
			select {
			case <-release:
			case <-r.Context().Done():
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			endpoint, _ := server(t, handler)
			s := open(t, endpoint)
			start := time.Now()
			body, _, err := s.Get(t.Context(), "a", objectstore.Range{})
			if err == nil {
				_, err = io.ReadAll(body)
				_ = body.Close()
			}
			if !errors.Is(err, objectstore.ErrUnavailable) {
				t.Errorf("%v, want ErrUnavailable", err)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
	close(release)
}

// A slow upload moves bytes: it must not be taken for a stall however long it takes.
func TestSlowUploadIsNoStall(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 1<<20) // socket buffers hold some of these: they drain within one stall
		for {
			n, err := io.ReadFull(r.Body, buf)
			if n == 0 || err != nil {
				break
			}
			time.Sleep(40 * time.Millisecond)
		}
		w.Header().Set("ETag", `"e"`)
	}))
	defer srv.Close()
	const stall = time.Second
	s, err := s3.Open(t.Context(), "s3://bucket", s3.Options{
		Endpoint: srv.URL, Anonymous: true, StallTimeout: stall, PartSize: 1 << 30,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	start := time.Now()
	if _, err := s.Put(t.Context(), "a", objectstore.Bytes(make([]byte, 56<<20)), objectstore.CreateOnly); err != nil {
		t.Fatal(err)
	}
	if d := time.Since(start); d < 2*stall {
		t.Errorf("the upload took %v only: shorter than two stalls", d)
	}
}

func TestReadThatEndsEarly(t *testing.T) {
	endpoint, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.Header().Set("ETag", `"e"`)
		w.Header().Set("Last-Modified", "Thu, 15 Feb 2001 00:00:00 GMT")
		_, _ = w.Write([]byte("some"))
	})
	body, info, err := open(t, endpoint).Get(t.Context(), "a", objectstore.Range{})
	if err != nil || info.Size != 100 {
		t.Fatal(info, err)
	}
	defer func() { _ = body.Close() }()
	if _, err := io.ReadAll(body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v, want io.ErrUnexpectedEOF", err)
	}
}

func TestStrangeReplies(t *testing.T) {
	page := func(keys ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `<?xml version="1.0"?><ListBucketResult><IsTruncated>false</IsTruncated>`)
			for _, k := range keys {
				_, _ = fmt.Fprintf(w, `<Contents><Key>%s</Key><Size>1</Size><ETag>"e"</ETag></Contents>`, k)
			}
			_, _ = io.WriteString(w, `</ListBucketResult>`)
		}
	}
	list := func(s *s3.Store) error {
		for _, err := range s.List(context.Background(), "", "") {
			if err != nil {
				return err
			}
		}
		return nil
	}
	for name, tt := range map[string]struct {
		handler http.HandlerFunc
		want    error
	}{
		"in order":           {page("lake/a", "lake/b"), nil},
		"folder markers":     {page("lake/", "lake/a/", "lake/a/b"), nil},
		"out of order":       {page("lake/b", "lake/a"), objectstore.ErrUnsupported},
		"twice":              {page("lake/a", "lake/a"), objectstore.ErrUnsupported},
		"outside the prefix": {page("other/a"), objectstore.ErrUnavailable},
		"no xml":             {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }, objectstore.ErrUnavailable},
		"html error":         {reply(502, ""), objectstore.ErrUnavailable},
		"no bucket":          {reply(404, "NoSuchBucket"), objectstore.ErrNoBucket},
	} {
		t.Run(name, func(t *testing.T) {
			endpoint, _ := server(t, tt.handler)
			if err := list(open(t, endpoint)); !errors.Is(err, tt.want) {
				t.Errorf("%v, want %v", err, tt.want)
			}
		})
	}
	t.Run("range ignored", func(t *testing.T) {
		endpoint, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Last-Modified", "Thu, 15 Feb 2001 00:00:00 GMT")
			_, _ = io.WriteString(w, "0123456789")
		})
		body, _, err := open(t, endpoint).Get(t.Context(), "a", objectstore.Range{Offset: 5})
		if !errors.Is(err, objectstore.ErrUnsupported) {
			t.Errorf("%v, want ErrUnsupported: the wrong bytes would look right", err)
		}
		if body != nil {
			_ = body.Close()
		}
	})
	t.Run("long and dirty message", func(t *testing.T) {
		endpoint, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = fmt.Fprintf(w, "<Error><Code>AccessDenied</Code><Message>a\nb%s</Message></Error>", strings.Repeat("x", 5000))
		})
		_, err := open(t, endpoint).Head(t.Context(), "a")
		_, _, gerr := open(t, endpoint).Get(t.Context(), "a", objectstore.Range{})
		for _, err := range []error{err, gerr} {
			if !errors.Is(err, objectstore.ErrDenied) {
				t.Errorf("%v", err)
			}
			clean(t, err)
		}
	})
}
