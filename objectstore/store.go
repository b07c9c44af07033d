// Package objectstore is the one door to storage: a bucket, a folder or a map in memory behind one interface.
//
// Everything that lakectl knows lives in objects, and every object is either created once, swapped against its
// ETag, or deleted by key. Nothing is ever overwritten blindly except the two hints of the Delta log that may be
// lost without harm. The packages file, mem and s3 implement [Store]; storetest is the contract as a program.
// Retry, limits, faults and caches are decorators of [Store], one file each, so that no implementation grows its
// own retry loop.
package objectstore

import (
	"context"
	"io"
	"iter"
	"time"
)

// Store is a flat map from keys to immutable byte strings, with conditional writes.
//
// Keys are slash-separated, relative to the store's root, never start with a slash, and never contain empty, "."
// or ".." segments; anything else is [ErrInvalidKey]. All methods are safe for concurrent use. Errors match the
// sentinels of this package with errors.Is; a done ctx ends a call with an error that wraps ctx.Err(), and after
// that nothing more is written on its behalf.
type Store interface {
	// URL names the root for people and logs, without credentials: "s3://bucket/prefix", "file:///abs/path",
	// "mem://name". Two stores with one URL hold the same objects.
	URL() string

	// Get returns the object's bytes, or the part that r names. The caller closes the reader. The Info describes
	// the whole object. A reader that ends before Info.Size (or the range) is satisfied returns
	// io.ErrUnexpectedEOF, never a silent short read. Idempotent, retryable.
	// Errors: ErrNotFound; ErrPrecondition if r.IfMatch is set and another ETag is there.
	Get(ctx context.Context, key string, r Range) (io.ReadCloser, Info, error)

	// Head returns what is known of the object without its bytes. Idempotent, retryable. Errors: ErrNotFound.
	Head(ctx context.Context, key string) (Info, error)

	// List yields the objects whose key starts with prefix and is greater than after, recursively, in ascending
	// byte order of keys. The first error ends the sequence. A listing is not a snapshot: objects written while it
	// runs may or may not appear, objects written before it began do appear. Objects of others whose names break the
	// key rules are listed as they are, and refused by every other call; only the folder markers of S3 consoles,
	// whose names end with a slash, are left out.
	List(ctx context.Context, prefix, after string) iter.Seq2[Info, error]

	// Put writes the object atomically: a reader sees the whole new object or none of it. With IfNoneMatch it is
	// created only where no object exists (else ErrExists); with IfMatch it replaces only the named ETag (else
	// ErrPrecondition, or ErrNotFound when nothing is there). Without a condition it replaces.
	//
	// One Put with a condition is at most one request that can change the object: implementations never retry it.
	// An error for which [Refused] is true says that nothing was written and nothing will be; every other error,
	// ErrExists and timeouts included, leaves doubt that only a later Get can settle.
	// The returned Info has the key, the ETag and the size.
	Put(ctx context.Context, key string, body Body, cond Condition) (Info, error)

	// Delete removes objects. Keys that do not exist are not an error. Idempotent, retryable; on an error some of
	// the keys may be gone.
	Delete(ctx context.Context, keys ...string) error
}

// Info describes one object.
type Info struct {
	Key      string
	Size     int64     // bytes
	ETag     string    // opaque; equal ETags of one key mean equal bytes; without quotes
	Modified time.Time // the store's clock, UTC; S3 rounds it to seconds
	Date     time.Time // the store's clock when it answered; zero where the call does not tell (List)
}

// Range selects a part of an object. The zero value is the whole object.
type Range struct {
	Offset  int64  // first byte; negative means the last -Offset bytes
	Length  int64  // bytes; 0 means up to the end. A range that reaches past the end is cut there
	IfMatch string // when set, the object must still have this ETag
}

// Condition guards a Put. At most one field is set.
type Condition struct {
	IfNoneMatch bool   // create only
	IfMatch     string // replace only this ETag
}

// CreateOnly is the condition of log entries, plans, runs and claims.
var CreateOnly = Condition{IfNoneMatch: true} //nolint:gochecknoglobals // a constant in all but syntax

// Body is what a Put sends: random access, so that a request can be repeated byte for byte.
type Body interface {
	io.ReaderAt
	Size() int64 // bytes
}

// Local is implemented by stores whose objects are plain files of this machine. Engines read such files in place
// instead of through the cache.
type Local interface {
	// LocalPath returns the absolute path of the object, symlinks resolved; the object need not exist.
	// Errors: ErrInvalidKey for a key that leaves the root.
	LocalPath(key string) (string, error)
}
