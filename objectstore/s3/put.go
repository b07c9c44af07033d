package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/minio/minio-go/v7"

	"github.com/lakectl/lakectl/objectstore"
)

// errBodyRead marks an error of the caller's body.
var errBodyRead = errors.New("read body") // Terminal: the same body fails again.

// Put implements [objectstore.Store]. Cost: one PUT; from Options.PartSize on, one POST, one PUT for each part and one
// POST, which carries the condition.
func (s *Store) Put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (objectstore.Info, error) {
	info, err := s.put(ctx, key, body, cond)
	if err != nil {
		return objectstore.Info{}, objectstore.Wrap("put", key, err)
	}
	return info, nil
}

func (s *Store) put(ctx context.Context, key string, body objectstore.Body, cond objectstore.Condition) (objectstore.Info, error) {
	name, err := s.object(key)
	if err == nil {
		err = cond.Check()
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return objectstore.Info{}, err
	}
	opts := minio.PutObjectOptions{ContentType: "application/octet-stream"}
	switch {
	case cond.IfNoneMatch:
		opts.SetMatchETagExcept("*")
	case cond.IfMatch != "":
		opts.SetMatchETag(cond.IfMatch)
	}
	octx, seen := observe(ctx)
	var up minio.UploadInfo
	if size := body.Size(); size < s.opts.PartSize {
		src := &bodyReader{r: io.NewSectionReader(body, 0, size), left: size}
		up, err = s.core.PutObject(octx, s.bucket, name, src, size, "", "", opts)
		if ferr := src.failure(); ferr != nil {
			err = ferr
		}
	} else {
		up, err = s.multipart(octx, name, body, opts)
	}
	if err != nil {
		return objectstore.Info{}, s.classify(ctx, err, cond)
	}
	return objectstore.Info{Key: key, Size: body.Size(), ETag: up.ETag, Date: seen.date()}, nil
}

// bodyReader feeds one request. It is no io.Seeker, so that nobody below can send it twice, and it remembers why the
// body failed, which net/http does not always pass on. A body that is shorter than it said is such a failure.
type bodyReader struct {
	r    io.Reader
	left int64

	mu  sync.Mutex // guards err; a leaf lock. net/http reads on a goroutine of its own
	err error
}

func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 { //nolint:errorlint // io.Reader promises a bare io.EOF
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF { //nolint:errorlint // as above
		err = fmt.Errorf("%w: %w", errBodyRead, err)
		b.mu.Lock()
		b.err = err
		b.mu.Unlock()
	}
	return n, err
}

func (b *bodyReader) failure() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// abortTimeout bounds the removal of parts after an upload that failed.
const abortTimeout = 10 * time.Second

// multipart sends the body in parts, and makes them one object under the condition of opts. Until the last request
// nothing is visible. An upload that fails before that is removed; one whose completion is in doubt is left alone.
func (s *Store) multipart(ctx context.Context, name string, body objectstore.Body, opts minio.PutObjectOptions) (minio.UploadInfo, error) {
	plain := minio.PutObjectOptions{ContentType: opts.ContentType}
	id, err := s.core.NewMultipartUpload(ctx, s.bucket, name, plain)
	if err != nil {
		return minio.UploadInfo{}, err
	}
	parts, err := s.sendParts(ctx, name, id, body)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		s.abort(ctx, name, id)
		return minio.UploadInfo{}, err
	}
	up, err := s.core.CompleteMultipartUpload(ctx, s.bucket, name, id, parts, opts)
	if code := minio.ToErrorResponse(err).StatusCode; err != nil && code >= 400 && code < 500 {
		s.abort(ctx, name, id)
	}
	return up, err
}

func (s *Store) abort(ctx context.Context, name, id string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), abortTimeout)
	defer cancel()
	// What stays is swept by vacuum and by the bucket's own rules; the error that led here matters more.
	_ = s.core.AbortMultipartUpload(ctx, s.bucket, name, id)
}

func (s *Store) sendParts(ctx context.Context, name, id string, body objectstore.Body) ([]minio.CompletePart, error) {
	size := body.Size()
	partSize := max(s.opts.PartSize, (size+partsMax-1)/partsMax)
	parts := make([]minio.CompletePart, (size+partSize-1)/partSize)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		wg      sync.WaitGroup
		mu      sync.Mutex // guards the two below; a leaf lock
		next    int
		failure error
	)
	take := func() int {
		mu.Lock()
		defer mu.Unlock()
		if failure != nil || next == len(parts) {
			return -1
		}
		next++
		return next - 1
	}
	for range min(s.opts.Uploads, len(parts)) {
		wg.Go(func() {
			for i := take(); i >= 0; i = take() {
				offset := int64(i) * partSize
				etag, err := s.sendPart(ctx, name, id, i+1, body, offset, min(partSize, size-offset))
				if err != nil {
					mu.Lock()
					if failure == nil {
						failure = err
					}
					mu.Unlock()
					cancel()
					return
				}
				parts[i] = minio.CompletePart{PartNumber: i + 1, ETag: etag}
			}
		})
	}
	wg.Wait()
	return parts, failure
}

func (s *Store) sendPart(ctx context.Context, name, id string, number int, body objectstore.Body, offset, n int64) (string, error) {
	src := &bodyReader{r: io.NewSectionReader(body, offset, n), left: n}
	part, err := s.core.PutObjectPart(ctx, s.bucket, name, id, number, src, n, minio.PutObjectPartOptions{})
	if ferr := src.failure(); ferr != nil {
		return "", ferr
	}
	return part.ETag, err
}
