package s3

import (
	"context"
	"fmt"
	"slices"

	"github.com/minio/minio-go/v7"

	"github.com/lakectl/lakectl/objectstore"
)

// deleteBatch is how many keys one request of S3 may name.
const deleteBatch = 1000

// Delete implements [objectstore.Store]. Cost: one request for each thousand keys. In a bucket with versions the old
// versions stay.
func (s *Store) Delete(ctx context.Context, keys ...string) error {
	names := make([]string, 0, len(keys))
	for _, key := range keys {
		name, err := s.object(key)
		if err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		names = append(names, name)
	}
	for batch := range slices.Chunk(names, deleteBatch) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
		if err := s.remove(ctx, batch); err != nil {
			return fmt.Errorf("delete: %w", err)
		}
	}
	return nil
}

func (s *Store) remove(ctx context.Context, names []string) error {
	if len(names) == 1 {
		err := s.core.RemoveObject(ctx, s.bucket, names[0], minio.RemoveObjectOptions{})
		if minio.ToErrorResponse(err).Code == minio.NoSuchKey {
			return nil
		}
		return s.classify(ctx, err, objectstore.Condition{})
	}
	results, err := s.core.RemoveObjectsWithIter(ctx, s.bucket, func(yield func(minio.ObjectInfo) bool) {
		for _, name := range names {
			if !yield(minio.ObjectInfo{Key: name}) {
				return
			}
		}
	}, minio.RemoveObjectsOptions{})
	if err != nil {
		return s.classify(ctx, err, objectstore.Condition{})
	}
	for r := range results {
		if r.Err != nil && minio.ToErrorResponse(r.Err).Code != minio.NoSuchKey {
			return fmt.Errorf("%q: %w", r.ObjectName, s.classify(ctx, r.Err, objectstore.Condition{}))
		}
	}
	return ctx.Err()
}
