package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"unicode"

	"github.com/minio/minio-go/v7"

	"github.com/lakectl/lakectl/internal/redact"
	"github.com/lakectl/lakectl/objectstore"
)

// classify gives an error of the SDK its sentinel of objectstore. Whatever is not known to be a refusal leaves doubt:
// it becomes ErrUnavailable.
//
// Kinds: 404 by its code; 401, 403 and expired tokens denied; 412 the condition; 409 doubt, since S3 answers so when
// two conditional puts collide; 400, 405, 411, 413, 501 refused; 429 and SlowDown throttled; all else unavailable.
func (s *Store) classify(ctx context.Context, err error, cond objectstore.Condition) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%w (%s)", ctx.Err(), s.endpoint)
	}
	var reply minio.ErrorResponse
	if errors.As(err, &reply) {
		if kind := kindOf(reply, cond); kind != nil {
			return fmt.Errorf("%w: %s", kind, s.describe(reply))
		}
	}
	if errors.Is(err, errBodyRead) {
		return err // our own body failed: half a request was sent, which the server discards
	}
	return fmt.Errorf("%w: endpoint %s: %w", objectstore.ErrUnavailable, s.endpoint, bare(err))
}

// kindOf returns the sentinel for a reply, nil for one that says nothing.
func kindOf(r minio.ErrorResponse, cond objectstore.Condition) error {
	switch r.Code {
	case minio.NoSuchBucket:
		return objectstore.ErrNoBucket
	case minio.NoSuchKey:
		return objectstore.ErrNotFound
	case "NoSuchUpload":
		return objectstore.ErrUnavailable // also the answer to a completion that had worked the first time
	case "SlowDown", "SlowDownRead", "SlowDownWrite", "Throttling", "ThrottlingException", "RequestLimitExceeded",
		"RequestThrottled", "TooManyRequests":
		return objectstore.ErrThrottled
	case "ExpiredToken", "ExpiredTokenException", "InvalidToken", "TokenRefreshRequired", minio.AccessDenied,
		"InvalidAccessKeyId", "SignatureDoesNotMatch", "AccountProblem", "AllAccessDisabled":
		return objectstore.ErrDenied
	case "RequestTimeout", "InternalError", "OperationAborted", "ConditionalRequestConflict", "IncompleteBody":
		return objectstore.ErrUnavailable
	case "EntityTooLarge", "XMinioStorageFull", "QuotaExceeded":
		return refusedForSpace(r.Code)
	}
	switch r.StatusCode {
	case http.StatusPreconditionFailed:
		if cond.IfNoneMatch {
			return objectstore.ErrExists
		}
		return objectstore.ErrPrecondition
	case http.StatusUnauthorized, http.StatusForbidden:
		return objectstore.ErrDenied
	case http.StatusNotFound:
		return objectstore.ErrNotFound
	case http.StatusBadRequest, http.StatusLengthRequired:
		return objectstore.ErrBadRequest
	case http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return objectstore.ErrUnsupported
	case http.StatusRequestEntityTooLarge:
		return objectstore.ErrTooLarge
	case http.StatusTooManyRequests:
		return objectstore.ErrThrottled
	case 0:
		return nil
	}
	return objectstore.ErrUnavailable
}

func refusedForSpace(code string) error {
	if code == "EntityTooLarge" {
		return objectstore.ErrTooLarge
	}
	return objectstore.ErrNoSpace
}

// describe tells people what the store said: status, code, and its message, cut and cleaned.
func (s *Store) describe(r minio.ErrorResponse) string {
	message := strings.Map(func(c rune) rune {
		if unicode.IsControl(c) {
			return ' '
		}
		return c
	}, r.Message)
	if len(message) > 200 {
		message = message[:200] + "…"
	}
	return fmt.Sprintf("endpoint %s answered %d %s: %s", s.endpoint, r.StatusCode, r.Code, strings.ToValidUTF8(message, "?"))
}

// bare strips the URL that net/http puts before its errors: the key is in our own message, and the rest is noise.
func bare(err error) error {
	var ue *url.Error
	if errors.As(err, &ue) {
		return ue.Err
	}
	var reply minio.ErrorResponse
	if errors.As(err, &reply) {
		return errors.New(redact.URL(reply.Code))
	}
	return err
}

// replyBody classifies what breaks while an object is read.
type replyBody struct {
	ctx context.Context //nolint:containedctx // the reader belongs to one Get
	s   *Store
	io.ReadCloser
}

func (b replyBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err == nil || err == io.EOF {
		return n, err
	}
	return n, fmt.Errorf("read object: %w", b.s.classify(b.ctx, err, objectstore.Condition{}))
}
