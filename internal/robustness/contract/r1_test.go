package contract_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/internal/robustness/ledger"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/objectstore/storetest"
)

func TestMain(m *testing.M) { os.Exit(miniotest.Main(m)) }

// TestR1 checks the whole contract on every kind of store, then races contenders of two clients for many keys.
func TestR1(t *testing.T) {
	contenders := ledger.At(16, 32, 64)
	for _, c := range []struct {
		name string
		keys int
		open func(t *testing.T) storetest.Clients
	}{
		{"mem", ledger.At(50, 1_000, 20_000), func(*testing.T) storetest.Clients {
			return func(t *testing.T) (a, b objectstore.Store) {
				t.Helper()
				s := mem.New(t.Name())
				return s, s
			}
		}},
		{"file", ledger.At(50, 1_000, 20_000), func(*testing.T) storetest.Clients {
			return func(t *testing.T) (a, b objectstore.Store) {
				t.Helper()
				dir := t.TempDir()
				return openFile(t, dir), openFile(t, dir)
			}
		}},
		{"MinIO", ledger.At(10, 300, 2_000), func(t *testing.T) storetest.Clients {
			t.Helper()
			srv := miniotest.Start(t)
			return func(t *testing.T) (a, b objectstore.Store) {
				t.Helper()
				bucket := srv.Bucket(t)
				return srv.Open(t, "s3://"+bucket), srv.Open(t, "s3://"+bucket)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			open := c.open(t)
			t.Run("contract", func(t *testing.T) {
				check := ledger.Open(t, "R1 contract, "+c.name, 40)
				storetest.RunClients(t, func(t *testing.T) (a, b objectstore.Store) {
					t.Helper()
					check.Count++
					return open(t)
				})
			})
			t.Run("create races", func(t *testing.T) {
				check := ledger.Open(t, fmt.Sprintf("R1 create races of %d, %s", contenders, c.name), c.keys)
				check.Adds = true
				a, b := open(t)
				for k := range c.keys {
					if err := race(t, fmt.Sprintf("race/%06d", k), contenders, a, b); err != nil {
						check.Failed++
						t.Error(err)
					}
					check.Count++
				}
			})
		})
	}
}

func openFile(t *testing.T, dir string) objectstore.Store {
	t.Helper()
	s, err := file.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// race lets contenders create one key at once, half of them by each client.
func race(t *testing.T, key string, contenders int, clients ...objectstore.Store) error {
	t.Helper()
	errs := make([]error, contenders)
	body := func(i int) string { return fmt.Sprintf("contender %d of %s", i, key) }
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range contenders {
		wg.Go(func() {
			<-begin
			_, errs[i] = clients[i%len(clients)].Put(t.Context(), key, objectstore.Bytes([]byte(body(i))), objectstore.CreateOnly)
		})
	}
	close(begin)
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			return fmt.Errorf("%s: contenders %d and %d won", key, winner, i)
		case !errors.Is(err, objectstore.ErrExists):
			return fmt.Errorf("%s: contender %d: %w", key, i, err)
		}
	}
	if winner < 0 {
		return fmt.Errorf("%s: nobody won", key)
	}
	r, _, err := clients[winner%2].Get(t.Context(), key, objectstore.Range{})
	if err != nil {
		return fmt.Errorf("%s: read it back: %w", key, err)
	}
	got, err := io.ReadAll(r)
	if err = errors.Join(err, r.Close()); err != nil || string(got) != body(winner) {
		return fmt.Errorf("%s: holds %q, %w; want %q", key, got, err, body(winner))
	}
	return nil
}
