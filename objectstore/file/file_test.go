package file_test

import (
	"testing"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/file"
	"github.com/lakectl/lakectl/objectstore/storetest"
)

// open returns a store in dir, closed with the test.
func open(t *testing.T, dir string, opts ...file.Option) *file.Store {
	t.Helper()
	s, err := file.Open(dir, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestContract(t *testing.T) {
	storetest.RunClients(t, func(t *testing.T) (a, b objectstore.Store) {
		dir := t.TempDir()
		return open(t, dir), open(t, dir)
	})
}
