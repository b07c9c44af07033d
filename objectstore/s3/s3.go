// Package s3 keeps objects in a bucket of Amazon S3, MinIO, or another store of that protocol. It is the one package
// that knows the SDK.
//
// The SDK's own retries are switched off: one call of this package is one request that can change the object, which
// the settle rule of commits relies on. Patience is added by objectstore.Retry, which knows what may be repeated.
// Credentials are found as the AWS tools find them. TLS is verified; plain HTTP beyond this machine is refused unless
// it is asked for.
package s3

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"strconv"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/lakectl/lakectl/internal/redact"
	"github.com/lakectl/lakectl/objectstore"
)

var _ objectstore.Store = (*Store)(nil)

// Store is an [objectstore.Store] in a bucket, or below a prefix of one.
type Store struct {
	core      minio.Core
	transport *transport
	endpoint  string // for people, redacted
	bucket    string
	prefix    string // empty, or ending with a slash
	opts      Options
}

// Open returns the store at address, "s3://bucket/prefix". It finds credentials but sends nothing to the store: a
// bucket that is missing or closed is the error of the first call.
// Errors: objectstore.ErrBadRequest for an address or options that cannot be, objectstore.ErrDenied without usable
// credentials.
func Open(ctx context.Context, address string, o Options) (*Store, error) {
	s, err := open(ctx, address, o)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", redact.URL(address), err)
	}
	return s, nil
}

func open(ctx context.Context, address string, o Options) (*Store, error) {
	bucket, prefix, err := location(address)
	if err != nil {
		return nil, err
	}
	o.fill()
	endpoint, err := o.validate()
	if err != nil {
		return nil, err
	}
	creds, err := find(ctx, &o)
	if err != nil {
		return nil, err
	}
	s := &Store{transport: newTransport(&o), endpoint: redact.URL(o.Endpoint), bucket: bucket, opts: o}
	if prefix != "" {
		s.prefix = prefix + "/"
	}
	lookup := minio.BucketLookupAuto
	if o.PathStyle {
		lookup = minio.BucketLookupPath
	}
	client, err := minio.New(endpoint.Host, &minio.Options{
		Creds: creds, Secure: endpoint.Scheme == "https", Transport: s.transport, Region: o.Region,
		BucketLookup: lookup, MaxRetries: 1,
	})
	if err != nil {
		return nil, fmt.Errorf("%w: endpoint %s: %w", objectstore.ErrBadRequest, s.endpoint, err)
	}
	s.core = minio.Core{Client: client}
	if endpoint.Scheme == "http" && !loopback(endpoint.Hostname()) && o.Logger != nil {
		o.Logger.WarnContext(ctx, "connection is not encrypted: everyone on the way can read and change the lake",
			"endpoint", s.endpoint)
	}
	return s, nil
}

// Close lets go of idle connections.
func (s *Store) Close() error {
	s.transport.CloseIdleConnections()
	return nil
}

// URL is "s3://bucket" or "s3://bucket/prefix".
func (s *Store) URL() string {
	return "s3://" + strings.TrimSuffix(s.bucket+"/"+s.prefix, "/")
}

// object returns the name in the bucket.
func (s *Store) object(key string) (string, error) {
	if err := objectstore.CheckKey(key); err != nil {
		return "", err
	}
	name := s.prefix + key
	if len(name) > objectstore.KeyBytesMax {
		return "", fmt.Errorf("%w: %d bytes with the prefix of the store", objectstore.ErrInvalidKey, len(name))
	}
	return name, nil
}

// Get implements [objectstore.Store].
func (s *Store) Get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	body, info, err := s.get(ctx, key, r)
	if err != nil {
		return nil, objectstore.Info{}, objectstore.Wrap("get", key, err)
	}
	return body, info, nil
}

// Tries to agree with an object that is replaced between the two requests of an empty range.
const emptyRangeTries = 3

func (s *Store) get(ctx context.Context, key string, r objectstore.Range) (io.ReadCloser, objectstore.Info, error) {
	name, err := s.object(key)
	if err == nil {
		err = r.Check()
	}
	if err != nil {
		return nil, objectstore.Info{}, err
	}
	for range emptyRangeTries {
		body, info, status, err := s.getRange(ctx, key, name, r)
		if status != http.StatusRequestedRangeNotSatisfiable {
			return body, info, err
		}
		// The range lies behind the end. Only a HEAD tells the rest.
		info, err = s.head(ctx, key)
		if err == nil && r.IfMatch != "" && info.ETag != r.IfMatch {
			err = objectstore.ErrPrecondition
		}
		if err != nil {
			return nil, objectstore.Info{}, err
		}
		if _, n := r.Span(info.Size); n == 0 {
			return http.NoBody, info, nil
		}
	}
	return nil, objectstore.Info{}, fmt.Errorf("%w: the object changed between requests", objectstore.ErrUnavailable)
}

