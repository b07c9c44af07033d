package mem_test

import (
	"testing"

	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/mem"
	"github.com/lakectl/lakectl/objectstore/storetest"
)

func TestContract(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objectstore.Store {
		t.Helper()
		return mem.New(t.Name())
	})
}
