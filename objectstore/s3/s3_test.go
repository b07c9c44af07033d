package s3_test

import (
	"os"
	"testing"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
	"github.com/lakectl/lakectl/objectstore"
	"github.com/lakectl/lakectl/objectstore/storetest"
)

func TestMain(m *testing.M) { os.Exit(miniotest.Main(m)) }

func TestContract(t *testing.T) {
	srv := miniotest.Start(t)
	storetest.RunClients(t, func(t *testing.T) (a, b objectstore.Store) {
		bucket := srv.Bucket(t)
		return srv.Open(t, "s3://"+bucket), srv.Open(t, "s3://"+bucket)
	})
}
