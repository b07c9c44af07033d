package miniotest

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/lakectl/lakectl/internal/clock"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/s3"
)

// shared is the server of this test process: started on first use, then only read.
var shared oneServer //nolint:gochecknoglobals // tests of a process share one server because a start takes a second

type oneServer struct {
	once   sync.Once
	server *Server
	err    error
}

func (o *oneServer) start() (*Server, error) {
	o.once.Do(func() { o.server, o.err = Launch(context.Background(), Config{}) })
	return o.server, o.err
}

// stop ends the server if one was started, and keeps one from being started.
func (o *oneServer) stop() {
	o.once.Do(func() {})
	if o.server != nil {
		o.server.Stop()
	}
}

// Start returns the server of this test process, started on the first call and shared by all tests; each makes its own
// buckets. It ends with the process. With -short the test is skipped: a cold build takes minutes.
func Start(tb testing.TB) *Server {
	tb.Helper()
	if testing.Short() {
		tb.Skip("needs a MinIO server, which -short does not build")
	}
	s, err := shared.start()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// Main runs the tests of a package that used Start and removes what the server left on disk. It is the body of a
// TestMain:
//
//	func TestMain(m *testing.M) { os.Exit(miniotest.Main(m)) }
//
// Without it the data of a server is removed by the next test process that starts one.
func Main(m *testing.M) int {
	defer shared.stop()
	return m.Run()
}

// Bucket makes a bucket of the test's own and returns its name.
func (s *Server) Bucket(tb testing.TB) string {
	tb.Helper()
	name := "t-" + clock.NewToken(clock.SystemRand(), 8)
	if err := s.MakeBucket(tb.Context(), name); err != nil {
		tb.Fatal(err)
	}
	return name
}

// Store opens an empty store in a bucket of the test's own.
func (s *Server) Store(tb testing.TB) objectstore.Store {
	tb.Helper()
	return s.Open(tb, "s3://"+s.Bucket(tb))
}

// Open opens a store of this server, a client of its own each time, at an address such as "s3://bucket/prefix".
func (s *Server) Open(tb testing.TB, address string) objectstore.Store {
	tb.Helper()
	store, err := s3.Open(tb.Context(), address, s.Options())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = store.Close() })
	return store
}

// Setenv sets Environ for the test and whatever it starts.
func (s *Server) Setenv(tb testing.TB) {
	tb.Helper()
	for _, pair := range s.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		tb.Setenv(name, value)
	}
}
