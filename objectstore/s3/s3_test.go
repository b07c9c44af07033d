package s3_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/internal/redact"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/s3"
	"github.com/lakectl/lakectl/objectstore/storetest"
)

func TestMain(m *testing.M) { os.Exit(miniotest.Main(m)) }

// The whole contract on a bucket of its own, and below a prefix with small parts, so that the large bodies of the suite
// go in several.
func TestContract(t *testing.T) {
	srv := miniotest.Start(t)
	storetest.RunClients(t, func(t *testing.T) (a, b objectstore.Store) {
		t.Helper()
		bucket := srv.Bucket(t)
		return srv.Open(t, "s3://"+bucket), srv.Open(t, "s3://"+bucket)
	})
}

func TestContractInPartsBelowAPrefix(t *testing.T) {
	srv := miniotest.Start(t)
	o := srv.Options()
	o.PartSize = s3.PartSizeMin
	storetest.RunClients(t, func(t *testing.T) (a, b objectstore.Store) {
		t.Helper()
		address := "s3://" + srv.Bucket(t) + "/ware house/lake=1"
		var clients [2]objectstore.Store
		for i := range clients {
			s, err := s3.Open(t.Context(), address, o)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = s.Close() })
			r := objectstore.Retry(s, objectstore.Policy{}, clock.System(), clock.SystemRand())
			clients[i] = objectstore.Probed(r, "", clock.SystemRand())
		}
		return clients[0], clients[1]
	})
}

// keys lists a store.
func keys(t *testing.T, s objectstore.Store) []string {
	t.Helper()
	var out []string
	for info, err := range s.List(t.Context(), "", "") {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, info.Key)
	}
	return out
}

func put(t *testing.T, s objectstore.Store, key string) {
	t.Helper()
	if _, err := s.Put(t.Context(), key, objectstore.Bytes([]byte(key)), objectstore.Condition{}); err != nil {
		t.Fatal(err)
	}
}

func TestPrefixesAreApart(t *testing.T) {
	srv := miniotest.Start(t)
	bucket := "s3://" + srv.Bucket(t)
	all, lake, lake2 := srv.Open(t, bucket), srv.Open(t, bucket+"/lake"), srv.Open(t, bucket+"/lake2")
	put(t, lake, "a")
	put(t, lake2, "b")
	put(t, all, "x")
	if got := keys(t, lake); !slices.Equal(got, []string{"a"}) {
		t.Errorf("lake holds %q", got)
	}
	if got := keys(t, lake2); !slices.Equal(got, []string{"b"}) {
		t.Errorf("lake2 holds %q", got)
	}
	if err := lake.Delete(t.Context(), "a", "b"); err != nil {
		t.Fatal(err)
	}
	if got := keys(t, all); !slices.Equal(got, []string{"lake2/b", "x"}) {
		t.Errorf("the bucket holds %q", got)
	}
}

func TestBadCredentialsAndBucket(t *testing.T) {
	srv := miniotest.Start(t)
	bucket := srv.Bucket(t)
	unknown, wrong := srv.Options(), srv.Options()
	unknown.AccessKey, unknown.SecretKey = redact.NewSecret(access), redact.NewSecret(secret)
	wrong.SecretKey = redact.NewSecret(secret)
	for _, tt := range []struct {
		name, address string
		o             s3.Options
		want          error
	}{
		{"unknown access key", bucket, unknown, objectstore.ErrDenied},
		{"wrong secret key", bucket, wrong, objectstore.ErrDenied},
		{"anonymous", bucket, s3.Options{Endpoint: srv.Endpoint, Anonymous: true}, objectstore.ErrDenied},
		{"missing bucket", "no-such-bucket", srv.Options(), objectstore.ErrNoBucket},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, err := s3.Open(t.Context(), "s3://"+tt.address+"/lake", tt.o)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			check := func(verb string, err error) {
				t.Helper()
				if !errors.Is(err, tt.want) {
					t.Errorf("%s: %v, want %v", verb, err, tt.want)
					return
				}
				clean(t, err)
			}
			for _, size := range []int{1, 40 << 20} {
				_, err = s.Put(t.Context(), "a", objectstore.Bytes(make([]byte, size)), objectstore.CreateOnly)
				check(fmt.Sprint("put ", size), err)
				if !objectstore.Refused(err) {
					t.Errorf("put %d: %v leaves doubt", size, err)
				}
			}
			_, _, err = s.Get(t.Context(), "a", objectstore.Range{})
			check("get", err)
			_, err = s.Head(t.Context(), "a")
			check("head", err)
			for _, err := range s.List(t.Context(), "", "") {
				check("list", err)
			}
			check("delete", s.Delete(t.Context(), "a"))
			check("delete two", s.Delete(t.Context(), "a", "b"))
		})
	}
}

func TestEnvironReachesTheServer(t *testing.T) {
	srv := miniotest.Start(t)
	noEnvironment(t)
	bucket := srv.Bucket(t)
	srv.Setenv(t)
	s, err := s3.Open(t.Context(), "s3://"+bucket, s3.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	put(t, s, "a")
	if got := keys(t, s); len(got) != 1 {
		t.Errorf("keys %q", got)
	}
}

func recordSigner(got *string) http.HandlerFunc {
	who := regexp.MustCompile(`Credential=([^/]+)/`)
	return func(w http.ResponseWriter, r *http.Request) {
		if m := who.FindStringSubmatch(r.Header.Get("Authorization")); m != nil {
			*got = m[1]
		}
		w.WriteHeader(http.StatusNotFound)
	}
}

func BenchmarkStore(b *testing.B) { storetest.Bench(b, miniotest.Start(b).Store(b)) }