func (s *Store) getRange(ctx context.Context, key, name string, r objectstore.Range) (io.ReadCloser, objectstore.Info, int, error) {
	opts := minio.GetObjectOptions{}
	ranged := r.Offset != 0 || r.Length != 0
	var err error
	switch {
	case r.Offset < 0:
		err = opts.SetRange(0, r.Offset)
	case r.Length > 0:
		err = opts.SetRange(r.Offset, r.Offset+r.Length-1)
	case r.Offset > 0:
		err = opts.SetRange(r.Offset, 0)
	}
	if err != nil {
		return nil, objectstore.Info{}, 0, fmt.Errorf("%w: %w", objectstore.ErrBadRequest, err)
	}
	if r.IfMatch != "" {
		if err := opts.SetMatchETag(r.IfMatch); err != nil {
			return nil, objectstore.Info{}, 0, fmt.Errorf("%w: %w", objectstore.ErrBadRequest, err)
		}
	}
	ctx, seen := observe(ctx)
	body, stat, header, err := s.core.GetObject(ctx, s.bucket, name, opts)
	if err != nil {
		return nil, objectstore.Info{}, minio.ToErrorResponse(err).StatusCode, s.classify(ctx, err, objectstore.Condition{})
	}
	size := stat.Size
	if ranged {
		if size, err = totalSize(header); err != nil {
			_ = body.Close()
			return nil, objectstore.Info{}, 0, err
		}
	}
	info := infoOf(key, stat, size, seen)
	_, n := r.Span(size)
	return objectstore.Exactly(ctx, replyBody{ctx, s, body}, n), info, 0, nil
}

// totalSize reads the size of the whole object from "Content-Range: bytes 0-9/1234".
func totalSize(h http.Header) (int64, error) {
	_, total, ok := strings.Cut(h.Get("Content-Range"), "/")
	n, err := strconv.ParseInt(total, 10, 64)
	if !ok || err != nil || n < 0 {
		return 0, fmt.Errorf("%w: a range was asked for and the reply does not tell which it is", objectstore.ErrUnsupported)
	}
	return n, nil
}

func infoOf(key string, stat minio.ObjectInfo, size int64, seen *exchange) objectstore.Info {
	return objectstore.Info{
		Key: key, Size: size, ETag: strings.Trim(stat.ETag, `"`), Modified: stat.LastModified.UTC(), Date: seen.date(),
	}
}

// Head implements [objectstore.Store].
func (s *Store) Head(ctx context.Context, key string) (objectstore.Info, error) {
	info, err := s.head(ctx, key)
	if err != nil {
		return objectstore.Info{}, objectstore.Wrap("head", key, err)
	}
	return info, nil
}

func (s *Store) head(ctx context.Context, key string) (objectstore.Info, error) {
	name, err := s.object(key)
	if err != nil {
		return objectstore.Info{}, err
	}
	ctx, seen := observe(ctx)
	stat, err := s.core.StatObject(ctx, s.bucket, name, minio.StatObjectOptions{})
	if err != nil {
		return objectstore.Info{}, s.classify(ctx, err, objectstore.Condition{})
	}
	return infoOf(key, stat, stat.Size, seen), nil
}

// List implements [objectstore.Store]. Cost: one request for each thousand objects.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		if err := s.list(ctx, prefix, after, yield); err != nil {
			yield(objectstore.Info{}, fmt.Errorf("list %q: %w", prefix, err))
		}
	}
}

func (s *Store) list(ctx context.Context, prefix, after string, yield func(objectstore.Info, error) bool) error {
	if err := objectstore.CheckPrefix(prefix); err != nil {
		return err
	}
	opts := minio.ListObjectsOptions{Prefix: s.prefix + prefix, Recursive: true, FetchOwner: new(bool)}
	if last := prefix[strings.LastIndexByte(prefix, '/')+1:]; last == "." || last == ".." {
		// The beginning of a name such as ".crc", but stores refuse it as a path: ask for the folder and choose here.
		opts.Prefix = strings.TrimSuffix(opts.Prefix, last)
	}
	if after >= prefix && after != "" {
		opts.StartAfter = s.prefix + after
	}
	last := opts.StartAfter
	for stat := range s.core.ListObjectsIter(ctx, s.bucket, opts) {
		if stat.Err != nil {
			return s.classify(ctx, stat.Err, objectstore.Condition{})
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		switch {
		case !strings.HasPrefix(stat.Key, opts.Prefix):
			return fmt.Errorf("%w: the store listed a key without the prefix", objectstore.ErrUnavailable)
		case stat.Key <= last && last != "":
			return fmt.Errorf("%w: the store does not list in byte order", objectstore.ErrUnsupported)
		}
		last = stat.Key
		if strings.HasSuffix(stat.Key, "/") || !strings.HasPrefix(stat.Key, s.prefix+prefix) {
			continue // the folder marker of a console, or more than was asked for
		}
		if !yield(infoOf(strings.TrimPrefix(stat.Key, s.prefix), stat, stat.Size, &exchange{}), nil) {
			return nil
		}
	}
	return ctx.Err()
}
