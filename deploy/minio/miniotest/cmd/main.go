// Command cmd runs the pinned MinIO server on loopback in the foreground, for development: `make minio`.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/lakectl/lakectl/deploy/minio/miniotest"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run() error {
	address := flag.String("address", "127.0.0.1:9000", "where to listen")
	data := flag.String("data", "", "folder of the objects, kept; empty means minio/data in the cache folder")
	bucket := flag.String("bucket", "lake", "bucket to make")
	flag.Parse()
	if *data == "" {
		cache, err := miniotest.CacheDir()
		if err != nil {
			return err
		}
		*data = filepath.Join(cache, "minio", "data")
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fmt.Fprintln(os.Stderr, "building MinIO if it is not in .cache yet (a few minutes the first time) …")
	s, err := miniotest.Launch(ctx, miniotest.Config{
		Address: *address, Data: *data,
		AccessKey: os.Getenv("MINIO_ROOT_USER"), SecretKey: os.Getenv("MINIO_ROOT_PASSWORD"),
	})
	if err != nil {
		return err
	}
	defer s.Stop()
	if err := s.MakeBucket(ctx, *bucket); err != nil {
		return err
	}
	fmt.Printf("# MinIO at %s, data in %s, bucket s3://%s. Ctrl-C ends it.\n", s.Endpoint, *data, *bucket)
	for _, pair := range s.Environ() {
		fmt.Printf("export %s\n", pair)
	}
	fmt.Printf("export LAKE_S3_ENDPOINT=%s\n", s.Endpoint) // the examples' lake.yml names it
	ended := make(chan struct{})
	go func() {
		s.Wait()
		close(ended)
	}()
	select {
	case <-ctx.Done():
		return nil
	case <-ended:
		return fmt.Errorf("the server ended by itself")
	}
}
