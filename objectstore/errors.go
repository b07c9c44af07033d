package objectstore

import "errors"

// Errors of a key.
var (
	// ErrInvalidKey says that a key is empty, absolute, or has empty, "." or ".." segments. Terminal.
	ErrInvalidKey = errors.New("invalid object key")
	// ErrNotFound says that no object has this key. Terminal.
	ErrNotFound = errors.New("object not found")
	// ErrExists says that a create met an object; it may be our own, from a reply that was lost. Terminal for the
	// condition, but doubt for the settle rule.
	ErrExists = errors.New("object exists")
	// ErrPrecondition says that the object has another ETag than the one required. Terminal.
	ErrPrecondition = errors.New("object changed")
)

// Errors of a store.
var (
	// ErrNoBucket says that the bucket or root folder does not exist. Terminal.
	ErrNoBucket = errors.New("bucket not found")
	// ErrDenied says that credentials are missing, wrong, expired or lack the right. Terminal.
	ErrDenied = errors.New("access denied")
	// ErrUnsupported says that the store cannot do what was asked, a conditional put for example. Terminal.
	ErrUnsupported = errors.New("not supported by the store")
	// ErrTooLarge says that the store refuses an object of this size. Terminal.
	ErrTooLarge = errors.New("object too large")
	// ErrBadRequest says that the store calls the request malformed. Terminal.
	ErrBadRequest = errors.New("request refused")
	// ErrUnsafeStore says that the store ignores a condition of a put: two writers would overwrite each other, so all
	// writing is refused. Terminal.
	ErrUnsafeStore = errors.New("store ignores conditional writes")
	// ErrThrottled says that the store asks for fewer requests (429, 503 SlowDown). Retryable.
	ErrThrottled = errors.New("store asks to slow down")
	// ErrUnavailable says that the store did not answer, or answered with a server error. Retryable.
	ErrUnavailable = errors.New("store unavailable")
	// ErrNoSpace says that the disk of a file store is full. Retryable once there is room.
	ErrNoSpace = errors.New("no space left")
	// ErrUnsent says that a Put failed before any of its bytes could get the key: nothing landed, nothing will. It
	// comes together with the error that says why. Terminal unless that one is retryable.
	ErrUnsent = errors.New("nothing was sent")
)

// Refused tells whether err proves that a Put wrote nothing and never will: 400, 401, 403, a missing bucket, 405,
// 411, 413 and 501, a store that is unsafe to write to, and a Put that ended before it sent anything (ErrUnsent).
// Everything else is doubt (reliability: the settle rule); ErrNoSpace alone is, as it may come after the object.
func Refused(err error) bool {
	for _, e := range []error{ErrInvalidKey, ErrNoBucket, ErrDenied, ErrUnsupported, ErrTooLarge, ErrBadRequest, ErrUnsafeStore, ErrUnsent} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Retryable tells whether the same call may succeed later without any change on our side.
func Retryable(err error) bool {
	return errors.Is(err, ErrThrottled) || errors.Is(err, ErrUnavailable)
}
